"""One page of a listing: the document of ListObjectsV2, taken apart. Pure.

Rows in S3's own order of elements are taken out by a regular expression, since a page has a thousand of them and an XML
parser takes most of the time that a page costs. The rest is parsed as XML, odd rows among it.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple, TypeAlias
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from syncd.aws.s3 import MalformedAnswer, document_of, etag_in
from syncd.model.objects import LogObject

_ROW = re.compile(
    "<Contents><Key>([^<]*)</Key><LastModified>([^<]*)</LastModified><ETag>([^<]*)</ETag>"
    "(?:<Checksum[A-Z][a-z]+>[^<]*</Checksum[A-Z][a-z]+>)*<Size>([0-9]+)</Size>"
    "(?:<StorageClass>([^<]*)</StorageClass>)?</Contents>"
)
_Decode: TypeAlias = Callable[[str], str]
_UNSURE = "?"
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
    is_unsure: bool = False
    """A plus in its keys may be a space, and nothing in the page tells."""


def parse_listing(body: bytes, *, plus: str = "") -> ListingPage:
    """Parse the body of a ListObjectsV2 answer.

    `plus` is what a plus means in encoded keys, if that is known. S3 writes a space so, but other servers leave a plus as
    it is. A page with `%2B` or `%20` shows which.

    Raises:
        MalformedAnswer: it is no such document, or is truncated without a continuation token.
    """
    pieces = _ROW.split(body.decode("utf-8", "surrogateescape"))
    rest = pieces[:: _ROW.groups + 1]
    has_odd_rows = any("<Contents" in piece or ":Contents" in piece for piece in rest)
    # Each row that was taken out leaves an element, so that the odd ones keep their places.
    root = document_of(_markup((_TAKEN if has_odd_rows else "").join(rest)), "ListBucketResult")
    is_encoded = root.findtext("{*}EncodingType") == "url"
    if is_encoded and not plus and b"+" in body:
        plus = _meaning_of_plus(pieces[1 :: _ROW.groups + 1], root)
    decode = partial(_decode, plus=plus) if is_encoded else _itself
    objects = [
        _row_object(*pieces[index : index + _ROW.groups], decode=decode)
        for index in range(1, len(pieces), _ROW.groups + 1)
    ]
    if has_odd_rows:
        objects = _in_their_places(root, objects, decode)
    prefixes = [
        decode((item.findtext("{*}Prefix") or "").translate(_SHOWN)) for item in root.iterfind(".//{*}CommonPrefixes")
    ]
    token = ""
    if root.findtext("{*}IsTruncated") == "true":
        token = root.findtext("{*}NextContinuationToken") or ""
        if not token:
            raise MalformedAnswer("the listing is truncated but names no continuation token")
    return ListingPage(objects, prefixes, token, is_unsure=plus == _UNSURE)


def _meaning_of_plus(keys: Sequence[str], root: Element) -> str:
    names = [element.text or "" for element in root.iter() if _name_of(element) in ("Key", "Prefix")]
    everything = "\n".join((*keys, *names)).lower()
    if "+" not in everything or "%2b" in everything:
        return " "
    return "+" if "%20" in everything else _UNSURE


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


def _in_their_places(root: Element, taken: Sequence[LogObject], decode: _Decode) -> list[LogObject]:
    """Put the rows that were taken out back between the odd ones."""
    rows = iter(taken)
    objects = []
    for item in root.iter():
        if _name_of(item) == _TAKEN_TAG:
            objects.append(next(rows))
        elif _name_of(item) == "Contents":
            objects.append(_log_object(item, decode))
    return objects


def _row_object(
    key: str, last_modified: str, etag: str, size: str, storage_class: str | None, *, decode: _Decode
) -> LogObject:
    return LogObject(
        decode(_unescaped(key)),
        _etag(etag),
        _size(size),
        _moment(last_modified),
        storage_class or "STANDARD",
    )


def _unescaped(text: str) -> str:
    if "&" not in text:
        return text
    # Its table of entities is loaded for the first key that has some.
    from html import unescape  # noqa: PLC0415

    return unescape(text)


def _etag(text: str) -> str:
    plain = text.replace("&quot;", "")
    return etag_in(_unescaped(plain))


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


def _itself(text: str) -> str:
    return text


def _decode(text: str, *, plus: str) -> str:
    """Decode a key or a prefix. Each byte that is not UTF-8 becomes a lone surrogate."""
    if plus != "+":
        text = text.replace("+", " ")
    return unquote(text, errors="surrogateescape") if "%" in text else text


def _name_of(element: Element) -> str:
    """Return the element's name without its namespace, which servers may declare anywhere."""
    return element.tag.rpartition("}")[2]


def _log_object(item: Element, decode: _Decode) -> LogObject:
    fields = {_name_of(child): child.text or "" for child in item}
    try:
        key, size, modified = (fields[name] for name in ("Key", "Size", "LastModified"))
    except KeyError as error:
        raise MalformedAnswer(f"a listed object without {error.args[0]}") from error
    return LogObject(
        decode(key.translate(_SHOWN)),
        etag_in(fields.get("ETag", "")),
        _size(size),
        _moment(modified),
        fields.get("StorageClass", "STANDARD"),
    )
