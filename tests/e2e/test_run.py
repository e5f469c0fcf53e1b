"""The daemon: each job on its own schedule, until a signal, after which it ends cleanly."""

import signal
from datetime import datetime, timedelta

import pytest
from builders import ACCOUNTS, REGIONS, Trail, days_before
from faulty import Call, Request, Slow, Status
from program import Running
from stage import Stage
from waiting import wait_until


def ticks(stage: Stage, name: str) -> int:
    """How often a job has assumed its role."""
    return sum(request.form.get("RoleArn", "").endswith(name) for request in stage.server.requests)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_each_job_ticks_on_its_own_interval_until_a_signal_ends_it_with_0(
    stage: Stage, now: datetime, number: signal.Signals
) -> None:
    keys = stage.deliver(Trail().span(ACCOUNTS[:2], REGIONS[:1], days_before(now, 1), logs=5))
    stage.job("account-b", {"every": "1s"})
    stage.job("account-c", {"every": "1h"})

    with stage.start("run") as process:
        wait_until(lambda: ticks(stage, "account-b") >= 3, what="three ticks")
        new = stage.deliver([Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=5))])
        wait_until(lambda: new[0] in stage.replica("account-b"), what="the new log at the destination")
        process.signal(number)
        ran = process.ended()

    assert ran.code == 0
    assert ticks(stage, "account-c") <= 1
    assert len(stage.replica("account-b")) == len(keys) // 2 + 1
    assert {"daemon.started", "tick.finished", "daemon.stopped"} <= {event["event"] for event in ran.logged}
    assert stage.watched("account-b").destroyed == []


def test_a_job_that_fails_is_told_and_the_others_go_on(stage: Stage, now: datetime) -> None:
    stage.deliver(Trail().span(ACCOUNTS[:2], REGIONS[:1], days_before(now, 1), logs=5))
    stage.job("account-b", {"every": "1s", "source.role.arn": "arn:aws:iam::111111111111:role/NotForUs"})
    stage.job("account-c", {"every": "1s"})

    with stage.start("run") as process:
        wait_until(lambda: ticks(stage, "account-c") >= 3, what="three ticks")
        process.signal(signal.SIGTERM)
        ran = process.ended()

    failed = [event for event in ran.logged if event["event"] == "tick.failed"]
    assert ran.code == 0
    assert {event["job"] for event in failed} == {"account-b"}
    assert failed[0]["error"]["reason"] == "access_denied"
    assert len(stage.replica("account-c")) == 5


def test_a_signal_in_the_middle_of_copies_ends_after_those_in_flight(stage: Stage, now: datetime) -> None:
    stage.deliver(Trail().span(ACCOUNTS[:3], REGIONS[:2], days_before(now, 5), logs=20))
    # So few in flight that most objects are left for long after the signal.
    stage.job(changes={"every": "1s", "engine.in_flight": 4})
    slow = stage.server.faults.add("GetObject", Slow(0.1))

    with stage.start("run") as process:
        wait_until(lambda: stage.requests("PutObject") >= 40, what="forty writes")
        process.signal(signal.SIGTERM)
        ran = process.ended()
    stage.server.faults.remove(slow)
    there = len(stage.replica())
    resumed = stage.syncd("tick", "--json")

    assert (ran.code, 40 <= there < 600) == (0, True)
    assert (resumed.code, resumed.job["copied"], resumed.job["already_there"]) == (0, 600 - there, 0)
    assert stage.requests("PutObject") == 600


def test_a_job_never_ticks_twice_at_once(stage: Stage, now: datetime) -> None:
    stage.deliver(Trail().span(ACCOUNTS[:1], REGIONS[:1], days_before(now, 1), logs=1))
    stage.job(changes={"every": "1s"})
    stage.server.faults.add("GetObject", Slow(2.5))
    at_the_time: list[int] = []

    def count(_: Request) -> None:
        at_the_time.append(ticks(stage, "account-z"))

    stage.server.faults.add("PutObject", Call(count))
    with stage.start("run") as process:
        wait_until(lambda: at_the_time, what="the end of the first copy")
        process.signal(signal.SIGTERM)
        ran = process.ended()

    assert (ran.code, at_the_time) == (0, [1])


def test_a_failed_object_waits_for_its_time_in_the_daemon(stage: Stage, now: datetime) -> None:
    stage.deliver(Trail().span(ACCOUNTS[:1], REGIONS[:1], days_before(now, 1), logs=1))
    stage.job(changes={"every": "1s"})
    stage.server.faults.add("GetObject", Status(403, "AccessDenied"))

    with stage.start("run") as process:
        wait_until(lambda: ticks(stage, "account-z") >= 4, what="four ticks")
        process.signal(signal.SIGTERM)
        process.ended()
    waited = stage.requests("GetObject")
    stage.syncd("tick")

    assert waited == 1
    assert stage.requests("GetObject") == 2


def test_a_wrong_configuration_is_refused_by_the_daemon_too(stage: Stage) -> None:
    path = stage.job(changes={"every": "soon"})

    ran = stage.syncd("run")

    assert ran.code == 2
    assert f"{path}: every: " in ran.stderr
    assert stage.server.requests == ()


def test_a_state_that_cannot_be_written_ends_the_daemon_with_5(stage: Stage) -> None:
    stage.job(changes={"every": "1s"})
    stage.state.write_text("not a folder")

    ran = stage.syncd("run", seconds=30)

    assert ran.code == 5
    assert "Traceback" not in ran.stderr


def test_a_job_ticks_when_its_cron_line_says(by_cron: tuple[Stage, Running]) -> None:
    stage, process = by_cron

    wait_until(lambda: stage.replica("account-b"), seconds=70, what="the beginning of a minute")
    process.signal(signal.SIGTERM)
    ran = process.ended()

    assert ran.code == 0
    assert ticks(stage, "account-b") >= 1
    assert ticks(stage, "account-c") == 0
