"""Bounds of objects, of their parts, of remembered folders, and of backoff."""

import json
from collections.abc import Sequence

from syncd.model.units import format_size

MOST_PARTS = 10_000
LARGEST_PART = 5 * 1024**3
COPIES_IN_MEMORY = 3
"""Copies of a body in memory: as it is received, as it is held, and as it is sent."""
_MIB = 1024**2


def part_size_for(size_bytes: int, configured: int) -> int:
    """Return the size of an object's parts: as configured, or larger to stay within S3's number of parts.

    Larger parts are whole MiB, so that two ticks choose the same size, up to S3's largest part.
    """
    least = -(-size_bytes // MOST_PARTS)
    if least <= configured:
        return configured
    return min(-(-least // _MIB) * _MIB, LARGEST_PART)


def refusal(size_bytes: int, *, max_object: int | None, part_size: int, memory_bytes: int | None) -> str:
    """Return why an object of this size cannot be copied through this machine, or an empty text.

    Each part is in memory three times, and an object of many TB has parts of hundreds of MB. `memory_bytes` is None
    for copies that S3 makes itself.
    """
    if max_object is not None and size_bytes > max_object:
        return f"it has {size_bytes} bytes, and source.max_object is {format_size(max_object)}"
    part = part_size_for(size_bytes, part_size)
    if size_bytes > part * MOST_PARTS:
        return f"it has {size_bytes} bytes, more than {MOST_PARTS} parts of {format_size(LARGEST_PART)}"
    if memory_bytes is not None and part > part_size and COPIES_IN_MEMORY * part > memory_bytes:
        return (
            f"it has {size_bytes} bytes, so its {MOST_PARTS} parts have {format_size(part)} each,"
            f" and engine.memory is {format_size(memory_bytes)}"
        )
    return ""


class Quota:
    """The number of objects that one tick may still copy."""

    def __init__(self, most: int | None) -> None:
        """Take `source.max_objects_per_tick`, or None for no bound."""
        self._left = most

    def take(self) -> bool:
        """Take one. Returns False if none is left, so that the object waits for the next tick."""
        if self._left is None:
            return True
        if self._left <= 0:
            return False
        self._left -= 1
        return True


_FIRST_BACKOFF_SECONDS = 60.0
LONGEST_BACKOFF_SECONDS = 3600.0
MOST_CHILDREN = 10_000
LARGEST_CHILDREN_BYTES = 1024 * 1024
MOST_UNCOVERED = 1000


def backoff_seconds(attempts: int) -> float:
    """Return the wait after this many failures: 1 minute, doubled each time, at most 1 hour."""
    doublings = min(attempts - 1, 16)  # 16 doublings exceed the hour, and an unbounded power would overflow
    return float(min(_FIRST_BACKOFF_SECONDS * 2**doublings, LONGEST_BACKOFF_SECONDS))


def children_to_json(children: Sequence[str]) -> str | None:
    """Encode the folders found in one folder. Returns None if there are more than the ledger keeps."""
    if len(children) > MOST_CHILDREN:
        return None
    text = json.dumps(children)
    return text if len(text) <= LARGEST_CHILDREN_BYTES else None
