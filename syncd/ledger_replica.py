"""What the ledger remembers of one replica: the writing half."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from syncd import failures
from syncd.decisions import Decisions
from syncd.errors import LedgerCorrupt
from syncd.ledger_access import replica_key
from syncd.ledger_errors import change, change_many, translated
from syncd.ledger_file import OpenState
from syncd.ledger_rows import bounded_children, is_whole, report_to_json, shortened
from syncd.ledger_sealing import fold_away, oldest_day
from syncd.ledger_sweep import forget_replica, next_number, sweep
from syncd.ledger_writer import ReplicaWriter, cursor_values
from syncd.model import (
    AlreadyThere,
    Conflict,
    Copied,
    Failed,
    LogObject,
    Outcome,
    Replica,
    Shard,
    ShardState,
    TickReport,
)

_CLOCK_SKEW_SECONDS = 600.0
TICKS_KEPT = 300
"""How many ticks and catch-ups of a job are remembered."""


class Ledger(ReplicaWriter):
    """One replica's rows, read and written. Belongs to one thread; every method may raise a LedgerError.

    Each writing method is one commit: all of it is remembered, or nothing.
    """

    moved_aside: Path | None
    """Where a corrupt file went that `open` met."""

    def __init__(
        self,
        state: OpenState,
        path: Path,
        replica: Replica,
        job: str,
        *,
        decisions: Decisions,
        now: Callable[[], float],
        on_corrupt: Callable[[], None],
    ) -> None:
        super().__init__(state, path, replica, job, on_corrupt=on_corrupt)
        self._decisions = decisions
        self._now = now
        self.moved_aside = state.moved_aside
        self.salvaged = state.salvaged
        self._agree_with_decisions()
        self._ran_here = self.start() is not None

    def ran_here(self) -> bool:
        """Return True if this replica had a start when its ledger was opened: it was filled from here before."""
        return self._ran_here

    def _agree_with_decisions(self) -> None:
        """Take up what was decided before the state file was lost, or write down what only that file knows."""
        replica, start = replica_key(self._replica), self.start()
        with self._guarded():
            kept = self._decisions.of(replica)
            if start is not None:
                if kept.start != start:
                    self._decisions.keep_start(replica, self._job, start)
                return
        # A start from the future was told by a wrong clock, and was no decision.
        is_decided = kept.start is not None and kept.start <= self._now() + _CLOCK_SKEW_SECONDS
        if is_decided or kept.accepted:
            with self._writing():
                row = self._own_row()
                if is_decided:
                    self._put_replica(row | {"start": kept.start})
                self._accept_again(row["id"])

    def _accept_again(self, replica_id: int) -> int:
        """Take up the acceptances that are written down and not among the rows; inside a commit. Returns how many."""
        kept = self._decisions.of(replica_key(self._replica)).accepted
        missing = kept.keys() - self.accepted().keys()
        for key in missing:
            etag, storage_class, _ = kept[key]
            self._put("accepted", replica_id, key, *kept[key])
            held = "replica = ? AND key = ? AND etag = ? AND storage_class = ?"
            change(self._db, f"DELETE FROM quarantine WHERE {held}", (replica_id, key, etag, storage_class))  # noqa: S608
        return len(missing)

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
        """Fix the instant from which the job replicates; one that was fixed before stays if it is earlier."""
        before = self.start()
        if before is not None and before <= instant:
            return
        with self._guarded():
            self._decisions.keep_start(replica_key(self._replica), self._job, float(instant))
        with self._writing():
            row = self._own_row()
            if row["start"] is None or row["start"] > instant:
                self._put_replica(row | {"start": float(instant)})

    def mend(self) -> list[str]:
        """Let go of damaged entries of the quarantine and of damaged acceptances. Returns a sentence for each.

        What such an entry held is found again: this replica's shards are listed on both sides from the job's start.
        Acceptances are written down twice.
        """
        with self._guarded():
            replica_id = self._id()
            damaged = {table: self._damaged(table, replica_id) for table in ("quarantine", "accepted")}
        if replica_id is None or not any(damaged.values()):
            return []
        with self._writing():
            for table, rows in damaged.items():
                for row in rows:
                    self._delete_damaged(table, row)
            if damaged["quarantine"]:
                shards = "SELECT id FROM shards WHERE replica = ?"
                change(self._db, f"DELETE FROM cursors WHERE shard IN ({shards})", (replica_id,))  # noqa: S608 - our own
            restored = self._accept_again(replica_id)
        told = []
        if held := len(damaged["quarantine"]):
            entries = "1 entry" if held == 1 else f"{held} entries"
            told.append(
                f"{entries} of the quarantine damaged: source and destination are compared from the job's start"
            )
        if accepted := len(damaged["accepted"]):
            told.append(f"{accepted} of the accepted objects damaged: {restored} of them are written down elsewhere")
        return told

    def _damaged(self, table: str, replica_id: int | None) -> list[tuple[Any, ...]]:
        rows = self._db.execute(f"SELECT * FROM {table} WHERE replica = ?", (replica_id,))  # noqa: S608 - our own names
        return [row for row in rows if not is_whole(row)]

    def _delete_damaged(self, table: str, row: tuple[Any, ...]) -> None:
        """Delete a row by the bytes of its key, which may be no text any more."""
        key = row[1].encode("utf-8", "surrogateescape") if isinstance(row[1], str) else row[1]
        where = "replica = ? AND key = CAST(? AS TEXT)" if isinstance(key, bytes) else "replica = ? AND key IS ?"
        deleted = change(self._db, f"DELETE FROM {table} WHERE {where}", (row[0], key))  # noqa: S608 - our own names
        if not deleted.rowcount:
            raise LedgerCorrupt(f"{self._path}: a damaged entry of {table} cannot be found by its key")

    def set_mode_verdict(self, mode: str, why: str) -> None:
        """Remember what `copy = "auto"` came to, and why."""
        with self._writing():
            self._put_replica(self._own_row() | {"mode": mode, "mode_why": shortened(why)})

    def save_shards(self, states: Iterable[ShardState], *, discovered_at: float | None = None) -> None:
        """Remember how far these shards are and, if that is given, when a full discovery of shards began."""
        with self._writing():
            row = self._own_row()
            if discovered_at is not None:
                self._put_replica(row | {"discovered_at": float(discovered_at)})
            for state in states:
                self._put("cursors", self._own_shard(row["id"], state.shard), *cursor_values(state))

    def save_looked_at(self, looks: Mapping[str, tuple[float, tuple[str, ...]]]) -> None:
        """Remember when these prefixes were listed for what lies below them, and the child prefixes found."""
        with self._writing():
            replica_id = self._own_row()["id"]
            for prefix, (at, children) in looks.items():
                self._put("looked", replica_id, prefix, float(at), json.dumps(bounded_children(prefix, children)))

    def record(
        self,
        outcomes: Sequence[Outcome],
        adopted: Sequence[tuple[Shard, LogObject, str]],
        *,
        now: float,
        lateness: Mapping[int, int] = {},
    ) -> None:
        """Remember what became of some transfers, and objects that the destination was found to hold already.

        An object that is there now leaves the quarantine; one that is not enters it, or stays with one attempt more
        and a later `next_at`. An adopted object does not end a conflict, which only its acceptance does. `lateness`
        is added to the histogram, by bucket.
        """
        done = [
            (o.transfer.shard, o.transfer.object, o.replica_etag)
            for o in outcomes
            if isinstance(o, Copied | AlreadyThere)
        ]
        with self._writing():
            replica_id = self._own_row()["id"]
            self._put_objects(replica_id, chain(done, adopted))
            self._release(replica_id, (item.key for _, item, _ in done))
            self._release(replica_id, (item.key for _, item, _ in adopted), unless_reason="conflict")
            for outcome in outcomes:
                if isinstance(outcome, Conflict | Failed):
                    self._quarantine(replica_id, outcome, now)
            for bucket, count in lateness.items():
                row = self._row("SELECT * FROM lateness WHERE replica = ? AND bucket = ?", replica_id, bucket)
                self._put("lateness", replica_id, bucket, count + (row[2] if is_whole(row) else 0))

    def save_uncovered(self, prefixes: Collection[str], *, now: float) -> None:
        """Remember which folders of the source are not covered, in place of those of before."""
        before = self.uncovered()
        if before.keys() == set(prefixes):
            return
        with self._writing():
            replica_id = self._own_row()["id"]
            change(self._db, "DELETE FROM uncovered WHERE replica = ?", (replica_id,))
            for prefix in prefixes:
                self._put("uncovered", replica_id, prefix, before.get(prefix, float(now)))

    def accept(self, key: str) -> bool:
        """Be done with an object that is held, until its ETag or storage class changes. Returns True if it was held.

        The replica of a conflict is taken for good, under the source's ETag.
        """
        found = self.held(key)
        if found is None:
            return False
        item, now = found.object, float(self._now())
        with self._guarded():
            self._decisions.keep_accepted(
                replica_key(self._replica),
                self._job,
                key,
                etag=item.etag,
                storage_class=item.storage_class,
                at=now,
            )
        with self._writing():
            replica_id = self._own_row()["id"]
            if found.is_conflict:
                self._put_objects(replica_id, [(found.shard, item, "")])
            self._put("accepted", replica_id, key, item.etag, item.storage_class, now)
            self._release(replica_id, [key])
        return True

    def retry(self, key: str) -> bool:
        """Have the next tick try an object that is held, whatever the matter was; whether the key was held."""
        found = self.held(key)
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

    def unseal(self, shard: Shard, days: Sequence[str]) -> None:
        """Forget the rows of sealed days (YYYY-MM-DD): they are remembered key by key again."""
        with self._writing():
            shard_id = self._shard_id(shard)
            change_many(self._db, "DELETE FROM days WHERE shard = ? AND day = ?", [(shard_id, day) for day in days])

    def record_tick(self, report: TickReport, *, kind: str) -> None:
        """Remember what a `tick` or a `catch-up` did; the last `TICKS_KEPT` of a job are kept."""
        with self._writing():
            self._own_row()
            (last,) = self._db.execute("SELECT max(number) FROM ticks WHERE job = ?", (self._job,)).fetchone()
            number = next_number(last)
            self._put("ticks", self._job, number, kind, report_to_json(report))
            change(self._db, "DELETE FROM ticks WHERE job = ? AND number <= ?", (self._job, number - TICKS_KEPT))

    def forget(self) -> None:
        """Forget what the two listings tell of this replica; also what damage left without an owner.

        Nobody else may tick or catch up this job meanwhile.
        """
        with self._writing():
            row = self._own_row()
            self._put_replica(row | {"discovered_at": 0.0, "mode": None, "mode_why": None})
            forget_replica(self._db, row["id"])
        with self._guarded():
            sweep(self._db)
