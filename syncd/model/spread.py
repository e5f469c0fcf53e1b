"""Values of a spread catch-up: tasks, which workers do, and what they tell of them. Pure."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from syncd.model.objects import Failed, Shard
from syncd.model.reports import Counts
from syncd.model.sealed import SealedDay


class TaskState(StrEnum):
    """The state of a task in the owner's ledger."""

    WAITING = "waiting"
    """It has not been sent yet."""
    SENT = "sent"
    """It is in the queue, or in a worker's hands."""
    OWN = "own"
    """No worker can do it whole, so the owner does it itself."""
    DEAD = "dead"
    """Workers have failed at it again and again, so the owner does it itself."""
    OK = "ok"
    PARTIAL = "partial"
    """All of it was tried, and some objects are in quarantine."""
    FAILED = "failed"


class SpreadTask(NamedTuple):
    """A span of days of one shard, as the owner's ledger keeps it."""

    shard: Shard
    first: str
    """The first UTC day, `YYYY-MM-DD`."""
    last: str
    """The last UTC day, inclusive."""
    request: str
    """The catch-up that it is a part of, in words that tell one from another."""
    objects: int
    """The estimate."""
    state: TaskState = TaskState.WAITING
    counts: Counts = Counts()
    """The counts of whoever did it."""

    @property
    def name(self) -> str:
        """The name, unique within a replica."""
        return f"{self.shard.prefix}{self.first}..{self.last}"

    @property
    def is_open(self) -> bool:
        """True until somebody has done it."""
        return self.state in (TaskState.WAITING, TaskState.SENT, TaskState.OWN, TaskState.DEAD)

    @property
    def is_unfinished(self) -> bool:
        """True if it was done, and not all of it could be."""
        return self.state in (TaskState.PARTIAL, TaskState.FAILED)


class TaskResult(NamedTuple):
    """What a worker tells of a task."""

    task: str
    state: TaskState
    counts: Counts
    days: Mapping[str, SealedDay]
    """Facts about the destination, by UTC day."""
    held: Sequence[Failed]
    """The objects that were not copied. A conflict is one of them."""


class Progress(NamedTuple):
    """The tasks and objects of a spread catch-up."""

    tasks: int = 0
    ended: int = 0
    dead: int = 0
    """Tasks that the owner does itself, since workers have failed at them."""
    objects: int = 0
    """The estimate of all."""
    objects_done: int = 0
