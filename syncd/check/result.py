"""The results of `syncd check`, one per step, with their document. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from syncd.config.job import RefusedJob


class Status(StrEnum):
    """The outcome of a step."""

    OK = "ok"
    FAILED = "failed"
    WARNING = "warning"
    """A problem that no tick depends on."""
    INFORMATION = "information"


class Check(NamedTuple):
    """A step with its outcome."""

    name: str
    status: Status
    detail: str
    """The call, the principal, the resource and the answer."""
    remedy: str = ""
    """The fix for a failure or warning: if a statement is missing, that statement, its account and document."""


@dataclass(frozen=True, slots=True)
class JobChecks:
    """All steps of one job, in order."""

    job: str
    checks: Sequence[Check]

    @property
    def ok(self) -> bool:
        """True if no step failed. Warnings do not count."""
        return all(check.status is not Status.FAILED for check in self.checks)


def not_tried(name: str, why: str) -> Check:
    """Return a step that was not tried, because an earlier one decides it."""
    return Check(name, Status.INFORMATION, f"not tried: {why}")


def checks_document(found: Sequence[JobChecks], shared: Sequence[Check] = ()) -> dict[str, Any]:
    """Return the JSON of `check`. `shared` are the steps of what all jobs share."""
    jobs = [{"job": job.job, "ok": job.ok, "checks": _steps(job.checks)} for job in found]
    return {"jobs": jobs, "shared": _steps(shared)} if shared else {"jobs": jobs}


def _steps(checks: Sequence[Check]) -> list[dict[str, Any]]:
    return [
        {"check": check.name, "status": check.status.value, "detail": check.detail, "remedy": check.remedy or None}
        for check in checks
    ]


def refused_checks(refused: Sequence[RefusedJob]) -> list[JobChecks]:
    """Return the entries of jobs whose files are invalid."""
    return [
        JobChecks(job.label, [Check("configuration", Status.FAILED, job.error.detail, job.error.remedy)])
        for job in refused
    ]
