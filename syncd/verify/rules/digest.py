"""CloudTrail's digest files, taken apart strictly. Pure.

Sources: "CloudTrail digest file structure" and "Custom implementations of CloudTrail log file integrity validation" in
the CloudTrail user guide.
"""

import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

from syncd.verify.rules.verdict import Finding, Flaw

ALGORITHM = "SHA256withRSA"
HASH = "SHA-256"
LARGEST_DIGEST_BYTES = 128 * 1024 * 1024
"""Uncompressed. A digest that names 200,000 logs has about 70 MB."""
_BUFFER_BYTES = 256 * 1024
_NAME = re.compile(
    r"(?P<account>[0-9]{12})_CloudTrail-Digest_(?P<region>[a-z0-9-]+)_(?P<trail>.+)_(?P<home>[a-z]{2}[a-z0-9-]*)"
    r"_(?P<stamp>[0-9]{8}T[0-9]{6}Z)(?P<backfill>_backfill)?\.json\.gz"
)
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_SURROGATE = re.compile("[\ud800-\udfff]")
_BYTES_A_PART = 40
"""An entry of a log has about 350 bytes and 8 parts. In memory a part may take many times its bytes."""
_PARTS_OF_ANY = 1000
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PREVIOUS = ("previousDigestS3Bucket", "previousDigestS3Object", "previousDigestHashValue", "previousDigestSignature")
_PREVIOUS_ALGORITHM = "previousDigestHashAlgorithm"


class Refused(ValueError):
    """A digest that cannot be used."""

    def __init__(self, reason: Flaw, detail: str) -> None:
        super().__init__(detail)
        self.finding = Finding(reason, detail)


class ChainName(NamedTuple):
    """Which chain a digest belongs to: one for each account, region, trail and home region."""

    account: str
    region: str
    trail: str
    home_region: str
    is_backfill: bool = False

    @property
    def text(self) -> str:
        """The name as one text, which `of` takes apart."""
        return "/".join((*self[:4], "backfill" if self.is_backfill else ""))

    @classmethod
    def of(cls, text: str) -> "ChainName":
        """Return the name of a text. Raises ValueError if it is none."""
        account, region, trail, home_region, kind = text.split("/")
        return cls(account, region, trail, home_region, kind == "backfill")


class Named(NamedTuple):
    """One log, as a digest names it."""

    bucket: str
    key: str
    sha256: str
    """Of the uncompressed content, hexadecimal."""


class Previous(NamedTuple):
    """The digest before, as the next one names it."""

    bucket: str
    key: str
    sha256: str
    signature: str
    """Hexadecimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """The content of one digest file. Times are seconds since the epoch."""

    account: str
    start: float
    end: float
    end_text: str
    bucket: str
    key: str
    fingerprint: str
    previous: Previous | None
    """None for a starting digest."""
    logs: Sequence[Named]
    sha256: str
    """Of the uncompressed file, hexadecimal."""

    def signed(self) -> bytes:
        """Return the text that CloudTrail signs. `null` stands for a missing predecessor, as in AWS's own validator."""
        signature = self.previous.signature if self.previous else "null"
        return f"{self.end_text}\n{self.bucket}/{self.key}\n{self.sha256}\n{signature}".encode()


def name_of(key: str) -> tuple[ChainName, float] | None:
    """Return a digest's chain and the end of its span, from its key. Returns None if the key is not a digest's."""
    found = _NAME.fullmatch(key.rpartition("/")[2])
    if found is None:
        return None
    try:
        end = datetime.strptime(found["stamp"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
    name = ChainName(found["account"], found["region"], found["trail"], found["home"], bool(found["backfill"]))
    return name, end


def unpacked(body: bytes, *, most: int) -> Iterator[bytes]:
    """Yield the content of one gzip member, a buffer at a time.

    Raises:
        Refused: the body is not gzip, ends early, has data after its end, or unpacks to more than `most` bytes.
    """
    stream = zlib.decompressobj(wbits=31)
    total, rest = 0, body
    while True:
        try:
            part = stream.decompress(rest, _BUFFER_BYTES)
        except zlib.error as error:
            raise Refused(Flaw.UNREADABLE, f"it is not gzip: {error}") from None
        total += len(part)
        if total > most:
            raise Refused(Flaw.TOO_LARGE, f"it unpacks to more than {most:,} bytes")
        if part:
            yield part
        if stream.eof:
            break
        rest = stream.unconsumed_tail
        if not part and not rest:
            raise Refused(Flaw.UNREADABLE, "it ends in the middle of its gzip stream")
    if stream.unused_data or stream.unconsumed_tail:
        raise Refused(Flaw.TRAILING_DATA, "data follow the end of its gzip stream")


def content_sha256(body: bytes, *, most: int) -> str:
    """Return the SHA-256 of a log's uncompressed content, hexadecimal.

    Raises:
        Refused: see `unpacked`.
    """
    digest = sha256()
    for part in unpacked(body, most=most):
        digest.update(part)
    return digest.hexdigest()


def parse(body: bytes, *, most: int = LARGEST_DIGEST_BYTES) -> Digest:
    """Take a digest file apart.

    Raises:
        Refused: it is no digest, or says something that no digest says.
    """
    content = b"".join(unpacked(body, most=most))
    parts = sum(map(content.count, (b"{", b"[", b",")))
    if parts > _PARTS_OF_ANY + len(content) // _BYTES_A_PART:
        raise Refused(Flaw.MALFORMED, f"it has {parts:,} values in {len(content):,} bytes, which no digest has")
    try:
        document = json.loads(content, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise Refused(Flaw.MALFORMED, f"it is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise Refused(Flaw.MALFORMED, "it is not a JSON object")
    if (algorithm := _text(document, "digestSignatureAlgorithm")) != ALGORITHM:
        raise Refused(Flaw.MALFORMED, f"its digestSignatureAlgorithm is {algorithm!r}, not {ALGORITHM}")
    end_text = _text(document, "digestEndTime")
    digest = Digest(
        account=_text(document, "awsAccountId"),
        start=_time(document, "digestStartTime"),
        end=_time(document, "digestEndTime"),
        end_text=end_text,
        bucket=_text(document, "digestS3Bucket"),
        key=_text(document, "digestS3Object"),
        fingerprint=_text(document, "digestPublicKeyFingerprint"),
        previous=_previous(document),
        logs=_logs(document),
        sha256=sha256(content).hexdigest(),
    )
    if digest.end <= digest.start:
        raise Refused(Flaw.MALFORMED, f"it ends at {end_text}, which is not after its start")
    return digest


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field stands in it twice")
    return found


def _text(document: Mapping[str, Any], field: str) -> str:
    value = document.get(field)
    if not isinstance(value, str) or not value:
        raise Refused(Flaw.MALFORMED, f"its {field} is missing or not a text")
    if _SURROGATE.search(value):
        raise Refused(Flaw.MALFORMED, f"its {field} is not a text in UTF-8")
    return value


def _time(document: Mapping[str, Any], field: str) -> float:
    text = _text(document, field)
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise Refused(Flaw.MALFORMED, f"its {field} is {text!r}, not a time such as 2026-11-24T08:00:00Z") from None


def _hash(document: Mapping[str, Any], field: str, algorithm_field: str) -> str:
    if (algorithm := _text(document, algorithm_field)) != HASH:
        raise Refused(Flaw.MALFORMED, f"its {algorithm_field} is {algorithm!r}, not {HASH}")
    value = _text(document, field)
    if not _SHA256.fullmatch(value):
        raise Refused(Flaw.MALFORMED, f"its {field} is not a SHA-256 in hexadecimal")
    return value


def _previous(document: Mapping[str, Any]) -> Previous | None:
    missing = [field for field in (*_PREVIOUS, _PREVIOUS_ALGORITHM) if field not in document]
    if missing:
        raise Refused(Flaw.MALFORMED, f"it has no {missing[0]}")
    given = [field for field in _PREVIOUS if document[field] is not None]
    if not given:
        return None
    if len(given) < len(_PREVIOUS):
        raise Refused(Flaw.MALFORMED, f"it names its predecessor in part: {', '.join(given)} and no more")
    return Previous(
        _text(document, "previousDigestS3Bucket"),
        _text(document, "previousDigestS3Object"),
        _hash(document, "previousDigestHashValue", _PREVIOUS_ALGORITHM),
        _text(document, "previousDigestSignature"),
    )


def _logs(document: Mapping[str, Any]) -> Sequence[Named]:
    entries = document.get("logFiles")
    if not isinstance(entries, list):
        raise Refused(Flaw.MALFORMED, "its logFiles is missing or not a list")
    logs: dict[tuple[str, str], Named] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            raise Refused(Flaw.MALFORMED, "an entry of its logFiles is not an object")
        named = Named(_text(entry, "s3Bucket"), _text(entry, "s3Object"), _hash(entry, "hashValue", "hashAlgorithm"))
        if named[:2] in logs:
            raise Refused(Flaw.NAMED_TWICE, f"it names {named.key} twice")
        logs[named[:2]] = named
    return tuple(logs.values())
