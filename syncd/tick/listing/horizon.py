"""What listings that came to their ends prove: how a shard's state moves on, and what the horizon may claim.

All of it is arithmetic on what the ledger remembers. Nothing here does any I/O.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from syncd.model.keys.layout import Layout
from syncd.model.objects import Branch, FoundBy, LogObject, Page, ShardState
from syncd.tick.listing.tiers import CLOCK_SKEW_SECONDS, Slice, Tier, as_of, is_listed_whole, later
from syncd.tick.task import Pace


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
    found_by: FoundBy = FoundBy.TAIL
    """The slowest listing that the keys which were new would have been found by."""
    branches: tuple[Branch, ...] = ()
    """Where the days of a shard that is listed whole are, the newest first."""

    def after(
        self, page: Page, *, layout: Layout, left_out_stamp: float, new: Sequence[LogObject], found_by: FoundBy
    ) -> "Listed":
        """Return this with one page more, `new` being those of its objects that the ledger did not know."""
        shard = page.range.shard
        # A stamp in the future is no frontier: behind it everything would look listed.
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
    """Return what a shard's state becomes when these slices were listed to their ends and their objects dealt with.

    Args:
        state: as it was before the tick.
        listed: the slices that came to their ends.
        layout: the key grammar of the source.
        pace: the job's durations.
        start: the job's start.
        missing: the stamps of this shard's objects that are known and not at the destination.
    """
    listed = list(listed)
    found_by = state.found_by
    for item in listed:
        found_by = later(found_by, item.found_by)
    if found_by is FoundBy.WHOLE and not is_listed_whole(state, layout):
        # These listings looked for keys of the grammar. What else there is, a listing of the whole shard finds.
        branches = next((item.branches for item in listed if item.branches), state.branches)
        return replace(state, found_by=found_by, branches=branches, deep_done_at=0.0)
    state = replace(state, layout=layout.name, found_by=found_by)
    for item in listed:
        state = _advance_one(state, item, start=start)
    return claimed(state, pace=pace, missing=missing)


def claimed(state: ShardState, *, pace: Pace, missing: Iterable[float]) -> ShardState:
    """Return the state with the horizon that its looks allow: up to the last one that is sure to find any new key."""
    looked = searched_at(state)
    if not looked:
        return state
    until = looked - pace.lateness_of(state.shard.kind)
    oldest = first_within(missing, state.complete_from)
    if oldest is not None:
        until = min(until, oldest - 1)
    return replace(state, complete_until=max(0.0, until))


def searched_at(state: ShardState) -> float:
    """Return when the last listing began that is sure to have found whatever key was there; 0.0 for never."""
    return {
        FoundBy.TAIL: state.listed_at,
        FoundBy.RECENT: min(state.listed_at, state.recent_at),
        FoundBy.DEEP: min(state.listed_at, state.recent_at, state.deep_done_at),
        FoundBy.WHOLE: state.deep_done_at,
    }[state.found_by]


def first_within(missing: Iterable[float], complete_from: float) -> float | None:
    """Return the oldest stamp that lies within what is claimed to be complete. Returns None if none does."""
    return min((stamp for stamp in missing if stamp >= complete_from), default=None)


def _advance_one(state: ShardState, listed: Listed, *, start: float) -> ShardState:
    tier = listed.slice.tier
    if tier is Tier.WINDOW:
        return state  # a catch-up moves no cursor
    if listed.left_out_stamp:
        state = replace(state, complete_from=max(state.complete_from, listed.left_out_stamp + 1))
    if tier is Tier.DEEP:
        wanted = listed.slice.range
        is_done = listed.reached_end or max(listed.last_key, wanted.until) >= listed.slice.goal
        return replace(
            state,
            deep_key="" if is_done else max(listed.last_key, wanted.until),
            deep_at=listed.slice.since,
            deep_done_at=listed.slice.since if is_done else state.deep_done_at,
        )
    state = replace(
        state,
        frontier=max(state.frontier, listed.newest_stamp),
        listed_at=listed.began_at,
        newest_arrival=max(state.newest_arrival, listed.newest_arrival),
    )
    if tier in (Tier.TAIL, Tier.BRANCH):
        return state
    if tier is Tier.RECENT:
        return replace(state, recent_at=listed.began_at)
    # What is listed whole has gone through everything that a deep round would.
    state = replace(state, recent_at=listed.began_at, deep_key="", deep_at=listed.began_at)
    state = replace(state, deep_done_at=listed.began_at, branches=listed.branches)
    if tier is Tier.FIRST:
        # Source and destination were listed side by side, which is all that an audit does.
        state = replace(state, audited_at=listed.began_at, sealed_audited_at=listed.began_at)
        state = replace(state, complete_from=max(start, state.complete_from))
    return state


def horizon(
    states: Sequence[ShardState], *, discovered_at: float, pace: Pace, now: float, missing: Iterable[float] = ()
) -> tuple[float, float]:
    """Return a job's `complete_from` and `complete_until`: what holds for all of its shards. Both are 0.0 if nothing is.

    A job that has found nothing yet claims nothing: it may look in the wrong place. Neither does one whose clock has run
    ahead, until everything is listed anew.

    Args:
        states: the shards that the job wants.
        discovered_at: everything that existed then has been found; 0.0 for never.
        pace: the job's durations.
        now: the present time, in epoch seconds.
        missing: the stamps of the job's objects that are known and not at the destination, those above any shard included.
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
    """Return True once any object of the job was ever listed."""
    return any(state.newest_arrival for state in states)
