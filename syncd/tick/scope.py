"""A job's configuration as the values that its tick works with."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta

from syncd.config.job import Job, StartPoint
from syncd.model.keys.layout import CloudTrailLayout, FlatLayout, Layout
from syncd.model.keys.patterns import PatternLayout
from syncd.model.keys.stamps import DAY_SECONDS, date_start
from syncd.model.keys.trail import Scope, exact_prefixes
from syncd.model.objects import Replica, Shard
from syncd.tick.task import Pace


def scope_of(job: Job) -> Scope | None:
    """Return the accounts, kinds and regions of the job. Returns None for layouts without them."""
    source = job.source
    if not source.is_cloudtrail:
        return None
    return Scope(
        source.prefix,
        source.organization_ids,
        _listed(source.accounts),
        _listed(source.kinds),
        _listed(source.regions),
        source.ignore,
    )


def _listed(wanted: str | Sequence[str]) -> tuple[str, ...]:
    return (wanted,) if isinstance(wanted, str) else tuple(wanted)


def layout_of(job: Job) -> Layout:
    """Return the key grammar of the source."""
    if job.source.is_cloudtrail:
        return CloudTrailLayout()
    if job.source.date_pattern is None:
        return FlatLayout()
    return PatternLayout(_pattern(job)[1])


def shard_of(job: Job) -> Shard | None:
    """Return the one shard of a layout without accounts. Returns None for CloudTrail's."""
    if job.source.is_cloudtrail:
        return None
    if job.source.date_pattern is None:
        return Shard(flat_prefix(job))
    return Shard(_pattern(job)[0])


def flat_prefix(job: Job) -> str:
    """Return the prefix of a flat layout as given, so that `logs` includes `logs-2025/`."""
    return job.source.prefix


def _pattern(job: Job) -> tuple[str, str]:
    """Split a date pattern in front of its dates."""
    assert job.source.date_pattern is not None
    filled = job.source.date_pattern.replace("{prefix}", job.source.prefix).lstrip("/")
    cut = filled.index("%")
    return filled[:cut], filled[cut:]


def source_prefixes(job: Job) -> list[str]:
    """Return the narrowest prefixes that the job lists and reads."""
    scope = scope_of(job)
    if scope is not None:
        return exact_prefixes(scope)
    shard = shard_of(job)
    assert shard is not None
    return [shard.prefix]


def replica_of(job: Job) -> Replica:
    """Return the replica that owns the job's rows. Another source or destination is another replica."""
    return Replica(
        source_bucket=job.source.bucket,
        source_prefix=job.source.prefix,
        destination_endpoint=job.endpoints.destination or "",
        destination_bucket=job.destination.bucket,
        destination_prefix=job.destination.prefix,
    )


def pace_of(job: Job) -> Pace:
    """Return the job's durations in seconds."""
    listing = job.listing
    return Pace(
        tail=listing.tail.total_seconds(),
        recent=listing.recent.total_seconds(),
        recent_every=listing.recent_every.total_seconds(),
        deep=listing.deep_days * DAY_SECONDS,
        deep_every=listing.deep_every.total_seconds(),
        discovery_every=listing.discovery_every.total_seconds(),
        idle_every=listing.idle_every.total_seconds(),
        lateness=job.lateness.total_seconds(),
        audit_every=listing.audit.total_seconds(),
        audit_sealed_every=listing.audit_sealed.total_seconds(),
    )


def start_of(job: Job) -> Callable[[float], float]:
    """Return a function from the time of the first tick to the job's start."""
    start = job.start
    if start is StartPoint.BEGINNING:
        return lambda _: 0.0
    if start is StartPoint.NOW:
        return lambda now: now
    if isinstance(start, timedelta):
        span = start.total_seconds()
        return lambda now: max(1.0, now - span)
    assert isinstance(start, date)
    instant = date_start(start)
    return lambda _: instant
