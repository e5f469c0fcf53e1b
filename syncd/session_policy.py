"""The session policy that narrows whatever the role may do to what the job needs of it.

Its effect is the intersection with the role's own policy (IAM User Guide, "Session policies"), so a role that was made
too wide is harmless in our hands.
"""

import json
from typing import Any

from syncd.config import Job
from syncd.scope import flat_prefix, source_prefixes

# AssumeRole takes no more than this as plain text, `Policy` and `PolicyArns` together.
LONGEST_POLICY = 2048


def session_policy(job: Job) -> str:
    """The policy of the session that lists and reads the source: compact JSON of at most 2,048 characters."""
    prefixes = source_prefixes(job)
    text = _rendered(job, prefixes)
    if len(text) > LONGEST_POLICY:
        text = _rendered(job, [_common_prefix(prefixes)])
    return text


def _common_prefix(prefixes: list[str]) -> str:
    """What many prefixes have in common, up to a slash."""
    first, last = min(prefixes), max(prefixes)
    same = next((index for index, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    return first[: first.rfind("/", 0, same) + 1]


def _rendered(job: Job, prefixes: list[str]) -> str:
    bucket = f"arn:{job.partition}:s3:::{job.source.bucket}"
    listing: dict[str, Any] = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket}
    if all(prefixes) or flat_prefix(job):
        listing["Condition"] = {"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}}
    statements: list[dict[str, Any]] = [
        listing,
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:GetObjectTagging"],
            "Resource": [f"{bucket}/{prefix}*" for prefix in prefixes],
        },
        {"Effect": "Allow", "Action": "s3:GetBucketLocation", "Resource": bucket},
        {"Effect": "Allow", "Action": ["kms:Decrypt", "cloudtrail:ListPublicKeys"], "Resource": "*"},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))
