"""Telling AlreadyThere from Conflict: the replica's content against the source's, never their ETags."""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Generator

from syncd import failures
from syncd.model import AlreadyThere, Conflict, Outcome, Transfer
from syncd.reading import Checksum, Content, is_whole, read_through
from syncd.s3 import Answer, Request, Side
from syncd.terms import CopyFailed, Steps, Terms, not_comparable, short_body


def compare_existing(transfer: Transfer, terms: Terms, content: Content) -> Steps:
    """Compare with a replica that S3 has just said is there."""
    outcome = yield from compare(transfer, terms, content)
    if outcome is None:
        raise _vanished(transfer, terms)
    return outcome


def compare(transfer: Transfer, terms: Terms, content: Content) -> Generator[Request, Answer, Outcome | None]:
    """AlreadyThere or Conflict by the replica's content; None where there is no replica."""
    request = head(transfer, terms)
    there = yield request
    if there.status == 404:
        return None
    if not there.is_ok:
        raise not_comparable(there, request, terms)
    size = int(there.headers.get("content-length", "-1"))
    if size not in (-1, content.size_bytes):
        return Conflict(transfer, f"the replica has {size} bytes, the source {content.size_bytes}")
    stored = there.headers.get("x-amz-checksum-sha256", "")
    if content.part_digests and stored == _composite(content):
        return AlreadyThere(transfer)
    if content.sha256 is None:
        content = yield from read_through(transfer.object, terms)
    if stored and is_whole(stored, there.headers):
        same = b64decode(stored) == content.sha256
    else:
        same = (yield from _hash_replica(transfer, terms, content.size_bytes, there)) == content.sha256
    return AlreadyThere(transfer) if same else Conflict(transfer, "the replica has other bytes under the same length")


def _hash_replica(transfer: Transfer, terms: Terms, size: int, there: Answer) -> Generator[Request, Answer, bytes]:
    """The SHA-256 of the replica; what came broken is held against what HeadObject has told, and is no Conflict."""
    whole, checksum = hashlib.sha256(), Checksum(there.headers)
    key = transfer.destination_key
    part_size = terms.part_size_of(size)
    for start in range(0, size, part_size):
        end = min(start + part_size, size)
        headers = [("x-amz-expected-bucket-owner", terms.destination_owner)]
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
        raise CopyFailed(failures.CHECKSUM, f"{replica}: what GetObject gave does not match its {checksum.name}")
    return whole.digest()


def _vanished(transfer: Transfer, terms: Terms) -> CopyFailed:
    replica = f"s3://{terms.destination_bucket}/{transfer.destination_key}"
    return CopyFailed(failures.UNEXPECTED, f"{replica} was there and is gone: deleted while it was copied")


def head(transfer: Transfer, terms: Terms) -> Request:
    """HeadObject of the replica, asking for its checksum."""
    headers = (("x-amz-checksum-mode", "ENABLED"), ("x-amz-expected-bucket-owner", terms.destination_owner))
    return Request("HeadObject", Side.DESTINATION, "HEAD", transfer.destination_key, "", headers)


def _composite(content: Content) -> str:
    """S3's composite SHA-256: the hash of the parts' hashes, and how many they were."""
    digest = hashlib.sha256(b"".join(content.part_digests)).digest()
    return f"{b64encode(digest).decode()}-{len(content.part_digests)}"
