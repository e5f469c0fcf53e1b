"""The status port answers probes whatever else is sent to it, and tells nothing to a page that came by another name."""

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from time import monotonic

import pytest
from faulty import FaultyS3
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from service import Service
from waiting import wait_until

from syncd.config.job import Http
from syncd.daemon.web import connections
from syncd.daemon.web.connections import MOST_CONNECTIONS, MOST_SLOW_READERS
from syncd.daemon.web.messages import LONGEST_HEAD_BYTES, MOST_HEADERS, RefusedRequestError, Reply, head_of, parse
from syncd.daemon.web.server import PAGES_AT_A_TIME, PAGES_WAITING, WebServer

LARGE = b"x" * (1 << 24)
PROBES = 20


class Stuck:
    """Pages that are not ready until `go` is set; how many are being made."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = threading.Semaphore(0)

    def answer(self, path: str, query: Mapping[str, str]) -> Reply | None:
        match path:
            case "/healthz" | "/readyz" | "/freshz":
                return Reply(b"well\n", "text/plain")
            case "/large":
                return Reply(LARGE, "text/plain")
            case "/broken":
                raise KeyError(query.get("q"))
            case "/slow":
                self.begun.release()
                self.go.wait()
                return Reply(b"at last\n", "text/plain")
        return None


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    pages = Stuck()
    yield pages
    pages.go.set()


@pytest.fixture
def defects() -> list[tuple[str, Exception]]:
    return []


@pytest.fixture
def server(stuck: Stuck, defects: list[tuple[str, Exception]]) -> Iterator[WebServer]:
    web_server = WebServer(
        ("127.0.0.1", 0),
        stuck.answer,
        hosts=("status.example.com",),
        reserved=("/healthz", "/readyz", "/freshz"),
        on_defect=lambda path, error: defects.append((path, error)),
    )
    yield web_server
    web_server.close()


def place(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def connected(address: str) -> socket.socket:
    return socket.create_connection(place(address), timeout=30)


@pytest.fixture
def crowd(server: WebServer) -> Iterator[Callable[[int, bytes], list[socket.socket]]]:
    """Opens connections, each of which sends something and then waits."""
    with contextlib.ExitStack() as stack:

        def come(count: int, sent: bytes) -> list[socket.socket]:
            clients = [stack.enter_context(connected(server.address)) for _ in range(count)]
            for client in clients:
                with contextlib.suppress(OSError):
                    client.sendall(sent)
            return clients

        yield come


def said(address: str, sent: bytes) -> bytes:
    """All that is answered to some bytes."""
    with connected(address) as client:
        with contextlib.suppress(OSError):
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while data := client.recv(65_536):
                received += data
    return received


def status_of(address: str, sent: bytes) -> int:
    return int(said(address, sent).split(b" ", 2)[1])


def probe(address: str, path: str = "/healthz") -> int:
    connection = http.client.HTTPConnection(address, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().status


@pytest.mark.parametrize(
    "sent",
    [b"", b"G", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"GET /large HTTP/1.1\r\nHost: a", b"\r\n" * 100],
)
def test_probes_succeed_among_more_slow_connections_than_there_is_room_for(
    sent: bytes, server: WebServer, crowd: Callable[[int, bytes], list[socket.socket]]
) -> None:
    for _ in range(3):
        crowd(MOST_CONNECTIONS // 2, sent)
        assert [probe(server.address) for _ in range(PROBES)] == [200] * PROBES
        assert probe(server.address, "/readyz") == 200
        assert probe(server.address, "/freshz") == 200


def test_probes_succeed_among_clients_that_do_not_take_their_reply(
    server: WebServer, crowd: Callable[[int, bytes], list[socket.socket]]
) -> None:
    crowd(2 * MOST_SLOW_READERS, b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")

    assert [probe(server.address) for _ in range(PROBES)] == [200] * PROBES
    assert len(said(server.address, b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")) > len(LARGE)


def test_probes_succeed_while_every_thread_makes_a_page_and_more_is_asked_for(
    server: WebServer, stuck: Stuck, crowd: Callable[[int, bytes], list[socket.socket]]
) -> None:
    clients = crowd(PAGES_AT_A_TIME, b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
    for _ in clients:
        assert stuck.begun.acquire(timeout=30)
    clients += crowd(PAGES_WAITING + 10, b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")

    assert [probe(server.address) for _ in range(PROBES)] == [200] * PROBES
    assert probe(server.address, "/slow") == HTTPStatus.SERVICE_UNAVAILABLE
    stuck.go.set()
    heard = sorted(client.recv(12).split()[1] for client in clients)
    assert heard == [b"200"] * (PAGES_AT_A_TIME + PAGES_WAITING) + [b"503"] * 10


def test_probes_succeed_under_garbage(server: WebServer, crowd: Callable[[int, bytes], list[socket.socket]]) -> None:
    for sent in (b"\x16\x03\x01\x02\x00\x01\x00", b"\x00" * 9000, b"GET" * 9000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
        crowd(50, sent)
        assert probe(server.address) == 200


def test_who_drips_is_cut_off(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    with connected(server.address) as client:
        received = b""
        with contextlib.suppress(OSError):
            for byte in b"GET / HTTP/1.1\r\n" + b"a" * 10_000:
                client.sendall(bytes([byte]))
                client.settimeout(0.02)
                with contextlib.suppress(TimeoutError):
                    received = client.recv(100)
                    break

    assert received == b"" or received.startswith(b"HTTP/1.1 408 ")


def test_who_says_nothing_is_cut_off(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
    with connected(server.address) as client:
        assert client.recv(1) == b""


def test_who_does_not_take_the_reply_is_cut_off(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with connected(server.address) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(1)
        monkeypatch.setattr(connections, "monotonic", lambda: monotonic() + connections.WHOLE_SECONDS)
        server._connections._wake()
        wait_until(lambda: not server._connections._open, what="the end of the connection")
        received = 0
        with contextlib.suppress(ConnectionResetError):
            while data := client.recv(1 << 20):
                received += len(data)

    assert received < len(LARGE)


REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (REQUEST + b"\r\n", 200),
        (b"\r\n" + REQUEST + b"\r\n", 200),
        (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
        (b"GET /healthz HTTP/1.1\nHost: localhost\n\n", 200),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (REQUEST + b"Host: localhost\r\n\r\n", 400),
        (REQUEST + b"no colon\r\n\r\n", 400),
        (REQUEST + b" folded: x\r\n\r\n", 400),
        (REQUEST + b"a: b\x00c\r\n\r\n", 400),
        (REQUEST + b"a: b\rc\r\n\r\n", 400),
        (REQUEST + b"a: b\r\n" * (MOST_HEADERS + 1) + b"\r\n", 400),
        (REQUEST + b"a: " + b"b" * LONGEST_HEAD_BYTES + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * LONGEST_HEAD_BYTES + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /healthz\r\n\r\n", 400),
        (b"get /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /?" + b"a=b&" * 50 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00", 400),
        (b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"GET //healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /%00%0d%0a HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    ],
)
def test_a_request_is_answered_or_refused(sent: bytes, expected: int, server: WebServer) -> None:
    assert status_of(server.address, sent) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", 200),
        ("10.1.2.3:9464", 200),
        ("[::1]", 200),
        ("[fe80::1]:9464", 200),
        ("localhost", 200),
        ("LocalHost.:9464", 200),
        ("status.example.com", 200),
        ("Status.Example.com:80", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("evil.status.example.com", 421),
        ("localhost.evil.example:9464", 421),
        ("", 400),
        ("a b", 400),
        ("user@localhost", 400),
        ("localhost/x", 400),
        ("localhost:port", 400),
        ("[::1", 400),
    ],
)
def test_a_host_is_an_address_localhost_or_named_in_the_configuration(
    host: str, expected: int, server: WebServer
) -> None:
    assert status_of(server.address, f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()) == expected


def test_host_names_of_the_configuration_are_compared_in_lower_case_and_without_the_last_dot() -> None:
    assert Http(hosts=["Status.Example.com.", "syncd"]).hosts == ("status.example.com", "syncd")
    assert Http(hosts=[]).hosts == ()


@pytest.mark.parametrize("host", ["", "http://a", "a:9464", "*.example.com", "a b", "a..b", "-a", "a" * 254, 1])
def test_what_is_no_host_name_is_refused_in_the_configuration(host: object) -> None:
    with pytest.raises(ValueError, match=r"host name|string"):
        Http(hosts=[host])


def test_a_refusal_repeats_nothing_of_what_was_asked(server: WebServer) -> None:
    reply = said(server.address, b"GET /<script> HTTP/1.1\r\nHost: evil.example\r\nX-A: <script>\r\n\r\n")

    assert b"script>" not in reply
    assert b"evil" not in reply


def test_a_reply_is_whole_for_a_client_that_goes_on_sending(server: WebServer) -> None:
    reply = said(server.address, REQUEST + b"\r\n" + b"x" * 20_000)

    assert reply.endswith(b"\r\n\r\nwell\n")


def test_a_defect_of_a_page_is_a_500_and_the_next_request_is_answered(
    server: WebServer, defects: list[tuple[str, Exception]]
) -> None:
    assert probe(server.address, "/broken?q=%0Ax") == 500
    assert probe(server.address) == 200
    assert [(path, type(error)) for path, error in defects] == [("/broken", KeyError)]


GARBAGE = st.binary(max_size=300) | st.builds(
    lambda *parts: b"".join(parts),
    st.sampled_from([b"GET ", b"HEAD ", b"POST ", b"", b"\r\n"]),
    st.sampled_from([b"/", b"/healthz", b"*", b"//", b"/?a=%ff&b"]) | st.binary(max_size=20),
    st.sampled_from([b" HTTP/1.1\r\n", b" HTTP/1.0\n", b" HTTP/9.9\r\n", b"\r\n"]),
    st.sampled_from([b"Host: localhost\r\n", b"Host: x y\r\n", b""]),
    st.binary(max_size=60),
    st.sampled_from([b"\r\n\r\n", b"\n\n", b"", b"\r\n"]),
)


@given(GARBAGE)
@example(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
def test_whatever_comes_is_read_or_refused(received: bytes) -> None:
    try:
        head = head_of(received)
        asked = None if head is None else parse(head)
    except RefusedRequestError:
        asked = None
    assert asked is None or asked.path.startswith("/")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=GARBAGE)
def test_whatever_is_sent_the_next_probe_is_answered_and_nothing_is_printed(
    sent: bytes, server: WebServer, capfd: pytest.CaptureFixture[str]
) -> None:
    reply = said(server.address, sent)

    assert reply == b"" or reply.startswith(b"HTTP/1.1 ")
    assert probe(server.address) == 200
    assert capfd.readouterr() == ("", "")


def test_a_daemon_stays_alive_and_silent_under_a_flood(faulty: FaultyS3, tmp_path: Path) -> None:
    service = Service(faulty, tmp_path)
    service.job("account-b")
    with service.running() as daemon, contextlib.ExitStack() as stack:
        address = daemon.wait_for("http.listening")["address"]
        logged = len(daemon.events)
        for number in range(2 * MOST_CONNECTIONS):
            client = stack.enter_context(connected(address))
            with contextlib.suppress(OSError):
                client.sendall(
                    (b"GET /metrics HT", b"\x16\x03\x01", b"", b"GET / HTTP/1.1\r\nHost: evil\r\n\r\n")[number % 4]
                )
            if number % 50 == 0:
                assert probe(address) == 200

        status, body = daemon.get("/healthz")
        assert (status, json.loads(body)["alive"]) == (200, True)
        assert [event for event in daemon.events[logged:] if event["event"].startswith("http.")] == []
        assert daemon.stopped() == 0


def test_a_name_is_answered_once_it_is_configured(faulty: FaultyS3, tmp_path: Path) -> None:
    service = Service(faulty, tmp_path)
    service.job("account-b")
    service.configure({"http.hosts": ["Status.example.com"]})
    request = "GET /healthz HTTP/1.1\r\nHost: {}:9464\r\n\r\n"
    with service.running() as daemon:
        address = daemon.wait_for("http.listening")["address"]

        assert status_of(address, request.format("status.example.com").encode()) == 200
        assert status_of(address, request.format("other.example.com").encode()) == 421
        assert daemon.stopped() == 0
