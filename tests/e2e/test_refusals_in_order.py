"""Whatever is refused: job, reason, call, principal, resource, what was said, and the remedy come in this order, each once.

On a terminal, in the document of `--json` and in the log alike. Most of these were told once with a remedy of something else.
"""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest
from builders import ACCOUNTS, REGIONS, Trail, days_before
from faulty import DropConnection, Status, on
from faulty.faults import Action, Predicate
from program import Ran
from stage import Stage

from syncd.copy.workers.pool import OBJECTS_OUT

ROLE = "arn:aws:iam::111111111111:role/account-z"
USER = "arn:aws:iam::999999999999:user/syncd"
CONSUMER = "the consumer (999999999999, profile account-z of credentials file "
LISTED = "s3://example-trail/AWSLogs/"
WRITTEN = "s3://example-z-logs/AWSLogs/"
BEHIND = "Signature expired: 20261124T064500Z is now earlier than 20261124T075500Z (20261124T080000Z - 5 min.)"
SECRET = "The request signature we calculated does not match the signature you provided."
UNKNOWN = "The AWS Access Key Id you provided does not exist in our records."
ABORTED = "A conflicting conditional operation is currently in progress against this resource. Please try again."


class Case(NamedTuple):
    """What is refused, and the parts of the error that are told, in their order."""

    meets: Predicate
    action: Action
    reason: str
    parts: tuple[str, ...]
    """Call, principal, resource where the call has one, and what was said."""
    remedy: str
    """How it begins."""


def at_source(operation: str) -> Predicate:
    return on(operation, bucket="example-trail")


def at_destination(operation: str) -> Predicate:
    return on(operation, bucket="example-z-logs")


JOBS = {
    "the clock, by STS": Case(
        on("AssumeRole"),
        Status(403, "SignatureDoesNotMatch", BEHIND),
        "clock_skewed",
        ("AssumeRole by ", USER, ROLE, f"SignatureDoesNotMatch: {BEHIND}"),
        "this machine's clock is 1h15m behind that of STS: set this machine's clock by NTP",
    ),
    "the clock, by the first call of all": Case(
        on("GetCallerIdentity"),
        Status(403, "SignatureDoesNotMatch", BEHIND),
        "clock_skewed",
        ("GetCallerIdentity by ", CONSUMER, f"SignatureDoesNotMatch: {BEHIND}"),
        "this machine's clock is 1h15m behind that of STS: set this machine's clock by NTP",
    ),
    "the clock, by S3": Case(
        at_source("ListObjectsV2"),
        Status(403, "RequestTimeTooSkewed"),
        "clock_skewed",
        ("ListObjectsV2 by ", ROLE, LISTED, "RequestTimeTooSkewed: "),
        "set this machine's clock by NTP",
    ),
    "the secret": Case(
        on("GetCallerIdentity"),
        Status(403, "SignatureDoesNotMatch", SECRET),
        "wrong_secret_key",
        ("GetCallerIdentity by ", CONSUMER, f"SignatureDoesNotMatch: {SECRET}"),
        "correct the secret access key",
    ),
    "a key that S3 does not know": Case(
        at_source("ListObjectsV2"),
        Status(403, "InvalidAccessKeyId", UNKNOWN),
        "invalid_credentials",
        ("ListObjectsV2 by ", ROLE, LISTED, f"InvalidAccessKeyId: {UNKNOWN}"),
        "give the principal named here an access key that is valid",
    ),
    "a connection": Case(
        at_source("ListObjectsV2"),
        DropConnection(),
        "connection_failed",
        ("ListObjectsV2 by ", ROLE, LISTED),
        "check the network",
    ),
    "a bucket that was closed": Case(
        at_source("ListObjectsV2"),
        Status(403, "AllAccessDisabled", "All access to this object has been disabled"),
        "account_problem",
        ("ListObjectsV2 by ", ROLE, LISTED, "AllAccessDisabled: All access to this object has been disabled"),
        "check the bucket's name in the job",
    ),
}
OBJECTS = {
    "another writer": Case(
        at_destination("PutObject"),
        Status(409, "OperationAborted", ABORTED),
        "concurrent_write",
        ("PutObject by ", USER, WRITTEN, f"409 OperationAborted: {ABORTED}"),
        "nothing to do if it passes: a concurrent write of the same key was in progress",
    ),
    "a secret at the destination": Case(
        at_destination("PutObject"),
        Status(403, "SignatureDoesNotMatch", SECRET),
        "wrong_secret_key",
        ("PutObject by ", USER, WRITTEN, f"403 SignatureDoesNotMatch: {SECRET}"),
        "correct the secret access key",
    ),
}


@pytest.fixture
def stage(stage: Stage, now: datetime) -> Stage:
    """With one log at the source, and account Z's job."""
    stage.deliver([Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=20))])
    stage.job()
    return stage


def shown(ran: Ran) -> str:
    """What is told of the job below the table, unfolded."""
    return "account-z: " + " ".join(ran.stdout.partition("account-z: ")[2].split())


def logged(ran: Ran, event: str) -> Any:
    (found,) = [item for item in ran.logged if item["event"] == event]
    return found


def assert_in_order(text: str, *parts: str) -> None:
    """Each part once, after the one before it."""
    places = [text.find(part) for part in parts]
    assert -1 not in places, (text, parts)
    assert places == sorted(places), (text, parts)
    assert [part for part in parts if text.count(part) > 1] == [], text


@pytest.mark.parametrize("what", JOBS)
def test_what_ends_a_job_is_told_whole_on_the_terminal_and_in_the_log(stage: Stage, what: str) -> None:
    case = JOBS[what]
    stage.server.faults.add(case.meets, case.action)

    ran = stage.syncd("tick", COLUMNS="400")

    assert ran.code == 1
    assert_in_order(shown(ran), f"account-z: {case.reason}: ", *case.parts, f"→ {case.remedy}")
    event = logged(ran, "tick.failed")
    assert (event["job"], event["error"]["reason"]) == ("account-z", case.reason)
    assert_in_order(event["error"]["detail"], *case.parts)
    assert event["error"]["remedy"].startswith(case.remedy)
    assert stage.requests("PutObject") == 0


@pytest.mark.parametrize("what", ["the clock, by STS", "the clock, by S3"])
def test_a_wrong_clock_is_one_error_of_the_job_and_none_of_its_objects(stage: Stage, what: str) -> None:
    case = JOBS[what]
    stage.server.faults.add(case.meets, case.action)

    ran = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["outcome"], ran.job["failed_count"]) == (1, "failed", 0)
    assert ran.job["error"]["reason"] == "clock_skewed"
    assert_in_order(ran.job["error"]["detail"], *case.parts)
    assert ran.job["error"]["remedy"].startswith(case.remedy)


@pytest.mark.parametrize("what", OBJECTS)
def test_what_fails_an_object_is_told_whole_on_the_terminal_and_in_the_log(stage: Stage, what: str) -> None:
    case = OBJECTS[what]
    stage.server.faults.add(case.meets, case.action)

    ran = stage.syncd("tick", COLUMNS="400")

    assert ran.code == 3
    assert_in_order(shown(ran), f"account-z: {case.reason}: ", *case.parts, f"→ {case.remedy}")
    event = logged(ran, "object.failed")
    assert (event["job"], event["reason"]) == ("account-z", case.reason)
    assert_in_order(event["detail"], *case.parts)
    assert event["remedy"].startswith(case.remedy)


def test_what_fails_an_object_is_told_whole_in_the_document(stage: Stage) -> None:
    case = OBJECTS["another writer"]
    stage.server.faults.add(case.meets, case.action)

    ran = stage.syncd("tick", "--json")

    (failed,) = ran.job["failed"]
    assert failed["reason"] == case.reason
    assert_in_order(failed["detail"], *case.parts)


def test_a_write_that_met_another_is_made_by_the_next_tick(stage: Stage) -> None:
    case = OBJECTS["another writer"]
    fault = stage.server.faults.add(case.meets, case.action)
    stage.syncd("tick")
    stage.server.faults.remove(fault)

    ran = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["copied"]) == (0, 1)


@pytest.mark.parametrize("what", ["the clock, in the middle", "a secret at the destination"])
def test_what_befalls_every_request_ends_the_tick_with_one_error(stage: Stage, now: datetime, what: str) -> None:
    skewed = Status(403, "RequestTimeTooSkewed")
    cases = OBJECTS | {"the clock, in the middle": Case(at_source("GetObject"), skewed, "clock_skewed", (), "set this")}
    stage.deliver(Trail().span(ACCOUNTS[:2], REGIONS[:1], days_before(now, 3), logs=400))
    stage.server.faults.add(cases[what].meets, cases[what].action)

    ran = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["outcome"], ran.job["error"]["reason"]) == (1, "failed", cases[what].reason)
    assert ran.job["error"]["remedy"].startswith(cases[what].remedy)
    assert ran.job["failed_count"] <= OBJECTS_OUT
    assert ran.job["copied"] == 0


# `check` says the same of them


@pytest.mark.parametrize(
    ("what", "step"),
    [
        ("the clock, by STS", "assume-role"),
        ("the clock, by the first call of all", "identity"),
        ("the clock, by S3", "source-bucket"),
        ("the secret", "identity"),
        ("a key that S3 does not know", "source-bucket"),
        ("a bucket that was closed", "source-bucket"),
    ],
)
def test_a_check_says_the_same_of_it(stage: Stage, what: str, step: str) -> None:
    case = JOBS[what]
    stage.server.faults.add(case.meets, case.action)

    ran = stage.syncd("check", "--json")

    failed = [check for check in ran.job["checks"] if check["status"] == "failed"]
    assert [check["check"] for check in failed] == [step]
    assert failed[0]["remedy"].startswith(case.remedy)
    assert all(check["remedy"] for check in ran.job["checks"] if check["status"] == "warning")
