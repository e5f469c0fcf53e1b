"""How the rows of one replica are come by: its own row, and those that belong to it, each held to its checksum."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from syncd.ledger.rows import LONGEST_TEXT, is_whole
from syncd.ledger.sqlite import translated
from syncd.model.errors import LedgerRefused
from syncd.model.objects import Replica


class ReplicaRows:
    """The rows of one replica, read. Belongs to one thread."""

    damaged_rows: int
    """How many rows were met whose checksum is wrong, so far."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        replica: Replica,
        *,
        on_corrupt: Callable[[], None],
    ) -> None:
        self._db = connection
        self._path = path
        self._replica = replica
        self._on_corrupt = on_corrupt
        self.damaged_rows = 0

    def _guarded(self) -> AbstractContextManager[None]:
        return translated(self._path, on_corrupt=self._on_corrupt)

    def _row(self, query: str, *values: object) -> tuple[Any, ...] | None:
        require_short(*values)
        row: tuple[Any, ...] | None = self._db.execute(query, values).fetchone()
        return row

    def _whole(self, rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        for row in rows:
            if is_whole(row):
                yield row
            else:
                self.damaged_rows += 1

    def _owned(self, query: str) -> Iterator[tuple[Any, ...]]:
        return self._whole(self._db.execute(query, (self._id(),)))

    def _replica_row(self) -> dict[str, Any] | None:
        """The row of this replica by column; None where there is none, or a damaged one, which counts as none."""
        query = (
            "SELECT * FROM replicas WHERE source_bucket = ? AND source_prefix = ?"
            " AND destination_endpoint = ? AND destination_bucket = ? AND destination_prefix = ?"
        )
        cursor = self._db.execute(query, replica_key(self._replica))
        row = cursor.fetchone()
        if not is_whole(row):
            return None
        return dict(zip((column[0] for column in cursor.description), row, strict=True))

    def _id(self) -> int | None:
        row = self._replica_row()
        return row["id"] if row else None


def require_short(*values: object) -> None:
    """Keep texts from SQLite that it calls too big, which it calls a damaged row as well; LedgerRefused for such a one."""
    for value in values:
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            raise LedgerRefused(f"a text of {len(value)} characters, which begins with {value[:100]!r}")


def replica_key(replica: Replica) -> tuple[str, str, str, str, str]:
    """What tells one replica from another, in the order of the table."""
    return (
        replica.source_bucket,
        replica.source_prefix,
        replica.destination_endpoint,
        replica.destination_bucket,
        replica.destination_prefix,
    )


def replica_of_row(row: Sequence[Any]) -> Replica:
    """The replica that a row of the table `replicas` is of."""
    return Replica(
        source_bucket=row[0],
        source_prefix=row[1],
        destination_endpoint=row[2],
        destination_bucket=row[3],
        destination_prefix=row[4],
    )
