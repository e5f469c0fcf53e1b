"""The thread on which requests are sent and answers come in: epoll, timers, and calls from other threads."""

import os
import select
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from heapq import heappop, heappush
from itertools import count
from time import monotonic

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
# A thread without work ends after this long. The next call starts another.
_IDLE_SECONDS = 5.0
_SECOND = 1.0

Ready = Callable[[int], None]
"""Callback for epoll's events of a descriptor that is ready."""


class Loop:
    """The thread. What it calls runs on it, and only what runs on it may call it, but for `call`."""

    def __init__(self, *, each_second: Callable[[], bool]) -> None:
        """`each_second` is called about once a second while the thread runs, and returns True while it has to.

        Raises:
            OSError: there are no descriptors.
        """
        self._each_second = each_second
        self._lock = threading.Lock()
        self._inbox: deque[Callable[[], None]] = deque()
        self._thread: int | None = None
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._ready: dict[int, Ready] = {}
        self._epoll = select.epoll()
        self._alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        # Not at exit: another thread may still call, and the number may be a file's by then.
        weakref.finalize(self, os.close, self._alarm).atexit = False
        self._epoll.register(self._alarm, READ)

    def call(self, what: Callable[[], None]) -> None:
        """Call something on the thread, soon. Safe from any thread.

        Raises:
            RuntimeError: there is no thread, and none can be started.
        """
        if threading.get_ident() == self._thread:
            # Not at once: calls within calls might have no end, and would close descriptors that are known to be ready.
            self._inbox.append(what)
            return
        with self._lock:
            self._inbox.append(what)
            if self._thread is None:
                # It is known before it runs. Its own number comes first thing.
                self._thread = 0
                try:
                    threading.Thread(target=self._run, name="wire", daemon=True).start()
                except RuntimeError:
                    self._thread = None
                    self._inbox.pop()
                    raise
        os.eventfd_write(self._alarm, 1)

    def call_later(self, seconds: float, what: Callable[[], None]) -> None:
        """Call something after a while."""
        heappush(self._timers, (monotonic() + seconds, next(self._order), what))

    def watch(self, descriptor: int, events: int, ready: Ready) -> None:
        """Have epoll wait for these events from now on."""
        if descriptor in self._ready:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)
        self._ready[descriptor] = ready

    def forget(self, descriptor: int) -> None:
        """Wait for nothing on a descriptor any more. Callers close it afterwards."""
        if self._ready.pop(descriptor, None) is not None:
            with suppress(OSError):
                self._epoll.unregister(descriptor)

    def _run(self) -> None:
        self._thread = threading.get_ident()
        try:
            self._pass_on()
        finally:
            # Whatever ended it, the next call starts another. One that has done so already is left alone.
            with self._lock:
                if self._thread == threading.get_ident():
                    self._thread = None

    def _pass_on(self) -> None:
        idle_since = second_at = monotonic()
        while True:
            # What these call for is done after the descriptors that are ready, so that neither holds up the other.
            for _ in range(len(self._inbox)):
                safely(self._inbox.popleft())
            until = min(second_at, self._timers[0][0]) if self._timers else second_at
            safely(partial(self._wait, 0.0 if self._inbox else until))
            now = monotonic()
            while self._timers and self._timers[0][0] <= now:
                safely(heappop(self._timers)[2])
            if second_at > now:
                continue
            second_at = now + _SECOND
            if safely(self._each_second) is not False or self._timers:
                idle_since = now
            elif idle_since + _IDLE_SECONDS < now:
                with self._lock:
                    if not self._inbox:
                        self._thread = None
                        return

    def _wait(self, until: float) -> None:
        """Wait for descriptors and calls until then, and go on with those that are ready."""
        for descriptor, events in self._epoll.poll(max(until - monotonic(), 0.0)):
            if descriptor == self._alarm:
                with suppress(BlockingIOError):
                    os.eventfd_read(self._alarm)
                continue
            # The one before may have closed it.
            ready = self._ready.get(descriptor)
            if ready is not None:
                try:
                    ready(events)
                except BaseException as error:  # noqa: BLE001  # as in `safely`, which costs a call more
                    _show(error)


def safely(what: Callable[[], object]) -> object:
    """Call something, and return what it returns. If it fails, the error is shown as any thread's is, and all else goes on."""
    try:
        return what()
    except BaseException as error:  # noqa: BLE001  # see above
        _show(error)
        return None


def _show(error: BaseException) -> None:
    # Standard error may be closed.
    with suppress(Exception):
        threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, None)))
