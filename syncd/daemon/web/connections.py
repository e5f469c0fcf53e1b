"""The connections of the status port. One thread reads, writes and times all of them, so a slow client costs no thread.

A deadline for the whole request ends slow clients. If a new client comes and there is no room, the connection that has
waited longest without a whole request is closed. A probe sends its request at once, so it is answered however many other
clients keep connections open.
"""

import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from http import HTTPStatus
from queue import Empty, SimpleQueue
from time import monotonic

from syncd.daemon.web.messages import RefusedRequestError, head_of, plain, written

MOST_CONNECTIONS = 256
MOST_SLOW_READERS = 32
"""Connections whose client is slow to read its reply. Each keeps its reply in memory."""
HEAD_SECONDS = 5.0
WHOLE_SECONDS = 30.0
"""From the connection to the last byte of the reply."""
_LINGER_SECONDS = 1.0
_LINGER_BYTES = 65_536
_READ_BYTES = 4_096
_ACCEPTED_AT_A_TIME = 32
_PAUSE_SECONDS = 0.05
_LOOK_SECONDS = 1.0


class _Stage(IntEnum):
    """The stage of a connection, in the order of closing to make room."""

    LINGERING = 0
    """The client has the reply, and has not closed."""
    READING = 1
    WRITING = 2
    ANSWERING = 3
    """The reply is being made. The client is not to blame, so it is never closed to make room."""


@dataclass(eq=False, slots=True)
class Connection:
    """One client. Only the thread of `Connections` changes it."""

    socket: socket.socket
    began_at: float
    deadline: float
    stage: _Stage = _Stage.READING
    received: bytearray = field(default_factory=bytearray)
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))


class Connections:
    """The loop that accepts clients, passes whole heads to `ask`, and sends replies.

    Shared: its thread owns the selector and every connection. Other threads only queue replies, in a SimpleQueue, and set
    `_is_over`: one attribute, which the GIL writes whole. A byte through a socket pair wakes the loop for both.
    """

    def __init__(self, listener: socket.socket, ask: Callable[[Connection, bytes], None]) -> None:
        """Pass requests to `ask`, which must return at once. RefusedRequestError answers the client."""
        self._listener = listener
        self._ask = ask
        self._open: dict[Connection, None] = {}  # the oldest first
        self._replies: SimpleQueue[tuple[Connection, bytes]] = SimpleQueue()
        self._selector = selectors.DefaultSelector()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._accepts_at: float | None = None
        self._is_over = False
        for waiting in (listener, self._wake_reader, self._wake_writer):
            waiting.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._thread.start()

    def reply(self, connection: Connection, message: bytes) -> None:
        """Send a reply, then close the connection. Any thread may call it."""
        self._replies.put((connection, message))
        self._wake()

    def close(self) -> None:
        """Close the listener and all connections, whatever they wait for."""
        self._is_over = True
        self._wake()
        self._thread.join()

    def _wake(self) -> None:
        with suppress(OSError):  # a full pipe means that it is awake
            self._wake_writer.send(b"\0")

    def _run(self) -> None:
        try:
            while not self._is_over:
                for key, _ in self._selector.select(self._patience()):
                    self._attend(key)
                self._send_replies()
                self._end_overdue()
        finally:
            for connection in list(self._open):
                self._drop(connection)
            self._selector.close()
            for item in (self._listener, self._wake_reader, self._wake_writer):
                item.close()

    def _patience(self) -> float:
        until = min((connection.deadline for connection in self._open), default=float("inf"))
        if self._accepts_at is not None:
            until = min(until, self._accepts_at)
        return max(0.0, min(until - monotonic(), _LOOK_SECONDS))

    def _attend(self, key: selectors.SelectorKey) -> None:
        if key.fileobj is self._listener:
            self._accept()
        elif key.fileobj is self._wake_reader:
            with suppress(OSError):
                self._wake_reader.recv(_READ_BYTES)
        elif key.data in self._open:  # it may have been closed to make room
            self._go_on(key.data)

    def _go_on(self, connection: Connection) -> None:
        try:
            match connection.stage:
                case _Stage.READING:
                    self._read(connection)
                case _Stage.WRITING:
                    self._write(connection)
                case _Stage.LINGERING:
                    self._linger(connection)
        except BlockingIOError:
            pass
        except OSError:
            self._drop(connection)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_A_TIME):
            if len(self._open) >= MOST_CONNECTIONS and not self._make_room():
                self._pause()
                return
            try:
                client, _address = self._listener.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                continue
            except OSError:
                # No file descriptor is free, so no client can be accepted until another is closed.
                self._make_room()
                self._pause()
                return
            client.setblocking(False)
            now = monotonic()
            connection = Connection(client, now, now + HEAD_SECONDS)
            self._open[connection] = None
            self._selector.register(client, selectors.EVENT_READ, connection)
            self._go_on(connection)

    def _pause(self) -> None:
        self._selector.unregister(self._listener)
        self._accepts_at = monotonic() + _PAUSE_SECONDS

    def _make_room(self) -> bool:
        """Close the connection that can best be spared. Returns false if there is none."""
        spared = min(self._of(*_Stage), key=lambda connection: connection.stage, default=None)
        if spared is None or spared.stage is _Stage.ANSWERING:
            return False
        self._drop(spared)
        return True

    def _of(self, *stages: _Stage) -> Iterator[Connection]:
        return (connection for connection in self._open if connection.stage in stages)

    def _read(self, connection: Connection) -> None:
        data = connection.socket.recv(_READ_BYTES)
        if not data:
            self._drop(connection)
            return
        connection.received += data
        try:
            head = head_of(bytes(connection.received))
            if head is None:
                return
            connection.stage = _Stage.ANSWERING
            connection.deadline = connection.began_at + WHOLE_SECONDS
            self._selector.unregister(connection.socket)
            self._ask(connection, head)
        except RefusedRequestError as refusal:
            if connection.stage is _Stage.READING:
                self._selector.unregister(connection.socket)
            self._begin_to_write(connection, written(plain(refusal.status)))

    def _send_replies(self) -> None:
        while True:
            try:
                connection, message = self._replies.get_nowait()
            except Empty:
                return
            if connection in self._open:
                self._begin_to_write(connection, message)

    def _begin_to_write(self, connection: Connection, message: bytes) -> None:
        connection.stage = _Stage.WRITING
        connection.unsent = memoryview(message)
        connection.deadline = connection.began_at + WHOLE_SECONDS
        self._selector.register(connection.socket, selectors.EVENT_WRITE, connection)
        self._go_on(connection)
        slow = list(self._of(_Stage.WRITING))
        if len(slow) > MOST_SLOW_READERS:
            self._drop(slow[0])

    def _write(self, connection: Connection) -> None:
        sent = connection.socket.send(connection.unsent)
        connection.unsent = connection.unsent[sent:]
        if connection.unsent:
            return
        # Closing at once would answer what the client still sends with a reset, which can overtake the reply.
        connection.stage = _Stage.LINGERING
        connection.received = bytearray()
        connection.deadline = monotonic() + _LINGER_SECONDS
        self._selector.modify(connection.socket, selectors.EVENT_READ, connection)
        connection.socket.shutdown(socket.SHUT_WR)

    def _linger(self, connection: Connection) -> None:
        data = connection.socket.recv(_READ_BYTES)
        connection.received += data
        if not data or len(connection.received) > _LINGER_BYTES:
            self._drop(connection)

    def _end_overdue(self) -> None:
        now = monotonic()
        if self._accepts_at is not None and now >= self._accepts_at:
            self._accepts_at = None
            self._selector.register(self._listener, selectors.EVENT_READ)
        for connection in [item for item in self._open if item.deadline <= now]:
            if connection.stage is _Stage.READING and connection.received:
                self._selector.unregister(connection.socket)
                self._begin_to_write(connection, written(plain(HTTPStatus.REQUEST_TIMEOUT)))
                connection.deadline = min(connection.deadline, now + _LINGER_SECONDS)
            else:
                self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        self._open.pop(connection, None)
        with suppress(KeyError, ValueError):
            self._selector.unregister(connection.socket)
        connection.socket.close()
