"""Stand-ins that only look, for `syncd plan` and for a destination that denies listing."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import TypeVar

from syncd.config.job import Job, RefusedJob
from syncd.copy.cost import Estimate, Month, Usual
from syncd.copy.modes import Way
from syncd.job.refused import refused_reports
from syncd.ledger.reader import RecordedTick
from syncd.ledger.replica.view import LedgerView
from syncd.model import events
from syncd.model.errors import JobFailed
from syncd.model.keys.stamps import DAY_SECONDS, stamp_of, utc_day
from syncd.model.objects import Folder, LogObject, Outcome, Page, Range, Shard, ShardState, Transfer
from syncd.model.reasons import Reason
from syncd.model.reports import TickReport
from syncd.tick.ports import Lister

_Found = TypeVar("_Found")
_DAYS_LOOKED_AT = 7
_LEAST_SECONDS = 3600.0


@dataclass(slots=True)
class PlannedCopies:
    """A copier that copies nothing and counts what it would."""

    mode: str | None = None
    sends: Callable[[Transfer], Mapping[str, int]] = lambda _: {}
    """Return the requests that the copy of an object takes, by operation."""
    objects: int = 0
    size_bytes: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    estimate: Estimate | None = None
    """The cost; None if the plan could not be made."""
    tasks: int | None = None
    """The tasks of a spread catch-up; None for any other."""
    audit_lists_a_day: int = 0
    """Listings of the destination that the audit takes a day."""
    by_day: Counter[str] = field(default_factory=Counter)
    """The objects by UTC day."""
    bytes_by_day: Counter[str] = field(default_factory=Counter)
    month: Month | None = None
    """A month of the job; None if it was not asked for, or nothing is known of the job yet."""

    def copy_all(self, transfers: Iterator[Transfer | None], stop: Event) -> Iterator[Outcome]:
        """Count the transfers. Returns no outcomes."""
        for transfer in transfers:
            if stop.is_set():
                break
            if transfer is not None:
                self.objects += 1
                self.size_bytes += transfer.object.size_bytes
                self.requests.update(self.sends(transfer))
                day = utc_day(stamp_of(transfer.object.key) or transfer.object.last_modified)
                self.by_day[day] += 1
                self.bytes_by_day[day] += transfer.object.size_bytes
        return iter(())


def usual_day(
    job: Job, view: LedgerView, ticks: Sequence[RecordedTick], copies: PlannedCopies, report: TickReport, now: float
) -> Usual | None:
    """Return the mean of the last full days, as far as they are remembered or would be copied.

    Returns None if nothing is known of the job yet.
    """
    today = utc_day(now)
    first, last = utc_day(now - _DAYS_LOOKED_AT * DAY_SECONDS), utc_day(now - DAY_SECONDS)
    objects, size_bytes = Counter(copies.by_day), Counter(copies.bytes_by_day)
    for day, (count, size) in view.volume(first, today).items():
        objects[day] += count
        size_bytes[day] += size
    days = [day for day in objects if first <= day <= last]
    span = float(len(days))
    if not days:
        # A trail that begins today: what came so far, in the hours so far.
        days, span = [today], max(now % DAY_SECONDS, _LEAST_SECONDS) / DAY_SECONDS
    total = sum(objects[day] for day in days)
    if not total:
        return None
    return Usual(
        objects_a_day=total / span,
        bytes_a_day=sum(size_bytes[day] for day in days) / span,
        ticks_a_day=DAY_SECONDS / job.period.total_seconds(),
        lists_a_tick=_lists_a_tick(ticks, report),
        audit_lists_a_day=copies.audit_lists_a_day,
        known=sum(view.remembered_counts()) + copies.objects,
    )


def _lists_a_tick(ticks: Sequence[RecordedTick], report: TickReport) -> float:
    """Return the listings of a tick: the mean of those recorded, else one for each shard."""
    done = [tick.report for tick in ticks if tick.kind == "tick" and tick.report.outcome in ("ok", "partial")]
    # The oldest may be the first one, which lists the whole history.
    done = done[:-1] or done
    if not done:
        return max(1.0, float(report.shards))
    return sum(each.requests.get("ListObjectsV2", 0) for each in done) / len(done)


def refused_plans(refused: Sequence[RefusedJob]) -> list[tuple[TickReport, PlannedCopies]]:
    """Return the entries for `plan` of jobs whose files cannot be used."""
    return [(report, PlannedCopies()) for report in refused_reports(refused)]


def planned_way(ways: Sequence[Way], verdict: tuple[str, str] | None) -> Way:
    """Return the way that the next tick copies. Without a verdict yet it is the fallback."""
    return next((way for way in ways if verdict is not None and way.name == verdict[0]), ways[-1])


class PlanLedger:
    """A ledger that is read and never written."""

    def __init__(self, view: LedgerView) -> None:
        self._view = view
        self.start = view.start
        self.shards = view.shards
        self.discovered_at = view.discovered_at
        self.looked_at = view.looked_at
        self.quarantined = view.quarantined
        self.held_counts = view.held_counts
        self.held_stamps = view.held_stamps
        self.has_known_after = view.has_known_after
        self.known = view.known
        self.sealed = view.sealed
        self.remembered = view.remembered
        self.accepted = view.accepted

    def mend(self) -> Sequence[str]:
        """Do nothing, which is left to the tick. Returns an empty list."""
        return []

    def unseal(
        self,
        shard: Shard,
        days: Sequence[str],
        *,
        outcomes: Sequence[Outcome] = (),
        adopted: Sequence[tuple[Shard, LogObject, str]] = (),
        now: float = 0.0,
    ) -> None:
        """Do nothing, which is left to the tick."""

    def save_uncovered(self, prefixes: Collection[str], *, now: float) -> None:
        """Do nothing."""

    def set_start(self, instant: float) -> None:
        """Do nothing, since the first tick fixes the start."""

    def save_shards(self, states: Iterable[ShardState], *, discovered_at: float | None = None) -> None:
        """Do nothing."""

    def save_looked_at(self, looks: Mapping[str, tuple[float, tuple[str, ...]]]) -> None:
        """Do nothing."""

    def record(
        self,
        outcomes: Sequence[Outcome],
        adopted: Sequence[tuple[Shard, LogObject, str]],
        *,
        now: float,
        lateness: Mapping[int, int] | None = None,
    ) -> None:
        """Do nothing."""

    def seal(self, shard: Shard, before_day: str, *, limit: int) -> int:
        """Do nothing. Returns 0."""
        del shard, before_day, limit
        return 0


class ForgivingLister:
    """A lister of the destination that finds nothing once it is denied.

    Without s3:ListBucket at the destination a lost ledger cannot be rebuilt. Every object is written conditionally then.
    """

    def __init__(self, lister: Lister, tell: Callable[..., None]) -> None:
        self._lister = lister
        self._log = tell
        self.is_denied = False

    def pages(self, ranges: Iterable[Range]) -> Iterator[Page | None]:
        """Yield the pages of the ranges, or none if listing is denied."""
        wanted = list(ranges)
        if wanted and not self.is_denied:
            yield from self._forgiving(self._lister.pages(wanted))

    def folders(self, prefixes: Iterable[str]) -> Iterator[Folder]:
        """Yield the folders below the prefixes, or none if listing is denied."""
        if not self.is_denied:
            yield from self._forgiving(self._lister.folders(prefixes))

    def _forgiving(self, found: Iterator[_Found]) -> Iterator[_Found]:
        try:
            yield from found
        except JobFailed as error:
            if error.reason != Reason.ACCESS_DENIED:
                raise
            self.is_denied = True
            self._log(events.REBUILD_BLIND, detail=error.detail, remedy="allow the consumer s3:ListBucket there")
