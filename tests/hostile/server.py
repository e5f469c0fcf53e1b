"""A server on a raw socket that answers as an attack says: any bytes, at any pace, without an end."""

import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from io import BufferedReader
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

PIECE = b"x" * 1024**2
ENDLESS = 4 * 1024**3


class Asked(NamedTuple):
    """One request."""

    number: int
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def is_listing(self) -> bool:
        return "list-type" in self.query


Attack = Callable[[Asked], Iterable[bytes]]
"""Everything that is sent in answer to a request, piece by piece."""


class HostileServer:
    """Answers each request with what `attack` gives, for as long as the peer listens."""

    def __init__(
        self,
        attack: Attack,
        *,
        greeting: Callable[["HostileServer"], Iterable[bytes]] | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        """`greeting` is sent before anything was asked."""
        self.attack = attack
        self._greeting = greeting
        self.sent_bytes = 0
        self.asked: list[Asked] = []
        self.closing = threading.Event()
        self._listening = socket.create_server(
            (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=512
        )
        self._open: set[socket.socket] = set()
        name = f"[{host}]" if ":" in host else host
        self.url = f"http://{name}:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.closing.set()
        for open_socket in (self._listening, *list(self._open)):
            with contextlib.suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
            open_socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = self._listening.accept()
                self._open.add(accepted)
                threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), accepted, accepted.makefile("rb") as stream:
            for piece in self._greeting(self) if self._greeting is not None else ():
                accepted.sendall(piece)
            while (asked := self._read(stream)) is not None:
                for piece in self.attack(asked):
                    accepted.sendall(piece)
                    self.sent_bytes += len(piece)
        self._open.discard(accepted)

    def _read(self, stream: BufferedReader) -> Asked | None:
        line = stream.readline()
        if not line:
            return None
        method, target, _ = line.decode().split(" ")
        headers = {}
        while (line := stream.readline().strip()) != b"":
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", "0")))
        parts = urlsplit(target)
        asked = Asked(len(self.asked), method, parts.path, dict(parse_qsl(parts.query)), headers, body)
        self.asked.append(asked)
        return asked

    def drip(self, pieces: Iterable[bytes], seconds: float = 0.2) -> Iterator[bytes]:
        """Each byte by itself, some time apart."""
        for piece in pieces:
            for index in range(len(piece)):
                yield piece[index : index + 1]
                if self.closing.wait(seconds):
                    return


@contextlib.contextmanager
def hostile(attack: Attack, **more: Any) -> Iterator[HostileServer]:
    server = HostileServer(attack, **more)
    try:
        yield server
    finally:
        server.close()


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A whole answer as it should be."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def endless(head: bytes, piece: bytes = PIECE) -> Iterator[bytes]:
    """Begins well and does not end."""
    yield head
    for _ in range(ENDLESS // len(piece)):
        yield piece


def endless_proxy(server: HostileServer) -> Iterator[bytes]:
    """An answer to CONNECT that drips and does not end."""
    yield b"HTTP/1.1 200 Connection established\r\n"
    yield from server.drip(itertools.repeat(b"X-Padding: x\r\n"), 0.05)


def row(key: str, *, size: str = "2", modified: str = "", etag: str = "00ff") -> str:
    """An object of a listing, by default written just now."""
    modified = modified or f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000Z}"
    return (
        f"<Contents><Key>{key}</Key><LastModified>{modified}</LastModified><ETag>&quot;{etag}&quot;</ETag>"
        f"<Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )


def page(*rows: str, token: str = "") -> bytes:
    """A whole page of a listing."""
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    body = f"<ListBucketResult><EncodingType>url</EncodingType>{more}{''.join(rows)}</ListBucketResult>"
    return answer(body.encode())
