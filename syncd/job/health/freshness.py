"""The freshness of a job: deadlines for its objective, and how long its objects took. Pure.

Times are seconds since the epoch, spans seconds.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import NamedTuple

from syncd.model.objects import FoundBy, Shard, ShardState
from syncd.model.reports import LAG_BOUNDS
from syncd.tick.listing.horizon import searched_at
from syncd.tick.task import lateness_of

# A shard that was quiet for eight times a span may stay unlisted for that span (`tiers.shards_to_visit`).
_QUIET_TIMES = 8
# The first tick after that span lists it, and the result is known when that tick has ended.
_TICKS_MORE = 2
# A deep round begins once in `deep_every` and takes a 48th of it (`tiers`).
_ROUND_AND_ITS_SLICES = 1 + 2 / 48


class Promise(NamedTuple):
    """The intervals that a job's freshness is judged by."""

    objective: float
    """The time allowed for copying an object, counted from the end of its lateness."""
    lateness: float
    """The lateness of every kind but digests, which CloudTrail delivers later."""
    period: float
    """The time from one tick to the next."""
    idle_every: float
    """The longest time between two listings of a quiet shard."""
    discovery_every: float
    """The longest time between two searches of a folder for new accounts, kinds and regions."""
    recent_every: float = 3600.0
    deep_every: float = 86400.0

    def lateness_of(self, kind: str) -> float:
        """Return the lateness of one kind of log."""
        return lateness_of(kind, self.lateness)

    def search(self, found_by: FoundBy) -> float:
        """Return how long beyond the objective a key may wait to be listed."""
        if found_by is FoundBy.TAIL:
            return 0.0
        every = self.recent_every if found_by is FoundBy.RECENT else self.deep_every * _ROUND_AND_ITS_SLICES
        return every + _TICKS_MORE * self.period


class Deadline(NamedTuple):
    """The time at which a job misses its objective if nothing more happens."""

    at: float
    """0.0 if a first listing has not finished yet."""
    shard: Shard | None
    """The shard that is due then; None for the discovery of shards."""


def is_quiet(state: ShardState, span: float) -> bool:
    """Return True if a shard is quiet enough to stay unlisted for this span."""
    return state.listed_at - state.newest_arrival > span * _QUIET_TIMES


def fresh_until(state: ShardState, promise: Promise) -> float:
    """Return when a shard misses the objective if it is not listed again.

    Missing objects count by their own stamp. A quiet shard counts by its last listing, which may be as old as the job
    allows. Returns 0.0 if no listing of the shard has finished.
    """
    if not state.listed_at:
        return 0.0
    lateness = promise.lateness_of(state.shard.kind)
    allowed = promise.objective
    is_held = state.complete_until + lateness < searched_at(state) - 1
    if not is_held and is_quiet(state, promise.period):
        allowed = max(allowed, promise.idle_every + _TICKS_MORE * promise.period)
    return state.complete_until + lateness + allowed + promise.search(state.found_by)


def deadline(states: Iterable[ShardState], *, discovered_at: float, promise: Promise) -> Deadline:
    """Return when a job misses its objective, and the shard that decides it."""
    if not discovered_at:
        return Deadline(0.0, None)
    longest = promise.discovery_every + _TICKS_MORE * promise.period
    found = Deadline(discovered_at + max(promise.objective, longest), None)
    for state in states:
        found = min(found, Deadline(fresh_until(state, promise), state.shard), key=lambda item: item.at)
    return found


class Look(NamedTuple):
    """The last listing and the last arrival, which tell a quiet source from a missing listing."""

    listed_at: float
    """The oldest of the shards' last listings; 0.0 if a shard has none, or there is no shard."""
    newest_arrival: float
    """The newest LastModified in any shard; 0.0 for none."""
    quiet_shards: int
    """The number of shards that are quiet, and so listed less often than in each tick."""


def last_look(states: Sequence[ShardState], promise: Promise) -> Look:
    """Return when the job's shards were last listed, and their newest arrival."""
    return Look(
        listed_at=min((state.listed_at for state in states), default=0.0),
        newest_arrival=max((state.newest_arrival for state in states), default=0.0),
        quiet_shards=sum(is_quiet(state, promise.period) for state in states if state.listed_at),
    )


class Lags(NamedTuple):
    """The times from LastModified to the copy, of the objects of some ticks."""

    since: float = 0.0
    """The begin of the first of these ticks; 0.0 if there is none."""
    objects: int = 0
    copied_late: int = 0
    """Objects that took longer than the objective."""
    worst: float = 0.0
    p50: float | None = None
    """The median, as precise as the histogram; None if there are no objects."""
    p95: float | None = None
    p99: float | None = None

    @property
    def within_objective(self) -> float | None:
        """The share of objects copied within the objective, or None without objects."""
        return 1 - self.copied_late / self.objects if self.objects else None


def lags_of(ticks: Iterable[tuple[float, Mapping[str, int], int, float]]) -> Lags:
    """Add up the lags of ticks: (began at, lag histogram, copied late, worst lag) each."""
    histogram: Counter[str] = Counter()
    since, late, worst = 0.0, 0, 0.0
    for began_at, lags, copied_late, worst_lag in ticks:
        histogram.update(lags)
        since = min(since, began_at) if since else began_at
        late += copied_late
        worst = max(worst, worst_lag)
    return Lags(
        since=since,
        objects=histogram.total(),
        copied_late=late,
        worst=worst,
        p50=percentile(histogram, 0.5, worst=worst),
        p95=percentile(histogram, 0.95, worst=worst),
        p99=percentile(histogram, 0.99, worst=worst),
    )


def percentile(histogram: Mapping[str, int], share: float, *, worst: float) -> float | None:
    """Return the lag that this share did not exceed, or None without lags."""
    wanted = sum(histogram.values()) * share
    if not wanted:
        return None
    seen = 0
    for bound in LAG_BOUNDS:
        seen += histogram.get(str(bound), 0)
        if seen >= wanted:
            return min(float(bound), worst)
    return worst


def within_words(lags: Lags) -> str:
    """Put the share in words: `99.7 % of 1,204 new objects were copied within it`."""
    share = lags.within_objective
    if share is None:
        return "no new object was copied lately"
    # Rounded down, so that 100 % means all of them.
    percent = int(share * 1000) / 10
    return f"{percent:g} % of {lags.objects:,} new objects were copied within it"


def bound(seconds: float) -> str:
    """Format an upper bound, rounded up: `within 2s` holds for 1.8 seconds, `within 1s` does not."""
    whole = ceil(seconds)
    # The third unit is not shown, so it is rounded up too.
    unit = next((below for unit, below in ((86400, 3600), (3600, 60)) if whole >= unit), 1)
    return span(-(-whole // unit) * unit)


def span(seconds: float) -> str:
    """Format a span for people in its two largest units: `45s`, `3m`, `1h12m`, `2d3h`."""
    rest = max(0, int(seconds))
    parts = []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
        elif parts:
            break
    return "".join(parts[:2]) or "0s"
