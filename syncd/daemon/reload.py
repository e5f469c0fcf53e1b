"""Reloads: noticing an edit of the configuration, and applying it to the running jobs."""

import glob
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from time import monotonic, thread_time, time_ns
from typing import Any, NamedTuple

from syncd.config import files
from syncd.config.job import Configuration, Job, RefusedJob
from syncd.config.rules import destination_place
from syncd.daemon.log.repeats import AGAIN_AFTER_SECONDS
from syncd.daemon.ticker import DaemonState
from syncd.daemon.ticks.schedule import Schedule, spread_seconds
from syncd.job.refused import refusal_facts
from syncd.model import events
from syncd.model.errors import ConfigError, Problem

_QUIET_SHARE = 0.01
_BUSY_SHARE = 0.1
_FINDING_SHARE = 0.002
_REST_NS = 1_000_000_000
"""Of a core, for looking at the files that are known, and for finding out which there are."""

Fingerprint = Mapping[str, tuple[int, int, int] | None]
"""Modification time, size and inode of each file or folder, or None if it cannot be read."""

_RESTART = "cannot be changed while the daemon runs: restart it, or put back what was there"
_FIXED: Sequence[tuple[str, Callable[[Configuration], object]]] = (
    ("state_dir", lambda it: it.settings.state_dir),
    ("engine", lambda it: it.settings.engine),
    ("fleet", lambda it: it.settings.fleet),
)
"""Settings that the running state and copy workers rest on."""


class JobChanges(NamedTuple):
    """The jobs that an edit added, changed and removed."""

    added: Sequence[Job]
    changed: Sequence[Job]
    """With their new definitions."""
    removed: Sequence[str]


class ConfigWatch:
    """Periodic look at the configuration's files. Used by the main thread alone.

    A look at ten thousand files takes long. So that looking takes a hundredth of a core, it comes round later the longer it
    takes: a few files are looked at each time, very many each few seconds. If one of the folders has changed, or an edit
    may be under way, it may take a tenth. Which files there are is found anew if a folder has changed, and now and then.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        clock: Callable[[], float] = monotonic,
        cpu_clock: Callable[[], float] = thread_time,
    ) -> None:
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._seen: Fingerprint = {}
        self._folders: Fingerprint = {}
        self._cost_seconds = self._looked_at = self._finding_seconds = self._found_at = 0.0
        self._look(configuration)
        self._loaded = self._seen

    def is_due(self, configuration: Configuration) -> bool:
        """Return true if the files changed since they were read, but not just now: not since the look before, or for a second."""
        has_moved = _identities(self._folders) != self._folders
        is_quiet = self._seen is self._loaded and not has_moved
        now = self._clock()
        if now - self._looked_at < self._cost_seconds / (_QUIET_SHARE if is_quiet else _BUSY_SHARE):
            return False
        before = self._seen
        is_whole = has_moved or now - self._found_at >= self._finding_seconds / _FINDING_SHARE
        self._look(configuration if is_whole else None)
        if self._seen == self._loaded:
            self._seen = self._loaded
        return self._seen is not self._loaded and bool(self._seen) and (self._seen == before or self._is_at_rest())

    def _is_at_rest(self) -> bool:
        """Return true if each file that changed did so a while ago, and none has come or gone."""
        changed = [path for path, identity in self._seen.items() if identity != self._loaded.get(path)]
        try:
            latest = max(os.stat(path).st_ctime_ns for path in changed)  # noqa: PTH116 - thousands of paths
        except (OSError, ValueError):
            return False
        return self._seen.keys() == self._loaded.keys() and latest <= time_ns() - _REST_NS

    def begin(self, configuration: Configuration) -> None:
        """Note the files just before they are read."""
        self._look(configuration)

    def note(self, configuration: Configuration) -> None:
        """Note that the files were read, with any result. An edit made in between still counts as one."""
        before = self._seen
        self._look(configuration)
        self._loaded = {path: before.get(path, identity) for path, identity in self._seen.items()}
        if self._seen == self._loaded:
            self._seen = self._loaded

    def _look(self, configuration: Configuration | None) -> None:
        """Look at the files that there are, or without a configuration at those that are known."""
        began = self._cpu_clock()
        paths: Iterable[str] = self._seen
        if configuration is not None:
            paths = _paths(configuration)
            self._folders = _identities({os.path.dirname(path) for path in paths})  # noqa: PTH120 - thousands of paths
            found = self._cpu_clock()
            self._finding_seconds, self._found_at = found - began, self._clock()
            began = found
        self._seen = _identities(paths)
        self._cost_seconds = self._cpu_clock() - began
        self._looked_at = self._clock()


class CurrentJobs:
    """The jobs by name, and their place in the schedule.

    Shared: the main thread alone changes the jobs, any thread reads. A change replaces the whole mapping, so that a
    reader has either the jobs of before or those of after.
    """

    def __init__(self, state: DaemonState) -> None:
        self._state = state
        self._jobs: Mapping[str, Job] = {}

    def find(self, name: str) -> Job | None:
        """Return a job as it is defined now, or None if it was removed."""
        return self._jobs.get(name)

    def names(self) -> list[str]:
        """List the names of all jobs."""
        return list(self._jobs)

    def begin(self, jobs: Sequence[Job], schedule: Schedule) -> None:
        """Add jobs, their first ticks spread over their intervals."""
        self._jobs = {**self._jobs, **{job.name: job for job in jobs}}
        for index, job in enumerate(jobs):
            schedule.put(job, seconds_from_now=spread_seconds(job, index, len(jobs)))

    def apply(self, changes: JobChanges, schedule: Schedule) -> None:
        """Add, change and remove jobs. Touch no others."""
        for name in changes.removed:
            self._remove(name, schedule)
        for job in changes.changed:
            self._change(job, schedule)
        self.begin(changes.added, schedule)

    def _remove(self, name: str, schedule: Schedule) -> None:
        self._jobs = {other: job for other, job in self._jobs.items() if other != name}
        schedule.remove(name)
        self._state.running.stop(name, is_replaced=False)
        self._state.forget(name)

    def _change(self, job: Job, schedule: Schedule) -> None:
        self._jobs = {**self._jobs, job.name: job}
        self._state.pauses.end(job.name)
        self._state.problems.log_again(job.name)
        # A running tick ends after the objects in flight, and ticks again at once with the new definition.
        is_running = self._state.running.stop(job.name, is_replaced=True)
        schedule.put(job, seconds_from_now=job.period.total_seconds() if is_running else 0.0)


class RefusedJobs:
    """The jobs left out because their files cannot be used, logged again each hour. Used by the main thread alone."""

    def __init__(self, state: DaemonState, *, monotonic: Callable[[], float]) -> None:
        self._state = state
        self._monotonic = monotonic
        self._refused: Sequence[RefusedJob] = ()
        self._logged_at = 0.0

    def take(self, refused: Sequence[RefusedJob]) -> None:
        """Take in and log the jobs that are refused now, and those refused no more."""
        before = {job.label for job in self._refused}
        self._refused = refused
        self._state.board.refuse(refused)
        for label in before - {job.label for job in refused}:
            if self._state.problems.resolve(events.JOB_REFUSED, label) is not None:
                self._state.problems.log(events.JOB_ADMITTED, job=label)
        for job in refused:
            self._state.problems.log_again(job.label)
        self._log()

    def remind(self) -> None:
        """Log them again if an hour has passed."""
        if self._refused and self._monotonic() - self._logged_at >= AGAIN_AFTER_SECONDS:
            self._log()

    def _log(self) -> None:
        self._logged_at = self._monotonic()
        for job in self._refused:
            self._state.problems.log(events.JOB_REFUSED, **refusal_facts(job))


def _paths(configuration: Configuration) -> set[str]:
    """Return the configuration's files, and those that match its patterns now."""
    top = configuration.files[0]
    folder = str(top.parent)
    paths = {str(top)}
    for pattern in configuration.settings.jobs:
        paths.update(os.path.join(folder, name) for name in glob.glob(pattern, root_dir=folder, recursive=True))  # noqa: PTH118, PTH207 - thousands of paths
    return paths


def _identities(paths: Iterable[str]) -> Fingerprint:
    return {path: _identity(path) for path in paths}


def reread(configuration: Configuration, *, anew: bool) -> Configuration:
    """Read the files of the configuration that changed, or all of them anew.

    A job whose file is broken now keeps its old definition.

    Raises:
        ConfigError: the configuration cannot be used, or not without a restart.
    """
    top = configuration.files[0]
    found = files.load(top, strict=configuration.is_strict, before=None if anew else configuration)
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
        refused.append(refusal._replace(name=job.name, is_kept=True))
    return replace(
        after,
        jobs=(*after.jobs, *(job for _, job in kept)),
        files=(*after.files, *(file for file, _ in kept)),
        refused=tuple(refused),
    )


def job_changes(before: Sequence[Job], after: Sequence[Job]) -> JobChanges:
    """Compare two lists of jobs. Jobs that are equal in both are left out."""
    old = {job.name: job for job in before}
    names = {job.name for job in after}
    return JobChanges(
        added=[job for job in after if job.name not in old],
        changed=[job for job in after if job is not (was := old.get(job.name, job)) and job != was],
        removed=[name for name in old if name not in names],
    )


def _identity(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - thousands of paths
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def reload_facts(changes: JobChanges, after: Configuration, *, most: int) -> dict[str, Any]:
    """Return what the log says of a reload, with at most so many names of a kind."""
    return {
        "added": [job.name for job in changes.added[:most]],
        "changed": [job.name for job in changes.changed[:most]],
        "removed": list(changes.removed[:most]),
        "jobs": len(after.jobs),
        "refused": [job.label for job in after.refused[:most]],
    }
