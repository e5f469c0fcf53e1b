"""Which parts of a shard are listed in this tick, and what a listing that came to its end proves.

No watermark alone is trusted, since key order is not arrival order (`docs/design.md`, "Listing without gaps"):

    tail    each tick       a little behind the frontier to the end
    recent  hourly          the last two days to the end
    deep    once a day      33 day folders, in slices of whole pages that follow the time for half an hour

A place that stays within reach of deep is listed again after `deep_every` and the time between two looks at its shard,
at the latest. All of it is arithmetic on what the ledger remembers; nothing here does any I/O.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil, floor
from typing import NamedTuple
from zlib import crc32

from syncd.layout import DAY_SECONDS, Layout, day_start, utc_day
from syncd.model import Page, Range, Shard, ShardState, Window

# Shards and folders that are looked at each tick however quiet they are: in a small job this is all of them.
LOOKS_A_TICK = 32
# A quiet shard is looked at again after this fraction of the time it has been quiet for.
_QUIET_FRACTION = 1 / 8
# A deep round is gone through in this fraction of `deep_every`, and begins that much earlier than `deep_every` after the
# last one. Where an object lies, how dense its day is and where the pages are cut then makes no difference: it was met
# after its round began and is met again before the next one ends. The price is as large a fraction of LISTs more.
_ROUND_FRACTION = 1 / 48
# Of a period, so that a round which began by its shard's clock is not taken for one that began a little before.
_CLOCK_TOLERANCE = 1e-6
# CloudTrail's names run ahead of LastModified by minutes, so an object that is too old by its LastModified may bear a
# stamp after the start; listing begins this much earlier to see it.
_START_MARGIN_SECONDS = 2 * DAY_SECONDS


class Tier(StrEnum):
    """Why a range is listed."""

    FIRST = "first"
    TAIL = "tail"
    RECENT = "recent"
    DEEP = "deep"
    WINDOW = "window"


class Slice(NamedTuple):
    """One range to list, and why."""

    tier: Tier
    range: Range
    since: float = 0.0
    """When the deep round that it belongs to began, or should have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How far back and how often, in seconds; the `[listing]` table of a job and its `lateness`."""

    tail: float
    recent: float
    recent_every: float
    deep: float
    deep_every: float
    discovery_every: float
    idle_every: float
    lateness: float

    @property
    def tail_effective(self) -> float:
        """The tail reaches back at least as far as the horizon trails, or a late object could fall between two ticks."""
        return max(self.tail, self.lateness)


def slices(state: ShardState, *, layout: Layout, pace: Pace, now: float, start: float) -> list[Slice]:
    """What to list of one shard in this tick."""
    shard = state.shard
    if not state.listed_at:
        since = _first_instant(state, pace=pace, now=now, start=start)
        return [Slice(Tier.FIRST, Range(shard, layout.position(shard, since, whole_day=True)))]
    frontier = _frontier(state, now)
    if now - state.recent_at >= pace.recent_every:
        last = Slice(Tier.RECENT, Range(shard, layout.position(shard, frontier - pace.recent, whole_day=True)))
    else:
        last = Slice(Tier.TAIL, Range(shard, layout.position(shard, frontier - pace.tail_effective)))
    if not last.range.start_after:
        return [last]
    deep = _deep_slice(state, layout=layout, pace=pace, now=now)
    return [deep, last] if deep else [last]


def _frontier(state: ShardState, now: float) -> float:
    return min(now, state.frontier or state.listed_at)


def _first_instant(state: ShardState, *, pace: Pace, now: float, start: float) -> float:
    """Where a shard's first listing begins: the job's start, or after a loss its newest replica, and no later than deep."""
    begin = state.frontier or start
    return max(0.0, min(begin - _START_MARGIN_SECONDS, now - pace.deep)) if begin else 0.0


def _deep_slice(state: ShardState, *, layout: Layout, pace: Pace, now: float) -> Slice | None:
    takes = pace.deep_every * _ROUND_FRACTION
    due = _deep_due(state, pace)
    if now < due and not state.deep_key:
        return None
    key, since = state.deep_key, state.deep_at
    if now >= due:
        # A round that is not through when the next is due was not gone on with for a day: then everything at once.
        key, since = "", now - takes if state.deep_key else max(due, now - takes)
    begin = now - pace.deep
    target = begin + (_deep_end(state, pace, now) - begin) * min(1.0, (now - since) / takes)
    after = max(key, layout.position(state.shard, begin, whole_day=True))
    limit = layout.position(state.shard, target)
    return Slice(Tier.DEEP, Range(state.shard, after, limit, whole_pages=True), since) if after <= limit else None


def _deep_due(state: ShardState, pace: Pace) -> float:
    """When the next deep round begins: by the shard's own clock, so that those of a job are spread over the day."""
    period = pace.deep_every * (1 - _ROUND_FRACTION)
    phase = crc32(state.shard.prefix.encode("utf-8", "surrogatepass")) / 2**32 * period
    return phase + (floor((state.deep_at - phase) / period + _CLOCK_TOLERANCE) + 1) * period


def _deep_end(state: ShardState, pace: Pace, now: float) -> float:
    """The stamp up to which the deep tier lists; what is newer is the recent tier's."""
    return max(_frontier(state, now) - pace.recent, now - pace.deep + DAY_SECONDS)


class Listed(NamedTuple):
    """What has come so far of listing one slice."""

    slice: Slice
    began_at: float
    last_key: str = ""
    """The last key that was met; empty where there was none."""
    is_whole: bool = False
    """The slice was listed to its end."""
    reached_end: bool = False
    """The listing met the end of the shard."""
    newest_stamp: float = 0.0
    """The newest stamp at or before `began_at`; 0.0 where there was none."""
    newest_arrival: float = 0.0
    """The newest LastModified."""
    left_out_stamp: float = 0.0
    """The newest stamp among objects left out as older than the job's start; 0.0 where there was none."""

    def after(self, page: Page, *, layout: Layout, left_out_stamp: float) -> "Listed":
        """With one page more."""
        # A stamp in the future is no frontier: behind it everything would look listed.
        stamps = [stamp for item in page.objects if (stamp := layout.stamp(item)) <= self.began_at]
        return self._replace(
            last_key=page.objects[-1].key if page.objects else self.last_key,
            is_whole=page.is_last,
            reached_end=page.reached_end,
            newest_stamp=max(self.newest_stamp, max(stamps, default=0.0)),
            newest_arrival=max(self.newest_arrival, max((item.last_modified for item in page.objects), default=0.0)),
            left_out_stamp=max(self.left_out_stamp, left_out_stamp),
        )


def advance(
    state: ShardState,
    listed: Iterable[Listed],
    *,
    layout: Layout,
    pace: Pace,
    start: float,
    missing_since: float | None,
) -> ShardState:
    """What the shard's state becomes when these slices were listed to their ends and their objects dealt with.

    Args:
        state: as it was before the tick.
        listed: the slices that came to their ends.
        layout: the key grammar of the source.
        pace: the job's durations.
        start: the job's start.
        missing_since: the oldest stamp among this shard's objects that are known and not at the destination.
    """
    for item in listed:
        state = _advance_one(state, item, layout=layout, pace=pace, start=start)
    until = state.listed_at - pace.lateness if state.listed_at else 0.0
    if missing_since is not None:
        until = min(until, missing_since - 1)
    return replace(state, complete_until=max(0.0, until))


def _advance_one(state: ShardState, listed: Listed, *, layout: Layout, pace: Pace, start: float) -> ShardState:
    tier = listed.slice.tier
    if tier is Tier.WINDOW:
        return state  # a catch-up moves no cursor
    complete_from = (
        max(state.complete_from, listed.left_out_stamp + 1) if listed.left_out_stamp else state.complete_from
    )
    if tier is Tier.DEEP:
        end = layout.position(state.shard, _deep_end(state, pace, listed.began_at))
        is_done = listed.reached_end or listed.last_key > end
        deep_key = "" if is_done else listed.last_key
        return replace(state, deep_key=deep_key, deep_at=listed.slice.since, complete_from=complete_from)
    is_first = tier is Tier.FIRST
    # After a loss a shard resumes at its newest replica: what the destination lacks before that is not claimed.
    begin = max(start, _first_instant(state, pace=pace, now=listed.began_at, start=start))
    return replace(
        state,
        frontier=max(state.frontier, listed.newest_stamp),
        listed_at=listed.began_at,
        recent_at=state.recent_at if tier is Tier.TAIL else listed.began_at,
        deep_key="" if is_first else state.deep_key,
        # The first listing has gone through everything that a deep round would.
        deep_at=listed.began_at if is_first else state.deep_at,
        complete_from=max(begin, complete_from) if is_first else complete_from,
        newest_arrival=max(state.newest_arrival, listed.newest_arrival),
    )


def window_range(shard: Shard, window: Window, *, layout: Layout) -> Slice:
    """The one range of a catch-up's window in a shard."""
    first = layout.position(shard, day_start(window.first), whole_day=True) if window.first else ""
    until = layout.day_end(shard, window.last) if window.last else ""
    return Slice(Tier.WINDOW, Range(shard, first, until))


def due(last_looked: Mapping[str, float], *, every: float, now: float, at_least: int = LOOKS_A_TICK) -> set[str]:
    """Which of these are looked at now, the stalest first, so that each comes round within `every` seconds.

    As many as the time since the last look asks for, that they be spread over `every`; never fewer than `at_least`.
    """
    stalest = sorted(last_looked, key=last_looked.__getitem__)
    overdue = sum(1 for name in stalest if now - last_looked[name] >= every)
    since_last = now - max(last_looked.values(), default=now)
    share = ceil(len(stalest) * min(1.0, max(0.0, since_last) / every))
    return set(stalest[: max(overdue, share, at_least)])


def shards_to_visit(states: Sequence[ShardState], *, pace: Pace, now: float) -> list[ShardState]:
    """The shards that are listed in this tick.

    A shard is visited when it has been quiet no longer than eight times as long as it was left alone, at the latest
    after `idle_every`; in a job of few shards all are.
    """
    wanted: list[ShardState] = []
    quiet: dict[str, float] = {}
    for state in states:
        patience = min(pace.idle_every, (state.listed_at - state.newest_arrival) * _QUIET_FRACTION)
        if not state.listed_at or now - state.listed_at >= patience:
            wanted.append(state)
        else:
            quiet[state.shard.prefix] = state.listed_at
    spare = due(quiet, every=pace.idle_every, now=now, at_least=max(0, LOOKS_A_TICK * 2 - len(wanted)))
    return wanted + [state for state in states if state.shard.prefix in spare]


def day_after(day: str) -> str:
    """The next UTC day."""
    return utc_day(day_start(day) + DAY_SECONDS)


def horizon(
    states: Sequence[ShardState], *, discovered_at: float, pace: Pace, missing_since: float | None = None
) -> tuple[float, float]:
    """A job's `complete_from` and `complete_until`: what holds for all of its shards; 0.0 where nothing is complete.

    `missing_since` is the oldest stamp among the job's objects that are known and not at the destination, those above
    any shard included.
    """
    if not discovered_at or any(not state.listed_at for state in states):
        return 0.0, 0.0
    until = min((state.complete_until for state in states), default=discovered_at)
    until = min(until, discovered_at - pace.lateness)
    if missing_since is not None:
        until = min(until, missing_since - 1)
    return max((state.complete_from for state in states), default=0.0), max(0.0, until)
