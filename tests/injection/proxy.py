"""A TCP proxy on loopback that does to connections what networks do; with a certificate, TLS ends in it."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from enum import Enum, auto

_CUT_BYTES = 60
_PIECE = 65536
_DRIP_SECONDS = 0.02
_LINGER_NOTHING = struct.pack("ii", 1, 0)


class Way(Enum):
    """How the proxy treats connections; all but PASS count in `met`."""

    PASS = auto()
    REFUSE = auto()
    """Nobody listens."""
    RESET = auto()
    """The connection is reset when the request has been sent on and the answer begins."""
    SILENT = auto()
    """Requests arrive and nothing comes back."""
    CUT = auto()
    """The answer ends after its first bytes, and the connection with it."""
    DRIP = auto()
    """Answers come in pieces of a few bytes."""
    GARBAGE = auto()
    """The answer is not HTTP."""


class Proxy:
    """Listens from construction to `close`."""

    def __init__(self, port: int, *, tls: ssl.SSLContext | None = None) -> None:
        self.met = 0
        self.connections = 0
        self._target, self._tls = ("127.0.0.1", port), tls
        self._way = Way.PASS
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def treat(self, way: Way) -> None:
        """From now on; open connections are closed, as by a network that goes down or comes back."""
        was, self._way = self._way, way
        if way is Way.REFUSE:
            self._end(self._listener)
        elif was is Way.REFUSE:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=512)
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        for connection in list(self._open):
            self._end(connection)

    def close(self) -> None:
        self._closing.set()
        for connection in (self._listener, *list(self._open)):
            self._end(connection)

    def _end(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            near = stack.enter_context(accepted)
            if self._tls is not None:
                near.settimeout(30)
                near = stack.enter_context(self._tls.wrap_socket(near, server_side=True))
                near.settimeout(None)
            far = stack.enter_context(socket.create_connection(self._target))
            both = {near, far}
            self._open |= both
            back = threading.Thread(target=self._bring_back, args=(far, near), daemon=True)
            back.start()
            try:
                while piece := near.recv(_PIECE):
                    if self._way is Way.SILENT:
                        self.met += 1
                    far.sendall(piece)
            finally:
                with contextlib.suppress(OSError):
                    far.shutdown(socket.SHUT_WR)
                back.join()
                self._open -= both

    def _bring_back(self, far: socket.socket, near: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := far.recv(_PIECE):
                if not self._send(near, piece):
                    break
        # Whoever reads the other direction wakes up and closes it, which resets it where nothing may linger.
        with contextlib.suppress(OSError):
            near.shutdown(socket.SHUT_RD)

    def _send(self, near: socket.socket, piece: bytes) -> bool:
        """Whether the connection goes on."""
        way = self._way
        if way is Way.PASS:
            near.sendall(piece)
            return True
        if way is Way.SILENT:
            return True
        self.met += 1
        if way is Way.RESET:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOTHING)
        elif way is Way.CUT:
            near.sendall(piece[:_CUT_BYTES])
        elif way is Way.GARBAGE:
            near.sendall(b"\x15\x03\x01\x00\x02\x02\x46" * 9)
        else:
            for begin in range(0, len(piece), max(1, len(piece) // 20)):
                near.sendall(piece[begin : begin + max(1, len(piece) // 20)])
                self._closing.wait(_DRIP_SECONDS)
            return True
        return False


@contextlib.contextmanager
def proxy(port: int, *, tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """A proxy before the server on this port."""
    between = Proxy(port, tls=tls)
    try:
        yield between
    finally:
        between.close()
