"""The sample world: Account A with trail bucket and roles, and its consumers.

The accounts, roles and policies are those of AWS's page "Sharing CloudTrail log files between AWS accounts". B and C
belong to A's owner and can read their own logs (scenario 1). Z is a third party, identified by an external ID, and can
read all of them (scenario 2). Everything is created through the server's API, as each account's root user. MiniStack
takes an account ID as its root user's access key.
"""

import contextlib
import functools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import botocore.session
from botocore.config import Config

from syncd.cli.demo.embedded import ROOT_SECRET
from syncd.cli.demo.policies import all_logs_policy, own_logs_policy, trust_policy, user_policy
from syncd.cli.demo.samples import SampleObject

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_s3 import S3Client

ACCOUNT_A = "111111111111"
ACCOUNT_B = "222222222222"
ACCOUNT_C = "333333333333"
ACCOUNT_Z = "999999999999"
ACCOUNT_BUSY = "444444444444"
REGION = "us-east-1"
TRAIL_BUCKET = "example-trail"
BUSY_BUCKET = "example-busy-trail"
EXTERNAL_ID = "example-external-id-7f3a"
USER = "syncd"
_READ_POLICY = "read-logs"
_UPLOADS_IN_FLIGHT = 4


@dataclass(frozen=True)
class Consumer:
    """A consumer: its account, user keys, role in Account A, and bucket."""

    name: str
    account_id: str
    role_arn: str
    external_id: str | None
    """Only for a third party (scenario 2)."""
    accounts: tuple[str, ...]
    """The accounts whose logs it can read; empty for all of them."""
    bucket: str
    access_key_id: str
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True)
class World:
    """The accounts and buckets that `build_world` created at `url`."""

    url: str
    account_id: str
    bucket: str
    region: str
    prefix: str
    """The trail's key prefix (S3KeyPrefix), without slashes at its ends; may be empty."""
    organization_id: str | None
    consumers: tuple[Consumer, ...]

    def consumer(self, name: str) -> Consumer:
        """Return the consumer of that name. Raises KeyError if there is none."""
        return {consumer.name: consumer for consumer in self.consumers}[name]


def build_world(url: str, *, prefix: str = "", organization_id: str | None = None) -> World:
    """Create the sample world on an empty MiniStack."""
    with root_client(url, ACCOUNT_A, "s3") as s3:
        s3.create_bucket(Bucket=TRAIL_BUCKET)
    own_b = own_logs_policy(TRAIL_BUCKET, prefix, organization_id, ACCOUNT_B)
    own_c = own_logs_policy(TRAIL_BUCKET, prefix, organization_id, ACCOUNT_C)
    return World(
        url=url,
        account_id=ACCOUNT_A,
        bucket=TRAIL_BUCKET,
        region=REGION,
        prefix=prefix,
        organization_id=organization_id,
        consumers=(
            _build_consumer(url, "account-b", ACCOUNT_B, own_b, accounts=(ACCOUNT_B,), external_id=None),
            _build_consumer(url, "account-c", ACCOUNT_C, own_c, accounts=(ACCOUNT_C,), external_id=None),
            _build_consumer(
                url, "account-z", ACCOUNT_Z, all_logs_policy(TRAIL_BUCKET), accounts=(), external_id=EXTERNAL_ID
            ),
        ),
    )


def build_busy_world(world: World) -> World:
    """Create a busy trail's bucket in Account A, and a third party that reads it, beside the sample world."""
    with root_client(world.url, world.account_id, "s3") as s3:
        s3.create_bucket(Bucket=BUSY_BUCKET)
    policy = all_logs_policy(BUSY_BUCKET)
    busy = _build_consumer(world.url, "busy", ACCOUNT_BUSY, policy, accounts=(), external_id=EXTERNAL_ID)
    return replace(world, bucket=BUSY_BUCKET, consumers=(busy,))


def allow_reading(world: World, consumer: Consumer, *, all_but: str = "") -> None:
    """Put the consumer's read policy on its role: all that it may read, but for the key `all_but`."""
    own = consumer.accounts[0] if consumer.accounts else None
    policy = (
        own_logs_policy(world.bucket, world.prefix, world.organization_id, own)
        if own
        else all_logs_policy(TRAIL_BUCKET)
    )
    if all_but:
        deny = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{world.bucket}/{all_but}"}
        policy = {**policy, "Statement": [*policy["Statement"], deny]}
    with root_client(world.url, world.account_id, "iam") as iam:
        iam.put_role_policy(
            RoleName=_role_name(consumer.name), PolicyName=_READ_POLICY, PolicyDocument=json.dumps(policy)
        )


def forbid_reading(world: World, consumer: Consumer) -> None:
    """Take the read policy off the consumer's role."""
    with root_client(world.url, world.account_id, "iam") as iam:
        iam.delete_role_policy(RoleName=_role_name(consumer.name), PolicyName=_READ_POLICY)


def write_configuration(
    world: World, directory: Path, *, every: str = "5m", settings: str = '[http]\nlisten = ""\n'
) -> Path:
    """Write syncd.toml, jobs.d and a credentials file with one profile per consumer.

    Returns the path of `syncd.toml`. The state goes to `directory/state`. `settings` are tables of `syncd.toml`.
    """
    jobs = directory / "jobs.d"
    jobs.mkdir(parents=True, exist_ok=True)
    credentials = directory / "credentials"
    credentials.touch(mode=0o600)
    credentials.write_text(credentials_text(world), encoding="utf-8")
    for consumer in world.consumers:
        text = job_text(world, consumer, credentials_file=credentials, every=every)
        (jobs / f"{consumer.name}.toml").write_text(text, encoding="utf-8")
    configuration = directory / "syncd.toml"
    top = f'state_dir = {_quoted(directory / "state")}\njobs = ["jobs.d/*.toml"]\n\n{settings}'
    configuration.write_text(top, encoding="utf-8")
    return configuration


def credentials_text(world: World) -> str:
    """Return an AWS credentials file with one profile per consumer, of the same name."""
    return "\n".join(
        f"""\
[{consumer.name}]
aws_access_key_id = {consumer.access_key_id}
aws_secret_access_key = {consumer.secret_access_key}
"""
        for consumer in world.consumers
    )


def job_text(world: World, consumer: Consumer, *, credentials_file: Path, every: str = "5m") -> str:
    """Return the job file of one consumer."""
    organization = f"organization_id = {_quoted(world.organization_id)}\n" if world.organization_id else ""
    third_party = f"third_party = true\nexternal_id = {_quoted(consumer.external_id)}\n" if consumer.external_id else ""
    return f"""\
name = {_quoted(consumer.name)}
every = {_quoted(every)}
start = "31d"

[consumer]
account_id = {_quoted(consumer.account_id)}
credentials_file = {_quoted(credentials_file)}
profile = {_quoted(consumer.name)}

[source]
account_id = {_quoted(world.account_id)}
bucket = {_quoted(world.bucket)}
region = {_quoted(world.region)}
prefix = {_quoted(world.prefix)}
accounts = {json.dumps(consumer.accounts or "*")}
regions = "*"
kinds = ["CloudTrail", "CloudTrail-Digest"]
{organization}
[source.role]
arn = {_quoted(consumer.role_arn)}
session_name = {_quoted(f"syncd-{consumer.name}")}
{third_party}
[destination]
bucket = {_quoted(consumer.bucket)}
region = {_quoted(world.region)}

[endpoints]
s3 = {_quoted(world.url)}
sts = {_quoted(world.url)}
destination_s3 = {_quoted(world.url)}
"""


def deliver(world: World, objects: Iterable[SampleObject]) -> int:
    """Put the objects into the trail bucket, as CloudTrail would. Returns their number."""
    with root_client(world.url, world.account_id, "s3") as s3, ThreadPoolExecutor(_UPLOADS_IN_FLIGHT) as threads:

        def put(sample: SampleObject) -> None:
            s3.put_object(
                Bucket=world.bucket,
                Key=sample.key,
                Body=sample.body,
                ContentType=sample.content_type,
                ContentEncoding=sample.content_encoding,
                Metadata=dict(sample.metadata),
            )

        return sum(1 for _ in threads.map(put, objects))


@overload
def root_client(url: str, account_id: str, service: Literal["s3"]) -> contextlib.AbstractContextManager["S3Client"]: ...
@overload
def root_client(
    url: str, account_id: str, service: Literal["iam"]
) -> contextlib.AbstractContextManager["IAMClient"]: ...
@contextlib.contextmanager
def root_client(url: str, account_id: str, service: Literal["s3", "iam"]) -> Iterator[Any]:
    """Return a client of the account's root user, which ignores the environment."""
    client = _session().create_client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=account_id,
        aws_secret_access_key=ROOT_SECRET,
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 3, "mode": "standard"}, proxies={}),
    )
    with contextlib.closing(client):
        yield client


@functools.cache
def _session() -> botocore.session.Session:
    """Return a session that ignores the user's AWS configuration. Loads the API models once."""
    no_file = (None, None, os.devnull, None)
    return botocore.session.Session(
        session_vars={"profile": (None, None, None, None), "config_file": no_file, "credentials_file": no_file}
    )


def _quoted(value: object) -> str:
    """Return a TOML basic string: JSON's escapes are a subset of TOML's."""
    return json.dumps(str(value), ensure_ascii=False)


def _build_consumer(
    url: str,
    name: str,
    account_id: str,
    access_policy: Mapping[str, object],
    *,
    accounts: tuple[str, ...],
    external_id: str | None,
) -> Consumer:
    role_name = _role_name(name)
    role_arn = f"arn:aws:iam::{ACCOUNT_A}:role/{role_name}"
    bucket = f"example-{name.removeprefix('account-')}-logs"
    with root_client(url, ACCOUNT_A, "iam") as iam:
        trust = json.dumps(trust_policy(account_id, external_id))
        iam.create_role(RoleName=role_name, AssumeRolePolicyDocument=trust)
        iam.put_role_policy(RoleName=role_name, PolicyName=_READ_POLICY, PolicyDocument=json.dumps(access_policy))
    with root_client(url, account_id, "s3") as s3:
        s3.create_bucket(Bucket=bucket)
    with root_client(url, account_id, "iam") as iam:
        iam.create_user(UserName=USER)
        own_policy = json.dumps(user_policy(role_arn, bucket))
        iam.put_user_policy(UserName=USER, PolicyName="syncd", PolicyDocument=own_policy)
        key = iam.create_access_key(UserName=USER)["AccessKey"]
    return Consumer(
        name=name,
        account_id=account_id,
        role_arn=role_arn,
        external_id=external_id,
        accounts=accounts,
        bucket=bucket,
        access_key_id=key["AccessKeyId"],
        secret_access_key=key["SecretAccessKey"],
    )


def _role_name(consumer: str) -> str:
    return f"CloudTrailReader-{consumer}"
