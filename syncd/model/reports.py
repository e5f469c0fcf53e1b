"""Reports of ticks, and of the tasks of spread catch-ups, as they are recorded and printed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from operator import attrgetter
from typing import Annotated, Any, NamedTuple, get_type_hints

from syncd.model.errors import JobFailed
from syncd.model.objects import Failed, Shard
from syncd.model.reasons import filled_in
from syncd.model.sealed import SealedDay


class JobError(NamedTuple):
    """The failure that ended a job's tick."""

    reason: str
    detail: str
    remedy: str


def job_error(error: JobFailed, job: str) -> JobError:
    """Return the report of a failure, whose remedy names the job."""
    return JobError(reason=error.reason, detail=error.detail, remedy=filled_in(error.remedy, job=job))


class FailedObject(NamedTuple):
    """An object that was not copied, as it is reported."""

    key: str
    reason: str
    detail: str


class Shown(NamedTuple):
    """The metric and the documents that show a count."""

    metric: str = ""
    """The name of its metric; empty if it has none."""
    help_text: str = ""
    label: str = ""
    """The metric's label beside `job`, of a count by word."""
    in_document: bool = False
    """It is a field of the JSON of `tick` and `catch-up`."""
    is_live: bool = False
    """Its metric includes the tick that is running."""


@dataclass(slots=True, kw_only=True)
class Counts:
    """Everything that is counted in a tick. Counts of several ticks add up.

    A new count is one more field here: documents, metrics and the ledger follow. Only the recorder changes the counts of
    its own tick, thousands of times a second. Others read, or make new ones by `+`.
    """

    listed: Annotated[
        int, Shown("syncd_objects_listed", "Objects listed at the source.", in_document=True, is_live=True)
    ] = 0
    hinted: Annotated[
        int, Shown("syncd_objects_hinted", "Objects that hints named, and that ticks looked for.", in_document=True)
    ] = 0
    copied: Annotated[
        int, Shown("syncd_objects_copied", "Objects copied to the destination.", in_document=True, is_live=True)
    ] = 0
    copied_bytes: Annotated[
        int, Shown("syncd_bytes_copied", "Bytes of the objects copied.", in_document=True, is_live=True)
    ] = 0
    already_there: Annotated[
        int,
        Shown(
            "syncd_objects_already_there",
            "Objects found at the destination with the same content.",
            in_document=True,
            is_live=True,
        ),
    ] = 0
    conflict_count: Annotated[
        int,
        Shown("syncd_objects_conflicted", "Objects found at the destination with other content.", in_document=True),
    ] = 0
    late_beyond_allowance: Annotated[
        int, Shown("syncd_objects_found_late", "Objects that arrived later than `lateness`.", in_document=True)
    ] = 0
    copied_late: Annotated[int, Shown("syncd_objects_copied_late", "New objects copied later than the objective.")] = 0
    retried: Annotated[
        int, Shown("syncd_object_retries", "Objects that had failed in an earlier tick and were tried again.")
    ] = 0
    restored: Annotated[
        int,
        Shown(
            "syncd_objects_restored",
            "Objects copied again, since they had vanished from the destination.",
            in_document=True,
        ),
    ] = 0
    failed_count: Annotated[int, Shown(in_document=True)] = 0
    failed_by_reason: Annotated[
        dict[str, int], Shown("syncd_objects_failed", "Objects not copied, by reason.", label="reason")
    ] = field(default_factory=dict)
    skipped: Annotated[
        dict[str, int],
        Shown("syncd_objects_skipped", "Objects listed and left alone, by reason.", label="reason", in_document=True),
    ] = field(default_factory=dict)
    requests: Annotated[
        dict[str, int],
        Shown(
            "syncd_requests",
            "Requests sent, by operation; what is sent again counts once.",
            label="operation",
            in_document=True,
        ),
    ] = field(default_factory=dict)
    lags: Annotated[dict[str, int], Shown(label="bucket")] = field(default_factory=dict)
    """Time of live objects from LastModified to their copy: counts by bucket of `lag_bucket`."""
    lag_seconds: Annotated[float, Shown()] = 0.0
    """The sum of these lags."""

    def __add__(self, other: "Counts") -> "Counts":
        pairs = zip(SHOWN, _values(self), _values(other), strict=True)
        return replace(self, **{name: _sum(one, more) for name, one, more in pairs if more})

    def counted(self) -> dict[str, Any]:
        """Return the counts that are not zero, by name."""
        return {name: count for name, count in zip(SHOWN, _values(self), strict=True) if count}


SHOWN: Mapping[str, Shown] = {
    name: hint.__metadata__[0] for name, hint in get_type_hints(Counts, include_extras=True).items()
}
_values = attrgetter(*SHOWN)


def _sum(one: Any, other: Any) -> Any:
    if isinstance(other, Mapping):
        return {**one, **{word: one.get(word, 0) + count for word, count in other.items()}}
    return one + other


@dataclass(slots=True, kw_only=True)
class TickReport(Counts):
    """The counts of one tick or catch-up of one job, and what else it tells."""

    job: str
    outcome: str
    mode: str | None = None
    conflicts: Sequence[tuple[str, str]] = ()
    failed: Sequence[FailedObject] = ()
    archived: Sequence[FailedObject] = ()
    """The first objects that this tick found archived, which are in quarantine now."""
    shards: int = 0
    """The number of the job's shards."""
    uncovered: Sequence[str] = ()
    """Folders of the source that the job neither covers nor ignores."""
    worst_lateness_seconds: float = 0.0
    worst_lag_seconds: float = 0.0
    complete_from: float = 0.0
    complete_until: float = 0.0
    proved_until: float = 0.0
    """Up to when digests prove the replica, if they are verified continuously."""
    unproved: Sequence[FailedObject] = ()
    """Objects of which the verification after the tick found that they are altered or missing."""
    started_at: float = 0.0
    duration_seconds: float = 0.0
    error: JobError | None = None


LAG_BOUNDS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)
"""Upper ends, in seconds, of the histogram of the lag: from an object's LastModified to its copy."""


BEYOND = "inf"
"""The name of the last bucket, which has no upper end."""


def lag_bucket(seconds: float) -> str:
    """Return the bucket of the lag histogram: the smallest bound not exceeded, as text."""
    return next((str(bound) for bound in LAG_BOUNDS if seconds <= bound), BEYOND)


class TaskState(StrEnum):
    """The state of a task in the owner's ledger."""

    WAITING = "waiting"
    """It has not been sent yet."""
    SENT = "sent"
    """It is in the queue, or in a worker's hands."""
    OWN = "own"
    """No worker can do it whole, so the owner does it itself."""
    DEAD = "dead"
    """Workers have failed at it again and again, so the owner does it itself."""
    OK = "ok"
    PARTIAL = "partial"
    """All of it was tried, and some objects are in quarantine."""
    FAILED = "failed"


class SpreadTask(NamedTuple):
    """A span of days of one shard, as the owner's ledger keeps it."""

    shard: Shard
    first: str
    """The first UTC day, `YYYY-MM-DD`."""
    last: str
    """The last UTC day, inclusive."""
    request: str
    """The catch-up that it is a part of: words that tell one from another, and the token of its results."""
    objects: int
    """The estimate."""
    state: TaskState = TaskState.WAITING
    counts: Counts = Counts()
    """The counts of the worker or owner that did it."""

    @property
    def name(self) -> str:
        """The name, unique within a replica."""
        return f"{self.shard.prefix}{self.first}..{self.last}"

    @property
    def words(self) -> str:
        """The words of the catch-up."""
        return self.request.rpartition("#")[0]

    @property
    def token(self) -> str:
        """The secret that a task brings to a worker, and its result back."""
        return self.request.rpartition("#")[2]

    @property
    def is_open(self) -> bool:
        """True until somebody has done it."""
        return self.state in (TaskState.WAITING, TaskState.SENT, TaskState.OWN, TaskState.DEAD)

    @property
    def is_unfinished(self) -> bool:
        """True if it was done, and not all of it could be."""
        return self.state in (TaskState.PARTIAL, TaskState.FAILED)


class TaskResult(NamedTuple):
    """The result of a task, as a worker tells it."""

    task: str
    state: TaskState
    counts: Counts
    days: Mapping[str, SealedDay]
    """Facts about the destination, by UTC day."""
    held: Sequence[Failed]
    """The objects that were not copied. A conflict is one of them."""


class SpreadProgress(NamedTuple):
    """The tasks and objects of a spread catch-up."""

    tasks: int = 0
    ended: int = 0
    dead: int = 0
    """Tasks that the owner does itself, since workers have failed at them."""
    objects: int = 0
    """The estimate of all."""
    objects_done: int = 0
