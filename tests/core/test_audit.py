"""The audit: which rows and days are compared when, and what becomes of a replica that is not as it was."""

from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

import pytest
from builders_ledger import replica
from fakes import MemoryBucket, MemoryCopier, MemorySource
from fakes_ledger import MemoryLedger, MemoryLedgerFile

from syncd.job.planning import ForgivingLister
from syncd.model.errors import JobFailed
from syncd.model.keys.layout import CloudTrailLayout
from syncd.model.objects import Conflict, Copied, LogObject, Shard, ShardState, Transfer, Window
from syncd.tick import audit
from syncd.tick.audit import Audit
from syncd.tick.listing.survey import Survey, Visit
from syncd.tick.ports import Ports
from syncd.tick.recorder import Recorder
from syncd.tick.task import Pace, Task, audit_lists_a_day

P = "AWSLogs/222222222222/CloudTrail/us-east-1/"
SHARD = Shard(P, "222222222222", "CloudTrail", "us-east-1")
OTHER = Shard("AWSLogs/222222222222/CloudTrail/eu-west-1/", "222222222222", "CloudTrail", "eu-west-1")
DAY = 86400.0
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC).timestamp()
PACE = Pace(
    tail=3600.0,
    recent=2 * DAY,
    recent_every=3600.0,
    deep=33 * DAY,
    deep_every=DAY,
    discovery_every=3600.0,
    idle_every=900.0,
    lateness=1800.0,
)


class Desk:
    """A ledger, a destination, and what an audit made of them."""

    def __init__(self) -> None:
        self.destination = MemoryBucket()
        self.ledger: MemoryLedger = MemoryLedgerFile().open(replica(), "job")
        self.recorder = Recorder(self.ledger, now=lambda: NOON, stamp=lambda _, item: item.last_modified)
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.is_denied = False
        self.planned: list[str] = []
        self.found_of_a_day = 0

    def copied(self, rest: str, *, shard: Shard = SHARD, body: bytes = b"body", knows_replica: bool = True) -> str:
        """A row, and the replica that it is of."""
        key = shard.prefix + rest
        written = self.destination.put(f"copy/{key}", body)
        item = LogObject(key, "source's", len(body), NOON - 40 * DAY)
        outcome = Copied(Transfer(shard, item, f"copy/{key}"), written.etag if knows_replica else "")
        self.ledger.record([outcome], [], now=NOON)
        return key

    def run(self, *states: ShardState, pace: Pace = PACE, began_at: float = NOON, **more: Any) -> dict[str, Visit]:
        """One tick's part; the visits as they are after it."""

        def tell(event: str, **facts: Any) -> None:
            self.told.append((event, facts))

        def plan_day(shard: Shard, day: str) -> Generator[Transfer | None, None, int]:
            self.planned.append(shard.prefix + day)
            yield None
            return self.found_of_a_day

        there = MemorySource(self.destination, refuse=self.refuse)
        self.lists = there.lists
        task = Task(
            job="job",
            scope=None,
            shard=SHARD,
            layout=CloudTrailLayout(),
            destination_prefix="copy/",
            pace=pace,
            start=lambda now: now,
            window=more.get("window"),
        )
        ports = Ports(
            source=MemorySource(MemoryBucket()),
            source_bucket="trail",
            destination=ForgivingLister(there, tell),
            copier=MemoryCopier(MemoryBucket(), self.destination),
            ledger=self.ledger,
            now=lambda: began_at,
            tell=tell,
        )
        visits = {state.shard.prefix: Visit(state) for state in states or (state_of(),)}
        found = Audit(task, ports, Survey(visits=visits), self.recorder, more.get("accepted", {}), began_at=began_at)
        self.transfers = [one for one in found.transfers(plan_day, lambda transfer: transfer) if one is not None]
        self.recorder.flush()
        return visits

    def refuse(self, _prefix: str, _page: int) -> JobFailed | None:
        return JobFailed("access_denied", "ListObjectsV2", "") if self.is_denied else None

    def keys(self) -> list[str]:
        return [transfer.object.key for transfer in self.transfers]


def state_of(**changes: Any) -> ShardState:
    """Audited a day ago, its sealed days a minute ago."""
    every: dict[str, Any] = {
        "shard": SHARD,
        "listed_at": NOON - 300,
        "audited_at": NOON - DAY,
        "sealed_audited_at": NOON - 60,
        "complete_from": NOON - 31 * DAY,
    }
    return ShardState(**{**every, **changes})


TODAY = "2026/11/24/"


# Remembered keys


def test_replicas_that_are_as_they_were_written_take_one_listing_and_nothing_else() -> None:
    desk = Desk()
    for name in "abc":
        desk.copied(TODAY + name)

    visits = desk.run()

    assert (desk.transfers, desk.told, desk.lists.total()) == ([], [], 1)
    assert (visits[P].state.audited_at, visits[P].state.audit_key, visits[P].is_audited) == (NOON, "", True)


def test_a_replica_that_vanished_is_copied_again_and_told_of() -> None:
    desk = Desk()
    desk.copied(TODAY + "a")
    gone = desk.copied(TODAY + "b")
    desk.destination.delete(f"copy/{gone}")

    desk.run()

    (transfer,) = desk.transfers
    assert (transfer.object.key, transfer.destination_key) == (gone, f"copy/{gone}")
    assert (transfer.object.etag, transfer.object.size_bytes) == ("source's", 4)
    assert (transfer.compare_first, transfer.is_changed) == (False, False)
    assert desk.told == [("replica.restored", {"key": gone, "found": "vanished"})]
    assert desk.recorder.counts.restored == 1


def test_what_is_copied_again_may_be_claimed_by_the_first_second_of_its_day() -> None:
    desk = Desk()
    dated, loose = desk.copied(TODAY + "a"), desk.copied("readme")
    for key in (dated, loose):
        desk.destination.delete(f"copy/{key}")

    desk.run()

    assert {one.object.key: one.object.last_modified for one in desk.transfers} == {
        dated: NOON - DAY / 2,
        loose: NOON - 31 * DAY,
    }


@pytest.mark.parametrize("body", [b"b0dy", b"longer"])
def test_a_replica_that_is_another_is_compared_with_the_source(body: bytes) -> None:
    desk = Desk()
    key = desk.copied(TODAY + "a")
    desk.destination.put(f"copy/{key}", body)

    desk.run()

    assert [(one.object.key, one.compare_first, one.is_changed) for one in desk.transfers] == [(key, True, True)]
    assert desk.recorder.counts.restored == 0


def test_a_replica_whose_etag_nobody_was_told_is_taken_as_it_is_and_watched_from_then_on() -> None:
    desk = Desk()
    key = desk.copied(TODAY + "a", knows_replica=False)

    desk.run()

    assert desk.transfers == []
    assert desk.ledger.known(SHARD, [key])[key].replica_etag == desk.destination.objects[f"copy/{key}"].etag


def test_what_an_operator_let_go_of_and_what_is_being_copied_is_left_alone() -> None:
    desk = Desk()
    accepted, busy = desk.copied(TODAY + "a"), desk.copied(TODAY + "b")
    for key in (accepted, busy):
        desk.destination.delete(f"copy/{key}")
    desk.recorder.in_progress.add(busy)

    desk.run(accepted={accepted: ("source's", "STANDARD")})

    assert desk.transfers == []


@pytest.mark.parametrize(
    ("changes", "pace", "lists"),
    [
        ({}, {}, 1),
        ({"audited_at": NOON - DAY + 1}, {}, 0),
        ({"audited_at": NOON - DAY + 1, "audit_key": P}, {}, 1),
        ({}, {"audit_every": 0.0}, 0),
        ({}, {"audit_every": 2 * DAY}, 0),
        ({"listed_at": 0.0}, {}, 0),
    ],
)
def test_remembered_keys_are_compared_once_a_day(changes: dict[str, Any], pace: dict[str, float], lists: int) -> None:
    desk = Desk()
    desk.copied(TODAY + "a")

    desk.run(state_of(**changes), pace=PACE._replace(**pace))

    assert desk.lists.total() == lists


def test_a_catch_up_does_not_audit() -> None:
    desk = Desk()
    desk.copied(TODAY + "a")

    desk.run(window=Window())

    assert desk.lists.total() == 0


def test_a_round_that_is_too_long_for_a_tick_goes_on_in_the_next_and_counts_from_its_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audit, "LISTED_AT_ONCE", 2)
    monkeypatch.setattr(audit, "LISTS_A_TICK", 2)
    desk = Desk()
    keys = [desk.copied(f"2026/11/{day}/x") for day in (20, 21, 22, 23, 24)]
    desk.destination.delete(f"copy/{keys[4]}")

    first = desk.run()[P].state
    assert (first.audit_key, first.audit_at, first.audited_at) == (keys[1], NOON, NOON - DAY)
    second = desk.run(first._replace(listed_at=NOON), began_at=NOON + 300)[P].state
    assert desk.keys() == []
    third = desk.run(second._replace(listed_at=NOON + 300), began_at=NOON + 600)[P].state

    assert desk.keys() == [keys[4]]
    assert (third.audit_key, third.audited_at) == ("", NOON)


def test_the_stalest_shard_comes_first_and_who_ticks_rarely_has_more_listings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "LISTS_A_TICK", 1)
    states = [state_of(), state_of(shard=OTHER, audited_at=NOON - 3 * DAY)]
    desk = Desk()
    desk.copied(TODAY + "a")
    desk.copied(TODAY + "a", shard=OTHER)

    desk.run(*states)
    assert set(desk.lists) == {f"copy/{OTHER.prefix}"}
    desk.run(*(one._replace(listed_at=NOON - 3600) for one in states))
    assert set(desk.lists) == {f"copy/{OTHER.prefix}", f"copy/{P}"}


def test_a_destination_that_may_not_be_listed_proves_nothing() -> None:
    desk = Desk()
    desk.copied(TODAY + "a")
    desk.is_denied = True

    visits = desk.run()

    assert (desk.transfers, visits[P].state.audited_at, visits[P].is_audited) == ([], NOON - DAY, False)


# Sealed days

OLD, OLDER = "2026/10/02/", "2026/10/01/"
DUE = {"audited_at": NOON, "sealed_audited_at": NOON - 7 * DAY}


def sealed_desk() -> tuple[Desk, list[str]]:
    desk = Desk()
    keys = [desk.copied(OLDER + "a"), desk.copied(OLD + "b"), desk.copied(OLD + "c")]
    desk.ledger.seal(SHARD, "2026-10-20", limit=100)
    return desk, keys


def test_sealed_days_that_follow_one_another_take_one_listing() -> None:
    desk, _ = sealed_desk()

    visits = desk.run(state_of(**DUE))

    assert (desk.planned, desk.transfers, desk.lists.total()) == ([], [], 1)
    assert (visits[P].state.sealed_audited_at, visits[P].state.sealed_audit_day) == (NOON, "")


@pytest.mark.parametrize("how", ["vanished", "replaced", "one more"])
def test_a_sealed_day_that_is_not_as_it_was_is_planned_key_by_key(how: str) -> None:
    desk, keys = sealed_desk()
    desk.found_of_a_day = 2
    if how == "vanished":
        desk.destination.delete(f"copy/{keys[1]}")
    else:
        desk.destination.put(f"copy/{keys[1]}" + "+" * (how == "one more"), b"b0dy")

    desk.run(state_of(**DUE))

    assert desk.planned == [f"{P}2026-10-02"]
    assert [event for event, _ in desk.told] == ["replica.restored"]
    assert desk.ledger.quarantined() == {}


def test_objects_that_neither_side_has_any_more_are_lost_and_said_to_be() -> None:
    desk, keys = sealed_desk()
    desk.found_of_a_day = 1
    desk.destination.delete(f"copy/{keys[1]}")

    desk.run(state_of(**DUE))

    (held,) = desk.ledger.quarantined().values()
    assert (held.object.key, held.reason) == (P + OLD, "replica_lost")
    assert held.object.last_modified == datetime(2026, 10, 2, tzinfo=UTC).timestamp()
    assert desk.told[-1] == ("replica.lost", {"shard": P, "day": "2026-10-02", "lost": 1})


def test_lost_objects_that_an_operator_let_go_of_are_not_told_of_again() -> None:
    desk, keys = sealed_desk()
    desk.found_of_a_day = 1
    desk.destination.delete(f"copy/{keys[1]}")

    desk.run(state_of(**DUE), accepted={P + OLD: ("", "STANDARD")})

    assert desk.ledger.quarantined() == {}
    assert "replica.lost" not in [event for event, _ in desk.told]


def test_objects_that_are_remembered_beside_their_sealed_day_do_not_count_to_it() -> None:
    desk, keys = sealed_desk()
    held = LogObject(P + OLD + "d", "source's", 4, NOON)
    desk.ledger.record([Conflict(Transfer(SHARD, held, f"copy/{held.key}"), "other content")], [], now=NOON)
    desk.ledger.accept(held.key)
    desk.destination.put(f"copy/{held.key}", b"b0dy")

    desk.run(state_of(**DUE))

    assert keys
    assert desk.planned == []


@pytest.mark.parametrize(
    ("changes", "pace", "lists"),
    [
        ({}, {}, 1),
        ({"sealed_audited_at": NOON - 7 * DAY + 1}, {}, 0),
        ({"sealed_audited_at": NOON - 60, "sealed_audit_day": "2026-10-01"}, {}, 1),
        ({"sealed_audited_at": NOON - 60, "sealed_audit_day": "2026-10-02"}, {}, 0),
        ({}, {"audit_sealed_every": 0.0}, 0),
    ],
)
def test_sealed_days_are_compared_once_a_week(changes: dict[str, Any], pace: dict[str, float], lists: int) -> None:
    desk, _ = sealed_desk()

    desk.run(state_of(**{**DUE, **changes}), pace=PACE._replace(**pace))

    assert desk.lists.total() == lists


def test_a_round_over_sealed_days_goes_on_in_the_next_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "LISTED_AT_ONCE", 1)
    monkeypatch.setattr(audit, "LISTS_A_TICK", 1)
    desk, _ = sealed_desk()

    first = desk.run(state_of(**DUE))[P].state
    assert (first.sealed_audit_day, first.sealed_audit_at) == ("2026-10-01", NOON)
    assert first.sealed_audited_at == NOON - 7 * DAY
    second = desk.run(first, began_at=NOON + 300)[P].state

    assert (second.sealed_audit_day, second.sealed_audited_at) == ("", NOON)


def test_a_sealed_day_of_which_nothing_can_be_listed_proves_nothing() -> None:
    desk, _ = sealed_desk()
    desk.is_denied = True

    visits = desk.run(state_of(**DUE))

    assert (desk.planned, visits[P].state.sealed_audited_at) == ([], NOON - 7 * DAY)


def test_the_audit_passes_over_days_that_are_sealed_between_remembered_keys() -> None:
    desk, _ = sealed_desk()
    first, last = desk.copied("2026/09/30/x"), desk.copied(TODAY + "x")
    for number in range(9):
        desk.destination.put(f"copy/{P}{OLD}{number}", b"more")

    desk.run()

    assert desk.transfers == []
    assert desk.lists.total() == 2
    assert first < last


# What it costs


@pytest.mark.parametrize(
    ("counts", "shards", "pace", "expected"),
    [
        ((0, 0), 5, {}, 0),
        ((10_000, 0), 5, {}, 10),
        ((10, 0), 5, {}, 5),
        ((10_000, 70_000), 5, {}, 20),
        ((10_000, 70_000), 5, {"audit_every": 0.0}, 10),
        ((10_000, 70_000), 5, {"audit_sealed_every": 0.0}, 10),
        ((10_000, 0), 5, {"audit_every": DAY / 2}, 20),
    ],
)
def test_the_audits_listings_a_day(counts: tuple[int, int], shards: int, pace: dict[str, float], expected: int) -> None:
    assert audit_lists_a_day(PACE._replace(**pace), counts, shards) == expected
