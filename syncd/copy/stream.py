"""A streamed copy, request by request: the protocol without the wire.

A copy is a generator that yields Requests, is sent their Answers, and returns an Outcome, so that one engine can keep
hundreds of them in flight and a test can walk each through any sequence of answers.

A large object is read in ranges and written as a multipart upload, one part in memory at a time. S3 sends no checksum of
a range, so all ranges together are compared with the object's before the upload is completed.
"""

import hashlib
from base64 import b64encode

from syncd.aws.s3 import Answer, Side
from syncd.copy.checksums import Checksum
from syncd.copy.compare import compare_existing, compare_known
from syncd.copy.content import ContentHash, content_hash
from syncd.copy.read import Content, check_whole, described, etag_of, read, source_checksum, tags
from syncd.copy.terms import Copy, CopyFailed, Steps
from syncd.copy.write import Upload, begin_upload, check, is_refused_for_its_tags, put_replica, write


def stream(copy: Copy) -> Steps:
    """Read with the source's credentials, write with the consumer's. In parts above `terms.multipart_above`.

    A replica that is known to be there, and any large object, is compared before a byte is read or sent.
    """
    try:
        check(copy)
        is_large = copy.is_large
        if copy.transfer.compare_first or is_large:
            known = yield from compare_known(copy)
            if known is not None:
                return known
        return (yield from (_stream_in_parts(copy) if is_large else _stream_whole(copy)))
    except CopyFailed as failed:
        return copy.failed(failed)


def _stream_whole(copy: Copy) -> Steps:
    source = yield from read(copy)
    digest = hashlib.sha256(source.body).digest()
    content = content_hash(source.body) if copy.terms.hashes_content else ""
    source_tags = yield from tags(copy, source.headers)
    request = put_replica(copy, source, digest, source_tags)
    answer = yield from write(request)
    if is_refused_for_its_tags(answer, source_tags):
        request = put_replica(copy, source, digest, [])
        answer = yield from write(request)
    if answer.is_ok:
        return copy.done(etag_of(answer), content)
    if answer.status == 412:
        known = Content(digest, len(source.body), [], source.headers)
        return (yield from compare_existing(copy, known))
    raise copy.failure(answer, request)


def _stream_in_parts(copy: Copy) -> Steps:
    """Copy a large object that has no replica, in parts."""
    checksum = yield from source_checksum(copy)
    first = yield from read(copy, (0, copy.part_size))
    source_tags = yield from tags(copy, first.headers)
    upload = yield from begin_upload(copy, Side.DESTINATION, described(first.headers), source_tags)
    # Keep no other reference to the first part: with the next one it would take twice the memory.
    parts = [first]
    del first
    try:
        return (yield from _upload_parts(upload, parts, checksum))
    except CopyFailed:
        yield upload.abort()
        raise


def _upload_parts(upload: Upload, parts: list[Answer], checksum: Checksum) -> Steps:
    copy, part = upload.copy, parts.pop()
    size, part_size = copy.object.size_bytes, copy.part_size
    done: list[tuple[str, str]] = []
    digests: list[bytes] = []
    content = ContentHash() if copy.terms.hashes_content else None
    start = 0
    while True:
        checksum.take(part.body)
        if content is not None:
            content.take(part.body)
        digests.append(hashlib.sha256(part.body).digest())
        done.append((yield from upload.write_part(len(done) + 1, part.body, b64encode(digests[-1]).decode())))
        start += len(part.body)
        # Release the body before the next one comes.
        del part
        if start >= size:
            break
        part = yield from read(copy, (start, min(part_size, size - start)))
    check_whole(copy, checksum)
    known = Content(None, size, digests)
    return (yield from upload.complete(done, known, content.sha256 if content is not None else ""))
