"""What workers tell is recorded once, replaces what was known of a day, and never forgets an object."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from builders_ledger import MD5, NOW, SHARD, copied, key, log_object, replica, sealed, transfer

from syncd.ledger.ledger import LedgerFile, ReplicaLedger
from syncd.model.objects import Failed
from syncd.model.reports import Counts, SpreadProgress, SpreadTask, TaskResult, TaskState
from syncd.model.sealed import SealedDay

DAY, NEXT = "2024-03-01", "2024-03-02"
NAMES = [key(DAY, f"{number}") for number in range(4)]
TASK = SpreadTask(SHARD, DAY, NEXT, "2024-03-01..", 2000, TaskState.SENT)
COUNTS = Counts(listed=4, copied=4, requests={"GetObject": 4})


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[ReplicaLedger]:
    with LedgerFile(tmp_path, now=lambda: NOW).open(replica(), "job") as opened:
        opened.replace_tasks([TASK])
        yield opened


def told(
    days: dict[str, SealedDay], *held: Failed, state: TaskState = TaskState.OK, task: str = TASK.name
) -> TaskResult:
    return TaskResult(task, state, COUNTS, days, held)


def refused(name: str, reason: str = "access_denied") -> Failed:
    return Failed(transfer(log_object(name)), reason, "GetObject was refused")


def test_a_result_ends_its_task_and_its_days_are_sealed(ledger: ReplicaLedger) -> None:
    known, ended = ledger.record_results([told({DAY: sealed(*NAMES)})], now=NOW)

    assert known == [TASK.name]
    assert len(ended) == 1
    assert ledger.sealed(SHARD, DAY, DAY) == {DAY: sealed(*NAMES)}
    assert ledger.tasks() == [TASK._replace(state=TaskState.OK, counts=COUNTS)]
    assert ledger.progress() == SpreadProgress(tasks=1, ended=1, dead=0, objects=2000, objects_done=4)
    assert ledger.sent_tasks(most=10) == 0


def test_only_the_first_result_of_a_task_counts(ledger: ReplicaLedger) -> None:
    ledger.record_results([told({DAY: sealed(*NAMES)})], now=NOW)

    known, ended = ledger.record_results([told({DAY: sealed(*NAMES[:1], "a", "b", "c", "d", "e")})], now=NOW)
    foreign, none = ledger.record_results([told({}, task="another")], now=NOW)

    assert (known, ended) == ([TASK.name], [])
    assert (foreign, none) == ([], [])
    assert ledger.sealed(SHARD, DAY, DAY) == {DAY: sealed(*NAMES)}


def test_a_day_replaces_its_objects_and_is_not_added_to_them(ledger: ReplicaLedger) -> None:
    ledger.record([copied(name) for name in NAMES[:2]], [], now=NOW)

    ledger.record_results([told({DAY: sealed(*NAMES)})], now=NOW)
    ledger.seal(SHARD, "2026-01-01", limit=1000)

    assert ledger.known(SHARD, NAMES) == {}
    assert ledger.sealed(SHARD, DAY, DAY) == {DAY: sealed(*NAMES)}


def test_a_day_of_fewer_objects_replaces_nothing(ledger: ReplicaLedger) -> None:
    ledger.record([copied(name) for name in NAMES], [], now=NOW)
    ledger.seal(SHARD, "2026-01-01", limit=1000)

    ledger.record_results([told({DAY: sealed(*NAMES[:2])})], now=NOW)

    assert ledger.sealed(SHARD, DAY, DAY) == {DAY: sealed(*NAMES)}


def test_days_outside_the_task_are_not_taken(ledger: ReplicaLedger) -> None:
    ledger.record_results([told({"2024-03-03": sealed(*NAMES), "2024-02-29": sealed(*NAMES)})], now=NOW)

    assert ledger.sealed(SHARD, "2024-01-01", "2024-12-31") == {}


def test_objects_that_were_not_copied_are_in_quarantine_unless_accepted(ledger: ReplicaLedger) -> None:
    ledger.record([refused(NAMES[0], "object_gone")], [], now=NOW)
    assert ledger.accept(NAMES[0])

    partial = told({DAY: sealed(*NAMES[2:])}, refused(NAMES[0]), refused(NAMES[1], "conflict"), state=TaskState.PARTIAL)
    ledger.record_results([partial], now=NOW)

    held = ledger.quarantined()
    assert {name: item.reason for name, item in held.items()} == {NAMES[1]: "conflict"}
    assert held[NAMES[1]].is_conflict
    assert ledger.tasks()[0].is_unfinished


def test_the_row_of_a_held_object_stays_beside_the_day_that_leaves_it_out(ledger: ReplicaLedger) -> None:
    ledger.record([copied(name) for name in NAMES], [], now=NOW)

    partial = told({DAY: sealed(*NAMES[1:])}, refused(NAMES[0], "object_changed"), state=TaskState.PARTIAL)
    ledger.record_results([partial], now=NOW)

    assert ledger.known(SHARD, NAMES).keys() == {NAMES[0]}
    assert ledger.sealed(SHARD, DAY, DAY) == {DAY: sealed(*NAMES[1:])}
    assert ledger.known(SHARD, NAMES)[NAMES[0]].etag == MD5


def test_tasks_belong_to_their_replica_and_are_forgotten_with_it(ledger: ReplicaLedger, tmp_path: Path) -> None:
    with LedgerFile(tmp_path, now=lambda: NOW).open(replica("another"), "other") as other:
        assert other.tasks() == []
        assert other.record_results([told({DAY: sealed(*NAMES)})], now=NOW) == ([], [])

    ledger.forget()

    assert ledger.tasks() == []
