"""Limits on what servers send, so that unasked bytes cannot fill the memory.

AWS's runtime bounds neither an answer's header block nor its body, and hands over nothing of either before it has all.
An answer that never ends would be kept without end. So a thread watches the memory of this process and, once that is
above its bound, counts the bytes that came in on each connection (`TCP_INFO`; Linux). Requests to a server that has sent
more than all answers together can have are cancelled, and its connections are shut down: the runtime takes its time.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from threading import Event, Lock, Thread
from time import monotonic
from typing import NamedTuple, Protocol

from syncd.aws.wire.connections import (
    Host,
    Peer,
    TcpConnection,
    connections,
    give_memory_back,
    peers_of,
    resident_bytes,
    shut,
)

ALLOWED_BYTES = 32 * 1024**2
"""Memory above that at the start before connections are counted."""
# Above the bound by this much, and by the bodies in flight, the servers with the most are stopped, even if each one sends
# no more than it may: until answers that have not come to their end have no more than half of what they may have together.
_HARD_BYTES = 64 * 1024**2
_MOST_HELD_BYTES = 48 * 1024**2
# What servers may send unasked: retries of a body that broke off, and bytes that were on their way when counting began.
_SLACK_BYTES = 16 * 1024**2
_LEAST_HELD_BYTES = 1024**2
_LOOK_SECONDS = 0.02
_LOOK_CLOSELY_SECONDS = 0.005
_GROWN_BYTES = 4 * 1024**2
_CALM_SECONDS = 0.5
_IDLE_LOOKS = 50
_RESOLVED_SECONDS = 60.0


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


class _Baseline(NamedTuple):
    """The state when the memory rose above its bound, with which later counts are compared."""

    traffic: Mapping[Host, Traffic]
    seen: dict[int, int]
    """Bytes received up to the last look, by the socket's number."""
    received: Counter[Peer]
    stopped: frozenset[Host] = frozenset()
    """Those that sent too much."""


class _Server(NamedTuple):
    """One server: bytes asked of it since then, and bytes that it sent. Names may share an address."""

    hosts: set[Host]
    peers: set[Peer]
    allowed_bytes: int
    """Most bytes of all answers that were not complete then, and of those to later requests."""
    under_way_bytes: int
    """Most bytes of the answers to requests that are under way."""
    handed_over_bytes: int
    received_bytes: int = 0

    def joined(self, other: "_Server") -> "_Server":
        """Return the two as one."""
        return _Server(
            self.hosts | other.hosts,
            self.peers | other.peers,
            *(ours + theirs for ours, theirs in zip(self[2:], other[2:], strict=True)),
        )

    @property
    def excess_bytes(self) -> int:
        """Bytes that came unasked."""
        return max(self.received_bytes - self.allowed_bytes, 0)

    @property
    def held_bytes(self) -> int:
        """Bytes of its answers that the runtime may hold."""
        return min(self.received_bytes - self.handed_over_bytes, self.under_way_bytes + self.excess_bytes)


class Inflow:
    """The watch over one process's memory."""

    def __init__(
        self,
        watched: Watched,
        *,
        bound_bytes: int,
        body_bytes: int = 0,
        resident: Callable[[], int] = resident_bytes,
        connected: Callable[[], Iterator[TcpConnection]] = connections,
        resolve: Callable[[Host], frozenset[Peer]] = peers_of,
        shut: Callable[[Collection[int]], None] = shut,
    ) -> None:
        """`bound_bytes` is the memory of the process above which its connections are counted.

        `body_bytes` is what bodies in flight may take.
        """
        self._watched = watched
        self._bound_bytes = bound_bytes
        self._hard_bytes = bound_bytes + body_bytes + _HARD_BYTES
        self._resident = resident
        self._connected = connected
        self._resolve = resolve
        self._shut = shut
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
        self._judge(self._since, is_hard=resident > self._hard_bytes)

    def _judge(self, since: _Baseline, *, is_hard: bool) -> None:
        numbers: dict[int, Peer] = {}
        for item in self._connected():
            numbers[item.number] = item.peer
            since.received[item.peer] += max(item.received_bytes - since.seen.get(item.number, 0), 0)
            since.seen[item.number] = item.received_bytes
        servers = self._servers(since)
        guilty = _guilty(servers, since.stopped)
        what = ""
        if guilty:
            got = sum(each.received_bytes for each in guilty) // 1024**2
            allowed = sum(each.allowed_bytes for each in guilty) // 1024**2
            what = f"{got} MiB came where all answers together have {allowed} MiB at the most"
        elif is_hard:
            guilty = _largest(servers)
            size = sum(each.held_bytes for each in guilty) // 1024**2
            what = f"{size} MiB came of answers that have not come to their end, and memory is short"
        if guilty:
            self._stop(since, guilty, what, numbers)

    def _stop(self, since: _Baseline, guilty: list[_Server], what: str, numbers: Mapping[int, Peer]) -> None:
        hosts = {host for each in guilty for host in each.hosts}
        peers = {peer for host in hosts for peer in self._peers(host)}
        self._watched.cancel_hosts(hosts, what)
        self._shut({number for number, peer in numbers.items() if peer in peers})
        # Keep counting the others: otherwise each of many attackers would get its slack anew.
        fresh = self._watched.traffic()
        received = Counter({peer: came for peer, came in since.received.items() if peer not in peers})
        known = {**since.traffic, **{host: fresh[host] for host in hosts & fresh.keys()}}
        self._since = _Baseline(known, since.seen, received, since.stopped | hosts)
        give_memory_back()

    def _servers(self, since: _Baseline) -> list[_Server]:
        servers: list[_Server] = []
        for host, now in self._watched.traffic().items():
            peers = set(self._peers(host) & since.received.keys())
            if not peers:
                continue
            before = since.traffic.get(host, Traffic(0, 0, 0))
            each = _Server(
                {host},
                peers,
                now.begun_bytes - before.ended_bytes,
                now.begun_bytes - now.ended_bytes,
                now.handed_over_bytes - before.handed_over_bytes,
            )
            for other in [other for other in servers if other.peers & peers]:
                servers.remove(other)
                each = each.joined(other)
            servers.append(each)
        return [each._replace(received_bytes=sum(since.received[peer] for peer in each.peers)) for each in servers]

    def _peers(self, host: Host) -> frozenset[Peer]:
        known = self._resolved.get(host)
        if known is None or known[0] < monotonic():
            known = self._resolved[host] = (monotonic() + _RESOLVED_SECONDS, self._resolve(host))
        return known[1]

    def _run(self) -> None:
        looks = idle = 0
        while True:
            self._pause.wait(_LOOK_SECONDS if self._since is None else _LOOK_CLOSELY_SECONDS)
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
                        # What comes until the next run is not seen.
                        self._since = None
                        return


def _guilty(servers: list[_Server], stopped: Collection[Host]) -> list[_Server]:
    """Return those that sent more than they may. All that send unasked share one slack."""
    senders = [each for each in servers if each.excess_bytes > _LEAST_HELD_BYTES]
    slack = _SLACK_BYTES // len(senders) if senders else 0
    return [each for each in senders if each.excess_bytes > slack or not each.hosts.isdisjoint(stopped)]


def _largest(servers: list[_Server]) -> list[_Server]:
    """Return those that hold the most, if all together hold too much."""
    held = sum(each.held_bytes for each in servers)
    found: list[_Server] = []
    if held > _MOST_HELD_BYTES:
        for each in sorted(servers, key=lambda each: each.held_bytes, reverse=True):
            if held > _MOST_HELD_BYTES // 2:
                found.append(each)
                held -= each.held_bytes
    return found
