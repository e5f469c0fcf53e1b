"""The contract over the fake and the real S3 servers, its second half: multipart uploads and server-side copies.

The tables are to be read as in `test_s3_servers.py`.
"""

import hashlib
from typing import Any

from place import FIRST_PART, LAST_PART, Place, refusal, sha256


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
