"""Telling AlreadyThere from Conflict: the replica's content against the source's, never their ETags.

A comparison asks for little first: HeadObject of the replica, HeadObject of the source where their checksums may tell,
then the bytes of the source, and those of the replica last.
"""

import hashlib
from base64 import b64encode
from collections.abc import Generator, Mapping

from syncd.aws.s3 import Answer, Request, Side
from syncd.copy.read import (
    SHA256,
    Checksum,
    Content,
    etag_of,
    is_whole,
    look_at,
    read_content,
    read_through,
    whole_checksums,
)
from syncd.copy.terms import CopyFailed, Steps, Terms, not_comparable, short_body
from syncd.model.objects import AlreadyThere, Conflict, Outcome, Transfer
from syncd.model.reasons import Reason


def compare_known(transfer: Transfer, terms: Terms) -> Generator[Request, Answer, Outcome | None]:
    """Compare with a replica that may be there, before anything is read of the source; None if there is none.

    Without s3:ListBucket, S3 does not say that nothing is there. If the key is not known to be there, that counts as
    nothing: the write is conditional.
    """
    request = _head(transfer, terms)
    there = yield request
    if there.status == 404 or (there.status == 403 and not transfer.compare_first):
        return None
    if not there.is_ok:
        raise not_comparable(there, request, terms)
    conflict = _by_size(transfer, there, transfer.object.size_bytes)
    if conflict is not None:
        return conflict
    looked = None
    if whole_checksums(there.headers):
        looked = yield from look_at(transfer.object, terms)
        is_same = _by_checksums(transfer, looked.headers if looked.is_ok else {}, there.headers)
        if is_same is not None:
            return _told(transfer, there, is_same=is_same)
    content = yield from read_content(transfer.object, terms, looked)
    return (yield from _compare_content(transfer, terms, content, there))


def compare_existing(transfer: Transfer, terms: Terms, content: Content) -> Steps:
    """Compare with a replica that S3 has just said is there."""
    outcome = yield from compare(transfer, terms, content)
    if outcome is None:
        raise _vanished(transfer, terms)
    return outcome


def compare(transfer: Transfer, terms: Terms, content: Content) -> Generator[Request, Answer, Outcome | None]:
    """Tell AlreadyThere from Conflict once the source was read; None if there is no replica."""
    request = _head(transfer, terms)
    there = yield request
    if there.status == 404:
        return None
    if not there.is_ok:
        raise not_comparable(there, request, terms)
    return _by_size(transfer, there, content.size_bytes) or (
        yield from _compare_content(transfer, terms, content, there)
    )


def _compare_content(transfer: Transfer, terms: Terms, content: Content, there: Answer) -> Steps:
    stored = there.headers.get(SHA256, "")
    if content.part_digests and stored == _composite(content):
        return _told(transfer, there, is_same=True)
    is_same = _by_checksums(transfer, content.headers, there.headers)
    if is_same is not None:
        return _told(transfer, there, is_same=is_same)
    if content.sha256 is None:
        content = yield from read_through(transfer.object, terms)
    if stored and is_whole(stored, there.headers):
        is_same = stored == b64encode(content.sha256 or b"").decode()
    else:
        is_same = (yield from _hash_replica(transfer, terms, content.size_bytes, there)) == content.sha256
    return _told(transfer, there, is_same=is_same)


def _by_size(transfer: Transfer, there: Answer, size_bytes: int) -> Conflict | None:
    size = int(there.headers.get("content-length", "-1"))
    if size in (-1, size_bytes):
        return None
    return Conflict(transfer, f"the replica has {size} bytes, the source {size_bytes}")


def _by_checksums(transfer: Transfer, source: Mapping[str, str], replica: Mapping[str, str]) -> bool | None:
    """Tell whether the content is the same by what S3 tells of both; None if that proves nothing.

    Checksums that differ always prove other content. Of a source that may have been altered, only a cryptographic hash
    proves the same.
    """
    told, there = whole_checksums(source), whole_checksums(replica)
    for name in told:
        if name in there:
            if told[name] != there[name]:
                return False
            if name == SHA256 or not transfer.is_changed:
                return True
    return None


def _told(transfer: Transfer, there: Answer, *, is_same: bool) -> Outcome:
    if is_same:
        return AlreadyThere(transfer, etag_of(there))
    return Conflict(transfer, "the replica has other bytes under the same length")


def _hash_replica(transfer: Transfer, terms: Terms, size: int, there: Answer) -> Generator[Request, Answer, bytes]:
    """Hash the replica that HeadObject found; what came broken is held against its checksum, and is no Conflict."""
    whole, checksum = hashlib.sha256(), Checksum(there.headers)
    key, etag = transfer.destination_key, etag_of(there)
    part_size = terms.part_size_of(size)
    for start in range(0, size, part_size):
        end = min(start + part_size, size)
        headers = [("x-amz-expected-bucket-owner", terms.destination_owner)]
        if etag:
            headers.append(("if-match", f'"{etag}"'))
        if end - start < size:
            # A range that is the whole may be answered as the whole, or as a range.
            headers.append(("range", f"bytes={start}-{end - 1}"))
        request = Request("GetObject", Side.DESTINATION, "GET", key, "", headers, expected_bytes=end - start)
        answer = yield request
        if answer.status == 404:
            raise _vanished(transfer, terms)
        if not answer.is_ok:
            raise not_comparable(answer, request, terms)
        if len(answer.body) != request.expected_bytes:
            raise short_body(answer, request, terms)
        whole.update(answer.body)
        checksum.take(answer.body)
    if checksum.is_wrong:
        replica = f"s3://{terms.destination_bucket}/{key}"
        raise CopyFailed(Reason.CHECKSUM, f"{replica}: what GetObject gave does not match its {checksum.name}")
    return whole.digest()


def _vanished(transfer: Transfer, terms: Terms) -> CopyFailed:
    replica = f"s3://{terms.destination_bucket}/{transfer.destination_key}"
    return CopyFailed(Reason.UNEXPECTED, f"{replica} was there and is gone: deleted while it was copied")


def _head(transfer: Transfer, terms: Terms) -> Request:
    """HeadObject of the replica, asking for its checksum."""
    headers = (("x-amz-checksum-mode", "ENABLED"), ("x-amz-expected-bucket-owner", terms.destination_owner))
    return Request("HeadObject", Side.DESTINATION, "HEAD", transfer.destination_key, "", headers)


def _composite(content: Content) -> str:
    """S3's composite SHA-256: the hash of the parts' hashes, and how many they were."""
    digest = hashlib.sha256(b"".join(content.part_digests)).digest()
    return f"{b64encode(digest).decode()}-{len(content.part_digests)}"
