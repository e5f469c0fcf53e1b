"""The socket between a parent and its copy worker."""

import errno
import os
import pickle
import socket
from collections.abc import Sequence
from contextlib import suppress
from struct import Struct
from threading import Lock
from typing import Any

_HEAD = Struct("=Q")


class Pipe:
    """One end of a socket between parent and worker: messages in their order, and descriptors that follow one.

    The standard library's own takes a tenth of a worker's start to load.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._sending = Lock()

    def send(self, message: tuple[Any, ...], descriptors: Sequence[int] = ()) -> None:
        """Send a message. Raises OSError if nobody is at the other end. Safe to use from any thread."""
        body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        with self._sending:
            self._end.sendall(_HEAD.pack(len(body)) + body)
            if descriptors:
                socket.send_fds(self._end, [b"+"], descriptors)

    def receive(self) -> Any:
        """Wait for a message. Raises EOFError or OSError if none will come. One thread at a time may receive."""
        (size,) = _HEAD.unpack(self._exactly(_HEAD.size))
        return pickle.loads(self._exactly(size))  # noqa: S301  # from ourselves

    def receive_descriptors(self, number: int) -> list[int]:
        """Return the descriptors that follow the last message. Raises OSError if there is no room for all of them."""
        if not number:
            return []
        descriptors = socket.recv_fds(self._end, 1, number)[1]
        if len(descriptors) == number:
            return descriptors
        for descriptor in descriptors:
            os.close(descriptor)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def close(self) -> None:
        """Close this end. Whoever sends or receives is woken first: its descriptor may be another file's a moment later."""
        with suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)
        with self._sending:
            self._end.close()

    def _exactly(self, size_bytes: int) -> bytearray:
        body = bytearray(size_bytes)
        left = memoryview(body)
        while left:
            came = self._end.recv_into(left, 0, socket.MSG_WAITALL)
            if not came:
                raise EOFError
            left = left[came:]
        return body
