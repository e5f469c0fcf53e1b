"""Comparison of a replica with its source by content, never by ETag: AlreadyThere or Conflict.

A comparison asks for little first: HeadObject of the replica, HeadObject of the source if their checksums may decide,
then the bytes of the source, and those of the replica last.
"""

import hashlib
from base64 import b64encode
from collections.abc import Generator, Mapping

from syncd.aws import answers
from syncd.aws.s3 import Answer, Request, Side
from syncd.copy.hashes.checksums import CRC64NVME, SHA256, Checksum, composite, is_whole, whole_checksums
from syncd.copy.read import Content, etag_of, if_same, look_at, read_content, read_through
from syncd.copy.terms import Copy, CopyFailed
from syncd.model.objects import AlreadyThere, Conflict, Outcome
from syncd.model.reasons import Reason

CANNOT_COMPARE = "a replica is there but cannot be compared: "
"""Begins the detail of that failure."""


def compare_known(copy: Copy) -> Generator[Request, Answer, Outcome | None]:
    """Compare with a replica that may be there, before anything of the source is read. Returns None if there is none.

    Without s3:ListBucket, S3 answers 403 for a missing key. A key that is not known to be there then counts as missing:
    the write is conditional.
    """
    request = _head(copy)
    there = yield request
    if there.status == 404 or (there.status == 403 and not copy.transfer.compare_first):
        return None
    if not there.is_ok:
        raise _not_comparable(copy, there, request)
    conflict = _by_size(copy, there, copy.object.size_bytes)
    if conflict is not None:
        return conflict
    looked = None
    if whole_checksums(there.headers):
        looked = yield from look_at(copy)
        told = whole_checksums(looked.headers if looked.is_ok else {})
        is_same = _by_checksums(copy, told, whole_checksums(there.headers))
        if is_same is not None:
            return _outcome(copy, there, is_same=is_same)
    content = yield from read_content(copy, looked)
    return (yield from _compare_content(copy, content, there))


def compare_existing(copy: Copy, content: Content) -> Generator[Request, Answer, Outcome]:
    """Compare with a replica that S3 has just reported."""
    outcome = yield from compare(copy, content)
    if outcome is None:
        raise _vanished(copy)
    return outcome


def compare(copy: Copy, content: Content) -> Generator[Request, Answer, Outcome | None]:
    """Compare a source that was read with its replica. Returns None if there is no replica."""
    request = _head(copy)
    there = yield request
    if there.status == 404:
        return None
    if not there.is_ok:
        raise _not_comparable(copy, there, request)
    return _by_size(copy, there, content.size_bytes) or (yield from _compare_content(copy, content, there))


def _compare_content(copy: Copy, content: Content, there: Answer) -> Generator[Request, Answer, Outcome]:
    stored = there.headers.get(SHA256, "")
    if content.part_digests and stored == composite(content.part_digests):
        return _outcome(copy, there, is_same=True)
    read = {CRC64NVME: content.crc} if content.crc else {}
    is_same = _by_checksums(copy, read | whole_checksums(content.headers), whole_checksums(there.headers))
    if is_same is not None:
        return _outcome(copy, there, is_same=is_same)
    if content.sha256 is None:
        return (yield from _compare_content(copy, (yield from read_through(copy)), there))
    if stored and is_whole(stored, there.headers):
        is_same = stored == b64encode(content.sha256).decode()
    else:
        is_same = (yield from _hash_replica(copy, content.size_bytes, there)) == content.sha256
    return _outcome(copy, there, is_same=is_same)


def _by_size(copy: Copy, there: Answer, size_bytes: int) -> Conflict | None:
    size = int(there.headers.get("content-length", "-1"))
    if size in (-1, size_bytes):
        return None
    return Conflict(copy.transfer, f"the replica has {size} bytes, the source {size_bytes}")


def _by_checksums(copy: Copy, ours: Mapping[str, str], theirs: Mapping[str, str]) -> bool | None:
    """Compare by the full-object checksums of both. Returns None if they prove nothing.

    Checksums that differ always prove other content. If the source may have been altered, only a cryptographic hash
    proves the same content: its owner can give any object the CRC of another.
    """
    for name in ours:
        if name in theirs:
            if ours[name] != theirs[name]:
                return False
            if name == SHA256 or not copy.transfer.is_changed:
                return True
    return None


def _outcome(copy: Copy, there: Answer, *, is_same: bool) -> Outcome:
    if is_same:
        return AlreadyThere(copy.transfer, etag_of(there))
    return Conflict(copy.transfer, "the replica has other bytes under the same length")


def _hash_replica(copy: Copy, size: int, there: Answer) -> Generator[Request, Answer, bytes]:
    """Hash the replica that HeadObject found. Bytes that broke on the way fail its checksum, and are no Conflict."""
    whole, checksum = hashlib.sha256(), Checksum(there.headers)
    etag, part_size = etag_of(there), copy.terms.part_size_of(size)
    for start in range(0, size, part_size):
        end = min(start + part_size, size)
        headers = []
        if end - start < size:
            # A range that is the whole may be answered as the whole, or as a range.
            headers.append(("range", f"bytes={start}-{end - 1}"))
        request = Request("GetObject", Side.DESTINATION, "GET", copy.key, "", headers, expected_bytes=end - start)
        answer = yield from if_same(request, etag)
        if answer.status == 404:
            raise _vanished(copy)
        if not answer.is_ok:
            raise _not_comparable(copy, answer, request)
        if len(answer.body) != request.expected_bytes:
            raise copy.short_body(answer, request)
        whole.update(answer.body)
        checksum.take(answer.body)
    if checksum.is_wrong:
        detail = f"{copy.replica_url}: what GetObject gave does not match its {checksum.name}"
        raise CopyFailed(Reason.CHECKSUM, detail)
    return whole.digest()


def _vanished(copy: Copy) -> CopyFailed:
    return CopyFailed(Reason.UNEXPECTED, f"{copy.replica_url} was there and is gone: deleted while it was copied")


def _not_comparable(copy: Copy, answer: Answer, request: Request) -> CopyFailed:
    """Return the failure of a replica that cannot be read: it is denied or archived."""
    failure = copy.failure(answer, request)
    reason = answers.reason_of(answer.status, answer.code, answer.message)
    if reason not in (Reason.ACCESS_DENIED, Reason.ARCHIVED):
        return failure
    return CopyFailed(Reason.CANNOT_COMPARE, f"{CANNOT_COMPARE}{failure.detail}")


def _head(copy: Copy) -> Request:
    """Return a HeadObject of the replica that asks for its checksum."""
    return Request("HeadObject", Side.DESTINATION, "HEAD", copy.key, "", (("x-amz-checksum-mode", "ENABLED"),))
