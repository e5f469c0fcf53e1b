"""The parent's talk with its workers about one job's copies."""

from itertools import count
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from syncd.model.errors import JobFailed
from syncd.model.objects import Transfer

if TYPE_CHECKING:
    from syncd.copy.workers.process import WorkerProcess


class Conversation:
    """State of one call of `copy_all`: what is with which worker."""

    def __init__(self, processes: "list[WorkerProcess]", channel: int) -> None:
        """Begin with these workers, on this channel."""
        self.channel = channel
        self.inbox: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        self.out: dict[int, tuple[Transfer, WorkerProcess]] = {}
        self.load: dict[WorkerProcess, int] = dict.fromkeys(processes, 0)
        self.numbers = count()
        self.is_exhausted = False
        self.is_stopped = False
        self.is_ended = False
        self.error: JobFailed | None = None

    def fail(self, error: JobFailed) -> None:
        """End the intake. Of several errors the first counts."""
        self.error = self.error or error
        self.is_exhausted = True
