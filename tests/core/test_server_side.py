"""CopyObject walked through every answer, and what it carries."""

import hashlib

import pytest
from builders_copy import head_of, ok, refused, sha256_of, terms

from syncd.aws.s3 import Answer, Request, Side
from syncd.aws.transport import SLOWEST_BYTES_PER_SECOND
from syncd.copy.server_side import server_side
from syncd.copy.terms import COPY_PART_BYTES, LARGEST_COPY_BYTES, Copy, Terms
from syncd.model.objects import AlreadyThere, Conflict, Copied, Failed, LogObject, Outcome, Shard, Transfer
from syncd.model.reasons import Reason

BODY = b"one log"
COPIED = ok(b"<CopyObjectResult><ETag>&quot;x&quot;</ETag></CopyObjectResult>")
DENIED = refused(403, "AccessDenied")
LANDING = terms(landing=(("x-amz-storage-class", "STANDARD_IA"),))


def transfer(size: int = len(BODY)) -> Transfer:
    return Transfer(Shard(""), LogObject("logs/a b", "e1", size, 0.0), "replica/logs/a b")


def walk(item: Transfer, *answers: Answer, copy_terms: Terms = LANDING) -> tuple[list[Request], Outcome]:
    steps = server_side(Copy(item, copy_terms))
    requests = [next(steps)]
    for answer in answers:
        try:
            requests.append(steps.send(answer))
        except StopIteration as done:
            return requests, done.value
    raise AssertionError(f"it goes on with {requests[-1]}")


def test_one_request_copies_an_object_with_every_condition_on_it() -> None:
    (request,), outcome = walk(transfer(), COPIED)

    assert isinstance(outcome, Copied)
    assert (request.operation, request.side, request.method, request.key) == (
        "CopyObject",
        Side.COPY,
        "PUT",
        "replica/logs/a b",
    )
    headers = dict(request.headers)
    assert headers["x-amz-copy-source"].endswith("/logs/a%20b")
    assert headers["x-amz-copy-source-if-match"] == '"e1"'
    assert headers["if-none-match"] == "*"
    assert headers["x-amz-checksum-algorithm"] == "SHA256"
    assert headers["x-amz-metadata-directive"] == headers["x-amz-tagging-directive"] == "COPY"
    assert headers["x-amz-object-annotation-directive"] == "EXCLUDE"
    assert headers["x-amz-storage-class"] == "STANDARD_IA"
    assert len(headers["x-amz-source-expected-bucket-owner"]) == 12


def test_tags_that_may_not_be_copied_are_left_behind_rather_than_the_object() -> None:
    requests, outcome = walk(transfer(), DENIED, COPIED)

    assert isinstance(outcome, Copied)
    assert dict(requests[1].headers)["x-amz-tagging-directive"] == "REPLACE"


@pytest.mark.parametrize("refusal", [refused(403, "InvalidObjectState"), refused(403, "AccessDenied", "kms:Decrypt")])
def test_a_refusal_that_tags_have_no_part_in_is_not_tried_without_them(refusal: Answer) -> None:
    requests, outcome = walk(transfer(), refusal)

    assert isinstance(outcome, Failed)
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([DENIED, DENIED], Reason.ACCESS_DENIED),
        ([refused(403, "AccessDenied", "not authorized to perform: kms:Decrypt")], Reason.KMS_DENIED),
        ([refused(403, "AccessDenied", "not authorized to perform: kms:GenerateDataKey")], Reason.KMS_DENIED),
        ([refused(400, "KMS.DisabledException")], Reason.KMS_DISABLED),
        ([refused(403, "InvalidObjectState")], Reason.ARCHIVED),
        ([refused(404, "NoSuchKey")], Reason.OBJECT_GONE),
        ([refused(404, "NoSuchBucket")], Reason.NO_BUCKET),
        ([refused(501, "NotImplemented")], Reason.UNSUPPORTED),
        ([refused(503, "SlowDown")], Reason.SLOW_DOWN),
        ([refused(400, "BadDigest")], Reason.CHECKSUM),
        ([refused(0, "timeout")], Reason.TIMEOUT),
        ([refused(0, "connection_failed")], Reason.CONNECTION),
        ([Answer(200, {}, b"<Error><Code>InternalError</Code></Error>", "InternalError")], Reason.SERVER_ERROR),
    ],
)
def test_each_refusal_is_its_own_reason(answers: list[Answer], reason: str) -> None:
    _, outcome = walk(transfer(), *answers)

    assert isinstance(outcome, Failed)
    assert outcome.reason == reason


def test_a_copy_that_meets_another_write_is_asked_again_as_often_as_any_write() -> None:
    concurrent = refused(409, "ConditionalRequestConflict")

    requests, outcome = walk(transfer(), concurrent, concurrent, concurrent)

    assert isinstance(outcome, Failed)
    assert [request.operation for request in requests] == ["CopyObject"] * 3


# Cut off; of another call; and what shows no replica.
NO_DOCUMENT = [
    b"",
    b"<html/>",
    b"\n  ",
    b"<CopyObjectResult><LastModi",
    b"<CopyObjectResult/>",
    b"<CopyPartResult><ETag>x</ETag></CopyPartResult>",
]


@pytest.mark.parametrize("body", NO_DOCUMENT)
def test_a_200_without_its_document_claims_nothing(body: bytes) -> None:
    requests, outcome = walk(transfer(), ok(body), refused(404))

    assert isinstance(outcome, Failed)
    assert (outcome.reason, "200 without a CopyObjectResult" in outcome.detail) == (Reason.UNEXPECTED, True)
    assert operations(requests) == ["CopyObject", "HeadObject"]


def test_a_200_without_its_document_of_a_replica_that_is_there_is_a_copy() -> None:
    there, looked = (
        ok(content_length=str(len(BODY)), etag=etag, x_amz_checksum_sha256=sha256_of(BODY)) for etag in ('"r"', '"e1"')
    )

    _, outcome = walk(transfer(), ok(b"<CopyObjectResult/>"), there, looked)

    assert outcome == Copied(transfer(), "r")


USER = "User: arn:aws:iam::222222222222:user/syncd is not authorized to perform: "


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (f'{USER}s3:GetObject on resource: "arn:aws:s3:::x/y"', "refused at the source: s3:GetObject"),
        (f'{USER}s3:PutObject on resource: "arn:aws:s3:::x/y"', "refused at the destination: s3:PutObject"),
        ("Access Denied", "which end refused is not said"),
    ],
)
def test_a_refusal_names_both_ends_and_which_of_them_refused_where_it_is_said(message: str, told: str) -> None:
    denied = refused(403, "AccessDenied", message)

    _, outcome = walk(transfer(), denied, denied)

    assert isinstance(outcome, Failed)
    assert (
        "of s3://example-b-logs/replica/logs/a b from s3://example-trail/logs/a b: 403 AccessDenied" in outcome.detail
    )
    assert outcome.detail.endswith(told)


def test_a_large_object_is_given_the_time_that_s3_takes_to_copy_it() -> None:
    waited_for = [walk(transfer(size), COPIED)[0][0].expected_bytes for size in (len(BODY), LARGEST_COPY_BYTES)]

    # At the slowest rate that the transport allows for, five more minutes.
    assert waited_for[0] == 0
    assert 240 < waited_for[1] / SLOWEST_BYTES_PER_SECOND < 360


def test_a_replica_that_is_there_is_compared_and_not_overwritten() -> None:
    there = head_of(BODY, x_amz_checksum_sha256=sha256_of(BODY), etag='"theirs"')

    requests, outcome = walk(transfer(), refused(412, "PreconditionFailed"), there, head_of(BODY), ok(BODY))

    assert outcome == AlreadyThere(transfer(), "theirs")
    assert operations(requests) == ["CopyObject", "HeadObject", "HeadObject", "GetObject"]


def test_a_source_that_changed_is_told_from_a_replica_that_is_there() -> None:
    gone, changed = refused(404), refused(412, "PreconditionFailed")

    requests, outcome = walk(transfer(), refused(412, "PreconditionFailed"), gone, changed, changed)

    assert isinstance(outcome, Failed)
    assert outcome.reason == Reason.OBJECT_CHANGED
    assert operations(requests) == ["CopyObject", "HeadObject", "GetObject", "GetObject"]


def test_the_etag_that_the_copy_is_answered_with_is_told() -> None:
    assert walk(transfer(), COPIED)[1] == Copied(transfer(), "x")


def test_a_known_key_is_looked_at_before_it_is_copied() -> None:
    known = transfer()._replace(compare_first=True)

    requests, outcome = walk(known, refused(404), COPIED)

    assert outcome == Copied(known, "x")
    assert operations(requests) == ["HeadObject", "CopyObject"]


def test_a_known_key_of_other_content_is_a_conflict_without_a_copy() -> None:
    known = transfer()._replace(compare_first=True)

    requests, outcome = walk(known, head_of(b"another size"))

    assert isinstance(outcome, Conflict)
    assert operations(requests) == ["HeadObject"]


TWO_TAGS = b"<Tagging><TagSet><Tag><Key>aws:x</Key><Value>1</Value></Tag><Tag><Key>team</Key><Value>a</Value></Tag></TagSet></Tagging>"


@pytest.mark.parametrize(("read", "written"), [(ok(TWO_TAGS), "team=a"), (DENIED, None)])
def test_tags_that_aws_alone_may_write_are_left_behind_and_the_others_written(
    read: Answer, written: str | None
) -> None:
    requests, outcome = walk(transfer(), refused(400, "InvalidTag"), read, COPIED, copy_terms=terms())

    assert isinstance(outcome, Copied)
    assert operations(requests) == ["CopyObject", "GetObjectTagging", "CopyObject"]
    assert dict(requests[2].headers)["x-amz-tagging-directive"] == "REPLACE"
    assert dict(requests[2].headers).get("x-amz-tagging") == written


def test_tags_that_may_not_be_written_anew_either_are_left_behind() -> None:
    requests, outcome = walk(transfer(), refused(400, "InvalidTag"), ok(TWO_TAGS), DENIED, COPIED)

    assert isinstance(outcome, Copied)
    assert "x-amz-tagging" not in dict(requests[3].headers)


IN_PARTS = terms()._replace(largest_copy=8, copy_part_size=4)
LARGE = b"0123456789"
SPANS = [LARGE[0:4], LARGE[4:8], LARGE[8:10]]
LOOKED = ok(content_length="10", content_type="application/json", x_amz_meta_signature="00ff")
BEGUN = ok(b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
PARTS = [
    ok(
        f"<CopyPartResult><ETag>&quot;p{n}&quot;</ETag><ChecksumSHA256>{sha256_of(span)}</ChecksumSHA256></CopyPartResult>".encode()
    )
    for n, span in enumerate(SPANS)
]
DONE = ok(b"<CompleteMultipartUploadResult><ETag>&quot;x&quot;</ETag></CompleteMultipartUploadResult>")
COMPOSITE = f"{sha256_of(b''.join(hashlib.sha256(span).digest() for span in SPANS))}-3"
ABORTED = ok(status=204)


def walk_in_parts(*answers: Answer) -> tuple[list[Request], Outcome]:
    return walk(transfer(len(LARGE)), *answers, copy_terms=IN_PARTS)


def operations(requests: list[Request]) -> list[str]:
    return [request.operation for request in requests]


def test_five_gigabytes_are_copied_at_once_and_a_byte_more_in_parts_of_one() -> None:
    assert (LARGEST_COPY_BYTES, COPY_PART_BYTES) == (5_000_000_000, 1_073_741_824)
    assert operations(walk(transfer(LARGEST_COPY_BYTES), COPIED)[0]) == ["CopyObject"]
    assert operations(walk(transfer(LARGEST_COPY_BYTES + 1), refused(404))[0]) == ["HeadObject"]


def test_a_larger_object_is_copied_in_parts_with_its_description() -> None:
    requests, outcome = walk_in_parts(LOOKED, BEGUN, *PARTS, DONE)

    assert isinstance(outcome, Copied)
    assert operations(requests) == [
        "HeadObject",
        "CreateMultipartUpload",
        *["UploadPartCopy"] * 3,
        "CompleteMultipartUpload",
    ]
    assert dict(requests[1].headers)["x-amz-meta-signature"] == "00ff"
    ranges = [dict(request.headers)["x-amz-copy-source-range"] for request in requests[2:-1]]
    assert ranges == ["bytes=0-3", "bytes=4-7", "bytes=8-9"]
    assert {dict(request.headers)["x-amz-copy-source-if-match"] for request in requests[2:-1]} == {'"e1"'}
    assert dict(requests[-1].headers)["if-none-match"] == "*"


def test_parts_of_a_server_without_checksums_are_completed_without() -> None:
    parts = [ok(b"<CopyPartResult><ETag>&quot;p&quot;</ETag></CopyPartResult>")] * 3

    requests, outcome = walk_in_parts(LOOKED, BEGUN, *parts, DONE)

    assert isinstance(outcome, Copied)
    assert b"Checksum" not in requests[-1].body


def test_tags_go_along_with_a_larger_object_and_stay_behind_where_they_may_not_be_written() -> None:
    tagged = ok(content_length="10", x_amz_tagging_count="1")
    tags = ok(b"<Tagging><TagSet><Tag><Key>team</Key><Value>a</Value></Tag></TagSet></Tagging>")

    requests, outcome = walk_in_parts(tagged, tags, DENIED, BEGUN, *PARTS, DONE)

    assert isinstance(outcome, Copied)
    assert [dict(request.headers).get("x-amz-tagging") for request in requests[2:4]] == ["team=a", None]


def test_an_object_that_is_found_with_another_size_has_changed() -> None:
    requests, outcome = walk_in_parts(ok(content_length="9"))

    assert isinstance(outcome, Failed)
    assert (outcome.reason, len(requests)) == (Reason.OBJECT_CHANGED, 1)
    assert "listed with 10 bytes, found with 9" in outcome.detail


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([DENIED], Reason.ACCESS_DENIED),
        ([refused(403, "AccessDenied", "kms:Decrypt")], Reason.KMS_DENIED),
        ([refused(403, "InvalidObjectState")], Reason.ARCHIVED),
        ([PARTS[0], refused(412, "PreconditionFailed")], Reason.OBJECT_CHANGED),
        ([PARTS[0], refused(404, "NoSuchKey")], Reason.OBJECT_GONE),
        ([PARTS[0], refused(404, "NoSuchUpload")], Reason.UNEXPECTED),
        ([ok(b"<html/>")], Reason.UNEXPECTED),
        ([ok(b"<CopyPartResult/>")], Reason.UNEXPECTED),
        ([*PARTS, refused(400, "BadDigest")], Reason.CHECKSUM),
        ([*PARTS, ok(), refused(404)], Reason.UNEXPECTED),
    ],
)
def test_an_upload_in_parts_that_fails_is_its_own_reason_and_aborted(answers: list[Answer], reason: str) -> None:
    requests, outcome = walk_in_parts(LOOKED, BEGUN, *answers, ABORTED)

    assert isinstance(outcome, Failed)
    assert outcome.reason == reason
    assert requests[-1].operation == "AbortMultipartUpload"


@pytest.mark.parametrize("answer", [refused(412, "PreconditionFailed"), refused(404, "NoSuchUpload")])
def test_a_larger_replica_is_recognised_by_its_parts_and_nothing_is_read(answer: Answer) -> None:
    there = head_of(LARGE, x_amz_checksum_sha256=COMPOSITE)
    aborted = [ABORTED] if answer.status == 412 else []

    requests, outcome = walk_in_parts(LOOKED, BEGUN, *PARTS, answer, *aborted, there)

    assert isinstance(outcome, AlreadyThere)
    assert "GetObject" not in operations(requests)


def test_a_larger_replica_of_another_size_is_a_conflict() -> None:
    there = head_of(b"another", x_amz_checksum_sha256=COMPOSITE)

    _, outcome = walk_in_parts(LOOKED, BEGUN, *PARTS, refused(412, "PreconditionFailed"), ABORTED, there)

    assert isinstance(outcome, Conflict)
