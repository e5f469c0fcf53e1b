"""The health of a job, judged from its state once a tick.

It holds instants rather than ages, so that it stays true while nothing happens and ages by itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from syncd.config.job import Job
from syncd.job.health.freshness import Deadline, Lags, Look, Promise, deadline, lags_of, last_look, span
from syncd.job.health.progress import STALLED_SECONDS, Progress, progress_words
from syncd.job.health.proofs import JobProof, doubt_words
from syncd.job.health.state import JobState, read_state
from syncd.job.report import utc
from syncd.ledger.ledger import Reader, RecordedTick
from syncd.model import reasons
from syncd.model.escaping import safe_key, safe_line
from syncd.model.objects import Quarantined, ShardState
from syncd.model.reasons import Reason
from syncd.model.reports import JobError, TickReport
from syncd.tick.listing import horizon
from syncd.tick.listing.tiers import as_of
from syncd.tick.scope import pace_of, source_prefixes
from syncd.tick.task import EARLIEST

_TICK = "tick"
_OTHER_KINDS = "other"
_MOST_KINDS = 12
_PREFIXES_TOLD = 3
_NEVER = Deadline(0.0, None)
_NOT_LOOKED = Look(0.0, 0.0, 0)


class Pulse(NamedTuple):
    """A tick, as a sparkline shows it."""

    began_at: float
    seconds: float
    copied: int
    outcome: str


class JobHealth(NamedTuple):
    """The health of a job when its state was last read."""

    job: str
    promise: Promise
    last: TickReport | None = None
    """The last tick, catch-ups aside; None if there was none."""
    pulses: Sequence[Pulse] = ()
    """The last ticks, oldest first."""
    complete_from: float = 0.0
    complete_until: float = 0.0
    deadline: Deadline = _NEVER
    look: Look = _NOT_LOOKED
    lags: Lags = Lags()
    shards: int = 0
    has_found: bool = True
    """True if any object of the job was ever listed."""
    prefixes: Sequence[str] = ()
    """The prefixes that the job lists."""
    uncovered: Sequence[str] = ()
    """Folders of the source that the job neither covers nor ignores."""
    audited_at: float = 0.0
    """The begin of the shards' oldest audit of keys that are remembered one by one."""
    sealed_audited_at: float = 0.0
    """The begin of the shards' oldest audit of sealed days."""
    kinds: Mapping[str, float] = {}
    """`complete_until` by kind of log."""
    held: int = 0
    """Objects that are known and not at the destination."""
    held_reasons: Mapping[str, int] = {}
    oldest_held: Quarantined | None = None
    is_verified: bool = False
    """Its digests are checked as they arrive."""
    proof: JobProof = JobProof()
    due_by: float = 0.0
    """When a daemon begins the job's first tick at the latest; 0.0 if no daemon is asked."""
    running: Progress | None = None
    """The progress of its tick under way."""

    @property
    def finished_at(self) -> float:
        """The end of the last tick, or 0.0."""
        return self.last.started_at + self.last.duration_seconds if self.last else 0.0

    @property
    def error(self) -> JobError | None:
        """The error that ended the last tick."""
        return self.last.error if self.last else None


def promise_of(job: Job) -> Promise:
    """Return the intervals that the job's freshness is judged by."""
    return Promise(
        objective=job.objective_effective.total_seconds(),
        lateness=job.lateness.total_seconds(),
        period=job.period.total_seconds(),
        idle_every=job.listing.idle_every.total_seconds(),
        discovery_every=job.listing.discovery_every.total_seconds(),
        recent_every=job.listing.recent_every.total_seconds(),
        deep_every=job.listing.deep_every.total_seconds(),
    )


def read_health(job: Job, reader: Reader, *, now: float) -> JobHealth:
    """Read a job's state and judge it.

    Raises:
        LedgerError: the state cannot be read.
    """
    return health_of(job, read_state(job, reader), now=now)


def health_of(job: Job, state: JobState, *, now: float) -> JobHealth:
    """Return a job's health, judged from its state."""
    held = state.quarantine
    shards = [as_of(shard, now) for shard in state.shards]
    ticks = [tick for tick in state.ticks if tick.kind == _TICK]
    promise = promise_of(job)
    complete_from, complete_until = horizon.horizon(
        shards,
        discovered_at=state.discovered_at,
        pace=pace_of(job),
        now=now,
        missing=held.stamps,
    )
    return JobHealth(
        job=job.name,
        promise=promise,
        last=ticks[0].report if ticks else None,
        pulses=[_pulse(tick) for tick in reversed(ticks)],
        complete_from=complete_from,
        complete_until=complete_until,
        deadline=deadline(shards, discovered_at=state.discovered_at, promise=promise),
        look=last_look(shards, promise),
        lags=lags_of(_lags(tick.report) for tick in ticks),
        shards=len(shards),
        has_found=horizon.has_found(state.shards) or bool(held.counts.objects),
        prefixes=source_prefixes(job),
        uncovered=sorted(state.uncovered),
        audited_at=min((shard.audited_at for shard in shards), default=0.0),
        sealed_audited_at=min((shard.sealed_audited_at for shard in shards), default=0.0),
        kinds=_by_kind(shards),
        held=held.counts.objects,
        held_reasons=held.counts.by_reason,
        oldest_held=held.longest[0] if held.longest else None,
        is_verified=job.verify != "off",
        proof=state.proof,
    )


def is_starting(health: JobHealth, now: float) -> bool:
    """Return True if the job's first tick is due soon, or under way, which may take hours, with signs of life."""
    is_alive = health.running is not None and now - health.running.at <= STALLED_SECONDS
    return health.last is None and (is_alive or now <= health.due_by)


def is_fresh(health: JobHealth, now: float) -> bool:
    """Return True if the job ticked recently and its horizon is not late."""
    return _has_ticked(health, now) and bool(health.complete_until) and now <= health.deadline.at


def late_reasons(health: JobHealth, now: float, *, with_failure: bool = True) -> list[str]:
    """Return sentences that explain why a job misses its objective. Empty if it does not.

    `with_failure` adds why its last tick failed, and what to do about it.
    """
    last = health.last
    if is_starting(health, now):
        words = "due soon" if health.running is None else f"under way: {progress_words(health.running)}"
        return [f"its first tick is {words}"]
    if last is None:
        return [
            "it has never ticked",
            f"what to do: `syncd run` ticks every job, `syncd tick {health.job}` this one now",
        ]
    why = _lateness_words(health, last, now)
    if why and with_failure:
        why += trouble(health)
    return why


def _lateness_words(health: JobHealth, last: TickReport, now: float) -> list[str]:
    if min(now, last.started_at) < EARLIEST and not is_fresh(health, now):
        return ["it is not known how late it is, since this machine's clock is wrong"]
    promise = health.promise
    why = []
    if not _has_ticked(health, now):
        why.append(
            f"its last tick ended {span(now - health.finished_at)} ago, and one is due every {span(promise.period)}"
        )
    if not health.has_found:
        where = ", ".join(f"{prefix or 'the whole bucket'}" for prefix in health.prefixes[:_PREFIXES_TOLD])
        why.append(f"nothing found yet under {where}")
        why.append("what to do: compare source.prefix, accounts, kinds and regions with the keys in the bucket")
    elif not health.complete_until:
        waits = "its horizon waits for the uncovered folders"
        why.append(waits if health.uncovered else "its first listing has not finished yet")
    elif now > health.deadline.at:
        shard = health.deadline.shard
        where = f", held by {safe_line(shard.prefix)}" if shard else ""
        allowed = f"{span(promise.objective)} beyond {span(promise.lateness)}"
        why.append(
            f"it is complete up to {utc(health.complete_until)}, {span(now - health.complete_until)} ago,"
            f" and its objective is {allowed}{where}"
        )
    return why


def trouble(health: JobHealth) -> list[str]:
    """Return sentences about the last failure and missing objects, each with a remedy."""
    why = []
    if health.uncovered:
        named = ", ".join(health.uncovered[:_PREFIXES_TOLD])
        why.append(f"{len(health.uncovered)} folders of the source are uncovered: {named}")
        why.append("what to do: copy them with a job of their own, or leave them out with source.ignore")
    why += doubt_words(health.job, health.proof.doubts)
    if (error := health.error) is not None:
        why += [failure_words(error), f"what to do: {safe_line(error.remedy)}"]
    if (oldest := health.oldest_held) is not None:
        why.append(f"{missing_words(health)}{safe_key(oldest.object.key)} ({answer_words(oldest)})")
        remedy = reasons.remedy_of(oldest.reason, job=health.job, key=oldest.object.key, detail=oldest.detail)
        if error is None or error.remedy != remedy:
            why.append(f"what to do: {remedy}")
    return why


def missing_words(health: JobHealth) -> str:
    """Begin a sentence about missing objects, to be followed by the first key."""
    if health.held == 1:
        return "1 object is known and not at the destination: "
    reasons_told = ""
    if len(health.held_reasons) > 1:
        # A conflict may be tampering.
        ordered = sorted(health.held_reasons.items(), key=lambda item: (item[0] != Reason.CONFLICT, -item[1]))
        reasons_told = " (" + ", ".join(f"{count:,} {reason}" for reason, count in ordered) + ")"
    return f"{health.held:,} objects are known and not at the destination{reasons_told}, the first of them "


def answer_words(held: Quarantined) -> str:
    """Return why an object is missing, with the answer, which names the principal."""
    return f"{held.reason}: {safe_line(held.detail)}" if held.detail else held.reason


def _has_ticked(health: JobHealth, now: float) -> bool:
    longest = max(health.promise.objective, 2 * health.promise.period)
    return health.last is not None and now - health.finished_at <= longest


def failure_words(error: JobError) -> str:
    """Return a sentence about a failed tick."""
    if error.reason == Reason.CONFIGURATION:
        return f"its file is invalid, so it does not run: {safe_line(error.detail)}"
    return f"its last tick failed: {error.reason}: {safe_line(error.detail)}"


def objective_document(health: JobHealth, now: float) -> dict[str, Any]:
    """Return the JSON about the objective and the lags of the last ticks."""
    lags = health.lags
    share = lags.within_objective
    return {
        "objective": "met" if is_fresh(health, now) else "missed",
        "objective_seconds": health.promise.objective,
        "within_objective": None if share is None else round(share, 6),
        "objects": lags.objects,
        "objects_since": utc(lags.since),
        "lag_seconds_p50": lags.p50,
        "lag_seconds_p95": lags.p95,
        "lag_seconds_p99": lags.p99,
        "lag_seconds_worst": round(lags.worst, 1) if lags.objects else None,
        "newest_object": utc(health.look.newest_arrival),
        "oldest_listing": utc(health.look.listed_at),
        "quiet_shards": health.look.quiet_shards,
    }


def _lags(report: TickReport) -> tuple[float, Mapping[str, int], int, float]:
    return report.started_at, report.lags, report.copied_late, report.worst_lag_seconds


def _pulse(tick: RecordedTick) -> Pulse:
    report = tick.report
    return Pulse(report.started_at, report.duration_seconds, report.copied, report.outcome)


def _by_kind(states: Sequence[ShardState]) -> dict[str, float]:
    """Return each kind's horizon. Surplus kinds share one entry, because each is a series of metrics."""
    kinds: dict[str, float] = {}
    for state in states:
        kind = state.shard.kind or _OTHER_KINDS
        if kind not in kinds and len(kinds) >= _MOST_KINDS:
            kind = _OTHER_KINDS
        kinds[kind] = min(kinds.get(kind, state.complete_until), state.complete_until)
    return kinds
