"""The session policy that narrows whatever the role may do to what the job needs of it.

Its effect is the intersection with the role's own policy (IAM User Guide, "Session policies"), so a role that was made
too wide is harmless in our hands.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from syncd import statements
from syncd.config import Job
from syncd.scope import source_prefixes
from syncd.statements import allow, listing, objects

# AssumeRole takes no more than this as plain text, `Policy` and `PolicyArns` together.
LONGEST_POLICY = 2048


def session_policy(job: Job) -> str:
    """The policy of the session that lists and reads the source: compact JSON of at most 2,048 characters."""
    prefixes = source_prefixes(job)
    for narrowed in (prefixes, [_common_prefix(prefixes)]):
        text = _rendered(job, narrowed)
        if len(text) <= LONGEST_POLICY:
            return text
    return _rendered(job, [""])


def copy_policy(job: Job) -> str:
    """The policy of the separate session that signs server-side copies: it reads the source, and writes the replica."""
    bucket = statements.bucket_arn(job, job.source.bucket)
    replica = statements.bucket_arn(job, job.destination.bucket)
    prefixes = source_prefixes(job)
    for narrowed in (prefixes, [_common_prefix(prefixes)], [""]):
        text = _compact(
            [
                allow("", ["s3:GetObject", "s3:GetObjectTagging"], objects(bucket, narrowed)),
                allow("", ["s3:PutObject", "s3:PutObjectTagging"], objects(replica, [job.destination.prefix])),
                allow("", ["kms:Decrypt", "kms:GenerateDataKey"], "*"),
            ]
        )
        if len(text) <= LONGEST_POLICY:
            break
    return text


def _common_prefix(prefixes: list[str]) -> str:
    """What many prefixes have in common, up to a slash."""
    first, last = min(prefixes), max(prefixes)
    same = next((index for index, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    return first[: first.rfind("/", 0, same) + 1]


def _rendered(job: Job, prefixes: Sequence[str]) -> str:
    bucket = statements.bucket_arn(job, job.source.bucket)
    narrowed = [
        listing("", bucket, prefixes),
        allow("", ["s3:GetObject", "s3:GetObjectTagging"], objects(bucket, prefixes)),
        allow("", "s3:GetBucketLocation", bucket),
        allow("", "kms:Decrypt", statements.source_keys(job)),
        allow("", "cloudtrail:ListPublicKeys", "*"),
    ]
    return _compact(narrowed)


def _compact(named: Sequence[Mapping[str, Any]]) -> str:
    # Without Sids, of which a session has no use, there is room for more prefixes.
    unnamed = [{key: value for key, value in statement.items() if key != "Sid"} for statement in named]
    # STS takes no character beyond \u00FF, so what is beyond ASCII is escaped.
    return json.dumps({"Version": "2012-10-17", "Statement": unnamed}, separators=(",", ":"))
