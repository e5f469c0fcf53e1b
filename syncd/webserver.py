"""A small HTTP server: GET and HEAD, a few threads, and nothing that a stranger could make it do."""

import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

ANSWERS_AT_A_TIME = 8
_READ_SECONDS = 10.0
_POLL_SECONDS = 0.1

_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # The page has a style of its own, and neither scripts nor anything from elsewhere.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What a request is answered with."""

    body: bytes
    content_type: str
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = Callable[[str, Mapping[str, str]], Reply | None]
"""From the path and the query's last value of each name to a Reply; None for a path that is not there."""


class WebServer:
    """Answers on one address until it is closed."""

    def __init__(self, address: tuple[str, int], answer: Answer) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be listened on.
        """
        self._server = _Server(address, answer)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="http", daemon=True
        )
        self._thread.start()

    @property
    def address(self) -> str:
        """Where it listens, the port being the one that the kernel chose where 0 was asked for."""
        host, port = self._server.server_address[:2]
        return f"[{host!s}]:{port}" if ":" in str(host) else f"{host!s}:{port}"

    def close(self) -> None:
        """Listen no more; answers under way are not waited for."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    """Threads are bounded, and whoever comes when all are busy is sent away."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], answer: Answer) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.answer = answer
        self._room = threading.BoundedSemaphore(ANSWERS_AT_A_TIME)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is no event; a defect of ours is shown with its traceback."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    timeout = _READ_SECONDS
    server_version = "syncd"
    sys_version = ""

    def do_GET(self) -> None:
        self._reply(self._found(), with_body=True)

    def do_HEAD(self) -> None:
        self._reply(self._found(), with_body=False)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Requests are not logged."""

    def _found(self) -> Reply:
        parts = urlsplit(self.path)
        server = self.server
        assert isinstance(server, _Server)
        reply = server.answer(unquote(parts.path), dict(parse_qsl(parts.query)))
        return reply or Reply(b"There is nothing here.\n", "text/plain; charset=utf-8", HTTPStatus.NOT_FOUND)

    def _reply(self, reply: Reply, *, with_body: bool) -> None:
        self.send_response(reply.status)
        for name, value in (_HEADERS | dict(reply.headers)).items():
            self.send_header(name, value)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if with_body:
            self.wfile.write(reply.body)
