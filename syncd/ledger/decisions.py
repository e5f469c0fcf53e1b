"""Decisions that cannot be rebuilt from the destination: each job's start, and the acceptances of operators.

`STATE_DIR/decisions.jsonl` is append-only. Each decision is written there before it is committed to the state file, so
that two copies exist. It is read when the state file has no start for a replica. A damaged line loses only itself.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from syncd.ledger.folder.locks import create_private_directory, open_private
from syncd.ledger.sqlite import translated

NAME = "decisions.jsonl"
START, ACCEPTED = "start", "accepted"

ReplicaKey = tuple[str, ...]
"""The five parts of a Replica, in the order of the state file's table."""


class Kept(NamedTuple):
    """The decisions about one replica."""

    start: float | None
    accepted: Mapping[str, tuple[str, str, float]]
    """ETag, storage class and time of acceptance, by key."""


class Decisions:
    """The file of decisions. Any thread or process may append.

    Every method may raise LedgerFull or LedgerUnwritable.
    """

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / NAME
        self._read: tuple[int, int] | None = None
        self._begun: set[ReplicaKey] = set()

    @property
    def exists(self) -> bool:
        """True once a decision was written."""
        return self._path.exists()

    def keep_start(self, replica: ReplicaKey, job: str, instant: float) -> None:
        """Append a job's start."""
        self._append({"decision": START, "job": job, "replica": list(replica), "instant": instant})

    def keep_accepted(
        self, replica: ReplicaKey, job: str, key: str, *, etag: str, storage_class: str, at: float
    ) -> None:
        """Append an acceptance."""
        entry = {"decision": ACCEPTED, "job": job, "replica": list(replica), "key": key}
        self._append(entry | {"etag": etag, "storage_class": storage_class, "at": at})

    def has_start(self, replica: ReplicaKey) -> bool:
        """Return True if the file has a start for this replica. Reads the file only if it changed."""
        with translated(self._path):
            try:
                status = self._path.stat()
            except FileNotFoundError:
                return False
            now = status.st_mtime_ns, status.st_size
            if now != self._read:
                self._begun = {tuple(entry["replica"]) for entry in self._entries() if entry["decision"] == START}
                self._read = now
            return replica in self._begun

    def of(self, replica: ReplicaKey, *, latest: float) -> Kept:
        """Return the decisions about a replica. Later lines win, and a start after `latest` is ignored."""
        start: float | None = None
        accepted: dict[str, tuple[str, str, float]] = {}
        with translated(self._path):
            for entry in self._entries():
                if entry["replica"] != list(replica):
                    continue
                if entry["decision"] == ACCEPTED:
                    accepted[entry["key"]] = entry["etag"], entry["storage_class"], entry["at"]
                elif entry["instant"] <= latest:
                    start = entry["instant"]
        return Kept(start, accepted)

    def _append(self, entry: Mapping[str, Any]) -> None:
        line = json.dumps({**entry, "crc32": _checksum(entry)}).encode() + b"\n"
        with translated(self._path):
            create_private_directory(self._path.parent)
            descriptor = open_private(self._path)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                self._append_whole(descriptor, line)
            finally:
                os.close(descriptor)

    def _append_whole(self, descriptor: int, line: bytes) -> None:
        """Write a line and sync it. A line cut short by a full disk is removed."""
        end = os.lseek(descriptor, 0, os.SEEK_END)
        # A line cut short by a crash must not corrupt this one.
        if end and os.pread(descriptor, 1, end - 1) != b"\n":
            line = b"\n" + line
        try:
            _write_all(descriptor, line)
            os.fsync(descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, end)
            raise
        if not end:
            self._sync_directory()

    def _sync_directory(self) -> None:
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _entries(self) -> Iterator[dict[str, Any]]:
        """Yield the undamaged lines of this version."""
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return
        for line in lines:
            with suppress(ValueError, RecursionError):
                entry = json.loads(line)
                if isinstance(entry, dict) and entry.pop("crc32", None) == _checksum(entry) and _is_known(entry):
                    yield entry


_FIELDS: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    START: {"replica": list, "instant": (int, float)},
    ACCEPTED: {"replica": list, "key": str, "etag": str, "storage_class": str, "at": (int, float)},
}


def _is_known(entry: Mapping[str, Any]) -> bool:
    wanted = _FIELDS.get(str(entry.get("decision")))
    return wanted is not None and all(isinstance(entry.get(name), kind) for name, kind in wanted.items())


def _checksum(entry: Mapping[str, Any]) -> int:
    return crc32(json.dumps(entry, sort_keys=True).encode())


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
