"""The schedule of the ticks: APScheduler, and a clock that may be stepped."""

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

from syncd.config import cron
from syncd.config.job import Job

TICKS_AT_A_TIME = 32
"""More than work at once, since a tick that waits for a silent server occupies a thread for a minute or two."""
SLOW_SECONDS = 20.0
"""A job whose last tick took longer moves to threads for slow jobs, so that it delays no other."""
SLOW_TICKS_AT_A_TIME = 16
WIDEST_SPREAD_SECONDS = 300.0
"""Jobs begin within five minutes of the start whatever their intervals, or frequent restarts would starve some."""
PULSE_SECONDS = 5.0
# Job names cannot contain parentheses, so this ID cannot clash.
_PULSE = "(pulse)"
_JOBS, _SLOW, _INLINE = "jobs", "slow", "inline"


class PeriodicTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """A trigger due each `period` after `start`, plus a random delay up to `jitter`. The delays do not add up."""

    def __init__(self, period: timedelta, *, start: datetime, jitter: timedelta) -> None:
        self.period = period
        self.start = start
        self.jitter = jitter

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return the first due time after the previous one that is not past. APScheduler calls it by this name.

        APScheduler collects every due time up to now. After a step of the clock by years those are too many to remember.
        """
        if previous_fire_time is None:
            return self.start
        number = (max(previous_fire_time, now) - self.start) // self.period + 1
        return self.start + number * self.period + random.uniform(0, 1) * self.jitter  # noqa: S311

    def moved(self, span: timedelta) -> "PeriodicTrigger":
        """Return the same trigger, moved by a span."""
        return PeriodicTrigger(self.period, start=self.start + span, jitter=self.jitter)


class Cron(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """Due when a cron line says, up to `jitter` later at random."""

    def __init__(self, line: str, *, jitter: timedelta) -> None:
        self.line = line
        self.jitter = jitter

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """Return the first due time after the previous one that is not past."""
        after = now - timedelta(microseconds=1) if previous_fire_time is None else max(previous_fire_time, now)
        due = cron.next_due(self.line, after=after)
        return None if due is None else due + random.uniform(0, 1) * self.jitter  # noqa: S311


class Schedule:
    """The scheduler, which calls `tick` with the name of a job that is due.

    A job has at most one tick at a time.

    Shared: APScheduler guards its jobs with a lock of its own. The scheduler's thread writes `_pulsed_at`, and the thread
    of a tick adds or discards its job in `_slow`. Any thread reads both. Writing an attribute, changing a set and copying
    it are single operations under the GIL.
    """

    def __init__(
        self,
        tick: Callable[[str], None],
        *,
        now: Callable[[], float],
        on_overrun: Callable[[str], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Call `on_overrun` in place of `tick` if the job's last tick has not ended yet. `clock` measures ticks."""
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
        """Begin to schedule."""
        pulse = PeriodicTrigger(timedelta(seconds=PULSE_SECONDS), start=self._instant(0), jitter=timedelta(0))
        self._add(_PULSE, self._pulse, (), pulse, _INLINE)
        self._scheduler.start(paused=False)

    def put(self, job: Job, *, seconds_from_now: float = 0.0) -> None:
        """Schedule a job, replacing one of its name. Without a cron line its first tick is `seconds_from_now`."""
        self.remove(job.name)
        trigger = trigger_of(job, self._instant(seconds_from_now))
        self._add(job.name, self._timed, (job.name,), trigger, _JOBS)

    def remove(self, name: str) -> None:
        """Remove a job from the schedule. A tick that is running goes on."""
        try:
            self._scheduler.remove_job(name)
        except JobLookupError:
            return
        self._slow.discard(name)

    def hasten(self, name: str, *, seconds_from_now: float = 0.0) -> None:
        """Tick a job then, if it is not due before. Its later ticks keep their times."""
        scheduled, instant = self._scheduler.get_job(name), self._instant(seconds_from_now)
        if scheduled is not None and scheduled.next_run_time > instant:
            with suppress(JobLookupError):
                self._scheduler.modify_job(name, next_run_time=instant)

    def follow_clock(self, jump: float) -> None:
        """Adjust to a clock that was stepped by `jump` seconds.

        After a step forward, overdue ticks begin now. After a step back, all due times move back too.
        """
        if jump > 0:
            self._scheduler.wakeup()
            return
        span = timedelta(seconds=jump)
        for scheduled in self._scheduler.get_jobs():
            if isinstance(scheduled.trigger, PeriodicTrigger):
                trigger, due = scheduled.trigger.moved(span), scheduled.next_run_time + span
            else:
                trigger, due = scheduled.trigger, scheduled.trigger.get_next_fire_time(None, self._instant(0))
            self._scheduler.modify_job(scheduled.id, trigger=trigger, next_run_time=due)

    def next_runs(self) -> dict[str, datetime]:
        """Return the time at which each job is due."""
        return {item.id: item.next_run_time for item in self._scheduler.get_jobs() if item.id != _PULSE}

    def slow(self) -> Collection[str]:
        """Return the jobs that tick on the threads for slow jobs."""
        return frozenset(self._slow)

    def silent_seconds(self) -> float:
        """Return the time since the scheduler's last pulse. It pulses every PULSE_SECONDS."""
        return monotonic() - self._pulsed_at

    def close(self) -> None:
        """Schedule nothing more. Ticks that are running go on."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def _add(
        self, name: str, call: Callable[..., None], args: tuple[Any, ...], trigger: BaseTrigger, executor: str
    ) -> None:
        # Every option is set: the defaults of APScheduler drop a tick that is more than a second late, and begin the
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
        """Tick a job, and choose the next tick's threads by the time this one took."""
        began = self._clock()
        try:
            self._tick(name)
        finally:
            is_slow = self._clock() - began > SLOW_SECONDS
            if is_slow != (name in self._slow):
                # The job may have been removed in the meantime.
                with suppress(JobLookupError):
                    self._scheduler.modify_job(name, executor=_SLOW if is_slow else _JOBS)
                    (self._slow.add if is_slow else self._slow.discard)(name)

    def _instant(self, seconds_from_now: float) -> datetime:
        return datetime.fromtimestamp(self._now() + seconds_from_now, UTC)

    def _pulse(self) -> None:
        self._pulsed_at = monotonic()


class ClockWatch:
    """A comparison of clocks, which shows that time was stepped or the machine slept.

    Used by the main thread alone.
    """

    LEAST_SECONDS = 5.0

    def __init__(self, *, now: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._now = now
        self._monotonic = monotonic
        self._apart = now() - monotonic()

    def jump(self) -> float:
        """Return the seconds the clock was stepped since the last call. Mere drift is 0.0."""
        apart = self._now() - self._monotonic()
        jump, self._apart = apart - self._apart, apart
        return jump if abs(jump) >= self.LEAST_SECONDS else 0.0


def spread_seconds(job: Job, index: int, count: int) -> float:
    """Return the first tick's delay for job `index` of `count` that begin together."""
    return min(job.period.total_seconds(), WIDEST_SPREAD_SECONDS) * index / max(count, 1)


def trigger_of(job: Job, first: datetime) -> BaseTrigger:
    """Return the trigger of a job, in UTC. A job without a cron line begins at `first`."""
    if job.cron is None:
        return PeriodicTrigger(job.period, start=first, jitter=job.jitter)
    return Cron(job.cron, jitter=job.jitter)


def _silence() -> None:
    """Turn off APScheduler's own log. syncd logs the events that matter itself."""
    logger = logging.getLogger("apscheduler")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
