"""What is decided about each object of a page: the rows of the table in `syncd.plan`, and where rows meet."""

from collections import Counter
from collections.abc import Mapping
from itertools import product
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.model.keys.layout import CloudTrailLayout
from syncd.model.objects import Known, LogObject, Page, Quarantined, Range, Shard, SkipReason, Transfer
from syncd.tick.listing.plan import Plan, Rules, is_another, make_plan, vouches

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
        "stamp": lambda item: LAYOUT.stamp(SHARD, item),
    }
    return Rules(**{**every, **changes})


def plan(
    *items: LogObject,
    known: Mapping[str, Known] | None = None,
    held: Mapping[str, Quarantined] | None = None,
    in_progress: frozenset[str] = frozenset(),
    replicas: Mapping[str, LogObject] | None = None,
    **changes: Any,
) -> Plan:
    page = Page(Range(SHARD, ""), items, is_last=True)
    return make_plan(
        page,
        known=known or {},
        held=held or {},
        in_progress=in_progress,
        rules=rules(**changes),
        replicas=replicas,
    )


def decision(made: Plan) -> str:
    """Of a plan about one object: the reason to skip it, or how it is copied."""
    if made.transfers:
        (transfer,) = made.transfers
        return "compare" if transfer.compare_first else "copy"
    if made.adopted:
        return "adopt"
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


@pytest.mark.parametrize("remembered", [Known(OTHER, 100), Known(OTHER, 99), Known(None, 100), Known(None, 99)])
def test_a_known_object_that_is_another_now_is_compared_with_its_replica(remembered: Known) -> None:
    made = plan(item(), known={KEY: remembered})

    is_changed = remembered.etag is not None
    assert made.transfers == [Transfer(SHARD, item(), KEY, compare_first=True, is_changed=is_changed)]
    assert made.adopted == []


def test_an_object_in_progress_is_skipped() -> None:
    assert decision(plan(item(), in_progress=frozenset({KEY}))) == "in_progress"


def test_a_conflict_is_not_read_again() -> None:
    assert decision(plan(item(), held={KEY: held_for("conflict")})) == "conflict_known"


def test_a_conflict_is_read_again_when_the_source_has_changed() -> None:
    assert decision(plan(item(), held={KEY: held_for("conflict", etag=OTHER)})) == "copy"


@pytest.mark.parametrize("next_at", [NOW - 1, NOW + 1])
def test_a_failed_object_waits_for_everything_new_whether_or_not_its_time_has_come(next_at: float) -> None:
    made = plan(item(), held={KEY: held_for(next_at=next_at)})

    assert decision(made) == "backing_off"
    assert [transfer.object for transfer in made.deferred] == [item()]


def test_a_failed_object_that_has_changed_since_does_not_wait() -> None:
    assert decision(plan(item(), held={KEY: held_for(etag=OTHER, next_at=NOW + 9e9)})) == "copy"


def test_an_object_that_was_gone_and_is_listed_again_does_not_wait() -> None:
    assert decision(plan(item(), held={KEY: held_for("object_gone")})) == "copy"


def test_an_accepted_object_is_left_alone_until_its_etag_or_its_class_changes() -> None:
    accepted = {KEY: (ETAG, "GLACIER")}

    assert decision(plan(item(storage_class="GLACIER"), accepted=accepted)) == "accepted"
    assert decision(plan(item(storage_class="STANDARD"), accepted=accepted)) == "copy"
    assert decision(plan(item(storage_class="GLACIER", etag=OTHER), accepted=accepted)) == "archived"


def test_what_lies_outside_a_window_is_left_alone() -> None:
    assert decision(plan(item(), is_wanted=lambda _: False)) == "outside_window"


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
    assert made.left_out_stamp == LAYOUT.stamp(SHARD, item())


def test_an_object_that_arrived_at_the_start_is_copied() -> None:
    assert decision(plan(item(last_modified=START))) == "copy"


def test_without_a_start_nothing_is_left_out() -> None:
    assert decision(plan(item(last_modified=1.0), start=0.0)) == "copy"


def test_the_newest_stamp_that_was_left_out_is_the_one_noted() -> None:
    stamps = ["20261124T0805Z", "20261124T0905Z", "20261124T0705Z"]
    items = [item(KEY.replace("20261124T0805Z", stamp), last_modified=START - 1) for stamp in stamps]

    assert plan(*items).left_out_stamp == LAYOUT.stamp(SHARD, items[1])


def test_an_object_that_failed_before_is_not_left_out_though_it_is_from_before_the_start() -> None:
    assert decision(plan(item(last_modified=START - 1), held={KEY: held_for()})) == "backing_off"


# Both sides

MD5, OTHER_MD5 = "0123456789abcdef" * 2, "fedcba9876543210" * 2
LOG = named("AbCdEfGhIjKlMnOp")
FLAT = f"{SHARD.prefix}host0001.log"


def replica(key: str = KEY, **changes: Any) -> LogObject:
    return LogObject(key, "r1", 100, NOW)._replace(**changes)


def test_a_replica_that_vanished_is_copied_again() -> None:
    made = plan(item(), known={KEY: Known(ETAG, 100, "r1")}, replicas={})

    assert (decision(made), made.restored) == ("copy", [KEY])


@pytest.mark.parametrize("listed", [replica(etag="r2"), replica(size_bytes=99)])
def test_a_replica_that_is_another_than_was_written_is_compared(listed: LogObject) -> None:
    made = plan(item(), known={KEY: Known(ETAG, 100, "r1")}, replicas={KEY: listed})

    assert made.transfers == [Transfer(SHARD, item(), KEY, compare_first=True, is_changed=True)]


@pytest.mark.parametrize("remembered", [Known(ETAG, 100, "r1"), Known(ETAG, 100, "")])
def test_a_replica_that_is_as_it_was_written_is_there(remembered: Known) -> None:
    assert decision(plan(item(), known={KEY: remembered}, replicas={KEY: replica()})) == "already_copied"


@pytest.mark.parametrize("there", [{"size_bytes": 99}, {"key": FLAT}])
def test_a_replica_that_only_the_destination_told_of_is_not_adopted_unless_something_vouches_for_it(
    there: dict[str, Any],
) -> None:
    key = there.get("key", KEY)
    made = plan(item(key), known={key: Known(None, 100)}, replicas={key: replica(**there)})

    assert (decision(made), made.adopted) == ("compare", [])


def test_a_replica_with_the_same_md5_is_adopted_with_its_etag() -> None:
    made = plan(item(etag=MD5), replicas={KEY: replica(etag=MD5)}, ran_here=False)

    assert made.adopted == [(item(etag=MD5), MD5)]


def test_a_replica_of_equal_size_alone_is_compared() -> None:
    made = plan(item(FLAT, etag=MD5), replicas={FLAT: replica(FLAT, etag=OTHER_MD5)})

    assert made.transfers == [Transfer(SHARD, item(FLAT, etag=MD5), FLAT, compare_first=True)]


VOUCHING = {
    "same MD5": (True, {"etag": MD5}, {"etag": MD5}, False),
    "same MD5, other size": (False, {"etag": MD5}, {"etag": MD5, "size_bytes": 99}, True),
    "same ETag of parts": (False, {"etag": "abc-2", "key": FLAT}, {"etag": "abc-2"}, True),
    "a log's name": (True, {"key": LOG}, {}, True),
    "a log's name, of another size": (False, {"key": LOG}, {"size_bytes": 99}, True),
    "a log's name, never copied here": (False, {"key": LOG}, {}, False),
    "a log's name, written since": (False, {"key": LOG, "last_modified": NOW + 1}, {}, True),
    "a log's name, written in the same second": (False, {"key": LOG, "last_modified": NOW}, {}, True),
    "another name": (False, {"key": FLAT}, {}, True),
    "a name that is no log's": (False, {"key": named("short")}, {}, True),
}


@pytest.mark.parametrize("case", VOUCHING)
def test_equal_size_is_no_evidence(case: str) -> None:
    expected, source, there, ran_here = VOUCHING[case]

    assert vouches(item(**source), replica(**there), ran_here=ran_here) is expected


def test_an_unknown_object_without_a_replica_is_copied_though_the_destination_was_listed() -> None:
    made = plan(item(), replicas={})

    assert (decision(made), made.restored) == ("copy", [])


def test_an_object_from_before_the_start_is_left_out_though_it_has_a_replica() -> None:
    assert decision(plan(item(last_modified=START - 1), replicas={KEY: replica(etag=ETAG)})) == "before_start"


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
    "there and in an older conflict": (
        "compare",
        {"replicas": {KEY: LogObject(KEY, ETAG, 100, NOW)}, "held": {KEY: held_for("conflict", etag=OTHER)}},
    ),
    "told by the destination and in a known conflict": (
        "conflict_known",
        {"known": {KEY: Known(None, 100)}, "held": {KEY: held_for("conflict")}},
    ),
    "known otherwise and backing off": (
        "backing_off",
        {"known": {KEY: Known(OTHER, 100)}, "held": {KEY: held_for(next_at=NOW + 1)}},
    ),
    "known otherwise and failed": ("backing_off", {"known": {KEY: Known(OTHER, 100)}, "held": {KEY: held_for()}}),
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
    "archived before": ("archived", {"held": {KEY: held_for("archived")}}),
    "known otherwise": ("compare", {"known": {KEY: Known(OTHER, 100)}}),
    "told by the destination": ("compare", {"known": {KEY: Known(None, 100)}}),
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


def test_what_the_ledger_has_no_row_of_is_new() -> None:
    items = [item(named(name)) for name in "abc"]

    made = plan(*items, known={items[0].key: Known(ETAG, 100), items[1].key: Known(OTHER, 100)})

    assert made.new == [items[2]]


def test_an_empty_page_is_an_empty_plan() -> None:
    assert plan() == Plan([], [], [], [], [], Counter(), 0, 0.0, [])


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


@given(drawn=SITUATIONS, there=st.none() | st.sets(st.integers(0, 29)))
def test_every_object_is_copied_adopted_or_skipped_for_one_reason(drawn: list[Any], there: set[int] | None) -> None:
    items, known, held, in_progress = situation_of(drawn)
    replicas = None
    if there is not None:
        replicas = {key: replica(key) for key in (named(f"{number:03}") for number in there)}

    made = plan(*items, known=known, held=held, in_progress=in_progress, replicas=replicas)

    copied = {transfer.object.key for transfer in made.transfers}
    adopted = {found.key for found, _ in made.adopted}
    is_known = {key for key, remembered in known.items() if remembered.etag == ETAG}
    assert len(made.transfers) + len(made.adopted) + sum(made.skipped.values()) == len(items)
    assert not (copied | adopted) & in_progress
    assert not adopted & (copied | is_known)
    assert copied & is_known <= set(made.restored) | set(replicas or {})
    if replicas is None:
        assert not copied & is_known
        assert {transfer.object.key for transfer in made.transfers if transfer.compare_first} == copied & known.keys()


def test_what_failed_before_counts_as_listed_before() -> None:
    other = item(named("b"))

    made = plan(item(), other, held={KEY: held_for()}, in_progress=frozenset({KEY}))

    assert (made.skipped, made.known_listed) == ({SkipReason.IN_PROGRESS: 1}, 1)


def test_a_conflict_of_before_is_compared_though_an_md5_vouches_for_the_replica_now() -> None:
    made = plan(item(etag=MD5), replicas={KEY: replica(etag=MD5)}, held={KEY: held_for("conflict", etag=OTHER)})

    assert decision(made) == "compare"


@pytest.mark.parametrize(("known", "expected"), [({}, False), ({KEY: Known(OTHER, 100)}, True)])
def test_what_is_tried_again_after_everything_new_is_compared_first_if_it_was_there_before(
    known: dict[str, Known], *, expected: bool
) -> None:
    made = plan(item(), known=known, held={KEY: held_for()})

    assert made.deferred == [Transfer(SHARD, item(), KEY, compare_first=expected, is_changed=True)]


@pytest.mark.parametrize(
    ("remembered", "there", "expected"),
    [
        (Known(ETAG, 100, "r1"), replica(), False),
        (Known(ETAG, 100, ""), replica(), False),
        (Known(None, 100, ""), replica(), False),
        (Known(ETAG, 100, "r2"), replica(), True),
        (Known(ETAG, 99, "r1"), replica(), True),
        (Known(ETAG, 99, ""), replica(), True),
    ],
)
def test_another_replica_is_told_by_its_size_or_by_the_etag_that_it_was_written_with(
    remembered: Known, there: LogObject, *, expected: bool
) -> None:
    assert is_another(remembered, there) is expected
