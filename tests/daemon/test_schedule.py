"""When jobs tick: spread, never twice at once, without drift, and whatever the clock does."""

import queue
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import apscheduler.schedulers.base
import pytest
from apscheduler.events import EVENT_JOB_EXECUTED
from jobs import job
from waiting import wait_until

from syncd.daemon.ticks.schedule import (
    SLOW_SECONDS,
    SLOW_TICKS_AT_A_TIME,
    TICKS_AT_A_TIME,
    ClockWatch,
    PeriodicTrigger,
    Schedule,
    spread_seconds,
)

START = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
HOUR = 3600.0


class Clock:
    """A time of day that is set by hand, for us and for APScheduler."""

    def __init__(self) -> None:
        self.instant = START

    def now(self) -> float:
        return self.instant.timestamp()

    def add(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()

    class Datetime(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return clock.instant.astimezone(tz)

    monkeypatch.setattr(apscheduler.schedulers.base, "datetime", Datetime)
    return clock


class Ticks:
    """What the schedule calls."""

    def __init__(self) -> None:
        self.names: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.overruns: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.free = threading.Event()
        self.free.set()

    def tick(self, name: str) -> None:
        self.names.put(name)
        self.free.wait(30)

    def next(self) -> str:
        return self.names.get(timeout=30)

    def wait_for_end(self, name: str) -> None:
        """Waits until APScheduler knows that the tick has ended, which is later than the tick itself does."""
        while self.ended.get(timeout=30) != name:
            pass


@pytest.fixture
def ticks() -> Iterator[Ticks]:
    ticks = Ticks()
    yield ticks
    ticks.free.set()


@pytest.fixture
def schedule(clock: Clock, ticks: Ticks) -> Iterator[Schedule]:
    schedule = Schedule(ticks.tick, now=clock.now, on_overrun=ticks.overruns.put)
    schedule._scheduler.add_listener(lambda event: ticks.ended.put(event.job_id), EVENT_JOB_EXECUTED)
    yield schedule
    schedule.close()


def due(schedule: Schedule, name: str) -> timedelta:
    return schedule.next_runs()[name] - START


def test_jobs_whose_ticks_were_slow_leave_the_threads_to_the_others(clock: Clock, ticks: Ticks) -> None:
    """More of them than there are threads, each of which holds its thread from its second tick on."""
    slow = {f"slow-{number}" for number in range(TICKS_AT_A_TIME + SLOW_TICKS_AT_A_TIME)}
    local = threading.local()
    held = threading.Event()

    def tick(name: str) -> None:
        if name in slow:
            local.seconds = getattr(local, "seconds", 0.0) + SLOW_SECONDS + 1
            if held.is_set():
                ticks.free.wait(30)
        ticks.names.put(name)

    schedule = Schedule(
        tick, now=clock.now, on_overrun=ticks.overruns.put, clock=lambda: getattr(local, "seconds", 0.0)
    )
    for name in sorted(slow):
        schedule.put(job(name, every="5m"))
    schedule.start()
    assert {ticks.next() for _ in slow} == slow
    wait_until(lambda: set(schedule.slow()) == slow, what="all slow jobs on their own threads")

    ticks.free.clear()
    held.set()
    for name in slow:
        schedule.hasten(name)
    schedule.put(job("quick", every="5m"))
    first = ticks.next()
    ticks.free.set()
    others = {ticks.next() for _ in slow}
    schedule.close()

    assert (first, others) == ("quick", slow)


def test_a_job_that_is_quick_again_ticks_among_the_others(clock: Clock, ticks: Ticks) -> None:
    seconds = [SLOW_SECONDS + 1, 0.0]
    readings = iter([0.0, seconds[0], 0.0, seconds[1]])
    schedule = Schedule(ticks.tick, now=clock.now, on_overrun=ticks.overruns.put, clock=lambda: next(readings))
    schedule.put(job("a", every="5m"))
    schedule.start()
    ticks.next()
    wait_until(lambda: set(schedule.slow()) == {"a"}, what="a slow job")

    schedule.hasten("a")
    ticks.next()

    wait_until(lambda: not schedule.slow(), what="a quick job")
    schedule.close()


def test_jobs_that_begin_together_are_spread_over_their_interval() -> None:
    seconds = [spread_seconds(job(every="10s"), index, 5) for index in range(5)]

    assert seconds == [0, 2, 4, 6, 8]


def test_a_job_of_a_long_interval_begins_within_minutes_of_every_start() -> None:
    assert spread_seconds(job(every="24h"), 9, 10) == 270


def test_a_job_is_due_at_once_and_then_every_interval(schedule: Schedule, clock: Clock, ticks: Ticks) -> None:
    schedule.put(job("a", every="5m"))
    schedule.start()
    first = ticks.next()
    ticks.wait_for_end("a")
    wait_until(lambda: due(schedule, "a") == timedelta(minutes=5), what="the second due time")

    clock.add(301)
    schedule.follow_clock(301)

    assert [first, ticks.next()] == ["a", "a"]
    wait_until(lambda: due(schedule, "a") == timedelta(minutes=10), what="the third due time")


def test_jitter_delays_a_tick_and_does_not_add_up() -> None:
    trigger = PeriodicTrigger(timedelta(minutes=5), start=START, jitter=timedelta(minutes=1))
    instants = [START]

    for _ in range(200):
        instants.append(trigger.get_next_fire_time(instants[-1], START))

    delays = [instant - START - number * timedelta(minutes=5) for number, instant in enumerate(instants)]
    assert all(timedelta(0) <= delay <= timedelta(minutes=1) for delay in delays)
    assert len(set(delays)) > 100


def test_a_cron_line_is_due_when_it_says_in_utc(schedule: Schedule) -> None:
    schedule.put(job("a", cron="30 9 * * *"))
    schedule.start()

    assert due(schedule, "a") == timedelta(hours=1, minutes=30)


def test_a_tick_that_takes_longer_than_its_interval_is_seen_and_not_doubled(
    schedule: Schedule, clock: Clock, ticks: Ticks
) -> None:
    ticks.free.clear()
    schedule.put(job("a", every="5m"))
    schedule.start()
    ticks.next()

    clock.add(301)
    schedule.follow_clock(301)

    assert ticks.overruns.get(timeout=30) == "a"
    assert ticks.names.empty()


def test_ticks_missed_while_the_machine_slept_are_made_up_for_by_one(
    schedule: Schedule, clock: Clock, ticks: Ticks
) -> None:
    schedule.put(job("a", every="5m"))
    schedule.start()
    ticks.next()
    ticks.wait_for_end("a")

    clock.add(HOUR)
    schedule.follow_clock(HOUR)
    ticks.next()
    wait_until(lambda: due(schedule, "a") == timedelta(minutes=65), what="the next due time")

    assert ticks.names.empty()


def test_a_clock_set_back_an_hour_stops_no_job_for_an_hour(schedule: Schedule, clock: Clock, ticks: Ticks) -> None:
    schedule.put(job("a", every="5m"))
    schedule.put(job("b", cron="30 * * * *"))
    schedule.start()
    ticks.next()
    wait_until(lambda: due(schedule, "a") == timedelta(minutes=5), what="the second due time")

    clock.add(-HOUR)
    schedule.follow_clock(-HOUR)

    assert due(schedule, "a") == timedelta(minutes=5, hours=-1)
    assert due(schedule, "b") == timedelta(minutes=30, hours=-1)


def test_the_scheduler_shows_signs_of_life_after_the_clock_was_set_back(
    schedule: Schedule, clock: Clock, ticks: Ticks
) -> None:
    schedule.start()
    schedule.put(job("a", every="5m"))
    ticks.next()

    clock.add(-HOUR)
    schedule.follow_clock(-HOUR)
    clock.add(6)
    before = schedule._pulsed_at
    schedule.follow_clock(6)

    wait_until(lambda: schedule._pulsed_at > before, what="a pulse")


def test_a_job_that_is_put_again_takes_the_place_of_the_old_one(schedule: Schedule) -> None:
    schedule.put(job("a", every="5m"), seconds_from_now=60)
    schedule.put(job("a", every="7m"), seconds_from_now=120)
    schedule.start()

    assert due(schedule, "a") == timedelta(minutes=2)


def test_a_removed_job_ticks_no_more(schedule: Schedule) -> None:
    schedule.put(job("a", every="5m"), seconds_from_now=60)
    schedule.start()

    schedule.remove("a")
    schedule.remove("never there")

    assert schedule.next_runs() == {}


def test_a_hastened_job_ticks_now_and_keeps_its_later_times(schedule: Schedule, ticks: Ticks) -> None:
    schedule.put(job("a", every="5m"), seconds_from_now=240)
    schedule.start()

    schedule.hasten("a")
    schedule.hasten("never there")

    assert ticks.next() == "a"
    wait_until(lambda: due(schedule, "a") == timedelta(minutes=4), what="the time it was due at")


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        pytest.param(lambda wall, mono: (wall + 1, mono + 1), 0.0, id="time goes on"),
        pytest.param(lambda wall, mono: (wall + 1.4, mono + 1), 0.0, id="a correction of its rate"),
        pytest.param(lambda wall, mono: (wall + HOUR, mono), HOUR, id="set forward, or asleep"),
        pytest.param(lambda wall, mono: (wall - HOUR, mono), -HOUR, id="set back"),
    ],
)
def test_a_clock_that_was_set_is_told_from_one_that_goes_on(
    moved: Callable[[float, float], tuple[float, float]], expected: float
) -> None:
    times = [(1000.0, 10.0)]
    watch = ClockWatch(now=lambda: times[-1][0], monotonic=lambda: times[-1][1])

    times.append(moved(*times[-1]))

    assert watch.jump() == pytest.approx(expected)
    assert watch.jump() == 0
