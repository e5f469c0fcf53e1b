"""The values of rows, in the order of their tables, and what is too long to be one."""

import json
from typing import Any

from syncd.ledger.replica.access import require_short
from syncd.ledger.replica.view import CURSOR_COLUMNS
from syncd.ledger.rows import (
    LONGEST_KEY_BYTES,
    encode_etags,
    encode_key,
    is_key,
    object_checksum,
    shortened,
    with_checksum,
)
from syncd.model.errors import LedgerRefused
from syncd.model.objects import LogObject, Quarantined, Shard, ShardState


def row_of(values: tuple[object, ...]) -> tuple[object, ...]:
    """Return values with their checksum; LedgerRefused for a text that is no more than a burden on the disk."""
    require_short(*values)
    return with_checksum(*values)


def fitting(text: str) -> str:
    """Return a key, an ETag or the like; LedgerRefused for one that is longer than S3 lets a key be."""
    if not is_key(text):
        raise LedgerRefused(f"{shortened(text)!r} is longer than {LONGEST_KEY_BYTES} bytes")
    return text


def object_row(shard_id: int, shard: Shard, item: LogObject, replica_etag: str) -> tuple[Any, ...]:
    """Return the row of an object that is at the destination."""
    # Of a replica whose ETag is no such thing it is not known.
    etags = encode_etags(fitting(item.etag), replica_etag if is_key(replica_etag) else "")
    values = (shard_id, encode_key(shard, fitting(item.key)), etags, item.size_bytes)
    return (*values, object_checksum(*values))


def quarantine_values(replica_id: int, held: Quarantined) -> tuple[object, ...]:
    """Return what is remembered of an object that is held."""
    item = held.object
    return (
        replica_id,
        fitting(item.key),
        json.dumps(held.shard),
        fitting(item.etag),
        item.size_bytes,
        float(item.last_modified),
        fitting(item.storage_class),
        held.reason,
        shortened(held.detail),
        held.attempts,
        held.first_at,
        held.next_at,
    )


def cursor_values(state: ShardState) -> tuple[object, ...]:
    """Return what is remembered of a shard, behind its ID."""
    told = {name: getattr(state, name) for name in CURSOR_COLUMNS}
    told["found_by"] = state.found_by.value
    told["branches"] = json.dumps(state.branches)
    return tuple(float(value) if isinstance(value, int | float) else value for value in told.values())
