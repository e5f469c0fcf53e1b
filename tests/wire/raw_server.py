"""A server on a raw socket whose connections are each served by a function, and what a request to it needs."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

from builders_copy import address_of

from syncd.aws.s3 import Answer, Request, Side
from syncd.aws.transport import Transport
from syncd.aws.wire.signing import Credentials

SECONDS = 60.0
KEYS = Credentials("AKIA1", "secret", None, None)
REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nbody"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"

Serve = Callable[[socket.socket, int], None]
"""Serves one connection, which is closed afterwards. They are counted from 0."""


class RawServer:
    """Listens until it is closed."""

    def __init__(self, serve: Serve, *, host: str = "127.0.0.1", certificate: Path | None = None) -> None:
        self._serve, self._tls = serve, None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listening = socket.create_server((host, 0), family=family, backlog=512)
        self.connections: list[socket.socket] = []
        self.closing = threading.Event()
        self.port: int = self._listening.getsockname()[1]
        name = f"[{host}]" if ":" in host else host
        self.url = f"{'http' if certificate is None else 'https'}://{name}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.closing.set()
        for each in (self._listening, *self.connections):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                accepted, _ = self._listening.accept()
            except OSError:
                # It is closed, or the process has no descriptors for a while.
                self.closing.wait(0.01)
                continue
            # What is sent has left before a close that resets.
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.append(accepted)
            number = len(self.connections) - 1
            threading.Thread(target=self._run, args=(accepted, number), daemon=True).start()

    def _run(self, accepted: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError, ValueError):
            connection = accepted
            if self._tls is not None:
                connection = self._tls.wrap_socket(accepted, server_side=True)
            with connection:
                self._serve(connection, number)


@contextlib.contextmanager
def serving(serve: Serve, *, host: str = "127.0.0.1", certificate: Path | None = None) -> Iterator[RawServer]:
    server = RawServer(serve, host=host, certificate=certificate)
    try:
        yield server
    finally:
        server.close()


def head_of(connection: socket.socket) -> bytes:
    """Return the head of the next request, which has no body. Raises if there is none."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = connection.recv(1)
        if not piece:
            raise ConnectionResetError
        head += piece
    return head


def answering(answer: bytes = OK) -> Serve:
    """Serve as a server does that keeps its connections."""

    def serve(connection: socket.socket, _: int) -> None:
        while True:
            head_of(connection)
            connection.sendall(answer)

    return serve


def get(key: str = "k", *headers: tuple[str, str]) -> Request:
    return Request("GetObject", Side.SOURCE, "GET", key, "", headers)


def put(body: bytes) -> Request:
    return Request("PutObject", Side.DESTINATION, "PUT", "k", "", (), body)


def sent(
    transport: Transport, url: str, request: Request | None = None, *, keys: Credentials = KEYS, authorities: str = ""
) -> Future[Answer]:
    answer: Future[Answer] = Future()
    address = address_of(url, "bucket")._replace(authorities=authorities)
    transport.send(request or get(), address, keys, answer.set_result)
    return answer


def asked(
    transport: Transport, url: str, request: Request | None = None, *, keys: Credentials = KEYS, authorities: str = ""
) -> Answer:
    return sent(transport, url, request, keys=keys, authorities=authorities).result(SECONDS)
