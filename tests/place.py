"""A fresh bucket on one of the S3 servers, and a client to probe it with."""

import base64
import hashlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

FIRST_PART = b"a" * (5 * 1024 * 1024)
LAST_PART = b"b" * 10


@dataclass(frozen=True)
class Place:
    """A fresh bucket on one of the servers."""

    server: str
    client: Any
    bucket: str

    def put(self, key: str, body: bytes = b"body", **more: Any) -> Any:
        return self.client.put_object(Bucket=self.bucket, Key=key, Body=body, **more)

    def body(self, key: str, **more: Any) -> bytes:
        answer = self.client.get_object(Bucket=self.bucket, Key=key, **more)["Body"]
        with closing(answer) as stream:
            content: bytes = stream.read()
        return content

    def page(self, **more: Any) -> Any:
        return self.client.list_objects_v2(Bucket=self.bucket, **more)

    def keys(self, **more: Any) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, **more)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def upload(self, key: str, **more: Any) -> str:
        """A multipart upload of two parts, ready to be completed."""
        upload = self.client.create_multipart_upload(Bucket=self.bucket, Key=key, **more)["UploadId"]
        for number, body in enumerate((FIRST_PART, LAST_PART), start=1):
            algorithm = {"ChecksumSHA256": sha256(body)} if more else {}
            self.client.upload_part(
                Bucket=self.bucket, Key=key, UploadId=upload, PartNumber=number, Body=body, **algorithm
            )
        return str(upload)

    def complete(self, key: str, upload: str, *, with_checksums: bool = False, **more: Any) -> Any:
        parts = [
            {
                "PartNumber": number,
                "ETag": f'"{md5(body)}"',
                **({"ChecksumSHA256": sha256(body)} if with_checksums else {}),
            }
            for number, body in enumerate((FIRST_PART, LAST_PART), start=1)
        ]
        return self.client.complete_multipart_upload(
            Bucket=self.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **more
        )


def refusal(call: Callable[[], object]) -> str | None:
    """The error code that the call is refused with; None where it is not."""
    try:
        call()
    except ClientError as error:
        return str(error.response.get("Error", {}).get("Code"))
    return None


def sha256(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()
