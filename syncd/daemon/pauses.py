"""Jobs whose role may not be assumed: each is asked again later and later, so that a revoked role costs next to nothing."""

from collections.abc import Callable
from typing import NamedTuple

from syncd.model.reasons import Reason
from syncd.model.reports import JobError

SHORTEST_SECONDS = 60.0
LONGEST_SECONDS = 900.0
"""Fifteen minutes, so that a role that was mended is found within the objective that most jobs have."""
_CALL = "AssumeRole "


class Pause(NamedTuple):
    """One job's pause."""

    attempts: int
    """How often the role was refused in a row."""
    ends_at: float
    """On the monotonic clock."""
    error: JobError


def is_role_refusal(error: JobError) -> bool:
    """Whether STS refused to let the role be assumed, which only the role's owner or the consumer can mend."""
    return error.reason == Reason.ACCESS_DENIED and error.detail.startswith(_CALL)


class Pauses:
    """Which jobs are paused, and until when. Each job's entry is touched by the thread that ticks it."""

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._pauses: dict[str, Pause] = {}

    def pause(self, job: str, error: JobError, *, period: float) -> Pause:
        """The role was refused: wait twice as long as the last time; `period` seconds lie between the job's ticks."""
        before = self._pauses.get(job)
        attempts = before.attempts + 1 if before else 1
        doubled = max(SHORTEST_SECONDS, period) * 2.0 ** min(attempts - 1, 10)
        # Half a period less: the tick that falls due at the end of the pause is not to miss it by a hair.
        seconds = min(max(LONGEST_SECONDS, period), doubled) - period / 2
        pause = Pause(attempts, self._monotonic() + seconds, error)
        self._pauses[job] = pause
        return pause

    def of(self, job: str) -> Pause | None:
        """The job's pause, whether or not its time is over."""
        return self._pauses.get(job)

    def holds(self, job: str) -> bool:
        """Whether the job is not to tick now."""
        pause = self._pauses.get(job)
        return pause is not None and self._monotonic() < pause.ends_at

    def lift(self, job: str) -> Pause | None:
        """The role was assumed, or the job changed: the pause that there was."""
        return self._pauses.pop(job, None)

    def cut_short(self) -> list[str]:
        """Somebody asks for everything now: the jobs that were waiting, which may tick at once."""
        waiting = [job for job in list(self._pauses) if self.holds(job)]
        for job in waiting:
            self._pauses[job] = self._pauses[job]._replace(ends_at=0.0)
        return waiting

    def seconds_left(self, job: str) -> float:
        """How long the pause still lasts; 0.0 for none."""
        pause = self._pauses.get(job)
        return max(0.0, pause.ends_at - self._monotonic()) if pause else 0.0
