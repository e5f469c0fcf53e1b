"""One contract over the fake and the real S3 servers: what syncd relies on, and what each server gets wrong.

Where a server does not do as S3 does, the table above the test says what it does instead, and the test holds it to
that: a server that is mended shows. `faulty` stands for AWS itself in each table.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from faulty import FaultyS3
from place import Place, md5, refusal, sha256

from syncd.model.keys.layout import CloudTrailLayout
from syncd.model.keys.patterns import PatternLayout
from syncd.model.objects import Branch, Shard


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
        calls = [threads.submit(refusal, partial(place.put, "k", b"%d" % n, IfNoneMatch="*")) for n in range(8)]

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

    layout, day = CloudTrailLayout(), 1_795_305_600.0  # 2026-11-22
    assert place.keys(Prefix=shard, StartAfter=layout.position(Shard(shard), day, whole_day=True)) == keys[1:]


@pytest.mark.parametrize("pattern", ["%Y/%m/%d/", "%Y-%m-%d", "%Y-%m-%d/", "%Y%m%d-", "year=%Y/month=%m/day=%d/"])
def test_a_listing_begins_with_a_day_of_any_pattern(place: Place, pattern: str) -> None:
    days = [datetime(2026, month, day, tzinfo=UTC) for month, day in ((10, 30), (10, 31), (11, 1), (11, 2))]
    keys = [f"logs/{day:{pattern}}{name}" for day in days for name in ("x", "~", "\u00e9")]
    for key in keys:
        place.put(key)

    layout = PatternLayout(pattern)
    starts = [layout.position(Shard("logs/"), day.timestamp()) for day in days]
    assert [place.keys(Prefix="logs/", StartAfter=start) for start in starts] == [keys, keys[3:], keys[6:], keys[9:]]


def test_a_listing_begins_with_a_day_without_leading_zeros(place: Place) -> None:
    shard = Shard("Config/us-east-1/")
    days = [1, 2, 3, 9, 10, 11, 19, 20, 21, 29, 30]
    for day in days:
        for name in ("x", "~"):
            place.put(f"{shard.prefix}2026/9/{day}/{name}")

    first, last = (datetime(2026, 9, day, tzinfo=UTC).timestamp() for day in (1, 29))
    ranges = CloudTrailLayout().branch_ranges(shard, Branch("", "%Y/%-m/%-d/"), first, last)

    listed = [place.keys(Prefix=shard.prefix, StartAfter=item.start_after)[:2] for item in ranges]
    wanted = [[f"{shard.prefix}2026/9/{day}/{name}" for name in ("x", "~")] for day in range(1, 31)]
    assert [listed[day - 1] for day in days] == [wanted[day - 1] for day in days]


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
