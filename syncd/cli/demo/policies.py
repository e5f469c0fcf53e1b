"""The policies of the sample world, as on AWS's page "Sharing CloudTrail log files between AWS accounts"."""

from collections.abc import Mapping, Sequence
from typing import Any


def trust_policy(account_id: str, external_id: str | None) -> Mapping[str, object]:
    """Return a policy that trusts the whole account, whose administrator chooses the users."""
    statement: dict[str, object] = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account_id}:root"},
        "Action": "sts:AssumeRole",
    }
    if external_id is not None:
        statement["Condition"] = {"StringEquals": {"sts:ExternalId": external_id}}
    return _policy(statement)


def own_logs_policy(bucket: str, prefix: str, organization_id: str | None, account_id: str) -> Mapping[str, Any]:
    """Return scenario 1's policy. A condition on `s3:prefix` keeps B from listing C's logs."""
    folder = "/".join(part for part in (prefix, "AWSLogs", organization_id, account_id) if part)
    own_prefix = {"StringLike": {"s3:prefix": f"{folder}/*"}}
    return _policy(
        _allow(["s3:Get*", "s3:List*"], f"arn:aws:s3:::{bucket}/{folder}/*"),
        _allow("s3:Get*", f"arn:aws:s3:::{bucket}"),
        _allow("s3:List*", f"arn:aws:s3:::{bucket}", Condition=own_prefix),
    )


def all_logs_policy(bucket: str) -> Mapping[str, Any]:
    """Return scenario 2's policy: the whole bucket."""
    return _policy(
        _allow(["s3:Get*", "s3:List*"], f"arn:aws:s3:::{bucket}/*"),
        _allow(["s3:Get*", "s3:List*"], f"arn:aws:s3:::{bucket}"),
    )


def user_policy(role_arn: str, bucket: str) -> Mapping[str, object]:
    """Return the policy of the consumer's own user: assume the role, write the bucket."""
    return _policy(
        _allow("sts:AssumeRole", role_arn),
        _allow(["s3:PutObject", "s3:GetObject"], f"arn:aws:s3:::{bucket}/*"),
        _allow("s3:ListBucket", f"arn:aws:s3:::{bucket}"),
    )


def _policy(*statements: Mapping[str, object]) -> Mapping[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _allow(actions: str | Sequence[str], resource: str, **more: object) -> Mapping[str, object]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource, **more}
