"""Limits on what servers send, so that unasked bytes cannot fill the memory.

AWS's runtime bounds neither an answer's header block nor its body, and hands over nothing of either before it has all.
An answer that never ends would be kept without end. So a thread watches the memory of this process and, once that is
above its bound, counts the bytes that came in on each connection (`TCP_INFO`; Linux). Requests to a server that has sent
more than all answers together can have are cancelled.
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
"""Memory above that at the start, and above bodies in flight, before connections are counted."""
# Above the bound by this much, the server with the most is stopped, even if each one sends no more than it may.
_HARD_BYTES = 128 * 1024**2
# Retries of a body that broke off, and bytes that were on their way when counting began.
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
"""Name or address, and port, as requests name it."""


class TcpConnection(NamedTuple):
    """One connection of this process, and the bytes that came in on it."""

    number: int
    """The socket's own number, which is unique while it is open."""
    peer: Peer
    received_bytes: int


class Traffic(NamedTuple):
    """Bytes asked of one host so far, and received."""

    begun_bytes: int
    """Most bytes of the answers to all requests that were begun."""
    ended_bytes: int
    """Most bytes of the answers to requests that have ended."""
    handed_over_bytes: int
    """Bytes that the runtime has handed over."""


class Watched(Protocol):
    """The sender of requests, which this watches."""

    @property
    def is_idle(self) -> bool:
        """True if no request is under way."""
        ...

    def traffic(self) -> Mapping[Host, Traffic]:
        """Return the traffic of each host since the start."""
        ...

    def expire(self) -> None:
        """Cancel overdue requests."""
        ...

    def cancel_hosts(self, hosts: set[Host], why: str) -> None:
        """Cancel all requests to these hosts."""
        ...


def resident_bytes() -> int:
    """Return how much memory this process holds now."""
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE_BYTES


def connections() -> Iterator[TcpConnection]:
    """List the TCP connections of this process, those of its own servers included."""
    for entry in os.scandir(_DESCRIPTORS):
        with suppress(OSError, ValueError, struct.error):
            name = str(Path(entry.path).readlink())
            if name.startswith("socket:["):
                # A duplicate, since the descriptor's owner may close it meanwhile.
                with socket.socket(fileno=os.dup(int(entry.name))) as found:
                    host, port, *_ = found.getpeername()
                    told = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
                (received,) = struct.unpack_from("Q", told, _RECEIVED_OFFSET)
                yield TcpConnection(int(name[8:-1]), (host.removeprefix("::ffff:"), port), received)


def peers_of(host: Host) -> frozenset[Peer]:
    """Resolve a host. Returns an empty set if that fails."""
    with suppress(ValueError):
        return frozenset({(str(ipaddress.ip_address(host[0])), host[1])})
    try:
        found = socket.getaddrinfo(*host, type=socket.SOCK_STREAM)
    except OSError:
        return frozenset()
    return frozenset((str(address[0]), host[1]) for *_, address in found)


class _Baseline(NamedTuple):
    """The state when the memory rose above its bound, with which later counts are compared."""

    traffic: Mapping[Host, Traffic]
    seen: dict[int, int]
    """Bytes received up to the last look, by the socket's number."""
    received: Counter[Peer]


class Inflow:
    """The watch over one process's memory."""

    def __init__(
        self,
        watched: Watched,
        *,
        bound_bytes: int,
        resident: Callable[[], int] = resident_bytes,
        connected: Callable[[], Iterator[TcpConnection]] = connections,
        resolve: Callable[[Host], frozenset[Peer]] = peers_of,
    ) -> None:
        """`bound_bytes` is the memory of the process above which its connections are counted."""
        self._watched = watched
        self._bound_bytes = bound_bytes
        self._resident = resident
        self._connected = connected
        self._resolve = resolve
        self._resolved: dict[Host, tuple[float, frozenset[Peer]]] = {}
        self._since: _Baseline | None = None
        self._looked = (0, 0.0)
        self._guard = Lock()
        self._pause = Event()
        self._is_running = False

    def begin(self) -> None:
        """Watch until nothing is under way any more. Callers call this for each request, after its begin."""
        with self._guard:
            if not self._is_running:
                self._is_running = True
                Thread(target=self._run, name="inflow", daemon=True).start()

    def look(self) -> None:
        """Look once, and cancel what has to be cancelled."""
        resident = self._resident()
        if resident <= self._bound_bytes:
            self._since = None
            return
        if self._since is None:
            seen = {item.number: item.received_bytes for item in self._connected()}
            self._since = _Baseline(self._watched.traffic(), seen, Counter())
            self._looked = (resident, monotonic())
            return
        before, when = self._looked
        if resident < before + _GROWN_BYTES and monotonic() < when + _CALM_SECONDS:
            return
        self._looked = (resident, monotonic())
        self._judge(self._since, is_hard=resident > self._bound_bytes + _HARD_BYTES)

    def _judge(self, since: _Baseline, *, is_hard: bool) -> None:
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
            self._watched.cancel_hosts(guilty, what)
            # Keep counting the others: otherwise each of many attackers would get its slack anew.
            fresh = self._watched.traffic()
            stopped = {peer for host in guilty for peer in self._peers(host)}
            received = Counter({peer: came for peer, came in since.received.items() if peer not in stopped})
            known = {**since.traffic, **{host: fresh[host] for host in guilty & fresh.keys()}}
            self._since = _Baseline(known, since.seen, received)
            _give_memory_back()

    def _by_server(self, since: _Baseline) -> Iterator[tuple[set[Host], int, Traffic]]:
        """Yield the hosts of each server, the bytes it sent since, and its traffic. Names may share an address."""
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
    """Return freed memory to the system. glibc keeps memory that was freed in small pieces."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
