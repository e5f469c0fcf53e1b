"""A run that is interrupted ends after what is in flight, says so, and goes on from there when started again."""

import signal
import threading
from dataclasses import replace
from datetime import datetime

import pytest
from builders import ACCOUNTS, REGIONS, Trail, days_before
from faulty import Slow, Stall
from program import Running
from stage import Stage
from waiting import wait_until

SIGNALS = {"SIGTERM": (signal.SIGTERM, 143), "SIGINT": (signal.SIGINT, 130)}
OBJECTS = 600
IN_FLIGHT = 4
"""So few that, at a tenth of a second a read, most objects are left for long after a signal."""
LARGE = bytes(1024**2)
# Both kinds of three accounts.
LISTINGS_AT_ONCE = 6


def begun(stage: Stage, now: datetime, *, body: bytes | None = None) -> tuple[str, ...]:
    days = days_before(now, 5)
    logs = Trail().span(ACCOUNTS[:3], REGIONS[:2], days, logs=20 if body is None else 1)
    stage.deliver((log if body is None else replace(log, body=body) for log in logs), checksum_algorithm="crc64nvme")
    stage.job()
    stage.configure({"engine.in_flight": IN_FLIGHT})
    return ("catch-up", "--json", "--from", f"{days[0]}")


def is_over(process: Running) -> bool:
    """Sends one SIGTERM more; whether that was in vain."""
    process.signal(signal.SIGTERM)
    return not process.is_alive


@pytest.mark.parametrize("name", SIGNALS)
def test_an_interrupted_catch_up_records_what_was_in_flight_and_is_resumed(
    stage: Stage, now: datetime, name: str
) -> None:
    number, code = SIGNALS[name]
    command = begun(stage, now)
    slow = stage.server.faults.add("GetObject", Slow(0.1))

    with stage.start(*command) as process:
        wait_until(lambda: stage.requests("PutObject") >= 40, what="forty writes")
        process.signal(number)
        interrupted = process.ended()
    stage.server.faults.remove(slow)
    there = len(stage.replica())
    resumed = stage.syncd(*command)

    assert (interrupted.code, interrupted.job["outcome"]) == (code, "interrupted")
    assert interrupted.job["copied"] == there < OBJECTS
    assert (resumed.code, resumed.job["copied"], resumed.job["already_there"]) == (0, OBJECTS - there, 0)
    assert stage.requests("PutObject") == OBJECTS
    assert stage.replica() == stage.source()


def test_an_interrupted_tick_claims_no_horizon(stage: Stage, now: datetime) -> None:
    begun(stage, now)
    stage.server.faults.add("GetObject", Slow(0.1))

    with stage.start("tick", "--json") as process:
        wait_until(lambda: stage.requests("PutObject") >= 20, what="twenty writes")
        process.signal(signal.SIGTERM)
        ran = process.ended()

    assert (ran.code, ran.job["outcome"], ran.job["complete_until"]) == (143, "interrupted", None)


@pytest.mark.parametrize(
    ("operation", "body"),
    [("GetObject", None), ("PutObject", None), ("GetObject", LARGE), ("PutObject", LARGE)],
    ids=["read", "write", "read of a large one", "write of a large one"],
)
def test_a_second_signal_gives_up_what_is_in_flight_which_is_no_error(
    stage: Stage, now: datetime, operation: str, body: bytes | None
) -> None:
    command = begun(stage, now, body=body)
    stalled = stage.server.faults.add(operation, Stall())

    with stage.start(*command) as process:
        wait_until(lambda: stalled.hits >= IN_FLIGHT, what="requests in flight")
        wait_until(lambda: is_over(process), what="the end, signal by signal")
        ran = process.ended()

    assert (ran.code, ran.job["outcome"], ran.job["error"]) == (143, "interrupted", None)
    assert stage.replica() == {}


@pytest.mark.parametrize("verb", ["tick", "catch-up"])
def test_a_signal_while_the_accounts_are_looked_at_ends_the_run_without_another_listing(
    stage: Stage, now: datetime, verb: str
) -> None:
    _, *window = begun(stage, now)
    stage.job(changes={"source.accounts": list(ACCOUNTS[:3])})
    stalled = stage.server.faults.add("ListObjectsV2", Stall())

    with stage.start(verb, *(window if verb == "catch-up" else window[:1])) as process:
        wait_until(lambda: stalled.hits >= LISTINGS_AT_ONCE, what="the first listings")
        process.signal(signal.SIGTERM)
        ran = process.ended()

    assert (ran.code, ran.job["outcome"], ran.job["error"]) == (143, "interrupted", None)
    assert stage.requests("ListObjectsV2") == LISTINGS_AT_ONCE
    assert stage.replica() == {}


def test_a_signal_while_the_source_is_listed_ends_the_run(stage: Stage, now: datetime) -> None:
    command = begun(stage, now)
    go_on = threading.Event()
    stalled = stage.server.faults.add(lambda request: bool(request.query.get("start-after")), Stall(go_on))
    stage.server.faults.add("GetObject", Slow(0.3))

    with stage.start(*command) as process:
        wait_until(lambda: stalled.hits > 0, what="a listing in flight")
        process.signal(signal.SIGTERM)
        go_on.set()
        ran = process.ended()

    assert (ran.code, ran.job["outcome"]) == (143, "interrupted")
    assert ran.job["copied"] == len(stage.replica()) < OBJECTS


def test_a_signal_before_any_request_is_answered_ends_the_run(stage: Stage, now: datetime) -> None:
    command = begun(stage, now)
    go_on = threading.Event()
    stalled = stage.server.faults.add("AssumeRole", Stall(go_on))
    stage.server.faults.add("GetObject", Slow(0.3))

    with stage.start(*command) as process:
        wait_until(lambda: stalled.hits > 0, what="the role being asked for")
        process.signal(signal.SIGTERM)
        go_on.set()
        ran = process.ended()

    assert (ran.code, ran.job["outcome"]) == (143, "interrupted")
    assert "Traceback" not in ran.stderr
    assert len(stage.replica()) < OBJECTS
