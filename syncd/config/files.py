"""The configuration files: found, read, and reported on with everything that is wrong."""

import glob
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from syncd.config.job import SETTINGS, Configuration, Job, RefusedJob, Settings
from syncd.config.problems import examine
from syncd.config.reading.readings import File, Reading, Readings, placed, read_file
from syncd.config.rules import destination_place
from syncd.config.tables.table import Table
from syncd.config.tables.webhooks import JOB_IN_URL
from syncd.config.words import Finding, shown
from syncd.model.errors import ConfigError, Problem
from syncd.model.units import format_size

DEFAULT_PATH = Path("/etc/syncd/syncd.toml")
VARIABLE = "SYNCD_CONFIG"

T = TypeVar("T")


def find(option: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the path to read: `--config`, else $SYNCD_CONFIG, else /etc/syncd/syncd.toml.

    A file in the current folder is never taken. `load` finds out if the path exists.
    """
    if option is not None:
        return option
    return Path(environ[VARIABLE]) if environ.get(VARIABLE) else DEFAULT_PATH


def load(
    path: Path,
    environ: Mapping[str, str] = os.environ,
    *,
    strict: bool = False,
    before: Configuration | None = None,
) -> Configuration:
    """Read syncd.toml and the job files that it names.

    Relative paths are relative to the folder of the file they stand in; `environ` is what ${VARIABLE} is taken from.
    A job file that cannot be used is left out and listed in `refused`, if another one can be used and `strict` is off.
    A job file that has not changed since it was read for `before`, in the same environment, is not read again.

    Raises:
        ConfigError: with every problem of every file.
    """
    top = read_file(path, environ)
    if top.raw is None:
        raise ConfigError(top.problems)
    settings, findings = examine(SETTINGS, top.raw)
    problems = [*top.problems, *top.places(findings)]
    defaults = top.raw.get("defaults", {})
    defaults = defaults if isinstance(defaults, Mapping) else {}
    files, missing = _job_files(path, _known(settings, attrgetter("jobs")) or ())
    problems += missing
    known = before.readings if before is not None else None
    read = Readings(defaults, {})
    readings = [read.read(file, environ, top, known if isinstance(known, Readings) else None) for file in files]
    usable, refused = _sorted_out(readings, top, settings)
    if problems or not isinstance(settings, Settings) or (refused and (strict or not usable)):
        problems += [problem for reading in readings for problem in reading.problems]
        problems += [problem for _, problem in _between(readings, top, settings)]
        order = [str(file) for file in (path, *files)]
        raise ConfigError(sorted(dict.fromkeys(problems), key=lambda problem: order.index(problem.file)))
    return Configuration(
        settings,
        tuple(reading.job for reading in usable if isinstance(reading.job, Job)),
        (path, *(reading.file.path for reading in usable)),
        _refused(usable, refused),
        strict,
        read,
    )


def _sorted_out(readings: Sequence["Reading"], top: "File", settings: Table) -> tuple[list["Reading"], list["Reading"]]:
    """Split the jobs into those that can be used and those that cannot.

    No job is refused for what is wrong with the file of another.
    """
    sound = [item for item in readings if isinstance(item.job, Job) and not item.problems]
    # Of two jobs of one name, or one place, the one whose file is called after it stays, else the first.
    sound.sort(key=lambda item: item.file.path.stem != item.name)
    between: dict[Path, list[Problem]] = {}
    for file, problem in _between(sound, top, settings):
        between.setdefault(file.path, []).append(problem)
    kept = {item.file.path for item in sound} - between.keys()
    rest = [item for item in readings if item.file.path not in kept]
    return (
        [item for item in readings if item.file.path in kept],
        [item._replace(problems=[*item.problems, *between.get(item.file.path, ())]) for item in rest],
    )


def _refused(usable: Sequence["Reading"], refused: Sequence["Reading"]) -> tuple[RefusedJob, ...]:
    taken = {reading.name for reading in usable}
    found = []
    for reading in refused:
        name = reading.name if reading.name not in taken else None
        taken |= {name}
        found.append(RefusedJob(reading.file.path, name, tuple(reading.problems)))
    return tuple(found)


def _job_files(path: Path, patterns: Sequence[str]) -> tuple[list[Path], list[Problem]]:
    files: dict[Path, None] = {}
    problems = []
    for pattern in patterns:
        names = glob.glob(pattern, root_dir=path.parent, recursive=True)  # noqa: PTH207 - absolute patterns too
        candidates = [path.parent / name for name in names]
        # The folders that `**` comes by are no job files; one that is called like a file is read, and refused.
        found = [file for file in candidates if file.suffix == ".toml" or not file.is_dir()]
        found = [file for file in found if file.absolute() != path.absolute()]
        if not found:
            problems.append(
                Problem(
                    str(path),
                    "jobs",
                    f"{shown(pattern)} matches no file in {path.absolute().parent}; put a job file there,"
                    " correct the pattern, or write jobs = [] for none",
                )
            )
        files |= dict.fromkeys(found)
    return sorted(files, key=lambda file: (file.name, str(file))), problems


def _between(readings: Sequence[Reading], top: File, settings: Table) -> Iterator[tuple[File, Problem]]:
    """Find what is wrong between two jobs, or a job and syncd.toml, at the later job's file."""
    names: dict[str, File] = {}
    places: dict[tuple[str, ...], File] = {}
    customers: dict[str, tuple[File, str, bool]] = {}
    heartbeats = {_known(settings, attrgetter("heartbeat_url")): top}
    memory = _known(settings, attrgetter("engine.memory"))
    for file, job, _ in readings:
        if job is None:
            continue
        findings = []
        name, place = _known(job, attrgetter("name")), _known(job, destination_place)
        first = names.setdefault(name, file) if name is not None else file
        if first is not file:
            message = f"{shown(name)} is the name of the job in {first.path} too; give each job its own"
            findings.append(Finding("name", message))
        first = places.setdefault(place, file) if place is not None else file
        if first is not file:
            message = f"the job in {first.path} writes to this bucket and prefix too; give each job its own prefix"
            findings.append(Finding("destination.prefix", message))
        findings += _beside_the_lease(job, _known(settings, attrgetter("fleet.lease")))
        url = _known(job, attrgetter("heartbeat_url"))
        first = heartbeats.setdefault(url.replace(JOB_IN_URL, name or ""), file) if url is not None else file
        if first is not file:
            message = (
                f"{first.path} has this URL too, and each would hide the other's silence; write {JOB_IN_URL} in it"
            )
            findings.append(Finding("heartbeat_url", f"{message} for the job's name, or give each its own"))
        part_size, own = _known(job, attrgetter("destination.part_size")), _known(job, attrgetter("engine.memory"))
        if memory is not None and part_size is not None and own is None and memory < part_size:
            part, most = format_size(part_size), format_size(memory)
            message = f"{part} must fit into engine.memory of syncd.toml; set {most} or less"
            findings.append(Finding("destination.part_size", message))
        findings += _shared_external_id(file, job, customers)
        for problem in placed(findings, file, top):
            yield file, problem


def _beside_the_lease(job: Table, lease: str | None) -> Iterator[Finding]:
    """Find a job that reads or writes the bucket of the leases: nothing but replicas is written there."""
    bucket = (lease or "").removeprefix("s3://").partition("/")[0]
    for key in ("source.bucket", "destination.bucket"):
        if bucket and _known(job, attrgetter(key)) == bucket:
            yield Finding(
                key, f"{shown(bucket)} is the bucket of fleet.lease in syncd.toml; give the leases one of their own"
            )


def _shared_external_id(file: File, job: Table, customers: dict[str, tuple[File, str, bool]]) -> Iterator[Finding]:
    """Find an external ID of two customers, who could then read each other's logs (the confused deputy)."""
    role, account = _known(job, attrgetter("source.role")), _known(job, attrgetter("source.account_id"))
    if role is None or account is None:
        return
    external_id, is_third_party = _known(role, attrgetter("external_id")), _known(role, attrgetter("third_party"))
    if external_id is None:
        return
    first, other, was_third_party = customers.setdefault(external_id, (file, account, bool(is_third_party)))
    if other != account and (is_third_party or was_third_party):
        yield Finding(
            "source.role.external_id",
            f"is that of account {other} in {first.path} too; issue an external ID of its own to each customer",
        )


def _known(parts: Any, ask: Callable[[Any], T]) -> T | None:
    try:
        return ask(parts)
    except AttributeError:
        return None
