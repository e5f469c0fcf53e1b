"""The tasks of a replica's spread catch-up, for reading."""

import json
from collections.abc import Sequence
from typing import Any

from syncd.ledger.replica.access import ReplicaRows
from syncd.model.objects import Shard
from syncd.model.reports import SHOWN, Counts
from syncd.model.spread import SpreadTask, TaskState


class TaskView:
    """The tasks of one replica, read. Every method may raise a LedgerError."""

    _rows: ReplicaRows

    def tasks(self) -> list[SpreadTask]:
        """Return the tasks of the last spread catch-up, in the order of their shards and days."""
        with self._rows.guarded():
            rows = [*self._rows.owned("SELECT * FROM tasks WHERE replica = ?")]
        return sorted(map(task_of, rows), key=lambda task: (task.shard, task.first))

    def open_tasks(self) -> int:
        """Count the tasks that nobody has done yet."""
        with self._rows.guarded():
            query = "SELECT count(*) FROM tasks WHERE replica = ? AND state IN ('waiting', 'sent', 'own', 'dead')"
            (count,) = self._rows.db.execute(query, (self._rows.id(),)).fetchone()
            return int(count)


def task_of(row: Sequence[Any]) -> SpreadTask:
    """Return the task of a row."""
    _, _, shard, first, last, request, objects, state, counts, _ = row
    counted = {name: value for name, value in json.loads(counts).items() if name in SHOWN}
    return SpreadTask(Shard(*json.loads(shard)), first, last, request, objects, TaskState(state), Counts(**counted))
