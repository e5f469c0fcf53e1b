"""Notifications to the outside: sd_notify(3) to systemd, and heartbeats to URLs."""

import os
import socket
import threading
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from http.client import HTTPException
from threading import Event
from time import monotonic, monotonic_ns
from typing import NamedTuple

from syncd import __version__
from syncd.config.job import Configuration
from syncd.daemon.log.repeats import RepeatedProblems
from syncd.model import events

READY = "READY=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"
_SEND_SECONDS = 1.0

HEARTBEAT_SECONDS = 60.0
CALLS_AT_A_TIME = 8
_CALL_SECONDS = 10.0


class SystemdNotifier:
    """The sender to the datagram socket that NOTIFY_SOCKET names. It does nothing if there is none, or nobody listens."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        name = environ.get("NOTIFY_SOCKET", "")
        # A name that begins with @ is in Linux's abstract namespace, whose names begin with a null byte.
        self._address = f"\0{name[1:]}" if name.startswith("@") else name

    @property
    def is_heard(self) -> bool:
        """True if somebody asked for notifications."""
        return bool(self._address)

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


class Beat(NamedTuple):
    """A URL to call while a job is well, or all jobs if `job` is empty."""

    job: str
    url: str


def beats(configuration: Configuration) -> list[Beat]:
    """Return all heartbeats of a configuration."""
    urls = [("", configuration.settings.heartbeat_url), *((job.name, job.heartbeat) for job in configuration.jobs)]
    return [Beat(job, url) for job, url in urls if url is not None]


class Heartbeat:
    """Calls to URLs each minute while what they stand for is well.

    It has threads of its own, since the other side may be slow.

    Shared: the main thread writes `_beats` and `_is_over`, the heartbeat's thread reads each once a round. Each is one
    attribute, which the GIL writes whole. The calls of a round end before the next round begins.
    """

    def __init__(
        self,
        well: Callable[[], Collection[Beat]],
        problems: RepeatedProblems,
        *,
        every_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        """Call what `well` returns, once a round."""
        self._well = well
        self._problems = problems
        self._every_seconds = every_seconds
        self._beats: Collection[Beat] = ()
        self._wake = Event()
        self._is_over = False
        self._thread: threading.Thread | None = None

    def follow(self, beats: Collection[Beat]) -> None:
        """Begin to call, if there are URLs. Others than before are called at once."""
        is_new = beats != self._beats
        self._beats = beats
        if beats and self._thread is None:
            self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
            self._thread.start()
        elif is_new:
            self._wake.set()

    def close(self) -> None:
        """Make no more calls, without waiting for those under way."""
        self._is_over = True
        self._wake.set()

    def _beat(self) -> None:
        while True:
            # First clear, then read: what is written after the reading wakes the wait below.
            self._wake.clear()
            if self._is_over:
                return
            began = monotonic()
            if self._beats:
                self._call_all(deque(self._well()))
            self._wake.wait(max(0.0, self._every_seconds - (monotonic() - began)))

    def _call_all(self, waiting: deque[Beat]) -> None:
        count = min(len(waiting), CALLS_AT_A_TIME) - 1
        threads = [threading.Thread(target=self._call_waiting, args=(waiting,), daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        self._call_waiting(waiting)
        for thread in threads:
            thread.join()

    def _call_waiting(self, waiting: deque[Beat]) -> None:
        """Call URLs until none waits."""
        while not self._is_over:
            try:
                job, url = waiting.popleft()
            except IndexError:
                return
            reason, of_job = _failure(url), {"job": job} if job else {}
            if reason is not None:
                self._problems.log(events.HEARTBEAT_FAILED, reason=reason, **of_job)
            elif (over := self._problems.resolve(events.HEARTBEAT_FAILED, job)) is not None:
                seconds = int(over.seconds)
                self._problems.log(events.HEARTBEAT_RECOVERED, failures=over.times, failing_seconds=seconds, **of_job)


def _failure(url: str) -> str | None:
    """Call a URL. Returns why that failed, without the URL, which is a secret that messages may quote."""
    request = urllib.request.Request(url, headers={"User-Agent": f"syncd/{__version__}"})  # noqa: S310 - http or https, as the configuration checks
    try:
        with urllib.request.urlopen(request, timeout=_CALL_SECONDS) as answer:  # noqa: S310
            answer.read(1024)
    except urllib.error.HTTPError as error:
        error.close()
        return f"HTTP {error.code}"
    except (OSError, HTTPException, ValueError) as error:
        return type(error).__name__
    return None
