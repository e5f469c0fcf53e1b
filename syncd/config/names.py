"""AWS's own patterns and lengths, checked before a call is made: botocore checks lengths, but no pattern.

Each `check_…` returns the text it was given, or raises ValueError with what is wrong and what would be right.
Sources: the STS, IAM, S3 and Organizations service models, and "Bucket naming rules" of the S3 user guide.
"""

import re
from typing import NamedTuple

from syncd.config.words import did_you_mean, shown

PARTITIONS = ("aws", "aws-us-gov", "aws-cn")
KINDS = ("CloudTrail", "CloudTrail-Digest", "CloudTrail-Insight", "CloudTrail-NetworkActivity", "CloudTrail-Aggregated")
# What PutObject takes on a general purpose bucket; the model lists more (OUTPOSTS, SNOW, EXPRESS_ONEZONE, FSX_*).
STORAGE_CLASSES = (
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
    "REDUCED_REDUNDANCY",
)
_PARTITION_OF_REGION = (
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("eu-isoe-", "aws-iso-e"),
    ("us-isof-", "aws-iso-f"),
    ("eusc-", "aws-eusc"),
)
_RESERVED_BUCKET_PREFIXES = ("xn--", "sthree-")
_RESERVED_BUCKET_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")

_WORD = "A-Za-z0-9_"  # the service models say \w and mean ASCII; Python's \w would let other alphabets pass
_SESSION_NAME = re.compile(rf"[{_WORD}+=,.@-]{{2,64}}")
_EXTERNAL_ID = re.compile(rf"[{_WORD}+=,.@:/-]{{2,1224}}")
_ROLE_ARN = re.compile(rf"arn:([a-z0-9-]+):iam::([0-9]{{12}}):role/((?:[!-.0-~]+/)*)([{_WORD}+=,.@-]{{1,64}})")
_KMS_ID = r"(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_KMS_KEY = re.compile(
    rf"{_KMS_ID}|alias/[A-Za-z0-9/_-]{{1,250}}"
    rf"|arn:([a-z0-9-]+):kms:([a-z0-9-]+):[0-9]{{12}}:(?:key/{_KMS_ID}|alias/[A-Za-z0-9/_-]{{1,250}})"
)


class RoleName(NamedTuple):
    """What a role's ARN says."""

    partition: str
    account_id: str


def check_account_id(text: str) -> str:
    """Twelve digits, in a string."""
    if not re.fullmatch(r"[0-9]{12}", text):
        hint = "; leave the dashes out" if re.fullmatch(r"[0-9]{4}-[0-9]{4}-[0-9]{4}", text) else ""
        raise ValueError(f'{shown(text)} is no account ID: 12 digits in quotes, such as "012345678901"{hint}')
    return text


def parse_role_arn(text: str) -> RoleName:
    """Partition and account of a role's ARN, 20 to 2,048 characters."""
    found = _ROLE_ARN.fullmatch(text)
    shape = "arn:PARTITION:iam::ACCOUNT:role/NAME, such as arn:aws:iam::111111111111:role/Test"
    if ":user/" in text or text.endswith(":root"):
        raise ValueError(f"{shown(text)} is a user or a root account, and only a role can be assumed: {shape}")
    if ":sts:" in text:
        raise ValueError(f"{shown(text)} is a session of a role; give the role's own ARN: {shape}")
    if not found or not 20 <= len(text) <= 2048:
        raise ValueError(f"{shown(text)} is no role ARN: {shape}")
    if found[1] not in PARTITIONS:
        raise ValueError(f"{shown(text)} is in partition {found[1]}; syncd knows {', '.join(PARTITIONS)}")
    return RoleName(found[1], found[2])


def check_role_arn(text: str) -> str:
    """The ARN of a role in a partition that syncd knows."""
    parse_role_arn(text)
    return text


def check_session_name(text: str) -> str:
    """RoleSessionName: 2 to 64 characters."""
    if not _SESSION_NAME.fullmatch(text):
        raise ValueError(f"{shown(text)} is no role session name: 2 to 64 letters, digits or any of _ + = , . @ -")
    return text


def check_external_id(text: str) -> str:
    """ExternalId: 2 to 1,224 characters. The value itself is not repeated in the message."""
    if not _EXTERNAL_ID.fullmatch(text):
        rule = "2 to 1224 letters, digits or any of _ + = , . @ : / -"
        raise ValueError(f"this text of {len(text)} characters is no external ID: {rule}")
    return text


def check_bucket(text: str) -> str:
    """The name of a general purpose bucket."""
    rule = None
    if not re.fullmatch(r"[a-z0-9.-]{3,63}", text):
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


def check_region(text: str) -> str:
    """What may stand for a region, on AWS or on an S3-compatible server."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", text):
        raise ValueError(f"{shown(text)} is no region: lower-case letters, digits and hyphens, such as us-east-1")
    return text


def partition_of(region: str) -> str | None:
    """The partition of an AWS region; None where the text is no AWS region's name."""
    if not re.fullmatch(r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}", region):
        return None
    return next((partition for prefix, partition in _PARTITION_OF_REGION if region.startswith(prefix)), "aws")


def check_organization_id(text: str) -> str:
    """The ID of an AWS organization."""
    if not re.fullmatch(r"o-[a-z0-9]{10,32}", text):
        rule = 'o- and 10 to 32 lower-case letters or digits, such as "o-exampleorgid"'
        raise ValueError(f"{shown(text)} is no organization ID: {rule}")
    return text


def check_kind(text: str) -> str:
    """The folder of one kind of CloudTrail object."""
    if text not in KINDS:
        known = ", ".join(KINDS)
        hint = did_you_mean(text, KINDS)
        raise ValueError(f'{shown(text)} is no kind of CloudTrail object ({known}, or "*" for every kind){hint}')
    return text


def check_kms_key(text: str) -> str:
    """A KMS key: its ID, its ARN, or its alias."""
    if not _KMS_KEY.fullmatch(text):
        raise ValueError(f"{shown(text)} is no KMS key: give the key's ID, its ARN, or alias/NAME")
    return text


def region_of_kms_key(text: str) -> str | None:
    """The region that a KMS ARN names; None for a bare ID or alias."""
    found = _KMS_KEY.fullmatch(text)
    return found[2] if found else None


def check_prefix(text: str) -> str:
    """A key prefix: at most 512 bytes, so that prefix and key stay below S3's 1,024."""
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
    """The tags of an object: 10 at most, keys to 128 and values to 256 characters, of AWS's tag alphabet."""
    if len(tags) > 10:
        raise ValueError(f"an object carries at most 10 tags, and here are {len(tags)}")
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
