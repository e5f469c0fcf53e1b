"""Whether a job keeps its objective: how old what it does not have may be, and how long objects took. Pure.

Times are seconds since the epoch, spans seconds.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from syncd.model.objects import FoundBy, Shard, ShardState
from syncd.model.reports import LAG_BOUNDS
from syncd.tick.listing.horizon import searched_at
from syncd.tick.task import lateness_of

# A shard that was quiet for eight times as long as a span may be left alone for that span (`tiers.shards_to_visit`).
_QUIET_TIMES = 8
# What may be left alone for a span is looked at in the first tick after it, and known to be when that tick has ended.
_TICKS_MORE = 2
# A deep round begins once in `deep_every` and takes a 48th of it (`tiers`).
_ROUND_AND_ITS_SLICES = 1 + 2 / 48


class Promise(NamedTuple):
    """What a job is held to."""

    objective: float
    """How late an object may be copied, counted from when its lateness is over."""
    lateness: float
    """Of every kind but the digests, which CloudTrail delivers later."""
    period: float
    """From one tick to the next."""
    idle_every: float
    """How long a quiet shard may be left alone."""
    discovery_every: float
    """How long a folder may go without being looked at for new accounts, kinds and regions."""
    recent_every: float = 3600.0
    deep_every: float = 86400.0

    def lateness_of(self, kind: str) -> float:
        """Return the lateness of one kind of log."""
        return lateness_of(kind, self.lateness)

    def search(self, found_by: FoundBy) -> float:
        """Return how long a new key may wait for the listing that is sure to find it, beyond the objective."""
        if found_by is FoundBy.TAIL:
            return 0.0
        every = self.recent_every if found_by is FoundBy.RECENT else self.deep_every * _ROUND_AND_ITS_SLICES
        return every + _TICKS_MORE * self.period


class Deadline(NamedTuple):
    """Until when a job keeps its objective if nothing more is done."""

    at: float
    """0.0 where a listing has not come to its end yet."""
    shard: Shard | None
    """Which shard's turn that is; None for the discovery of shards."""


def is_quiet(state: ShardState, span: float) -> bool:
    """Whether nothing has arrived in a shard for so long that it may be left alone for longer than this span."""
    return state.listed_at - state.newest_arrival > span * _QUIET_TIMES


def fresh_until(state: ShardState, promise: Promise) -> float:
    """Until when a shard keeps the objective if it is not listed again; 0.0 where it was never listed to its end.

    What is missing counts by its own stamp; a quiet shard counts by its last listing, which may be as old as the job
    lets it be.
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
    """Until when a job keeps its objective, and which shard decides."""
    if not discovered_at:
        return Deadline(0.0, None)
    longest = promise.discovery_every + _TICKS_MORE * promise.period
    found = Deadline(discovered_at + max(promise.objective, longest), None)
    for state in states:
        found = min(found, Deadline(fresh_until(state, promise), state.shard), key=lambda item: item.at)
    return found


class Look(NamedTuple):
    """When a job was last looked at, and what was last seen to arrive: no news is not the same as not looking."""

    listed_at: float
    """When the shard that was listed longest ago was listed; 0.0 where one never was to its end, or there is none."""
    newest_arrival: float
    """The newest LastModified in any shard; 0.0 for none."""
    quiet_shards: int
    """Shards without a new object for so long that they are listed less often than each tick."""


def last_look(states: Sequence[ShardState], promise: Promise) -> Look:
    """When the job's shards were last looked at, and what for."""
    return Look(
        listed_at=min((state.listed_at for state in states), default=0.0),
        newest_arrival=max((state.newest_arrival for state in states), default=0.0),
        quiet_shards=sum(is_quiet(state, promise.period) for state in states if state.listed_at),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lags:
    """How long the objects of some ticks took from LastModified to their copy."""

    since: float = 0.0
    """When the first of these ticks began; 0.0 where there were none."""
    objects: int = 0
    copied_late: int = 0
    """Those that took longer than the objective."""
    worst: float = 0.0
    p50: float | None = None
    """Half of the objects took no longer than this, as far as the histogram tells; None where there were none."""
    p95: float | None = None
    p99: float | None = None

    @property
    def within_objective(self) -> float | None:
        """The share of objects that were copied within the objective; None where there were none."""
        return 1 - self.copied_late / self.objects if self.objects else None


def lags_of(ticks: Iterable[tuple[float, Mapping[str, int], int, float]]) -> Lags:
    """The lags of some ticks, each of them (began at, lag histogram, copied late, worst lag)."""
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
    """What this share of the lags in a histogram did not exceed, the worst of them being known; None for no lags."""
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
    """The percentile in words, such as `99.7 % of 1,204 objects were copied within it`."""
    share = lags.within_objective
    if share is None:
        return "no new object was copied lately"
    # Rounded down: 100 % is said of all and nothing less.
    percent = int(share * 1000) / 10
    return f"{percent:g} % of {lags.objects:,} new objects were copied within it"


def span(seconds: float) -> str:
    """A span for people, in its two largest units: `45s`, `3m`, `1h12m`, `2d3h`."""
    rest = max(0, int(seconds))
    parts = []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
        elif parts:
            break
    return "".join(parts[:2]) or "0s"
