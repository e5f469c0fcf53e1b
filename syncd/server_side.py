"""CopyObject: S3 moves the bytes, and one principal signs for both ends.

Above 5 GB an object is copied in parts (UploadPartCopy). What S3 answers here tells a replica that is already there
from a source that has changed only by words, so either is looked into by reading (`copying.stream`).
"""

from dataclasses import replace

from syncd import failures, s3
from syncd.copying import stream
from syncd.model import Copied, Failed, Transfer
from syncd.reading import described
from syncd.s3 import Request, Side
from syncd.terms import CopyFailed, Steps, Terms, failure_of, named
from syncd.uploads import Upload, begin_upload
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
    upload = yield from begin_upload(transfer, terms, Side.COPY, described(source.headers))
    try:
        return (yield from _copy_parts(upload))
    except CopyFailed:
        yield upload.abort()
        raise


def _copy_parts(upload: Upload) -> Steps:
    transfer, terms = upload.transfer, upload.terms
    size = transfer.object.size_bytes
    done: list[tuple[str, str]] = []
    for start in range(0, size, COPY_PART_BYTES):
        span = f"bytes={start}-{min(start + COPY_PART_BYTES, size) - 1}"
        headers = (*_source_of(transfer, terms), ("x-amz-copy-source-range", span))
        request, answer = yield from upload.part("UploadPartCopy", len(done) + 1, headers)
        try:
            etag = s3.text_of(answer.body, "CopyPartResult", "ETag").strip('"')
            done.append((etag, s3.text_of(answer.body, "CopyPartResult", "ChecksumSHA256")))
        except s3.MalformedAnswer as error:
            raise CopyFailed(failures.UNEXPECTED, f"{named(request, terms)}: {error}") from error
    request, answer = yield from upload.complete(done)
    if answer.is_ok:
        return Copied(transfer)
    if answer.status == 412:
        yield upload.abort()
        return (yield from stream(transfer._replace(compare_first=True), terms))
    raise failure_of(answer, request, terms)
