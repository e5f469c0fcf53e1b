"""What servers send that nobody asked for, and how it is stopped before it fills the memory.

AWS's runtime bounds neither an answer's header block nor its body, and hands over nothing of either before it has all:
what never ends would be held without end. So a thread looks at the memory of this process and, once that is above its
bound, at how many bytes came in on each connection (`TCP_INFO`; Linux). A server that has sent more than everything
asked of it can bring is told apart in this way from one that answers, and what is under way with it is cancelled.
"""

import ctypes
import ipaddress
import os
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from typing import NamedTuple, Protocol

ALLOWED_BYTES = 64 * 1024**2
"""What a process may hold above what it held at first, and above bodies in flight, before its connections are looked at."""
# Above the bound by this much, whoever holds most is stopped, even if each server keeps to what may come.
_HARD_BYTES = 128 * 1024**2
# Retries of a body that broke off, and what was on its way when the look began.
_SLACK_BYTES = 16 * 1024**2
_LEAST_HELD_BYTES = 1024**2
_LOOK_SECONDS = 0.02
_GROWN_BYTES = 4 * 1024**2
_CALM_SECONDS = 0.5
_IDLE_LOOKS = 50
_RESOLVED_SECONDS = 60.0
_DESCRIPTORS = "/proc/self/fd"
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TCP_INFO_BYTES = 256
_RECEIVED_OFFSET = 128

Peer = tuple[str, int]
"""Address and port of a server."""
Host = tuple[str, int]
"""Name or address, and port, as requests are sent to it."""


class Connection(NamedTuple):
    """One connection of this process, and what has come in on it."""

    number: int
    """The socket's own, which no other has while it is open."""
    peer: Peer
    received_bytes: int


class Traffic(NamedTuple):
    """What was asked of one host so far, and what came of it."""

    begun_bytes: int
    """What the answers to all requests that were begun may have, together."""
    ended_bytes: int
    """The same for requests that have ended."""
    handed_over_bytes: int
    """What the runtime has handed over."""


class Watched(Protocol):
    """Whoever sends requests."""

    @property
    def is_idle(self) -> bool:
        """No request is under way."""
        ...

    def traffic(self) -> Mapping[Host, Traffic]:
        """Everything since the beginning."""
        ...

    def expire(self) -> None:
        """Cancel overdue requests."""
        ...

    def give_up(self, hosts: set[Host], why: str) -> None:
        """Cancel what is under way with these hosts."""
        ...


def resident_bytes() -> int:
    """Return how much memory this process holds now."""
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE_BYTES


def connections() -> Iterator[Connection]:
    """List the TCP connections of this process, those of its own servers included."""
    for entry in os.scandir(_DESCRIPTORS):
        with suppress(OSError, ValueError, struct.error):
            name = str(Path(entry.path).readlink())
            if name.startswith("socket:["):
                # A duplicate, since whoever owns the descriptor may close it meanwhile.
                with socket.socket(fileno=os.dup(int(entry.name))) as found:
                    host, port, *_ = found.getpeername()
                    told = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
                (received,) = struct.unpack_from("Q", told, _RECEIVED_OFFSET)
                yield Connection(int(name[8:-1]), (host.removeprefix("::ffff:"), port), received)


def peers_of(host: Host) -> frozenset[Peer]:
    """Resolve a host; nothing if that fails."""
    with suppress(ValueError):
        return frozenset({(str(ipaddress.ip_address(host[0])), host[1])})
    try:
        found = socket.getaddrinfo(*host, type=socket.SOCK_STREAM)
    except OSError:
        return frozenset()
    return frozenset((str(address[0]), host[1]) for *_, address in found)


class _Look(NamedTuple):
    """What the bytes that came in are held against: how everything was when the memory rose above its bound."""

    traffic: Mapping[Host, Traffic]
    seen: dict[int, int]
    """By the socket's number, the bytes that had come in by the last look."""
    received: Counter[Peer]


class Inflow:
    """The watch over one process's memory."""

    def __init__(
        self,
        watched: Watched,
        *,
        bound_bytes: int,
        resident: Callable[[], int] = resident_bytes,
        connected: Callable[[], Iterator[Connection]] = connections,
        resolve: Callable[[Host], frozenset[Peer]] = peers_of,
    ) -> None:
        """`bound_bytes` is what the process may hold before its connections are looked at."""
        self._watched = watched
        self._bound_bytes = bound_bytes
        self._resident = resident
        self._connected = connected
        self._resolve = resolve
        self._resolved: dict[Host, tuple[float, frozenset[Peer]]] = {}
        self._since: _Look | None = None
        self._looked = (0, 0.0)
        self._guard = Lock()
        self._pause = Event()
        self._is_running = False

    def begin(self) -> None:
        """Watch until nothing is under way any more. Called for each request, after it is under way."""
        with self._guard:
            if not self._is_running:
                self._is_running = True
                Thread(target=self._run, name="inflow", daemon=True).start()

    def look(self) -> None:
        """Look once, and cancel what has to be."""
        resident = self._resident()
        if resident <= self._bound_bytes:
            self._since = None
            return
        if self._since is None:
            seen = {item.number: item.received_bytes for item in self._connected()}
            self._since = _Look(self._watched.traffic(), seen, Counter())
            self._looked = (resident, monotonic())
            return
        before, when = self._looked
        if resident < before + _GROWN_BYTES and monotonic() < when + _CALM_SECONDS:
            return
        self._looked = (resident, monotonic())
        self._judge(self._since, is_hard=resident > self._bound_bytes + _HARD_BYTES)

    def _judge(self, since: _Look, *, is_hard: bool) -> None:
        for item in self._connected():
            since.received[item.peer] += max(item.received_bytes - since.seen.get(item.number, 0), 0)
            since.seen[item.number] = item.received_bytes
        guilty: set[Host] = set()
        held: list[tuple[int, set[Host]]] = []
        got = allowed = 0
        for hosts, came, traffic in self._by_server(since):
            held.append((came - traffic.handed_over_bytes, hosts))
            if came > traffic.begun_bytes + _SLACK_BYTES:
                guilty |= hosts
                got, allowed = got + came, allowed + traffic.begun_bytes
        if guilty:
            what = f"{got // 1024**2} MiB came where all answers together have {allowed // 1024**2} MiB at the most"
        elif is_hard and held and max(held, key=lambda item: item[0])[0] > _LEAST_HELD_BYTES:
            size, guilty = max(held, key=lambda item: item[0])
            what = f"{size // 1024**2} MiB came of answers that have not come to their end, and memory is short"
        if guilty:
            self._watched.give_up(guilty, what)
            # What came of the others still counts: with many attackers each would have its slack anew.
            fresh = self._watched.traffic()
            stopped = {peer for host in guilty for peer in self._peers(host)}
            received = Counter({peer: came for peer, came in since.received.items() if peer not in stopped})
            known = {**since.traffic, **{host: fresh[host] for host in guilty & fresh.keys()}}
            self._since = _Look(known, since.seen, received)
            _give_memory_back()

    def _by_server(self, since: _Look) -> Iterator[tuple[set[Host], int, Traffic]]:
        """The hosts of each server, what came from it since, and what was asked of it: names may share an address."""
        servers: list[tuple[set[Host], set[Peer], Traffic]] = []
        for host, now in self._watched.traffic().items():
            peers = set(self._peers(host) & since.received.keys())
            if not peers:
                continue
            before = since.traffic.get(host, Traffic(0, 0, 0))
            asked = Traffic(now.begun_bytes - before.ended_bytes, 0, now.handed_over_bytes - before.handed_over_bytes)
            hosts = {host}
            for other in [other for other in servers if other[1] & peers]:
                servers.remove(other)
                hosts |= other[0]
                peers |= other[1]
                asked = Traffic(
                    asked.begun_bytes + other[2].begun_bytes, 0, asked.handed_over_bytes + other[2].handed_over_bytes
                )
            servers.append((hosts, peers, asked))
        for hosts, peers, asked in servers:
            yield hosts, sum(since.received[peer] for peer in peers), asked

    def _peers(self, host: Host) -> frozenset[Peer]:
        known = self._resolved.get(host)
        if known is None or known[0] < monotonic():
            known = self._resolved[host] = (monotonic() + _RESOLVED_SECONDS, self._resolve(host))
        return known[1]

    def _run(self) -> None:
        looks = idle = 0
        while True:
            self._pause.wait(_LOOK_SECONDS)
            with suppress(OSError):
                self.look()
            looks += 1
            if looks % _IDLE_LOOKS == 0:
                self._watched.expire()
            idle = idle + 1 if self._watched.is_idle else 0
            if idle > _IDLE_LOOKS:
                with self._guard:
                    if self._watched.is_idle:
                        self._is_running = False
                        return


def _give_memory_back() -> None:
    """Return freed memory to the system, which the C library (glibc) keeps if it was freed in small pieces."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
