"""CopyObject walked through every answer, and what it carries."""

import hashlib
from base64 import b64encode

import pytest
from builders_copy import ok, refused, terms

from syncd import failures
from syncd.model import AlreadyThere, Copied, Failed, LogObject, Outcome, Shard, Transfer
from syncd.s3 import Answer, Request, Side
from syncd.server_side import COPY_PART_BYTES, LARGEST_COPY_BYTES, server_side

BODY = b"one log"
COPIED = ok(b"<CopyObjectResult><ETag>&quot;x&quot;</ETag></CopyObjectResult>")
DENIED = refused(403, "AccessDenied")


def transfer(size: int = len(BODY)) -> Transfer:
    return Transfer(Shard(""), LogObject("logs/a b", "e1", size, 0.0), "replica/logs/a b")


def walk(item: Transfer, *answers: Answer) -> tuple[list[Request], Outcome]:
    steps = server_side(item, terms(landing=(("x-amz-storage-class", "STANDARD_IA"),)))
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
    assert headers["x-amz-storage-class"] == "STANDARD_IA"
    assert len(headers["x-amz-expected-bucket-owner"]) == len(headers["x-amz-source-expected-bucket-owner"]) == 12


def test_tags_that_may_not_be_copied_are_left_behind_rather_than_the_object() -> None:
    requests, outcome = walk(transfer(), DENIED, COPIED)

    assert isinstance(outcome, Copied)
    assert dict(requests[1].headers)["x-amz-tagging-directive"] == "REPLACE"


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([DENIED, DENIED], failures.ACCESS_DENIED),
        ([refused(404, "NoSuchKey")], failures.OBJECT_GONE),
        ([refused(501, "NotImplemented")], failures.UNSUPPORTED),
        ([refused(503, "SlowDown")], failures.SLOW_DOWN),
        ([Answer(200, {}, b"<Error><Code>InternalError</Code></Error>", "InternalError")], failures.SERVER_ERROR),
        ([refused(409, "ConditionalRequestConflict")] * 4, failures.UNEXPECTED),
    ],
)
def test_each_refusal_is_its_own_reason(answers: list[Answer], reason: str) -> None:
    _, outcome = walk(transfer(), *answers)

    assert isinstance(outcome, Failed)
    assert outcome.reason == reason


def test_a_replica_that_is_there_is_compared_by_reading_and_not_overwritten() -> None:
    digest = b64encode(hashlib.sha256(BODY).digest()).decode()
    head = Answer(200, {"content-length": str(len(BODY)), "x-amz-checksum-sha256": digest}, b"")

    requests, outcome = walk(transfer(), refused(412, "PreconditionFailed"), ok(BODY), head)

    assert isinstance(outcome, AlreadyThere)
    assert [request.operation for request in requests] == ["CopyObject", "GetObject", "HeadObject"]


def test_an_object_above_five_gigabytes_is_copied_in_parts_with_its_description() -> None:
    size = LARGEST_COPY_BYTES + 1
    parts = -(-size // COPY_PART_BYTES)
    part = ok(b"<CopyPartResult><ETag>&quot;p&quot;</ETag><ChecksumSHA256>c</ChecksumSHA256></CopyPartResult>")
    source = Answer(200, {"content-type": "application/json", "x-amz-meta-signature": "00ff"}, b"")
    begun = ok(b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
    done = ok(b"<CompleteMultipartUploadResult><ETag>&quot;x&quot;</ETag></CompleteMultipartUploadResult>")

    requests, outcome = walk(transfer(size), source, begun, *[part] * parts, done)

    assert isinstance(outcome, Copied)
    assert dict(requests[1].headers)["x-amz-meta-signature"] == "00ff"
    ranges = [dict(request.headers)["x-amz-copy-source-range"] for request in requests[2:-1]]
    assert (ranges[0], ranges[-1]) == (
        f"bytes=0-{COPY_PART_BYTES - 1}",
        f"bytes={(parts - 1) * COPY_PART_BYTES}-{size - 1}",
    )
    assert dict(requests[-1].headers)["if-none-match"] == "*"


def test_an_upload_in_parts_that_fails_is_aborted() -> None:
    begun = ok(b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")

    requests, outcome = walk(transfer(LARGEST_COPY_BYTES + 1), Answer(200, {}, b""), begun, DENIED, ok(b""))

    assert isinstance(outcome, Failed)
    assert requests[-1].operation == "AbortMultipartUpload"
