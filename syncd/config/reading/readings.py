"""The configuration's files as they were read. Job files that stay as they are, are read once."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from syncd.config.job import JOB, completed
from syncd.config.names import is_job_name
from syncd.config.problems import examine
from syncd.config.reading.toml_file import UnusableError, name_of, read_toml, with_paths_expanded
from syncd.config.reading.versions import version_of
from syncd.config.tables.table import Table
from syncd.config.words import Finding, without_secrets
from syncd.model.errors import Problem

# Of each pair, the key of a job replaces the other one of [defaults].
_ALTERNATIVES = (("every", "cron"), ("heartbeat_url", "heartbeat_url_file"), ("url", "url_file"))
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.-]{0,120}")


class File(NamedTuple):
    """One file as it was read. `raw` has no secrets and expanded paths, or is None if the file cannot be read."""

    path: Path
    raw: Mapping[str, Any] | None
    problems: Sequence[Problem]
    lost: frozenset[str] = frozenset()
    """The keys that were taken out, since they held a secret or a variable that is not set."""
    name: str | None = None
    """The job's name, if a file that cannot be read shows it."""

    def places(self, findings: Sequence[Finding]) -> list[Problem]:
        """Return the findings as problems of this file, without those about lost keys."""
        return [Problem(str(self.path), _shown_key(key), message) for key, message in findings if key not in self.lost]


class Reading(NamedTuple):
    """The result of one job file."""

    file: File
    job: Table | None
    problems: Sequence[Problem]

    @property
    def name(self) -> str | None:
        """The job's name, or None if it is unknown or no job name."""
        name = name_of(self.file.raw) or self.file.name
        return name if is_job_name(name) else None


class Readings(NamedTuple):
    """Job files that were read without a problem, each with what tells it from an edited one."""

    defaults: Mapping[str, Any]
    kept: dict[Path, tuple[tuple[int, ...], Reading]]

    def read(self, path: Path, environ: Mapping[str, str], top: File, before: "Readings | None") -> Reading:
        """Read a job file, unless it is as it was before."""
        identity = _identity(path)
        found = before.kept.get(path) if before is not None and before.defaults == self.defaults else None
        if found is None or found[0] != identity:
            found = identity, _read_job(read_file(path, environ), top, self.defaults)
        if identity and not found[1].problems:
            self.kept[path] = found
        return found[1]


def _identity(path: Path) -> tuple[int, ...]:
    try:
        return version_of(path)
    except OSError:
        return ()


def read_file(path: Path, environ: Mapping[str, str]) -> File:
    """Read a file. What is wrong with it is in the result."""
    try:
        document = read_toml(path)
    except UnusableError as error:
        return File(path, None, [Problem(str(path), "", str(error))], name=error.job)
    findings: list[Finding] = []
    raw = without_secrets(document, findings)
    raw = with_paths_expanded(raw, path.absolute().parent, environ, findings)
    file = File(path, raw, ())
    return file._replace(problems=file.places(findings), lost=frozenset(key for key, _ in findings))


def _shown_key(key: str) -> str:
    """Return a key as the file has it, or quoted and cut if it is not plain."""
    return key if _PLAIN_KEY.fullmatch(key) else json.dumps(key[:120])


def _read_job(file: File, top: File, defaults: Mapping[str, Any]) -> Reading:
    if file.raw is None:
        return Reading(file, None, file.problems)
    job, findings = examine(JOB, completed(_merged(defaults, file.raw)))
    return Reading(file, job, [*file.problems, *placed(findings, file, top)])


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    replaced = {other for pair in _ALTERNATIVES for one, other in (pair, pair[::-1]) if one in above}
    result = {**{key: value for key, value in below.items() if key not in replaced}, **above}
    for key in below.keys() & above.keys():
        if isinstance(below[key], Mapping) and isinstance(above[key], Mapping):
            result[key] = _merged(below[key], above[key])
    return result


def placed(findings: Sequence[Finding], file: File, top: File) -> list[Problem]:
    """Return the findings of a job, each in the file that has its key: the job's own, else [defaults]."""
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
