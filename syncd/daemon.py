"""The daemon: each job on its own schedule, one tick of a job at a time, until a signal says otherwise."""

import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from syncd import events, failures
from syncd.config import Configuration, Job
from syncd.model import TickReport
from syncd.report import DONE, STATE_UNWRITABLE
from syncd.wiring import TICK, Installation, Request, run_job

TICKS_AT_A_TIME = 8
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run(configuration: Configuration, *, now: Callable[[], float], tell: Callable[..., None]) -> int:
    """Tick every job on its schedule until SIGTERM or SIGINT; the exit code."""
    return Daemon(configuration, now=now, tell=tell).run()


class Daemon:
    """The scheduler and what it runs. The main thread only waits; a signal handler only sets an event."""

    def __init__(self, configuration: Configuration, *, now: Callable[[], float], tell: Callable[..., None]) -> None:
        self._configuration = configuration
        self._installation = Installation.of(configuration, now=now, tell=tell)
        self._tell = tell
        self._stop = Event()
        self._exit_code = DONE

    def run(self) -> int:
        """Until a signal; 5 where the state cannot be written."""
        before = {number: signal.signal(number, self._interrupt) for number in _SIGNALS}
        scheduler = self._scheduler()
        try:
            self._tell(events.DAEMON_STARTED, jobs=len(self._configuration.jobs))
            scheduler.start()
            self._stop.wait()
            self._tell(events.DAEMON_STOPPING)
            scheduler.shutdown(wait=True)
            self._tell(events.DAEMON_STOPPED, exit_code=self._exit_code)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return self._exit_code

    def _scheduler(self) -> BackgroundScheduler:
        # Every option is written down: the defaults drop a tick that is due more than a second ago.
        scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(TICKS_AT_A_TIME)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        jobs = self._configuration.jobs
        for index, job in enumerate(jobs):
            scheduler.add_job(
                self._tick,
                trigger=trigger_of(job),
                args=(job,),
                id=job.name,
                name=job.name,
                next_run_time=_first_run(job, index, len(jobs)),
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,
                replace_existing=False,
            )
        return scheduler

    def _interrupt(self, _number: int, _frame: Any) -> None:
        if self._stop.is_set():
            self._installation.transport.abandon()
        self._stop.set()

    def _tick(self, job: Job) -> None:
        if self._stop.is_set():
            return
        try:
            report = run_job(job, Request(kind=TICK, is_patient=True), self._installation, stop=self._stop)
        except Exception as error:  # noqa: BLE001
            # APScheduler swallows what leaves a job: this is the one place where everything is caught, and told.
            self._tell(events.TICK_CRASHED, job=job.name, detail=repr(error), exc_info=error)
            return
        self._judge(report)

    def _judge(self, report: TickReport) -> None:
        if report.outcome == "already-running":
            self._tell(events.TICK_SKIPPED, job=report.job, detail=report.error.detail if report.error else "")
        if report.error is not None and report.error.reason == failures.LEDGER_UNWRITABLE:
            self._exit_code = STATE_UNWRITABLE
            self._stop.set()


def trigger_of(job: Job) -> BaseTrigger:
    """The schedule of a job, in UTC."""
    jitter = int(job.jitter.total_seconds()) or None
    if job.cron is not None:
        trigger = CronTrigger.from_crontab(job.cron, timezone=UTC)
        trigger.jitter = jitter
        return trigger
    return IntervalTrigger(seconds=int(job.period.total_seconds()), timezone=UTC, jitter=jitter)


def _first_run(job: Job, index: int, jobs: int) -> datetime:
    """Jobs by interval begin spread over it, the first at once; jobs by cron begin when their line says."""
    now = datetime.now(UTC)
    if job.cron is not None:
        first: datetime | None = trigger_of(job).get_next_fire_time(None, now)
        return first or now
    return now + timedelta(seconds=min(job.period.total_seconds(), 60.0) * index / max(jobs, 1))
