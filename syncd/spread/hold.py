"""A task in hand: hidden from other workers for as long as this one lives and keeps telling the queue so."""

from collections.abc import Callable
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self

from syncd.aws.queues import Message, Queues
from syncd.job.health.clock import boot_clock
from syncd.model.errors import JobFailed

BEATS_A_VISIBILITY = 3
FENCE_SHARE = 0.9
"""The share of the visibility after which a task that was not extended counts as another worker's."""
_AGAIN_SECONDS = 0.5


class Hold:
    """A message kept hidden by a thread of its own, from `__enter__` to `__exit__`.

    No other clock is asked: a worker that was frozen, or whose machine slept, finds by its own that the task is another's.
    """

    def __init__(
        self,
        queues: Queues,
        queue: str,
        message: Message,
        *,
        visibility_seconds: int,
        since: float,
        on_lost: Callable[[], None],
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        """Hold a message that was asked for at `since`, by the same clock. `on_lost` may come from any thread."""
        self._clock = clock
        self._queues = queues
        self._queue = queue
        self._message = message
        self._visibility_seconds = visibility_seconds
        self._on_lost = on_lost
        self._lock = Lock()
        self._until = since + FENCE_SHARE * visibility_seconds
        self._next_beat = since + visibility_seconds / BEATS_A_VISIBILITY
        self._is_lost = False
        self._ended = Event()
        self._thread = Thread(target=self._keep, name="hold", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()

    def is_lost(self) -> bool:
        """Return True if the task may be another worker's. Once true, it stays so."""
        with self._lock:
            is_new = not self._is_lost and self._clock() >= self._until
            self._is_lost = self._is_lost or is_new
            is_lost = self._is_lost
        if is_new:
            self._on_lost()
        return is_lost

    def look(self) -> None:
        """Look at the clock, so that a thread that was frozen learns before it goes on."""
        self.is_lost()

    def give_back(self) -> None:
        """Let another worker have the task at once. Raises JobFailed."""
        self._ended.set()
        self._thread.join()
        self._queues.change_visibility(self._queue, self._message, 0)

    def _keep(self) -> None:
        while not self._ended.wait(max(0.0, min(self._next_beat, self._until) - self._clock())):
            if self.is_lost():
                return
            self._beat()

    def _beat(self) -> None:
        began = self._clock()
        try:
            is_ours = self._queues.change_visibility(self._queue, self._message, self._visibility_seconds)
        except JobFailed:
            # No answer proves nothing, and the clock goes on.
            self._next_beat = self._clock() + _AGAIN_SECONDS
            return
        with self._lock:
            if is_ours and self._clock() < self._until:
                self._until = began + FENCE_SHARE * self._visibility_seconds
            else:
                self._until = began
        self._next_beat = began + self._visibility_seconds / BEATS_A_VISIBILITY
