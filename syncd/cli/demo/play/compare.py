"""A byte-for-byte comparison of two buckets, for the demo and for tests."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_READS_IN_FLIGHT = 8


@dataclass(frozen=True, slots=True)
class Stored:
    """An object with the properties that its replica must share."""

    body: bytes
    content_type: str
    content_encoding: str
    metadata: Mapping[str, str]
    """User metadata, without `x-amz-meta-`."""


def stored(client: "S3Client", bucket: str, prefixes: Sequence[str] = ("",)) -> dict[str, Stored]:
    """Read every object below the prefixes into memory, by key. Suits small buckets only."""

    def read(key: str) -> tuple[str, Stored]:
        answer = client.get_object(Bucket=bucket, Key=key)
        with answer["Body"] as body:
            content = body.read()
        return key, Stored(
            content, answer.get("ContentType", ""), answer.get("ContentEncoding", ""), answer.get("Metadata", {})
        )

    pages = (
        page
        for prefix in prefixes
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    )
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    with ThreadPoolExecutor(_READS_IN_FLIGHT, thread_name_prefix="compare") as threads:
        return dict(threads.map(read, keys))


def differences(source: Mapping[str, Stored], replica: Mapping[str, Stored]) -> Iterator[str]:
    """Yield a sentence for each key that differs between the sides."""
    for key in sorted(source.keys() | replica.keys()):
        if key not in replica:
            yield f"{key} is missing from the replica"
        elif key not in source:
            yield f"{key} is in the replica only"
        elif source[key].body != replica[key].body:
            yield f"{key} has other bytes in the replica"
        elif source[key] != replica[key]:
            yield f"{key} has other metadata in the replica"
