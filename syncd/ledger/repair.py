"""Repair of rows that no listing can find again: starts, the quarantine and acceptances. Damage to a row costs that row."""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from syncd.ledger.rows import is_whole, with_checksum
from syncd.ledger.schema import insert
from syncd.ledger.sqlite import transaction
from syncd.model.errors import LedgerCorrupt

MENDED = ("quarantine", "accepted")

_SALVAGED = {
    "replicas": "source_bucket {0}, source_prefix {0}, destination_endpoint {0}, destination_bucket {0}, destination_prefix {0}",
    "quarantine": "replica {0}, key {0}",
    "accepted": "replica {0}, key {0}",
}
"""Tables that no listing can restore, and the order of their keys, by which they are read from both ends."""

Entries = list[tuple[str, tuple[object, ...]]]


def salvageable(damaged: sqlite3.Connection) -> Entries:
    """Return the readable starts, quarantine entries and acceptances of a damaged file, each with its table.

    Rows with a wrong checksum are left out, and so is everything between two unreadable pages.
    """
    found: Entries = []
    for table, order in _SALVAGED.items():
        rows = {row: None for way in ("ASC", "DESC") for row in _readable(damaged, table, order.format(way))}
        found += ((table, row) for row in rows)
    return found


def take_over(fresh: sqlite3.Connection, entries: Entries) -> int:
    """Write salvaged entries into a new file. Returns how many were written."""
    taken = 0
    with transaction(fresh):
        widths = {table: len(fresh.execute(f"SELECT * FROM {table} LIMIT 0").description) for table in _SALVAGED}  # noqa: S608 - our own names
        for table, row in entries:
            if len(row) != widths[table]:
                continue
            if table == "replicas":
                # The new file knows no shards, so discovery starts over.
                row = with_checksum(*row[:8], 0.0, *row[9:-1])  # noqa: PLW2901
            taken += insert(fresh, table, row)
    return taken


def _readable(damaged: sqlite3.Connection, table: str, order: str) -> Iterator[tuple[object, ...]]:
    """Yield undamaged rows up to the first unreadable page."""
    with suppress(sqlite3.Error, UnicodeDecodeError):
        for row in damaged.execute(f"SELECT * FROM {table} ORDER BY {order}"):  # noqa: S608 - our own names
            if is_whole(row):
                yield row


def count_damaged(connection: sqlite3.Connection, table: str, replica_id: int | None) -> int:
    """Return how many of a replica's rows in a table have a wrong checksum."""
    # Read one by one: every tick does this, and 100,000 quarantined objects would take hundreds of megabytes.
    return sum(not is_whole(row) for row in _rows(connection, table, replica_id))


def mend(connection: sqlite3.Connection, path: Path, replica_id: int) -> list[str]:
    """Remove a replica's damaged rows, inside the caller's transaction. Returns a sentence for each action.

    Its shards start over, which finds the objects of damaged quarantine entries again.

    Raises:
        LedgerCorrupt: they cannot be removed because the table's tree is broken.
    """
    actions = []
    if held := _drop_damaged(connection, "quarantine", replica_id):
        connection.execute(
            "DELETE FROM cursors WHERE shard IN (SELECT id FROM shards WHERE replica = ?)", (replica_id,)
        )
        actions.append(
            f"damaged entries of the quarantine were removed: {held}; source and destination are compared again"
            " from the job's start"
        )
    if accepted := _drop_damaged(connection, "accepted", replica_id):
        actions.append(f"damaged acceptances were restored from decisions.jsonl: {accepted}")
    if any(count_damaged(connection, table, replica_id) for table in MENDED):
        raise LedgerCorrupt(f"{path}: damaged entries cannot be removed")
    return actions


def _drop_damaged(connection: sqlite3.Connection, table: str, replica_id: int) -> int:
    """Rewrite the undamaged rows only, since a damaged row's key may not be usable in a query."""
    rows = list(_rows(connection, table, replica_id))
    whole = [row for row in rows if is_whole(row)]
    if len(whole) < len(rows):
        connection.execute(f"DELETE FROM {table} WHERE replica = ?", (replica_id,))  # noqa: S608 - our own names
        for row in whole:
            insert(connection, table, row)
    return len(rows) - len(whole)


def _rows(connection: sqlite3.Connection, table: str, replica_id: int | None) -> Iterator[tuple[Any, ...]]:
    return connection.execute(f"SELECT * FROM {table} WHERE replica = ?", (replica_id,))  # noqa: S608 - our own names
