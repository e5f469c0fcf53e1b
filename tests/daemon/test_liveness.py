"""When the daemon is alive, and what it says of itself; and when a job misses its objective."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Any

import pytest
from clocks import HandClock
from job_health import NOW, REFUSED, board, health, late, report
from jobs import configuration, job
from waiting import wait_until

from syncd.daemon.board import sentence, stuck_reason
from syncd.daemon.ticker import DaemonState, Ticker
from syncd.daemon.ticks.running import STALLED_SECONDS, RunningTick, RunningTicks
from syncd.daemon.ticks.schedule import TICKS_AT_A_TIME
from syncd.daemon.watch import Objectives
from syncd.daemon.web.gauges import Gauges
from syncd.job.installation import Installation
from syncd.model import events

GAUGES = Gauges(now=NOW, healths=())


@pytest.fixture
def running(clock: HandClock) -> RunningTicks:
    return RunningTicks(monotonic=clock.now)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def fly(running: RunningTicks, stack: ExitStack, count: int) -> list[RunningTick]:
    found = [stack.enter_context(running.tick(f"job-{number}")) for number in range(count)]
    return [tick for tick in found if tick is not None]


def test_a_daemon_whose_scheduler_pulses_is_alive(running: RunningTicks) -> None:
    assert stuck_reason(running, silent_seconds=3.0) is None


def test_a_silent_scheduler_is_not_alive(running: RunningTicks) -> None:
    assert stuck_reason(running, silent_seconds=90.0) == "the scheduler has shown no sign of life for 90 s"


def test_one_tick_that_hangs_for_ever_is_that_jobs_matter(
    running: RunningTicks, stack: ExitStack, clock: HandClock
) -> None:
    fly(running, stack, TICKS_AT_A_TIME - 1)

    clock.at += 10 * STALLED_SECONDS

    assert stuck_reason(running, silent_seconds=0.0) is None
    assert len(running.stalled()) == TICKS_AT_A_TIME - 1


def test_when_every_thread_hangs_the_daemon_is_not_alive(
    running: RunningTicks, stack: ExitStack, clock: HandClock
) -> None:
    fly(running, stack, TICKS_AT_A_TIME)

    clock.at += STALLED_SECONDS + 1

    assert stuck_reason(running, silent_seconds=0.0) is not None


def test_a_long_tick_that_makes_progress_does_not_hang(
    running: RunningTicks, stack: ExitStack, clock: HandClock
) -> None:
    counted: list[Any] = []
    (tick,) = fly(running, stack, 1)
    on_progress = running.progress(tick, counted.append)

    for _ in range(10):
        clock.at += STALLED_SECONDS / 2
        on_progress("recorder")  # type: ignore[arg-type]

    assert running.stalled() == []
    assert len(counted) == 10


def test_progress_is_counted_once_a_second_at_most(running: RunningTicks, stack: ExitStack, clock: HandClock) -> None:
    counted: list[Any] = []
    (tick,) = fly(running, stack, 1)
    on_progress = running.progress(tick, counted.append)

    for _ in range(1000):
        clock.at += 0.01
        on_progress("recorder")  # type: ignore[arg-type]

    assert 9 <= len(counted) <= 11


def test_after_the_end_was_announced_no_tick_begins_and_those_that_run_are_asked_to_end(
    running: RunningTicks, stack: ExitStack
) -> None:
    (tick,) = fly(running, stack, 1)

    running.close()

    assert tick.stop.is_set()
    with running.tick("late") as refused:
        assert refused is None
    assert not running.wait(0)


def test_the_end_of_the_last_tick_ends_the_waiting(running: RunningTicks) -> None:
    began, over = Event(), Event()

    def fly_once() -> None:
        with running.tick("a"):
            began.set()
            over.wait(30)

    thread = Thread(target=fly_once)
    thread.start()
    began.wait(30)
    jobs = running.jobs()
    over.set()

    assert running.wait(30)
    assert jobs == ["a"]
    thread.join()


@pytest.mark.parametrize(
    ("healths", "running", "expected"),
    [
        ([], 0, "There are no jobs"),
        ([health()], 0, "The job is healthy"),
        ([health("a"), health("b")], 1, "All 2 jobs are healthy; a tick is running"),
        ([health("a"), late("b")], 3, "1 of 2 jobs needs attention: 1 late (b); 3 ticks are running"),
        ([late(name) for name in "abcd"], 0, "4 of 4 jobs need attention: 4 late (a, b, c and others)"),
    ],
)
def test_how_things_are_is_a_sentence(healths: list[Any], running: int, expected: str) -> None:
    assert sentence(board(*healths), running=running, now=NOW) == expected


def test_a_missed_objective_and_the_late_success_are_told_once_each() -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    at = [NOW]
    jobs = board(health(), now=lambda: at[0])
    objectives = Objectives(jobs, lambda event, **facts: told.append((event, facts)), now=lambda: at[0])

    objectives.look()
    at[0] = NOW + 2000
    objectives.look()
    objectives.look()
    jobs.put(health(last=None))
    at[0] = NOW + 2600
    jobs.put(health())
    at[0] = NOW
    objectives.look()
    objectives.look()

    assert [(event, facts["job"]) for event, facts in told] == [
        (events.OBJECTIVE_MISSED, "account-b"),
        (events.OBJECTIVE_REGAINED, "account-b"),
    ]
    assert "its objective is 15m beyond 30m" in " ".join(told[0][1]["why"])


def test_a_missed_objective_has_the_failure_that_could_not_be_recorded() -> None:
    told: list[dict[str, Any]] = []
    jobs = board(late())
    jobs.take_report(report(outcome="failed", started_at=NOW - 10, error=REFUSED))

    Objectives(jobs, lambda _, **facts: told.append(facts), now=lambda: NOW).look()

    assert told[0]["why"][-1] == f"what to do: {REFUSED.remedy}"


def test_a_job_whose_state_cannot_be_read_from_the_start_is_not_well(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite3").write_bytes(b"no database" * 1000)
    given, told = configuration(tmp_path, job()), []
    state = DaemonState.of(
        now=lambda: NOW, monotonic=monotonic, tell=lambda event, **_: told.append(event), gauges=lambda: GAUGES
    )
    installation = Installation.of(given, now=lambda: NOW, tell=lambda *_, **__: None)
    ticker = Ticker(
        installation, state, find_job=lambda _: None, on_unwritable=lambda: None, on_rejected=lambda _: None
    )

    ticker.read_health(given.jobs)
    installation.close()

    assert told == [events.LEDGER_UNREADABLE]
    assert [item.job for item in state.board.late()] == ["account-b"]


def test_a_job_that_is_new_has_its_objective_s_time_for_its_first_listing() -> None:
    told: list[str] = []
    at = [NOW]
    jobs = board(health(last=None, complete_until=0.0), now=lambda: at[0])
    objectives = Objectives(jobs, lambda event, **_: told.append(event), now=lambda: at[0])

    objectives.look()
    early = list(told)
    at[0] = NOW + 901
    objectives.look()

    assert (early, told) == ([], [events.OBJECTIVE_MISSED])


def test_a_stalled_tick_waits_for_nobody_to_be_told_apart(
    running: RunningTicks, stack: ExitStack, clock: HandClock
) -> None:
    slow, _ = fly(running, stack, 2)
    clock.at += STALLED_SECONDS + 1
    running.progress(slow, lambda _: None)("recorder")  # type: ignore[arg-type]

    assert [tick.job for tick in running.stalled()] == ["job-1"]
    wait_until(lambda: running.of("job-0") is slow, what="the tick")
