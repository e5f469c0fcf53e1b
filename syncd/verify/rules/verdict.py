"""The words of the proof: verdicts over spans of time, and the reasons for them. Pure."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """The result of a digest for its span. All of it covers delivery, not recording."""

    PROVED = "proved"
    """Signed, linked to its predecessor, and every log that it names is in the replica, unaltered."""
    UNPROVED = "unproved"
    UNANCHORED = "unanchored"
    """Proved, but the predecessor that it names is not in the replica: a chain that begins in the middle."""
    GAP = "gap"
    """CloudTrail was stopped, or its validation was: no digest covers the span."""
    BACKFILL = "backfill"
    """A signed digest of logs that came too late for their own. It extends no continuity."""


class Flaw(StrEnum):
    """The reason that a span is not proved, or that an object is named."""

    NO_DIGEST_YET = "no_digest_yet"
    DIGEST_MISSING = "digest_missing"
    UNREADABLE = "unreadable"
    TRAILING_DATA = "trailing_data"
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    NAMED_TWICE = "log_named_twice"
    MOVED = "digest_moved"
    OTHER_BUCKET = "in_another_bucket"
    """It was delivered to a bucket that is not the job's source, and not named in `source.trail_buckets`."""
    OTHER_PREFIX = "under_another_prefix"
    """Its predecessor was delivered under another key prefix, and is not in the replica."""
    NO_SIGNATURE = "no_signature"
    NO_KEY = "no_key"
    KEY_EXPIRED = "key_not_valid_then"
    SIGNATURE_WRONG = "signature_wrong"
    CHAIN_BROKEN = "chain_broken"
    RESTARTED = "chain_restarted"
    LOG_MISSING = "log_missing"
    MISSING_AT_SOURCE = "missing_at_source"
    """Neither the replica nor the source has it."""
    LOG_ALTERED = "log_altered"
    EXTRA_LOG = "extra_log"
    NOT_COMPARABLE = "not_comparable"


class Finding(NamedTuple):
    """One thing that is wrong, and the key that it is about."""

    flaw: Flaw
    detail: str
    key: str = ""
    named: str = ""
    """The SHA-256 that a digest names for a log that is there, hexadecimal."""
    found: str = ""
    """The SHA-256 of its content, or an empty text if it cannot be hashed."""


class Span(NamedTuple):
    """A span of time with one verdict. Times are seconds since the epoch."""

    start: float
    end: float
    verdict: Verdict
    digest_key: str = ""
    """The source's key of the digest that covers it; empty if none does."""
    problems: Sequence[Finding] = ()
    logs: int = 0
    """Logs that the digest names."""
    sha256: str = ""
    """Of the digest's content, hexadecimal."""
    fingerprint: str = ""
    """Of the public key that it names."""
