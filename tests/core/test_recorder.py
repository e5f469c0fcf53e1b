"""What a tick counts and records, and which failures are the job's rather than each object's own."""

from typing import Any

import pytest
from builders_ledger import replica
from fakes_ledger import MemoryLedger, MemoryLedgerFile

from syncd.model.errors import JobFailed
from syncd.model.objects import AlreadyThere, Conflict, Copied, Failed, LogObject, Outcome, Shard, SkipReason, Transfer
from syncd.tick.listing.plan import Plan
from syncd.tick.recorder import (
    MOST_HELD,
    RECORD_EVERY_OBJECTS,
    RECORD_EVERY_SECONDS,
    REFUSED_IN_A_ROW,
    Recorder,
    lateness_bound,
)

SHARD = Shard("logs/")
NOW = 1_795_507_200.0
DENIED = "access_denied"


class Desk:
    """A recorder, its ledger and its clock."""

    def __init__(self, **more: Any) -> None:
        self.now = NOW
        self.ledger: MemoryLedger = MemoryLedgerFile().open(replica(), "job")
        self.recorder = Recorder(
            self.ledger, now=lambda: self.now, stamp=lambda _, item: item.last_modified - 90, **more
        )
        self.number = 0

    def transfer(self) -> Transfer:
        self.number += 1
        key = f"logs/{self.number:04}"
        return Transfer(SHARD, LogObject(key, "e", 10, NOW - 60), f"copy/{key}")

    def begun(self) -> Transfer:
        transfer = self.transfer()
        self.recorder.begin(transfer)
        return transfer

    def end(self, outcome: Outcome, **more: Any) -> bool:
        return self.recorder.take(outcome, **{"is_live": True, **more})

    def fail(self, count: int, reason: str = DENIED, **more: Any) -> None:
        for _ in range(count):
            self.end(Failed(self.begun(), reason, "GetObject: no"), **more)

    def copy(self, count: int = 1) -> None:
        for _ in range(count):
            self.end(Copied(self.begun(), "r"))


# Denials


def test_a_hundred_denials_in_a_row_make_it_likely_that_the_next_is_denied_too() -> None:
    desk = Desk()
    desk.fail(REFUSED_IN_A_ROW - 1)
    assert not desk.recorder.is_denied
    desk.fail(1)
    assert desk.recorder.is_denied


@pytest.mark.parametrize("reason", [DENIED, "kms_access_denied"])
def test_denials_of_all_even_of_the_newest_are_the_jobs(reason: str) -> None:
    desk = Desk()
    desk.fail(REFUSED_IN_A_ROW, reason)
    desk.recorder.begin_anew()
    assert not desk.recorder.is_denied
    desk.fail(1, reason)

    with pytest.raises(JobFailed) as failed:
        desk.recorder.require_readable()
    assert failed.value.reason == reason


def test_denials_of_which_one_of_the_newest_was_none_are_each_objects_own() -> None:
    desk = Desk()
    desk.fail(REFUSED_IN_A_ROW)
    desk.recorder.begin_anew()
    desk.copy()

    desk.recorder.require_readable()


def test_denials_without_newer_objects_that_are_denied_too_are_each_objects_own() -> None:
    desk = Desk()
    desk.fail(REFUSED_IN_A_ROW)
    desk.recorder.require_readable()
    desk.recorder.begin_anew()

    desk.recorder.require_readable()


@pytest.mark.parametrize("outcome", [Copied, AlreadyThere])
def test_one_object_that_can_be_read_ends_the_row(outcome: Any) -> None:
    desk = Desk()
    desk.fail(REFUSED_IN_A_ROW - 1)
    desk.end(outcome(desk.begun()))
    desk.fail(1)

    assert not desk.recorder.is_denied


def test_once_something_was_copied_denials_are_each_objects_own() -> None:
    desk = Desk()
    desk.copy()
    desk.fail(2 * REFUSED_IN_A_ROW)

    assert not desk.recorder.is_denied


def test_what_failed_before_and_fails_again_says_nothing_of_the_others() -> None:
    desk = Desk()
    desk.fail(2 * REFUSED_IN_A_ROW, is_new=False)
    assert not desk.recorder.is_denied
    desk.fail(2 * REFUSED_IN_A_ROW, "slow_down", is_new=False)

    desk.begun()


def test_other_failures_are_no_denials() -> None:
    desk = Desk()
    desk.fail(2 * REFUSED_IN_A_ROW, "object_gone")

    assert not desk.recorder.is_denied
    desk.begun()


# A store that refuses everything, and what is the job's at once


def test_a_store_that_refused_a_hundred_in_a_row_is_asked_for_no_more() -> None:
    desk = Desk()
    desk.fail(REFUSED_IN_A_ROW, "slow_down")

    with pytest.raises(JobFailed) as failed:
        desk.begun()
    assert failed.value.reason == "slow_down"


def test_a_store_that_copied_one_in_between_is_asked_on() -> None:
    desk = Desk()
    desk.fail(REFUSED_IN_A_ROW - 1, "slow_down")
    desk.copy()
    desk.fail(REFUSED_IN_A_ROW - 1, "slow_down")

    desk.begun()


@pytest.mark.parametrize("reason", ["clock_skewed", "invalid_credentials", "wrong_secret_key"])
def test_what_every_request_would_be_refused_for_ends_the_tick(reason: str) -> None:
    desk = Desk()
    desk.fail(1, reason)

    with pytest.raises(JobFailed) as failed:
        desk.begun()
    assert failed.value.reason == reason


def test_a_job_with_too_many_objects_held_is_given_up() -> None:
    desk = Desk()
    desk.recorder.held = MOST_HELD
    desk.fail(1, is_new=False)
    desk.fail(1)

    with pytest.raises(JobFailed) as failed:
        desk.begun()
    assert failed.value.reason == "too_many_held"


# In progress


def test_a_key_is_in_progress_until_it_is_recorded_and_for_the_whole_tick_if_it_failed() -> None:
    desk = Desk()
    done, failing, waiting = desk.begun(), desk.begun(), desk.begun()
    desk.end(Copied(done))
    desk.end(Failed(failing, DENIED, "no"))
    assert desk.recorder.in_progress == {"logs/0001", "logs/0002", "logs/0003"}
    assert desk.recorder.in_flight == 1
    desk.recorder.flush()

    assert desk.recorder.in_progress == {"logs/0002", waiting.object.key}


# Recording


def test_outcomes_are_recorded_when_they_are_many_or_have_waited_a_second() -> None:
    desk = Desk()
    transfers = [desk.begun() for _ in range(RECORD_EVERY_OBJECTS)]
    told = [desk.end(Copied(transfer)) for transfer in transfers]
    assert told == [False] * (RECORD_EVERY_OBJECTS - 1) + [True]
    one = desk.begun()
    desk.now += RECORD_EVERY_SECONDS

    assert desk.end(Copied(one))
    assert not desk.recorder.record_if_due()
    assert one.object.key in desk.ledger.known(SHARD, [one.object.key])


def test_nothing_is_remembered_before_it_is_recorded() -> None:
    desk = Desk()
    transfer = desk.begun()
    desk.end(Copied(transfer, "r"))

    assert desk.ledger.known(SHARD, [transfer.object.key]) == {}
    desk.recorder.flush()
    assert desk.ledger.known(SHARD, [transfer.object.key])[transfer.object.key].replica_etag == "r"


def test_what_was_planned_is_counted_and_archived_objects_are_noted_as_missing() -> None:
    desk = Desk()
    adopted, archived = desk.transfer(), desk.transfer()
    plan = Plan([], [(adopted.object, "r")], [archived], [], ["k"], {SkipReason.ARCHIVED: 1}, 3, 0.0, [])
    desk.recorder.take_plan(plan, SHARD, 5)
    desk.recorder.flush()

    recorder = desk.recorder
    assert (recorder.counts.listed, recorder.known_listed, recorder.counts.already_there, recorder.counts.restored) == (
        5,
        3,
        1,
        1,
    )
    assert recorder.counts.skipped == {SkipReason.ARCHIVED: 1}
    assert recorder.counts.failed_count == 0
    assert {key: held.reason for key, held in desk.ledger.quarantined().items()} == {archived.object.key: "archived"}
    assert adopted.object.key in desk.ledger.known(SHARD, [adopted.object.key])


def test_outcomes_are_counted() -> None:
    desk = Desk()
    desk.copy(2)
    desk.end(AlreadyThere(desk.begun()))
    desk.end(Conflict(desk.begun(), "other content"))
    desk.fail(1, "object_gone")

    recorder = desk.recorder
    assert (recorder.counts.copied, recorder.counts.copied_bytes, recorder.counts.already_there) == (2, 20, 1)
    assert (recorder.counts.conflict_count, recorder.conflicts) == (1, [("logs/0004", "other content")])
    assert (recorder.counts.failed_count, dict(recorder.counts.failed_by_reason)) == (1, {"object_gone": 1})
    assert (recorder.planned, recorder.ended, recorder.in_flight, recorder.held) == (5, 5, 0, 2)


# How late, and how long


@pytest.mark.parametrize(("seconds", "bound"), [(-5, 60), (60, 60), (60.5, 300), (2678400, 2678400), (2678401, 0)])
def test_lateness_is_counted_by_the_smallest_bound_that_holds_it(seconds: float, bound: int) -> None:
    assert lateness_bound(seconds) == bound


def test_only_live_copies_count_for_lateness_and_only_those_under_watch_for_the_lag() -> None:
    desk = Desk(objective=30.0)
    desk.end(Copied(desk.begun()), counts_lag=True)
    desk.end(Copied(desk.begun()), is_live=False)
    desk.end(AlreadyThere(desk.begun()), counts_lag=True)
    desk.recorder.flush()

    assert desk.ledger.lateness() == {300: 1}
    assert (desk.recorder.counts.lag_seconds, desk.recorder.worst_lag_seconds, desk.recorder.counts.copied_late) == (
        60.0,
        60.0,
        1,
    )


def test_a_clock_behind_the_stores_makes_no_lag_negative() -> None:
    desk = Desk()
    desk.now = NOW - 300
    desk.end(Copied(desk.begun()), counts_lag=True)

    assert desk.recorder.counts.lag_seconds == 0.0
