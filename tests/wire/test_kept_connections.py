"""What is remembered from one request to the next: connections that may be used again, addresses, and what was tried."""

import socket
import ssl
import threading
from collections import Counter

import pytest
from certificates import Authority
from raw_server import OK, REFUSED, SECONDS, answering, asked, get, head_of, put, serving

from syncd.aws.transport import Transport
from syncd.aws.wire import connection as connections
from syncd.aws.wire import exchange, loop, names
from syncd.model.reasons import Reason

V4, V6 = socket.AF_INET, socket.AF_INET6
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n4\r\nbody\r\n0\r\n\r\n"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_BACKOFF_SECONDS", 0.001)
    monkeypatch.setattr(loop, "_SECOND", 0.05)


# Which connections are kept


ENDING = {
    "asks for it": OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
    "speaks HTTP/1.0": OK.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "tells two lengths": CHUNKED,
}


@pytest.mark.parametrize("what", ENDING)
def test_a_connection_that_is_to_end_is_not_used_though_the_server_leaves_it_open(what: str) -> None:
    transport = Transport()
    with serving(answering(ENDING[what])) as server:
        assert [asked(transport, server.url).body for _ in range(3)] == [b"body"] * 3
        assert len(server.connections) == 3


def test_a_connection_that_has_not_taken_the_whole_body_is_not_used_again() -> None:
    """What is left of the body would be read as the next request."""

    def serve(connection: socket.socket, number: int) -> None:
        head_of(connection)
        connection.sendall(OK if number else REFUSED)
        if number == 0:
            over.wait(SECONDS)

    transport, over = Transport(attempts=1), threading.Event()
    with serving(serve) as server:
        assert asked(transport, server.url, put(bytes(32 * 1024**2))).status == 403
        assert asked(transport, server.url).body == b"body"
        assert len(server.connections) == 2
        over.set()


def test_a_success_before_the_whole_body_is_none() -> None:
    """A proxy answers so that does not pass anything on. A refusal may come at any time."""

    def serve(connection: socket.socket, _: int) -> None:
        head_of(connection)
        connection.sendall(OK)
        over.wait(SECONDS)

    over = threading.Event()
    with serving(serve) as server:
        answer = asked(Transport(attempts=1), server.url, put(bytes(32 * 1024**2)))
        over.set()

    assert (answer.status, answer.code) == (0, Reason.CONNECTION)
    assert "200 OK came before all of the request was sent" in answer.message


def test_a_kept_connection_that_has_ended_leaves_all_attempts_for_others() -> None:
    def serve(connection: socket.socket, number: int) -> None:
        head_of(connection)
        if number in {0, 3}:
            connection.sendall(OK)
        if number == 0:
            # It is known to have ended only when it is used.
            head_of(connection)

    transport = Transport(attempts=3)
    with serving(serve) as server:
        assert asked(transport, server.url).body == b"body"
        assert asked(transport, server.url).body == b"body"
        assert len(server.connections) == 4


# Connections that go wrong


def test_a_connection_on_which_nothing_moves_is_given_up_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(connection: socket.socket, number: int) -> None:
        head_of(connection)
        connection.sendall(OK[: -1 if number == 0 else None])
        if number == 0:
            connection.recv(1)

    monkeypatch.setattr(connections, "_STALLED_SECONDS", 0.2)
    with serving(serve) as server:
        assert asked(Transport(attempts=2), server.url).body == b"body"
        assert len(server.connections) == 2


@pytest.mark.parametrize("is_announced", [True, False], ids=["announced", "cut off"])
def test_a_body_without_a_length_is_whole_only_if_tls_says_that_it_ends(
    authority: Authority,
    is_announced: bool,  # noqa: FBT001
) -> None:
    """Anybody on the way can end a connection. Only the server can say so within TLS."""

    def serve(connection: socket.socket, _: int) -> None:
        head_of(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nbody")
        if is_announced:
            assert isinstance(connection, ssl.SSLSocket)
            connection.unwrap()

    with serving(serve, certificate=authority.certificate()) as server:
        answered = asked(Transport(attempts=1), server.url, authorities=str(authority.path))

    assert (answered.code, answered.body) == (("", b"body") if is_announced else ("connection_failed", b""))


@pytest.mark.parametrize("is_secure", [True, False], ids=["TLS", "plain"])
@pytest.mark.parametrize("size_bytes", [2**18 - 1, 2**18, 2**18 + 1, 2**20 + 16_385])
def test_a_body_that_takes_several_turns_arrives_though_nothing_follows_it(
    authority: Authority,
    is_secure: bool,  # noqa: FBT001
    size_bytes: int,
) -> None:
    body = b"x" * size_bytes
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {size_bytes}\r\n\r\n".encode()
    certificate = authority.certificate() if is_secure else None
    with serving(answering(head + body), certificate=certificate) as server:
        wanted = get()._replace(expected_bytes=size_bytes)
        answered = asked(Transport(attempts=1), server.url, wanted, authorities=str(authority.path))

    assert answered.body == body


# Names


class Resolver:
    """Look-ups, counted, that all find the same places."""

    def __init__(self, *places: tuple[int, str, int]) -> None:
        self.places = places
        self.asked: Counter[str] = Counter()

    def __call__(self, host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        self.asked[host] += 1
        return [
            (family, socket.SOCK_STREAM, 6, "", (address, port, 0, 0) if family == V6 else (address, port))
            for family, address, port in self.places
        ]


def test_a_name_is_looked_up_again_only_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = Transport()
    with serving(answering(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))) as server:
        resolver = Resolver((V4, "127.0.0.1", server.port))
        monkeypatch.setattr(socket, "getaddrinfo", resolver)
        for _ in range(3):
            assert asked(transport, "http://a.name").body == b"body"

        assert resolver.asked == {"a.name": 1}

        monkeypatch.setattr(names, "_KNOWN_SECONDS", 0.0)
        assert asked(transport, "http://a.name").body == b"body"
        assert resolver.asked == {"a.name": 2}


def test_requests_at_once_share_one_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = Transport()
    found: list[str] = []
    with serving(answering()) as server:
        resolver, go_on = Resolver((V4, "127.0.0.1", server.port)), threading.Event()

        def looked_up(*arguments: object, **more: object) -> object:
            go_on.wait(SECONDS)
            return resolver(*arguments, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(socket, "getaddrinfo", looked_up)
        threads = [
            threading.Thread(target=lambda: found.append(asked(transport, "http://a.name").code)) for _ in range(8)
        ]
        for each in threads:
            each.start()
        # The last of them is on its way when this one has its answer.
        asked_elsewhere = asked(transport, server.url).body
        go_on.set()
        for each in threads:
            each.join(SECONDS)

    assert (asked_elsewhere, found) == (b"body", [""] * 8)
    assert resolver.asked == {"a.name": 1}


@pytest.mark.parametrize(("dead", "first", "second"), [(V6, [V6, V4], [V4]), (V4, [V6], [V6]), (None, [V6], [V6])])
def test_families_are_tried_in_turn_and_the_one_that_worked_first(
    dead: int | None, first: list[int], second: list[int]
) -> None:
    found = names.Names(loop.Loop(each_second=lambda: False))
    places = [names.Place(V6, "a"), names.Place(V6, "b"), names.Place(V4, "c"), names.Place(V4, "d")]

    orders = []
    for _ in range(2):
        tried: list[int] = []
        for place in found._spread("a.name", places):
            tried.append(place.family)
            if place.family != dead:
                found.worked("a.name", place.family)
                break
        orders.append(tried)

    assert orders == [first, second]


def test_after_the_family_that_worked_the_other_one_has_its_turn() -> None:
    found = names.Names(loop.Loop(each_second=lambda: False))
    places = [names.Place(V6, "a"), names.Place(V6, "b"), names.Place(V4, "c"), names.Place(V4, "d")]
    found.worked("a.name", V4)

    assert [place.family for place in found._spread("a.name", places)] == [V4, V6, V4, V6]


def test_a_connection_that_was_opened_says_which_family_worked(monkeypatch: pytest.MonkeyPatch) -> None:
    worked: list[tuple[str, int]] = []
    monkeypatch.setattr(names.Names, "worked", lambda _, host, family: worked.append((host, family)))
    with serving(answering()) as server, socket.socket(V6) as nobody:
        nobody.bind(("::1", 0))
        monkeypatch.setattr(
            socket, "getaddrinfo", Resolver((V6, "::1", nobody.getsockname()[1]), (V4, "127.0.0.1", server.port))
        )
        assert asked(Transport(), "http://a.name").body == b"body"

    assert worked == [("a.name", V4)]
