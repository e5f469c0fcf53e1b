"""IAM statements that a job needs, each as small as it can be. Pure. `documents` arranges them.

The needs of each call are from "Actions, resources, and condition keys for Amazon S3" of the Service Authorization
Reference, and from "Sharing CloudTrail log files between AWS accounts" of the CloudTrail user guide.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from syncd.config.job import Job, Role
from syncd.config.names import access_point, is_access_point_alias
from syncd.tick.scope import source_prefixes

Statement: TypeAlias = Mapping[str, Any]

ASSUME_ROLE = "AssumeRole"
LIST_LOGS = "ListLogs"
READ_LOGS = "ReadLogs"
DECRYPT_LOGS = "DecryptLogs"
WRITE_REPLICAS = "WriteReplicas"
COMPARE_REPLICAS = "CompareReplicas"
LIST_REPLICAS = "ListReplicas"
ENCRYPT_REPLICAS = "EncryptReplicas"
TRUST = "TrustConsumer"
PRUNE_LOGS = "PruneLogs"
SEE_VERSIONING = "SeeVersioning"
LIST_PUBLIC_KEYS = "ListPublicKeys"

_DESTINATION_KEY_ACTIONS = ("kms:GenerateDataKey", "kms:Decrypt")
# "Policy variables" of the IAM user guide: the escapes of these characters in a document of version 2012-10-17.
_ESCAPES = str.maketrans({char: f"${{{char}}}" for char in "*?$"})


def literal(text: str) -> str:
    """Escape a text for a Resource, StringLike or ArnLike: no pattern, no variable.

    The operator's own texts may hold `*`, `?` and `$`: key prefixes, and the paths of roles and users.
    """
    return text.translate(_ESCAPES)


def allow(sid: str, actions: str | Sequence[str], resources: str | Sequence[str], **more: Any) -> dict[str, Any]:
    """Return an Allow statement. A single action or resource is not in a list."""
    return {"Sid": sid, "Effect": "Allow", **more, "Action": _short(actions), "Resource": _short(resources)}


def with_condition(statement: Statement, condition: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the statement with these conditions beside its own. Unchanged if there are none."""
    merged = {**statement.get("Condition", {}), **condition}
    return {**statement, "Condition": merged} if merged else dict(statement)


def granted_to(statement: Statement, principal: Statement) -> dict[str, Any]:
    """Return the statement for a resource's policy: with the `Principal` and `Condition` of `principal`."""
    sid, effect, *_ = statement.values()
    rest = {key: value for key, value in statement.items() if key not in ("Sid", "Effect")}
    granted = {"Sid": sid, "Effect": effect, "Principal": principal["Principal"], **rest}
    return with_condition(granted, principal.get("Condition", {}))


def principal_of(partition: str, account_id: str, arn: str | None) -> Statement:
    """Return the account as principal, narrowed by a condition to the user or role `arn`.

    The ARN is not the `Principal`: IAM refuses a document that names a user or role which does not exist yet, and
    silently turns one that is created anew into a dead ID. For a session of a role `aws:PrincipalArn` is the role's ARN
    ("AWS global condition context keys", IAM user guide).
    """
    principal: dict[str, Any] = {"Principal": {"AWS": f"arn:{partition}:iam::{account_id}:root"}}
    return with_condition(principal, {"ArnLike": {"aws:PrincipalArn": _short(patterns_of(arn))}} if arn else {})


def patterns_of(arn: str) -> list[str]:
    """Return ARN patterns of a user or role. For a session those of its role, whose path its ARN lacks."""
    if ":assumed-role/" not in arn:
        return [literal(arn)]
    head, _, tail = arn.partition(":assumed-role/")
    role = f"{head.replace(':sts:', ':iam:')}:role/"
    name = tail.split("/")[0]
    return [f"{role}{name}", f"{role}*/{name}"]


def trusting(principal: Statement, role: Role, *, has_tags: bool = False) -> dict[str, Any]:
    """Return the statement of a trust policy. `has_tags` if the consumer's credentials carry tags."""
    action = _short(assume_actions(role, has_tags=has_tags))
    statement = {"Sid": TRUST, "Effect": "Allow", "Principal": principal["Principal"], "Action": action}
    statement = with_condition(statement, principal.get("Condition", {}))
    external_id = role.external_id
    return with_condition(statement, {"StringEquals": {"sts:ExternalId": external_id}} if external_id else {})


def assuming(role: Role, *, has_tags: bool = False) -> dict[str, Any]:
    """Allow AssumeRole of the role, with whatever the session is to carry."""
    return allow(ASSUME_ROLE, assume_actions(role, has_tags=has_tags), literal(role.arn))


def assume_actions(role: Role, *, has_tags: bool = False) -> list[str]:
    """Return the actions that one AssumeRole needs, in the trust policy and in the consumer's own."""
    more = {"sts:TagSession": has_tags or bool(role.tags), "sts:SetSourceIdentity": role.source_identity is not None}
    return ["sts:AssumeRole", *(action for action, is_needed in more.items() if is_needed)]


def listing(sid: str, bucket: str, prefixes: Sequence[str]) -> dict[str, Any]:
    """Allow ListObjectsV2 below these prefixes only. An empty prefix is the whole bucket."""
    patterns = [f"{literal(prefix)}*" for prefix in prefixes]
    condition = {} if "*" in patterns else {"StringLike": {"s3:prefix": _short(patterns)}}
    return with_condition(allow(sid, "s3:ListBucket", bucket), condition)


def objects(bucket: str, prefixes: Sequence[str]) -> list[str]:
    """Return the ARNs of all objects below these prefixes. An access point has its own form of them."""
    below = f"{bucket}/object" if ":accesspoint/" in bucket else bucket
    return [f"{below}/{literal(prefix)}*" for prefix in prefixes]


def decrypting(job: Job, key: str, *, sid: str = DECRYPT_LOGS) -> dict[str, Any]:
    """Allow decryption of logs, through S3 and of trails only. In a key's own policy `key` is `*`.

    The condition on the encryption context is that of "Granting decrypt permissions" in the CloudTrail user guide.
    """
    trails = {"Null": {"kms:EncryptionContext:aws:cloudtrail:arn": "false"}} if job.source.is_cloudtrail else {}
    statement = allow(sid, "kms:Decrypt", key)
    return with_condition(statement, {**trails, **_via_s3(job, job.source.region)})


def encrypting(job: Job, key: str, *, account_id: str | None = None) -> dict[str, Any]:
    """Allow replicas under a KMS key. An alias or ID is the account's, by default the consumer's."""
    region = job.destination.region
    owner = key.split(":")[4] if key.startswith("arn:") else account_id or job.consumer.account_id
    keys = f"arn:{job.partition}:kms:{region}:{owner}:key/"
    condition: dict[str, Mapping[str, Any]] = {}
    if key == "*" or (key.startswith("arn:") and ":alias/" not in key):
        resource = key
    elif "alias/" in key:
        resource = f"{keys}*"
        condition = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": f"alias/{key.partition('alias/')[2]}"}}
    else:
        resource = f"{keys}{key}"
    statement = allow(ENCRYPT_REPLICAS, _DESTINATION_KEY_ACTIONS, resource)
    return with_condition(statement, {**condition, **_via_s3(job, region)})


def reading(job: Job) -> list[Statement]:
    """Allow listing and reading the source."""
    bucket, prefixes = bucket_arn(job, job.source.bucket), source_prefixes(job)
    return [listing(LIST_LOGS, bucket, prefixes), allow(READ_LOGS, read_actions(job), objects(bucket, prefixes))]


def read_actions(job: Job) -> list[str]:
    """Return the actions of reading objects. Tags are among them only if replicas carry them."""
    return ["s3:GetObject", *(["s3:GetObjectTagging"] if job.destination.copy_tags else [])]


def proving(job: Job) -> list[Statement]:
    """Allow the look-up of the public keys that digests are checked with. None if the job copies no digests.

    The action has no resources ("Actions, resources, and condition keys for AWS CloudTrail").
    """
    has_digests = job.source.is_cloudtrail and (job.source.kinds == "*" or "CloudTrail-Digest" in job.source.kinds)
    return [allow(LIST_PUBLIC_KEYS, "cloudtrail:ListPublicKeys", "*")] if has_digests else []


def reading_and_proving(job: Job) -> list[Statement]:
    """Return what the reader needs of its own: the source, and the keys of its digests."""
    return [*reading(job), *proving(job)]


def pruning(bucket: str, prefixes: Sequence[str]) -> dict[str, Any]:
    """Return what deleting objects of the source takes."""
    return allow(PRUNE_LOGS, "s3:DeleteObject", objects(bucket, prefixes))


def seeing_versions(bucket: str) -> dict[str, Any]:
    """Return what it takes to see that an older version of a replaced object stays."""
    return allow(SEE_VERSIONING, "s3:GetBucketVersioning", bucket)


def writing(job: Job) -> list[Statement]:
    """Allow writing replicas, with whatever the job wants them to carry."""
    destination = job.destination
    actions = write_actions(job)
    below = objects(bucket_arn(job, destination.bucket), replica_prefixes(job))
    found: list[Statement] = [allow(WRITE_REPLICAS, actions, below)]
    if destination.kms_key_id is not None:
        found.append(encrypting(job, destination.kms_key_id))
    return found


def write_actions(job: Job) -> list[str]:
    """Return the actions of writing replicas."""
    actions = ["s3:PutObject", "s3:AbortMultipartUpload"]
    if job.destination.tags or job.destination.copy_tags:
        actions.append("s3:PutObjectTagging")
    if job.destination.acl is not None:
        actions.append("s3:PutObjectAcl")
    return actions


def comparing(job: Job) -> list[Statement]:
    """Allow comparing and listing replicas."""
    bucket, prefixes = bucket_arn(job, job.destination.bucket), replica_prefixes(job)
    return [
        allow(COMPARE_REPLICAS, "s3:GetObject", objects(bucket, prefixes)),
        listing(LIST_REPLICAS, bucket, prefixes),
    ]


def replica_prefixes(job: Job) -> list[str]:
    """Return the narrowest prefixes of the job's replicas. `objects` and `listing` escape them."""
    return [job.destination.prefix + prefix for prefix in source_prefixes(job)]


def source_keys(job: Job) -> str:
    """Allow any key in the region. Only the trail knows which, and a third account may own it."""
    return f"arn:{job.partition}:kms:{job.source.region}:*:key/*"


def bucket_arn(job: Job, bucket: str) -> str:
    """Return the ARN of a bucket in the job's partition, or of the access point that it is reached by.

    Policies name an access point and never its alias, which does not tell its account.
    """
    if access_point(bucket) is not None:
        return bucket
    if is_access_point_alias(bucket):
        region = job.source.region if bucket == job.source.bucket else job.destination.region
        return f"arn:{job.partition}:s3:{region}:*:accesspoint/*"
    return f"arn:{job.partition}:s3:::{bucket}"


def _via_s3(job: Job, region: str) -> dict[str, Mapping[str, Any]]:
    """Return the condition on S3 of this region.

    For China the documents disagree on `kms:ViaService`, and for younger partitions there are none: no condition then.
    """
    if job.partition not in ("aws", "aws-us-gov"):
        return {}
    return {"StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"}}


def compact(document: object) -> str:
    """Return JSON on one line without spaces, in ASCII: IAM takes no character beyond U+00FF."""
    return json.dumps(document, separators=(",", ":"))


def _short(items: str | Sequence[str]) -> str | list[str]:
    if isinstance(items, str):
        return items
    return items[0] if len(items) == 1 else list(items)
