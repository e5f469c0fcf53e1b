"""The configuration: frozen values, read from TOML by `configfile`. No secret is in it, only where to find one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from syncd.config import cron as cron_lines
from syncd.config import fields
from syncd.config.names import partition_of
from syncd.config.readers import StartPoint, StartValue, is_job_name
from syncd.config.rules import job_findings, settings_findings
from syncd.config.tables import (
    Consumer,
    Destination,
    Endpoints,
    Engine,
    Http,
    JobEngine,
    Listing,
    Log,
    Prices,
    Role,
    Source,
    Table,
)
from syncd.model import reasons
from syncd.model.errors import Problem
from syncd.model.reasons import Reason
from syncd.model.reports import JobError

__all__ = [
    "Configuration",
    "Consumer",
    "Destination",
    "Endpoints",
    "Engine",
    "Http",
    "Job",
    "JobEngine",
    "Listing",
    "Log",
    "Prices",
    "RefusedJob",
    "Role",
    "Settings",
    "Source",
    "StartPoint",
    "StartValue",
]

_LEAST_OBJECTIVE = timedelta(minutes=15)
_PROBLEMS_TOLD = 10


class Job(Table):
    """One job file: consumer, source, destination, schedule. Spans are `timedelta`, sizes bytes."""

    name: fields.JobName = Field(description="the job's name, in logs, metrics and verbs")
    every: fields.Duration | None = Field(
        None, description="time from one tick to the next", json_schema_extra={"default_words": '"5m"'}
    )
    cron: fields.Cron | None = Field(
        None, description='when ticks begin, instead of every: minute hour day month weekday, such as "*/5 * * * *"'
    )
    jitter: fields.DurationOrZero = Field(timedelta(0), description="a tick begins up to this much later, at random")
    start: fields.Start = Field(timedelta(days=31), description="how far back a new job begins")
    lateness: fields.DurationOrZero = Field(
        timedelta(minutes=30), description="how late a log may be before the horizon passes it"
    )
    objective: fields.Duration | None = Field(
        None,
        description="freshness to hold, counted beyond lateness",
        json_schema_extra={"default_words": "max(15m, 3 * every)"},
    )
    listing: Listing = Listing()
    consumer: Consumer
    source: Source
    destination: Destination
    endpoints: Endpoints = Endpoints()
    engine: JobEngine = JobEngine()

    @property
    def period(self) -> timedelta:
        """The time from one tick to the next; of a cron line the longest."""
        if self.cron is not None:
            return cron_lines.gaps(self.cron).longest
        assert self.every is not None, "completed() gives a job one of the two"
        return self.every

    @property
    def objective_effective(self) -> timedelta:
        """The objective as given, else max(15m, 3 * period)."""
        return self.objective or max(_LEAST_OBJECTIVE, 3 * self.period)

    @property
    def partition(self) -> str:
        """The AWS partition: the role's, else the source region's, else "aws"."""
        role = self.source.role
        return role.partition if role is not None else partition_of(self.source.region) or "aws"

    @property
    def expected_source_owner(self) -> str:
        """The account that must own the source bucket (ExpectedBucketOwner)."""
        return self.source.account_id

    @property
    def expected_destination_owner(self) -> str:
        """The account that must own the destination bucket (ExpectedBucketOwner)."""
        return self.consumer.account_id

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, raw: Any) -> Any:
        return completed(raw) if isinstance(raw, Mapping) else raw

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        findings = job_findings(self)
        if findings:
            raise ValueError("; ".join(f"{key}: {message}" for key, message in findings))
        return self


def completed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A job's raw table with the two defaults that depend on other keys: `every`, and the role's session name."""
    job = dict(raw)
    if "every" not in job and "cron" not in job:
        job["every"] = "5m"
    source, name = job.get("source"), job.get("name")
    role = source.get("role") if isinstance(source, Mapping) else None
    if isinstance(source, Mapping) and isinstance(role, Mapping) and is_job_name(name):
        # RoleSessionName ends at 64 characters, and a job's name may take all of them.
        job["source"] = {**source, "role": {"session_name": f"syncd-{name}"[:64], **role}}
    return job


class Settings(Table):
    """syncd.toml: what holds for all jobs."""

    state_dir: fields.FilePath = Field(
        Path("/var/lib/syncd"),
        description="where the state is kept; ~ and ${VARIABLE} (see Environment) are expanded, and relative is to this file's folder",
    )
    jobs: fields.Globs = Field(("jobs.d/*.toml",), description="job files, relative to this file")
    heartbeat_url: fields.Url | None = Field(None, repr=False, description="URL that is called while all is well")
    drain: fields.DurationOrZero = Field(
        timedelta(seconds=15), description="how long objects in flight may take to finish after SIGTERM"
    )
    log: Log = Log()
    http: Http = Http()
    engine: Engine = Engine()
    prices: Prices = Prices()
    defaults: fields.RawTable = Field(
        default_factory=dict, description="keys that hold for every job; a job's own keys win"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        findings = settings_findings(self)
        if findings:
            raise ValueError("; ".join(f"{key}: {message}" for key, message in findings))
        return self


@dataclass(frozen=True)
class RefusedJob:
    """A job file that cannot be used, beside others that can."""

    file: Path
    name: str | None
    """The job's name, if it is known and no usable job has it."""
    problems: tuple[Problem, ...]
    is_kept: bool = False
    """A running daemon goes on with the job as it was before this edit of its file."""

    @property
    def label(self) -> str:
        """What the job is called in documents and metrics: its name, else its file."""
        return self.name if self.name is not None else str(self.file)

    @property
    def error(self) -> JobError:
        """Why the job does not run, as its report has it."""
        told = [str(problem) for problem in self.problems[:_PROBLEMS_TOLD]]
        more = len(self.problems) - len(told)
        told += [f"{more} more problems"] if more else []
        return JobError(
            reason=Reason.CONFIGURATION,
            detail="; ".join(told),
            remedy=reasons.remedy_of(Reason.CONFIGURATION),
        )


@dataclass(frozen=True)
class Configuration:
    """Everything that was read: `files` is syncd.toml and then each job's file, in the order of `jobs`."""

    settings: Settings
    jobs: tuple[Job, ...]
    files: tuple[Path, ...]
    refused: tuple[RefusedJob, ...] = ()
    """Job files that cannot be used, in the order of their names."""
    is_strict: bool = False
    """One such file refuses all jobs."""
