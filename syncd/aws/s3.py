"""S3's wire format: requests as values, answers taken apart. Nothing here sends anything.

Header and parameter names are those of the Amazon S3 API Reference.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from html import unescape
from typing import NamedTuple
from urllib.parse import quote, unquote_plus
from xml.etree.ElementTree import Element, ParseError, fromstring

from syncd.model.objects import LogObject

_NOT_ESCAPED = "-._~"
# CloudTrail's keys need no escaping, and to find that out is cheaper than to escape.
_ROW = re.compile(
    "<Contents><Key>([^<]*)</Key><LastModified>([^<]*)</LastModified><ETag>([^<]*)</ETag>"
    "(?:<Checksum[A-Z][a-z]+>[^<]*</Checksum[A-Z][a-z]+>)*<Size>([0-9]+)</Size>"
    "(?:<StorageClass>([^<]*)</StorageClass>)?</Contents>"
)
_PLAIN_KEY = re.compile(r"[A-Za-z0-9/\-._~]*")
_TAKEN_TAG = "Taken"
_TAKEN = f"<{_TAKEN_TAG}/>"
# An error document of S3's has less than a kilobyte.
_LONGEST_ERROR_BYTES = 64 * 1024
_LONGEST_CODE = 100
_LONGEST_MESSAGE = 2000
_SIZE = re.compile(r"[0-9]{1,20}", re.ASCII)
# A page of a thousand rows in any order of their elements has a third of these. Each costs thirty times its own length.
_MOST_TAGS = 100_000
# Bytes that are not UTF-8 come out of a listing as lone surrogates, which no XML document may hold: while a document is
# parsed they are private characters.
_HIDDEN = {0xDC00 + byte: 0x10FE00 + byte for byte in range(0x80, 0x100)}
_SHOWN = {hidden: surrogate for surrogate, hidden in _HIDDEN.items()}


class Side(StrEnum):
    """Which end of a job a request goes to, and so whose credentials sign it."""

    SOURCE = "source"
    DESTINATION = "destination"
    COPY = "copy"
    """The destination's bucket, by whoever may read the source and write there: the signer of server-side copies."""


class Address(NamedTuple):
    """A bucket's address on the wire."""

    scheme: str
    host: str
    """With its port where it is not the scheme's own; sent as the Host header."""
    base_path: str
    """What stands before the key: empty for a virtual-hosted bucket, `/bucket` for path style. No slash at its end."""
    region: str
    """The region that requests are signed for."""


class Request(NamedTuple):
    """One S3 request, yet to be addressed and signed."""

    operation: str
    """The API's name of it, such as `PutObject`."""
    side: Side
    method: str
    key: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes = b""
    expected_bytes: int = 0
    """How large a body is to come back, where it is known and may be large: so much more time the answer is given."""


class Answer(NamedTuple):
    """What came back: an HTTP answer, or the error that stood in its way."""

    status: int
    """0 where there was no HTTP answer."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    code: str = ""
    """S3's error code, or a word of our own where there was no answer."""
    message: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether the request did what it asked for."""
        return not self.code and 200 <= self.status < 300


def quote_key(key: str) -> str:
    """A key as a URL path: escaped once, slashes kept, nothing normalised."""
    if _PLAIN_KEY.fullmatch(key):
        return key
    return quote(key, safe="/" + _NOT_ESCAPED)


def query_string(pairs: Iterable[tuple[str, str]]) -> str:
    """Parameters as a query, each name and value escaped as SigV4 wants it."""
    return "&".join(f"{name}={quote(value, safe=_NOT_ESCAPED)}" for name, value in pairs)


def copy_source(bucket: str, key: str, *, owner: str, etag: str) -> Sequence[tuple[str, str]]:
    """Return the headers that name what CopyObject copies, and pin it to its owner and, unless empty, its ETag."""
    condition = (("x-amz-copy-source-if-match", f'"{etag}"'),) if etag else ()
    return (
        ("x-amz-copy-source", f"/{bucket}/{quote_key(key)}"),
        ("x-amz-source-expected-bucket-owner", owner),
        *condition,
    )


class ListingPage(NamedTuple):
    """One answer of ListObjectsV2."""

    objects: Sequence[LogObject]
    prefixes: Sequence[str]
    next_token: str
    """Empty at the end."""


class MalformedAnswer(ValueError):
    """The server answered 200 with something that is not the document the API promises."""


def list_objects(side: Side, prefix: str, *, start_after: str = "", token: str = "", delimiter: str = "") -> Request:
    """A ListObjectsV2 request for up to 1,000 keys."""
    pairs = [("list-type", "2"), ("encoding-type", "url"), ("max-keys", "1000"), ("prefix", prefix)]
    if delimiter:
        pairs.append(("delimiter", delimiter))
    if token:
        pairs.append(("continuation-token", token))
    if start_after:
        pairs.append(("start-after", start_after))
    pairs.sort()
    return Request("ListObjectsV2", side, "GET", "", query_string(pairs), ())


def parse_listing(body: bytes) -> ListingPage:
    """Take a ListObjectsV2 answer apart.

    Raises:
        MalformedAnswer: it is no such document, or says it is truncated without saying where to go on.
    """
    # Rows in the order in which S3 writes them are taken out first: a page has a thousand of them, and an XML parser
    # takes most of the time that a page costs. What is left is parsed as XML, odd rows among it.
    pieces = _ROW.split(body.decode("utf-8", "surrogateescape"))
    rest = pieces[:: _ROW.groups + 1]
    has_odd_rows = any("<Contents" in piece or ":Contents" in piece for piece in rest)
    # Each row that was taken out leaves an element, by which the odd ones keep their places.
    root = _document(_markup((_TAKEN if has_odd_rows else "").join(rest)), "ListBucketResult")
    space = root.tag[: -len("ListBucketResult")]
    is_encoded = root.findtext(f"{space}EncodingType") == "url"
    objects = [
        _row_object(*pieces[index : index + _ROW.groups], is_encoded=is_encoded)
        for index in range(1, len(pieces), _ROW.groups + 1)
    ]
    if has_odd_rows:
        objects = _in_their_places(root, space, objects, is_encoded=is_encoded)
    prefixes = [
        _decode((item.findtext(f"{space}Prefix") or "").translate(_SHOWN), is_encoded=is_encoded)
        for item in root.iter(f"{space}CommonPrefixes")
    ]
    token = ""
    if root.findtext(f"{space}IsTruncated") == "true":
        token = root.findtext(f"{space}NextContinuationToken") or ""
        if not token:
            raise MalformedAnswer("the listing is truncated but names no continuation token")
    return ListingPage(objects, prefixes, token)


def _markup(text: str) -> bytes:
    """Encode what is to be parsed as XML.

    Raises:
        MalformedAnswer: it has so many elements that parsing it would take a lot of memory.
    """
    if text.count("<") > _MOST_TAGS:
        raise MalformedAnswer(f"more than {_MOST_TAGS} tags in one page")
    if not text.isascii():
        text = text.translate(_HIDDEN)
    return text.encode()


def _in_their_places(root: Element, space: str, taken: Sequence[LogObject], *, is_encoded: bool) -> list[LogObject]:
    """Put the rows that were taken out back between the odd ones."""
    rows = iter(taken)
    objects = []
    for item in root.iter():
        if item.tag == f"{space}{_TAKEN_TAG}":
            objects.append(next(rows))
        elif item.tag == f"{space}Contents":
            objects.append(_log_object(item, space, is_encoded=is_encoded))
    return objects


def _row_object(
    key: str, last_modified: str, etag: str, size: str, storage_class: str | None, *, is_encoded: bool
) -> LogObject:
    return LogObject(
        _decode(unescape(key) if "&" in key else key, is_encoded=is_encoded),
        etag.replace("&quot;", "").strip('"'),
        _size(size),
        _moment(last_modified),
        storage_class or "STANDARD",
    )


def _size(text: str) -> int:
    if not _SIZE.fullmatch(text):
        raise MalformedAnswer(f"a listed object of size {text[:40]!a}")
    return int(text)


def _moment(text: str) -> float:
    try:
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise MalformedAnswer(f"a listed object that was modified at {text[:40]!a}") from error


def error_of(body: bytes) -> tuple[str, str]:
    """Code and message of an S3 error document; empty strings where it is none."""
    body = _without_padding(body)
    if b"<Error" not in body[:512] or len(body) > _LONGEST_ERROR_BYTES:
        return "", ""
    try:
        root = fromstring(body)  # noqa: S314  # expat itself bounds entity expansion
    except ParseError:
        return "", ""
    space = root.tag[: -len("Error")]
    code, message = root.findtext(f"{space}Code") or "Unknown", root.findtext(f"{space}Message") or ""
    return code[:_LONGEST_CODE], message[:_LONGEST_MESSAGE]


def text_of(body: bytes, document: str, name: str) -> str:
    """The text of one element of an answer, such as the UploadId.

    Raises:
        MalformedAnswer: the document or the element is missing.
    """
    root = _document(body, document)
    found = root.findtext(f"{root.tag[: -len(document)]}{name}")
    if not found:
        raise MalformedAnswer(f"{document} without {name}")
    return found


def tagging_header(body: bytes) -> str:
    """A Tagging document as the value of the x-amz-tagging header, without what AWS alone may write.

    "The aws: prefix is reserved for AWS use": S3 refuses a write that carries such a tag.

    Raises:
        MalformedAnswer: it is no such document.
    """
    root = _document(body, "Tagging")
    space = root.tag[: -len("Tagging")]
    pairs = [
        (item.findtext(f"{space}Key") or "", item.findtext(f"{space}Value") or "") for item in root.iter(f"{space}Tag")
    ]
    return "&".join(
        f"{quote(key, safe=_NOT_ESCAPED)}={quote(value, safe=_NOT_ESCAPED)}"
        for key, value in pairs
        if not key.lower().startswith("aws:")
    )


def complete_body(parts: Sequence[tuple[str, str]]) -> bytes:
    """The body of CompleteMultipartUpload for (ETag, base64 SHA-256) of each part in order; without the latter where empty."""
    rows = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{etag}&quot;</ETag>"
        f"{f'<ChecksumSHA256>{checksum}</ChecksumSHA256>' if checksum else ''}</Part>"
        for number, (etag, checksum) in enumerate(parts, start=1)
    )
    return f'<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{rows}</CompleteMultipartUpload>'.encode()


def _without_padding(body: bytes) -> bytes:
    """S3 "periodically sends white space characters to keep the connection from timing out" (CompleteMultipartUpload)."""
    return body.lstrip()


def _document(body: bytes, name: str) -> Element:
    try:
        root = fromstring(_without_padding(body))  # noqa: S314  # expat itself bounds entity expansion
    except ParseError as error:
        raise MalformedAnswer(f"not XML ({error})") from error
    if root.tag.rpartition("}")[2] != name:
        raise MalformedAnswer(f"a {root.tag.rpartition('}')[2]} document instead of {name}")
    return root


def _decode(text: str, *, is_encoded: bool) -> str:
    """Decode a key or a prefix; each byte that is not UTF-8 becomes a lone surrogate."""
    return unquote_plus(text, errors="surrogateescape") if is_encoded and ("%" in text or "+" in text) else text


def _log_object(item: Element, space: str, *, is_encoded: bool) -> LogObject:
    fields = {child.tag: child.text or "" for child in item}
    try:
        key, size, modified = (fields[f"{space}{name}"] for name in ("Key", "Size", "LastModified"))
    except KeyError as error:
        raise MalformedAnswer(f"a listed object without {error.args[0].removeprefix(space)}") from error
    return LogObject(
        _decode(key.translate(_SHOWN), is_encoded=is_encoded),
        fields.get(f"{space}ETag", "").strip('"'),
        _size(size),
        _moment(modified),
        fields.get(f"{space}StorageClass", "STANDARD"),
    )
