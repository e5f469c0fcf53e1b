"""The quarantine of one replica, read: objects that are known but not at the destination.

There may be very many, with long keys and details. Methods that count them or return the first few load no more.
"""

import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from heapq import nsmallest
from math import inf
from sys import intern
from typing import Any, NamedTuple, TypeAlias

from syncd.ledger.replica.access import ReplicaRows
from syncd.ledger.rows import is_whole
from syncd.model.errors import LedgerCorrupt
from syncd.model.objects import HeldCounts, LogObject, Quarantined, Shard

IsWanted: TypeAlias = Callable[[Shard], bool]
"""Selects the shards in the job's scope. The quarantine may still hold objects of shards that left it."""


class HeldOverview(NamedTuple):
    """The quarantine of a job, as far as its status depends on it."""

    counts: HeldCounts = HeldCounts()
    longest: Sequence[Quarantined] = ()
    """The first objects, longest in quarantine first."""
    stamps: Sequence[float] = ()
    """The stamps of all objects."""


class _Line(NamedTuple):
    """An entry without its detail and its ETag."""

    shard: Shard
    reason: str
    first_at: float
    object: LogObject


class _DamagedEntry(Exception):
    """An entry whose checksum is wrong."""


class QuarantineView:
    """The quarantine of one replica. Every method may raise a LedgerError.

    Reading a damaged entry raises LedgerCorrupt: the horizon depends on every entry, so none may be skipped.
    """

    _rows: ReplicaRows

    def quarantined(
        self, *, is_wanted: IsWanted | None = None, limit: int | None = None, with_details: bool = True
    ) -> dict[str, Quarantined]:
        """Return the quarantined objects by key, in key order.

        Args:
            is_wanted: selects the shards whose objects are returned; None for all.
            limit: the most objects to return; None for all.
            with_details: include each failure's detail, which takes most of the memory.
        """
        found: dict[str, Quarantined] = {}
        with self._reading():
            for row in self._entries():
                shard = _shard_of(row[2])
                if limit is not None and len(found) >= limit:
                    break
                if is_wanted is None or is_wanted(shard):
                    found[row[1]] = _quarantined(row, shard, with_details=with_details)
        return found

    def held(self, key: str) -> Quarantined | None:
        """Return one quarantined object. Returns None if the key is not in quarantine."""
        with self._reading():
            row = self._rows.held(key)
            return None if row is None else _quarantined(self._checked(row), _shard_of(row[2]), with_details=True)

    def held_of(self, keys: Iterable[str]) -> list[Quarantined]:
        """Return those of these keys that are in quarantine."""
        return [entry for entry in map(self.held, keys) if entry is not None]

    def held_counts(self, is_wanted: IsWanted | None = None) -> HeldCounts:
        """Return the number of quarantined objects by reason, without loading any."""
        query = (
            "SELECT shard, reason, count(*), total(size_bytes), min(first_at) FROM quarantine WHERE replica = ?"
            " GROUP BY shard, reason"
        )
        objects, size_bytes, oldest_at = 0, 0, 0.0
        by_reason: Counter[str] = Counter()
        with self._reading():
            for shard, reason, count, size, first_at in self._rows.db.execute(query, (self._rows.id(),)):
                if is_wanted is None or is_wanted(self._parsed(shard)):
                    objects += count
                    size_bytes += int(size)
                    by_reason[reason] += count
                    oldest_at = min(oldest_at, first_at) if oldest_at else first_at
        return HeldCounts(objects, size_bytes, by_reason, oldest_at)

    def held_stamps(
        self, stamp: Callable[[Shard, LogObject], float], is_wanted: IsWanted | None = None
    ) -> Iterator[float]:
        """Yield the stamp of each quarantined object, as `stamp` computes it.

        Checksums are not verified: a tick has repaired the quarantine before.
        """
        for item in self._lines(is_wanted):
            yield stamp(item.shard, item.object)

    def held_overview(
        self, limit: int, stamp: Callable[[Shard, LogObject], float], is_wanted: IsWanted | None = None
    ) -> HeldOverview:
        """Return the number of objects, those longest in quarantine, and the stamps of all.

        One pass over the quarantine, whose entries may fill gigabytes: only details that are returned are read.
        """
        by_reason: Counter[str] = Counter()
        size_bytes, oldest_at = 0, inf
        stamps = array("d")

        def counted() -> Iterator[tuple[float, str]]:
            nonlocal size_bytes, oldest_at
            for item in self._lines(is_wanted):
                by_reason[item.reason] += 1
                size_bytes += item.object.size_bytes
                oldest_at = min(oldest_at, item.first_at)
                stamps.append(stamp(item.shard, item.object))
                yield item.first_at, item.object.key

        first = nsmallest(limit, counted())
        counts = HeldCounts(len(stamps), size_bytes, by_reason, oldest_at if stamps else 0.0)
        found = [self.held(key) for _, key in first]
        return HeldOverview(counts, [item for item in found if item is not None], stamps)

    def held_after(self, key: str, limit: int) -> list[Quarantined]:
        """Return the quarantined objects after a key, in key order, at most `limit`."""
        query = "SELECT * FROM quarantine WHERE replica = ? AND key > ? ORDER BY key LIMIT ?"
        with self._reading():
            rows = self._rows.db.execute(query, (self._rows.id(), key, limit)).fetchall()
            return [_quarantined(self._checked(row), _shard_of(row[2]), with_details=True) for row in rows]

    def _lines(self, is_wanted: IsWanted | None) -> Iterator[_Line]:
        """Yield the columns of all entries that counts and stamps need."""
        query = "SELECT shard, reason, first_at, key, size_bytes, last_modified FROM quarantine WHERE replica = ?"
        last, shard, is_one = None, Shard(""), False
        with self._reading():
            for text, reason, first_at, key, size, modified in self._rows.db.execute(query, (self._rows.id(),)):
                if text != last:
                    # Keys of one shard are adjacent.
                    last, shard = text, self._parsed(text)
                    is_one = is_wanted is None or is_wanted(shard)
                if is_one:
                    yield _Line(shard, intern(reason), first_at, LogObject(key, "", size, modified))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Raise LedgerCorrupt for a damaged entry in the block. It can be repaired, so the file is not condemned."""
        try:
            with self._rows.guarded():
                yield
        except _DamagedEntry as error:
            raise LedgerCorrupt(f"{self._rows.path}: an entry of the quarantine is damaged") from error

    def _entries(self) -> Iterator[tuple[Any, ...]]:
        for row in self._rows.db.execute("SELECT * FROM quarantine WHERE replica = ?", (self._rows.id(),)):
            yield self._checked(row)

    def _checked(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        if not is_whole(row):
            raise _DamagedEntry
        return row

    def _parsed(self, shard: str) -> Shard:
        """Return the shard of a row whose checksum was not verified."""
        try:
            return _shard_of(shard)
        except (TypeError, ValueError) as error:
            raise _DamagedEntry from error


@lru_cache(maxsize=1024)
def _shard_of(text: str) -> Shard:
    return Shard(*json.loads(text))


def _object_of(row: Sequence[Any]) -> LogObject:
    _, key, _, etag, size, last_modified, storage_class, *_ = row
    return LogObject(key, etag, size, last_modified, intern(storage_class))


def _quarantined(row: Sequence[Any], shard: Shard, *, with_details: bool) -> Quarantined:
    reason, detail, attempts, first_at, next_at = row[7:12]
    detail = detail if with_details else ""
    return Quarantined(_object_of(row), shard, intern(reason), detail, attempts, first_at, next_at)
