"""Addresses of buckets, as botocore chooses them or as an explicit endpoint has them."""

import ipaddress
import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from syncd.aws.identity.plain.session import Session
from syncd.aws.s3 import Address
from syncd.aws.wire.certificates import authorities_of
from syncd.config.names import access_point
from syncd.config.partitions import partitions

# No dots, which certificates do not cover, and no double hyphens, which only names with rules of their own have.
_PLAIN_BUCKET = re.compile(r"(?!.*--)(?!.*-s3alias$)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", re.ASCII)
_MOVING_VARIABLES = ("AWS_DATA_PATH", "AWS_ENDPOINT_URL", "AWS_S3_", "AWS_USE_")
# Keys of a profile that say who asks, and not where.
_UNMOVING_KEYS = frozenset(
    {
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "ca_bundle",
        "credential_process",
        "credential_source",
        "duration_seconds",
        "external_id",
        "max_attempts",
        "output",
        "region",
        "retry_mode",
        "role_arn",
        "role_session_name",
        "source_profile",
        "sso_account_id",
        "sso_region",
        "sso_role_name",
        "sso_session",
        "sso_start_url",
        "sts_regional_endpoints",
        "web_identity_token_file",
    }
)


def bucket_address(bucket: str, region: str, *, endpoint: str | None, path_style: bool, session: Session) -> Address:
    """Return the address of a bucket.

    Without an explicit endpoint, and where a setting or the bucket asks for anything but the bucket's own host in its
    region, botocore decides, so AWS_ENDPOINT_URL_S3, FIPS and dual-stack apply as in any AWS tool.
    """
    authorities = authorities_of(session)
    if endpoint is not None:
        parts = urlsplit(endpoint)
        path = parts.path.rstrip("/")
        if path_style or _is_ip_address(parts.hostname or "") or "." in bucket:
            return Address(parts.scheme, parts.netloc, f"{path}/{quote(bucket, safe='')}", region, authorities)
        point = access_point(bucket)
        label = bucket if point is None else f"{point.name}-{point.account_id}"
        return Address(parts.scheme, f"{label}.{parts.netloc}", path, region, authorities)
    if (suffix := _plain_suffix(bucket, region, session)) is not None:
        return Address("https", f"{bucket}.s3.{region}.{suffix}", "", region, authorities)
    return _as_botocore_has_it(bucket, region, session)._replace(authorities=authorities)


def _plain_suffix(bucket: str, region: str, session: Session) -> str | None:
    """Return the end of the host of a bucket that no setting moves, or None if botocore has to be asked."""
    if any(name.startswith(_MOVING_VARIABLES) for name in os.environ) or not _PLAIN_BUCKET.fullmatch(bucket):
        return None
    if not session.get_scoped_config().keys() <= _UNMOVING_KEYS:
        return None
    found = (each.dns_suffix for each in partitions() if each.has(region))
    return next(found, None)


def _as_botocore_has_it(bucket: str, region: str, session: Session) -> Address:
    """Return an address of botocore's choice. Its client takes half as long as an idle tick."""
    from botocore import UNSIGNED  # noqa: PLC0415  # an idle tick goes without
    from botocore.config import Config  # noqa: PLC0415

    client = session.create_client(
        "s3",
        region_name=region,
        config=Config(signature_version=UNSIGNED, s3={"us_east_1_regional_endpoint": "regional"}),
    )
    try:
        parts = urlsplit(_url_of_a_request(client, bucket))
    finally:
        client.close()
    base_path = parts.path.removesuffix("/k")
    if _is_ip_address(parts.hostname or "") and not base_path.endswith(f"/{bucket}"):
        base_path = f"{base_path}/{bucket}"
    return Address(parts.scheme, parts.netloc, base_path, region)


def _url_of_a_request(client: Any, bucket: str) -> str:
    """Return the URL to which botocore would send a request for the key `k`. Sends nothing.

    A presigned URL will not do: for many buckets of other regions its host is that of us-east-1.
    """
    from botocore.awsrequest import AWSResponse  # noqa: PLC0415  # as above
    from botocore.compat import HTTPHeaders  # noqa: PLC0415

    found: list[str] = []

    def answer(params: Mapping[str, Any], **_: Any) -> tuple[Any, dict[str, Any]]:
        found.append(params["url"])
        return AWSResponse(found[0], 200, HTTPHeaders(), None), {}

    client.meta.events.register("before-call.s3.HeadObject", answer)
    client.head_object(Bucket=bucket, Key="k")
    return found[0]


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
