"""The instants and the pace of the core's tables: a job's defaults, in seconds."""

from datetime import UTC, datetime

from syncd.tick.task import Pace

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC).timestamp()
PACE = Pace(
    tail=HOUR,
    recent=48 * HOUR,
    recent_every=HOUR,
    deep=33 * DAY,
    deep_every=DAY,
    discovery_every=HOUR,
    idle_every=15 * MINUTE,
    lateness=30 * MINUTE,
)
