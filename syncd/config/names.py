"""AWS's own patterns and lengths, checked before a call is made: botocore checks lengths, but no pattern.

Each `check_…` returns the text it was given, or raises ValueError with what is wrong and what would be right.
Sources: the STS, IAM, S3 and Organizations service models, and "Bucket naming rules" of the S3 user guide.
"""

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeGuard

from syncd.config import partitions
from syncd.config.words import did_you_mean, shown

Kind = Literal[
    "CloudTrail", "CloudTrail-Digest", "CloudTrail-Insight", "CloudTrail-NetworkActivity", "CloudTrail-Aggregated"
]
# What PutObject takes on a general purpose bucket; the model lists more (OUTPOSTS, SNOW, EXPRESS_ONEZONE, FSX_*).
StorageClass = Literal[
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
    "REDUCED_REDUNDANCY",
]
_RESERVED_BUCKET_PREFIXES = ("xn--", "sthree-")
_RESERVED_BUCKET_SUFFIXES = ("--ol-s3", ".mrap", "--x-s3", "--table-s3")

JOB_NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
ACCOUNT_ID = "[0-9]{12}"
# What may be in a header, and how S3-compatible servers name owners: a user, a tenant, 64 hex digits.
OWNER = r"[!-~]{1,256}"
ORGANIZATION_ID = "|o-[a-z0-9]{10,32}"
REGION = "[a-z0-9][a-z0-9-]{0,62}"
ACCESS_POINT = r"arn:([a-z0-9-]+):s3:([a-z0-9-]+):([0-9]{12}):accesspoint[:/]([a-z0-9][a-z0-9-]{1,48}[a-z0-9])"
BUCKET = f"[a-z0-9.-]{{3,63}}|{ACCESS_POINT}"
_WORD = "A-Za-z0-9_"  # the service models say \w and mean ASCII; Python's \w would let other alphabets pass
SESSION_NAME = rf"[{_WORD}+=,.@-]{{2,64}}"
SOURCE_IDENTITY = rf"(?!aws:)[{_WORD}+=,.@-]{{2,256}}"
EXTERNAL_ID = rf"[{_WORD}+=,.@:/-]{{2,1224}}"
ROLE_ARN = rf"arn:([a-z0-9-]+):iam::([0-9]{{12}}):role/((?:[!-.0-~]+/)*)([{_WORD}+=,.@-]{{1,64}})"
_KMS_ID = r"(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
KMS_KEY = (
    rf"{_KMS_ID}|alias/[A-Za-z0-9/_-]{{1,250}}"
    rf"|arn:([a-z0-9-]+):kms:([a-z0-9-]+):[0-9]{{12}}:(?:key/{_KMS_ID}|alias/[A-Za-z0-9/_-]{{1,250}})"
)


class AccessPoint(NamedTuple):
    """The parts of an access point's ARN."""

    partition: str
    region: str
    account_id: str
    name: str


class RoleName(NamedTuple):
    """The partition and the account of a role's ARN."""

    partition: str
    account_id: str


def is_job_name(value: object) -> TypeGuard[str]:
    """Return whether the value can name a job."""
    return isinstance(value, str) and bool(re.fullmatch(JOB_NAME, value))


def check_job_name(text: str) -> str:
    """Return a job's name, which becomes a file name and the label of a metric."""
    if not is_job_name(text):
        rule = "1 to 64 letters, digits, dots, hyphens or underscores, the first a letter or a digit"
        raise ValueError(f"{shown(text)} is no job name: {rule}")
    return text


def check_account_id(text: str) -> str:
    """Return an account ID: twelve digits, in a string."""
    if not re.fullmatch(ACCOUNT_ID, text):
        hint = "; leave the dashes out" if re.fullmatch(r"[0-9]{4}-[0-9]{4}-[0-9]{4}", text) else ""
        raise ValueError(f'{shown(text)} is no account ID: 12 digits, such as "012345678901"{hint}')
    return text


def parse_role_arn(text: str) -> RoleName:
    """Parse a role's ARN of 20 to 2,048 characters."""
    found = re.fullmatch(ROLE_ARN, text)
    shape = "arn:PARTITION:iam::ACCOUNT:role/NAME, such as arn:aws:iam::111111111111:role/Test"
    if ":user/" in text or text.endswith(":root"):
        raise ValueError(f"{shown(text)} is a user or a root account, and only a role can be assumed: {shape}")
    if ":sts:" in text:
        raise ValueError(f"{shown(text)} is a session of a role; give the role's own ARN: {shape}")
    if not found or not 20 <= len(text) <= 2048:
        raise ValueError(f"{shown(text)} is no role ARN: {shape}")
    if found[1] not in partitions.names():
        raise ValueError(f"{shown(text)} is in partition {found[1]}; syncd knows {', '.join(partitions.names())}")
    return RoleName(found[1], found[2])


def check_role_arn(text: str) -> str:
    """Return the ARN of a role in a partition that syncd knows."""
    parse_role_arn(text)
    return text


def check_session_name(text: str) -> str:
    """Return a RoleSessionName: 2 to 64 characters."""
    if not re.fullmatch(SESSION_NAME, text):
        raise ValueError(f"{shown(text)} is no role session name: 2 to 64 letters, digits or any of _ + = , . @ -")
    return text


def check_source_identity(text: str) -> str:
    """Return a SourceIdentity: 2 to 256 characters."""
    if not re.fullmatch(SOURCE_IDENTITY, text):
        rule = "2 to 256 letters, digits or any of _ + = , . @ -, and not aws: in front"
        raise ValueError(f"{shown(text)} is no source identity: {rule}")
    return text


def check_external_id(text: str) -> str:
    """Return an ExternalId: 2 to 1,224 characters, which no message repeats."""
    if not re.fullmatch(EXTERNAL_ID, text):
        rule = "2 to 1224 letters, digits or any of _ + = , . @ : / -"
        raise ValueError(f"this text of {len(text)} characters is no external ID: {rule}")
    return text


def check_bucket(text: str) -> str:
    """Return the name of a general purpose bucket, or the alias or ARN of an access point."""
    if access_point(text) is not None:
        return text
    if text.startswith("arn:"):
        shape = "arn:PARTITION:s3:REGION:ACCOUNT:accesspoint/NAME"
        raise ValueError(
            f"{shown(text)} is no bucket: give its name, or the ARN of an access point in a region: {shape}"
        )
    rule = None
    if not re.fullmatch("[a-z0-9.-]{3,63}", text):
        rule = "3 to 63 lower-case letters, digits, dots and hyphens"
    elif not re.fullmatch(r"[a-z0-9].*[a-z0-9]", text):
        rule = "it begins and ends with a letter or a digit"
    elif ".." in text:
        rule = "two dots may not stand side by side"
    elif re.fullmatch(r"[0-9]+(\.[0-9]+){3}", text):
        rule = "it may not look like an IP address"
    elif text.startswith(_RESERVED_BUCKET_PREFIXES):
        rule = f"it may not begin with {' or '.join(_RESERVED_BUCKET_PREFIXES)}"
    elif text.endswith(_RESERVED_BUCKET_SUFFIXES):
        rule = f"it may not end with {', '.join(_RESERVED_BUCKET_SUFFIXES)}"
    if rule:
        raise ValueError(f"{shown(text)} is no bucket name: {rule}")
    return text


def access_point(bucket: str) -> AccessPoint | None:
    """Return what the ARN of an access point names, or None if the bucket is given in another way."""
    found = re.fullmatch(ACCESS_POINT, bucket)
    return AccessPoint(*found.groups()) if found else None


def is_access_point_alias(bucket: str) -> bool:
    """Return whether a bucket is given as the alias of an access point, which names neither account nor region."""
    return bucket.endswith("-s3alias")


def check_region(text: str) -> str:
    """Return the name of a region, on AWS or on an S3-compatible server."""
    if not re.fullmatch(REGION, text):
        raise ValueError(f"{shown(text)} is no region: lower-case letters, digits and hyphens, such as us-east-1")
    return text


def check_organization_id(text: str) -> str:
    """Return the ID of an AWS organization, or an empty text for accounts right below AWSLogs/."""
    if not re.fullmatch(ORGANIZATION_ID, text):
        rule = 'o- and 10 to 32 lower-case letters or digits, such as "o-exampleorgid"'
        raise ValueError(f"{shown(text)} is no organization ID: {rule}")
    return text


def check_owner(text: str) -> str:
    """Return who owns a bucket: a word of `endpoints.bucket_owner`, or the ID that a server knows."""
    if not re.fullmatch(OWNER, text):
        raise ValueError(f'{shown(text)} is no owner: "check", "off", or 1 to 256 ASCII characters without spaces')
    return text


def check_kms_key(text: str) -> str:
    """Return a KMS key: its ID, its ARN, or its alias."""
    if not re.fullmatch(KMS_KEY, text):
        raise ValueError(f"{shown(text)} is no KMS key: give the key's ID, its ARN, or alias/NAME")
    return text


def region_of_kms_key(text: str) -> str | None:
    """Return the region that a KMS ARN names, or None for a bare ID or alias."""
    found = re.fullmatch(KMS_KEY, text)
    return found[2] if found else None


def check_prefix(text: str) -> str:
    """Return a key prefix of at most 512 bytes, so that prefix and key stay below S3's 1,024."""
    rule = None
    if len(text.encode()) > 512:
        rule = "it may have 512 bytes at most"
    elif text.startswith("/"):
        rule = f"it may not begin with a slash; write {shown(text.lstrip('/'))}"
    elif not text.isprintable():
        rule = "it may not hold control characters"
    elif {".", ".."} & set(text.split("/")):
        rule = "it may not hold . or .. as a folder"
    if rule:
        raise ValueError(f"{shown(text)} is no key prefix: {rule}")
    return text


def check_tags(tags: dict[str, str]) -> dict[str, str]:
    """Return an object's tags: 10 at most, keys to 128 and values to 256 characters."""
    return _checked_tags(tags, 10, "an object")


def check_session_tags(tags: dict[str, str]) -> dict[str, str]:
    """Return a session's tags: 50 at most, whose keys differ in more than case."""
    by_lower_case: dict[str, str] = {}
    for key in tags:
        other = by_lower_case.setdefault(key.lower(), key)
        if other != key:
            raise ValueError(f"{shown(other)} and {shown(key)} are one session tag: its key has no case")
    return _checked_tags(tags, 50, "a session")


def _checked_tags(tags: dict[str, str], most: int, what: str) -> dict[str, str]:
    if len(tags) > most:
        raise ValueError(f"{what} carries at most {most} tags, and here are {len(tags)}")
    for key, value in tags.items():
        if not 1 <= len(key) <= 128 or not _in_tag_alphabet(key) or key.lower().startswith("aws:"):
            rule = "1 to 128 letters, digits, spaces or any of + - = . _ : / @, and not aws: in front"
            raise ValueError(f"{shown(key)} is no tag key: {rule}")
        if len(value) > 256 or not _in_tag_alphabet(value):
            rule = "up to 256 letters, digits, spaces or any of + - = . _ : / @"
            raise ValueError(f"the value of tag {shown(key)} is no tag value: {rule}")
    return tags


def _in_tag_alphabet(text: str) -> bool:
    return all(char.isalnum() or char in " +-=._:/@" for char in text)


def check_layout(value: object) -> str:
    """Return how keys are arranged: a word, or a date pattern, which may be in a table of its own."""
    pattern = value["pattern"] if isinstance(value, Mapping) and set(value) == {"pattern"} else value
    if pattern in ("cloudtrail", "flat"):
        return str(pattern)
    if not isinstance(pattern, str) or "%" not in pattern:
        shape = '"cloudtrail", "flat", or a date pattern such as "{prefix}/%Y/%m/%d/"'
        hint = did_you_mean(pattern, ["cloudtrail", "flat"]) if isinstance(pattern, str) else ""
        raise ValueError(f"{shown(pattern)} is no layout: {shape}{hint}")
    # Key order is time order only if the larger unit comes first, and a listing's range ends with a day.
    if re.findall(r"%(.?)", pattern) not in (["Y", "m", "d"], ["Y", "m", "d", "H"]):
        raise ValueError(f"{shown(pattern)}: a date pattern holds %Y, %m, %d in this order, then %H or nothing")
    if {"{", "}"} & set(pattern.removeprefix("{prefix}")):
        raise ValueError(f"{shown(pattern)}: a date pattern may begin with {{prefix}}, and holds no other braces")
    return pattern


def check_ignored(entry: str) -> str:
    """Return a key prefix or pattern of folders to leave alone."""
    if not entry.strip("*/"):
        raise ValueError(f"{shown(entry)} would leave out everything; name a folder, such as AWSLogs/old/")
    if entry.startswith("/"):
        raise ValueError(f"{shown(entry)} begins with a slash, and no key does; write {shown(entry.lstrip('/'))}")
    return entry
