"""The HTTP server of the status port: GET and HEAD only, with a few threads.

A few threads make pages. Each path that must be answered while pages are slow, or requested without end, has a thread of
its own. `connections` deals with the clients, so no thread waits for one.
"""

import socket
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from http import HTTPStatus
from queue import Full, Queue

from syncd.daemon.web.connections import MOST_CONNECTIONS, Connection, Connections
from syncd.daemon.web.messages import PageRequest, RefusedRequestError, Reply, parse, plain, written

PAGES_AT_A_TIME = 4
PAGES_WAITING = 16
_BACKLOG = 128

Respond = Callable[[str, Mapping[str, str]], Reply | None]
"""Returns the Reply for a path and the last value of each name in the query, or None if there is no such path."""
_Work = tuple[Connection, PageRequest] | None


class WebServer:
    """The server on one address, until it is closed.

    Shared: requests pass between its threads in queues, and nothing else changes after the start.
    """

    def __init__(
        self,
        address: tuple[str, int],
        respond: Respond,
        *,
        hosts: Collection[str] = (),
        reserved: Collection[str] = (),
        on_defect: Callable[[str, Exception], None] = lambda _path, _error: None,
    ) -> None:
        """Listen on an address.

        Besides addresses and localhost, clients may use the names in `hosts`. Each `reserved` path has a thread of its own.
        An exception of `respond` gives a 500, and is passed to `on_defect` with the path.

        Raises:
            OSError: the server cannot listen on the address.
        """
        listener = _listener(address)
        self._address = listener.getsockname()[:2]
        self._respond = respond
        self._hosts = frozenset(hosts)
        self._on_defect = on_defect
        self._pages = _ReplyThreads("http-page", PAGES_AT_A_TIME, PAGES_WAITING, self._serve)
        self._reserved = {path: _ReplyThreads(f"http{path}", 1, MOST_CONNECTIONS, self._serve) for path in reserved}
        self._connections = Connections(listener, self._ask)

    @property
    def address(self) -> str:
        """The address it listens on. The kernel chooses the port if 0 is configured."""
        host, port = self._address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def close(self) -> None:
        """Stop listening, without waiting for replies under way."""
        self._connections.close()
        for threads in (self._pages, *self._reserved.values()):
            threads.close()

    def _ask(self, connection: Connection, head: bytes) -> None:
        request = parse(head, self._hosts)
        if not self._reserved.get(request.path, self._pages).take((connection, request)):
            raise RefusedRequestError(HTTPStatus.SERVICE_UNAVAILABLE)

    def _serve(self, connection: Connection, request: PageRequest) -> None:
        try:
            reply = self._respond(request.path, request.query) or plain(HTTPStatus.NOT_FOUND)
        except Exception as error:  # noqa: BLE001 - a defect of one page must not stop the thread
            self._on_defect(request.path, error)
            reply = plain(HTTPStatus.INTERNAL_SERVER_ERROR)
        self._connections.reply(connection, written(reply, has_body=request.has_body))


class _ReplyThreads:
    """Threads that make replies, with a bounded queue of requests.

    Shared: `_is_over` is one attribute, which the GIL writes whole. The queue wakes the threads.
    """

    def __init__(self, name: str, threads: int, waiting: int, serve: Callable[[Connection, PageRequest], None]) -> None:
        self._queue: Queue[_Work] = Queue(waiting)
        self._serve = serve
        self._threads = threads
        self._is_over = False
        for _ in range(threads):
            threading.Thread(target=self._run, name=name, daemon=True).start()

    def take(self, work: _Work) -> bool:
        """Queue a request. Returns false if too many wait already."""
        try:
            self._queue.put_nowait(work)
        except Full:
            return False
        return True

    def close(self) -> None:
        """End the threads after the reply that each is making."""
        self._is_over = True
        with suppress(Full):
            for _ in range(self._threads):
                self._queue.put_nowait(None)

    def _run(self) -> None:
        while not self._is_over and (work := self._queue.get()) is not None:
            self._serve(*work)


def _listener(address: tuple[str, int]) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
