"""The verbs `tick`, `catch-up` and `plan`: several jobs side by side, interrupted by signals."""

import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from threading import Event, Lock
from typing import Any, NamedTuple, Protocol

from syncd.config import partitions
from syncd.config.job import Configuration, Job
from syncd.config.words import shown
from syncd.copy.cost import Month
from syncd.copy.workers.pool import WorkerPool
from syncd.job import exit_codes
from syncd.job.health.progress import Progress
from syncd.job.installation import Installation
from syncd.job.planning import PlannedCopies
from syncd.job.report import report_document
from syncd.job.run import plan_job, run_job
from syncd.job.wiring import RunRequest
from syncd.model.errors import LedgerError
from syncd.model.keys.trail import EVERY
from syncd.model.reports import TickReport

JOBS_AT_A_TIME = 40
"""A job mostly waits for servers. With this many, those of a customer's that never end leave threads for the others."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_LOOK_SECONDS = 0.1
_LISTED = 10


class OneRun(Protocol):
    """The run of one job. Returns its report and raises nothing."""

    def __call__(
        self,
        job: Job,
        request: RunRequest,
        installation: Installation,
        *,
        stop: Event,
        show: Callable[[Progress], None],
    ) -> TickReport:
        """Run it until its end, or until `stop` is set."""
        ...


class OnePlan(Protocol):
    """The plan of one job. Returns it and raises nothing."""

    def __call__(
        self, job: Job, request: RunRequest, installation: Installation, *, stop: Event
    ) -> tuple[TickReport, PlannedCopies]:
        """Plan it."""
        ...


class Done(NamedTuple):
    """The result of a run."""

    reports: Sequence[TickReport]
    exit_code: int


def narrowing_problem(jobs: Sequence[Job], request: RunRequest) -> tuple[str, str] | None:
    """Return the option that leaves these jobs nothing to catch up, and why. Returns None if none does."""
    # No other layout has accounts and regions.
    reading = [job for job in jobs if job.source.is_cloudtrail]
    for account in request.accounts:
        if account != EVERY and not any(_covers(job.source.accounts, account) for job in reading):
            return "--account", _uncovered(account, "accounts", {own for job in reading for own in job.source.accounts})
    reading = [job for job in reading if any(_covers(job.source.accounts, account) for account in request.accounts)]
    for region in request.regions:
        if region != EVERY and not any(_can_have(job, region) for job in reading):
            return "--region", _uncovered(region, "regions", {own for job in reading for own in _regions(job)})
    return None


def _covers(own: str | Sequence[str], asked: str) -> bool:
    return EVERY in (own, asked) or asked in own


def _can_have(job: Job, region: str) -> bool:
    if job.source.regions != EVERY:
        return region in job.source.regions
    partition = partitions.partition_of(region)
    return partition is not None and (job.endpoints.s3 is not None or partition == job.partition)


def _regions(job: Job) -> Sequence[str]:
    return job.source.regions if job.source.regions != EVERY else [f"all AWS regions of partition {job.partition}"]


def _uncovered(asked: str, key: str, known: set[str]) -> str:
    if not known:
        return f'{shown(asked)} means nothing to these jobs: only layout = "cloudtrail" has {key}; leave it out'
    some = sorted(known)
    listed = ", ".join(some[:_LISTED]) + (", …" if len(some) > _LISTED else "")
    return (
        f"none of the jobs can read {shown(asked)}: their source.{key} are {listed};"
        " give one of these, name another job, or add it to a job's file"
    )


def is_day(text: str) -> bool:
    """Return True for a day of the calendar, `YYYY-MM-DD`."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def run(
    configuration: Configuration,
    jobs: Sequence[Job],
    request: RunRequest,
    *,
    now: Callable[[], float],
    tell: Callable[..., None],
    show: Callable[[str, Progress | None], None] = lambda *_: None,
    besides: Sequence[TickReport] = (),
    one_run: OneRun = run_job,
    after: Callable[..., TickReport] = lambda _, report, __, **___: report,
    pool: WorkerPool | None = None,
) -> Done:
    """Run a tick or catch-up of each job. SIGTERM and SIGINT end it after the objects in flight.

    `show` gets each job's progress once a second, and None at its end. `besides` are reports of jobs that cannot be run,
    which count like any other. `one_run` runs one job. `after` is called with the job, its report, the installation and the
    event to stop by, and returns the report with what it adds. `pool` has the workers, if they were started already.
    """
    installation = Installation.of(configuration, now=now, tell=tell, pool=pool)
    guard = Lock()

    def one(job: Job) -> TickReport:
        def progressed(progress: Progress | None) -> None:
            with guard:
                show(job.name, progress)

        try:
            report = one_run(job, request, installation, stop=interruption.stop, show=progressed)
            return after(job, report, installation, stop=interruption.stop)
        finally:
            progressed(None)

    with interruptible() as interruption:
        try:
            reports = [*_side_by_side(one, jobs, interruption, installation), *besides]
        finally:
            installation.close()
    number = interruption.signal
    code = exit_codes.of_signal(number) if number else exit_codes.of_reports(reports)
    return Done(reports, code)


def plan(
    configuration: Configuration,
    jobs: Sequence[Job],
    request: RunRequest,
    *,
    now: Callable[[], float],
    tell: Callable[..., None],
    one_plan: OnePlan = plan_job,
) -> list[tuple[TickReport, PlannedCopies]]:
    """Plan a tick or catch-up of each job. `one_plan` plans one job."""
    installation = Installation.of(configuration, now=now, tell=tell)
    with interruptible() as interruption:

        def one(job: Job) -> tuple[TickReport, PlannedCopies]:
            return one_plan(job, request, installation, stop=interruption.stop)

        return _side_by_side(one, jobs, interruption, installation)


def reports_document(reports: Sequence[TickReport]) -> dict[str, Any]:
    """Return the JSON of `tick` and `catch-up`."""
    return {"jobs": [report_document(report) for report in reports]}


def plans_document(plans: Sequence[tuple[TickReport, PlannedCopies]]) -> dict[str, Any]:
    """Return the JSON of `plan`."""
    return {"jobs": [_plan_document(report, copies) for report, copies in plans]}


def _plan_document(report: TickReport, copies: PlannedCopies) -> dict[str, Any]:
    estimate = copies.estimate
    return {
        "job": report.job,
        "outcome": report.outcome,
        "mode": copies.mode,
        "listed": report.listed,
        "objects": copies.objects,
        "bytes": copies.size_bytes,
        "tasks": copies.tasks,
        "skipped": dict(report.skipped),
        "requests": dict(estimate.requests) if estimate else {},
        "cost_usd": round(estimate.cost_usd, 6) if estimate else None,
        "seconds": round(estimate.seconds, 1) if estimate else None,
        "objects_per_second": round(estimate.objects_per_second, 1) if estimate else None,
        "audit_lists_a_day": copies.audit_lists_a_day,
        "month": _month_document(copies.month) if copies.month else None,
        "requests_made": dict(report.requests),
        "error": report_document(report)["error"],
    }


def _month_document(month: Month) -> dict[str, Any]:
    return {
        "objects": month.objects,
        "bytes": month.size_bytes,
        "ticks": month.ticks,
        "requests": dict(month.requests),
        "cost_usd": round(month.cost_usd, 2),
        "s3_sync": {"requests": dict(month.sync_requests), "cost_usd": round(month.sync_cost_usd, 2)},
    }


@dataclass(slots=True)
class Interruption:
    """The signals that came so far."""

    stop: Event
    waking: socket.socket
    woken: socket.socket
    """The kernel may deliver a signal to any thread. Its handler runs in the main one, once that is woken by this."""
    signal: int = 0
    is_impatient: bool = False

    def wait(self, futures: Sequence[Future[Any]], abandon: Callable[[], None]) -> None:
        """Wait for the end of all, in the main thread, which takes no lock. The second signal abandons what is in flight."""
        for future in futures:
            future.add_done_callback(self._wake)
        while not all(future.done() for future in futures):
            if self.is_impatient:
                abandon()
            with suppress(TimeoutError):
                self.woken.settimeout(_LOOK_SECONDS if self.signal else None)
                self.woken.recv(64)

    def _wake(self, _: Future[Any]) -> None:
        with suppress(OSError):
            self.waking.send(b"\0")


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Handle signals: the first stops new copies, the second cancels those in flight."""
    woken, waking = socket.socketpair()
    waking.setblocking(False)
    interruption = Interruption(Event(), waking, woken)

    def interrupt(number: int, _: Any) -> None:
        # Take no lock here: the interrupted thread may hold it.
        interruption.is_impatient = interruption.signal != 0
        interruption.signal = number
        interruption.stop.set()

    woken_before = signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        yield interruption
    finally:
        signal.set_wakeup_fd(woken_before)
        woken.close()
        waking.close()
        # Another signal must not cut off the report of an interrupted run.
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if interruption.signal else handler)


def _slowest_last(jobs: Sequence[Job], installation: Installation) -> Sequence[Job]:
    """Return the jobs, the slowest last if some have to wait."""
    if len(jobs) <= JOBS_AT_A_TIME:
        return jobs
    seconds = dict.fromkeys((job.name for job in jobs), 0.0)
    # If the state cannot be read, each job reports that itself.
    with suppress(LedgerError), installation.ledger_file.open_readonly() as reader:
        for name in seconds:
            last = reader.last_tick(name)
            seconds[name] = last.report.duration_seconds if last is not None else 0.0
    return sorted(jobs, key=lambda job: seconds[job.name])


def _side_by_side(
    one: Callable[[Job], Any], jobs: Sequence[Job], interruption: Interruption, installation: Installation
) -> list[Any]:
    if not jobs:
        return []
    with ThreadPoolExecutor(min(JOBS_AT_A_TIME, len(jobs)), thread_name_prefix="job") as pool:
        begun = {job.name: pool.submit(one, job) for job in _slowest_last(jobs, installation)}
        futures = [begun[job.name] for job in jobs]
        interruption.wait(futures, installation.abandon)
        return [future.result() for future in futures]
