"""The days of a job: their objects in the ledger, and whether they are complete and proved."""

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from enum import StrEnum
from itertools import dropwhile
from typing import NamedTuple

from syncd.config.job import Job
from syncd.job.health.proofs import Doubt
from syncd.job.health.state import JobState
from syncd.ledger.ledger import Reader
from syncd.model.keys.stamps import DAY_SECONDS, day_start, utc_day
from syncd.tick.listing import horizon
from syncd.tick.scope import pace_of, replica_of

MONTHS = 13
_MOST_JOBS = 20
_KEPT_TIMES = 50


class DayState(StrEnum):
    """The state of a day. The worst comes first."""

    GAP = "gap"
    """An object is known and not at the destination, or a span is not proved."""
    OPEN = "not complete yet"
    COMPLETE = "complete"
    PROVED = "proved"
    OUTSIDE = "before the replica begins"


class Day(NamedTuple):
    """One UTC day of a job."""

    day: date
    state: DayState
    objects: int = 0
    size_bytes: int = 0
    missing: int = 0
    """Objects that are known and not at the destination."""
    doubts: int = 0
    """Spans that are not proved."""


Volumes = Mapping[str, tuple[int, int]]
"""Objects and bytes by day, `YYYY-MM-DD`."""


def first_day(now: float) -> str:
    """Return the first day of the oldest month that is shown."""
    today = date.fromisoformat(utc_day(now))
    month = today.year * 12 + today.month - MONTHS
    return date(month // 12, month % 12 + 1, 1).isoformat()


def days_of(job: Job, state: JobState, volumes: Volumes, *, now: float) -> list[Day]:
    """Return the days from the first one of which anything is known until today.

    Returns none if no key has a day: then nothing can be said of one.
    """
    if not volumes:
        return []
    whole = _Whole.of(job, state, now)
    missing = Counter(int(stamp // DAY_SECONDS) for stamp in state.quarantine.stamps)
    days = [
        _day(day, volumes.get(day.isoformat(), (0, 0)), missing, state.proof.doubts, whole)
        for day in _every_day(first_day(now), utc_day(now))
    ]
    return list(dropwhile(lambda day: day.state is DayState.OUTSIDE and not day.objects, days))


class VolumeCache:
    """Objects and bytes by day of the jobs that were looked at last. Any thread may call it.

    Counting a million objects takes half a second, so a count is kept fifty times as long as it took.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, Volumes]] = OrderedDict()

    def of(self, job: Job, reader: Reader, *, now: float) -> Volumes:
        """Return the volumes of the days that are shown.

        Raises:
            LedgerError: the state cannot be read.
        """
        began_at = time.monotonic()
        with self._lock:
            until, kept = self._kept.get(job.name, (0.0, {}))
        if began_at < until:
            return kept
        found = reader.view(replica_of(job)).volume(first_day(now), utc_day(now))
        ended_at = time.monotonic()
        with self._lock:
            self._kept[job.name] = ended_at + _KEPT_TIMES * (ended_at - began_at), found
            self._kept.move_to_end(job.name)
            while len(self._kept) > _MOST_JOBS:
                self._kept.popitem(last=False)
        return found


class _Whole(NamedTuple):
    """The spans that are complete and proved, whatever is missing in them."""

    complete_from: float
    complete_until: float
    proved_from: float
    proved_until: float

    @classmethod
    def of(cls, job: Job, state: JobState, now: float) -> "_Whole":
        pace, shards = pace_of(job), state.shards
        if state.quarantine.stamps:
            # What is missing holds the horizon back. Here it is a gap of its own day, and later days may be complete.
            shards = [horizon.claimed(shard, pace=pace, missing=()) for shard in shards]
        complete = horizon.horizon(shards, discovered_at=state.discovered_at, pace=pace, now=now)
        return cls(*complete, state.proof.proved_from, state.proof.proved_until)


def _day(day: date, volume: tuple[int, int], missing: Mapping[int, int], doubts: Sequence[Doubt], whole: _Whole) -> Day:
    begin = day_start(day.isoformat())
    end = begin + DAY_SECONDS
    absent = missing.get(int(begin // DAY_SECONDS), 0)
    doubted = sum(doubt.start < end and doubt.end > begin for doubt in doubts)
    if absent or doubted:
        state = DayState.GAP
    elif end <= whole.complete_from or (not whole.complete_until and not volume[0]):
        state = DayState.OUTSIDE
    elif end > whole.complete_until:
        state = DayState.OPEN
    elif max(begin, whole.complete_from) >= whole.proved_from and end <= whole.proved_until:
        state = DayState.PROVED
    else:
        state = DayState.COMPLETE
    return Day(day, state, *volume, absent, doubted)


def _every_day(first: str, last: str) -> Iterator[date]:
    day, end = date.fromisoformat(first), date.fromisoformat(last)
    while day <= end:
        yield day
        day += timedelta(days=1)
