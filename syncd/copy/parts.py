"""Large objects: read in ranges, written as a multipart upload, one part in memory at a time.

S3 tells no checksum of a range, so what all ranges come to is held against the object's before the upload is completed.
"""

import hashlib
from base64 import b64encode
from collections.abc import Generator

from syncd.aws.s3 import Answer, Request, Side
from syncd.copy.read import Checksum, Content, check_whole, described, etag_of, read, tags, told_checksum
from syncd.copy.terms import CopyFailed, Steps, Terms, failure_of
from syncd.copy.uploads import Upload, begin_upload
from syncd.model.objects import Transfer


def stream_in_parts(transfer: Transfer, terms: Terms) -> Steps:
    """An object too large to be written at once, where no replica was found."""
    checksum = yield from told_checksum(transfer.object, terms)
    first = yield from read(transfer.object, terms, (0, terms.part_size_of(transfer.object.size_bytes)))
    source_tags = yield from tags(transfer.object, first.headers, terms)
    upload = yield from begin_upload(transfer, terms, Side.DESTINATION, described(first.headers), source_tags)
    # Whoever holds the first part while the others come holds twice as much as is reckoned with.
    parts = [first]
    del first
    try:
        return (yield from _upload_parts(upload, parts, checksum))
    except CopyFailed:
        yield upload.abort()
        raise


def _upload_parts(upload: Upload, parts: list[Answer], checksum: Checksum) -> Steps:
    transfer, terms = upload.transfer, upload.terms
    part = parts.pop()
    size = transfer.object.size_bytes
    part_size = terms.part_size_of(size)
    done: list[tuple[str, str]] = []
    digests: list[bytes] = []
    start = 0
    while True:
        checksum.take(part.body)
        digests.append(hashlib.sha256(part.body).digest())
        done.append((yield from _write(upload, len(done) + 1, part.body, b64encode(digests[-1]).decode())))
        start += len(part.body)
        # It would be held while the next one comes.
        del part
        if start >= size:
            break
        part = yield from read(transfer.object, terms, (start, min(part_size, size - start)))
    check_whole(checksum, transfer.object, terms)
    return (yield from upload.complete(done, Content(None, size, digests)))


def _write(upload: Upload, number: int, body: bytes, digest: str) -> Generator[Request, Answer, tuple[str, str]]:
    """One part; its ETag and its digest."""
    headers = (("x-amz-sdk-checksum-algorithm", "SHA256"), ("x-amz-checksum-sha256", digest))
    request = upload.part("UploadPart", number, headers, body)
    written = yield request
    if not written.is_ok:
        raise failure_of(written, request, upload.terms)
    return etag_of(written), digest
