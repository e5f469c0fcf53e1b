"""What the ledger remembers of one replica: the reading half.

A row whose checksum is wrong is treated as forgotten: it is counted, and found again at the destination.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from syncd.ledger_held import HeldView
from syncd.ledger_rows import (
    NO_DAY,
    SealedDay,
    day_of,
    decode_key,
    encode_keys,
    first_dated_tail,
    is_whole,
    object_etags,
    tail_form,
)
from syncd.model import Branch, FoundBy, Known, Shard, ShardState

_RANGE_SLACK_ROWS = 1000


class LedgerView(HeldView):
    """One replica's rows, read. Belongs to one thread; every method may raise a LedgerError."""

    damaged_shards: Sequence[str] = ()
    """The prefixes of the shards that the last call of `shards` left out because their rows are damaged."""

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
        damaged: list[str] = []
        states: dict[str, ShardState] = {}
        with self._guarded():
            for prefix, shard_id, shard in self._all_shards():
                row = None if shard is None else self._row("SELECT * FROM cursors WHERE shard = ?", shard_id)
                if shard is None or (row is not None and not is_whole(row)):
                    damaged.append(prefix)
                elif row is not None:
                    states[prefix] = _shard_state(shard, row)
        self.damaged_shards = damaged
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
                for tail, row in self._objects(shard_id, key_of):
                    known[key_of[tail]] = row
        return known

    def remembered(self, shard: Shard, after_key: str, *, limit: int) -> list[tuple[str, Known]]:
        """Return the rows that follow a key, in key order: at least `limit`, or to the end of the shard.

        Of keys with a day folder whole days are taken, in which tails are in another order than their keys.
        """
        if not after_key.startswith(shard.prefix) and after_key > shard.prefix:
            return []
        rest = after_key[len(shard.prefix) :] if after_key.startswith(shard.prefix) else None
        with self._guarded():
            shard_id = self._shard_id(shard)
            if shard_id is None:
                return []
            dated = self._from_day_of(shard, shard_id, rest, limit)
            loose = self._loose_after(shard, shard_id, rest, limit)
        rows = sorted(dated + loose)
        # Beyond the last of the one kind that was cut short nothing is known of the other.
        ends = [kind[-1][0] for kind in (dated, loose) if len(kind) >= limit]
        return [row for row in rows if not ends or row[0] <= min(ends)]

    def _from_day_of(self, shard: Shard, shard_id: int, rest: str | None, limit: int) -> list[tuple[str, Known]]:
        """Return the rows with a day whose keys follow one, of which this is behind the shard's prefix; None for all."""
        after_key = "" if rest is None else shard.prefix + rest
        rows: list[tuple[str, Known]] = []
        day = ""
        for key, known in self._rows(shard, shard_id, "tail >= ? AND tail < ?", first_dated_tail(rest or ""), NO_DAY):
            if len(rows) >= limit and key[: len(day)] != day:
                break
            day = key[: len(shard.prefix) + len("2026/11/24/")]
            if key > after_key:
                rows.append((key, known))
        return sorted(rows)

    def _loose_after(self, shard: Shard, shard_id: int, rest: str | None, limit: int) -> list[tuple[str, Known]]:
        bound, first = ("tail >= ?", NO_DAY) if rest is None else ("tail > ?", NO_DAY + rest)
        return list(islice(self._rows(shard, shard_id, bound, first), limit))

    def _rows(self, shard: Shard, shard_id: int, bounds: str, *values: str) -> Iterator[tuple[str, Known]]:
        columns = "SELECT tail, etag, size_bytes, checksum FROM objects WHERE shard = ?"
        for tail, raw, size, check in self._db.execute(f"{columns} AND {bounds} ORDER BY tail", (shard_id, *values)):
            etags = object_etags(shard_id, tail, raw, size, check)
            if etags is None:
                self.damaged_rows += 1
            else:
                yield decode_key(shard, tail), Known(etags[0], size, etags[1])

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

    def _objects(self, shard_id: int, wanted: Mapping[str, str]) -> Iterator[tuple[str, Known]]:
        """Yield what is remembered of the objects of these tails."""
        self._require_short((max(wanted, key=len),))
        columns = "SELECT tail, etag, size_bytes, checksum FROM objects WHERE shard = ?"
        limit = 2 * len(wanted) + _RANGE_SLACK_ROWS
        bounds = (shard_id, min(wanted), max(wanted), limit)
        rows = self._db.execute(f"{columns} AND tail BETWEEN ? AND ? LIMIT ?", bounds).fetchall()
        if len(rows) == limit:
            # Keys far apart, with others between them: ask for each.
            rows = [row for tail in wanted for row in self._db.execute(f"{columns} AND tail = ?", (shard_id, tail))]
        for tail, raw, size, check in rows:
            if tail in wanted:
                etags = object_etags(shard_id, tail, raw, size, check)
                if etags is None:
                    self.damaged_rows += 1
                else:
                    yield tail, Known(etags[0], size, etags[1])

    def _tails(self, shard_id: int, query: str) -> Iterator[str]:
        for tail, etag, size, check in self._db.execute(query, (shard_id,)):
            if object_etags(shard_id, tail, etag, size, check) is None:
                self.damaged_rows += 1
            else:
                yield tail


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
