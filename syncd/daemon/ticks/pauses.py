"""Pauses of jobs whose role cannot be assumed. Each refusal doubles the pause, so a revoked role costs next to nothing."""

import threading
from collections.abc import Callable
from typing import NamedTuple

from syncd.model.reasons import Reason
from syncd.model.reports import JobError

SHORTEST_SECONDS = 60.0
LONGEST_SECONDS = 900.0
"""Fifteen minutes, so that a repaired role is found within the objective that most jobs have."""
_CALL = "AssumeRole "


class Pause(NamedTuple):
    """One job's pause."""

    attempts: int
    """Refusals of the role in a row."""
    ends_at: float
    """On the monotonic clock."""
    error: JobError


def is_role_refusal(error: JobError) -> bool:
    """Return true if STS refused AssumeRole. Only the role's owner or the consumer can fix it."""
    return error.reason == Reason.ACCESS_DENIED and error.detail.startswith(_CALL)


class Pauses:
    """The jobs that are paused, and until when.

    Shared: the thread that ticks a job pauses and resumes it, the main thread ends pauses, and any thread reads. The
    lock guards the entries, since ending a pause reads one and writes it back.
    """

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._pauses: dict[str, Pause] = {}

    def pause(self, job: str, error: JobError, *, period: float) -> Pause:
        """Pause a job for twice as long as the last time. Its ticks are `period` seconds apart."""
        with self._lock:
            before = self._pauses.get(job)
            attempts = before.attempts + 1 if before else 1
            doubled = max(SHORTEST_SECONDS, period) * 2.0 ** min(attempts - 1, 10)
            # Subtract half a period, so the tick due as the pause ends is not skipped.
            seconds = min(max(LONGEST_SECONDS, period), doubled) - period / 2
            pause = Pause(attempts, self._monotonic() + seconds, error)
            self._pauses[job] = pause
            return pause

    def of(self, job: str) -> Pause | None:
        """Return the job's pause, even if its time is over, or None."""
        with self._lock:
            return self._pauses.get(job)

    def is_paused(self, job: str) -> bool:
        """Return true if the job must not tick now."""
        return self.seconds_left(job) > 0

    def end(self, job: str) -> Pause | None:
        """Remove the job's pause, since its role was assumed or the job changed. Returns it, or None."""
        with self._lock:
            return self._pauses.pop(job, None)

    def end_all(self) -> list[str]:
        """Let all paused jobs tick now, and return their names. Their attempts still count."""
        with self._lock:
            now = self._monotonic()
            waiting = [job for job, pause in self._pauses.items() if now < pause.ends_at]
            for job in waiting:
                self._pauses[job] = self._pauses[job]._replace(ends_at=0.0)
            return waiting

    def seconds_left(self, job: str) -> float:
        """Return how long the pause still lasts, or 0.0."""
        pause = self.of(job)
        return max(0.0, pause.ends_at - self._monotonic()) if pause else 0.0
