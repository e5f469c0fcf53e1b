"""Objects that cannot be copied: each is named with its reason, the others are copied, and it is tried again."""

from datetime import datetime, timedelta
from typing import Any

from builders import ACCOUNTS, REGIONS, Trail, days_before
from faulty import Status, on
from stage import Stage


def delivered(stage: Stage, now: datetime, *, logs: int = 10) -> list[str]:
    return stage.deliver(Trail().span(ACCOUNTS[:2], REGIONS[:2], days_before(now, 2), logs=logs))


def reasons(job: Any) -> dict[str, str]:
    return {failed["key"]: failed["reason"] for failed in job["failed"]}


def test_objects_that_fail_are_reported_with_their_reasons_and_the_others_are_copied(
    stage: Stage, now: datetime
) -> None:
    denied, busy, *others = delivered(stage, now)
    stage.job()
    stage.server.faults.add(on("GetObject", key=denied), Status(403, "AccessDenied", "Access Denied"))
    stage.server.faults.add(on("GetObject", key=busy), Status(503, "SlowDown", "Please reduce your request rate."))

    ran = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["outcome"], ran.job["failed_count"]) == (3, "partial", 2)
    assert reasons(ran.job) == {denied: "access_denied", busy: "slow_down"}
    assert all(denied in each["detail"] for each in ran.job["failed"] if each["key"] == denied)
    assert ran.job["copied"] == len(others)
    assert sorted(stage.replica()) == sorted(others)


def test_failed_objects_are_tried_again_by_the_next_tick_and_copied_once_healed(stage: Stage, now: datetime) -> None:
    denied, busy, *_ = delivered(stage, now)
    stage.job()
    for key, fault in ((denied, Status(403, "AccessDenied")), (busy, Status(500, "InternalError"))):
        stage.server.faults.add(on("GetObject", key=key), fault)
    first = stage.syncd("tick", "--json")
    stage.server.forget_requests()

    second = stage.syncd("tick", "--json")
    tried_again = {request.key for request in stage.server.requests if request.operation == "GetObject"}
    stage.server.faults.clear()
    healed = stage.syncd("tick", "--json")
    idle = stage.syncd("tick", "--json")

    assert [first.code, second.code, healed.code, idle.code] == [3, 3, 0, 0]
    assert reasons(second.job).keys() == tried_again == {denied, busy}
    assert (healed.job["copied"], healed.job["failed_count"], idle.job["copied"]) == (2, 0, 0)
    assert stage.replica() == stage.source()


def test_an_object_is_read_at_most_twelve_times_in_one_tick(stage: Stage, now: datetime) -> None:
    keys = delivered(stage, now)
    stage.job()
    stage.server.faults.add(on("GetObject", key=keys[0]), Status(503, "SlowDown"))

    stage.syncd("tick", "--json")

    gets = [request for request in stage.server.requests if (request.operation, request.key) == ("GetObject", keys[0])]
    assert 1 <= len(gets) <= 12


def test_a_refused_write_is_reported_and_names_the_destination(stage: Stage, now: datetime) -> None:
    keys = delivered(stage, now)
    stage.job()
    stage.server.faults.add(on("PutObject", key=keys[3]), Status(403, "AccessDenied", "Access Denied"))

    ran = stage.syncd("tick", "--json")

    (failed,) = ran.job["failed"]
    assert (ran.code, failed["key"], failed["reason"]) == (3, keys[3], "access_denied")
    assert f"s3://{stage.watched().name}/{keys[3]}" in failed["detail"]
    assert "PutObject" in failed["detail"]


def test_a_failed_object_holds_the_horizon_until_it_is_copied(stage: Stage, now: datetime) -> None:
    trail, stamp = Trail(), now.replace(second=0) - timedelta(hours=5)
    (early,) = stage.deliver([trail.log(ACCOUNTS[0], REGIONS[0], stamp)])
    stage.deliver(trail.log(ACCOUNTS[0], REGIONS[0], stamp + timedelta(hours=hour), hour) for hour in (1, 2, 3, 4))
    stage.job()
    stage.server.faults.add(on("GetObject", key=early), Status(403, "AccessDenied"))

    held = stage.syncd("tick", "--json")
    status = stage.syncd("status", "--json")
    stage.server.faults.clear()
    healed = stage.syncd("tick", "--json")

    assert held.job["complete_until"] < f"{stamp:%Y-%m-%dT%H:%M:%SZ}"
    assert status.code == 4
    assert early in status.stdout
    assert healed.job["complete_until"] > f"{now - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"


def test_so_many_refusals_with_nothing_copied_end_the_job(stage: Stage, now: datetime) -> None:
    delivered(stage, now, logs=120)
    stage.job()
    stage.server.faults.add("GetObject", Status(403, "AccessDenied", "Access Denied"))

    ran = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["outcome"], ran.job["error"]["reason"]) == (1, "failed", "access_denied")
    assert "GetObject" in ran.job["error"]["detail"]
    assert stage.requests("GetObject") <= 400


def test_lists_of_failed_objects_are_capped_and_counts_are_not(stage: Stage, now: datetime) -> None:
    keys = delivered(stage, now, logs=60)
    stage.job()
    first = stage.syncd("tick", "--json")
    failing = stage.deliver(Trail(seed=8).span(ACCOUNTS[:2], REGIONS[:2], days_before(now, 2), logs=40))
    stage.server.faults.add(
        lambda request: request.operation == "GetObject" and request.key in failing and request.key > min(failing),
        Status(404, "NoSuchKey"),
    )

    ran = stage.syncd("tick", "--json")

    assert first.job["copied"] == len(keys)
    assert (ran.code, ran.job["failed_count"], len(ran.job["failed"])) == (3, len(failing) - 1, 100)
    assert ran.job["is_capped"]


def test_archived_objects_are_counted_and_never_asked_for(stage: Stage, now: datetime) -> None:
    keys = delivered(stage, now)
    item = stage.server.get(stage.world.bucket, keys[0])
    stage.server.put(
        stage.world.bucket, keys[0], item.body, storage_class="GLACIER", last_modified=item.last_modified
    )
    stage.job()

    ran = stage.syncd("tick", "--json")

    assert ran.job["skipped"]["archived"] == 1
    assert ran.job["copied"] == len(keys) - 1
    assert not [each for each in stage.server.requests if each.operation == "GetObject" and each.key == keys[0]]


def test_one_failing_job_is_not_noticed_by_the_others(stage: Stage, now: datetime) -> None:
    keys = stage.deliver(Trail().span(ACCOUNTS[:1], REGIONS[:1], days_before(now, 1), logs=5))
    stage.job("account-b")
    stage.job("account-z", {"source.role.external_id": "another-id"})

    ran = stage.syncd("tick", "--json")

    outcomes = {job["job"]: job["outcome"] for job in ran.document["jobs"]}
    assert (ran.code, outcomes) == (3, {"account-b": "ok", "account-z": "failed"})
    assert sorted(stage.replica("account-b")) == sorted(keys)
