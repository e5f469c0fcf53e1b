"""Days that are remembered as one row: what a catch-up makes of them.

A sealed day is compared by count and by a hash over key and ETag that does not depend on order. The same: nothing to
do. Anything else, and the day is opened again against the destination's own listing, since the source may hold objects
that came after the day was sealed. Fewer objects than were sealed are the source's lifecycle at work.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from syncd.layout import DAY_SECONDS, Layout, day_start, utc_day
from syncd.ledger_rows import SealedDay, object_digest
from syncd.model import LogObject, Page, Range, Shard
from syncd.recall import ReplicaLister, at_destination, replicas_of
from syncd.tiers import Pace

_MODULUS = 2**63


class SealedLedger(Protocol):
    """What is remembered of sealed days."""

    def reopen(self, shard: Shard, day: str, replicas: Sequence[tuple[str, int]]) -> None:
        """Replace the sealed row by rows of (source key, size)."""
        ...


class SourceLister(Protocol):
    """Lists the source."""

    def pages(self, ranges: Iterable[Range]) -> Iterator[Page | None]:
        """Pages of the ranges, None while there is nothing yet; raises JobFailed."""
        ...


class DayTotals(NamedTuple):
    """What a listing of one day adds up to."""

    total: int = 0
    digest: int = 0

    def plus(self, item: LogObject) -> "DayTotals":
        """With one object more."""
        return DayTotals(self.total + 1, (self.digest + object_digest(item.key, item.etag)) % _MODULUS)


def reopen_changed_days(
    shard: Shard,
    sealed: Mapping[str, SealedDay],
    source: SourceLister,
    destination: ReplicaLister,
    ledger: SealedLedger,
    *,
    layout: Layout,
    destination_prefix: str,
) -> tuple[list[str], int]:
    """Compare the sealed days of a shard with the source; the days that are the same, and how many objects they hold.

    Days that differ are opened again, and are then like any other.

    Raises:
        JobFailed: a listing was refused or cannot be had.
    """
    totals = _totals(shard, sealed, source, layout)
    same = [day for day, was in sealed.items() if _is_same(was, totals.get(day, DayTotals()))]
    for day in sealed.keys() - set(same):
        _reopen(shard, day, destination, ledger, layout=layout, destination_prefix=destination_prefix)
    return same, sum(totals.get(day, DayTotals()).total for day in same)


def _is_same(was: SealedDay, now: DayTotals) -> bool:
    return now.total == 0 or (was.exact and (was.count, was.digest) == now)


def _totals(shard: Shard, days: Iterable[str], source: SourceLister, layout: Layout) -> dict[str, DayTotals]:
    totals: dict[str, DayTotals] = {}
    for page in source.pages(day_ranges(shard, sorted(days), layout)):
        for item in page.objects if page else ():
            day = layout.day(item.key)
            totals[day] = totals.get(day, DayTotals()).plus(item)
    return totals


def _reopen(
    shard: Shard, day: str, destination: ReplicaLister, ledger: SealedLedger, *, layout: Layout, destination_prefix: str
) -> None:
    replicas: list[tuple[str, int]] = []
    # One day of one shard is the largest thing that is ever held in memory here.
    for page in destination.pages(day_ranges(at_destination(shard, destination_prefix), [day], layout)):
        replicas += [(item.key, item.size_bytes) for item in replicas_of(page, destination_prefix)] if page else []
    ledger.reopen(shard, day, replicas)


def day_ranges(shard: Shard, days: Sequence[str], layout: Layout) -> list[Range]:
    """As few ranges as cover exactly these days, given in order."""
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


def unsealed_ranges(shard: Shard, whole: Range, same: Sequence[str], layout: Layout) -> list[Range]:
    """What is left of a window's range when the days that are the same are taken out of it."""
    ranges: list[Range] = []
    after = whole.start_after
    for day in sorted(same):
        before_day = layout.position(shard, day_start(day), whole_day=True)
        if after < before_day:
            ranges.append(whole._replace(start_after=after, until=before_day))
        after = layout.day_end(shard, day)
    ranges.append(whole._replace(start_after=after))
    return [item for item in ranges if not item.until or item.start_after < item.until]


def first_unsealed_day(now: float, frontier: float, pace: Pace) -> str:
    """The oldest UTC day whose keys are remembered one by one: nothing older is ever listed by a tick.

    The deep tier looks back from now, the others from the frontier, which in a shard that has fallen silent is long ago.
    """
    return utc_day(max(0.0, min(now - pace.deep, frontier - pace.recent) - DAY_SECONDS))
