"""A copy worker: a process, confined to one core, in which the engine runs.

Handing Python's lock from core to core between the wire's thread and ours costs more than the copying itself, so
the engine keeps to one core (`docs/adr/`). A worker obeys its parent and ends with it. It also holds the lock of each job
that it works for, so that no lock is free while a worker still copies.
"""

import gc
import os
import signal
import sys
from collections.abc import Collection
from contextlib import suppress
from socket import socket
from typing import Any

from syncd import __version__
from syncd.copy.hashes import checksums
from syncd.copy.workers import messages
from syncd.copy.workers.channel import Channel
from syncd.copy.workers.large import relay
from syncd.copy.workers.messages import Limits, Opening
from syncd.copy.workers.pipe import Pipe
from syncd.copy.workers.resources import Resources
from syncd.model.shortage import resource_limit


class Worker:
    """The process: reads the parent's messages until they end."""

    def __init__(self, pipe: Pipe, *, cores: Collection[int]) -> None:
        """`cores` are those on which large bodies may be hashed. The first message is this worker's limits."""
        self._pipe = pipe
        self._channels: dict[int, Channel] = {}
        self._resources = Resources(Limits(*self._received()), self._channels, cores=cores)

    def serve(self) -> None:
        """Obey messages until the parent ends."""
        while True:
            self._obey(*self._received())

    def _received(self) -> Any:
        try:
            return self._pipe.receive()
        except (EOFError, OSError):
            os._exit(0)

    def _send(self, message: tuple[Any, ...]) -> None:
        # If the parent cannot be reached, it has ended, and so will this process.
        with suppress(OSError):
            self._pipe.send(message)

    def _obey(self, word: str, number: int, *facts: Any) -> None:
        if word == messages.OPEN:
            self._open(number, *facts)
            return
        if word == messages.PREPARE:
            # Without them, the copy that needs them says so.
            with suppress(Exception):
                checksums.load()
                relay.load()
            return
        channel = self._channels.get(number)
        if channel is None:
            return
        match word:
            case messages.COPY:
                channel.take(facts[0])
            case messages.END:
                channel.take(None)
            case messages.STOP:
                channel.stop()
            case messages.CREDENTIALS:
                channel.replace(*facts)

    def _open(self, number: int, opening: Opening) -> None:
        try:
            locks = self._pipe.receive_descriptors(opening.locks)
        except OSError as error:
            failed = resource_limit("a copy worker cannot take part", error)
            self._send((messages.CLOSED, number, (failed.reason, failed.detail, failed.remedy), ""))
            return
        self._channels[number] = Channel(
            number,
            opening,
            locks,
            resources=self._resources,
            send=self._send,
            on_closed=lambda number: self._channels.pop(number, None),
        )


def main() -> None:
    """Run `python -m syncd.copy.workers.worker DESCRIPTOR CORE VERSION`. Core -1 leaves the process unconfined."""
    descriptor, core = int(sys.argv[1]), int(sys.argv[2])
    if sys.argv[3] != __version__:
        sys.exit(messages.OTHER_VERSION)
    for number in messages.OF_THE_PARENT:
        # The parent handles these, and ends the worker when it is done with it. Until here they were blocked.
        signal.signal(number, signal.SIG_IGN)
    cores = os.sched_getaffinity(0)
    if core >= 0:
        # If that is not permitted, copies take more of the processor but are made all the same.
        with suppress(OSError):
            os.sched_setaffinity(0, {core})
    # Copies make no cycles, and a search for some among a thousand requests in flight takes a tenth of a copy's time.
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    Worker(Pipe(socket(fileno=descriptor)), cores=cores).serve()


if __name__ == "__main__":
    main()
