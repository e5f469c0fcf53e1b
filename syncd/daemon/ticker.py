"""One tick of one job in the daemon, and what follows from its report."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Any

from syncd.aws.identity.refusals import REJECTED
from syncd.config.job import Job
from syncd.daemon.board import JobBoard
from syncd.daemon.log.repeats import RepeatedProblems
from syncd.daemon.notify.webhooks import Webhooks
from syncd.daemon.ticks.gate import Gate
from syncd.daemon.ticks.pauses import Pauses, is_role_refusal
from syncd.daemon.ticks.running import RunningTick, RunningTicks
from syncd.daemon.web.gauges import Gauges
from syncd.daemon.web.metrics import Metrics
from syncd.job.health.health import JobHealth, promise_of, read_health
from syncd.job.installation import Installation
from syncd.job.report import utc
from syncd.job.run import run_job
from syncd.job.wiring import TICK, RunRequest
from syncd.model import events
from syncd.model.errors import LedgerError
from syncd.model.reasons import Reason
from syncd.model.reports import TickReport
from syncd.tick.scope import replica_of
from syncd.verify.continuous.run import verified

_TICK = RunRequest(kind=TICK, is_patient=True)
"""An ordinary tick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonState:
    """The state that ticks, the main thread and the status port share. Each part guards itself."""

    running: RunningTicks
    pauses: Pauses
    board: JobBoard
    metrics: Metrics
    problems: RepeatedProblems

    @classmethod
    def of(
        cls,
        *,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        tell: Callable[..., None],
        gauges: Callable[[], Gauges],
    ) -> "DaemonState":
        """Return the state at the start. `gauges` returns the gauges of the moment."""
        pauses, running = Pauses(monotonic=monotonic), RunningTicks(monotonic=monotonic)
        return cls(
            running=running,
            pauses=pauses,
            board=JobBoard(now=now, pauses=pauses, running=running),
            metrics=Metrics(gauges),
            problems=RepeatedProblems(tell, now=now, monotonic=monotonic),
        )

    def forget(self, job: str) -> None:
        """Forget a removed job. A tick of it that was still running forgets it once more when it ends."""
        self.pauses.end(job)
        self.board.drop(job)
        self.metrics.forget(job)
        self.problems.forget(job)


class Ticker:
    """The runner of ticks: the schedule's threads call `tick`, those of hints `follow_hints`.

    Shared: a lock of each job lets one tick of it run at a time. Making one is a single operation under the GIL. `installation` is replaced whole by the main thread at a reload, and read by any thread: one attribute, which
    the GIL writes whole. A tick keeps the one it began with.
    """

    def __init__(
        self,
        installation: Installation,
        state: DaemonState,
        *,
        find_job: Callable[[str], Job | None],
        on_unwritable: Callable[[], None],
        on_rejected: Callable[[str], None],
        gate: Gate | None = None,
    ) -> None:
        """Look jobs up with `find_job`.

        Calls `on_unwritable` if the state file cannot be written, and `on_rejected` with a job whose credentials were
        rejected.
        """
        self.installation = installation
        self._state = state
        self._find_job = find_job
        self._on_unwritable = on_unwritable
        self._gate = gate or Gate()
        self.known: dict[str, int] = {}
        """By job, about how many objects are at the destination: counted once, then added up."""
        self._webhooks = Webhooks(state.problems, now=installation.now)
        self._turns: dict[str, Lock] = {}
        self._on_rejected = on_rejected

    def tick(self, name: str) -> None:
        """Tick a job, and again at once if its definition changed during the tick.

        Waits for the end of a tick that hints have hastened.
        """
        with self._turn(name):
            self._tick(name, _TICK)

    def follow_hints(self, name: str, keys: Collection[str]) -> bool:
        """List what hints name, unless the job is ticking. Returns false if it is."""
        turn = self._turn(name)
        if not turn.acquire(blocking=False):
            return False
        try:
            self._tick(name, _TICK._replace(hinted=keys))
        finally:
            turn.release()
        return True

    def close(self) -> None:
        """Send the last webhooks, and end what ticks share."""
        self._webhooks.close()
        self.installation.close()

    def _turn(self, name: str) -> Lock:
        return self._turns.setdefault(name, Lock())

    def _tick(self, name: str, request: RunRequest) -> None:
        try:
            while self._tick_once(name, request):
                request = _TICK
        except BaseException as error:  # noqa: BLE001
            # APScheduler swallows what a job raises, so this is the one place that catches and logs everything.
            self._state.metrics.take_crash(name)
            self._state.problems.log(
                events.TICK_CRASHED, job=name, reason=type(error).__name__, detail=repr(error), exc_info=error
            )

    def overrun(self, name: str) -> None:
        """Log that a tick was due before the last one had ended."""
        tick = self._state.running.of(name)
        self._state.metrics.take_overrun(name)
        self._state.problems.log(
            events.TICK_OVERRAN,
            job=name,
            reason="running" if tick else "waiting",
            running_seconds=int(tick.seconds(self._state.running.now())) if tick else 0,
        )

    def read_health(self, jobs: Sequence[Job]) -> None:
        """Read the healths of jobs. If the state cannot be read, keep what is known and count the rest as late."""
        installation, board = self.installation, self._state.board
        try:
            with installation.ledger_file.open_readonly() as reader:
                for job in jobs:
                    board.put(read_health(job, reader, now=installation.now()))
        except LedgerError as error:
            # A tick meets the same error, and deals with it.
            self._state.problems.log(events.LEDGER_UNREADABLE, reason=error.reason, detail=str(error))
            for job in jobs:
                if board.of(job.name) is None:
                    board.put(JobHealth(job=job.name, promise=promise_of(job)))

    def ledger_bytes(self) -> int:
        """Return the size of the state file with its side files. Returns 0 if it cannot be read."""
        try:
            with self.installation.ledger_file.open_readonly() as reader:
                return reader.file_bytes()
        except LedgerError:
            return 0

    def _tick_once(self, name: str, request: RunRequest) -> bool:
        job = self._find_job(name)
        if job is None or self._state.pauses.is_paused(name) or not self._gate.is_open():
            return False
        if self._gate.needs_recall(name):
            request = _TICK._replace(recalls=True)
        with self._state.running.tick(name) as tick:
            if tick is None:
                return False
            self._webhooks.started(job)
            report = self._run(job, request, tick)
            present = self._find_job(name)
            if present is not None:
                self._state.metrics.take_report(report)
                if report.error is not None and report.error.reason == Reason.CRASHED:
                    self._state.metrics.take_crash(name)
                if report.outcome != "already-running":
                    self._state.board.take_report(report)
                self.read_health([present])
                self._take_known(present, report)
            if present is job:
                self._judge(job, report)
                self._webhooks.ended(job, report, self._state.board.of(name))
            if report.outcome in ("ok", "partial") and request.recalls:
                self._gate.recalled(name)
            if self._find_job(name) is None:
                self._state.forget(name)
                self._webhooks.forget(name)
                self.known.pop(name, None)
            return tick.is_replaced

    def _take_known(self, job: Job, report: TickReport) -> None:
        if job.name in self.known:
            self.known[job.name] += report.copied + report.already_there
            return
        with suppress(LedgerError), self.installation.ledger_file.open_readonly() as reader:
            self.known[job.name] = sum(reader.view(replica_of(job)).remembered_counts())

    def _run(self, job: Job, request: RunRequest, tick: RunningTick) -> TickReport:
        state = self._state
        progress = state.running.progress(tick, lambda recorder: state.metrics.take_progress(job.name, recorder))
        installation = self.installation
        report = run_job(job, request, installation, stop=tick.stop, on_progress=progress, show=tick.show)
        return verified(job, report, installation, stop=tick.stop)

    def _judge(self, job: Job, report: TickReport) -> None:
        error = report.error
        if report.outcome == "already-running":
            self._log(events.TICK_SKIPPED, job, detail=error.detail if error else "")
            return
        if error is not None and error.reason == Reason.LEDGER_UNWRITABLE:
            self._log(events.LEDGER_UNWRITABLE, job, detail=error.detail, remedy=error.remedy)
            self._on_unwritable()
        if error is not None and error.reason in REJECTED:
            self._on_rejected(job.name)
        if error is not None and is_role_refusal(error):
            self._pause(job, report)
        elif report.outcome != "interrupted":
            self._resume(job)
        if error is None and report.outcome != "interrupted":
            self._resolve(job)
        if report.copied_late:
            self._log(
                events.OBJECTS_COPIED_LATE,
                job,
                count=report.copied_late,
                worst_lag_seconds=int(report.worst_lag_seconds),
                objective_seconds=int(job.objective_effective.total_seconds()),
            )

    def _pause(self, job: Job, report: TickReport) -> None:
        error = report.error
        assert error is not None
        pause = self._state.pauses.pause(job.name, error, period=job.period.total_seconds())
        self._log(
            events.JOB_PAUSED,
            job,
            reason=error.reason,
            detail=error.detail,
            remedy=error.remedy,
            attempts=pause.attempts,
            again_at=utc(self.installation.now() + self._state.pauses.seconds_left(job.name)),
        )

    def _resume(self, job: Job) -> None:
        pause = self._state.pauses.end(job.name)
        over = self._state.problems.resolve(events.JOB_PAUSED, job.name)
        if pause is not None or over is not None:
            self._log(events.JOB_RESUMED, job, attempts=pause.attempts if pause else over.times if over else 0)

    def _resolve(self, job: Job) -> None:
        """Resolve the job's problems after a tick without an error."""
        problems = self._state.problems
        problems.resolve(events.TICK_STALLED, job.name)
        failed = [problems.resolve(event, job.name) for event in (events.TICK_FAILED, events.TICK_CRASHED)]
        over = [item for item in failed if item is not None]
        if over:
            self._log(
                events.TICK_RECOVERED,
                job,
                failures=sum(item.times for item in over),
                failing_seconds=int(max(item.seconds for item in over)),
            )
        health = self._state.board.of(job.name)
        if health is not None and not health.held:
            held = [problems.resolve(event, job.name) for event in (events.OBJECT_FAILED, events.OBJECT_CONFLICTED)]
            problems.resolve(events.HORIZON_HELD, job.name)
            if any(item is not None for item in held):
                self._log(events.OBJECTS_RECOVERED, job)

    def _log(self, event: str, job: Job, **facts: Any) -> None:
        self._state.problems.log(event, job=job.name, **facts)
