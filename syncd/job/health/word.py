"""The health of a job in one word, the same in `status`, on the page, in `/freshz` and in the metrics. Pure."""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

from syncd.job.health.health import JobHealth, is_fresh, is_starting
from syncd.model.reasons import Reason


class Health(StrEnum):
    """The health of a job, worst first. The value is part of the contract."""

    REFUSED = "refused"
    """Its file cannot be used."""
    UNKNOWN = "unknown"
    """Its state cannot be read."""
    UNPROVED = "unproved"
    """CloudTrail's digests show that an object is altered or missing."""
    LATE = "late"
    """It misses its objective, or has never ticked."""
    FAILING = "failing"
    """Its last tick failed or cannot be recorded, and it meets its objective so far."""
    INCOMPLETE = "incomplete"
    """Objects or folders are known that are not at the destination."""
    STARTING = "starting"
    """Its first tick is due or under way."""
    HEALTHY = "healthy"

    @property
    def is_well(self) -> bool:
        """True if nobody needs to look at the job."""
        return self in (Health.STARTING, Health.HEALTHY)


WORST_FIRST = {word: number for number, word in enumerate(Health)}


def health_word(health: JobHealth, now: float) -> Health:
    """Return a job's health in a word."""
    if health.error is not None and health.error.reason == Reason.CONFIGURATION:
        return Health.REFUSED
    if health.proof.doubts:
        return Health.UNPROVED
    if is_starting(health, now):
        return Health.STARTING
    if not is_fresh(health, now):
        return Health.LATE
    if health.error is not None:
        return Health.FAILING
    if health.held or health.uncovered:
        return Health.INCOMPLETE
    return Health.HEALTHY


def headline(words: Iterable[Health]) -> str:
    """Return a sentence about all jobs, trouble first: `3 of 10 jobs need attention: 1 late, 2 failing`."""
    counts = Counter(words)
    total = counts.total()
    if not total:
        return "There are no jobs"
    jobs = "job" if total == 1 else "jobs"
    troubled = [word for word in Health if counts[word] and not word.is_well]
    if troubled:
        count = sum(counts[word] for word in troubled)
        need = "needs" if count == 1 else "need"
        return f"{count:,} of {total:,} {jobs} {need} attention: " + _counted(counts, troubled)
    if counts[Health.STARTING]:
        return f"Nothing is wrong with {total:,} {jobs}: " + _counted(counts, [Health.STARTING, Health.HEALTHY])
    return "The job is healthy" if total == 1 else f"All {total:,} jobs are healthy"


def _counted(counts: Counter[Health], words: Iterable[Health]) -> str:
    return ", ".join(f"{counts[word]:,} {word}" for word in words if counts[word])
