"""The jobs that the daemon has at this moment, and how it comes from one set of them to another."""

from collections.abc import Sequence

from syncd.config.job import Job
from syncd.daemon.reload import Difference
from syncd.daemon.schedule import Schedule, spread_seconds
from syncd.daemon.ticker import Parts


class Roster:
    """The jobs by name. Changed by the main thread alone, read by any."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._jobs: dict[str, Job] = {}

    def find(self, name: str) -> Job | None:
        """A job as it is now; None for one that is gone."""
        return self._jobs.get(name)

    def names(self) -> list[str]:
        """All of them."""
        return list(self._jobs)

    def begin(self, jobs: Sequence[Job], schedule: Schedule) -> None:
        """Take in jobs, their first ticks spread over their intervals."""
        for index, job in enumerate(jobs):
            self._jobs[job.name] = job
            schedule.put(job, seconds_from_now=spread_seconds(job, index, len(jobs)))

    def apply(self, difference: Difference, schedule: Schedule) -> None:
        """Add, change and remove jobs; the others are not touched."""
        for name in difference.removed:
            self._remove(name, schedule)
        for job in difference.changed:
            self._change(job, schedule)
        self.begin(difference.added, schedule)

    def _remove(self, name: str, schedule: Schedule) -> None:
        parts = self._parts
        del self._jobs[name]
        schedule.remove(name)
        parts.flights.stop(name, is_replaced=False)
        parts.forget(name)

    def _change(self, job: Job, schedule: Schedule) -> None:
        self._jobs[job.name] = job
        self._parts.pauses.lift(job.name)
        self._parts.complaints.say_again(job.name)
        # A tick that is running ends after the objects in flight, and ticks again at once as the job is now.
        is_running = self._parts.flights.stop(job.name, is_replaced=True)
        schedule.put(job, seconds_from_now=job.period.total_seconds() if is_running else 0.0)
