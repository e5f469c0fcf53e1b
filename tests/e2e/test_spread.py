"""Catch-ups that workers do: complete, written once, and killed workers and owners cost time only."""

import json
import signal
from datetime import date, datetime, timedelta
from threading import Event

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from faulty import Stall, Status, on
from servers import MakeClient, S3Server
from spreading import Spreading
from stage import Stage
from waiting import wait_until

DAYS = [date(2024, 3, 1) + timedelta(days=number) for number in range(8)]
LOGS = 500
OBJECTS = 4000
WINDOW = ("--from", f"{DAYS[0]}", "--to", f"{DAYS[-1]}")
IN_FLIGHT = 256
EMPTY = {"tasks": 0, "results": 0, "dead": 0}


@pytest.fixture
def spreading(stage: Stage, ministack: S3Server, make_client: MakeClient) -> Spreading:
    """Eight days of one shard at the source, 4,000 objects in two tasks, and a job for them."""
    stage.deliver(Trail().span(ACCOUNTS[:1], REGIONS[:1], DAYS, logs=LOGS))
    made = Spreading.of(stage, ministack, make_client, receives=2, task_objects=2000)
    stage.job(changes={"destination.prefix": "replica/"})
    return made


def copied_before(stage: Stage, *, but: int) -> None:
    """Another engine has copied everything but so many objects, at even distances."""
    objects = stage.server.objects(stage.world.bucket)
    missing = set(sorted(objects)[:: len(objects) // but])
    for key in objects.keys() - missing:
        item = objects[key]
        stage.server.put(stage.world.consumer("account-z").bucket, f"replica/{key}", item.body, metadata=item.metadata)


def test_workers_copy_each_object_once_and_the_owner_knows_all_of_it(spreading: Spreading) -> None:
    stage = spreading.stage
    stage.job(file="second", changes={"name": "second", "destination.prefix": "second/"})

    planned = stage.syncd("plan", "--json", "--spread", "account-z", *WINDOW)
    with spreading.workers(2):
        ran = spreading.owner("account-z", *WINDOW)
    asked = stage.operations()
    stage.server.forget_requests()
    audit = stage.syncd("catch-up", "--json", "account-z", *WINDOW)
    status = stage.syncd("status", "--json", "account-z")

    assert (planned.code, planned.job["tasks"]) == (0, 2)
    assert planned.job["requests_made"]["ListObjectsV2"] <= 8
    assert abs(planned.job["objects"] - OBJECTS) < OBJECTS / 20
    assert planned.job["cost_usd"] == pytest.approx(OBJECTS * 5.4e-6, rel=0.05)
    assert (ran.code, ran.job["outcome"], ran.job["copied"]) == (0, "ok", OBJECTS)
    assert stage.replica(prefix="replica/") == stage.source()
    assert set(stage.watched().writes.values()) == {1}
    assert (asked["GetObject"], asked["PutObject"]) == (OBJECTS, OBJECTS)
    assert (audit.code, audit.job["skipped"]) == (0, {"sealed": OBJECTS})
    assert stage.requests("GetObject", "PutObject") == 0
    assert stage.requests("ListObjectsV2") <= 2.2 * OBJECTS / 1000 + 6
    spread = status.job["spread"]
    assert (spread["tasks"], spread["ended"], spread["dead"], spread["objects_done"]) == (2, 2, 0, OBJECTS)
    assert spreading.waiting() == EMPTY


def test_killed_and_frozen_workers_and_a_killed_owner_lose_and_repeat_nothing(spreading: Spreading) -> None:
    stage = spreading.stage
    gate = Event()

    with (
        spreading.start_owner(*WINDOW) as owner,
        spreading.start_worker() as killed,
        spreading.start_worker() as frozen,
    ):
        stalled = stage.server.faults.add(lambda _: stage.server.count("GetObject") > 1000, Stall(gate))
        wait_until(lambda: stalled.hits, what="copies under way")
        killed.signal(signal.SIGKILL)
        frozen.signal(signal.SIGSTOP)
        owner.signal(signal.SIGKILL)
        killed.ended()
        owner.ended()
        gate.set()
        stage.server.faults.remove(stalled)
        with spreading.start_worker():
            ran = spreading.owner(*WINDOW)
            frozen.signal(signal.SIGCONT)
            wait_until(lambda: spreading.waiting() == EMPTY, what="empty queues")
            frozen.signal(signal.SIGTERM)
            thawed = frozen.ended()

    assert (ran.code, ran.job["outcome"]) == (0, "ok")
    assert stage.replica(prefix="replica/") == stage.source()
    assert set(stage.watched().writes.values()) == {1}
    assert stage.requests("GetObject") <= OBJECTS + 2 * IN_FLIGHT
    assert [item["task"] for item in thawed.logged if item["event"] == "task.abandoned"] != []
    assert thawed.code == 0
    assert stage.syncd("catch-up", "--json", *WINDOW).job["skipped"] == {"sealed": OBJECTS}


def test_a_task_that_kills_its_workers_is_done_by_the_owner_which_names_the_object(
    spreading: Spreading, now: datetime
) -> None:
    stage = spreading.stage
    poison = min(stage.source())
    copied_before(stage, but=40)
    stage.deliver([Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(hours=1))])
    stage.job(changes={"destination.prefix": "replica/", "start": "31d"})
    stage.syncd("tick")
    since = stage.syncd("status", "--json").job["complete_from"]
    window = ("--from", f"{DAYS[0]}")
    deadly = stage.server.faults.add(on("GetObject", key=poison), Stall())

    with spreading.start_owner(*window) as owner:
        for number in (1, 2):
            with spreading.start_worker() as worker:
                wait_until(lambda number=number: deadly.hits >= number, what="the poison")
                worker.signal(signal.SIGKILL)
        stage.server.faults.remove(deadly)
        denied = stage.server.faults.add(on("GetObject", key=poison), Status(403, "AccessDenied"))
        with spreading.start_worker():
            ran = owner.ended()
    held = stage.syncd("ledger", "quarantine", "list", "--json").job["objects"]
    waiting = stage.syncd("status", "--json").job["complete_from"]
    stage.server.faults.remove(denied)
    healed = spreading.owner(*window)

    assert (ran.code, ran.job["outcome"]) == (3, "partial")
    assert [(item["key"], item["reason"]) for item in ran.job["failed"]] == [(poison, "access_denied")]
    assert [item["key"] for item in held] == [poison]
    assert [item["is_known"] for item in ran.logged if item["event"] == "task.dead"] == [True]
    assert waiting == since
    assert (healed.code, healed.job["complete_from"]) == (0, f"{DAYS[0]}T00:00:00Z")
    assert stage.replica(prefix="replica/").keys() == stage.source().keys()
    assert set(stage.watched().writes.values()) == {1}
    assert spreading.waiting() == EMPTY


def test_an_object_that_a_worker_cannot_copy_is_in_the_owners_quarantine(spreading: Spreading) -> None:
    stage = spreading.stage
    refused, other = min(stage.source()), max(stage.source())
    copied_before(stage, but=40)
    stage.server.faults.add(on("GetObject", key=refused), Status(403, "AccessDenied"))
    stage.server.put(stage.world.consumer("account-z").bucket, f"replica/{other}", b"something else")

    with spreading.start_worker() as worker:
        ran = spreading.owner(*WINDOW)
        worker.signal(signal.SIGTERM)
        worked = worker.ended()
    held = stage.syncd("ledger", "quarantine", "list", "--json").job["objects"]

    assert (ran.code, ran.job["outcome"], ran.job["copied"]) == (3, "partial", 39)
    assert {item["key"]: item["reason"] for item in held} == {refused: "access_denied", other: "conflict"}
    assert worked.code == 0
    assert spreading.waiting() == EMPTY


def test_a_worker_that_is_told_to_stop_gives_its_task_back_at_once(
    stage: Stage, ministack: S3Server, make_client: MakeClient
) -> None:
    days = DAYS[:4]
    stage.deliver(Trail().span(ACCOUNTS[:1], REGIONS[:1], days, logs=LOGS))
    spreading = Spreading.of(stage, ministack, make_client, visibility="10m", task_objects=2000)
    stage.job()
    gate = Event()
    stalled = stage.server.faults.add(lambda _: stage.server.count("GetObject") > 500, Stall(gate))

    with (
        spreading.start_owner("--from", f"{days[0]}", "--to", f"{days[-1]}") as owner,
        spreading.start_worker() as first,
    ):
        wait_until(lambda: stalled.hits, what="copies under way")
        first.signal(signal.SIGTERM)
        stage.server.faults.remove(stalled)
        gate.set()
        stopped = first.ended()
        done = stage.syncd("work", "--until-empty", "--json", **spreading.environment)
        ran = owner.ended()

    assert (stopped.code, done.code, ran.code) == (0, 0, 0)
    assert (done.document["tasks"], done.document["objects"]) == (1, 2000)
    assert stage.requests("GetObject") == 2000


def test_a_message_makes_a_worker_do_nothing_beyond_its_own_configuration(
    stage: Stage, ministack: S3Server, make_client: MakeClient
) -> None:
    stage.deliver(Trail().span(ACCOUNTS[:1], REGIONS[:1], DAYS, logs=3))
    spreading = Spreading.of(stage, ministack, make_client, receives=2, task_objects=2000)
    stage.job(changes={"destination.prefix": "replica/"})
    replica = (
        f"s3://{stage.world.bucket}/ to s3://{stage.world.consumer('account-z').bucket}/replica/ at {stage.server.url}"
    )
    task = {
        "v": 1,
        "task": "x",
        "job": "account-z",
        "replica": replica,
        "shard": ["AWSLogs/222222222222/CloudTrail/us-east-1/", "222222222222", "CloudTrail", "us-east-1", ""],
        "first": "2024-03-01",
        "last": "2024-03-08",
    }
    outside = ["private/", "222222222222", "CloudTrail", "us-east-1", ""]
    hostile = (
        {**task, "job": "other"},
        {**task, "replica": "s3://elsewhere/ to s3://mine/"},
        {**task, "shard": outside},
        {**task, "last": "2024-02-01"},
        {**task, "v": 2},
    )
    for body in (*map(json.dumps, hostile), "garbage"):
        spreading.sqs.send_message(QueueUrl=spreading.urls["tasks"], MessageBody=body)
    for body in ("garbage", json.dumps({**task, "outcome": "ok", "counts": {}, "days": {"2024-03-01": [1]}})):
        spreading.sqs.send_message(QueueUrl=spreading.urls["results"], MessageBody=body)

    with spreading.start_worker() as worker:
        wait_until(lambda: spreading.waiting()["tasks"] == 0, what="dead letters", seconds=60)
        ran = spreading.owner(*WINDOW)
        worker.signal(signal.SIGTERM)
        refused = [item for item in worker.ended().logged if item["event"] == "task.refused"]

    assert (ran.code, ran.job["copied"]) == (0, 3 * len(DAYS))
    assert {request.bucket for request in stage.server.requests} <= {
        "",
        stage.world.bucket,
        stage.world.consumer("account-z").bucket,
    }
    assert not [item for item in stage.server.requests if item.query.get("prefix", "").startswith("private")]
    assert len(refused) == 2 * (len(hostile) + 1)
    assert len([item for item in ran.logged if item["event"] == "result.ignored"]) == 2


def test_without_queues_the_file_and_the_key_are_named(stage: Stage) -> None:
    stage.job()

    for verb in (("catch-up", "--spread", "--from", "2024-03-01"), ("work",)):
        ran = stage.syncd(*verb)
        assert ran.code == 2
        assert f"{stage.config}: work.tasks: is missing" in ran.stderr
    stage.configure({"work.tasks": "https://sqs.us-east-1.amazonaws.com/222222222222/syncd-tasks"})
    assert "work.results: is missing" in stage.syncd("work").stderr
    assert stage.syncd("plan", "--spread").code == 2
