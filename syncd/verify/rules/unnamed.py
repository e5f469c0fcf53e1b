"""The logs of a place that no digest has named so far, listed only as far as the digests have come. Pure.

The digests go from the oldest to the newest, and so do the listings. What a digest names is let go of, so that memory does not
grow with the logs of a sound replica.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import chain
from math import inf
from typing import NamedTuple

from syncd.model.keys import vouched
from syncd.model.keys.stamps import DAY_SECONDS, day_folder, day_start, stamp_of
from syncd.verify.rules.place import Stored
from syncd.verify.rules.verdict import Span, Verdict

NAMED_WITHIN_SECONDS = 1800.0
"""A log is delivered so long after its stamp at most, as a rule, and the next digest names it."""
OVERDUE_SECONDS = 3 * 3600.0
"""CloudTrail delivers a digest each hour, 26 to 31 minutes after its end, and also if nothing happened."""

LOGS = "CloudTrail"
"""The kind that digests cover. Whatever else they name, they cover too."""
_READ_AHEAD_SECONDS = 3600.0
_LATEST_SECONDS = 2 * DAY_SECONDS
_AFTER_LISTED = 1000
_OVERLAPPING = 16
"""Trails of one account and region whose spans are looked at."""


class Left(NamedTuple):
    """The logs that no digest named, at the end."""

    extra: Sequence[str]
    """Although their time is proved."""
    in_flight: Sequence[str]
    """Copied after the newest digest, so that the next one may name them."""
    after: Sequence[str]
    """Newer than the newest digest accounts for: the oldest of them."""
    overdue: int
    """The number of those that a digest should have named by now."""
    uncovered: Mapping[str, int]
    """The number of objects of each kind that no digest names anything of."""


class Unnamed:
    """The logs of one place."""

    def __init__(
        self,
        listings: Mapping[str, Iterator[Stored]],
        spans: Callable[[], Sequence[Span]],
        *,
        first: float,
        last: float,
    ) -> None:
        """`listings` are those of each kind, the oldest day first, and `spans` gives those of all digests so far.

        Only logs with a stamp in [first, last) are told of.
        """
        self._listings = dict(listings)
        self._spans = spans
        self._next: dict[str, Stored] = {}
        self._first, self._last = first, last
        self._left: dict[str, tuple[str, Stored]] = {}
        self._ahead: set[str] = set()
        self._until = 0.0
        self._let_go_until = 0.0
        self._named_kinds = {LOGS}
        self._uncovered: Counter[str] = Counter()

    def read_until(self, end: float) -> None:
        """List the logs that a digest with this end may name."""
        self._until = max(self._until, end + _READ_AHEAD_SECONDS)
        for kind, item in self._listed():
            self._left[item.key] = kind, item
        if self._until - self._let_go_until > DAY_SECONDS:
            self._let_go(self._until - _LATEST_SECONDS)
            self._let_go_until = self._until

    def _listed(self) -> Iterator[tuple[str, Stored]]:
        """List the logs up to `_until` that no digest has named ahead of their listing."""
        for kind, listing in self._listings.items():
            while (item := self._next.pop(kind, None) or next(listing, None)) is not None:
                if times_of(item.key)[0] > self._until:
                    self._next[kind] = item
                    break
                if item.key in self._ahead:
                    self._ahead.remove(item.key)
                else:
                    yield kind, item

    def name(self, key: str, kind: str) -> Stored | None:
        """Return a log that a digest names, and let go of it. Returns None if it is not listed, or was named before."""
        self._named_kinds.add(kind)
        found = self._left.pop(key, None)
        if found is None:
            # Objects with odd names may hold the listing up.
            self._ahead.add(key)
        return found[1] if found is not None else None

    def beside(self, key: str) -> Stored | None:
        """Return what is listed beside a log as its replacement, and let go of it. Returns None if there is nothing."""
        found = self._left.pop(vouched.beside(key), None)
        return found[1] if found is not None else None

    def left(self, ends: Sequence[float]) -> Left:
        """Read the rest of the listings, and tell the logs apart that no digest named.

        `ends` are those of the newest digest of each chain.
        """
        self._until = inf
        proved = _Proved(self._spans())
        newest = max(ends, default=0.0)
        # Of several trails, each that goes on has a digest under way.
        reached = min((end for end in ends if newest - end <= OVERDUE_SECONDS), default=0.0)
        is_next_overdue = self._last - newest > OVERDUE_SECONDS
        extra: list[str] = []
        in_flight: list[str] = []
        after: list[str] = []
        overdue = 0
        for kind, item in chain(self._left.values(), self._listed()):
            first, last = times_of(item.key)
            if last < self._first or first >= self._last:
                continue
            if kind not in self._named_kinds:
                self._uncovered[kind] += 1
            elif first > newest:
                overdue += last < self._last - OVERDUE_SECONDS
                after += [item.key] if len(after) < _AFTER_LISTED else []
            elif not proved.covers(first, last):
                continue
            elif first < last or vouched.replaced_by(item.key):
                # It is no log, and no digest will name it.
                extra.append(item.key)
            elif item.modified > reached and not is_next_overdue:
                in_flight.append(item.key)
            elif first <= newest - NAMED_WITHIN_SECONDS:
                extra.append(item.key)
        return Left(sorted(extra), sorted(in_flight), sorted(after), overdue, dict(self._uncovered))

    def _let_go(self, before: float) -> None:
        """Let go of old logs that no digest can prove to be extra."""
        proved = _Proved(self._spans())
        for key, (kind, item) in list(self._left.items()):
            first, last = times_of(item.key)
            if last >= before:
                continue
            is_covered = kind in self._named_kinds
            if not is_covered or not proved.covers(first, last):
                del self._left[key]
                self._uncovered[kind] += not is_covered and last >= self._first and first < self._last


def by_time(listings: Sequence[Iterator[Stored]]) -> Iterator[Stored]:
    """Yield the listings of one kind under several prefixes, the oldest day first."""
    return merge(*listings, key=lambda item: item.key.rsplit("/", 4)[1:]) if len(listings) > 1 else listings[0]


class _Proved:
    """The spans of all chains of a place, by the times in which every log has to be named."""

    def __init__(self, spans: Sequence[Span]) -> None:
        good = (Verdict.PROVED, Verdict.UNANCHORED)
        self._good = sorted((span.start, span.end) for span in spans if span.verdict in good)
        # A digest also names logs with a stamp somewhat before its hour.
        self._bad = sorted(
            (span.start - NAMED_WITHIN_SECONDS, span.end)
            for span in spans
            if span.verdict in (Verdict.UNPROVED, Verdict.GAP)
        )

    def covers(self, first: float, last: float) -> bool:
        """Return True if the digests of that time are all there and good, or those of some part of a longer one."""
        if first < last:
            return any(start <= last and end > first for start, end in self._good)
        return _is_within(first, self._good) and not _is_within(first, self._bad)


def _is_within(stamp: float, spans: Sequence[tuple[float, float]]) -> bool:
    """Return True if a span holds the stamp. Spans are sorted. Those of several trails may overlap."""
    before = bisect_right(spans, (stamp, inf))
    return any(end > stamp for _, end in spans[max(0, before - _OVERLAPPING) : before])


def times_of(key: str) -> tuple[float, float]:
    """Return the first and the last second that an object may belong to: its stamp, its day, or any time.

    A name is believed only as far as its day folder bears it out: whoever plants an object chooses its name.
    """
    stamp, folder = stamp_of(key), day_folder("/".join([*key.split("/")[-4:-1], ""]))
    if not folder:
        return (0.0, inf) if stamp is None else (stamp, stamp)
    begin = day_start(folder)
    if stamp is not None and begin - DAY_SECONDS <= stamp < begin + 2 * DAY_SECONDS:
        return stamp, stamp
    return begin, begin + DAY_SECONDS - 1
