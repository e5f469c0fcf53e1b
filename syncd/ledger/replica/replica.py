"""One replica's ledger: what the view reads, and the commits."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

from syncd.ledger.decisions import Decisions, Kept
from syncd.ledger.file import OpenState
from syncd.ledger.repair import MENDED, count_damaged, mend
from syncd.ledger.replica.access import ReplicaRows, replica_key
from syncd.ledger.replica.commit import Commit, committing, written_before
from syncd.ledger.replica.results import TaskWriter
from syncd.ledger.replica.sealing import delete_day, fold_away, held_of_day, oldest_day, only_held
from syncd.ledger.replica.sweep import forget_replica, next_number, sweep
from syncd.ledger.replica.values import cursor_values, fitting
from syncd.ledger.rows import is_whole, report_to_json, shortened
from syncd.model.bounds import MOST_UNCOVERED, children_to_json
from syncd.model.objects import LogObject, Outcome, Replica, Shard, ShardState
from syncd.model.reasons import Reason
from syncd.model.reports import TickReport

_CLOCK_SKEW_SECONDS = 600.0
TICKS_KEPT = 300
"""Ticks and catch-ups of a job that are remembered."""


class ReplicaLedger(TaskWriter):
    """One replica's rows, read and written.

    Belongs to one thread. Every method may raise a LedgerError. Each writing method is one commit.
    """

    moved_aside: Path | None
    """The new path of a corrupt file that `open` found."""

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
        super().__init__(ReplicaRows(state.connection, path, replica, on_corrupt=on_corrupt))
        self._state = state
        self._job = job
        self._key = replica_key(replica)
        self._decisions = decisions
        self._now = now
        self.moved_aside = state.moved_aside
        self.salvaged = state.salvaged
        start = self.start()
        if start is None:
            self._restore_decisions()
        elif not decisions.has_start(self._key):
            # The state of an older version has no such file, and the file may have been lost too.
            decisions.keep_start(self._key, job, start)
        self._ran_here = self.start() is not None

    def ran_here(self) -> bool:
        """Return True if this replica had a start when its ledger was opened: this state filled it before."""
        return self._ran_here

    def _committing(self) -> AbstractContextManager[Commit]:
        return committing(self._state, self._rows, self._job)

    def _restore_decisions(self) -> None:
        """Restore decisions from before the state file was lost."""
        kept = self._decided()
        if kept.start is None and not kept.accepted:
            return
        with self._committing() as commit:
            row = commit.unclaimed()
            if row["start"] is None and kept.start is not None:
                commit.put_own(row | {"start": float(kept.start)})
            commit.put_accepted(row["id"], kept)

    def _decided(self) -> Kept:
        # A start in the future was written by a wrong clock.
        return self._decisions.of(self._key, latest=self._now() + _CLOCK_SKEW_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and release its lock."""
        with self._rows.guarded():
            self._state.close()

    def move(self) -> Replica | None:
        """Claim the replica for this job. Returns the replica that the job wrote before, once, if it was another.

        Returns None if another job wrote this replica last: the job was renamed, and nothing moved.
        """
        with self._rows.guarded():
            row = self._rows.own()
            if (row is not None and row["job"]) or not written_before(self._rows, self._job):
                return None
        with self._committing() as commit:
            before = written_before(self._rows, self._job)  # Another process may have claimed it in between.
            commit.own()
        return before[0] if before else None

    def set_start(self, instant: float) -> None:
        """Fix the instant from which the job replicates, unless an earlier one is fixed."""
        with self._committing() as commit:
            row = commit.own()
            if row["start"] is None or row["start"] > instant:
                self._decisions.keep_start(self._key, self._job, float(instant))
                commit.put_own(row | {"start": float(instant)})

    def save_proof(self, prefix: str, proof: str) -> None:
        """Save what continuous verification knows of one account and region, by the prefix of its digests."""
        with self._committing() as commit:
            commit.put("proofs", commit.replica_id(), fitting(prefix), proof)

    def mend(self) -> list[str]:
        """Remove damaged entries of the quarantine, and restart this replica's shards. Returns a sentence per action.

        The objects of removed entries are found again. Damaged acceptances are restored from the decisions.
        """
        db = self._rows.db
        with self._rows.guarded():
            if not any(count_damaged(db, table, self._rows.id()) for table in MENDED):
                return []
        with self._committing() as commit:
            row = commit.own()
            if count_damaged(db, "quarantine", row["id"]):
                # Until all shards have been listed again, none proves anything about the others.
                commit.put_own(row | {"discovered_at": 0.0})
            actions = mend(db, self._rows.path, row["id"])
            commit.put_accepted(row["id"], self._decided())
        return actions

    def set_mode_verdict(self, mode: str, why: str) -> None:
        """Remember the copy mode that `copy = "auto"` chose, and the reason."""
        with self._committing() as commit:
            commit.put_own(commit.own() | {"mode": mode, "mode_why": shortened(why)})

    def save_shards(self, states: Iterable[ShardState], *, discovered_at: float | None = None) -> None:
        """Save the states of these shards and, if given, when a full discovery of shards began."""
        with self._committing() as commit:
            row = commit.own()
            if discovered_at is not None:
                commit.put_own(row | {"discovered_at": float(discovered_at)})
            for state in states:
                commit.put("cursors", commit.shard_id(row["id"], state.shard), *cursor_values(state))

    def save_looked_at(self, looks: Mapping[str, tuple[float, tuple[str, ...]]]) -> None:
        """Save when these folders were listed by delimiter, and the folders found in them.

        A folder with more of them than can be saved is forgotten, so it is listed again each time.
        """
        with self._committing() as commit:
            replica_id = commit.replica_id()
            for prefix, (at, children) in looks.items():
                text = children_to_json(children)
                if text is None:
                    commit.db.execute("DELETE FROM looked WHERE replica = ? AND prefix = ?", (replica_id, prefix))
                else:
                    commit.put("looked", replica_id, fitting(prefix), float(at), text)

    def record(
        self,
        outcomes: Sequence[Outcome],
        adopted: Sequence[tuple[Shard, LogObject, str]],
        *,
        now: float,
        lateness: Mapping[int, int] = {},
    ) -> None:
        """Record the outcomes of transfers, and adopted objects that the destination already held.

        An object at the destination leaves the quarantine. One that is not enters it, or stays with one more attempt and
        a later `next_at`. Only acceptance ends a conflict. `lateness` is added to the histogram, by bucket.
        """
        with self._committing() as commit:
            replica_id = commit.replica_id()
            commit.record(replica_id, outcomes, adopted, now)
            for bucket, count in lateness.items():
                row = self._rows.one("SELECT * FROM lateness WHERE replica = ? AND bucket = ?", replica_id, bucket)
                commit.put("lateness", replica_id, bucket, count + (row[2] if is_whole(row) else 0))

    def save_uncovered(self, prefixes: Collection[str], *, now: float) -> None:
        """Replace the list of the source's folders that the job does not cover."""
        wanted = sorted(prefixes)[:MOST_UNCOVERED]
        before = self.uncovered()
        if before.keys() == set(wanted):
            return
        with self._committing() as commit:
            replica_id = commit.replica_id()
            commit.db.execute("DELETE FROM uncovered WHERE replica = ?", (replica_id,))
            for prefix in wanted:
                commit.put("uncovered", replica_id, fitting(prefix), before.get(prefix, float(now)))

    def accept(self, *keys: str) -> int:
        """Release objects from quarantine until their ETag or storage class changes. Returns how many were held.

        The replica of a conflict is kept for good, under the source's ETag.
        """
        found, now = self.held_of(keys), float(self._now())
        with self._committing() as commit:
            for entry in found:
                item, replica_id = entry.object, commit.replica_id()
                facts = {"etag": item.etag, "storage_class": item.storage_class}
                self._decisions.keep_accepted(self._key, self._job, item.key, **facts, at=now)
                if entry.is_conflict and not self.is_folded(entry.shard, item.key):
                    commit.put_objects(replica_id, [(entry.shard, item, "")])
                commit.put("accepted", replica_id, item.key, *facts.values(), now)
                commit.release(replica_id, [item.key])
        return len(found)

    def retry(self, *keys: str) -> int:
        """Have the next tick retry objects, for whatever reason they are held. Returns how many were held."""
        found = self.held_of(keys)
        with self._committing() as commit:
            for entry in found:
                commit.quarantine(commit.replica_id(), entry._replace(reason=Reason.RETRY_REQUESTED, next_at=0.0))
        return len(found)

    def release(self, *keys: str) -> None:
        """Release objects from quarantine that a sealed day's row counts already."""
        with self._committing() as commit:
            commit.release(commit.replica_id(), keys)

    def seal(self, shard: Shard, before_day: str, *, limit: int) -> int:
        """Fold the days before `before_day` (YYYY-MM-DD) into one row each, oldest first, up to `limit` objects.

        A day is folded whole, in one transaction, and added to its sealed row if there is one. Keys without a day stay, and
        quarantined ones, which will be recorded again. A conflict without a row gets one, so that it is known not to be
        counted. Returns how many objects were folded.
        """
        rows, folded, done_until = self._rows, 0, ""
        while folded < limit:
            with rows.guarded():
                shard_id = rows.shard_id(shard)
                day = None if shard_id is None else oldest_day(rows.db, shard_id, done_until, before_day)
                held = held_of_day(rows.db, rows.id(), shard, day) if day else set()
            if day is None:
                break
            done_until = day
            if held and only_held(rows.db, shard, shard_id, day, held):
                continue
            apart = self.held_of(held - self.known(shard, sorted(held)).keys()) if held else []
            with self._committing() as commit:
                replica_id = commit.replica_id()
                shard_id = commit.shard_id(replica_id, shard)
                commit.put_objects(replica_id, ((shard, entry.object, "") for entry in apart if entry.is_conflict))
                held = held_of_day(rows.db, replica_id, shard, day)
                count, damaged = fold_away(rows.db, shard, shard_id, day, held)
            folded += count
            rows.damaged += damaged
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
        """Delete the rows of sealed days (YYYY-MM-DD), and record their objects key by key, as `record` does.

        Both happen in one commit, so a killed process cannot lose the objects that a day's row counted.
        """
        with self._committing() as commit:
            if outcomes or adopted:
                commit.record(commit.replica_id(), outcomes, adopted, now)
            shard_id = self._rows.shard_id(shard)
            for day in days:
                delete_day(commit.db, shard_id, day)

    def record_tick(self, report: TickReport, *, kind: str) -> None:
        """Record the report of a `tick` or a `catch-up`. The last `TICKS_KEPT` of a job are kept."""
        with self._committing() as commit:
            commit.own()
            (last,) = commit.db.execute("SELECT max(number) FROM ticks WHERE job = ?", (self._job,)).fetchone()
            number = next_number(last)
            commit.put("ticks", self._job, number, kind, report_to_json(report))
            commit.db.execute("DELETE FROM ticks WHERE job = ? AND number <= ?", (self._job, number - TICKS_KEPT))

    def forget(self) -> None:
        """Delete everything that listings can find again, and rows whose owner was lost to damage.

        Nobody else may run a tick or a catch-up of this job meanwhile.
        """
        with self._committing() as commit:
            row = commit.own()
            commit.put_own(row | {"discovered_at": 0.0, "mode": None, "mode_why": None})
            forget_replica(commit.db, row["id"])
        with self._rows.guarded():
            sweep(self._rows.db)
