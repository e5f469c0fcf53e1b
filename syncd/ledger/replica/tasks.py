"""The tasks of a replica's spread catch-up, for reading."""

import json
from collections.abc import Sequence
from typing import Any

from syncd.ledger.replica.access import ReplicaRows
from syncd.ledger.rows import is_whole
from syncd.model.objects import Shard
from syncd.model.reports import SHOWN, Counts, SpreadProgress, SpreadTask, TaskState


class TaskView:
    """The tasks of one replica, read. Every method may raise a LedgerError."""

    _rows: ReplicaRows

    def tasks(self) -> list[SpreadTask]:
        """Return the tasks of the last spread catch-up, in the order of their shards and days."""
        with self._rows.guarded():
            rows = [*self._rows.owned("SELECT * FROM tasks WHERE replica = ?")]
        return sorted(map(task_of, rows), key=lambda task: (task.shard, task.first))

    def task(self, name: str) -> SpreadTask | None:
        """Return a task. Returns None if there is none of this name."""
        with self._rows.guarded():
            row = self._rows.one("SELECT * FROM tasks WHERE replica = ? AND task = ?", self._rows.id(), name)
            return task_of(row) if is_whole(row) else None

    def sent_tasks(self, *, most: int) -> int:
        """Count the tasks that workers still have to tell of, up to `most`."""
        with self._rows.guarded():
            query = "SELECT 1 FROM tasks WHERE replica = ? AND state = 'sent' LIMIT ?"
            return len(self._rows.db.execute(query, (self._rows.id(), most)).fetchall())

    def progress(self) -> SpreadProgress:
        """Return how far the last spread catch-up is, without reading its tasks one by one."""
        query = (
            "SELECT state, count(*), sum(objects), sum(coalesce(json_extract(counts, '$.listed'), 0)) FROM tasks"
            " WHERE replica = ? GROUP BY state"
        )
        with self._rows.guarded():
            rows = self._rows.db.execute(query, (self._rows.id(),)).fetchall()
        ended = [row for row in rows if row[0] in ("ok", "partial", "failed")]
        return SpreadProgress(
            tasks=sum(row[1] for row in rows),
            ended=sum(row[1] for row in ended),
            dead=sum(row[1] for row in rows if row[0] == "dead"),
            objects=sum(row[2] for row in rows),
            objects_done=sum(row[3] for row in ended),
        )


def task_of(row: Sequence[Any]) -> SpreadTask:
    """Return the task of a row."""
    _, _, shard, first, last, request, objects, state, counts, _ = row
    counted = {name: value for name, value in json.loads(counts).items() if name in SHOWN}
    return SpreadTask(Shard(*json.loads(shard)), first, last, request, objects, TaskState(state), Counts(**counted))
