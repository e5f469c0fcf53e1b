"""One pass over one job: discover, list, plan, copy, record.

A catch-up is a tick with a window. A dry run is a tick whose copier copies nothing. AWS, the database and the clock are
reached through `ports` only.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from threading import Event

from syncd.model import events, reasons
from syncd.model.errors import Interrupted, JobFailed, ListingBudgetSpent
from syncd.model.keys.trail import wanted_by
from syncd.model.objects import FoundBy, Quarantined, SkipReason, Transfer
from syncd.model.reasons import Reason
from syncd.model.reports import JobError, TickReport, job_error
from syncd.tick.closing import close, horizon
from syncd.tick.listing.survey import Survey, Visit, survey
from syncd.tick.ports import Ports
from syncd.tick.recorder import LISTED_IN_REPORT, MOST_HELD, Recorder, too_many_held
from syncd.tick.search import Search
from syncd.tick.task import Task


class Tick:
    """One pass over one job. Call `run` once."""

    def __init__(self, task: Task, ports: Ports, *, stop: Event, on_progress: Callable[[Recorder], None]) -> None:
        self._task = task
        self._ports = ports
        self._stop = stop
        self._on_progress = on_progress
        self._began_at = ports.now()
        self._survey = Survey()
        self._held: Mapping[str, Quarantined] = {}
        self._search: Search | None = None
        self._watched_since = 0.0
        self._recorder = Recorder(ports.ledger, now=ports.now, stamp=task.layout.stamp, objective=task.objective)
        self._recorder.counts.hinted = len(task.hinted)

    def run(self) -> TickReport:
        """Run the tick.

        A failure of the job is in the report's `error`, never raised.

        Raises:
            LedgerError: the state cannot be read or written. Nothing is claimed that is not recorded.
        """
        error: JobFailed | None = None
        # Mend first: a quarantine with a damaged entry proves nothing.
        for mended in self._ports.ledger.mend():
            self._ports.tell(events.STATE_MENDED, what=mended)
        before = horizon(self._task, self._ports.ledger, now=self._began_at)
        try:
            self._load_held()
            self._watched_since = self._ports.ledger.discovered_at()
            self._survey = survey(self._task, self._ports, began_at=self._began_at)
            self._copy(self._searching().transfers())
            self._recorder.require_readable()
            self._guard_against_an_empty_source()
        except JobFailed as raised:
            error = raised
        self._recorder.flush()
        report = self._report(error)
        if error is not None and error.reason in (Reason.SOURCE_EMPTY, Reason.TOO_MANY_HELD):
            # The listing proves nothing, or too little of it can be remembered: no cursor moves.
            complete = horizon(self._task, self._ports.ledger, now=self._began_at)
        else:
            is_whole = report.outcome in ("ok", "partial") and error is None
            complete = close(self._task, self._ports, self._survey, began_at=self._began_at, is_whole=is_whole)
        self._log_start_moved(before[0], complete[0])
        if self._search is not None and (recalled := self._search.recalled):
            self._ports.tell(events.LEDGER_REBUILT, shards=len(recalled), replicas=recalled.total())
        return replace(report, complete_from=complete[0], complete_until=complete[1])

    def _log_start_moved(self, before: float, after: float) -> None:
        if before and after > before:
            why = "objects from before the job's start were left out, or a shard was listed for the first time"
            self._ports.tell(events.HORIZON_START_MOVED, before=before, after=after, why=why)

    def so_far(self, outcome: str, error: JobError | None) -> TickReport:
        """Return the report of a tick that raised, with what it had done by then."""
        return replace(self._report(None), outcome=outcome, error=error)

    def _searching(self) -> Search:
        self._search = Search(
            self._task,
            self._ports,
            self._survey,
            self._recorder,
            held=self._held,
            accepted=self._ports.ledger.accepted(),
            began_at=self._began_at,
            on_progress=self._on_progress,
        )
        return self._search

    def _load_held(self) -> None:
        """Load the quarantine.

        Raises:
            JobFailed: it is full. Some of it was retried before, so that a job recovers once the cause is gone.
        """
        wanted = wanted_by(self._task.scope)
        held = self._ports.ledger.held_counts(wanted).objects
        self._held = self._ports.ledger.quarantined(is_wanted=wanted, limit=MOST_HELD, with_details=False)
        if held > MOST_HELD:
            self._copy(self._searching().tried_again())
            raise too_many_held(held)
        self._recorder.held = held

    def _copy(self, transfers: Iterator[Transfer | None]) -> None:
        for outcome in self._ports.copier.copy_all(transfers, self._stop):
            transfer = outcome.transfer
            visit = self._survey.visits.get(transfer.shard.prefix)
            if visit is not None:
                visit.unresolved -= 1
                if visit.days_in_flight:
                    visit.landed(self._task.layout.day(transfer.shard, transfer.object.key))
            # Objects that the audit copies again have no LastModified in the ledger.
            is_live = self._task.window is None and transfer.object.last_modified > 0
            counts_lag = is_live and self._arrived_under_watch(transfer, visit)
            is_new = transfer.object.key not in self._held
            if self._recorder.take(outcome, is_live=is_live, counts_lag=counts_lag, is_new=is_new):
                self._on_progress(self._recorder)

    def _arrived_under_watch(self, transfer: Transfer, visit: Visit | None) -> bool:
        """Return True if an object is new, rather than older than the job."""
        is_known_shard = visit is not None and bool(visit.state.listed_at)
        return self._watched_since > 0 and (is_known_shard or transfer.object.last_modified >= self._watched_since)

    def _guard_against_an_empty_source(self) -> None:
        """Fail a job that lists none of the keys of its last days.

        Raises:
            JobFailed: nothing that the ledger knows was listed, though some of it should have been.
        """
        task = self._task
        # What is at the destination was listed before, even if a damaged ledger has forgotten it.
        listed_before = self._recorder.known_listed + self._recorder.counts.already_there
        listed_before += self._recorder.counts.skipped.get(SkipReason.SEALED, 0)
        if task.window is not None or self._survey.is_hinted or listed_before or self._stop.is_set():
            return
        since = self._began_at - task.pace.recent
        for visit in self._survey.visits.values():
            if visit.state.found_by is FoundBy.WHOLE or visit.state.frontier < since or not visit.slices:
                continue
            if self._ports.ledger.has_known_after(visit.state.shard, visit.slices[-1].range.start_after):
                raise JobFailed(
                    Reason.SOURCE_EMPTY,
                    f"ListObjectsV2 of s3://{self._ports.source_bucket} gave none of the objects of the last days that "
                    f"are known to have been there, such as those under {visit.state.shard.prefix}",
                    reasons.remedy_of(Reason.SOURCE_EMPTY),
                )

    def _report(self, error: JobFailed | None) -> TickReport:
        recorder = self._recorder
        counts = recorder.counts
        outcome = "partial" if counts.failed_count or counts.conflict_count else "ok"
        if error is not None:
            # What was done before the listing budget was spent counts.
            outcome = "partial" if isinstance(error, ListingBudgetSpent) else "failed"
        if isinstance(error, Interrupted):
            error = None
            outcome = "interrupted"
        if self._stop.is_set():
            outcome = "interrupted"
        return TickReport(
            job=self._task.job,
            outcome=outcome,
            mode=self._ports.copier.mode,
            **counts.counted(),
            conflicts=tuple(recorder.conflicts),
            failed=tuple(recorder.failed),
            archived=tuple(recorder.archived),
            shards=len(self._survey.visits),
            uncovered=tuple(self._survey.uncovered[:LISTED_IN_REPORT]),
            worst_lateness_seconds=recorder.worst_lateness_seconds,
            worst_lag_seconds=recorder.worst_lag_seconds,
            started_at=self._began_at,
            duration_seconds=self._ports.now() - self._began_at,
            error=job_error(error, self._task.job) if error else None,
        )
