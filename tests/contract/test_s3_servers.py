"""One contract over the fake and the real S3 servers: what syncd relies on, and what each server gets wrong.

Where a server does not do as S3 does, the table above the test says what it does instead, and the test holds it to
that: a server that is mended shows. `faulty` stands for AWS itself in each table.
"""

import base64
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import MakeClient
from faulty import FaultyS3
from servers import S3Server

MIB = 1024 * 1024
FIRST_PART = b"a" * (5 * MIB)
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


@pytest.fixture(params=["faulty", "ministack", "moto", "seaweed"])
def place(request: pytest.FixtureRequest, make_client: MakeClient) -> Place:
    server = request.getfixturevalue(request.param)
    if isinstance(server, FaultyS3):
        user = server.add_user("111111111111")
        server.create_bucket("bucket", account_id="111111111111")
        keys = {"access_key_id": user.access_key_id, "secret_access_key": user.secret_access_key}
        return Place("faulty", make_client(server.url, **keys), "bucket")
    assert isinstance(server, S3Server)
    client = make_client(server.url, access_key_id=server.access_key_id, secret_access_key=server.secret_access_key)
    name = server.fresh_bucket_name()
    client.create_bucket(Bucket=name)
    return Place(server.name, client, name)


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


def test_an_object_comes_back_with_its_bytes_metadata_type_and_encoding(place: Place) -> None:
    metadata = {"signature": "00ff", "signature-algorithm": "SHA256withRSA"}

    place.put("k", b"\x1f\x8b", ContentType="application/json", ContentEncoding="gzip", Metadata=metadata)

    head = place.client.head_object(Bucket=place.bucket, Key="k")
    assert place.body("k") == b"\x1f\x8b"
    assert (head["ContentType"], head["ContentEncoding"], head["ContentLength"]) == ("application/json", "gzip", 2)
    assert head["Metadata"] == metadata
    assert head["ETag"] == f'"{md5(bytes([0x1F, 0x8B]))}"'


def test_an_empty_object_comes_back_empty(place: Place) -> None:
    place.put("k", b"")

    assert place.body("k") == b""


def test_a_missing_key_is_no_such_key(place: Place) -> None:
    assert refusal(lambda: place.body("k")) == "NoSuchKey"


def test_a_missing_bucket_is_no_such_bucket(place: Place) -> None:
    missing = f"{place.bucket}-not"

    assert refusal(lambda: place.client.list_objects_v2(Bucket=missing)) == "NoSuchBucket"


def test_a_range_is_read(place: Place) -> None:
    place.put("k", b"0123456789")

    answer = place.client.get_object(Bucket=place.bucket, Key="k", Range="bytes=2-4")

    with closing(answer["Body"]) as stream:
        assert stream.read() == b"234"
    assert answer["ContentRange"] == "bytes 2-4/10"


def test_a_read_of_another_etag_is_refused(place: Place) -> None:
    place.put("k")

    assert refusal(lambda: place.body("k", IfMatch='"0"')) == "PreconditionFailed"


def test_if_none_match_writes_what_is_not_there(place: Place) -> None:
    place.put("k", b"first", IfNoneMatch="*")

    assert place.body("k") == b"first"


def test_if_none_match_never_overwrites(place: Place) -> None:
    place.put("k", b"first")

    code = refusal(lambda: place.put("k", b"second", IfNoneMatch="*"))

    assert code == "PreconditionFailed"
    assert place.body("k") == b"first"


def test_of_several_conditional_writes_at_once_one_wins(place: Place) -> None:
    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(refusal, lambda n=n: place.put("k", b"%d" % n, IfNoneMatch="*")) for n in range(8)]

    assert [call.result() for call in calls].count(None) == 1


# SeaweedFS keeps a tree of folders: it lists `a/1` where `a` would stand, before `a!`.
ODD_KEYS = ["a!", "a-", "a.b", "a/1", "a/2", "a0", "b", "z", "é", "日本", "\uffee", "😀"]
LISTED = {
    "faulty": ODD_KEYS,
    "ministack": ODD_KEYS,
    "moto": ODD_KEYS,
    "seaweed": ["a/1", "a/2", "a!", "a-", "a.b", "a0", "b", "z", "é", "日本", "\uffee", "😀"],
}


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_keys_are_listed_in_the_order_of_their_bytes_over_all_pages(place: Place, size: int) -> None:
    for key in reversed(ODD_KEYS):
        place.put(key)

    assert place.keys(PaginationConfig={"PageSize": size}) == LISTED[place.server]


# `a` is no key: SeaweedFS takes StartAfter as a place in its tree, and leaves the folder `a` out.
LISTED_AFTER_A = LISTED | {"seaweed": ["a!", "a-", "a.b", "a0", "b", "z", "é", "日本", "\uffee", "😀"]}


@pytest.mark.parametrize("size", [1, 1000])
def test_start_after_lists_every_key_behind_it(place: Place, size: int) -> None:
    for key in ODD_KEYS:
        place.put(key)

    assert place.keys(StartAfter="a", PaginationConfig={"PageSize": size}) == LISTED_AFTER_A[place.server]


def test_start_after_within_cloudtrail_keys_lists_the_rest_of_the_shard(place: Place) -> None:
    shard = "AWSLogs/222222222222/CloudTrail/us-east-1/"
    keys = [
        f"{shard}2026/11/{day}/222222222222_CloudTrail_us-east-1_202611{day}T{n}Z_x" for day in (22, 23) for n in (1, 2)
    ]
    for key in keys:
        place.put(key)

    listed = place.keys(Prefix=shard, StartAfter=f"{shard}2026/11/22/222222222222_CloudTrail_us-east-1_20261122T2")

    assert listed == keys[1:]


def test_start_after_the_day_before_lists_a_day_from_its_beginning(place: Place) -> None:
    shard = "AWSLogs/222222222222/CloudTrail/us-east-1/"
    keys = [f"{shard}2026/11/{day}/x" for day in (21, 22, 23)]
    for key in keys:
        place.put(key)

    assert place.keys(Prefix=shard, StartAfter=f"{shard}2026/11/21/~") == keys[1:]


def test_a_listing_tells_etag_size_and_class(place: Place) -> None:
    place.put("k", b"body")

    (item,) = place.page()["Contents"]

    assert (item["ETag"], item["Size"], item["StorageClass"]) == (f'"{md5(b"body")}"', 4, "STANDARD")


def test_a_prefix_ends_a_listing(place: Place) -> None:
    for key in ("a/1", "b/1", "b/2", "c/1"):
        place.put(key)

    assert place.keys(Prefix="b/") == ["b/1", "b/2"]


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_a_delimiter_folds_keys_into_common_prefixes(place: Place, size: int) -> None:
    for key in ("p/a/1", "p/a/2", "p/b", "p/c/1", "p/d/e/f"):
        place.put(key)
    paginator = place.client.get_paginator("list_objects_v2")

    pages = list(
        paginator.paginate(Bucket=place.bucket, Prefix="p/", Delimiter="/", PaginationConfig={"PageSize": size})
    )

    prefixes = [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", [])]
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    assert (prefixes, keys) == (["p/a/", "p/c/", "p/d/"], ["p/b"])


def test_no_more_than_a_thousand_keys_are_on_a_page() -> None:
    with FaultyS3() as server:
        bucket = server.create_bucket("bucket")
        for number in range(1001):
            server.put("bucket", f"{number:04}", b"")

        page = bucket.page(prefix="", after="", delimiter="", limit=1000)

    assert (len(page.keys), page.is_truncated) == (1000, True)


ODD_NAMES = ["a b", "a+b", "a%20b", "a&b=c", "a'b\"c", "a;b?c#d", "~a*(b)!", "ü/ö", "日本語/ログ"]


def test_odd_keys_are_written_read_and_listed_as_they_are(place: Place) -> None:
    for key in ODD_NAMES:
        place.put(key, key.encode())

    assert {key: place.body(key).decode() for key in ODD_NAMES} == {key: key for key in ODD_NAMES}
    assert sorted(place.keys()) == sorted(ODD_NAMES)


# moto takes any SHA-256 for granted.
WRONG_CHECKSUM = {"faulty": "BadDigest", "ministack": "BadDigest", "moto": None, "seaweed": "BadDigest"}


def test_a_body_that_does_not_match_its_sha256_is_refused(place: Place) -> None:
    code = refusal(lambda: place.put("k", b"body", ChecksumSHA256=sha256(b"other")))

    assert code == WRONG_CHECKSUM[place.server]
    assert (place.keys() == []) == (code is not None)


# moto keeps a checksum only where `x-amz-sdk-checksum-algorithm` names it too, which S3 does not ask for.
KEPT_CHECKSUM = {
    "faulty": sha256(b"body"),
    "ministack": sha256(b"body"),
    "moto": None,
    "seaweed": sha256(b"body"),
}


def test_a_sha256_given_with_a_write_is_told_by_head(place: Place) -> None:
    place.put("k", b"body", ChecksumSHA256=sha256(b"body"))

    head = place.client.head_object(Bucket=place.bucket, Key="k", ChecksumMode="ENABLED")

    assert head.get("ChecksumSHA256") == KEPT_CHECKSUM[place.server]


def test_a_multipart_upload_joins_its_parts(place: Place) -> None:
    upload = place.upload("k")

    place.complete("k", upload)

    head = place.client.head_object(Bucket=place.bucket, Key="k")
    assert place.body("k") == FIRST_PART + LAST_PART
    assert head["ETag"].strip('"').endswith("-2")


def test_a_multipart_upload_keeps_metadata_type_and_encoding(place: Place) -> None:
    more = {"ContentType": "application/json", "ContentEncoding": "gzip", "Metadata": {"signature": "00ff"}}
    upload = place.client.create_multipart_upload(Bucket=place.bucket, Key="k", **more)["UploadId"]
    part = {"PartNumber": 1, "Body": b"one"}
    tag = place.client.upload_part(Bucket=place.bucket, Key="k", UploadId=upload, **part)["ETag"]

    place.client.complete_multipart_upload(
        Bucket=place.bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]}
    )

    head = place.client.head_object(Bucket=place.bucket, Key="k")
    assert {name: head[name] for name in more} == more


def test_completing_an_upload_with_if_none_match_never_overwrites(place: Place) -> None:
    upload = place.upload("k")
    place.put("k", b"first")

    code = refusal(lambda: place.complete("k", upload, IfNoneMatch="*"))

    assert code == "PreconditionFailed"
    assert place.body("k") == b"first"


def test_completing_an_upload_with_if_none_match_writes_what_is_not_there(place: Place) -> None:
    upload = place.upload("k")

    place.complete("k", upload, IfNoneMatch="*")

    assert place.body("k") == FIRST_PART + LAST_PART


COMPOSITE = f"{sha256(hashlib.sha256(FIRST_PART).digest() + hashlib.sha256(LAST_PART).digest())}-2"
# moto leaves the number of parts out.
UPLOAD_CHECKSUM = {
    "faulty": COMPOSITE,
    "ministack": COMPOSITE,
    "moto": COMPOSITE.removesuffix("-2"),
    "seaweed": COMPOSITE,
}


def test_the_sha256_of_a_multipart_upload_is_one_of_its_parts(place: Place) -> None:
    upload = place.upload("k", ChecksumAlgorithm="SHA256")

    place.complete("k", upload, with_checksums=True)

    head = place.client.head_object(Bucket=place.bucket, Key="k", ChecksumMode="ENABLED")
    assert head.get("ChecksumSHA256") == UPLOAD_CHECKSUM[place.server]


def test_an_aborted_upload_leaves_nothing(place: Place) -> None:
    upload = place.upload("k")

    place.client.abort_multipart_upload(Bucket=place.bucket, Key="k", UploadId=upload)

    assert place.client.list_multipart_uploads(Bucket=place.bucket).get("Uploads", []) == []
    assert place.keys() == []


# MiniStack joins parts of any size.
SHORT_PART = {"faulty": "EntityTooSmall", "ministack": None, "moto": "EntityTooSmall", "seaweed": "EntityTooSmall"}


def test_a_short_part_that_is_not_the_last_is_refused(place: Place) -> None:
    upload = place.client.create_multipart_upload(Bucket=place.bucket, Key="k")["UploadId"]
    parts = [
        place.client.upload_part(Bucket=place.bucket, Key="k", UploadId=upload, PartNumber=number, Body=b"short")
        for number in (1, 2)
    ]
    named = {"Parts": [{"PartNumber": n, "ETag": part["ETag"]} for n, part in enumerate(parts, start=1)]}

    code = refusal(
        lambda: place.client.complete_multipart_upload(
            Bucket=place.bucket, Key="k", UploadId=upload, MultipartUpload=named
        )
    )

    assert code == SHORT_PART[place.server]


def copy(place: Place, **more: Any) -> Any:
    source = {"Bucket": place.bucket, "Key": "from"}
    return place.client.copy_object(Bucket=place.bucket, Key="to", CopySource=source, **more)


def test_a_copy_keeps_bytes_metadata_type_and_encoding(place: Place) -> None:
    more = {"ContentType": "application/json", "ContentEncoding": "gzip", "Metadata": {"signature": "00ff"}}
    place.put("from", b"body", **more)

    copy(place)

    head = place.client.head_object(Bucket=place.bucket, Key="to")
    assert place.body("to") == b"body"
    assert {name: head[name] for name in more} == more


def test_a_copy_of_a_missing_object_is_no_such_key(place: Place) -> None:
    assert refusal(lambda: copy(place)) == "NoSuchKey"


# moto does not look at the condition.
CHANGED_SOURCE = {
    "faulty": "PreconditionFailed",
    "ministack": "PreconditionFailed",
    "moto": None,
    "seaweed": "PreconditionFailed",
}


def test_a_copy_of_a_changed_source_is_refused(place: Place) -> None:
    place.put("from", b"body")

    assert refusal(lambda: copy(place, CopySourceIfMatch='"0"')) == CHANGED_SOURCE[place.server]


# MiniStack and moto overwrite: the reason why `auto` streams under [endpoints].
COPY_ONTO_ANOTHER = {
    "faulty": ("PreconditionFailed", b"first"),
    "ministack": (None, b"body"),
    "moto": (None, b"body"),
    "seaweed": ("PreconditionFailed", b"first"),
}


def test_a_conditional_copy_never_overwrites(place: Place) -> None:
    place.put("from", b"body")
    place.put("to", b"first")

    code = refusal(lambda: copy(place, IfNoneMatch="*"))

    assert (code, place.body("to")) == COPY_ONTO_ANOTHER[place.server]


# MiniStack and SeaweedFS compute none.
COPY_CHECKSUM = {"faulty": sha256(b"body"), "ministack": None, "moto": sha256(b"body"), "seaweed": None}


def test_a_copy_computes_the_checksum_that_is_asked_for(place: Place) -> None:
    place.put("from", b"body")

    copy(place, ChecksumAlgorithm="SHA256")

    head = place.client.head_object(Bucket=place.bucket, Key="to", ChecksumMode="ENABLED")
    assert head.get("ChecksumSHA256") == COPY_CHECKSUM[place.server]


def test_a_range_of_an_object_is_copied_as_a_part(place: Place) -> None:
    place.put("from", b"0123456789")
    upload = place.client.create_multipart_upload(Bucket=place.bucket, Key="to")["UploadId"]
    target = {"Bucket": place.bucket, "Key": "to", "UploadId": upload}

    part = place.client.upload_part_copy(
        **target,
        PartNumber=1,
        CopySource={"Bucket": place.bucket, "Key": "from"},
        CopySourceRange="bytes=2-4",
    )
    named = {"Parts": [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]}
    place.client.complete_multipart_upload(**target, MultipartUpload=named)

    assert place.body("to") == b"234"


# None of the real ones holds a request to the bucket's owner.
WRONG_OWNER = {"faulty": "AccessDenied", "ministack": None, "moto": None, "seaweed": None}


def test_a_write_into_a_bucket_of_another_owner_is_refused(place: Place) -> None:
    code = refusal(lambda: place.put("k", ExpectedBucketOwner="000000000009"))

    assert code == WRONG_OWNER[place.server]


def test_a_copy_from_a_bucket_of_another_owner_is_refused(place: Place) -> None:
    place.put("from")

    code = refusal(lambda: copy(place, ExpectedSourceBucketOwner="000000000009"))

    assert code == WRONG_OWNER[place.server]


def test_tags_given_with_a_write_are_told(place: Place) -> None:
    place.put("k", Tagging="team=audit&kind=log")

    tags = place.client.get_object_tagging(Bucket=place.bucket, Key="k")["TagSet"]

    assert {tag["Key"]: tag["Value"] for tag in tags} == {"team": "audit", "kind": "log"}


def test_the_region_of_a_bucket_is_told(place: Place) -> None:
    assert place.client.get_bucket_location(Bucket=place.bucket)["LocationConstraint"] is None


def test_a_body_of_unknown_length_is_written(place: Place, tmp_path: Any) -> None:
    path = tmp_path / "body"
    path.write_bytes(b"x" * 100_000)

    with path.open("rb") as stream:
        place.client.put_object(Bucket=place.bucket, Key="k", Body=stream, ChecksumAlgorithm="CRC32C")

    assert place.body("k") == b"x" * 100_000
