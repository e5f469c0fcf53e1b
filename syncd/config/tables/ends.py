"""The two ends of a job: who reads and writes, from where, and into which bucket."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from syncd.config import fields, names
from syncd.config.tables.table import Table

MIB = 1024**2


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
    narrow: fields.Flag = Field(
        default=False,
        description="have STS narrow the consumer's own credentials, if they are temporary, to what the job needs"
        " (GetScopedCredentials)",
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
    source_identity: fields.SourceIdentity | None = Field(
        None,
        description="SourceIdentity, which stays on the session; its setting needs sts:SetSourceIdentity at both sides",
    )
    tags: fields.SessionTags = Field(
        default_factory=dict, description="session tags, 50 at most; they need sts:TagSession at both sides"
    )
    sts_region: fields.Region | None = Field(
        None,
        description="region of the STS that is asked, and signed for; else that of endpoints.sts, else source.region",
    )
    session_policy: Literal["on", "off"] = Field(
        "on",
        description="syncd narrows each session to what the job needs; off lets it omit that if STS accepts no"
        " policy, however short",
    )
    duration: fields.SessionDuration = Field(
        timedelta(hours=1), description="how long a session lasts; up to the role's own maximum"
    )
    third_party: fields.Flag = Field(
        default=False, description="true if the source belongs to another party: external_id is then required"
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
    bucket: fields.Bucket = Field(description="the bucket, or the alias or ARN of an access point")
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
    organization_id: fields.OrganizationIds = Field(
        (),
        description="the organization whose folder contains the logs, or several;"
        ' "" in a list is AWSLogs/ itself, as for AWS Config under Control Tower: ["o-exampleorgid", ""]',
    )
    ignore: fields.Ignored = Field(
        (),
        description="folders that are left alone: key prefixes, as `uncovered` shows them, or patterns such as"
        ' "AWSLogs/*/Config/"',
    )
    trail_buckets: fields.Buckets = Field(
        (),
        description="buckets that digests name beside this one: those that the trail delivered to before, under the same"
        " prefix, or the one behind an access point",
    )
    max_object: fields.ObjectSize | None = Field(
        None, description="larger objects are not copied: they are quarantined, and hold the horizon until accepted"
    )
    max_objects_per_tick: fields.ObjectCount | None = Field(
        None, description="objects that one tick copies at most; the next one goes on"
    )
    request_payer: fields.RequestPayer | None = Field(
        None, description="the caller pays for requests to a Requester Pays bucket; true says the same"
    )
    role: Role | None = Field(None, description="the role to assume; left out: the consumer's own identity reads")

    @property
    def digest_buckets(self) -> tuple[str, ...]:
        """The buckets that digests may name."""
        return (self.bucket, *self.trail_buckets)

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

    bucket: fields.Bucket = Field(
        description="the bucket, which the consumer's account owns, or the alias or ARN of an access point"
    )
    region: fields.Region = Field(description="the bucket's region")
    prefix: fields.Prefix = Field("", description='put in front of the source\'s key, literally, such as "replica/"')
    copy_mode: Literal["auto", "stream", "server-side"] = Field(
        "auto", alias="copy", description="through this machine, or by S3 itself; auto finds out which works"
    )
    signer: Literal["auto", "consumer", "role"] = Field("auto", description="who signs server-side copies")
    storage_class: fields.StorageClass | None = Field(
        None, description="storage class of the replicas; else the bucket's own"
    )
    encryption: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = Field(
        None,
        description="encryption that each write asks for; else aws:kms with kms_key_id, and without it the bucket's own",
    )
    kms_key_id: fields.KmsKey | None = Field(
        None, description="KMS key of the replicas; else the bucket's, or with encryption the account's own aws/s3"
    )
    bucket_key: fields.Flag | None = Field(
        None, description="an S3 Bucket Key for aws:kms, which saves calls to KMS; else the bucket's setting"
    )
    tags: fields.Tags = Field(default_factory=dict, description="tags of the replicas, 10 at most")
    copy_tags: fields.Flag = Field(
        default=False,
        description="put the source's tags on the replicas, if permitted: the source's account then decides their tags",
    )
    acl: Literal["bucket-owner-full-control"] | None = Field(None, description="canned ACL of the replicas; else none")
    checksum: Literal["crc64nvme", "sha256"] = Field(
        "crc64nvme",
        description="checksum by which S3 verifies objects of 1 MiB and more; smaller ones always have sha256, and so have"
        ' all with endpoints.payload = "signed"',
    )
    multipart_above: fields.PartSize = Field(
        1024 * MIB,
        description="larger objects are written in parts; so are those above part_size whose source tells no checksum",
    )
    part_size: fields.PartSize = Field(
        8 * MIB, description="size of a part, and the most of a body that is held in memory; at most multipart_above"
    )


class Endpoints(Table):
    """`[endpoints]` of a job: only for S3-compatible servers and tests."""

    s3: fields.EndpointUrl | None = Field(None, description="S3 endpoint of the source, and of the destination too")
    sts: fields.EndpointUrl | None = Field(None, description="STS endpoint")
    destination_s3: fields.EndpointUrl | None = Field(
        None, description="S3 endpoint of the destination, if it differs from the source's"
    )
    cloudtrail: fields.EndpointUrl | None = Field(None, description="CloudTrail endpoint")
    allow_http: fields.Flag = Field(
        default=False,
        description="must be true for http:// beyond this machine: anybody on the network path can read and change it",
    )
    bucket_owner: fields.BucketOwner = Field(
        "check",
        description='which owner each request expects: "check" is the account in the job, "off" none, and any other text'
        " the ID by which the server knows the owner",
    )
    payload: Literal["unsigned", "signed"] = Field(
        "unsigned", description='"signed" covers bodies by the signature, for servers that refuse UNSIGNED-PAYLOAD'
    )
    path_style: fields.Flag = Field(
        default=False, description="buckets in the path of a named server; at an IP address they always are"
    )

    @property
    def is_given(self) -> bool:
        """True if S3 is another server than AWS's, at either end."""
        return self.s3 is not None or self.destination_s3 is not None

    def owner(self, account_id: str, *, endpoint: str | None) -> str:
        """Return the owner that requests to this endpoint expect of a bucket. Empty for any."""
        if endpoint is None or self.bucket_owner == "check":
            return account_id
        return "" if self.bucket_owner == "off" else self.bucket_owner

    @property
    def destination(self) -> str | None:
        """The S3 endpoint of the destination, or None for AWS."""
        return self.destination_s3 or self.s3
