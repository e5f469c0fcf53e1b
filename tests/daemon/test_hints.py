"""Hints: a message that an object is there brings it at once, and no message does any harm.

The jobs tick once an hour, so what arrives in a test was brought by a hint.
"""

import json
import random
import subprocess
from dataclasses import replace
from datetime import datetime, timedelta
from mailbox import SHAPES, Mailbox, by_sns, cloudtrail, s3_event

import pytest
from builders import ACCOUNTS, REGIONS, Delivery, Trail
from servers import MakeClient, S3Server
from service import PROGRAM, Service
from waiting import wait_until

B, C = ACCOUNTS[0], ACCOUNTS[1]
GARBAGE = [
    "null",
    "[]",
    "{",
    "[" * 100_000,
    "9" * 5000,
    json.dumps({"Records": 1}),
    json.dumps({"Records": [None, 3, {"eventName": 5}, {"eventName": "ObjectCreated:Put"}]}),
    json.dumps(
        {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}, "object": {"key": "%ff"}}}]}
    ),
    json.dumps({"s3Bucket": "b", "s3ObjectKey": [7]}),
    json.dumps({"s3Bucket": "b", "s3ObjectKey": ["k" * 1025]}),
    json.dumps({"detail-type": "Object Created", "detail": "x"}),
    by_sns("garbage"),
    "ordinary text",
]
OTHERS = [s3_event("b", "k", event="ObjectRemoved:Delete"), json.dumps({"detail-type": "Object Deleted", "detail": {}})]
TESTS = [
    json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}),
    by_sns("CloudTrail validation message."),
    "CloudTrail validation message.",
]


def mailbox_on(server: S3Server, make_client: MakeClient, name: str = "hints") -> Mailbox:
    keys = {"access_key_id": server.access_key_id, "secret_access_key": server.secret_access_key}
    return Mailbox(server, make_client(server.url, "sqs", **keys), name)


@pytest.fixture
def mailbox(queue_server: S3Server, make_client: MakeClient) -> Mailbox:
    return mailbox_on(queue_server, make_client)


def log(now: datetime, number: int, account: str = B, region: str = REGIONS[0]) -> Delivery:
    return Trail().log(account, region, now, number, late=timedelta())


def begun(service: Service, *queues: str, now: datetime) -> None:
    """The jobs of B and of Z, which wants every account, with a log in each of four shards."""
    service.configure({"hints": {"queues": list(queues)}})
    for name in ("account-b", "account-z"):
        service.job(name, {"every": "1h"})
    service.deliver(
        *(log(now - timedelta(hours=1), 0, account, region) for account in (B, C) for region in REGIONS[:2])
    )
    tick(service)


def tick(service: Service) -> None:
    """An ordinary tick of every job, since a daemon's first ones are minutes apart."""
    subprocess.run([PROGRAM, "tick", "--config", service.config], check=True, capture_output=True)


def odd(delivery: Delivery, text: str) -> Delivery:
    """The same log under a key with characters that shapes encode differently."""
    return replace(delivery, key=delivery.key.replace("Z_", f"Z_{text}"))


def test_every_shape_brings_its_object_and_none_does_harm(service: Service, mailbox: Mailbox, now: datetime) -> None:
    begun(service, mailbox.url, now=now)
    bucket = service.world.bucket
    places = [(account, region) for account in (B, C) for region in REGIONS[:3]]

    with service.running(mailbox.environment) as daemon:
        daemon.wait_for("tick.finished", job="account-b")
        messages = [*GARBAGE, *OTHERS, *TESTS, s3_event("another-bucket", "k"), s3_event(bucket, "no/such/folder")]
        wanted: list[str] = []
        for number, text in enumerate(["", "a b ", "+", "ü", "%2B", "&é+ %"]):
            for shape, place in zip(SHAPES.values(), places, strict=True):
                keys = service.deliver(odd(log(now, number, *place), text))
                wanted += keys
                messages += [shape(bucket, keys[0])] * 2
        wanted += service.deliver(log(now - timedelta(days=9), 1))
        messages.append(cloudtrail(bucket, wanted[-1]))
        many = service.deliver(*(log(now, 100 + number, C) for number in range(30)))
        messages += [s3_event(bucket, *many[:20]), by_sns(cloudtrail(bucket, *many[20:]))]
        random.Random(5).shuffle(messages)
        mailbox.send(messages)

        wait_until(lambda: {*wanted, *many} <= {*service.replica("account-z")}, what="all of Z's objects")
        of_b = {key for key in wanted if f"/{B}/" in key}
        wait_until(lambda: of_b <= {*service.replica("account-b")}, what="all of B's objects")
        wait_until(lambda: mailbox.depth() == 0, what="the end of all messages")
        counts = {
            word: daemon.metric(f'syncd_hints_total{{result="{word}"}}')
            for word in ("unreadable", "other", "test", "foreign", "dropped")
        }
        assert daemon.stopped() == 0

    assert counts == {
        "unreadable": len(GARBAGE),
        "other": len(OTHERS),
        "test": len(TESTS),
        "foreign": 2,
        "dropped": 0,
    }


def test_garbage_costs_no_request_and_false_hints_one_listing_each(
    service: Service, mailbox: Mailbox, now: datetime
) -> None:
    begun(service, mailbox.url, now=now)
    false = [log(now, number).key for number in range(3)] + [log(now, 1, B, REGIONS[4]).key]

    with service.running(mailbox.environment) as daemon:
        daemon.wait_for("tick.finished", job="account-b")
        service.server.forget_requests()
        mailbox.send((GARBAGE + OTHERS + TESTS) * 20 + [s3_event("another-bucket", key) for key in false])
        wait_until(lambda: mailbox.depth() == 0, what="the end of all messages")
        of_garbage = len(service.server.requests)
        mailbox.send([s3_event(service.world.bucket, *false)])
        daemon.wait_for("tick.finished", job="account-b", hinted=4)
        daemon.wait_for("tick.finished", job="account-z", hinted=4)
        assert daemon.stopped() == 0

    assert of_garbage == 0
    assert service.server.count("ListObjectsV2") == 4
    assert service.server.count("PutObject") == 0


def test_a_queue_that_cannot_be_had_stops_no_tick_and_comes_back(
    service: Service, mailbox: Mailbox, nobody: str, now: datetime
) -> None:
    gone = mailbox.url.replace("hints", "hits")
    begun(service, gone, now=now)
    service.job("account-b", {"every": "1s"})

    with service.running({**mailbox.environment, "AWS_ENDPOINT_URL_SQS": ""}) as daemon:
        daemon.wait_for("tick.finished", job="account-b")
        told = daemon.wait_for("hints.unavailable", queue=gone)
        daemon.wait_for("tick.finished", job="account-b", times=4)
        unavailable = daemon.metric("syncd_hint_queues_unavailable")
        page = daemon.get("/")[1]
        service.configure({"hints": {"queues": [mailbox.url, f"{nobody}/000000000000/hints"]}})
        lost = daemon.wait_for("hints.unavailable", reason="connection_failed")
        (key,) = service.deliver(log(now, 1, C))
        mailbox.send([s3_event(service.world.bucket, key)])
        wait_until(lambda: key in service.replica("account-z"), what="the object that a hint names")
        assert daemon.metric("syncd_hint_queues_unavailable") == 1
        assert daemon.stopped() == 0

    assert told["reason"] == "no_such_queue"
    assert "syncd.toml" in told["remedy"]
    assert lost["queue"] == f"{nobody}/000000000000/hints"
    assert len(daemon.told("hints.unavailable")) == 2
    assert unavailable == 1
    assert gone in page


def test_what_no_hint_names_comes_with_the_schedule(service: Service, mailbox: Mailbox, now: datetime) -> None:
    begun(service, mailbox.url, now=now)

    with service.running(mailbox.environment) as daemon:
        daemon.wait_for("tick.finished", job="account-b")
        lost = service.deliver(log(now, 1, C), log(now, 2, B, REGIONS[1]))
        (key,) = service.deliver(log(now, 3, B, REGIONS[0]))
        mailbox.send([s3_event(service.world.bucket, key)])
        wait_until(lambda: key in service.replica("account-z"), what="the object that a hint names")
        not_yet = {*lost} & {*service.replica("account-z")}
        assert daemon.stopped() == 0
    tick(service)

    assert not_yet == set()
    assert {*lost} <= {*service.replica("account-z")}
