"""How each job stands, read from the ledger alone: nothing is asked of AWS."""

from collections.abc import Sequence
from typing import Any

from syncd import tiers
from syncd.cloudtrail import in_scope
from syncd.config import Configuration, Job
from syncd.ledger import LedgerFile, Reader, RecordedTick
from syncd.model import Quarantined, ShardState
from syncd.report import DONE, LISTED, UNHEALTHY, utc
from syncd.scope import pace_of, replica_of, scope_of

_TICK = "tick"


def status_document(configuration: Configuration, jobs: Sequence[Job], *, now: float) -> dict[str, Any]:
    """The JSON of `status`."""
    ledger_file = LedgerFile(configuration.settings.state_dir, now=lambda: now)
    with ledger_file.open_readonly() as reader:
        return {"jobs": [_job_status(job, reader, now=now) for job in jobs]}


def exit_code(document: dict[str, Any]) -> int:
    """4 when any job is unhealthy."""
    return DONE if all(job["healthy"] for job in document["jobs"]) else UNHEALTHY


def _job_status(job: Job, reader: Reader, *, now: float) -> dict[str, Any]:
    view = reader.view(replica_of(job))
    scope = scope_of(job)
    states = [state for state in view.shards().values() if scope is None or in_scope(state.shard, scope)]
    complete_from, complete_until = tiers.horizon(states, discovered_at=view.discovered_at(), pace=pace_of(job))
    held = sorted(view.quarantined().values(), key=lambda item: item.first_at)
    last = next((tick for tick in reader.ticks(job.name, 50) if tick.kind == _TICK), None)
    allowed = job.objective_effective.total_seconds() + job.lateness.total_seconds()
    why = _complaints(last, complete_until, held, now=now, allowed_seconds=allowed)
    return {
        "job": job.name,
        "healthy": not why,
        "why": why,
        "mode": last.report.mode if last else None,
        "last_tick": None if last is None else _last_tick(last, now),
        "lag_seconds": round(now - complete_until, 1) if complete_until else None,
        "objective_seconds": job.objective_effective.total_seconds(),
        "lateness_seconds": job.lateness.total_seconds(),
        "complete_from": utc(complete_from),
        "complete_until": utc(complete_until),
        "quarantine": {
            "count": len(held),
            "conflicts": sum(item.is_conflict for item in held),
            "objects": [_held(item) for item in held[:LISTED]],
        },
        "shards": [_shard(state) for state in states[:LISTED]],
        "shard_count": len(states),
    }


def _complaints(
    last: RecordedTick | None,
    complete_until: float,
    held: Sequence[Quarantined],
    *,
    now: float,
    allowed_seconds: float,
) -> list[str]:
    """Why a job is not healthy, in sentences; none for a healthy one."""
    if last is None:
        return ["it has never ticked"]
    why = []
    report = last.report
    finished_at = report.started_at + report.duration_seconds
    if report.error is not None:
        why.append(f"its last tick failed: {report.error.reason}: {report.error.detail}")
    if now - finished_at > allowed_seconds:
        why.append(f"its last tick ended {int(now - finished_at)} s ago")
    if not complete_until:
        why.append("no listing of it has come to its end yet")
    elif now - complete_until > allowed_seconds:
        why.append(f"it is complete up to {utc(complete_until)} only, {int(now - complete_until)} s ago")
    if held:
        oldest = held[0]
        why.append(
            f"{len(held)} objects are known and not at the destination, the first {oldest.object.key} ({oldest.reason})"
        )
    return why


def _last_tick(last: RecordedTick, now: float) -> dict[str, Any]:
    report = last.report
    finished_at = report.started_at + report.duration_seconds
    return {
        "outcome": report.outcome,
        "finished_at": utc(finished_at),
        "age_seconds": round(now - finished_at, 1),
        "duration_seconds": round(report.duration_seconds, 3),
        "listed": report.listed,
        "copied": report.copied,
        "failed_count": report.failed_count,
        "error": None
        if report.error is None
        else {"reason": report.error.reason, "detail": report.error.detail, "remedy": report.error.remedy},
    }


def _held(item: Quarantined) -> dict[str, Any]:
    return {
        "key": item.object.key,
        "reason": item.reason,
        "detail": item.detail,
        "attempts": item.attempts,
        "first_at": utc(item.first_at),
        "next_at": utc(item.next_at),
    }


def _shard(state: ShardState) -> dict[str, Any]:
    return {
        "prefix": state.shard.prefix,
        "complete_from": utc(state.complete_from),
        "complete_until": utc(state.complete_until),
        "listed_at": utc(state.listed_at),
        "newest_arrival": utc(state.newest_arrival),
    }
