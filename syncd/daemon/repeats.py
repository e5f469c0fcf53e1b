"""What goes wrong again and again is said loudly once, then once an hour with a count, and once more when it is over."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from syncd.job.report import utc
from syncd.model import events

AGAIN_AFTER_SECONDS = 3600.0
MOST_REMEMBERED = 10_000

_DAMPED = frozenset(
    {
        events.TICK_FAILED,
        events.TICK_CRASHED,
        events.TICK_SKIPPED,
        events.TICK_OVERRAN,
        events.TICK_STALLED,
        events.OBJECT_FAILED,
        events.OBJECT_CONFLICTED,
        events.HORIZON_HELD,
        events.REBUILD_BLIND,
        events.LEDGER_UNREADABLE,
        events.JOB_PAUSED,
        events.JOB_REFUSED,
        events.HTTP_UNAVAILABLE,
        events.HTTP_CRASHED,
        events.HEARTBEAT_FAILED,
        events.WATCHDOG_WITHHELD,
    }
)


class Settled(NamedTuple):
    """A complaint that is over."""

    times: int
    """How often it would have been said."""
    seconds: float
    """From the first time until now."""


@dataclass(slots=True)
class _Complaint:
    first_at: float
    first_told: str | None
    told_at: float
    count: int = 1
    untold: int = 0


class Complaints:
    """A `tell` that damps what repeats itself; any thread may call it.

    A complaint is the same as an earlier one where event, job, reason and key are. Whoever finds the matter in order
    again settles it.
    """

    def __init__(
        self,
        tell: Callable[..., None],
        *,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        most: int = MOST_REMEMBERED,
    ) -> None:
        """`most` is how many complaints are remembered."""
        self._tell = tell
        self._now = now
        self._monotonic = monotonic
        self._most = most
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str], dict[tuple[str, str], _Complaint]] = {}
        self._remembered = 0

    def tell(self, event: str, **facts: Any) -> None:
        """Say it, unless it was said within the hour; after that hour it says how often it happened meanwhile.

        A log that cannot be written, on a full disk say, stops nothing.
        """
        more = self._more(event, facts) if event in _DAMPED else {}
        if more is not None:
            with suppress(OSError):
                self._tell(event, **facts, **more)

    def settle(self, event: str, job: str = "") -> Settled | None:
        """The matter is in order: forget its complaints, so that the next is loud again; None where there were none."""
        with self._lock:
            found = self._open.pop((event, job), {})
            self._remembered -= len(found)
        if not found:
            return None
        first_at = min(item.first_at for item in found.values())
        return Settled(sum(item.count for item in found.values()), self._monotonic() - first_at)

    def say_again(self, job: str) -> None:
        """Somebody asks, or the job was changed: what still goes wrong is told again when it next happens."""
        with self._lock:
            for (_, name), found in self._open.items():
                if name == job:
                    for complaint in found.values():
                        complaint.told_at = float("-inf")

    def forget(self, job: str) -> None:
        """The job is gone."""
        for event, name in list(self._open):
            if name == job:
                self.settle(event, job)

    def _more(self, event: str, facts: dict[str, Any]) -> dict[str, Any] | None:
        """What to add to a complaint; None where it is not to be said now."""
        error = facts.get("error")
        reason = facts.get("reason") or (error.get("reason") if isinstance(error, dict) else None)
        subject = (event, str(facts.get("job", "")))
        matter = (str(reason), str(facts.get("key") or facts.get("shard") or ""))
        at = self._monotonic()
        with self._lock:
            same = self._open.setdefault(subject, {})
            complaint = same.get(matter)
            if complaint is None:
                self._make_room()
                same[matter] = _Complaint(at, utc(self._now()), at)
                self._remembered += 1
                return {}
            complaint.count += 1
            complaint.untold += 1
            if at - complaint.told_at < AGAIN_AFTER_SECONDS:
                return None
            repeated, complaint.untold, complaint.told_at = complaint.untold, 0, at
            return {"repeated": repeated, "since": complaint.first_told}

    def _make_room(self) -> None:
        if self._remembered >= self._most:
            # The oldest subject goes whole: at worst something is said once more than it had to be.
            oldest = next(iter(self._open))
            self._remembered -= len(self._open.pop(oldest))
