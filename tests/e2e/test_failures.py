"""Objects that cannot be copied: each is named with its reason, the others are copied, and it is tried again."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from builders import ACCOUNTS, REGIONS, Trail, days_before
from faulty import Call, CorruptBody, DropConnection, Request, ShortBody, Status, WrongChecksum, on
from faulty.faults import Action
from stage import Stage

from syncd.copy.workers.pool import OBJECTS_OUT
from syncd.tick.recorder import REFUSED_IN_A_ROW

KMS_MESSAGE = "User is not authorized to perform: kms:Decrypt on this resource"


def delivered(stage: Stage, now: datetime, *, logs: int = 10, checksum_algorithm: str | None = None) -> list[str]:
    deliveries = Trail().span(ACCOUNTS[:2], REGIONS[:2], days_before(now, 2), logs=logs)
    return stage.deliver(deliveries, checksum_algorithm=checksum_algorithm)


def reasons(job: Any) -> dict[str, str]:
    return {failed["key"]: failed["reason"] for failed in job["failed"]}


FAULTS: dict[str, tuple[Action, ...]] = {
    "access_denied": (Status(403, "AccessDenied", "Access Denied"),),
    "kms_access_denied": (Status(403, "AccessDenied", KMS_MESSAGE), Status(400, "KMS.AccessDeniedException")),
    "kms_key_disabled": (Status(400, "KMS.DisabledException"),),
    "kms_key_pending_deletion": (Status(400, "KMS.KMSInvalidStateException", "arn:... is pending deletion."),),
    "kms_key_not_found": (Status(400, "KMS.NotFoundException"),),
    "object_gone": (Status(404, "NoSuchKey"),),
    "archived": (Status(403, "InvalidObjectState"),),
    "slow_down": (Status(503, "SlowDown", "Please reduce your request rate."),),
    "server_error": (Status(500, "InternalError"),),
    "connection_failed": (DropConnection(), ShortBody(3)),
    "checksum_mismatch": (CorruptBody(), WrongChecksum()),
    "unexpected_answer": (Status(418, "IAmATeapot"),),
}


def test_objects_that_fail_are_reported_with_their_reasons_and_the_others_are_copied(
    stage: Stage, now: datetime
) -> None:
    keys = delivered(stage, now, checksum_algorithm="sha256")
    expected = {}
    for (reason, fault), key in zip(((name, each) for name in FAULTS for each in FAULTS[name]), keys, strict=False):
        stage.server.faults.add(on("GetObject", key=key), fault)
        expected[key] = reason
    stage.job()

    ran = stage.syncd("tick", "--json")

    others = [key for key in keys if key not in expected]
    assert (ran.code, ran.job["outcome"], ran.job["failed_count"]) == (3, "partial", len(expected))
    assert reasons(ran.job) == expected
    assert all(f"{stage.world.bucket}/{each['key']}" in each["detail"] for each in ran.job["failed"])
    assert ran.job["copied"] == len(others)
    assert sorted(stage.replica()) == sorted(others)
    assert max(Counter(each.key for each in stage.server.requests if each.operation == "GetObject").values()) <= 12


def test_failed_objects_are_tried_again_by_the_next_tick_and_copied_once_healed(stage: Stage, now: datetime) -> None:
    denied, locked, *_ = delivered(stage, now)
    stage.job()
    for key, fault in ((denied, Status(403, "AccessDenied")), (locked, Status(400, "KMS.DisabledException"))):
        stage.server.faults.add(on("GetObject", key=key), fault)
    first = stage.syncd("tick", "--json")
    stage.server.forget_requests()

    second = stage.syncd("tick", "--json")
    tried_again = {request.key for request in stage.server.requests if request.operation == "GetObject"}
    stage.server.faults.clear()
    healed = stage.syncd("tick", "--json")
    idle = stage.syncd("tick", "--json")

    assert [first.code, second.code, healed.code, idle.code] == [3, 3, 0, 0]
    assert reasons(second.job).keys() == tried_again == {denied, locked}
    assert (healed.job["copied"], healed.job["failed_count"], idle.job["copied"]) == (2, 0, 0)
    assert stage.replica() == stage.source()


def test_an_object_that_vanishes_between_listing_and_reading_is_reported_once(stage: Stage, now: datetime) -> None:
    gone, *others = delivered(stage, now)
    stage.job()
    stage.server.faults.add(on("GetObject", key=gone), Status(404, "NoSuchKey", "The specified key does not exist."))

    finding = stage.syncd("tick", "--json")
    stage.server.delete(stage.world.bucket, gone)
    later = stage.syncd("tick", "--json")

    assert (finding.code, reasons(finding.job), finding.job["copied"]) == (3, {gone: "object_gone"}, len(others))
    assert (later.code, later.job["failed_count"]) == (0, 0)


def test_an_object_that_changes_between_listing_and_reading_is_copied_as_the_next_tick_lists_it(
    stage: Stage, now: datetime
) -> None:
    (key,) = stage.deliver([Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=20))])
    stage.job()

    def change(_: Request) -> None:
        stage.server.put(stage.world.bucket, key, b"changed", last_modified=now)

    stage.server.faults.add(on("GetObject", key=key), Call(change), times=1)

    first = stage.syncd("tick", "--json")
    second = stage.syncd("tick", "--json")

    assert (first.code, reasons(first.job)) == (3, {key: "object_changed"})
    assert (second.code, second.job["copied"]) == (0, 1)
    assert stage.replica() == stage.source()


@pytest.mark.parametrize("days", [1, 20], ids=["yesterday's", "older than the ticks list each time"])
@pytest.mark.parametrize("becomes", ["other", "gone"])
def test_what_changed_while_it_was_read_is_looked_up_by_the_next_tick_wherever_it_lies(
    stage: Stage, now: datetime, days: int, becomes: str
) -> None:
    trail = Trail()
    (key, _) = stage.deliver(
        [
            trail.log(ACCOUNTS[0], REGIONS[0], now - timedelta(days=days)),
            trail.log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=20)),
        ]
    )
    stage.job()

    def change(_: Request) -> None:
        stage.server.put(stage.world.bucket, key, b"changed", last_modified=now)

    stage.server.faults.add(on("GetObject", key=key), Call(change), times=1)

    first = stage.syncd("tick", "--json")
    if becomes == "gone":
        stage.server.delete(stage.world.bucket, key)
    second = stage.syncd("tick", "--json")
    third = stage.syncd("tick", "--json")

    assert (first.code, reasons(first.job)) == (3, {key: "object_changed"})
    if becomes == "gone":
        assert (second.code, reasons(second.job)) == (3, {key: "object_gone"})
    else:
        assert (second.code, second.job["copied"]) == (0, 1)
    assert (third.code, third.job["copied"], third.job["failed_count"]) == (0, 0, 0)
    assert stage.replica() == stage.source()


def test_that_everything_failed_once_is_no_empty_source(stage: Stage, now: datetime) -> None:
    keys = stage.deliver(Trail().span(ACCOUNTS[:1], REGIONS[:1], days_before(now, 2), logs=40))
    stage.job()
    outage = stage.server.faults.add("GetObject", Status(500, "InternalError"))

    failed = stage.syncd("tick", "--json")
    stage.server.faults.remove(outage)
    healed = stage.syncd("tick", "--json")

    assert failed.job["failed_count"] == len(keys)
    assert (healed.code, healed.job["error"], healed.job["copied"]) == (0, None, len(keys))


def test_a_page_that_cannot_be_had_fails_the_job_and_moves_no_cursor(stage: Stage, now: datetime) -> None:
    keys = stage.deliver(Trail().span(ACCOUNTS[:1], REGIONS[:1], days_before(now, 5), logs=250))
    stage.job()
    fault = stage.server.faults.add(lambda request: "continuation-token" in request.query, Status(403, "AccessDenied"))

    failed = stage.syncd("tick", "--json")
    stage.server.faults.remove(fault)
    healed = stage.syncd("tick", "--json")

    assert (failed.code, failed.job["error"]["reason"]) == (1, "access_denied")
    assert failed.job["complete_until"] is None
    assert (healed.code, failed.job["copied"] + healed.job["copied"]) == (0, len(keys))
    assert stage.replica() == stage.source()
    assert set(stage.watched().writes.values()) == {1}


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
    # The last of the denials in a row is learnt of while others are out, and then the newest get a chance.
    assert stage.requests("GetObject") < REFUSED_IN_A_ROW + OBJECTS_OUT + REFUSED_IN_A_ROW


def test_lists_of_failed_objects_are_capped_and_counts_are_not(stage: Stage, now: datetime) -> None:
    keys = delivered(stage, now, logs=60)
    stage.job()
    stage.server.faults.add("GetObject", Status(404, "NoSuchKey"))

    ran = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["failed_count"], len(ran.job["failed"])) == (3, len(keys), 100)
    assert ran.job["is_capped"]


def test_archived_objects_are_counted_and_never_asked_for(stage: Stage, now: datetime) -> None:
    keys = delivered(stage, now)
    item = stage.server.get(stage.world.bucket, keys[0])
    stage.server.put(stage.world.bucket, keys[0], item.body, storage_class="GLACIER", last_modified=item.last_modified)
    stage.job()

    ran = stage.syncd("tick", "--json")
    again = stage.syncd("tick", "--json")
    (listed,) = stage.syncd("ledger", "quarantine", "list", "--json").job["objects"]
    in_words = stage.syncd("ledger", "quarantine", "list").stdout

    assert ran.job["skipped"]["archived"] == 1
    assert ran.job["copied"] == len(keys) - 1
    (event,) = [line for line in ran.logged if line["event"] == "object.archived"]
    assert (event["key"], event["level"]) == (keys[0], "warning")
    assert f"`syncd ledger quarantine retry {keys[0]} --job account-z`" in event["remedy"]
    assert "object.archived" not in {line["event"] for line in again.logged}
    assert (listed["reason"], listed["next_at"]) == ("archived", None)
    assert "not tried again by itself" in in_words
    assert not [each for each in stage.server.requests if each.operation == "GetObject" and each.key == keys[0]]


def test_one_failing_job_is_not_noticed_by_the_others(stage: Stage, now: datetime) -> None:
    keys = stage.deliver(Trail().span(ACCOUNTS[:1], REGIONS[:1], days_before(now, 1), logs=5))
    stage.job("account-b")
    stage.job("account-z", {"source.role.external_id": "another-id"})

    ran = stage.syncd("tick", "--json")

    outcomes = {job["job"]: job["outcome"] for job in ran.document["jobs"]}
    assert (ran.code, outcomes) == (3, {"account-b": "ok", "account-z": "failed"})
    assert sorted(stage.replica("account-b")) == sorted(keys)
