"""Stand-ins that only look, for `syncd plan` and for a destination that denies listing."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import TypeVar

from syncd.config.job import RefusedJob
from syncd.copy.cost import Estimate
from syncd.copy.modes import Way
from syncd.job.refused import refused_reports
from syncd.ledger.replica.view import LedgerView
from syncd.model import events
from syncd.model.errors import JobFailed
from syncd.model.objects import Folder, LogObject, Outcome, Page, Range, Shard, ShardState, Transfer
from syncd.model.reasons import Reason
from syncd.model.reports import TickReport
from syncd.tick.ports import Lister

_Found = TypeVar("_Found")


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

    def copy_all(self, transfers: Iterator[Transfer | None], stop: Event) -> Iterator[Outcome]:
        """Count the transfers. Returns no outcomes."""
        for transfer in transfers:
            if stop.is_set():
                break
            if transfer is not None:
                self.objects += 1
                self.size_bytes += transfer.object.size_bytes
                self.requests.update(self.sends(transfer))
        return iter(())


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
