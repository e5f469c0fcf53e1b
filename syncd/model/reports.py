"""Reports of ticks, as they are recorded and printed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from syncd.model.errors import JobFailed
from syncd.model.reasons import filled_in


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """The failure that ended a job's tick."""

    reason: str
    detail: str
    remedy: str


def job_error(error: JobFailed, job: str) -> JobError:
    """Return the report of a failure, whose remedy names the job."""
    return JobError(reason=error.reason, detail=error.detail, remedy=filled_in(error.remedy, job=job))


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedObject:
    """An object that was not copied, as it is reported."""

    key: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TickReport:
    """The report of one tick or catch-up of one job."""

    job: str
    outcome: str
    mode: str | None = None
    listed: int = 0
    copied: int = 0
    copied_bytes: int = 0
    already_there: int = 0
    conflicts: Sequence[tuple[str, str]] = ()
    conflict_count: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    failed: Sequence[FailedObject] = ()
    failed_count: int = 0
    failed_by_reason: Mapping[str, int] = field(default_factory=dict)
    retried: int = 0
    """Objects that had failed in an earlier tick and were tried again."""
    restored: int = 0
    """Objects that had vanished from the destination, or differed there, and were copied again."""
    shards: int = 0
    """The number of the job's shards."""
    uncovered: Sequence[str] = ()
    """Folders of the source that the job neither covers nor ignores."""
    late_beyond_allowance: int = 0
    worst_lateness_seconds: float = 0.0
    lags: Mapping[str, int] = field(default_factory=dict)
    """Histogram of the time from live objects' LastModified to their copy: counts by `lag_bucket`."""
    lag_seconds: float = 0.0
    """The sum of these lags."""
    worst_lag_seconds: float = 0.0
    copied_late: int = 0
    """Live objects that took longer than the job's objective."""
    requests: Mapping[str, int] = field(default_factory=dict)
    complete_from: float = 0.0
    complete_until: float = 0.0
    started_at: float = 0.0
    duration_seconds: float = 0.0
    error: JobError | None = None


LAG_BOUNDS = (10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)
"""Upper ends, in seconds, of the histogram of the lag: from an object's LastModified to its copy."""


BEYOND = "inf"
"""The name of the last bucket, which has no upper end."""


def lag_bucket(seconds: float) -> str:
    """Return the bucket of the lag histogram: the smallest bound that is not exceeded, as text."""
    return next((str(bound) for bound in LAG_BOUNDS if seconds <= bound), BEYOND)
