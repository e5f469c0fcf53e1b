"""`copy = "auto"`, where it is not known that the server is another than AWS's: found out once, kept, told, and given up."""

from datetime import datetime, timedelta

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from faulty import Status
from program import Ran
from stage import Stage

from syncd.cli.demo.world import ACCOUNT_Z, TRAIL_BUCKET

FIRST, NEXT = 12, 40


@pytest.fixture
def auto(stage: Stage) -> Stage:
    """The third party's job, to what AWS_ENDPOINT_URL names."""
    stage.job(changes={"endpoints": None})
    return stage


def share(stage: Stage, *, is_shared: bool) -> None:
    """The owner lets the consumer itself read the source, or does not any more."""
    stage.server.storage.buckets[TRAIL_BUCKET].shared_with = frozenset({ACCOUNT_Z} if is_shared else ())


def ticked(stage: Stage, now: datetime, count: int, *, minutes: int = 30) -> Ran:
    """Delivers so many logs, and ticks."""
    stamp = now - timedelta(minutes=minutes)
    stage.deliver(Trail().log(ACCOUNTS[2], REGIONS[0], stamp, number) for number in range(count))
    stage.server.forget_requests()
    ran = stage.syncd("tick", "--json", AWS_ENDPOINT_URL=stage.server.url)
    assert (ran.code, ran.job["outcome"], ran.job["copied"]) == (0, "ok", count), ran.stderr
    assert stage.replica() == stage.source()
    return ran


def status(stage: Stage) -> tuple[str, str]:
    """The mode in use, and why."""
    job = stage.syncd("status", "--json", AWS_ENDPOINT_URL=stage.server.url).job
    return job["mode"], job["mode_why"]


def test_where_the_consumer_may_read_the_source_s3_copies_and_that_is_tried_once(auto: Stage, now: datetime) -> None:
    share(auto, is_shared=True)

    first = ticked(auto, now, FIRST)
    tried = auto.operations()
    second = ticked(auto, now, NEXT, minutes=10)

    assert (first.job["mode"], second.job["mode"]) == ("server-side", "server-side")
    # The first is streamed and looked at, and a copy onto it is refused, and so looked into.
    assert (tried["CopyObject"], tried["GetObject"], tried["PutObject"]) == (FIRST, 3, 1)
    assert (auto.operations()["CopyObject"], auto.requests("GetObject", "PutObject")) == (NEXT, 0)
    copies = [request for request in auto.server.requests if request.operation == "CopyObject"]
    assert {copy.headers.get("x-amz-object-annotation-directive") for copy in copies} == {"EXCLUDE"}
    assert status(auto) == ("server-side", "CopyObject by the consumer works")
    assert [event["why"] for event in first.logged if event["event"] == "copy_mode.chosen"] == [
        "CopyObject by the consumer works"
    ]


def test_where_nobody_may_do_both_it_streams_and_says_who_was_refused(auto: Stage, now: datetime) -> None:
    first = ticked(auto, now, FIRST)
    ticked(auto, now, NEXT, minutes=10)

    mode, why = status(auto)
    assert (first.job["mode"], mode) == ("stream", "stream")
    assert f"CopyObject by arn:aws:iam::{ACCOUNT_Z}:user/syncd of s3://" in why
    assert "CopyObject by arn:aws:iam::111111111111:role/account-z of s3://" in why
    assert auto.requests("CopyObject") == 0


def test_what_is_refused_later_is_streamed_from_then_on(auto: Stage, now: datetime) -> None:
    share(auto, is_shared=True)
    ticked(auto, now, FIRST)
    share(auto, is_shared=False)

    refused = ticked(auto, now, NEXT, minutes=10)

    assert refused.job["mode"] == "stream"
    assert status(auto)[1].startswith("server-side copies are refused now: CopyObject by")


def test_one_object_that_cannot_be_had_is_no_verdict(auto: Stage, now: datetime) -> None:
    share(auto, is_shared=True)
    ticked(auto, now, FIRST)
    (key,) = auto.deliver([Trail().log(ACCOUNTS[2], REGIONS[0], now - timedelta(minutes=10), 99)])
    fault = auto.server.faults.add(
        lambda request: request.key == key and request.bucket != "", Status(404, "NoSuchKey")
    )

    failed = auto.syncd("tick", "--json", AWS_ENDPOINT_URL=auto.server.url)

    assert fault.hits
    assert [item["reason"] for item in failed.job["failed"]] == ["object_gone"]
    assert status(auto) == ("server-side", "CopyObject by the consumer works")
