"""What hostile servers do, by name: each is given a request and gives everything that is sent in answer."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from hostile.server import Asked, answer, endless, page, row

_OBJECTS = 150
_HEADERS = b"".join(b"x-amz-meta-%d: %s\r\n" % (number, b"y" * 1000) for number in range(1000))
_REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 9000000000\r\n\r\n<Error><Code>AccessDenied</Code><Message>"


@dataclass(frozen=True)
class Attack:
    """One attack."""

    on: str
    """`s3` or `sts`: which endpoint of the job is the hostile one."""
    answer: Callable[[Asked], Iterable[bytes]]
    reasons: frozenset[str]
    """What the job, or each of its objects, may fail with."""


def _key(number: int) -> str:
    return f"logs/{number:08}"


def _objects(answered: Callable[[Asked], Iterable[bytes]]) -> Callable[[Asked], Iterable[bytes]]:
    listed = page(*(row(_key(number)) for number in range(_OBJECTS)))
    return lambda asked: [listed] if asked.is_listing else answered(asked)


def _s3(answered: Callable[[Asked], Iterable[bytes]], *reasons: str) -> Attack:
    return Attack("s3", answered, frozenset(reasons or {"unexpected_answer"}))


def _sts(answered: Callable[[Asked], Iterable[bytes]], *reasons: str) -> Attack:
    return Attack("sts", answered, frozenset(reasons or {"unexpected_answer"}))


def _next_page(asked: Asked, *rows: str) -> Iterable[bytes]:
    return [page(*rows, token=f"token-{asked.number}")]


ATTACKS: Mapping[str, Attack] = {
    "a listing without an end": _s3(lambda _: endless(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n")),
    "a listing in chunks without an end": _s3(
        lambda _: endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n")
    ),
    "a refusal without an end": _s3(lambda _: endless(_REFUSAL), "access_denied"),
    "a header block without an end": _s3(lambda _: endless(b"HTTP/1.1 200 OK\r\n", _HEADERS)),
    "a header without an end": _s3(lambda _: endless(b"HTTP/1.1 200 OK\r\nx-amz-meta-a: ")),
    "pages without rows or an end": _s3(_next_page),
    "one page again and again": _s3(lambda asked: _next_page(asked, row(_key(1))), "unexpected_answer", "short_body"),
    "objects of 2 bytes that send without an end": _s3(
        _objects(lambda _: endless(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n"))
    ),
    "objects that are refused without an end": _s3(_objects(lambda _: endless(_REFUSAL)), "access_denied"),
    "objects whose header block has no end": _s3(_objects(lambda _: endless(b"HTTP/1.1 200 OK\r\n", _HEADERS))),
    "an object of minus two bytes": _s3(lambda _: [page(row(_key(1), size="-2"))]),
    "an object of the year 9999": _s3(lambda _: [page(row(_key(1), modified="9999-12-31T23:59:59.000Z"))]),
    "sessions that are rejected for ever": _s3(
        lambda _: [answer(b"<Error><Code>ExpiredToken</Code><Message>no</Message></Error>", "400 Bad Request")],
        "credentials_expired",
    ),
    "an STS without an end": _sts(lambda _: endless(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n")),
    "an STS whose header has no end": _sts(
        lambda _: endless(b"HTTP/1.1 200 OK\r\nX-Padding: "), "unexpected_answer", "connection_failed"
    ),
}
