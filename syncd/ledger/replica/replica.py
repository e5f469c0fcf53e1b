"""What the ledger remembers of one replica: the writing half."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from syncd.ledger.decisions import Decisions, Kept
from syncd.ledger.file import OpenState
from syncd.ledger.repair import MENDED, count_damaged, mend
from syncd.ledger.replica.access import replica_key
from syncd.ledger.replica.commit import LedgerWriter
from syncd.ledger.replica.sealing import fold_away, held_of_day, oldest_day, only_held
from syncd.ledger.replica.sweep import forget_replica, next_number, sweep
from syncd.ledger.replica.values import cursor_values, fitting
from syncd.ledger.rows import is_whole, report_to_json, shortened
from syncd.ledger.sqlite import translated
from syncd.model.bounds import MOST_UNCOVERED, children_to_json
from syncd.model.objects import LogObject, Outcome, Replica, Shard, ShardState
from syncd.model.reasons import Reason
from syncd.model.reports import TickReport

_CLOCK_SKEW_SECONDS = 600.0
TICKS_KEPT = 300
"""How many ticks and catch-ups of a job are remembered."""


class Ledger(LedgerWriter):
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
        super().__init__(state.connection, path, replica, on_corrupt=on_corrupt)
        self._state = state
        self._job = job
        self._decisions = decisions
        self._now = now
        self.moved_aside = state.moved_aside
        self.salvaged = state.salvaged
        start = self.start()
        if start is None:
            self._restore_decisions()
        elif not decisions.has_start(replica_key(replica)):
            # A state of before kept none, and the file may have been lost as well.
            decisions.keep_start(replica_key(replica), job, start)
        self._ran_here = self.start() is not None

    def ran_here(self) -> bool:
        """Return True if this replica had a start when its ledger was opened: it was filled from here before."""
        return self._ran_here

    def _restore_decisions(self) -> None:
        """Take up what was decided before the state file was lost; a start from the future was no decision."""
        kept = self._decided()
        if kept.start is None and not kept.accepted:
            return
        with self._writing():
            row = self._bare_row()
            if row["start"] is None and kept.start is not None:
                self._put_replica(row | {"start": float(kept.start)})
            self._put_accepted(row["id"], kept)

    def _decided(self) -> Kept:
        return self._decisions.of(replica_key(self._replica), latest=self._now() + _CLOCK_SKEW_SECONDS)

    def _put_accepted(self, replica_id: int, kept: Kept) -> None:
        for key, (etag, storage_class, at) in kept.accepted.items():
            self._put("accepted", replica_id, key, etag, storage_class, float(at))

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
        with self._writing():
            row = self._own_row()
            if row["start"] is None or row["start"] > instant:
                self._decisions.keep_start(replica_key(self._replica), self._job, float(instant))
                self._put_replica(row | {"start": float(instant)})

    def mend(self) -> list[str]:
        """Let go of damaged entries of the quarantine, and have this replica's shards looked through again.

        Returns a sentence for each thing that was done. An object that such an entry held is found again, since source
        and destination are listed side by side from the job's start. A damaged acceptance is taken from the decisions.
        """
        with self._guarded():
            if not any(count_damaged(self._db, table, self._id()) for table in MENDED):
                return []
        with self._writing():
            row = self._own_row()
            if count_damaged(self._db, "quarantine", row["id"]):
                # Until all shards have begun anew, none of them vouches for the others.
                self._put_replica(row | {"discovered_at": 0.0})
            told = mend(self._db, self._path, row["id"])
            self._put_accepted(row["id"], self._decided())
        return told

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
        """Remember when these prefixes were listed for what lies below them, and the child prefixes found.

        A folder with more of them than are kept is forgotten, so that it is listed again each time.
        """
        with self._writing():
            replica_id = self._own_row()["id"]
            for prefix, (at, children) in looks.items():
                text = children_to_json(children)
                if text is None:
                    self._db.execute("DELETE FROM looked WHERE replica = ? AND prefix = ?", (replica_id, prefix))
                else:
                    self._put("looked", replica_id, fitting(prefix), float(at), text)

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
        with self._writing():
            replica_id = self._own_row()["id"]
            self._record(replica_id, outcomes, adopted, now)
            for bucket, count in lateness.items():
                row = self._row("SELECT * FROM lateness WHERE replica = ? AND bucket = ?", replica_id, bucket)
                self._put("lateness", replica_id, bucket, count + (row[2] if is_whole(row) else 0))

    def save_uncovered(self, prefixes: Collection[str], *, now: float) -> None:
        """Remember which folders of the source are not covered, in place of those of before."""
        wanted = sorted(prefixes)[:MOST_UNCOVERED]
        before = self.uncovered()
        if before.keys() == set(wanted):
            return
        with self._writing():
            replica_id = self._own_row()["id"]
            self._db.execute("DELETE FROM uncovered WHERE replica = ?", (replica_id,))
            for prefix in wanted:
                self._put("uncovered", replica_id, fitting(prefix), before.get(prefix, float(now)))

    def accept(self, key: str) -> bool:
        """Be done with an object that is held, until its ETag or storage class changes. Returns True if it was held.

        The replica of a conflict is taken for good, under the source's ETag.
        """
        found = self.held(key)
        if found is None:
            return False
        item, now = found.object, float(self._now())
        with self._writing():
            replica_id = self._own_row()["id"]
            self._decisions.keep_accepted(
                replica_key(self._replica),
                self._job,
                key,
                etag=item.etag,
                storage_class=item.storage_class,
                at=now,
            )
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
            self._hold(self._own_row()["id"], found._replace(reason=Reason.RETRY_REQUESTED, next_at=0.0))
        return True

    def seal(self, shard: Shard, before_day: str, *, limit: int) -> int:
        """Fold the days before one (YYYY-MM-DD) into one row each, oldest first, until `limit` objects are folded.

        A day is folded whole, in one transaction, onto what was sealed of it before. Keys without a day stay, and so do
        those that are held: they will be recorded again, and a day must not count them twice. Returns how many objects
        were folded.
        """
        folded, done_until = 0, ""
        while folded < limit:
            with self._guarded():
                shard_id = self._shard_id(shard)
                day = None if shard_id is None else oldest_day(self._db, shard_id, done_until, before_day)
                held = held_of_day(self._db, self._id(), shard, day) if day else set()
            if day is None:
                break
            done_until = day
            if held and only_held(self._db, shard, shard_id, day, held):
                continue
            with self._writing():
                replica_id = self._own_row()["id"]
                shard_id = self._own_shard(replica_id, shard)
                held = held_of_day(self._db, replica_id, shard, day)
                count, damaged = fold_away(self._db, shard, shard_id, day, held)
            folded += count
            self.damaged_rows += damaged
        return folded

    def unseal(
        self,
        shard: Shard,
        days: Sequence[str],
        *,
        outcomes: Sequence[Outcome] = (),
        adopted: Sequence[tuple[Shard, LogObject, str]] = (),
        now: float = 0.0,
    ) -> None:
        """Forget the rows of sealed days (YYYY-MM-DD): they are remembered key by key again, as `record` does.

        All of it in one commit, or what a day's row vouched for would be forgotten by a process that is killed.
        """
        with self._writing():
            if outcomes or adopted:
                self._record(self._own_row()["id"], outcomes, adopted, now)
            shard_id = self._shard_id(shard)
            self._db.executemany("DELETE FROM days WHERE shard = ? AND day = ?", [(shard_id, day) for day in days])

    def record_tick(self, report: TickReport, *, kind: str) -> None:
        """Remember what a `tick` or a `catch-up` did; the last `TICKS_KEPT` of a job are kept."""
        with self._writing():
            self._own_row()
            (last,) = self._db.execute("SELECT max(number) FROM ticks WHERE job = ?", (self._job,)).fetchone()
            number = next_number(last)
            self._put("ticks", self._job, number, kind, report_to_json(report))
            self._db.execute("DELETE FROM ticks WHERE job = ? AND number <= ?", (self._job, number - TICKS_KEPT))

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
