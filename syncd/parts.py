"""Large objects: read in ranges, written as a multipart upload, one part in memory at a time."""

import hashlib
from base64 import b64encode

from syncd.comparing import compare, compare_existing, head
from syncd.model import Copied, Transfer
from syncd.reading import Content, described, read, read_through, tags
from syncd.s3 import Answer, Side
from syncd.terms import CopyFailed, Steps, Terms, failure_of
from syncd.uploads import Upload, begin_upload


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
    description = (*described(first.headers), *source_tags)
    upload = yield from begin_upload(transfer, terms, Side.DESTINATION, description)
    try:
        return (yield from _upload_parts(upload, first))
    except CopyFailed:
        yield upload.abort()
        raise


def _upload_parts(upload: Upload, part: Answer) -> Steps:
    transfer, terms = upload.transfer, upload.terms
    size = transfer.object.size_bytes
    done: list[tuple[str, str]] = []
    digests: list[bytes] = []
    start = 0
    while True:
        digest = hashlib.sha256(part.body).digest()
        checksum = b64encode(digest).decode()
        headers = (("x-amz-sdk-checksum-algorithm", "SHA256"), ("x-amz-checksum-sha256", checksum))
        _, written = yield from upload.part("UploadPart", len(done) + 1, headers, part.body)
        done.append((written.headers.get("etag", "").strip('"'), checksum))
        digests.append(digest)
        start += len(part.body)
        if start >= size:
            break
        part = yield from read(transfer.object, terms, (start, min(terms.part_size, size - start)))
    request, answer = yield from upload.complete(done)
    if answer.is_ok:
        return Copied(transfer)
    content = Content(None, size, digests)
    if answer.status == 412:
        yield upload.abort()
        return (yield from compare_existing(transfer, terms, content))
    if answer.status == 404:
        # The runtime sends a request again whose answer was lost: the first one may have completed the upload.
        known = yield from compare(transfer, terms, content)
        if known is not None:
            return known
    raise failure_of(answer, request, terms)
