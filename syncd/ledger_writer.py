"""How the rows of one replica are written."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from syncd import failures
from syncd.errors import LedgerCorrupt, LedgerRefused
from syncd.ledger_access import replica_key, replica_of_row
from syncd.ledger_errors import change, change_many
from syncd.ledger_file import OpenState, identity_of
from syncd.ledger_rows import (
    LONGEST_ETAG,
    backoff_seconds,
    encode_etags,
    encode_key,
    is_whole,
    object_checksum,
    shortened,
    with_checksum,
)
from syncd.ledger_schema import transaction
from syncd.ledger_sweep import next_replica_id, next_shard_id
from syncd.ledger_view import CURSOR_COLUMNS, LedgerView
from syncd.model import Conflict, Failed, LogObject, Quarantined, Replica, Shard, ShardState


class ReplicaWriter(LedgerView):
    """One replica's rows, with what writing them takes."""

    def __init__(
        self, state: OpenState, path: Path, replica: Replica, job: str, *, on_corrupt: Callable[[], None]
    ) -> None:
        super().__init__(state.connection, path, replica, on_corrupt=on_corrupt)
        self._state = state
        self._job = job

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold everything that is written in the block to one commit."""
        with self._guarded():
            # In WAL mode SQLite writes on into a file that has no name any more, and says nothing.
            if identity_of(self._path) != self._state.identity:
                raise LedgerCorrupt(f"{self._path} was moved or removed while it was open")
            with self._state.turn, transaction(self._db):
                yield

    def _put(self, table: str, *values: object) -> None:
        row = with_checksum(*values)
        self._require_short(row)
        marks = ", ".join("?" * len(row))
        change(self._db, f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)  # noqa: S608 - our own table names

    def _own_row(self) -> dict[str, Any]:
        """The replica's row by column, made where it is missing or damaged, and marked as this job's."""
        row = self._replica_row()
        if row is not None and row["job"] == self._job:
            return row
        for other in self._db.execute("SELECT * FROM replicas WHERE job = ?", (self._job,)).fetchall():
            if is_whole(other):
                self._put("replicas", *other[:6], "", *other[7:-1])
        if row is None:
            key = replica_key(self._replica)
            self._put("replicas", *key, next_replica_id(self._db), self._job, None, 0.0, None, None)
        else:
            self._put_replica(row | {"job": self._job})
        row = self._replica_row()
        assert row is not None
        return row

    def _written_before(self) -> list[Replica]:
        """The other replicas that are marked as this job's: one at the most."""
        rows = self._db.execute("SELECT * FROM replicas WHERE job = ?", (self._job,)).fetchall()
        found = [replica_of_row(row) for row in rows if is_whole(row)]
        return [other for other in found if other != self._replica]

    def _put_replica(self, row: Mapping[str, Any]) -> None:
        self._put("replicas", *(value for column, value in row.items() if column != "checksum"))

    def _own_shard(self, replica_id: int, shard: Shard) -> int:
        """The ID of the shard, made where it has none or its row is damaged."""
        shard_id = self._shard_id(shard)
        if shard_id is None:
            shard_id = next_shard_id(self._db)
            parts = (shard.account, shard.kind, shard.region, shard.organization)
            self._put("shards", replica_id, shard.prefix, shard_id, *parts)
        return shard_id

    def _put_objects(self, replica_id: int, objects: Iterable[tuple[Shard, LogObject, str]]) -> None:
        ids: dict[Shard, int] = {}
        rows = []
        for shard, item, replica_etag in objects:
            if shard not in ids:
                ids[shard] = self._own_shard(replica_id, shard)
            tail = encode_key(shard, item.key)
            self._require_short((tail,))
            values = (ids[shard], tail, self._etags(item, replica_etag), item.size_bytes)
            rows.append((*values, object_checksum(*values)))
        change_many(self._db, "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)", rows)

    def _etags(self, item: LogObject, replica_etag: str) -> bytes | None:
        if len(item.etag) > LONGEST_ETAG:
            raise LedgerRefused(
                f"{self._path}: {shortened(item.key)} has an ETag of more than {LONGEST_ETAG} characters"
            )
        # A replica's ETag that is not kept is one that nothing was told of.
        return encode_etags(item.etag, replica_etag if len(replica_etag) <= LONGEST_ETAG else "")

    def _release(self, replica_id: int | None, keys: Iterable[str], *, unless_reason: str = "") -> None:
        change_many(
            self._db,
            "DELETE FROM quarantine WHERE replica = ? AND key = ? AND reason <> ?",
            ((replica_id, key, unless_reason) for key in keys),
        )

    def _quarantine(self, replica_id: int, outcome: Conflict | Failed, now: float) -> None:
        item = outcome.transfer.object
        row = self._row("SELECT * FROM quarantine WHERE replica = ? AND key = ?", replica_id, item.key)
        attempts, first_at = (row[9] + 1, row[10]) if is_whole(row) else (1, float(now))
        self._hold(
            replica_id,
            Quarantined(
                object=item,
                shard=outcome.transfer.shard,
                reason=failures.CONFLICT if isinstance(outcome, Conflict) else outcome.reason,
                detail=outcome.detail,
                attempts=attempts,
                first_at=first_at,
                next_at=float(now) + backoff_seconds(attempts),
            ),
        )

    def _hold(self, replica_id: int, held: Quarantined) -> None:
        item = held.object
        self._put(
            "quarantine",
            replica_id,
            item.key,
            json.dumps(held.shard),
            item.etag,
            item.size_bytes,
            float(item.last_modified),
            item.storage_class,
            held.reason,
            shortened(held.detail),
            held.attempts,
            held.first_at,
            held.next_at,
        )


def cursor_values(state: ShardState) -> tuple[object, ...]:
    """Return what of a shard's state stands in the columns of the table `cursors`."""
    told = {name: getattr(state, name) for name in CURSOR_COLUMNS}
    told["found_by"] = state.found_by.value
    told["branches"] = json.dumps(state.branches)
    return tuple(float(value) if isinstance(value, int | float) else value for value in told.values())
