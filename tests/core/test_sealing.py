"""Sealed days: how a listing is cut at them, what counts as the same, and from which day on keys are remembered."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pace import DAY, NOON, PACE

from syncd.model.keys.layout import CloudTrailLayout
from syncd.model.objects import LogObject, Page, Range, Shard, ShardState
from syncd.model.sealed import SealedDay, SealedObject, fold_day
from syncd.tick.listing import sealing
from syncd.tick.listing.sealing import (
    DaySplitter,
    DayTotals,
    Stretch,
    day_ranges,
    first_unsealed_day,
    is_same,
    is_same_there,
)

P = "AWSLogs/222222222222/CloudTrail/us-east-1/"
SHARD = Shard(P, "222222222222", "CloudTrail", "us-east-1")
LAYOUT = CloudTrailLayout()


def item(rest: str, etag: str = "e") -> LogObject:
    return LogObject(P + rest, etag, 10, NOON)


def sealed(*items: LogObject, replica_etag: str = "r") -> SealedDay:
    return fold_day(SealedObject(one.key, one.etag, one.size_bytes, replica_etag) for one in items)


def totals(*items: LogObject) -> DayTotals:
    found = DayTotals()
    for one in items:
        found = found.plus(one)
    return found


A1, A2, B1, B2, C1, ODD = (
    item("2026/10/01/a1"),
    item("2026/10/01/a2"),
    item("2026/10/02/b1"),
    item("2026/10/02/b2"),
    item("2026/10/03/c1"),
    item("readme"),
)
FIRST_DAY, SECOND_DAY, THIRD_DAY = "2026-10-01", "2026-10-02", "2026-10-03"


# The gate


def pages(*cuts: Sequence[LogObject]) -> list[Page]:
    return [
        Page(Range(SHARD, ""), list(items), is_last=number == len(cuts), requested_at=NOON)
        for number, items in enumerate(cuts, 1)
    ]


def runs(days: Sequence[str], *cuts: Sequence[LogObject]) -> list[tuple[str, list[LogObject]]]:
    """Day and objects of each run that has any."""
    gate = DaySplitter(LAYOUT, dict.fromkeys(days, sealed()))
    found = [run for page in pages(*cuts) for run in gate.stretches(page)]
    return [(run.sealed_day, list(run.page.objects)) for run in found if run.page.objects]


ALL = (A1, A2, B1, B2, C1, ODD)
CUTS: dict[str, tuple[Sequence[str], Sequence[Sequence[LogObject]], list[tuple[str, list[LogObject]]]]] = {
    "nothing sealed": ([], [ALL], [("", [*ALL])]),
    "the first day": ([FIRST_DAY], [ALL], [(FIRST_DAY, [A1, A2]), ("", [B1, B2, C1, ODD])]),
    "a day in the middle": ([SECOND_DAY], [ALL], [("", [A1, A2]), (SECOND_DAY, [B1, B2]), ("", [C1, ODD])]),
    "the last day": ([THIRD_DAY], [ALL[:5]], [("", [A1, A2, B1, B2]), (THIRD_DAY, [C1])]),
    "two days that follow one another": (
        [FIRST_DAY, SECOND_DAY],
        [ALL],
        [(FIRST_DAY, [A1, A2]), (SECOND_DAY, [B1, B2]), ("", [C1, ODD])],
    ),
    "a day over two pages": ([FIRST_DAY], [[A1], [A2, B1]], [(FIRST_DAY, [A1, A2]), ("", [B1])]),
    "a day over three pages": ([FIRST_DAY], [[A1], [A2], []], [(FIRST_DAY, [A1, A2])]),
    "a page that ends with its day": ([FIRST_DAY], [[A1, A2], [B1]], [(FIRST_DAY, [A1, A2]), ("", [B1])]),
    "a day that nothing is listed of": ([SECOND_DAY], [[A1, A2, C1]], [("", [A1, A2, C1])]),
}


@pytest.mark.parametrize("case", CUTS)
def test_a_listing_is_cut_where_sealed_days_begin_and_end(case: str) -> None:
    days, cuts, expected = CUTS[case]

    assert runs(days, *cuts) == expected


def test_each_page_gives_a_run_at_its_end_so_that_its_end_is_noticed() -> None:
    gate = DaySplitter(LAYOUT, {FIRST_DAY: sealed()})
    first, last = pages([A1, A2], [])

    assert [(run.page.objects, run.page.is_last) for run in gate.stretches(first)] == [([], False)]
    assert [(run.sealed_day, run.page.is_last) for run in gate.stretches(last)] == [(FIRST_DAY, False), ("", True)]


def test_without_sealed_days_a_page_passes_as_it_is() -> None:
    (page,) = pages(ALL)

    assert list(DaySplitter(LAYOUT, {}).stretches(page)) == [Stretch(page)]


def test_a_run_of_a_sealed_day_adds_up_to_its_totals() -> None:
    gate = DaySplitter(LAYOUT, {FIRST_DAY: sealed(), SECOND_DAY: sealed()})

    found = {run.sealed_day: run.totals for page in pages(ALL) for run in gate.stretches(page)}

    assert found == {FIRST_DAY: totals(A1, A2), SECOND_DAY: totals(B1, B2), "": DayTotals()}


def test_a_day_too_large_to_be_held_is_given_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "LARGEST_DAY_HELD", 1)

    assert runs([FIRST_DAY], [A1, A2, item("2026/10/01/a3")]) == [
        (FIRST_DAY, [A1, A2]),
        (FIRST_DAY, [item("2026/10/01/a3")]),
    ]


@given(sizes=st.lists(st.integers(1, 3), min_size=1, max_size=6), data=st.data())
def test_no_object_is_lost_or_given_twice_wherever_pages_and_days_end(sizes: list[int], data: st.DataObject) -> None:
    items = [item(f"2026/10/{day:02}/{number}") for day, count in enumerate(sizes, 1) for number in range(count)]
    days = data.draw(st.sets(st.sampled_from([f"2026-10-{day:02}" for day in range(1, len(sizes) + 1)])))
    ends = sorted(data.draw(st.sets(st.integers(0, len(items)))))
    cuts = [items[begin:end] for begin, end in zip([0, *ends], [*ends, len(items)], strict=True)]

    found = runs(sorted(days), *cuts)

    assert [one for _, run in found for one in run] == items
    assert [day for day, _ in found if day] == sorted(days)


# The same?

DAY_OF_TWO = sealed(A1, A2)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (totals(A1, A2), True),
        (totals(A2, A1), True),
        (totals(), True),
        (totals(A1), False),
        (totals(A1, A2, B1), False),
        (totals(A1, A2._replace(etag="other")), False),
        (totals(A1, item("2026/10/01/another")), False),
        (DayTotals(2, 0), False),
    ],
)
def test_a_day_is_the_same_by_count_and_by_a_hash_of_keys_and_etags(now: DayTotals, *, expected: bool) -> None:
    assert is_same(DAY_OF_TWO, now) is expected


def test_a_day_of_which_an_etag_was_not_known_is_planned_key_by_key() -> None:
    assert not is_same(DAY_OF_TWO._replace(exact=False), totals(A1, A2))


def replicas(*items: LogObject, **changes: Any) -> dict[str, LogObject]:
    return {one.key: one._replace(**{"etag": "r", **changes}) for one in items}


THERE = {
    "the same": (replicas(A1, A2), True, True),
    "nothing": ({}, False, False),
    "one less": (replicas(A1), False, False),
    "one more": (replicas(A1, A2, B1), False, False),
    "another size": (replicas(A1) | replicas(A2, size_bytes=11), False, False),
    "another key": (replicas(A1, B1), False, True),
    "another ETag": (replicas(A1) | replicas(A2, etag="forged"), False, True),
}


@pytest.mark.parametrize("case", THERE)
def test_the_destination_has_what_was_sealed_by_count_bytes_and_hash(case: str) -> None:
    listed, exact, inexact = THERE[case]

    assert is_same_there(DAY_OF_TWO, listed) is exact
    assert is_same_there(sealed(A1, A2, replica_etag=""), listed) is inexact


# Ranges

RANGES = {
    "none": ([], []),
    "one": ([SECOND_DAY], [("2026/10/010", "2026/10/020")]),
    "two that follow one another": ([FIRST_DAY, SECOND_DAY], [("2026/09/300", "2026/10/020")]),
    "two with a day between": (
        [FIRST_DAY, THIRD_DAY],
        [("2026/09/300", "2026/10/010"), ("2026/10/020", "2026/10/030")],
    ),
    "over the end of a year": (["2025-12-31", "2026-01-01"], [("2025/12/300", "2026/01/010")]),
}


@pytest.mark.parametrize("case", RANGES)
def test_days_are_listed_in_as_few_ranges_as_cover_no_other(case: str) -> None:
    days, expected = RANGES[case]

    assert day_ranges(SHARD, days, LAYOUT) == [Range(SHARD, P + begin, P + end) for begin, end in expected]


# From which day on keys are remembered


def state(**changes: Any) -> ShardState:
    every: dict[str, Any] = {
        "shard": SHARD,
        "frontier": NOON,
        "listed_at": NOON,
        "recent_at": NOON,
        "deep_at": NOON,
        "deep_done_at": NOON,
    }
    return ShardState(**{**every, **changes})


UNSEALED = {
    "all tiers looked just now": ({}, {}, "2026-10-21"),
    "deep looked ten days ago": ({"deep_done_at": NOON - 10 * DAY}, {}, "2026-10-11"),
    "deep never came to its end": ({"deep_done_at": 0.0}, {}, "2026-10-21"),
    "a deep round is under way": ({"deep_at": NOON, "deep_done_at": NOON - DAY}, {}, "2026-10-20"),
    "recent looked forty days ago": ({"recent_at": NOON - 40 * DAY}, {}, "2026-10-12"),
    "nothing came for forty days": ({"frontier": NOON - 40 * DAY}, {}, "2026-10-12"),
    "recent is wider than deep": ({}, {"recent": 60 * DAY}, "2026-09-23"),
    "the clock was set back": ({"deep_done_at": NOON + 9 * DAY, "recent_at": NOON + 9 * DAY}, {}, "2026-10-21"),
    "an early clock": ({"deep_done_at": DAY, "frontier": DAY}, {}, "1970-01-01"),
}


@pytest.mark.parametrize("case", UNSEALED)
def test_what_any_tier_may_still_list_is_remembered_key_by_key(case: str) -> None:
    changes, pace, expected = UNSEALED[case]

    assert first_unsealed_day(state(**changes), PACE._replace(**pace), NOON) == expected
