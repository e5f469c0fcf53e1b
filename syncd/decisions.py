"""What cannot be rebuilt from the destination: each job's start, and what an operator has accepted.

`STATE_DIR/decisions.jsonl` is only ever appended to, a line before the same goes into the state file, so that neither is
the only place. It is read when the state file knows no start of a replica. A damaged line costs that line.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

from syncd.flock import create_private_directory, open_private

NAME = "decisions.jsonl"
START, ACCEPTED = "start", "accepted"


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
        kept = Kept()
        for entry in self._entries():
            if entry.get("replica") != list(replica):
                continue
            with suppress(KeyError, TypeError, ValueError):
                if entry["decision"] == START:
                    kept.start = float(entry["instant"])
                elif entry["decision"] == ACCEPTED:
                    found = str(entry["etag"]), str(entry["storage_class"]), float(entry["at"])
                    kept.accepted[str(entry["key"])] = found
        return kept

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
        finally:
            os.close(descriptor)

    def _entries(self) -> Iterator[dict[str, Any]]:
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            with suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict):
                    told = entry.pop("crc32", None)
                    if told == crc32(json.dumps(entry, sort_keys=True).encode()):
                        yield entry


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
