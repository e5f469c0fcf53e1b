"""The logs of a replica that no digest names: which of them are extra, which wait for a digest, which none covers. Pure."""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from math import inf
from typing import NamedTuple

from syncd.model.keys.stamps import DAY_SECONDS, day_folder, day_start, stamp_of

NAMED_WITHIN_SECONDS = 1800.0
"""A log is delivered so long after its stamp at most, as a rule, and the next digest names it."""

_OVERLAPPING = 16
"""Trails of one account and region whose spans are looked at."""


class Unnamed(NamedTuple):
    """Objects of the replica that no digest names."""

    extra: Sequence[str]
    """Objects of a time of which a trusted digest tells."""
    after: Sequence[str]
    """Logs that are newer than the newest digest accounts for."""
    uncovered: Mapping[str, int]
    """Kinds that no digest names anything of, and how many objects there are."""


def sorted_out(
    keys: Iterable[str],
    kinds: Mapping[str, str],
    named_kinds: Collection[str],
    asked: tuple[float, float],
    newest_end: float,
    good: Sequence[tuple[float, float]],
) -> Unnamed:
    """Sort out the keys that no digest names.

    Args:
        keys: the keys.
        kinds: the prefix of each kind.
        named_kinds: kinds of which digests name something.
        asked: the span that is asked about.
        newest_end: the end of the newest digest; 0.0 if there is none.
        good: the spans of trusted digests, sorted. Those of several trails may overlap.
    """
    extra, after = [], []
    uncovered: dict[str, int] = {}
    for key in keys:
        kind = next(kind for kind, prefix in kinds.items() if key.startswith(prefix))
        first, last = times_of(key)
        if last < asked[0] or first >= asked[1]:
            continue
        if kind not in named_kinds and kind != "CloudTrail":
            uncovered[kind] = uncovered.get(kind, 0) + 1
        elif first > newest_end:
            after.append(key)
        elif first <= newest_end - NAMED_WITHIN_SECONDS and _overlap(first, last, good):
            extra.append(key)
    return Unnamed(sorted(extra), sorted(after), uncovered)


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


def _overlap(first: float, last: float, spans: Sequence[tuple[float, float]]) -> bool:
    """Return True if a span holds a part of the time."""
    before = bisect_right(spans, (last, inf))
    if first < last:
        return any(end > first for _, end in spans[:before])
    return any(end > first for _, end in spans[max(0, before - _OVERLAPPING) : before])
