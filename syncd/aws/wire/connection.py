"""One connection to a server, and the requests on it, one after the other. All of it runs on the loop's thread."""

import socket
import ssl
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from syncd.aws.wire.loop import READ, WRITE, Loop
from syncd.aws.wire.names import Names
from syncd.aws.wire.opening import Opening, reason_of
from syncd.aws.wire.response import MalformedResponseError, Response, TooLargeError
from syncd.aws.wire.servers import Server
from syncd.model.reasons import Reason

# A request is sent again if nothing moves on its connection for so long.
_STALLED_SECONDS = 30.0
# More than a record of TLS has (16 KiB), so that all of it is read at once.
_PIECE_BYTES = 64 * 1024
# So much is read of one answer before others are looked after.
_TURN_BYTES = 256 * 1024
# A body up to this size is sent together with its head.
_TOGETHER_BYTES = 64 * 1024


class Failure(NamedTuple):
    """The reason for which there is no answer."""

    reason: Reason
    message: str
    is_stale: bool = False
    """True if the connection was kept from an earlier request, and has ended before anything came on it."""


Ended = Callable[[Failure | None], None]
"""Callback for a request that has its answer, or has failed."""


class Connection:
    """One connection. It is opened for its first request."""

    def __init__(self, loop: Loop, names: Names, server: Server, kept: Callable[["Connection"], None]) -> None:
        """`kept` is called when it may be used for another request, just before the end of the last one is told."""
        self.server = server
        self.moved_at = monotonic()
        """The monotonic time at which something moved on it."""
        self._loop = loop
        self._names = names
        self._kept = kept
        self._socket: socket.socket | None = None
        self._opening: Opening | None = None
        self._is_closed = self._is_used = False
        self._events = 0
        self._pieces: list[memoryview] = []
        self._response: Response | None = None
        self._ended: Ended | None = None

    def ask(self, head: bytes, body: bytes, response: Response, ended: Ended) -> None:
        """Send a request. `response` takes its answer."""
        pieces = [head + body] if len(body) <= _TOGETHER_BYTES else [head, body]
        self._pieces = [memoryview(piece) for piece in pieces]
        self._response, self._ended = response, ended
        self.moved_at = monotonic()
        if self._socket is not None:
            self._send()
        else:
            opening = Opening(self._loop, self._names, self.server, self._opened, self.fail)
            # It may have failed at once.
            self._opening = opening if not self._is_closed else None

    def _opened(self, opened: socket.socket) -> None:
        self._socket, self._opening = opened, None
        self._wait_for(READ)
        self._send()

    def close(self) -> None:
        """Close it. The request on it is told nothing."""
        self._is_closed, self._ended, self._response = True, None, None
        self._pieces.clear()
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.leave()
        left, self._socket = self._socket, None
        if left is not None:
            self._loop.forget(left.fileno())
            left.close()

    def fail(self, reason: Reason, message: str, *, is_stale: bool = False) -> None:
        """Close it. The request on it has failed."""
        ended = self._ended
        self.close()
        if ended is not None:
            ended(Failure(reason, message, is_stale))

    def look(self, now: float) -> None:
        """Fail its request if nothing has moved for long by this monotonic time."""
        if self._opening is not None:
            self._opening.look(now)
        elif self.moved_at + _STALLED_SECONDS < now:
            self.fail(Reason.CONNECTION, f"nothing came or went for {_STALLED_SECONDS:.0f} s")

    def _ready(self, events: int) -> None:
        if self._ended is None:
            # Nobody has asked: the server ends it.
            self.close()
            return
        self.moved_at = monotonic()
        try:
            # An answer before the whole body ends it.
            if events & ~WRITE or not self._pieces:
                self._receive()
            # TLS may have had to read before it could send.
            if self._pieces and (events & WRITE or not self._events & WRITE):
                self._send()
        except Exception as error:  # noqa: BLE001  # no defect may leave a request without an answer
            self.fail(Reason.UNEXPECTED, repr(error))

    def _send(self) -> None:
        connection = self._connection
        try:
            while self._pieces:
                piece = self._pieces[0]
                sent = connection.send(piece)
                if sent == len(piece):
                    self._pieces.pop(0)
                else:
                    self._pieces[0] = piece[sent:]
        except (BlockingIOError, ssl.SSLWantWriteError):
            self._wait_for(READ | WRITE)
        except ssl.SSLWantReadError:
            return
        except OSError:
            # A server that refuses a body may answer and end the connection before it has all of it.
            self._receive()
        else:
            self._wait_for(READ)

    def _wait_for(self, events: int) -> None:
        if events != self._events:
            self._events = events
            self._loop.watch(self._connection.fileno(), events, self._ready)

    def _receive(self) -> None:
        connection, response = self._connection, self._response
        assert response is not None, "there is a request"
        is_plain = not isinstance(connection, ssl.SSLSocket)
        left_bytes = _TURN_BYTES
        failed: OSError | ValueError | None
        try:
            while True:
                came = connection.recv(_PIECE_BYTES)
                if response.take(came) if came else response.end():
                    failed = None
                    break
                if not came:
                    failed = ConnectionResetError("the server ends it")
                    break
                if is_plain and len(came) < _PIECE_BYTES:
                    return
                left_bytes -= len(came)
                if left_bytes <= 0:
                    # Others have their turn. Of TLS nothing is left but whole records, which epoll tells again.
                    return
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except ssl.SSLWantWriteError:
            self._wait_for(READ | WRITE)
            return
        except (OSError, ValueError) as error:
            failed = error
        if failed is None:
            self._finish(response)
        else:
            # Not where it is handled: what the hearer raises would keep it, and with it what came.
            self._receive_failed(failed.with_traceback(None))

    def _receive_failed(self, error: OSError | ValueError) -> None:
        if isinstance(error, TooLargeError):
            self.fail(Reason.UNEXPECTED, str(error))
        elif isinstance(error, MalformedResponseError):
            self.fail(Reason.CONNECTION, f"the answer is no HTTP: {error}")
        else:
            self._break(error, "the connection broke")

    def _finish(self, response: Response) -> None:
        """Tell the end of the request, and be there for the next one."""
        if self._pieces and response.is_success:
            self.fail(Reason.CONNECTION, f"{response.status_line} came before all of the request was sent")
            return
        ended = self._ended
        assert ended is not None, "there is a request"
        self._ended = self._response = None
        self._is_used = True
        if response.keeps_alive and not self._pieces:
            self._kept(self)
        else:
            self.close()
        ended(None)

    @property
    def is_closed(self) -> bool:
        """True if it can be used no more."""
        return self._is_closed

    @property
    def has_more(self) -> bool:
        """True if something has come on it that was not read yet, or its end."""
        try:
            socket.socket.recv(self._connection, 1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    @property
    def _connection(self) -> socket.socket:
        assert self._socket is not None, "there is a socket"
        return self._socket

    def _break(self, error: OSError | ValueError, what: str) -> None:
        """Fail for an error of the system's."""
        has_begun = self._response is not None and self._response.has_begun
        self.fail(
            reason_of(error),
            f"{what}: {getattr(error, 'strerror', None) or error}",
            is_stale=self._is_used and not has_begun,
        )
