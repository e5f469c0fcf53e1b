"""One connection to a server: how it comes about, and the requests on it, one after the other.

All of it runs on the loop's thread, and nothing blocks.
"""

import errno
import os
import socket
import ssl
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import NamedTuple

from syncd.aws.wire import certificates
from syncd.aws.wire.loop import READ, WRITE, Loop
from syncd.aws.wire.names import Names, Place
from syncd.aws.wire.response import MalformedResponseError, Response, TooLargeError
from syncd.aws.wire.servers import Proxy, Server, context_of
from syncd.model.reasons import Reason
from syncd.model.shortage import SPENT

# A connection is open within this time, with its proxy and TLS. The next address is tried sooner, if there is one.
_OPEN_SECONDS = 10.0
_TRY_SECONDS = 3.0
_PIECE_BYTES = 64 * 1024
# A body up to this size is sent together with its head.
_TOGETHER_BYTES = 64 * 1024


class Failure(NamedTuple):
    """Why there is no answer."""

    reason: Reason
    message: str
    is_stale: bool = False
    """True if the connection was kept from an earlier request, and has ended before anything came on it."""


Ended = Callable[[Failure | None], None]
"""What is called when a request has its answer, or has failed."""


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
        self._places: list[Place] = []
        self._is_open = self._is_closed = self._is_used = False
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
        if self._is_open:
            self._send()
        else:
            self._open()

    def close(self) -> None:
        """Close it. The request on it is told nothing."""
        # A timer may know it for some seconds more, and must not keep what was sent and what came.
        self._is_closed, self._ended, self._response = True, None, None
        self._pieces.clear()
        self._leave()

    def fail(self, reason: Reason, message: str, *, is_stale: bool = False) -> None:
        """Close it. The request on it has failed."""
        ended = self._ended
        self.close()
        if ended is not None:
            ended(Failure(reason, message, is_stale))

    # How it comes about

    def _open(self) -> None:
        self._loop.call_later(_OPEN_SECONDS, self._is_late)
        to: Server | Proxy = self.server.proxy or self.server
        if self.server.proxy is not None and self.server.proxy.scheme != "http":
            self.fail(Reason.CONNECTION, f"a proxy is asked by http://, not by {self.server.proxy.scheme}://")
            return
        try:
            self._names.find(to.host, to.port, self._found)
        except RuntimeError as error:
            self.fail(Reason.RESOURCE_LIMIT, str(error))

    def _is_late(self) -> None:
        if not self._is_open and not self._is_closed:
            self.fail(Reason.CONNECTION, f"no connection to {self._who} within {_OPEN_SECONDS:.0f} s")

    @property
    def _who(self) -> str:
        to: Server | Proxy = self.server.proxy or self.server
        return f"{'the proxy ' if self.server.proxy else ''}{_named(to)}"

    def _found(self, places: list[Place], error: OSError | None) -> None:
        if self._is_closed:
            return
        if error is not None:
            self._break(error, f"{self._who} is not found")
            return
        self._places = list(places)
        self._try(OSError("it has no address"))

    def _try(self, last: OSError) -> None:
        """Try the next address. `last` is why the one before failed."""
        self._leave()
        if not self._places:
            self._break(last, f"no connection to {self._who}")
            return
        place = self._places.pop(0)
        try:
            # Known before it connects, so that nothing is left open.
            self._socket = tried = socket.socket(place.family, socket.SOCK_STREAM)
            tried.setblocking(False)
            tried.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._loop.watch(tried.fileno(), WRITE, self._connected)
            code = tried.connect_ex(place.address)
        except OSError as error:
            self._try(error)
            return
        if code not in (0, errno.EINPROGRESS):
            self._try(OSError(code, os.strerror(code)))
        elif self._places:
            self._loop.call_later(_TRY_SECONDS, partial(self._try_another, tried))

    def _try_another(self, tried: socket.socket) -> None:
        """Leave an address that has not answered, if it has not."""
        if self._socket is tried and not self._is_closed:
            self._try(OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)))

    def _connected(self, _events: int) -> None:
        connected = self._connection
        code = connected.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._try(OSError(code, os.strerror(code)))
            return
        self._places = []
        proxy = self.server.proxy
        if self.server.scheme == "https" and proxy is not None:
            self._ask_for_tunnel(proxy)
        elif self.server.scheme == "https":
            self._secure()
        else:
            self._opened()

    def _ask_for_tunnel(self, proxy: Proxy) -> None:
        target = _named(self.server)
        authorization = f"Proxy-Authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
        asked = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n".encode()
        answer = Response("HEAD", 0)
        try:
            # The buffer of a new connection has room for it.
            self._connection.sendall(asked)
            self._loop.watch(self._connection.fileno(), READ, partial(self._tunnelled, answer))
        except OSError as error:
            self._break(error, f"{self._who} ends the connection")

    def _tunnelled(self, answer: Response, _events: int) -> None:
        try:
            came = self._connection.recv(_PIECE_BYTES)
            if not came:
                self.fail(Reason.CONNECTION, f"{self._who} ends the connection")
            elif not answer.take(came):
                return
            elif answer.status == 200:
                self._secure()
            else:
                self.fail(Reason.CONNECTION, f"{self._who} answers {answer.status_line} to CONNECT")
        except BlockingIOError:
            return
        except OSError as error:
            self._break(error, f"{self._who} ends the connection")
        except (MalformedResponseError, TooLargeError) as error:
            # A refusal may have a body, which nobody reads.
            what = answer.status_line if answer.status not in (0, 200) else f"no HTTP: {error}"
            self.fail(Reason.CONNECTION, f"{self._who} answers {what} to CONNECT")

    def _secure(self) -> None:
        """Begin TLS."""
        plain, authorities = self._connection, self.server.authorities
        try:
            context = context_of(authorities)
        except (OSError, ValueError) as error:
            self.fail(Reason.UNTRUSTED, certificates.unusable(authorities, error))
            return
        self._loop.forget(plain.fileno())
        try:
            self._socket = context.wrap_socket(plain, server_hostname=self.server.host, do_handshake_on_connect=False)
        except (OSError, ValueError) as error:
            self._break(error, f"TLS with {self.server.host} cannot begin")
            return
        self._shake_hands()

    def _shake_hands(self, _events: int = 0) -> None:
        secured = self._connection
        assert isinstance(secured, ssl.SSLSocket), "TLS has begun"
        try:
            secured.do_handshake()
        except ssl.SSLWantReadError:
            self._loop.watch(secured.fileno(), READ, self._shake_hands)
        except ssl.SSLWantWriteError:
            self._loop.watch(secured.fileno(), WRITE, self._shake_hands)
        except ssl.SSLCertVerificationError as error:
            what = f"the certificate of {self.server.host} is not trusted: {error.verify_message}"
            self.fail(Reason.UNTRUSTED, what)
        except ssl.SSLError as error:
            what = f"{self.server.host} speaks no TLS that is understood here: {error.reason or error}"
            self.fail(Reason.CONNECTION, what)
        except OSError as error:
            self._break(error, f"{self.server.host} ends the connection before TLS has begun")
        else:
            self._opened()

    def _opened(self) -> None:
        self._is_open = True
        self._wait_for(READ)
        self._send()

    # Requests on it

    def _ready(self, events: int) -> None:
        if self._ended is None:
            # Nobody has asked: the server ends it.
            self.close()
            return
        self.moved_at = monotonic()
        if self._pieces and events & WRITE:
            self._send()
        if events & ~WRITE:
            self._receive()

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
        connection, ended = self._connection, self._ended
        assert ended is not None, "there is a request"
        is_more = isinstance(connection, ssl.SSLSocket) and connection.pending()
        self._ended = self._response = None
        self._is_used = True
        if response.keeps_alive and not self._pieces and not is_more:
            self._kept(self)
        else:
            self.close()
        ended(None)

    @property
    def is_closed(self) -> bool:
        """True if it can be used no more."""
        return self._is_closed

    @property
    def _connection(self) -> socket.socket:
        assert self._socket is not None, "there is a socket"
        return self._socket

    def _leave(self) -> None:
        """Close the socket, if there is one."""
        left, self._socket = self._socket, None
        if left is not None:
            self._loop.forget(left.fileno())
            left.close()

    def _break(self, error: OSError | ValueError, what: str) -> None:
        """Fail for an error of the system's."""
        number = getattr(error, "errno", None)
        has_begun = self._response is not None and self._response.has_begun
        self.fail(
            Reason.RESOURCE_LIMIT if number in SPENT else Reason.CONNECTION,
            f"{what}: {getattr(error, 'strerror', None) or error}",
            is_stale=self._is_used and not has_begun,
        )


def _named(server: Server | Proxy) -> str:
    """Return a server as HOST:PORT."""
    host = f"[{server.host}]" if ":" in server.host else server.host
    return f"{host}:{server.port}"
