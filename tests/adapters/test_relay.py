"""Large bodies on their way from one server to another: what is sent, what lands, and what a lying source leaves."""

import gzip
import hashlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import Any

import pytest
from builders_copy import (
    DESTINATION,
    MIB,
    SOURCE,
    A,
    B,
    Ends,
    address_of,
    detail,
    listed,
    reason,
    relay_of,
    sha256_of,
    terms,
    transfer_of,
)
from certificates import Authority
from clocks import HandClock
from fakes import words
from faulty import (
    Call,
    CorruptBody,
    FaultyS3,
    Request,
    ShortBody,
    Slow,
    Stall,
    Status,
    WithoutHeaders,
    WrongChecksum,
    on,
)
from faulty.faults import Action
from hostile.server import Asked, answer, endless, hostile
from proxy import ConnectProxy
from waiting import wait_until
from wire.raw_server import head_of, serving

from syncd.aws.endpoint import Endpoint
from syncd.aws.s3 import Address, Answer
from syncd.copy.hashes.checksums import CRC64NVME, SHA256
from syncd.copy.stream import stream
from syncd.copy.terms import Copy, Terms
from syncd.copy.workers.large import line, relay
from syncd.copy.workers.large.line import Lines
from syncd.copy.workers.large.relay import Relay
from syncd.copy.workers.pool import PooledCopier, WorkerPool
from syncd.model.errors import Interrupted
from syncd.model.objects import Outcome, Transfer

BODY = bytes(range(256)) * (2 * MIB // 256) + b"and some more"
LARGE = BODY * 3
SECONDS = 60.0


@pytest.fixture
def ends(faulty: FaultyS3) -> Ends:
    return Ends(faulty)


def copy(ends: Ends, *transfers: Transfer, agreed: Terms | None = None) -> list[Outcome]:
    return list(ends.engine(copy_terms=agreed).copy_all(iter(transfers), Event()))


def asked(server: FaultyS3) -> list[str]:
    return [request.operation for request in server.requests if request.bucket]


def only(server: FaultyS3, operation: str) -> Request:
    (found,) = [request for request in server.requests if request.operation == operation]
    return found


def test_a_large_object_is_moved_by_one_read_and_one_write_that_carry_everything(faulty: FaultyS3, ends: Ends) -> None:
    item = ends.put(
        "logs/a b", BODY, checksum_algorithm="crc64nvme", metadata={"signature": "00 ff"}, content_encoding="gzip"
    )
    ends.source = ends.source._replace(headers=(("x-amz-request-payer", "requester"),))
    landing = (
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "alias/a"),
        ("x-amz-tagging", "team=a%20b"),
        ("x-amz-acl", "bucket-owner-full-control"),
    )

    outcomes = copy(ends, item, agreed=terms(landing=landing))

    read, write = only(faulty, "GetObject").headers, only(faulty, "PutObject").headers
    assert words(outcomes) == {"logs/a b": "Copied"}
    assert asked(faulty) == ["GetObject", "PutObject"]
    assert ends.requests == {"GetObject": 1, "PutObject": 1}
    assert ends.replica("logs/a b") == BODY
    assert (read["if-match"], read["x-amz-request-payer"]) == (f'"{item.object.etag}"', "requester")
    assert (read["x-amz-expected-bucket-owner"], write["x-amz-expected-bucket-owner"]) == (A, B)
    assert {name: write[name] for name, _ in landing} == dict(landing)
    assert (write["x-amz-meta-signature"], write["content-encoding"], write["if-none-match"]) == ("00 ff", "gzip", "*")
    assert write["x-amz-checksum-crc64nvme"] == faulty.get(SOURCE, "logs/a b").checksums["crc64nvme"]


def test_many_are_moved_at_once_over_lines_that_are_kept(faulty: FaultyS3, ends: Ends) -> None:
    transfers = [ends.put(f"logs/{number:02}", BODY[number:]) for number in range(40)]

    outcomes = copy(ends, *transfers)
    http: Any = faulty._http
    for connection in list(http._connections):
        connection.shutdown(2)
    faulty.forget_requests()
    again = copy(ends, ends.put("logs/last", BODY))

    assert set(words(outcomes).values()) == {"Copied"}
    assert [ends.replica(f"logs/{number:02}") for number in (0, 39)] == [BODY, BODY[39:]]
    # A line that the server closed meanwhile is not used.
    assert (words(again), asked(faulty)) == ({"logs/last": "Copied"}, ["GetObject", "PutObject"])


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize("checksum", [CRC64NVME, SHA256])
def test_a_larger_object_is_moved_as_one_if_its_checksum_is_told_and_else_in_parts(
    faulty: FaultyS3, ends: Ends, checksum: str, *, is_told: bool
) -> None:
    if not is_told:
        faulty.faults.add("HeadObject", WithoutHeaders())
    transfer = ends.put("logs/a", LARGE, checksum_algorithm=checksum.removeprefix("x-amz-checksum-"))

    outcomes = copy(ends, transfer, agreed=terms(part_size=5 * MIB)._replace(checksum=checksum))

    assert words(outcomes) == {"logs/a": "Copied"}
    assert ends.replica("logs/a") == LARGE
    assert asked(faulty) == (
        ["HeadObject", "GetObject", "PutObject"]
        if is_told
        else [
            *["HeadObject"] * 2,
            "CreateMultipartUpload",
            *["GetObject", "UploadPart"] * 2,
            "CompleteMultipartUpload",
        ]
    )
    assert list(faulty.get(DESTINATION, "logs/a").checksums) == [checksum.removeprefix("x-amz-checksum-")]


def test_the_hash_of_the_content_is_taken_on_the_way(faulty: FaultyS3, ends: Ends) -> None:
    content = os.urandom(7 * MIB)
    body = gzip.compress(content, 1)
    transfers = [ends.put("logs/one", body, checksum_algorithm="crc64nvme"), ends.put("logs/parts", body)]
    # Nothing comes of the passage of the first part, so that its bytes are taken once more.
    faulty.faults.add("UploadPart", Status(503, "SlowDown"), times=1)

    outcomes = copy(ends, *transfers, agreed=terms(part_size=5 * MIB)._replace(hashes_content=True))

    assert words(outcomes) == {"logs/one": "Copied", "logs/parts": "Copied"}
    assert [getattr(outcome, "content", "") for outcome in outcomes] == [hashlib.sha256(content).hexdigest()] * 2


LIES: dict[str, tuple[Action, str]] = {
    "a flipped bit": (CorruptBody(), "checksum_mismatch"),
    "a wrong checksum": (WrongChecksum(), "checksum_mismatch"),
}


@pytest.mark.parametrize(
    ("lie", "body"), [*((lie, BODY) for lie in LIES), ("a flipped bit", LARGE), ("a wrong checksum", LARGE)]
)
def test_a_source_that_lies_leaves_nothing(faulty: FaultyS3, ends: Ends, lie: str, body: bytes) -> None:
    action, expected = LIES[lie]
    transfer = ends.put("logs/a", body, checksum_algorithm="crc64nvme")
    for operation in ("GetObject", "HeadObject"):
        faulty.faults.add(operation, action if operation == "GetObject" or lie == "a wrong checksum" else Slow(0))

    outcomes = copy(ends, transfer, agreed=terms(part_size=5 * MIB))

    assert words(outcomes) == {"logs/a": expected}
    assert faulty.objects(DESTINATION) == {}
    assert not faulty.storage.buckets[DESTINATION].uploads


# What comes of a write that is not made


def test_a_key_that_is_taken_is_compared(faulty: FaultyS3, ends: Ends) -> None:
    transfers = [ends.put(f"logs/{name}", BODY) for name in ("same", "other")]
    faulty.put(DESTINATION, "logs/same", BODY, checksum_algorithm="crc64nvme")
    faulty.put(DESTINATION, "logs/other", BODY[::-1], checksum_algorithm="crc64nvme")

    outcomes = copy(ends, *transfers)

    assert words(outcomes) == {"logs/same": "AlreadyThere", "logs/other": "Conflict"}
    assert ends.replica("logs/other") == BODY[::-1]


@pytest.mark.parametrize("operation", ["GetObject", "PutObject"])
@pytest.mark.parametrize(
    "fault",
    [Status(503, "SlowDown"), Status(400, "ExpiredToken"), Status(403, "AccessDenied"), Status(307, "Redirect")],
)
def test_what_is_refused_once_is_copied_the_other_way(
    faulty: FaultyS3, ends: Ends, fault: Status, operation: str
) -> None:
    transfer = ends.put("logs/a", BODY)
    faulty.faults.add(operation, fault, times=1)

    assert words(copy(ends, transfer)) == {"logs/a": "Copied"}
    assert ends.replica("logs/a") == BODY


def test_a_write_whose_answer_was_lost_is_found_there(faulty: FaultyS3, ends: Ends) -> None:
    transfer = ends.put("logs/a", BODY)
    faulty.faults.add("PutObject", Status(500, "InternalError", is_applied=True), times=1)

    assert words(copy(ends, transfer)) == {"logs/a": "AlreadyThere"}


def test_a_denial_is_told_as_ever(faulty: FaultyS3, ends: Ends) -> None:
    transfer = ends.put("logs/a", BODY)
    faulty.faults.add("PutObject", Status(403, "AccessDenied", "no such permission"))

    (outcome,) = copy(ends, transfer)

    assert words([outcome]) == {"logs/a": "access_denied"}
    assert f"of s3://{DESTINATION}/logs/a" in detail(outcome)


# Time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    """The time of all deadlines."""
    clock = HandClock()
    for module in ("copy.workers.large.relay", "aws.transport", "aws.wire.exchange"):
        monkeypatch.setattr(f"syncd.{module}.monotonic", clock.now)
    return clock


def passing(clock: HandClock, seconds: float) -> Call:
    """Lets time pass while a request is under way."""

    def pass_by(_: Request) -> None:
        clock.at += seconds

    return Call(pass_by)


@pytest.mark.parametrize("operation", ["GetObject", "PutObject"])
def test_what_stands_still_is_given_up_and_says_so(
    faulty: FaultyS3, ends: Ends, clock: HandClock, operation: str
) -> None:
    transfer = ends.put("logs/a", BODY[:SIZE])
    faulty.faults.add(operation, passing(clock, 61))
    faulty.faults.add(operation, Stall())

    (outcome,) = copy(ends, transfer, agreed=terms()._replace(passage_bytes=SIZE))

    assert words([outcome]) == {"logs/a": "timeout"}
    assert operation in detail(outcome)


def test_a_write_is_given_the_time_that_its_size_takes(faulty: FaultyS3, ends: Ends, clock: HandClock) -> None:
    transfer = ends.put("logs/a", BODY)
    faulty.faults.add("PutObject", passing(clock, 61))
    faulty.faults.add("PutObject", Slow(0.3))

    assert (words(copy(ends, transfer)), len(asked(faulty))) == ({"logs/a": "Copied"}, 2)


@pytest.mark.parametrize("header", ["Connection: close", "Connection: keep-alive"])
def test_a_write_that_stands_still_is_given_up_whatever_became_of_the_line_that_was_read(
    faulty: FaultyS3, header: str
) -> None:
    ends = Ends(faulty)
    faulty.faults.add("PutObject", Stall())
    served = answer(BODY[:SIZE], "200 OK", f"x-amz-checksum-sha256: {sha256_of(BODY[:SIZE])}", header)

    assert attacked(ends, lambda _: [served], deadline_seconds=0.2).code == "timeout"


# Servers that send what nobody asked for


SIZE = 64 * 1024


def passed(ends: Ends, source: Endpoint, relay: Relay, size: int = SIZE) -> Answer:
    """What comes of a passage that leaves nothing."""
    got = answer_to_a_passage(ends, source, relay, size)
    assert ends.server.objects(DESTINATION) == {}
    return got


def answer_to_a_passage(ends: Ends, source: Endpoint, relay: Relay, size: int = SIZE) -> Answer:
    answers: SimpleQueue[Answer] = SimpleQueue()
    transfer = transfer_of(listed("logs/a", etag="", size=size))
    step: Any = next(stream(Copy(transfer, terms(part_size=size)._replace(passage_bytes=SIZE))))
    relay.begin(step, source, ends.destination, answers.put)

    def is_answered() -> bool:
        relay.expire()
        return not answers.empty()

    wait_until(is_answered, what="an answer")
    return answers.get()


def attacked(ends: Ends, attack: Callable[[Asked], Any], *, deadline_seconds: float = 20.0, size: int = SIZE) -> Answer:
    with hostile(attack) as server:
        source = ends.source._replace(address=address_of(server.url, SOURCE))
        return passed(ends, source, relay_of(deadline_seconds), size)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % SIZE


def test_bodies_that_stand_still_on_all_threads_hold_up_no_other(
    faulty: FaultyS3, ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other's may be another job's: it goes request by request, which takes no thread."""
    monkeypatch.setattr(relay, "_MOST_THREADS", 2)
    monkeypatch.setattr(relay, "_PATIENCE_SECONDS", 0.2)
    go_on = Event()
    silent = [ends.put(f"logs/silent{number}", BODY) for number in range(2)]
    stalled = (
        faulty.faults.add(on("GetObject", key="logs/silent0"), Stall(go_on)),
        faulty.faults.add(on("GetObject", key="logs/silent1"), Stall(go_on)),
    )
    outcomes = ends.engine().copy_all(iter([*silent, ends.put("logs/other", BODY)]), Event())
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(next, outcomes).result(SECONDS)
        go_on.set()
        rest = thread.submit(list, outcomes).result(SECONDS)

    assert [each.hits for each in stalled] == [1, 1]
    assert words([first]) == {"logs/other": "Copied"}
    assert words(rest) == {"logs/silent0": "Copied", "logs/silent1": "Copied"}
    # The one that was left is not moved a second time when a thread is free.
    assert faulty.count("PutObject") == 3


NO_EVIDENCE = {
    "a proxy's own page": answer(b"<html>"),
    "a page with an ETag": answer(b"<html>", "200 OK", 'ETag: "65f1-18"'),
    "another success": answer(b"", "202 Accepted", 'ETag: "e"'),
    "a checksum of other bytes": answer(b"", "200 OK", 'ETag: "e"', f"{CRC64NVME}: AAAAAAAAAAA="),
}


@pytest.mark.parametrize("said", NO_EVIDENCE)
def test_a_destination_that_says_yes_and_stores_nothing_has_no_copy(ends: Ends, said: str) -> None:
    def attack(request: Asked) -> Iterator[bytes]:
        yield NO_EVIDENCE[said] if request.method == "PUT" else answer(b"", "404 Not Found")

    with hostile(attack) as server:
        ends.destination = ends.destination._replace(address=address_of(server.url, DESTINATION))
        (outcome,) = copy(ends, ends.put("logs/a", BODY, checksum_algorithm="crc64nvme"))

    assert [request.method for request in server.asked] == ["PUT", "PUT", "HEAD"]
    assert (reason(outcome), "the object is not there" in detail(outcome)) == ("unexpected_answer", True)


def test_an_answer_before_all_of_the_body_is_no_success(ends: Ends) -> None:
    def serve(connection: socket.socket, _: int) -> None:
        head_of(connection)
        connection.sendall(b'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 0\r\n\r\n')
        while connection.recv(MIB):
            pass

    with serving(serve) as server:
        ends.destination = ends.destination._replace(address=address_of(server.url, DESTINATION))
        item = ends.put("logs/a", LARGE, checksum_algorithm="crc64nvme")
        step: Any = next(stream(Copy(item, terms(part_size=len(LARGE)))))
        answers: SimpleQueue[Answer] = SimpleQueue()
        relay_of().begin(step, ends.source, ends.destination, answers.put)

        assert "before all of the body" in answers.get(timeout=SECONDS).message


def test_a_header_that_goes_on_in_the_next_line_makes_no_passage(ends: Ends) -> None:
    got = attacked(ends, lambda _: [HEAD + b"x-amz-meta-a: b\r\n c\r\n\r\n", bytes(SIZE)])

    assert "in the next line" in got.message


def test_half_a_body_makes_no_passage(faulty: FaultyS3, ends: Ends) -> None:
    ends.put("logs/a", BODY[:SIZE])
    faulty.faults.add("GetObject", ShortBody(SIZE // 2))

    assert "broke off" in passed(ends, ends.source, ends.relay).message


def drip(_: Asked) -> Iterator[bytes]:
    yield HEAD + b"\r\n"
    while not threading.Event().wait(0.01):
        yield b"x"


def slow_head(_: Asked) -> Iterator[bytes]:
    yield HEAD + b"x-amz-meta-a: "
    while not threading.Event().wait(0.01):
        yield b"b"


ATTACKS: dict[str, tuple[Callable[[Asked], Any], str]] = {
    "a header block without an end": (lambda _: endless(HEAD, b"x-amz-meta-a: %s\r\n" % (b"y" * 8000)), "header block"),
    "a header without an end": (lambda _: endless(HEAD + b"x-amz-meta-a: "), "header"),
    "many headers": (lambda _: endless(HEAD, b"a: b\r\n" * 1000), "header"),
    "no more than go on": (lambda _: endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), "header block"),
    "more than was listed": (lambda _: endless(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n"), "9000000000"),
    "less than was listed": (lambda _: [answer(b"short")], "5 bytes"),
    "no length": (lambda _: endless(b"HTTP/1.1 200 OK\r\n\r\n"), "None bytes"),
    "chunks": (lambda _: endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n"), "bytes"),
    "an encoding and a length": (
        lambda _: [HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + BODY[:SIZE]],
        f"200 with {SIZE} bytes",
    ),
    "no HTTP": (lambda _: [b"220 mail ready\r\n"], "BadStatusLine"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_answer_that_is_none_is_bounded_and_makes_no_passage(ends: Ends, attack: str) -> None:
    answered, expected = ATTACKS[attack]

    got = attacked(ends, answered)

    assert got.code == "unexpected_answer"
    assert expected in got.message


@pytest.mark.parametrize("attack", [drip, slow_head])
def test_a_source_that_comes_drop_by_drop_is_given_up(ends: Ends, attack: Callable[[Asked], Any]) -> None:
    assert attacked(ends, attack, deadline_seconds=0.5).code == "timeout"


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MIB)])
def test_a_source_that_says_nothing_is_given_up_as_soon_whatever_the_size(ends: Ends, head: bytes) -> None:
    rest = threading.Event()

    def silent(_: Asked) -> Iterator[bytes]:
        yield head
        rest.wait()

    got = attacked(ends, silent, deadline_seconds=0.2, size=64 * MIB)
    rest.set()

    assert got.code == "timeout"


# Lines


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def trusting(ends: Ends, authority: Authority) -> Ends:
    def changed(end: Endpoint) -> Endpoint:
        return end._replace(address=end.address._replace(authorities=str(authority.path)))

    ends.source, ends.destination = changed(ends.source), changed(ends.destination)
    return ends


@pytest.mark.parametrize(
    ("environment", "is_used"),
    [({}, True), ({"NO_PROXY": "127.0.0.1"}, False), ({"NO_PROXY": "10.0.0.0/8,127.0.0.0/8"}, False)],
)
def test_bodies_go_by_tls_and_through_the_proxy_of_the_environment(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], *, is_used: bool
) -> None:
    with FaultyS3(certificate=authority.certificate()) as server, ConnectProxy() as proxy:
        for name, value in {"HTTPS_PROXY": proxy.url, **environment}.items():
            monkeypatch.setenv(name, value)
        ends = trusting(Ends(server), authority)

        outcomes = copy(ends, ends.put("logs/a", BODY))

        assert (words(outcomes), asked(server)) == ({"logs/a": "Copied"}, ["GetObject", "PutObject"])
        assert ends.replica("logs/a") == BODY
        assert bool(proxy.targets) == is_used


def test_a_server_that_is_not_trusted_gets_nothing(authority: Authority, tmp_path: Path) -> None:
    with FaultyS3(certificate=Authority(tmp_path, "another").certificate()) as server:
        ends = trusting(Ends(server), authority)

        got = passed(ends, ends.source, ends.relay)

        assert (got.code, "CERTIFICATE_VERIFY_FAILED" in got.message) == ("unexpected_answer", True)
        assert asked(server) == []


def test_lines_that_are_idle_for_long_are_closed_whoever_is_asked_next(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "_KEPT_SECONDS", 0.0)
    lines = Lines()
    others = connected()
    with hostile(lambda _: [answer(b"")]) as first, hostile(lambda _: [answer(b"")]) as second:
        ask(lines, address_of(first.url, SOURCE))
        ask(lines, address_of(second.url, SOURCE))
        kept = [port for number, port in connected().items() if number not in others]
        ends.put("logs/a", BODY[:SIZE])
        answer_to_a_passage(ends, ends.source, ends.relay)
        ends.relay.expire()
        lines.expire()
        after = [port for number, port in connected().items() if number not in others]

    assert [kept.count(port_of(server.url)) for server in (first, second)] == [0, 1]
    assert not {port_of(server.url) for server in (second, ends.server)} & set(after)


def connected() -> dict[str, int]:
    """The connections of this process: the port at the other end by the socket's own number."""
    ports = {}
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError, IndexError):
            number = str(entry.readlink())
            # A pipe that is held open here would keep a server from its end.
            if number.startswith("socket:["):
                with socket.socket(fileno=os.dup(int(entry.name))) as found:
                    ports[number] = found.getpeername()[1]
    return ports


def ask(lines: Lines, server: Address) -> None:
    with lines.open(server) as one:
        one.ask("GET", "/", [("host", server.host)])
        one.answer().read()


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def test_signatures_cover_the_body_if_a_server_asks_for_that(faulty: FaultyS3, ends: Ends) -> None:
    address = ends.destination.address._replace(signs_payload=True)
    ends.destination = ends.destination._replace(address=address)

    outcomes = copy(ends, ends.put("logs/a", BODY), agreed=terms()._replace(checksum=SHA256))

    assert (words(outcomes), asked(faulty)) == ({"logs/a": "Copied"}, ["GetObject", "PutObject"])
    assert len(only(faulty, "PutObject").headers["x-amz-content-sha256"]) == 64


def test_an_address_of_ipv6_is_reached(ends: Ends) -> None:
    served = answer(BODY[:SIZE], "200 OK", f"x-amz-checksum-sha256: {sha256_of(BODY[:SIZE])}")
    with hostile(lambda _: [served], host="::1") as server:
        source = ends.source._replace(address=address_of(server.url, SOURCE))

        got = answer_to_a_passage(ends, source, ends.relay)

    assert (got.status, got.code) == (200, "")
    assert ends.replica("logs/a") == BODY[:SIZE]


@pytest.mark.parametrize("is_told", [True, False])
def test_a_kill_in_the_middle_of_a_body_leaves_nothing(faulty: FaultyS3, ends: Ends, *, is_told: bool) -> None:
    half, rest = BODY[: len(BODY) // 2], threading.Event()
    told = f"x-amz-checksum-sha256: {sha256_of(BODY)}\r\n".encode() if is_told else b""

    def slow(_: Asked) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n" % (len(BODY), told) + half
        rest.wait()

    with hostile(slow) as server:
        ends.source = ends.source._replace(address=address_of(server.url, SOURCE))
        pool = WorkerPool(workers=1, confine=False, in_flight=4)
        copier = ends.pooled(pool)
        transfer = transfer_of(listed("logs/a", BODY))
        copying = threading.Thread(target=lambda: ended.put(failure_of(lambda: copy_by(copier, transfer))))
        ended: SimpleQueue[object] = SimpleQueue()
        copying.start()
        wait_until(lambda: server.sent_bytes > MIB, what="half a body")

        pool.close()
        copying.join()
        rest.set()

    assert isinstance(ended.get(), Interrupted)
    assert faulty.objects(DESTINATION) == {}
    assert "PutObject" not in asked(faulty)


def copy_by(copier: PooledCopier, transfer: Transfer) -> list[Outcome]:
    return list(copier.copy_all(iter([transfer]), Event()))


def failure_of(call: Callable[[], object]) -> BaseException | object:
    try:
        return call()
    except Interrupted as error:
        return error
