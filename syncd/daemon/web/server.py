"""The status port: GET and HEAD over HTTP, a few threads, and nothing that a stranger could make it do.

Replies are made on threads: a few for pages, and one of its own for each path that must be answered while pages are
slow to make or asked for without end. Clients are `http_connections`' business, and no thread waits for one.
"""

import socket
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from http import HTTPStatus
from queue import Full, Queue

from syncd.daemon.web.connections import MOST_CONNECTIONS, Connection, Connections
from syncd.daemon.web.messages import Asked, RefusedRequestError, Reply, parse, plain, written

PAGES_AT_A_TIME = 4
PAGES_WAITING = 16
_BACKLOG = 128

Respond = Callable[[str, Mapping[str, str]], Reply | None]
"""From the path and the query's last value of each name to a Reply; None for a path that is not there."""
_Work = tuple[Connection, Asked] | None


class WebServer:
    """Answers on one address until it is closed."""

    def __init__(
        self,
        address: tuple[str, int],
        respond: Respond,
        *,
        hosts: Collection[str] = (),
        reserved: Collection[str] = (),
        on_defect: Callable[[str, Exception], None] = lambda _path, _error: None,
    ) -> None:
        """Listen.

        `hosts` are names that clients may ask by, beside addresses and localhost. Each `reserved` path has a thread of
        its own. `on_defect` is told the path and what `answer` raised, which is answered with a 500.

        Raises:
            OSError: the address cannot be listened on.
        """
        listener = _listener(address)
        self._address = listener.getsockname()[:2]
        self._respond = respond
        self._hosts = frozenset(hosts)
        self._on_defect = on_defect
        self._pages = _Lane("http-page", PAGES_AT_A_TIME, PAGES_WAITING, self._serve)
        self._reserved = {path: _Lane(f"http{path}", 1, MOST_CONNECTIONS, self._serve) for path in reserved}
        self._connections = Connections(listener, self._ask)

    @property
    def address(self) -> str:
        """Where it listens, the port being the one that the kernel chose where 0 was asked for."""
        host, port = self._address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def close(self) -> None:
        """Listen no more; answers under way are not waited for."""
        self._connections.close()
        for lane in (self._pages, *self._reserved.values()):
            lane.close()

    def _ask(self, connection: Connection, head: bytes) -> None:
        asked = parse(head, self._hosts)
        if not self._reserved.get(asked.path, self._pages).take((connection, asked)):
            raise RefusedRequestError(HTTPStatus.SERVICE_UNAVAILABLE)

    def _serve(self, connection: Connection, asked: Asked) -> None:
        try:
            reply = self._respond(asked.path, asked.query) or plain(HTTPStatus.NOT_FOUND)
        except Exception as error:  # noqa: BLE001 - one page's defect is not the next one's
            self._on_defect(asked.path, error)
            reply = plain(HTTPStatus.INTERNAL_SERVER_ERROR)
        self._connections.reply(connection, written(reply, has_body=asked.has_body))


class _Lane:
    """Threads that make replies, and a bounded row of requests before them."""

    def __init__(self, name: str, threads: int, waiting: int, serve: Callable[[Connection, Asked], None]) -> None:
        self._row: Queue[_Work] = Queue(waiting)
        self._serve = serve
        self._threads = threads
        self._is_over = False
        for _ in range(threads):
            threading.Thread(target=self._run, name=name, daemon=True).start()

    def take(self, work: _Work) -> bool:
        """Have a reply made; False if too many wait already."""
        try:
            self._row.put_nowait(work)
        except Full:
            return False
        return True

    def close(self) -> None:
        """Let the threads end after what they are at."""
        self._is_over = True
        with suppress(Full):
            for _ in range(self._threads):
                self._row.put_nowait(None)

    def _run(self) -> None:
        while not self._is_over and (work := self._row.get()) is not None:
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
