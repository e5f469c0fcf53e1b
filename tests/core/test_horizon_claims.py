"""What listings prove: tables of states, what was listed, and what may be claimed after it. All numbers are literal."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from builders_ledger import replica
from fakes import MemoryBucket, MemoryCopier, MemorySource
from fakes_ledger import MemoryLedger, MemoryLedgerFile
from pace import DAY, HOUR, NOON, PACE

from syncd.model.keys.layout import CloudTrailLayout, FlatLayout, Layout
from syncd.model.keys.patterns import PatternLayout
from syncd.model.keys.trail import Scope
from syncd.model.objects import Branch, Failed, FoundBy, LogObject, Page, Range, Shard, ShardState, Transfer, Window
from syncd.tick.closing import _extended, close
from syncd.tick.listing.horizon import Listed, advance, claimed, first_within, has_found, horizon, searched_at
from syncd.tick.listing.survey import Survey, Visit
from syncd.tick.listing.tiers import Slice, Tier
from syncd.tick.ports import Ports
from syncd.tick.task import Task

SHARD = Shard("AWSLogs/222222222222/CloudTrail/us-east-1/", "222222222222", "CloudTrail", "us-east-1")
DIGESTS = Shard("AWSLogs/222222222222/CloudTrail-Digest/us-east-1/", "222222222222", "CloudTrail-Digest", "us-east-1")
LAYOUT = CloudTrailLayout()


def state(**changes: Any) -> ShardState:
    """A shard that was listed at noon, in which everything is complete for a month."""
    every: dict[str, Any] = {
        "shard": SHARD,
        "layout": "cloudtrail",
        "frontier": NOON - 600,
        "listed_at": NOON,
        "recent_at": NOON - HOUR,
        "deep_at": NOON - 9 * HOUR,
        "deep_done_at": NOON - 9 * HOUR,
        "complete_from": NOON - 31 * DAY,
        "complete_until": NOON - 1800,
        "newest_arrival": NOON - 300,
    }
    return ShardState(**{**every, **changes})


# A shard's own horizon

LOOKS = {
    FoundBy.TAIL: NOON,
    FoundBy.RECENT: NOON - HOUR,
    FoundBy.DEEP: NOON - 9 * HOUR,
    FoundBy.WHOLE: NOON - 9 * HOUR,
}


@pytest.mark.parametrize("found_by", LOOKS)
def test_the_horizon_is_a_lateness_behind_the_last_look_that_finds_any_key(found_by: FoundBy) -> None:
    before = state(found_by=found_by)

    assert searched_at(before) == LOOKS[found_by]
    assert claimed(before, pace=PACE, missing=()).complete_until == LOOKS[found_by] - 1800


@pytest.mark.parametrize(
    ("found_by", "changes", "expected"),
    [
        (FoundBy.RECENT, {"listed_at": NOON - 2 * HOUR}, NOON - 2 * HOUR),
        (FoundBy.DEEP, {"recent_at": NOON - 10 * HOUR}, NOON - 10 * HOUR),
        (FoundBy.DEEP, {"listed_at": NOON - 11 * HOUR}, NOON - 11 * HOUR),
        (FoundBy.DEEP, {"deep_done_at": 0.0}, 0.0),
        (FoundBy.WHOLE, {"deep_done_at": 0.0}, 0.0),
        (FoundBy.WHOLE, {"listed_at": NOON - 20 * HOUR}, NOON - 9 * HOUR),
    ],
)
def test_a_key_may_lie_where_any_of_its_listings_looks(
    found_by: FoundBy, changes: dict[str, float], expected: float
) -> None:
    assert searched_at(state(found_by=found_by, **changes)) == expected


def test_a_shard_that_was_not_searched_keeps_what_it_claimed() -> None:
    before = state(found_by=FoundBy.WHOLE, deep_done_at=0.0)

    assert claimed(before, pace=PACE, missing=()) == before


def test_digests_may_be_ninety_minutes_late() -> None:
    assert claimed(state(shard=DIGESTS), pace=PACE, missing=()).complete_until == NOON - 5400


def test_digests_may_be_as_late_as_the_jobs_other_logs_if_that_is_more() -> None:
    pace = PACE._replace(lateness=7200.0)

    assert claimed(state(shard=DIGESTS), pace=pace, missing=()).complete_until == NOON - 7200


def test_no_horizon_is_before_the_epoch() -> None:
    assert claimed(state(listed_at=60.0), pace=PACE, missing=()).complete_until == 0.0


MISSING = {
    "none": ([], NOON - 1800),
    "in the middle": ([NOON - 5 * DAY], NOON - 5 * DAY - 1),
    "the oldest of several": ([NOON - DAY, NOON - 5 * DAY, NOON - 2 * DAY], NOON - 5 * DAY - 1),
    "newer than the horizon": ([NOON - 60], NOON - 1800),
    "from before what is complete": ([NOON - 32 * DAY], NOON - 1800),
    "at the beginning of what is complete": ([NOON - 31 * DAY], NOON - 31 * DAY - 1),
}


@pytest.mark.parametrize("missing", MISSING)
def test_the_horizon_of_a_shard_ends_a_second_before_what_is_missing(missing: str) -> None:
    stamps, expected = MISSING[missing]

    assert claimed(state(), pace=PACE, missing=stamps).complete_until == expected


@pytest.mark.parametrize(("stamps", "expected"), [([], None), ([9.0], None), ([10.0], 10.0), ([30.0, 20.0, 9.0], 20.0)])
def test_what_is_older_than_the_claim_is_not_within_it(stamps: list[float], expected: float | None) -> None:
    assert first_within(stamps, 10.0) == expected


# A job's horizon

OTHER = state(shard=DIGESTS, complete_from=NOON - 20 * DAY, complete_until=NOON - 5400)


def test_a_jobs_horizon_holds_for_all_of_its_shards() -> None:
    states = [state(), OTHER]

    assert horizon(states, discovered_at=NOON, pace=PACE, now=NOON) == (NOON - 20 * DAY, NOON - 5400)


def test_a_jobs_horizon_waits_for_its_discovery_and_the_longest_lateness_of_its_kinds() -> None:
    looked_at = NOON - 3 * HOUR

    assert horizon([state()], discovered_at=looked_at, pace=PACE, now=NOON)[1] == looked_at - 1800
    assert horizon([state(), OTHER], discovered_at=looked_at, pace=PACE, now=NOON)[1] == looked_at - 5400


@pytest.mark.parametrize("missing", MISSING)
def test_a_jobs_horizon_ends_a_second_before_what_is_missing_anywhere(missing: str) -> None:
    stamps, expected = MISSING[missing]

    assert horizon([state()], discovered_at=NOON, pace=PACE, now=NOON, missing=stamps) == (NOON - 31 * DAY, expected)


NOTHING: dict[str, tuple[Sequence[ShardState], float]] = {
    "never discovered": ([state()], 0.0),
    "one shard never listed": ([state(), state(listed_at=0.0)], NOON),
    "no shard": ([], NOON),
    "no object was ever listed": ([state(newest_arrival=0.0)], NOON),
}


@pytest.mark.parametrize("case", NOTHING)
def test_a_job_that_has_not_looked_everywhere_or_found_nothing_claims_nothing(case: str) -> None:
    states, discovered_at = NOTHING[case]

    assert horizon(states, discovered_at=discovered_at, pace=PACE, now=NOON) == (0.0, 0.0)


def test_what_a_clock_that_ran_ahead_has_listed_or_discovered_claims_nothing() -> None:
    ahead = state(listed_at=NOON + 601, complete_until=NOON + 601)

    assert horizon([state(), ahead], discovered_at=NOON, pace=PACE, now=NOON) == (0.0, 0.0)
    assert horizon([state()], discovered_at=NOON + 601, pace=PACE, now=NOON) == (0.0, 0.0)


def test_one_object_in_any_shard_is_enough_to_have_found_something() -> None:
    assert has_found([state(newest_arrival=0.0), state()])
    assert not has_found([state(newest_arrival=0.0)])


# What a listing that came to its end makes of a state


def listed(tier: Tier, *, until: str = "", goal: str = "", since: float = 0.0, **changes: Any) -> Listed:
    every: dict[str, Any] = {
        "began_at": NOON + HOUR,
        "is_whole": True,
        "newest_stamp": NOON + 3000,
        "newest_arrival": NOON + 3300,
    }
    return Listed(Slice(tier, Range(SHARD, "", until), since, goal), **{**every, **changes})


def advanced(*items: Listed, before: ShardState | None = None, layout: Layout = LAYOUT, **more: Any) -> ShardState:
    return advance(before or state(), items, layout=layout, pace=PACE, **{"start": NOON - 31 * DAY, **more})


def test_a_tail_moves_the_frontier_and_the_time_of_the_last_listing() -> None:
    expected = state(
        frontier=NOON + 3000, listed_at=NOON + HOUR, newest_arrival=NOON + 3300, complete_until=NOON + HOUR - 1800
    )

    assert advanced(listed(Tier.TAIL)) == expected


def test_a_recent_listing_is_a_tail_and_moves_its_own_clock() -> None:
    after = advanced(listed(Tier.RECENT))

    assert after == advanced(listed(Tier.TAIL))._replace(recent_at=NOON + HOUR)


def test_a_listing_without_objects_leaves_frontier_and_arrival() -> None:
    after = advanced(listed(Tier.TAIL, newest_stamp=0.0, newest_arrival=0.0))

    assert (after.frontier, after.newest_arrival, after.listed_at) == (NOON - 600, NOON - 300, NOON + HOUR)


@pytest.mark.parametrize(
    ("changes", "key", "done_at"),
    [
        ({"last_key": "m"}, "m", NOON - 9 * HOUR),
        ({"last_key": "c"}, "g", NOON - 9 * HOUR),
        ({"last_key": ""}, "g", NOON - 9 * HOUR),
        ({"last_key": "z"}, "", NOON - HOUR),
        ({"last_key": "t"}, "", NOON - HOUR),
        ({"last_key": "m", "reached_end": True}, "", NOON - HOUR),
    ],
)
def test_a_deep_round_is_done_when_its_goal_or_the_end_was_met(
    changes: dict[str, Any], key: str, done_at: float
) -> None:
    after = advanced(listed(Tier.DEEP, until="g", goal="t", since=NOON - HOUR, **changes))

    assert (after.deep_key, after.deep_at, after.deep_done_at) == (key, NOON - HOUR, done_at)
    assert (after.listed_at, after.recent_at, after.frontier) == (NOON, NOON - HOUR, NOON - 600)


def test_a_listing_of_the_whole_shard_is_recent_and_deep_at_once() -> None:
    branches = (Branch("acl/", "%Y/%m/%d"),)
    after = advanced(
        listed(Tier.WHOLE, branches=branches),
        before=state(found_by=FoundBy.WHOLE, deep_key="half way", branches=(Branch("old/", "%Y/%m/%d"),)),
    )

    at = NOON + HOUR
    assert (after.listed_at, after.recent_at, after.deep_at, after.deep_done_at) == (at, at, at, at)
    assert (after.deep_key, after.branches, after.complete_until) == ("", branches, at - 1800)
    assert (after.audited_at, after.sealed_audited_at, after.complete_from) == (0.0, 0.0, NOON - 31 * DAY)


def test_a_listing_of_branches_claims_nothing() -> None:
    before = state(found_by=FoundBy.WHOLE)
    after = advanced(listed(Tier.BRANCH), before=before)

    assert (after.listed_at, after.deep_done_at) == (NOON + HOUR, NOON - 9 * HOUR)
    assert after.complete_until == NOON - 9 * HOUR - 1800


def test_a_first_listing_of_both_sides_is_an_audit_too_and_complete_from_the_start() -> None:
    after = advanced(listed(Tier.FIRST), before=ShardState(shard=SHARD))

    at = NOON + HOUR
    assert (after.audited_at, after.sealed_audited_at, after.deep_done_at) == (at, at, at)
    assert (after.complete_from, after.complete_until, after.layout) == (NOON - 31 * DAY, at - 1800, "cloudtrail")


def test_a_catch_up_moves_no_cursor() -> None:
    assert advanced(listed(Tier.WINDOW)) == state()


def test_what_was_left_out_is_not_claimed() -> None:
    after = advanced(listed(Tier.TAIL, left_out_stamp=NOON - 3 * DAY))

    assert after.complete_from == NOON - 3 * DAY + 1
    assert advanced(listed(Tier.TAIL, left_out_stamp=NOON - 40 * DAY)).complete_from == NOON - 31 * DAY


def test_what_is_missing_holds_what_listings_would_claim() -> None:
    assert advanced(listed(Tier.TAIL), missing=[NOON - 2 * DAY]).complete_until == NOON - 2 * DAY - 1
    assert advanced(listed(Tier.TAIL), missing=[NOON - 40 * DAY]).complete_until == NOON + HOUR - 1800


def test_what_is_missing_is_reckoned_from_what_is_complete_after_the_listing() -> None:
    after = advanced(listed(Tier.TAIL, left_out_stamp=NOON - 2 * DAY), missing=[NOON - 3 * DAY])

    assert (after.complete_from, after.complete_until) == (NOON - 2 * DAY + 1, NOON + HOUR - 1800)


def test_keys_that_only_deep_finds_hold_the_horizon_to_the_last_round() -> None:
    after = advanced(listed(Tier.TAIL, found_by=FoundBy.DEEP))

    assert (after.found_by, after.complete_until) == (FoundBy.DEEP, NOON - 9 * HOUR - 1800)


def test_a_key_outside_the_grammar_makes_a_shard_be_listed_whole_before_it_claims_more() -> None:
    branches = (Branch("acl/", "%Y/%m/%d"),)
    after = advanced(listed(Tier.TAIL, found_by=FoundBy.WHOLE, branches=branches))

    assert after == state(found_by=FoundBy.WHOLE, branches=branches, deep_done_at=0.0)


def test_a_shard_that_is_listed_whole_stays_so() -> None:
    assert advanced(listed(Tier.WHOLE), before=state(found_by=FoundBy.WHOLE)).found_by is FoundBy.WHOLE


# Page after page

FIRST = "2026/11/23/222222222222_CloudTrail_us-east-1_20261123T0005Z_AbCdEfGhIjKlMnOp.json.gz"
LAST = "2026/11/24/222222222222_CloudTrail_us-east-1_20261124T1155Z_AbCdEfGhIjKlMnOp.json.gz"
AHEAD = "2026/11/25/222222222222_CloudTrail_us-east-1_20261125T1155Z_AbCdEfGhIjKlMnOp.json.gz"


def item(rest: str, last_modified: float = NOON - 60, shard: Shard = SHARD) -> LogObject:
    return LogObject(shard.prefix + rest, "e", 1, last_modified)


def paged(*items: LogObject, before: Listed | None = None, layout: Layout = LAYOUT, **more: Any) -> Listed:
    page = Page(Range(SHARD, ""), items, is_last=more.pop("is_last", False), reached_end=more.pop("reached_end", False))
    facts = {"left_out_stamp": 0.0, "new": items, "found_by": FoundBy.TAIL, **more}
    return (before or Listed(Slice(Tier.TAIL, Range(SHARD, "")), NOON)).after(page, layout=layout, **facts)


def test_pages_add_up() -> None:
    one = paged(item(FIRST, NOON - DAY), left_out_stamp=5.0)
    both = paged(item(LAST, NOON - 60), before=one, left_out_stamp=3.0, is_last=True, reached_end=True)

    assert (one.last_key, one.is_whole, one.reached_end) == (SHARD.prefix + FIRST, False, False)
    assert (both.last_key, both.is_whole, both.reached_end) == (SHARD.prefix + LAST, True, True)
    assert (both.newest_stamp, both.newest_arrival, both.left_out_stamp) == (NOON - 300, NOON - 60, 5.0)


def test_an_older_page_lowers_nothing() -> None:
    both = paged(item(FIRST, NOON - DAY), before=paged(item(LAST)))

    assert (both.newest_stamp, both.newest_arrival) == (NOON - 300, NOON - 60)


def test_an_empty_page_keeps_the_last_key() -> None:
    assert paged(before=paged(item(LAST)), is_last=True).last_key == SHARD.prefix + LAST


def test_a_stamp_of_the_future_is_no_frontier() -> None:
    assert paged(item(LAST), item(AHEAD)).newest_stamp == NOON - 300
    assert paged(item(AHEAD)).newest_stamp == 0.0


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        (LAST, FoundBy.TAIL),
        ("2026/11/24/333333333333_CloudTrail_us-east-1_20261124T1155Z_AbCdEfGhIjKlMnOp.json.gz", FoundBy.RECENT),
        ("2026/11/24/no-stamp.json.gz", FoundBy.DEEP),
        ("2026-11-24/x.json.gz", FoundBy.WHOLE),
    ],
)
def test_new_keys_tell_by_which_listing_they_are_found_and_known_ones_do_not(rest: str, expected: FoundBy) -> None:
    assert paged(item(rest)).found_by is expected
    assert paged(item(rest), new=[]).found_by is FoundBy.TAIL
    assert paged(item(LAST), before=paged(item(rest))).found_by is expected


def test_branches_are_noted_of_a_shard_that_is_listed_whole_and_no_other() -> None:
    keys = [item("acl/2026/11/24/x.log"), item("acl/2026/11/23/x.log")]

    assert {branch.prefix for branch in paged(*keys).branches} == {"acl/"}
    assert {branch.prefix for branch in paged(*keys, new=[], found_by=FoundBy.WHOLE).branches} == {"acl/"}
    assert paged(*keys, new=[]).branches == ()


# Whether a shard's listings have come to their ends

ONE, TWO = Slice(Tier.TAIL, Range(SHARD, "a")), Slice(Tier.DEEP, Range(SHARD, "b"))
WHOLE_ONE, WHOLE_TWO = Listed(ONE, NOON, is_whole=True), Listed(TWO, NOON, is_whole=True)
CUT_TWO = Listed(TWO, NOON)


@pytest.mark.parametrize(
    ("planned", "came", "unresolved", "expected"),
    [
        ([ONE, TWO], [WHOLE_ONE, WHOLE_TWO], 0, [WHOLE_ONE, WHOLE_TWO]),
        ([ONE, TWO], [WHOLE_ONE, WHOLE_TWO], 1, []),
        ([ONE, TWO], [WHOLE_ONE, CUT_TWO], 0, []),
        ([ONE, TWO], [WHOLE_ONE], 0, []),
        ([ONE], [WHOLE_ONE], 0, [WHOLE_ONE]),
        ([], [], 0, []),
    ],
)
def test_nothing_is_proved_before_all_was_listed_and_everything_found_has_come_to_its_end(
    planned: list[Slice], came: list[Listed], unresolved: int, expected: list[Listed]
) -> None:
    visit = Visit(state(), slices=planned, listed={one.slice.range: one for one in came}, unresolved=unresolved)

    assert visit.finished() == expected


def test_a_day_is_in_flight_until_the_last_of_its_transfers_has_landed() -> None:
    visit = Visit(state())
    visit.days_in_flight.update({"2026-11-23": 2})

    visit.landed("2026-11-22")
    visit.landed("2026-11-23")
    assert dict(visit.days_in_flight) == {"2026-11-23": 1}
    visit.landed("2026-11-23")
    assert not visit.days_in_flight


# What a catch-up adds

COMPLETE_FROM = datetime(2026, 11, 10, 12, 0, tzinfo=UTC).timestamp()
MIDNIGHT = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
EXTENDED = {
    "it reaches what is complete": (Window("2026-11-01", "2026-11-10"), {}, [], MIDNIGHT),
    "it has no end": (Window("2026-11-01", None), {}, [], MIDNIGHT),
    "it ends the day before, which leaves a gap": (Window("2026-11-01", "2026-11-09"), {}, [], None),
    "it begins later": (Window("2026-11-11", None), {}, [], None),
    "it has no beginning": (Window(None, "2026-11-10"), {}, [], None),
    "the shard was never listed": (Window("2026-11-01", None), {"listed_at": 0.0}, [], None),
    "something is missing within it": (Window("2026-11-01", None), {}, [MIDNIGHT + DAY], None),
    "something is missing at its beginning": (Window("2026-11-01", None), {}, [MIDNIGHT], None),
    "something is missing before it": (Window("2026-11-01", None), {}, [MIDNIGHT - 1], MIDNIGHT),
    "something is missing after it": (Window("2026-11-01", None), {}, [COMPLETE_FROM], MIDNIGHT),
}


@pytest.mark.parametrize("case", EXTENDED)
def test_a_catch_up_extends_what_is_complete_backwards_if_it_meets_it(case: str) -> None:
    window, changes, missing, expected = EXTENDED[case]
    before = state(**{"complete_from": COMPLETE_FROM, **changes})

    after = _extended(before, window, missing, NOON)

    assert after == (None if expected is None else before._replace(complete_from=expected))


def test_a_catch_up_of_folders_that_may_be_local_days_claims_a_day_less() -> None:
    before = state(complete_from=datetime(2026, 11, 10, tzinfo=UTC).timestamp() + 1, found_by=FoundBy.DEEP)

    assert _extended(before, Window("2026-11-01", "2026-11-10"), [], NOON) is None
    assert _extended(before, Window("2026-11-01", "2026-11-11"), [], NOON) == before._replace(complete_from=MIDNIGHT)


def test_a_catch_up_of_a_shard_that_is_not_known_claims_nothing() -> None:
    assert _extended(None, Window("2026-11-01", None), [], NOON) is None


# How a tick ends


class Ended:
    """A tick over one shard, which had come so far."""

    def __init__(self, *, window: Window | None = None, **changes: Any) -> None:
        self.ledger: MemoryLedger = MemoryLedgerFile().open(replica(), "job")
        self.before = state(**changes)
        self.ledger.save_shards([self.before], discovered_at=NOON)
        found = Slice(Tier.TAIL, Range(SHARD, ""))
        self.visit = Visit(self.before, slices=[found], listed={found.range: listed(Tier.TAIL)})
        self.survey = Survey(visits={SHARD.prefix: self.visit}, discovered_at=NOON + HOUR, start=NOON - 31 * DAY)
        self.told: list[str] = []
        self.task = Task(
            job="job",
            scope=Scope("", (), ("*",), ("*",), ("*",)),
            shard=None,
            layout=LAYOUT,
            destination_prefix="",
            pace=PACE,
            start=lambda now: now,
            window=window,
        )

    def close(self, *, is_whole: bool = True) -> tuple[float, float]:
        ports = Ports(
            source=MemorySource(MemoryBucket()),
            source_bucket="trail",
            destination=MemorySource(MemoryBucket()),
            copier=MemoryCopier(MemoryBucket(), MemoryBucket()),
            ledger=self.ledger,
            now=lambda: NOON + HOUR,
            tell=lambda event, **_: self.told.append(event),
        )
        return close(self.task, ports, self.survey, began_at=NOON + HOUR, is_whole=is_whole)

    @property
    def after(self) -> ShardState:
        return self.ledger.shards()[SHARD.prefix]


def test_a_tick_that_came_to_its_end_moves_what_it_listed_and_says_when_it_looked() -> None:
    ended = Ended()

    assert ended.close() == (NOON - 31 * DAY, NOON + HOUR - 1800)
    assert ended.after == advanced(listed(Tier.TAIL))
    assert ended.ledger.discovered_at() == NOON + HOUR


def test_what_did_not_come_to_its_end_moves_nothing() -> None:
    ended = Ended()
    ended.visit.unresolved = 1

    assert ended.close() == (NOON - 31 * DAY, NOON - 1800)
    assert ended.after == ended.before


def test_a_tick_that_failed_moves_what_it_listed_to_its_end_and_not_its_discovery() -> None:
    ended = Ended()

    assert ended.close(is_whole=False) == (NOON - 31 * DAY, NOON - 1800)
    assert ended.after == advanced(listed(Tier.TAIL))
    assert ended.ledger.discovered_at() == NOON


def test_discovery_proves_nothing_while_a_shard_that_it_found_was_not_gone_through() -> None:
    ended = Ended()
    other = Visit(ShardState(shard=DIGESTS), slices=[Slice(Tier.FIRST, Range(DIGESTS, ""))])
    ended.survey.visits[DIGESTS.prefix] = other

    assert ended.close() == (NOON - 31 * DAY, NOON - 1800)
    assert ended.ledger.discovered_at() == NOON


def test_what_a_catch_up_beside_a_tick_has_extended_stays_extended() -> None:
    ended = Ended()
    ended.ledger.save_shards([ended.before._replace(complete_from=NOON - 90 * DAY)])

    assert ended.close()[0] == NOON - 90 * DAY


def test_what_was_extended_before_another_tick_moved_on_is_that_ticks() -> None:
    ended = Ended()
    ended.ledger.save_shards([ended.before._replace(complete_from=NOON - 90 * DAY, listed_at=NOON + 60)])

    assert ended.close()[0] == NOON - 31 * DAY


def test_a_catch_up_extends_only_what_it_has_listed_to_its_end() -> None:
    whole, cut = (Ended(window=Window("2026-09-01", None)) for _ in range(2))
    cut.visit.unresolved = 1
    begin = datetime(2026, 9, 1, tzinfo=UTC).timestamp()

    assert whole.close()[0] == begin
    assert whole.after == whole.before._replace(complete_from=begin)
    assert cut.close()[0] == NOON - 31 * DAY


def test_the_object_that_holds_a_horizon_is_named() -> None:
    ended = Ended()
    held = LogObject(SHARD.prefix + FIRST, "e", 1, NOON - DAY)
    ended.ledger.record([Failed(Transfer(SHARD, held, held.key), "access_denied", "no")], [], now=NOON)

    assert ended.close()[1] == datetime(2026, 11, 23, 0, 5, tzinfo=UTC).timestamp() - 1
    assert ended.told == ["horizon.held"]


def test_what_the_audit_has_gone_through_is_kept_though_the_listing_was_not() -> None:
    ended = Ended()
    ended.visit.unresolved = 1
    ended.visit.state = ended.before._replace(audited_at=NOON + HOUR)
    ended.visit.is_audited = True
    ended.close()

    assert ended.after == ended.before._replace(audited_at=NOON + HOUR)


# Other layouts


def test_cursors_are_marked_with_the_layout_that_they_were_made_for() -> None:
    for layout in (PatternLayout("%Y/%m/%d/"), FlatLayout()):
        assert advanced(listed(Tier.TAIL), layout=layout).layout == layout.name
