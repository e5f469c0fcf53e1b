"""Lines: connections of ours, on which one request at a time is sent and answered. Kept for the next request.

Python's own HTTP client reads and parses the answers: it can read into a buffer and send from it. It bounds a header's line,
and the block is bounded here. That client and what it loads are a tenth of the start of a copy worker, and most need none.
"""

import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from select import POLLIN, poll
from threading import Lock
from time import monotonic
from types import TracebackType
from typing import Any, Self

from syncd.aws.s3 import Address
from syncd.aws.wire.certificates import context_of
from syncd.aws.wire.exchange import ANSWER_BYTES
from syncd.aws.wire.servers import server_of
from syncd.aws.wire.timed_http import TlsConnection

_CONNECT_SECONDS = 10.0
# S3 closes connections that are idle for longer than about this.
_KEPT_SECONDS = 15.0


class _Head:
    """The part of a stream that a header block may take."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._left = ANSWER_BYTES

    def readline(self, limit: int) -> bytes:
        line: bytes = self._stream.readline(limit)
        self._left -= len(line)
        if self._left < 0:
            raise HTTPException(f"a header block of more than {ANSWER_BYTES} bytes")
        return line

    def close(self) -> None:
        self._stream.close()


class _Response(HTTPResponse):
    def begin(self) -> None:
        """Read the status and the header block."""
        body: Any = self.fp
        head: Any = _Head(body)
        self.fp = head
        try:
            super().begin()
        finally:
            if self.fp is head:
                self.fp = body


class Line:
    """One connection, for one request and its answer."""

    def __init__(self, kept: "Lines", server: Address, connection: HTTPConnection) -> None:
        self._kept = kept
        self._server = server
        self._connection = connection
        self._answer: HTTPResponse | None = None
        self._ahead_bytes = 0
        if connection.sock is None:
            connection.connect()
        assert connection.sock is not None, "it is connected"
        self.socket: socket.socket = connection.sock
        # From here on whoever watches the deadline shuts the socket down.
        self.socket.settimeout(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        answer = self._answer
        if kind is None and answer is not None and answer.isclosed() and not answer.will_close:
            self._kept.keep(self._server, self._connection)
        else:
            if answer is not None:
                answer.close()
            self._connection.close()

    def ask(self, method: str, target: str, headers: Sequence[tuple[str, str]]) -> None:
        """Send the head of a request."""
        self._connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            self._connection.putheader(name, value)
        self._connection.endheaders()

    def send(self, piece: memoryview) -> None:
        """Send a piece of its body."""
        self.socket.sendall(piece)

    @property
    def has_answer(self) -> bool:
        """True if an answer has begun, or the end. Of TLS nobody can tell: its own messages come in between."""
        return not isinstance(self.socket, ssl.SSLSocket) and not _is_alive(self._connection)

    def answer(self) -> HTTPResponse:
        """Wait for the answer, and read its header block."""
        self._answer = self._connection.getresponse()
        return self._answer

    def begin_body(self) -> None:
        """Wait for the first bytes of the answer's body, which has some."""
        assert self._answer is not None, "it was answered"
        stream: Any = self._answer.fp
        self._ahead_bytes = len(stream.peek())

    def fill(self, piece: memoryview) -> None:
        """Fill this with the next bytes of the body.

        They come from the socket itself: TLS has 16 KiB at a time, and each layer between costs as much as they do.

        Raises:
            HTTPException: it ends before.
        """
        answer = self._answer
        assert answer is not None, "it was answered"
        filled = answer.readinto(piece[: self._ahead_bytes])
        self._ahead_bytes -= filled
        while filled < len(piece):
            came = self._receive(piece[filled:])
            if not came:
                raise HTTPException("the body broke off")
            filled += came
            answer.length = (answer.length or 0) - came
        if not answer.length:
            answer.close()

    def _receive(self, piece: memoryview) -> int:
        if isinstance(self.socket, ssl.SSLSocket):
            return self.socket.recv_into(piece)
        return self.socket.recv_into(piece, 0, socket.MSG_WAITALL)


class Lines:
    """The connections that are kept."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._idle: dict[Address, list[tuple[HTTPConnection, float]]] = {}

    def open(self, server: Address) -> Line:
        """Return a kept line to a server, or a new one.

        Raises:
            OSError: it cannot be opened, or is not trusted.
            HTTPException: the proxy refuses it, or is one for which this is not made.
        """
        while (connection := self._take(server)) is not None:
            if _is_alive(connection):
                return Line(self, server, connection)
            connection.close()
        connection = connection_to(server, seconds=_CONNECT_SECONDS)
        connection.response_class = _Response
        try:
            return Line(self, server, connection)
        except BaseException:
            connection.close()
            raise

    def keep(self, server: Address, connection: HTTPConnection) -> None:
        """Keep a connection for the next request."""
        self.expire()
        with self._lock:
            self._idle.setdefault(server, []).append((connection, monotonic()))

    def expire(self) -> None:
        """Close those that were idle for too long."""
        latest = monotonic() - _KEPT_SECONDS
        stale: list[HTTPConnection] = []
        with self._lock:
            for server, idle in list(self._idle.items()):
                stale += [connection for connection, since in idle if since <= latest]
                self._idle[server] = [each for each in idle if each[1] > latest]
                if not self._idle[server]:
                    del self._idle[server]
        for connection in stale:
            connection.close()

    def _take(self, server: Address) -> HTTPConnection | None:
        self.expire()
        with self._lock:
            idle = self._idle.get(server)
            return idle.pop()[0] if idle else None


def _is_alive(connection: HTTPConnection) -> bool:
    """Return whether nothing has come since the last answer: what comes is the end."""
    asked = poll()
    with suppress(OSError, ValueError):
        asked.register(connection.sock, POLLIN)
        return not asked.poll(0)
    return False


def connection_to(address: Address, *, seconds: float) -> HTTPConnection:
    """Return a connection to a server that is not open yet. It has so many seconds to open.

    It goes through the proxy of the environment, as the transport's connections do.

    Raises:
        HTTPException: plain HTTP goes through no tunnel, and what a proxy does then is not done here.
    """
    server = server_of(address)
    proxy = server.proxy
    if server.scheme == "http":
        if proxy is not None:
            raise HTTPException("plain HTTP, and a proxy")
        return HTTPConnection(server.host, server.port, timeout=seconds)
    context = context_of(server.authorities)
    if proxy is None:
        return TlsConnection(server.host, server.port, context=context, timeout=seconds)
    through = TlsConnection(proxy.host, proxy.port, context=context, timeout=seconds)
    asked = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
    through.set_tunnel(server.host, server.port, headers=asked)
    return through
