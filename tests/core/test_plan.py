"""What is decided about each object of a page: the rows of the table in `syncd.plan`, and where rows meet."""

from collections import Counter
from collections.abc import Mapping
from itertools import product
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.layout import CloudTrailLayout
from syncd.model import Known, LogObject, Page, Plan, Quarantined, Range, Shard, SkipReason, Transfer
from syncd.plan import Rules, make_plan

SHARD = Shard("AWSLogs/222222222222/CloudTrail/us-east-1/", "222222222222", "CloudTrail", "us-east-1")
NOW, START = 1_795_507_200.0, 1_795_000_000.0
ETAG, OTHER = "e1", "e2"
LAYOUT = CloudTrailLayout()


def named(text: str) -> str:
    return f"{SHARD.prefix}2026/11/24/222222222222_CloudTrail_us-east-1_20261124T0805Z_{text}.json.gz"


KEY = named("a")


def item(key: str = KEY, **changes: Any) -> LogObject:
    return LogObject(key, ETAG, 100, NOW - 60)._replace(**changes)


def held_for(
    reason: str = "access_denied", *, etag: str = ETAG, next_at: float = NOW - 1, key: str = KEY
) -> Quarantined:
    return Quarantined(item(key, etag=etag), SHARD, reason, "why", 1, NOW - 600, next_at)


def rules(**changes: Any) -> Rules:
    every: dict[str, Any] = {
        "destination_prefix": "",
        "start": START,
        "backs_off_at": NOW,
        "stamp": LAYOUT.stamp,
        "is_parsed": LAYOUT.is_parsed,
    }
    return Rules(**{**every, **changes})


def plan(
    *items: LogObject,
    known: Mapping[str, Known] | None = None,
    held: Mapping[str, Quarantined] | None = None,
    in_progress: frozenset[str] = frozenset(),
    **changes: Any,
) -> Plan:
    page = Page(Range(SHARD, ""), items, is_last=True)
    return make_plan(page, known=known or {}, held=held or {}, in_progress=in_progress, rules=rules(**changes))


def decision(made: Plan) -> str:
    """Of a plan about one object: the reason to skip it, or how it is copied."""
    if made.transfers:
        (transfer,) = made.transfers
        return "compare" if transfer.compare_first else "copy"
    ((reason, count),) = made.skipped.items()
    assert count == 1
    return reason.value


# The table


def test_an_unknown_object_is_copied() -> None:
    made = plan(item(), destination_prefix="replica/")

    assert made.transfers == [Transfer(SHARD, item(), f"replica/{KEY}", compare_first=False)]
    assert (made.skipped, made.adopted, made.known_listed) == ({}, [], 0)


def test_an_object_that_was_copied_is_skipped() -> None:
    made = plan(item(), known={KEY: Known(ETAG, 100)})

    assert made.skipped == {SkipReason.ALREADY_COPIED: 1}
    assert (made.transfers, made.adopted, made.known_listed) == ([], [], 1)


def test_the_etag_of_a_replica_that_only_the_destination_told_of_is_adopted() -> None:
    made = plan(item(), known={KEY: Known(None, 100)})

    assert made.adopted == [item()]
    assert made.skipped == {SkipReason.ALREADY_COPIED: 1}


@pytest.mark.parametrize("remembered", [Known(OTHER, 100), Known(OTHER, 99), Known(None, 99)])
def test_a_known_object_that_is_another_now_is_compared_with_its_replica(remembered: Known) -> None:
    made = plan(item(), known={KEY: remembered})

    assert made.transfers == [Transfer(SHARD, item(), KEY, compare_first=True)]
    assert made.adopted == []


def test_an_object_in_progress_is_skipped() -> None:
    assert decision(plan(item(), in_progress=frozenset({KEY}))) == "in_progress"


def test_a_conflict_is_not_read_again() -> None:
    assert decision(plan(item(), held={KEY: held_for("conflict")})) == "conflict_known"


def test_a_conflict_is_read_again_when_the_source_has_changed() -> None:
    assert decision(plan(item(), held={KEY: held_for("conflict", etag=OTHER)})) == "copy"


def test_a_failed_object_waits_for_its_time() -> None:
    assert decision(plan(item(), held={KEY: held_for(next_at=NOW + 1)})) == "backing_off"


@pytest.mark.parametrize("next_at", [NOW - 1, NOW])
def test_a_failed_object_whose_time_has_come_is_copied(next_at: float) -> None:
    assert decision(plan(item(), held={KEY: held_for(next_at=next_at)})) == "copy"


def test_a_failed_object_does_not_wait_where_somebody_asked_for_everything_now() -> None:
    assert decision(plan(item(), held={KEY: held_for(next_at=NOW + 9e9)}, backs_off_at=None)) == "copy"


def test_a_failed_object_that_has_changed_since_does_not_wait() -> None:
    assert decision(plan(item(), held={KEY: held_for(etag=OTHER, next_at=NOW + 9e9)})) == "copy"


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object_is_skipped(storage_class: str) -> None:
    made = plan(item(storage_class=storage_class))

    assert decision(made) == "archived"
    assert [transfer.object.key for transfer in made.archived] == [KEY]


@pytest.mark.parametrize("storage_class", ["STANDARD", "STANDARD_IA", "GLACIER_IR", "INTELLIGENT_TIERING", ""])
def test_an_object_of_a_class_that_can_be_read_is_copied(storage_class: str) -> None:
    assert decision(plan(item(storage_class=storage_class))) == "copy"


def test_an_archived_object_that_was_copied_before_is_no_matter() -> None:
    made = plan(item(storage_class="GLACIER"), known={KEY: Known(ETAG, 100)})

    assert (decision(made), made.archived) == ("already_copied", [])


def test_an_object_from_before_the_start_is_left_out_and_its_stamp_is_noted() -> None:
    made = plan(item(last_modified=START - 1))

    assert decision(made) == "before_start"
    assert made.left_out_stamp == LAYOUT.stamp(item())


def test_an_object_that_arrived_at_the_start_is_copied() -> None:
    assert decision(plan(item(last_modified=START))) == "copy"


def test_without_a_start_nothing_is_left_out() -> None:
    assert decision(plan(item(last_modified=1.0), start=0.0)) == "copy"


def test_the_newest_stamp_that_was_left_out_is_the_one_noted() -> None:
    stamps = ["20261124T0805Z", "20261124T0905Z", "20261124T0705Z"]
    items = [item(KEY.replace("20261124T0805Z", stamp), last_modified=START - 1) for stamp in stamps]

    assert plan(*items).left_out_stamp == LAYOUT.stamp(items[1])


def test_an_object_that_failed_before_is_copied_though_it_is_from_before_the_start() -> None:
    assert decision(plan(item(last_modified=START - 1), held={KEY: held_for()})) == "copy"


# Where rows meet

MEETINGS = {
    "copied and in progress": ("already_copied", {"known": {KEY: Known(ETAG, 100)}, "in_progress": frozenset({KEY})}),
    "copied and held": ("already_copied", {"known": {KEY: Known(ETAG, 100)}, "held": {KEY: held_for("conflict")}}),
    "known otherwise and in progress": (
        "in_progress",
        {"known": {KEY: Known(OTHER, 100)}, "in_progress": frozenset({KEY})},
    ),
    "known otherwise and in a known conflict": (
        "conflict_known",
        {"known": {KEY: Known(OTHER, 100)}, "held": {KEY: held_for("conflict")}},
    ),
    "known otherwise and in an older conflict": (
        "compare",
        {"known": {KEY: Known(OTHER, 100)}, "held": {KEY: held_for("conflict", etag=OTHER)}},
    ),
    "told by the destination and in an older conflict": (
        "compare",
        {"known": {KEY: Known(None, 100)}, "held": {KEY: held_for("conflict", etag=OTHER)}},
    ),
    "told by the destination and in a known conflict": (
        "conflict_known",
        {"known": {KEY: Known(None, 100)}, "held": {KEY: held_for("conflict")}},
    ),
    "known otherwise and backing off": (
        "backing_off",
        {"known": {KEY: Known(OTHER, 100)}, "held": {KEY: held_for(next_at=NOW + 1)}},
    ),
    "known otherwise and failed": ("compare", {"known": {KEY: Known(OTHER, 100)}, "held": {KEY: held_for()}}),
    "told by the destination and failed": (
        "already_copied",
        {"known": {KEY: Known(None, 100)}, "held": {KEY: held_for()}},
    ),
    "in progress and in conflict": (
        "in_progress",
        {"in_progress": frozenset({KEY}), "held": {KEY: held_for("conflict")}},
    ),
}


@pytest.mark.parametrize("meeting", MEETINGS)
def test_where_two_rows_meet_the_first_of_the_table_decides(meeting: str) -> None:
    expected, situation = MEETINGS[meeting]

    assert decision(plan(item(), **situation)) == expected


ARCHIVED = item(storage_class="GLACIER")
ARCHIVED_MEETINGS = {
    "in progress": ("in_progress", {"in_progress": frozenset({KEY})}),
    "backing off": ("backing_off", {"held": {KEY: held_for(next_at=NOW + 1)}}),
    "failed before": ("archived", {"held": {KEY: held_for()}}),
    "known otherwise": ("compare", {"known": {KEY: Known(OTHER, 100)}}),
    "told by the destination": ("already_copied", {"known": {KEY: Known(None, 100)}}),
}


@pytest.mark.parametrize("meeting", ARCHIVED_MEETINGS)
def test_an_archived_object_is_decided_by_what_is_known_of_it_first(meeting: str) -> None:
    expected, situation = ARCHIVED_MEETINGS[meeting]

    assert decision(plan(ARCHIVED, **situation)) == expected


def test_an_archived_object_from_before_the_start_is_left_out_as_such() -> None:
    made = plan(item(storage_class="GLACIER", last_modified=START - 1))

    assert (decision(made), made.archived) == ("before_start", [])


def test_an_archived_object_that_is_held_already_is_not_held_again() -> None:
    assert plan(ARCHIVED, held={KEY: held_for("archived")}).archived == []


def test_an_old_object_that_is_known_otherwise_is_compared_and_not_left_out() -> None:
    assert decision(plan(item(last_modified=1.0), known={KEY: Known(OTHER, 100)})) == "compare"


# The page as a whole


def test_each_object_of_a_page_is_decided_by_itself_in_order() -> None:
    items = [item(named(name)) for name in "abcd"]

    made = plan(*items, known={items[1].key: Known(ETAG, 100), items[2].key: Known(OTHER, 1)})

    assert [transfer.object.key for transfer in made.transfers] == [items[0].key, items[2].key, items[3].key]
    assert made.skipped == {SkipReason.ALREADY_COPIED: 1}
    assert made.known_listed == 2


def test_keys_that_do_not_parse_are_copied_and_counted() -> None:
    odd = [item(key) for key in (f"{SHARD.prefix}note.txt", f"{SHARD.prefix}2026/11/24/", f"{SHARD.prefix}ü")]

    made = plan(item(), *odd)

    assert ([transfer.object for transfer in made.transfers], made.unparsed) == ([item(), *odd], 3)


def test_a_key_that_does_not_parse_is_counted_when_it_is_copied_and_not_each_time_it_is_listed() -> None:
    odd = item(f"{SHARD.prefix}note.txt")

    assert plan(odd, known={odd.key: Known(ETAG, 100)}).unparsed == 0


def test_an_empty_page_is_an_empty_plan() -> None:
    assert plan() == Plan([], [], [], Counter(), 0, 0, 0.0)


KNOWN = [None, Known(ETAG, 100), Known(OTHER, 100), Known(None, 100), Known(None, 1)]
HELD = [
    None,
    *(held_for(r, etag=e, next_at=n) for r, e, n in product(("conflict", "x"), (ETAG, OTHER), (NOW - 1, NOW + 1))),
]
SITUATIONS = st.lists(
    st.tuples(
        st.sampled_from(KNOWN),
        st.sampled_from(HELD),
        st.booleans(),
        st.sampled_from(["STANDARD", "GLACIER"]),
        st.sampled_from([START - 1, NOW - 60]),
    ),
    max_size=30,
)


class Situation(NamedTuple):
    """A page, and what is known of its keys."""

    items: list[LogObject]
    known: dict[str, Known]
    held: dict[str, Quarantined]
    in_progress: frozenset[str]


def situation_of(drawn: list[Any]) -> Situation:
    situation = Situation([], {}, {}, frozenset())
    busy = set()
    for number, (remembered, quarantined, is_busy, storage_class, last_modified) in enumerate(drawn):
        key = named(f"{number:03}")
        situation.items.append(item(key, storage_class=storage_class, last_modified=last_modified))
        if remembered is not None:
            situation.known[key] = remembered
        if quarantined is not None:
            situation.held[key] = quarantined._replace(object=quarantined.object._replace(key=key))
        if is_busy:
            busy.add(key)
    return situation._replace(in_progress=frozenset(busy))


@given(drawn=SITUATIONS, backs_off_at=st.sampled_from([None, NOW]))
def test_every_object_is_either_copied_or_skipped_for_one_reason(drawn: list[Any], backs_off_at: float | None) -> None:
    items, known, held, in_progress = situation_of(drawn)

    made = plan(*items, known=known, held=held, in_progress=in_progress, backs_off_at=backs_off_at)

    copied = {transfer.object.key for transfer in made.transfers}
    assert len(made.transfers) + sum(made.skipped.values()) == len(items)
    assert not copied & in_progress
    assert not copied & {key for key, remembered in known.items() if remembered.etag == ETAG}
    assert {transfer.object.key for transfer in made.transfers if transfer.compare_first} == copied & known.keys()
    assert not {adopted.key for adopted in made.adopted} & copied
    assert all(known[adopted.key].etag is None for adopted in made.adopted)


def test_what_failed_before_counts_as_listed_before() -> None:
    other = item(named("b"))

    made = plan(item(), other, held={KEY: held_for()}, in_progress=frozenset({KEY}))

    assert (made.skipped, made.known_listed) == ({SkipReason.IN_PROGRESS: 1}, 1)
