"""One page of a listing: the document of ListObjectsV2, taken apart. Pure.

Rows in S3's own order of elements are taken out by a regular expression, since a page has a thousand of them and an XML
parser takes most of the time that a page costs. The rest is parsed as XML, odd rows among it.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from html import unescape
from typing import NamedTuple
from urllib.parse import unquote_plus
from xml.etree.ElementTree import Element

from syncd.aws.s3 import MalformedAnswer, document_of
from syncd.model.objects import LogObject

_ROW = re.compile(
    "<Contents><Key>([^<]*)</Key><LastModified>([^<]*)</LastModified><ETag>([^<]*)</ETag>"
    "(?:<Checksum[A-Z][a-z]+>[^<]*</Checksum[A-Z][a-z]+>)*<Size>([0-9]+)</Size>"
    "(?:<StorageClass>([^<]*)</StorageClass>)?</Contents>"
)
_TAKEN_TAG = "Taken"
_TAKEN = f"<{_TAKEN_TAG}/>"
_SIZE = re.compile(r"[0-9]{1,20}", re.ASCII)
# A page of a thousand rows in any order of their elements has a third of these. Each costs thirty times its own length.
_MOST_TAGS = 100_000
# Bytes that are not UTF-8 come out of a listing as lone surrogates, which no XML document may hold. While a document is
# parsed they are private characters.
_HIDDEN = {0xDC00 + byte: 0x10FE00 + byte for byte in range(0x80, 0x100)}
_SHOWN = {hidden: surrogate for surrogate, hidden in _HIDDEN.items()}


class ListingPage(NamedTuple):
    """One answer of ListObjectsV2."""

    objects: Sequence[LogObject]
    prefixes: Sequence[str]
    next_token: str
    """Empty at the end."""


def parse_listing(body: bytes) -> ListingPage:
    """Parse the body of a ListObjectsV2 answer.

    Raises:
        MalformedAnswer: it is no such document, or is truncated without a continuation token.
    """
    pieces = _ROW.split(body.decode("utf-8", "surrogateescape"))
    rest = pieces[:: _ROW.groups + 1]
    has_odd_rows = any("<Contents" in piece or ":Contents" in piece for piece in rest)
    # Each row that was taken out leaves an element, so that the odd ones keep their places.
    root = document_of(_markup((_TAKEN if has_odd_rows else "").join(rest)), "ListBucketResult")
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
    """Encode text for the XML parser.

    Raises:
        MalformedAnswer: it has so many elements that parsing it would take too much memory.
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


def _decode(text: str, *, is_encoded: bool) -> str:
    """Decode a key or a prefix. Each byte that is not UTF-8 becomes a lone surrogate."""
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
