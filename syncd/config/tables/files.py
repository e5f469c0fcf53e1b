"""A job file and syncd.toml as a whole."""

from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from syncd.config import fields
from syncd.config.fields import Words
from syncd.config.tables.ends import Consumer, Destination, Endpoints, Source
from syncd.config.tables.scale import Fleet, Hints, Work
from syncd.config.tables.settings import Engine, Http, JobEngine, Listing, Log, Prices
from syncd.config.tables.table import Later, Table, partial
from syncd.config.tables.webhooks import Webhooks


class JobTable(Table):
    """A job file: consumer, source, destination, schedule. Spans are `timedelta`, sizes bytes."""

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
    heartbeat_url: fields.Url | None = Field(
        None, repr=False, description="URL that is called while this job keeps its objective; {job} is the job's name"
    )
    heartbeat_url_file: fields.FilePath | None = Field(
        None, description="file that holds this URL instead, read at each call"
    )
    verify: Literal["off", "continuous"] = Field(
        "off", description='"continuous" checks each CloudTrail digest as it arrives, and the logs that it names'
    )
    verify_rate: fields.Rate = Field(
        20.0,
        description="how many logs a second are read back to verify them, if no hash was kept while they were copied",
    )
    listing: Listing = Listing.model_construct()
    consumer: Consumer
    source: Source
    destination: Destination
    endpoints: Endpoints = Endpoints.model_construct()
    engine: JobEngine = JobEngine.model_construct()
    webhooks: Webhooks = Webhooks.model_construct()


@cache
def job_defaults() -> type[Table]:
    """Return the table `[defaults]`. Few files have it, and to make it takes a twentieth of the start of a verb."""

    class JobDefaults(partial(JobTable)):  # type: ignore[misc]  # the fields of a job are those of its base
        """`[defaults]` of syncd.toml: keys of a job, none of which is required."""

    return JobDefaults


class SettingsTable(Table):
    """syncd.toml: what holds for all jobs."""

    state_dir: fields.FilePath = Field(
        Path("/var/lib/syncd"),
        description="where the state is kept; ~ and ${VARIABLE} (see Environment) are expanded, and relative is to this file's folder",
    )
    jobs: fields.Globs = Field(("jobs.d/*.toml",), description="job files, relative to this file")
    heartbeat_url: fields.Url | None = Field(None, repr=False, description="URL that is called while all jobs are well")
    heartbeat_url_file: fields.FilePath | None = Field(
        None, description="file that holds this URL instead, read at each call"
    )
    drain: fields.DurationOrZero = Field(
        timedelta(seconds=15), description="how long objects in flight may take to finish after SIGTERM"
    )
    log: Log = Log.model_construct()
    http: Http = Http.model_construct()
    engine: Engine = Engine.model_construct()
    work: Work = Work.model_construct()
    hints: Hints = Hints.model_construct()
    fleet: Fleet | None = None
    prices: Prices = Prices.model_construct()
    defaults: Annotated[Any, Later(job_defaults), Words("any keys of a job")] = Field(
        None, description="keys that hold for every job; a job's own keys win"
    )
