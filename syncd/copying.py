"""How one object is copied, request by request: the protocol without the wire.

A copy is a generator that yields Requests, is sent their Answers, and returns an Outcome, so that one engine can keep
hundreds of them in flight and a test can walk each through any sequence of answers.

Every write carries `If-None-Match: *` and a SHA-256 that S3 checks; nothing at the destination is ever overwritten.
"""

import hashlib
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from awscrt.checksums import crc32c, crc64nvme

from syncd import failures, s3
from syncd.model import AlreadyThere, Conflict, Copied, Failed, LogObject, Outcome, Transfer
from syncd.s3 import Answer, Request, Side

Steps: TypeAlias = Generator[Request, Answer, Outcome]

# What travels with the bytes: system metadata that S3 lets a writer set, and the user's own (digest signatures).
_KEPT_HEADERS = ("content-type", "cache-control", "content-disposition", "content-language", "expires")
_WRITE_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for every copy of a job."""

    source_bucket: str
    source_owner: str
    """Account ID, sent as the expected owner of the source."""
    source_principal: str
    """Who reads, for failure reports."""
    destination_bucket: str
    destination_owner: str
    destination_principal: str
    multipart_above: int
    """Objects of more bytes than this are copied in parts."""
    part_size: int
    landing: tuple[tuple[str, str], ...] = ()
    """Headers of every write that say what lands: storage class, encryption, tags, ACL."""


class _CopyFailedError(Exception):
    """Ends a copy; only ever raised and caught in this module."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(slots=True)
class _Content:
    """What was read of the source: enough to recognise a replica without keeping the bytes."""

    sha256: bytes
    size_bytes: int
    part_digests: list[bytes]


def stream(transfer: Transfer, terms: Terms) -> Steps:
    """GetObject with the source's credentials, PutObject with the consumer's; in parts above `terms.multipart_above`."""
    try:
        if transfer.object.size_bytes > terms.multipart_above:
            return (yield from _stream_in_parts(transfer, terms))
        return (yield from _stream_whole(transfer, terms))
    except _CopyFailedError as failure:
        return Failed(transfer, failure.reason, failure.detail)


def _stream_whole(transfer: Transfer, terms: Terms) -> Steps:
    source = yield from _read(transfer.object, terms)
    digest = hashlib.sha256(source.body).digest()
    content = _Content(digest, len(source.body), [])
    if transfer.compare_first:
        known = yield from _compare(transfer, terms, content)
        if known is not None:
            return known
    request = Request(
        "PutObject",
        Side.DESTINATION,
        "PUT",
        transfer.destination_key,
        "",
        (
            *_described(source.headers),
            *terms.landing,
            ("if-none-match", "*"),
            ("x-amz-sdk-checksum-algorithm", "SHA256"),
            ("x-amz-checksum-sha256", b64encode(digest).decode()),
            ("x-amz-expected-bucket-owner", terms.destination_owner),
        ),
        source.body,
    )
    answer = yield from _write(request)
    if answer.is_ok:
        return Copied(transfer)
    if answer.status == 412:
        return (yield from _compare_existing(transfer, terms, content))
    raise _failure(answer, request, terms)


def _stream_in_parts(transfer: Transfer, terms: Terms) -> Steps:
    head = _head(transfer, terms)
    there = yield head
    if there.is_ok:
        content = yield from _read_through(transfer.object, terms)
        return (yield from _compare_existing(transfer, terms, content))
    if there.status not in (403, 404):
        raise _failure(there, head, terms)
    first = yield from _read(transfer.object, terms, (0, terms.part_size))
    upload = yield from _begin_upload(transfer, terms, first.headers)
    try:
        return (yield from _upload_parts(transfer, terms, first, upload))
    except _CopyFailedError:
        yield _upload_request(transfer, terms, "AbortMultipartUpload", "DELETE", [("uploadId", upload)])
        raise


def _upload_parts(transfer: Transfer, terms: Terms, part: Answer, upload: str) -> Steps:
    size = transfer.object.size_bytes
    whole = hashlib.sha256()
    done: list[tuple[str, str]] = []
    digests: list[bytes] = []
    start = 0
    while True:
        whole.update(part.body)
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
            raise _failure(answer, request, terms)
        done.append((answer.headers.get("etag", "").strip('"'), b64encode(digest).decode()))
        digests.append(digest)
        start += len(part.body)
        if start >= size:
            break
        part = yield from _read(transfer.object, terms, (start, min(terms.part_size, size - start)))
    request = _upload_request(
        transfer,
        terms,
        "CompleteMultipartUpload",
        "POST",
        [("uploadId", upload)],
        (("if-none-match", "*"), ("content-type", "application/xml")),
        s3.complete_body(done),
    )
    answer = yield from _write(request)
    if answer.is_ok:
        return Copied(transfer)
    content = _Content(whole.digest(), size, digests)
    if answer.status == 412:
        yield _upload_request(transfer, terms, "AbortMultipartUpload", "DELETE", [("uploadId", upload)])
        return (yield from _compare_existing(transfer, terms, content))
    if answer.status == 404:
        # The runtime sends a request again whose answer was lost: the first one may have completed the upload.
        known = yield from _compare(transfer, terms, content)
        if known is not None:
            return known
    raise _failure(answer, request, terms)


def _begin_upload(
    transfer: Transfer, terms: Terms, source_headers: Mapping[str, str]
) -> Generator[Request, Answer, str]:
    request = Request(
        "CreateMultipartUpload",
        Side.DESTINATION,
        "POST",
        transfer.destination_key,
        "uploads=",
        (
            *_described(source_headers),
            *terms.landing,
            ("x-amz-checksum-algorithm", "SHA256"),
            ("x-amz-expected-bucket-owner", terms.destination_owner),
        ),
    )
    answer = yield request
    if not answer.is_ok:
        raise _failure(answer, request, terms)
    try:
        return s3.text_of(answer.body, "InitiateMultipartUploadResult", "UploadId")
    except s3.MalformedAnswer as error:
        raise _CopyFailedError(failures.UNEXPECTED, f"{_named(request, terms)}: {error}") from error


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


def _write(request: Request) -> Generator[Request, Answer, Answer]:
    """Send a conditional write; a 409 means that another writer of the same key was under way, and is asked again."""
    for _ in range(_WRITE_ATTEMPTS - 1):
        answer = yield request
        if answer.status != 409:
            return answer
    return (yield request)


def _read(item: LogObject, terms: Terms, span: tuple[int, int] | None = None) -> Generator[Request, Answer, Answer]:
    """One GetObject of the whole, or of `span` (offset, length), checked against the listing and S3's own checksum."""
    headers = [("x-amz-expected-bucket-owner", terms.source_owner)]
    if item.etag:
        headers.append(("if-match", f'"{item.etag}"'))
    if span is None:
        headers.append(("x-amz-checksum-mode", "ENABLED"))
    else:
        headers.append(("range", f"bytes={span[0]}-{span[0] + span[1] - 1}"))
    request = Request("GetObject", Side.SOURCE, "GET", item.key, "", headers)
    answer = yield request
    if not answer.is_ok:
        raise _failure(answer, request, terms)
    _check_read(answer, item, request, terms, expected_bytes=item.size_bytes if span is None else span[1])
    return answer


def _check_read(answer: Answer, item: LogObject, request: Request, terms: Terms, *, expected_bytes: int) -> None:
    etag = answer.headers.get("etag", "").strip('"')
    if item.etag and etag and etag != item.etag:
        detail = f"{_named(request, terms)}: listed with ETag {item.etag}, read with {etag}"
        raise _CopyFailedError(failures.OBJECT_CHANGED, detail)
    if len(answer.body) != expected_bytes:
        raise _short_body(answer, request, terms, expected_bytes=expected_bytes)
    wrong = wrong_checksum(answer.headers, answer.body)
    if wrong and "range" not in dict(request.headers):
        raise _CopyFailedError(failures.CHECKSUM, f"{_named(request, terms)}: the body does not match its {wrong}")


def wrong_checksum(headers: Mapping[str, str], body: bytes) -> str:
    """The name of the first full-object checksum header that the body does not match; empty where all match."""
    for name, compute in _CHECKSUMS.items():
        value = headers.get(name)
        if value and _is_whole(value, headers) and compute(body) != b64decode(value):
            return name
    return ""


def _is_whole(checksum: str, headers: Mapping[str, str]) -> bool:
    """Whether a checksum is of the object's bytes; a composite one (`…-N`) is of its parts' checksums."""
    return "-" not in checksum and headers.get("x-amz-checksum-type", "").upper() != "COMPOSITE"


def _read_through(item: LogObject, terms: Terms) -> Generator[Request, Answer, _Content]:
    whole = hashlib.sha256()
    digests = []
    for start in range(0, item.size_bytes, terms.part_size):
        part = yield from _read(item, terms, (start, min(terms.part_size, item.size_bytes - start)))
        whole.update(part.body)
        digests.append(hashlib.sha256(part.body).digest())
    return _Content(whole.digest(), item.size_bytes, digests)


def _compare_existing(transfer: Transfer, terms: Terms, content: _Content) -> Steps:
    """Compare with a replica that S3 has just said is there."""
    outcome = yield from _compare(transfer, terms, content)
    if outcome is None:
        detail = f"s3://{terms.destination_bucket}/{transfer.destination_key} was there and is gone: deleted while it was copied"
        raise _CopyFailedError(failures.UNEXPECTED, detail)
    return outcome


def _compare(transfer: Transfer, terms: Terms, content: _Content) -> Generator[Request, Answer, Outcome | None]:
    """AlreadyThere or Conflict by the replica's content; None where there is no replica."""
    request = _head(transfer, terms)
    there = yield request
    if there.status == 404:
        return None
    if not there.is_ok:
        raise _not_comparable(there, request, terms)
    size = int(there.headers.get("content-length", "-1"))
    if size not in (-1, content.size_bytes):
        return Conflict(transfer, f"the replica has {size} bytes, the source {content.size_bytes}")
    stored = there.headers.get("x-amz-checksum-sha256", "")
    if stored and _is_whole(stored, there.headers):
        same = b64decode(stored) == content.sha256
    elif stored and stored == _composite(content):
        same = True
    else:
        same = (yield from _hash_replica(transfer, terms, content.size_bytes)) == content.sha256
    return AlreadyThere(transfer) if same else Conflict(transfer, "the replica has other bytes under the same length")


def _hash_replica(transfer: Transfer, terms: Terms, size: int) -> Generator[Request, Answer, bytes]:
    whole = hashlib.sha256()
    for start in range(0, size, terms.part_size):
        end = min(start + terms.part_size, size)
        headers = (("range", f"bytes={start}-{end - 1}"), ("x-amz-expected-bucket-owner", terms.destination_owner))
        request = Request("GetObject", Side.DESTINATION, "GET", transfer.destination_key, "", headers)
        answer = yield request
        if not answer.is_ok:
            raise _not_comparable(answer, request, terms)
        if len(answer.body) != end - start:
            raise _short_body(answer, request, terms, expected_bytes=end - start)
        whole.update(answer.body)
    return whole.digest()


def _head(transfer: Transfer, terms: Terms) -> Request:
    headers = (("x-amz-checksum-mode", "ENABLED"), ("x-amz-expected-bucket-owner", terms.destination_owner))
    return Request("HeadObject", Side.DESTINATION, "HEAD", transfer.destination_key, "", headers)


def _composite(content: _Content) -> str:
    """S3's composite SHA-256: the hash of the parts' hashes, and how many they were."""
    digest = hashlib.sha256(b"".join(content.part_digests)).digest()
    return f"{b64encode(digest).decode()}-{len(content.part_digests)}"


def _described(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    kept = [(name, headers[name]) for name in _KEPT_HEADERS if name in headers]
    # "aws-chunked" describes how the owner's upload was framed, not the object.
    encodings = [part.strip() for part in headers.get("content-encoding", "").split(",")]
    encoding = ",".join(part for part in encodings if part and part != "aws-chunked")
    if encoding:
        kept.append(("content-encoding", encoding))
    kept += [(name, value) for name, value in headers.items() if name.startswith("x-amz-meta-")]
    return kept


def _named(request: Request, terms: Terms) -> str:
    """Call, principal and resource, as every failure names them."""
    if request.side is Side.SOURCE:
        principal, bucket = terms.source_principal, terms.source_bucket
    else:
        principal, bucket = terms.destination_principal, terms.destination_bucket
    return f"{request.operation} by {principal} of s3://{bucket}/{request.key}"


def _failure(answer: Answer, request: Request, terms: Terms) -> _CopyFailedError:
    reason = failures.reason_of(answer.status, answer.code, answer.message)
    told = ": ".join(part for part in (answer.code, answer.message) if part) or "no reason given"
    status = f"{answer.status} " if answer.status else ""
    return _CopyFailedError(reason, f"{_named(request, terms)}: {status}{told}")


def _short_body(answer: Answer, request: Request, terms: Terms, *, expected_bytes: int) -> _CopyFailedError:
    detail = f"{_named(request, terms)}: {len(answer.body)} bytes came of {expected_bytes}"
    return _CopyFailedError(failures.SHORT_BODY, detail)


def _not_comparable(answer: Answer, request: Request, terms: Terms) -> _CopyFailedError:
    failure = _failure(answer, request, terms)
    if failure.reason != failures.ACCESS_DENIED:
        return failure
    return _CopyFailedError(failures.CANNOT_COMPARE, f"a replica is there but cannot be compared: {failure.detail}")


_CHECKSUMS: dict[str, Callable[[bytes], bytes]] = {
    "x-amz-checksum-sha256": lambda body: hashlib.sha256(body).digest(),
    "x-amz-checksum-sha1": lambda body: hashlib.sha1(body).digest(),  # noqa: S324  # S3's checksum, not our trust
    "x-amz-checksum-crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "x-amz-checksum-crc32c": lambda body: crc32c(body).to_bytes(4, "big"),
    "x-amz-checksum-crc64nvme": lambda body: crc64nvme(body).to_bytes(8, "big"),
}
