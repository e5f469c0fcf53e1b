"""CopyObject: S3 moves the bytes, and one principal signs for both ends.

Above 5 GB an object is copied in parts (UploadPartCopy). A 412 does not say whether a replica is there or the source has
changed, so it is settled as if the object were streamed (`stream`).
"""

import re
from base64 import b64decode

from syncd.aws import answers, s3
from syncd.aws.s3 import Answer, Request, Side
from syncd.copy.compare import compare_known
from syncd.copy.read import Content, described, look_at, tags
from syncd.copy.stream import stream
from syncd.copy.terms import Copy, CopyFailed, Steps
from syncd.copy.write import Upload, begin_upload, check, copy_replica, shown_etag, stored_unseen, write
from syncd.model.bounds import part_size_for
from syncd.model.reasons import Reason

# 32 bytes in base64.
_SHA256 = re.compile(rb"<ChecksumSHA256>([A-Za-z0-9+/]{43}=)</ChecksumSHA256>")
_ACTION = re.compile(r"perform: (s3:(Get|Put)\w+)")


def server_side(copy: Copy) -> Steps:
    """Send CopyObject, if the source is as listed and the key has no object."""
    try:
        check(copy)
        if copy.transfer.compare_first:
            known = yield from compare_known(copy)
            if known is not None:
                return known
        if copy.object.size_bytes > copy.terms.largest_copy:
            return (yield from _copy_in_parts(copy))
        return (yield from _copy_whole(copy))
    except CopyFailed as failed:
        return copy.failed(failed)


def _copy_whole(copy: Copy) -> Steps:
    copies_tags = copy.terms.copies_tags
    request = copy_replica(copy, copies_tags=copies_tags)
    answer = yield from write(request)
    if answer.code == "InvalidTag" and copies_tags:
        # S3 refuses to write tags of its own ("aws:…"), and copies all tags or none. Write the user's own.
        kept = yield from tags(copy, {"x-amz-tagging-count": "1"})
        request = copy_replica(copy, copies_tags=False, source_tags=kept)
        answer = yield from write(request)
    if answer.status == 403 and copies_tags and _is_denied(answer):
        # Tags need permissions of their own at both ends. Copy the object even without its tags.
        request = copy_replica(copy, copies_tags=False)
        answer = yield from write(request)
    if answer.is_ok and (etag := shown_etag(answer, request)):
        return copy.done(etag)
    known = copy._replace(transfer=copy.transfer._replace(compare_first=True))
    if answer.is_ok:
        return (yield from stored_unseen(copy, compare_known(known), answer, request))
    if answer.status == 412:
        settled = yield from stream(known)
        return settled._replace(transfer=copy.transfer)
    raise _refusal(copy, answer, request)


def _is_denied(answer: Answer) -> bool:
    return answers.reason_of(answer.status, answer.code, answer.message) == Reason.ACCESS_DENIED


def _refusal(copy: Copy, answer: Answer, request: Request) -> CopyFailed:
    """Return the failure of a request that has two ends. Only the action of a denial shows which end refused."""
    failure, call = copy.failure(answer, request), copy.named(request)
    said = failure.detail.removeprefix(call)
    detail = f"{call} from {copy.source_url}{said}"
    if _is_denied(answer):
        found = _ACTION.search(answer.message)
        end = {"Get": "the source", "Put": "the destination"}
        detail += f"; refused at {end[found[2]]}: {found[1]}" if found else "; which end refused is not said"
    return CopyFailed(failure.reason, detail)


def _copy_in_parts(copy: Copy) -> Steps:
    # UploadPartCopy carries no metadata, so the upload begins with it.
    source = yield from look_at(copy, wants_checksum=False)
    source_tags = yield from tags(copy, source.headers)
    upload = yield from begin_upload(copy, Side.COPY, described(source.headers), source_tags)
    try:
        return (yield from _copy_parts(upload))
    except Exception:
        # Whatever it is, its parts would be kept, and billed.
        yield upload.abort()
        raise


def _copy_parts(upload: Upload) -> Steps:
    copy, size = upload.copy, upload.copy.object.size_bytes
    done: list[tuple[str, str]] = []
    part_size = part_size_for(size, copy.terms.copy_part_size)
    for start in range(0, size, part_size):
        request = upload.part_copy(len(done) + 1, start, min(start + part_size, size))
        answer = yield request
        if not answer.is_ok:
            raise _refusal(copy, answer, request)
        done.append(_copied_part(copy, answer, request))
    is_hashed = all(checksum for _, checksum in done)
    digests = [b64decode(checksum) for _, checksum in done] if is_hashed else []
    return (yield from upload.complete(done, Content(None, size, digests, {})))


def _copied_part(copy: Copy, answer: Answer, request: Request) -> tuple[str, str]:
    """Return the ETag and SHA-256 of a part. The latter is empty if the server sends none."""
    try:
        etag = s3.etag_in(s3.text_of(answer.body, "CopyPartResult", "ETag"))
    except s3.MalformedAnswer as error:
        raise copy.malformed(error, request) from error
    found = _SHA256.search(answer.body)
    return etag, found[1].decode() if found else ""
