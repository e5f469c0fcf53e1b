"""A copy that meets a replica: compared request by request, and never overwritten."""

import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping

import pytest
from builders_copy import (
    MISSING,
    THERE,
    WRITER,
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

from syncd.aws.s3 import Answer, Side
from syncd.model.objects import AlreadyThere, Conflict, Copied

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


def test_a_replica_is_asked_for_its_checksum() -> None:
    asked = walk(WHOLE, read(), THERE, head_of(BODY, x_amz_checksum_sha256=sha256_of(BODY))).requests[2]

    assert (asked.method, asked.key, asked.side) == ("HEAD", "replica/logs/a", Side.DESTINATION)
    assert dict(asked.headers) == {"x-amz-checksum-mode": "ENABLED"}


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
    assert walked.requests[-1].headers == []
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

    walked = walk(transfer, head_of(body), head_of(body), *spans, *spans, copy_terms=terms(part_size=4))

    ranges = [dict(request.headers)["range"] for request in walked.requests[-3:]]
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
        (refused(400, "KMS.DisabledException"), "kms_key_disabled"),
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
CHANGED = KNOWN._replace(is_changed=True)
OTHER = b"another"


def crc_of(body: bytes) -> str:
    return b64encode(zlib.crc32(body).to_bytes(4)).decode()


def test_a_known_key_of_another_size_is_a_conflict_and_nothing_is_read() -> None:
    walked = walk(KNOWN, head_of(b"another size"))

    assert walked.operations == ["HeadObject destination"]
    assert walked.outcome == Conflict(KNOWN, "the replica has 12 bytes, the source 7")


@pytest.mark.parametrize(("replica", "expected"), [(BODY, "AlreadyThere"), (OTHER, "Conflict")])
@pytest.mark.parametrize(
    "tells",
    [lambda body: {"x_amz_checksum_crc32": crc_of(body)}, lambda body: {"x_amz_checksum_sha256": sha256_of(body)}],
)
def test_a_known_key_whose_checksum_is_told_at_both_ends_is_compared_without_a_body(
    tells: Callable[[bytes], dict[str, str]], replica: bytes, expected: str
) -> None:
    walked = walk(KNOWN, head_of(replica, **tells(replica)), head_of(BODY, **tells(BODY)))

    assert walked.operations == ["HeadObject destination", "HeadObject source"]
    assert words([walked.outcome]) == {"logs/a": expected}


def test_a_source_is_looked_at_for_its_checksum_under_the_listed_etag() -> None:
    asked = walk(
        KNOWN, head_of(BODY, x_amz_checksum_crc32=crc_of(BODY)), head_of(BODY, x_amz_checksum_crc32=crc_of(BODY))
    ).requests[1]

    assert (asked.method, asked.key, asked.side) == ("HEAD", "logs/a", Side.SOURCE)
    assert dict(asked.headers) == {
        "if-match": f'"{ITEM.etag}"',
        "x-amz-checksum-mode": "ENABLED",
    }


def test_a_crc_is_no_proof_of_a_source_that_may_have_been_altered() -> None:
    told = head_of(BODY, x_amz_checksum_crc32=crc_of(BODY))

    walked = walk(CHANGED, told, told, read(OTHER), ok(BODY, 206))

    assert walked.operations == [
        "HeadObject destination",
        "HeadObject source",
        "GetObject source",
        "GetObject destination",
    ]
    assert isinstance(walked.outcome, Conflict)


def test_a_crc_that_differs_proves_other_content_of_any_source() -> None:
    walked = walk(
        CHANGED, head_of(OTHER, x_amz_checksum_crc32=crc_of(OTHER)), head_of(BODY, x_amz_checksum_crc32=crc_of(BODY))
    )

    assert walked.operations == ["HeadObject destination", "HeadObject source"]
    assert isinstance(walked.outcome, Conflict)


def test_a_sha256_proves_the_content_of_a_source_that_may_have_been_altered() -> None:
    told = head_of(BODY, x_amz_checksum_crc32=crc_of(BODY), x_amz_checksum_sha256=sha256_of(BODY))

    walked = walk(CHANGED, told, told)

    assert walked.outcome == AlreadyThere(CHANGED)


@pytest.mark.parametrize(
    "looked",
    [
        head_of(BODY),
        head_of(BODY, x_amz_checksum_crc32=crc_of(BODY)),
        # Of its parts, so it says nothing.
        head_of(BODY, x_amz_checksum_sha256=sha256_of(b"parts"), x_amz_checksum_type="COMPOSITE"),
        # Why, the read says, or that it may be read all the same.
        refused(403),
    ],
)
def test_a_source_that_tells_no_such_checksum_is_read_and_the_replica_is_not(looked: Answer) -> None:
    walked = walk(KNOWN, head_of(BODY, x_amz_checksum_sha256=sha256_of(BODY), etag='"theirs"'), looked, read())

    assert walked.operations == ["HeadObject destination", "HeadObject source", "GetObject source"]
    assert walked.outcome == AlreadyThere(KNOWN, "theirs")


def test_a_replica_that_tells_no_checksum_is_read_last_and_only_as_it_was_looked_at() -> None:
    walked = walk(KNOWN, head_of(BODY, etag='"theirs"'), read(), ok(BODY, 206))

    assert walked.operations == ["HeadObject destination", "GetObject source", "GetObject destination"]
    assert dict(walked.requests[-1].headers)["if-match"] == '"theirs"'
    assert walked.outcome == AlreadyThere(KNOWN, "theirs")


@pytest.mark.parametrize(
    "answers",
    [
        [head_of(BODY, etag='"another"')],
        [head_of(b"longer than that")],
        [refused(412)] * 2 + [refused(412, "PreconditionFailed")] * 2,
    ],
)
def test_a_source_that_changes_while_it_is_compared_is_no_conflict(answers: list[Answer]) -> None:
    walked = walk(KNOWN, head_of(OTHER, x_amz_checksum_crc32=crc_of(OTHER)), *answers)

    assert reason(walked.outcome) == "object_changed"


def test_a_source_that_cannot_be_looked_at_is_not_compared() -> None:
    walked = walk(KNOWN, head_of(BODY, x_amz_checksum_crc32=crc_of(BODY)), refused(0, "timeout"))

    assert reason(walked.outcome) == "timeout"


def test_a_replica_is_compared_by_the_checksum_that_the_source_was_read_with() -> None:
    crc = {"x_amz_checksum_crc32": crc_of(BODY)}

    walked = walk(WHOLE, read(**crc), THERE, head_of(BODY, **crc, etag='"theirs"'))

    assert walked.outcome == AlreadyThere(WHOLE, "theirs")


def test_a_known_key_that_is_not_at_the_destination_is_written() -> None:
    walked = walk(KNOWN, MISSING, read(), ok(etag='"ours"'))

    assert walked.operations == ["HeadObject destination", "GetObject source", "PutObject destination"]
    assert walked.outcome == Copied(KNOWN, "ours")


def test_a_known_key_that_cannot_be_compared_is_not_written() -> None:
    walked = walk(KNOWN, refused(403))

    assert reason(walked.outcome) == "cannot_compare"
    assert walked.operations == ["HeadObject destination"]
