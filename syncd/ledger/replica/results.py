"""The recording of what workers tell of a replica's tasks."""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Any

from syncd.ledger.replica.commit import Commit
from syncd.ledger.replica.objects import sealed_day
from syncd.ledger.replica.sealing import held_of_day, put_day
from syncd.ledger.replica.tasks import task_of
from syncd.ledger.replica.view import LedgerView
from syncd.ledger.rows import decode_key, first_tail, is_whole, last_tail
from syncd.model.objects import Conflict, Failed, Shard
from syncd.model.reasons import Reason
from syncd.model.reports import SHOWN, SpreadTask, TaskResult, TaskState
from syncd.model.sealed import SealedDay


class TaskWriter(LedgerView):
    """The tasks of one replica, read and written. Each writing method is one commit."""

    def _committing(self) -> AbstractContextManager[Commit]:
        raise TypeError("only a ledger can write")

    def replace_tasks(self, tasks: Sequence[SpreadTask]) -> None:
        """Forget all tasks, and keep these."""
        with self._committing() as commit:
            replica_id = commit.replica_id()
            commit.db.execute("DELETE FROM tasks WHERE replica = ?", (replica_id,))
            for task in tasks:
                _put(commit, replica_id, task)

    def save_tasks(self, tasks: Sequence[SpreadTask]) -> None:
        """Replace these tasks by their names."""
        with self._committing() as commit:
            replica_id = commit.replica_id()
            for task in tasks:
                _put(commit, replica_id, task)

    def record_results(self, results: Sequence[TaskResult], *, now: float) -> tuple[list[str], list[TaskResult]]:
        """Record what workers tell: the days, the objects that were not copied, and the end of their tasks.

        Only the first result of a task counts. Returns the names of the known tasks, and the results that counted.
        """
        accepted = self.accepted()
        known: list[str] = []
        ended: list[TaskResult] = []
        with self._committing() as commit:
            replica_id = commit.replica_id()
            for result in results:
                row = self._rows.one("SELECT * FROM tasks WHERE replica = ? AND task = ?", replica_id, result.task)
                if not is_whole(row):
                    continue
                known.append(result.task)
                task = task_of(row)
                if task.state not in (TaskState.WAITING, TaskState.SENT, TaskState.DEAD):
                    continue
                held = [_outcome(item) for item in result.held if not _is_accepted(item, accepted)]
                ended.append(result)
                commit.record(replica_id, held, (), now)
                if result.days:
                    shard_id = commit.shard_id(replica_id, task.shard)
                    for day, sealed in result.days.items():
                        if task.first <= day <= task.last:
                            _replace_day(commit, replica_id, shard_id, task.shard, day, sealed)
                _put(commit, replica_id, task._replace(state=result.state, counts=result.counts))
        return known, ended


def _outcome(item: Failed) -> Failed | Conflict:
    return Conflict(item.transfer, item.detail) if item.reason == Reason.CONFLICT else item


def _is_accepted(item: Failed, accepted: dict[str, tuple[str, str]]) -> bool:
    found = item.transfer.object
    return accepted.get(found.key) == (found.etag, found.storage_class)


def _replace_day(commit: Commit, replica_id: int, shard_id: int, shard: Shard, day: str, sealed: SealedDay) -> None:
    """Replace a day by what a worker found, unless more of its objects are known here.

    The source may have expired some of them. Rows of quarantined objects stay, since the worker left them out too.
    """
    db = commit.db
    row = db.execute("SELECT * FROM days WHERE shard = ? AND day = ?", (shard_id, day)).fetchone()
    before = sealed_day(row).count if is_whole(row) else 0
    held = held_of_day(db, replica_id, shard, day)
    tails = list(_tails_of(db, shard, shard_id, day, held))
    if before + len(tails) > sealed.count:
        return
    db.executemany("DELETE FROM objects WHERE shard = ? AND tail = ?", ((shard_id, tail) for tail in tails))
    put_day(db, shard_id, day, sealed)


def _tails_of(db: Any, shard: Shard, shard_id: int, day: str, held: set[str]) -> Iterator[str]:
    query = "SELECT tail FROM objects WHERE shard = ? AND tail >= ? AND tail < ?"
    for (tail,) in db.execute(query, (shard_id, first_tail(day), last_tail(day))):
        if not held or decode_key(shard, tail) not in held:
            yield tail


def _put(commit: Commit, replica_id: int, task: SpreadTask) -> None:
    counts = {name: value for name, value in asdict(task.counts).items() if name in SHOWN and value}
    commit.put(
        "tasks",
        replica_id,
        task.name,
        json.dumps(task.shard),
        task.first,
        task.last,
        task.request,
        task.objects,
        task.state.value,
        json.dumps(counts),
    )
