"""Heartbeats: URLs that are called while all is well, so that silence is the alarm."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Collection
from threading import Event
from time import monotonic
from typing import NamedTuple

from syncd.config.job import Configuration
from syncd.config.tables.webhooks import Address
from syncd.daemon.log.repeats import RepeatedProblems
from syncd.daemon.notify.calls import failure_of, read
from syncd.model import events

HEARTBEAT_SECONDS = 60.0
CALLS_AT_A_TIME = 8


class Beat(NamedTuple):
    """A URL to call while a job is well, or all jobs if `job` is empty."""

    job: str
    address: Address
    is_shared: bool = False
    """Another beat has the same file, which has to name the job by `{job}`."""


def beats(configuration: Configuration) -> list[Beat]:
    """Return all heartbeats of a configuration."""
    settings = configuration.settings
    named = [("", Address(settings.heartbeat_url, settings.heartbeat_url_file))]
    named += [(job.name, Address(job.heartbeat_url, job.heartbeat_url_file)) for job in configuration.jobs]
    users = Counter(address.file for _, address in named if address.file is not None)
    return [
        Beat(job, address, address.file is not None and users[address.file] > 1)
        for job, address in named
        if address.is_given
    ]


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
                beat = waiting.popleft()
            except IndexError:
                return
            job = beat.job
            reason, of_job = _failure(beat), {"job": job} if job else {}
            if reason is not None:
                self._problems.log(events.HEARTBEAT_FAILED, reason=reason, **of_job)
            elif (over := self._problems.resolve(events.HEARTBEAT_FAILED, job)) is not None:
                seconds = int(over.seconds)
                self._problems.log(events.HEARTBEAT_RECOVERED, failures=over.times, failing_seconds=seconds, **of_job)


def _failure(beat: Beat) -> str | None:
    """Call a URL. Returns why that failed, or None."""
    try:
        return failure_of(read(beat.address, job=beat.job, is_shared=beat.is_shared))
    except ValueError as error:
        return str(error)
