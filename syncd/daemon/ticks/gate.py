"""The gate of ticks: whether they may begin, and which must compare both sides first."""

from collections.abc import Callable, Iterable


class Gate:
    """The gate that every tick passes.

    Shared: the main thread adds jobs, the thread of a job's tick takes it out. Each is a single operation under the GIL.
    """

    def __init__(self, is_open: Callable[[], bool] = lambda: True) -> None:
        """Let ticks begin while `is_open` returns true."""
        self.is_open = is_open
        self._recalled: set[str] = set()

    def recall(self, jobs: Iterable[str]) -> None:
        """Have the next tick of each job list the destination too: another daemon may have copied meanwhile."""
        self._recalled.update(jobs)

    def needs_recall(self, job: str) -> bool:
        """Return true until the job has recalled what another daemon copied."""
        return job in self._recalled

    def recalled(self, job: str) -> None:
        """Note that it has."""
        self._recalled.discard(job)
