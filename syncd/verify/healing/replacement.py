"""The replacement of an altered replica by what its digest vouches for, request by request: the protocol without the wire.

A replica is overwritten only if nothing is lost by that: the bucket has versioning, and the altered replica has a version
of its own, which stays even if versioning is suspended at that very moment. Otherwise the replacement is written beside.
"""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Generator, Sequence
from typing import NamedTuple

from syncd.aws import s3
from syncd.aws.s3 import Answer, Request, Side
from syncd.copy import write
from syncd.copy.deletion import replacing
from syncd.copy.hashes.checksums import SHA256
from syncd.copy.read import described, etag_of, read, tags
from syncd.copy.terms import Copy, CopyFailed, Steps
from syncd.model.keys.vouched import beside
from syncd.model.objects import AlreadyThere, Conflict, LogObject, Outcome
from syncd.model.reasons import Reason
from syncd.verify.proof import Repaired
from syncd.verify.rules.chain import Found
from syncd.verify.rules.digest import ALGORITHM, Refused, content_sha256

LARGEST_BYTES = 512 * 1024 * 1024
"""Of an object, which is held in memory; CloudTrail's logs have a few megabytes."""
LARGEST_CONTENT_BYTES = 4 * 1024**3
ALTERED_AT_SOURCE = "altered_at_source"
NOT_AT_SOURCE = "not_at_source"
_NO_VERSION = ("", "null")
_REFUSED = (400, 403, 405, 501)
"""Answers of a server or a policy that takes no write but one of a new object."""

Headers = Sequence[tuple[str, str]]


class Wanted(NamedTuple):
    """The object that a digest vouches for, as the source lists it."""

    listed: LogObject
    sha256: str
    """Of its uncompressed content, hexadecimal."""
    words: str
    """A sentence about it and the replica."""
    signature: str = ""
    """The signature in the metadata of a digest, hexadecimal. It is empty for a log."""
    generated_at: float | None = None
    """In the metadata of a backfill."""
    is_certain: bool = True
    """False if the replica may be right: only its key is not known."""

    def is_in(self, answer: Answer) -> bool:
        """Return True if this is it."""
        told = Found.of(self.listed.key, answer.body, answer.headers)
        metadata = told.signature, told.algorithm, told.generated_at
        if self.signature and metadata != (self.signature, ALGORITHM, self.generated_at):
            return False
        try:
            return content_sha256(answer.body, most=LARGEST_CONTENT_BYTES) == self.sha256
        except Refused:
            return False


class Replica(NamedTuple):
    """The replica as it is now."""

    etag: str
    version_id: str
    is_vouched: bool


def replacement(copy: Copy, wanted: Wanted, note: Callable[[Repaired], None]) -> Steps:
    """Replace the replica of a log or a digest by the source's object, if this is what is wanted.

    Each write, and each that turns out to be done already, is told to `note`.
    """
    try:
        source = yield from _vouched(copy, wanted)
        there = yield from _look(copy, wanted)
        if there.is_vouched:
            if wanted.is_certain:
                note(Repaired(copy.object.key, "already", copy.key, there.version_id, "", "it was replaced meanwhile"))
            return AlreadyThere(copy.transfer, there.etag)
        source_tags = yield from tags(copy, source.headers)
        why = yield from _why_not_over(copy)
        if not why:
            outcome = yield from _over(copy, there, source, source_tags, wanted, note)
            if isinstance(outcome, AlreadyThere):
                return outcome
            why = outcome
        return (yield from _beside(copy, source, source_tags, wanted, why, note))
    except CopyFailed as failed:
        return copy.failed(failed)


def _vouched(copy: Copy, wanted: Wanted) -> Generator[Request, Answer, Answer]:
    """Read the source's object and hash it. Raises CopyFailed if it is not what the digest names."""
    if copy.object.size_bytes > LARGEST_BYTES:
        raise CopyFailed(Reason.TOO_LARGE, f"{copy.source_url} has more than {LARGEST_BYTES:,} bytes")
    source = yield from read(copy)
    if not wanted.is_in(source):
        raise CopyFailed(ALTERED_AT_SOURCE, f"{copy.source_url} has other content than its digest vouches for, too")
    return source


def _why_not_over(copy: Copy) -> Generator[Request, Answer, str]:
    """Return why the destination keeps no older version, or an empty text if it does."""
    answer = yield Request("GetBucketVersioning", Side.DESTINATION, "GET", "", "versioning=", ())
    if not answer.is_ok:
        return f"whether s3://{copy.terms.destination_bucket} has versioning cannot be seen ({answer.code or answer.status})"
    try:
        is_enabled = s3.text_of(answer.body, "VersioningConfiguration", "Status") == "Enabled"
    except s3.MalformedAnswer:
        is_enabled = False
    return "" if is_enabled else f"versioning of s3://{copy.terms.destination_bucket} is not enabled"


def _over(
    copy: Copy,
    there: Replica,
    source: Answer,
    source_tags: Headers,
    wanted: Wanted,
    note: Callable[[Repaired], None],
) -> Generator[Request, Answer, AlreadyThere | str]:
    """Write a newer version. Returns why not, if that would not keep the altered one."""
    if there.version_id in _NO_VERSION:
        return "the altered replica has no version of its own, so it might not stay"
    answer = yield from _written(copy, source, source_tags, if_match=there.etag)
    if answer.status in _REFUSED:
        return f"replacing it was refused ({answer.code or answer.status})"
    if answer.status == 412:
        # It was changed meanwhile, or an answer was lost and the replacement is there.
        again = yield from _look(copy, wanted)
        if not again.is_vouched:
            raise CopyFailed(Reason.OBJECT_CHANGED, f"{copy.replica_url} was changed while it was to be replaced")
        note(Repaired(copy.object.key, "version", copy.key, again.version_id, there.version_id, ""))
        return AlreadyThere(copy.transfer, again.etag)
    version_id = answer.headers.get("x-amz-version-id", "")
    is_suspended = version_id in _NO_VERSION
    detail = "versioning was suspended meanwhile: the replacement has no version of its own" if is_suspended else ""
    note(Repaired(copy.object.key, "version", copy.key, version_id, there.version_id, detail))
    return AlreadyThere(copy.transfer, etag_of(answer))


def _beside(
    copy: Copy, source: Answer, source_tags: Headers, wanted: Wanted, why: str, note: Callable[[Repaired], None]
) -> Generator[Request, Answer, Outcome]:
    near = copy._replace(transfer=copy.transfer._replace(destination_key=beside(copy.key)))
    write.check(near)
    answer = yield from _written(near, source, source_tags)
    if answer.status == 412:
        there = yield from _look(near, wanted)
        if not there.is_vouched:
            raise CopyFailed(Reason.CONFLICT, f"something else lies at {near.replica_url} already; {why}")
        why = f"it was there already; {why}"
    note(Repaired(copy.object.key, "beside", near.key, answer.headers.get("x-amz-version-id", ""), "", why))
    return Conflict(copy.transfer, f"a vouched replacement lies beside it, as {near.key}")


def _written(
    copy: Copy, source: Answer, source_tags: Headers, *, if_match: str = ""
) -> Generator[Request, Answer, Answer]:
    """Write the source's bytes, without its tags if these are refused. Returns an answer that is ok, refused or 412.

    Raises:
        CopyFailed: it failed otherwise.
    """
    checksum = SHA256, b64encode(hashlib.sha256(source.body).digest()).decode()
    answer = Answer(0, {}, b"")
    for carried in (source_tags, []):
        request = write.put_replica(copy, described(source.headers), carried, checksum, source.body)
        answer = yield from write.write(replacing(request, if_match) if if_match else request)
        if not write.is_refused_for_its_tags(answer, carried):
            break
    if answer.is_ok or answer.status == 412 or (if_match and answer.status in _REFUSED):
        return answer
    raise copy.failure(answer, request)


def _look(copy: Copy, wanted: Wanted) -> Generator[Request, Answer, Replica]:
    """Read the replica as it is now. Raises CopyFailed."""
    request = Request("GetObject", Side.DESTINATION, "GET", copy.key, "", (), expected_bytes=copy.object.size_bytes)
    answer = yield request
    if not answer.is_ok:
        raise copy.failure(answer, request)
    return Replica(etag_of(answer), answer.headers.get("x-amz-version-id", ""), is_vouched=wanted.is_in(answer))
