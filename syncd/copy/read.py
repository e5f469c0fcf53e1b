"""Reading the source: what came is checked against the listing and against S3's own checksum."""

import hashlib
import zlib
from base64 import b64encode
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from awscrt.checksums import crc32c, crc64nvme

from syncd.aws import s3
from syncd.aws.s3 import Answer, Request, Side
from syncd.copy.terms import CopyFailed, Terms, failure_of, named, short_body
from syncd.model.objects import LogObject
from syncd.model.reasons import Reason

SHA256 = "x-amz-checksum-sha256"
"""The one checksum that nobody can bring about with other bytes."""

# What travels with the bytes: system metadata that S3 lets a writer set, and the user's own (digest signatures).
_KEPT_HEADERS = ("content-type", "cache-control", "content-disposition", "content-language", "expires")


@dataclass(slots=True)
class Content:
    """What was read of the source: enough to recognise a replica without keeping the bytes."""

    sha256: bytes | None
    """Of the whole; None where only its parts were hashed, since each byte is hashed once."""
    size_bytes: int
    part_digests: list[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)
    """What S3 told of it when it was read; its checksums are those of the bytes."""


def read(item: LogObject, terms: Terms, span: tuple[int, int] | None = None) -> Generator[Request, Answer, Answer]:
    """One GetObject of the whole, or of `span` (offset, length), checked against the listing and S3's own checksum."""
    headers = [("x-amz-expected-bucket-owner", terms.source_owner)]
    if item.etag:
        headers.append(("if-match", f'"{item.etag}"'))
    if span is None:
        headers.append(("x-amz-checksum-mode", "ENABLED"))
    else:
        headers.append(("range", f"bytes={span[0]}-{span[0] + span[1] - 1}"))
    expected_bytes = item.size_bytes if span is None else span[1]
    request = Request("GetObject", Side.SOURCE, "GET", item.key, "", headers, expected_bytes=expected_bytes)
    answer = yield request
    if not answer.is_ok:
        raise failure_of(answer, request, terms)
    _check_read(answer, item, request, terms)
    return answer


def _check_read(answer: Answer, item: LogObject, request: Request, terms: Terms) -> None:
    _check_etag(answer, item, request, terms)
    if len(answer.body) != request.expected_bytes:
        raise short_body(answer, request, terms)
    wrong = wrong_checksum(answer.headers, answer.body)
    if wrong and "range" not in dict(request.headers):
        raise CopyFailed(Reason.CHECKSUM, f"{named(request, terms)}: the body does not match its {wrong}")


def _check_etag(answer: Answer, item: LogObject, request: Request, terms: Terms) -> None:
    etag = etag_of(answer)
    if item.etag and etag and etag != item.etag:
        detail = f"{named(request, terms)}: listed with ETag {item.etag}, read with {etag}"
        raise CopyFailed(Reason.OBJECT_CHANGED, detail)


def etag_of(answer: Answer) -> str:
    """Give the ETag that an answer tells, without quotes; empty if it tells none."""
    return answer.headers.get("etag", "").strip('"')


def wrong_checksum(headers: Mapping[str, str], body: bytes) -> str:
    """The name of the first full-object checksum header that the body does not match; empty where all match."""
    for name in _CHECKSUMS:
        if name in headers:
            checksum = Checksum(headers, name)
            checksum.take(body)
            if checksum.is_wrong:
                return name
    return ""


class Checksum:
    """A full-object checksum as S3 tells it, held against what is read, a part at a time; nothing told is not wrong."""

    def __init__(self, headers: Mapping[str, str], name: str = "") -> None:
        """`name` is the header, or empty for the first that there is."""
        names = [name] if name else [known for known in _CHECKSUMS if known in headers]
        self.name = names[0] if names else ""
        told = headers.get(self.name, "")
        self._told = told if told and is_whole(told, headers) else ""
        self._running = _CHECKSUMS[self.name]() if self._told else None

    def take(self, body: bytes) -> None:
        """What was read next."""
        if self._running is not None:
            self._running.update(body)

    @property
    def is_wrong(self) -> bool:
        """Whether all that was read is not what was told of."""
        return self._running is not None and b64encode(self._running.digest()).decode() != self._told


def check_found(answer: Answer, item: LogObject, request: Request, terms: Terms) -> None:
    """Hold what HeadObject tells of a source object against the listing.

    Raises:
        CopyFailed: it is another object by now.
    """
    _check_etag(answer, item, request, terms)
    size = int(answer.headers.get("content-length", "-1"))
    if size not in (-1, item.size_bytes):
        detail = f"{named(request, terms)}: listed with {item.size_bytes} bytes, found with {size}"
        raise CopyFailed(Reason.OBJECT_CHANGED, detail)


def whole_checksums(headers: Mapping[str, str]) -> dict[str, str]:
    """Pick the full-object checksums that an answer tells, by header, with SHA-256 first."""
    return {name: headers[name] for name in _CHECKSUMS if headers.get(name) and is_whole(headers[name], headers)}


def look_at(item: LogObject, terms: Terms) -> Generator[Request, Answer, Answer]:
    """Look at the source by HeadObject, asking for its checksum.

    Who may read an object may look at it, but a look that is refused does not say why: that is left to the read.
    """
    headers = [("x-amz-checksum-mode", "ENABLED"), ("x-amz-expected-bucket-owner", terms.source_owner)]
    if item.etag:
        headers.append(("if-match", f'"{item.etag}"'))
    request = Request("HeadObject", Side.SOURCE, "HEAD", item.key, "", headers)
    answer = yield request
    if answer.is_ok:
        check_found(answer, item, request, terms)
    elif not 400 <= answer.status < 500:
        raise failure_of(answer, request, terms)
    return answer


def told_checksum(item: LogObject, terms: Terms) -> Generator[Request, Answer, Checksum]:
    """Ask for the checksum of an object that is to be read in parts: for these S3 tells none."""
    return _checksum_of((yield from look_at(item, terms)))


def _checksum_of(looked: Answer) -> Checksum:
    return Checksum(looked.headers if looked.is_ok else {})


def check_whole(checksum: Checksum, item: LogObject, terms: Terms) -> None:
    """Hold everything that was read of an object against its checksum.

    Raises:
        CopyFailed: it is something else.
    """
    if checksum.is_wrong:
        what = f"GetObject by {terms.source_principal} of s3://{terms.source_bucket}/{item.key}"
        raise CopyFailed(Reason.CHECKSUM, f"{what}: its parts together do not match its {checksum.name}")


def is_whole(checksum: str, headers: Mapping[str, str]) -> bool:
    """Whether a checksum is of the object's bytes; a composite one (`…-N`) is of its parts' checksums.

    Some servers tell neither the number of parts nor the type; the ETag of an object in parts then tells.
    """
    kind = headers.get("x-amz-checksum-type") or ("COMPOSITE" if "-" in headers.get("etag", "") else "FULL_OBJECT")
    return "-" not in checksum and kind.upper() == "FULL_OBJECT"


def read_content(item: LogObject, terms: Terms, looked: Answer | None) -> Generator[Request, Answer, Content]:
    """Read all of an object that was looked at, or not, to compare it: in parts where it would be copied so."""
    if item.size_bytes > terms.multipart_above:
        return (yield from read_through(item, terms, looked))
    source = yield from read(item, terms)
    return Content(hashlib.sha256(source.body).digest(), len(source.body), [], source.headers)


def read_through(item: LogObject, terms: Terms, looked: Answer | None = None) -> Generator[Request, Answer, Content]:
    """Read all of an object, a part at a time, for its hash and its parts' hashes."""
    if looked is None:
        looked = yield from look_at(item, terms)
    checksum = _checksum_of(looked)
    whole = hashlib.sha256()
    digests = []
    part_size = terms.part_size_of(item.size_bytes)
    for start in range(0, item.size_bytes, part_size):
        part = yield from read(item, terms, (start, min(part_size, item.size_bytes - start)))
        checksum.take(part.body)
        whole.update(part.body)
        digests.append(hashlib.sha256(part.body).digest())
        # It would be held while the next one comes.
        del part
    check_whole(checksum, item, terms)
    return Content(whole.digest(), item.size_bytes, digests, looked.headers if looked.is_ok else {})


def tags(
    item: LogObject, headers: Mapping[str, str], terms: Terms
) -> Generator[Request, Answer, list[tuple[str, str]]]:
    """The source's tags as a header of the write; none where it has none, or where they may not be read.

    One request, and only for an object whose answer to GetObject counted tags.
    """
    if not terms.copies_tags or headers.get("x-amz-tagging-count", "0") == "0":
        return []
    answer = yield Request(
        "GetObjectTagging",
        Side.SOURCE,
        "GET",
        item.key,
        "tagging=",
        (("x-amz-expected-bucket-owner", terms.source_owner),),
    )
    try:
        header = s3.tagging_header(answer.body) if answer.is_ok else ""
    except s3.MalformedAnswer:
        return []
    return [("x-amz-tagging", header)] if header else []


def described(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """What of a source object's headers the replica is written with."""
    kept = [(name, headers[name]) for name in _KEPT_HEADERS if name in headers]
    # "aws-chunked" describes how the owner's upload was framed, not the object.
    encodings = [part.strip() for part in headers.get("content-encoding", "").split(",")]
    encoding = ",".join(part for part in encodings if part and part != "aws-chunked")
    if encoding:
        kept.append(("content-encoding", encoding))
    kept += [(name, value) for name, value in headers.items() if name.startswith("x-amz-meta-")]
    return kept


class _Running(Protocol):
    """A checksum under way, as hashlib's are."""

    def update(self, body: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc:
    def __init__(self, compute: Callable[[bytes, int], int], size_bytes: int) -> None:
        self._compute = compute
        self._size_bytes = size_bytes
        self._value = 0

    def update(self, body: bytes, /) -> None:
        self._value = self._compute(body, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size_bytes, "big")


_CHECKSUMS: Mapping[str, Callable[[], _Running]] = {
    SHA256: hashlib.sha256,
    "x-amz-checksum-sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "x-amz-checksum-crc32": lambda: _Crc(zlib.crc32, 4),
    "x-amz-checksum-crc32c": lambda: _Crc(crc32c, 4),
    "x-amz-checksum-crc64nvme": lambda: _Crc(crc64nvme, 8),
}
