"""What one slice of one shard needs while it is listed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from syncd.model.keys.layout import Layout
from syncd.model.keys.stamps import utc_day
from syncd.model.objects import LogObject, Shard
from syncd.model.sealed import SealedDay
from syncd.tick.listing.plan import Rules
from syncd.tick.listing.sealing import Gate, is_same_there
from syncd.tick.listing.tiers import Slice
from syncd.tick.side_by_side import Beside


@dataclass(slots=True)
class Reading:
    """One slice while it is listed."""

    slice: Slice
    gate: Gate
    sealed: Mapping[str, SealedDay]
    beside: Beside | None
    """The destination's listing, if that side is listed too."""
    rules: Rules
    rules_opened: Rules
    """Those for the sealed day that is being planned key by key."""
    opened_day: str = ""
    """The sealed day of which a part was planned already, since all of it would not be held."""
    replicas_left: Mapping[str, LogObject] | None = None
    """Its replicas behind that part."""


def unless_altered(rules: Rules, was: SealedDay, replicas: Mapping[str, LogObject] | None) -> Rules:
    """Return the rules for a sealed day. If its replicas are not those that were sealed, no name vouches for one."""
    is_altered = replicas is not None and not is_same_there(was, replicas)
    return replace(rules, ran_here=False) if is_altered else rules


def days_of(layout: Layout, shard: Shard, item: LogObject) -> set[str]:
    """Return the days that an object may be asked for by: the one that its key tells, and that of its stamp."""
    stamped = utc_day(max(0.0, layout.stamp(shard, item)))
    return {layout.day_anyhow(shard, item.key) or stamped, stamped}
