"""The ticks that are running: how far each is, and how they are told to come to their end."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event

from syncd.tick.recorder import Recorder

STALLED_SECONDS = 600.0
"""Whatever a tick waits for gives up sooner: AssumeRole after a minute and a half, S3 after one, the state file too."""
_COUNT_EVERY_SECONDS = 1.0


@dataclass(slots=True)
class Flight:
    """One tick on its way; times are on the monotonic clock."""

    job: str
    began_at: float
    progressed_at: float
    stop: Event = field(default_factory=Event)
    is_replaced: bool = False
    """The job's definition has changed since it began."""
    counted_at: float = 0.0

    def seconds(self, now: float) -> float:
        """How long it has been running."""
        return now - self.began_at


class Flights:
    """All ticks that are running; any thread may call it."""

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._flights: dict[str, Flight] = {}
        self._is_closed = False

    @contextmanager
    def flying(self, job: str) -> Iterator[Flight | None]:
        """The flight of a tick while it lasts; None where no more are to begin."""
        now = self._monotonic()
        flight = Flight(job, began_at=now, progressed_at=now)
        with self._changed:
            is_allowed = not self._is_closed
            if is_allowed:
                self._flights[job] = flight
        if not is_allowed:
            yield None
            return
        try:
            yield flight
        finally:
            with self._changed:
                self._flights.pop(job, None)
                self._changed.notify_all()

    def now(self) -> float:
        """The clock of the flights' times."""
        return self._monotonic()

    def of(self, job: str) -> Flight | None:
        """The job's tick, if it is running."""
        return self._flights.get(job)

    def jobs(self) -> Sequence[str]:
        """Whose ticks are running."""
        with self._changed:
            return list(self._flights)

    def stop(self, job: str, *, is_replaced: bool) -> bool:
        """Let a job's tick end after the objects in flight; whether there was one."""
        flight = self.of(job)
        if flight is None:
            return False
        flight.is_replaced = is_replaced
        flight.stop.set()
        return True

    def close(self) -> None:
        """Let all ticks end after the objects in flight, and no more begin."""
        with self._changed:
            self._is_closed = True
            for flight in self._flights.values():
                flight.stop.set()

    def wait(self, seconds: float) -> bool:
        """Wait until none is running; whether that came about in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._flights, timeout=max(0.0, seconds))

    def stalled(self) -> Sequence[Flight]:
        """Ticks without any progress for longer than anything they wait for may take."""
        now = self._monotonic()
        with self._changed:
            return [item for item in self._flights.values() if now - item.progressed_at > STALLED_SECONDS]

    def progress(self, flight: Flight, count: Callable[[Recorder], None]) -> Callable[[Recorder], None]:
        """What a tick calls with each page and object; `count` is called once a second at most."""

        def on_progress(recorder: Recorder) -> None:
            now = self._monotonic()
            flight.progressed_at = now
            if now - flight.counted_at >= _COUNT_EVERY_SECONDS:
                flight.counted_at = now
                count(recorder)

        return on_progress
