"""A streamed copy, request by request: the protocol without the wire.

A copy is a generator that yields Requests, is sent their Answers, and returns an Outcome, so that one engine can keep
hundreds of them in flight and a test can walk each through any sequence of answers.

A body from a mebibyte on is tried as a passage first. Whatever comes of that but a replica, what follows is the copy by
itself, from the beginning: refusals, remedies and comparisons have one place.

A larger object than a part is written as one too if S3 tells its checksum before. Otherwise it is a multipart upload of
ranges, which are together compared with the object's checksum before the upload is completed.
"""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Generator

from syncd.aws.s3 import Answer, Request, Side
from syncd.copy.compare import compare, compare_existing, compare_known
from syncd.copy.hashes.checksums import CRC64NVME, SHA256, Checksum, Sum, sum_of
from syncd.copy.hashes.content import LARGEST_CONTENT_BYTES, ContentHash, content_hash
from syncd.copy.passage import NotPassed, Passage
from syncd.copy.read import (
    Content,
    check_etag,
    check_whole,
    checksum_of,
    content_of,
    described,
    etag_of,
    look_at,
    on_condition,
    read,
    read_request,
    tags,
)
from syncd.copy.terms import Copy, CopyFailed, Steps
from syncd.copy.write import (
    Headers,
    Upload,
    begin_upload,
    check,
    is_refused_for_its_tags,
    is_stored,
    put_replica,
    shows_nothing,
    stored_unseen,
    write,
)
from syncd.model.objects import Copied
from syncd.model.reasons import Reason

_Sums = tuple[Checksum, Sum, ContentHash]


def stream(copy: Copy) -> Steps:
    """Read with the source's credentials, write with the consumer's.

    A replica that is known to be there, and any object in parts, is compared before a byte is read or sent.
    """
    try:
        check(copy)
        if copy.transfer.compare_first:
            known = yield from compare_known(copy)
            if known is not None:
                return known
        return (yield from (_stream_large(copy) if copy.is_large else _stream_small(copy)))
    except CopyFailed as failed:
        return copy.failed(failed)


def _stream_small(copy: Copy) -> Steps:
    if copy.is_passed:
        passed = yield from _pass_whole(copy, [])
        if passed is not None:
            return passed
    source = yield from read(copy)
    description = described(source.headers)
    digest = b64encode(hashlib.sha256(source.body).digest()).decode()
    content = content_hash(source.body) if copy.terms.hashes_content else ""
    source_tags = yield from tags(copy, source.headers)
    request = put_replica(copy, description, source_tags, (SHA256, digest), source.body)
    answer = yield from write(request)
    if is_refused_for_its_tags(answer, source_tags):
        request = put_replica(copy, description, [], (SHA256, digest), source.body)
        answer = yield from write(request)
    if answer.is_ok and is_stored(answer, request):
        return copy.done(etag_of(answer), content)
    if answer.is_ok:
        return (yield from stored_unseen(copy, compare(copy, content_of(source)), answer, request, content))
    if answer.status == 412:
        return (yield from compare_existing(copy, content_of(source)))
    raise copy.failure(answer, request)


def _stream_large(copy: Copy) -> Steps:
    looked = None
    if copy.is_passed and copy.object.size_bytes <= copy.terms.multipart_above:
        looked = yield from look_at(copy)
        checksum = checksum_of(looked)
        if checksum.expected and copy.terms.checksum in (checksum.name, CRC64NVME):
            passed = yield from _pass_whole(copy, (yield from tags(copy, looked.headers)))
            if passed is not None:
                return passed
    if not copy.transfer.compare_first:
        known = yield from compare_known(copy)
        if known is not None:
            return known
    return (yield from _stream_in_parts(copy, looked or (yield from look_at(copy))))


def _stream_in_parts(copy: Copy, looked: Answer) -> Steps:
    """Copy a large object that has no replica, in parts."""
    # What HeadObject may not be asked, the read says why, or its headers are as good.
    headers = looked.headers if looked.is_ok else (yield from read(copy, (0, copy.part_size))).headers
    source_tags = yield from tags(copy, headers)
    upload = yield from begin_upload(copy, Side.DESTINATION, described(headers), source_tags, copy.checksum)
    try:
        return (yield from _upload_parts(upload, checksum_of(looked)))
    except Exception:
        # Whatever it is, its parts would be kept, and billed.
        yield upload.abort()
        raise


def _upload_parts(upload: Upload, checksum: Checksum) -> Steps:
    copy, done = upload.copy, list[tuple[str, str]]()
    sums: _Sums = (checksum, Sum(CRC64NVME), _content(copy))
    size, part_size = copy.object.size_bytes, copy.part_size
    for start in range(0, size, part_size):
        span = (start, min(part_size, size - start))
        etag, made, sums = yield from _upload_part(upload, len(done) + 1, span, sums)
        done.append((etag, made))
    check_whole(copy, sums[0])
    digests = [b64decode(made) for _, made in done] if upload.checksum == SHA256 else []
    return (yield from upload.complete(done, Content(None, size, digests, {}, sums[1].value), sums[2].sha256))


def _upload_part(
    upload: Upload, number: int, span: tuple[int, int], sums: _Sums
) -> Generator[Request | Passage, Answer, tuple[str, str, _Sums]]:
    """Move one part. Returns its ETag and checksum, and the sums of all so far."""
    copy = upload.copy
    if copy.is_passed:
        # Of a passage that broke off, the sums have taken who knows how much.
        trial = (sums[0].copy(), sums[1].copy(), sums[2].copy())
        passage = _part(upload, number, span, trial)
        passed = yield from _pass(copy, passage)
        if passed is not None and passage.made is not None:
            return etag_of(passed), passage.made.value, trial
    part = yield from read(copy, span)
    for each in sums:
        each.take(part.body)
    made = sum_of(upload.checksum, part.body)
    request = upload.part(number, made, part.body)
    # Release the body before the next one comes.
    del part
    answer = yield request
    if not answer.is_ok:
        raise copy.failure(answer, request)
    if not is_stored(answer, request):
        raise CopyFailed(Reason.UNEXPECTED, shows_nothing(copy, answer, request))
    return etag_of(answer), made, sums


def _pass_whole(copy: Copy, source_tags: Headers) -> Generator[Passage, Answer, Copied | None]:
    content = _content(copy)
    passed = yield from _pass(copy, _whole(copy, source_tags, content))
    return None if passed is None else copy.done(etag_of(passed), content.sha256)


def _content(copy: Copy) -> ContentHash:
    return ContentHash(most=LARGEST_CONTENT_BYTES if copy.terms.hashes_content else 0)


def _pass(copy: Copy, passage: Passage) -> Generator[Passage, Answer, Answer | None]:
    """Try a passage. Returns None if it came to nothing.

    Raises:
        CopyFailed: it was given up, since it took too long.
    """
    answer = yield passage
    # A large object that was sent as one may be there by now. If it is not, its parts are answered sooner.
    is_other_way_left = copy.is_large and passage.under_way.operation == "PutObject"
    if answer.code == Reason.TIMEOUT and not is_other_way_left:
        raise copy.failure(answer, passage.under_way)
    return answer if answer.is_ok and is_stored(answer, passage.under_way) else None


def _whole(copy: Copy, source_tags: Headers, content: ContentHash) -> Passage:
    def written(head: Answer, checksum: tuple[str, str]) -> Request:
        check_etag(copy, head, asked)
        description = described(head.headers)
        _check_plain([*description, *source_tags, checksum])
        if not source_tags and copy.terms.copies_tags and head.headers.get("x-amz-tagging-count", "0") != "0":
            raise NotPassed("it has tags, which are asked for by a request of their own")
        return put_replica(copy, description, source_tags, checksum)

    asked = on_condition(read_request(copy), copy.object.etag)
    return Passage(asked, written, copy.checksum, holds=not copy.is_large, also=[content])


def _part(upload: Upload, number: int, span: tuple[int, int], sums: _Sums) -> Passage:
    def written(head: Answer, checksum: tuple[str, str]) -> Request:
        check_etag(upload.copy, head, asked)
        return upload.part(number, checksum[1])

    asked = on_condition(read_request(upload.copy, span), upload.copy.object.etag)
    return Passage(asked, written, upload.checksum, holds=True, also=sums)


def _check_plain(headers: Headers) -> None:
    """Refuse what the source's owner may have put into a header to begin another one.

    Raises:
        NotPassed: it is not plain text.
    """
    if not all(text.isascii() and text.isprintable() for pair in headers for text in pair):
        raise NotPassed("a header is not plain text")
