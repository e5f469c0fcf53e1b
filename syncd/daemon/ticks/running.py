"""The ticks that are running: their progress, and how to stop them."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event

from syncd.job.health.progress import STALLED_SECONDS, Progress
from syncd.tick.recorder import Recorder

_COUNT_EVERY_SECONDS = 1.0


@dataclass(slots=True)
class RunningTick:
    """One tick. Times are on the monotonic clock.

    Shared: the thread of the tick writes `progressed_at`, `counted_at` and `progress`, the main thread writes `is_replaced`, and any
    thread reads. Each is one attribute, which the GIL writes whole.
    """

    job: str
    began_at: float
    progressed_at: float
    stop: Event = field(default_factory=Event)
    is_replaced: bool = False
    """The job's definition has changed since the tick began."""
    counted_at: float = 0.0
    progress: Progress | None = None
    """Its progress, or None before it holds its lock."""

    def show(self, progress: Progress) -> None:
        """Take in its progress."""
        self.progress = progress

    def seconds(self, now: float) -> float:
        """Return how long it has been running."""
        return now - self.began_at


class RunningTicks:
    """All ticks that are running.

    Shared: any thread may call it. The condition's lock guards the table and whether it is closed.
    """

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._ticks: dict[str, RunningTick] = {}
        self._is_closed = False

    @contextmanager
    def tick(self, job: str) -> Iterator[RunningTick | None]:
        """Register a tick while the block runs. Yields None if no more ticks may begin."""
        now = self._monotonic()
        tick = RunningTick(job, began_at=now, progressed_at=now)
        with self._changed:
            is_allowed = not self._is_closed
            if is_allowed:
                self._ticks[job] = tick
        if not is_allowed:
            yield None
            return
        try:
            yield tick
        finally:
            with self._changed:
                self._ticks.pop(job, None)
                self._changed.notify_all()

    def now(self) -> float:
        """Return the time on the clock of the ticks."""
        return self._monotonic()

    def of(self, job: str) -> RunningTick | None:
        """Return the job's tick, or None if none is running."""
        with self._changed:
            return self._ticks.get(job)

    def jobs(self) -> Sequence[str]:
        """List the jobs whose ticks are running."""
        with self._changed:
            return list(self._ticks)

    def progress_of(self) -> dict[str, Progress]:
        """Return the progress of each job's tick, of those that hold their locks."""
        with self._changed:
            return {job: tick.progress for job, tick in self._ticks.items() if tick.progress is not None}

    def stop(self, job: str, *, is_replaced: bool) -> bool:
        """End a job's tick after the objects in flight. Returns false if none is running."""
        tick = self.of(job)
        if tick is None:
            return False
        tick.is_replaced = is_replaced
        tick.stop.set()
        return True

    def stop_all(self) -> None:
        """End all ticks after the objects in flight."""
        with self._changed:
            for tick in self._ticks.values():
                tick.stop.set()

    def close(self) -> None:
        """End all ticks after the objects in flight, and let no more begin."""
        with self._changed:
            self._is_closed = True
        self.stop_all()

    def wait(self, seconds: float) -> bool:
        """Wait until none is running. Returns false if time ran out first."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._ticks, timeout=max(0.0, seconds))

    def stalled(self) -> Sequence[RunningTick]:
        """List the ticks without progress for longer than any timeout inside a tick."""
        now = self._monotonic()
        with self._changed:
            return [tick for tick in self._ticks.values() if now - tick.progressed_at > STALLED_SECONDS]

    def progress(self, tick: RunningTick, count: Callable[[Recorder], None]) -> Callable[[Recorder], None]:
        """Return the function that a tick calls with each page and object. It calls `count` at most once a second."""

        def on_progress(recorder: Recorder) -> None:
            now = self._monotonic()
            tick.progressed_at = now
            if now - tick.counted_at >= _COUNT_EVERY_SECONDS:
                tick.counted_at = now
                count(recorder)

        return on_progress
