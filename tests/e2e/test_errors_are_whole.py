"""An error names the job, the call, the principal, the resource and the remedy, in that order, and each once."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from faulty import Status, on
from stage import Stage

ROLE = "arn:aws:iam::111111111111:role/account-z"
USER = "arn:aws:iam::999999999999:user/syncd"
SESSION = "arn:aws:sts::111111111111:assumed-role/account-z/syncd-account-z"
DENIAL = (
    "User: {} is not authorized to perform: {} on resource: {} because no identity-based policy allows the {} action"
)


@pytest.fixture
def stage(stage: Stage, now: datetime) -> Stage:
    """With one log at the source, and account Z's job."""
    stage.deliver([Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=20))])
    stage.job()
    return stage


def denied(stage: Stage, operation: str, principal: str, action: str, resource: str, **of: str) -> None:
    """AWS's own words for a denial, which repeat principal, action and resource."""
    message = DENIAL.format(principal, action, resource, action)
    stage.server.faults.add(on(operation, **of), Status(403, "AccessDenied", message))


def assert_in_order(text: str, *parts: str) -> None:
    """Each part once, after the one before it."""
    places = [text.find(part) for part in parts]
    assert -1 not in places, (text, parts)
    assert places == sorted(places), (text, parts)
    assert [part for part in parts if text.count(part) > 1] == [], text


def test_a_denied_role(stage: Stage) -> None:
    denied(stage, "AssumeRole", USER, "sts:AssumeRole", ROLE)

    ran = stage.syncd("tick")

    shown = " ".join(ran.stdout.partition("account-z: ")[2].split())
    call = "access_denied: AssumeRole by"
    assert_in_order(shown, call, USER, ROLE, "its trust policy names this principal", "`syncd check account-z`")
    assert "no identity-based policy allows" in shown


def test_a_denied_listing(stage: Stage) -> None:
    denied(stage, "ListObjectsV2", SESSION, "s3:ListBucket", "arn:aws:s3:::example-trail", bucket="example-trail")

    ran = stage.syncd("tick")

    shown = " ".join(ran.stdout.partition("account-z: ")[2].split())
    where = "s3://example-trail/AWSLogs/: AccessDenied"
    remedy = "`syncd check account-z` names the statement"
    assert_in_order(f"account-z: {shown}", "account-z: ", "ListObjectsV2 by ", ROLE, where, remedy)
    assert SESSION not in shown


def test_a_denied_object_is_told_with_its_remedy_in_the_report_and_in_the_log(stage: Stage) -> None:
    denied(stage, "GetObject", SESSION, "s3:GetObject", '"arn:aws:s3:::example-trail/x"', bucket="example-trail")

    ran = stage.syncd("tick")

    shown = " ".join(ran.stdout.partition("account-z: ")[2].split())
    remedy = "`syncd check account-z` names the statement"
    assert_in_order(f"account-z: {shown}", "account-z: ", "GetObject by ", ROLE, "s3://example-trail/AWSLogs/", remedy)
    event: Any = next(item for item in ran.logged if item["event"] == "object.failed")
    assert (event["job"], event["reason"]) == ("account-z", "access_denied")
    assert remedy in event["remedy"]


def test_what_kms_says_of_the_key_is_kept(stage: Stage) -> None:
    key = "arn:aws:kms:us-east-1:111111111111:key/1"
    denied(stage, "GetObject", SESSION, "kms:Decrypt", key, bucket="example-trail")

    ran = stage.syncd("tick", "--json")

    (failed,) = ran.job["failed"]
    assert failed["reason"] == "kms_access_denied"
    assert_in_order(failed["detail"], "GetObject by ", ROLE, "s3://example-trail/", "kms:Decrypt on", key)
