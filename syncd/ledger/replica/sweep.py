"""Unused IDs, and rows without an owner."""

import sqlite3

from syncd.ledger.sqlite import transaction
from syncd.model.errors import LedgerCorrupt

_ROWS_AT_ONCE = 20_000
_HIGHEST = 2**48
_OF_REPLICA = ("shards", "looked", "quarantine", "lateness", "accepted", "uncovered", "proofs", "tasks")


def next_replica_id(connection: sqlite3.Connection) -> int:
    """Return an ID that no row uses. Rows whose replica's own row was damaged must not change owner.

    Raises:
        LedgerCorrupt: the IDs in use are damaged.
    """
    tables = (("replicas", "id"), *((table, "replica") for table in _OF_REPLICA))
    return _next_id(connection, tables)


def next_shard_id(connection: sqlite3.Connection) -> int:
    """Return an ID that no row uses. Raises LedgerCorrupt if the IDs in use are damaged."""
    return _next_id(
        connection, (("shards", "id"), *((table, "shard") for table in ("cursors", "objects", "days", "witnesses")))
    )


def next_number(value: object) -> int:
    """Return the number after the highest in use, or 1 for None. Raises LedgerCorrupt if it is not a number."""
    if value is None:
        return 1
    if not isinstance(value, int) or not 0 <= value < _HIGHEST:
        raise LedgerCorrupt(f"{value!r} is not a valid number")
    return value + 1


def _next_id(connection: sqlite3.Connection, columns: tuple[tuple[str, str], ...]) -> int:
    highest = (connection.execute(f"SELECT max({column}) FROM {table}").fetchone() for table, column in columns)  # noqa: S608 - our own names
    return max(next_number(value) for (value,) in highest)


def forget_replica(connection: sqlite3.Connection, replica_id: int | None) -> None:
    """Delete a replica's rows that listings can find again. Rows of its shards are left to `sweep`.

    Its start, its quarantine and its acceptances stay: no listing finds them.
    """
    for table in ("shards", "looked", "lateness", "uncovered", "tasks"):
        connection.execute(f"DELETE FROM {table} WHERE replica = ?", (replica_id,))  # noqa: S608 - our own names


def sweep(connection: sqlite3.Connection) -> None:
    """Delete rows of vanished replicas and shards in batches, so that other writers get a turn."""
    with transaction(connection):
        for table in _OF_REPLICA:
            connection.execute(f"DELETE FROM {table} WHERE replica NOT IN (SELECT id FROM replicas)")  # noqa: S608 - our own names
    for table in ("cursors", "days", "witnesses", "objects"):
        last = 0
        while (shard_id := _next_shard(connection, table, last)) is not None:
            while _delete_some(connection, table, shard_id):
                pass
            last = shard_id


def _next_shard(connection: sqlite3.Connection, table: str, after: int) -> int | None:
    query = f"SELECT min(shard) FROM {table} WHERE shard > ?"  # noqa: S608 - our own names
    (shard_id,) = connection.execute(query, (after,)).fetchone()
    return shard_id if isinstance(shard_id, int) and shard_id > after else None


def _delete_some(connection: sqlite3.Connection, table: str, shard_id: int) -> bool:
    """Delete a batch of a vanished shard's rows. Returns True if some were deleted and more may be left."""
    column = {"cursors": "shard", "days": "day", "witnesses": "day", "objects": "tail"}[table]
    with transaction(connection):
        if connection.execute("SELECT 1 FROM shards WHERE id = ?", (shard_id,)).fetchone():
            return False
        rows = f"SELECT {column} FROM {table} WHERE shard = ? LIMIT {_ROWS_AT_ONCE}"  # noqa: S608 - our own names
        delete = f"DELETE FROM {table} WHERE shard = ? AND {column} IN ({rows})"  # noqa: S608 - our own names
        return connection.execute(delete, (shard_id, shard_id)).rowcount > 0
