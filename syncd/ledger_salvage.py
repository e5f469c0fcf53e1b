"""What is taken over from a damaged state file: starts, quarantine and acceptances, which no listing can tell again."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from syncd.ledger_rows import is_whole, with_checksum
from syncd.ledger_schema import connect_readonly, transaction

_ORDERS = {
    "replicas": (
        "source_bucket {0}, source_prefix {0}, destination_endpoint {0}, destination_bucket {0}, destination_prefix {0}"
    ),
    "quarantine": "replica {0}, key {0}",
    "accepted": "replica {0}, key {0}",
}
"""By table the order in which its rows lie, so that what comes before a damaged page is told, and what comes after it."""


def salvage(path: Path, fresh: sqlite3.Connection) -> int:
    """Take over what a damaged file still tells. Returns how many entries.

    Rows whose checksum is wrong are left behind, and so is what lies between two pages that cannot be read.

    Raises:
        sqlite3.Error: the fresh file cannot be written.
    """
    found = _found(path)
    taken = 0
    with transaction(fresh):
        for table, rows in found.items():
            for row in rows:
                if table == "replicas":
                    # No shard is known any more, so none was discovered.
                    row = with_checksum(*row[:8], 0.0, *row[9:-1])  # noqa: PLW2901
                taken += _put(fresh, table, row)
    return taken


def _found(path: Path) -> dict[str, list[tuple[object, ...]]]:
    found: dict[str, dict[tuple[object, ...], tuple[object, ...]]] = {table: {} for table in _ORDERS}
    with suppress(sqlite3.Error, UnicodeDecodeError), closing(connect_readonly(path)) as damaged:
        for table, order in _ORDERS.items():
            for direction in ("ASC", "DESC"):
                for row in _readable(damaged, table, order.format(direction)):
                    found[table].setdefault(row[:-1], row)
    return {table: list(rows.values()) for table, rows in found.items()}


def _readable(damaged: sqlite3.Connection, table: str, order: str) -> Iterator[tuple[object, ...]]:
    """Yield whole rows until one lies on a page that cannot be read."""
    # UnicodeDecodeError is SQLite quoting a damaged schema in its message.
    with suppress(sqlite3.Error, UnicodeDecodeError):
        for row in damaged.execute(f"SELECT * FROM {table} ORDER BY {order}"):  # noqa: S608 - our own names
            if is_whole(row):
                yield row


def _put(fresh: sqlite3.Connection, table: str, row: tuple[object, ...]) -> int:
    """Insert a row. Returns 0 for one that a stale page tells in another version, or that is not of this table."""
    marks = ", ".join("?" * len(row))
    try:
        return fresh.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row).rowcount  # noqa: S608 - our own names
    except (sqlite3.IntegrityError, UnicodeEncodeError):
        return 0
