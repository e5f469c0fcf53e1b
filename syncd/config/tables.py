"""The tables of syncd.toml and of a job file."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from syncd.config import addresses, fields, names
from syncd.config.fields import Words
from syncd.config.table import Table, partial

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
        "127.0.0.1:9464", description='where /metrics, /healthz and /readyz answer; "" turns them off'
    )
    allow_remote: fields.Flag = Field(
        default=False, description="must be true for listen to be an address that other machines reach"
    )

    hosts: fields.Hosts = Field(
        (), description="names by which clients ask, beside addresses and localhost; any other Host is refused"
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
    transfer_gb: fields.Price = Field(0.02, description="a gigabyte from one region to another")


class Consumer(Table):
    """`[consumer]`: the account that calls AssumeRole and owns the destination."""

    account_id: fields.AccountId = Field(description="the consumer's account; other credentials are refused")
    profile: fields.Name | None = Field(
        None, description="profile of the AWS configuration, or of credentials_file; else the default chain"
    )
    credentials_file: fields.FilePath | None = Field(
        None,
        description="AWS credentials file; ~ and ${VARIABLE} (see Environment) are expanded, and relative is to this file's folder",
    )


class Role(Table):
    """`[source.role]`: the role to assume in the source's account."""

    arn: fields.RoleArn = Field(description="the role's ARN")
    session_name: fields.SessionName = Field(
        "syncd",
        description="RoleSessionName, which the source's account sees in its own trail",
        json_schema_extra={"default_words": '"syncd-NAME"'},
    )
    external_id: fields.ExternalId | None = Field(
        None, repr=False, description="ExternalId that the role's trust policy asks for"
    )
    duration: fields.SessionDuration = Field(
        timedelta(hours=1), description="how long a session lasts; up to the role's own maximum"
    )
    third_party: fields.Flag = Field(
        default=False, description="true where the source belongs to another party: external_id is then required"
    )

    @property
    def account_id(self) -> str:
        """The account that the ARN names."""
        return names.parse_role_arn(self.arn).account_id

    @property
    def partition(self) -> str:
        """The partition that the ARN names."""
        return names.parse_role_arn(self.arn).partition


class Source(Table):
    """`[source]`: the bucket that logs are delivered to."""

    account_id: fields.AccountId = Field(description="the account that owns the bucket; another owner is refused")
    bucket: fields.Bucket = Field(description="the bucket")
    region: fields.Region = Field(description="the bucket's region, whose STS endpoint is called too")
    prefix: fields.Prefix = Field(
        "", description="the trail's S3KeyPrefix, before AWSLogs/; or of a flat layout, the prefix"
    )
    layout: fields.Layout = Field(
        "cloudtrail", description='how keys are arranged; a pattern such as "{prefix}/%Y/%m/%d/" for dated folders'
    )
    accounts: fields.Accounts = Field("*", description='whose logs; "*" discovers the accounts')
    regions: fields.Regions = Field("*", description='of which regions; "*" discovers them')
    kinds: fields.Kinds = Field(("CloudTrail", "CloudTrail-Digest"), description='of which kinds; "*" is every kind')
    organization_id: fields.OrganizationIds = Field((), description="the organization whose folder the logs stand in")
    ignore: fields.Ignored = Field(
        (),
        description="folders that are left alone: key prefixes, as `uncovered` shows them, or patterns such as"
        ' "AWSLogs/*/Config/"',
    )
    max_object: fields.ObjectSize | None = Field(
        None, description="larger objects are not copied: they are quarantined, and hold the horizon until accepted"
    )
    max_objects_per_tick: fields.ObjectCount | None = Field(
        None, description="objects that one tick copies at most; the next one goes on"
    )
    role: Role | None = Field(None, description="the role to assume; left out: the consumer's own identity reads")

    @property
    def organization_ids(self) -> tuple[str, ...]:
        """The organizations, none of them for a trail of one account."""
        return self.organization_id

    @property
    def is_cloudtrail(self) -> bool:
        """True if keys are arranged as CloudTrail does, under AWSLogs/."""
        return self.layout == "cloudtrail"

    @property
    def date_pattern(self) -> str | None:
        """The date pattern, such as "{prefix}/%Y/%m/%d/", or None for "cloudtrail" and "flat"."""
        return None if self.layout in ("cloudtrail", "flat") else self.layout


class Destination(Table):
    """`[destination]`: the consumer's own bucket."""

    bucket: fields.Bucket = Field(description="the bucket, which the consumer's account owns")
    region: fields.Region = Field(description="the bucket's region")
    prefix: fields.Prefix = Field("", description='put in front of the source\'s key, literally, such as "replica/"')
    copy_mode: Literal["auto", "stream", "server-side"] = Field(
        "auto", alias="copy", description="through this machine, or by S3 itself; auto finds out which works"
    )
    signer: Literal["auto", "consumer", "role"] = Field("auto", description="who signs server-side copies")
    storage_class: fields.StorageClass | None = Field(
        None, description="storage class of the replicas; else the bucket's own"
    )
    kms_key_id: fields.KmsKey | None = Field(None, description="KMS key of the replicas; else the bucket's encryption")
    tags: fields.Tags = Field(default_factory=dict, description="tags of the replicas, 10 at most")
    copy_tags: fields.Flag = Field(
        default=False,
        description="put the source's tags on the replicas, as far as that is permitted; whoever tags the source then tags them",
    )
    acl: Literal["bucket-owner-full-control"] | None = Field(None, description="canned ACL of the replicas; else none")
    multipart_above: fields.PartSize = Field(16 * MIB, description="larger objects are written in parts")
    part_size: fields.PartSize = Field(8 * MIB, description="size of a part; at most multipart_above")


class Endpoints(Table):
    """`[endpoints]` of a job: only for S3-compatible servers and tests."""

    s3: fields.EndpointUrl | None = Field(None, description="S3 endpoint of the source, and of the destination too")
    sts: fields.EndpointUrl | None = Field(None, description="STS endpoint")
    destination_s3: fields.EndpointUrl | None = Field(None, description="S3 endpoint of the destination, where another")
    cloudtrail: fields.EndpointUrl | None = Field(None, description="CloudTrail endpoint")
    allow_http: fields.Flag = Field(
        default=False, description="must be true for http:// beyond this machine, where anybody on the way reads along"
    )
    path_style: fields.Flag = Field(
        default=False, description="buckets in the path of a named server; at an IP address they always are"
    )

    @property
    def is_given(self) -> bool:
        """True if S3 is another server than AWS's, at either end."""
        return self.s3 is not None or self.destination_s3 is not None

    @property
    def destination(self) -> str | None:
        """The S3 endpoint of the destination, or None for AWS."""
        return self.destination_s3 or self.s3


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
    listing: Listing = Listing()
    consumer: Consumer
    source: Source
    destination: Destination
    endpoints: Endpoints = Endpoints()
    engine: JobEngine = JobEngine()


class JobDefaults(partial(JobTable)):  # type: ignore[misc]  # the fields of a job are those of its base
    """`[defaults]` of syncd.toml: keys of a job, none of which is required."""


class SettingsTable(Table):
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
    defaults: Annotated[JobDefaults, Words("any keys of a job", show=lambda _: "none")] = Field(
        JobDefaults(), description="keys that hold for every job; a job's own keys win"
    )
