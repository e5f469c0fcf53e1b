"""Ticks, catch-ups, plans and rebuilds of one job, each under the locks it needs."""

from collections.abc import Callable
from threading import Event
from typing import Any

from syncd.config.job import Job
from syncd.copy.cost import Month, estimate, month, requests_of
from syncd.copy.hashes.checksums import header_of
from syncd.copy.modes import Way
from syncd.copy.terms import Bounds
from syncd.job.copies import ways_of
from syncd.job.health.progress import Progress, Tracker
from syncd.job.installation import Installation
from syncd.job.planning import PlanLedger, PlannedCopies, planned_way, usual_day
from syncd.job.report import log_report
from syncd.job.wiring import CATCH_UP, TICK, Run, RunRequest
from syncd.ledger.folder.job_locks import note_progress
from syncd.ledger.ledger import TICKS_KEPT, Reader
from syncd.model import events
from syncd.model.errors import AlreadyRunning, LedgerError
from syncd.model.reasons import Reason
from syncd.model.reports import JobError, TickReport
from syncd.tick.recorder import Recorder
from syncd.tick.scope import pace_of, replica_of
from syncd.tick.task import audit_lists_a_day

OBJECTS_FOR_A_RATE = 200


def run_job(
    job: Job,
    request: RunRequest,
    installation: Installation,
    *,
    stop: Event,
    on_progress: Callable[[Recorder], None] = lambda _: None,
    show: Callable[[Progress], None] = lambda _: None,
) -> TickReport:
    """Run, record and log one tick or catch-up of one job, under its lock.

    `on_progress` is called with each page and object, `show` once a second. Errors of the job or its state are not
    raised: they are in the report.
    """
    run, tracker = tracked(job, request, installation, stop=stop, on_progress=on_progress, show=show)
    try:
        report = _run(run, job, request, installation, tracker.begin)
        is_crash = report.error is not None and report.error.reason == Reason.CRASHED
        # A crash has its own line, with the traceback.
        if report.outcome != "already-running" and not is_crash:
            finished = events.CATCH_UP_FINISHED if request.kind == CATCH_UP else events.TICK_FINISHED
            log_report(report, finished, installation.tell)
    except BaseException as error:  # noqa: BLE001 - an error of one job must not end the others
        report = run.crashed(error)
    return report


def tracked(
    job: Job,
    request: RunRequest,
    installation: Installation,
    *,
    stop: Event,
    on_progress: Callable[[Recorder], None] = lambda _: None,
    show: Callable[[Progress], None],
) -> tuple[Run, Tracker]:
    """Return a run whose progress is shown, logged, and noted in the files of its locks."""

    def shown(progress: Progress) -> None:
        show(progress)
        for lock in run.locks:
            note_progress(lock, progress.document())

    def tell(event: str, **facts: Any) -> None:
        installation.tell(event, job=job.name, **facts)

    tracker = Tracker(request.kind, now=installation.now, tell=tell, show=shown)

    def progressed(recorder: Recorder) -> None:
        on_progress(recorder)
        tracker.take(recorder)

    run = Run(job, request, installation, stop, progressed)
    return run, tracker


def _run(run: Run, job: Job, request: RunRequest, installation: Installation, begin: Callable[[], None]) -> TickReport:
    locks = installation.locks
    try:
        with locks.catch_up(job.name) if request.kind == CATCH_UP else locks.tick(job.name) as lock:
            run.locks = (lock,)
            begin()
            return run.with_ledger()
    except AlreadyRunning as error:
        why = JobError(reason="already_running", detail=error.holder, remedy="wait for it to end")
        return run.ended("already-running", why)
    except LedgerError as error:
        return run.ended("failed", JobError(reason=error.reason, detail=str(error), remedy=error.remedy))


def plan_job(
    job: Job, request: RunRequest, installation: Installation, *, stop: Event, with_month: bool = False
) -> tuple[TickReport, PlannedCopies]:
    """Plan a tick or catch-up of one job, and a month if that is asked for. Nothing is written anywhere.

    Errors of the job or its state are not raised: they are in the report.
    """
    copies = PlannedCopies()
    run = Run(job, request, installation, stop, lambda _: None)
    try:
        with installation.ledger_file.open_readonly() as reader:
            view = reader.view(replica_of(job))
            way = planned_way(ways_of(job), view.mode_verdict())
            to = job.destination
            bounds = Bounds(to.multipart_above, to.part_size, checksum=header_of(to.checksum))
            copies = PlannedCopies(way.mode.value, lambda transfer: requests_of(transfer, way.mode, bounds))
            copies.audit_lists_a_day = audit_lists_a_day(pace_of(job), view.remembered_counts(), len(view.shards()))
            report = run.tick(PlanLedger(view), lambda *_: copies)
            if report.outcome == "failed":
                return report, copies
            copies.estimate = estimate(
                way,
                looking=report.requests,
                copying=copies.requests,
                size_bytes=copies.size_bytes,
                crosses_regions=job.source.region != job.destination.region,
                prices=installation.settings.prices,
                objects_per_second=_measured_rate(reader, job.name),
            )
            if with_month:
                copies.month = _month(job, reader, copies, report, way, installation)
            return report, copies
    except LedgerError as error:
        return run.ended("failed", JobError(reason=error.reason, detail=str(error), remedy=error.remedy)), copies
    except BaseException as error:  # noqa: BLE001 - an error of one job must not end the others
        return run.crashed(error), copies


def _month(
    job: Job, reader: Reader, copies: PlannedCopies, report: TickReport, way: Way, installation: Installation
) -> Month | None:
    view, ticks = reader.view(replica_of(job)), reader.ticks(job.name, TICKS_KEPT)
    usual = usual_day(job, view, ticks, copies, report, installation.now())
    if usual is None:
        return None
    bounds = Bounds(job.destination.multipart_above, job.destination.part_size)
    is_across = job.source.region != job.destination.region
    return month(usual, way, bounds, installation.settings.prices, crosses_regions=is_across)


def rebuild_job(job: Job, installation: Installation, *, stop: Event) -> TickReport:
    """Forget a job's copied objects, and compare its source with its destination.

    Quarantine, start and acceptances are kept, since the destination does not show them. Errors of the job are in the
    report.

    Raises:
        AlreadyRunning: the job is ticking or catching up.
        LedgerError: the state cannot be used.
    """
    run = Run(job, RunRequest(kind=TICK), installation, stop, lambda _: None)
    with installation.locks.tick(job.name), installation.locks.catch_up(job.name):
        return run.rebuild()


def _measured_rate(reader: Reader, job: str) -> float | None:
    """Return objects a second of the job's best recent run that copied enough. Returns None if none did."""
    reports = [tick.report for tick in reader.ticks(job, 50)]
    rates = [report.copied / report.duration_seconds for report in reports if report.copied >= OBJECTS_FOR_A_RATE]
    return max(rates, default=None)
