"""Large objects: read in ranges, written as a multipart upload, one part in memory at a time."""

import hashlib
from base64 import b64encode
from collections.abc import Generator, Sequence

from syncd import failures, s3
from syncd.comparing import compare, compare_existing, head
from syncd.model import Copied, Transfer
from syncd.reading import Content, described, read, read_through, tags
from syncd.s3 import Answer, Request, Side
from syncd.terms import CopyFailed, Steps, Terms, failure_of, named
from syncd.writing import write


def stream_in_parts(transfer: Transfer, terms: Terms) -> Steps:
    """An object too large to be written at once; a replica that is there is compared before a byte is sent."""
    looked = head(transfer, terms)
    there = yield looked
    if there.is_ok:
        content = yield from read_through(transfer.object, terms)
        return (yield from compare_existing(transfer, terms, content))
    if there.status not in (403, 404):
        raise failure_of(there, looked, terms)
    first = yield from read(transfer.object, terms, (0, terms.part_size))
    source_tags = yield from tags(transfer.object, first.headers, terms)
    upload = yield from _begin_upload(transfer, terms, (*described(first.headers), *source_tags))
    try:
        return (yield from _upload_parts(transfer, terms, first, upload))
    except CopyFailed:
        yield _upload_request(transfer, terms, "AbortMultipartUpload", "DELETE", [("uploadId", upload)])
        raise


def _upload_parts(transfer: Transfer, terms: Terms, part: Answer, upload: str) -> Steps:
    size = transfer.object.size_bytes
    done: list[tuple[str, str]] = []
    digests: list[bytes] = []
    start = 0
    while True:
        digest = hashlib.sha256(part.body).digest()
        request = _upload_request(
            transfer,
            terms,
            "UploadPart",
            "PUT",
            [("partNumber", str(len(done) + 1)), ("uploadId", upload)],
            (("x-amz-sdk-checksum-algorithm", "SHA256"), ("x-amz-checksum-sha256", b64encode(digest).decode())),
            part.body,
        )
        answer = yield request
        if not answer.is_ok:
            raise failure_of(answer, request, terms)
        done.append((answer.headers.get("etag", "").strip('"'), b64encode(digest).decode()))
        digests.append(digest)
        start += len(part.body)
        if start >= size:
            break
        part = yield from read(transfer.object, terms, (start, min(terms.part_size, size - start)))
    request = _upload_request(
        transfer,
        terms,
        "CompleteMultipartUpload",
        "POST",
        [("uploadId", upload)],
        (("if-none-match", "*"), ("content-type", "application/xml")),
        s3.complete_body(done),
    )
    answer = yield from write(request)
    if answer.is_ok:
        return Copied(transfer)
    content = Content(None, size, digests)
    if answer.status == 412:
        yield _upload_request(transfer, terms, "AbortMultipartUpload", "DELETE", [("uploadId", upload)])
        return (yield from compare_existing(transfer, terms, content))
    if answer.status == 404:
        # The runtime sends a request again whose answer was lost: the first one may have completed the upload.
        known = yield from compare(transfer, terms, content)
        if known is not None:
            return known
    raise failure_of(answer, request, terms)


def _begin_upload(
    transfer: Transfer, terms: Terms, description: Sequence[tuple[str, str]]
) -> Generator[Request, Answer, str]:
    request = Request(
        "CreateMultipartUpload",
        Side.DESTINATION,
        "POST",
        transfer.destination_key,
        "uploads=",
        (
            *description,
            *terms.landing,
            ("x-amz-checksum-algorithm", "SHA256"),
            ("x-amz-expected-bucket-owner", terms.destination_owner),
        ),
    )
    answer = yield request
    if not answer.is_ok:
        raise failure_of(answer, request, terms)
    try:
        return s3.text_of(answer.body, "InitiateMultipartUploadResult", "UploadId")
    except s3.MalformedAnswer as error:
        raise CopyFailed(failures.UNEXPECTED, f"{named(request, terms)}: {error}") from error


def _upload_request(
    transfer: Transfer,
    terms: Terms,
    operation: str,
    method: str,
    query: list[tuple[str, str]],
    headers: tuple[tuple[str, str], ...] = (),
    body: bytes = b"",
) -> Request:
    owner = ("x-amz-expected-bucket-owner", terms.destination_owner)
    return Request(
        operation,
        Side.DESTINATION,
        method,
        transfer.destination_key,
        s3.query_string(query),
        (*headers, owner),
        body,
    )
