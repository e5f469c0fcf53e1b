"""What `syncd check` finds: one result a step, and the document that follows. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from syncd.config.job import RefusedJob


class Status(StrEnum):
    """What a step came to."""

    OK = "ok"
    FAILED = "failed"
    WARNING = "warning"
    """Nothing that a tick needs, and still not as it should be."""
    INFORMATION = "information"


class Check(NamedTuple):
    """One step."""

    name: str
    status: Status
    detail: str
    """The call, the principal, the resource, and what was answered."""
    remedy: str = ""
    """Of a failure or warning: what to do, where a statement is missing the very statement, its account and document."""


@dataclass(frozen=True, slots=True)
class JobChecks:
    """All steps of one job, in their order."""

    job: str
    checks: Sequence[Check]

    @property
    def ok(self) -> bool:
        """Whether nothing failed; warnings do not count."""
        return all(check.status is not Status.FAILED for check in self.checks)


def not_tried(name: str, why: str) -> Check:
    """A step that would only repeat what another one said."""
    return Check(name, Status.INFORMATION, f"not tried: {why}")


def checks_document(found: Sequence[JobChecks]) -> dict[str, Any]:
    """The JSON of `check`."""
    return {
        "jobs": [
            {
                "job": job.job,
                "ok": job.ok,
                "checks": [
                    {
                        "check": check.name,
                        "status": check.status.value,
                        "detail": check.detail,
                        "remedy": check.remedy or None,
                    }
                    for check in job.checks
                ],
            }
            for job in found
        ]
    }


def refused_checks(refused: Sequence[RefusedJob]) -> list[JobChecks]:
    """Entries of `check`."""
    return [
        JobChecks(job.label, [Check("configuration", Status.FAILED, job.error.detail, job.error.remedy)])
        for job in refused
    ]
