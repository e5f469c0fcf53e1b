"""Catch-ups that workers do: complete, written once, and killed workers and owners cost time only."""

import json
import signal
import urllib.request
from datetime import date, datetime, timedelta
from threading import Event
from typing import Any

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from faulty import Stall, Status, on
from servers import MakeClient, S3Server
from spreading import Spreading
from stage import Stage
from waiting import wait_until

from syncd.config import files
from syncd.spread.terms import terms_of

DAYS = [date(2024, 3, 1) + timedelta(days=number) for number in range(8)]
LOGS = 500
OBJECTS = 4000
MISSING = 400
WINDOW = ("--from", f"{DAYS[0]}", "--to", f"{DAYS[-1]}")
IN_FLIGHT = 256
EMPTY = {"tasks": 0, "results": 0, "dead": 0}


def spread_over(stage: Stage, server: S3Server, make_client: MakeClient, **work: Any) -> Spreading:
    """Eight days of one shard at the source, 4,000 objects in two tasks, and a job for them."""
    stage.deliver(Trail().span(ACCOUNTS[:1], REGIONS[:1], DAYS, logs=LOGS))
    made = Spreading.of(stage, server, make_client, task_objects=2000, **work)
    stage.job(changes={"destination.prefix": "replica/"})
    return made


def copied_before(stage: Stage, *, but: int) -> None:
    """Another engine has copied everything but so many objects, at even distances."""
    objects = stage.server.objects(stage.world.bucket)
    missing = set(sorted(objects)[:: len(objects) // but])
    for key in objects.keys() - missing:
        item = objects[key]
        stage.server.put(stage.world.consumer("account-z").bucket, f"replica/{key}", item.body, metadata=item.metadata)


def metrics(address: str) -> dict[str, float]:
    """What is served there, by name and labels."""
    with urllib.request.urlopen(f"http://{address}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def forged(stage: Stage) -> dict[str, Any]:
    """A result for a task that was sent, from somebody who has not received it: days that are not there, a foreign key."""
    shard = f"AWSLogs/{ACCOUNTS[0]}/CloudTrail/{REGIONS[0]}/"
    held = {"key": "private/x", "etag": '"e"', "size_bytes": 1, "last_modified": 1.0, "storage_class": "STANDARD"}
    return {
        "v": 1,
        "task": f"{shard}{DAYS[0]}..{DAYS[3]}",
        "job": "account-z",
        "replica": f"s3://{stage.world.bucket}/ to s3://{stage.world.consumer('account-z').bucket}/replica/"
        f" at {stage.server.url}",
        "outcome": "ok",
        "counts": {},
        "days": {f"{DAYS[0]}": [10**6, 1, 1, True, 1, True]},
        "held": [{**held, "reason": "timeout", "detail": ""}],
    }


def test_workers_copy_each_object_once_and_the_owner_knows_all_of_it(
    stage: Stage, queue_server: S3Server, make_client: MakeClient, held_addresses: list[str]
) -> None:
    """A worker that is told to stop in its second task gives it back at once. Both sides serve metrics meanwhile."""
    spreading = spread_over(stage, queue_server, make_client, visibility="10m", metrics_listen=held_addresses[0])
    copied_before(stage, but=MISSING)
    stage.job(file="second", changes={"name": "second", "destination.prefix": "second/"})
    gate = Event()

    planned = stage.syncd("plan", "--json", "--spread", "account-z", *WINDOW)
    stalled = stage.server.faults.add(lambda _: stage.server.count("GetObject") > MISSING * 5 // 8, Stall(gate))
    with spreading.start_owner("account-z", *WINDOW) as owner:
        wait_until(lambda: spreading.waiting()["tasks"] == 2, what="tasks")
        spreading.sqs.send_message(QueueUrl=spreading.urls["results"], MessageBody=json.dumps(forged(stage)))
        spreading.configure(metrics_listen=held_addresses[1])
        with spreading.start_worker() as first:
            wait_until(lambda: stalled.hits and spreading.waiting()["results"] == 1, what="a task that is recorded")
            served = [metrics(address) for address in held_addresses]
            status = stage.syncd("status", "--json", "account-z")
            first.signal(signal.SIGTERM)
            stage.server.faults.remove(stalled)
            gate.set()
            stopped = first.ended()
        done = stage.syncd("work", "--until-empty", "--json", **spreading.environment)
        ran = owner.ended()
    asked = stage.operations()
    stage.server.forget_requests()
    audit = stage.syncd("catch-up", "--json", "account-z", *WINDOW)

    assert (planned.code, planned.job["tasks"]) == (0, 2)
    assert planned.job["requests_made"]["ListObjectsV2"] <= 8
    assert abs(planned.job["objects"] - OBJECTS) < OBJECTS / 20
    assert planned.job["cost_usd"] == pytest.approx(OBJECTS * 5.4e-6, rel=0.05)
    spread, (running,) = status.job["spread"], status.job["running"]
    assert (spread["tasks"], spread["ended"], spread["dead"], spread["objects_done"]) == (2, 1, 0, OBJECTS // 2)
    assert (running["kind"], running["done"], running["known"]) == ("catch-up", OBJECTS // 2, spread["objects"])
    of_owner, of_worker = served
    assert of_owner['syncd_spread_tasks{state="open",syncd_job="account-z"}'] == 1
    assert of_owner['syncd_spread_tasks{state="done",syncd_job="account-z"}'] == 1
    assert of_owner['syncd_spread_objects_done{syncd_job="account-z"}'] == OBJECTS // 2
    assert of_worker['syncd_work_tasks_total{outcome="done"}'] == 1
    assert of_worker['syncd_work_objects_total{result="already_there"}'] > 0
    assert (stopped.code, done.code) == (0, 0)
    assert (done.document["tasks"], done.document["objects"]) == (1, OBJECTS // 2)
    assert (ran.code, ran.job["outcome"], ran.job["copied"] + ran.job["already_there"]) == (0, "ok", OBJECTS)
    assert stage.replica(prefix="replica/").keys() == stage.source().keys()
    assert set(stage.watched().writes.values()) == {1}
    assert (asked["GetObject"], asked["PutObject"]) == (MISSING, MISSING)
    assert (audit.code, audit.job["skipped"]) == (0, {"sealed": OBJECTS})
    assert stage.requests("GetObject", "PutObject") == 0
    # Beside the two sides: five to find the shard, and the first pages of the destination's audit.
    assert stage.requests("ListObjectsV2") <= 2.2 * OBJECTS / 1000 + 8
    # The forged result is left to the owner whose task it may be, if there is one.
    assert spreading.waiting() == {**EMPTY, "results": 1}


def test_killed_and_frozen_workers_and_a_killed_owner_lose_and_repeat_nothing(
    stage: Stage, queue_server: S3Server, make_client: MakeClient
) -> None:
    spreading = spread_over(stage, queue_server, make_client)
    copied_before(stage, but=2 * MISSING)
    gate = Event()

    with (
        spreading.start_owner(*WINDOW) as owner,
        spreading.start_worker() as killed,
        spreading.start_worker() as frozen,
    ):
        stalled = stage.server.faults.add(lambda _: stage.server.count("GetObject") > MISSING, Stall(gate))
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
    assert stage.replica(prefix="replica/").keys() == stage.source().keys()
    assert set(stage.watched().writes.values()) == {1}
    assert stage.requests("GetObject") <= 2 * (MISSING + IN_FLIGHT)
    assert thawed.code == 0
    assert stage.syncd("catch-up", "--json", *WINDOW).job["skipped"] == {"sealed": OBJECTS}


def test_what_workers_cannot_copy_is_named_and_the_horizon_waits_for_it(
    stage: Stage, queue_server: S3Server, make_client: MakeClient, now: datetime
) -> None:
    """An object that kills its worker is tried by the owner. One that is refused is in the owner's quarantine."""
    # A worker that is held up for as long as a task is hidden would be taken for dead.
    spreading = spread_over(stage, queue_server, make_client, receives=1, visibility="6s")
    keys = sorted(stage.source())
    poison, refused = keys[0], keys[-100]
    copied_before(stage, but=40)
    assert refused not in stage.replica(prefix="replica/")
    stage.deliver([Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(hours=1))])
    stage.job(changes={"destination.prefix": "replica/", "start": "31d"})
    ticked = stage.syncd("tick", "--json")
    window = ("--from", f"{DAYS[0]}")
    deadly = stage.server.faults.add(on("GetObject", key=poison), Stall())
    denied = [
        stage.server.faults.add(on("GetObject", key=key), Status(403, "AccessDenied")) for key in (poison, refused)
    ]

    with spreading.start_owner(*window) as owner:
        with spreading.start_worker() as worker:
            wait_until(lambda: deadly.hits, what="the poison")
            worker.signal(signal.SIGKILL)
        stage.server.faults.remove(deadly)
        with spreading.start_worker():
            ran = owner.ended()
    held = stage.syncd("ledger", "quarantine", "list", "--json").job["objects"]
    for fault in denied:
        stage.server.faults.remove(fault)
    healed = spreading.owner(*window)

    assert (ran.code, ran.job["outcome"]) == (3, "partial")
    assert [(item["key"], item["reason"]) for item in ran.job["failed"]] == [(poison, "access_denied")]
    assert {item["key"]: item["reason"] for item in held} == dict.fromkeys((poison, refused), "access_denied")
    assert [item["is_known"] for item in ran.logged if item["event"] == "task.dead"] == [True]
    assert ran.job["complete_from"] == ticked.job["complete_from"]
    assert (healed.code, healed.job["complete_from"]) == (0, f"{DAYS[0]}T00:00:00Z")
    assert stage.replica(prefix="replica/").keys() == stage.source().keys()
    assert set(stage.watched().writes.values()) == {1}
    assert spreading.waiting() == EMPTY


def test_a_message_makes_a_worker_do_nothing_beyond_its_own_configuration(
    stage: Stage, queue_server: S3Server, make_client: MakeClient
) -> None:
    stage.deliver(Trail().span(ACCOUNTS[:1], REGIONS[:1], DAYS, logs=3))
    spreading = Spreading.of(stage, queue_server, make_client, receives=1, task_objects=2000)
    stage.job(changes={"destination.prefix": "replica/"})
    replica = (
        f"s3://{stage.world.bucket}/ to s3://{stage.world.consumer('account-z').bucket}/replica/ at {stage.server.url}"
    )
    (job,) = files.load(stage.config).jobs
    task = {
        "v": 1,
        "terms": terms_of(job),
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
        {**task, "terms": "of another job file"},
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
    assert len(refused) == len(hostile) + 1
    assert len([item for item in ran.logged if item["event"] == "result.ignored"]) == 2


def test_two_owners_of_one_job_do_not_take_each_others_results(
    stage: Stage, queue_server: S3Server, make_client: MakeClient
) -> None:
    """As after a takeover of a slot while the daemon of before still had a catch-up under way."""
    spreading = spread_over(stage, queue_server, make_client)
    copied_before(stage, but=40)
    with spreading.start_owner(*WINDOW) as one:
        wait_until(lambda: spreading.waiting()["tasks"] == 2, what="the tasks of one")
        spreading.configure(state_dir=stage.state.with_name("another"))
        with spreading.start_owner(*WINDOW) as other:
            wait_until(lambda: spreading.waiting()["tasks"] == 4, what="the tasks of both")
            with spreading.start_worker():
                ran = [owner.ended() for owner in (one, other)]

    assert [(item.code, item.job["outcome"]) for item in ran] == [(0, "ok"), (0, "ok")]
    assert [len([line for line in item.logged if line["event"] == "task.done"]) for item in ran] == [2, 2]
    assert set(stage.watched().writes.values()) == {1}
    assert spreading.waiting() == EMPTY


def test_without_queues_the_file_and_the_key_are_named(stage: Stage) -> None:
    stage.job()

    ran = stage.syncd("catch-up", "--spread", "--from", "2024-03-01")

    assert ran.code == 2
    assert f"{stage.config}: work.tasks: is missing" in ran.stderr
