"""A copy that meets a replica: compared request by request, and never overwritten."""

import zlib
from base64 import b64encode
from collections.abc import Mapping

import pytest
from builders_copy import (
    MISSING,
    THERE,
    WRITER,
    B,
    detail,
    head_of,
    listed,
    ok,
    reason,
    refused,
    sha256_of,
    terms,
    transfer_of,
    walk,
)
from fakes import words

from syncd.model import AlreadyThere, Conflict, Copied
from syncd.s3 import Answer, Side

BODY = b"one log"
ITEM = listed("logs/a", BODY)
WHOLE = transfer_of(ITEM, prefix="replica/")


def read(body: bytes = BODY, **headers: str) -> Answer:
    return ok(body, **{"etag": f'"{ITEM.etag}"', **headers})


# What is there already


def test_a_replica_of_the_same_checksum_is_already_there_and_not_read() -> None:
    walked = walk(WHOLE, read(), THERE, head_of(BODY, x_amz_checksum_sha256=sha256_of(BODY)))

    assert walked.operations == ["GetObject source", "PutObject destination", "HeadObject destination"]
    assert walked.outcome == AlreadyThere(WHOLE)


def test_a_replica_is_asked_for_its_checksum_and_its_owner() -> None:
    asked = walk(WHOLE, read(), THERE, head_of(BODY, x_amz_checksum_sha256=sha256_of(BODY))).requests[2]

    assert (asked.method, asked.key, asked.side) == ("HEAD", "replica/logs/a", Side.DESTINATION)
    assert dict(asked.headers) == {"x-amz-checksum-mode": "ENABLED", "x-amz-expected-bucket-owner": B}


def test_a_replica_of_another_checksum_is_a_conflict() -> None:
    outcome = walk(WHOLE, read(), THERE, head_of(BODY, x_amz_checksum_sha256=sha256_of(b"another"))).outcome

    assert outcome == Conflict(WHOLE, "the replica has other bytes under the same length")


def test_a_replica_of_another_size_is_a_conflict_whatever_its_checksum() -> None:
    outcome = walk(WHOLE, read(), THERE, head_of(b"longer than that", x_amz_checksum_sha256=sha256_of(BODY))).outcome

    assert outcome == Conflict(WHOLE, "the replica has 16 bytes, the source 7")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-amz-checksum-sha256": f"{sha256_of(b'parts')}-3"},
        {"x-amz-checksum-sha256": sha256_of(b"parts"), "x-amz-checksum-type": "COMPOSITE"},
    ],
)
@pytest.mark.parametrize(("replica", "expected"), [(BODY, AlreadyThere), (b"another", Conflict)])
def test_a_replica_without_a_checksum_to_compare_is_read_and_hashed(
    headers: Mapping[str, str], replica: bytes, expected: type
) -> None:
    there = Answer(200, {"content-length": str(len(replica)), **headers}, b"")

    walked = walk(WHOLE, read(), THERE, there, ok(replica, 206))

    assert walked.operations[-1] == "GetObject destination"
    assert dict(walked.requests[-1].headers) == {"x-amz-expected-bucket-owner": B}
    assert isinstance(walked.outcome, expected)


@pytest.mark.parametrize(("replica", "expected"), [(BODY, "AlreadyThere"), (b"another", "checksum_mismatch")])
def test_a_replica_that_comes_broken_is_no_conflict(replica: bytes, expected: str) -> None:
    told = b64encode(zlib.crc32(BODY).to_bytes(4)).decode()
    there = head_of(BODY, x_amz_checksum_crc32=told)

    outcome = walk(WHOLE, read(), THERE, there, ok(replica, 206)).outcome

    assert words([outcome]) == {"logs/a": expected}


def test_an_empty_replica_of_an_empty_object_is_already_there_without_being_read() -> None:
    transfer = transfer_of(listed("logs/a", b""))

    outcome = walk(transfer, ok(b""), THERE, head_of(b"")).outcome

    assert outcome == AlreadyThere(transfer)


def test_a_replica_is_read_in_spans_of_a_part() -> None:
    body = b"0123456789"
    transfer = transfer_of(listed("logs/a", body))
    spans = [ok(body[start : start + 4], 206) for start in (0, 4, 8)]

    walked = walk(transfer, ok(body), THERE, head_of(body), *spans, copy_terms=terms(part_size=4))

    ranges = [dict(request.headers)["range"] for request in walked.requests[3:]]
    assert ranges == ["bytes=0-3", "bytes=4-7", "bytes=8-9"]
    assert walked.outcome == AlreadyThere(transfer)


def test_a_replica_whose_size_is_not_told_is_compared_by_its_checksum() -> None:
    outcome = walk(WHOLE, read(), THERE, ok(x_amz_checksum_sha256=sha256_of(BODY))).outcome

    assert outcome == AlreadyThere(WHOLE)


def test_a_replica_that_may_not_be_looked_at_cannot_be_compared() -> None:
    outcome = walk(WHOLE, read(), THERE, refused(403, message="")).outcome

    assert reason(outcome) == "cannot_compare"
    told = (
        f"a replica is there but cannot be compared: HeadObject by {WRITER} of s3://example-b-logs/replica/logs/a: 403"
    )
    assert told in detail(outcome)


def test_a_replica_that_may_not_be_read_cannot_be_compared() -> None:
    outcome = walk(WHOLE, read(), THERE, head_of(BODY), refused(403, "AccessDenied")).outcome

    assert reason(outcome) == "cannot_compare"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (refused(503, "SlowDown"), "slow_down"),
        (refused(400, "KMS.DisabledException"), "kms_access_denied"),
        # These are words for a source that changed, for which nothing is tried again before it changes once more.
        (refused(404, "NoSuchKey"), "unexpected_answer"),
        (refused(412, "PreconditionFailed"), "unexpected_answer"),
        (refused(403, "InvalidObjectState"), "cannot_compare"),
    ],
)
def test_a_replica_that_cannot_be_read_for_another_reason_fails_with_that(answer: Answer, expected: str) -> None:
    assert reason(walk(WHOLE, read(), THERE, head_of(BODY), answer).outcome) == expected


def test_a_replica_of_which_too_little_came_is_no_conflict() -> None:
    assert reason(walk(WHOLE, read(), THERE, head_of(BODY), ok(BODY[:3], 206)).outcome) == "short_body"


def test_a_replica_that_is_gone_after_it_was_there_is_tried_again_later() -> None:
    outcome = walk(WHOLE, read(), THERE, MISSING).outcome

    assert reason(outcome) == "unexpected_answer"
    assert "s3://example-b-logs/replica/logs/a" in detail(outcome)


# A key that is known


KNOWN = WHOLE._replace(compare_first=True)


def test_a_known_key_of_the_same_content_is_not_written() -> None:
    walked = walk(KNOWN, read(), head_of(BODY, x_amz_checksum_sha256=sha256_of(BODY)))

    assert walked.operations == ["GetObject source", "HeadObject destination"]
    assert walked.outcome == AlreadyThere(KNOWN)


def test_a_known_key_of_other_content_is_a_conflict_without_a_write() -> None:
    walked = walk(KNOWN, read(), head_of(b"another size"))

    assert walked.operations == ["GetObject source", "HeadObject destination"]
    assert isinstance(walked.outcome, Conflict)


def test_a_known_key_that_is_not_at_the_destination_is_written() -> None:
    walked = walk(KNOWN, read(), MISSING, ok())

    assert walked.operations == ["GetObject source", "HeadObject destination", "PutObject destination"]
    assert walked.outcome == Copied(KNOWN)


def test_a_known_key_that_cannot_be_compared_is_not_written() -> None:
    walked = walk(KNOWN, read(), refused(403))

    assert reason(walked.outcome) == "cannot_compare"
    assert "PutObject destination" not in walked.operations
