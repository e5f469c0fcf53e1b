"""A run that is killed costs time, never an object, and nothing is written twice."""

import random
import signal
import threading
from datetime import datetime

import pytest
from builders import ACCOUNTS, REGIONS, Trail, days_before
from faulty import Stall, on
from stage import Stage
from waiting import wait_until

OBJECTS = 4 * 2 * 5 * 20
IN_FLIGHT_AND_UNRECORDED = 256


def begun(stage: Stage, now: datetime) -> tuple[str, ...]:
    """800 objects at the source; the catch-up that copies them."""
    days = days_before(now, 5)
    stage.deliver(Trail().span(ACCOUNTS[:4], REGIONS[:2], days, logs=20))
    stage.job()
    return ("catch-up", "--json", "--from", f"{days[0]}")


def kill_at(stage: Stage, command: tuple[str, ...], request: int) -> int:
    """Kills the command with SIGKILL at its request of this number, and waits until the server has dealt with it."""
    stage.server.forget_requests()
    dead = threading.Event()
    # However late the signal comes, nothing is answered after that request.
    beyond = stage.server.faults.add(lambda _: len(stage.server.requests) >= request, Stall(dead))
    with stage.start(*command) as process:
        wait_until(lambda: beyond.hits or not process.is_alive, what="the moment to kill")
        process.signal(signal.SIGKILL)
        code = process.ended().code
    dead.set()
    wait_until(lambda: stage.is_deserted, what="the end of what was in flight")
    stage.server.faults.remove(beyond)
    return code


@pytest.mark.parametrize("seed", range(2))
def test_after_any_kills_the_same_command_completes_the_replica_and_overwrites_nothing(
    stage: Stage, now: datetime, seed: int
) -> None:
    command = begun(stage, now)
    moments = random.Random(seed)
    first, others = moments.randint(10, 600), [moments.randint(1, 300) for _ in range(3)]

    codes = [kill_at(stage, command, request) for request in (first, *others)]
    there = len(stage.replica())
    last = stage.syncd(*command)

    assert codes == [-signal.SIGKILL] * 4
    assert 0 < there < OBJECTS
    assert last.code == 0
    assert last.job["copied"] <= OBJECTS - there
    assert stage.replica() == stage.source()
    assert set(stage.watched().writes.values()) == {1}
    assert stage.watched().destroyed == []
    assert stage.state_is_sound()


def test_what_was_copied_and_not_recorded_is_bounded_and_found_again(stage: Stage, now: datetime) -> None:
    command = begun(stage, now)

    kill_at(stage, command, 1000)
    last = stage.syncd(*command)

    written_again = last.job["requests"]["PutObject"] - last.job["copied"]
    assert last.code == 0
    assert written_again <= IN_FLIGHT_AND_UNRECORDED
    assert last.job["already_there"] >= written_again
    assert stage.replica() == stage.source()
    assert set(stage.watched().writes.values()) == {1}


def test_a_tick_after_a_killed_catch_up_and_its_end_finds_nothing_to_do(stage: Stage, now: datetime) -> None:
    command = begun(stage, now)

    kill_at(stage, command, 900)
    stage.syncd(*command)
    stage.server.forget_requests()
    ticked = stage.syncd("tick", "--json")

    assert (ticked.code, ticked.job["copied"], ticked.job["already_there"]) == (0, 0, 0)
    assert stage.requests("GetObject", "PutObject") == 0


def test_a_killed_first_tick_goes_on_where_it_was(stage: Stage, now: datetime) -> None:
    begun(stage, now)

    kill_at(stage, ("tick", "--json"), 700)
    there = len(stage.replica())
    ticked = stage.syncd("tick", "--json")

    assert 0 < there < OBJECTS
    assert ticked.code == 0
    assert ticked.job["copied"] <= OBJECTS - there
    assert stage.replica() == stage.source()
    assert set(stage.watched().writes.values()) == {1}


def test_writes_that_land_after_the_death_of_their_run_are_recognised(stage: Stage, now: datetime) -> None:
    command = begun(stage, now)
    dead = threading.Event()
    stalled = stage.server.faults.add("PutObject", Stall(dead))

    with stage.start(*command) as process:
        wait_until(lambda: stalled.hits >= 20, what="the first writes")
        process.signal(signal.SIGKILL)
        process.ended()
    dead.set()
    wait_until(lambda: stage.is_deserted, what="the end of what was in flight")
    landed = len(stage.replica())
    last = stage.syncd(*command)

    assert landed >= 20
    assert (last.code, last.job["copied"]) == (0, OBJECTS - landed)
    assert stage.replica() == stage.source()
    assert stage.watched().destroyed == []


def test_a_first_tick_killed_while_an_old_object_lags_behind_the_others_comes_back_to_it(
    stage: Stage, now: datetime
) -> None:
    days = days_before(now, 120)
    lagging, *_ = stage.deliver(Trail().span(ACCOUNTS[:1], REGIONS[:1], days, logs=1))
    stage.job(changes={"start": "beginning"})
    stalled = stage.server.faults.add(on("GetObject", key=lagging), Stall())

    with stage.start("tick") as process:
        wait_until(lambda: len(stage.replica()) >= 30, what="thirty copies")
        process.signal(signal.SIGKILL)
        process.ended()
    stage.server.faults.remove(stalled)
    ran = stage.syncd("tick", "--json")

    assert ran.code == 0
    assert stage.replica() == stage.source()
