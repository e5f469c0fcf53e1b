"""Locks of jobs: one tick and one catch-up at a time for each, across processes."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from syncd.ledger.folder.locks import create_private_directory, lock_now, open_private, refusal_of
from syncd.model.errors import AlreadyRunning, LedgerError

_LONGEST_HOLDER_BYTES = 4096


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

    def _path(self, job: str, kind: str) -> Path:
        return self._directory / f"{quote(job, safe='')}.{kind}.lock"


@contextmanager
def hold(path: Path, *, what: str) -> Iterator[int]:
    """Hold a lock file exclusively until the end of the block or of the process.

    Yields its descriptor. Any process with a copy of it holds the lock too.

    The file names the holder: `{"pid": 123, "host": "x", "since": "2026-11-24T08:15:00Z"}`. It is never removed.

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
        yield descriptor
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
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
    except OSError as error:
        raise _refusal(error, path, what) from error


def _refusal(error: OSError, path: Path, what: str) -> LedgerError:
    return refusal_of(error)(f"{path}: the lock of {what} cannot be taken: {error.strerror}")


def _holder(descriptor: int) -> str:
    """Return the holder's name from the file, which the holder may not have written yet."""
    try:
        holder = json.loads(os.pread(descriptor, _LONGEST_HOLDER_BYTES, 0))
        return f"pid {holder['pid']} on {holder['host']} since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
