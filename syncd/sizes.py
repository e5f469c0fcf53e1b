"""How large an object may be, and of what size its parts are."""

from syncd.units import format_size

MOST_PARTS = 10_000
LARGEST_PART = 5 * 1024**3
COPIES_IN_MEMORY = 3
"""A body is there once as the runtime has read it, once as we have, and once as the runtime sends it."""
_MIB = 1024**2


def part_size_for(size_bytes: int, configured: int) -> int:
    """Return the size of an object's parts: as configured, or larger if it would have more of them than S3 takes.

    Larger ones are whole MiB, so that two ticks choose the same, up to S3's own bound of a part.
    """
    least = -(-size_bytes // MOST_PARTS)
    if least <= configured:
        return configured
    return min(-(-least // _MIB) * _MIB, LARGEST_PART)


def refusal(size_bytes: int, *, max_object: int | None, part_size: int, memory_bytes: int | None) -> str:
    """Return why an object of this size is not copied through this machine at all; empty if it is.

    Each part is held three times, and an object of many TB has parts of hundreds of MB. `memory_bytes` is None for
    copies that S3 makes itself.
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
    """The objects that one tick may still copy."""

    def __init__(self, most: int | None) -> None:
        """`most` is `source.max_objects_per_tick`; None is no bound."""
        self._left = most

    def take(self) -> bool:
        """Take one; False if there are none left, and the object is left to the next tick."""
        if self._left is None:
            return True
        if self._left <= 0:
            return False
        self._left -= 1
        return True
