"""How each job stands, read from the ledger alone: nothing is asked of AWS."""

from collections.abc import Sequence
from typing import Any

from syncd.cloudtrail import held_in_scope
from syncd.config import Configuration, Job
from syncd.ledger import LedgerFile, Reader
from syncd.model import ShardState, TickReport
from syncd.report import DONE, LISTED, UNHEALTHY, held_document, utc
from syncd.scope import replica_of, scope_of
from syncd.standing import (
    TICKS_READ,
    Standing,
    failure_words,
    late_reasons,
    objective_document,
    shards_of,
    standing_of,
)


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
    states = shards_of(job, view.shards())
    verdict = view.mode_verdict()
    held = sorted(held_in_scope(view.quarantined(), scope_of(job)).values(), key=lambda item: item.first_at)
    ticks = reader.ticks(job.name, TICKS_READ)
    standing = standing_of(job, states, held, ticks, discovered_at=view.discovered_at())
    why = _complaints(standing, now)
    complete_until = standing.complete_until
    return {
        "job": job.name,
        "healthy": not why,
        "why": why,
        "mode": standing.last.mode if standing.last else None,
        "mode_why": verdict[1] if verdict else None,
        "last_tick": None if standing.last is None else _last_tick(standing.last, now),
        "lag_seconds": round(now - complete_until, 1) if complete_until else None,
        "objective_seconds": standing.promise.objective,
        "lateness_seconds": standing.promise.lateness,
        "lateness_histogram": {str(bound): count for bound, count in sorted(view.lateness().items())},
        "freshness": objective_document(standing, now),
        "complete_from": utc(standing.complete_from),
        "complete_until": utc(complete_until),
        "quarantine": {
            "count": len(held),
            "conflicts": sum(item.is_conflict for item in held),
            "objects": [held_document(item) for item in held[:LISTED]],
        },
        "shards": [_shard(state) for state in states[:LISTED]],
        "shard_count": len(states),
    }


def _complaints(standing: Standing, now: float) -> list[str]:
    """Why a job is not healthy, in sentences; none for a healthy one."""
    why = late_reasons(standing, now, with_failure=False)
    if standing.error is not None:
        why.append(failure_words(standing.error))
    oldest = standing.oldest_held
    if oldest is not None:
        why.append(
            f"{standing.held} objects are known and not at the destination, the first {oldest.object.key}"
            f" ({oldest.reason})"
        )
    return why


def _last_tick(report: TickReport, now: float) -> dict[str, Any]:
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


def _shard(state: ShardState) -> dict[str, Any]:
    return {
        "prefix": state.shard.prefix,
        "complete_from": utc(state.complete_from),
        "complete_until": utc(state.complete_until),
        "listed_at": utc(state.listed_at),
        "newest_arrival": utc(state.newest_arrival),
    }
