"""Finding and reading the configuration files, and reporting everything that is wrong with them at once."""

import glob
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from syncd.config import Configuration, Job, Settings, completed
from syncd.diagnosis import Parts, UnreadError, examine, read
from syncd.errors import ConfigError, Problem
from syncd.rules import JOB_RULES, SETTINGS_RULES, destination_place
from syncd.units import format_size
from syncd.wording import Finding, shown, without_secrets

DEFAULT_PATH = Path("/etc/syncd/syncd.toml")
VARIABLE = "SYNCD_CONFIG"

_PATH_KEYS = (("state_dir",), ("consumer", "credentials_file"), ("defaults", "consumer", "credentials_file"))

T = TypeVar("T")


def find(option: Path | None, environ: Mapping[str, str]) -> Path:
    """The configuration file to read: `--config`, else $SYNCD_CONFIG, else /etc/syncd/syncd.toml.

    Never one that happens to lie in the current folder. Whether it is there, `load` finds out.
    """
    if option is not None:
        return option
    return Path(environ[VARIABLE]) if environ.get(VARIABLE) else DEFAULT_PATH


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Configuration:
    """Read syncd.toml and the job files that it names.

    Relative paths are relative to the folder of the file they stand in; `environ` is what ${VARIABLE} is taken from.

    Raises:
        ConfigError: with every problem of every file.
    """
    top = _read_file(path, environ)
    if top.raw is None:
        raise ConfigError(top.problems)
    settings, findings = examine(Settings, top.raw, SETTINGS_RULES)
    problems = [*top.problems, *top.places(findings)]
    defaults = top.raw.get("defaults", {})
    if isinstance(defaults, Mapping):
        found: list[Finding] = []
        read(Job, defaults, found, partial=True)
        problems += top.places(Finding(f"defaults.{key}", message) for key, message in found)
    else:
        defaults = {}
    files, missing = _job_files(path, _known(settings, attrgetter("jobs")) or ())
    readings = [_read_job(_read_file(file, environ), top, defaults) for file in files]
    problems += missing
    problems += [problem for reading in readings for problem in reading.problems]
    problems += _between(readings, top, settings)
    jobs = [reading.job for reading in readings if isinstance(reading.job, Job)]
    if problems or not isinstance(settings, Settings):
        order = [str(file) for file in (path, *files)]
        raise ConfigError(sorted(dict.fromkeys(problems), key=lambda problem: order.index(problem.file)))
    return Configuration(settings, tuple(jobs), (path, *files))


@dataclass(frozen=True)
class _File:
    """One file as it was read: `raw` is without secrets and has its paths expanded; None where it cannot be read."""

    path: Path
    raw: Mapping[str, Any] | None
    problems: Sequence[Problem]
    lost: frozenset[str] = frozenset()
    """The keys that were taken out, since they held a secret or a variable that is not set."""

    def places(self, findings: Iterator[Finding] | Sequence[Finding]) -> list[Problem]:
        """The findings as problems of this file, without those that only say that a lost key is missing."""
        return [Problem(str(self.path), key, message) for key, message in findings if key not in self.lost]


class _Reading(NamedTuple):
    """What became of one job file."""

    file: _File
    job: Job | Parts | None
    problems: Sequence[Problem]


def _read_file(path: Path, environ: Mapping[str, str]) -> _File:
    try:
        document = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        reason = "there is no such file; name one with --config or $SYNCD_CONFIG, or write one with `syncd init`"
    except OSError as error:
        reason = f"cannot be read: {error.strerror or type(error).__name__}; let the user that runs syncd read it"
    except UnicodeDecodeError:
        reason = "is not UTF-8 text; save it as UTF-8"
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        reason = _syntax(error)
    else:
        findings: list[Finding] = []
        raw = without_secrets(document, findings)
        for keys in _PATH_KEYS:
            raw = _with_path_expanded(raw, keys, path.absolute().parent, environ, findings)
        file = _File(path, raw, ())
        return replace(file, problems=file.places(findings), lost=frozenset(key for key, _ in findings))
    return _File(path, None, [Problem(str(path), "", reason)])


def _syntax(error: Exception) -> str:
    found = re.fullmatch(r"(.*) \(at (.*)\)", str(error), re.DOTALL)
    what, where = found.groups() if found else (str(error) or "nested too deeply", "an unknown place")
    return f"is not valid TOML at {where}: {what}; texts and account IDs stand in quotes, numbers and true without"


def _with_path_expanded(
    raw: dict[str, Any], keys: Sequence[str], folder: Path, environ: Mapping[str, str], findings: list[Finding]
) -> dict[str, Any]:
    key, *rest = keys
    value = raw.get(key)
    if rest and isinstance(value, Mapping):
        inner: list[Finding] = []
        raw = {**raw, key: _with_path_expanded(dict(value), rest, folder, environ, inner)}
        findings += [Finding(f"{key}.{dotted}", message) for dotted, message in inner]
    elif not rest and isinstance(value, str) and value:
        unset = [name for name in re.findall(r"\$\{([^}]*)\}", value) if name not in environ]
        if unset:
            findings.append(Finding(key, f"{shown(value)} names ${{{unset[0]}}}, which is not set in the environment"))
            return {name: item for name, item in raw.items() if name != key}
        text = re.sub(r"\$\{([^}]*)\}", lambda found: environ[found[1]], value)
        raw = {**raw, key: str(folder / _home(text, environ))}
    return raw


def _home(text: str, environ: Mapping[str, str]) -> str:
    if text.split("/", 1)[0] == "~" and environ.get("HOME"):
        return environ["HOME"] + text[1:]
    return os.path.expanduser(text)  # noqa: PTH111 - Path raises where there is no such user


def _job_files(path: Path, patterns: Sequence[str]) -> tuple[list[Path], list[Problem]]:
    files: dict[Path, None] = {}
    problems = []
    for pattern in patterns:
        names = glob.glob(pattern, root_dir=path.parent, recursive=True)  # noqa: PTH207 - absolute patterns too
        candidates = [path.parent / name for name in names]
        found = [file for file in candidates if not file.is_dir() and file.absolute() != path.absolute()]
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


def _read_job(file: _File, top: _File, defaults: Mapping[str, Any]) -> _Reading:
    if file.raw is None:
        return _Reading(file, None, file.problems)
    inherited = dict(defaults)
    for one, other in (("every", "cron"), ("cron", "every")):
        if one in file.raw:
            inherited.pop(other, None)
    job, findings = examine(Job, completed(_merged(inherited, file.raw)), JOB_RULES)
    return _Reading(file, job, [*file.problems, *_placed(findings, file, top)])


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = {**below, **above}
    for key in below.keys() & above.keys():
        if isinstance(below[key], Mapping) and isinstance(above[key], Mapping):
            result[key] = _merged(below[key], above[key])
    return result


def _placed(findings: Sequence[Finding], file: _File, top: _File) -> list[Problem]:
    """The findings of a job, each at the file where its key stands: the job's own, else [defaults]."""
    problems = []
    for key, message in findings:
        inherited = f"defaults.{key}"
        if not _has(file.raw, key) and (_has(top.raw, inherited) or inherited in top.lost):
            problems += top.places([Finding(inherited, message)])
        else:
            problems += file.places([Finding(key, message)])
    return problems


def _has(raw: object, dotted: str) -> bool:
    for key in dotted.split("."):
        if not isinstance(raw, Mapping) or key not in raw:
            return False
        raw = raw[key]
    return True


def _between(readings: Sequence[_Reading], top: _File, settings: Settings | Parts) -> list[Problem]:
    """What does not hold between one job and another, or between a job and syncd.toml."""
    problems: list[Problem] = []
    names: dict[str, _File] = {}
    places: dict[tuple[str, ...], _File] = {}
    memory = _known(settings, attrgetter("engine.memory"))
    for file, job, _ in readings:
        if job is None:
            continue
        name, place = _known(job, attrgetter("name")), _known(job, destination_place)
        first = names.setdefault(name, file) if name is not None else file
        if first is not file:
            message = f"{shown(name)} is the name of the job in {first.path} too; give each job its own"
            problems += _placed([Finding("name", message)], file, top)
        first = places.setdefault(place, file) if place is not None else file
        if first is not file:
            message = f"the job in {first.path} writes to this bucket and prefix too; give each job its own prefix"
            problems += _placed([Finding("destination.prefix", message)], file, top)
        part_size, own = _known(job, attrgetter("destination.part_size")), _known(job, attrgetter("engine.memory"))
        if memory is not None and part_size is not None and own is None and memory < part_size:
            part, most = format_size(part_size), format_size(memory)
            message = f"{part} must fit into engine.memory of syncd.toml; set {most} or less"
            problems += _placed([Finding("destination.part_size", message)], file, top)
    return problems


def _known(parts: Any, ask: Callable[[Any], T]) -> T | None:
    try:
        return ask(parts)
    except UnreadError:
        return None
