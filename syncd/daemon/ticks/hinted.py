"""The ticks that hints hasten: a shard's first hint begins one at once, those that follow it soon are one more."""

import heapq
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from math import inf

TICKS_AT_A_TIME = 8
"""Threads of their own, so that hints and the schedule do not wait for each other."""
KEYS_A_TICK = 1000
MOST_KEYS_WAITING = 10_000
"""Keys of one job. More are left to the schedule, which needs no hint."""
BUSY_SECONDS = 1.0
"""A job whose tick is running is asked again after this time."""


@dataclass(slots=True)
class _Job:
    """The hints of one job."""

    waiting: dict[str, set[str]] = field(default_factory=dict)
    """Keys by their shard."""
    count: int = 0
    settles_at: dict[str, float] = field(default_factory=dict)
    """The end of the time in which a shard's hints are merged, begun by the first of them."""
    busy_until: float = 0.0
    due: float = inf
    is_running: bool = False

    def due_at(self) -> float:
        """Return when the next of its shards is due."""
        return max(self.busy_until, min((self.settles_at.get(shard, 0.0) for shard in self.waiting), default=inf))

    def take(self, now: float, settle_seconds: float) -> set[str]:
        """Return the keys that are due, and begin to merge those that follow."""
        taken: set[str] = set()
        for shard in [shard for shard in self.waiting if self.settles_at.get(shard, 0.0) <= now]:
            keys = self.waiting[shard]
            while keys and len(taken) < KEYS_A_TICK:
                taken.add(keys.pop())
            if not keys:
                del self.waiting[shard]
            if self.settles_at.pop(shard, None) is None:
                self.settles_at[shard] = now + settle_seconds
        self.count -= len(taken)
        self.settles_at = {shard: at for shard, at in self.settles_at.items() if at > now or shard in self.waiting}
        return taken


class HintedTicks:
    """The keys that wait for a tick, by job, and the threads that tick.

    Shared: any thread may call it. The condition's lock guards all that waits.
    """

    def __init__(self, tick: Callable[[str, Collection[str]], bool], *, monotonic: Callable[[], float]) -> None:
        """Tick a job's keys with `tick`. It returns false if another tick of the job is running."""
        self._tick = tick
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._jobs: dict[str, _Job] = {}
        self._due: list[tuple[float, str]] = []
        self._settle_seconds = 0.0
        self._is_closed = False
        self._has_begun = False

    def begin(self, settle_seconds: float) -> None:
        """Begin to tick, if that has not begun. A shard's hints within `settle_seconds` are merged."""
        self._settle_seconds = settle_seconds
        if not self._has_begun:
            self._has_begun = True
            for _ in range(TICKS_AT_A_TIME):
                threading.Thread(target=self._work, name="hinted-tick", daemon=True).start()

    def has_room(self, job: str) -> bool:
        """Return false if so many of the job's keys wait that no more should."""
        with self._changed:
            hints = self._jobs.get(job)
            return hints is None or hints.count < MOST_KEYS_WAITING

    def add(self, wanted: Mapping[tuple[str, str], Collection[str]]) -> None:
        """Have jobs list keys soon, given by job and shard."""
        with self._changed:
            for (job, shard), keys in wanted.items():
                hints = self._jobs.setdefault(job, _Job())
                waiting = hints.waiting.setdefault(shard, set())
                hints.count -= len(waiting)
                waiting.update(keys)
                hints.count += len(waiting)
            for job in dict.fromkeys(job for job, _ in wanted):
                self._put(job, self._jobs[job])

    def close(self) -> None:
        """Begin no more ticks. Those that are running go on."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _work(self) -> None:
        while (taken := self._next()) is not None:
            job, keys = taken
            is_done = self._tick(job, keys)
            with self._changed:
                hints = self._jobs[job]
                hints.is_running = False
                if not is_done:
                    again = hints.waiting.setdefault("", set())
                    hints.count += len(keys - again)
                    again |= keys
                    hints.busy_until = self._monotonic() + BUSY_SECONDS
                self._put(job, hints)

    def _next(self) -> tuple[str, set[str]] | None:
        """Wait for a job that is due. Returns it with its keys, or None if there are no more ticks."""
        with self._changed:
            while not self._is_closed:
                now = self._monotonic()
                if not self._due or self._due[0][0] > now:
                    self._changed.wait(self._due[0][0] - now if self._due else None)
                    continue
                due, job = heapq.heappop(self._due)
                hints = self._jobs[job]
                if due != hints.due:
                    continue  # it was put again, at another time
                hints.due, hints.is_running = inf, True
                return job, hints.take(now, self._settle_seconds)
            return None

    def _put(self, job: str, hints: _Job) -> None:
        """Have a thread wake at the time that a job is due, unless one does. Needs the lock."""
        due = hints.due_at()
        if not hints.is_running and due < hints.due:
            hints.due = due
            heapq.heappush(self._due, (due, job))
            self._changed.notify()
