"""One commit to the rows of one replica."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from types import MappingProxyType
from typing import Any

from syncd.ledger.decisions import Kept
from syncd.ledger.file import OpenState, identity_of
from syncd.ledger.replica.access import ReplicaRows, replica_key, replica_of_row
from syncd.ledger.replica.sweep import next_replica_id, next_shard_id
from syncd.ledger.replica.values import object_row, quarantine_values, row_of
from syncd.ledger.rows import is_whole
from syncd.ledger.schema import refusing
from syncd.ledger.sqlite import transaction
from syncd.model.bounds import backoff_seconds
from syncd.model.errors import LedgerCorrupt
from syncd.model.keys.vouched import still_vouched
from syncd.model.objects import AlreadyThere, Conflict, Copied, Failed, LogObject, Outcome, Quarantined, Replica, Shard
from syncd.model.reasons import Reason


class Commit:
    """The writes of one transaction, valid inside the block of `committing`."""

    def __init__(self, rows: ReplicaRows, job: str) -> None:
        self.db = rows.db
        self._rows = rows
        self._job = job

    def put(self, table: str, *values: object) -> None:
        """Insert a row, or replace the one of its key."""
        row = row_of(values)
        marks = ", ".join("?" * len(row))
        self.db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)  # noqa: S608 - our own table names

    def own(self) -> dict[str, Any]:
        """Return the replica's row by column, created if it is missing or damaged, and claimed for this job."""
        row = self.unclaimed()
        if row["job"] == self._job:
            return row
        for other in self.db.execute("SELECT * FROM replicas WHERE job = ?", (self._job,)).fetchall():
            if is_whole(other):
                self.put("replicas", *other[:6], "", *other[7:-1])
        row |= {"job": self._job}
        self.put_own(row)
        return row

    def unclaimed(self) -> dict[str, Any]:
        """Return the replica's row by column, created if it is missing or damaged, whichever job's it is."""
        row = self._rows.own()
        if row is None:
            key = replica_key(self._rows.replica)
            self.put("replicas", *key, next_replica_id(self.db), "", None, 0.0, None, None)
            row = self._rows.own()
        assert row is not None
        return row

    def put_own(self, row: Mapping[str, Any]) -> None:
        """Replace the replica's row."""
        self.put("replicas", *(value for column, value in row.items() if column != "checksum"))

    def replica_id(self) -> int:
        """Return the ID of the replica, claimed for this job."""
        replica_id: int = self.own()["id"]
        return replica_id

    def shard_id(self, replica_id: int, shard: Shard) -> int:
        """Return the ID of a shard, created if its row is missing or damaged."""
        shard_id = self._rows.shard_id(shard)
        if shard_id is None:
            shard_id = next_shard_id(self.db)
            parts = (shard.account, shard.kind, shard.region, shard.organization)
            self.put("shards", replica_id, shard.prefix, shard_id, *parts)
        return shard_id

    def put_objects(
        self,
        replica_id: int,
        objects: Iterable[tuple[Shard, LogObject, str]],
        contents: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Record objects at the destination, each with its replica's ETag, and with its content's hash if known."""
        ids: dict[Shard, int] = {}
        rows = []
        for shard, item, replica_etag in objects:
            if shard not in ids:
                ids[shard] = self.shard_id(replica_id, shard)
            rows.append(object_row(ids[shard], shard, item, replica_etag, contents.get(item.key, "")))
        self.db.executemany("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?)", rows)

    def put_accepted(self, replica_id: int, kept: Kept) -> None:
        """Record what an operator has accepted."""
        for key, (etag, storage_class, at) in kept.accepted.items():
            self.put("accepted", replica_id, key, etag, storage_class, float(at))

    def quarantine(self, replica_id: int, entry: Quarantined) -> None:
        """Put an object into quarantine, or replace its entry."""
        self.put("quarantine", *quarantine_values(replica_id, entry))

    def release(self, replica_id: int, keys: Iterable[str], *, unless_reason: str = "") -> None:
        """Release objects from quarantine, except those with this reason."""
        self.db.executemany(
            "DELETE FROM quarantine WHERE replica = ? AND key = ? AND reason <> ?",
            ((replica_id, key, unless_reason) for key in keys),
        )

    def record(
        self,
        replica_id: int,
        outcomes: Sequence[Outcome],
        adopted: Sequence[tuple[Shard, LogObject, str]],
        now: float,
    ) -> None:
        """Record the outcomes of transfers, and objects found at the destination."""
        done = [
            (o.transfer.shard, o.transfer.object, o.replica_etag)
            for o in outcomes
            if isinstance(o, Copied | AlreadyThere)
        ]
        contents = {o.transfer.object.key: o.content for o in outcomes if isinstance(o, Copied) and o.content}
        self.put_objects(replica_id, chain(done, adopted), contents)
        self.release(replica_id, (item.key for _, item, _ in done))
        self.release(replica_id, (item.key for _, item, _ in adopted), unless_reason=Reason.CONFLICT)
        for outcome in outcomes:
            if isinstance(outcome, Conflict | Failed):
                self.quarantine(replica_id, self._held(outcome, now))

    def _held(self, outcome: Conflict | Failed, now: float) -> Quarantined:
        item = outcome.transfer.object
        row = self._rows.held(item.key)
        attempts, first_at = (row[9] + 1, row[10]) if is_whole(row) else (1, float(now))
        is_conflict = isinstance(outcome, Conflict)
        detail = still_vouched(outcome.detail, row[8]) if is_conflict and is_whole(row) else outcome.detail
        return Quarantined(
            object=item,
            shard=outcome.transfer.shard,
            reason=Reason.CONFLICT if isinstance(outcome, Conflict) else outcome.reason,
            detail=detail,
            attempts=attempts,
            first_at=first_at,
            next_at=float(now) + backoff_seconds(attempts),
        )


@contextmanager
def committing(state: OpenState, rows: ReplicaRows, job: str) -> Iterator[Commit]:
    """Run the block in one transaction: all of its writes are remembered, or none.

    Raises:
        LedgerError: they cannot be written.
    """
    with rows.guarded():
        # In WAL mode SQLite goes on writing to a file that was removed, without an error.
        if identity_of(rows.path) != state.identity:
            raise LedgerCorrupt(f"{rows.path} was moved or removed while it was open")
        with state.turn, refusing(rows.db, rows.path), transaction(rows.db):
            yield Commit(rows, job)


def written_before(rows: ReplicaRows, job: str) -> list[Replica]:
    """Return the other replicas claimed by this job: at most one."""
    found = rows.db.execute("SELECT * FROM replicas WHERE job = ?", (job,)).fetchall()
    others = [replica_of_row(row) for row in found if is_whole(row)]
    return [other for other in others if other != rows.replica]
