"""A deadline for one whole call. A socket's timeout bounds only the wait for its next byte."""

import os
import socket
from contextlib import suppress
from threading import Lock, Timer


class TimedCall:
    """One call in progress, in its thread. Its connection is shut down at the deadline, whatever has come by then."""

    def __init__(self, seconds: float) -> None:
        self.is_late = False
        self._socket: socket.socket | None = None
        self._lock = Lock()
        self._timer = Timer(seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def uses(self, connected: socket.socket) -> None:
        """Shut this connection down at the deadline."""
        with self._lock:
            self._forget()
            # TLS takes the descriptor from the socket that connected. A duplicate remains.
            self._socket = socket.socket(fileno=os.dup(connected.fileno()))
        if self.is_late:
            self._end()

    def close(self) -> None:
        """Stop the clock."""
        self._timer.cancel()
        with self._lock:
            self._forget()

    def _end(self) -> None:
        with self._lock, suppress(OSError):
            self.is_late = True
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
