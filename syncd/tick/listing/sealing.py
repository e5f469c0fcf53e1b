"""Sealed days, remembered as one row each: their sealing, and their comparison by later listings.

A sealed day is compared by count and by a hash over key and ETag that does not depend on order. If both are equal there
is nothing to do. Otherwise the day is planned key by key, since objects may have arrived after it was sealed. If the
destination is listed too, the day must be unchanged there as well. A source with fewer objects than were sealed has
expired some.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from syncd.model.keys.layout import Layout
from syncd.model.keys.stamps import DAY_SECONDS, day_start, utc_day
from syncd.model.keys.vouched import without_replacements
from syncd.model.objects import LogObject, Page, Range, Shard, ShardState
from syncd.model.sealed import DIGEST_MODULUS, SealedDay, SealedObject, fold_day, object_digest
from syncd.tick.ports import Ledger
from syncd.tick.task import Pace

SEAL_ROWS_A_TICK = 50_000
SEALED_AT_ONCE = 1_000_000
"""The most rows that a listing of history seals at once."""
LARGEST_DAY_HELD = 200_000
"""The most objects of a sealed day that are kept in memory to be compared. Larger days are planned key by key."""


class DayTotals(NamedTuple):
    """The count and hash of one listed day."""

    total: int = 0
    digest: int = 0

    def plus(self, item: LogObject) -> "DayTotals":
        """Return the totals with one more object."""
        return DayTotals(self.total + 1, (self.digest + object_digest(item.key, item.etag)) % DIGEST_MODULUS)


class Stretch(NamedTuple):
    """Consecutive objects of one listing, of one sealed day or of unsealed days."""

    page: Page
    """The page, with the stretch's objects only."""
    sealed_day: str = ""
    totals: DayTotals = DayTotals()
    is_part: bool = False
    """More of the sealed day may follow: it is too large for memory."""
    is_cut: bool = False
    """The listing ended within this sealed day, which may have more objects."""


@dataclass(slots=True)
class DaySplitter:
    """A splitter of a listing's pages at the bounds of sealed days."""

    layout: Layout
    sealed: Mapping[str, SealedDay]
    _day: str = ""
    _held: list[LogObject] = field(default_factory=list)
    _totals: DayTotals = field(default_factory=DayTotals)

    def stretches(self, page: Page) -> Iterator[Stretch]:
        """Yield the stretches that a page completes. A sealed day is kept until its end."""
        if not self.sealed:
            yield Stretch(page)
            return
        loose: list[LogObject] = []
        for item in page.objects:
            day = self.layout.day(page.range.shard, item.key)
            if day != self._day or day not in self.sealed:
                yield from self._ended(page)
            if day not in self.sealed:
                loose.append(item)
                continue
            if loose:
                yield Stretch(page._replace(objects=loose, is_last=False))
                loose = []
            self._day = day
            self._held.append(item)
            self._totals = self._totals.plus(item)
            if len(self._held) > LARGEST_DAY_HELD:
                yield from self._ended(page, is_part=True)
        if page.is_last:
            yield from self._ended(page, is_last=True)
        yield Stretch(page._replace(objects=loose))

    def _ended(self, page: Page, *, is_part: bool = False, is_last: bool = False) -> Iterator[Stretch]:
        if self._held:
            is_cut = is_last and not page.reached_end
            yield Stretch(page._replace(objects=self._held, is_last=False), self._day, self._totals, is_part, is_cut)
        self._day, self._held, self._totals = "", [], DayTotals()


def is_same(was: SealedDay, now: DayTotals) -> bool:
    """Return True if the source lists what was sealed, or no longer lists anything."""
    return now.total == 0 or (was.exact and (was.count, was.digest) == (now.total, now.digest))


def is_same_there(was: SealedDay, replicas: Mapping[str, LogObject]) -> bool:
    """Return True if the destination lists the sealed replicas, by count, bytes and known hash.

    Replacements that `verify --repair` has written beside replicas may be there too.
    """
    return _is_folded(was, replicas) or _is_folded(was, without_replacements(replicas))


def _is_folded(was: SealedDay, replicas: Mapping[str, LogObject]) -> bool:
    now = fold_day(SealedObject(item.key, None, item.size_bytes, item.etag) for item in replicas.values())
    if (was.count, was.size_bytes) != (now.count, now.size_bytes):
        return False
    return not was.replica_exact or was.replica_digest == now.replica_digest


def day_ranges(shard: Shard, days: Sequence[str], layout: Layout) -> list[Range]:
    """Return the fewest ranges that cover exactly these days, which must be in order."""
    ranges: list[Range] = []
    first = last = ""
    for day in days:
        if last and day_start(day) == day_start(last) + DAY_SECONDS:
            last = day
            continue
        if first:
            ranges.append(_range(shard, first, last, layout))
        first = last = day
    if first:
        ranges.append(_range(shard, first, last, layout))
    return ranges


def _range(shard: Shard, first: str, last: str, layout: Layout) -> Range:
    return Range(shard, layout.position(shard, day_start(first), whole_day=True), layout.day_end(shard, last))


def first_unsealed_day(state: ShardState, pace: Pace, now: float) -> str:
    """Return the oldest UTC day that must not be sealed: no tick lists anything older.

    Each tier looks back from its last complete listing, which may be long ago, and from the frontier.
    """
    frontier = min(now, state.frontier or now)
    deep = min(now, state.deep_done_at or now) - pace.deep_effective
    recent = min(frontier, state.recent_at or now) - pace.recent_effective
    return utc_day(max(0.0, min(deep, recent) - DAY_SECONDS))


def seal_old_days(ledger: Ledger, listed: Collection[str], *, layout: Layout, pace: Pace, now: float) -> None:
    """Seal the days of the listed shards that no later tick lists. Raises LedgerError."""
    room = SEAL_ROWS_A_TICK
    for prefix, state in ledger.shards().items():
        before = first_unsealed_day(state, pace, now)
        # Keys without days cannot be sealed.
        is_dated = bool(layout.day_end(state.shard, before))
        if room > 0 and prefix in listed and is_dated and state.listed_at:
            room -= ledger.seal(state.shard, before, limit=room)
