"""The deep tier meets every place in its reach again in time, wherever objects lie and whenever somebody looks.

A simulated shard holds keys of any density, which arrive on time or late, and is looked at now and then; what the slices
of each look cover is noted for places all over it, whether or not an object lies there.
"""

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count, cycle
from math import ceil
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pace import DAY, HOUR, MINUTE, PACE

from syncd.model.keys.layout import CloudTrailLayout, Layout
from syncd.model.keys.patterns import PatternLayout
from syncd.model.keys.stamps import stamp_of
from syncd.model.objects import Shard, ShardState
from syncd.tick.listing.horizon import Listed, advance
from syncd.tick.listing.tiers import Slice, Tier, shards_to_visit, slices
from syncd.tick.task import Pace

BEGIN = datetime(2026, 11, 2, 22, 40, tzinfo=UTC).timestamp()
FOLDERS = 33
PAGE_KEYS = 5
ROUNDS = 4
CLOUDTRAIL = CloudTrailLayout()
BY_DAY = PatternLayout("%Y/%m/%d/")
SHARDS = {
    CLOUDTRAIL: Shard("AWSLogs/222222222222/CloudTrail/eu-west-1/", "222222222222", "CloudTrail", "eu-west-1"),
    BY_DAY: Shard("elb/"),
}


class Late(NamedTuple):
    """Objects whose stamps are within one hour and that arrive together."""

    days: float
    """How long after their stamps."""
    objects: int
    place: float
    """When they arrive, as a fraction of the time that is simulated."""


class Since(NamedTuple):
    """Since when something waits to be listed."""

    at: float
    is_deep: bool
    """It was in the deep tier's reach then, and not the recent tier's alone."""


@dataclass
class World:
    """A shard, what is known of it, and when its places were listed."""

    pace: Pace
    layout: Layout
    arrivals: list[tuple[float, str]]
    """When each key arrives; in order."""
    places: list[str]
    state: ShardState
    page_keys: int = PAGE_KEYS
    keys: list[str] = field(default_factory=list)
    arrived: int = 0
    listed_at: dict[str, Since] = field(default_factory=dict)
    waiting: dict[str, Since] = field(default_factory=dict)
    """Keys that arrived and were not listed since, by when."""
    lists: Counter[Tier] = field(default_factory=Counter)

    def look(self, now: float) -> list[Since]:
        """Lists what is due; since when each place and new key that was met has waited."""
        deep_end = self.deep_end(now)
        while self.arrived < len(self.arrivals) and self.arrivals[self.arrived][0] <= now:
            at, key = self.arrivals[self.arrived]
            insort(self.keys, key)
            self.waiting[key] = Since(max(at, BEGIN), key <= deep_end)
            self.arrived += 1
        chosen = slices(self.state, layout=self.layout, pace=self.pace, now=now, start=BEGIN - 31 * DAY)
        listed = [self._list(item, now) for item in chosen]
        self.state = advance(self.state, listed, layout=self.layout, pace=self.pace, start=BEGIN - 31 * DAY)
        return [since for item in listed for since in self._met(item, now, deep_end)]

    def in_reach(self, now: float) -> list[str]:
        """The places that the deep tier has to come by."""
        first = self.layout.position(self.state.shard, now - self.pace.deep, whole_day=True)
        return self.places[bisect_right(self.places, first) : bisect_right(self.places, self.deep_end(now))]

    def deep_end(self, now: float) -> str:
        """The last place of the deep tier."""
        return self.layout.position(self.state.shard, min(now, self.state.frontier or now) - self.pace.recent)

    def _list(self, item: Slice, now: float) -> Listed:
        begin = bisect_right(self.keys, item.range.start_after)
        wanted = bisect_right(self.keys, item.range.until) + 1 if item.range.until else len(self.keys)
        pages = max(1, ceil((min(wanted, len(self.keys)) - begin) / self.page_keys))
        self.lists[item.tier] += pages
        listed = self.keys[begin : begin + pages * self.page_keys]
        return Listed(
            item,
            began_at=now,
            last_key=listed[-1] if listed else "",
            is_whole=True,
            reached_end=begin + pages * self.page_keys >= len(self.keys),
            newest_stamp=stamp_of(listed[-1]) or 0.0 if listed else 0.0,
        )

    def _met(self, listed: Listed, now: float, deep_end: str) -> Iterator[Since]:
        after, until = listed.slice.range.start_after, "\U0010ffff" if listed.reached_end else listed.last_key
        for place in self.places[bisect_right(self.places, after) : bisect_right(self.places, until)]:
            if place in self.listed_at:
                yield self.listed_at[place]
            self.listed_at[place] = Since(now, place <= deep_end)
        for key in self.keys[bisect_right(self.keys, after) : bisect_right(self.keys, until)]:
            if key in self.waiting:
                yield self.waiting.pop(key)


def world_of(
    days: Sequence[int], *, pace: Pace = PACE, layout: Layout = CLOUDTRAIL, late: Sequence[Late] = ()
) -> World:
    """A shard with so many objects in each of its days, the first of them `FOLDERS` before BEGIN, and so on over again."""
    shard = SHARDS[layout]
    until = FOLDERS + int(ROUNDS * pace.deep_every / DAY) + 6
    arrivals = [
        (moment + 2 * MINUTE, key_at(shard, moment, f"{number * 7919 % 9973:04}"))
        for day, objects in zip(range(until), cycle(days), strict=False)
        for number in range(objects)
        for moment in [BEGIN + (day - FOLDERS + (number + 0.5) / objects) * DAY]
    ]
    arrivals += [
        (arrives_at, key_at(shard, arrives_at - outage.days * DAY + number % 60 * MINUTE, f"late{number:04}"))
        for outage in late
        for arrives_at in [BEGIN + outage.place * ROUNDS * pace.deep_every]
        for number in range(outage.objects)
    ]
    places = [key_at(shard, BEGIN + (quarter / 4 - FOLDERS) * DAY + 11 * MINUTE, "p") for quarter in range(4 * until)]
    return World(pace, layout, sorted(arrivals), sorted(places), ShardState(shard=shard))


def key_at(shard: Shard, instant: float, suffix: str) -> str:
    moment = datetime.fromtimestamp(instant, UTC)
    stem = f"{shard.account}_{shard.kind}_{shard.region}_" if shard.region else ""
    return f"{shard.prefix}{moment:%Y/%m/%d}/{stem}{moment:%Y%m%dT%H%MZ}_{suffix}.json.gz"


DAYS = st.one_of(
    st.lists(st.integers(0, 40), min_size=1, max_size=40),
    st.lists(st.sampled_from([0, 0, 0, 0, 1, 3, 600]), min_size=3, max_size=40),
    st.lists(st.sampled_from([0, 0, 0, 1]), min_size=5, max_size=40),
)
INTERVALS = st.sampled_from([11 * MINUTE, 25 * MINUTE, HOUR, 5 * HOUR, 23 * HOUR, 30 * HOUR])
JITTERS = st.lists(st.floats(0, 1), min_size=1, max_size=9)
LATE = st.lists(st.builds(Late, st.floats(1, 33), st.sampled_from([1, 4, 20, 400]), st.floats(0, 1)), max_size=9)
LAYOUTS = st.sampled_from([CLOUDTRAIL, BY_DAY])
PERIODS = st.sampled_from([6 * HOUR, DAY, 8 * DAY])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(layout=LAYOUTS, days=DAYS, late=LATE, period=PERIODS, interval=INTERVALS, jitters=JITTERS)
@example(layout=CLOUDTRAIL, days=[1], late=[], period=DAY, interval=5 * MINUTE, jitters=[0.0])
@example(layout=CLOUDTRAIL, days=[0] * 30 + [200] * 9, late=[], period=DAY, interval=5 * MINUTE, jitters=[0.5])
@example(
    layout=CLOUDTRAIL, days=[1] + [0] * 6, late=[Late(20, 400, 0.5)], period=8 * DAY, interval=HOUR / 2, jitters=[0]
)
def test_what_deep_has_listed_it_lists_again_within_its_period_and_the_longest_wait_between_looks(
    layout: Layout, days: list[int], late: list[Late], period: float, interval: float, jitters: list[float]
) -> None:
    pace = PACE._replace(deep_every=period)
    world = world_of(days, pace=pace, layout=layout, late=late)
    now, longest = BEGIN, 0.0
    for number in count():
        wait = interval * (1 + jitters[number % len(jitters)])
        longest = max(longest, wait)
        allowed = period + longest + 1
        # What was listed as recent and has come out of its reach since.
        allowed_recent = allowed + pace.recent_every + longest

        assert all(now - since.at <= (allowed if since.is_deep else allowed_recent) for since in world.look(now))
        if now > BEGIN + ROUNDS * (period + longest):
            break
        now += wait
    assert all(now - world.listed_at[place].at <= allowed_recent for place in world.in_reach(now))


def run(world: World, *, until: float, every: float = 5 * MINUTE, begin: float = BEGIN) -> list[int]:
    """How many LISTs of the deep tier each look took."""
    taken = []
    for number in range(int((until - begin) / every) + 1):
        before = world.lists[Tier.DEEP]
        world.look(begin + number * every)
        taken.append(world.lists[Tier.DEEP] - before)
    return taken


@pytest.mark.parametrize("every", [10 * MINUTE, 7 * HOUR])
@pytest.mark.parametrize("days", [[8], [0] * 20 + [40] * 5, [0] * 45 + [264]], ids=["evenly", "five days", "one day"])
@pytest.mark.parametrize("pages", [1, 2, 10, 60])
def test_a_day_of_the_deep_tier_takes_a_list_a_page_and_a_forty_seventh_more(
    days: list[int], pages: int, every: float
) -> None:
    world = world_of(days)
    world.page_keys = ceil(max(sum(days) if len(days) > 1 else 0, 8 * FOLDERS) / pages)
    run(world, until=BEGIN + 2 * DAY, every=every)

    taken = run(world, begin=BEGIN + 2 * DAY + every, until=BEGIN + 12 * DAY, every=every)

    assert sum(taken) <= ceil(10 * 48 / 47) * pages


def test_a_deep_round_goes_forward_with_the_time() -> None:
    world = world_of([10])

    taken = run(world, until=BEGIN + 2 * DAY)

    pages = 10 * FOLDERS / world.page_keys
    assert sum(taken) >= pages
    assert max(taken) <= pages / 6 + 2


def test_a_shard_that_was_left_alone_for_days_is_gone_through_once_and_at_once() -> None:
    world = world_of([10])
    run(world, until=BEGIN + 2 * DAY)

    taken = run(world, begin=BEGIN + 12 * DAY, until=BEGIN + 12 * DAY + 23 * MINUTE)

    assert taken[0] > 1
    assert not any(taken[1:])
    assert {world.listed_at[place].at for place in world.in_reach(BEGIN + 12 * DAY)} == {BEGIN + 12 * DAY}


def test_a_round_that_was_not_gone_on_with_until_the_next_one_was_due_begins_again_and_is_listed_whole() -> None:
    state = state_at(SHARDS[CLOUDTRAIL], BEGIN)
    now = BEGIN + next(minute for minute in count() if is_deep_due(state, BEGIN + minute * MINUTE)) * MINUTE
    state = state._replace(deep_key=key_at(SHARDS[CLOUDTRAIL], BEGIN - 9 * DAY, "x"))

    deep, _ = slices(state, layout=CLOUDTRAIL, pace=PACE, now=now, start=BEGIN)

    assert deep.range.start_after == CLOUDTRAIL.position(state.shard, BEGIN - PACE.deep, whole_day=True)
    assert deep.range.until == CLOUDTRAIL.position(state.shard, BEGIN - PACE.recent)


def state_at(shard: Shard, now: float) -> ShardState:
    """Of a shard that has just been listed whole."""
    return ShardState(shard=shard, listed_at=now, recent_at=now, frontier=now, deep_at=now, deep_done_at=now)


def test_shards_that_were_listed_together_go_their_deep_rounds_at_hours_of_their_own() -> None:
    shards = [Shard(f"AWSLogs/{account:012}/CloudTrail/eu-west-1/") for account in range(300)]
    states = [state_at(shard, BEGIN) for shard in shards]

    begun = Counter(next(hour for hour in range(1, 26) if is_deep_due(state, BEGIN + hour * HOUR)) for state in states)

    assert max(begun.values()) <= 2 * 300 / 24
    assert set(begun) == set(range(1, 25))


def is_deep_due(state: ShardState, now: float) -> bool:
    chosen = slices(state, layout=CLOUDTRAIL, pace=PACE, now=now, start=BEGIN)
    return any(item.tier is Tier.DEEP for item in chosen)


def test_each_of_many_quiet_shards_is_looked_at_within_the_idle_time_and_a_tick() -> None:
    shards = [Shard(f"AWSLogs/{account:012}/CloudTrail/eu-west-1/") for account in range(300)]
    states = {shard.prefix: state_at(shard, BEGIN)._replace(newest_arrival=BEGIN - 9 * DAY) for shard in shards}
    waits = []

    for number in range(1, 30):
        now = BEGIN + number * 5 * MINUTE
        for state in shards_to_visit(list(states.values()), pace=PACE, now=now):
            waits.append(now - state.listed_at)
            states[state.shard.prefix] = state._replace(listed_at=now)

    assert max(waits) <= PACE.idle_every + 5 * MINUTE
    assert len(waits) < 30 * 300 / 2
