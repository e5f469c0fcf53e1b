"""How fast an engine may go: limits of requests and bytes a second, and fewer copies at once while S3 says SlowDown."""

from collections.abc import Callable, Sequence
from threading import Lock

from syncd import failures
from syncd.model import Copied, Failed, Outcome

LEAST_IN_FLIGHT = 4


class Bucket:
    """A limit of so much a second, shared by whoever takes from it; what was not used is kept for one second."""

    def __init__(self, per_second: float, *, monotonic: Callable[[], float]) -> None:
        self._per_second = per_second
        self._monotonic = monotonic
        self._lock = Lock()
        self._room = per_second
        self._at = monotonic()

    def take(self, amount: float) -> bool:
        """Take so much if there is room. More than a second's worth is lent, and waited for afterwards."""
        with self._lock:
            now = self._monotonic()
            self._room = min(self._per_second, self._room + (now - self._at) * self._per_second)
            self._at = now
            if self._room < min(amount, self._per_second):
                return False
            self._room -= amount
            return True

    def give_back(self, amount: float) -> None:
        """What was taken and not used."""
        with self._lock:
            self._room += amount


class Throttle:
    """Whether one copy more may begin now."""

    def __init__(self, requests: Sequence[Bucket], bytes_: Sequence[Bucket], *, requests_a_copy: int) -> None:
        self._requests_a_copy = requests_a_copy
        self._requests = requests
        self._bytes = bytes_
        self._window = float("inf")

    def admits(self, size_bytes: int) -> bool:
        """Take what a copy of so many bytes will use from every bucket, or nothing from any."""
        wanted = [(bucket, float(self._requests_a_copy)) for bucket in self._requests]
        # Bytes come in and go out again, but it is what is copied that is limited.
        wanted += [(bucket, float(size_bytes)) for bucket in self._bytes]
        taken: list[tuple[Bucket, float]] = []
        for bucket, amount in wanted:
            if not bucket.take(amount):
                for other, given in taken:
                    other.give_back(given)
                return False
            taken.append((bucket, amount))
        return True

    def window(self, in_flight: int) -> int:
        """How many copies there may be at once, of the `in_flight` that are allowed."""
        return int(min(in_flight, self._window))

    def learn(self, outcome: Outcome, *, in_flight: int) -> None:
        """Half as many at once after a SlowDown, and one more for each round that goes well."""
        if isinstance(outcome, Failed) and outcome.reason == failures.SLOW_DOWN:
            self._window = max(LEAST_IN_FLIGHT, min(self._window, in_flight) / 2)
        elif isinstance(outcome, Copied) and self._window < in_flight:
            self._window += 1 / self._window
