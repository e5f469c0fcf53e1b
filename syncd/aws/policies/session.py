"""Session policies, which narrow what the role may do to what the job needs.

Its effect is the intersection with the role's own policy (IAM User Guide, "Session policies"), so a role that is too
wide does no harm here.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from syncd.aws.policies import statements
from syncd.aws.policies.statements import allow, listing, objects
from syncd.config.job import Job
from syncd.tick.scope import source_prefixes

# The longest plain text that AssumeRole takes, `Policy` and `PolicyArns` together.
LONGEST_POLICY = 2048


def session_policy(job: Job) -> str:
    """Return the policy of the session that lists and reads the source. Compact JSON of at most 2,048 characters."""
    return _narrowest(job)


def prune_policy(job: Job) -> str:
    """Return the policy of the session that prunes: it may also delete objects of the source. No tick has it."""
    return _narrowest(job, deletes=True)


def _narrowest(job: Job, *, deletes: bool = False) -> str:
    prefixes = source_prefixes(job)
    for narrowed in (prefixes, [_common_prefix(prefixes)]):
        text = _rendered(job, narrowed, deletes=deletes)
        if len(text) <= LONGEST_POLICY:
            return text
    return _rendered(job, [""], deletes=deletes)


def copy_policy(job: Job) -> str:
    """Return the policy of the session that signs server-side copies.

    A session policy is a ceiling. It names every action that `policies` asks for, below the same prefixes, or below
    shorter ones if STS would take no more. Compact JSON of at most 2,048 characters.
    """
    landing, exact = job.destination.prefix, source_prefixes(job)
    above = [_common_prefix(exact)]
    # Keep the exact prefixes of reads for as long as they fit: the destination's bucket policy narrows the writes.
    ladder = [(exact, exact), (exact, above), (above, above), ([""], [""])]
    for read, written in ladder:
        text = _copying(job, read, [landing + prefix for prefix in written])
        if len(text) <= LONGEST_POLICY:
            return text
    # A prefix may be 512 bytes, each escaped to four or more characters.
    return _copying(job, [""], [""])


def session_policies(job: Job) -> list[str]:
    """Return the policies of the session that lists and reads, from the exact one to the shortest."""
    return _ladder(job, [session_policy(job), _rendered(job, [""]), _shortest(_source_actions(job))])


def prune_policies(job: Job) -> list[str]:
    """Return the policies of the session that prunes, from the exact one to the shortest."""
    actions = [*_source_actions(job), "s3:DeleteObject"]
    return _ladder(job, [prune_policy(job), _rendered(job, [""], deletes=True), _shortest(actions)])


def copy_policies(job: Job) -> list[str]:
    """Return the policies of the session that signs server-side copies, from the exact one to the shortest."""
    actions = [*_source_actions(job), *statements.write_actions(job), "kms:GenerateDataKey"]
    return _ladder(job, [copy_policy(job), _copying(job, [""], [""]), _shortest(actions)])


def consumer_policy(job: Job, *, deletes: bool = False) -> str:
    """Return what the consumer itself needs, to narrow its credentials to. Compact JSON of at most 2,048 characters.

    Without a role, the session of a prune also `deletes` objects of the source. No other does.
    """
    role, landing, exact = job.source.role, job.destination.prefix, source_prefixes(job)
    source = statements.bucket_arn(job, job.source.bucket)
    destination = statements.bucket_arn(job, job.destination.bucket)
    needed = [] if role is None else [statements.assuming(role)]
    # Whoever tries which way of copying works needs to read the source for one of them.
    is_reader = role is None or job.destination.copy_mode != "stream"
    text = ""
    for prefixes in (exact, [_common_prefix(exact)], [""]):
        replicas = [landing + prefix for prefix in prefixes]
        found = [
            *needed,
            listing("", destination, replicas),
            allow("", ["s3:GetObject", *statements.write_actions(job)], objects(destination, replicas)),
            allow("", ["kms:Decrypt", "kms:GenerateDataKey"], "*"),
            statements.seeing_versions(destination),
        ]
        if deletes and role is None:
            found.append(statements.pruning(source, prefixes))
        if is_reader:
            found += [
                listing("", source, prefixes),
                allow(
                    "", [*statements.read_actions(job), "s3:GetBucketLocation"], [source, *objects(source, prefixes)]
                ),
                allow("", "cloudtrail:ListPublicKeys", "*"),
            ]
        text = _compact(found)
        if len(text) <= LONGEST_POLICY:
            break
    return text


def _ladder(job: Job, policies: list[str]) -> list[str]:
    """Return the policies, each shorter than the one before, and none at last if the job allows that."""
    steps: list[str] = []
    for policy in policies:
        if not steps or len(policy) < len(steps[-1]):
            steps.append(policy)
    role = job.source.role
    return [*steps, *([""] if role is not None and role.session_policy == "off" else [])]


def _source_actions(job: Job) -> list[str]:
    """Return every action of listing and reading the source."""
    more = ["s3:ListBucket", "s3:GetBucketLocation", "kms:Decrypt", "cloudtrail:ListPublicKeys"]
    return [*statements.read_actions(job), *more]


def _shortest(actions: Sequence[str]) -> str:
    """Return a policy that bounds the actions and leaves the resources to the role's own policy."""
    return _compact([allow("", actions, "*")])


def _copying(job: Job, read: Sequence[str], written: Sequence[str]) -> str:
    source = statements.bucket_arn(job, job.source.bucket)
    destination = statements.bucket_arn(job, job.destination.bucket)
    return _compact(
        [
            allow("", statements.read_actions(job), objects(source, read)),
            allow("", statements.write_actions(job), objects(destination, written)),
            *_copying_keys(job),
        ]
    )


def _copying_keys(job: Job) -> list[Mapping[str, Any]]:
    key = job.destination.kms_key_id
    if key is None:
        # Replicas are encrypted by the bucket's default, which only its owner can look up. It may be any key of any
        # account, so the ceiling allows all.
        return [allow("", ["kms:Decrypt", "kms:GenerateDataKey"], "*")]
    # KMS looks a bare ID or alias up in the caller's account, which for the role need not be the consumer's.
    return [
        allow("", "kms:Decrypt", statements.source_keys(job)),
        statements.encrypting(job, key, account_id="*"),
    ]


def _common_prefix(prefixes: list[str]) -> str:
    """Return the common beginning of prefixes, up to a slash."""
    first, last = min(prefixes), max(prefixes)
    same = next((index for index, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    return first[: first.rfind("/", 0, same) + 1]


def _rendered(job: Job, prefixes: Sequence[str], *, deletes: bool = False) -> str:
    bucket = statements.bucket_arn(job, job.source.bucket)
    narrowed = [
        listing("", bucket, prefixes),
        allow("", statements.read_actions(job), objects(bucket, prefixes)),
        allow("", "s3:GetBucketLocation", bucket),
        allow("", "kms:Decrypt", statements.source_keys(job)),
        allow("", "cloudtrail:ListPublicKeys", "*"),
    ]
    if deletes:
        narrowed.append(statements.pruning(bucket, prefixes))
    return _compact(narrowed)


def _compact(named: Sequence[Mapping[str, Any]]) -> str:
    # Without Sids, of which a session has no use, there is room for more prefixes.
    unnamed = [{key: value for key, value in statement.items() if key != "Sid"} for statement in named]
    # STS takes no character beyond \u00FF, so what is beyond ASCII is escaped.
    return json.dumps({"Version": "2012-10-17", "Statement": unnamed}, separators=(",", ":"))
