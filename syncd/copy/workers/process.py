"""A copy worker, seen from its parent: a process and the thread that reads it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any

from syncd import __version__
from syncd.copy.workers import messages
from syncd.copy.workers.messages import Limits, Opening
from syncd.copy.workers.pipe import Pipe
from syncd.model.reasons import Reason
from syncd.model.shortage import resource_limit

# Keep freed memory. Bodies of megabytes come and go, and memory that the C library returned each time would be mapped,
# faulted in page by page and cleared again: an eighth of what a copy in parts takes. One arena is enough for one core.
_MALLOC = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 1024**2),
    "MALLOC_TRIM_THRESHOLD_": str(256 * 1024**2),
    "MALLOC_TOP_PAD_": str(16 * 1024**2),
}
_LEAVING_SECONDS = 1.0
_OTHER_VERSION = (
    Reason.WORKER_DIED,
    "another version of syncd was installed while this process ran",
    "restart it, such as by `systemctl restart syncd`",
)


class WorkerProcess:
    """One worker process, and the thread that reads its messages."""

    def __init__(self, core: int, limits: Limits) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [
                sys.executable,
                "-P",
                "-m",
                "syncd.copy.workers.worker",
                str(theirs.fileno()),
                str(core),
                __version__,
            ]
            # A signal to all of the group must not end it before it can say that it ignores those.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, messages.OF_THE_PARENT)
            try:
                self.process = subprocess.Popen(  # noqa: S603
                    command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env={**_MALLOC, **os.environ}
                )
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._pipe = Pipe(ours)
        self.send(*limits)
        self._end: tuple[tuple[str, str, str] | None, str] = (None, "a copy worker ended unexpectedly")
        self._inboxes: dict[int, SimpleQueue[tuple[Any, ...]]] = {}
        self.is_alive = True
        self.is_killed = False
        """True if it was killed on purpose."""
        Thread(target=self._read, name=f"worker-{self.process.pid}", daemon=True).start()

    @classmethod
    def started(cls, core: int, limits: Limits) -> "WorkerProcess":
        """Start a worker. Raises JobFailed if there are no descriptors, processes or memory for it."""
        try:
            return cls(core, limits)
        except (OSError, RuntimeError) as error:
            raise resource_limit("a copy worker cannot be started", error) from error

    def open(self, channel: int, inbox: "SimpleQueue[tuple[Any, ...]]", opening: Opening, locks: Sequence[int]) -> None:
        """Open a channel. The worker's messages on it go to the inbox, and CLOSED if it ends."""
        self._inboxes[channel] = inbox
        if not self.is_alive:
            # The worker died before this inbox was registered, so deliver the news now.
            inbox.put(self._ended(channel))
        try:
            self._pipe.send((messages.OPEN, channel, opening), locks)
        except OSError:
            # Half of it may be sent.
            self.process.kill()

    def send(self, *message: Any) -> None:
        """Send a message, unless the worker has ended."""
        # A worker that cannot be reached has ended, and the reading thread has put CLOSED into every inbox.
        with suppress(OSError):
            self._pipe.send(message)

    def forget(self, channel: int) -> None:
        """Drop messages on this channel from now on."""
        self._inboxes.pop(channel, None)

    def close(self) -> None:
        """Kill it, whatever it is doing."""
        self.is_killed = self.is_alive
        self._reap()

    def _reap(self) -> None:
        self.process.kill()
        self.process.wait()

    def _read(self) -> None:
        try:
            while True:
                message = self._pipe.receive()
                inbox = self._inboxes.get(message[1])
                if inbox is not None:
                    inbox.put((self, *message))
        except (EOFError, OSError):
            pass
        except Exception as error:  # noqa: BLE001  # whatever it is, nobody may wait for this worker any more
            self._end = (None, f"a copy worker sent what cannot be read: {error!r}")
        # No other job gets this one from now on.
        self.is_alive = False
        self._pipe.close()
        with suppress(subprocess.TimeoutExpired):
            # One that ends by itself may have a reason.
            self.process.wait(_LEAVING_SECONDS)
        self._reap()
        if self.process.returncode == messages.OTHER_VERSION:
            self._end = (_OTHER_VERSION, "")
        for channel, inbox in list(self._inboxes.items()):
            inbox.put(self._ended(channel))

    def _ended(self, channel: int) -> tuple[Any, ...]:
        return (self, messages.CLOSED, channel, *self._end)
