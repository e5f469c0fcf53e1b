"""Reads of the source: checked against the listing and against S3's own checksum."""

import hashlib
from collections.abc import Generator, Mapping
from typing import NamedTuple

from syncd.aws import s3
from syncd.aws.s3 import Answer, Request, Side
from syncd.copy.hashes.checksums import CRC64NVME, Checksum, Sum, sum_of, wrong_checksum
from syncd.copy.terms import Copy, CopyFailed
from syncd.model.objects import is_same_etag
from syncd.model.reasons import Reason

# What travels with the bytes: system metadata that S3 lets a writer set, and the user's own (digest signatures).
_KEPT_HEADERS = ("content-type", "cache-control", "content-disposition", "content-language", "expires")


class Content(NamedTuple):
    """The hashes of a source that was read: enough to recognise its replica."""

    sha256: bytes | None
    """The hash of the whole. None if only its parts were hashed: each byte is hashed once."""
    size_bytes: int
    part_digests: list[bytes]
    headers: Mapping[str, str]
    """The headers of the read. Their checksums are those of the bytes."""
    crc: str = ""
    """The CRC64NVME of the whole (base64). Empty if it was not computed."""


def read(copy: Copy, span: tuple[int, int] | None = None) -> Generator[Request, Answer, Answer]:
    """Read the whole source, or `span` (offset, length), and check it.

    Raises:
        CopyFailed: the read was refused, is not the listed object, or does not match S3's checksum.
    """
    request = read_request(copy, span)
    answer = yield from if_same(request, copy.object.etag)
    if not answer.is_ok:
        raise copy.failure(answer, request)
    check_etag(copy, answer, request)
    if len(answer.body) != request.expected_bytes:
        raise copy.short_body(answer, request)
    wrong = wrong_checksum(answer.headers, answer.body) if span is None else ""
    if wrong:
        raise CopyFailed(Reason.CHECKSUM, f"{copy.named(request)}: the body does not match its {wrong}")
    return answer


def read_request(copy: Copy, span: tuple[int, int] | None = None) -> Request:
    """Return a GetObject of the whole source with its checksum, or of `span` (offset, length)."""
    item = copy.object
    if span is None:
        headers, expected_bytes = [("x-amz-checksum-mode", "ENABLED")], item.size_bytes
    else:
        headers, expected_bytes = [("range", f"bytes={span[0]}-{span[0] + span[1] - 1}")], span[1]
    return Request("GetObject", Side.SOURCE, "GET", item.key, "", headers, expected_bytes=expected_bytes)


def look_at(copy: Copy, *, wants_checksum: bool = True) -> Generator[Request, Answer, Answer]:
    """Send HeadObject for the source.

    A look that only `wants_checksum` may be refused, and returns that answer: a HEAD cannot say why, the read can.

    Raises:
        CopyFailed: it was refused otherwise, or the object is not the listed one any more.
    """
    headers = [("x-amz-checksum-mode", "ENABLED")] if wants_checksum else []
    request = Request("HeadObject", Side.SOURCE, "HEAD", copy.object.key, "", headers)
    answer = yield from if_same(request, copy.object.etag)
    if not answer.is_ok:
        if wants_checksum and 400 <= answer.status < 500:
            return answer
        raise copy.failure(answer, request)
    check_etag(copy, answer, request)
    size = int(answer.headers.get("content-length", "-1"))
    if size not in (-1, copy.object.size_bytes):
        detail = f"{copy.named(request)}: listed with {copy.object.size_bytes} bytes, found with {size}"
        raise CopyFailed(Reason.OBJECT_CHANGED, detail)
    return answer


def if_same(request: Request, etag: str) -> Generator[Request, Answer, Answer]:
    """Send a read on the condition of this ETag, or without one if it is empty.

    Some servers refuse the ETag that they list, since it is weak or in another case. The answer to a read without the
    condition then shows that it is the same.
    """
    answer = yield on_condition(request, etag)
    if answer.status != 412 or not etag:
        return answer
    again = yield request
    return again if again.is_ok and is_same_etag(etag_of(again), etag) else answer


def on_condition(request: Request, etag: str) -> Request:
    """Return a read on the condition of this ETag, or the same if it is empty."""
    return request._replace(headers=(*request.headers, ("if-match", f'"{etag}"'))) if etag else request


def check_etag(copy: Copy, answer: Answer, request: Request) -> None:
    """Compare the ETag of what is read with the listed one.

    Raises:
        CopyFailed: they are not the same.
    """
    listed, etag = copy.object.etag, etag_of(answer)
    if listed and etag and not is_same_etag(etag, listed):
        raise CopyFailed(Reason.OBJECT_CHANGED, f"{copy.named(request)}: listed with ETag {listed}, read with {etag}")


def etag_of(answer: Answer) -> str:
    """Return the ETag of an answer without quotes. Empty if it has none."""
    return s3.etag_in(answer.headers.get("etag", ""))


def checksum_of(looked: Answer) -> Checksum:
    """Return the checksum of the whole object by its HeadObject: S3 sends none with its parts."""
    return Checksum(looked.headers if looked.is_ok else {})


def check_whole(copy: Copy, checksum: Checksum) -> None:
    """Compare all parts that were read with the checksum of the whole.

    Raises:
        CopyFailed: they do not match.
    """
    if checksum.is_wrong:
        what = f"GetObject by {copy.terms.source_principal} of {copy.source_url}"
        raise CopyFailed(Reason.CHECKSUM, f"{what}: its parts together do not match its {checksum.name}")


def read_content(copy: Copy, looked: Answer | None) -> Generator[Request, Answer, Content]:
    """Read all of an object to compare it. `looked` is its HeadObject, if that was sent."""
    if copy.is_large:
        return (yield from read_through(copy, looked))
    return content_of((yield from read(copy)))


def content_of(source: Answer) -> Content:
    """Hash a source that was read as a whole."""
    body = source.body
    return Content(hashlib.sha256(body).digest(), len(body), [], source.headers, sum_of(CRC64NVME, body))


def read_through(copy: Copy, looked: Answer | None = None) -> Generator[Request, Answer, Content]:
    """Read all of an object part by part, for its hash and its parts' hashes."""
    if looked is None:
        looked = yield from look_at(copy)
    checksum = checksum_of(looked)
    whole, crc = hashlib.sha256(), Sum(CRC64NVME)
    digests = []
    size, part_size = copy.object.size_bytes, copy.part_size
    for start in range(0, size, part_size):
        part = yield from read(copy, (start, min(part_size, size - start)))
        checksum.take(part.body)
        whole.update(part.body)
        crc.take(part.body)
        digests.append(hashlib.sha256(part.body).digest())
        # Release the body before the next one comes.
        del part
    check_whole(copy, checksum)
    return Content(whole.digest(), size, digests, looked.headers if looked.is_ok else {}, crc.value)


def tags(copy: Copy, headers: Mapping[str, str]) -> Generator[Request, Answer, list[tuple[str, str]]]:
    """Return the source's tags as a header of the write. Empty if it has none, or they cannot be read.

    Sends one request, and only if `headers`, of the source's GetObject or HeadObject, count tags.
    """
    if not copy.terms.copies_tags or headers.get("x-amz-tagging-count", "0") == "0":
        return []
    answer = yield Request("GetObjectTagging", Side.SOURCE, "GET", copy.object.key, "tagging=", ())
    try:
        header = s3.tagging_header(answer.body) if answer.is_ok else ""
    except s3.MalformedAnswer:
        return []
    return [("x-amz-tagging", header)] if header else []


def described(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the headers of a source object that its replica is written with."""
    kept = [(name, headers[name]) for name in _KEPT_HEADERS if name in headers]
    # "aws-chunked" describes how the owner's upload was framed, not the object.
    encodings = [part.strip() for part in headers.get("content-encoding", "").split(",")]
    encoding = ",".join(part for part in encodings if part and part != "aws-chunked")
    if encoding:
        kept.append(("content-encoding", encoding))
    kept += [(name, value) for name, value in headers.items() if name.startswith("x-amz-meta-")]
    return kept
