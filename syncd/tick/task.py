"""What a tick is to do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from syncd.model.keys.layout import Layout
from syncd.model.keys.stamps import DAY_SECONDS
from syncd.model.keys.trail import EVERY, Scope
from syncd.model.objects import Shard, Window

DIGESTS = "CloudTrail-Digest"


# CloudTrail delivers a digest 26 to 31 minutes after its stamp, which is the end of its hour.
_DIGESTS_LATENESS_SECONDS = 5400.0


def lateness_of(kind: str, lateness: float) -> float:
    """Return the lateness of one kind of log, given the job's."""
    return max(lateness, _DIGESTS_LATENESS_SECONDS) if kind == DIGESTS else lateness


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How far back and how often, in seconds; the `[listing]` table of a job and its `lateness`."""

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
        """The tail reaches back at least as far as the horizon trails, or a late object could fall between two ticks."""
        return max(self.tail, self.lateness_of(DIGESTS))

    @property
    def recent_effective(self) -> float:
        """No tier is narrower than the one that it replaces."""
        return max(self.recent, self.tail_effective)

    @property
    def deep_effective(self) -> float:
        """No tier is narrower than the one that it replaces."""
        return max(self.deep, self.recent_effective + DAY_SECONDS)

    def lateness_of(self, kind: str) -> float:
        """Return how late a log of this kind may be before the horizon passes it."""
        return lateness_of(kind, self.lateness)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a tick is to do: a job, taken apart into what the tick needs of it."""

    job: str
    scope: Scope | None
    """Which accounts, kinds and regions; None for layouts that have none."""
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
    """Of these accounts only (a catch-up's)."""
    regions: Sequence[str] = (EVERY,)
    """Of these regions only (a catch-up's)."""
    was_here: bool = True
    """This replica was filled from this state directory before: what the ledger does not know it has lost."""
    is_patient: bool = False
    """Failed objects wait for their time (the daemon); otherwise somebody asked for everything now."""
    ignore: Sequence[str] = ()
    """Prefixes and patterns of keys that a dated layout leaves alone; a Scope has its own."""
    max_objects: int | None = None
    """Objects that a tick copies at most; None for no bound."""
    objective: float = inf
    """Seconds that a new object may take from its LastModified to its copy."""
