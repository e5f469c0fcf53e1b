"""Reports as documents: the JSON that the contract promises."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from syncd.model.objects import Quarantined
from syncd.model.reports import SHOWN, Counts, TickReport

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
        **_counts_document(report),
        "conflicts": [{"key": key, "detail": detail} for key, detail in report.conflicts],
        "failed": [{"key": item.key, "reason": item.reason, "detail": item.detail} for item in report.failed],
        "is_capped": len(report.failed) < report.failed_count or len(report.conflicts) < report.conflict_count,
        "uncovered": list(report.uncovered[:LISTED]),
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


def _counts_document(counts: Counts) -> dict[str, Any]:
    found = {name: getattr(counts, name) for name, shown in SHOWN.items() if shown.in_document}
    return {name: _by_word(count) if SHOWN[name].label else count for name, count in found.items()}


def _by_word(counts: Mapping[str, int]) -> dict[str, int]:
    return {str(word): count for word, count in sorted(counts.items())}


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
