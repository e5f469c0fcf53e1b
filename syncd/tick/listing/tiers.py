"""The tiers: which parts of a shard are listed in this tick.

No watermark alone is trusted, since key order is not arrival order (`docs/design.md`, "Listing without gaps"):

    tail    each tick       a little behind the frontier to the end
    recent  hourly          the last two days to the end
    deep    once a day      33 day folders, in slices of whole pages that follow the time for half an hour

Each looks back from its own last complete listing, never from now, so that an outage of any length loses nothing. A shard
with keys outside the layout's grammar is listed whole instead, once in `deep_every`, and at its likely places in between.
All of it is arithmetic on what the ledger remembers.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from math import ceil, floor
from typing import NamedTuple
from zlib import crc32

from syncd.model.keys.layout import CLOUDTRAIL, Layout
from syncd.model.keys.stamps import DAY_SECONDS, day_start
from syncd.model.keys.trail import is_standard
from syncd.model.objects import FoundBy, Range, Shard, ShardState, Window
from syncd.tick.task import Pace

# Shards and folders that are listed each tick however quiet they are. In a small job these are all of them.
LOOKS_A_TICK = 32
# A quiet shard is listed again after this fraction of the time it has been quiet.
_QUIET_FRACTION = 1 / 8
# A deep round takes this fraction of `deep_every`, and begins that much earlier than `deep_every` after the last one. An
# object's key, the density of its day and the bounds of pages then make no difference: it is listed after its round began
# and again before the next one ends. The price is that fraction more LISTs.
_ROUND_FRACTION = 1 / 48
# A fraction of a period, so that rounding does not make a round begin twice.
_CLOCK_TOLERANCE = 1e-6
# Clocks of two hosts with one state may differ by this much. A cursor further ahead was made by a wrong clock.
CLOCK_SKEW_SECONDS = 600.0

_SEARCH_ORDER = (FoundBy.TAIL, FoundBy.RECENT, FoundBy.DEEP, FoundBy.WHOLE)


class Tier(StrEnum):
    """The reason to list a range."""

    FIRST = "first"
    TAIL = "tail"
    RECENT = "recent"
    DEEP = "deep"
    WHOLE = "whole"
    BRANCH = "branch"
    WINDOW = "window"
    HINT = "hint"
    RECALL = "recall"


class Slice(NamedTuple):
    """One range to list, and its tier."""

    tier: Tier
    range: Range
    since: float = 0.0
    """When its deep round began, or should have."""
    goal: str = ""
    """The last key of that round."""

    @property
    def both_sides(self) -> bool:
        """True if the destination is listed too, for lack of knowledge in the ledger."""
        return self.tier in (Tier.FIRST, Tier.WINDOW, Tier.RECALL)


def later(one: FoundBy, other: FoundBy) -> FoundBy:
    """Return the slower of two listings."""
    return max(one, other, key=_SEARCH_ORDER.index)


def as_of(state: ShardState, now: float) -> ShardState:
    """Return a state without the cursors in the future that a wrong clock has left."""
    cursors = (state.listed_at, state.recent_at, state.deep_at, state.deep_done_at)
    if max(cursors) > now + CLOCK_SKEW_SECONDS:
        return begun_again(state)
    audits = (state.audit_at, state.audited_at, state.sealed_audit_at, state.sealed_audited_at)
    if max(audits) > now + CLOCK_SKEW_SECONDS:
        state = state._replace(audit_key="", audit_at=0.0, audited_at=0.0)
        state = state._replace(sealed_audit_day="", sealed_audit_at=0.0, sealed_audited_at=0.0)
    if max(cursors) > now:
        listed, recent, deep, done = (min(at, now) for at in cursors)
        state = state._replace(listed_at=listed, recent_at=recent, deep_at=deep, deep_done_at=done)
    return state


def begun_again(state: ShardState) -> ShardState:
    """Return a state without cursors and claims, which keeps only how its keys are found."""
    return ShardState(shard=state.shard, layout=state.layout, found_by=state.found_by, branches=state.branches)


def slices(state: ShardState, *, layout: Layout, pace: Pace, now: float, start: float) -> list[Slice]:
    """Return the slices of one shard to list in this tick."""
    shard = state.shard
    if not state.listed_at:
        if is_listed_whole(state, layout):
            return [Slice(Tier.FIRST, layout.whole(shard))]
        # An object that arrived right after the start may be as late as the deep span.
        since = start - pace.deep_effective if start else 0.0
        begin = layout.position(shard, since, whole_day=True)
        return [Slice(Tier.FIRST, Range(shard, begin, layout.dates_end(shard)))]
    if state.found_by is FoundBy.WHOLE:
        return _whole_or_branches(state, layout=layout, pace=pace, now=now)
    frontier = frontier_of(state, now)
    if now - state.recent_at >= pace.recent_every:
        since = min(frontier, state.recent_at) - pace.recent_effective
        last = Range(shard, layout.position(shard, since, whole_day=True), layout.dates_end(shard))
        found = [Slice(Tier.RECENT, last)]
    else:
        last = Range(shard, layout.position(shard, frontier - pace.tail_effective), layout.dates_end(shard))
        found = [Slice(Tier.TAIL, last)]
    deep = _deep_slice(state, layout=layout, pace=pace, now=now) if last.start_after else None
    return [deep, *found] if deep else found


def recalled(state: ShardState, *, layout: Layout, pace: Pace, now: float, start: float) -> list[Slice]:
    """Return the slice to list on both sides of a shard that another daemon may have copied from meanwhile."""
    if not state.listed_at:
        return slices(state, layout=layout, pace=pace, now=now, start=start)
    if is_listed_whole(state, layout):
        return [Slice(Tier.RECALL, layout.whole(state.shard))]
    since = min(frontier_of(state, now), state.recent_at) - pace.recent_effective
    begin = layout.position(state.shard, since, whole_day=True)
    return [Slice(Tier.RECALL, Range(state.shard, begin, layout.dates_end(state.shard)))]


def is_listed_whole(state: ShardState, layout: Layout) -> bool:
    """Return True if only a whole listing is sure to find a shard's keys."""
    is_known = bool(state.listed_at) or layout.name != CLOUDTRAIL or is_standard(state.shard)
    return state.found_by is FoundBy.WHOLE or not is_known


def _whole_or_branches(state: ShardState, *, layout: Layout, pace: Pace, now: float) -> list[Slice]:
    if now - state.deep_done_at >= pace.deep_every * (1 - _ROUND_FRACTION):
        return [Slice(Tier.WHOLE, layout.whole(state.shard))]
    since = frontier_of(state, now) - pace.tail_effective
    ranges = [item for branch in state.branches for item in layout.branch_ranges(state.shard, branch, since, now)]
    return [Slice(Tier.BRANCH, item) for item in dict.fromkeys(ranges)]


def frontier_of(state: ShardState, now: float) -> float:
    """Return the newest stamp up to which a shard was listed."""
    return min(now, state.listed_at, state.frontier or state.listed_at)


def _deep_slice(state: ShardState, *, layout: Layout, pace: Pace, now: float) -> Slice | None:
    takes = pace.deep_every * _ROUND_FRACTION
    due = _deep_due(state, pace)
    if now < due and not state.deep_key:
        return None
    key, since = state.deep_key, state.deep_at
    if now >= due:
        # A round still unfinished when the next is due has paused for a day: list everything at once.
        key, since = "", now - takes if state.deep_key else max(due, now - takes)
    # An object that arrived since the last complete round may be older than it by the deep span.
    begin = min(now, state.deep_done_at) - pace.deep_effective
    end = _deep_end(state, pace, now)
    target = begin + (end - begin) * min(1.0, (now - since) / takes)
    after = max(key, layout.position(state.shard, begin, whole_day=True))
    limit, goal = layout.position(state.shard, target), layout.position(state.shard, end)
    if after > limit:
        return None
    return Slice(Tier.DEEP, Range(state.shard, after, limit, whole_pages=True), since, goal)


def _deep_due(state: ShardState, pace: Pace) -> float:
    """Return when the next deep round begins. Each shard has its own time of day."""
    period = pace.deep_every * (1 - _ROUND_FRACTION)
    phase = crc32(state.shard.prefix.encode("utf-8", "surrogatepass")) / 2**32 * period
    return phase + (floor((state.deep_at - phase) / period + _CLOCK_TOLERANCE) + 1) * period


def _deep_end(state: ShardState, pace: Pace, now: float) -> float:
    """Return the newest stamp of the deep tier. Newer ones belong to the recent tier."""
    recent = min(frontier_of(state, now), state.recent_at) - pace.recent_effective
    return max(recent, now - pace.deep_effective + DAY_SECONDS)


def window_range(shard: Shard, window: Window, *, layout: Layout) -> Range:
    """Return the range of a catch-up's window in a shard of the layout's grammar.

    Days of kinds that are not CloudTrail's own may have been written without leading zeros at other times of the year, and
    then stand elsewhere in their year: it is listed whole.
    """
    if not _has_known_days(shard, layout):
        return _years(shard, window, layout=layout)
    first = layout.position(shard, day_start(window.first), whole_day=True) if window.first else ""
    until = layout.day_end(shard, window.last) if window.last else layout.dates_end(shard)
    return Range(shard, first, until)


def window_is_exact(state: ShardState, layout: Layout) -> bool:
    """Return True if a catch-up lists the days of its window and no others."""
    return _has_known_days(state.shard, layout) and not is_listed_whole(state, layout)


def _has_known_days(shard: Shard, layout: Layout) -> bool:
    return layout.name != CLOUDTRAIL or is_standard(shard)


def _years(shard: Shard, window: Window, *, layout: Layout) -> Range:
    # No month is 0 or above 12: these keys stand before and after all days of a year, however they are written.
    first = layout.day_end(shard, f"{int(window.first[:4]):04}-00-00") if window.first else ""
    until = layout.day_end(shard, f"{int(window.last[:4]) + 1:04}-00-00") if window.last else layout.dates_end(shard)
    return Range(shard, first, until)


def due(last_looked: Mapping[str, float], *, every: float, now: float, at_least: int = LOOKS_A_TICK) -> set[str]:
    """Return the names to list now, so that each is listed within `every` seconds.

    Their number spreads them evenly over `every`, and is never below `at_least`.
    """
    stalest, overdue, share = _shares(last_looked, every=every, now=now)
    return set(stalest[: max(overdue, ceil(share), at_least)])


def overdue(last_looked: Mapping[str, float], *, every: float, now: float) -> set[str]:
    """Return the names to list now, rounded down: a share below one waits until overdue."""
    stalest, late, share = _shares(last_looked, every=every, now=now)
    return set(stalest[: max(late, floor(share))])


def _shares(last_looked: Mapping[str, float], *, every: float, now: float) -> tuple[list[str], int, float]:
    stalest = sorted(last_looked, key=last_looked.__getitem__)
    overdue = sum(1 for name in stalest if now - last_looked[name] >= every)
    since_last = now - max(last_looked.values(), default=now)
    return stalest, overdue, len(stalest) * min(1.0, max(0.0, since_last) / every)


def shards_to_visit(states: Sequence[ShardState], *, pace: Pace, now: float) -> list[ShardState]:
    """Return the shards to list in this tick.

    A quiet shard is listed again after an eighth of the time it has been quiet, at the latest after `idle_every`. In a job
    of few shards all are listed.
    """
    wanted: list[ShardState] = []
    quiet: dict[str, float] = {}
    for state in states:
        patience = min(pace.idle_every, max(0.0, state.listed_at - state.newest_arrival) * _QUIET_FRACTION)
        if not state.listed_at or now - state.listed_at >= patience:
            wanted.append(state)
        else:
            quiet[state.shard.prefix] = state.listed_at
    spare = due(quiet, every=pace.idle_every, now=now, at_least=max(0, LOOKS_A_TICK * 2 - len(wanted)))
    return wanted + [state for state in states if state.shard.prefix in spare]
