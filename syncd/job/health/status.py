"""How each job stands, read from the ledger alone: nothing is asked of AWS."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from syncd.config.job import Configuration, Job
from syncd.job.health.health import (
    TICKS_READ,
    Standing,
    held_of,
    late_reasons,
    objective_document,
    shards_of,
    standing_of,
    trouble,
)
from syncd.job.report import LISTED, held_document, utc
from syncd.ledger.ledger import HeldOverview, LedgerFile, Reader, RecordedTick
from syncd.model.errors import LedgerError, LedgerFull
from syncd.model.escaping import safe_line
from syncd.model.objects import ShardState
from syncd.model.reports import TickReport
from syncd.tick.audit import audit_lists_a_day
from syncd.tick.scope import pace_of, replica_of

ROOM_BYTES = 1 << 20
"""With less than this left on its disk the state is as good as full."""


class _Remembered(NamedTuple):
    """What the ledger tells of a job; as it stands here, that of one that never ticked."""

    states: Sequence[ShardState] = ()
    held: HeldOverview = HeldOverview()
    ticks: Sequence[RecordedTick] = ()
    """The newest first."""
    discovered_at: float = 0.0
    mode_why: str | None = None
    lateness: Mapping[int, int] = {}
    uncovered: Mapping[str, float] = {}
    counts: tuple[int, int] = (0, 0)
    """Objects that are remembered key by key, and in sealed days."""


def status_document(configuration: Configuration, jobs: Sequence[Job], *, now: float) -> dict[str, Any]:
    """The JSON of `status`. Where the state cannot be read, every job is one that never ticked, with the reason."""
    state_dir = configuration.settings.state_dir
    full = _want_of_room(state_dir)
    try:
        with LedgerFile(state_dir, now=lambda: now).open_readonly() as reader:
            return {"jobs": [_job_status(job, _remembered(job, reader), full, now=now) for job in jobs]}
    except LedgerError as error:
        # SQLite writes an index of its log even for reading: a full disk keeps the state from being read.
        unread = full if full and isinstance(error, LedgerFull) else _state_error(error, str(error))
    why = _error_words("its state cannot be read", unread)
    return {"jobs": [_job_status(job, _Remembered(), unread, now=now) | {"why": why} for job in jobs]}


def _want_of_room(state_dir: Path) -> dict[str, Any] | None:
    """What keeps the next tick from being recorded; None where there is room.

    A tick that could not be recorded is not in the state, which is all that is read here.
    """
    try:
        there = next(folder for folder in (state_dir, *state_dir.parents) if folder.is_dir())
        disk = os.statvfs(there)
    except OSError:
        return None  # whoever reads the state meets the same, and tells it
    room = disk.f_bavail * disk.f_frsize
    # A file system of no size at all, as some in user space are, says nothing.
    if not disk.f_blocks or room >= ROOM_BYTES:
        return None
    return _state_error(LedgerFull, f"{room // 1024} KiB are left on the disk of {state_dir}")


def _state_error(kind: LedgerError | type[LedgerError], detail: str) -> dict[str, Any]:
    return {"reason": kind.reason, "detail": detail, "remedy": kind.remedy}


def _remembered(job: Job, reader: Reader) -> _Remembered:
    view = reader.view(replica_of(job))
    verdict = view.mode_verdict()
    return _Remembered(
        states=shards_of(job, view.shards()),
        held=held_of(job, view, shown=LISTED),
        ticks=reader.ticks(job.name, TICKS_READ),
        discovered_at=view.discovered_at(),
        mode_why=verdict[1] if verdict else None,
        lateness=view.lateness(),
        uncovered=view.uncovered(),
        counts=view.remembered_counts(),
    )


def _job_status(job: Job, remembered: _Remembered, state_error: dict[str, Any] | None, *, now: float) -> dict[str, Any]:
    states, held = remembered.states, remembered.held
    standing = standing_of(
        job,
        states,
        held,
        remembered.ticks,
        discovered_at=remembered.discovered_at,
        uncovered=remembered.uncovered,
        now=now,
    )
    why = _complaints(standing, now)
    if state_error is not None:
        why += _error_words("its ticks cannot be recorded", state_error)
    complete_until = standing.complete_until
    return {
        "job": job.name,
        "healthy": not why,
        "why": why,
        "mode": standing.last.mode if standing.last else None,
        "mode_why": remembered.mode_why,
        "configuration_error": None,
        "state_error": state_error,
        "last_tick": None if standing.last is None else _last_tick(standing.last, now),
        "lag_seconds": _age(complete_until, now) if complete_until else None,
        "objective_seconds": standing.promise.objective,
        "lateness_seconds": standing.promise.lateness,
        "lateness_histogram": {str(bound): count for bound, count in sorted(remembered.lateness.items())},
        "freshness": objective_document(standing, now),
        "complete_from": utc(standing.complete_from),
        "complete_until": utc(complete_until),
        "found": standing.has_found,
        "uncovered": list(standing.uncovered[:LISTED]),
        "audit": {
            "audited_at": utc(standing.audited_at),
            "sealed_audited_at": utc(standing.sealed_audited_at),
            "lists_a_day": audit_lists_a_day(pace_of(job), remembered.counts, len(states)),
        },
        "quarantine": {
            "count": held.counts.objects,
            "conflicts": held.counts.conflicts,
            "objects": [held_document(item) for item in held.longest],
        },
        "shards": [_shard(state) for state in states[:LISTED]],
        "shard_count": len(states),
    }


def _complaints(standing: Standing, now: float) -> list[str]:
    """Why a job is not healthy, in sentences; none for a healthy one."""
    return [*late_reasons(standing, now, with_failure=False), *trouble(standing)]


def _error_words(consequence: str, error: dict[str, Any]) -> list[str]:
    return [f"{consequence}: {error['reason']}: {safe_line(error['detail'])}", f"what to do: {error['remedy']}"]


def _age(instant: float, now: float) -> float:
    """In seconds, to a tenth; 0.0 for what a clock that was set back since calls the future."""
    return round(max(0.0, now - instant), 1)


def _last_tick(report: TickReport, now: float) -> dict[str, Any]:
    finished_at = report.started_at + report.duration_seconds
    return {
        "outcome": report.outcome,
        "finished_at": utc(finished_at),
        "age_seconds": _age(finished_at, now),
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
        "found_by": state.found_by.value,
        "listed_at": utc(state.listed_at),
        "newest_arrival": utc(state.newest_arrival),
    }
