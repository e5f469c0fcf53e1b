"""Keys of a job that change what its requests carry, and `check`, which names the one that would help."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from faulty import Request, Status
from stage import Stage

from syncd.cli.demo.world import ACCOUNT_A, ACCOUNT_Z

OWNER, SOURCE_OWNER = "x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"
ENCRYPTION = "x-amz-server-side-encryption"
ALIAS = "logs-metadata1234567890abcdef-s3alias"
ACCESS_POINT = f"arn:aws:s3:us-east-1:{ACCOUNT_A}:accesspoint/logs"


def delivered(stage: Stage, now: datetime, **changes: Any) -> None:
    stamp = now - timedelta(hours=2)
    stage.deliver(Trail().log(ACCOUNTS[0], REGIONS[0], stamp, number) for number in range(3))
    stage.job(changes={key.replace("__", "."): value for key, value in changes.items()})


def copied(stage: Stage) -> None:
    ran = stage.syncd("tick", "--json")
    assert (ran.code, ran.job["copied"]) == (0, 3), ran.job
    assert stage.replica() == stage.source()


def headers(stage: Stage, name: str, *operations: str) -> set[str | None]:
    """What the requests of these operations carry."""
    return {request.headers.get(name) for request in stage.server.requests if request.operation in operations}


def failed(stage: Stage) -> dict[str, str]:
    """The remedies of the failed steps of `check`, by step."""
    ran = stage.syncd("check", "--json")
    found = {check["check"]: check["remedy"] for check in ran.job["checks"] if check["status"] == "failed"}
    assert ran.code == (4 if found else 0)
    return found


def refuse(stage: Stage, is_meant: Callable[[Request], bool], status: int, code: str) -> None:
    stage.server.faults.add(is_meant, Status(status, code, "A refusal of the test"))


# Encryption


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"encryption": "AES256"}, {"": "AES256"}),
        ({"encryption": "aws:kms", "bucket_key": True}, {"": "aws:kms", "-bucket-key-enabled": "true"}),
        (
            {"encryption": "aws:kms:dsse", "kms_key_id": "alias/logs"},
            {"": "aws:kms:dsse", "-aws-kms-key-id": "alias/logs", "-bucket-key-enabled": None},
        ),
        ({"kms_key_id": "alias/logs", "bucket_key": False}, {"": "aws:kms", "-bucket-key-enabled": "false"}),
    ],
)
def test_writes_ask_for_the_encryption_of_the_job(
    stage: Stage, now: datetime, changes: dict[str, Any], expected: dict[str, str | None]
) -> None:
    delivered(stage, now, **{f"destination.{key}": value for key, value in changes.items()})

    stage.syncd("tick", "--json")

    for name, value in expected.items():
        assert headers(stage, ENCRYPTION + name, "PutObject") == {value}


@pytest.mark.parametrize("encryption", ["AES256", "aws:kms", "aws:kms:dsse"])
def test_an_encryption_that_the_bucket_policy_requires_is_named(stage: Stage, now: datetime, encryption: str) -> None:
    refuse(
        stage,
        lambda request: request.operation == "PutObject" and request.headers.get(ENCRYPTION) != encryption,
        403,
        "AccessDenied",
    )
    delivered(stage, now)

    remedies = failed(stage)
    stage.job(changes={"destination.encryption": encryption})

    assert list(remedies) == ["destination-write"]
    assert f'set destination.encryption = "{encryption}" in the job' in remedies["destination-write"]
    assert failed(stage) == {}
    copied(stage)


def test_an_acl_that_the_bucket_policy_requires_is_named(stage: Stage, now: datetime) -> None:
    refuse(
        stage,
        lambda request: request.operation == "PutObject" and "x-amz-acl" not in request.headers,
        403,
        "AccessDenied",
    )
    delivered(stage, now)

    assert 'set destination.acl = "bucket-owner-full-control"' in failed(stage)["destination-write"]


def test_a_write_that_no_key_helps_is_a_matter_of_policies(stage: Stage, now: datetime) -> None:
    refuse(stage, lambda request: request.operation == "PutObject", 403, "AccessDenied")
    delivered(stage, now)

    remedy = failed(stage)["destination-write"]

    assert "s3:PutObject" in remedy
    assert "destination.encryption" not in remedy


# The payload


@pytest.mark.parametrize("code", ["InvalidDigest", "XAmzContentSHA256Mismatch", "NotImplemented"])
def test_a_server_that_refuses_unsigned_payloads_is_told_from_one_that_checks_digests(
    stage: Stage, now: datetime, code: str
) -> None:
    refuse(
        stage,
        lambda request: bool(request.body) and request.headers.get("x-amz-content-sha256") == "UNSIGNED-PAYLOAD",
        400,
        code,
    )
    delivered(stage, now)

    remedies = failed(stage)
    stage.job(changes={"endpoints.payload": "signed"})

    assert list(remedies) == ["destination-write"]
    assert 'set endpoints.payload = "signed" in the job' in remedies["destination-write"]
    assert failed(stage) == {}
    stage.server.forget_requests()
    copied(stage)
    (sums,) = [headers(stage, "x-amz-content-sha256", "PutObject")]
    assert all(text is not None and len(text) == 64 for text in sums)


def test_a_server_with_another_word_for_a_wrong_digest_is_no_failure(stage: Stage, now: datetime) -> None:
    refuse(
        stage, lambda request: request.operation == "PutObject" and "/syncd-check-" in request.key, 400, "InvalidDigest"
    )
    delivered(stage, now)

    assert failed(stage) == {}


def test_a_403_that_is_no_denial_asks_for_no_permission(stage: Stage, now: datetime) -> None:
    refuse(stage, lambda request: request.operation == "PutObject", 403, "QuotaExceeded")
    delivered(stage, now)

    remedy = failed(stage)["destination-write"]
    ran = stage.syncd("tick", "--json")

    assert "s3:PutObject" not in remedy
    assert {item["reason"] for item in ran.job["failed"]} == {"unexpected_answer"}


# Owners


@pytest.mark.parametrize(("value", "expected"), [("off", None), ("tenant$user", "tenant$user")])
def test_the_owner_that_is_expected_is_the_one_that_the_server_knows(
    stage: Stage, now: datetime, value: str, expected: str | None
) -> None:
    """Without the key the server refuses: it knows no account IDs."""
    refuse(
        stage,
        lambda request: request.bucket != "" and request.headers.get(OWNER) in (ACCOUNT_A, ACCOUNT_Z),
        403,
        "AccessDenied",
    )
    delivered(stage, now)
    remedies = failed(stage)
    stage.job(changes={"endpoints.bucket_owner": value})
    stage.server.forget_requests()
    stage.syncd("tick", "--json")

    assert {"source-bucket", "destination-bucket"} <= remedies.keys()
    assert all("endpoints.bucket_owner" in remedies[step] for step in ("source-bucket", "destination-bucket"))
    assert headers(stage, OWNER, "ListObjectsV2", "GetObject", "PutObject") == {expected}
    assert stage.world.bucket in {request.bucket for request in stage.server.requests}


def test_a_server_that_does_not_know_the_header_is_told_as_that(stage: Stage, now: datetime) -> None:
    refuse(stage, lambda request: OWNER in request.headers, 400, "InvalidArgument")
    delivered(stage, now)

    remedies = failed(stage)
    stage.job(changes={"endpoints.bucket_owner": "off"})

    assert '"off"' in remedies["source-bucket"]
    assert failed(stage) == {}
    copied(stage)


def test_a_server_side_copy_expects_the_same_owner_of_the_source(stage: Stage, now: datetime) -> None:
    stage.server.storage.buckets[stage.world.bucket].shared_with = frozenset({ACCOUNT_Z})
    delivered(
        stage,
        now,
        destination__copy="server-side",
        destination__signer="consumer",
        endpoints__bucket_owner="off",
        source__request_payer="requester",
    )

    copied(stage)

    assert headers(stage, SOURCE_OWNER, "CopyObject") == {None}
    assert headers(stage, "x-amz-request-payer", "CopyObject") == {"requester"}


# The requester pays


@pytest.mark.parametrize("value", ["requester", True])
def test_the_caller_pays_for_requests_to_the_source(stage: Stage, now: datetime, value: object) -> None:
    payer = "x-amz-request-payer"
    refuse(
        stage,
        lambda request: request.bucket == stage.world.bucket and payer not in request.headers,
        403,
        "AccessDenied",
    )
    delivered(stage, now)

    remedies = failed(stage)
    stage.job(changes={"source.request_payer": value})

    assert 'set source.request_payer = "requester" in the job' in remedies["source-list"]
    assert failed(stage) == {}
    stage.server.forget_requests()
    copied(stage)
    assert headers(stage, payer, "GetObject") == {"requester"}
    assert headers(stage, payer, "PutObject") == {None}


# The role's session


def test_the_session_carries_an_identity_and_tags(stage: Stage, now: datetime) -> None:
    delivered(stage, now, source__role__source_identity="alice@example.com", source__role__tags={"team": "security"})

    copied(stage)
    checked = stage.syncd("check", "--json")
    printed = json.loads(stage.syncd("policies", "account-z", "--json").stdout)

    forms = [request.form for request in stage.server.requests if request.operation == "AssumeRole"]
    assert checked.code == 0
    assert len(forms) >= 4
    for form in forms:
        assert form["SourceIdentity"] == "alice@example.com"
        assert (form["Tags.member.1.Key"], form["Tags.member.1.Value"]) == ("team", "security")
    actions = [
        statement["Action"]
        for document in printed["documents"]
        for statement in document["document"]["Statement"]
        if "sts:AssumeRole" in statement["Action"]
    ]
    assert actions == [["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]] * 2


# Access points and partitions


@pytest.mark.parametrize("bucket", [ALIAS, ACCESS_POINT])
def test_an_access_point_is_read_like_a_bucket(stage: Stage, now: datetime, bucket: str) -> None:
    behind = stage.server.storage.buckets[stage.world.bucket]
    stage.server.storage.buckets[bucket] = behind
    delivered(stage, now, source__bucket=bucket)

    copied(stage)
    printed = stage.syncd("policies", "account-z", "--json").stdout
    (policy,) = {request.form["Policy"] for request in stage.server.requests if request.operation == "AssumeRole"}

    point = ACCESS_POINT if bucket == ACCESS_POINT else "arn:aws:s3:us-east-1:*:accesspoint/*"
    assert f'"{point}"' in policy
    assert f'"{point}/object/AWSLogs/' in policy
    assert f"{point}/object/AWSLogs/" in printed


def test_a_server_side_copy_names_an_access_point_by_its_arn(stage: Stage, now: datetime) -> None:
    delivered(stage, now, source__bucket=ACCESS_POINT, destination__copy="server-side", destination__signer="consumer")
    stage.server.storage.buckets[ACCESS_POINT] = stage.server.storage.buckets[stage.world.bucket]

    stage.syncd("tick", "--json")

    (source, *_) = headers(stage, "x-amz-copy-source", "CopyObject")
    assert str(source).startswith(f"{ACCESS_POINT}/object/AWSLogs/")


@pytest.mark.parametrize(
    ("partition", "region"),
    [("aws-eusc", "eusc-de-east-1"), ("aws-iso-b", "us-isob-east-1"), ("aws-cn", "cn-north-1")],
)
def test_any_partition_that_botocore_knows_is_known(stage: Stage, now: datetime, partition: str, region: str) -> None:
    role = f"arn:{partition}:iam::{ACCOUNT_A}:role/account-z"
    delivered(
        stage,
        now,
        endpoints=None,
        source__region=region,
        destination__region=region,
        source__role__arn=role,
    )

    validated = stage.syncd("config", "validate")
    printed = stage.syncd("policies", "account-z", "--json").stdout

    assert validated.code == 0, validated
    assert f"arn:{partition}:s3:::{stage.world.bucket}" in printed
    assert "arn:aws:" not in printed
