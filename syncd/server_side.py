"""CopyObject: S3 moves the bytes, and one principal signs for both ends.

Above 5 GB an object is copied in parts (UploadPartCopy). What S3 answers here tells a replica that is already there
from a source that has changed only by words, so either is looked into by reading (`copying.stream`).
"""

from collections.abc import Generator
from dataclasses import replace

from syncd import failures, s3
from syncd.copying import stream
from syncd.model import Copied, Failed, Transfer
from syncd.reading import described
from syncd.s3 import Answer, Request, Side
from syncd.terms import CopyFailed, Steps, Terms, failure_of
from syncd.writing import write

# "CopyObject: … you can create a copy of an object up to 5 GB in a single atomic action" (S3 API Reference).
LARGEST_COPY_BYTES = 5 * 1000**3
COPY_PART_BYTES = 1024**3


def server_side(transfer: Transfer, terms: Terms) -> Steps:
    """CopyObject by the signer, conditional on the listed ETag at the source and on no object at the destination."""
    if transfer.compare_first:
        return (yield from stream(transfer, terms))
    try:
        if transfer.object.size_bytes > LARGEST_COPY_BYTES:
            return (yield from _copy_in_parts(transfer, terms))
        request = copy_request(transfer, terms)
        answer = yield request
        if answer.status == 403 and terms.copies_tags:
            # Tags need permissions of their own at both ends; the object matters more than they do.
            request = copy_request(transfer, replace(terms, copies_tags=False))
            answer = yield request
        if answer.status == 409:
            answer = yield from write(request)
        if answer.is_ok:
            return Copied(transfer)
        if answer.status == 412:
            return (yield from stream(transfer._replace(compare_first=True), terms))
        raise failure_of(answer, request, terms)
    except CopyFailed as failed:
        return Failed(transfer, failed.reason, failed.detail)


def copy_request(transfer: Transfer, terms: Terms) -> Request:
    """CopyObject, with metadata kept and S3 asked for a SHA-256 of what it writes."""
    headers = [
        *_source_of(transfer, terms),
        ("x-amz-metadata-directive", "COPY"),
        ("x-amz-tagging-directive", "COPY" if terms.copies_tags else "REPLACE"),
        ("x-amz-checksum-algorithm", "SHA256"),
        ("if-none-match", "*"),
        ("x-amz-expected-bucket-owner", terms.destination_owner),
        *terms.landing,
    ]
    return Request("CopyObject", Side.COPY, "PUT", transfer.destination_key, "", headers)


def _source_of(transfer: Transfer, terms: Terms) -> list[tuple[str, str]]:
    source = [
        ("x-amz-copy-source", f"/{terms.source_bucket}/{s3.quote_key(transfer.object.key)}"),
        ("x-amz-source-expected-bucket-owner", terms.source_owner),
    ]
    if transfer.object.etag:
        source.append(("x-amz-copy-source-if-match", f'"{transfer.object.etag}"'))
    return source


def _copy_in_parts(transfer: Transfer, terms: Terms) -> Steps:
    upload = yield from _begin(transfer, terms)
    try:
        return (yield from _copy_parts(transfer, terms, upload))
    except CopyFailed:
        yield _upload_request(transfer, terms, "AbortMultipartUpload", "DELETE", [("uploadId", upload)])
        raise


def _begin(transfer: Transfer, terms: Terms) -> Generator[Request, Answer, str]:
    # UploadPartCopy carries no metadata: what the object is described by goes into the beginning of the upload.
    look = Request(
        "HeadObject",
        Side.SOURCE,
        "HEAD",
        transfer.object.key,
        "",
        (("if-match", f'"{transfer.object.etag}"'), ("x-amz-expected-bucket-owner", terms.source_owner)),
    )
    source = yield look
    if not source.is_ok:
        raise failure_of(source, look, terms)
    headers = (*described(source.headers), *terms.landing, ("x-amz-checksum-algorithm", "SHA256"))
    request = _upload_request(transfer, terms, "CreateMultipartUpload", "POST", [("uploads", "")], headers)
    answer = yield request
    if not answer.is_ok:
        raise failure_of(answer, request, terms)
    try:
        return s3.text_of(answer.body, "InitiateMultipartUploadResult", "UploadId")
    except s3.MalformedAnswer as error:
        raise CopyFailed(failures.UNEXPECTED, f"CreateMultipartUpload: {error}") from error


def _copy_parts(transfer: Transfer, terms: Terms, upload: str) -> Steps:
    size = transfer.object.size_bytes
    done: list[tuple[str, str]] = []
    for start in range(0, size, COPY_PART_BYTES):
        span = f"bytes={start}-{min(start + COPY_PART_BYTES, size) - 1}"
        request = _upload_request(
            transfer,
            terms,
            "UploadPartCopy",
            "PUT",
            [("partNumber", str(len(done) + 1)), ("uploadId", upload)],
            (*_source_of(transfer, terms), ("x-amz-copy-source-range", span)),
        )
        answer = yield request
        if not answer.is_ok:
            raise failure_of(answer, request, terms)
        try:
            etag = s3.text_of(answer.body, "CopyPartResult", "ETag").strip('"')
            done.append((etag, s3.text_of(answer.body, "CopyPartResult", "ChecksumSHA256")))
        except s3.MalformedAnswer as error:
            raise CopyFailed(failures.UNEXPECTED, f"UploadPartCopy: {error}") from error
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
    if answer.status == 412:
        yield _upload_request(transfer, terms, "AbortMultipartUpload", "DELETE", [("uploadId", upload)])
        return (yield from stream(transfer._replace(compare_first=True), terms))
    raise failure_of(answer, request, terms)


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
    key = transfer.destination_key
    return Request(operation, Side.COPY, method, key, s3.query_string(query), (*headers, owner), body)
