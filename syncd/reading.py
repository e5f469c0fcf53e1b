"""Reading the source: what came is checked against the listing and against S3's own checksum."""

import hashlib
import zlib
from base64 import b64decode
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

from awscrt.checksums import crc32c, crc64nvme

from syncd import failures, s3
from syncd.model import LogObject
from syncd.s3 import Answer, Request, Side
from syncd.terms import CopyFailed, Terms, failure_of, named, short_body

# What travels with the bytes: system metadata that S3 lets a writer set, and the user's own (digest signatures).
_KEPT_HEADERS = ("content-type", "cache-control", "content-disposition", "content-language", "expires")


@dataclass(slots=True)
class Content:
    """What was read of the source: enough to recognise a replica without keeping the bytes."""

    sha256: bytes | None
    """Of the whole; None where only its parts were hashed, since each byte is hashed once."""
    size_bytes: int
    part_digests: list[bytes]


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
    etag = answer.headers.get("etag", "").strip('"')
    if item.etag and etag and etag != item.etag:
        detail = f"{named(request, terms)}: listed with ETag {item.etag}, read with {etag}"
        raise CopyFailed(failures.OBJECT_CHANGED, detail)
    if len(answer.body) != request.expected_bytes:
        raise short_body(answer, request, terms)
    wrong = wrong_checksum(answer.headers, answer.body)
    if wrong and "range" not in dict(request.headers):
        raise CopyFailed(failures.CHECKSUM, f"{named(request, terms)}: the body does not match its {wrong}")


def wrong_checksum(headers: Mapping[str, str], body: bytes) -> str:
    """The name of the first full-object checksum header that the body does not match; empty where all match."""
    for name, compute in _CHECKSUMS.items():
        value = headers.get(name)
        if value and is_whole(value, headers) and compute(body) != b64decode(value):
            return name
    return ""


def is_whole(checksum: str, headers: Mapping[str, str]) -> bool:
    """Whether a checksum is of the object's bytes; a composite one (`…-N`) is of its parts' checksums.

    Some servers tell neither the number of parts nor the type; the ETag of an object in parts then tells.
    """
    kind = headers.get("x-amz-checksum-type") or ("COMPOSITE" if "-" in headers.get("etag", "") else "FULL_OBJECT")
    return "-" not in checksum and kind.upper() == "FULL_OBJECT"


def read_through(item: LogObject, terms: Terms) -> Generator[Request, Answer, Content]:
    """All of an object, a part at a time: its hash, and its parts' hashes."""
    whole = hashlib.sha256()
    digests = []
    for start in range(0, item.size_bytes, terms.part_size):
        part = yield from read(item, terms, (start, min(terms.part_size, item.size_bytes - start)))
        whole.update(part.body)
        digests.append(hashlib.sha256(part.body).digest())
    return Content(whole.digest(), item.size_bytes, digests)


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
        return [("x-amz-tagging", s3.tagging_header(answer.body))] if answer.is_ok else []
    except s3.MalformedAnswer:
        return []


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


_CHECKSUMS: dict[str, Callable[[bytes], bytes]] = {
    "x-amz-checksum-sha256": lambda body: hashlib.sha256(body).digest(),
    "x-amz-checksum-sha1": lambda body: hashlib.sha1(body).digest(),  # noqa: S324  # S3's checksum, not our trust
    "x-amz-checksum-crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "x-amz-checksum-crc32c": lambda body: crc32c(body).to_bytes(4, "big"),
    "x-amz-checksum-crc64nvme": lambda body: crc64nvme(body).to_bytes(8, "big"),
}
