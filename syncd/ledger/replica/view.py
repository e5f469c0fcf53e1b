"""What the ledger remembers of one replica: the reading half.

A row whose checksum is wrong is treated as forgotten: it is counted, and found again at the destination.
"""

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from syncd.ledger.replica.access import require_short
from syncd.ledger.replica.quarantine import HeldView
from syncd.ledger.rows import (
    NO_DAY,
    day_of,
    decode_etags,
    decode_key,
    encode_keys,
    first_tail_after,
    is_whole,
    object_checksum,
    tail_form,
)
from syncd.model.objects import Branch, FoundBy, Known, Replica, Shard, ShardState
from syncd.model.sealed import SealedDay

_RANGE_SLACK_ROWS = 1000
_LAST = "\U0010ffff"
_AFTER_NO_DAY = chr(ord(NO_DAY) + 1)


class LedgerView(HeldView):
    """One replica's rows, read. Belongs to one thread; every method may raise a LedgerError."""

    damaged_shards: list[str]
    """The prefixes of the shards that the last call of `shards` left out because their rows are damaged."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        replica: Replica,
        *,
        on_corrupt: Callable[[], None],
    ) -> None:
        super().__init__(connection, path, replica, on_corrupt=on_corrupt)
        self.damaged_shards = []

    def start(self) -> float | None:
        """The instant from which the job replicates, fixed by its first tick; None before that."""
        with self._guarded():
            row = self._replica_row()
            return row["start"] if row else None

    def mode_verdict(self) -> tuple[str, str] | None:
        """What `copy = "auto"` came to, and why; None where that was not found out yet."""
        with self._guarded():
            row = self._replica_row()
            return (row["mode"], row["mode_why"]) if row and row["mode"] else None

    def discovered_at(self) -> float:
        """When the last full discovery of shards began; 0.0 for never."""
        with self._guarded():
            row = self._replica_row()
            return row["discovered_at"] if row else 0.0

    def shards(self) -> dict[str, ShardState]:
        """What was saved of each shard, by its prefix; `damaged_shards` then names those left out."""
        self.damaged_shards = []
        states: dict[str, ShardState] = {}
        with self._guarded():
            for prefix, shard_id, shard in self._all_shards():
                row = None if shard is None else self._row("SELECT * FROM cursors WHERE shard = ?", shard_id)
                if shard is None or (row is not None and not is_whole(row)):
                    self.damaged_shards.append(prefix)
                elif row is not None:
                    states[prefix] = _shard_state(shard, row)
        return states

    def looked_at(self) -> dict[str, tuple[float, tuple[str, ...]]]:
        """When each prefix was last listed for what lies below it, and the child prefixes that were found."""
        looked = {}
        with self._guarded():
            for row in self._owned("SELECT * FROM looked WHERE replica = ?"):
                _, prefix, at, children, _ = row
                looked[prefix] = (at, tuple(json.loads(children)))
        return looked

    def known(self, shard: Shard, keys: Sequence[str]) -> dict[str, Known]:
        """Those of the keys that are at the destination, as far as the ledger remembers.

        Meant for a page of a listing: up to 1,000 keys of the shard, near each other in key order. Keys far apart
        are right as well, only slower. ValueError for a key outside the shard.
        """
        known = {}
        by_form: dict[str, dict[str, str]] = {}
        for tail, key in encode_keys(shard, keys).items():
            by_form.setdefault(tail_form(tail), {})[tail] = key
        with self._guarded():
            shard_id = self._shard_id(shard)
            if shard_id is None:
                return {}
            for key_of in by_form.values():
                for tail, raw, size, check in self._among(shard_id, key_of):
                    asked_for = key_of.get(tail)
                    if asked_for is None:
                        continue
                    if check == object_checksum(shard_id, tail, raw, size):
                        etag, replica_etag = decode_etags(raw)
                        known[asked_for] = Known(etag, size, replica_etag)
                    else:
                        self.damaged_rows += 1
        return known

    def remembered(self, shard: Shard, after_key: str, *, limit: int) -> list[tuple[str, Known]]:
        """Return the rows that follow a key, in key order: at least `limit`, or to the end of the shard.

        Of keys with a day folder whole days are taken, in which tails are in another order than their keys.
        """
        with self._guarded():
            shard_id = self._shard_id(shard)
            if shard_id is None:
                return []
            dated = self._from_day_of(shard, shard_id, after_key, limit)
            loose = self._loose_after(shard, shard_id, after_key, limit)
        rows = sorted(dated + loose)
        # Beyond the last of the one kind that was cut short nothing is known of the other.
        ends = [kind[-1][0] for kind in (dated, loose) if len(kind) >= limit]
        return [row for row in rows if not ends or row[0] <= min(ends)]

    def _from_day_of(self, shard: Shard, shard_id: int, after_key: str, limit: int) -> list[tuple[str, Known]]:
        first = first_tail_after(_within(shard, after_key))
        rows: list[tuple[str, Known]] = []
        day = ""
        for row in self._rows(shard, shard_id, first, until=NO_DAY):
            key = row[0]
            if len(rows) >= limit and key[: len(day)] != day:
                break
            day = key[: len(shard.prefix) + len("2026/11/24/")]
            if key > after_key:
                rows.append(row)
        return sorted(rows)

    def _loose_after(self, shard: Shard, shard_id: int, after_key: str, limit: int) -> list[tuple[str, Known]]:
        first = NO_DAY + _within(shard, after_key)
        rows = self._rows(shard, shard_id, first, until=_AFTER_NO_DAY)
        return list(islice((row for row in rows if row[0] > after_key), limit))

    def _rows(self, shard: Shard, shard_id: int, first: str, *, until: str) -> Iterator[tuple[str, Known]]:
        query = (
            "SELECT tail, etag, size_bytes, checksum FROM objects"
            " WHERE shard = ? AND tail >= ? AND tail < ? ORDER BY tail"
        )
        for tail, raw, size, check in self._db.execute(query, (shard_id, first, until)):
            if check == object_checksum(shard_id, tail, raw, size):
                etag, replica_etag = decode_etags(raw)
                yield decode_key(shard, tail), Known(etag, size, replica_etag)
            else:
                self.damaged_rows += 1

    def accepted(self) -> dict[str, tuple[str, str]]:
        """Return ETag and storage class of the objects that an operator has let go of, by key."""
        with self._guarded():
            return {row[1]: (row[2], row[3]) for row in self._owned("SELECT * FROM accepted WHERE replica = ?")}

    def uncovered(self) -> dict[str, float]:
        """Return the folders of the source that the job does not cover, and since when that is known."""
        with self._guarded():
            return {row[1]: row[2] for row in self._owned("SELECT * FROM uncovered WHERE replica = ?")}

    def sealed(self, shard: Shard, first: str, last: str) -> dict[str, SealedDay]:
        """The sealed days of a shard between two days (YYYY-MM-DD, both inclusive), by day."""
        with self._guarded():
            query = "SELECT * FROM days WHERE shard = ? AND day BETWEEN ? AND ?"
            rows = self._whole(self._db.execute(query, (self._shard_id(shard), first, last)))
            return {row[1]: sealed_day(row) for row in rows}

    def has_known_after(self, shard: Shard, start_after: str) -> bool:
        """Whether any key of the shard is remembered one by one that sorts after this one."""
        with self._guarded():
            shard_id = self._shard_id(shard)
            if shard_id is None:
                return False
            query = (
                "SELECT tail, etag, size_bytes, checksum FROM objects WHERE shard = ? AND tail {} ORDER BY tail DESC"
            )
            for bound in (f">= '{NO_DAY}'", f"< '{NO_DAY}'"):
                for tail in self._tails(shard_id, query.format(bound)):
                    key = decode_key(shard, tail)
                    if key > start_after:
                        return True
                    # Tails of one day are in another order than their keys; days, and tails without one, are not.
                    if not _shares_day_folder(shard, tail, key, start_after):
                        break
        return False

    def remembered_counts(self) -> tuple[int, int]:
        """Return how many objects are remembered key by key, and how many in sealed days."""
        with self._guarded():
            (rows,) = self._db.execute(
                "SELECT count(*) FROM objects WHERE shard IN (SELECT id FROM shards WHERE replica = ?)", (self._id(),)
            ).fetchone()
            (sealed,) = self._db.execute(
                "SELECT coalesce(sum(count), 0) FROM days WHERE shard IN (SELECT id FROM shards WHERE replica = ?)",
                (self._id(),),
            ).fetchone()
            return rows, sealed

    def lateness(self) -> dict[int, int]:
        """The histogram of how late objects were: count by bucket, the buckets being the caller's own numbers."""
        with self._guarded():
            return {row[1]: row[2] for row in self._owned("SELECT * FROM lateness WHERE replica = ?")}

    def _all_shards(self) -> Iterator[tuple[str, int, Shard | None]]:
        """Prefix, ID and Shard of each of the replica's shards; no Shard where the row is damaged."""
        for row in self._db.execute("SELECT * FROM shards WHERE replica = ?", (self._id(),)).fetchall():
            yield str(row[1]), row[2], Shard(row[1], *row[3:7]) if is_whole(row) else None

    def _shard_id(self, shard: Shard) -> int | None:
        """The ID that the shard's rows have; a row that is damaged, or says other parts, counts as none."""
        row = self._row("SELECT * FROM shards WHERE replica = ? AND prefix = ?", self._id(), shard.prefix)
        if not is_whole(row) or row[3:7] != (shard.account, shard.kind, shard.region, shard.organization):
            return None
        shard_id: int = row[2]
        return shard_id

    def _among(self, shard_id: int, wanted: Collection[str]) -> list[tuple[Any, ...]]:
        """Return the rows of these tails, as far as there are any, and perhaps of others between them."""
        require_short(max(wanted, key=len))
        columns = "SELECT tail, etag, size_bytes, checksum FROM objects WHERE shard = ?"
        limit = 2 * len(wanted) + _RANGE_SLACK_ROWS
        bounds = (shard_id, min(wanted), max(wanted), limit)
        rows = self._db.execute(f"{columns} AND tail BETWEEN ? AND ? LIMIT ?", bounds).fetchall()
        if len(rows) == limit:
            # Keys far apart, with others between them: ask for each.
            rows = [row for tail in wanted for row in self._db.execute(f"{columns} AND tail = ?", (shard_id, tail))]
        return rows

    def _tails(self, shard_id: int, query: str) -> Iterator[str]:
        for tail, etag, size, check in self._db.execute(query, (shard_id,)):
            if check == object_checksum(shard_id, tail, etag, size):
                yield tail
            else:
                self.damaged_rows += 1


def _within(shard: Shard, key: str) -> str:
    """Return what is left of a key behind its shard's prefix; of one that lies before or after the shard, its end."""
    if key.startswith(shard.prefix):
        return key[len(shard.prefix) :]
    return "" if key < shard.prefix else _LAST


def _shares_day_folder(shard: Shard, tail: str, key: str, other: str) -> bool:
    folder = len(shard.prefix) + len("2026/11/24/")
    return day_of(tail) is not None and key[:folder] == other[:folder]


def _shard_state(shard: Shard, row: Sequence[Any]) -> ShardState:
    told = dict(zip(CURSOR_COLUMNS, row[1:-1], strict=True))
    told["found_by"] = FoundBy(told["found_by"])
    told["branches"] = tuple(Branch(*branch) for branch in json.loads(told["branches"]))
    return ShardState(shard=shard, **told)


CURSOR_COLUMNS = (
    "frontier",
    "listed_at",
    "recent_at",
    "deep_key",
    "deep_at",
    "complete_from",
    "complete_until",
    "newest_arrival",
    "deep_done_at",
    "layout",
    "found_by",
    "branches",
    "audit_key",
    "audit_at",
    "audited_at",
    "sealed_audit_day",
    "sealed_audit_at",
    "sealed_audited_at",
)
"""The columns of the table `cursors` between the shard's ID and the checksum."""


def sealed_day(row: Sequence[Any]) -> SealedDay:
    """What a row of the table `days` says."""
    _, _, count, size_bytes, digest, exact, there, is_there_exact, _ = row
    return SealedDay(count, size_bytes, digest, bool(exact), there, bool(is_there_exact))
