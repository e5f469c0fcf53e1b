"""What cannot be rebuilt from the destination: each job's start, and what an operator has accepted.

`STATE_DIR/decisions.jsonl` is only ever appended to, a line before the same goes into the state file, so that neither is
the only place. It is read when the state file knows no start of a replica. A damaged line costs that line.
"""

import fcntl
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any
from zlib import crc32

from syncd.flock import create_private_directory, open_private

NAME = "decisions.jsonl"
START, ACCEPTED = "start", "accepted"
_TOLD_APART_BY = 256


@dataclass(slots=True)
class Kept:
    """What was decided about one replica."""

    start: float | None = None
    accepted: dict[str, tuple[str, str, float]] = field(default_factory=dict)
    """ETag, storage class and time of acceptance, by key."""


class Decisions:
    """The file. Any thread or process may append to it."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / NAME
        self._turn = Lock()
        self._kept: dict[tuple[str, ...], Kept] = {}
        self._read_until = 0
        self._last_read = b""
        """The end of what was read, which tells whether this is the same file still."""

    @property
    def exists(self) -> bool:
        """True once anything was decided here."""
        return self._path.exists()

    def keep_start(self, replica: tuple[str, ...], job: str, instant: float) -> None:
        """Append a job's start. Raises OSError."""
        self._append({"decision": START, "job": job, "replica": list(replica), "instant": instant})

    def keep_accepted(
        self, replica: tuple[str, ...], job: str, key: str, *, etag: str, storage_class: str, at: float
    ) -> None:
        """Append an acceptance. Raises OSError."""
        entry = {"decision": ACCEPTED, "job": job, "replica": list(replica), "key": key}
        self._append(entry | {"etag": etag, "storage_class": storage_class, "at": at})

    def of(self, replica: tuple[str, ...]) -> Kept:
        """Return what was decided about a replica; the later line wins. Raises OSError."""
        with self._turn:
            self._read_on()
            kept = self._kept.get(replica, Kept())
            return Kept(kept.start, dict(kept.accepted))

    def _read_on(self) -> None:
        """Take up the lines that were appended since: thousands of jobs may look, each at its start."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            self._kept, self._read_until, self._last_read = {}, 0, b""
            return
        with file:
            file.seek(self._read_until - len(self._last_read))
            data = file.read()
            if data.startswith(self._last_read):
                data = data[len(self._last_read) :]
            else:
                self._kept, self._read_until, self._last_read = {}, 0, b""
                file.seek(0)
                data = file.read()
        for line in data.splitlines():
            self._take(line)
        # A last line that is not ended may be on its way, and is read again.
        whole = data[: data.rfind(b"\n") + 1]
        self._read_until += len(whole)
        self._last_read = (self._last_read + whole)[-_TOLD_APART_BY:]

    def _take(self, line: bytes) -> None:
        """Take up one line; one that is damaged says nothing."""
        with suppress(KeyError, TypeError, ValueError, RecursionError):
            entry = json.loads(line)
            told = entry.pop("crc32")
            if told != crc32(json.dumps(entry, sort_keys=True).encode()):
                return
            kept = self._kept.setdefault(tuple(entry["replica"]), Kept())
            if entry["decision"] == START:
                kept.start = float(entry["instant"])
            elif entry["decision"] == ACCEPTED:
                kept.accepted[str(entry["key"])] = (
                    str(entry["etag"]),
                    str(entry["storage_class"]),
                    float(entry["at"]),
                )

    def _append(self, entry: Mapping[str, Any]) -> None:
        text = json.dumps(entry, sort_keys=True)
        line = json.dumps({**entry, "crc32": crc32(text.encode())}, sort_keys=True).encode() + b"\n"
        create_private_directory(self._path.parent)
        descriptor = open_private(self._path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            end = os.lseek(descriptor, 0, os.SEEK_END)
            # A line that a full disk or a crash cut short must not take this one along.
            if end and os.pread(descriptor, 1, end - 1) != b"\n":
                line = b"\n" + line
            try:
                _write_all(descriptor, line)
            except OSError:
                os.ftruncate(descriptor, end)
                raise
            os.fsync(descriptor)
            if not end:
                _sync_directory(self._path.parent)
        finally:
            os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _sync_directory(path: Path) -> None:
    """Have the disk remember that a file was made in a directory."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
