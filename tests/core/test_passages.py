"""Passages of large bodies: what is written of what is told, and what follows if one comes to nothing."""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Sequence

import pytest
from awscrt.checksums import crc64nvme
from builders_copy import MISSING, THERE, detail, forged, listed, ok, reason, refused, sha256_of, terms, transfer_of

from syncd.aws.s3 import Answer, Request
from syncd.copy.hashes.checksums import SHA256
from syncd.copy.passage import NotPassed, Passage
from syncd.copy.stream import stream
from syncd.copy.terms import Copy, Terms
from syncd.model.objects import AlreadyThere, Conflict, Copied, Outcome

BODY = b"0123456789"
ITEM = listed("logs/a", BODY)
TRANSFER = transfer_of(ITEM, prefix="replica/")
LANDING = (("x-amz-storage-class", "STANDARD_IA"), ("x-amz-acl", "bucket-owner-full-control"))
AGREED = terms(part_size=16, landing=LANDING)._replace(passage_bytes=1)
LARGE = AGREED._replace(part_size=4)
BEGUN = ok(b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
COMPLETED = ok(b"<CompleteMultipartUploadResult><ETag>&quot;x-3&quot;</ETag></CompleteMultipartUploadResult>")
NOT_PASSED = refused(0, "unexpected_answer", "whatever it was")
WRITTEN = ok(etag='"new"')


def crc_of(body: bytes) -> str:
    return b64encode(crc64nvme(body).to_bytes(8)).decode()


def told(**more: str) -> Answer:
    """The head of the source, or its HeadObject."""
    return ok(etag=f'"{ITEM.etag}"', content_length="10", **more)


TOLD = told(x_amz_checksum_crc64nvme=crc_of(BODY), x_amz_checksum_type="FULL_OBJECT")


def moved(passage: Passage, head: Answer, body: bytes = BODY) -> Request:
    """The write that a relay makes of it."""
    write = passage.begun(head)
    for start in range(0, len(body), 3):
        passage.take(body[start : start + 3])
    return write or passage.ended()


Reply = Answer | Callable[[Passage], Answer]


def passes(head: Answer, body: bytes = BODY) -> Callable[[Passage], Answer]:
    def relay(passage: Passage) -> Answer:
        moved(passage, head, body)
        return WRITTEN

    return relay


def walk(*replies: Reply, agreed: Terms = AGREED) -> tuple[list[str], Outcome]:
    """Give a copy these answers. Returns what it asked for, and what came of it."""
    steps = stream(Copy(TRANSFER, agreed))
    asked, step = [], next(steps)
    for reply in replies:
        if isinstance(step, Passage):
            asked.append("Passage")
            answer = reply if isinstance(reply, Answer) else reply(step)
        else:
            asked.append(f"{step.operation} {step.side}")
            assert isinstance(reply, Answer), step
            answer = reply
        try:
            step = steps.send(answer)
        except StopIteration as done:
            assert len(asked) == len(replies), "it ended before"
            return asked, done.value
    raise AssertionError(f"it goes on with {step}")


def passage_of(agreed: Terms = AGREED) -> Passage:
    step = next(stream(Copy(TRANSFER, agreed)))
    assert isinstance(step, Passage)
    return step


def test_a_passage_reads_the_listed_object_and_asks_for_its_checksum() -> None:
    read = passage_of().read

    assert (read.operation, read.key, read.expected_bytes) == ("GetObject", "logs/a", 10)
    assert dict(read.headers) == {"x-amz-checksum-mode": "ENABLED", "if-match": f'"{ITEM.etag}"'}


def test_the_write_carries_what_is_told_and_what_lands_and_never_overwrites() -> None:
    more = {"content_type": "application/json", "content_encoding": "gzip,aws-chunked", "x_amz_meta_signature": "00ff"}

    write = moved(passage_of(), told(x_amz_checksum_crc64nvme=crc_of(BODY), **more))

    assert (write.operation, write.key) == ("PutObject", "replica/logs/a")
    assert dict(write.headers) == {
        "content-type": "application/json",
        "content-encoding": "gzip",
        "x-amz-meta-signature": "00ff",
        **dict(LANDING),
        "x-amz-sdk-checksum-algorithm": "CRC64NVME",
        "x-amz-checksum-crc64nvme": crc_of(BODY),
        "if-none-match": "*",
    }


SHA1 = b64encode(hashlib.sha1(BODY, usedforsecurity=False).digest()).decode()


@pytest.mark.parametrize(
    ("head", "written"),
    [
        ({"x_amz_checksum_sha256": sha256_of(BODY)}, {"x-amz-checksum-sha256": sha256_of(BODY)}),
        ({"x_amz_checksum_sha1": SHA1}, {"x-amz-checksum-sha1": SHA1}),
        # What is of the parts says nothing of the body.
        ({"x_amz_checksum_sha256": f"{sha256_of(b'parts')}-2"}, {"x-amz-checksum-crc64nvme": crc_of(BODY)}),
        (
            {"x_amz_checksum_crc64nvme": crc_of(b"parts"), "x_amz_checksum_type": "COMPOSITE"},
            {"x-amz-checksum-crc64nvme": crc_of(BODY)},
        ),
        ({}, {"x-amz-checksum-crc64nvme": crc_of(BODY)}),
    ],
)
def test_whatever_checksum_of_the_whole_is_told_is_handed_on_or_one_is_made(
    head: dict[str, str], written: dict[str, str]
) -> None:
    write = moved(passage_of(), told(**head))

    assert {name: value for name, value in write.headers if name.startswith("x-amz-checksum-")} == written


@pytest.mark.parametrize("is_told", [True, False])
def test_sha256_is_written_wherever_it_is_asked_for(*, is_told: bool) -> None:
    write = moved(passage_of(AGREED._replace(checksum=SHA256)), TOLD if is_told else told())

    assert dict(write.headers)["x-amz-checksum-sha256"] == sha256_of(BODY)
    assert "x-amz-checksum-crc64nvme" not in dict(write.headers)


@pytest.mark.parametrize("checksum", [AGREED.checksum, SHA256])
def test_bytes_that_do_not_match_what_is_told_are_wrong(checksum: str) -> None:
    passage = passage_of(AGREED._replace(checksum=checksum))

    moved(passage, TOLD, b"0123_56789")

    assert passage.is_wrong


@pytest.mark.parametrize(
    "head",
    [
        told()._replace(headers={"etag": '"another"'}),
        told(x_amz_tagging_count="1"),
        told(x_amz_meta_a="b\r\nx-amz-acl: public-read"),
        told(x_amz_meta_a="b\n c"),
        told(content_type="a\0b"),
        told(x_amz_meta_a="ü"),
    ],
)
def test_a_head_that_is_unusual_makes_no_passage(head: Answer) -> None:
    passage = passage_of()

    with pytest.raises(Exception, match=r".") as raised:
        moved(passage, head)

    assert passage.under_way.operation == "GetObject"
    assert raised.type.__name__ in ("NotPassed", "CopyFailed")


def test_a_body_that_may_not_be_held_makes_no_passage_if_nothing_is_told() -> None:
    def relay(passage: Passage) -> Answer:
        with pytest.raises(NotPassed):
            passage.begun(told())
        return NOT_PASSED

    asked, outcome = walk(TOLD, relay, refused(503, "SlowDown"), agreed=LARGE)

    assert asked == ["HeadObject source", "Passage", "HeadObject destination"]
    assert reason(outcome) == "slow_down"


def test_a_passage_makes_a_replica_in_two_requests() -> None:
    assert walk(passes(TOLD)) == (["Passage"], Copied(TRANSFER, "new"))


def test_a_passage_that_comes_to_nothing_is_followed_by_the_copy_itself() -> None:
    asked, outcome = walk(NOT_PASSED, ok(BODY), ok(etag='"new"'))

    assert asked == ["Passage", "GetObject source", "PutObject destination"]
    assert outcome == Copied(TRANSFER, "new")


def test_a_passage_that_took_too_long_is_not_tried_another_way() -> None:
    asked, outcome = walk(refused(0, "timeout", "it stands still"))

    assert asked == ["Passage"]
    assert reason(outcome) == "timeout"
    assert "GetObject by" in detail(outcome)


def test_what_took_too_long_is_the_write_once_it_has_begun() -> None:
    def relay(passage: Passage) -> Answer:
        passage.begun(TOLD)
        return refused(0, "timeout", "it stands still")

    assert "PutObject by" in detail(walk(relay)[1])


def test_a_large_write_that_took_too_long_is_looked_for_and_made_in_parts_if_it_is_not_there() -> None:
    def relay(passage: Passage) -> Answer:
        passage.begun(TOLD)
        return refused(0, "timeout", "it stands still")

    found = ok(etag='"new"', content_length="10", x_amz_checksum_crc64nvme=crc_of(BODY))
    asked, outcome = walk(TOLD, relay, found, TOLD, agreed=LARGE)
    anew, copied = walk(TOLD, relay, MISSING, BEGUN, *parts(*PARTS), COMPLETED, agreed=LARGE)

    assert (asked[2:], type(outcome)) == (["HeadObject destination", "HeadObject source"], AlreadyThere)
    assert (anew[2], type(copied)) == ("HeadObject destination", Copied)


def test_a_known_key_is_compared_before_it_makes_a_passage() -> None:
    steps = stream(Copy(TRANSFER._replace(compare_first=True), AGREED))

    asked = [next(steps), steps.send(MISSING)]

    assert isinstance(asked[0], Request)
    assert (asked[0].operation, type(asked[1])) == ("HeadObject", Passage)


# Larger than a part


def test_a_large_object_whose_checksum_is_told_is_written_as_one() -> None:
    assert walk(TOLD, passes(TOLD), agreed=LARGE) == (["HeadObject source", "Passage"], Copied(TRANSFER, "new"))


def test_tags_of_a_large_object_are_asked_for_before() -> None:
    tags = ok(b"<Tagging><TagSet><Tag><Key>team</Key><Value>a b</Value></Tag></TagSet></Tagging>")
    head = told(x_amz_checksum_crc64nvme=crc_of(BODY), x_amz_tagging_count="1")
    writes = []

    def relay(passage: Passage) -> Answer:
        writes.append(moved(passage, head))
        return WRITTEN

    asked, _ = walk(head, tags, relay, agreed=LARGE)

    assert asked == ["HeadObject source", "GetObjectTagging source", "Passage"]
    assert dict(writes[0].headers)["x-amz-tagging"] == "team=a%20b"


IN_PARTS = ["HeadObject source", "HeadObject destination", "CreateMultipartUpload destination"]
PARTS = [BODY[0:4], BODY[4:8], BODY[8:10]]


def parts(*bodies: bytes) -> list[Reply]:
    return [passes(ok(status=206, etag=f'"{ITEM.etag}"'), body) for body in bodies]


@pytest.mark.parametrize(
    ("looked", "agreed"),
    [(told(), LARGE), (TOLD, LARGE._replace(checksum=SHA256)), (TOLD, LARGE._replace(multipart_above=8))],
)
def test_a_large_object_is_otherwise_a_passage_a_part(looked: Answer, agreed: Terms) -> None:
    replies: Sequence[Reply] = [looked, MISSING, BEGUN, *parts(*PARTS), COMPLETED]
    if agreed.multipart_above < len(BODY):
        replies = [MISSING, looked, *replies[2:]]

    asked, outcome = walk(*replies, agreed=agreed)

    assert sorted(asked[:3]) == sorted(IN_PARTS)
    assert asked[3:] == ["Passage"] * 3 + ["CompleteMultipartUpload destination"]
    assert outcome == Copied(TRANSFER, "x-3")


def test_a_part_whose_passage_comes_to_nothing_is_copied_by_itself() -> None:
    def broken(passage: Passage) -> Answer:
        passage.begun(ok(status=206, etag=f'"{ITEM.etag}"'))
        passage.take(b"4_")
        return NOT_PASSED

    first, last = parts(PARTS[0], PARTS[2])
    crc = told(x_amz_checksum_crc64nvme=crc_of(BODY))

    asked, outcome = walk(
        crc, NOT_PASSED, MISSING, BEGUN, first, broken, ok(PARTS[1], 206), WRITTEN, last, COMPLETED, agreed=LARGE
    )

    assert asked[4:] == [
        "Passage",
        "Passage",
        "GetObject source",
        "UploadPart destination",
        "Passage",
        "CompleteMultipartUpload destination",
    ]
    assert outcome == Copied(TRANSFER, "x-3")


def test_parts_that_are_together_not_what_is_told_are_given_up() -> None:
    crc = told(x_amz_checksum_crc64nvme=crc_of(BODY))

    asked, outcome = walk(
        crc, NOT_PASSED, MISSING, BEGUN, *parts(PARTS[0], b"4_67", PARTS[2]), ok(status=204), agreed=LARGE
    )

    assert asked[-1] == "AbortMultipartUpload destination"
    assert reason(outcome) == "checksum_mismatch"


def test_a_server_that_knows_no_such_checksum_is_asked_for_sha256() -> None:
    asked, outcome = walk(
        told(), MISSING, refused(400, "InvalidRequest"), BEGUN, *parts(*PARTS), COMPLETED, agreed=LARGE
    )

    assert asked[2:4] == ["CreateMultipartUpload destination"] * 2
    assert outcome == Copied(TRANSFER, "x-3")


# Comparisons with a replica that has a CRC alone


@pytest.mark.parametrize(("replica", "expected"), [(BODY, AlreadyThere), (b"abcdefghij", Conflict)])
def test_a_source_that_tells_nothing_is_compared_by_the_crc_of_what_was_read(
    replica: bytes, expected: type[Outcome]
) -> None:
    there = ok(content_length="10", x_amz_checksum_crc64nvme=crc_of(replica))

    asked, outcome = walk(NOT_PASSED, ok(BODY), THERE, there)

    assert asked[-1] == "HeadObject destination"
    assert type(outcome) is expected


def test_an_upload_that_lost_against_a_crc_is_compared_by_the_crc_of_its_parts() -> None:
    there = ok(content_length="10", x_amz_checksum_crc64nvme=crc_of(BODY))

    _, outcome = walk(told(), MISSING, BEGUN, *parts(*PARTS), THERE, ok(status=204), there, agreed=LARGE)

    assert type(outcome) is AlreadyThere


def test_an_equal_crc_is_no_proof_if_the_source_may_have_been_altered() -> None:
    other = forged(b"__", crc64nvme(BODY))
    there = ok(content_length="10", x_amz_checksum_crc64nvme=crc_of(other))
    steps = stream(Copy(TRANSFER._replace(compare_first=True, is_changed=True), AGREED))

    asked = [next(steps), *(steps.send(answer) for answer in (there, TOLD, ok(other)))]
    with pytest.raises(StopIteration) as done:
        steps.send(ok(BODY, 206))

    assert (other == BODY, crc_of(other)) == (False, crc_of(BODY))
    assert [step.operation for step in asked if isinstance(step, Request)] == ["HeadObject"] * 2 + ["GetObject"] * 2
    assert type(done.value.value) is Conflict
