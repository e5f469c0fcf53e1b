"""Noticing that the configuration was edited, and what an edit means for the jobs."""

import glob
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from syncd.config import files
from syncd.config.job import Configuration, Job
from syncd.config.rules import destination_place
from syncd.model.errors import ConfigError, Problem

Fingerprint = Mapping[Path, tuple[int, int, int] | None]
"""Modification time, size and inode of each file; None for one that cannot be looked at."""


_RESTART = "cannot be changed while the daemon runs: restart it, or put back what was there"
_FIXED: Sequence[tuple[str, Callable[[Configuration], object]]] = (
    ("state_dir", lambda it: it.settings.state_dir),
    ("engine", lambda it: it.settings.engine),
)
"""What the running state and copy workers rest on."""


class Difference(NamedTuple):
    """What an edit did to the jobs."""

    added: Sequence[Job]
    changed: Sequence[Job]
    """As they are now."""
    removed: Sequence[str]


class Watch:
    """Looks at the configuration's files now and then."""

    def __init__(self, configuration: Configuration) -> None:
        self._loaded = fingerprint(configuration)
        self._seen = self._loaded

    def is_due(self, configuration: Configuration) -> bool:
        """Whether the files are other than those that were read, and have come to rest since the last call."""
        before, self._seen = self._seen, fingerprint(configuration)
        return self._seen not in (self._loaded, {}) and self._seen == before

    def begin(self, configuration: Configuration) -> None:
        """The files are about to be read."""
        self._seen = fingerprint(configuration)

    def note(self, configuration: Configuration) -> None:
        """They were read, whatever came of it; an edit in the meantime still counts as one."""
        now = fingerprint(configuration)
        self._loaded = {path: self._seen.get(path, identity) for path, identity in now.items()}
        self._seen = now


def fingerprint(configuration: Configuration) -> Fingerprint:
    """What tells an edited configuration from the one that was read."""
    top = configuration.files[0]
    paths = {top}
    for pattern in configuration.settings.jobs:
        paths |= {top.parent / name for name in glob.glob(pattern, root_dir=top.parent, recursive=True)}  # noqa: PTH207 - absolute patterns too
    return {path: _identity(path) for path in paths}


def reread(configuration: Configuration) -> Configuration:
    """The configuration as its files now have it; a job whose file cannot be used any more stays as it is.

    Raises:
        ConfigError: it cannot be used, or not without a restart.
    """
    top = configuration.files[0]
    found = files.load(top, strict=configuration.is_strict)
    fixed = [Problem(str(top), key, _RESTART) for key, ask in _FIXED if ask(found) != ask(configuration)]
    if fixed:
        raise ConfigError(fixed)
    return _with_kept(configuration, found)


def _with_kept(before: Configuration, after: Configuration) -> Configuration:
    running = dict(zip(before.files[1:], before.jobs, strict=False))
    names = {job.name for job in after.jobs}
    places = {destination_place(job) for job in after.jobs}
    kept, refused = [], []
    for refusal in after.refused:
        job = running.get(refusal.file)
        if job is None or job.name in names or destination_place(job) in places:
            refused.append(refusal)
            continue
        names.add(job.name)
        places.add(destination_place(job))
        kept.append((refusal.file, job))
        refused.append(replace(refusal, name=job.name, is_kept=True))
    return replace(
        after,
        jobs=(*after.jobs, *(job for _, job in kept)),
        files=(*after.files, *(file for file, _ in kept)),
        refused=tuple(refused),
    )


def difference(before: Sequence[Job], after: Sequence[Job]) -> Difference:
    """What has to be done to come from some jobs to others; what is in neither list is not to be touched."""
    old = {job.name: job for job in before}
    names = {job.name for job in after}
    return Difference(
        added=[job for job in after if job.name not in old],
        changed=[job for job in after if job.name in old and job != old[job.name]],
        removed=[name for name in old if name not in names],
    )


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
