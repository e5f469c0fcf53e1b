"""The configuration: frozen values, read from TOML by `files`. It holds no secret, only where to find one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import model_validator

from syncd.config.cron import gaps
from syncd.config.fields import StartPoint, StartValue
from syncd.config.names import is_job_name
from syncd.config.partitions import partition_of, region_of_host
from syncd.config.rules import JOB_RULES
from syncd.config.tables.ends import Consumer, Destination, Endpoints, Role, Source
from syncd.config.tables.files import JobTable, SettingsTable, job_defaults
from syncd.config.tables.scale import Fleet, Hints, Work
from syncd.config.tables.settings import Engine, Http, JobEngine, Listing, Log, Prices
from syncd.config.tables.settings_rules import SETTINGS_RULES
from syncd.config.tables.table import Row, Table, partial, rows_of
from syncd.config.words import Finding
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
    "Fleet",
    "Hints",
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
    "Work",
]

_LEAST_OBJECTIVE = timedelta(minutes=15)
_PROBLEMS_TOLD = 10


class Job(JobTable):
    """One job: what its file and [defaults] say, held to the rules between keys."""

    @property
    def period(self) -> timedelta:
        """The time from one tick to the next, of a cron line the longest."""
        if self.cron is not None:
            return gaps(self.cron).longest
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
    def sts_region(self) -> str:
        """The region of the STS that is asked, and that its requests are signed for."""
        role = self.source.role
        chosen = role.sts_region if role is not None else None
        return chosen or region_of_host(self.endpoints.sts or "") or self.source.region

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
        _refuse(JOB_RULES, self)
        return self


def completed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job's raw table with its tables, and with the defaults that depend on other keys."""
    job: dict[str, Any] = {"consumer": {}, "source": {}, "destination": {}, **raw}
    if "every" not in job and "cron" not in job:
        job["every"] = "5m"
    source, name = job.get("source"), job.get("name")
    role = source.get("role") if isinstance(source, Mapping) else None
    if isinstance(source, Mapping) and isinstance(role, Mapping) and is_job_name(name):
        # RoleSessionName ends at 64 characters, and a job's name may take all of them.
        job["source"] = {**source, "role": {"session_name": f"syncd-{name}"[:64], **role}}
    return job


class Settings(SettingsTable):
    """syncd.toml, held to the rules between keys."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _refuse(SETTINGS_RULES, self)
        return self


def _refuse(rules: Sequence[Callable[[Any], Iterator[Finding]]], table: Table) -> None:
    findings = [finding for rule in rules for finding in rule(table)]
    if findings:
        told = "; ".join(f"{key}: {message}" for key, message in findings)
        raise ValueError(told)


class Document(NamedTuple):
    """One of the two files that configure syncd."""

    whole: type[Table]
    keys: type[Table]
    """The same table without the rules."""
    rules: Sequence[Callable[[Any], Iterator[Finding]]]

    @property
    def parts(self) -> type[Table]:
        """The table without the rules, and with no key required."""
        return partial(self.keys)


JOB = Document(Job, JobTable, JOB_RULES)
SETTINGS = Document(Settings, SettingsTable, SETTINGS_RULES)


def schema_rows() -> list[Row]:
    """Return all keys of both files, in the order of the example files."""
    return [*rows_of("syncd.toml", SettingsTable), *rows_of("job", JobTable)]


def json_schema(*, is_job: bool) -> dict[str, Any]:
    """Return the JSON Schema of a job file or of syncd.toml. A job file may leave all but its name to [defaults]."""
    model: type[Table] = SettingsTable
    about: dict[str, Any] = {"title": "syncd.toml"}
    if is_job:
        model, about = job_defaults(), {"title": "A job file of syncd", "required": ["name"]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema(), **about}


class RefusedJob(NamedTuple):
    """A job file that cannot be used, beside others that can."""

    file: Path
    name: str | None
    """The job's name, if it is known and no usable job has it."""
    problems: tuple[Problem, ...]
    is_kept: bool = False
    """A running daemon goes on with the job as it was before this edit of its file."""

    @property
    def label(self) -> str:
        """The job's name in documents and metrics, else its file."""
        return self.name if self.name is not None else str(self.file)

    @property
    def error(self) -> JobError:
        """The error that the job's report has."""
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
    """Everything that was read. `files` is syncd.toml, then each job's file in the order of `jobs`."""

    settings: Settings
    jobs: tuple[Job, ...]
    files: tuple[Path, ...]
    refused: tuple[RefusedJob, ...] = ()
    """Job files that cannot be used, in the order of their names."""
    is_strict: bool = False
    """One such file refuses all jobs."""
    readings: object = field(default=None, repr=False, compare=False)
    """The job files as they were read, for `files.load`, which need not read those again that are as they were."""
