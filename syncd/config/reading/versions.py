"""Versions of files, by which a reader sees that it has to read again."""

import os
import time
from pathlib import Path

_STILL_NS = 1_000_000_000
"""Edits within one tick of the kernel's clock (some milliseconds) may all look alike."""


def version_of(path: str | Path) -> tuple[int, ...]:
    """Return what changes with each edit of a file. Empty if it changed so lately that another edit might not show.

    Raises:
        OSError: it cannot be looked at.
    """
    status = os.stat(path)  # noqa: PTH116  # thousands of paths
    if time.time_ns() - status.st_ctime_ns < _STILL_NS:
        return ()
    # A copy may keep the old time of modification. Nobody sets that of the last change.
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size
