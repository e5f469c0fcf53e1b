"""The progress of a proof: jobs one after the other, their accounts and regions, and the digests of each. Pure."""

from collections.abc import Callable


class Progress:
    """Counts what was compared, and how much of the whole that is."""

    def __init__(self, on_log: Callable[[int, int], None] = lambda *_: None) -> None:
        """`on_log` is told of each log that was compared: 1, and its size."""
        self.logs = self.log_bytes = 0
        self._on_log = on_log
        self._job = self._place = self._digest = (0, 1)

    @property
    def done(self) -> float:
        """The part that is done, from 0.0 to 1.0, if each place and each digest takes as long as any other."""
        part = 0.0
        for number, total in (self._digest, self._place, self._job):
            part = (number + part) / total
        return min(part, 1.0)

    def job(self, number: int, total: int) -> None:
        """Begin one of the jobs, counted from 0."""
        self._job = number, max(total, 1)
        self._place = self._digest = (0, 1)
        self.changed()

    def place(self, number: int, total: int) -> None:
        """Begin one of the job's accounts and regions, counted from 0."""
        self._place = number, max(total, 1)
        self._digest = (0, 1)
        self.changed()

    def digest(self, done: int, total: int) -> None:
        """Tell how many of the place's digests are done."""
        self._digest = done, max(total, 1)
        self.changed()

    def log(self, size_bytes: int) -> None:
        """Count a log that was compared."""
        self.logs += 1
        self.log_bytes += size_bytes
        self._on_log(1, size_bytes)
        self.changed()

    def changed(self) -> None:
        """Show it, in a class that does."""
