"""The state of one slice of a shard while it is listed."""

from collections.abc import Mapping
from dataclasses import dataclass

from syncd.model.objects import LogObject
from syncd.model.sealed import SealedDay
from syncd.tick.listing.plan import Rules
from syncd.tick.listing.sealing import DaySplitter
from syncd.tick.listing.tiers import Slice
from syncd.tick.side_by_side import Beside


@dataclass(slots=True)
class SliceReading:
    """A slice while it is listed."""

    slice: Slice
    gate: DaySplitter
    sealed: Mapping[str, SealedDay]
    beside: Beside | None
    """The destination's listing, if that side is listed too."""
    rules: Rules
    rules_opened: Rules
    """The rules for the sealed day that is being planned key by key."""
    opened_day: str = ""
    """The sealed day that is partly planned already, since it is too large for memory."""
    replicas_left: Mapping[str, LogObject] | None = None
    """Its replicas after that part."""
