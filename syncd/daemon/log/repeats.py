"""Log a repeated problem once, then hourly with a count, then its recovery."""

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
        events.HINTS_UNAVAILABLE,
        events.LEASE_UNAVAILABLE,
    }
)


class Resolved(NamedTuple):
    """A problem that is over."""

    times: int
    """Times it happened."""
    seconds: float
    """From the first time until now."""


@dataclass(slots=True)
class _Problem:
    first_at: float
    first_logged: str | None
    logged_at: float
    count: int = 1
    unlogged: int = 0


class RepeatedProblems:
    """The daemon's event log, with repeated problems damped.

    Two problems are the same if event, job or queue, reason and key are the same. The caller that finds the cause gone resolves it.

    Shared: any thread may call it. The lock guards all that is remembered. Events are logged outside the lock.
    """

    def __init__(
        self,
        tell: Callable[..., None],
        *,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        most: int = MOST_REMEMBERED,
    ) -> None:
        """Write events with `tell`, and remember at most `most` problems."""
        self._tell = tell
        self._now = now
        self._monotonic = monotonic
        self._most = most
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str], dict[tuple[str, str], _Problem]] = {}
        self._remembered = 0

    def log(self, event: str, **facts: Any) -> None:
        """Log an event, unless it is a problem that was logged within the hour.

        After that hour the event carries how often it happened in between. A log that cannot be written, on a full disk
        for example, stops nothing.
        """
        more = self._more(event, facts) if event in _DAMPED else {}
        if more is not None:
            with suppress(OSError):
                self._tell(event, **facts, **more)

    def resolve(self, event: str, job: str = "") -> Resolved | None:
        """Forget a problem of a job or queue that is over, so that the next is logged at once. Returns None if there was none."""
        with self._lock:
            found = self._open.pop((event, job), {})
            self._remembered -= len(found)
        if not found:
            return None
        first_at = min(item.first_at for item in found.values())
        return Resolved(sum(item.count for item in found.values()), self._monotonic() - first_at)

    def log_again(self, job: str) -> None:
        """Log a job's problems the next time they happen, even within the hour."""
        with self._lock:
            for (_, name), found in self._open.items():
                if name == job:
                    for problem in found.values():
                        problem.logged_at = float("-inf")

    def forget(self, job: str) -> None:
        """Forget a job that was removed."""
        with self._lock:
            for subject in [subject for subject in self._open if subject[1] == job]:
                self._remembered -= len(self._open.pop(subject))

    def _more(self, event: str, facts: dict[str, Any]) -> dict[str, Any] | None:
        """Return the facts to add, or None if the problem is not to be logged now."""
        error = facts.get("error")
        reason = facts.get("reason") or (error.get("reason") if isinstance(error, dict) else None)
        subject = (event, str(facts.get("job") or facts.get("queue", "")))
        matter = (str(reason), str(facts.get("key") or facts.get("shard") or ""))
        at = self._monotonic()
        with self._lock:
            same = self._open.setdefault(subject, {})
            problem = same.get(matter)
            if problem is None:
                self._make_room()
                same[matter] = _Problem(at, utc(self._now()), at)
                self._remembered += 1
                return {}
            problem.count += 1
            problem.unlogged += 1
            if at - problem.logged_at < AGAIN_AFTER_SECONDS:
                return None
            repeated, problem.unlogged, problem.logged_at = problem.unlogged, 0, at
            return {"repeated": repeated, "since": problem.first_logged}

    def _make_room(self) -> None:
        if self._remembered >= self._most:
            # Drops all problems of the oldest subject: at worst one of them is logged once more than necessary.
            oldest = next(iter(self._open))
            self._remembered -= len(self._open.pop(oldest))
