"""The thread on which curl moves bytes: many transfers at once, each on one handle.

curl says which sockets it waits for (`CURLMOPT_SOCKETFUNCTION`), and epoll waits for them: select, which is all that its
binding offers of itself, knows no descriptor above 1,023.
"""

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

import pycurl

# A thread without work ends after this long. The next transfer starts another.
_IDLE_SECONDS = 5.0
_SECOND = 1.0
_KEPT_CONNECTIONS = 512
_READ, _WRITE = select.EPOLLIN, select.EPOLLOUT


Ended = Callable[[int, str], None]
"""What is told the end of a transfer: curl's number of the error, 0 for an answer, and its words."""


class Loop:
    """The thread, and curl's connections. What it calls runs on the thread."""

    def __init__(self, *, each_second: Callable[[], None]) -> None:
        """`each_second` is called about once a second while there is work.

        Raises:
            OSError: there are no descriptors.
        """
        self._each_second = each_second
        self._lock = threading.Lock()
        self._inbox: deque[Callable[[], None]] = deque()
        self._thread: int | None = None
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._transfers: dict[pycurl.Curl, Ended] = {}
        # Descriptors that epoll still knows and curl does not wait for: mostly connections that are kept for later.
        self._idle: set[int] = set()
        self._curl_at: float | None = None
        self._second_at = 0.0
        self._epoll = select.epoll()
        self._alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        weakref.finalize(self, os.close, self._alarm)
        self._epoll.register(self._alarm, _READ)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._wait_for)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._wait_until)
        self._multi.setopt(pycurl.M_MAXCONNECTS, _KEPT_CONNECTIONS)

    def call(self, what: Callable[[], None]) -> None:
        """Call something on the thread: at once, if this is it.

        Raises:
            RuntimeError: there is no thread, and none can be started.
        """
        if threading.get_ident() == self._thread:
            what()
            return
        with self._lock:
            self._inbox.append(what)
            if self._thread is None:
                try:
                    # It is known before it runs: what it calls first must find itself on it.
                    self._thread = -1
                    threading.Thread(target=self._run, name="wire", daemon=True).start()
                except RuntimeError:
                    self._thread = None
                    self._inbox.remove(what)
                    raise
        os.eventfd_write(self._alarm, 1)

    def call_later(self, seconds: float, what: Callable[[], None]) -> None:
        """Call something on the thread after a while. Only for what runs on it."""
        heappush(self._timers, (monotonic() + seconds, next(self._order), what))

    def begin(self, handle: pycurl.Curl, ended: Ended) -> None:
        """Begin a transfer. Only for what runs on the thread."""
        self._transfers[handle] = ended
        self._multi.add_handle(handle)

    def cancel(self, handle: pycurl.Curl) -> None:
        """End a transfer with its connection. It is not told. Only for what runs on the thread."""
        if self._transfers.pop(handle, None) is not None:
            self._multi.remove_handle(handle)

    def _run(self) -> None:
        self._thread = threading.get_ident()
        idle_since = monotonic()
        while True:
            while self._inbox:
                self._safely(self._inbox.popleft())
            if self._curl_at is not None and self._curl_at <= monotonic():
                self._curl_at = None
                self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
            self._take_ended()
            self._wait()
            now = monotonic()
            while self._timers and self._timers[0][0] <= now:
                self._safely(heappop(self._timers)[2])
            if self._second_at <= now:
                self._second_at = now + _SECOND
                self._safely(self._each_second)
            if self._transfers or self._timers:
                idle_since = now
            elif idle_since + _IDLE_SECONDS < now:
                with self._lock:
                    if not self._inbox:
                        self._thread = None
                        return

    def _wait(self) -> None:
        """Wait for sockets, and let curl go on with those that are ready."""
        now = monotonic()
        until = [now + _SECOND, *(timer[0] for timer in self._timers[:1])]
        if self._curl_at is not None:
            until.append(self._curl_at)
        if self._inbox:
            until.append(now)
        for descriptor, events in self._epoll.poll(max(min(until) - now, 0.0)):
            if descriptor == self._alarm:
                with suppress(BlockingIOError):
                    os.eventfd_read(self._alarm)
            elif descriptor in self._idle:
                # The server has ended a connection that nobody uses. curl finds that out when it would use it.
                self._idle.discard(descriptor)
                with suppress(OSError):
                    self._epoll.unregister(descriptor)
            else:
                self._multi.socket_action(descriptor, _for_curl(events))

    def _take_ended(self) -> None:
        more = 1
        while more:
            more, answered, failed = self._multi.info_read()
            for handle in answered:
                self._ended(handle, 0, "")
            for handle, error, message in failed:
                self._ended(handle, error, message)

    def _ended(self, handle: pycurl.Curl, error: int, message: str) -> None:
        ended = self._transfers.pop(handle, None)
        if ended is not None:
            self._multi.remove_handle(handle)
            self._safely(partial(ended, error, message))

    def _safely(self, what: Callable[[], None]) -> None:
        """Call something of others'. If it fails, the thread goes on with all else."""
        try:
            what()
        except Exception as error:  # noqa: BLE001  # shown as any error of a thread is
            threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, None)))

    def _wait_for(self, what: int, descriptor: int, _multi: object, _data: object) -> None:
        """Note what curl waits for. A socket that it waits for no longer stays registered: it will soon be used again."""
        if what == pycurl.POLL_REMOVE:
            self._idle.add(descriptor)
            return
        self._idle.discard(descriptor)
        events = (_READ if what & pycurl.POLL_IN else 0) | (_WRITE if what & pycurl.POLL_OUT else 0)
        # The number may be another socket's by now: only the kernel knows.
        try:
            self._epoll.modify(descriptor, events)
        except FileNotFoundError:
            self._epoll.register(descriptor, events)

    def _wait_until(self, milliseconds: int) -> None:
        self._curl_at = None if milliseconds < 0 else monotonic() + milliseconds / 1000


def _for_curl(events: int) -> int:
    selected = (pycurl.CSELECT_IN if events & _READ else 0) | (pycurl.CSELECT_OUT if events & _WRITE else 0)
    if events & (select.EPOLLERR | select.EPOLLHUP):
        selected |= pycurl.CSELECT_ERR
    return selected
