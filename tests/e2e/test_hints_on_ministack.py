"""Hints from nothing: a queue, the documents as printed, a notification of A's bucket, and an object within the hour."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from accounts import REPLICAS, USER_ARN, Accounts, environment_of
from program import running
from servers import MakeClient, S3Server
from waiting import wait_until

from syncd.cli.demo.embedded import ROOT_SECRET
from syncd.cli.demo.world import ACCOUNT_A, ACCOUNT_B, TRAIL_BUCKET

USER = "syncd"
LOGS = f"AWSLogs/{ACCOUNT_B}/CloudTrail/"


@pytest.fixture
def accounts(ministack: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Accounts:
    """B's job, whose documents are in place, and whose operator's default chain is B's profile."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    environment = environment_of(ministack.url, tmp_path)
    accounts = Accounts(ministack.url, tmp_path, environment=environment)
    accounts.build()
    accounts.prepared()
    accounts.apply()
    environment |= {"AWS_PROFILE": "account-b", "AWS_SHARED_CREDENTIALS_FILE": str(accounts.credentials)}
    return accounts


class Administrator:
    """Both accounts' administrators, with clients of each."""

    def __init__(self, url: str, make_client: MakeClient) -> None:
        self._url, self._make = url, make_client

    def client(self, account_id: str, service: str) -> Any:
        return self._make(self._url, service, access_key_id=account_id, secret_access_key=ROOT_SECRET)


def with_hints(accounts: Accounts, queue: str) -> None:
    accounts.config.write_text(f'{accounts.config.read_text()}\n[hints]\nqueues = ["{queue}"]\n')
    (job,) = accounts.config.parent.glob("jobs.d/*.toml")
    job.write_text(f'every = "1h"\n{job.read_text()}')


def policies_of(accounts: Accounts) -> dict[str, Any]:
    ran = accounts.syncd(
        "policies", accounts.job.name, "--hints", "--principal", USER_ARN, "--json", "--config", str(accounts.config)
    )
    assert ran.code == 0, ran.stderr
    return {item["name"]: item["document"] for item in ran.document["documents"]}


def shared(accounts: Accounts) -> list[tuple[str, str]]:
    ran = accounts.syncd("check", "--json", "--config", str(accounts.config))
    return [(item["check"], item["status"]) for item in ran.document["shared"]]


def test_an_object_is_there_at_once(accounts: Accounts, make_client: MakeClient) -> None:
    them = Administrator(accounts.url, make_client)
    sqs = them.client(ACCOUNT_B, "sqs")
    queue = sqs.create_queue(QueueName="syncd-hints")["QueueUrl"]
    with_hints(accounts, queue)
    documents = policies_of(accounts)

    before = shared(accounts)
    them.client(ACCOUNT_B, "iam").put_user_policy(
        UserName=USER, PolicyName="hints", PolicyDocument=json.dumps(documents["consumer-hints-policy"])
    )
    after = shared(accounts)
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(documents["hints-queue-policy"])})
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    s3 = them.client(ACCOUNT_A, "s3")
    s3.put_bucket_notification_configuration(
        Bucket=TRAIL_BUCKET,
        NotificationConfiguration={"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]},
    )

    def is_there(key: str) -> bool:
        listed = them.client(ACCOUNT_B, "s3").list_objects_v2(Bucket=REPLICAS, Prefix=key)
        return any(item["Key"] == key for item in listed.get("Contents", ()))

    with running(
        ("run", "--config", str(accounts.config)), folder=accounts.folder, environment=accounts.environment
    ) as daemon:
        first = s3.list_objects_v2(Bucket=TRAIL_BUCKET, Prefix=LOGS)["Contents"][-1]["Key"]
        wait_until(lambda: is_there(first), what="the first tick")
        key = first.replace("Z_", "Z_a b+ü")
        s3.put_object(Bucket=TRAIL_BUCKET, Key=key, Body=b"a log")
        wait_until(lambda: is_there(key), what="the object that S3 tells of")
        daemon.signal(signal.SIGTERM)
        assert daemon.ended().code == 0

    assert before == [("hints-receive", "failed")]
    assert after == [("hints-receive", "ok"), ("hints-delete", "ok")]
