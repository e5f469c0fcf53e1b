"""The clock by which a process judges whether others still count on it."""

import time


def boot_clock() -> float:
    """Return seconds that go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
