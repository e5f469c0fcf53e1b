"""The ledger of all jobs, read by `status`, `plan` and `export`."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from syncd.ledger.replica.access import ReplicaRows, replica_of_row
from syncd.ledger.replica.objects import sealed_day
from syncd.ledger.replica.view import LedgerView
from syncd.ledger.rows import decode_etags, decode_key, is_whole, object_checksum, report_from_json
from syncd.ledger.sqlite import ENDINGS, translated
from syncd.model.objects import Quarantined, Replica, Shard, ShardState
from syncd.model.reports import TickReport

_HELD_AT_A_TIME = 500


class RecordedTick(NamedTuple):
    """One recorded tick or catch-up."""

    kind: str
    """`tick` or `catch-up`."""
    report: TickReport


class LedgerCounts(NamedTuple):
    """Rows that the ledger has of one job."""

    objects: int
    sealed_days: int
    quarantined: int


class Reader:
    """The rows of all jobs, read-only.

    Belongs to one thread. Every method may raise a LedgerError.
    A job's rows are those of the replica that it wrote last.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, *, on_corrupt: Callable[[], None]) -> None:
        self._db = connection
        self._path = path
        self._on_corrupt = on_corrupt

    def jobs(self) -> list[str]:
        """Return the names of the jobs that have ticked, sorted."""
        with self._guarded():
            names = {str(job) for (job,) in self._db.execute("SELECT DISTINCT job FROM ticks")}
            return sorted(names | {job for job, _, _ in self._replicas()})

    def view(self, replica: Replica) -> LedgerView:
        """Return the view of one replica, which is empty if the replica is unknown."""
        return LedgerView(ReplicaRows(self._db, self._path, replica, on_corrupt=self._on_corrupt))

    def view_of(self, job: str) -> LedgerView | None:
        """Return the view of the replica that a job wrote last. Returns None if there is none."""
        with self._guarded():
            return next((self.view(replica) for name, _, replica in self._replicas() if name == job), None)

    def last_tick(self, job: str) -> RecordedTick | None:
        """Return the last tick of a job, ignoring catch-ups. Returns None if there is none."""
        return next((tick for tick in self._ticks(job) if tick.kind == "tick"), None)

    def ticks(self, job: str, limit: int) -> list[RecordedTick]:
        """Return the last ticks and catch-ups of a job, newest first."""
        return [tick for _, tick in zip(range(limit), self._ticks(job), strict=False)]

    def shards(self, job: str) -> dict[str, ShardState]:
        """Return the state of each shard of a job, by its prefix."""
        view = self.view_of(job)
        return view.shards() if view else {}

    def quarantined(self, job: str) -> dict[str, Quarantined]:
        """Return the quarantined objects of a job, by key."""
        view = self.view_of(job)
        return view.quarantined() if view else {}

    def counts(self, job: str) -> LedgerCounts:
        """Count a job's rows. Reads every object's row, which takes a second for ten million."""
        counts = LedgerCounts(0, 0, 0)
        with self._guarded():
            for _, replica_id, _ in self._replicas(job):
                shards = [shard_id for shard_id, _ in self._shards(replica_id)]
                counts = LedgerCounts(
                    sum(self._count("SELECT count(*) FROM objects WHERE shard = ?", shard) for shard in shards),
                    sum(self._count("SELECT count(*) FROM days WHERE shard = ?", shard) for shard in shards),
                    self._count("SELECT count(*) FROM quarantine WHERE replica = ?", replica_id),
                )
        return counts

    def file_bytes(self) -> int:
        """Return the size of the state file and of the files that SQLite keeps beside it."""
        with self._guarded():
            files = (self._path.with_name(self._path.name + ending) for ending in ENDINGS)
            return sum(file.stat().st_size for file in files if file.exists())

    def export(self, job: str | None = None) -> Iterator[dict[str, object]]:
        """Yield the undamaged rows of one job or of all, each a mapping with a `type`."""
        with self._guarded():
            for name, replica_id, replica in self._replicas(job):
                view = self.view(replica)
                yield {"type": "replica", "job": name} | _replica_row(replica, view)
                for prefix, state in view.shards().items():
                    yield {"type": "shard", "job": name, "prefix": prefix} | _state_row(state)
                for shard_id, shard in self._shards(replica_id):
                    for row in self._shard_rows(shard_id, shard):
                        yield {"type": row.pop("type"), "job": name, "prefix": shard.prefix} | row
                for entry in _each_held(view):
                    yield {"type": "quarantined", "job": name, "prefix": entry.shard.prefix} | _quarantined_row(entry)
                for key, (etag, storage_class) in view.accepted().items():
                    facts = {"key": key, "etag": etag, "storage_class": storage_class}
                    yield {"type": "accepted", "job": name, **facts}
                for prefix, first_at in view.uncovered().items():
                    yield {"type": "uncovered", "job": name, "prefix": prefix, "first_at": first_at}

    def _guarded(self) -> AbstractContextManager[None]:
        return translated(self._path, on_corrupt=self._on_corrupt)

    def _replicas(self, job: str | None = None) -> list[tuple[str, int, Replica]]:
        """Return job, ID and Replica of each replica that a job has claimed."""
        rows = self._db.execute("SELECT * FROM replicas WHERE job <> '' ORDER BY job").fetchall()
        return [(row[6], row[5], replica_of_row(row)) for row in rows if is_whole(row) and job in {None, row[6]}]

    def _shards(self, replica_id: int) -> list[tuple[int, Shard]]:
        rows = self._db.execute("SELECT * FROM shards WHERE replica = ?", (replica_id,)).fetchall()
        return [(row[2], Shard(row[1], *row[3:7])) for row in rows if is_whole(row)]

    def _shard_rows(self, shard_id: int, shard: Shard) -> Iterator[dict[str, object]]:
        for row in self._db.execute("SELECT * FROM days WHERE shard = ?", (shard_id,)):
            if is_whole(row):
                yield {"type": "day", "day": row[1]} | sealed_day(row)._asdict()
        query = "SELECT tail, etag, size_bytes, checksum FROM objects WHERE shard = ?"
        for tail, etag, size, check in self._db.execute(query, (shard_id,)):
            if check == object_checksum(shard_id, tail, etag, size):
                key = decode_key(shard, tail)
                source, replica = decode_etags(etag)
                yield {"type": "object", "key": key, "etag": source, "replica_etag": replica, "size_bytes": size}

    def _ticks(self, job: str) -> Iterator[RecordedTick]:
        with self._guarded():
            for row in self._db.execute("SELECT * FROM ticks WHERE job = ? ORDER BY number DESC", (job,)):
                if is_whole(row):
                    yield RecordedTick(row[2], report_from_json(row[3]))

    def _count(self, query: str, value: int) -> int:
        count: int = self._db.execute(query, (value,)).fetchone()[0]
        return count


def _each_held(view: LedgerView) -> Iterator[Quarantined]:
    last = ""
    while page := view.held_after(last, _HELD_AT_A_TIME):
        yield from page
        last = page[-1].object.key


def _replica_row(replica: Replica, view: LedgerView) -> dict[str, object]:
    verdict = view.mode_verdict()
    return {
        "source_bucket": replica.source_bucket,
        "source_prefix": replica.source_prefix,
        "destination_endpoint": replica.destination_endpoint,
        "destination_bucket": replica.destination_bucket,
        "destination_prefix": replica.destination_prefix,
        "start": view.start(),
        "discovered_at": view.discovered_at(),
        "mode": verdict and verdict[0],
        "mode_why": verdict and verdict[1],
    }


def _state_row(state: ShardState) -> dict[str, Any]:
    return {name: value for name, value in state._asdict().items() if name != "shard"} | state.shard._asdict()


def _quarantined_row(entry: Quarantined) -> dict[str, Any]:
    row = entry._asdict()
    return entry.object._asdict() | {name: row[name] for name in row if name not in {"object", "shard"}}
