"""Exit codes of every verb. The daemon logs its own, so this module lies below it."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from syncd.config.job import RefusedJob
    from syncd.model.reports import TickReport

DONE = 0
FAILED = 1
USAGE = 2
PARTIAL = 3
UNHEALTHY = 4
STATE_UNWRITABLE = 5
ALREADY_RUNNING = 11
_SIGNALLED = 128


def of_signal(number: int) -> int:
    """Return the exit code of a run that this signal interrupted."""
    return _SIGNALLED + number


def of_reports(reports: "Iterable[TickReport]") -> int:
    """Return the exit code of `tick`, `catch-up` and `plan`, unless a signal interrupted them."""
    reports = list(reports)
    outcomes = {report.outcome for report in reports}
    if outcomes == {"already-running"}:
        return ALREADY_RUNNING
    if outcomes == {"failed"}:
        return FAILED
    return DONE if outcomes <= {"ok"} and not any(report.unproved for report in reports) else PARTIAL


def of_rebuild(document: dict[str, Any]) -> int:
    """Return the exit code of `ledger rebuild`, given its document."""
    reasons = {job["error"] and job["error"]["reason"] for job in document["jobs"]}
    if reasons <= {None}:
        return DONE
    if reasons == {"already_running"}:
        return ALREADY_RUNNING
    return PARTIAL if reasons & {None, "already_running"} else FAILED


def of_health(jobs: Iterable[bool]) -> int:
    """Return the exit code of `status` and `check`, given True for each healthy job."""
    return DONE if all(jobs) else UNHEALTHY


def of_demo(*, holds: bool) -> int:
    """Return the exit code of `demo`."""
    return DONE if holds else FAILED


def with_refused(code: int, refused: "Sequence[RefusedJob]") -> int:
    """Return PARTIAL instead of DONE if files of other jobs are refused."""
    return PARTIAL if code == DONE and refused else code
