"""A copy under every sequence of answers: it ends, claims only what was said, and leaves no upload behind."""

import hashlib
from collections.abc import Callable, Iterator

from builders_copy import (
    CONCURRENT,
    MISSING,
    THERE,
    head_of,
    listed,
    md5_of,
    ok,
    refused,
    sha256_of,
    terms,
    transfer_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.aws.s3 import Answer, Request, Side
from syncd.copy.server_side import server_side
from syncd.copy.stream import stream
from syncd.copy.terms import Copy, Steps
from syncd.model.objects import AlreadyThere, Conflict, Copied, Outcome, Transfer

BODY, OTHER = b"0123456789", b"abcdefghij"
PART = 4
LISTED = listed("logs/a", BODY)
REFUSALS = [refused(403, "AccessDenied"), refused(503, "SlowDown"), refused(0, "timeout"), MISSING]
BEGUN = ok(b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
COPIED = ok(b"<CopyObjectResult><ETag>&quot;x&quot;</ETag></CopyObjectResult>")
PART_COPIED = ok(b"<CopyPartResult><ETag>&quot;x&quot;</ETag></CopyPartResult>")
COMPLETED = ok(b"<CompleteMultipartUploadResult><ETag>&quot;x-3&quot;</ETag></CompleteMultipartUploadResult>")
COMPOSITE = sha256_of(b"".join(hashlib.sha256(BODY[at : at + PART]).digest() for at in range(0, 10, PART))) + "-3"


LAST = ("PutObject", "CopyObject", "CompleteMultipartUpload")
WRITTEN = ok(etag='"x"')
DONE = [("PutObject", WRITTEN), ("CopyObject", COPIED), ("CompleteMultipartUpload", COMPLETED)]


def span_of(request: Request, body: bytes) -> bytes:
    wanted = dict(request.headers).get("range")
    if wanted is None:
        return body
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    return body[int(first) : int(last) + 1]


def of_a_read(request: Request) -> list[Answer]:
    right = span_of(request, BODY)
    if request.side is Side.DESTINATION:
        return [ok(right, 206), ok(span_of(request, OTHER), 206), ok(right[1:], 206)]
    etag = f'"{md5_of(BODY)}"'
    return [ok(right, etag=etag)] * 6 + [
        ok(right[1:], etag=etag),
        ok(right, etag='"another"'),
        refused(412, "PreconditionFailed"),
    ]


def of_a_look(request: Request) -> list[Answer]:
    if request.side is Side.SOURCE:
        return [head_of(BODY), head_of(BODY, x_amz_checksum_sha256=sha256_of(BODY)), head_of(OTHER[1:])]
    return [
        MISSING,
        head_of(BODY),
        head_of(b"another size"),
        *(head_of(BODY, x_amz_checksum_sha256=value) for value in (sha256_of(BODY), sha256_of(OTHER), COMPOSITE)),
    ]


PLAUSIBLE: dict[str, Callable[[Request], list[Answer]]] = {
    "GetObject": of_a_read,
    "HeadObject": of_a_look,
    "PutObject": lambda _: [WRITTEN, WRITTEN, THERE, CONCURRENT, ok()],
    "CreateMultipartUpload": lambda _: [BEGUN] * 4 + [ok(b"<html/>")],
    "UploadPart": lambda _: [ok(etag='"1"')] * 6,
    "CompleteMultipartUpload": lambda _: [COMPLETED, COMPLETED, THERE, CONCURRENT, refused(404, "NoSuchUpload")],
    "AbortMultipartUpload": lambda _: [ok(status=204)],
    "CopyObject": lambda _: [COPIED, COPIED, THERE, CONCURRENT, ok()],
    "UploadPartCopy": lambda _: [PART_COPIED] * 6 + [ok()],
}


def walked(steps: Steps, answer: Callable[[Request], Answer]) -> Iterator[tuple[Request, Answer] | Outcome]:
    """Each request with the answer that it gets, and at last the outcome."""
    request = next(steps)
    for _ in range(100):
        given_answer = answer(request)
        yield request, given_answer
        try:
            request = steps.send(given_answer)
        except StopIteration as done:
            yield done.value
            return
    raise AssertionError("the copy does not end")


@settings(max_examples=700)
@given(
    data=st.data(),
    begin=st.sampled_from([stream, server_side]),
    transfer=st.builds(transfer_of, st.just(LISTED), compare_first=st.booleans()),
    large=st.booleans(),
)
def test_whatever_is_answered_a_copy_ends_and_claims_only_what_was_said(
    data: st.DataObject, begin: Callable[[Copy], Steps], transfer: Transfer, *, large: bool
) -> None:
    bound = 8 if large else 64
    agreed = terms(multipart_above=bound, part_size=PART)._replace(largest_copy=bound, copy_part_size=PART)

    *asked, outcome = walked(
        begin(Copy(transfer, agreed)),
        lambda request: data.draw(st.sampled_from(PLAUSIBLE[request.operation](request) + REFUSALS)),
    )

    answers = [(request.operation, answer) for request, answer in asked]
    writes = [(operation, answer) for operation, answer in answers if operation in LAST]
    looks = [answer for operation, answer in answers if operation == "HeadObject"]
    assert outcome.transfer == transfer
    is_shown = bool(writes) and writes[-1] in DONE
    # A success that shows nothing is one if the replica is found.
    is_looked_for = bool(writes) and writes[-1][1].is_ok and not is_shown
    assert isinstance(outcome, Copied) or not is_shown
    assert not isinstance(outcome, Copied) or is_shown or (is_looked_for and any(look.is_ok for look in looks))
    assert isinstance(outcome, AlreadyThere | Conflict) <= any(look.is_ok for look in looks)
    assert all(("if-none-match", "*") in request.headers for request, _ in asked if request.operation in LAST)
    if ("CreateMultipartUpload", BEGUN) in answers and not isinstance(outcome, Copied):
        is_completed_before = bool(writes) and writes[-1][1].status == 404
        assert is_completed_before or "AbortMultipartUpload" in dict(answers)
