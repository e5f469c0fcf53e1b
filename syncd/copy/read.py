"""Reads of the source: checked against the listing and against S3's own checksum."""

import hashlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

from syncd.aws import s3
from syncd.aws.s3 import Answer, Request, Side
from syncd.copy.checksums import Checksum, wrong_checksum
from syncd.copy.terms import Copy, CopyFailed
from syncd.model.reasons import Reason

# What travels with the bytes: system metadata that S3 lets a writer set, and the user's own (digest signatures).
_KEPT_HEADERS = ("content-type", "cache-control", "content-disposition", "content-language", "expires")


@dataclass(slots=True)
class Content:
    """The hashes of a source that was read: enough to recognise its replica."""

    sha256: bytes | None
    """The hash of the whole. None if only its parts were hashed: each byte is hashed once."""
    size_bytes: int
    part_digests: list[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)
    """The headers of the read. Their checksums are those of the bytes."""


def read(copy: Copy, span: tuple[int, int] | None = None) -> Generator[Request, Answer, Answer]:
    """Read the whole source, or `span` (offset, length), and check it.

    Raises:
        CopyFailed: the read was refused, is not the listed object, or does not match S3's checksum.
    """
    item = copy.object
    headers = _if_listed(copy)
    if span is None:
        headers.append(("x-amz-checksum-mode", "ENABLED"))
    else:
        headers.append(("range", f"bytes={span[0]}-{span[0] + span[1] - 1}"))
    expected_bytes = item.size_bytes if span is None else span[1]
    request = Request("GetObject", Side.SOURCE, "GET", item.key, "", headers, expected_bytes=expected_bytes)
    answer = yield request
    if not answer.is_ok:
        raise copy.failure(answer, request)
    _check_etag(copy, answer, request)
    if len(answer.body) != expected_bytes:
        raise copy.short_body(answer, request)
    wrong = wrong_checksum(answer.headers, answer.body) if span is None else ""
    if wrong:
        raise CopyFailed(Reason.CHECKSUM, f"{copy.named(request)}: the body does not match its {wrong}")
    return answer


def look_at(copy: Copy, *, wants_checksum: bool = True) -> Generator[Request, Answer, Answer]:
    """Send HeadObject for the source.

    A look that only `wants_checksum` may be refused, and returns that answer: a HEAD cannot say why, the read can.

    Raises:
        CopyFailed: it was refused otherwise, or the object is not the listed one any more.
    """
    headers = _if_listed(copy)
    if wants_checksum:
        headers.append(("x-amz-checksum-mode", "ENABLED"))
    request = Request("HeadObject", Side.SOURCE, "HEAD", copy.object.key, "", headers)
    answer = yield request
    if not answer.is_ok:
        if wants_checksum and 400 <= answer.status < 500:
            return answer
        raise copy.failure(answer, request)
    _check_etag(copy, answer, request)
    size = int(answer.headers.get("content-length", "-1"))
    if size not in (-1, copy.object.size_bytes):
        detail = f"{copy.named(request)}: listed with {copy.object.size_bytes} bytes, found with {size}"
        raise CopyFailed(Reason.OBJECT_CHANGED, detail)
    return answer


def _if_listed(copy: Copy) -> list[tuple[str, str]]:
    """Return the condition that the source is as listed. Empty if it was listed without an ETag."""
    return [("if-match", f'"{copy.object.etag}"')] if copy.object.etag else []


def _check_etag(copy: Copy, answer: Answer, request: Request) -> None:
    listed, etag = copy.object.etag, etag_of(answer)
    if listed and etag and etag != listed:
        raise CopyFailed(Reason.OBJECT_CHANGED, f"{copy.named(request)}: listed with ETag {listed}, read with {etag}")


def etag_of(answer: Answer) -> str:
    """Return the ETag of an answer without quotes. Empty if it has none."""
    return answer.headers.get("etag", "").strip('"')


def source_checksum(copy: Copy) -> Generator[Request, Answer, Checksum]:
    """Ask for the checksum of the whole object: S3 sends none with its parts."""
    return _checksum_of((yield from look_at(copy)))


def _checksum_of(looked: Answer) -> Checksum:
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
    source = yield from read(copy)
    return Content(hashlib.sha256(source.body).digest(), len(source.body), [], source.headers)


def read_through(copy: Copy, looked: Answer | None = None) -> Generator[Request, Answer, Content]:
    """Read all of an object part by part, for its hash and its parts' hashes."""
    if looked is None:
        looked = yield from look_at(copy)
    checksum = _checksum_of(looked)
    whole = hashlib.sha256()
    digests = []
    size, part_size = copy.object.size_bytes, copy.part_size
    for start in range(0, size, part_size):
        part = yield from read(copy, (start, min(part_size, size - start)))
        checksum.take(part.body)
        whole.update(part.body)
        digests.append(hashlib.sha256(part.body).digest())
        # Release the body before the next one comes.
        del part
    check_whole(copy, checksum)
    return Content(whole.digest(), size, digests, looked.headers if looked.is_ok else {})


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
