"""Where each listing begins and ends, by literal instants: look-backs reach from the last completed look, never from now."""

from typing import Any

import pytest
from pace import DAY, HOUR, MINUTE, NOON, PACE

from syncd.model.keys.layout import CloudTrailLayout, FlatLayout
from syncd.model.keys.patterns import PatternLayout
from syncd.model.objects import Branch, FoundBy, Range, Shard, ShardState, Window
from syncd.tick.listing.tiers import (
    CLOCK_SKEW_SECONDS,
    Slice,
    Tier,
    as_of,
    begun_again,
    due,
    is_listed_whole,
    later,
    overdue,
    shards_to_visit,
    slices,
    window_range,
)
from syncd.tick.task import Pace, lateness_of

P = "AWSLogs/222222222222/CloudTrail/us-east-1/"
SHARD = Shard(P, "222222222222", "CloudTrail", "us-east-1")
STEM = "222222222222_CloudTrail_us-east-1_"
LAYOUT = CloudTrailLayout()
END = f"{P}:"


def state(**changes: Any) -> ShardState:
    """A shard that was looked at by every tier at noon."""
    every: dict[str, Any] = {
        "shard": SHARD,
        "layout": "cloudtrail",
        "frontier": NOON,
        "listed_at": NOON,
        "recent_at": NOON,
        "deep_at": NOON,
        "deep_done_at": NOON,
        "newest_arrival": NOON,
    }
    return ShardState(**{**every, **changes})


def ranges(before: ShardState, *, after: float = 0.0, pace: Pace = PACE, start: float = 0.0) -> list[Slice]:
    return slices(before, layout=LAYOUT, pace=pace, now=NOON + after, start=start)


def only(before: ShardState, *, after: float = 0.0, pace: Pace = PACE) -> tuple[Tier, str, str]:
    """The one listing that is not deep's."""
    (found,) = [item for item in ranges(before, after=after, pace=pace) if item.tier is not Tier.DEEP]
    return found.tier, found.range.start_after, found.range.until


# How wide a tier is

WIDTHS = {
    "as configured": ({}, (5400, 48 * HOUR, 33 * DAY)),
    "a tail of six hours": ({"tail": 6 * HOUR}, (6 * HOUR, 48 * HOUR, 33 * DAY)),
    "a lateness of two days": ({"lateness": 2 * DAY}, (2 * DAY, 2 * DAY, 33 * DAY)),
    "a lateness of sixty days": ({"lateness": 60 * DAY}, (60 * DAY, 60 * DAY, 61 * DAY)),
    "recent of an hour": ({"recent": HOUR}, (5400, 5400, 33 * DAY)),
    "recent of forty days": ({"recent": 40 * DAY}, (5400, 40 * DAY, 41 * DAY)),
    "recent as long as deep": ({"recent": 33 * DAY}, (5400, 33 * DAY, 34 * DAY)),
}


@pytest.mark.parametrize("case", WIDTHS)
def test_no_tier_is_narrower_than_the_one_that_it_replaces(case: str) -> None:
    changes, expected = WIDTHS[case]
    pace = PACE._replace(**changes)

    assert (pace.tail_effective, pace.recent_effective, pace.deep_effective) == expected


@pytest.mark.parametrize(
    ("kind", "lateness", "expected"),
    [
        ("CloudTrail", 1800.0, 1800.0),
        ("CloudTrail-Digest", 1800.0, 5400.0),
        ("CloudTrail-Digest", 7200.0, 7200.0),
        ("CloudTrail-Insight", 1800.0, 1800.0),
        ("", 60.0, 60.0),
    ],
)
def test_digests_are_allowed_ninety_minutes(kind: str, lateness: float, expected: float) -> None:
    assert lateness_of(kind, lateness) == expected
    assert PACE._replace(lateness=lateness).lateness_of(kind) == expected


# The tail


@pytest.mark.parametrize(
    ("changes", "after", "begin"),
    [
        ({}, 5 * MINUTE, "2026/11/24/{stem}20261124T1030"),
        ({"frontier": NOON - HOUR}, 5 * MINUTE, "2026/11/24/{stem}20261124T0930"),
        ({"frontier": NOON + HOUR}, 5 * MINUTE, "2026/11/24/{stem}20261124T1030"),
        ({"frontier": 0.0}, 5 * MINUTE, "2026/11/24/{stem}20261124T1030"),
        ({"frontier": NOON - 12 * HOUR}, 5 * MINUTE, "2026/11/23/{stem}20261123T2230"),
        ({"recent_at": NOON + 5 * DAY}, 5 * DAY, "2026/11/24/{stem}20261124T1030"),
    ],
)
def test_a_tail_reaches_ninety_minutes_back_from_the_frontier_of_the_last_look(
    changes: dict[str, float], after: float, begin: str
) -> None:
    assert only(state(**changes), after=after) == (Tier.TAIL, P + begin.format(stem=STEM), END)


# Recent


@pytest.mark.parametrize(
    ("changes", "after", "begin"),
    [
        ({}, HOUR, "2026/11/210"),
        ({"recent_at": NOON - 10 * DAY}, HOUR, "2026/11/110"),
        ({"frontier": NOON - 20 * DAY}, HOUR, "2026/11/010"),
        ({}, 30 * DAY, "2026/11/210"),
    ],
)
def test_recent_reaches_two_days_back_from_its_own_last_look_by_whole_days(
    changes: dict[str, float], after: float, begin: str
) -> None:
    assert only(state(**changes), after=after) == (Tier.RECENT, P + begin, END)


@pytest.mark.parametrize(("after", "tier"), [(HOUR - 1, Tier.TAIL), (HOUR, Tier.RECENT), (9 * DAY, Tier.RECENT)])
def test_recent_takes_the_place_of_the_tail_when_its_hour_is_over(after: float, tier: Tier) -> None:
    assert only(state(), after=after)[0] is tier


# Deep


def deep(before: ShardState, *, after: float, pace: Pace = PACE) -> Slice | None:
    return next((item for item in ranges(before, after=after, pace=pace) if item.tier is Tier.DEEP), None)


def test_a_deep_round_after_any_outage_reaches_back_from_the_last_one_that_was_done() -> None:
    for days in (1, 2, 34, 60):
        found = deep(state(), after=days * DAY)

        assert found is not None
        assert found.range.start_after == f"{P}2026/10/210", days


def test_a_deep_round_that_was_left_off_does_not_move_where_the_next_one_begins() -> None:
    before = state(deep_key=f"{P}2026/11/01/x", deep_at=NOON, deep_done_at=NOON - 10 * DAY)

    found = deep(before, after=5 * DAY)

    assert found is not None
    assert found.range.start_after == f"{P}2026/10/110"


def test_a_deep_round_goes_on_where_it_left_off() -> None:
    before = state(deep_key=f"{P}2026/11/01/x", deep_at=NOON, deep_done_at=NOON - DAY)

    found = deep(before, after=25 * MINUTE)

    assert found is not None
    assert (found.range.start_after, found.since) == (f"{P}2026/11/01/x", NOON)


def test_a_deep_round_ends_where_recent_began() -> None:
    found = deep(state(), after=2 * DAY)

    assert found is not None
    assert found.goal == f"{P}2026/11/22/{STEM}20261122T1200"
    assert found.range.until == found.goal
    assert found.range.whole_pages


def test_a_deep_round_is_no_shorter_than_to_the_day_after_its_beginning() -> None:
    found = deep(state(recent_at=NOON - 50 * DAY), after=2 * DAY)

    assert found is not None
    assert found.goal == f"{P}2026/10/25/{STEM}20261025T1200"


def test_no_deep_round_begins_before_it_is_due() -> None:
    assert deep(state(), after=MINUTE) is None


def test_a_deep_round_of_a_clock_that_was_set_back_begins_no_later_than_now() -> None:
    found = deep(state(deep_done_at=NOON + 9 * DAY), after=2 * DAY)

    assert found is not None
    assert found.range.start_after == f"{P}2026/10/230"


# The first listing


@pytest.mark.parametrize(
    ("start", "begin"), [(0.0, ""), (NOON, f"{P}2026/10/210"), (NOON - 31 * DAY, f"{P}2026/09/200"), (DAY, "")]
)
def test_the_first_listing_begins_as_far_before_the_start_as_deep_reaches_back(start: float, begin: str) -> None:
    found = ranges(ShardState(shard=SHARD), start=start)

    assert found == [Slice(Tier.FIRST, Range(SHARD, begin, END))]
    assert found[0].both_sides


def test_both_sides_are_listed_only_of_what_the_ledger_does_not_know() -> None:
    sided = {tier for tier in Tier if Slice(tier, Range(SHARD, "")).both_sides}

    assert sided == {Tier.FIRST, Tier.WINDOW, Tier.RECALL}


# Shards that are listed whole

WAF = Shard("AWSLogs/222222222222/WAFLogs/us-east-1/acl/", "222222222222", "WAFLogs", "us-east-1")
BRANCH = Branch("", "%Y/%m/%d")


def test_a_kind_of_unknown_grammar_is_listed_whole_the_first_time() -> None:
    found = slices(ShardState(shard=WAF), layout=LAYOUT, pace=PACE, now=NOON, start=NOON)

    assert found == [Slice(Tier.FIRST, LAYOUT.whole(WAF))]


@pytest.mark.parametrize(
    ("shard", "changes", "expected"),
    [
        (SHARD, {}, False),
        (SHARD, {"found_by": FoundBy.WHOLE}, True),
        (WAF, {}, True),
        (WAF, {"listed_at": NOON}, False),
        (WAF, {"listed_at": NOON, "found_by": FoundBy.WHOLE}, True),
    ],
)
def test_a_shard_is_listed_whole_by_its_kind_before_and_by_its_keys_after(
    shard: Shard, changes: dict[str, Any], *, expected: bool
) -> None:
    before = ShardState(shard=shard, **changes)

    assert is_listed_whole(before, LAYOUT) is expected


@pytest.mark.parametrize("layout", [PatternLayout("%Y/%m/%d/"), FlatLayout()])
def test_the_grammar_of_other_layouts_is_known(layout: PatternLayout | FlatLayout) -> None:
    assert not is_listed_whole(ShardState(shard=WAF), layout)


@pytest.mark.parametrize(("after", "tier"), [(23 * HOUR, Tier.BRANCH), (24 * HOUR, Tier.WHOLE), (9 * DAY, Tier.WHOLE)])
def test_it_is_listed_whole_once_a_day_and_at_its_likely_places_in_between(after: float, tier: Tier) -> None:
    before = state(shard=WAF, found_by=FoundBy.WHOLE, branches=(BRANCH,))

    found = slices(before, layout=LAYOUT, pace=PACE, now=NOON + after, start=0.0)

    assert {item.tier for item in found} == {tier}


def test_a_shard_that_is_to_be_listed_whole_and_never_was_is_at_once() -> None:
    before = state(shard=WAF, found_by=FoundBy.WHOLE, branches=(BRANCH,), deep_done_at=0.0)

    (found,) = slices(before, layout=LAYOUT, pace=PACE, now=NOON + MINUTE, start=0.0)

    assert found.tier is Tier.WHOLE


def test_the_likely_places_are_the_days_since_the_last_look() -> None:
    before = state(shard=WAF, found_by=FoundBy.WHOLE, branches=(BRANCH,))

    (found,) = slices(before, layout=LAYOUT, pace=PACE, now=NOON + HOUR, start=0.0)

    assert found.range.start_after < f"{WAF.prefix}2026/11/24/10/x"
    assert found.range.until > f"{WAF.prefix}2026/11/25/x"
    assert found.range.start_after > f"{WAF.prefix}2026/11/20/x"


def test_a_shard_whose_likely_places_are_not_known_is_not_listed_in_between() -> None:
    before = state(shard=WAF, found_by=FoundBy.WHOLE)

    assert slices(before, layout=LAYOUT, pace=PACE, now=NOON + HOUR, start=0.0) == []


def test_the_slower_of_two_listings() -> None:
    order = [FoundBy.TAIL, FoundBy.RECENT, FoundBy.DEEP, FoundBy.WHOLE]

    assert [[later(one, other) for other in order] for one in order] == [
        order,
        [FoundBy.RECENT, FoundBy.RECENT, FoundBy.DEEP, FoundBy.WHOLE],
        [FoundBy.DEEP, FoundBy.DEEP, FoundBy.DEEP, FoundBy.WHOLE],
        [FoundBy.WHOLE] * 4,
    ]


# Flat


def test_a_flat_prefix_is_listed_from_beginning_to_end_each_time_and_has_no_deep_tier() -> None:
    flat = state(shard=Shard("logs"))

    for after in (MINUTE, 9 * DAY):
        (found,) = slices(flat, layout=FlatLayout(), pace=PACE, now=NOON + after, start=NOON)
        assert (found.range.start_after, found.range.until) == ("", "")


# Catch-ups


@pytest.mark.parametrize(
    ("window", "begin", "until"),
    [
        (Window("2026-11-01", "2026-11-02"), f"{P}2026/10/310", f"{P}2026/11/020"),
        (Window("2026-03-01", None), f"{P}2026/02/280", END),
        (Window(None, "2026-11-02"), "", f"{P}2026/11/020"),
        (Window(), "", END),
    ],
)
def test_a_window_is_one_range_of_whole_days(window: Window, begin: str, until: str) -> None:
    assert window_range(SHARD, window, layout=LAYOUT) == Range(SHARD, begin, until)


# A clock that ran ahead

AHEAD = NOON + CLOCK_SKEW_SECONDS + 1


@pytest.mark.parametrize("cursor", ["listed_at", "recent_at", "deep_at", "deep_done_at"])
def test_a_cursor_of_the_future_makes_a_shard_begin_again(cursor: str) -> None:
    before = state(branches=(BRANCH,), complete_from=1.0, complete_until=2.0, found_by=FoundBy.DEEP, **{cursor: AHEAD})

    assert as_of(before, NOON) == ShardState(
        shard=SHARD, layout="cloudtrail", found_by=FoundBy.DEEP, branches=(BRANCH,)
    )
    assert as_of(before, NOON) == begun_again(before)


@pytest.mark.parametrize("cursor", ["listed_at", "recent_at", "deep_at", "deep_done_at"])
def test_a_cursor_that_two_clocks_may_differ_by_is_now(cursor: str) -> None:
    before = state(**{cursor: NOON + CLOCK_SKEW_SECONDS})

    assert as_of(before, NOON) == state()


def test_cursors_of_the_past_are_as_they_are() -> None:
    assert as_of(state(), NOON) == state()
    assert as_of(state(), NOON + 60 * DAY) == state()


@pytest.mark.parametrize("cursor", ["audit_at", "audited_at", "sealed_audit_at", "sealed_audited_at"])
def test_an_audit_of_the_future_was_never(cursor: str) -> None:
    before = state(audit_key="k", sealed_audit_day="2026-11-01", **{cursor: AHEAD})

    assert as_of(before, NOON) == state()


def test_an_audit_that_two_clocks_may_differ_by_stands() -> None:
    before = state(audit_key="k", audited_at=NOON + CLOCK_SKEW_SECONDS)

    assert as_of(before, NOON) == before


# Whose turn it is


def test_those_overdue_are_looked_at_and_the_stalest_of_the_others() -> None:
    looks = {f"{number:03}": NOON - number * 10.0 for number in range(100)}

    assert due(looks, every=600.0, now=NOON, at_least=0) == {f"{number:03}" for number in range(60, 100)}
    assert due(looks, every=600.0, now=NOON, at_least=50) == {f"{number:03}" for number in range(50, 100)}
    assert overdue(looks, every=600.0, now=NOON) == {f"{number:03}" for number in range(60, 100)}


def test_looks_are_spread_over_the_time_in_which_all_come_round() -> None:
    looks = {f"{number:03}": NOON for number in range(100)}

    assert len(due(looks, every=600.0, now=NOON + 61, at_least=0)) == 11
    assert len(overdue(looks, every=600.0, now=NOON + 61)) == 10
    assert overdue({"one": NOON}, every=600.0, now=NOON + 599) == set()
    assert overdue({"one": NOON}, every=600.0, now=NOON + 600) == {"one"}


def test_a_small_job_looks_at_everything() -> None:
    looks = {f"{number:02}": NOON for number in range(32)}

    assert due(looks, every=HOUR, now=NOON) == set(looks)
    assert due({}, every=HOUR, now=NOON) == set()


def many(**changes: Any) -> list[ShardState]:
    return [state(shard=Shard(f"AWSLogs/{number:012}/CloudTrail/us-east-1/"), **changes) for number in range(300)]


def test_a_shard_is_visited_after_an_eighth_of_the_time_it_has_been_quiet_for() -> None:
    quiet = many(newest_arrival=NOON - 80 * MINUTE)

    assert len(shards_to_visit(quiet, pace=PACE, now=NOON + 10 * MINUTE)) == 300
    assert len(shards_to_visit(quiet, pace=PACE, now=NOON + 10 * MINUTE - 1)) < 300


def test_a_shard_is_visited_within_the_idle_time_however_quiet_it_is_and_at_once_if_never() -> None:
    silent = many(newest_arrival=0.0)

    assert len(shards_to_visit(silent, pace=PACE, now=NOON + 15 * MINUTE)) == 300
    assert len(shards_to_visit(silent, pace=PACE, now=NOON + MINUTE)) < 300
    assert len(shards_to_visit(many(listed_at=0.0), pace=PACE, now=NOON)) == 300


def test_a_small_job_visits_every_shard() -> None:
    assert len(shards_to_visit(many(newest_arrival=0.0)[:64], pace=PACE, now=NOON + 1)) == 64
