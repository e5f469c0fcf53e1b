"""How fast an engine may go: limits of requests and bytes a second, and fewer copies at once while S3 says SlowDown."""

from collections.abc import Callable, Sequence
from threading import Lock

from syncd.model.objects import Copied, Failed, Outcome
from syncd.model.reasons import Reason

LEAST_IN_FLIGHT = 4
# Whoever waits for room asks ten times a second; one that has not asked for so long wants nothing.
_WANTING_SECONDS = 1.0


class _Share:
    """What one taker may take now; below nothing where it was lent more than its share."""

    __slots__ = ("asked_at", "room")

    def __init__(self) -> None:
        self.room = 0.0
        self.asked_at = 0.0


class Allowance:
    """A limit of so much a second, in even shares for those who take from it; what was not used is kept for one second.

    Without shares whoever asks most often gets most, and a taker of large amounts never finds enough.
    """

    def __init__(self, per_second: float, *, monotonic: Callable[[], float]) -> None:
        self._per_second = per_second
        self._monotonic = monotonic
        self._lock = Lock()
        self._shares: dict[object, _Share] = {}
        self._spare = per_second
        """What is nobody's: the unused part of shares, for anybody."""
        self._at = monotonic()

    def take(self, amount: float, taker: object = None) -> bool:
        """Take so much if there is room. More than a second's share is lent, and waited for afterwards."""
        with self._lock:
            self._fill()
            share = self._shares.setdefault(taker, _Share())
            share.asked_at = self._at
            room = max(share.room, 0.0)
            if share.room + self._spare < min(amount, self._per_second / len(self._shares)):
                return False
            of_others = min(max(amount - room, 0.0), self._spare)
            self._spare -= of_others
            share.room -= amount - of_others
            return True

    def give_back(self, amount: float, taker: object = None) -> None:
        """What was taken and not used."""
        with self._lock:
            self._shares.setdefault(taker, _Share()).room += amount

    def _fill(self) -> None:
        now = self._monotonic()
        gained, self._at = (now - self._at) * self._per_second, now
        for taker, share in list(self._shares.items()):
            if now - share.asked_at > _WANTING_SECONDS and share.room >= 0:
                self._spare += self._shares.pop(taker).room
        if not self._shares:
            self._spare += gained
        for share in self._shares.values():
            share.room += gained / len(self._shares)
            unused = max(share.room - self._per_second / len(self._shares), 0.0)
            share.room -= unused
            self._spare += unused
        kept = sum(max(share.room, 0.0) for share in self._shares.values())
        self._spare = max(min(self._spare, self._per_second - kept), 0.0)


class Throttle:
    """Whether one copy more may begin now."""

    def __init__(self, requests: Sequence[Allowance], bytes_: Sequence[Allowance], *, requests_a_copy: int) -> None:
        self._requests_a_copy = requests_a_copy
        self._requests = requests
        self._bytes = bytes_
        self._window = float("inf")

    def admits(self, size_bytes: int) -> bool:
        """Take what a copy of so many bytes will use from every allowance, or nothing from any."""
        wanted = [(allowance, float(self._requests_a_copy)) for allowance in self._requests]
        # Bytes come in and go out again, but it is what is copied that is limited.
        wanted += [(allowance, float(size_bytes)) for allowance in self._bytes]
        taken: list[tuple[Allowance, float]] = []
        for allowance, amount in wanted:
            if not allowance.take(amount, self):
                for other, given in taken:
                    other.give_back(given, self)
                return False
            taken.append((allowance, amount))
        return True

    def window(self, in_flight: int) -> int:
        """How many copies there may be at once, of the `in_flight` that are allowed."""
        return int(min(in_flight, self._window))

    def learn(self, outcome: Outcome, *, in_flight: int) -> None:
        """Half as many at once after a SlowDown, and one more for each round that goes well."""
        if isinstance(outcome, Failed) and outcome.reason == Reason.SLOW_DOWN:
            self._window = max(LEAST_IN_FLIGHT, min(self._window, in_flight) / 2)
        elif isinstance(outcome, Copied) and self._window < in_flight:
            self._window += 1 / self._window
