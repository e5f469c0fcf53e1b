"""Single faults, one thing wrong each, and what `syncd check` says of it. The table in docs/check.md is this list."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from accounts import REPLICAS, ROLE, Accounts, Edit, admin, root_keys

from syncd.check.result import Status
from syncd.cli.demo.world import ACCOUNT_A, ACCOUNT_B, ACCOUNT_C, TRAIL_BUCKET

Act = Callable[[Accounts], None]
_OTHER_PREFIX = "AWSLogs/999999999999/*"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, on accounts where all else is right."""

    what: str
    step: str
    remedy: tuple[str, ...]
    """What the remedy holds."""
    status: Status = Status.FAILED
    is_third_party: bool = False
    edits: Mapping[str, Edit | None] = field(default_factory=dict)
    """What is edited of the documents, or left out of them."""
    before: Act = lambda _: None
    """Before the documents are printed."""
    after: Act = lambda _: None
    """When all is in place."""


def row(fault: Fault) -> str:
    """The fault's row in the table of docs/check.md."""
    remedy = " … ".join(f"`{words}`" for words in fault.remedy)
    return f"| {fault.what} | `{fault.step}` | {fault.status.value} | {remedy} |"


def without(sid: str) -> Edit:
    """The document without one statement."""

    def edit(body: dict[str, Any]) -> None:
        body["Statement"] = [statement for statement in body["Statement"] if statement["Sid"] != sid]

    return edit


def changed(sid: str, **keys: Any) -> Edit:
    """The document with keys of one statement changed."""

    def edit(body: dict[str, Any]) -> None:
        for statement in body["Statement"]:
            if statement["Sid"] == sid:
                statement.update(keys)

    return edit


def beside(action: str | list[str], resource: str | list[str], effect: str = "Allow") -> Edit:
    """The document with one statement more."""

    def edit(body: dict[str, Any]) -> None:
        body["Statement"].append({"Sid": "Beside", "Effect": effect, "Action": action, "Resource": resource})

    return edit


def in_job(old: str, new: str) -> Act:
    """One thing of the job's file."""
    return lambda accounts: accounts.edit(old, new)


def bucket_denies(account_id: str, bucket: str, action: str, resource: str) -> Act:
    """A bucket policy that denies this to everybody."""
    statement = {"Sid": "Deny", "Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource}

    def act(accounts: Accounts) -> None:
        with admin(accounts.url, account_id, "s3") as s3:
            s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    return act


def role_deleted(accounts: Accounts) -> None:
    with admin(accounts.url, ACCOUNT_A, "iam") as iam:
        iam.delete_role_policy(RoleName="Test", PolicyName=f"syncd-account-{ACCOUNT_B}")
        iam.delete_role(RoleName="Test")


def key_deleted(accounts: Accounts) -> None:
    with admin(accounts.url, ACCOUNT_B, "iam") as iam:
        (key,) = iam.list_access_keys(UserName="syncd")["AccessKeyMetadata"]
        iam.delete_access_key(UserName="syncd", AccessKeyId=key["AccessKeyId"])


def key_inactive(accounts: Accounts) -> None:
    with admin(accounts.url, ACCOUNT_B, "iam") as iam:
        (key,) = iam.list_access_keys(UserName="syncd")["AccessKeyMetadata"]
        iam.update_access_key(UserName="syncd", AccessKeyId=key["AccessKeyId"], Status="Inactive")


def secret_mistyped(accounts: Accounts) -> None:
    text = accounts.credentials.read_text()
    accounts.credentials.write_text(text.rstrip("\n") + "x\n")


def signs_as_another_account(accounts: Accounts) -> None:
    with admin(accounts.url, ACCOUNT_C, "iam") as iam:
        iam.create_user(UserName="syncd")
        key = iam.create_access_key(UserName="syncd")["AccessKey"]
    accounts.sign_with(key["AccessKeyId"], key["SecretAccessKey"])


def signs_as_root(accounts: Accounts) -> None:
    accounts.sign_with(*root_keys(ACCOUNT_B))


def credentials_file_deleted(accounts: Accounts) -> None:
    accounts.credentials.unlink()


def clock_ahead(accounts: Accounts, seconds: float) -> None:
    accounts.clock_ahead_seconds = seconds


def emptied(account_id: str, bucket: str) -> Act:
    """The bucket is deleted."""

    def act(accounts: Accounts) -> None:
        with admin(accounts.url, account_id, "s3") as s3:
            for item in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
                s3.delete_object(Bucket=bucket, Key=item["Key"])
            s3.delete_bucket(Bucket=bucket)

    return act


def another_tool_writes_beside_the_accounts(accounts: Accounts) -> None:
    with admin(accounts.url, ACCOUNT_A, "s3") as s3:
        s3.put_object(Bucket=TRAIL_BUCKET, Key="AWSLogs/aws-account-id=222222222222/x.log.gz", Body=b"x")


def reads_without_a_role(accounts: Accounts) -> None:
    accounts.edit(f'\n[source.role]    # the role to assume in the source\'s account\narn = "{ROLE}"\n', "")


_OF_ROLE = "in account 111111111111, to the access policy of role Test"
_OF_USER = "in account 222222222222, to the access policy of user syncd"
_TRUST = '"Sid":"TrustConsumer"'
_SOURCE = f"arn:aws:s3:::{TRAIL_BUCKET}"
_OWN = f"{_SOURCE}/AWSLogs/222222222222/*"

FAULTS = (
    Fault(
        "this machine's clock is an hour ahead",
        "clock",
        ("by NTP",),
        after=lambda accounts: clock_ahead(accounts, 3600),
    ),
    Fault(
        "this machine's clock is a minute behind",
        "clock",
        ("by NTP",),
        Status.WARNING,
        after=lambda accounts: clock_ahead(accounts, -60),
    ),
    Fault("the access key was deleted", "identity", ("new access key",), after=key_deleted),
    Fault("the access key is inactive", "identity", ("activate this one",), after=key_inactive),
    Fault("the secret access key is mistyped", "identity", ("secret access key",), after=secret_mistyped),
    Fault(
        "the credentials are another account's",
        "identity",
        ("consumer.account_id", "credentials of that account"),
        after=signs_as_another_account,
    ),
    Fault("the credentials are the root user's", "identity", ("aws iam create-user",), after=signs_as_root),
    Fault(
        "the profile is not in the credentials file",
        "identity",
        ("consumer.profile",),
        after=in_job('profile = "account-b"', 'profile = "account-x"'),
    ),
    Fault("there is no credentials file", "identity", ("consumer.credentials_file",), after=credentials_file_deleted),
    Fault("the role was deleted", "assume-role", ("role Test exists",), after=role_deleted),
    Fault(
        "the role's ARN is mistyped in the job",
        "assume-role",
        ("correct source.role.arn", "role/Tset is not the role's ARN"),
        after=in_job("role/Test", "role/Tset"),
    ),
    Fault(
        "the trust policy names another account",
        "assume-role",
        (_TRUST, '"arn:aws:iam::222222222222:root"'),
        edits={"role_trust_policy": changed("TrustConsumer", Principal={"AWS": f"arn:aws:iam::{ACCOUNT_C}:root"})},
    ),
    Fault(
        "the trust policy names another user",
        "assume-role",
        (_TRUST, '"aws:PrincipalArn":"arn:aws:iam::222222222222:user/syncd"'),
        edits={
            "role_trust_policy": changed(
                "TrustConsumer", Condition={"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT_B}:user/other"}}
            )
        },
    ),
    Fault(
        "the external ID in the job is not the trust policy's",
        "assume-role",
        ("its external ID is the one in the job", '"sts:ExternalId"'),
        is_third_party=True,
        after=in_job("z-customer-0001", "z-customer-0002"),
    ),
    Fault(
        "the trust policy asks for an external ID that the job does not give",
        "assume-role",
        ("it asks for no external ID", _TRUST),
        edits={"role_trust_policy": changed("TrustConsumer", Condition={"StringEquals": {"sts:ExternalId": "secret"}})},
    ),
    Fault(
        "the trust policy lets a third party in without its external ID",
        "external-id",
        ("in account 111111111111, to the trust policy of role Test", '"sts:ExternalId":"z-customer-0001"'),
        Status.WARNING,
        is_third_party=True,
        edits={"role_trust_policy": changed("TrustConsumer", Condition={})},
    ),
    Fault(
        "the consumer may not ask for the role",
        "assume-role",
        (f'{_OF_USER}, add: {{"Sid":"AssumeRole","Effect":"Allow"',),
        edits={"consumer_assume_role_policy": None},
    ),
    Fault(
        "a Deny in the consumer's policy meets AssumeRole",
        "assume-role",
        ("in the access policy of user syncd", "remove or narrow the Deny"),
        edits={"consumer_assume_role_policy": beside("sts:AssumeRole", ROLE, "Deny")},
    ),
    Fault("the source bucket is gone", "source-bucket", ("source.bucket",), after=emptied(ACCOUNT_A, TRAIL_BUCKET)),
    Fault(
        "the role may not list",
        "source-list",
        (f'{_OF_ROLE}, add: {{"Sid":"ListLogs"', '"s3:prefix":"AWSLogs/222222222222/*"'),
        edits={"role_access_policy": without("ListLogs")},
    ),
    Fault(
        "the role may list another prefix only",
        "source-list",
        (f"{_OF_ROLE}, add: ", '"s3:prefix":"AWSLogs/222222222222/*"'),
        edits={"role_access_policy": changed("ListLogs", Condition={"StringLike": {"s3:prefix": _OTHER_PREFIX}})},
    ),
    Fault(
        "a Deny in the source's bucket policy meets listing",
        "source-list",
        ("in the bucket policy of example-trail, remove or narrow the Deny",),
        after=bucket_denies(ACCOUNT_A, TRAIL_BUCKET, "s3:ListBucket", _SOURCE),
    ),
    Fault(
        "the trail's prefix is not the one in the job",
        "source-list",
        ("source.prefix (the trail's S3KeyPrefix)",),
        Status.WARNING,
        before=in_job('region = "us-east-1"', 'region = "us-east-1"\nprefix = "trails"'),
    ),
    Fault(
        "the job names an organization, and the trail is not an organization trail",
        "source-list",
        ("source.organization_id",),
        Status.WARNING,
        before=in_job('region = "us-east-1"', 'region = "us-east-1"\norganization_id = "o-exampleorgid"'),
    ),
    Fault(
        "the account whose logs are wanted is mistyped",
        "source-list",
        ("source.accounts",),
        Status.WARNING,
        before=in_job('accounts = ["222222222222"]', 'accounts = ["222222222220"]'),
    ),
    Fault(
        "a folder beside the accounts is not covered by the job",
        "source-folders",
        ("source.ignore = ['AWSLogs/aws-account-id=222222222222/']",),
        Status.WARNING,
        before=in_job('accounts = ["222222222222"]', 'accounts = "*"'),
        after=another_tool_writes_beside_the_accounts,
    ),
    Fault(
        "the role may not read",
        "source-read",
        (f'{_OF_ROLE}, add: {{"Sid":"ReadLogs"', _OWN),
        edits={"role_access_policy": without("ReadLogs")},
    ),
    Fault(
        "the role may read another prefix only",
        "source-read",
        (f"{_OF_ROLE}, add: ", _OWN),
        edits={"role_access_policy": changed("ReadLogs", Resource=f"{_SOURCE}/{_OTHER_PREFIX}")},
    ),
    Fault(
        "a Deny in the role's policy meets reading",
        "source-read",
        ("the access policy of role Test, remove or narrow the Deny",),
        edits={"role_access_policy": beside("s3:GetObject", f"{_SOURCE}/*", "Deny")},
    ),
    Fault(
        "the destination bucket is not there",
        "destination-bucket",
        ("destination.bucket", "create the bucket"),
        after=emptied(ACCOUNT_B, REPLICAS),
    ),
    Fault(
        "the consumer may not list the destination",
        "destination-list",
        (f'{_OF_USER}, add: {{"Sid":"ListReplicas"',),
        Status.WARNING,
        edits={"consumer_write_policy": without("ListReplicas")},
    ),
    Fault(
        "the consumer may not write at the destination",
        "destination-write",
        (f'{_OF_USER}, add: {{"Sid":"WriteReplicas"', f"arn:aws:s3:::{REPLICAS}/AWSLogs/222222222222/*"),
        edits={"consumer_write_policy": without("WriteReplicas")},
    ),
    Fault(
        "the consumer may write another prefix only",
        "destination-write",
        (f'{_OF_USER}, add: {{"Sid":"WriteReplicas"',),
        edits={"consumer_write_policy": changed("WriteReplicas", Resource=f"arn:aws:s3:::{REPLICAS}/replica/*")},
    ),
    Fault(
        "a Deny in the destination's bucket policy meets writing",
        "destination-write",
        (f"in the bucket policy of {REPLICAS}, remove or narrow the Deny",),
        after=bucket_denies(ACCOUNT_B, REPLICAS, "s3:PutObject", f"arn:aws:s3:::{REPLICAS}/*"),
    ),
    Fault(
        "the consumer may not read replicas",
        "destination-read",
        (f'{_OF_USER}, add: {{"Sid":"CompareReplicas"',),
        edits={"consumer_write_policy": without("CompareReplicas")},
    ),
    Fault(
        "the consumer is to copy server-side, and may not read the source",
        "copy-modes",
        ('destination.copy = "auto"', "to the bucket policy of bucket example-trail, add: "),
        after=in_job(f'bucket = "{REPLICAS}"', f'bucket = "{REPLICAS}"\ncopy = "server-side"'),
    ),
    Fault(
        "the role is to copy server-side, and may not write at the destination",
        "copy-modes",
        ('destination.copy = "auto"', "to the bucket policy of bucket example-b-logs, add: ", f"{_OF_ROLE}, add: "),
        after=in_job(f'bucket = "{REPLICAS}"', f'bucket = "{REPLICAS}"\ncopy = "server-side"\nsigner = "role"'),
    ),
    Fault(
        "the role may list the names of other accounts' logs",
        "surplus",
        (f"{_OF_ROLE}, leave no more than: ", '"s3:prefix":"AWSLogs/222222222222/*"'),
        Status.WARNING,
        edits={"role_access_policy": changed("ListLogs", Condition={})},
    ),
    Fault(
        "the role may list all buckets",
        "surplus",
        (f"{_OF_ROLE}, leave no more than: ",),
        Status.WARNING,
        edits={"role_access_policy": beside("s3:ListAllMyBuckets", "*")},
    ),
    Fault(
        "the role may write at the source",
        "surplus",
        (f"{_OF_ROLE}, leave no more than: ",),
        Status.WARNING,
        edits={"role_access_policy": beside("s3:PutObject", f"{_SOURCE}/*")},
    ),
    Fault(
        "the role may delete at the source",
        "surplus",
        (f"{_OF_ROLE}, leave no more than: ",),
        Status.WARNING,
        # Whether the bucket was ever versioned must be seen, else the probe is not made on a server that is not AWS.
        edits={"role_access_policy": beside(["s3:DeleteObject", "s3:GetBucketVersioning"], [_SOURCE, f"{_SOURCE}/*"])},
    ),
    Fault(
        "the consumer reads without a role, and the source's bucket policy does not know it",
        "source-list",
        (f'{_OF_USER}, add: {{"Sid":"ListLogs"', "to the bucket policy of bucket example-trail, add: "),
        before=reads_without_a_role,
        edits={"source_bucket_policy": None},
    ),
)
