"""A large object, copied in parts: request by request, through the answers that S3 may give."""

import hashlib
import zlib
from base64 import b64encode
from collections.abc import Callable, Sequence

import pytest
from builders_copy import (
    MISSING,
    THERE,
    Walk,
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

from syncd.aws.s3 import Answer, Request
from syncd.copy.server_side import server_side
from syncd.copy.stream import stream
from syncd.copy.terms import Copy, Steps, Terms
from syncd.model.objects import AlreadyThere, Conflict, Copied

LARGE_BODY = b"0123456789"
LARGE = transfer_of(listed("logs/large", LARGE_BODY))
IN_PARTS = terms(multipart_above=8, part_size=4, landing=(("x-amz-storage-class", "STANDARD_IA"),))
SMALLEST = IN_PARTS._replace(largest_copy=8, copy_part_size=4)
SPANS = [LARGE_BODY[0:4], LARGE_BODY[4:8], LARGE_BODY[8:10]]
BEGUN = ok(b"<InitiateMultipartUploadResult><UploadId>an id+/=</UploadId></InitiateMultipartUploadResult>")
COMPLETED = ok(b"<CompleteMultipartUploadResult><ETag>&quot;x-3&quot;</ETag></CompleteMultipartUploadResult>")
COMPOSITE = f"{sha256_of(b''.join(hashlib.sha256(span).digest() for span in SPANS))}-3"


def part_read(number: int, **headers: str) -> Answer:
    return ok(SPANS[number], 206, etag=f'"{LARGE.object.etag}"', **headers)


def part_written(number: int) -> Answer:
    return ok(etag=f'"part-{number}"')


# HeadObject of the source: for what is read in parts, S3 tells no checksum otherwise.
TOLD = ok(
    x_amz_checksum_crc32=b64encode(zlib.crc32(LARGE_BODY).to_bytes(4)).decode(),
    content_type="application/json",
    x_amz_meta_signature="00ff",
)
UPLOADED = (
    TOLD,
    BEGUN,
    part_read(0),
    part_written(1),
    part_read(1),
    part_written(2),
    part_read(2),
    part_written(3),
)
DONE_IN_PARTS = [
    "HeadObject destination",
    "HeadObject source",
    "CreateMultipartUpload destination",
    "GetObject source",
    "UploadPart destination",
    "GetObject source",
    "UploadPart destination",
    "GetObject source",
    "UploadPart destination",
    "CompleteMultipartUpload destination",
]


def walk_in_parts(*answers: Answer) -> Walk:
    return walk(LARGE, *answers, copy_terms=IN_PARTS)


def test_a_large_object_is_copied_in_parts() -> None:
    walked = walk_in_parts(MISSING, *UPLOADED, COMPLETED)

    assert walked.operations == DONE_IN_PARTS
    assert [request.body for request in walked.requests if request.operation == "UploadPart"] == SPANS
    assert walked.outcome == Copied(LARGE, "x-3")


@pytest.mark.parametrize(
    ("way", "answers", "agreed"),
    [
        (stream, (MISSING, *UPLOADED[:5]), IN_PARTS),
        (server_side, (TOLD, BEGUN, ok(b"<CopyPartResult><ETag>&quot;a&quot;</ETag></CopyPartResult>")), SMALLEST),
    ],
    ids=["streamed", "by the server"],
)
def test_a_defect_in_the_middle_leaves_no_parts(
    way: Callable[[Copy], Steps], answers: Sequence[Answer], agreed: Terms
) -> None:
    """They would be kept, and billed, at each attempt."""
    steps = way(Copy(LARGE, agreed))
    next(steps)
    for answer in answers:
        steps.send(answer)

    last = steps.throw(MemoryError())

    assert isinstance(last, Request)
    assert last.operation == "AbortMultipartUpload"
    with pytest.raises(MemoryError):
        steps.send(ok())


def test_a_part_of_which_nothing_shows_that_it_is_stored_ends_the_upload() -> None:
    walked = walk_in_parts(MISSING, *UPLOADED[:3], ok(b"<html>"), ok())

    assert walked.operations[-2:] == ["UploadPart destination", "AbortMultipartUpload destination"]
    assert "does not show that it is stored" in detail(walked.outcome)


def test_each_part_is_read_by_its_range_and_the_listed_etag() -> None:
    reads = [request for request in walk_in_parts(MISSING, *UPLOADED, COMPLETED).requests if request.method == "GET"]

    assert [dict(request.headers)["range"] for request in reads] == ["bytes=0-3", "bytes=4-7", "bytes=8-9"]
    assert {dict(request.headers)["if-match"] for request in reads} == {f'"{LARGE.object.etag}"'}


def test_metadata_and_what_lands_are_said_when_the_upload_begins() -> None:
    begin = walk_in_parts(MISSING, *UPLOADED, COMPLETED).requests[2]

    assert (begin.method, begin.query) == ("POST", "uploads=")
    assert dict(begin.headers) == {
        "content-type": "application/json",
        "x-amz-meta-signature": "00ff",
        "x-amz-storage-class": "STANDARD_IA",
        "x-amz-checksum-algorithm": "SHA256",
    }


def test_each_part_is_written_with_its_number_and_its_checksum() -> None:
    walked = walk_in_parts(MISSING, *UPLOADED, COMPLETED)

    parts = [request for request in walked.requests if request.operation == "UploadPart"]
    assert [part.query for part in parts] == [f"partNumber={n}&uploadId=an%20id%2B%2F%3D" for n in (1, 2, 3)]
    assert [dict(part.headers)["x-amz-checksum-sha256"] for part in parts] == [sha256_of(span) for span in SPANS]


def test_an_upload_is_completed_with_every_part_and_never_overwrites() -> None:
    complete = walk_in_parts(MISSING, *UPLOADED, COMPLETED).requests[-1]

    assert dict(complete.headers)["if-none-match"] == "*"
    for number, span in enumerate(SPANS, start=1):
        row = (
            f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;part-{number}&quot;</ETag>"
            f"<ChecksumSHA256>{sha256_of(span)}</ChecksumSHA256></Part>"
        )
        assert row.encode() in complete.body


def test_an_object_at_the_bound_is_copied_whole() -> None:
    transfer = transfer_of(listed("logs/a", b"1234"))

    walked = walk(transfer, ok(b"1234"), ok(etag="stored"), copy_terms=IN_PARTS)

    assert walked.operations == ["GetObject source", "PutObject destination"]


def test_a_destination_that_does_not_tell_whether_a_key_is_there_is_written_to() -> None:
    walked = walk_in_parts(refused(403), *UPLOADED, COMPLETED)

    assert walked.outcome == Copied(LARGE, "x-3")


def test_a_destination_that_cannot_be_asked_is_not_written_to() -> None:
    walked = walk_in_parts(refused(503, "SlowDown"))

    assert reason(walked.outcome) == "slow_down"


ABORT = ok(status=204)
FAILURES_IN_PARTS = {
    "a part that is not written": ([*UPLOADED[:3], refused(503, "SlowDown")], "slow_down", "UploadPart"),
    "a part that is not read": ([*UPLOADED[:4], refused(403, "AccessDenied")], "access_denied", "GetObject"),
    "an object that changed between its parts": (
        [*UPLOADED[:4], refused(412, "PreconditionFailed"), refused(412, "PreconditionFailed")],
        "object_changed",
        "GetObject",
    ),
    "a part of which too little comes": (
        [*UPLOADED[:4], ok(b"45", 206, etag=f'"{LARGE.object.etag}"')],
        "short_body",
        "GetObject",
    ),
    "a part that is broken on its way": ([*UPLOADED[:3], refused(400, "BadDigest")], "checksum_mismatch", "UploadPart"),
    "a part that is broken on its way here": (
        [*UPLOADED[:4], ok(b"4_67", 206), part_written(2), part_read(2), part_written(3)],
        "checksum_mismatch",
        "GetObject",
    ),
    "a result without its document": ([*UPLOADED, ok(), MISSING], "unexpected_answer", "CompleteMultipartUpload"),
    "an upload that is not completed": (
        [*UPLOADED, refused(403, "AccessDenied", "kms:Decrypt")],
        "kms_access_denied",
        "CompleteMultipartUpload",
    ),
    "an upload that is completed with an error in a 200": (
        [*UPLOADED, Answer(200, {}, b"", "InternalError", "")],
        "server_error",
        "CompleteMultipartUpload",
    ),
}


@pytest.mark.parametrize("what", FAILURES_IN_PARTS)
def test_an_upload_that_fails_is_aborted(what: str) -> None:
    answers, expected, operation = FAILURES_IN_PARTS[what]

    walked = walk_in_parts(MISSING, *answers, ABORT)

    assert reason(walked.outcome) == expected
    assert operation in detail(walked.outcome)
    assert walked.operations[-1] == "AbortMultipartUpload destination"
    assert (walked.requests[-1].method, walked.requests[-1].query) == ("DELETE", "uploadId=an%20id%2B%2F%3D")


# What HeadObject does not tell, the headers of a read do.
@pytest.mark.parametrize("told", [[ok()], [refused(403), part_read(0)], [refused(404), part_read(0)]])
def test_a_source_that_tells_no_checksum_is_copied_without(told: list[Answer]) -> None:
    assert walk_in_parts(MISSING, *told, *UPLOADED[1:], COMPLETED).outcome == Copied(LARGE, "x-3")


def test_a_source_that_cannot_be_asked_for_its_checksum_is_not_read() -> None:
    walked = walk_in_parts(MISSING, refused(0, "timeout"))

    assert (reason(walked.outcome), walked.operations[-1]) == ("timeout", "HeadObject source")


TAGS = ok(b"<Tagging><TagSet><Tag><Key>team</Key><Value>a b</Value></Tag></TagSet></Tagging>")
TAGGED = (ok(x_amz_tagging_count="1"), TAGS)


def test_tags_go_along_with_a_large_object() -> None:
    walked = walk_in_parts(MISSING, *TAGGED, *UPLOADED[1:], COMPLETED)

    (begin,) = [request for request in walked.requests if request.operation == "CreateMultipartUpload"]
    assert dict(begin.headers)["x-amz-tagging"] == "team=a%20b"
    assert walked.outcome == Copied(LARGE, "x-3")


def test_a_large_object_whose_tags_may_not_be_written_is_written_without_them() -> None:
    walked = walk_in_parts(MISSING, *TAGGED, refused(403, "AccessDenied"), *UPLOADED[1:], COMPLETED)

    begins = [request for request in walked.requests if request.operation == "CreateMultipartUpload"]
    assert ["x-amz-tagging" in dict(begin.headers) for begin in begins] == [True, False]
    assert walked.outcome == Copied(LARGE, "x-3")


def test_a_large_object_whose_tags_the_server_does_not_take_is_written_without_them() -> None:
    walked = walk_in_parts(MISSING, *TAGGED, refused(400, "InvalidTag"), *UPLOADED[1:], COMPLETED)

    assert walked.outcome == Copied(LARGE, "x-3")


def test_an_abort_that_fails_changes_nothing() -> None:
    answers, expected, _ = FAILURES_IN_PARTS["a part that is not written"]

    assert reason(walk_in_parts(MISSING, *answers, refused(403, "AccessDenied")).outcome) == expected


def test_an_upload_that_does_not_begin_has_nothing_to_abort() -> None:
    walked = walk_in_parts(MISSING, TOLD, refused(403, "AccessDenied"))

    assert reason(walked.outcome) == "access_denied"
    assert walked.operations[-1] == "CreateMultipartUpload destination"


@pytest.mark.parametrize("body", [b"", b"<html/>", b"<InitiateMultipartUploadResult/>", b"not xml"])
def test_an_upload_that_begins_without_an_id_is_an_unexpected_answer(body: bytes) -> None:
    outcome = walk_in_parts(MISSING, TOLD, ok(body)).outcome

    assert reason(outcome) == "unexpected_answer"
    assert "CreateMultipartUpload" in detail(outcome)


def test_an_upload_that_lost_against_the_same_content_is_already_there() -> None:
    walked = walk_in_parts(MISSING, *UPLOADED, THERE, ABORT, head_of(LARGE_BODY, x_amz_checksum_sha256=COMPOSITE))

    assert walked.operations[-2:] == ["AbortMultipartUpload destination", "HeadObject destination"]
    assert walked.outcome == AlreadyThere(LARGE)


# What was read in parts has the parts' checksums alone: where those do not tell, the source is read once more.
READ_AGAIN = (TOLD, part_read(0), part_read(1), part_read(2))


def test_an_upload_that_lost_against_the_same_content_in_one_piece_is_already_there() -> None:
    there = head_of(LARGE_BODY, x_amz_checksum_sha256=sha256_of(LARGE_BODY))

    assert walk_in_parts(MISSING, *UPLOADED, THERE, ABORT, there, *READ_AGAIN).outcome == AlreadyThere(LARGE)


def test_an_upload_that_lost_against_other_content_is_a_conflict() -> None:
    there = head_of(LARGE_BODY, x_amz_checksum_sha256=sha256_of(b"another"))

    assert isinstance(walk_in_parts(MISSING, *UPLOADED, THERE, ABORT, there, *READ_AGAIN).outcome, Conflict)


def test_an_upload_that_lost_against_other_parts_is_read_and_hashed() -> None:
    there = head_of(LARGE_BODY, x_amz_checksum_sha256=f"{sha256_of(b'other parts')}-2")
    spans = [ok(span, 206) for span in SPANS]

    assert walk_in_parts(MISSING, *UPLOADED, THERE, ABORT, there, *READ_AGAIN, *spans).outcome == AlreadyThere(LARGE)


def test_an_upload_that_was_completed_by_a_request_whose_answer_was_lost_is_found_there() -> None:
    lost = refused(404, "NoSuchUpload", "The specified upload does not exist.")
    there = head_of(LARGE_BODY, x_amz_checksum_sha256=COMPOSITE)

    assert walk_in_parts(MISSING, *UPLOADED, lost, there).outcome == AlreadyThere(LARGE)


def test_an_upload_that_somebody_aborted_fails() -> None:
    lost = refused(404, "NoSuchUpload", "The specified upload does not exist.")

    outcome = walk_in_parts(MISSING, *UPLOADED, lost, MISSING, ABORT).outcome

    # Not object_gone, which is said of the source and not tried again.
    assert reason(outcome) == "unexpected_answer"
    assert "NoSuchUpload" in detail(outcome)


def test_a_large_replica_is_compared_before_anything_is_uploaded() -> None:
    there = head_of(LARGE_BODY, x_amz_checksum_sha256=COMPOSITE)

    walked = walk_in_parts(there, *READ_AGAIN)

    assert walked.operations == ["HeadObject destination", "HeadObject source", *["GetObject source"] * 3]
    assert walked.outcome == AlreadyThere(LARGE)


def test_a_large_replica_of_other_content_is_a_conflict_before_anything_is_uploaded() -> None:
    there = head_of(LARGE_BODY, x_amz_checksum_sha256=sha256_of(b"another"))

    walked = walk_in_parts(there, *READ_AGAIN)

    assert isinstance(walked.outcome, Conflict)
    assert "CreateMultipartUpload destination" not in walked.operations


def test_a_large_replica_of_the_same_checksum_is_already_there_and_not_a_byte_is_read() -> None:
    walked = walk_in_parts(head_of(LARGE_BODY, **TOLD.headers, etag='"theirs"'), TOLD)

    assert walked.operations == ["HeadObject destination", "HeadObject source"]
    assert walked.outcome == AlreadyThere(LARGE, "theirs")


def test_a_source_that_comes_broken_is_no_conflict_with_its_replica() -> None:
    there = head_of(LARGE_BODY, x_amz_checksum_sha256=sha256_of(LARGE_BODY))

    outcome = walk_in_parts(there, TOLD, part_read(0), ok(b"4_67", 206), part_read(2)).outcome

    assert reason(outcome) == "checksum_mismatch"
    assert "x-amz-checksum-crc32" in detail(outcome)


def test_a_large_object_whose_source_cannot_be_read_to_its_end_is_not_compared() -> None:
    outcome = walk_in_parts(head_of(LARGE_BODY), TOLD, part_read(0), refused(403, "AccessDenied")).outcome

    assert reason(outcome) == "access_denied"
