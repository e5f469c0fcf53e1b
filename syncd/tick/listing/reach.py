"""The reach of a tick's listings: the days they have come to, from which the rest is estimated."""

from typing import NamedTuple

from syncd.model.keys.stamps import DAY_SECONDS, day_start
from syncd.model.objects import Range


class _Days(NamedTuple):
    first: str
    last: str
    is_ended: bool


class Reach:
    """The days that the listings of one tick have come to. Keys without a day in their folders have none."""

    def __init__(self, ranges: int = 0) -> None:
        self._ranges = ranges
        self._days: dict[Range, _Days] = {}
        self.is_whole = False
        """All listings have ended, so that everything there is to copy is known."""

    def take(self, wanted: Range, first: str, last: str, *, is_last: bool) -> None:
        """Note a page by the days of its first and last keys, `YYYY-MM-DD` or empty."""
        before = self._days.get(wanted)
        if before is not None:
            first, last = before.first, max(before.last, last)
        self._days[wanted] = _Days(first, last, is_last)

    def end(self) -> None:
        """Note that every listing has ended."""
        self.is_whole = True

    @property
    def day(self) -> str:
        """The day that the listing furthest behind has come to, or an empty text."""
        if len(self._days) < self._ranges:
            return ""
        return min((days.last for days in self._days.values() if not days.is_ended), default="")

    def share(self, now: float) -> float | None:
        """Return the share of the days that is listed, or None if it is unknown."""
        days = self._days.values()
        if not days or not all(item.is_ended or item.first for item in days):
            return None
        return sum(_share(item, now) for item in days) / self._ranges


def _share(days: _Days, now: float) -> float:
    if days.is_ended:
        return 1.0
    first = day_start(days.first)
    whole = max(DAY_SECONDS, now - first)
    return min(1.0, max(0.0, (day_start(days.last) - first) / whole))
