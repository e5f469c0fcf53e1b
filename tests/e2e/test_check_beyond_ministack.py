"""What MiniStack cannot show: owners, regions, KMS, archives, session durations; and servers that check no digests."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import ACCOUNTS, REGIONS, Trail, changed, toml
from faulty import FaultyS3, Status, on
from faulty.faults import Predicate
from place import Place, refusal
from program import Ran, running
from stage import Stage

from syncd.job.exit_codes import UNHEALTHY

KMS_DENIED = (
    "User: {} is not authorized to perform: {} on resource: arn:aws:kms:us-east-1:111111111111:key/1 "
    "because no resource-based policy allows the {} action"
)


@pytest.fixture
def stage(stage: Stage, now: datetime) -> Stage:
    """With two logs at the source."""
    trail = Trail()
    stage.deliver([trail.log(ACCOUNTS[0], REGIONS[0], now - timedelta(hours=hours)) for hours in (1, 30)])
    return stage


def step(ran: Ran, name: str) -> Any:
    """One step of the only job."""
    (found,) = [check for check in ran.job["checks"] if check["check"] == name]
    return found


def failed(ran: Ran) -> list[str]:
    return [check["check"] for check in ran.job["checks"] if check["status"] == "failed"]


@pytest.mark.parametrize("side", ["source", "destination"])
def test_another_region_is_told_with_the_right_one(stage: Stage, side: str) -> None:
    stage.job(changes={f"{side}.region": "eu-west-1"})

    ran = stage.syncd("check", "--json")

    assert ran.code == UNHEALTHY
    assert failed(ran) == [f"{side}-region"]
    assert step(ran, f"{side}-region")["remedy"] == f'set {side}.region = "us-east-1" in the job'


@pytest.mark.parametrize(("side", "shared_with"), [("source", "111111111111"), ("destination", "999999999999")])
def test_a_bucket_of_another_owner_is_told_although_it_could_be_used(stage: Stage, side: str, shared_with: str) -> None:
    stage.server.create_bucket("sniped", account_id="444444444444").shared_with = frozenset({shared_with})
    stage.job(changes={f"{side}.bucket": "sniped"})

    ran = stage.syncd("check", "--json")

    assert failed(ran) == [f"{side}-bucket"]
    assert "does not belong to account" in step(ran, f"{side}-bucket")["detail"]
    assert "another account owns this bucket" in step(ran, f"{side}-bucket")["remedy"]


def test_logs_that_the_role_may_not_decrypt_are_told_with_the_key_statement(stage: Stage) -> None:
    role = stage.world.consumer("account-z").role_arn
    message = KMS_DENIED.format(role, "kms:Decrypt", "kms:Decrypt")
    stage.server.faults.add(on("GetObject", bucket=stage.world.bucket), Status(403, "AccessDenied", message))
    stage.job()

    ran = stage.syncd("check", "--json")

    assert failed(ran) == ["source-kms"]
    remedy = step(ran, "source-kms")["remedy"]
    assert remedy.startswith("in account 111111111111, to the key policy of the KMS key of the logs, add: ")
    assert f'"Principal":{{"AWS":"{role}"}}' in remedy


@pytest.mark.parametrize("key", [None, "alias/replicas"])
def test_replicas_that_the_consumer_may_not_encrypt_are_told_with_the_statement(stage: Stage, key: str | None) -> None:
    message = KMS_DENIED.format("arn:aws:iam::999999999999:user/syncd", "kms:GenerateDataKey", "kms:GenerateDataKey")
    stage.server.faults.add(on("PutObject", bucket="example-z-logs"), Status(403, "AccessDenied", message))
    stage.job(changes={"destination.kms_key_id": key})

    ran = stage.syncd("check", "--json")

    assert failed(ran) == ["destination-write"]
    assert '"Action":["kms:GenerateDataKey","kms:Decrypt"]' in step(ran, "destination-write")["remedy"]


def test_logs_whose_key_is_disabled_are_told_with_the_key_and_not_with_a_statement(stage: Stage) -> None:
    message = "arn:aws:kms:us-east-1:111111111111:key/1 is disabled."
    stage.server.faults.add(on("GetObject", bucket=stage.world.bucket), Status(400, "KMS.DisabledException", message))
    stage.job()

    ran = stage.syncd("check", "--json")

    assert failed(ran) == ["source-kms"]
    assert "a key that is disabled" in step(ran, "source-kms")["remedy"]


def test_replicas_whose_key_is_disabled_are_told_so_where_the_job_names_no_key(stage: Stage) -> None:
    stage.server.faults.add(on("PutObject", bucket="example-z-logs"), Status(400, "KMS.DisabledException", "disabled"))
    stage.job()

    ran = stage.syncd("check", "--json")

    assert failed(ran) == ["destination-write"]
    assert "a key that is disabled" in step(ran, "destination-write")["remedy"]


def test_a_bucket_that_answers_only_that_it_is_asked_too_often_is_not_told_to_be_there(stage: Stage) -> None:
    stage.server.faults.add(on("ListObjectsV2", bucket=stage.world.bucket), Status(429, "TooManyRequests", "Slow"))
    stage.job()

    ran = stage.syncd("check", "--json")

    assert failed(ran) == ["source-bucket"]
    assert "lower engine.in_flight" in step(ran, "source-bucket")["remedy"]


def test_an_external_id_that_could_not_be_tried_is_not_told_to_be_asked_for(stage: Stage) -> None:
    stage.server.faults.add(
        lambda request: request.operation == "AssumeRole" and "ExternalId" not in request.form,
        Status(400, "Throttling", "Rate exceeded"),
    )
    stage.job()

    ran = stage.syncd("check", "--json")

    assert ran.code == 0, ran
    assert step(ran, "external-id")["status"] == "information"
    assert "Throttling: Rate exceeded" in step(ran, "external-id")["detail"]


def test_an_archived_log_is_a_warning_since_a_tick_leaves_it_out(stage: Stage, now: datetime) -> None:
    log = Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(days=9))
    stage.server.put(stage.world.bucket, log.key, log.body, storage_class="GLACIER")
    stage.job()

    ran = stage.syncd("check", "--json")

    assert step(ran, "source-read")["status"] == "warning"
    assert "restore" in step(ran, "source-read")["remedy"]


def test_a_session_longer_than_the_role_allows_is_told_with_both_ways_out(stage: Stage) -> None:
    stage.job(changes={"source.role.duration": "2h"})

    ran = stage.syncd("check", "--json")

    assert failed(ran) == ["assume-role"]
    remedy = step(ran, "assume-role")["remedy"]
    assert "lower source.role.duration" in remedy
    assert "aws iam update-role --role-name account-z --max-session-duration 7200" in remedy


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        (
            "because no role trust policy allows the sts:AssumeRole action",
            "to the trust policy of role account-z, add:",
        ),
        ("with an explicit deny in a service control policy", "the organization's administrator"),
        ("because no permissions boundary allows the sts:AssumeRole action", "permissions boundary of the principal"),
        ("because no VPC endpoint policy allows the sts:AssumeRole action", "policy of the VPC endpoint"),
        ("with an explicit deny in the role trust policy", "in the trust policy of role account-z, remove or narrow"),
    ],
)
def test_what_a_denial_says_of_the_policy_that_decided_is_heeded(stage: Stage, ending: str, words: str) -> None:
    role = stage.world.consumer("account-z").role_arn
    message = f"User: x is not authorized to perform: sts:AssumeRole on resource: {role} {ending}"
    stage.server.faults.add(assuming(), Status(403, "AccessDenied", message))
    stage.job()

    ran = stage.syncd("check", "--json")

    assert failed(ran) == ["assume-role"]
    assert words in step(ran, "assume-role")["remedy"]


def assuming() -> Predicate:
    return on("AssumeRole")


def test_every_job_is_checked_and_one_that_fails_makes_the_exit_code(stage: Stage) -> None:
    stage.job("account-b")
    stage.job("account-z", {"source.role.external_id": "another"})

    ran = stage.syncd("check", "--json")

    assert ran.code == UNHEALTHY
    assert {job["job"]: job["ok"] for job in ran.document["jobs"]} == {"account-b": True, "account-z": False}


def test_a_job_can_be_checked_alone(stage: Stage) -> None:
    stage.job("account-b")
    stage.job("account-z", {"source.role.external_id": "another"})

    ran = stage.syncd("check", "account-b", "--json")

    assert ran.code == 0
    assert [job["job"] for job in ran.document["jobs"]] == ["account-b"]


def test_a_server_that_cannot_be_reached_is_told_and_nothing_else_fails(stage: Stage, faulty: FaultyS3) -> None:
    stage.job(changes={"endpoints.s3": "http://127.0.0.1:9", "endpoints.sts": faulty.url})

    ran = stage.syncd("check", "--json")

    assert failed(ran) == ["source-bucket", "destination-bucket"]
    assert "check the network" in step(ran, "source-bucket")["remedy"]


def test_no_secret_is_told(stage: Stage) -> None:
    stage.job()
    secret = stage.world.consumer("account-z").secret_access_key

    ran = stage.syncd("check", "--json")

    assert secret not in ran.stdout + ran.stderr


@pytest.mark.parametrize("place", ["moto"], indirect=True)
def test_what_a_server_writes_although_its_digest_is_wrong_is_deleted_again_and_warned_of(
    place: Place, tmp_path: Path
) -> None:
    place.client.create_bucket(Bucket="replicas")
    place.put("AWSLogs/123456789012/CloudTrail/us-east-1/2026/11/24/x.json.gz")
    stage = Configured(tmp_path, place)

    ran = stage.syncd("check", "--json")

    assert ran.code == 0, ran
    assert step(ran, "destination-write")["status"] == "warning"
    assert "was written, then deleted" in step(ran, "destination-write")["detail"]
    assert place.client.list_objects_v2(Bucket="replicas")["KeyCount"] == 0
    assert len(place.keys()) == 1
    assert refusal(lambda: place.client.head_bucket(Bucket=place.bucket)) is None


class Configured:
    """A job between two buckets of one account on an S3-compatible server, without a role."""

    def __init__(self, folder: Path, place: Place) -> None:
        self._folder = folder
        (folder / "syncd.toml").write_text(toml({"state_dir": folder / "state", "jobs": ["job.toml"]}))
        table = {
            "name": "compatible",
            "consumer": {"account_id": "123456789012"},
            "source": {"account_id": "123456789012", "bucket": place.bucket, "region": "us-east-1"},
            "destination": {"bucket": "replicas", "region": "us-east-1"},
            "endpoints": {"s3": place.client.meta.endpoint_url},
        }
        (folder / "job.toml").write_text(toml(changed(table, {})))

    def syncd(self, *arguments: str) -> Ran:
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self._folder),
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        arguments = (*arguments, "--config", str(self._folder / "syncd.toml"))
        with running(arguments, folder=self._folder, environment=environment) as process:
            return process.ended()
