"""The opening of a connection: its address, its proxy and TLS. All of it runs on the loop's thread, and nothing blocks."""

import errno
import os
import socket
import ssl
from collections.abc import Callable
from functools import partial
from time import monotonic

from syncd.aws.wire import certificates
from syncd.aws.wire.loop import READ, WRITE, Loop
from syncd.aws.wire.names import Names, Place
from syncd.aws.wire.response import MalformedResponseError, Response, TooLargeError
from syncd.aws.wire.servers import Proxy, Server, named
from syncd.model.reasons import Reason
from syncd.model.shortage import SPENT

# A connection is open within this time, with its proxy and TLS. The next address is tried sooner, if there is one.
_OPEN_SECONDS = 10.0
_TRY_SECONDS = 1.0
_PIECE_BYTES = 64 * 1024


class Opening:
    """A connection that is not open yet."""

    def __init__(
        self,
        loop: Loop,
        names: Names,
        server: Server,
        opened: Callable[[socket.socket], None],
        failed: Callable[[Reason, str], None],
    ) -> None:
        """Open it. One of `opened` and `failed` is called, once, unless it is left before."""
        self._loop = loop
        self._server = server
        self._opened_with = opened
        self._failed_with = failed
        self._socket: socket.socket | None = None
        self._places: list[Place] = []
        self._is_over = False
        self._began_at = self._tried_at = monotonic()
        self._names = names
        self._to: Server | Proxy = server.proxy or server
        try:
            names.find(self._to.host, self._to.port, self._found)
        except RuntimeError as error:
            self._fail(Reason.RESOURCE_LIMIT, str(error))

    def leave(self) -> None:
        """Give it up. Nobody is told."""
        self._is_over = True
        self._drop()

    def _fail(self, reason: Reason, message: str) -> None:
        if not self._is_over:
            self.leave()
            self._failed_with(reason, message)

    def look(self, now: float) -> None:
        """Give up what takes too long by this monotonic time: the address that is tried, or all of it."""
        if self._began_at + _OPEN_SECONDS < now:
            self._fail(Reason.CONNECTION, f"no connection to {self._who} within {_OPEN_SECONDS:.0f} s")
        elif self._places and self._tried_at + _TRY_SECONDS < now:
            self._try(OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)))

    @property
    def _who(self) -> str:
        return f"{'the proxy ' if self._server.proxy else ''}{named(self._to)}"

    def _found(self, places: list[Place], error: OSError | None) -> None:
        if self._is_over:
            return
        if error is not None:
            self._break(error, f"{self._who} is not found")
            return
        self._places = list(places)
        self._try(OSError("it has no address"))

    def _try(self, last: OSError) -> None:
        """Try the next address. `last` is why the one before failed."""
        self._drop()
        if not self._places:
            self._break(last, f"no connection to {self._who}")
            return
        place = self._places.pop(0)
        self._tried_at = monotonic()
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

    def _connected(self, _events: int) -> None:
        connected = self._connection
        code = connected.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._try(OSError(code, os.strerror(code)))
            return
        self._places = []
        self._names.worked(self._to.host, connected.family)
        proxy = self._server.proxy
        if self._server.scheme == "https" and proxy is not None:
            self._ask_for_tunnel(proxy)
        elif self._server.scheme == "https":
            self._secure()
        else:
            self._opened()

    def _ask_for_tunnel(self, proxy: Proxy) -> None:
        target = named(self._server)
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
                self._fail(Reason.CONNECTION, f"{self._who} ends the connection")
            elif not answer.take(came):
                return
            elif answer.status == 200 and not answer.is_followed:
                self._secure()
            else:
                more = " and more" if answer.status == 200 else ""
                self._fail(Reason.CONNECTION, f"{self._who} answers {answer.status_line}{more} to CONNECT")
        except BlockingIOError:
            return
        except OSError as error:
            self._break(error, f"{self._who} ends the connection")
        except (MalformedResponseError, TooLargeError) as error:
            # A refusal may have a body, which nobody reads.
            what = answer.status_line if answer.status not in (0, 200) else f"no HTTP: {error}"
            self._fail(Reason.CONNECTION, f"{self._who} answers {what} to CONNECT")

    def _secure(self) -> None:
        """Begin TLS."""
        plain, authorities = self._connection, self._server.authorities
        try:
            context = certificates.context_of(authorities)
        except (OSError, ValueError) as error:
            if reason_of(error) is Reason.RESOURCE_LIMIT:
                self._break(error, "certificates cannot be read")
            else:
                self._fail(Reason.UNTRUSTED, certificates.unusable(authorities, error))
            return
        self._loop.forget(plain.fileno())
        try:
            self._socket = context.wrap_socket(
                plain, server_hostname=self._server.host, do_handshake_on_connect=False, suppress_ragged_eofs=False
            )
        except (OSError, ValueError) as error:
            self._break(error, f"TLS with {self._server.host} cannot begin")
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
            self._distrust(error)
        except ssl.SSLEOFError:
            self._fail(Reason.CONNECTION, f"{self._server.host} ends the connection before TLS has begun")
        except ssl.SSLError as error:
            what = f"{self._server.shown} speaks no TLS that is understood here: {error.reason or error}"
            self._fail(Reason.CONNECTION, what)
        except OSError as error:
            self._break(error, f"{self._server.host} ends the connection before TLS has begun")
        else:
            self._opened()

    def _distrust(self, error: ssl.SSLCertVerificationError) -> None:
        try:
            # Authorities in a folder are read when they are needed.
            certificates.look_for_descriptor()
        except OSError as lack:
            self._break(lack, "certificates cannot be read")
        else:
            what = f"the certificate of {self._server.shown} is not trusted: {error.verify_message}"
            self._fail(Reason.UNTRUSTED, what)

    def _opened(self) -> None:
        opened, self._socket = self._connection, None
        self._is_over = True
        self._opened_with(opened)

    @property
    def _connection(self) -> socket.socket:
        assert self._socket is not None, "there is a socket"
        return self._socket

    def _drop(self) -> None:
        """Close the socket, if there is one."""
        left, self._socket = self._socket, None
        if left is not None:
            self._loop.forget(left.fileno())
            left.close()

    def _break(self, error: OSError | ValueError, what: str) -> None:
        """Fail for an error of the system's."""
        self._fail(reason_of(error), f"{what}: {getattr(error, 'strerror', None) or error}")


def reason_of(error: OSError | ValueError) -> Reason:
    """Return the reason for an error of a socket."""
    return Reason.RESOURCE_LIMIT if getattr(error, "errno", None) in SPENT else Reason.CONNECTION
