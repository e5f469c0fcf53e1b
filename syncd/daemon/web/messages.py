"""Requests of the status port, read from arbitrary bytes, and replies as bytes."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

LONGEST_HEAD_BYTES = 8_192
"""The request line and the headers, all together."""
MOST_HEADERS = 64
_MOST_QUERY_FIELDS = 16
_END = re.compile(rb"\r?\n\r?\n")

_LINE = re.compile(r"([A-Z]{1,20}) (/[!-~]*) HTTP/1\.([01])")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}):[ \t]*([ -~\x80-\xff\t]*)")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_METHODS = ("GET", "HEAD")
_TEXT = "text/plain; charset=utf-8"

_HEADERS = {
    "Server": "syncd",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # The page contains its style, no script, and nothing from elsewhere.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Connection": "close",
}


class PageRequest(NamedTuple):
    """A request that can be answered."""

    path: str
    query: Mapping[str, str]
    """The last value of each name."""
    has_body: bool
    """False for HEAD: the reply's body is not sent."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to a request."""

    body: bytes
    content_type: str
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedRequestError(ValueError):
    """A request that is refused. The client gets `status`, and nothing is logged."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


def head_of(received: bytes) -> bytes | None:
    """Return the head of the request, or None if its end has not arrived.

    Raises:
        RefusedRequestError: the head is too long, or its first byte begins no request.
    """
    start = received.lstrip(b"\r\n")
    found = _END.search(start)
    if found is not None and found.start() <= LONGEST_HEAD_BYTES:
        return start[: found.start()]
    if len(received) > LONGEST_HEAD_BYTES:
        raise RefusedRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    if start and not 0x41 <= start[0] <= 0x5A:  # methods are in capitals, so a TLS handshake is refused at once
        raise RefusedRequestError(HTTPStatus.BAD_REQUEST)
    return None


def parse(head: bytes, hosts: Collection[str] = ()) -> PageRequest:
    """Parse a head. Besides addresses and localhost, the Host may be one of `hosts`.

    Raises:
        RefusedRequestError: the head is malformed, its method is not GET or HEAD, or it names another host.
    """
    line, *headers = head.decode("latin-1").replace("\r\n", "\n").split("\n")
    found = _LINE.fullmatch(line)
    if found is None or len(headers) > MOST_HEADERS:
        raise RefusedRequestError(HTTPStatus.BAD_REQUEST)
    method, target, minor = found.groups()
    _check_host(_hosts_named(headers), hosts, is_needed=minor == "1")
    if method not in _METHODS:
        raise RefusedRequestError(HTTPStatus.METHOD_NOT_ALLOWED)
    path, _, query = target.partition("?")
    return PageRequest(unquote(path), _fields(query.partition("#")[0]), method != "HEAD")


_WORDS = {
    HTTPStatus.METHOD_NOT_ALLOWED: "Only GET and HEAD are answered.",
    HTTPStatus.MISDIRECTED_REQUEST: "Nothing is answered under this name: ask by address, or add the name to [http] hosts.",
    HTTPStatus.NOT_FOUND: "There is nothing here.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Too many pages are being made: try again.",
}


def plain(status: HTTPStatus) -> Reply:
    """Return the one-line reply for an error."""
    headers = {"Allow": ", ".join(_METHODS)} if status is HTTPStatus.METHOD_NOT_ALLOWED else {}
    return Reply(f"{_WORDS.get(status, status.phrase)}\n".encode(), _TEXT, status, headers)


def written(reply: Reply, *, has_body: bool = True) -> bytes:
    """Return the bytes of a reply."""
    headers = {
        "Date": formatdate(usegmt=True),
        **_HEADERS,
        **reply.headers,
        "Content-Type": reply.content_type,
        "Content-Length": str(len(reply.body)),
    }
    lines = [f"HTTP/1.1 {reply.status.value} {reply.status.phrase}", *(f"{name}: {it}" for name, it in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (reply.body if has_body else b"")


def _hosts_named(headers: list[str]) -> list[str]:
    named = []
    for header in headers:
        found = _HEADER.fullmatch(header)
        if found is None:
            raise RefusedRequestError(HTTPStatus.BAD_REQUEST)
        if found[1].lower() == "host":
            named.append(found[2].strip(" \t"))
    return named


def _check_host(named: list[str], hosts: Collection[str], *, is_needed: bool) -> None:
    """Refuse foreign host names.

    By DNS rebinding, a foreign site could read this one in a visitor's browser.
    """
    if len(named) != 1:
        if named or is_needed:
            raise RefusedRequestError(HTTPStatus.BAD_REQUEST)
        return
    found = _HOST.fullmatch(named[0])
    if found is None:
        raise RefusedRequestError(HTTPStatus.BAD_REQUEST)
    host = found[1].lower().removesuffix(".")
    if host != "localhost" and host not in hosts and not _is_address(host.strip("[]")):
        raise RefusedRequestError(HTTPStatus.MISDIRECTED_REQUEST)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _fields(query: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(query, max_num_fields=_MOST_QUERY_FIELDS))
    except ValueError:
        raise RefusedRequestError(HTTPStatus.BAD_REQUEST) from None
