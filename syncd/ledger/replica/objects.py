"""The objects of one replica that are at the destination, read: key by key, and by sealed days."""

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any

from syncd.ledger.replica.access import ReplicaRows, require_short
from syncd.ledger.rows import (
    NO_DAY,
    day_of,
    decode_etags,
    decode_key,
    encode_key,
    encode_keys,
    first_tail,
    first_tail_after,
    is_whole,
    last_tail,
    object_checksum,
    tails_by_form,
)
from syncd.model.objects import Known, Shard, Written
from syncd.model.sealed import SealedDay

_RANGE_SLACK_ROWS = 1000
_LAST = "\U0010ffff"
_AFTER_NO_DAY = chr(ord(NO_DAY) + 1)
_KNOWN = "SELECT tail, etag, size_bytes, checksum FROM objects WHERE shard = ?"
_WRITTEN = "SELECT tail, etag, size_bytes, checksum, content FROM objects WHERE shard = ?"


class ObjectView:
    """The objects of one replica. Every method may raise a LedgerError."""

    _rows: ReplicaRows

    def known(self, shard: Shard, keys: Sequence[str]) -> dict[str, Known]:
        """Return those of the keys that the ledger knows to be at the destination.

        Meant for a page of a listing: up to 1,000 keys of the shard, near each other in key order. Keys far apart
        give correct results too, only slower. Raises ValueError for a key outside the shard.
        """
        known = {}
        by_form = tails_by_form(encode_keys(shard, keys))
        with self._rows.guarded():
            shard_id = self._rows.shard_id(shard)
            if shard_id is None:
                return {}
            for key_of in by_form.values():
                for tail, etags, size, check in self._among(shard_id, key_of):
                    key = key_of.get(tail)
                    if key is None:
                        continue
                    # Not `whole_objects`, which takes a tenth longer: every listing looks up each of its keys here.
                    if check == object_checksum(shard_id, tail, etags, size):
                        etag, replica_etag = decode_etags(etags)
                        known[key] = Known(etag, size, replica_etag)
                    else:
                        self._rows.damaged += 1
        return known

    def contents(self, shard: Shard, keys: Sequence[str]) -> dict[str, Written]:
        """Return what was written of those keys whose content was hashed meanwhile. Meant for keys near each other."""
        found: dict[str, Written] = {}
        key_of = encode_keys(shard, keys)
        with self._rows.guarded():
            shard_id = self._rows.shard_id(shard)
            if shard_id is None or not key_of:
                return found
            for tail, etags, size, check, content in self._among(shard_id, key_of, _WRITTEN):
                if tail not in key_of or check != object_checksum(shard_id, tail, etags, size):
                    continue
                _, replica_etag = decode_etags(etags)
                if replica_etag and isinstance(content, bytes):
                    found[key_of[tail]] = Written(replica_etag, size, content.hex())
        return found

    def witness(self, shard: Shard, day: str) -> int | None:
        """Return the witness of a sealed day (YYYY-MM-DD), or None if it has none."""
        with self._rows.guarded():
            shard_id = self._rows.shard_id(shard)
            row = self._rows.one("SELECT * FROM witnesses WHERE shard = ? AND day = ?", shard_id, day)
            return int.from_bytes(row[2], "big") if is_whole(row) else None

    def proofs(self) -> dict[str, str]:
        """Return what continuous verification knows of each account and region, by the prefix of its digests."""
        with self._rows.guarded():
            return {row[1]: row[2] for row in self._rows.owned("SELECT * FROM proofs WHERE replica = ?")}

    def remembered(self, shard: Shard, after_key: str, *, limit: int) -> list[tuple[str, Known]]:
        """Return the rows after a key, in key order: at least `limit`, or up to the end of the shard.

        Days of keys with a day folder are returned whole, since tails within a day sort differently from their keys.
        """
        with self._rows.guarded():
            shard_id = self._rows.shard_id(shard)
            if shard_id is None:
                return []
            dated = self._from_day_of(shard, shard_id, after_key, limit)
            loose = self._loose_after(shard, shard_id, after_key, limit)
        rows = sorted(dated + loose)
        # If one kind was cut short, rows of the other kind beyond its end are not complete.
        ends = [kind[-1][0] for kind in (dated, loose) if len(kind) >= limit]
        return [row for row in rows if not ends or row[0] <= min(ends)]

    def _from_day_of(self, shard: Shard, shard_id: int, after_key: str, limit: int) -> list[tuple[str, Known]]:
        first = first_tail_after(_within(shard, after_key))
        rows: list[tuple[str, Known]] = []
        day = ""
        for row in self._between(shard, shard_id, first, until=NO_DAY):
            key = row[0]
            if len(rows) >= limit and key[: len(day)] != day:
                break
            day = key[: len(shard.prefix) + len("2026/11/24/")]
            if key > after_key:
                rows.append(row)
        return sorted(rows)

    def _loose_after(self, shard: Shard, shard_id: int, after_key: str, limit: int) -> list[tuple[str, Known]]:
        first = NO_DAY + _within(shard, after_key)
        rows = self._between(shard, shard_id, first, until=_AFTER_NO_DAY)
        return list(islice((row for row in rows if row[0] > after_key), limit))

    def _between(self, shard: Shard, shard_id: int, first: str, *, until: str) -> Iterator[tuple[str, Known]]:
        query = (
            "SELECT tail, etag, size_bytes, checksum FROM objects"
            " WHERE shard = ? AND tail >= ? AND tail < ? ORDER BY tail"
        )
        found = self._rows.db.execute(query, (shard_id, first, until))
        for tail, etags, size in self._rows.whole_objects(shard_id, found):
            etag, replica_etag = decode_etags(etags)
            yield decode_key(shard, tail), Known(etag, size, replica_etag)

    def has_known_after(self, shard: Shard, start_after: str) -> bool:
        """Return True if any key of the shard after this one is remembered key by key."""
        with self._rows.guarded():
            shard_id = self._rows.shard_id(shard)
            if shard_id is None:
                return False
            query = (
                "SELECT tail, etag, size_bytes, checksum FROM objects WHERE shard = ? AND tail {} ORDER BY tail DESC"
            )
            for bound in (f">= '{NO_DAY}'", f"< '{NO_DAY}'"):
                found = self._rows.db.execute(query.format(bound), (shard_id,))
                for tail, _, _ in self._rows.whole_objects(shard_id, found):
                    key = decode_key(shard, tail)
                    if key > start_after:
                        return True
                    # Within a day tails sort differently from their keys. Days, and tails without a day, do not.
                    if not _shares_day_folder(shard, tail, key, start_after):
                        break
        return False

    def sealed(self, shard: Shard, first: str, last: str) -> dict[str, SealedDay]:
        """Return a shard's sealed days from `first` to `last` (YYYY-MM-DD, both inclusive), by day."""
        with self._rows.guarded():
            query = "SELECT * FROM days WHERE shard = ? AND day BETWEEN ? AND ?"
            rows = self._rows.whole(self._rows.db.execute(query, (self._rows.shard_id(shard), first, last)))
            return {row[1]: sealed_day(row) for row in rows}

    def is_folded(self, shard: Shard, key: str) -> bool:
        """Return whether a sealed day's row counts this object of the job: its day is sealed, and it has no row of its own."""
        day = day_of(encode_key(shard, key))
        return day is not None and bool(self.sealed(shard, day, day)) and not self.known(shard, [key])

    def accepted(self) -> dict[str, tuple[str, str]]:
        """Return ETag and storage class of the objects that an operator has accepted, by key."""
        with self._rows.guarded():
            return {row[1]: (row[2], row[3]) for row in self._rows.owned("SELECT * FROM accepted WHERE replica = ?")}

    def remembered_counts(self) -> tuple[int, int]:
        """Return how many objects are remembered key by key, and how many in sealed days."""
        with self._rows.guarded():
            (rows,) = self._rows.db.execute(
                "SELECT count(*) FROM objects WHERE shard IN (SELECT id FROM shards WHERE replica = ?)",
                (self._rows.id(),),
            ).fetchone()
            (sealed,) = self._rows.db.execute(
                "SELECT coalesce(sum(count), 0) FROM days WHERE shard IN (SELECT id FROM shards WHERE replica = ?)",
                (self._rows.id(),),
            ).fetchone()
            return rows, sealed

    def volume(self, first: str, last: str) -> dict[str, tuple[int, int]]:
        """Return objects and bytes by UTC day from `first` to `last` (YYYY-MM-DD, both inclusive), where there are any."""
        of_replica = "shard IN (SELECT id FROM shards WHERE replica = ?)"
        query = (
            f"SELECT substr(tail, 1, 8), count(*), sum(size_bytes) FROM objects WHERE {of_replica}"  # noqa: S608 - our own text
            " AND tail >= ? AND tail < ? GROUP BY 1"
            f" UNION ALL SELECT replace(day, '-', ''), sum(count), sum(size_bytes) FROM days WHERE {of_replica}"
            " AND day BETWEEN ? AND ? GROUP BY 1"
        )
        found: dict[str, tuple[int, int]] = {}
        with self._rows.guarded():
            replica = self._rows.id()
            bounds = (replica, first_tail(first), last_tail(last), replica, first, last)
            for day, count, size in self._rows.db.execute(query, bounds):
                name = f"{day[:4]}-{day[4:6]}-{day[6:]}"
                objects, size_bytes = found.get(name, (0, 0))
                found[name] = objects + count, size_bytes + size
        return found

    def _among(self, shard_id: int, wanted: Collection[str], columns: str = _KNOWN) -> list[tuple[Any, ...]]:
        """Return the rows that exist of these tails, and possibly rows of others between them."""
        require_short(max(wanted, key=len))
        limit = 2 * len(wanted) + _RANGE_SLACK_ROWS
        bounds = (shard_id, min(wanted), max(wanted), limit)
        db = self._rows.db
        rows = db.execute(f"{columns} AND tail BETWEEN ? AND ? LIMIT ?", bounds).fetchall()
        if len(rows) == limit:
            # The keys are far apart, with others between them: ask for each.
            rows = [row for tail in wanted for row in db.execute(f"{columns} AND tail = ?", (shard_id, tail))]
        return rows


def _within(shard: Shard, key: str) -> str:
    """Return a key without its shard's prefix. For a key before or after the shard, returns that end of it."""
    if key.startswith(shard.prefix):
        return key[len(shard.prefix) :]
    return "" if key < shard.prefix else _LAST


def _shares_day_folder(shard: Shard, tail: str, key: str, other: str) -> bool:
    folder = len(shard.prefix) + len("2026/11/24/")
    return day_of(tail) is not None and key[:folder] == other[:folder]


def sealed_day(row: Sequence[Any]) -> SealedDay:
    """Return the sealed day of a row of the table `days`."""
    _, _, count, size_bytes, digest, exact, replica_digest, replica_exact, _ = row
    return SealedDay(count, size_bytes, digest, bool(exact), replica_digest, bool(replica_exact))
