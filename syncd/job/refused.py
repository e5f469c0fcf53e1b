"""The jobs that a verb is for, and those whose files cannot be used, in the reports and documents of the others. Pure."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from syncd.config.job import Configuration, Job, RefusedJob
from syncd.model.errors import ConfigError, Problem
from syncd.model.reports import JobError, TickReport

PROBLEMS_TOLD = 20
_NAMES_TOLD = 10


def chosen(configuration: Configuration, names: Sequence[str] | None) -> list[Job]:
    """Return the jobs with these names or patterns such as `customer-0*`, or all that can be used.

    Raises:
        ConfigError: no job has such a name, or its file cannot be used.
    """
    by_name = {job.name: job for job in configuration.jobs}
    refused = {job.label: job for job in configuration.refused}
    problems: list[Problem] = []
    found: dict[str, Job] = {}
    for name in dict.fromkeys(names or ()):
        matching = [job for job in by_name if job == name or fnmatchcase(job, name)]
        found |= {job: by_name[job] for job in matching}
        if name in refused:
            problems += refused[name].problems
        elif not matching and not any(fnmatchcase(label, name) for label in refused):
            unread = "".join(f"; {job.file} cannot be used" for job in configuration.refused if job.name is None)
            message = f"no job is named {name}: {_known(by_name, name)}{unread}"
            problems.append(Problem(str(configuration.files[0]), "", message))
    if problems:
        raise ConfigError(problems)
    return list(found.values()) if names else list(configuration.jobs)


def _known(names: Iterable[str], asked: str) -> str:
    """Return the names that are most like the one asked for, of many."""
    known = sorted(names)
    if len(known) <= _NAMES_TOLD:
        return f"the jobs are {', '.join(known) or 'none'}"
    from difflib import get_close_matches  # noqa: PLC0415  # for a mistake

    near = get_close_matches(asked, known, _NAMES_TOLD, 0.6) or known[:_NAMES_TOLD]
    return f"of {len(known):,} jobs, similar are {', '.join(near)}"


def refused(configuration: Configuration, names: Sequence[str] | None) -> Sequence[RefusedJob]:
    """Return the refused jobs that a verb reports: all, or those that match a pattern."""
    if not names:
        return configuration.refused
    return [job for job in configuration.refused if any(fnmatchcase(job.label, name) for name in names)]


def refusal_facts(job: RefusedJob) -> dict[str, Any]:
    """Return the facts of the log event."""
    return {
        "job": job.label,
        "file": str(job.file),
        "problems": [str(problem) for problem in job.problems[:PROBLEMS_TOLD]],
        "problem_count": len(job.problems),
        "runs_as_before": job.is_kept,
        "remedy": job.error.remedy,
    }


def error_document(error: JobError) -> dict[str, str]:
    """Return the error as documents show it."""
    return {"reason": error.reason, "detail": error.detail, "remedy": error.remedy}


def refused_reports(refused: Sequence[RefusedJob]) -> list[TickReport]:
    """Return the entries for `tick` and `catch-up`."""
    return [TickReport(job=job.label, outcome="failed", error=job.error) for job in refused]


def refused_rebuilds(refused: Sequence[RefusedJob]) -> list[dict[str, Any]]:
    """Return the entries for `ledger rebuild`."""
    return [
        {"job": job.label, "shards": 0, "replicas": 0, "would": None, "error": error_document(job.error)}
        for job in refused
    ]


def refused_entries(refused: Iterable[RefusedJob]) -> dict[str, Any]:
    """Return the key `refused` for documents that have no entry for each job."""
    found = [{"job": job.label, "file": str(job.file), "error": error_document(job.error)} for job in refused]
    return {"refused": found} if found else {}
