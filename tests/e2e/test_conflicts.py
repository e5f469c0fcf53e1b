"""Nothing at the destination is ever overwritten: what is there is compared, and other content is said loudly."""

from datetime import datetime, timedelta

import pytest
from builders import ACCOUNTS, REGIONS, Delivery, Trail
from stage import Stage


def within_the_tail(now: datetime) -> list[Delivery]:
    """Six logs, 55 to 5 minutes old: each tick lists them all."""
    return [Trail().log(ACCOUNTS[0], REGIONS[0], stamp_of(now, number), number) for number in range(6)]


def stamp_of(now: datetime, number: int) -> datetime:
    return now.replace(second=0) - timedelta(minutes=55 - 10 * number)


def z(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def reads(stage: Stage, key: str) -> int:
    return sum(
        1
        for request in stage.server.requests
        if request.key == key and request.operation in ("GetObject", "PutObject", "HeadObject")
    )


@pytest.mark.parametrize("other", [b"other content", b"x"], ids=["of another length", "short"])
def test_other_content_at_the_destination_is_a_conflict_in_the_tick_that_finds_it_only(
    stage: Stage, now: datetime, other: bytes
) -> None:
    first, second, *_ = stage.deliver(within_the_tail(now))
    stage.server.put(stage.watched().name, second, other)
    stage.job()

    finding = stage.syncd("tick", "--json")
    stage.server.forget_requests()
    later = stage.syncd("tick", "--json")
    read_later = reads(stage, second)
    latest = stage.syncd("tick", "--json")

    assert (finding.code, finding.job["outcome"]) == (3, "partial")
    assert [conflict["key"] for conflict in finding.job["conflicts"]] == [second]
    assert finding.job["conflicts"][0]["detail"]
    assert [later.code, latest.code] == [0, 0]
    assert (later.job["conflicts"], read_later) == ([], 0)
    assert stage.server.get(stage.watched().name, second).body == other
    assert stage.server.get(stage.watched().name, first).body != other
    assert finding.job["copied"] == 5


def test_other_content_of_the_same_length_is_a_conflict_too(stage: Stage, now: datetime) -> None:
    deliveries = within_the_tail(now)
    stage.deliver(deliveries)
    other = bytes(reversed(deliveries[1].body))
    stage.job()
    stage.syncd("tick", "--json")
    stage.server.put(stage.world.bucket, deliveries[1].key, other, last_modified=now)

    ran = stage.syncd("tick", "--json")

    assert ran.code == 3
    assert [conflict["key"] for conflict in ran.job["conflicts"]] == [deliveries[1].key]
    assert stage.server.get(stage.watched().name, deliveries[1].key).body == deliveries[1].body


def test_a_conflict_holds_the_horizon_and_later_ticks_do_not_pass_it(stage: Stage, now: datetime) -> None:
    deliveries = within_the_tail(now)
    stage.deliver(deliveries)
    held_at = z(stamp_of(now, 1))
    stage.server.put(stage.watched().name, deliveries[1].key, b"other content")
    stage.job()

    ticks = [stage.syncd("tick", "--json") for _ in range(3)]
    status = stage.syncd("status", "--json")

    assert all(tick.job["complete_until"] < held_at for tick in ticks)
    assert (status.code, status.job["quarantine"]["conflicts"]) == (4, 1)
    assert deliveries[1].key in str(status.job["why"])


def test_a_conflict_is_read_again_once_the_source_changes_again(stage: Stage, now: datetime) -> None:
    deliveries = within_the_tail(now)
    stage.deliver(deliveries)
    key = deliveries[1].key
    stage.server.put(stage.watched().name, key, b"first content")
    stage.job()
    stage.syncd("tick", "--json")
    stage.server.put(stage.world.bucket, key, b"first content", last_modified=now)

    ran = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["conflicts"]) == (0, [])
    assert ran.job["already_there"] == 1
    assert stage.server.get(stage.watched().name, key).body == b"first content"
    assert ran.job["complete_until"] > z(stamp_of(now, 1))


def test_re_encryption_that_changes_only_the_etag_is_read_once_and_is_no_conflict(stage: Stage, now: datetime) -> None:
    deliveries = within_the_tail(now)
    stage.deliver(deliveries)
    stage.job()
    stage.syncd("tick", "--json")
    stage.server.put(
        stage.world.bucket, deliveries[0].key, deliveries[0].body, etag="0123456789abcdef", last_modified=now
    )
    stage.server.forget_requests()

    ran = stage.syncd("tick", "--json")
    source_reads = [request for request in stage.server.requests if request.operation == "GetObject"]
    stage.server.forget_requests()
    later = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["conflicts"], ran.job["copied"]) == (0, [], 0)
    assert [request.key for request in source_reads if request.bucket == stage.world.bucket] == [deliveries[0].key]
    assert later.code == 0
    assert reads(stage, deliveries[0].key) == 0
    assert stage.watched().destroyed == []


def test_the_same_content_put_there_by_others_is_already_there(stage: Stage, now: datetime) -> None:
    deliveries = within_the_tail(now)
    stage.deliver(deliveries)
    for delivery in deliveries[:3]:
        stage.server.put(stage.watched().name, delivery.key, delivery.body)
    stage.job()

    ran = stage.syncd("tick", "--json")
    idle = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["copied"], ran.job["conflicts"]) == (0, 3, [])
    assert (idle.code, idle.job["copied"]) == (0, 0)
    assert stage.watched().destroyed == []


def test_an_object_that_the_source_deletes_stays_at_the_destination(stage: Stage, now: datetime) -> None:
    keys = stage.deliver(within_the_tail(now))
    stage.job()
    stage.syncd("tick", "--json")
    stage.server.delete(stage.world.bucket, keys[0])

    ran = stage.syncd("tick", "--json")

    assert ran.code == 0
    assert keys[0] in stage.replica()
    assert stage.watched().destroyed == []
