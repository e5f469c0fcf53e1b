"""CopyObject: S3 moves the bytes, and one principal signs for both ends.

Above 5 GB an object is copied in parts (UploadPartCopy). What S3 answers here tells a replica that is already there
from a source that has changed only by words, so either is looked into as if it were streamed (`copying.stream`).
"""

import re
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import replace

from syncd.aws import answers, s3
from syncd.aws.s3 import Answer, Request, Side
from syncd.copy.compare import compare_known
from syncd.copy.read import Content, check_found, described, tags
from syncd.copy.stream import stream
from syncd.copy.terms import CopyFailed, Steps, Terms, failed_of, failure_of, named
from syncd.copy.uploads import Upload, begin_upload
from syncd.copy.write import check_key, confirm, write
from syncd.model.bounds import part_size_for
from syncd.model.objects import Copied, Transfer
from syncd.model.reasons import Reason

# S3 moves the bytes itself: allowed for at so many times the slowest line of ours, 16 MiB a second.
_FASTER_THAN_A_LINE = 64
# 32 bytes in base64.
_SHA256 = re.compile(rb"<ChecksumSHA256>([A-Za-z0-9+/]{43}=)</ChecksumSHA256>")
_ACTION = re.compile(r"perform: (s3:(Get|Put)\w+)")


def server_side(transfer: Transfer, terms: Terms) -> Steps:
    """CopyObject by the signer, conditional on the listed ETag at the source and on no object at the destination."""
    try:
        check_key(transfer, terms)
        if transfer.compare_first:
            known = yield from compare_known(transfer, terms)
            if known is not None:
                return known
        if transfer.object.size_bytes > terms.largest_copy:
            return (yield from _copy_in_parts(transfer, terms))
        return (yield from _copy_whole(transfer, terms))
    except CopyFailed as failed:
        return failed_of(transfer, failed)


def _copy_whole(transfer: Transfer, terms: Terms) -> Steps:
    request = copy_request(transfer, terms)
    answer = yield from write(request)
    if answer.code == "InvalidTag" and terms.copies_tags:
        # S3 does not write tags of its own ("aws:…"), and copies all tags or none: the user's are written anew.
        kept = yield from tags(transfer.object, {"x-amz-tagging-count": "1"}, terms)
        request = copy_request(transfer, replace(terms, copies_tags=False), kept)
        answer = yield from write(request)
    if answer.status == 403 and terms.copies_tags and _is_denied(answer):
        # Tags need permissions of their own at both ends; the object matters more than they do.
        request = copy_request(transfer, replace(terms, copies_tags=False))
        answer = yield from write(request)
    if answer.is_ok:
        return Copied(transfer, confirm(answer, "CopyObjectResult", request, terms))
    if answer.status == 412:
        looked_into = yield from stream(transfer._replace(compare_first=True), terms)
        return looked_into._replace(transfer=transfer)
    raise _refusal(answer, request, transfer, terms)


def copy_request(transfer: Transfer, terms: Terms, source_tags: Sequence[tuple[str, str]] = ()) -> Request:
    """CopyObject, with metadata kept and S3 asked for a SHA-256 of what it writes.

    `source_tags` are written where the source's are not copied as they are.
    """
    headers = [
        *_source_of(transfer, terms),
        ("x-amz-metadata-directive", "COPY"),
        ("x-amz-tagging-directive", "COPY" if terms.copies_tags else "REPLACE"),
        ("x-amz-checksum-algorithm", "SHA256"),
        ("if-none-match", "*"),
        ("x-amz-expected-bucket-owner", terms.destination_owner),
        *terms.landing,
        *source_tags,
    ]
    waited_for = transfer.object.size_bytes // _FASTER_THAN_A_LINE
    key = transfer.destination_key
    return Request("CopyObject", Side.COPY, "PUT", key, "", headers, expected_bytes=waited_for)


def _source_of(transfer: Transfer, terms: Terms) -> list[tuple[str, str]]:
    source = [
        ("x-amz-copy-source", f"/{terms.source_bucket}/{s3.quote_key(transfer.object.key)}"),
        ("x-amz-source-expected-bucket-owner", terms.source_owner),
    ]
    if transfer.object.etag:
        source.append(("x-amz-copy-source-if-match", f'"{transfer.object.etag}"'))
    return source


def _is_denied(answer: Answer) -> bool:
    return answers.reason_of(answer.status, answer.code, answer.message) == Reason.ACCESS_DENIED


def _refusal(answer: Answer, request: Request, transfer: Transfer, terms: Terms) -> CopyFailed:
    """The failure of a request that has two ends: which of them refused shows only where the denial names an action."""
    failure, call = failure_of(answer, request, terms), named(request, terms)
    told = failure.detail.removeprefix(call)
    detail = f"{call} from s3://{terms.source_bucket}/{transfer.object.key}{told}"
    if _is_denied(answer):
        found = _ACTION.search(answer.message)
        end = {"Get": "the source", "Put": "the destination"}
        detail += f"; refused at {end[found[2]]}: {found[1]}" if found else "; which end refused is not said"
    return CopyFailed(failure.reason, detail)


def _copy_in_parts(transfer: Transfer, terms: Terms) -> Steps:
    # UploadPartCopy carries no metadata: what the object is described by goes into the beginning of the upload.
    condition = [("if-match", f'"{transfer.object.etag}"')] if transfer.object.etag else []
    owner = ("x-amz-expected-bucket-owner", terms.source_owner)
    look = Request("HeadObject", Side.SOURCE, "HEAD", transfer.object.key, "", (*condition, owner))
    source = yield look
    if not source.is_ok:
        raise failure_of(source, look, terms)
    check_found(source, transfer.object, look, terms)
    source_tags = yield from tags(transfer.object, source.headers, terms)
    upload = yield from begin_upload(transfer, terms, Side.COPY, described(source.headers), source_tags)
    try:
        return (yield from _copy_parts(upload))
    except CopyFailed:
        yield upload.abort()
        raise


def _copy_parts(upload: Upload) -> Steps:
    transfer, terms = upload.transfer, upload.terms
    size = transfer.object.size_bytes
    done: list[tuple[str, str]] = []
    part_size = part_size_for(size, terms.copy_part_size)
    for start in range(0, size, part_size):
        end = min(start + part_size, size)
        headers = (*_source_of(transfer, terms), ("x-amz-copy-source-range", f"bytes={start}-{end - 1}"))
        request = upload.part("UploadPartCopy", len(done) + 1, headers)
        request = request._replace(expected_bytes=(end - start) // _FASTER_THAN_A_LINE)
        answer = yield request
        if not answer.is_ok:
            raise _refusal(answer, request, transfer, terms)
        done.append(_copied_part(answer, request, terms))
    is_hashed = all(checksum for _, checksum in done)
    digests = [b64decode(checksum) for _, checksum in done] if is_hashed else []
    return (yield from upload.complete(done, Content(None, size, digests)))


def _copied_part(answer: Answer, request: Request, terms: Terms) -> tuple[str, str]:
    """ETag and SHA-256 of a part; the latter is empty where the server tells none."""
    try:
        etag = s3.text_of(answer.body, "CopyPartResult", "ETag").strip('"')
    except s3.MalformedAnswer as error:
        raise CopyFailed(Reason.UNEXPECTED, f"{named(request, terms)}: {error}") from error
    found = _SHA256.search(answer.body)
    return etag, found[1].decode() if found else ""
