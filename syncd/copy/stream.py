"""How one object is copied, request by request: the protocol without the wire.

A copy is a generator that yields Requests, is sent their Answers, and returns an Outcome, so that one engine can keep
hundreds of them in flight and a test can walk each through any sequence of answers.

Every write carries `If-None-Match: *` and a SHA-256 that S3 checks; nothing at the destination is ever overwritten.
"""

import hashlib
from base64 import b64encode
from collections.abc import Callable

from syncd.aws.s3 import Answer, Request, Side
from syncd.copy.compare import compare_existing, compare_known
from syncd.copy.parts import stream_in_parts
from syncd.copy.read import Content, described, etag_of, read, tags
from syncd.copy.terms import CopyFailed, Steps, Terms, failed_of, failure_of
from syncd.copy.write import check_key, is_refused_for_its_tags, write
from syncd.model.bounds import refusal
from syncd.model.objects import Copied, Failed, Transfer
from syncd.model.reasons import Reason

__all__ = ["Terms", "stream", "unless_too_large"]


def unless_too_large(transfer: Transfer, terms: Terms, copy: Callable[[Transfer, Terms], Steps]) -> Steps:
    """Copy the object, or refuse it before its first byte."""
    size = transfer.object.size_bytes
    why = refusal(size, max_object=terms.max_object, part_size=terms.part_size, memory_bytes=terms.memory_bytes)
    if why:
        return Failed(transfer, Reason.TOO_LARGE, f"s3://{terms.source_bucket}/{transfer.object.key}: {why}")
    return (yield from copy(transfer, terms))


def stream(transfer: Transfer, terms: Terms) -> Steps:
    """GetObject with the source's credentials, PutObject with the consumer's; in parts above `terms.multipart_above`.

    What is known to be there, and what is large, is compared with the replica before a byte is read or sent.
    """
    is_large = transfer.object.size_bytes > terms.multipart_above
    try:
        check_key(transfer, terms)
        if transfer.compare_first or is_large:
            known = yield from compare_known(transfer, terms)
            if known is not None:
                return known
        if is_large:
            return (yield from stream_in_parts(transfer, terms))
        return (yield from _stream_whole(transfer, terms))
    except CopyFailed as failed:
        return failed_of(transfer, failed)


def _stream_whole(transfer: Transfer, terms: Terms) -> Steps:
    source = yield from read(transfer.object, terms)
    digest = hashlib.sha256(source.body).digest()
    source_tags = yield from tags(transfer.object, source.headers, terms)
    request = _put(transfer, terms, source, digest, source_tags)
    answer = yield from write(request)
    if is_refused_for_its_tags(answer, source_tags):
        request = _put(transfer, terms, source, digest, [])
        answer = yield from write(request)
    if answer.is_ok:
        return Copied(transfer, etag_of(answer))
    if answer.status == 412:
        content = Content(digest, len(source.body), [], source.headers)
        return (yield from compare_existing(transfer, terms, content))
    raise failure_of(answer, request, terms)


def _put(
    transfer: Transfer, terms: Terms, source: Answer, digest: bytes, source_tags: list[tuple[str, str]]
) -> Request:
    return Request(
        "PutObject",
        Side.DESTINATION,
        "PUT",
        transfer.destination_key,
        "",
        (
            *described(source.headers),
            *source_tags,
            *terms.landing,
            ("if-none-match", "*"),
            ("x-amz-sdk-checksum-algorithm", "SHA256"),
            ("x-amz-checksum-sha256", b64encode(digest).decode()),
            ("x-amz-expected-bucket-owner", terms.destination_owner),
        ),
        source.body,
    )
