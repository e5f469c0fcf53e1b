"""An HTTP answer as it comes in: the same however its bytes are cut, and within its bounds."""

import tracemalloc
from http.client import HTTPMessage, HTTPResponse
from io import BytesIO
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.aws.wire.response import HEAD_BYTES, MalformedResponseError, Response, TooLargeError

MOST = 100
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Taken:
    """What came of an answer whose bytes came in these pieces."""

    def __init__(self, pieces: list[bytes], method: str = "GET", most: int = MOST) -> None:
        response, self.is_over, self.refused = Response(method, most), False, ""
        is_more = False
        try:
            for piece in pieces:
                if self.is_over:
                    is_more = True
                    break
                self.is_over = response.take(piece)
        except (MalformedResponseError, TooLargeError) as error:
            self.refused = type(error).__name__
        self.is_over = not self.refused and (self.is_over or response.end())
        self.status, self.headers, self.keeps_alive = response.status, response.headers, response.keeps_alive
        # The connection is closed when more comes than the answer.
        self.keeps_alive = self.keeps_alive and not is_more
        self.body = response.body if self.is_over else b""

    def told(self) -> tuple[Any, ...]:
        if self.refused:
            return (self.refused,)
        return self.is_over, self.status, dict(self.headers), self.keeps_alive, self.body


def whole(status: str, *lines: str, body: bytes = b"", version: str = "1.1") -> bytes:
    return "\r\n".join([f"HTTP/{version} {status}", *lines, "", ""]).encode("latin-1") + body


CHUNKED = "Transfer-Encoding: chunked"
WHOLE: dict[str, tuple[bytes, bytes, bool]] = {
    "a length": (whole("200 OK", "Content-Length: 4", "ETag: e", body=b"body"), b"body", True),
    "no words": (whole("200", "content-length:4", body=b"body"), b"body", True),
    "an empty body": (whole("200 OK", "Content-Length: 0"), b"", True),
    "a length of many zeros": (whole("200 OK", f"Content-Length: {'0' * 30}4", body=b"body"), b"body", True),
    "one length twice": (whole("200 OK", "Content-Length: 4", "content-length: 4", body=b"body"), b"body", True),
    "a name twice": (whole("200 OK", "X-A: 1", "x-a: 2", "Content-Length: 4", body=b"body"), b"body", True),
    "bytes beyond ASCII": (
        whole("200 \xfc", "X-A: \xe4\xa0", "Content-Length: 4", body=b"\r\n\r\n"),
        b"\r\n\r\n",
        True,
    ),
    "chunks": (whole("200 OK", CHUNKED, body=b"3\r\nbod\r\n01\r\ny\r\n0\r\n\r\n"), b"body", True),
    "chunks with line breaks in them": (
        whole("200 OK", CHUNKED, body=b"4\r\n\r\n\r\n\r\n0\r\n\r\n"),
        b"\r\n\r\n",
        True,
    ),
    "chunks with extensions": (whole("200 OK", CHUNKED, body=b'4;a="b;c" \r\nbody\r\n0;z\r\n\r\n'), b"body", True),
    "chunks with trailers": (whole("200 OK", CHUNKED, body=b"4 \r\nbody\r\n0\r\nA: b\r\nC: d\r\n\r\n"), b"body", True),
    "no chunks": (whole("200 OK", CHUNKED, body=b"0\r\n\r\n"), b"", True),
    "chunks in capitals": (
        whole("200 OK", "TRANSFER-ENCODING: Chunked", body=b"A\r\n0123456789\r\n0\r\n\r\n"),
        b"0123456789",
        True,
    ),
    "an interim answer before": (CONTINUE + whole("200 OK", "Content-Length: 4", body=b"body"), b"body", True),
    "three interim answers before": (
        CONTINUE * 2 + whole("100 Go on", "Link: x") + whole("200 OK", "Content-Length: 4", body=b"body"),
        b"body",
        True,
    ),
    "no length": (whole("200 OK", "X-A: 1", body=b"body\r\n\r\n"), b"body\r\n\r\n", False),
    "no length and no body": (whole("200 OK"), b"", False),
    "HTTP/1.0": (whole("200 OK", "Content-Length: 4", body=b"body", version="1.0"), b"body", False),
    "HTTP/1.0 that is kept": (
        whole("200 OK", "Connection: Keep-Alive", "Content-Length: 4", body=b"body", version="1.0"),
        b"body",
        True,
    ),
    "an end": (whole("403 Forbidden", "Connection: close", "Content-Length: 4", body=b"body"), b"body", False),
    "an end among others": (
        whole("200 OK", "Connection: TE, Close", "Content-Length: 4", body=b"body"),
        b"body",
        False,
    ),
    "204": (whole("204 No Content"), b"", True),
    "204 with a length": (whole("204 No Content", "Content-Length: 4"), b"", True),
    "304": (whole("304 Not Modified", "Content-Length: 4"), b"", True),
}


def cut(data: bytes, at: list[int]) -> list[bytes]:
    ends = sorted({each % len(data) for each in at} | {0, len(data)})
    return [data[begin:end] for begin, end in pairwise(ends)]


def cuts(data: bytes) -> list[list[bytes]]:
    """All pieces of two, and each byte by itself."""
    return [
        [data],
        [data[at : at + 1] for at in range(len(data))],
        *([data[:at], data[at:]] for at in range(1, len(data))),
    ]


class Wire:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> BytesIO:
        return BytesIO(self._data)


def by_python(data: bytes, method: str = "GET") -> tuple[int, HTTPMessage, bytes]:
    response = HTTPResponse(Wire(data), method=method)  # type: ignore[arg-type]
    response.begin()
    return response.status, response.headers, response.read()


@pytest.mark.parametrize("what", WHOLE)
def test_an_answer_is_the_same_however_it_is_cut(what: str) -> None:
    data, body, keeps_alive = WHOLE[what]

    status, headers, read = by_python(data)
    for pieces in cuts(data):
        taken = Taken(pieces)
        assert taken.told() == (True, status, dict(taken.headers), keeps_alive, body)
    assert read == body
    assert {name: headers.get_all(name)[-1] for name in taken.headers} == dict(taken.headers)  # type: ignore[index]


@pytest.mark.parametrize("what", [name for name, (_, body, _) in WHOLE.items() if not body])
def test_the_answer_to_a_head_has_no_body_whatever_it_says(what: str) -> None:
    data = WHOLE[what][0].partition(b"\r\n\r\n")[0] + b"\r\n\r\n"

    assert {(taken.is_over, taken.body) for taken in (Taken(pieces, "HEAD") for pieces in cuts(data))} == {(True, b"")}


def test_the_answer_to_a_head_may_have_any_length() -> None:
    taken = Taken([whole("200 OK", "Content-Length: 5000000000000")], "HEAD")

    assert (taken.is_over, taken.headers["content-length"], taken.body) == (True, "5000000000000", b"")


@pytest.mark.parametrize("length", ["abc", "", "4, 4", "-4", "+4", "\xb2", "9" * 21, "9" * 5000])
def test_the_answer_to_a_head_has_a_length_that_can_be_read(length: str) -> None:
    assert Taken([whole("200 OK", f"Content-Length: {length}")], "HEAD").refused == "MalformedResponseError"


LONG = "x" * HEAD_BYTES
MALFORMED = {
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "an alert of TLS": b"\x15\x03\x01\x00\x02\x02\x28",
    "a line break first": b"\r\n" + WHOLE["a length"][0],
    "HTTP/2": whole("200 OK", version="2"),
    "another version": whole("200 OK", version="1.2"),
    "a status of two digits": whole("20 OK"),
    "a status of nothing": whole("000 OK", "Content-Length: 0"),
    "a status and no space": whole("200OK", "Content-Length: 0"),
    "two lengths": whole("200 OK", "Content-Length: 4", "Content-Length: 5", body=b"body"),
    "two lengths in one": whole("200 OK", "Content-Length: 4, 5", body=b"body"),
    "a negative length": whole("200 OK", "Content-Length: -4", body=b"body"),
    "a length with a sign": whole("200 OK", "Content-Length: +4", body=b"body"),
    "a length in hexadecimal": whole("200 OK", "Content-Length: 0x4", body=b"body"),
    "a length of digits of others": whole("200 OK", "Content-Length: \xb2", body=b"bo"),
    "no number": whole("200 OK", "Content-Length: ", body=b"body"),
    "another coding": whole("200 OK", "Transfer-Encoding: gzip", body=b"body"),
    "two codings": whole("200 OK", "Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "two codings in two lines": whole("200 OK", "Transfer-Encoding: gzip", CHUNKED, body=b"0\r\n\r\n"),
    "chunks of chunks": whole("200 OK", CHUNKED, CHUNKED, body=b"0\r\n\r\n"),
    "a header without a colon": whole("200 OK", "X-A", "Content-Length: 4", body=b"body"),
    "a header without a name": whole("200 OK", ": 5", "Content-Length: 4", body=b"body"),
    "a space before the colon": whole("200 OK", "Content-Length : 4", body=b"body"),
    "a folded header": whole("200 OK", "X-A: 1", " 2", "Content-Length: 4", body=b"body"),
    "a line that only breaks": whole("200 OK", "X-A: 1\nContent-Length: 4", body=b"body"),
    "a line that only returns": whole("200 OK", "X-A: 1\rContent-Length: 4", body=b"body"),
    "a null": whole("200 OK", "X-A: 1\x00", "Content-Length: 4", body=b"body"),
    "a chunk without a size": whole("200 OK", CHUNKED, body=b"\r\nbody\r\n"),
    "a negative chunk": whole("200 OK", CHUNKED, body=b"-4\r\nbody\r\n0\r\n\r\n"),
    "a chunk with a sign": whole("200 OK", CHUNKED, body=b"+4\r\nbody\r\n0\r\n\r\n"),
    "a chunk in hexadecimal": whole("200 OK", CHUNKED, body=b"0x4\r\nbody\r\n0\r\n\r\n"),
    "a chunk of nine digits": whole("200 OK", CHUNKED, body=b"000000004\r\nbody\r\n0\r\n\r\n"),
    "a size that only breaks": whole("200 OK", CHUNKED, body=b"4\nbody\r\n0\r\n\r\n"),
    "a chunk that is longer than it says": whole("200 OK", CHUNKED, body=b"3\r\nbody\r\n0\r\n\r\n"),
    "a chunk that is longer than it says by much": whole("200 OK", CHUNKED, body=b"3\r\n" + bytes(3000)),
    "a chunk that only breaks": whole("200 OK", CHUNKED, body=b"4\r\nbody\n0\r\n\r\n"),
}
MORE = {
    "more than its length": (whole("200 OK", "Content-Length: 3", body=b"body"), b"bod"),
    "another answer after it": (WHOLE["a length"][0] * 2, b"body"),
    "a body after a 204": (whole("204 No Content", body=b"body"), b""),
    "an answer after chunks": (WHOLE["chunks"][0] + WHOLE["a length"][0], b"body"),
    "an answer after chunks that has only a head": (WHOLE["chunks"][0] + whole("200 OK"), b"body"),
    "two trailers": (WHOLE["chunks with trailers"][0] + b"A: b\r\n\r\n", b"body"),
}
TOO_LARGE = {
    "a length that is one too large": whole("200 OK", f"Content-Length: {MOST + 1}"),
    "a huge length": whole("200 OK", f"Content-Length: {'9' * 5000}"),
    "a body without a length": whole("200 OK", body=bytes(MOST + 1)),
    "chunks": whole("200 OK", CHUNKED, body=b"64\r\n" + bytes(MOST) + b"\r\n1\r\nx\r\n"),
    "a huge chunk": whole("200 OK", CHUNKED, body=b"ffffffff\r\n" + bytes(MOST + 1)),
    "a size without an end": whole("200 OK", CHUNKED, body=b"1" * 2000),
    "an extension": whole("200 OK", CHUNKED, body=b"4;" + b"x" * 2000 + b"\r\nbody\r\n0\r\n\r\n"),
}
HUGE = {
    "a header": whole("200 OK", f"X: {LONG}", "Content-Length: 0"),
    "a header without an end": f"HTTP/1.1 200 OK\r\nX: {LONG}".encode(),
    "headers": whole("200 OK", *["X-A: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"] * 2000),
    "words": whole(f"200 {LONG}"),
    "trailers": whole("200 OK", CHUNKED, body=b"0\r\nX: " + LONG.encode() + b"\r\n\r\n"),
    "trailers without an end": whole("200 OK", CHUNKED, body=b"0\r\n" + b"X: x\r\n" * 16_000),
    "interim answers": CONTINUE * 4000 + WHOLE["a length"][0],
    "interim answers of no more than their status": whole("100") * 5000,
}


@pytest.mark.parametrize("what", MALFORMED)
def test_what_is_no_answer_is_refused_however_it_is_cut(what: str) -> None:
    assert {Taken(pieces).told() for pieces in cuts(MALFORMED[what])} == {("MalformedResponseError",)}


@pytest.mark.parametrize("what", MORE)
def test_what_comes_after_an_answer_ends_the_connection_however_it_is_cut(what: str) -> None:
    data, body = MORE[what]

    assert {(t.is_over, t.keeps_alive, t.body) for t in map(Taken, cuts(data))} == {(True, False, body)}


REFUSAL = "503 Slow Down"
CUT = {
    "a length": whole(REFUSAL, f"Content-Length: {MOST + 7}", body=b"x" * (MOST + 7)),
    "chunks": whole(REFUSAL, CHUNKED, body=b"a0\r\n" + b"x" * 160 + b"\r\n0\r\n\r\n"),
    "no length": whole(REFUSAL, body=b"x" * (MOST + 7)),
}


@pytest.mark.parametrize("what", CUT)
def test_the_beginning_of_a_refusal_is_enough_however_it_is_cut(what: str) -> None:
    seen = {(t.is_over, t.status, t.keeps_alive, t.body) for t in map(Taken, cuts(CUT[what]))}

    assert seen == {(True, 503, False, b"x" * MOST)}


def test_chunks_of_next_to_nothing_are_refused() -> None:
    data = whole("200 OK", CHUNKED, body=b"1\r\nx\r\n" * 100_000)

    assert Taken([data], most=1 << 20).told() == ("MalformedResponseError",)


@pytest.mark.parametrize("what", TOO_LARGE)
def test_what_is_too_large_is_refused_however_it_is_cut(what: str) -> None:
    assert {Taken(pieces).told() for pieces in cuts(TOO_LARGE[what])} == {("TooLargeError",)}


@pytest.mark.parametrize("what", HUGE)
@pytest.mark.parametrize("piece", [1 << 20, 65_536, 16_384, 1021])
def test_a_head_that_is_too_large_is_refused_however_it_is_cut(what: str, piece: int) -> None:
    data = HUGE[what]

    assert Taken([data[at : at + piece] for at in range(0, len(data), piece)]).told() == ("TooLargeError",)


@pytest.mark.parametrize("size", [HEAD_BYTES - 1, HEAD_BYTES, HEAD_BYTES + 1])
def test_the_largest_head_is_the_same_however_its_end_is_cut(size: int) -> None:
    head = f"HTTP/1.1 204 No Content\r\nX: {LONG}".encode()[:size]
    data = head + b"\r\n\r\n"

    seen = {Taken([data[:at], data[at:]]).is_over for at in range(len(data) - 5, len(data))}

    assert seen == {size <= HEAD_BYTES}


@given(st.sampled_from([*WHOLE.values()]), st.lists(st.integers(0, 200), max_size=8))
def test_any_cut_of_an_answer_is_the_same(case: tuple[bytes, bytes, bool], at: list[int]) -> None:
    data, body, keeps_alive = case

    taken = Taken(cut(data, at))

    assert (taken.is_over, taken.keeps_alive, taken.body) == (True, keeps_alive, body)


LINES = st.lists(
    st.sampled_from(
        [
            "Content-Length: 4",
            "Content-Length: 0",
            "Content-Length: 4x",
            CHUNKED,
            "Connection: close",
            "X: \r",
            "Y:\n",
            "Z",
            " z: 1",
        ]
    ),
    max_size=4,
)
PIECES = st.lists(
    st.sampled_from(
        [b"4", b"0", b"\r\n", b"\r", b"\n", b"body", b"A: b", b";x", b" ", CONTINUE, b"HTTP/1.1 200 OK\r\n\r\n"]
    ),
    max_size=8,
)


@given(LINES, PIECES, st.sampled_from(["GET", "HEAD"]), st.lists(st.integers(0, 300), max_size=8))
def test_whatever_comes_is_the_same_however_it_is_cut(
    lines: list[str], rest: list[bytes], method: str, at: list[int]
) -> None:
    data = whole("200 OK", *lines, body=b"".join(rest))

    assert Taken(cut(data, at), method).told() == Taken([data], method).told()


@pytest.mark.parametrize("what", [name for name in WHOLE if not name.startswith("no length")])
def test_an_answer_that_ends_before_its_end_is_none(what: str) -> None:
    data = WHOLE[what][0]

    assert not any(Taken([data[:end]]).is_over for end in range(len(data)))


def test_what_is_held_is_bounded_by_bytes_and_not_by_pieces() -> None:
    size = 100_000
    head = whole("200 OK", f"Content-Length: {size}")
    response = Response("GET", size)
    response.take(head)
    piece = b"x"
    tracemalloc.start()
    for _ in range(size):
        is_over = response.take(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert is_over
    assert response.body == b"x" * size
    # An object each would take forty times as much. What else the process does is counted, too.
    assert peak < 10 * size
