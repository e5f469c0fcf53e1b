"""Reports of ticks as JSON and in the log."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from syncd.model import events, reasons
from syncd.model.objects import Quarantined
from syncd.model.reasons import Reason
from syncd.model.reports import SHOWN, Counts, TickReport

FAILURES_LOGGED = 20
LISTED = 100
"""The most objects in a list of a document. Counts have no such limit."""


def utc(instant: float) -> str | None:
    """Return an instant as ISO 8601 in UTC, to the second. Returns None for 0.0, which means never."""
    # strftime's %Y does not pad a year below 1000 on Linux; isoformat does.
    return datetime.fromtimestamp(int(instant), UTC).isoformat().replace("+00:00", "Z") if instant else None


def report_document(report: TickReport) -> dict[str, Any]:
    """Return one entry of `jobs` in the JSON of `tick` and `catch-up`."""
    document: dict[str, Any] = {
        "job": report.job,
        "outcome": report.outcome,
        "mode": report.mode,
        **_counts_document(report),
        "conflicts": [{"key": key, "detail": detail} for key, detail in report.conflicts],
        "failed": [{"key": item.key, "reason": item.reason, "detail": item.detail} for item in report.failed],
        "is_capped": len(report.failed) < report.failed_count or len(report.conflicts) < report.conflict_count,
        "uncovered": list(report.uncovered[:LISTED]),
        "complete_from": utc(report.complete_from),
        "complete_until": utc(report.complete_until),
        "proved_until": utc(report.proved_until),
        "unproved": [{"key": item.key, "reason": item.reason, "detail": item.detail} for item in report.unproved],
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


def _counts_document(counts: Counts) -> dict[str, Any]:
    found = {name: getattr(counts, name) for name, shown in SHOWN.items() if shown.in_document}
    return {name: _by_word(count) if SHOWN[name].label else count for name, count in found.items()}


def _by_word(counts: Mapping[str, int]) -> dict[str, int]:
    return {str(word): count for word, count in sorted(counts.items())}


def held_document(item: Quarantined) -> dict[str, Any]:
    """Return the document of one quarantined object. `next_at` is null if no tick tries it again by itself."""
    return {
        "key": item.object.key,
        "reason": item.reason,
        "detail": item.detail,
        "attempts": item.attempts,
        "first_at": utc(item.first_at),
        "next_at": None if item.is_settled else utc(item.next_at),
    }


def log_report(report: TickReport, finished: str, tell: Callable[..., None]) -> None:
    """Log the canonical line of a tick, and one for each of the first failures.

    `finished` is the event of a tick that did not fail.
    """
    for item in report.failed[:FAILURES_LOGGED]:
        remedy = reasons.remedy_of(item.reason, job=report.job, key=item.key, detail=item.detail)
        tell(events.OBJECT_FAILED, job=report.job, key=item.key, reason=item.reason, detail=item.detail, remedy=remedy)
    for item in report.archived[:FAILURES_LOGGED]:
        remedy = reasons.remedy_of(item.reason, job=report.job, key=item.key)
        tell(events.OBJECT_ARCHIVED, job=report.job, key=item.key, detail=item.detail, remedy=remedy)
    for key, detail in report.conflicts[:FAILURES_LOGGED]:
        remedy = reasons.remedy_of(Reason.CONFLICT, job=report.job, key=key)
        tell(events.OBJECT_CONFLICTED, job=report.job, key=key, detail=detail, remedy=remedy)
    facts = report_document(report)
    for listed in ("failed", "conflicts", "unproved"):
        facts.pop(listed)
    tell(events.TICK_FAILED if report.outcome == "failed" else finished, **facts)
