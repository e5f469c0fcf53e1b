"""A ping to somebody outside while all is well: silence is the alarm."""

import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from threading import Event

from syncd import __version__
from syncd.daemon.repeats import Complaints
from syncd.model import events

EVERY_SECONDS = 60.0
_TIMEOUT_SECONDS = 10.0


class Heartbeat:
    """Calls a URL each minute while `is_well()`; on a thread of its own, since the other side may be slow."""

    def __init__(
        self, is_well: Callable[[], bool], complaints: Complaints, *, every_seconds: float = EVERY_SECONDS
    ) -> None:
        self._is_well = is_well
        self._complaints = complaints
        self._every_seconds = every_seconds
        self._url: str | None = None
        self._wake = Event()
        self._is_over = False
        self._thread: threading.Thread | None = None

    def follow(self, url: str | None) -> None:
        """Call this URL from now on; None is nobody."""
        is_new = url != self._url
        self._url = url
        if url is not None and self._thread is None:
            self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
            self._thread.start()
        elif is_new:
            self._wake.set()

    def close(self) -> None:
        """No more calls; one under way is not waited for."""
        self._is_over = True
        self._wake.set()

    def _beat(self) -> None:
        while not self._is_over:
            self._wake.clear()
            if self._url is not None and self._is_well():
                self._call(self._url)
            self._wake.wait(self._every_seconds)

    def _call(self, url: str) -> None:
        request = urllib.request.Request(url, headers={"User-Agent": f"syncd/{__version__}"})  # noqa: S310 - http or https, as the configuration checks
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
                answer.read(1024)
        except (OSError, HTTPException, ValueError) as error:
            # The URL is a secret, and messages may quote it.
            reason = f"HTTP {error.code}" if isinstance(error, urllib.error.HTTPError) else type(error).__name__
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            self._complaints.tell(events.HEARTBEAT_FAILED, reason=reason)
        else:
            if (over := self._complaints.settle(events.HEARTBEAT_FAILED)) is not None:
                self._complaints.tell(
                    events.HEARTBEAT_RECOVERED, failures=over.times, failing_seconds=int(over.seconds)
                )
