"""How each job stands, as the ledger tells it: read once a tick, and judged whenever somebody asks.

What is read holds instants rather than ages, so that it stays true while nothing happens and grows old by itself.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from syncd.config.job import Job
from syncd.job.health.freshness import Deadline, Lags, Look, Promise, deadline, lags_of, last_look, span
from syncd.job.report import utc
from syncd.ledger.ledger import HeldOverview, LedgerView, Reader, RecordedTick
from syncd.model import reasons
from syncd.model.escaping import safe_key, safe_line
from syncd.model.keys.trail import in_scope, wanted_by
from syncd.model.objects import Quarantined, ShardState
from syncd.model.reasons import Reason
from syncd.model.reports import JobError, TickReport
from syncd.tick.listing import horizon
from syncd.tick.listing.tiers import as_of
from syncd.tick.scope import layout_of, pace_of, replica_of, scope_of, shard_of, source_prefixes

TICKS_READ = 60
_TICK = "tick"
_OTHER_KINDS = "other"
_MOST_KINDS = 12
_PREFIXES_TOLD = 3
_NEVER = Deadline(0.0, None)
_NOT_LOOKED = Look(0.0, 0.0, 0)


class Pulse(NamedTuple):
    """One tick, as far as a sparkline shows it."""

    began_at: float
    seconds: float
    copied: int
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a job stood when it was last read."""

    job: str
    promise: Promise
    last: TickReport | None = None
    """The last tick, catch-ups left aside; None where there was none."""
    pulses: Sequence[Pulse] = ()
    """The last ticks, oldest first."""
    complete_from: float = 0.0
    complete_until: float = 0.0
    deadline: Deadline = _NEVER
    look: Look = _NOT_LOOKED
    lags: Lags = field(default_factory=Lags)
    shards: int = 0
    has_found: bool = True
    """Any object of the job was ever listed."""
    prefixes: Sequence[str] = ()
    """Under which the job looks."""
    uncovered: Sequence[str] = ()
    """Folders of the source that the job neither covers nor ignores."""
    audited_at: float = 0.0
    """When the audit of the shard that was audited longest ago began: of the keys that are remembered one by one."""
    sealed_audited_at: float = 0.0
    """The same of sealed days."""
    kinds: Mapping[str, float] = field(default_factory=dict)
    """`complete_until` by kind of log."""
    held: int = 0
    """Objects that are known and not at the destination."""
    held_reasons: Mapping[str, int] = field(default_factory=dict)
    oldest_held: Quarantined | None = None

    @property
    def finished_at(self) -> float:
        """When the last tick ended; 0.0 for never."""
        return self.last.started_at + self.last.duration_seconds if self.last else 0.0

    @property
    def error(self) -> JobError | None:
        """Why the last tick could not go on."""
        return self.last.error if self.last else None


def promise_of(job: Job) -> Promise:
    """What the job is held to."""
    return Promise(
        objective=job.objective_effective.total_seconds(),
        lateness=job.lateness.total_seconds(),
        period=job.period.total_seconds(),
        idle_every=job.listing.idle_every.total_seconds(),
        discovery_every=job.listing.discovery_every.total_seconds(),
        recent_every=job.listing.recent_every.total_seconds(),
        deep_every=job.listing.deep_every.total_seconds(),
    )


def read_standing(job: Job, reader: Reader, *, now: float) -> Standing:
    """Return how a job stands.

    Raises:
        LedgerError: the state cannot be read.
    """
    standing, _ = read_with_held(job, reader, shown=1, now=now)
    return standing


def read_with_held(job: Job, reader: Reader, *, shown: int, now: float) -> tuple[Standing, HeldOverview]:
    """Return how a job stands, and what it has not at its destination, with the first so many of it.

    Raises:
        LedgerError: the state cannot be read.
    """
    view = reader.view(replica_of(job))
    held = held_of(job, view, shown=shown)
    standing = standing_of(
        job,
        shards_of(job, view.shards()),
        held,
        reader.ticks(job.name, TICKS_READ),
        discovered_at=view.discovered_at(),
        uncovered=view.uncovered(),
        now=now,
    )
    return standing, held


def standing_of(
    job: Job,
    states: Sequence[ShardState],
    held: HeldOverview,
    recorded: Sequence[RecordedTick],
    *,
    discovered_at: float,
    now: float,
    uncovered: Collection[str] = (),
) -> Standing:
    """Return the same from what was read; `recorded` has the newest first."""
    has_found = horizon.has_found(states) or bool(held.counts.objects)
    states = [as_of(state, now) for state in states]
    ticks = [tick for tick in recorded if tick.kind == _TICK]
    promise = promise_of(job)
    complete_from, complete_until = horizon.horizon(
        states,
        discovered_at=discovered_at,
        pace=pace_of(job),
        now=now,
        missing=held.stamps,
    )
    return Standing(
        job=job.name,
        promise=promise,
        last=ticks[0].report if ticks else None,
        pulses=[_pulse(tick) for tick in reversed(ticks)],
        complete_from=complete_from,
        complete_until=complete_until,
        deadline=deadline(states, discovered_at=discovered_at, promise=promise),
        look=last_look(states, promise),
        lags=lags_of(_lags(tick.report) for tick in ticks),
        shards=len(states),
        has_found=has_found,
        prefixes=source_prefixes(job),
        uncovered=sorted(uncovered),
        audited_at=min((state.audited_at for state in states), default=0.0),
        sealed_audited_at=min((state.sealed_audited_at for state in states), default=0.0),
        kinds=_by_kind(states),
        held=held.counts.objects,
        held_reasons=held.counts.by_reason,
        oldest_held=held.longest[0] if held.longest else None,
    )


def held_of(job: Job, view: LedgerView, *, shown: int) -> HeldOverview:
    """Return what a job has not at its destination, with the first of it; there may be more than memory should hold.

    Raises:
        LedgerError: the state cannot be read.
    """
    return view.held_overview(shown, layout_of(job).stamp, wanted_by(scope_of(job)))


def shards_of(job: Job, shards: Mapping[str, ShardState]) -> list[ShardState]:
    """Those of the remembered shards that the job wants now, in the order of their prefixes."""
    scope, only = scope_of(job), shard_of(job)
    return [
        state
        for _, state in sorted(shards.items())
        if (in_scope(state.shard, scope) if scope is not None else state.shard == only)
    ]


def is_fresh(standing: Standing, now: float) -> bool:
    """Whether the job keeps its objective: it ticked lately, and its horizon is where it should be."""
    return _has_ticked(standing, now) and bool(standing.complete_until) and now <= standing.deadline.at


def late_reasons(standing: Standing, now: float, *, with_failure: bool = True) -> list[str]:
    """Why a job is not as fresh as it is held to be, in sentences; none where it is.

    `with_failure` adds why its last tick failed, and what to do about it.
    """
    promise, last = standing.promise, standing.last
    if last is None:
        return ["it has never ticked"]
    why = []
    if not _has_ticked(standing, now):
        why.append(
            f"its last tick ended {span(now - standing.finished_at)} ago, and one is due every {span(promise.period)}"
        )
    if not standing.has_found:
        where = ", ".join(f"{prefix or 'the whole bucket'}" for prefix in standing.prefixes[:_PREFIXES_TOLD])
        why.append(f"nothing found yet under {where}")
        why.append("what to do: compare source.prefix, accounts, kinds and regions with the keys of the bucket")
    elif not standing.complete_until:
        waits = "its horizon waits for the folders that are uncovered"
        why.append(waits if standing.uncovered else "no listing of it has come to its end yet")
    elif now > standing.deadline.at:
        shard = standing.deadline.shard
        where = f", held by {safe_line(shard.prefix)}" if shard else ""
        allowed = f"{span(promise.objective)} beyond {span(promise.lateness)}"
        why.append(
            f"it is complete up to {utc(standing.complete_until)}, {span(now - standing.complete_until)} ago,"
            f" and its objective is {allowed}{where}"
        )
    if why and with_failure:
        why += trouble(standing)
    return why


def trouble(standing: Standing) -> list[str]:
    """Why the last tick failed and what is not at the destination, in sentences, each with what to do about it."""
    why = []
    if standing.uncovered:
        named = ", ".join(standing.uncovered[:_PREFIXES_TOLD])
        why.append(f"{len(standing.uncovered)} folders of the source are uncovered: {named}")
        why.append("what to do: give them a job of their own, or leave them out with source.ignore")
    if (error := standing.error) is not None:
        why += [failure_words(error), f"what to do: {safe_line(error.remedy)}"]
    if (oldest := standing.oldest_held) is not None:
        why.append(f"{missing_words(standing)}{safe_key(oldest.object.key)} ({answer_words(oldest)})")
        remedy = reasons.remedy_of(oldest.reason, job=standing.job, key=oldest.object.key)
        if error is None or error.remedy != remedy:
            why.append(f"what to do: {remedy}")
    return why


def missing_words(standing: Standing) -> str:
    """How many objects are known and not at the destination; the key of the first is to follow."""
    if standing.held == 1:
        return "1 object is known and not at the destination: "
    return f"{standing.held:,} objects are known and not at the destination, the first of them "


def answer_words(held: Quarantined) -> str:
    """Why an object is not at the destination, and what was answered, which names the principal."""
    return f"{held.reason}: {safe_line(held.detail)}" if held.detail else held.reason


def _has_ticked(standing: Standing, now: float) -> bool:
    longest = max(standing.promise.objective, 2 * standing.promise.period)
    return standing.last is not None and now - standing.finished_at <= longest


def failure_words(error: JobError) -> str:
    """A failed tick in a sentence."""
    if error.reason == Reason.CONFIGURATION:
        return f"its file cannot be used, and it does not run: {safe_line(error.detail)}"
    return f"its last tick failed: {error.reason}: {safe_line(error.detail)}"


def objective_document(standing: Standing, now: float) -> dict[str, Any]:
    """Whether the objective is met, and how long the objects of the last ticks took, as JSON has it."""
    lags = standing.lags
    share = lags.within_objective
    return {
        "objective": "met" if is_fresh(standing, now) else "missed",
        "objective_seconds": standing.promise.objective,
        "within_objective": None if share is None else round(share, 6),
        "objects": lags.objects,
        "objects_since": utc(lags.since),
        "lag_seconds_p50": lags.p50,
        "lag_seconds_p95": lags.p95,
        "lag_seconds_p99": lags.p99,
        "lag_seconds_worst": round(lags.worst, 1) if lags.objects else None,
        "newest_object": utc(standing.look.newest_arrival),
        "oldest_listing": utc(standing.look.listed_at),
        "quiet_shards": standing.look.quiet_shards,
    }


def _lags(report: TickReport) -> tuple[float, Mapping[str, int], int, float]:
    return report.started_at, report.lags, report.copied_late, report.worst_lag_seconds


def _pulse(tick: RecordedTick) -> Pulse:
    report = tick.report
    return Pulse(report.started_at, report.duration_seconds, report.copied, report.outcome)


def _by_kind(states: Sequence[ShardState]) -> dict[str, float]:
    """The horizon of each kind; an unusual number of kinds is lumped together, since each is a series of metrics."""
    kinds: dict[str, float] = {}
    for state in states:
        kind = state.shard.kind or _OTHER_KINDS
        if kind not in kinds and len(kinds) >= _MOST_KINDS:
            kind = _OTHER_KINDS
        kinds[kind] = min(kinds.get(kind, state.complete_until), state.complete_until)
    return kinds
