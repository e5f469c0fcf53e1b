"""One tick of one job in the daemon, and everything that follows from its report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from syncd.config.job import Job
from syncd.daemon.board import Board
from syncd.daemon.pauses import Pauses, is_role_refusal
from syncd.daemon.repeats import Complaints
from syncd.daemon.running import Flight, Flights
from syncd.daemon.web.gauges import Gauges
from syncd.daemon.web.metrics import Metrics
from syncd.job.health.health import Standing, promise_of, read_standing
from syncd.job.installation import Installation
from syncd.job.report import utc
from syncd.job.run import run_job
from syncd.job.wiring import TICK, RunRequest
from syncd.model import events
from syncd.model.errors import LedgerError
from syncd.model.reasons import Reason
from syncd.model.reports import TickReport

_TICK = RunRequest(kind=TICK, is_patient=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a tick touches in the daemon."""

    flights: Flights
    pauses: Pauses
    board: Board
    metrics: Metrics
    complaints: Complaints

    @classmethod
    def of(
        cls,
        *,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        tell: Callable[..., None],
        gauges: Callable[[], Gauges],
    ) -> "Parts":
        """All of them, as they are at the start; `gauges` is asked for how things stand."""
        flights, pauses = Flights(monotonic=monotonic), Pauses(monotonic=monotonic)
        return cls(
            flights=flights,
            pauses=pauses,
            board=Board(now=now, flights=flights, pauses=pauses),
            metrics=Metrics(gauges),
            complaints=Complaints(tell, now=now, monotonic=monotonic),
        )

    def forget(self, job: str) -> None:
        """A job is gone: when it is removed, and again when a tick ends that was still running, and told of it."""
        self.pauses.lift(job)
        self.board.drop(job)
        self.metrics.forget(job)
        self.complaints.forget(job)


class Ticker:
    """Runs the ticks. `tick` is called on the threads of the schedule, for one job by one thread at a time."""

    def __init__(
        self,
        installation: Installation,
        parts: Parts,
        *,
        find_job: Callable[[str], Job | None],
        on_unwritable: Callable[[], None],
    ) -> None:
        """`find_job` knows the jobs as they are now; `on_unwritable` is called where the state cannot be written."""
        self.installation = installation
        self._parts = parts
        self._find_job = find_job
        self._on_unwritable = on_unwritable

    def tick(self, name: str) -> None:
        """Tick a job, and again at once where its definition changed under the tick."""
        try:
            while self._tick_once(name):
                pass
        except BaseException as error:  # noqa: BLE001
            # APScheduler swallows what leaves a job: this is the one place where everything is caught, and told.
            self._parts.metrics.take_crash(name)
            self._parts.complaints.tell(
                events.TICK_CRASHED, job=name, reason=type(error).__name__, detail=repr(error), exc_info=error
            )

    def overrun(self, name: str) -> None:
        """A tick was due while the last one was still running, or waiting for a thread."""
        flight = self._parts.flights.of(name)
        self._parts.metrics.take_overrun(name)
        self._parts.complaints.tell(
            events.TICK_OVERRAN,
            job=name,
            reason="running" if flight else "waiting",
            running_seconds=int(flight.seconds(self._parts.flights.now())) if flight else 0,
        )

    def read_standings(self, jobs: Sequence[Job]) -> None:
        """Read how jobs stand. Where the state cannot be read, what is known stays, and what is not is not well."""
        try:
            with self.installation.ledger_file.open_readonly() as reader:
                for job in jobs:
                    self._parts.board.put(read_standing(job, reader, now=self.installation.now()))
        except LedgerError as error:
            # A tick meets the same, and does about it what is to be done.
            self._parts.complaints.tell(events.LEDGER_UNREADABLE, reason=error.reason, detail=str(error))
            for job in jobs:
                if self._parts.board.of(job.name) is None:
                    self._parts.board.put(Standing(job=job.name, promise=promise_of(job)))

    def ledger_bytes(self) -> int:
        """The size of the state file and of what belongs to it."""
        try:
            with self.installation.ledger_file.open_readonly() as reader:
                return reader.file_bytes()
        except LedgerError:
            return 0

    def _tick_once(self, name: str) -> bool:
        job = self._find_job(name)
        if job is None or self._parts.pauses.holds(name):
            return False
        with self._parts.flights.flying(name) as flight:
            if flight is None:
                return False
            report = self._run(job, flight)
            present = self._find_job(name)
            if present is not None:
                self._parts.metrics.take_report(report)
                if report.outcome != "already-running":
                    self._parts.board.take_report(report)
                self.read_standings([present])
            if present is job:
                self._judge(job, report)
            if self._find_job(name) is None:
                self._parts.forget(name)
            return flight.is_replaced

    def _run(self, job: Job, flight: Flight) -> TickReport:
        parts = self._parts
        progress = parts.flights.progress(flight, lambda recorder: parts.metrics.take_progress(job.name, recorder))
        return run_job(job, _TICK, self.installation, stop=flight.stop, on_progress=progress)

    def _judge(self, job: Job, report: TickReport) -> None:
        parts, error = self._parts, report.error
        if report.outcome == "already-running":
            self._tell(events.TICK_SKIPPED, job, detail=error.detail if error else "")
            return
        if error is not None and error.reason == Reason.LEDGER_UNWRITABLE:
            self._tell(events.LEDGER_UNWRITABLE, job, detail=error.detail, remedy=error.remedy)
            self._on_unwritable()
        if error is not None and is_role_refusal(error):
            self._pause(job, report)
        elif report.outcome != "interrupted":
            pause, over = parts.pauses.lift(job.name), parts.complaints.settle(events.JOB_PAUSED, job.name)
            if pause is not None or over is not None:
                self._tell(events.JOB_RESUMED, job, attempts=pause.attempts if pause else over.times if over else 0)
        if error is None and report.outcome != "interrupted":
            self._settle(job)
        if report.copied_late:
            self._tell(
                events.OBJECTS_COPIED_LATE,
                job,
                count=report.copied_late,
                worst_lag_seconds=int(report.worst_lag_seconds),
                objective_seconds=int(job.objective_effective.total_seconds()),
            )

    def _pause(self, job: Job, report: TickReport) -> None:
        error = report.error
        assert error is not None
        pause = self._parts.pauses.pause(job.name, error, period=job.period.total_seconds())
        self._tell(
            events.JOB_PAUSED,
            job,
            reason=error.reason,
            detail=error.detail,
            remedy=error.remedy,
            attempts=pause.attempts,
            again_at=utc(self.installation.now() + self._parts.pauses.seconds_left(job.name)),
        )

    def _settle(self, job: Job) -> None:
        """The tick went through: what was complained of before is over."""
        complaints = self._parts.complaints
        complaints.settle(events.TICK_STALLED, job.name)
        failed = [complaints.settle(event, job.name) for event in (events.TICK_FAILED, events.TICK_CRASHED)]
        over = [item for item in failed if item is not None]
        if over:
            self._tell(
                events.TICK_RECOVERED,
                job,
                failures=sum(item.times for item in over),
                failing_seconds=int(max(item.seconds for item in over)),
            )
        standing = self._parts.board.of(job.name)
        if standing is not None and not standing.held:
            held = [complaints.settle(event, job.name) for event in (events.OBJECT_FAILED, events.OBJECT_CONFLICTED)]
            complaints.settle(events.HORIZON_HELD, job.name)
            if any(item is not None for item in held):
                self._tell(events.OBJECTS_RECOVERED, job)

    def _tell(self, event: str, job: Job, **facts: Any) -> None:
        self._parts.complaints.tell(event, job=job.name, **facts)
