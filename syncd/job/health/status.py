"""The document of `syncd status`, read from the ledger alone without asking AWS."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from syncd.config.job import Configuration, Job
from syncd.job.health.health import JobHealth, health_of, is_starting, late_reasons, objective_document, trouble
from syncd.job.health.progress import STALLED_SECONDS, Progress
from syncd.job.health.proofs import Doubt
from syncd.job.health.slot import of_slot, read_slot
from syncd.job.health.state import JobState, read_state
from syncd.job.health.word import Health, health_word
from syncd.job.report import LISTED, held_document, utc
from syncd.ledger.folder.job_locks import Locks
from syncd.ledger.ledger import LedgerFile, Reader
from syncd.model.errors import LedgerError, LedgerFull
from syncd.model.escaping import safe_line
from syncd.model.objects import ShardState
from syncd.model.reports import SpreadProgress, TickReport
from syncd.tick.scope import pace_of, replica_of
from syncd.tick.task import audit_lists_a_day

ROOM_BYTES = 1 << 20
"""A disk with less free space than this counts as full."""


class _Remembered(NamedTuple):
    """A job's state with the facts that only `status` shows. The defaults describe a job that never ticked."""

    state: JobState = JobState()
    mode_why: str | None = None
    lateness: Mapping[int, int] = {}
    counts: tuple[int, int] = (0, 0)
    """Objects that are remembered key by key, and in sealed days."""
    spread: SpreadProgress = SpreadProgress()
    """The last spread catch-up."""
    running: Sequence[Progress] = ()


def status_document(configuration: Configuration, jobs: Sequence[Job], *, now: float) -> dict[str, Any]:
    """Return the JSON of `status`. If the state cannot be read, each job gets the reason."""
    state_dir = configuration.settings.state_dir
    full = _full_disk(state_dir)
    locks = Locks(state_dir)
    try:
        with LedgerFile(state_dir, now=lambda: now).open_readonly() as reader:
            return {"jobs": [_job_status(job, _remembered(job, reader, locks, now), full, now=now) for job in jobs]}
    except LedgerError as error:
        # SQLite writes an index of its log even to read, so a full disk makes the state unreadable.
        unread = full if full and isinstance(error, LedgerFull) else _state_error(error, str(error))
    why = _error_words("its state cannot be read", unread)
    return {
        "jobs": [
            _job_status(job, _Remembered(), unread, now=now) | {"health": Health.UNKNOWN, "why": why} for job in jobs
        ]
    }


def fleet_document(configuration: Configuration) -> dict[str, Any] | None:
    """Return the slot that this state directory has or last had, or None without `[fleet]`."""
    settings = configuration.settings
    if settings.fleet is None:
        return None
    slot = read_slot(settings.state_dir)
    return {
        "members": settings.fleet.members,
        "slot": None if slot is None else slot.slot,
        "is_held": slot is not None and slot.is_held,
        "generation": None if slot is None else slot.generation,
        "owner": None if slot is None else slot.owner,
        "at": None if slot is None else utc(slot.at),
    }


def of_this_daemon(configuration: Configuration, jobs: Sequence[Job]) -> Sequence[Job]:
    """Return the jobs of the slot that this state directory has. All of them without `[fleet]`."""
    settings = configuration.settings
    if settings.fleet is None:
        return jobs
    slot = read_slot(settings.state_dir)
    return of_slot(tuple(jobs), settings.fleet, slot.slot if slot is not None and slot.is_held else None)


def _full_disk(state_dir: Path) -> dict[str, Any] | None:
    """Return why the next tick cannot be recorded (disk full), or None.

    The state itself cannot show it: a tick that could not be recorded is not in there.
    """
    try:
        there = next(folder for folder in (state_dir, *state_dir.parents) if folder.is_dir())
        disk = os.statvfs(there)
    except OSError:
        return None  # reading the state will fail too, and report it
    room = disk.f_bavail * disk.f_frsize
    # Some user-space file systems report a size of zero, which says nothing.
    if not disk.f_blocks or room >= ROOM_BYTES:
        return None
    return _state_error(LedgerFull, f"{room // 1024} KiB are left on the disk of {state_dir}")


def _state_error(kind: LedgerError | type[LedgerError], detail: str) -> dict[str, Any]:
    return {"reason": kind.reason, "detail": detail, "remedy": kind.remedy}


def _remembered(job: Job, reader: Reader, locks: Locks, now: float) -> _Remembered:
    view = reader.view(replica_of(job))
    verdict = view.mode_verdict()
    return _Remembered(
        state=read_state(job, reader, shown=LISTED),
        mode_why=verdict[1] if verdict else None,
        lateness=view.lateness(),
        counts=view.remembered_counts(),
        spread=view.progress(),
        running=_running(job, locks, now),
    )


def _running(job: Job, locks: Locks, now: float) -> list[Progress]:
    """Return the runs under way, in this process or another, that showed signs of life lately."""
    found: list[Progress] = []
    for document in locks.progress(job.name):
        with suppress(TypeError):  # of another version
            found.append(Progress.of(document))
    return [progress for progress in found if now - progress.at <= STALLED_SECONDS]


def _job_status(job: Job, remembered: _Remembered, state_error: dict[str, Any] | None, *, now: float) -> dict[str, Any]:
    shards, held = remembered.state.shards, remembered.state.quarantine
    tick = next((progress for progress in remembered.running if progress.kind == "tick"), None)
    health = health_of(job, remembered.state, now=now)._replace(running=tick)
    word = health_word(health, now)
    ticks = remembered.state.ticks
    why = _complaints(health, now)
    if state_error is not None:
        why += _error_words("its ticks cannot be recorded", state_error)
        word = Health.FAILING if word.is_well else word
    complete_until = health.complete_until
    return {
        "job": job.name,
        "health": word,
        "healthy": word.is_well,
        "why": why,
        "mode": health.last.mode if health.last else None,
        "mode_why": remembered.mode_why,
        "configuration_error": None,
        "state_error": state_error,
        "last_tick": None if health.last is None else _last_tick(health.last, now),
        "hinted_at": utc(next((tick.report.started_at for tick in ticks if tick.report.hinted), 0.0)),
        "lag_seconds": _age(complete_until, now) if complete_until else None,
        "objective_seconds": health.promise.objective,
        "lateness_seconds": health.promise.lateness,
        "lateness_histogram": {str(bound): count for bound, count in sorted(remembered.lateness.items())},
        "freshness": objective_document(health, now),
        "complete_from": utc(health.complete_from),
        "complete_until": utc(complete_until),
        **_proof(job, health),
        "found": health.has_found,
        "uncovered": list(health.uncovered[:LISTED]),
        "audit": {
            "audited_at": utc(health.audited_at),
            "sealed_audited_at": utc(health.sealed_audited_at),
            "lists_a_day": audit_lists_a_day(pace_of(job), remembered.counts, len(shards)),
        },
        "quarantine": {
            "count": held.counts.objects,
            "conflicts": held.counts.conflicts,
            "objects": [held_document(item) for item in held.longest],
        },
        "spread": remembered.spread._asdict() if remembered.spread.tasks else None,
        "shards": [_shard(state) for state in shards[:LISTED]],
        "shard_count": len(shards),
        "running": [progress.document() for progress in remembered.running],
    }


def _proof(job: Job, health: JobHealth) -> dict[str, Any]:
    proof = health.proof
    return {
        "verify": job.verify,
        "proved_from": utc(proof.proved_from),
        "proved_until": utc(proof.proved_until),
        "unproved_count": len(proof.doubts),
        "unproved": [_doubt(doubt) for doubt in proof.doubts[:LISTED]],
    }


def _complaints(health: JobHealth, now: float) -> list[str]:
    """Return sentences that explain why a job is unhealthy. Empty if it is healthy."""
    late = [] if is_starting(health, now) else late_reasons(health, now, with_failure=False)
    return [*late, *trouble(health)]


def _error_words(consequence: str, error: dict[str, Any]) -> list[str]:
    return [f"{consequence}: {error['reason']}: {safe_line(error['detail'])}", f"what to do: {error['remedy']}"]


def _age(instant: float, now: float) -> float:
    """Return an age in seconds, to a tenth. Returns 0.0 for the future, after a clock was stepped back."""
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


def _doubt(doubt: Doubt) -> dict[str, Any]:
    return {
        "from": utc(doubt.start),
        "to": utc(doubt.end),
        "digest": doubt.digest,
        "problems": [problem._asdict() for problem in doubt.problems],
        "found_at": utc(doubt.found_at),
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
