"""What the ledger remembers of one replica: how rows are written, inside one commit."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

from syncd.ledger.file import OpenState, identity_of
from syncd.ledger.replica.access import replica_key, replica_of_row
from syncd.ledger.replica.sweep import next_replica_id, next_shard_id
from syncd.ledger.replica.values import object_row, quarantine_values, row_of
from syncd.ledger.replica.view import LedgerView
from syncd.ledger.rows import is_whole
from syncd.ledger.schema import refusing
from syncd.ledger.sqlite import transaction
from syncd.model.bounds import backoff_seconds
from syncd.model.errors import LedgerCorrupt
from syncd.model.objects import AlreadyThere, Conflict, Copied, Failed, LogObject, Outcome, Quarantined, Replica, Shard
from syncd.model.reasons import Reason


class LedgerWriter(LedgerView):
    """The rows of one replica, written. What is written belongs into a block of `_writing`."""

    _state: OpenState
    _job: str

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._guarded():
            # In WAL mode SQLite writes on into a file that has no name any more, and says nothing.
            if identity_of(self._path) != self._state.identity:
                raise LedgerCorrupt(f"{self._path} was moved or removed while it was open")
            with self._state.turn, refusing(self._db, self._path), transaction(self._db):
                yield

    def _put(self, table: str, *values: object) -> None:
        row = row_of(values)
        marks = ", ".join("?" * len(row))
        self._db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)  # noqa: S608 - our own table names

    def _own_row(self) -> dict[str, Any]:
        """The replica's row by column, made where it is missing or damaged, and marked as this job's."""
        row = self._bare_row()
        if row["job"] == self._job:
            return row
        for other in self._db.execute("SELECT * FROM replicas WHERE job = ?", (self._job,)).fetchall():
            if is_whole(other):
                self._put("replicas", *other[:6], "", *other[7:-1])
        row |= {"job": self._job}
        self._put_replica(row)
        return row

    def _bare_row(self) -> dict[str, Any]:
        """Return the replica's row by column, made if it is missing or damaged, whoever's it is."""
        row = self._replica_row()
        if row is None:
            key = replica_key(self._replica)
            self._put("replicas", *key, next_replica_id(self._db), "", None, 0.0, None, None)
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
            rows.append(object_row(ids[shard], shard, item, replica_etag))
        self._db.executemany("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)", rows)

    def _release(self, replica_id: int | None, keys: Iterable[str], *, unless_reason: str = "") -> None:
        self._db.executemany(
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
                reason=Reason.CONFLICT if isinstance(outcome, Conflict) else outcome.reason,
                detail=outcome.detail,
                attempts=attempts,
                first_at=first_at,
                next_at=float(now) + backoff_seconds(attempts),
            ),
        )

    def _hold(self, replica_id: int, held: Quarantined) -> None:
        self._put("quarantine", *quarantine_values(replica_id, held))

    def _record(
        self,
        replica_id: int,
        outcomes: Sequence[Outcome],
        adopted: Sequence[tuple[Shard, LogObject, str]],
        now: float,
    ) -> None:
        done = [
            (o.transfer.shard, o.transfer.object, o.replica_etag)
            for o in outcomes
            if isinstance(o, Copied | AlreadyThere)
        ]
        self._put_objects(replica_id, chain(done, adopted))
        self._release(replica_id, (item.key for _, item, _ in done))
        self._release(replica_id, (item.key for _, item, _ in adopted), unless_reason="conflict")
        for outcome in outcomes:
            if isinstance(outcome, Conflict | Failed):
                self._quarantine(replica_id, outcome, now)
