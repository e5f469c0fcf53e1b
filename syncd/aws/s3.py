"""S3's wire format: requests as values, and the documents of answers. Pure.

Header and parameter names are those of the Amazon S3 API Reference.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import quote
from xml.etree.ElementTree import Element, ParseError, fromstring

_NOT_ESCAPED = "-._~"
# CloudTrail's keys need no escaping, and to find that out is cheaper than to escape.
_PLAIN_KEY = re.compile(r"[A-Za-z0-9/\-._~]*")
# An error document of S3's has less than a kilobyte.
_LONGEST_ERROR_BYTES = 64 * 1024
_LONGEST_CODE = 100
_LONGEST_MESSAGE = 2000


class Side(StrEnum):
    """The end of a job that a request goes to. It decides on the credentials."""

    SOURCE = "source"
    DESTINATION = "destination"
    COPY = "copy"
    """The destination's bucket, for the signer of server-side copies."""


class Address(NamedTuple):
    """A bucket's address on the wire."""

    scheme: str
    host: str
    """The Host header: with its port if that is not the scheme's own."""
    base_path: str
    """The path before the key: empty for a virtual-hosted bucket, `/bucket` for path style. No slash at its end."""
    region: str
    """The region that requests are signed for."""
    authorities: str = ""
    """The file of certificates that the server's must come from. Empty for the system's."""
    signs_payload: bool = False
    """Signatures cover the body too, for servers that refuse UNSIGNED-PAYLOAD."""
    service: str = "s3"
    """The service that requests are signed for."""


class Request(NamedTuple):
    """One S3 request, not yet addressed and signed."""

    operation: str
    """The API's name, such as `PutObject`."""
    side: Side
    method: str
    key: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes = b""
    expected_bytes: int = 0
    """Size of the body that is to come back, if it may be large. The answer is given more time for it."""


class Answer(NamedTuple):
    """An HTTP answer, or the error in place of one."""

    status: int
    """0 if there was no HTTP answer."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    code: str = ""
    """S3's error code, or a word of our own if there was no answer."""
    message: str = ""

    @property
    def is_ok(self) -> bool:
        """True if the request succeeded."""
        return not self.code and 200 <= self.status < 300


def quote_key(key: str) -> str:
    """Return a key as a URL path: escaped once, slashes kept, nothing normalised."""
    if _PLAIN_KEY.fullmatch(key):
        return key
    return quote(key, safe="/" + _NOT_ESCAPED)


def query_string(pairs: Iterable[tuple[str, str]]) -> str:
    """Return parameters as a query, each value escaped as SigV4 requires."""
    return "&".join(f"{name}={quote(value, safe=_NOT_ESCAPED)}" for name, value in pairs)


def etag_in(text: str) -> str:
    """Return an ETag without its quotes, and without the mark of a weak one.

    S3's are strong. A proxy or a server that compresses may mark them as weak in one answer and not in another.
    """
    return text.replace('"', "").removeprefix("W/")


def copy_source(bucket: str, key: str, *, owner: str, etag: str) -> Sequence[tuple[str, str]]:
    """Return the headers that name a source to copy, pinned to its owner, if one is given, and its ETag."""
    condition = (("x-amz-copy-source-if-match", f'"{etag}"'),) if etag else ()
    # An access point is named by its ARN, as "arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME/object/KEY".
    source = f"{bucket}/object/{quote_key(key)}" if bucket.startswith("arn:") else f"/{bucket}/{quote_key(key)}"
    pin = (("x-amz-source-expected-bucket-owner", owner),) if owner else ()
    return (("x-amz-copy-source", source), *pin, *condition)


class MalformedAnswer(ValueError):
    """A 200 whose body is not the document of the API."""


def list_objects(
    side: Side, prefix: str, *, start_after: str = "", token: str = "", delimiter: str = "", is_encoded: bool = True
) -> Request:
    """Return a ListObjectsV2 request for up to 1,000 keys. `is_encoded` asks for keys as in a URL."""
    pairs = [("list-type", "2"), ("max-keys", "1000"), ("prefix", prefix)]
    if is_encoded:
        pairs.append(("encoding-type", "url"))
    if delimiter:
        pairs.append(("delimiter", delimiter))
    if token:
        pairs.append(("continuation-token", token))
    if start_after:
        pairs.append(("start-after", start_after))
    pairs.sort()
    return Request("ListObjectsV2", side, "GET", "", query_string(pairs), ())


def error_of(body: bytes) -> tuple[str, str]:
    """Return the code and message of an S3 error document. Empty if it is none."""
    body = _without_padding(body)
    if b"<Error" not in body[:512] or len(body) > _LONGEST_ERROR_BYTES:
        return "", ""
    try:
        root = fromstring(body)  # noqa: S314  # expat itself bounds entity expansion
    except (ParseError, LookupError, ValueError):
        # It may also name an encoding that nobody knows.
        return "", ""
    space = root.tag[: -len("Error")]
    code, message = root.findtext(f"{space}Code") or "Unknown", root.findtext(f"{space}Message") or ""
    return code[:_LONGEST_CODE], message[:_LONGEST_MESSAGE]


def text_of(body: bytes, document: str, name: str) -> str:
    """Return the text of one element of an answer, such as the UploadId.

    Raises:
        MalformedAnswer: the document or the element is missing.
    """
    root = document_of(body, document)
    found = root.findtext(f"{root.tag[: -len(document)]}{name}")
    if not found:
        raise MalformedAnswer(f"{document} without {name}")
    return found


def tagging_header(body: bytes) -> str:
    """Return a Tagging document as the value of the x-amz-tagging header, without AWS's own tags.

    "The aws: prefix is reserved for AWS use": S3 refuses a write that carries such a tag.

    Raises:
        MalformedAnswer: it is no such document.
    """
    root = document_of(body, "Tagging")
    space = root.tag[: -len("Tagging")]
    pairs = [
        (item.findtext(f"{space}Key") or "", item.findtext(f"{space}Value") or "") for item in root.iter(f"{space}Tag")
    ]
    return "&".join(
        f"{quote(key, safe=_NOT_ESCAPED)}={quote(value, safe=_NOT_ESCAPED)}"
        for key, value in pairs
        if not key.lower().startswith("aws:")
    )


def complete_body(parts: Sequence[tuple[str, str]], algorithm: str) -> bytes:
    """Return the body of CompleteMultipartUpload for the (ETag, checksum or empty) of each part."""
    rows = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{etag}&quot;</ETag>"
        f"{f'<Checksum{algorithm}>{checksum}</Checksum{algorithm}>' if checksum else ''}</Part>"
        for number, (etag, checksum) in enumerate(parts, start=1)
    )
    return f'<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{rows}</CompleteMultipartUpload>'.encode()


def _without_padding(body: bytes) -> bytes:
    """Strip leading space.

    S3 "periodically sends white space characters to keep the connection from timing out" (CompleteMultipartUpload).
    """
    return body.lstrip()


def document_of(body: bytes, name: str) -> Element:
    """Return the root of an XML document of this name.

    Raises:
        MalformedAnswer: it is not XML, or has another name.
    """
    try:
        root = fromstring(_without_padding(body))  # noqa: S314  # expat itself bounds entity expansion
    except (ParseError, LookupError, ValueError) as error:
        raise MalformedAnswer(f"not XML ({error})") from error
    if root.tag.rpartition("}")[2] != name:
        raise MalformedAnswer(f"a {root.tag.rpartition('}')[2]} document instead of {name}")
    return root
