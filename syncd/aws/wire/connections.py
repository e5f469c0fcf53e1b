"""The memory and the TCP connections of this process, as the kernel counts them (Linux)."""

import ctypes
import ipaddress
import os
import socket
import struct
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

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


def resident_bytes() -> int:
    """Return how much memory this process holds now."""
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE_BYTES


def connections() -> Iterator[TcpConnection]:
    """List the TCP connections of this process, those of its own servers included."""
    for number, found in _sockets():
        with suppress(OSError, ValueError, struct.error):
            host, port, *_ = found.getpeername()
            told = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
            (received,) = struct.unpack_from("Q", told, _RECEIVED_OFFSET)
            yield TcpConnection(number, (host.removeprefix("::ffff:"), port), received)


def shut(numbers: Collection[int]) -> None:
    """Shut connections down. Whoever reads them finds the end at once."""
    for number, found in _sockets():
        if number in numbers:
            with suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)


def _sockets() -> Iterator[tuple[int, socket.socket]]:
    """Yield each socket and its own number. It is open until the next one."""
    for entry in os.scandir(_DESCRIPTORS):
        with suppress(OSError, ValueError):
            name = str(Path(entry.path).readlink())
            if name.startswith("socket:["):
                # A duplicate, since the descriptor's owner may close it meanwhile.
                with socket.socket(fileno=os.dup(int(entry.name))) as found:
                    yield int(name[8:-1]), found


def peers_of(host: Host) -> frozenset[Peer]:
    """Resolve a host. Returns an empty set if that fails."""
    with suppress(ValueError):
        return frozenset({(str(ipaddress.ip_address(host[0])), host[1])})
    try:
        found = socket.getaddrinfo(*host, type=socket.SOCK_STREAM)
    except OSError:
        return frozenset()
    return frozenset((str(address[0]), host[1]) for *_, address in found)


def give_memory_back() -> None:
    """Return freed memory to the system. glibc keeps memory that was freed in small pieces."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
