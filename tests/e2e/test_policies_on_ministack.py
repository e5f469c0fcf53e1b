"""The documents put in place as printed, on a server that enforces them: what they let happen, and what they refuse."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest
from accounts import EXTERNAL_ID, REPLICAS, ROLE, USER_ARN, Accounts, admin, environment_of
from place import refusal
from servers import MakeClient, S3Server

from syncd.aws.policies.documents import documents
from syncd.aws.policies.files import Format, files
from syncd.aws.policies.pruning import prune_documents
from syncd.aws.policies.session import prune_policy, session_policy
from syncd.check.result import Status
from syncd.cli.demo.embedded import ROOT_SECRET, embedded_aws
from syncd.cli.demo.world import ACCOUNT_A, ACCOUNT_B, ACCOUNT_C, REGION, TRAIL_BUCKET

OWN, OTHER = f"AWSLogs/{ACCOUNT_B}/", f"AWSLogs/{ACCOUNT_C}/"
DENIED = "AccessDenied"


@pytest.fixture
def accounts(ministack: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Accounts:
    """B's job is configured; no document is in place yet."""
    return begun(ministack.url, tmp_path, monkeypatch)


def begun(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, is_third_party: bool = False) -> Accounts:
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    environment = environment_of(url, folder)
    accounts = Accounts(url, folder, environment=environment, is_third_party=is_third_party)
    accounts.build()
    accounts.prepared()
    return accounts


@pytest.fixture
def third_party(ministack: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Accounts:
    """A third party's job, with its external ID, and its documents in place."""
    accounts = begun(ministack.url, tmp_path, monkeypatch, is_third_party=True)
    accounts.apply()
    return accounts


class Actor:
    """Somebody with keys, who tries things."""

    def __init__(self, url: str, make_client: MakeClient, *keys: str) -> None:
        self._url, self._make, self._keys = url, make_client, keys

    def client(self, service: str) -> Any:
        token = self._keys[2] if len(self._keys) > 2 else None
        return self._make(
            self._url, service, access_key_id=self._keys[0], secret_access_key=self._keys[1], session_token=token
        )

    def assume(self, **more: str) -> "Actor":
        """The role's session; raises ClientError."""
        answer = self.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="test", **more)["Credentials"]
        keys = (answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])
        return Actor(self._url, self._make, *keys)

    def listing(self, prefix: str | None) -> str | None:
        given = {} if prefix is None else {"Prefix": prefix}
        return refusal(lambda: self.client("s3").list_objects_v2(Bucket=TRAIL_BUCKET, **given))

    def reading(self, bucket: str, key: str) -> str | None:
        def read() -> None:
            with closing(self.client("s3").get_object(Bucket=bucket, Key=key)["Body"]) as stream:
                stream.read()

        return refusal(read)

    def writing(self, bucket: str, key: str) -> str | None:
        return refusal(lambda: self.client("s3").put_object(Bucket=bucket, Key=key, Body=b"body"))

    def deleting(self, bucket: str, key: str) -> str | None:
        return refusal(lambda: self.client("s3").delete_object(Bucket=bucket, Key=key))

    def assuming(self, **more: str) -> str | None:
        return refusal(lambda: self.assume(**more))


def user(accounts: Accounts, make_client: MakeClient, account_id: str = ACCOUNT_B, name: str = "syncd") -> Actor:
    """An IAM user with a new key; other users than B's own may assume every role."""
    with admin(accounts.url, account_id, "iam") as iam:
        if (account_id, name) != (ACCOUNT_B, "syncd"):
            iam.create_user(UserName=name)
            everything = {"Effect": "Allow", "Action": ["sts:AssumeRole", "s3:*"], "Resource": "*"}
            text = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
            iam.put_user_policy(UserName=name, PolicyName="everything", PolicyDocument=text)
        key = iam.create_access_key(UserName=name)["AccessKey"]
    return Actor(accounts.url, make_client, key["AccessKeyId"], key["SecretAccessKey"])


def a_key(accounts: Accounts, prefix: str) -> str:
    """A log below a prefix."""
    with admin(accounts.url, ACCOUNT_A, "s3") as s3:
        return str(s3.list_objects_v2(Bucket=TRAIL_BUCKET, Prefix=prefix)["Contents"][0]["Key"])


def test_before_the_documents_are_in_place_nothing_is_allowed(accounts: Accounts, make_client: MakeClient) -> None:
    consumer = user(accounts, make_client)

    assert consumer.assuming() == DENIED
    assert consumer.writing(REPLICAS, f"{OWN}x") == DENIED


def test_the_consumers_user_alone_assumes_the_role(accounts: Accounts, make_client: MakeClient) -> None:
    accounts.apply()

    assert user(accounts, make_client).assuming() is None
    assert user(accounts, make_client, name="another").assuming() == DENIED
    assert user(accounts, make_client, ACCOUNT_C).assuming() == DENIED


def test_the_role_lists_and_reads_its_own_prefix_only(accounts: Accounts, make_client: MakeClient) -> None:
    accounts.apply()
    reader = user(accounts, make_client).assume()

    assert [reader.listing(prefix) for prefix in (OWN, f"{OWN}CloudTrail/")] == [None, None]
    assert [reader.listing(prefix) for prefix in (OTHER, "AWSLogs/", "", None)] == [DENIED] * 4
    assert reader.reading(TRAIL_BUCKET, a_key(accounts, OWN)) is None
    assert reader.reading(TRAIL_BUCKET, a_key(accounts, OTHER)) == DENIED


def test_the_role_changes_nothing_anywhere(accounts: Accounts, make_client: MakeClient) -> None:
    accounts.apply()
    reader = user(accounts, make_client).assume()

    assert reader.writing(TRAIL_BUCKET, f"{OWN}x") == DENIED
    assert reader.deleting(TRAIL_BUCKET, a_key(accounts, OWN)) == DENIED
    assert reader.writing(REPLICAS, f"{OWN}x") == DENIED
    assert refusal(lambda: reader.client("s3").list_buckets()) == DENIED


def test_the_consumer_writes_reads_and_lists_replicas_and_deletes_none(
    accounts: Accounts, make_client: MakeClient
) -> None:
    accounts.apply()
    consumer = user(accounts, make_client)

    assert consumer.writing(REPLICAS, f"{OWN}x") is None
    assert consumer.reading(REPLICAS, f"{OWN}x") is None
    assert refusal(lambda: consumer.client("s3").list_objects_v2(Bucket=REPLICAS, Prefix=OWN)) is None
    assert consumer.writing(REPLICAS, f"{OTHER}x") == DENIED
    assert consumer.deleting(REPLICAS, f"{OWN}x") == DENIED
    assert consumer.listing(OWN) == DENIED


def test_the_session_policy_narrows_a_role_that_may_do_everything(accounts: Accounts, make_client: MakeClient) -> None:
    accounts.apply()
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    with admin(accounts.url, ACCOUNT_A, "iam") as iam:
        iam.put_role_policy(RoleName="Test", PolicyName="wide", PolicyDocument=json.dumps(everything))
    consumer = user(accounts, make_client)

    wide, narrowed = consumer.assume(), consumer.assume(Policy=session_policy(accounts.job))

    assert wide.reading(TRAIL_BUCKET, a_key(accounts, OTHER)) is None
    assert narrowed.reading(TRAIL_BUCKET, a_key(accounts, OWN)) is None
    assert narrowed.listing(OWN) is None
    assert narrowed.reading(TRAIL_BUCKET, a_key(accounts, OTHER)) == DENIED
    assert narrowed.listing("") == DENIED
    assert narrowed.writing(TRAIL_BUCKET, f"{OWN}x") == DENIED
    assert narrowed.deleting(TRAIL_BUCKET, a_key(accounts, OWN)) == DENIED
    assert refusal(lambda: narrowed.client("s3").list_buckets()) == DENIED


@pytest.mark.parametrize(("external_id", "answer"), [(EXTERNAL_ID, None), ("z-customer-0002", DENIED), (None, DENIED)])
def test_a_third_party_assumes_the_role_with_its_external_id_only(
    third_party: Accounts, make_client: MakeClient, external_id: str | None, answer: str | None
) -> None:
    given = {"ExternalId": external_id} if external_id else {}

    assert user(third_party, make_client).assuming(**given) == answer


def test_a_third_partys_role_reads_the_logs_of_all_accounts_and_nothing_beside_them(
    third_party: Accounts, make_client: MakeClient
) -> None:
    with admin(third_party.url, ACCOUNT_A, "s3") as s3:
        s3.put_object(Bucket=TRAIL_BUCKET, Key="payroll/x", Body=b"body")
    reader = user(third_party, make_client).assume(ExternalId=EXTERNAL_ID)

    assert reader.reading(TRAIL_BUCKET, a_key(third_party, OWN)) is None
    assert reader.reading(TRAIL_BUCKET, a_key(third_party, OTHER)) is None
    assert reader.listing("AWSLogs/") is None
    assert reader.reading(TRAIL_BUCKET, "payroll/x") == DENIED
    assert reader.listing("") == DENIED


def test_without_a_role_the_bucket_policy_lets_the_consumers_user_read_its_own_logs(
    accounts: Accounts, make_client: MakeClient
) -> None:
    accounts.edit(f'\n[source.role]    # the role to assume in the source\'s account\narn = "{ROLE}"\n', "")
    # MiniStack knows no aws:PrincipalArn where a bucket is another account's; so there the account as a whole is let in.
    at_source = [item for item in documents(accounts.job, None) if item.account_id == ACCOUNT_A]
    accounts.apply([*at_source, *(item for item in documents(accounts.job, USER_ARN) if item.account_id == ACCOUNT_B)])
    consumer = user(accounts, make_client)

    assert consumer.listing(OWN) is None
    assert consumer.reading(TRAIL_BUCKET, a_key(accounts, OWN)) is None
    assert consumer.listing(OTHER) == DENIED
    assert consumer.reading(TRAIL_BUCKET, a_key(accounts, OTHER)) == DENIED
    assert consumer.writing(TRAIL_BUCKET, f"{OWN}x") == DENIED
    assert user(accounts, make_client, ACCOUNT_C).reading(TRAIL_BUCKET, a_key(accounts, OWN)) == DENIED


@pytest.fixture(scope="module")
def with_cloudformation(_aws_environment: None) -> Iterator[str]:
    """The URL of a MiniStack that makes stacks too."""
    with embedded_aws(services="s3,sts,iam,kms,cloudformation") as server:
        yield server.url


@pytest.fixture
def stacked(with_cloudformation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Accounts:
    """A third party's job, whose documents are put in place by the templates as they are printed."""
    accounts = begun(with_cloudformation, tmp_path, monkeypatch, is_third_party=True)
    for file in files(accounts.job, documents(accounts.job, USER_ARN), USER_ARN, Format.CLOUDFORMATION):
        if file.name == "template.json":
            create_stack(accounts.url, file.account_id, file.text)
    return accounts


def create_stack(url: str, account_id: str, template: str) -> None:
    session = boto3.Session(account_id, ROOT_SECRET, region_name=REGION)
    with closing(session.client("cloudformation", endpoint_url=url)) as cloudformation:
        cloudformation.create_stack(StackName="syncd", TemplateBody=template, Capabilities=["CAPABILITY_NAMED_IAM"])
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName="syncd", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )


def test_stacks_of_the_templates_put_everything_in_place(stacked: Accounts, make_client: MakeClient) -> None:
    reader = user(stacked, make_client).assume(ExternalId=EXTERNAL_ID)

    found = stacked.checks()

    assert {check.status for check in found.checks} == {Status.OK, Status.INFORMATION}, found
    assert reader.writing(TRAIL_BUCKET, f"{OWN}x") == DENIED
    assert user(stacked, make_client, name="another").assuming(ExternalId=EXTERNAL_ID) == DENIED


def test_a_prune_may_delete_its_own_logs_once_the_owner_allows_it(accounts: Accounts, make_client: MakeClient) -> None:
    accounts.apply()
    consumer = user(accounts, make_client)
    own, other = a_key(accounts, OWN), a_key(accounts, OTHER)

    before = consumer.assume(Policy=prune_policy(accounts.job)).deleting(TRAIL_BUCKET, own)
    accounts.apply(prune_documents(accounts.job, USER_ARN))
    tick, prune = (consumer.assume(Policy=make(accounts.job)) for make in (session_policy, prune_policy))

    assert (before, tick.deleting(TRAIL_BUCKET, own)) == (DENIED, DENIED)
    assert (prune.deleting(TRAIL_BUCKET, other), prune.deleting(TRAIL_BUCKET, own)) == (DENIED, None)
