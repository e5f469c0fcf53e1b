"""Access to the rows of one replica, each verified against its checksum."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from syncd.ledger.rows import LONGEST_TEXT, is_whole, object_checksum
from syncd.ledger.sqlite import translated
from syncd.model.errors import LedgerRefused
from syncd.model.objects import Replica, Shard


class ReplicaRows:
    """The rows of one replica. Belongs to one thread.

    A row whose checksum is wrong counts as forgotten: it is counted here, and found again at the destination.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: Path, replica: Replica, *, on_corrupt: Callable[[], None]
    ) -> None:
        self.db = connection
        self.path = path
        self.replica = replica
        self._on_corrupt = on_corrupt
        self.damaged = 0
        """Rows read so far whose checksum is wrong."""
        self.damaged_shards: set[str] = set()
        """Prefixes of the shards whose own row or cursor was damaged."""

    def guarded(self) -> AbstractContextManager[None]:
        """Raise SQLite's errors in the block as a LedgerError."""
        return translated(self.path, on_corrupt=self._on_corrupt)

    def one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        """Return the first row of a query, unverified. Returns None if there is none."""
        require_short(*values)
        row: tuple[Any, ...] | None = self.db.execute(query, values).fetchone()
        return row

    def whole(self, rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        """Yield the undamaged rows, and count the others."""
        for row in rows:
            if is_whole(row):
                yield row
            else:
                self.damaged += 1

    def whole_objects(self, shard_id: int, rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[str, bytes | None, int]]:
        """Yield tail, ETags and size of the undamaged rows of objects, and count the others."""
        for tail, etags, size, check in rows:
            if check == object_checksum(shard_id, tail, etags, size):
                yield tail, etags, size
            else:
                self.damaged += 1

    def owned(self, query: str) -> Iterator[tuple[Any, ...]]:
        """Yield the undamaged rows of a query whose one parameter is the replica's ID."""
        return self.whole(self.db.execute(query, (self.id(),)))

    def own(self) -> dict[str, Any] | None:
        """Return the replica's own row by column. Returns None if there is none, or if it is damaged."""
        query = (
            "SELECT * FROM replicas WHERE source_bucket = ? AND source_prefix = ?"
            " AND destination_endpoint = ? AND destination_bucket = ? AND destination_prefix = ?"
        )
        cursor = self.db.execute(query, replica_key(self.replica))
        row = cursor.fetchone()
        if not is_whole(row):
            return None
        return dict(zip((column[0] for column in cursor.description), row, strict=True))

    def id(self) -> int | None:
        """Return the replica's ID. Returns None if it has no row."""
        row = self.own()
        return row["id"] if row else None

    def shard_id(self, shard: Shard) -> int | None:
        """Return a shard's ID. Returns None if its row is missing, damaged, or of other parts."""
        row = self.one("SELECT * FROM shards WHERE replica = ? AND prefix = ?", self.id(), shard.prefix)
        if not is_whole(row) or row[3:7] != (shard.account, shard.kind, shard.region, shard.organization):
            return None
        shard_id: int = row[2]
        return shard_id

    def held(self, key: str) -> tuple[Any, ...] | None:
        """Return the quarantine's row of a key, unverified. Returns None if there is none."""
        return self.one("SELECT * FROM quarantine WHERE replica = ? AND key = ?", self.id(), key)


def require_short(*values: object) -> None:
    """Raise LedgerRefused for a text that SQLite would reject as too big: it reports damaged rows the same way."""
    for value in values:
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            raise LedgerRefused(f"a text of {len(value)} characters, which begins with {value[:100]!r}")


def replica_key(replica: Replica) -> tuple[str, str, str, str, str]:
    """Return the parts that identify a replica, in the order of the table."""
    return (
        replica.source_bucket,
        replica.source_prefix,
        replica.destination_endpoint,
        replica.destination_bucket,
        replica.destination_prefix,
    )


def replica_of_row(row: Sequence[Any]) -> Replica:
    """Return the replica of a row of the table `replicas`."""
    return Replica(
        source_bucket=row[0],
        source_prefix=row[1],
        destination_endpoint=row[2],
        destination_bucket=row[3],
        destination_prefix=row[4],
    )
