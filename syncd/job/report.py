"""Reports as documents: the JSON that the contract promises, and the exit codes that follow from it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from syncd.model.objects import Quarantined
from syncd.model.reports import TickReport

DONE = 0
FAILED = 1
USAGE = 2
PARTIAL = 3
UNHEALTHY = 4
STATE_UNWRITABLE = 5
ALREADY_RUNNING = 11
LISTED = 100
"""Lists of objects in documents end here; counts do not."""


def utc(instant: float) -> str | None:
    """An instant as ISO 8601 in UTC, to the second; None for 0.0, which means never."""
    # strftime's %Y does not pad a year below 1000 on Linux; isoformat does.
    return datetime.fromtimestamp(int(instant), UTC).isoformat().replace("+00:00", "Z") if instant else None


def report_document(report: TickReport) -> dict[str, Any]:
    """One entry of `jobs` in the JSON of `tick` and `catch-up`."""
    document: dict[str, Any] = {
        "job": report.job,
        "outcome": report.outcome,
        "mode": report.mode,
        "listed": report.listed,
        "copied": report.copied,
        "copied_bytes": report.copied_bytes,
        "already_there": report.already_there,
        "restored": report.restored,
        "conflicts": [{"key": key, "detail": detail} for key, detail in report.conflicts],
        "conflict_count": report.conflict_count,
        "skipped": dict(report.skipped),
        "failed": [{"key": item.key, "reason": item.reason, "detail": item.detail} for item in report.failed],
        "failed_count": report.failed_count,
        "is_capped": len(report.failed) < report.failed_count or len(report.conflicts) < report.conflict_count,
        "uncovered": list(report.uncovered[:LISTED]),
        "late_beyond_allowance": report.late_beyond_allowance,
        "requests": dict(report.requests),
        "complete_from": utc(report.complete_from),
        "complete_until": utc(report.complete_until),
        "duration_seconds": round(report.duration_seconds, 3),
        "error": None,
    }
    if report.worst_lateness_seconds:
        document["lateness_suggested_seconds"] = int(report.worst_lateness_seconds) + 60
    if report.error is not None:
        document["error"] = {
            "reason": report.error.reason,
            "detail": report.error.detail,
            "remedy": report.error.remedy,
        }
    return document


def held_document(item: Quarantined) -> dict[str, Any]:
    """One object that is known and not at the destination."""
    return {
        "key": item.object.key,
        "reason": item.reason,
        "detail": item.detail,
        "attempts": item.attempts,
        "first_at": utc(item.first_at),
        "next_at": utc(item.next_at),
    }


def exit_code(reports: Sequence[TickReport]) -> int:
    """What a run over several jobs ends with.

    Interruption is not among these: which signal it was only the process knows.
    """
    outcomes = [report.outcome for report in reports]
    if outcomes and all(outcome == "already-running" for outcome in outcomes):
        return ALREADY_RUNNING
    if outcomes and all(outcome == "failed" for outcome in outcomes):
        return FAILED
    if all(outcome == "ok" for outcome in outcomes):
        return DONE
    return PARTIAL
