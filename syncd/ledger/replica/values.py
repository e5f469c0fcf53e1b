"""The values of rows in the order of their tables, refused if they are too long."""

import json
from typing import Any

from syncd.ledger.replica.access import require_short
from syncd.ledger.replica.cursors import CURSOR_COLUMNS
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
    """Return values with their checksum. Raises LedgerRefused for a text that is too long."""
    require_short(*values)
    return with_checksum(*values)


def fitting(text: str) -> str:
    """Return a key or an ETag. Raises LedgerRefused if it is longer than a key in S3 can be."""
    if not is_key(text):
        raise LedgerRefused(f"{shortened(text)!r} is longer than {LONGEST_KEY_BYTES} bytes")
    return text


def object_row(shard_id: int, shard: Shard, item: LogObject, replica_etag: str, content: str = "") -> tuple[Any, ...]:
    """Return the row of an object at the destination. `content` is the hash of its content, if known."""
    # A replica's ETag that is too long counts as unknown.
    etags = encode_etags(fitting(item.etag), replica_etag if is_key(replica_etag) else "")
    values = (shard_id, encode_key(shard, fitting(item.key)), etags, item.size_bytes)
    return (*values, object_checksum(*values), bytes.fromhex(content) or None)


def quarantine_values(replica_id: int, held: Quarantined) -> tuple[object, ...]:
    """Return the values of an entry of the quarantine."""
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
    """Return the values of a shard's cursor after its ID."""
    values = {name: getattr(state, name) for name in CURSOR_COLUMNS}
    values["found_by"] = state.found_by.value
    values["branches"] = json.dumps(state.branches)
    return tuple(float(value) if isinstance(value, int | float) else value for value in values.values())
