"""Rate limits of an engine: requests and bytes a second, and fewer copies after SlowDown."""

from collections.abc import Callable, Sequence
from threading import Lock

from syncd.model.objects import Copied, Failed, Outcome
from syncd.model.reasons import Reason

LEAST_IN_FLIGHT = 4
# A taker that waits for room asks ten times a second. One that has not asked for so long wants nothing.
_WANTING_SECONDS = 1.0


class _Share:
    """Amount that one taker may take now. Below zero if it was lent more than its share."""

    __slots__ = ("asked_at", "room")

    def __init__(self) -> None:
        self.room = 0.0
        self.asked_at = 0.0


class Allowance:
    """A limit of so much a second, in even shares for its takers. Unused room is kept for one second.

    Without shares the taker that asks most often gets most, and a taker of large amounts never finds enough.
    """

    def __init__(self, per_second: float, *, monotonic: Callable[[], float]) -> None:
        self._per_second = per_second
        self._monotonic = monotonic
        self._lock = Lock()
        self._shares: dict[object, _Share] = {}
        self._spare = per_second
        """The unused part of shares, for any taker."""
        self._at = monotonic()

    def take(self, amount: float, taker: object = None) -> bool:
        """Take so much if there is room. More than a second's share is lent, and paid back by waiting."""
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
        """Return what was taken and not used."""
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
    """The rate limits of one job."""

    def __init__(self, requests: Sequence[Allowance], bytes_: Sequence[Allowance], *, requests_a_copy: int) -> None:
        self._requests_a_copy = requests_a_copy
        self._requests = requests
        self._bytes = bytes_
        self._window = float("inf")

    def admits(self, size_bytes: int) -> bool:
        """Take the cost of a copy from every allowance, or nothing from any. Returns whether it was taken."""
        wanted = [(allowance, float(self._requests_a_copy)) for allowance in self._requests]
        # Bytes come in and go out again, but the limit is on what is copied.
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
        """Return how many copies there may be at once, of the `in_flight` that are allowed."""
        return int(min(in_flight, self._window))

    def learn(self, outcome: Outcome, *, in_flight: int) -> None:
        """Halve the window after a SlowDown, and widen it by one for each good round."""
        if isinstance(outcome, Failed) and outcome.reason == Reason.SLOW_DOWN:
            self._window = max(LEAST_IN_FLIGHT, min(self._window, in_flight) / 2)
        elif isinstance(outcome, Copied) and self._window < in_flight:
            self._window += 1 / self._window
