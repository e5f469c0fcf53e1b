"""HTTP/1.1 on loopback, a thread a connection: only what S3 clients send, and fast."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from http.client import responses
from pathlib import Path
from typing import BinaryIO, Protocol

from faulty.answer import Answer

_BACKLOG = 4096
_NO_BODY_STATUS = (204, 304)


class UnansweredError(Exception):
    """The connection is to be closed without an answer."""


class TruncatedError(Exception):
    """The answer is to end, and the connection with it, after `sent_bytes` of its body."""

    def __init__(self, answer: Answer, sent_bytes: int) -> None:
        super().__init__(sent_bytes)
        self.answer, self.sent_bytes = answer, sent_bytes


class Responder(Protocol):
    """What answers a request; `headers` has lower-case names."""

    def __call__(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer: ...


class HttpServer:
    """Listens on a free loopback port from construction until `close`."""

    def __init__(self, respond: Responder, *, certificate: Path | None = None) -> None:
        """`certificate` is the PEM file of a certificate and its key, where TLS is spoken."""
        self._respond = respond
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        self._connections: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._is_closed = False
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name="faulty-accept")
        self._acceptor.start()

    @property
    def is_deserted(self) -> bool:
        """Whether no client is connected any more, those that still wait to be accepted among them."""
        # Connections are accepted in the order they came, so that all before this one have been seen when it ends.
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            last.shutdown(socket.SHUT_WR)
            last.recv(1)
        with self._lock:
            return not self._connections

    def close(self) -> None:
        """Closes every connection and waits for its thread."""
        with self._lock:
            self._is_closed = True
            connections = list(self._connections)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        for connection in connections:
            with contextlib.suppress(OSError):
                # Not TLS's own, which pulls TLS away from whoever reads.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(connection,), name="faulty-connection")
            with self._lock:
                if self._is_closed:
                    connection.close()
                    return
                self._connections.add(connection)
                self._threads.add(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        # A client that goes away in the middle is part of what is tested.
        with connection, contextlib.suppress(OSError, UnansweredError):
            spoken = connection
            try:
                if self._tls is not None:
                    spoken = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                with spoken:
                    with self._lock:
                        # TLS takes the descriptor from the socket that was accepted, which is all that `close` may have seen.
                        self._connections = self._connections - {connection} | {spoken}
                        if self._is_closed:
                            return
                    self._converse(spoken)
            finally:
                with self._lock:
                    self._connections -= {connection, spoken}
                    self._threads.discard(threading.current_thread())

    def _converse(self, spoken: socket.socket) -> None:
        if isinstance(spoken, ssl.SSLSocket):
            spoken.do_handshake()
        with spoken.makefile("rb") as stream:
            while self._exchange(spoken, stream):
                pass

    def _exchange(self, connection: socket.socket, stream: BinaryIO) -> bool:
        """One request and its answer; false where the connection is to be closed."""
        first = stream.readline().decode("latin-1").split()
        if len(first) != len(("method", "target", "version")):
            return False
        headers = _read_headers(stream)
        if headers.get("expect", "").lower() == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = _read_body(stream, headers)
        if body is None:
            return False
        try:
            answer = self._respond(first[0], first[1], headers, body)
        except TruncatedError as truncated:
            head = _head(truncated.answer)
            connection.sendall(head + truncated.answer.body[: truncated.sent_bytes])
            return False
        if answer.status in _NO_BODY_STATUS:
            answer = replace(answer, body=b"")
        connection.sendall(_head(answer) + (b"" if first[0] == "HEAD" else answer.body))
        return headers.get("connection", "").lower() != "close"


def _head(answer: Answer) -> bytes:
    length = len(answer.body) if answer.length is None else answer.length
    lines = [f"HTTP/1.1 {answer.status} {responses.get(answer.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    lines += [f"content-length: {length}", "server: faulty", "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _read_headers(stream: BinaryIO) -> dict[str, str]:
    headers: dict[str, str] = {}
    while (line := stream.readline().decode("latin-1").strip()) != "":
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return headers


def _read_body(stream: BinaryIO, headers: dict[str, str]) -> bytes | None:
    """The body as the client meant it, or None where the client left before its end.

    Takes both HTTP's chunks and those of SigV4 (`aws-chunked`) off; trailing checksums become headers.
    """
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = _read_chunks(stream.readline, stream.read, headers)
    else:
        length = int(headers.get("content-length", "0"))
        body = stream.read(length)
        if len(body) < length:
            return None
    encodings = [part.strip() for part in headers.get("content-encoding", "").split(",")]
    is_streaming = headers.get("x-amz-content-sha256", "").startswith("STREAMING-")
    if body is not None and ("aws-chunked" in encodings or is_streaming):
        headers["content-encoding"] = ",".join(part for part in encodings if part not in ("", "aws-chunked"))
        rest = _Rest(body)
        body = _read_chunks(rest.readline, rest.read, headers)
    return body


class _Rest:
    """Reads lines and spans off the front of bytes."""

    def __init__(self, content: bytes) -> None:
        self._content, self._position = content, 0

    def readline(self) -> bytes:
        found = self._content.find(b"\n", self._position)
        return self.read(len(self._content) if found < 0 else found + 1 - self._position)

    def read(self, size: int) -> bytes:
        begin, self._position = self._position, min(self._position + size, len(self._content))
        return self._content[begin : self._position]


def _read_chunks(readline: Callable[[], bytes], read: Callable[[int], bytes], headers: dict[str, str]) -> bytes | None:
    parts: list[bytes] = []
    while line := readline():
        size = int(line.partition(b";")[0].strip() or b"0", 16)
        if size == 0:
            while trailer := readline().decode("latin-1").strip():
                name, _, value = trailer.partition(":")
                headers[name.strip().lower()] = value.strip()
            return b"".join(parts)
        parts.append(read(size))
        readline()
    return None
