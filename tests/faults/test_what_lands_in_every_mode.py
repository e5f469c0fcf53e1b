"""What lands is the user's choice and the source's, in each way of copying, as the server has stored it."""

from collections.abc import Mapping
from threading import Event
from types import MappingProxyType

import pytest
from builders_copy import DESTINATION, SOURCE, B, Ends, terms
from copy_faults import WAYS, Way
from fakes import words
from faulty import FaultyS3, Status, StoredObject

from syncd.aws.s3 import Side
from syncd.config.job import Destination
from syncd.copy.terms import Copy
from syncd.copy.workers.engine import CopyEngine
from syncd.job.copies import landing_headers

KMS_KEY = "arn:aws:kms:us-east-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab"
CHOSEN = {
    "storage_class": "STANDARD_IA",
    "kms_key_id": KMS_KEY,
    "tags": {"team": "a b", "kind": "log"},
    "acl": "bucket-owner-full-control",
}
DESCRIBED = {"metadata": {"signature": "00ff"}, "content_type": "application/json", "content_encoding": "gzip"}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


def landed(
    server: FaultyS3, way: Way, *, source_tags: Mapping[str, str] = MappingProxyType({"owner": "a"}), **chosen: object
) -> StoredObject:
    """The replica of an object with metadata, tags and a storage class of its own."""
    ends = Ends(server)
    server.storage.min_part_bytes = 1
    server.storage.buckets[SOURCE].shared_with = frozenset({B})
    destination = Destination(bucket=DESTINATION, region="us-east-1", **chosen)  # type: ignore[arg-type]
    agreed = terms(multipart_above=8, part_size=4, landing=landing_headers(destination))._replace(
        largest_copy=8,
        copy_part_size=4,
        copies_tags=not destination.tags,
    )
    transfer = ends.put("k", way.body, tags=source_tags, storage_class="GLACIER_IR", **DESCRIBED)
    engine = CopyEngine(
        {Side.SOURCE: ends.source, Side.DESTINATION: ends.destination, Side.COPY: ends.destination},
        begin=lambda item: way.begin(Copy(item, agreed)),
        in_flight=lambda: 1,
        memory_bytes=lambda: 1024,
        held_bytes=agreed.held_bytes,
    )
    assert words(engine.copy_all(iter([transfer]), Event())) == {"k": "Copied"}
    return server.get(DESTINATION, "k")


def test_storage_class_encryption_and_tags_are_as_the_job_says(faulty: FaultyS3, way: Way) -> None:
    replica = landed(faulty, way, **CHOSEN)

    assert replica.storage_class == "STANDARD_IA"
    assert replica.system["x-amz-server-side-encryption"] == "aws:kms"
    assert replica.system["x-amz-server-side-encryption-aws-kms-key-id"] == KMS_KEY
    assert replica.tags == CHOSEN["tags"]


def test_an_acl_is_sent_where_the_job_names_one_and_not_otherwise(faulty: FaultyS3, way: Way) -> None:
    """A bucket whose owner is enforced, as all new ones are, takes this one ACL or none."""
    landed(faulty, way, acl="bucket-owner-full-control")
    named = {request.headers.get("x-amz-acl") for request in faulty.requests}
    faulty.forget_requests()

    landed(faulty, way)

    assert "bucket-owner-full-control" in named
    assert {request.headers.get("x-amz-acl") for request in faulty.requests} == {None}


def test_where_the_job_says_nothing_class_and_encryption_are_the_buckets_own_and_tags_the_sources(
    faulty: FaultyS3, way: Way
) -> None:
    replica = landed(faulty, way)

    assert (replica.storage_class, replica.tags) == ("STANDARD", {"owner": "a"})
    assert replica.system["x-amz-server-side-encryption"] == "AES256"


def test_the_bytes_and_what_describes_them_are_the_sources(faulty: FaultyS3, way: Way) -> None:
    replica = landed(faulty, way, **CHOSEN)

    assert replica.body == way.body
    assert {name: getattr(replica, name) for name in DESCRIBED} == DESCRIBED


def test_a_replica_has_a_sha256_that_s3_has_checked_or_made(faulty: FaultyS3, way: Way) -> None:
    assert list(landed(faulty, way).checksums) == ["sha256"]


def test_tags_that_may_not_be_read_stay_behind(faulty: FaultyS3, way: Way) -> None:
    faulty.faults.add("GetObjectTagging", Status(403, "AccessDenied"))
    faulty.faults.add(
        lambda request: request.headers.get("x-amz-tagging-directive") == "COPY", Status(403, "AccessDenied")
    )

    assert landed(faulty, way).tags == {}


@pytest.mark.parametrize("others", [{}, {"owner": "a"}])
def test_tags_of_aws_itself_stay_behind_and_the_others_go_along(
    faulty: FaultyS3, way: Way, others: dict[str, str]
) -> None:
    assert landed(faulty, way, source_tags={"aws:createdBy": "x"} | others).tags == others
