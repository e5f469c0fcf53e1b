"""The gauges of a tick under way, the limits, and the names of what is essential. Pure."""

from collections.abc import Callable, Sequence

from syncd.job.health.progress import Progress

OF_RUNNING: Sequence[tuple[str, str, Callable[[Progress], float | None]]] = (
    ("syncd_running_objects_known", "Objects to copy that the tick under way has found so far.", lambda it: it.known),
    ("syncd_running_objects_done", "Objects that the tick under way has copied or given up.", lambda it: it.done),
    (
        "syncd_running_listing_ended",
        "1 if the tick under way has listed everything, so that all objects to copy are known.",
        lambda it: it.is_total,
    ),
    (
        "syncd_running_seconds_left",
        "What is left of the tick under way, by its rate so far.",
        lambda it: it.seconds_left,
    ),
    ("syncd_running_since_timestamp_seconds", "When the tick under way began.", lambda it: it.began_at),
)

LIMITS = (
    ("in_flight", "objects_in_flight", "objects being copied at once"),
    ("memory", "memory_bytes", "bytes of memory for the bodies of objects in flight"),
    ("requests_per_second", "requests_per_second", "requests to S3 a second"),
    ("bytes_per_second", "bytes_per_second", "bytes copied a second"),
)

ESSENTIAL = frozenset(
    {
        "syncd_objective_met",
        "syncd_last_tick_failed",
        "syncd_paused_seconds",
        "syncd_newest_object_timestamp_seconds",
        "syncd_oldest_listing_timestamp_seconds",
        "syncd_quarantined_objects",
        "syncd_job_refused",
        "syncd_tick_crashes",
        "syncd_unproved_spans",
        "syncd_proved_until_timestamp_seconds",
    }
)
