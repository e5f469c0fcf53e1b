"""One copy of a whole object, request by request, through the answers that S3 may give."""

import hashlib
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping

import pytest
from awscrt.checksums import crc32c, crc64nvme
from builders_copy import (
    CONCURRENT,
    READER,
    THERE,
    WRITER,
    detail,
    head_of,
    listed,
    md5_of,
    ok,
    reason,
    refused,
    sha256_of,
    terms,
    transfer_of,
    walk,
)

from syncd.aws.s3 import Answer
from syncd.copy.server_side import server_side
from syncd.copy.stream import stream
from syncd.copy.terms import Copy, Steps
from syncd.model.objects import AlreadyThere, Copied

BODY = b"one log"
ITEM = listed("logs/a", BODY)
WHOLE = transfer_of(ITEM, prefix="replica/")


STORED = ok(etag='"stored"')


def read(body: bytes = BODY, **headers: str) -> Answer:
    return ok(body, **{"etag": f'"{ITEM.etag}"', **headers})


# What is asked for


def test_an_object_is_read_from_the_source_and_written_to_the_destination() -> None:
    walked = walk(WHOLE, read(), STORED)

    assert walked.operations == ["GetObject source", "PutObject destination"]
    assert [request.key for request in walked.requests] == ["logs/a", "replica/logs/a"]
    assert walked.requests[1].body == BODY
    assert walked.outcome == Copied(WHOLE, "stored")


def test_a_read_is_pinned_to_the_listed_etag() -> None:
    (get, _), _ = walk(WHOLE, read(), STORED)

    assert dict(get.headers) == {
        "if-match": f'"{ITEM.etag}"',
        "x-amz-checksum-mode": "ENABLED",
    }


CHANGED = refused(412, "PreconditionFailed")


@pytest.mark.parametrize("again", [CHANGED, read(etag='"another"'), read(etag=""), refused(404, "NoSuchKey")])
def test_an_object_with_another_etag_than_the_listed_one_has_changed(again: Answer) -> None:
    walked = walk(WHOLE, CHANGED, again)

    assert reason(walked.outcome) == "object_changed"
    assert walked.operations == ["GetObject source", "GetObject source"]
    assert "if-match" not in dict(walked.requests[1].headers)


@pytest.mark.parametrize("etag", [f'W/"{ITEM.etag}"', ITEM.etag.upper()])
def test_a_server_that_refuses_the_etag_that_it_lists_is_read_without_a_condition(etag: str) -> None:
    walked = walk(WHOLE, CHANGED, read(etag=etag), STORED)

    assert walked.operations == ["GetObject source", "GetObject source", "PutObject destination"]
    assert walked.outcome == Copied(WHOLE, "stored")


def test_a_write_never_overwrites_and_carries_its_checksum() -> None:
    (_, put), _ = walk(WHOLE, read(), STORED)

    assert dict(put.headers) == {
        "if-none-match": "*",
        "x-amz-checksum-sha256": sha256_of(BODY),
        "x-amz-sdk-checksum-algorithm": "SHA256",
    }


def test_an_object_that_was_listed_without_an_etag_is_read_without_a_condition() -> None:
    transfer = transfer_of(listed("logs/a", BODY, etag=""))

    (get, _), outcome = walk(transfer, ok(BODY, etag='"anything"'), STORED)

    assert "if-match" not in dict(get.headers)
    assert outcome == Copied(transfer, "stored")


KEPT = {
    "content-type": "application/json",
    "content-encoding": "gzip",
    "cache-control": "no-store",
    "content-disposition": "attachment",
    "content-language": "en",
    "expires": "Wed, 21 Oct 2026 07:28:00 GMT",
    "x-amz-meta-signature": "00ff",
    "x-amz-meta-signature-algorithm": "SHA256withRSA",
}
LEFT = {
    "content-length": "7",
    "date": "Tue, 24 Nov 2026 08:00:00 GMT",
    "etag": f'"{ITEM.etag}"',
    "last-modified": "Tue, 24 Nov 2026 07:00:00 GMT",
    "server": "AmazonS3",
    "x-amz-id-2": "x",
    "x-amz-request-id": "x",
    "x-amz-server-side-encryption": "aws:kms",
    "x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:us-east-1:111111111111:key/1",
    "x-amz-storage-class": "GLACIER_IR",
    "x-amz-version-id": "1",
}


def test_metadata_type_and_encoding_are_kept_and_nothing_else_of_the_source_is() -> None:
    (_, put), _ = walk(WHOLE, Answer(200, {**LEFT, **KEPT}, BODY), STORED)

    described = {
        name for name, _ in put.headers if not name.startswith(("if-", "x-amz-checksum", "x-amz-sdk", "x-amz-e"))
    }
    assert KEPT.items() <= dict(put.headers).items()
    assert described == set(KEPT)


@pytest.mark.parametrize(
    ("given_encoding", "kept"),
    [
        ("aws-chunked", None),
        ("aws-chunked,gzip", "gzip"),
        ("gzip, aws-chunked", "gzip"),
        ("gzip,aws-chunked,br", "gzip,br"),
        ("", None),
        ("gzip", "gzip"),
    ],
)
def test_how_the_upload_was_framed_is_not_part_of_the_encoding(given_encoding: str, kept: str | None) -> None:
    (_, put), _ = walk(WHOLE, read(content_encoding=given_encoding), STORED)

    assert dict(put.headers).get("content-encoding") == kept


def test_what_lands_is_said_in_every_write() -> None:
    landing = (("x-amz-storage-class", "STANDARD_IA"), ("x-amz-acl", "bucket-owner-full-control"))

    (_, put), _ = walk(WHOLE, read(), STORED, copy_terms=terms(landing=landing))

    assert set(landing) <= set(put.headers)


def test_an_empty_object_is_copied_with_the_checksum_of_nothing() -> None:
    transfer = transfer_of(listed("logs/a", b""))

    (get, put), outcome = walk(transfer, ok(b"", etag=f'"{md5_of(b"")}"'), STORED)

    assert "range" not in dict(get.headers)
    assert (dict(put.headers)["x-amz-checksum-sha256"], put.body) == (sha256_of(b""), b"")
    assert outcome == Copied(transfer, "stored")


def test_the_etag_that_the_write_is_answered_with_is_told() -> None:
    assert walk(WHOLE, read(), ok(etag='"ours"')).outcome == Copied(WHOLE, "ours")


# Keys that cannot be had


@pytest.mark.parametrize(
    ("key", "is_too_long"), [("a" * 1024, False), ("a" * 1025, True), ("é" * 512, False), ("é" * 513, True)]
)
@pytest.mark.parametrize("begin", [stream, server_side])
@pytest.mark.parametrize("compare_first", [False, True])
def test_a_key_that_s3_does_not_take_fails_and_nothing_is_asked_for(
    begin: Callable[[Copy], Steps], key: str, *, compare_first: bool, is_too_long: bool
) -> None:
    steps = begin(Copy(WHOLE._replace(destination_key=key, compare_first=compare_first), terms()))

    if is_too_long:
        with pytest.raises(StopIteration) as done:
            next(steps)
        assert reason(done.value.value) == "key_too_long"
        assert f"{len(key.encode())} bytes" in detail(done.value.value)
    else:
        assert next(steps).operation in ("GetObject", "CopyObject", "HeadObject")


def test_a_server_that_takes_shorter_keys_says_so() -> None:
    assert reason(walk(WHOLE, read(), refused(400, "KeyTooLongError")).outcome) == "key_too_long"


def test_a_key_that_was_listed_with_bytes_that_are_no_utf8_is_not_gone() -> None:
    transfer = transfer_of(listed("logs/a\ufffd", BODY))

    outcome = walk(transfer, refused(404, "NoSuchKey")).outcome

    assert reason(outcome) == "key_not_utf8"
    assert "NoSuchKey" in detail(outcome)


def test_a_key_with_the_character_that_stands_for_such_bytes_is_copied() -> None:
    transfer = transfer_of(listed("logs/a\ufffd", BODY))

    assert walk(transfer, read(), STORED).outcome == Copied(transfer, "stored")


# What goes wrong with reading


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (refused(403, "AccessDenied"), "access_denied"),
        (refused(403), "access_denied"),
        (
            refused(403, "AccessDenied", "User is not authorized to perform: kms:Decrypt on the resource"),
            "kms_access_denied",
        ),
        (refused(400, "KMS.AccessDeniedException"), "kms_access_denied"),
        (refused(400, "KMS.DisabledException"), "kms_key_disabled"),
        (refused(400, "KMS.NotFoundException"), "kms_key_not_found"),
        (refused(404, "NoSuchKey"), "object_gone"),
        (refused(404, "NoSuchBucket"), "no_such_bucket"),
        (refused(404), "object_gone"),
        (refused(403, "InvalidObjectState"), "archived"),
        (refused(503, "SlowDown"), "slow_down"),
        (refused(429, "TooManyRequests"), "slow_down"),
        (refused(500, "InternalError"), "server_error"),
        (refused(502), "server_error"),
        (refused(301), "wrong_region"),
        (refused(400, "AuthorizationHeaderMalformed"), "wrong_region"),
        (refused(400, "ExpiredToken"), "credentials_expired"),
        (refused(501, "NotImplemented"), "unsupported"),
        (refused(400, "InvalidRequest"), "unexpected_answer"),
        (refused(0, "connection_failed"), "connection_failed"),
        (refused(0, "timeout"), "timeout"),
    ],
)
def test_a_read_that_is_refused_fails_with_its_reason_and_nothing_is_written(answer: Answer, expected: str) -> None:
    walked = walk(WHOLE, answer)

    assert reason(walked.outcome) == expected
    assert walked.operations == ["GetObject source"]


def test_a_failure_names_call_principal_object_status_and_what_was_answered() -> None:
    outcome = walk(WHOLE, refused(403, "AccessDenied", "no identity-based policy allows it")).outcome

    told = f"GetObject by {READER} of s3://example-trail/logs/a: 403 AccessDenied: no identity-based policy allows it"
    assert detail(outcome) == told


def test_a_failure_without_any_answer_says_so() -> None:
    outcome = walk(WHOLE, Answer(500, {}, b"", "500", "")).outcome

    assert detail(outcome).endswith("s3://example-trail/logs/a: 500 500")


def test_a_read_of_another_etag_is_a_changed_object() -> None:
    outcome = walk(WHOLE, ok(BODY, etag='"another"')).outcome

    assert reason(outcome) == "object_changed"
    assert f"listed with ETag {ITEM.etag}, read with another" in detail(outcome)


def test_a_read_without_an_etag_is_taken() -> None:
    assert walk(WHOLE, ok(BODY), STORED).outcome == Copied(WHOLE, "stored")


def test_a_write_that_tells_the_checksum_alone_has_stored_it() -> None:
    assert walk(WHOLE, read(), ok(x_amz_checksum_sha256=sha256_of(BODY))).outcome == Copied(WHOLE)


# A proxy's own page; another success than S3's; a checksum of other bytes.
UNSEEN = [
    ok(b"<html>"),
    ok(b"<html>", etag='"of the page"'),
    ok(etag='""'),
    ok(status=204, etag='"e"'),
    ok(etag='"e"', x_amz_checksum_sha256=sha256_of(b"another")),
]


@pytest.mark.parametrize("written", UNSEEN)
def test_a_success_that_does_not_show_what_is_stored_is_looked_for(written: Answer) -> None:
    there = head_of(BODY, etag='"theirs"', x_amz_checksum_sha256=sha256_of(BODY))
    walked = walk(WHOLE, read(), written, there)

    assert walked.operations == ["GetObject source", "PutObject destination", "HeadObject destination"]
    assert walked.outcome == Copied(WHOLE, "theirs")


@pytest.mark.parametrize("written", UNSEEN)
def test_a_success_of_which_nothing_is_found_is_none(written: Answer) -> None:
    outcome = walk(WHOLE, read(), written, refused(404)).outcome

    assert reason(outcome) == "unexpected_answer"
    assert f"PutObject by {WRITER}" in detail(outcome)
    assert f"{written.status}, which does not show that it is stored, but the object is not there" in detail(outcome)


@pytest.mark.parametrize(
    ("looked", "said"),
    [
        (head_of(b"a page of the same proxy"), "but the replica has 24 bytes, the source 7"),
        (head_of(BODY, x_amz_checksum_sha256=sha256_of(b"another")), "but the replica has other bytes"),
        (refused(403), f"; HeadObject by {WRITER} of s3://example-b-logs/replica/logs/a: 403"),
    ],
)
def test_a_success_that_is_contradicted_is_tried_again(looked: Answer, said: str) -> None:
    """No conflict, which only an operator ends: if there is one, the next write meets it."""
    outcome = walk(WHOLE, read(), UNSEEN[0], looked).outcome

    assert (reason(outcome), said in detail(outcome)) == ("unexpected_answer", True)


@pytest.mark.parametrize("body", [b"", BODY[:-1], BODY + b"!"])
def test_a_body_of_another_length_is_not_written(body: bytes) -> None:
    walked = walk(WHOLE, read(body))

    assert reason(walked.outcome) == "short_body"
    assert f"{len(body)} bytes came of 7" in detail(walked.outcome)
    assert walked.operations == ["GetObject source"]


CHECKSUMS: Mapping[str, bytes] = {
    "x-amz-checksum-sha256": hashlib.sha256(BODY).digest(),
    "x-amz-checksum-sha1": hashlib.sha1(BODY, usedforsecurity=False).digest(),
    "x-amz-checksum-crc32": zlib.crc32(BODY).to_bytes(4),
    "x-amz-checksum-crc32c": crc32c(BODY).to_bytes(4),
    "x-amz-checksum-crc64nvme": crc64nvme(BODY).to_bytes(8),
}


@pytest.mark.parametrize("name", CHECKSUMS)
def test_a_body_that_matches_its_checksum_is_written(name: str) -> None:
    answer = Answer(200, {name: b64encode(CHECKSUMS[name]).decode()}, BODY)

    assert walk(WHOLE, answer, STORED).outcome == Copied(WHOLE, "stored")


@pytest.mark.parametrize("name", CHECKSUMS)
def test_a_body_that_does_not_match_its_checksum_is_not_written(name: str) -> None:
    right = CHECKSUMS[name]
    wrong = right[:-1] + bytes([right[-1] ^ 1])

    walked = walk(WHOLE, Answer(200, {name: b64encode(wrong).decode()}, BODY))

    assert reason(walked.outcome) == "checksum_mismatch"
    assert name in detail(walked.outcome)
    assert walked.operations == ["GetObject source"]


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-checksum-sha256": f"{sha256_of(b'the parts')}-2"},
        {"x-amz-checksum-sha256": sha256_of(b"the parts"), "x-amz-checksum-type": "COMPOSITE"},
        {"x-amz-checksum-sha512": sha256_of(b"unknown here")},
        {"x-amz-checksum-crc32": ""},
    ],
)
def test_a_checksum_that_is_not_of_the_whole_or_not_known_says_nothing(headers: Mapping[str, str]) -> None:
    assert walk(WHOLE, Answer(200, headers, BODY), STORED).outcome == Copied(WHOLE, "stored")


# What goes wrong with writing


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (refused(403, "AccessDenied"), "access_denied"),
        (refused(403, "AccessDenied", "not authorized to perform: kms:GenerateDataKey"), "kms_access_denied"),
        (refused(400, "KMS.DisabledException"), "kms_key_disabled"),
        (refused(400, "BadDigest"), "checksum_mismatch"),
        (refused(400, "XAmzContentSHA256Mismatch"), "checksum_mismatch"),
        (refused(404, "NoSuchBucket"), "no_such_bucket"),
        (refused(503, "SlowDown"), "slow_down"),
        (refused(500, "InternalError"), "server_error"),
        (Answer(200, {}, b"", "InternalError", "We encountered an internal error."), "server_error"),
        (refused(400, "ExpiredToken"), "credentials_expired"),
        (refused(0, "connection_failed"), "connection_failed"),
        (refused(400, "AccessControlListNotSupported"), "unexpected_answer"),
    ],
)
def test_a_write_that_is_refused_fails_with_its_reason_and_names_the_destination(answer: Answer, expected: str) -> None:
    outcome = walk(WHOLE, read(), answer).outcome

    assert reason(outcome) == expected
    assert f"PutObject by {WRITER} of s3://example-b-logs/replica/logs/a: " in detail(outcome)


def test_a_write_that_met_another_is_sent_again() -> None:
    walked = walk(WHOLE, read(), CONCURRENT, CONCURRENT, STORED)

    assert walked.operations == ["GetObject source", *["PutObject destination"] * 3]
    assert walked.requests[1] == walked.requests[3]
    assert walked.outcome == Copied(WHOLE, "stored")


def test_a_write_that_lost_against_another_is_compared() -> None:
    walked = walk(WHOLE, read(), CONCURRENT, THERE, head_of(BODY, x_amz_checksum_sha256=sha256_of(BODY)))

    assert walked.outcome == AlreadyThere(WHOLE)


def test_a_write_that_meets_others_three_times_is_given_up() -> None:
    outcome = walk(WHOLE, read(), CONCURRENT, CONCURRENT, CONCURRENT).outcome

    assert "409 ConditionalRequestConflict" in detail(outcome)


def test_tags_go_along_where_they_may_be_read_and_written() -> None:
    tagged = read(x_amz_tagging_count="1")
    document = ok(b"<Tagging><TagSet><Tag><Key>team</Key><Value>a b</Value></Tag></TagSet></Tagging>")

    walked = walk(transfer_of(ITEM), tagged, document, STORED)

    assert [request.operation for request in walked.requests] == ["GetObject", "GetObjectTagging", "PutObject"]
    assert dict(walked.requests[2].headers)["x-amz-tagging"] == "team=a%20b"


def test_an_object_whose_tags_may_not_be_written_is_written_without_them() -> None:
    tagged = read(x_amz_tagging_count="1")
    document = ok(b"<Tagging><TagSet><Tag><Key>team</Key><Value>a</Value></Tag></TagSet></Tagging>")

    walked = walk(transfer_of(ITEM), tagged, document, refused(403, "AccessDenied"), STORED)

    assert isinstance(walked.outcome, Copied)
    assert "x-amz-tagging" not in dict(walked.requests[3].headers)


def test_tags_of_aws_itself_are_left_behind() -> None:
    rows = "".join(f"<Tag><Key>{key}</Key><Value>a</Value></Tag>" for key in ("aws:x", "team", "AWS:y", "awsome"))

    walked = walk(
        transfer_of(ITEM),
        read(x_amz_tagging_count="4"),
        ok(f"<Tagging><TagSet>{rows}</TagSet></Tagging>".encode()),
        STORED,
    )

    assert dict(walked.requests[2].headers)["x-amz-tagging"] == "team=a&awsome=a"


def test_an_object_that_has_tags_of_aws_alone_is_written_without_any() -> None:
    document = ok(b"<Tagging><TagSet><Tag><Key>aws:x</Key><Value>a</Value></Tag></TagSet></Tagging>")

    walked = walk(transfer_of(ITEM), read(x_amz_tagging_count="1"), document, STORED)

    assert "x-amz-tagging" not in dict(walked.requests[2].headers)


def test_an_object_whose_tags_the_server_does_not_take_is_written_without_them() -> None:
    document = ok(b"<Tagging><TagSet><Tag><Key>team</Key><Value>a</Value></Tag></TagSet></Tagging>")

    walked = walk(transfer_of(ITEM), read(x_amz_tagging_count="1"), document, refused(400, "InvalidTag"), STORED)

    assert isinstance(walked.outcome, Copied)
    assert "x-amz-tagging" not in dict(walked.requests[3].headers)


def test_tags_that_may_not_be_read_are_left_behind() -> None:
    tagged = read(x_amz_tagging_count="1")

    walked = walk(transfer_of(ITEM), tagged, refused(403, "AccessDenied"), STORED)

    assert isinstance(walked.outcome, Copied)
