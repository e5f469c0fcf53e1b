"""The rules between keys of a job. Pure."""

from collections.abc import Iterator
from datetime import timedelta
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from syncd.config import cron, names, partitions
from syncd.config.addresses import is_loopback
from syncd.config.tables.files import JobTable
from syncd.config.tables.webhooks import calls_are_whole
from syncd.config.words import Finding, shown
from syncd.model.units import format_duration, format_size


def one_schedule(job: JobTable) -> Iterator[Finding]:
    """Require an interval or a cron line, not both."""
    if job.every is not None and job.cron is not None:
        yield Finding("cron", "every and cron exclude each other; remove one of them")


def jitter_below_interval(job: JobTable) -> Iterator[Finding]:
    """Keep a tick from drifting past the next one."""
    shortest = cron.gaps(job.cron).shortest if job.cron is not None else job.every
    if shortest is not None and job.jitter >= shortest:
        yield Finding(
            "jitter",
            f"{shown(job.jitter)} must be less than {format_duration(shortest)}, the time from one tick to the next",
        )


def listing_widens(job: JobTable) -> Iterator[Finding]:
    """Require that each listing goes further back than the one before it."""
    listing = job.listing
    if listing.recent < listing.tail:
        yield Finding("listing.recent", f"{shown(listing.recent)} must be at least tail ({shown(listing.tail)})")
    if timedelta(days=listing.deep_days) < listing.recent:
        yield Finding("listing.deep_days", f"{listing.deep_days} days must reach past recent ({shown(listing.recent)})")


def third_party_has_external_id(job: JobTable) -> Iterator[Finding]:
    """Require the external ID of a third party.

    Without it, anybody who knows the role could make the third party read for them.
    """
    role = job.source.role
    if role is not None and role.third_party and role.external_id is None:
        yield Finding(
            "source.role.external_id",
            "is missing, and third_party = true requires it; give the ID that the role's trust policy asks for",
        )


def role_is_in_source_account(job: JobTable) -> Iterator[Finding]:
    """Require a role in the account that owns the bucket."""
    role = job.source.role
    if role is not None and role.account_id != job.source.account_id:
        yield Finding(
            "source.role.arn",
            f"the role is in account {role.account_id}, and source.account_id is {job.source.account_id};"
            " they must be the same",
        )


def source_is_in_one_partition(job: JobTable) -> Iterator[Finding]:
    """Keep role and regions in one partition. Servers other than AWS name regions as they like."""
    if job.endpoints.s3 is not None:
        return
    partition = partitions.partition_of(job.source.region)
    yield from _real_region("source.region", job.source.region, partition)
    if job.source.role is not None and partition is not None and job.source.role.partition != partition:
        yield Finding(
            "source.role.arn",
            f"the ARN is in partition {job.source.role.partition}, and region {job.source.region} is in {partition};"
            f" write arn:{partition}:iam::…, or correct source.region",
        )
    sts_region = job.source.role.sts_region if job.source.role is not None else None
    if sts_region is not None and partitions.partition_of(sts_region) != partition:
        yield Finding(
            "source.role.sts_region",
            f"{shown(sts_region)} is no region beside {job.source.region}, in partition {partition}",
        )
    for region in () if job.source.regions == "*" else job.source.regions:
        if partitions.partition_of(region) != partition:
            yield Finding(
                "source.regions", f"{shown(region)} is no region beside {job.source.region}, in partition {partition}"
            )


def sts_is_of_its_region(job: JobTable) -> Iterator[Finding]:
    """Keep an endpoint of AWS's STS and the region that its requests are signed for together."""
    sts_region = job.source.role.sts_region if job.source.role is not None else None
    served = partitions.region_of_host(job.endpoints.sts or "")
    if sts_region is not None and served is not None and sts_region != served:
        yield Finding(
            "source.role.sts_region",
            f"endpoints.sts is of {served}, which takes no signature for {sts_region}; leave one of the two out",
        )


def destination_is_in_the_same_partition(job: JobTable) -> Iterator[Finding]:
    """Keep both ends in one partition, as no credentials are valid in two."""
    if job.endpoints.destination is not None:
        return
    partition = partitions.partition_of(job.destination.region)
    yield from _real_region("destination.region", job.destination.region, partition)
    here = partitions.partition_of(job.source.region)
    if job.endpoints.s3 is None and None not in (here, partition) and here != partition:
        yield Finding(
            "destination.region",
            f"{job.destination.region} is in partition {partition}, and source.region {job.source.region} is in {here};"
            " no credentials hold in both",
        )


def _real_region(key: str, region: str, partition: str | None) -> Iterator[Finding]:
    if partition is None:
        yield Finding(key, f"{shown(region)} is no AWS region, such as us-east-1")


def prefix_fits_layout(job: JobTable) -> Iterator[Finding]:
    """Require a trail's S3KeyPrefix, of 200 characters at most. A date pattern adds the slash itself."""
    prefix = job.source.prefix
    if job.source.date_pattern is not None and prefix.endswith("/"):
        yield Finding("source.prefix", f"{shown(prefix)} ends in a slash; write {shown(prefix.rstrip('/'))}")
    if job.source.is_cloudtrail and len(prefix) > 200:
        yield Finding("source.prefix", f"a trail's prefix has 200 characters at most, and this has {len(prefix)}")


def filters_fit_layout(job: JobTable) -> Iterator[Finding]:
    """Refuse filters by account, region and kind on layouts whose keys do not show them."""
    source = job.source
    if source.is_cloudtrail:
        return
    narrowed = {"accounts": source.accounts != "*", "regions": source.regions != "*"}
    narrowed |= {"kinds": "kinds" in source.model_fields_set and source.kinds != "*"}
    narrowed |= {"organization_id": bool(source.organization_id)}
    for key in (key for key, is_narrowed in narrowed.items() if is_narrowed):
        yield Finding(f"source.{key}", 'only layout = "cloudtrail" can be narrowed by this; remove it')


def ignore_leaves_something(job: JobTable) -> Iterator[Finding]:
    """Refuse to ignore all folders of the source, or folders outside it."""
    source = job.source
    if source.ignore and source.layout == "flat":
        yield Finding("source.ignore", 'layout = "flat" copies everything under source.prefix; remove it')
    if not source.is_cloudtrail:
        return
    top = f"{source.prefix}/AWSLogs/" if source.prefix else "AWSLogs/"
    any_folder = f"{top}\0/"
    for entry in source.ignore:
        if top.startswith(entry) or fnmatchcase(top, entry) or fnmatchcase(any_folder, entry):
            yield Finding("source.ignore", f"{shown(entry)} leaves out everything; name a folder under {shown(top)}")
        elif not entry.startswith(top) and not set("*?[") & set(entry):
            yield Finding("source.ignore", f"{shown(entry)} is not under {shown(top)}, where the job's logs are")


def parts_fit(job: JobTable) -> Iterator[Finding]:
    """Require that a part fits into multipart_above and into the memory."""
    destination = job.destination
    if destination.part_size > destination.multipart_above:
        part, above = format_size(destination.part_size), format_size(destination.multipart_above)
        yield Finding(
            "destination.part_size", f"{part} must be at most multipart_above; set it to {above} or less, or raise that"
        )
    if job.engine.memory is not None and job.engine.memory < destination.part_size:
        part = format_size(destination.part_size)
        memory = format_size(job.engine.memory)
        yield Finding("engine.memory", f"{memory} must hold one part; raise it to {part}, or set destination.part_size")


def key_is_in_destination_region(job: JobTable) -> Iterator[Finding]:
    """Require a KMS key in the bucket's own region."""
    key = job.destination.kms_key_id
    region = names.region_of_kms_key(key) if key is not None else None
    if region is not None and region != job.destination.region and job.endpoints.destination is None:
        yield Finding(
            "destination.kms_key_id",
            f"the key is in {region}, and S3 needs one in destination.region, {job.destination.region}",
        )


def encryption_fits(job: JobTable) -> Iterator[Finding]:
    """Require an encryption that has the key, and the bucket key, that it is given."""
    destination = job.destination
    encryption = destination.encryption
    if encryption == "AES256" and destination.kms_key_id is not None:
        yield Finding(
            "destination.kms_key_id", 'encryption = "AES256" uses no KMS key; remove it, or say encryption = "aws:kms"'
        )
    is_kms = encryption == "aws:kms" or (encryption is None and destination.kms_key_id is not None)
    if destination.bucket_key is not None and not is_kms:
        yield Finding("destination.bucket_key", 'only encryption = "aws:kms" has bucket keys; say that, or remove this')


def access_points_fit(job: JobTable) -> Iterator[Finding]:
    """Require access points of the end's own region and partition."""
    for key, end in (("source", job.source), ("destination", job.destination)):
        point = names.access_point(end.bucket)
        if point is not None and point.region != end.region:
            yield Finding(
                f"{key}.bucket",
                f"the access point is in {point.region}, and {key}.region is {end.region}; they must be the same",
            )
        elif point is not None and point.partition != (partitions.partition_of(end.region) or point.partition):
            yield Finding(f"{key}.bucket", f"{shown(end.bucket)} names another partition than that of {end.region}")


def owners_are_checked_on_aws(job: JobTable) -> Iterator[Finding]:
    """Refuse to give up the check of owners on AWS, where it protects from others' buckets."""
    if job.endpoints.bucket_owner != "check" and not job.endpoints.is_given:
        yield Finding(
            "endpoints.bucket_owner",
            "only S3-compatible servers (endpoints.s3) have other owners than accounts; remove it",
        )


def endpoints_are_private(job: JobTable) -> Iterator[Finding]:
    """Require permission for plain HTTP, over which others can read logs and alter answers."""
    endpoints = job.endpoints
    if endpoints.allow_http:
        return
    for key in ("s3", "sts", "destination_s3", "cloudtrail"):
        parts = urlsplit(getattr(endpoints, key) or "")
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            yield Finding(
                f"endpoints.{key}",
                "http:// beyond this machine is neither private nor safe from change; use https://,"
                " or say allow_http = true in [endpoints]",
            )


def tags_are_of_one_origin(job: JobTable) -> Iterator[Finding]:
    """Require one origin of tags, since a write gives an object all of them."""
    if job.destination.copy_tags and job.destination.tags:
        yield Finding("destination.copy_tags", "tags and copy_tags exclude each other; remove one of them")


def destination_is_not_source(job: JobTable) -> Iterator[Finding]:
    """Refuse the source's own bucket as destination, where replicas would be listed again."""
    if _place(job.endpoints.s3, job.source.region, job.source.bucket) == destination_place(job)[:3]:
        yield Finding("destination.bucket", f"{shown(job.destination.bucket)} is the source too; name another bucket")


def destination_place(job: JobTable) -> tuple[str, str, str, str]:
    """Return what identifies a destination: endpoint or partition, bucket, prefix."""
    place = _place(job.endpoints.destination, job.destination.region, job.destination.bucket)
    return (*place, job.destination.prefix)


def _place(endpoint: str | None, region: str, bucket: str) -> tuple[str, str, str]:
    if endpoint is None:
        return "aws", partitions.partition_of(region) or "", bucket
    parts = urlsplit(endpoint)
    host = "127.0.0.1" if parts.hostname == "localhost" else str(parts.hostname)
    return host, str(parts.port or {"http": 80, "https": 443}[parts.scheme]), bucket


JOB_RULES = (
    one_schedule,
    jitter_below_interval,
    listing_widens,
    third_party_has_external_id,
    role_is_in_source_account,
    source_is_in_one_partition,
    sts_is_of_its_region,
    destination_is_in_the_same_partition,
    prefix_fits_layout,
    filters_fit_layout,
    ignore_leaves_something,
    parts_fit,
    key_is_in_destination_region,
    encryption_fits,
    access_points_fit,
    owners_are_checked_on_aws,
    endpoints_are_private,
    tags_are_of_one_origin,
    destination_is_not_source,
    calls_are_whole,
)
