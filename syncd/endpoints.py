"""Where a bucket is reached: scheme, host and path, as botocore would choose them, or as an explicit endpoint says."""

import ipaddress
from urllib.parse import urlsplit

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from syncd.s3 import Address


def bucket_address(
    bucket: str, region: str, *, endpoint: str | None, path_style: bool, session: boto3.Session
) -> Address:
    """The address of a bucket.

    Without an explicit endpoint botocore decides, so AWS_ENDPOINT_URL_S3, FIPS, dual-stack and the partition's own
    domain hold here as they do for any AWS tool.
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
        # Presigning without a signature is botocore's public way to say which URL it would use.
        parts = urlsplit(client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}))
    finally:
        client.close()
    base_path = parts.path.removesuffix("/k")
    if _is_ip_address(parts.hostname or "") and not base_path.endswith(f"/{bucket}"):
        base_path = f"{base_path}/{bucket}"
    return Address(parts.scheme, parts.netloc, base_path, region)


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
