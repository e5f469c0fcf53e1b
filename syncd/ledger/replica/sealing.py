"""Sealing: old days of a shard are folded into one row each."""

import sqlite3
from collections.abc import Collection, Iterator

from syncd.ledger.replica.objects import sealed_day
from syncd.ledger.rows import (
    day_of,
    decode_etags,
    decode_key,
    first_tail,
    is_whole,
    last_tail,
    object_checksum,
    with_checksum,
)
from syncd.model.objects import Shard
from syncd.model.sealed import NO_WITNESS, WITNESS_BYTES, SealedDay, SealedObject, fold_day, witnessed


def oldest_day(connection: sqlite3.Connection, shard_id: int, after_day: str, before_day: str) -> str | None:
    """Return the oldest day with objects between two days (YYYY-MM-DD, both exclusive).

    An empty `after_day` means no lower bound. Returns None if no day has objects.
    """
    query = "SELECT tail FROM objects WHERE shard = ? AND tail >= ? AND tail < ? ORDER BY tail"
    lowest = last_tail(after_day) if after_day else ""
    for (tail,) in connection.execute(query, (shard_id, lowest, first_tail(before_day))):
        # Anything else is damage.
        if isinstance(tail, str) and (day := day_of(tail)):
            return day
    return None


def held_of_day(connection: sqlite3.Connection, replica_id: int | None, shard: Shard, day: str) -> set[str]:
    """Return the quarantined keys of a day's folder."""
    folder = f"{shard.prefix}{day.replace('-', '/')}"
    query = "SELECT key FROM quarantine WHERE replica = ? AND key >= ? AND key < ?"
    return {key for (key,) in connection.execute(query, (replica_id, f"{folder}/", f"{folder}0"))}


def only_held(
    connection: sqlite3.Connection, shard: Shard, shard_id: int | None, day: str, held: Collection[str]
) -> bool:
    """Return True if all of a day's rows are those of `held` objects."""
    query = "SELECT tail FROM objects WHERE shard = ? AND tail >= ? AND tail < ?"
    rows = connection.execute(query, (shard_id, first_tail(day), last_tail(day)))
    return all(isinstance(tail, str) and decode_key(shard, tail) in held for (tail,) in rows)


def fold_away(
    connection: sqlite3.Connection, shard: Shard, shard_id: int, day: str, held: Collection[str]
) -> tuple[int, int]:
    """Fold a day's objects into its row, inside the caller's transaction. Rows of `held` objects stay.

    Returns how many objects were folded, and how many rows were damaged.
    """
    span = (shard_id, first_tail(day), last_tail(day))
    damaged = 0
    kept: list[tuple[object, ...]] = []
    row = connection.execute("SELECT * FROM days WHERE shard = ? AND day = ?", (shard_id, day)).fetchone()
    before = sealed_day(row) if is_whole(row) else None
    witness = NO_WITNESS if before is None else witness_of(connection, shard_id, day)

    def whole_objects() -> Iterator[SealedObject]:
        nonlocal damaged, witness
        query = (
            "SELECT tail, etag, size_bytes, checksum, content FROM objects WHERE shard = ? AND tail >= ? AND tail < ?"
        )
        for tail, etag, size, check, content in connection.execute(query, span):
            if check != object_checksum(shard_id, tail, etag, size):
                damaged += 1
            elif held and decode_key(shard, tail) in held:
                kept.append((shard_id, tail, etag, size, check, content))
            else:
                source_etag, replica_etag = decode_etags(etag)
                key = decode_key(shard, tail)
                # One object without a hash leaves the day without a witness.
                if witness is not None and replica_etag and isinstance(content, bytes):
                    witness = witnessed(witness, key, size, replica_etag, content.hex())
                else:
                    witness = None
                yield SealedObject(key, source_etag, size, replica_etag)

    folded = fold_day(whole_objects(), onto=before)
    put_day(connection, shard_id, day, folded, witness)
    connection.execute("DELETE FROM objects WHERE shard = ? AND tail >= ? AND tail < ?", span)
    connection.executemany("INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?)", kept)
    return folded.count - (before.count if before else 0), damaged


def witness_of(connection: sqlite3.Connection, shard_id: int, day: str) -> int | None:
    """Return the witness of a sealed day, or None if it has none."""
    row = connection.execute("SELECT * FROM witnesses WHERE shard = ? AND day = ?", (shard_id, day)).fetchone()
    return int.from_bytes(row[2], "big") if is_whole(row) else None


def delete_day(connection: sqlite3.Connection, shard_id: int | None, day: str) -> None:
    """Delete a sealed day's row and its witness, inside the caller's transaction."""
    for table in ("days", "witnesses"):
        connection.execute(f"DELETE FROM {table} WHERE shard = ? AND day = ?", (shard_id, day))  # noqa: S608 - our own names


def put_day(
    connection: sqlite3.Connection, shard_id: int, day: str, sealed: SealedDay, witness: int | None = None
) -> None:
    """Write a sealed day's row and its witness, inside the caller's transaction."""
    delete_day(connection, shard_id, day)
    if witness is not None:
        row = with_checksum(shard_id, day, witness.to_bytes(WITNESS_BYTES, "big"))
        connection.execute("INSERT INTO witnesses VALUES (?, ?, ?, ?)", row)
    sums = (sealed.count, sealed.size_bytes, sealed.digest, int(sealed.exact))
    values = with_checksum(shard_id, day, *sums, sealed.replica_digest, int(sealed.replica_exact))
    connection.execute("INSERT INTO days VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
