"""Comparing an object with its replica by what S3 tells of both, or by their bodies. Pure: requests go out, answers come in.

A difference shows by any checksum. Only SHA-256 shows that two are the same: other bytes can be made to fit a CRC.
"""

import hashlib
from collections.abc import Generator
from enum import StrEnum
from typing import NamedTuple

from syncd.aws.s3 import Answer, Request, Side
from syncd.copy.hashes.checksums import SHA256, Checksum, whole_checksums
from syncd.copy.read import etag_of, look_at, read_content
from syncd.copy.terms import Copy, CopyFailed
from syncd.model.reasons import Reason
from syncd.verify.rules.verdict import Finding, Flaw


class Evidence(StrEnum):
    """The evidence that a replica is the source's object."""

    ETAG = "etag"
    """Both listings have the same MD5 as ETag."""
    LEDGER = "ledger"
    """The source has the ETag that was copied, and the replica the ETag that was written."""
    SEALED_DAY = "sealed_day"
    """The same, by the one row in which the ledger remembers the day."""
    CHECKSUM = "checksum"
    """S3 tells the same SHA-256 of both."""
    CONTENT = "content"
    """Both bodies were read, and have the same SHA-256."""


class Reads(StrEnum):
    """The cases in which bodies are read."""

    NEVER = "never"
    IF_NEEDED = "if_needed"
    ALWAYS = "always"


class Judged(NamedTuple):
    """The result of comparing one object."""

    evidence: Evidence | None
    finding: Finding | None = None
    """The reason if there is no evidence."""


def compared(copy: Copy, *, reads: Reads, written_etag: str = "") -> Generator[Request, Answer, Judged]:
    """Compare one object with its replica.

    Args:
        copy: the object, the replica's key, and the terms of the job.
        reads: whether bodies are read.
        written_etag: the replica's ETag if the ledger vouches that it was written from this very object.
    """
    try:
        return (yield from _compared(copy, reads, written_etag))
    except CopyFailed as failed:
        return Judged(None, Finding(Flaw.UNREADABLE, f"{failed.reason}: {failed.detail}", copy.object.key))


def _compared(copy: Copy, reads: Reads, written_etag: str) -> Generator[Request, Answer, Judged]:
    item = copy.object
    request = Request("HeadObject", Side.DESTINATION, "HEAD", copy.key, "", (("x-amz-checksum-mode", "ENABLED"),))
    there = yield request
    if there.status == 404:
        return Judged(None, Finding(Flaw.LOG_MISSING, "the replica has no such object", item.key))
    if not there.is_ok:
        raise copy.failure(there, request)
    size = int(there.headers.get("content-length", "-1"))
    if size not in (-1, item.size_bytes):
        return Judged(None, other_size(item.key, item.size_bytes, size))
    if reads is not Reads.ALWAYS:
        if written_etag and etag_of(there) == written_etag:
            return Judged(Evidence.LEDGER)
        judged = yield from _by_checksums(copy, there)
        if judged is not None:
            return judged
        if reads is Reads.NEVER:
            return Judged(None, Finding(Flaw.NOT_COMPARABLE, _HOW_TO_COMPARE, item.key))
    content = yield from read_content(copy, None)
    replica = yield from _replica_sha256(copy, there)
    if content.sha256 == replica:
        return Judged(Evidence.CONTENT)
    detail = f"its content has SHA-256 {replica.hex()}, and the source's {(content.sha256 or b'').hex()}"
    return Judged(None, Finding(Flaw.LOG_ALTERED, detail, item.key))


_HOW_TO_COMPARE = "neither ETags nor the ledger nor a full-object SHA-256 tell whether it is the same: use --read-data"


def _by_checksums(copy: Copy, there: Answer) -> Generator[Request, Answer, Judged | None]:
    if not whole_checksums(there.headers):
        return None
    looked = yield from look_at(copy)
    here = whole_checksums(looked.headers) if looked.is_ok else {}
    for name, told in whole_checksums(there.headers).items():
        if here.get(name, told) != told:
            detail = f"its {name} is {told}, and the source's {here[name]}"
            return Judged(None, Finding(Flaw.LOG_ALTERED, detail, copy.object.key))
        if name == SHA256 and name in here:
            return Judged(Evidence.CHECKSUM)
    return None


def _replica_sha256(copy: Copy, there: Answer) -> Generator[Request, Answer, bytes]:
    """Hash the replica that HeadObject found, a part at a time."""
    whole, checksum = hashlib.sha256(), Checksum(there.headers)
    size, etag = copy.object.size_bytes, etag_of(there)
    part_size = copy.part_size if copy.is_large else size
    for start in range(0, size, part_size or 1):
        end = min(start + part_size, size)
        headers = [("if-match", f'"{etag}"')] if etag else []
        if end - start < size:
            headers.append(("range", f"bytes={start}-{end - 1}"))
        request = Request("GetObject", Side.DESTINATION, "GET", copy.key, "", headers, expected_bytes=end - start)
        answer = yield request
        if not answer.is_ok:
            raise copy.failure(answer, request)
        if len(answer.body) != request.expected_bytes:
            raise copy.short_body(answer, request)
        whole.update(answer.body)
        checksum.take(answer.body)
    if checksum.is_wrong:
        raise CopyFailed(Reason.CHECKSUM, f"{copy.replica_url}: what GetObject gave does not match its {checksum.name}")
    return whole.digest()


def other_size(key: str, here: int, there: int) -> Finding:
    """Return the finding of a replica that has another size than the source."""
    return Finding(Flaw.LOG_ALTERED, f"the replica has {there} bytes, the source {here}", key)
