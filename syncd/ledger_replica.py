"""What the ledger remembers of one replica: the writing half."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from syncd import failures
from syncd.errors import LedgerCorrupt
from syncd.ledger_file import OpenState, identity_of
from syncd.ledger_rows import (
    backoff_seconds,
    encode_etag,
    encode_key,
    encode_keys,
    is_whole,
    object_checksum,
    report_to_json,
    with_checksum,
)
from syncd.ledger_schema import transaction, translated
from syncd.ledger_sealing import fold_away, oldest_day
from syncd.ledger_sweep import forget_replica, next_number, next_replica_id, next_shard_id, sweep
from syncd.ledger_view import LedgerView, replica_key, replica_of_row
from syncd.model import (
    AlreadyThere,
    Conflict,
    Copied,
    Failed,
    LogObject,
    Outcome,
    Quarantined,
    Replica,
    Shard,
    ShardState,
    TickReport,
)

TICKS_KEPT = 300
"""How many ticks and catch-ups of a job are remembered."""


class Ledger(LedgerView):
    """One replica's rows, read and written. Belongs to one thread; every method may raise a LedgerError.

    Each writing method is one commit: all of it is remembered, or nothing.
    """

    replica_is_new: bool
    """The ledger had no `start` of this replica: it never ticked, or the state was lost."""
    moved_aside: Path | None
    """Where a corrupt file went that `open` met."""

    def __init__(
        self, state: OpenState, path: Path, replica: Replica, job: str, *, on_corrupt: Callable[[], None]
    ) -> None:
        super().__init__(state.connection, path, replica, on_corrupt=on_corrupt)
        self._state = state
        self._job = job
        self.moved_aside = state.moved_aside
        self.replica_is_new = self.start() is None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and let go of it."""
        with translated(self._path):
            self._state.close()

    def move(self) -> Replica | None:
        """Mark the replica as this job's; the one that the job wrote before, told once, where it is another.

        A replica that another job wrote last is taken along by a new name: nothing was moved then.
        """
        with self._guarded():
            row = self._replica_row()
            if (row is not None and row["job"]) or not self._written_before():
                return None
        with self._writing():
            # Another process may have marked it meanwhile, and told.
            before = self._written_before()
            self._own_row()
        return before[0] if before else None

    def set_start(self, instant: float) -> None:
        """Fix the instant from which the job replicates; it stays what it is where it was fixed before."""
        with self._writing():
            row = self._own_row()
            if row["start"] is None:
                self._put_replica(row | {"start": float(instant)})

    def set_mode_verdict(self, mode: str, why: str) -> None:
        """Remember what `copy = "auto"` came to, and why."""
        with self._writing():
            self._put_replica(self._own_row() | {"mode": mode, "mode_why": why})

    def save_shards(self, states: Iterable[ShardState], *, discovered_at: float | None = None) -> None:
        """Remember how far these shards are and, if that is given, when a full discovery of shards began."""
        with self._writing():
            row = self._own_row()
            if discovered_at is not None:
                self._put_replica(row | {"discovered_at": float(discovered_at)})
            for state in states:
                self._put("cursors", self._own_shard(row["id"], state.shard), *_cursor_values(state))

    def save_looked_at(self, looks: Mapping[str, tuple[float, tuple[str, ...]]]) -> None:
        """Remember when these prefixes were listed for what lies below them, and the child prefixes found."""
        with self._writing():
            replica_id = self._own_row()["id"]
            for prefix, (at, children) in looks.items():
                self._put("looked", replica_id, prefix, float(at), json.dumps(children))

    def record(
        self,
        outcomes: Sequence[Outcome],
        adopted: Sequence[tuple[Shard, LogObject]],
        *,
        now: float,
        lateness: Mapping[int, int] = {},
    ) -> None:
        """Remember what became of some transfers, and objects that the destination was found to hold already.

        An object that is there now leaves the quarantine; one that is not enters it, or stays with one attempt more
        and a later `next_at`. An adopted object does not end a conflict, which only its acceptance does. `lateness`
        is added to the histogram, by bucket.
        """
        done = [(o.transfer.shard, o.transfer.object) for o in outcomes if isinstance(o, Copied | AlreadyThere)]
        with self._writing():
            replica_id = self._own_row()["id"]
            self._put_objects(replica_id, chain(done, adopted))
            self._release(replica_id, (item.key for _, item in done))
            self._release(replica_id, (item.key for _, item in adopted), unless_reason="conflict")
            for outcome in outcomes:
                if isinstance(outcome, Conflict | Failed):
                    self._quarantine(replica_id, outcome, now)
            for bucket, count in lateness.items():
                row = self._row("SELECT * FROM lateness WHERE replica = ? AND bucket = ?", replica_id, bucket)
                self._put("lateness", replica_id, bucket, count + (row[2] if is_whole(row) else 0))

    def adopt_replicas(self, shard: Shard, replicas: Sequence[tuple[str, int]]) -> None:
        """Remember objects, as (source key, size in bytes), that the destination's listing told of.

        Their source ETag is not known; an object whose ETag is known stays as it is.
        """
        with self._writing():
            self._adopt(self._own_shard(self._own_row()["id"], shard), shard, replicas)

    def release(self, keys: Sequence[str]) -> None:
        """Forget what the quarantine holds of these keys: they are gone at the source, say."""
        with self._writing():
            self._release(self._id(), keys)

    def accept(self, key: str) -> bool:
        """Be done with an object that is held: nothing waits for it any more.

        The replica of a conflict is taken for good, under the source's ETag; anything else is only let go of, since
        there is no replica to claim. Returns whether the key was held.
        """
        found = self.quarantined().get(key)
        if found is None:
            return False
        with self._writing():
            replica_id = self._own_row()["id"]
            if found.is_conflict:
                self._put_objects(replica_id, [(found.shard, found.object)])
            self._release(replica_id, [key])
        return True

    def retry(self, key: str) -> bool:
        """Have the next tick try an object that is held, whatever the matter was; whether the key was held."""
        found = self.quarantined().get(key)
        if found is None:
            return False
        with self._writing():
            self._hold(self._own_row()["id"], found._replace(reason=failures.RETRY_REQUESTED, next_at=0.0))
        return True

    def seal(self, shard: Shard, before_day: str, *, limit: int) -> int:
        """Fold the days before one (YYYY-MM-DD) into one row each, oldest first, until `limit` objects are folded.

        A day is folded whole, in one transaction, onto what was sealed of it before. Keys without a day stay.
        Returns how many objects were folded.
        """
        folded, done_until = 0, ""
        while folded < limit:
            with self._guarded():
                shard_id = self._shard_id(shard)
                day = None if shard_id is None else oldest_day(self._db, shard_id, done_until, before_day)
            if day is None:
                break
            with self._writing():
                shard_id = self._own_shard(self._own_row()["id"], shard)
                count, damaged = fold_away(self._db, shard, shard_id, day)
            folded, done_until = folded + count, day
            self.damaged_rows += damaged
        return folded

    def reopen(self, shard: Shard, day: str, replicas: Sequence[tuple[str, int]]) -> None:
        """Remember a sealed day (YYYY-MM-DD) key by key again, as (source key, size) of the destination's listing."""
        with self._writing():
            shard_id = self._own_shard(self._own_row()["id"], shard)
            self._db.execute("DELETE FROM days WHERE shard = ? AND day = ?", (shard_id, day))
            self._adopt(shard_id, shard, replicas)

    def record_tick(self, report: TickReport, *, kind: str) -> None:
        """Remember what a `tick` or a `catch-up` did; the last `TICKS_KEPT` of a job are kept."""
        with self._writing():
            self._own_row()
            (last,) = self._db.execute("SELECT max(number) FROM ticks WHERE job = ?", (self._job,)).fetchone()
            number = next_number(last)
            self._put("ticks", self._job, number, kind, report_to_json(report))
            self._db.execute("DELETE FROM ticks WHERE job = ? AND number <= ?", (self._job, number - TICKS_KEPT))

    def forget(self) -> None:
        """Forget everything of this replica but the reports of its ticks; also what damage left without an owner.

        Nobody else may tick or catch up this job meanwhile.
        """
        with self._writing():
            forget_replica(self._db, replica_key(self._replica), self._id())
        self.replica_is_new = True
        with self._guarded():
            sweep(self._db)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._guarded():
            # In WAL mode SQLite writes on into a file that has no name any more, and says nothing.
            if identity_of(self._path) != self._state.identity:
                raise LedgerCorrupt(f"{self._path} was moved or removed while it was open")
            with self._state.turn, transaction(self._db):
                yield

    def _put(self, table: str, *values: object) -> None:
        row = with_checksum(*values)
        marks = ", ".join("?" * len(row))
        self._db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)  # noqa: S608 - our own table names

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

    def _put_objects(self, replica_id: int, objects: Iterable[tuple[Shard, LogObject]]) -> None:
        ids: dict[Shard, int] = {}
        rows = []
        for shard, item in objects:
            if shard not in ids:
                ids[shard] = self._own_shard(replica_id, shard)
            values = (ids[shard], encode_key(shard, item.key), encode_etag(item.etag), item.size_bytes)
            rows.append((*values, object_checksum(*values)))
        self._db.executemany("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)", rows)

    def _adopt(self, shard_id: int, shard: Shard, replicas: Sequence[tuple[str, int]]) -> None:
        rows = []
        sizes = dict(replicas)
        for tail, key in encode_keys(shard, sizes).items():
            size = sizes[key]
            rows.append((shard_id, tail, size, object_checksum(shard_id, tail, None, size)))
        self._db.executemany(
            "INSERT INTO objects VALUES (?, ?, NULL, ?, ?) ON CONFLICT DO UPDATE"
            " SET size_bytes = excluded.size_bytes, checksum = excluded.checksum WHERE etag IS NULL",
            rows,
        )

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
            held.detail,
            held.attempts,
            held.first_at,
            held.next_at,
        )


def _cursor_values(state: ShardState) -> tuple[object, ...]:
    return (
        float(state.frontier),
        float(state.listed_at),
        float(state.recent_at),
        state.deep_key,
        float(state.deep_at),
        float(state.complete_from),
        float(state.complete_until),
        float(state.newest_arrival),
        "",
    )
