"""The policy that narrows a session: short enough for STS, wide enough for the job, and no wider."""

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from builders_copy import A, B, job_of
from hypothesis import given
from hypothesis import strategies as st

from syncd.aws.policies import documents
from syncd.aws.policies.session import copy_policy, prune_policy, session_policy
from syncd.config.job import Job

ARN = "arn:aws:s3:::example-trail"
REPLICAS = "arn:aws:s3:::example-b-logs"
KEY = f"arn:aws:kms:us-east-1:{B}:key/12345678-1234-1234-1234-123456789012"
ALL_KINDS = [
    "s3:DeleteObject",
    "s3:PutObject",
    "s3:PutObjectAcl",
    "s3:GetObjectAcl",
    "s3:ListAllMyBuckets",
    "iam:PassRole",
]


def role_job(**changes: Any) -> Job:
    role = {"arn": f"arn:aws:iam::{A}:role/reader", "session_name": "syncd"}
    return job_of(source__role=role, **changes)


def _many(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value


def _is_like(pattern: str, text: str) -> bool:
    """IAM's wildcards: `*` is any text, slashes included, and `?` any one character; in `${}` each means itself."""
    pieces = re.findall(r"\$\{[^}]*\}|.", pattern, re.DOTALL)
    known = {"*": ".*", "?": ".", "${*}": r"\*", "${?}": r"\?", "${$}": r"\$"}
    assert all(piece in known for piece in pieces if len(piece) > 1), pattern
    return re.fullmatch("".join(known.get(piece, re.escape(piece)) for piece in pieces), text, re.DOTALL) is not None


def allows(policy: str, action: str, resource: str, prefix: str | None = None) -> bool:
    """What IAM makes of a policy without Deny; `prefix` is the request's `s3:prefix`."""
    for statement in json.loads(policy)["Statement"]:
        assert statement["Effect"] == "Allow"
        is_meant = any(_is_like(pattern, action) for pattern in _many(statement["Action"]))
        is_there = any(_is_like(pattern, resource) for pattern in _many(statement["Resource"]))
        wanted = statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix")
        is_held = wanted is None or (prefix is not None and any(_is_like(like, prefix) for like in _many(wanted)))
        if is_meant and is_there and is_held:
            return True
    return False


def can_list(policy: str, prefix: str) -> bool:
    return allows(policy, "s3:ListBucket", ARN, prefix)


def can_read(policy: str, key: str) -> bool:
    return allows(policy, "s3:GetObject", f"{ARN}/{key}")


def accounts(count: int) -> list[str]:
    return [f"{100_000_000_000 + number * 7_919:012}" for number in range(count)]


def test_a_job_lists_and_reads_its_own_prefix_and_no_other() -> None:
    policy = session_policy(role_job())

    assert can_list(policy, f"AWSLogs/{B}/")
    assert can_list(policy, f"AWSLogs/{B}/CloudTrail/us-east-1/")
    assert can_read(policy, f"AWSLogs/{B}/CloudTrail/us-east-1/2026/11/24/log.json.gz")
    assert not any(can_list(policy, prefix) for prefix in ("", "AWSLogs/", f"AWSLogs/{A}/", f"x/AWSLogs/{B}/"))
    assert not any(can_read(policy, key) for key in ("log", f"AWSLogs/{A}/log", f"AWSLogs/{B}0/log"))


def test_a_listing_without_a_prefix_is_refused() -> None:
    assert not allows(session_policy(role_job()), "s3:ListBucket", ARN, None)


@pytest.mark.parametrize("action", ALL_KINDS)
def test_a_session_can_neither_write_nor_delete_nor_grant_whatever_the_role_may(action: str) -> None:
    policy = session_policy(role_job())

    assert not any(
        allows(policy, action, where, "") for where in (ARN, f"{ARN}/AWSLogs/{B}/log", "*", "arn:aws:s3:::*")
    )


def test_another_bucket_is_out_of_reach() -> None:
    policy = session_policy(role_job())

    assert not allows(policy, "s3:ListBucket", "arn:aws:s3:::example-trail-2", f"AWSLogs/{B}/")
    assert not allows(policy, "s3:GetObject", f"arn:aws:s3:::example-trail-2/AWSLogs/{B}/log")


@pytest.mark.parametrize("action", ["kms:Decrypt", "cloudtrail:ListPublicKeys", "s3:GetBucketLocation"])
def test_what_reading_and_verifying_take_beside_the_bucket_is_allowed(action: str) -> None:
    resource = {
        "kms:Decrypt": f"arn:aws:kms:us-east-1:{A}:key/1234",
        "cloudtrail:ListPublicKeys": "*",
        "s3:GetBucketLocation": ARN,
    }[action]

    assert allows(session_policy(role_job()), action, resource)


def test_the_trails_own_prefix_and_organizations_narrow_further() -> None:
    policy = session_policy(
        role_job(source__prefix="trails/main", source__organization_id=["o-exampleorgid", "o-secondorgid0"])
    )

    assert can_list(policy, f"trails/main/AWSLogs/o-exampleorgid/{B}/")
    assert can_read(policy, f"trails/main/AWSLogs/o-secondorgid0/{B}/CloudTrail/log")
    assert not can_list(policy, f"trails/main/AWSLogs/{B}/")
    assert not can_list(policy, "trails/main/AWSLogs/o-exampleorgid/")
    assert not can_read(policy, f"AWSLogs/o-exampleorgid/{B}/log")


def test_a_job_that_discovers_accounts_may_list_what_is_above_them() -> None:
    policy = session_policy(role_job(source__accounts="*"))

    assert can_list(policy, "AWSLogs/")
    assert can_list(policy, f"AWSLogs/{A}/CloudTrail/")
    assert not can_list(policy, "")
    assert not can_read(policy, "other/log")


def test_a_flat_job_lists_and_reads_its_prefix() -> None:
    policy = session_policy(role_job(source__layout="flat", source__prefix="logs/app"))

    assert can_list(policy, "logs/app")
    assert can_read(policy, "logs/app-2/x")
    assert not can_list(policy, "logs/")
    assert not can_read(policy, "logs/other")


def test_a_flat_job_without_a_prefix_lists_and_reads_the_bucket() -> None:
    policy = session_policy(role_job(source__layout="flat", source__prefix=""))

    assert can_list(policy, "")
    assert can_read(policy, "anything/at all")


def test_a_dated_job_lists_and_reads_what_is_before_its_dates() -> None:
    policy = session_policy(role_job(source__layout="{prefix}/%Y/%m/%d/", source__prefix="flow"))

    assert can_list(policy, "flow/")
    assert can_read(policy, "flow/2026/11/24/x")
    assert not can_list(policy, "")
    assert not can_read(policy, "flowers/2026/11/24/x")


def test_another_partition_has_its_own_arns() -> None:
    role = {"arn": f"arn:aws-us-gov:iam::{A}:role/reader", "session_name": "syncd"}

    policy = session_policy(
        job_of(source__role=role, source__region="us-gov-west-1", destination__region="us-gov-west-1")
    )

    assert allows(policy, "s3:ListBucket", "arn:aws-us-gov:s3:::example-trail", f"AWSLogs/{B}/")
    assert not allows(policy, "s3:ListBucket", ARN, f"AWSLogs/{B}/")


@pytest.mark.parametrize("count", [1, 2, 10, 12, 14, 16, 20, 100, 1000])
def test_a_policy_of_many_accounts_stays_within_what_sts_takes(count: int) -> None:
    named = accounts(count)

    policy = session_policy(role_job(source__accounts=named))

    assert len(policy) <= 2048
    assert all(can_list(policy, f"AWSLogs/{account}/CloudTrail/") for account in named)
    assert all(can_read(policy, f"AWSLogs/{account}/CloudTrail/log") for account in named)
    assert not can_list(policy, "")


def test_accounts_are_named_one_by_one_as_long_as_they_fit() -> None:
    policy = session_policy(role_job(source__accounts=accounts(10)))

    assert not can_list(policy, f"AWSLogs/{A}/")
    assert not can_read(policy, f"AWSLogs/{A}/log")


def test_more_accounts_than_fit_collapse_to_what_is_above_them() -> None:
    policy = session_policy(role_job(source__prefix="trail", source__accounts=accounts(100)))

    assert can_list(policy, f"trail/AWSLogs/{A}/")
    assert not can_list(policy, "trail/")
    assert not can_list(policy, "AWSLogs/")
    assert not can_read(policy, "trail/other")


def test_many_accounts_of_one_organization_collapse_to_the_organization() -> None:
    policy = session_policy(role_job(source__organization_id="o-exampleorgid", source__accounts=accounts(100)))

    assert can_list(policy, f"AWSLogs/o-exampleorgid/{A}/")
    assert not can_list(policy, f"AWSLogs/{A}/")


PIECES = ["logs", "trail 2", "é", "日本", "x.y-z_=@", "'\"<&>\\", "$", "a*b?", "${c}", "*" * 200]
PIECES += ["x" * 150, "é" * 100, "ログ" * 60]
PREFIXES = st.lists(st.sampled_from(PIECES), max_size=4).map("/".join).filter(lambda text: len(text.encode()) <= 512)


@given(
    prefix=PREFIXES.filter(lambda text: len(text) <= 200),
    named=st.lists(st.sampled_from(accounts(60)), min_size=1, unique=True),
    organizations=st.lists(st.sampled_from([f"o-{name * 10}" for name in "abc"] + [f"o-{'x' * 32}"]), unique=True),
)
def test_any_job_gets_what_it_needs_within_what_sts_takes(
    prefix: str, named: list[str], organizations: list[str]
) -> None:
    job = role_job(source__prefix=prefix, source__accounts=named, source__organization_id=organizations or None)

    policy = session_policy(job)

    top = f"{job.source.prefix}/AWSLogs/" if job.source.prefix else "AWSLogs/"
    assert len(policy) <= 2048
    # STS: "any ASCII character from the space character to the end of the valid character list (\\u0020 through \\u00FF)".
    assert re.fullmatch("[\t\n\r -\u00ff]+", policy)
    for account in named:
        for above in [f"{top}{organization}/" for organization in organizations] or [top]:
            assert can_list(policy, f"{above}{account}/CloudTrail/")
            assert can_read(policy, f"{above}{account}/CloudTrail/log")


@given(prefix=PREFIXES)
def test_any_flat_job_gets_what_it_needs_within_what_sts_takes(prefix: str) -> None:
    policy = session_policy(role_job(source__layout="flat", source__prefix=prefix))

    assert len(policy) <= 2048
    assert re.fullmatch("[\t\n\r -\u00ff]+", policy)
    assert can_list(policy, prefix)
    assert can_read(policy, f"{prefix}/log")


@pytest.mark.parametrize("prefix", ["日本/", "ログ/" * 20])
def test_a_prefix_that_sts_takes_no_characters_of_is_escaped_and_still_narrow(prefix: str) -> None:
    policy = session_policy(role_job(source__layout="flat", source__prefix=prefix))

    assert policy.isascii()
    assert can_list(policy, prefix)
    assert not can_list(policy, "")
    assert not can_read(policy, "other")


SPECIAL = ["a*b?", "$", "${aws:username}/", "*", "?", "${*}", "a$*?", "$$/{x}"]


@pytest.mark.parametrize("prefix", SPECIAL)
def test_a_prefix_of_special_characters_means_itself_and_no_pattern(prefix: str) -> None:
    policy = session_policy(role_job(source__layout="flat", source__prefix=prefix))

    assert can_list(policy, prefix)
    assert can_read(policy, f"{prefix}log")
    assert not can_list(policy, "")
    assert not any(can_read(policy, f"{other}log") for other in ("aXbY", "ab", "somebody/", "x", ""))


def test_special_characters_are_spelt_as_iam_spells_them_and_the_last_star_is_ours() -> None:
    policy = session_policy(role_job(source__layout="flat", source__prefix="a*b?$"))

    listing, reading, *_ = json.loads(policy)["Statement"]
    assert listing["Condition"] == {"StringLike": {"s3:prefix": "a${*}b${?}${$}*"}}
    assert reading["Resource"] == f"{ARN}/a${{*}}b${{?}}${{$}}*"


def test_a_prefix_without_special_characters_is_written_as_it_is() -> None:
    policy = session_policy(role_job(source__layout="flat", source__prefix="logs {a}/b-c_d.e"))

    listing, reading, *_ = json.loads(policy)["Statement"]
    assert listing["Condition"] == {"StringLike": {"s3:prefix": "logs {a}/b-c_d.e*"}}
    assert reading["Resource"] == f"{ARN}/logs {{a}}/b-c_d.e*"


def by_role(**changes: Any) -> Job:
    return role_job(**{"destination__copy": "server-side", "destination__signer": "role", **changes})


def can_write(policy: str, key: str, action: str = "s3:PutObject") -> bool:
    return allows(policy, action, f"{REPLICAS}/{key}")


ADORNED = {
    "plain": {},
    "acl": {"destination__acl": "bucket-owner-full-control"},
    "tags": {"destination__tags": {"origin": "syncd"}},
    "source tags": {"destination__tags": {}, "destination__copy_tags": True},
    "key": {"destination__kms_key_id": KEY},
    "alias": {"destination__kms_key_id": "alias/replicas"},
    "prefix": {"destination__prefix": "replica*/"},
}


@pytest.mark.parametrize("adorned", [*ADORNED.values(), {k: v for each in ADORNED.values() for k, v in each.items()}])
@pytest.mark.parametrize("count", [1, 60])
def test_the_session_that_copies_may_do_what_is_asked_of_the_role(adorned: dict[str, Any], count: int) -> None:
    job = by_role(source__accounts=accounts(count), **adorned)

    policy = copy_policy(job)

    access = next(item for item in documents.documents(job) if item.name == documents.ROLE_ACCESS)
    write = next(item for item in access.statements if item["Sid"] == "WriteReplicas")
    assert len(policy) <= 2048
    for account in accounts(count):
        key = f"{job.destination.prefix}AWSLogs/{account}/CloudTrail/log"
        assert all(can_write(policy, key, action) for action in write["Action"])
        assert can_read(policy, f"AWSLogs/{account}/CloudTrail/log")


@pytest.mark.parametrize("action", ["s3:PutObjectTagging", "s3:AbortMultipartUpload"])
def test_the_session_that_copies_takes_tags_along_and_gives_up_parts_in_either_mode(action: str) -> None:
    for mode in ("server-side", "auto"):
        policy = copy_policy(by_role(destination__copy=mode, destination__copy_tags=True))

        assert can_write(policy, f"AWSLogs/{B}/log", action)


def test_a_session_has_nothing_to_do_with_tags_unless_the_job_wants_them() -> None:
    job = by_role()

    assert "Tagging" not in session_policy(job) + copy_policy(job)
    assert "s3:GetObjectTagging" in session_policy(by_role(destination__copy_tags=True))


def test_the_session_that_copies_sets_acls_only_where_the_job_does() -> None:
    plain, adorned = copy_policy(by_role()), copy_policy(by_role(**ADORNED["acl"]))

    assert not can_write(plain, f"AWSLogs/{B}/log", "s3:PutObjectAcl")
    assert can_write(adorned, f"AWSLogs/{B}/log", "s3:PutObjectAcl")


def test_the_session_that_copies_writes_where_replicas_lie_and_nowhere_else() -> None:
    policy = copy_policy(by_role(destination__prefix="replica/"))

    assert can_write(policy, f"replica/AWSLogs/{B}/log")
    assert not any(can_write(policy, key) for key in (f"AWSLogs/{B}/log", f"replica/AWSLogs/{A}/log", "replica/other"))
    assert not allows(policy, "s3:PutObject", f"{ARN}/AWSLogs/{B}/log")
    assert not any(
        can_write(policy, f"replica/AWSLogs/{B}/log", action) for action in ("s3:DeleteObject", "s3:GetObject")
    )


def test_a_session_that_copies_for_many_accounts_writes_below_what_they_have_in_common() -> None:
    policy = copy_policy(by_role(source__accounts=accounts(60), destination__prefix="replica/"))

    assert can_write(policy, f"replica/AWSLogs/{A}/log")
    assert not can_write(policy, f"AWSLogs/{A}/log")
    assert not can_write(policy, "replica/other")
    assert not can_read(policy, "other")


def test_reading_stays_exact_where_only_writing_has_to_be_told_in_fewer_words() -> None:
    policy = copy_policy(by_role(source__accounts=accounts(20), destination__prefix="replica/"))

    assert not can_read(policy, f"AWSLogs/{A}/log")
    assert can_write(policy, f"replica/AWSLogs/{A}/log")


def test_a_session_that_copies_encrypts_with_the_jobs_key_only() -> None:
    policy = copy_policy(by_role(destination__kms_key_id=KEY))

    assert allows(policy, "kms:GenerateDataKey", KEY)
    assert not allows(policy, "kms:GenerateDataKey", f"{KEY[:-1]}3")
    assert allows(policy, "kms:Decrypt", f"arn:aws:kms:us-east-1:{A}:key/logs")


@pytest.mark.parametrize("owner", [A, B])
def test_a_bare_key_id_is_the_key_of_whichever_account_looks_it_up(owner: str) -> None:
    key_id = KEY.rpartition("/")[2]

    policy = copy_policy(by_role(destination__kms_key_id=key_id))

    assert allows(policy, "kms:GenerateDataKey", f"arn:aws:kms:us-east-1:{owner}:key/{key_id}")
    assert not allows(policy, "kms:GenerateDataKey", f"arn:aws:kms:us-east-1:{owner}:key/{key_id[:-1]}3")


def test_an_alias_is_a_condition_on_the_keys_that_the_session_encrypts_with() -> None:
    policy = copy_policy(by_role(destination__kms_key_id="alias/replicas"))

    encrypting = json.loads(policy)["Statement"][-1]
    assert encrypting["Resource"] == "arn:aws:kms:us-east-1:*:key/*"
    assert encrypting["Condition"]["ForAnyValue:StringEquals"] == {"kms:ResourceAliases": "alias/replicas"}


def test_a_session_that_copies_under_the_buckets_own_encryption_may_use_whichever_key_that_is() -> None:
    policy = copy_policy(by_role())

    assert allows(policy, "kms:GenerateDataKey", f"arn:aws:kms:us-east-1:{B}:key/whichever")


@given(source=PREFIXES, destination=PREFIXES)
def test_any_flat_job_copies_by_the_role_within_what_sts_takes(source: str, destination: str) -> None:
    job = by_role(
        source__layout="flat",
        source__prefix=source,
        destination__prefix=destination,
        destination__acl="bucket-owner-full-control",
        destination__kms_key_id="alias/replicas",
    )

    policy = copy_policy(job)

    assert len(policy) <= 2048
    assert policy.isascii()
    assert can_read(policy, f"{source}log")
    assert can_write(policy, f"{destination}{source}log", "s3:PutObjectAcl")


def test_a_destination_prefix_that_sts_has_no_room_for_is_left_out() -> None:
    policy = copy_policy(by_role(destination__prefix="*" * 512))

    assert len(policy) <= 2048
    assert can_write(policy, f"{'*' * 512}AWSLogs/{B}/log")


@pytest.mark.parametrize("prefix", ["AWSLogs/222222222222/", "AWSLogs/333333333333/", "other/"])
def test_only_the_session_that_prunes_may_delete_and_only_what_the_job_reads(prefix: str) -> None:
    job, key = role_job(source__accounts=["222222222222"]), f"{ARN}/{prefix}x"

    assert not allows(session_policy(job), "s3:DeleteObject", key)
    assert allows(prune_policy(job), "s3:DeleteObject", key) == ("222222222222" in prefix)
    assert allows(prune_policy(job), "s3:GetObject", key) == ("222222222222" in prefix)


def test_a_session_that_prunes_many_accounts_stays_within_what_sts_takes() -> None:
    assert len(prune_policy(role_job(source__accounts=accounts(100)))) <= 2048
