"""Connections as servers treat them: closed early, read slowly, found at odd addresses, and answered without an end."""

import errno
import itertools
import os
import socket
import subprocess
import sys
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from builders_copy import MIB, address_of
from certificates import Authority
from hostile.server import Asked, answer, endless, hostile
from raw_server import KEYS, OK, SECONDS, answering, asked, get, head_of, put, sent, serving
from waiting import wait_until

from syncd.aws.s3 import Answer
from syncd.aws.transport import Transport
from syncd.aws.wire import exchange, loop, names, opening

FORBIDDEN = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_BACKOFF_SECONDS", 0.001)
    monkeypatch.setattr(loop, "_SECOND", 0.05)


# Kept connections


@pytest.mark.parametrize("body", [b"body", bytes(4 * MIB)], ids=["small", "large"])
def test_a_kept_connection_that_ends_as_it_is_used_costs_no_attempt(body: bytes) -> None:
    heads = Counter[int]()

    def serve(connection: socket.socket, number: int) -> None:
        for answered in itertools.count():
            length = int(head_of(connection).lower().partition(b"content-length: ")[2].split()[0])
            heads[number] += 1
            if number < 2 and answered:
                return
            assert len(connection.recv(length, socket.MSG_WAITALL)) == length
            if number < 2:
                together.wait()
            connection.sendall(OK)

    transport, together = Transport(attempts=1), threading.Barrier(2, timeout=SECONDS)
    with serving(serve) as server:
        first = [sent(transport, server.url, put(b"")) for _ in range(2)]
        assert [each.result(SECONDS).code for each in first] == ["", ""]

        # Two are kept. The second one is not tried.
        assert asked(transport, server.url, put(body)).body == b"body"
        assert len(server.connections) == 3
        assert sorted(heads.values()) == [1, 1, 2]


@pytest.mark.parametrize("begins", [b"H", b"HTTP/1.1 200 OK\r\n", OK[:-1]])
def test_a_kept_connection_that_ends_within_an_answer_costs_an_attempt(begins: bytes) -> None:
    def serve(connection: socket.socket, _: int) -> None:
        head_of(connection)
        connection.sendall(OK)
        head_of(connection)
        connection.sendall(begins)

    transport = Transport(attempts=1)
    with serving(serve) as server:
        assert asked(transport, server.url).body == b"body"
        assert asked(transport, server.url).code == "connection_failed"
        assert len(server.connections) == 1


def test_a_new_connection_that_ends_costs_an_attempt() -> None:
    def serve(connection: socket.socket, _: int) -> None:
        head_of(connection)

    with serving(serve) as server:
        assert asked(Transport(attempts=1), server.url).code == "connection_failed"
        assert len(server.connections) == 1


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "not known yet"])
def test_what_nobody_asked_for_is_no_answer_to_the_next_request(
    is_known: bool,  # noqa: FBT001
) -> None:
    uninvited, sent_all = threading.Event(), threading.Event()

    def serve(connection: socket.socket, number: int) -> None:
        head_of(connection)
        connection.sendall(OK)
        if number == 0:
            uninvited.wait(SECONDS)
            connection.sendall(OK.replace(b"body", b"evil"))
            sent_all.set()
        connection.recv(1)
        sent_all.set()

    transport = Transport(attempts=1)
    with serving(serve) as server:
        second: Future[Answer] = Future()
        address = address_of(server.url, "bucket")

        def heard(_: Answer) -> None:
            uninvited.set()
            sent_all.wait(SECONDS)
            transport.send(get(), address, KEYS, second.set_result)

        if is_known:
            assert asked(transport, server.url).body == b"body"
            uninvited.set()
            first = server.connections[0]
            wait_until(lambda: first.fileno() < 0, what="the end of the connection")
            heard(Answer(200, {}, b""))
        else:
            transport.send(get(), address, KEYS, heard)

        assert second.result(SECONDS).body == b"body"
        assert len(server.connections) == 2


def test_a_server_that_closes_each_connection_is_asked_on_others() -> None:
    def serve(connection: socket.socket, _: int) -> None:
        head_of(connection)
        connection.sendall(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    transport = Transport(attempts=1)
    with serving(serve) as server:
        assert [asked(transport, server.url).body for _ in range(3)] == [b"body"] * 3
        assert len(server.connections) == 3


# Bodies that are sent


@pytest.mark.parametrize("is_secure", [True, False], ids=["TLS", "plain"])
def test_an_answer_before_the_whole_body_is_handed_over(authority: Authority, is_secure: bool) -> None:  # noqa: FBT001
    """The server closes while it is sent more, so that the kernel resets the connection."""

    def serve(connection: socket.socket, _: int) -> None:
        head_of(connection)
        connection.sendall(answer(FORBIDDEN, "403 Forbidden", "Connection: close"))

    transport = Transport(attempts=1)
    with serving(serve, certificate=authority.certificate() if is_secure else None) as server:
        waiting = [sent(transport, server.url, put(bytes(8 * MIB)), authorities=str(authority.path)) for _ in range(10)]

        assert {each.result(SECONDS)[:1] + each.result()[3:] for each in waiting} == {(403, "AccessDenied", "no")}


@pytest.mark.parametrize("is_secure", [True, False], ids=["TLS", "plain"])
def test_a_server_that_reads_slowly_is_sent_the_whole_body(authority: Authority, is_secure: bool) -> None:  # noqa: FBT001
    body, is_full = os.urandom(16 * MIB), threading.Event()
    digests = []

    def serve(connection: socket.socket, _: int) -> None:
        head_of(connection)
        # The buffers of the kernel are full by then.
        is_full.wait(0.1)
        digest, left = sha256(), len(body)
        while left:
            piece = connection.recv(min(left, 100_003))
            digest.update(piece)
            left -= len(piece)
        digests.append(digest.digest())
        connection.sendall(OK)

    with serving(serve, certificate=authority.certificate() if is_secure else None) as server:
        answered = asked(Transport(), server.url, put(body), authorities=str(authority.path))

    assert answered.body == b"body"
    assert digests == [sha256(body).digest()]


# Addresses


@contextmanager
def black_hole() -> Iterator[int]:
    """A port that neither accepts connections nor refuses them."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]
        for each in waiting:
            each.close()


def place(port: int, host: str = "127.0.0.1") -> tuple[object, ...]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return (family, socket.SOCK_STREAM, 6, "", (host, port, 0, 0) if ":" in host else (host, port))


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What every name's look-up finds, in this order."""
    places: list[tuple[object, ...]] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: list(places))
    monkeypatch.setattr(names._chance, "shuffle", lambda _: None)
    monkeypatch.setattr(opening, "_TRY_SECONDS", 0.05)
    return places


def test_a_server_is_reached_at_whichever_of_its_addresses_answers(found: list[tuple[object, ...]]) -> None:
    with serving(answering()) as server, black_hole() as hole, socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        refusing = nobody.getsockname()[1]
        for before in ([], [place(refusing)], [place(hole)], [place(hole), place(refusing), place(1, "::1")]):
            found[:] = [*before, place(server.port)]
            assert asked(Transport(attempts=1), "http://two.addresses").body == b"body"

        found[:] = [place(refusing), place(hole), place(refusing)]
        answered = asked(Transport(attempts=1), "http://two.addresses")
    assert answered.code == "connection_failed"
    assert answered.message == f"no connection to two.addresses:80: {os.strerror(errno.ECONNREFUSED)}"


def test_a_name_without_an_address_is_a_failed_connection(found: list[tuple[object, ...]]) -> None:
    found.clear()

    answered = asked(Transport(attempts=1), "http://no.address")

    assert (answered.code, answered.message) == (
        "connection_failed",
        "no connection to no.address:80: it has no address",
    )


def test_a_name_that_is_not_found_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked_for = []

    def looked_up(host: str, *_: object, **__: object) -> list[object]:
        asked_for.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)

    answered = asked(Transport(), "http://not.there:81")

    assert (answered.code, answered.message) == (
        "connection_failed",
        "not.there:81 is not found: Name or service not known",
    )
    assert asked_for == ["not.there"] * 6


@pytest.mark.parametrize("is_secure", [True, False], ids=["TLS", "plain"])
def test_an_address_of_ipv6_is_an_address(authority: Authority, is_secure: bool) -> None:  # noqa: FBT001
    certificate = authority.certificate(host="::1") if is_secure else None
    heads = []

    def serve(connection: socket.socket, _: int) -> None:
        heads.append(head_of(connection).decode())
        connection.sendall(OK)

    with serving(serve, host="::1", certificate=certificate) as server:
        assert asked(Transport(), server.url, authorities=str(authority.path)).body == b"body"

    assert f"\r\nhost: [::1]:{server.port}\r\n" in heads[0]


# What is given up


def test_a_request_that_was_given_up_in_its_pause_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange._chance, "uniform", lambda *_: 0.2)
    transport, later, heads = Transport(), threading.Event(), []

    def serve(connection: socket.socket, _: int) -> None:
        while True:
            heads.append(head_of(connection))
            connection.sendall(answer(b"", "503 Slow Down"))

    def is_paused() -> bool:
        return bool(heads) and all(each.connection is None for each in transport._under_way)

    with serving(serve) as server:
        given_up = sent(transport, server.url)
        wait_until(is_paused, what="the pause")
        transport.abandon()
        assert given_up.result(SECONDS).code == "timeout"
        before = len(heads)
        transport._loop.call(lambda: transport._loop.call_later(0.5, later.set))
        assert later.wait(SECONDS)

        assert len(heads) == before


def test_an_answer_that_may_pass_is_handed_over_if_no_time_is_left_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange._chance, "uniform", lambda *_: 1000.0)
    with serving(answering(answer(b"", "503 Slow Down"))) as server:
        answered = asked(Transport(deadline_seconds=30.0), server.url)

    assert answered.status == 503


def test_whatever_is_under_way_can_be_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look-up, a connect, a handshake of TLS, a pause before the next attempt, and an answer."""
    monkeypatch.setattr(exchange, "_BACKOFF_SECONDS", 1000.0)
    go_on, real = threading.Event(), socket.getaddrinfo

    def looked_up(*arguments: object, **more: object) -> object:
        go_on.wait(SECONDS)
        return real("127.0.0.1", arguments[1], **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    monkeypatch.setattr(exchange._chance, "uniform", lambda _, most: most)
    before = len(list(Path("/proc/self/fd").iterdir()))
    transport = Transport(deadline_seconds=100_000.0)
    with serving(lambda *_: go_on.wait(SECONDS) and None) as silent, black_hole() as hole:
        waiting = [
            sent(transport, url)
            for url in (
                f"http://some.where:{silent.port}",
                f"http://127.0.0.1:{hole}",
                f"https://127.0.0.1:{silent.port}",
                silent.url,
                "http://127.0.0.1:1",
            )
        ]
        wait_until(lambda: len(silent.connections) == 2, what="the connections")
        transport.abandon()
        ended = [each.result(SECONDS) for each in waiting]
        go_on.set()
        with serving(answering()) as server:
            assert asked(transport, server.url).body == b"body"

    assert [each.code for each in ended] == ["timeout"] * 5
    wait_until(lambda: len(list(Path("/proc/self/fd").iterdir())) <= before + 2, what="the ends of connections")


# What a process has run out of


SPENT = """
import os, resource, sys
from concurrent.futures import Future
from builders_copy import address_of
from raw_server import KEYS, asked
from syncd.aws.transport import Transport
from syncd.aws.wire import exchange, opening

exchange._BACKOFF_SECONDS = 0.001
left, url, authorities = int(sys.argv[1]), *sys.argv[2:]
transport = Transport()
lowest = [os.open("/", os.O_RDONLY) for _ in range(left + 1)]
for each in lowest:
    os.close(each)
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
for limit in (lowest[-1], soft):
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    answer = asked(transport, url, authorities=authorities)
    print(answer.code or answer.body.decode(), answer.message)
"""
"""Asks a server while the process has so many descriptors left, and again when it has enough."""


@pytest.mark.parametrize(
    ("left", "is_named"), [(0, True), (1, True), (1, False)], ids=["no socket", "no file", "no file of the system's"]
)
def test_without_descriptors_a_request_fails_and_a_later_one_does_not(
    authority: Authority,
    left: int,
    is_named: bool,  # noqa: FBT001
) -> None:
    """Neither are certificates taken for untrusted, nor is it kept that there were none."""
    here = Path(__file__).parent
    environ = {**os.environ, "SSL_CERT_FILE": str(authority.path), "PYTHONPATH": f"{here}:{here.parent}"}
    with serving(answering(), certificate=authority.certificate()) as server:
        done = subprocess.run(
            [sys.executable, "-c", SPENT, str(left), server.url, str(authority.path) if is_named else ""],
            env=environ,
            check=True,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    first, second = done.stdout.splitlines()
    assert first.startswith("resource_limit ")
    assert first.endswith(os.strerror(errno.EMFILE))
    assert second == "body "


# Answers without an end

ENDLESS: dict[str, Callable[[Asked], Iterator[bytes]]] = {
    "a body": lambda _: endless(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n"),
    "a body without a length": lambda _: endless(b"HTTP/1.1 200 OK\r\n\r\n"),
    "chunks": lambda _: endless(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"a\r\n0123456789\r\n" * 1000
    ),
    "a chunk": lambda _: endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n"),
    "a chunk's line": lambda _: endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;"),
    "trailers": lambda _: endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n" * 5000),
    "a header": lambda _: endless(b"HTTP/1.1 200 OK\r\nX: "),
    "interim answers": lambda _: endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2000),
}


def test_of_a_refusal_without_an_end_the_status_is_told() -> None:
    with hostile(lambda _: endless(b"HTTP/1.1 403 Forbidden\r\n\r\n<Error><Code>No</Code>")) as server:
        answer = asked(Transport(), server.url)

    assert (answer.status, answer.code) == (403, "403")


@pytest.mark.parametrize("what", ENDLESS)
def test_an_answer_without_an_end_is_refused_and_takes_no_memory(what: str) -> None:
    transport = Transport()
    with hostile(ENDLESS[what]) as server, serving(answering()) as other:
        tracemalloc.start()
        waiting = [sent(transport, server.url) for _ in range(4)]
        assert asked(transport, other.url).body == b"body"
        codes = [each.result(SECONDS).code for each in waiting]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert codes == ["unexpected_answer"] * 4
    assert len(server.asked) == 4
    assert peak < 4 * MIB


# What is told


def test_a_session_token_is_in_no_message() -> None:
    token = "IQoJb3JpZ2luX2VjEXAMPLETOKEN//////////wEaCXVzLWVhc3QtMSJHMEUC"
    body = f"<Error><Code>Bad{token}</Code><Message>token {token} and {token[:20]}... are bad</Message></Error>"
    with serving(answering(answer(body.encode(), "400 Bad Request"))) as server:
        answered = asked(Transport(), server.url, keys=KEYS._replace(session_token=token))

    assert (answered.code, answered.message) == (
        "Bad(not shown)",
        "token (not shown) and (not shown) are bad",
    )
