"""Notifications to the outside: sd_notify(3) to systemd, and a heartbeat to a URL."""

import os
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPException
from threading import Event
from time import monotonic_ns

from syncd import __version__
from syncd.daemon.repeats import RepeatedProblems
from syncd.model import events

READY = "READY=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"
_SEND_SECONDS = 1.0

HEARTBEAT_SECONDS = 60.0
_CALL_SECONDS = 10.0


class SystemdNotifier:
    """The sender to the datagram socket that NOTIFY_SOCKET names. It does nothing if there is none, or nobody listens."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        name = environ.get("NOTIFY_SOCKET", "")
        # A name that begins with @ is in Linux's abstract namespace, whose names begin with a null byte.
        self._address = f"\0{name[1:]}" if name.startswith("@") else name

    def send(self, *assignments: str) -> None:
        """Send `NAME=value` lines in one message."""
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(_SEND_SECONDS)
            sender.sendto("\n".join(assignments).encode(), self._address)


def status(sentence: str) -> str:
    """Return the assignment that `systemctl status` shows."""
    return f"STATUS={sentence}".replace("\n", " ")


def reloading() -> tuple[str, str]:
    """Return the assignments for a reload. Type=notify-reload needs the time on the monotonic clock."""
    return "RELOADING=1", f"MONOTONIC_USEC={monotonic_ns() // 1000}"


def extend_timeout(seconds: float) -> str:
    """Return the assignment that lets a stop take this long from now on."""
    return f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}"


def watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """Return the silence after which systemd's watchdog ends this process, or None without a watchdog."""
    microseconds, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not microseconds.isdigit() or not int(microseconds) or pid not in ("", str(os.getpid())):
        return None
    return int(microseconds) / 1_000_000


class Heartbeat:
    """A call to a URL each minute while `is_well()`.

    It has its own thread, since the other side may be slow.

    Shared: the main thread writes `_url` and `_is_over`, the heartbeat's thread reads each once a round. Each is one
    attribute, which the GIL writes whole.
    """

    def __init__(
        self, is_well: Callable[[], bool], problems: RepeatedProblems, *, every_seconds: float = HEARTBEAT_SECONDS
    ) -> None:
        self._is_well = is_well
        self._problems = problems
        self._every_seconds = every_seconds
        self._url: str | None = None
        self._wake = Event()
        self._is_over = False
        self._thread: threading.Thread | None = None

    def follow(self, url: str | None) -> None:
        """Call this URL from now on, or none if it is None."""
        is_new = url != self._url
        self._url = url
        if url is not None and self._thread is None:
            self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
            self._thread.start()
        elif is_new:
            self._wake.set()

    def close(self) -> None:
        """Make no more calls, without waiting for one that is under way."""
        self._is_over = True
        self._wake.set()

    def _beat(self) -> None:
        while True:
            # First clear, then read: what is written after the reading wakes the wait below.
            self._wake.clear()
            is_over, url = self._is_over, self._url
            if is_over:
                return
            if url is not None and self._is_well():
                self._call(url)
            self._wake.wait(self._every_seconds)

    def _call(self, url: str) -> None:
        request = urllib.request.Request(url, headers={"User-Agent": f"syncd/{__version__}"})  # noqa: S310 - http or https, as the configuration checks
        try:
            with urllib.request.urlopen(request, timeout=_CALL_SECONDS) as answer:  # noqa: S310
                answer.read(1024)
        except (OSError, HTTPException, ValueError) as error:
            # The URL is a secret, and messages may quote it.
            reason = f"HTTP {error.code}" if isinstance(error, urllib.error.HTTPError) else type(error).__name__
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            self._problems.log(events.HEARTBEAT_FAILED, reason=reason)
        else:
            if (over := self._problems.resolve(events.HEARTBEAT_FAILED)) is not None:
                self._problems.log(events.HEARTBEAT_RECOVERED, failures=over.times, failing_seconds=int(over.seconds))
