"""Each limit, of all jobs together and of a job, as the server sees it: what is in flight at the most, and what waits."""

import signal
import threading
from datetime import datetime

import pytest
from builders import ACCOUNTS, REGIONS, Delivery, Trail, days_before
from faulty import Request, Stall
from program import Ran
from stage import Stage
from waiting import wait_until

MIB = 1024 * 1024
LOGS = 30
COPYING = {"GetObject", "PutObject"}
"""The requests of a copy, one at a time."""


def is_of_a_copy(request: Request) -> bool:
    return request.operation in COPYING


def with_limit(stage: Stage, now: datetime, level: str, key: str, value: object, *, body: bytes = b"") -> None:
    """Logs at the source, and a job under one limit: its own or that of all."""
    (day,) = days_before(now, 1)
    logs: list[Delivery] = list(Trail().span(ACCOUNTS[:1], REGIONS[:1], [day], logs=LOGS))
    stage.deliver(Delivery(log.key, body or log.body, log.arrives) for log in logs)
    limit = {f"engine.{key}": value}
    stage.configure(limit if level == "all jobs" else {})
    stage.job(changes=limit if level == "a job" else {})
    stage.server.counts_in_flight = is_of_a_copy


def ticked(stage: Stage, *, at_once: int) -> Ran:
    """A tick whose reads stand still until so many are in flight."""
    go_on = threading.Event()
    still = stage.server.faults.add("GetObject", Stall(go_on))
    with stage.start("tick", "--json") as process:
        wait_until(lambda: still.hits >= at_once or not process.is_alive, what="copies in flight")
        go_on.set()
        return process.ended()


LEVELS = pytest.mark.parametrize("level", ["all jobs", "a job"])
AT_ONCE = {
    "in_flight": (3, 3, b""),
    # A body of a mebibyte may be there three times: as the runtime read it, as we have it, and as it is sent.
    "memory": ("12MiB", 4, bytes(MIB)),
}


@LEVELS
@pytest.mark.parametrize("key", AT_ONCE)
def test_no_more_is_in_flight_than_the_limit_allows_and_all_of_that_is(
    stage: Stage, now: datetime, level: str, key: str
) -> None:
    value, at_once, body = AT_ONCE[key]
    with_limit(stage, now, level, key, value, body=body)

    ran = ticked(stage, at_once=at_once)

    assert ran.job["copied"] == LOGS
    assert stage.server.peak_in_flight == at_once


def test_two_workers_keep_a_jobs_limit_together(stage: Stage, now: datetime) -> None:
    with_limit(stage, now, "a job", "in_flight", 3)
    stage.configure({"engine.workers": 2})

    ran = stage.syncd("tick", "--json")

    assert ran.job["copied"] == LOGS
    assert stage.server.peak_in_flight <= 3


def test_two_workers_share_what_is_large(stage: Stage, now: datetime) -> None:
    with_limit(stage, now, "all jobs", "memory", "8MiB", body=bytes(MIB))
    stage.configure({"engine.memory": "8MiB", "engine.workers": 2})

    ran = ticked(stage, at_once=2)

    assert ran.job["copied"] == LOGS
    assert stage.server.peak_in_flight == 2


def test_jobs_that_join_keep_the_limit_of_all_but_for_one_object_each(stage: Stage, now: datetime) -> None:
    (day,) = days_before(now, 1)
    stage.deliver(Trail().span(ACCOUNTS[:2], REGIONS[:1], [day], logs=LOGS))
    stage.configure({"engine.in_flight": 8})
    for name in ("account-b", "account-c"):
        stage.job(name)
    stage.server.counts_in_flight = is_of_a_copy

    ran = ticked(stage, at_once=8)

    assert [job["copied"] for job in ran.document["jobs"]] == [LOGS, LOGS]
    assert stage.server.peak_in_flight <= 8 + 1


@LEVELS
@pytest.mark.parametrize(("key", "rate"), [("requests_per_second", 0.001), ("bytes_per_second", 1)])
def test_what_is_beyond_a_rate_waits(stage: Stage, now: datetime, level: str, key: str, rate: float) -> None:
    """One copy is lent what it takes; the next would have to wait for minutes."""
    with_limit(stage, now, level, key, rate)
    go_on = threading.Event()
    first = stage.server.faults.add("PutObject", Stall(go_on))

    with stage.start("tick", "--json") as process:
        wait_until(lambda: first.hits or not process.is_alive, what="the first copy")
        process.signal(signal.SIGTERM)
        go_on.set()
        ran = process.ended()

    assert (ran.code, ran.job["outcome"], ran.job["copied"]) == (128 + signal.SIGTERM, "interrupted", 1)
    assert stage.requests("GetObject") == 1
