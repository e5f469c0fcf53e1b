"""The input of a tick: the job's scope, durations and bounds."""

from collections.abc import Callable, Collection, Mapping, Sequence
from math import ceil, inf
from typing import NamedTuple

from syncd.model.keys.layout import Layout
from syncd.model.keys.stamps import DAY_SECONDS
from syncd.model.keys.trail import EVERY, Scope
from syncd.model.objects import Shard, Window

DIGESTS = "CloudTrail-Digest"
LISTED_AT_ONCE = 1000
"""Keys of one listing, and rows of the ledger that are compared with it."""
EARLIEST = 1_767_225_600.0
"""2026-01-01: a clock that is earlier is wrong."""


# CloudTrail delivers a digest 26 to 31 minutes after its stamp, which is the end of its hour.
_DIGESTS_LATENESS_SECONDS = 5400.0


def lateness_of(kind: str, lateness: float) -> float:
    """Return the lateness of one kind of log, given the job's."""
    return max(lateness, _DIGESTS_LATENESS_SECONDS) if kind == DIGESTS else lateness


class Pace(NamedTuple):
    """A job's `[listing]` table and its `lateness`, in seconds."""

    tail: float
    recent: float
    recent_every: float
    deep: float
    deep_every: float
    discovery_every: float
    idle_every: float
    lateness: float
    audit_every: float = DAY_SECONDS
    audit_sealed_every: float = 7 * DAY_SECONDS

    @property
    def tail_effective(self) -> float:
        """The tail, never shorter than the lateness, so that no late object is missed."""
        return max(self.tail, self.lateness_of(DIGESTS))

    @property
    def recent_effective(self) -> float:
        """The recent span, never shorter than the tail that it replaces."""
        return max(self.recent, self.tail_effective)

    @property
    def deep_effective(self) -> float:
        """The deep span, a day longer than the recent one at least."""
        return max(self.deep, self.recent_effective + DAY_SECONDS)

    def lateness_of(self, kind: str) -> float:
        """Return how late a log of this kind may be before the horizon passes it."""
        return lateness_of(kind, self.lateness)


def audit_lists_a_day(pace: Pace, counts: tuple[int, int], shards: int) -> int:
    """Return how many listings of the destination the audit takes a day.

    `counts` are the objects remembered key by key, and in sealed days. A shard takes at least one listing.
    """
    total = 0.0
    for every, count in zip((pace.audit_every, pace.audit_sealed_every), counts, strict=True):
        if every and count:
            total += max(shards, count / LISTED_AT_ONCE) * DAY_SECONDS / every
    return ceil(total)


class Spread(NamedTuple):
    """The part of a catch-up that workers do in one shard: its days before `left_from`."""

    left_from: str
    is_done: bool
    """The workers copied everything."""


class Task(NamedTuple):
    """The input of a tick, taken from a job."""

    job: str
    scope: Scope | None
    """The accounts, kinds and regions; None for layouts without them."""
    shard: Shard | None
    """The one shard of such a layout."""
    layout: Layout
    destination_prefix: str
    pace: Pace
    start: Callable[[float], float]
    """The job's start as an instant, given the time of its first tick; 0.0 for the beginning."""
    window: Window | None = None
    """The days of a catch-up; None for a tick."""
    accounts: Sequence[str] = (EVERY,)
    """The only accounts that a catch-up lists."""
    regions: Sequence[str] = (EVERY,)
    """The only regions that a catch-up lists."""
    only: Shard | None = None
    """The one shard of a catch-up, which is not looked for."""
    spread: Mapping[str, Spread] = {}
    """The parts of a catch-up that workers do, by the prefix of the shard."""
    hinted: Collection[str] = ()
    """Keys that hints name: nothing else is listed, unless one is in a new shard. Empty for an ordinary tick."""
    recalls: bool = False
    """Another daemon may have copied since the ledger was written, so the destination is listed too."""
    was_here: bool = True
    """This replica was filled from this state directory before, so the ledger may have lost what it does not know."""
    is_patient: bool = False
    """Failed objects wait for their backoff, as in the daemon; otherwise all are retried now."""
    ignore: Sequence[str] = ()
    """Prefixes and patterns of keys that a dated layout ignores; a Scope has its own."""
    max_objects: int | None = None
    """The most objects that a tick copies; None for no limit."""
    objective: float = inf
    """Seconds that a new object may take from its LastModified to its copy."""

    def window_left(self, prefix: str) -> Window | None:
        """Return the days of a shard that the catch-up lists itself. Returns None if workers do all of them."""
        part, window = self.spread.get(prefix), self.window
        if part is None or window is None:
            return window
        is_all = window.last is not None and window.last < part.left_from
        return None if is_all else Window(part.left_from, window.last)

    def window_proved(self, prefix: str) -> Window | None:
        """Return the days of a shard that are complete once the catch-up has listed its own part of them.

        Returns None if workers have not done theirs.
        """
        part = self.spread.get(prefix)
        return self.window if part is None or part.is_done else None
