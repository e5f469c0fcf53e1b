"""The watch over what comes in: whose requests are given up when memory runs short, and whose are not."""

import os
import socket
import threading
from collections.abc import Collection, Iterator, Mapping

import pytest

from syncd.aws.wire.connections import Host, TcpConnection, connections, peers_of, shut
from syncd.aws.wire.response_limits import Inflow, Traffic

MIB = 1024**2
BOUND = 100 * MIB
BAD, GOOD = ("198.51.100.1", 443), ("198.51.100.2", 443)


class Wire:
    """Everything that the watch looks at, in memory."""

    def __init__(self) -> None:
        self.resident = 0
        self.open: list[TcpConnection] = []
        self.asked: dict[Host, Traffic] = {BAD: Traffic(0, 0, 0), GOOD: Traffic(0, 0, 0)}
        self.given_up: list[tuple[set[Host], str]] = []
        self.shut: list[Collection[int]] = []
        self.inflow = Inflow(
            self,
            bound_bytes=BOUND,
            body_bytes=30 * MIB,
            resident=lambda: self.resident,
            connected=self.connections,
            resolve=peers_of,
            shut=self.shut.append,
        )

    is_idle = False

    def connections(self) -> Iterator[TcpConnection]:
        return iter(self.open)

    def traffic(self) -> Mapping[Host, Traffic]:
        return dict(self.asked)

    def expire(self) -> None: ...

    def cancel_hosts(self, hosts: set[Host], why: str) -> None:
        self.given_up.append((hosts, why))

    def look(self, resident: int, *came: tuple[Host, int]) -> None:
        self.resident = resident
        self.open = [TcpConnection(number, peer, received) for number, (peer, received) in enumerate(came)]
        self.inflow.look()


@pytest.fixture
def wire() -> Wire:
    return Wire()


def test_nobody_is_given_up_while_memory_is_within_its_bound(wire: Wire) -> None:
    for received in (0, 500 * MIB, 900 * MIB):
        wire.look(BOUND, (BAD, received))

    assert wire.given_up == []


def test_a_server_that_sends_more_than_was_asked_for_is_given_up_and_its_neighbour_is_not(wire: Wire) -> None:
    wire.asked = {BAD: Traffic(MIB, 0, 0), GOOD: Traffic(80 * MIB, 0, 0)}
    wire.look(BOUND + MIB, (BAD, 0), (GOOD, 0))

    wire.look(BOUND + 60 * MIB, (BAD, 30 * MIB), (GOOD, 50 * MIB))

    assert wire.given_up == [({BAD}, "30 MiB came where all answers together have 1 MiB at the most")]


def test_what_came_before_memory_ran_short_is_not_held_against_anybody(wire: Wire) -> None:
    wire.look(BOUND + MIB, (BAD, 900 * MIB))
    wire.look(BOUND + 50 * MIB, (BAD, 901 * MIB))

    assert wire.given_up == []


def test_what_was_handed_over_or_begun_since_counts_as_asked_for(wire: Wire) -> None:
    wire.asked[GOOD] = Traffic(500 * MIB, 490 * MIB, 490 * MIB)
    wire.look(BOUND + MIB, (GOOD, 490 * MIB))
    wire.asked[GOOD] = Traffic(560 * MIB, 550 * MIB, 550 * MIB)
    wire.look(BOUND + 50 * MIB, (GOOD, 555 * MIB))

    assert wire.given_up == []


def test_where_memory_is_far_above_its_bound_whoever_holds_most_is_given_up(wire: Wire) -> None:
    wire.asked = {BAD: Traffic(100 * MIB, 0, 0), GOOD: Traffic(100 * MIB, 0, 0)}
    wire.look(BOUND + MIB, (BAD, 0), (GOOD, 0))
    wire.asked[GOOD] = Traffic(100 * MIB, 90 * MIB, 90 * MIB)

    for resident in (BOUND + 120 * MIB, BOUND + 130 * MIB):
        wire.look(resident, (BAD, 60 * MIB), (GOOD, 95 * MIB))

    assert [hosts for hosts, _ in wire.given_up] == [{BAD}]
    assert wire.shut == [{0}]


def test_where_memory_is_far_above_its_bound_for_another_reason_nobody_is_given_up(wire: Wire) -> None:
    wire.asked = {BAD: Traffic(0, 0, 0), GOOD: Traffic(200 * MIB, 100 * MIB, 0)}
    wire.look(BOUND + MIB, (BAD, 0), (GOOD, 0))
    wire.asked[GOOD] = Traffic(210 * MIB, 200 * MIB, 0)

    wire.look(BOUND + 900 * MIB, (BAD, 0), (GOOD, 90 * MIB))

    assert wire.given_up == []


def test_what_a_second_attacker_has_sent_still_counts_once_the_first_is_given_up(wire: Wire) -> None:
    wire.look(BOUND + MIB, (BAD, 0), (GOOD, 0))
    wire.look(BOUND + 40 * MIB, (BAD, 30 * MIB), (GOOD, MIB))

    wire.look(BOUND + 50 * MIB, (BAD, 30 * MIB), (GOOD, 20 * MIB))

    assert [hosts for hosts, _ in wire.given_up] == [{BAD}, {GOOD}]


def test_what_came_while_nothing_was_watched_is_not_held_against_anybody(wire: Wire) -> None:
    wire.is_idle = True
    wire.resident, wire.open = BOUND + MIB, [TcpConnection(0, BAD, 0)]
    before = set(threading.enumerate())
    wire.inflow.begin()
    for thread in set(threading.enumerate()) - before:
        if thread.name == "inflow":
            thread.join(30)

    wire.look(BOUND + 50 * MIB, (BAD, 30 * MIB))

    assert wire.given_up == []


def test_all_that_send_unasked_share_one_slack(wire: Wire) -> None:
    wire.look(BOUND + MIB, (BAD, 0), (GOOD, 0))

    wire.look(BOUND + 40 * MIB, (BAD, 10 * MIB), (GOOD, 9 * MIB))

    assert [hosts for hosts, _ in wire.given_up] == [{BAD, GOOD}]


def test_whoever_was_given_up_has_no_slack_again_and_its_connections_are_shut(wire: Wire) -> None:
    wire.look(BOUND + MIB, (BAD, 0), (GOOD, 0))
    wire.look(BOUND + 40 * MIB, (BAD, 30 * MIB), (GOOD, 0))

    wire.look(BOUND + 50 * MIB, (BAD, 32 * MIB), (GOOD, 0))

    assert [hosts for hosts, _ in wire.given_up] == [{BAD}, {BAD}]
    assert wire.shut == [{0}, {0}]


def test_names_of_one_server_are_given_up_together(wire: Wire) -> None:
    inflow = Inflow(
        wire,
        bound_bytes=BOUND,
        resident=lambda: wire.resident,
        connected=wire.connections,
        resolve=lambda host: frozenset({BAD} if host[0].endswith(".example.com") else {host}),
    )
    wire.inflow = inflow
    wire.asked = {("a.example.com", 443): Traffic(MIB, 0, 0), ("b.example.com", 443): Traffic(MIB, 0, 0)}
    wire.look(BOUND + MIB, (BAD, 0))
    wire.look(BOUND + 60 * MIB, (BAD, 30 * MIB))

    assert [hosts for hosts, _ in wire.given_up] == [{("a.example.com", 443), ("b.example.com", 443)}]


def number_of(connection: socket.socket) -> int:
    return os.fstat(connection.fileno()).st_ino


def test_a_connection_is_seen_with_what_came_in_on_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        server_address = server.getsockname()
        accepted, _ = server.accept()
        with accepted:
            accepted.sendall(b"x" * 1000)
            client.recv(1000, socket.MSG_WAITALL)
            found = [item for item in connections() if item.number == number_of(client)]

    assert [(item.peer, item.received_bytes) for item in found] == [(server_address, 1000)]


def test_a_connection_that_is_shut_ends_for_both() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            shut({number_of(client)})

            assert (client.recv(1), accepted.recv(1)) == (b"", b"")


def test_a_host_that_does_not_resolve_has_no_peers() -> None:
    assert peers_of(("127.0.0.1", 80)) == {("127.0.0.1", 80)}
    assert peers_of(("nowhere.invalid", 80)) == frozenset()
