"""The tables of limits, listings, logs and prices."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from syncd.config import addresses, fields
from syncd.config.tables.table import Table

MIB = 1024**2


class Log(Table):
    """`[log]` of syncd.toml."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="the least severe event that is written"
    )
    format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto writes for people on a terminal and JSON elsewhere"
    )


class Http(Table):
    """`[http]` of syncd.toml."""

    listen: fields.Listen = Field(
        "127.0.0.1:9464", description='where /metrics, /healthz, /readyz and /freshz answer; "" turns them off'
    )
    allow_remote: fields.Flag = Field(
        default=False, description="must be true for listen to be an address that other machines reach"
    )
    hosts: fields.Hosts = Field(
        (), description="names by which clients ask, beside addresses and localhost; any other Host is refused"
    )
    job_metrics: Literal["auto", "all", "essential", "none"] = Field(
        "auto", description="metrics of each job in /metrics; auto is all up to 1000 jobs, and essential beyond"
    )

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port to listen on, or None if turned off."""
        return addresses.split_address(self.listen) if self.listen else None


class Engine(Table):
    """`[engine]` of syncd.toml: the limits of all jobs together."""

    workers: fields.Workers = Field(1, description="copy processes")
    confine: fields.Flag = Field(default=True, description="keep each copy process on one core")
    in_flight: fields.InFlight = Field(128, description="objects being copied at once")
    memory: fields.Memory = Field(128 * MIB, description="what the bodies of objects in flight may take")
    requests_per_second: fields.Rate | None = Field(None, description="limit of requests to S3")
    bytes_per_second: fields.ByteRate | None = Field(None, description="limit of bytes copied")


class JobEngine(Table):
    """`[engine]` of a job: its own limits, below those of syncd.toml. None is no limit of its own."""

    in_flight: fields.InFlight | None = Field(None, description="objects of this job being copied at once")
    memory: fields.Memory | None = Field(None, description="what the bodies of this job's objects in flight may take")
    requests_per_second: fields.Rate | None = Field(None, description="limit of this job's requests to S3")
    bytes_per_second: fields.ByteRate | None = Field(None, description="limit of bytes copied by this job")


class Listing(Table):
    """`[listing]`: how far back, and how often, the source is listed again."""

    tail: fields.Duration = Field(timedelta(hours=1), description="how far behind the newest log each tick lists")
    recent: fields.Duration = Field(timedelta(hours=48), description="how far back the recent listing goes")
    recent_every: fields.Duration = Field(timedelta(hours=1), description="how often the recent listing comes round")
    deep_days: fields.Days = Field(33, description="day folders of the deep listing; CloudTrail redelivers for 30 days")
    deep_every: fields.Duration = Field(timedelta(hours=24), description="how often the deep listing comes round")
    discovery_every: fields.Duration = Field(
        timedelta(hours=1), description="new accounts, kinds and regions are looked for after this long at the latest"
    )
    idle_every: fields.Duration = Field(
        timedelta(minutes=15), description="an idle account, kind and region is listed after this long at the latest"
    )
    audit: fields.DurationOrZero = Field(
        timedelta(hours=24),
        description="how often the destination is compared with the keys that are remembered one by one; 0s turns it off",
    )
    audit_sealed: fields.DurationOrZero = Field(
        timedelta(days=7),
        description="how often it is compared with the days that are remembered as one row; 0s: never",
    )
    budget: fields.Duration = Field(
        timedelta(minutes=30),
        description="how long a tick may wait for listings, before it hands in what it has as partial",
    )


class Prices(Table):
    """`[prices]` of syncd.toml, for `syncd plan`. The defaults are us-east-1's of January 2026."""

    writes: fields.Price = Field(0.005, description="1,000 PUT, COPY, POST or LIST requests")
    reads: fields.Price = Field(0.0004, description="1,000 GET requests")
    messages: fields.Price = Field(0.0004, description="1,000 requests to SQS")
    transfer_gb: fields.Price = Field(0.02, description="a gigabyte from one region to another")
