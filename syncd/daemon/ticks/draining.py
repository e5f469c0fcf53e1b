"""The end of the ticks that are running when the daemon stops."""

from collections.abc import Callable, Sequence

from syncd.daemon.ticks.running import RunningTicks

POLL_SECONDS = 0.1
RECORDING_SECONDS = 1.0
"""Objects in flight are abandoned this long before the drain limit, which leaves time to record what is done."""
RECORDING_PATIENCE_SECONDS = 5.0
"""The longest that recording may take after a second signal, on a busy disk and within the drain limit."""


def drain(
    running: RunningTicks,
    limit_seconds: float,
    *,
    is_urged: Callable[[], bool],
    abandon: Callable[[], None],
    tell_abandoned: Callable[[Sequence[str]], None],
) -> bool:
    """Wait for all ticks to end. Being urged, or the limit, abandons the objects in flight.

    Returns false if a tick is still running.
    """
    ends_at = running.now() + limit_seconds
    while running.now() < ends_at - RECORDING_SECONDS and not running.wait(POLL_SECONDS):
        if is_urged():
            break
    if running.wait(0):
        return True
    tell_abandoned(running.jobs())
    now = running.now()
    abandons_until = now + max(RECORDING_SECONDS, min(ends_at - now, RECORDING_PATIENCE_SECONDS))
    while running.now() < abandons_until:
        # Repeated, since a copy that was abandoned may still have a request to send.
        abandon()
        if running.wait(POLL_SECONDS):
            return True
    return False
