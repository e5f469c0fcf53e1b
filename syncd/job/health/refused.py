"""The health of jobs whose files cannot be used. Pure."""

from typing import Any

from syncd.config.job import RefusedJob
from syncd.job.health.freshness import Promise
from syncd.job.health.health import JobHealth, objective_document
from syncd.job.health.word import Health
from syncd.job.refused import error_document
from syncd.model.reports import TickReport

_NO_PROMISE = Promise(objective=0.0, lateness=0.0, period=0.0, idle_every=0.0, discovery_every=0.0)


def refused_health(job: RefusedJob) -> JobHealth:
    """Return the health of such a job. Its last tick counts as failed."""
    report = TickReport(job=job.label, outcome="failed", error=job.error)
    return JobHealth(job=job.label, promise=_NO_PROMISE, last=report)


def refused_status(job: RefusedJob) -> dict[str, Any]:
    """Return the entry for `status`, for a job of which nothing else is known."""
    error = job.error
    return {
        "job": job.label,
        "health": Health.REFUSED,
        "healthy": False,
        "why": [f"its file is invalid: {error.detail}", f"what to do: {error.remedy}"],
        "mode": None,
        "mode_why": None,
        "configuration_error": error_document(error),
        "state_error": None,
        "last_tick": None,
        "lag_seconds": None,
        "objective_seconds": None,
        "lateness_seconds": None,
        "lateness_histogram": {},
        "freshness": objective_document(refused_health(job), 0.0),
        "complete_from": None,
        "complete_until": None,
        "spread": None,
        "quarantine": {"count": 0, "conflicts": 0, "objects": []},
        "shards": [],
        "shard_count": 0,
        "running": [],
    }
