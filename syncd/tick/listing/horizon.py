"""The horizon: what finished listings prove, and how a shard's state advances.

All of it is arithmetic on what the ledger remembers.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from syncd.model.keys.layout import Layout
from syncd.model.objects import Branch, FoundBy, LogObject, Page, ShardState
from syncd.tick.listing.tiers import CLOCK_SKEW_SECONDS, Slice, Tier, as_of, is_listed_whole, later
from syncd.tick.task import Pace


class Listed(NamedTuple):
    """The progress of listing one slice."""

    slice: Slice
    began_at: float
    last_key: str = ""
    """The last key that was listed; empty if there was none."""
    is_whole: bool = False
    """The slice was listed to its end."""
    reached_end: bool = False
    """The listing reached the end of the shard."""
    newest_stamp: float = 0.0
    """The newest stamp at or before `began_at`; 0.0 if there was none."""
    newest_arrival: float = 0.0
    """The newest LastModified."""
    left_out_stamp: float = 0.0
    """The newest stamp of the objects left out as older than the job's start; 0.0 if there were none."""
    found_by: FoundBy = FoundBy.TAIL
    """The slowest tier needed to find any of the new keys."""
    branches: tuple[Branch, ...] = ()
    """The folders of days in a shard that is listed whole, newest first."""

    def after(
        self, page: Page, *, layout: Layout, left_out_stamp: float, new: Sequence[LogObject], found_by: FoundBy
    ) -> "Listed":
        """Return the progress after one more page. `new` are its objects that the ledger did not know."""
        shard = page.range.shard
        # A stamp in the future is no frontier: everything before it would look listed.
        stamps = [stamp for item in page.objects if (stamp := layout.stamp(shard, item)) <= self.began_at]
        for item in new:
            if found_by is not FoundBy.WHOLE:
                found_by = later(found_by, layout.found_by(shard, item.key))
        branches = self.branches
        if later(found_by, self.found_by) is FoundBy.WHOLE and page.objects:
            branches = tuple(layout.branches_of(shard, [item.key for item in page.objects], branches))
        return self._replace(
            last_key=page.objects[-1].key if page.objects else self.last_key,
            is_whole=page.is_last,
            reached_end=page.reached_end,
            newest_stamp=max(self.newest_stamp, max(stamps, default=0.0)),
            newest_arrival=max(self.newest_arrival, max((item.last_modified for item in page.objects), default=0.0)),
            left_out_stamp=max(self.left_out_stamp, left_out_stamp),
            found_by=later(found_by, self.found_by),
            branches=branches,
        )


def advance(
    state: ShardState,
    listed: Iterable[Listed],
    *,
    layout: Layout,
    pace: Pace,
    start: float,
    missing: Iterable[float] = (),
) -> ShardState:
    """Return a shard's new state, given the slices that were listed to their ends.

    Args:
        state: the state before the tick.
        listed: the slices listed to their ends, whose objects all ended.
        layout: the key grammar of the source.
        pace: the job's durations.
        start: the job's start.
        missing: the stamps of this shard's quarantined objects.
    """
    listed = list(listed)
    found_by = state.found_by
    for item in listed:
        found_by = later(found_by, item.found_by)
    if found_by is FoundBy.WHOLE and not is_listed_whole(state, layout):
        # These listings looked for keys of the grammar. Others are found only by listing the whole shard.
        branches = next((item.branches for item in listed if item.branches), state.branches)
        return state._replace(found_by=found_by, branches=branches, deep_done_at=0.0)
    state = state._replace(layout=layout.name, found_by=found_by)
    for item in listed:
        state = _advance_one(state, item, start=start)
    return claimed(state, pace=pace, missing=missing)


def claimed(state: ShardState, *, pace: Pace, missing: Iterable[float]) -> ShardState:
    """Return the state with its horizon, which the last sure listing allows."""
    looked = searched_at(state)
    if not looked:
        return state
    until = looked - pace.lateness_of(state.shard.kind)
    oldest = first_within(missing, state.complete_from)
    if oldest is not None:
        until = min(until, oldest - 1)
    return state._replace(complete_until=max(0.0, until))


def searched_at(state: ShardState) -> float:
    """Return when the last listing began that was sure to find every key. Returns 0.0 for never."""
    return {
        FoundBy.TAIL: state.listed_at,
        FoundBy.RECENT: min(state.listed_at, state.recent_at),
        FoundBy.DEEP: min(state.listed_at, state.recent_at, state.deep_done_at),
        FoundBy.WHOLE: state.deep_done_at,
    }[state.found_by]


def first_within(missing: Iterable[float], complete_from: float) -> float | None:
    """Return the oldest stamp at or after `complete_from`. Returns None if there is none."""
    return min((stamp for stamp in missing if stamp >= complete_from), default=None)


def _advance_one(state: ShardState, listed: Listed, *, start: float) -> ShardState:
    tier = listed.slice.tier
    if tier in (Tier.WINDOW, Tier.HINT):
        return state  # neither a catch-up nor a hint advances a cursor
    if listed.left_out_stamp:
        state = state._replace(complete_from=max(state.complete_from, listed.left_out_stamp + 1))
    if tier is Tier.DEEP:
        wanted = listed.slice.range
        is_done = listed.reached_end or max(listed.last_key, wanted.until) >= listed.slice.goal
        return state._replace(
            deep_key="" if is_done else max(listed.last_key, wanted.until),
            deep_at=listed.slice.since,
            deep_done_at=listed.slice.since if is_done else state.deep_done_at,
        )
    state = state._replace(
        frontier=max(state.frontier, listed.newest_stamp),
        listed_at=listed.began_at,
        newest_arrival=max(state.newest_arrival, listed.newest_arrival),
    )
    if tier in (Tier.TAIL, Tier.BRANCH):
        return state
    if tier in (Tier.RECENT, Tier.RECALL):
        return state._replace(recent_at=listed.began_at)
    # A whole listing covers everything that a deep round would.
    state = state._replace(recent_at=listed.began_at, deep_key="", deep_at=listed.began_at)
    state = state._replace(deep_done_at=listed.began_at, branches=listed.branches)
    if tier is Tier.FIRST:
        # Both sides were listed side by side, which is all that an audit does.
        state = state._replace(audited_at=listed.began_at, sealed_audited_at=listed.began_at)
        state = state._replace(complete_from=max(start, state.complete_from))
    return state


def horizon(
    states: Sequence[ShardState], *, discovered_at: float, pace: Pace, now: float, missing: Iterable[float] = ()
) -> tuple[float, float]:
    """Return a job's `complete_from` and `complete_until`, which hold for all its shards. Both are 0.0 for no claim.

    A job that has found nothing yet claims nothing, since it may look in the wrong place. Nor does one whose clock ran
    ahead, until everything is listed anew.

    Args:
        states: the shards in the job's scope.
        discovered_at: all shards that existed then have been found; 0.0 for never.
        pace: the job's durations.
        now: the present time, in epoch seconds.
        missing: the stamps of the job's quarantined objects, including those outside any shard.
    """
    states = [as_of(state, now) for state in states]
    if discovered_at > now + CLOCK_SKEW_SECONDS:
        return 0.0, 0.0
    if not discovered_at or any(not state.listed_at for state in states) or not has_found(states):
        return 0.0, 0.0
    complete_from = max(state.complete_from for state in states)
    until = min(state.complete_until for state in states)
    until = min(until, discovered_at - max(pace.lateness_of(state.shard.kind) for state in states))
    oldest = first_within(missing, complete_from)
    if oldest is not None:
        until = min(until, oldest - 1)
    return complete_from, max(0.0, until)


def has_found(states: Iterable[ShardState]) -> bool:
    """Return True if any object of the job was ever listed."""
    return any(state.newest_arrival for state in states)
