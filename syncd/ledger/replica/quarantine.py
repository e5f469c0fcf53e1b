"""The quarantine, read: the objects that are known and not at the destination.

There may be very many of them, with long keys and long details: what only counts them, or shows the first, loads no more.
"""

import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
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
"""Tells the shards that the job wants now, since the quarantine remembers those that it wanted before too."""


class HeldOverview(NamedTuple):
    """What a job knows of and has not at its destination, as far as it takes to tell how the job stands."""

    counts: HeldCounts = HeldCounts()
    longest: Sequence[Quarantined] = ()
    """The first of them, the one that is held longest before the others."""
    stamps: Sequence[float] = ()
    """The times that all of them belong to."""


class _Line(NamedTuple):
    """An entry without its detail and its ETag."""

    shard: Shard
    reason: str
    first_at: float
    object: LogObject


class _DamagedEntry(Exception):
    """An entry whose checksum is wrong."""


class HeldView(ReplicaRows):
    """One replica's quarantine, read. Every method may raise a LedgerError.

    An entry that is damaged is a LedgerCorrupt for whoever reads entries: the horizon rests on them, so that none may be
    left out silently.
    """

    def quarantined(
        self, *, is_wanted: IsWanted | None = None, limit: int | None = None, with_details: bool = True
    ) -> dict[str, Quarantined]:
        """Return the objects that are known and not at the destination, by key, in the order of keys.

        Args:
            is_wanted: tells the shards of which they are to be.
            limit: how many to return at the most; None for all.
            with_details: keep what was answered, which takes most of the memory.
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
        """Return what is known of one object that is not at the destination. Returns None if it is not held."""
        with self._reading():
            row = self._row("SELECT * FROM quarantine WHERE replica = ? AND key = ?", self._id(), key)
            return None if row is None else _quarantined(self._checked(row), _shard_of(row[2]), with_details=True)

    def held_counts(self, is_wanted: IsWanted | None = None) -> HeldCounts:
        """Return how many objects are held, and why, without loading any."""
        query = (
            "SELECT shard, reason, count(*), total(size_bytes), min(first_at) FROM quarantine WHERE replica = ?"
            " GROUP BY shard, reason"
        )
        objects, size_bytes, oldest_at = 0, 0, 0.0
        by_reason: Counter[str] = Counter()
        with self._reading():
            for shard, reason, count, size, first_at in self._db.execute(query, (self._id(),)):
                if is_wanted is None or is_wanted(self._parsed(shard)):
                    objects += count
                    size_bytes += int(size)
                    by_reason[reason] += count
                    oldest_at = min(oldest_at, first_at) if oldest_at else first_at
        return HeldCounts(objects, size_bytes, by_reason, oldest_at)

    def held_stamps(
        self, stamp: Callable[[Shard, LogObject], float], is_wanted: IsWanted | None = None
    ) -> Iterator[float]:
        """Yield the times that the held objects belong to, one at a time, as `stamp` tells them.

        Checksums are not looked at: a tick has mended the quarantine before it asks.
        """
        for item in self._lines(is_wanted):
            yield stamp(item.shard, item.object)

    def held_overview(
        self, limit: int, stamp: Callable[[Shard, LogObject], float], is_wanted: IsWanted | None = None
    ) -> HeldOverview:
        """Return how many objects are held, those that have been held longest, and the times that all belong to.

        One walk through the quarantine, whose entries may fill gigabytes: no detail is read but of those returned.
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
        """Return the objects that are held whose keys follow this one, in the order of keys; so many at the most."""
        query = "SELECT * FROM quarantine WHERE replica = ? AND key > ? ORDER BY key LIMIT ?"
        with self._reading():
            rows = self._db.execute(query, (self._id(), key, limit)).fetchall()
            return [_quarantined(self._checked(row), _shard_of(row[2]), with_details=True) for row in rows]

    def _lines(self, is_wanted: IsWanted | None) -> Iterator[_Line]:
        """Yield what the walks through all entries need, which is not half of what an entry says."""
        query = "SELECT shard, reason, first_at, key, size_bytes, last_modified FROM quarantine WHERE replica = ?"
        last, shard, is_one = None, Shard(""), False
        with self._reading():
            for text, reason, first_at, key, size, modified in self._db.execute(query, (self._id(),)):
                if text != last:
                    # Keys of one shard follow each other.
                    last, shard = text, self._parsed(text)
                    is_one = is_wanted is None or is_wanted(shard)
                if is_one:
                    yield _Line(shard, intern(reason), first_at, LogObject(key, "", size, modified))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Guard a block that reads entries: one that is damaged can be mended, and condemns no file."""
        try:
            with self._guarded():
                yield
        except _DamagedEntry as error:
            raise LedgerCorrupt(f"{self._path}: an entry of the quarantine is damaged") from error

    def _entries(self) -> Iterator[tuple[Any, ...]]:
        for row in self._db.execute("SELECT * FROM quarantine WHERE replica = ?", (self._id(),)):
            yield self._checked(row)

    def _checked(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        if not is_whole(row):
            raise _DamagedEntry
        return row

    def _parsed(self, shard: str) -> Shard:
        """Return a shard of a row whose checksum was not looked at."""
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
