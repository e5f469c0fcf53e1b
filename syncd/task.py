"""What a tick is to do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from syncd.cloudtrail import EVERY, Scope
from syncd.layout import Layout
from syncd.model import Shard, Window
from syncd.tiers import Pace


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
