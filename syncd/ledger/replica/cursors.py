"""The cursors of one replica, read: its start, its shards, and when its folders were listed."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from syncd.ledger.replica.access import ReplicaRows
from syncd.ledger.rows import is_whole
from syncd.model.objects import Branch, FoundBy, Shard, ShardState

CURSOR_COLUMNS = (
    "frontier",
    "listed_at",
    "recent_at",
    "deep_key",
    "deep_at",
    "complete_from",
    "complete_until",
    "newest_arrival",
    "deep_done_at",
    "layout",
    "found_by",
    "branches",
    "audit_key",
    "audit_at",
    "audited_at",
    "sealed_audit_day",
    "sealed_audit_at",
    "sealed_audited_at",
)
"""The columns of the table `cursors` between the shard's ID and the checksum."""


class CursorView:
    """The start, cursors and folders of one replica. Every method may raise a LedgerError."""

    _rows: ReplicaRows

    def start(self) -> float | None:
        """Return the instant from which the job replicates. Returns None before the job's first tick fixes it."""
        with self._rows.guarded():
            row = self._rows.own()
            return row["start"] if row else None

    def mode_verdict(self) -> tuple[str, str] | None:
        """Return the copy mode that `copy = "auto"` chose, and the reason. Returns None until it has chosen."""
        with self._rows.guarded():
            row = self._rows.own()
            return (row["mode"], row["mode_why"]) if row and row["mode"] else None

    def discovered_at(self) -> float:
        """Return when the last full discovery of shards began, or 0.0."""
        with self._rows.guarded():
            row = self._rows.own()
            return row["discovered_at"] if row else 0.0

    def shards(self) -> dict[str, ShardState]:
        """Return the saved state of each shard by its prefix. Shards with damaged rows are left out."""
        states: dict[str, ShardState] = {}
        with self._rows.guarded():
            for prefix, shard_id, shard in self._all_shards():
                row = None if shard is None else self._rows.one("SELECT * FROM cursors WHERE shard = ?", shard_id)
                if shard is None or (row is not None and not is_whole(row)):
                    self._rows.damaged_shards.add(prefix)
                elif row is not None:
                    states[prefix] = _shard_state(shard, row)
        return states

    def looked_at(self) -> dict[str, tuple[float, tuple[str, ...]]]:
        """Return when each folder was last listed by delimiter, and the folders found in it."""
        looked = {}
        with self._rows.guarded():
            for row in self._rows.owned("SELECT * FROM looked WHERE replica = ?"):
                _, prefix, at, children, _ = row
                looked[prefix] = (at, tuple(json.loads(children)))
        return looked

    def uncovered(self) -> dict[str, float]:
        """Return the source's folders that the job does not cover, with the time they were first seen."""
        with self._rows.guarded():
            return {row[1]: row[2] for row in self._rows.owned("SELECT * FROM uncovered WHERE replica = ?")}

    def lateness(self) -> dict[int, int]:
        """Return the histogram of lateness: counts by the bucket numbers that the caller recorded."""
        with self._rows.guarded():
            return {row[1]: row[2] for row in self._rows.owned("SELECT * FROM lateness WHERE replica = ?")}

    def _all_shards(self) -> Iterator[tuple[str, int, Shard | None]]:
        """Yield prefix, ID and Shard of each shard. The Shard is None if the row is damaged."""
        for row in self._rows.db.execute("SELECT * FROM shards WHERE replica = ?", (self._rows.id(),)).fetchall():
            yield str(row[1]), row[2], Shard(row[1], *row[3:7]) if is_whole(row) else None


def _shard_state(shard: Shard, row: Sequence[Any]) -> ShardState:
    values = dict(zip(CURSOR_COLUMNS, row[1:-1], strict=True))
    values["found_by"] = FoundBy(values["found_by"])
    values["branches"] = tuple(Branch(*branch) for branch in json.loads(values["branches"]))
    return ShardState(shard=shard, **values)
