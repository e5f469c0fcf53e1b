"""When each job ticks: APScheduler, with every option spelled out, and a clock that may be set while it runs."""

import logging
import random
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from apscheduler.events import EVENT_JOB_MAX_INSTANCES
from apscheduler.executors.debug import DebugExecutor
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

from syncd.config.job import Job

TICKS_AT_A_TIME = 32
"""More than work at once: a tick that waits for a server that never answers holds a thread for a minute or two."""
SLOW_SECONDS = 20.0
"""A job whose last tick took longer ticks beside its like, on threads of their own: none of them delays the others."""
SLOW_TICKS_AT_A_TIME = 16
WIDEST_SPREAD_SECONDS = 300.0
"""Jobs begin within five minutes of the start however long their intervals are, or frequent restarts would starve some."""
PULSE_SECONDS = 5.0
# No job's name has parentheses, so this ID is nobody's.
_PULSE = "(pulse)"
_JOBS, _SLOW, _INLINE = "jobs", "slow", "inline"


class Every(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """Due each `period` after `start`, up to `jitter` later at random; the delays do not add up."""

    def __init__(self, period: timedelta, *, start: datetime, jitter: timedelta) -> None:
        self.period = period
        self.start = start
        self.jitter = jitter

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The first due time after the previous one, or the first of all; APScheduler asks for it by this name."""
        del now
        if previous_fire_time is None:
            return self.start
        number = (previous_fire_time - self.start) // self.period + 1
        return self.start + number * self.period + random.uniform(0, 1) * self.jitter  # noqa: S311

    def moved(self, span: timedelta) -> "Every":
        """The same, earlier or later by a span."""
        return Every(self.period, start=self.start + span, jitter=self.jitter)


class Schedule:
    """Calls `tick` with a job's name when the job is due, at most once at a time for each job."""

    def __init__(
        self,
        tick: Callable[[str], None],
        *,
        now: Callable[[], float],
        on_overrun: Callable[[str], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`on_overrun` is called instead of `tick` where the job's last tick has not ended yet; `clock` measures ticks."""
        _silence()
        self._tick = tick
        self._now = now
        self._clock = clock
        self._slow: set[str] = set()
        self._pulsed_at = monotonic()
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            jobstores={"default": MemoryJobStore()},
            executors={
                _JOBS: ThreadPoolExecutor(TICKS_AT_A_TIME),
                _SLOW: ThreadPoolExecutor(SLOW_TICKS_AT_A_TIME),
                _INLINE: DebugExecutor(),
            },
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            jobstore_retry_interval=1.0,
            daemon=True,
        )
        self._scheduler.add_listener(lambda event: on_overrun(event.job_id), EVENT_JOB_MAX_INSTANCES)

    def start(self) -> None:
        """Begin to call."""
        pulse = Every(timedelta(seconds=PULSE_SECONDS), start=self._instant(0), jitter=timedelta(0))
        self._add(_PULSE, self._pulse, (), pulse, _INLINE)
        self._scheduler.start(paused=False)

    def put(self, job: Job, *, seconds_from_now: float = 0.0) -> None:
        """Schedule a job, in the place of one of its name; where it has no cron line, its first tick is then."""
        self.remove(job.name)
        trigger = trigger_of(job, self._instant(seconds_from_now))
        self._add(job.name, self._timed, (job.name,), trigger, _JOBS)

    def remove(self, name: str) -> None:
        """Call it no more; a tick that is running goes on."""
        try:
            self._scheduler.remove_job(name)
        except JobLookupError:
            return
        self._slow.discard(name)

    def hasten(self, name: str) -> None:
        """Tick a job now rather than when it is due; its later ticks stay where they are."""
        try:
            self._scheduler.modify_job(name, next_run_time=self._instant(0))
        except JobLookupError:
            return

    def follow_clock(self, jump: float) -> None:
        """The clock was set by `jump` seconds: forward, what is overdue begins now; back, everything moves with it."""
        if jump > 0:
            self._scheduler.wakeup()
            return
        span = timedelta(seconds=jump)
        for scheduled in self._scheduler.get_jobs():
            if isinstance(scheduled.trigger, Every):
                trigger, due = scheduled.trigger.moved(span), scheduled.next_run_time + span
            else:
                trigger, due = scheduled.trigger, scheduled.trigger.get_next_fire_time(None, self._instant(0))
            self._scheduler.modify_job(scheduled.id, trigger=trigger, next_run_time=due)

    def next_runs(self) -> dict[str, datetime]:
        """When each job is due."""
        return {item.id: item.next_run_time for item in self._scheduler.get_jobs() if item.id != _PULSE}

    def slow(self) -> Collection[str]:
        """The jobs that tick on the threads for slow ones."""
        return frozenset(self._slow)

    def silent_seconds(self) -> float:
        """For how long the scheduler has shown no sign of life; it shows one every PULSE_SECONDS."""
        return monotonic() - self._pulsed_at

    def close(self) -> None:
        """Call nothing any more; what is running goes on."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def _add(
        self, name: str, call: Callable[..., None], args: tuple[Any, ...], trigger: BaseTrigger, executor: str
    ) -> None:
        # Every option is written down: APScheduler's own drop a tick that is more than a second late, and begin the
        # first one an interval from now.
        self._scheduler.add_job(
            call,
            trigger=trigger,
            args=args,
            kwargs={},
            id=name,
            name=name,
            misfire_grace_time=None,
            coalesce=True,
            max_instances=1,
            next_run_time=trigger.get_next_fire_time(None, self._instant(0)),
            jobstore="default",
            executor=executor,
            replace_existing=False,
        )

    def _timed(self, name: str) -> None:
        """Tick a job, and have it tick next where the time that it took puts it."""
        began = self._clock()
        try:
            self._tick(name)
        finally:
            is_slow = self._clock() - began > SLOW_SECONDS
            if is_slow != (name in self._slow):
                # It may have been removed meanwhile.
                with suppress(JobLookupError):
                    self._scheduler.modify_job(name, executor=_SLOW if is_slow else _JOBS)
                    (self._slow.add if is_slow else self._slow.discard)(name)

    def _instant(self, seconds_from_now: float) -> datetime:
        return datetime.fromtimestamp(self._now() + seconds_from_now, UTC)

    def _pulse(self) -> None:
        self._pulsed_at = monotonic()


class ClockWatch:
    """Notices that the clock was set, or that the machine slept: time of day and monotonic clock went apart."""

    LEAST_SECONDS = 5.0

    def __init__(self, *, now: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._now = now
        self._monotonic = monotonic
        self._apart = now() - monotonic()

    def jump(self) -> float:
        """By how many seconds the clock was set since the last call; 0.0 for what is only a correction of its rate."""
        apart = self._now() - self._monotonic()
        jump, self._apart = apart - self._apart, apart
        return jump if abs(jump) >= self.LEAST_SECONDS else 0.0


def spread_seconds(job: Job, index: int, count: int) -> float:
    """When the job, number `index` of `count` that begin together, ticks first: they spread over their intervals."""
    return min(job.period.total_seconds(), WIDEST_SPREAD_SECONDS) * index / max(count, 1)


def trigger_of(job: Job, first: datetime) -> BaseTrigger:
    """The schedule of a job, in UTC; `first` is when a job without a cron line begins."""
    if job.cron is None:
        return Every(job.period, start=first, jitter=job.jitter)
    trigger = CronTrigger.from_crontab(job.cron, timezone=UTC)
    trigger.jitter = int(job.jitter.total_seconds()) or None
    return trigger


def _silence() -> None:
    """What APScheduler logs we say ourselves, where it matters, in our own words."""
    logger = logging.getLogger("apscheduler")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
