"""Addresses of buckets, as botocore chooses them or as an explicit endpoint has them."""

import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config

from syncd.aws.s3 import Address


def bucket_address(
    bucket: str, region: str, *, endpoint: str | None, path_style: bool, session: boto3.Session
) -> Address:
    """Return the address of a bucket.

    Without an explicit endpoint botocore decides, so AWS_ENDPOINT_URL_S3, FIPS, dual-stack and the partition's own
    domain apply as in any AWS tool.
    """
    if endpoint is not None:
        parts = urlsplit(endpoint)
        path = parts.path.rstrip("/")
        if path_style or _is_ip_address(parts.hostname or "") or "." in bucket:
            return Address(parts.scheme, parts.netloc, f"{path}/{bucket}", region)
        return Address(parts.scheme, f"{bucket}.{parts.netloc}", path, region)
    client = session.client(
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
    found: list[str] = []

    def answer(params: Mapping[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
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
