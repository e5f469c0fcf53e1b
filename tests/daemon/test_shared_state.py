"""State that several threads share is whole to a reader, whoever writes it meanwhile."""

import sys
import threading
from collections.abc import Callable, Iterator
from time import monotonic

import pytest
from job_health import NOW, REFUSED, board, health, report
from jobs import job

from syncd.daemon.log.repeats import RepeatedProblems
from syncd.daemon.reload import CurrentJobs, JobChanges
from syncd.daemon.ticker import DaemonState
from syncd.daemon.ticks.pauses import Pauses
from syncd.daemon.ticks.schedule import Schedule
from syncd.daemon.web.gauges import Gauges
from syncd.model import events

NAMES = [f"job-{number}" for number in range(20)]


@pytest.fixture(autouse=True)
def frequent_switches() -> Iterator[None]:
    """Lets another thread have its turn after nearly every step."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def state() -> DaemonState:
    gauges = Gauges(now=NOW, healths=())
    return DaemonState.of(now=lambda: NOW, monotonic=monotonic, tell=lambda *_, **__: None, gauges=lambda: gauges)


def read_while(read: Callable[[], object], *writes: Callable[[int], object], times: int = 5_000) -> None:
    """Reads again and again while each of the others writes on a thread of its own; whatever one raises is raised."""
    raised: list[BaseException] = []
    is_over = threading.Event()

    def run(write: Callable[[int], object]) -> None:
        number = 0
        try:
            while not is_over.is_set():
                write(number)
                number += 1
        except BaseException as error:  # noqa: BLE001
            raised.append(error)

    threads = [threading.Thread(target=run, args=(write,)) for write in writes]
    for thread in threads:
        thread.start()
    try:
        for _ in range(times):
            read()
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert raised == []


def name_of(number: int) -> str:
    return NAMES[number % len(NAMES)]


def test_standings_are_read_while_jobs_come_and_go() -> None:
    jobs = board()

    read_while(
        jobs.late,
        lambda number: jobs.put(health(name_of(number))),
        lambda number: jobs.drop(name_of(number + 7)),
        lambda number: jobs.take_report(report(name_of(number), started_at=NOW - number)),
    )


def test_all_pauses_end_while_roles_are_refused_and_assumed() -> None:
    pauses = Pauses(monotonic=monotonic)

    read_while(
        pauses.end_all,
        lambda number: pauses.pause(name_of(number), REFUSED, period=300.0),
        lambda number: pauses.end(name_of(number)),
    )


def test_problems_are_counted_while_they_are_resolved_and_forgotten() -> None:
    problems = RepeatedProblems(lambda *_, **__: None, now=lambda: NOW, monotonic=monotonic, most=10)

    read_while(
        lambda: problems.log_again(NAMES[0]),
        lambda number: problems.log(events.TICK_FAILED, job=name_of(number), reason="timeout"),
        lambda number: problems.log(events.OBJECT_FAILED, job=name_of(number), key=str(number)),
        lambda number: problems.resolve(events.TICK_FAILED, name_of(number)),
        lambda number: problems.forget(name_of(number)),
    )
    for name in NAMES:
        problems.forget(name)

    assert problems._remembered == 0


def test_metrics_are_read_while_ticks_report_and_jobs_are_removed(state: DaemonState) -> None:
    read_while(
        lambda: list(state.metrics.collect()),
        lambda number: state.metrics.take_report(report(name_of(number), copied=1)),
        lambda number: state.metrics.forget(name_of(number)),
        times=500,
    )


def test_a_reload_shows_a_reader_the_jobs_of_before_or_after(state: DaemonState) -> None:
    jobs, schedule = CurrentJobs(state), Schedule(lambda _: None, now=lambda: NOW, on_overrun=lambda _: None)
    pair, more = [job("b"), job("c")], [job("d"), job("e")]
    jobs.begin(pair, schedule)
    found: set[tuple[str, ...]] = set()

    def reload(number: int) -> None:
        if number % 2:
            jobs.apply(JobChanges(added=[], changed=[], removed=["d", "e"]), schedule)
        else:
            jobs.apply(JobChanges(added=more, changed=pair, removed=[]), schedule)

    read_while(lambda: found.add(tuple(sorted(jobs.names()))), reload)

    assert found <= {("b", "c"), ("b", "c", "d", "e"), ("b", "c", "e")}
