"""One tick and one catch-up at a time for each job: who comes second says so and does nothing."""

import contextlib
import threading
from collections.abc import Iterator
from datetime import datetime

from builders import ACCOUNTS, REGIONS, Trail, days_before
from faulty import Stall
from program import Running
from stage import Stage
from waiting import wait_until


def delivered(stage: Stage, now: datetime) -> int:
    trail, days = Trail(), days_before(now, 3)
    return len(stage.deliver(trail.span(ACCOUNTS[:2], REGIONS[:2], days, logs=5)))


@contextlib.contextmanager
def held(stage: Stage, *arguments: str, copies: int = 1) -> Iterator[tuple[Running, threading.Event]]:
    """A run that stands still with so many copies in flight, until the event."""
    go_on = threading.Event()
    stalled = stage.server.faults.add("GetObject", Stall(go_on))
    with stage.start(*arguments, "--json") as process:
        wait_until(lambda: stalled.hits >= copies or not process.is_alive, what="copies in flight")
        stage.server.faults.remove(stalled)
        try:
            yield process, go_on
        finally:
            go_on.set()


def test_a_second_tick_of_the_same_job_ends_at_once_with_11(stage: Stage, now: datetime) -> None:
    objects = delivered(stage, now)
    stage.job()

    with held(stage, "tick") as (first, go_on):
        second = stage.syncd("tick", "--json")
        go_on.set()
        ended = first.ended()

    assert (second.code, second.job["outcome"], second.job["copied"]) == (11, "already-running", 0)
    assert "pid" in second.job["error"]["detail"]
    assert (ended.code, ended.job["copied"]) == (0, objects)
    assert set(stage.watched().writes.values()) == {1}


def test_one_job_of_two_that_runs_already_is_3_and_the_other_is_done(stage: Stage, now: datetime) -> None:
    delivered(stage, now)
    stage.job("account-b")
    stage.job("account-c")

    with held(stage, "tick", "account-b") as (first, go_on):
        both = stage.syncd("tick", "--json")
        go_on.set()
        first.ended()

    outcomes = {job["job"]: job["outcome"] for job in both.document["jobs"]}
    assert (both.code, outcomes) == (3, {"account-b": "already-running", "account-c": "ok"})
    assert len(stage.replica("account-c")) == 3 * 2 * 5


def test_two_jobs_that_run_already_are_11(stage: Stage, now: datetime) -> None:
    objects = delivered(stage, now)
    stage.job("account-b")
    stage.job("account-c")

    with held(stage, "tick", copies=objects) as (first, go_on):
        both = stage.syncd("tick", "--json")
        go_on.set()
        first.ended()

    assert both.code == 11


def test_a_tick_and_a_catch_up_of_one_job_both_go_on(stage: Stage, now: datetime) -> None:
    objects = delivered(stage, now)
    stage.job()

    with held(stage, "catch-up", "--from", f"{days_before(now, 3)[0]}") as (caught_up, go_on):
        ticked = stage.syncd("tick", "--json")
        second = stage.syncd("catch-up", "--json", "--from", f"{days_before(now, 3)[0]}")
        go_on.set()
        ended = caught_up.ended()
    after = stage.syncd("tick", "--json")

    assert (ticked.code, ticked.job["outcome"]) == (0, "ok")
    assert (second.code, second.job["outcome"]) == (11, "already-running")
    assert (ended.code, ended.job["failed_count"], ended.job["conflicts"]) == (0, 0, [])
    assert ticked.job["copied"] + ended.job["copied"] == objects
    assert (after.code, after.job["copied"]) == (0, 0)
    assert stage.replica() == stage.source()
    assert stage.watched().destroyed == []


def test_plan_and_status_go_on_while_a_job_runs(stage: Stage, now: datetime) -> None:
    delivered(stage, now)
    stage.job()

    with held(stage, "tick") as (first, go_on):
        plan = stage.syncd("plan", "--json")
        status = stage.syncd("status", "--json")
        go_on.set()
        first.ended()

    assert plan.code == 0
    assert (status.code, status.job["health"]) == (0, "starting")
