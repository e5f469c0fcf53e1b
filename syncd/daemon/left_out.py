"""The jobs that the daemon leaves out, since their files cannot be used: it keeps complaining, and says when that ends."""

from collections.abc import Callable, Sequence

from syncd.config.job import RefusedJob
from syncd.daemon.repeats import AGAIN_AFTER_SECONDS
from syncd.daemon.ticker import Parts
from syncd.job.refused import refusal_facts
from syncd.model import events


class LeftOut:
    """What was refused at the start or at the last reload. Used by the main thread alone."""

    def __init__(self, parts: Parts, *, monotonic: Callable[[], float]) -> None:
        self._parts = parts
        self._monotonic = monotonic
        self._refused: Sequence[RefusedJob] = ()
        self._told_at = 0.0

    def take(self, refused: Sequence[RefusedJob]) -> None:
        """Take in what a reading of the files came to, and say it; also which jobs are refused no more."""
        before = {job.label for job in self._refused}
        self._refused = refused
        self._parts.board.refuse(refused)
        for label in before - {job.label for job in refused}:
            if self._parts.complaints.settle(events.JOB_REFUSED, label) is not None:
                self._parts.complaints.tell(events.JOB_ADMITTED, job=label)
        for job in refused:
            self._parts.complaints.say_again(job.label)
        self._tell()

    def remind(self) -> None:
        """Say it again each hour for as long as it lasts."""
        if self._refused and self._monotonic() - self._told_at >= AGAIN_AFTER_SECONDS:
            self._tell()

    def _tell(self) -> None:
        self._told_at = self._monotonic()
        for job in self._refused:
            self._parts.complaints.tell(events.JOB_REFUSED, **refusal_facts(job))
