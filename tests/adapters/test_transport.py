"""Requests on the wire: what is sent, what comes back, and what is sent again."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from builders_copy import A, address_of, sha256_of
from faulty import (
    Call,
    DropConnection,
    ErrorIn200,
    FaultyS3,
    ShortBody,
    Stall,
    Status,
    WithoutHeaders,
    on,
)
from faulty.faults import Action
from waiting import wait_until

from syncd.aws.addresses import Address
from syncd.aws.s3 import Answer, Request, Side
from syncd.aws.transport import Transport
from syncd.aws.wire.signing import Credentials

BUCKET = "bucket"
MIB = 1024 * 1024
SECONDS = 60.0


class Wire(NamedTuple):
    """A server with a bucket of one object, and everything to send a request to it."""

    server: FaultyS3
    address: Address
    credentials: Credentials
    transport: Transport

    def send(self, request: Request) -> Future[Answer]:
        answer: Future[Answer] = Future()
        self.transport.send(request, self.address, self.credentials, answer.set_result)
        return answer

    def ask(self, request: Request) -> Answer:
        return self.send(request).result(SECONDS)


def wire_to(server: FaultyS3, *, deadline_seconds: float = 60.0, transport: Transport | None = None) -> Wire:
    server.create_bucket(BUCKET, account_id=A)
    server.put(BUCKET, "k", b"body", metadata={"signature": "00ff"}, content_encoding="gzip")
    user = server.add_user(A)
    credentials = Credentials(user.access_key_id, user.secret_access_key, None, None)
    transport = transport or Transport(deadline_seconds=deadline_seconds)
    return Wire(server, address_of(server.url, BUCKET), credentials, transport)


@pytest.fixture
def wire(faulty: FaultyS3) -> Wire:
    return wire_to(faulty)


def get(key: str = "k", *headers: tuple[str, str]) -> Request:
    return Request("GetObject", Side.SOURCE, "GET", key, "", headers)


def put(key: str = "new", body: bytes = b"new", *headers: tuple[str, str]) -> Request:
    return Request("PutObject", Side.DESTINATION, "PUT", key, "", headers, body)


def copy() -> Request:
    headers = (("x-amz-copy-source", f"/{BUCKET}/k"), ("if-none-match", "*"))
    return Request("CopyObject", Side.COPY, "PUT", "new", "", headers)


def part_copy() -> Request:
    headers = (("x-amz-copy-source", f"/{BUCKET}/k"),)
    return Request("UploadPartCopy", Side.COPY, "PUT", "new", "partNumber=1&uploadId=1", headers)


def complete() -> Request:
    return Request("CompleteMultipartUpload", Side.COPY, "POST", "new", "uploadId=1", (), b"<CompleteMultipartUpload/>")


# What is sent, and what comes back


def test_an_object_comes_with_status_headers_and_body(wire: Wire) -> None:
    answer = wire.ask(get())

    assert (answer.status, answer.body, answer.code, answer.is_ok) == (200, b"body", "", True)
    assert answer.headers["x-amz-meta-signature"] == "00ff"
    assert answer.headers["content-encoding"] == "gzip"
    assert all(name == name.lower() for name in answer.headers)


def test_a_range_comes_as_it_was_asked_for(wire: Wire) -> None:
    answer = wire.ask(get("k", ("range", "bytes=1-2")))

    assert (answer.status, answer.body) == (206, b"od")


def test_an_object_is_written_with_its_headers(wire: Wire) -> None:
    headers = (
        ("content-type", "application/json"),
        ("x-amz-meta-m", "v"),
        ("x-amz-checksum-sha256", sha256_of(b"new")),
    )

    answer = wire.ask(put("new", b"new", *headers))

    stored = wire.server.get(BUCKET, "new")
    assert answer.is_ok
    assert (stored.body, stored.content_type, dict(stored.metadata)) == (b"new", "application/json", {"m": "v"})
    assert stored.checksums == {"sha256": sha256_of(b"new")}


def test_an_empty_object_is_written_and_read(wire: Wire) -> None:
    wire.ask(put("new", b""))

    assert wire.ask(get("new")).body == b""


def test_a_large_object_is_written_and_read(wire: Wire) -> None:
    body = bytes(range(256)) * 40_000

    written = wire.ask(put("new", body))

    assert written.is_ok
    assert wire.ask(get("new")._replace(expected_bytes=len(body))).body == body


def test_a_query_is_sent_as_it_is(wire: Wire) -> None:
    wire.ask(Request("ListObjectsV2", Side.SOURCE, "GET", "", "list-type=2&prefix=a%20b%2Bc", ()))

    assert wire.server.requests[-1].query == {"list-type": "2", "prefix": "a b+c"}


ODD_KEYS = [
    "a b+c%2B",
    "ü日本😀",
    "a//b",
    "a/../b",
    "./a",
    "a/./b",
    "a?b#c&d=e;f",
    "'\"<>\\^`{|}~!$()*,:@[]",
    "\x01\x7f\n\r\t",
    "a/",
    "a" * 1024,
]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_an_odd_key_is_written_and_read_as_it_is(wire: Wire, key: str) -> None:
    wire.ask(put(key))

    assert wire.server.keys(BUCKET) == sorted(["k", key])
    assert wire.ask(get(key)).body == b"new"


def test_an_error_comes_with_status_code_and_message(wire: Wire) -> None:
    answer = wire.ask(get("not there"))

    assert (answer.status, answer.code, answer.message) == (404, "NoSuchKey", "The specified key does not exist.")
    assert not answer.is_ok


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_head_that_is_refused_has_only_its_status(wire: Wire, status: int) -> None:
    wire.server.faults.add("HeadObject", Status(status, "NeverSeen"))

    answer = wire.ask(Request("HeadObject", Side.DESTINATION, "HEAD", "k", "", ()))

    assert (answer.status, answer.code, answer.is_ok) == (status, str(status), False)
    assert answer.message == "no reason given"


def test_a_head_tells_the_size_without_a_body(wire: Wire) -> None:
    answer = wire.ask(Request("HeadObject", Side.DESTINATION, "HEAD", "k", "", ()))

    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "4", b"")


def test_a_body_that_looks_like_an_error_is_a_body(wire: Wire) -> None:
    wire.server.put(BUCKET, "odd", b"<Error><Code>SlowDown</Code></Error>")

    answer = wire.ask(get("odd"))

    assert (answer.is_ok, answer.body) == (True, b"<Error><Code>SlowDown</Code></Error>")


def test_requests_are_signed_by_the_credentials_they_are_given(wire: Wire) -> None:
    other = wire.server.add_user(A)
    session = Credentials(other.access_key_id, other.secret_access_key, "a token", None)

    wire.ask(get())
    answer: Future[Answer] = Future()
    wire.transport.send(get(), wire.address, session, answer.set_result)
    answer.result(SECONDS)

    first, second = wire.server.requests
    assert (first.access_key_id, first.headers.get("x-amz-security-token")) == (wire.credentials.access_key_id, None)
    assert (second.access_key_id, second.headers["x-amz-security-token"]) == (other.access_key_id, "a token")


def test_requests_are_signed_for_the_region_of_the_bucket(wire: Wire) -> None:
    wire.server.create_bucket("far", account_id=A, region="eu-west-1")
    far = wire._replace(address=address_of(wire.server.url, "far", "eu-west-1"))

    far.ask(put())

    assert wire.server.requests[-1].signing_region == "eu-west-1"
    assert wire.server.keys("far") == ["new"]


def test_more_buckets_of_one_server_take_no_more_of_the_process(wire: Wire) -> None:
    def used() -> int:
        return len(list(Path("/proc/self/fd").iterdir())) + threading.active_count()

    wire.ask(put())
    before = used()
    for number in range(12):
        wire.server.create_bucket(f"b{number}", account_id=A)
        address = address_of(wire.server.url, f"b{number}")._replace(signs_payload=number % 2 == 0)
        assert wire._replace(address=address).ask(put()).is_ok

    assert used() - before < 6


def test_two_endpoints_on_one_host_are_told_apart(faulty: FaultyS3) -> None:
    with FaultyS3() as other:
        here = wire_to(faulty)
        there = wire_to(other, transport=here.transport)
        faulty.put(BUCKET, "k", b"here")
        other.put(BUCKET, "k", b"there")

        answers = [wire.send(get()) for _ in range(20) for wire in (here, there)]

        assert [answer.result(SECONDS).body for answer in answers] == [b"here", b"there"] * 20
        assert (faulty.count("GetObject"), other.count("GetObject")) == (20, 20)


def test_many_requests_from_many_threads_are_each_answered_once(wire: Wire) -> None:
    for number in range(200):
        wire.server.put(BUCKET, str(number), str(number).encode())
    answers: list[tuple[int, bytes]] = []

    def send(number: int) -> None:
        request = get(str(number))
        wire.transport.send(
            request, wire.address, wire.credentials, lambda answer: answers.append((number, answer.body))
        )

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(send, range(200)))
    wait_until(lambda: len(answers) >= 200, what="all answers")

    assert sorted(answers) == [(number, str(number).encode()) for number in range(200)]


# What no secret is in


def test_credentials_show_neither_secret_nor_token() -> None:
    credentials = Credentials("AKIA1", "the secret", "the token", 5.0)

    shown = f"{credentials} {credentials!r} {credentials!s} {[credentials]} {(1, credentials)}"
    assert "the secret" not in shown
    assert "the token" not in shown
    assert "AKIA1" in shown


# What is given up


def test_a_request_that_stalls_is_given_up_at_its_deadline_and_says_so(faulty: FaultyS3) -> None:
    wire = wire_to(faulty, deadline_seconds=1.0)
    faulty.faults.add("GetObject", Stall())
    waiting = wire.send(get())

    answer = waiting.result(SECONDS)
    assert (answer.status, answer.code, answer.is_ok) == (0, "timeout", False)
    assert answer.message == "no answer within 1 s"


def test_a_request_before_its_deadline_is_left_alone(wire: Wire) -> None:
    go_on = threading.Event()
    fault = wire.server.faults.add("GetObject", Stall(go_on))
    waiting = wire.send(get())
    wait_until(lambda: fault.hits == 1, what="the request")

    go_on.set()

    assert waiting.result(SECONDS).body == b"body"


def test_a_large_answer_is_given_more_time(faulty: FaultyS3) -> None:
    wire = wire_to(faulty, deadline_seconds=0.0)
    go_on = threading.Event()
    fault = faulty.faults.add("GetObject", Stall(go_on))
    waiting = wire.send(get()._replace(expected_bytes=64 * 1024 * 1024))
    wait_until(lambda: fault.hits == 1, what="the request")

    go_on.set()

    assert waiting.result(SECONDS).is_ok


def test_everything_in_flight_can_be_given_up_at_once(wire: Wire) -> None:
    fault = wire.server.faults.add("GetObject", Stall())
    waiting = [wire.send(get()) for _ in range(3)]
    wait_until(lambda: fault.hits == 3, what="the requests")

    wire.transport.abandon()

    assert [answer.result(SECONDS).code for answer in waiting] == ["timeout"] * 3
    assert {answer.result().message for answer in waiting} == {"given up, since syncd was told to end"}


def test_a_transport_goes_on_after_what_it_gave_up(wire: Wire) -> None:
    fault = wire.server.faults.add("GetObject", Stall(), times=1)
    given_up = wire.send(get())
    wait_until(lambda: fault.hits == 1, what="the request")
    wire.transport.abandon()
    given_up.result(SECONDS)

    assert wire.ask(get()).body == b"body"


# What is sent again, and how often


class Retried(NamedTuple):
    """A fault, and what it comes to: how many requests, and the answer's status and code."""

    request: Request
    action: Action
    times: int | None
    requests: int
    status: int
    code: str


RETRIED = {
    "a SlowDown that lasts": Retried(get(), Status(503, "SlowDown"), None, 6, 503, "SlowDown"),
    "a 503 of another code that lasts": Retried(
        get(), Status(503, "ServiceUnavailable"), None, 6, 503, "ServiceUnavailable"
    ),
    "an internal error that lasts": Retried(get(), Status(500, "InternalError"), None, 6, 500, "InternalError"),
    "a connection that always drops": Retried(get(), DropConnection(), None, 6, 0, "connection_failed"),
    "a body that is always short": Retried(get(), ShortBody(2), None, 6, 0, "connection_failed"),
    "a write whose connection always drops": Retried(put(), DropConnection(), None, 6, 0, "connection_failed"),
    "a write with an error in its 200": Retried(put(), ErrorIn200(), None, 6, 200, "InternalError"),
    "a read that S3 waited for too long": Retried(get(), Status(400, "RequestTimeout"), None, 6, 400, "RequestTimeout"),
    "a clock that is wrong": Retried(get(), Status(403, "RequestTimeTooSkewed"), None, 1, 403, "RequestTimeTooSkewed"),
    "three SlowDowns": Retried(get(), Status(503, "SlowDown"), 3, 4, 200, ""),
    "a dropped connection": Retried(get(), DropConnection(), 1, 2, 200, ""),
    "a short body": Retried(get(), ShortBody(2), 1, 2, 200, ""),
    "an internal error": Retried(put(), Status(500, "InternalError"), 1, 2, 200, ""),
    "a write that was done and not answered": Retried(put(), DropConnection(is_applied=True), 1, 2, 200, ""),
    "a write with a SlowDown that lasts": Retried(put(), Status(503, "SlowDown"), None, 6, 503, "SlowDown"),
    "a write with three SlowDowns": Retried(put(), Status(503, "SlowDown"), 3, 4, 200, ""),
    "a copy with a SlowDown that lasts": Retried(copy(), Status(503, "SlowDown"), None, 6, 503, "SlowDown"),
    "a copy with three SlowDowns": Retried(copy(), Status(503, "SlowDown"), 3, 4, 200, ""),
    "a copy with an internal error": Retried(copy(), Status(500, "InternalError"), 1, 2, 200, ""),
    "a copy with an internal error that lasts": Retried(
        copy(), Status(500, "InternalError"), None, 6, 500, "InternalError"
    ),
    "a copy whose connection drops": Retried(copy(), DropConnection(), 1, 2, 200, ""),
    "a copy whose connection always drops": Retried(copy(), DropConnection(), None, 6, 0, "connection_failed"),
    "a copy with an error in its 200": Retried(copy(), ErrorIn200(), 1, 2, 200, ""),
    "a copy with an error in its 200 that lasts": Retried(copy(), ErrorIn200(), None, 6, 200, "InternalError"),
    "a copy with a SlowDown in its 200": Retried(copy(), ErrorIn200("SlowDown"), None, 6, 200, "SlowDown"),
    "a copy with a refusal in its 200": Retried(copy(), ErrorIn200("AccessDenied"), None, 1, 200, "AccessDenied"),
    "a copy that was done and not answered": Retried(
        copy(), DropConnection(is_applied=True), 1, 2, 412, "PreconditionFailed"
    ),
    "a refused copy": Retried(copy(), Status(403, "AccessDenied"), None, 1, 403, "AccessDenied"),
    "a copy whose condition does not hold": Retried(
        copy(), Status(412, "PreconditionFailed"), None, 1, 412, "PreconditionFailed"
    ),
    "a copy that meets a write": Retried(
        copy(), Status(409, "ConditionalRequestConflict"), None, 1, 409, "ConditionalRequestConflict"
    ),
    "a part copied with an error in its 200": Retried(part_copy(), ErrorIn200(), None, 6, 200, "InternalError"),
    "a completion with an error in its 200": Retried(complete(), ErrorIn200(), None, 6, 200, "InternalError"),
    "a completion whose connection drops": Retried(complete(), DropConnection(), None, 6, 0, "connection_failed"),
    "too many requests": Retried(get(), Status(429, "TooManyRequests"), None, 6, 429, "TooManyRequests"),
    "a bad gateway": Retried(get(), Status(502, "BadGateway"), None, 6, 502, "BadGateway"),
    "a conflicting write": Retried(
        put(), Status(409, "ConditionalRequestConflict"), None, 1, 409, "ConditionalRequestConflict"
    ),
    "a refused read": Retried(get(), Status(403, "AccessDenied"), None, 1, 403, "AccessDenied"),
    "an expired session": Retried(get(), Status(400, "ExpiredToken"), None, 1, 400, "ExpiredToken"),
    "a missing object": Retried(get(), Status(404, "NoSuchKey"), None, 1, 404, "NoSuchKey"),
    "a condition that does not hold": Retried(
        get(), Status(412, "PreconditionFailed"), None, 1, 412, "PreconditionFailed"
    ),
    "a call that is not implemented": Retried(get(), Status(501, "NotImplemented"), None, 1, 501, "NotImplemented"),
    "a broken write": Retried(put(), Status(400, "BadDigest"), None, 1, 400, "BadDigest"),
}


@pytest.fixture(scope="module")
def retried() -> Iterator[dict[str, tuple[int, Answer]]]:
    """Every case at once, each on a server of its own, since one alone backs off for some ten seconds."""
    with ExitStack() as stack:
        wires = {name: wire_to(stack.enter_context(FaultyS3())) for name in RETRIED}
        for name, case in RETRIED.items():
            wires[name].server.faults.add(case.request.operation, case.action, times=case.times)
        waiting = {name: wires[name].send(case.request) for name, case in RETRIED.items()}
        yield {
            name: (answer.result(SECONDS), wires[name].server.count(RETRIED[name].request.operation))[::-1]
            for name, answer in waiting.items()
        }


@pytest.mark.parametrize("what", RETRIED)
def test_what_may_pass_is_sent_again_up_to_five_times(retried: dict[str, tuple[int, Answer]], what: str) -> None:
    requests, answer = retried[what]

    expected = RETRIED[what]
    assert (requests, answer.status, answer.code) == (expected.requests, expected.status, expected.code)
    assert answer.is_ok is (expected.code == "")


def test_a_large_range_whose_answer_does_not_say_which_it_is_is_no_answer(wire: Wire) -> None:
    wire.server.put(BUCKET, "large", bytes(3 * MIB))
    wire.server.faults.add("GetObject", WithoutHeaders("content-range"))
    request = get("large", ("range", f"bytes=0-{2 * MIB - 1}"))._replace(expected_bytes=2 * MIB)

    answer = wire.ask(request)

    assert (answer.status, answer.code) == (0, "unexpected_answer")
    assert "Content-Range" in answer.message


def test_a_burst_of_slowdowns_uses_up_nobodys_retries(wire: Wire) -> None:
    wire.server.faults.add("GetObject", Status(503, "SlowDown"), times=300)

    answers = [answer.result(SECONDS) for answer in [wire.send(get()) for _ in range(200)]]

    assert [answer.status for answer in answers] == [200] * 200
    assert wire.server.count("GetObject") == 500


def test_a_server_that_is_not_there_is_a_failed_connection(nobody: str) -> None:
    answer: Future[Answer] = Future()
    transport = Transport(deadline_seconds=0.3)
    address = address_of(nobody, BUCKET)

    transport.send(get(), address, Credentials("AKIA1", "secret", None, None), answer.set_result)

    assert answer.result(SECONDS).status == 0
    assert answer.result().code in ("connection_failed", "timeout")


def test_a_hook_of_the_server_sees_the_request_before_it_is_answered(wire: Wire) -> None:
    seen: list[str] = []
    wire.server.faults.add(on("GetObject"), Call(lambda request: seen.append(request.headers["host"])))

    wire.ask(get())

    assert seen == [wire.address.host]
