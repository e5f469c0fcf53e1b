"""Locks of jobs: one tick and one catch-up at a time for each, across processes."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from syncd.ledger.folder.locks import create_private_directory, lock_now, open_private, refusal_of
from syncd.model.errors import AlreadyRunning, LedgerError

_LONGEST_HOLDER_BYTES = 4096
_NOTED_BYTES = 1024


class Locks:
    """The locks of the jobs: `STATE_DIR/locks/JOB.tick.lock` and `STATE_DIR/locks/JOB.catch-up.lock`."""

    def __init__(self, state_dir: Path) -> None:
        self._directory = state_dir / "locks"

    def tick(self, job: str) -> AbstractContextManager[int]:
        """Hold the lock of a job's tick. See `hold`."""
        return hold(self._path(job, "tick"), what=f"the tick of {job}")

    def catch_up(self, job: str) -> AbstractContextManager[int]:
        """Hold the lock of a job's catch-up. See `hold`."""
        return hold(self._path(job, "catch-up"), what=f"the catch-up of {job}")

    def has_been(self, job: str) -> bool:
        """Return True if the job has ever held one of its locks here."""
        return self._path(job, "tick").exists() or self._path(job, "catch-up").exists()

    def progress(self, job: str) -> list[dict[str, Any]]:
        """Return the progress of the job's runs, as they noted it themselves in the last minutes."""
        found = (_noted(self._path(job, kind)) for kind in ("tick", "catch-up"))
        return [progress for progress in found if progress is not None]

    def _path(self, job: str, kind: str) -> Path:
        return self._directory / f"{quote(job, safe='')}.{kind}.lock"


@contextmanager
def hold(path: Path, *, what: str) -> Iterator[int]:
    """Hold a lock file exclusively until the end of the block or of the process.

    Yields its descriptor. Any process with a copy of it holds the lock too.

    The file names the holder: `{"pid": 123, "host": "x", "since": "2026-11-24T08:15:00Z"}`, with its `progress` once it
    has noted some. It is never removed.

    Raises:
        AlreadyRunning: another process or thread holds it.
        LedgerFull: the disk is full.
        LedgerStarved: no descriptor is left.
        LedgerUnwritable: the file cannot be created or locked.
    """
    descriptor = _open(path, what)
    try:
        if not _is_locked(descriptor, path, what):
            raise AlreadyRunning(_holder(descriptor))
        _sign(descriptor, path, what)
        try:
            yield descriptor
        finally:
            _put(descriptor, {"progress": None})
    finally:
        os.close(descriptor)


def _open(path: Path, what: str) -> int:
    try:
        create_private_directory(path.parent)
        return open_private(path)
    except OSError as error:
        raise _refusal(error, path, what) from error


def _is_locked(descriptor: int, path: Path, what: str) -> bool:
    try:
        return lock_now(descriptor, exclusive=True)
    except OSError as error:
        raise _refusal(error, path, what) from error


def _sign(descriptor: int, path: Path, what: str) -> None:
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    holder = {"pid": os.getpid(), "host": os.uname().nodename, "since": since}
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
    except OSError as error:
        raise _refusal(error, path, what) from error


def note_progress(descriptor: int, progress: Mapping[str, Any]) -> None:
    """Write the progress of a run into its lock file, for other processes. What cannot be written is left out."""
    _put(descriptor, {"progress": progress})


def _put(descriptor: int, facts: Mapping[str, Any]) -> None:
    with suppress(OSError, ValueError, TypeError):
        holder = json.loads(os.pread(descriptor, _LONGEST_HOLDER_BYTES, 0)) | facts
        # In one write of one length, a reader sees either the old or the new one.
        os.pwrite(descriptor, json.dumps(holder).encode().ljust(_NOTED_BYTES), 0)


def _noted(path: Path) -> dict[str, Any] | None:
    """Return the progress in a lock file. Returns None if there is none, or its process has died."""
    try:
        with path.open("rb") as file:
            holder = json.loads(file.read(_LONGEST_HOLDER_BYTES))
        progress = holder.get("progress")
        return progress if isinstance(progress, dict) and _is_alive(holder) else None
    except (OSError, ValueError, AttributeError):
        return None


def _is_alive(holder: Mapping[str, Any]) -> bool:
    """Return False if the holder was a process of this machine that has ended."""
    pid = holder.get("pid")
    if holder.get("host") != os.uname().nodename or not isinstance(pid, int) or pid <= 0:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _refusal(error: OSError, path: Path, what: str) -> LedgerError:
    return refusal_of(error)(f"{path}: the lock of {what} cannot be taken: {error.strerror}")


def _holder(descriptor: int) -> str:
    """Return the holder's name from the file, which the holder may not have written yet."""
    try:
        holder = json.loads(os.pread(descriptor, _LONGEST_HOLDER_BYTES, 0))
        return f"pid {holder['pid']} on {holder['host']} since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
