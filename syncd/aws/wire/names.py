"""Names of servers and their addresses. A look-up blocks, so each has a thread of its own for as long as it takes."""

import socket
from collections.abc import Callable
from functools import partial
from itertools import zip_longest
from random import Random
from threading import Thread
from time import monotonic
from typing import Any, NamedTuple

from syncd.aws.wire.loop import Loop, safely

# S3 answers with other addresses after a few seconds, and takes away those that are overloaded.
_KNOWN_SECONDS = 15.0
_ASKED_SECONDS = 60.0
_chance = Random()  # noqa: S311  # no secret


class Place(NamedTuple):
    """One address of a server."""

    family: int
    address: Any
    """Its form is that of sockets."""


Found = Callable[[list[Place], OSError | None], None]
"""Callback for the places of a server, best first, or for the error."""


class Names:
    """The addresses of servers, as far as they are known. All of it runs on the loop's thread."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._families: dict[str, int] = {}
        self._known: dict[tuple[str, int], tuple[float, list[Place]]] = {}
        self._asking: dict[tuple[str, int], tuple[float, list[Found]]] = {}

    def worked(self, host: str, family: int) -> None:
        """Note that a server was reached by an address of this family. It is tried first from now on."""
        self._families[host] = family

    def find(self, host: str, port: int, found: Found) -> None:
        """Find a server. Calls `found` once, now or later.

        Raises:
            RuntimeError: no thread can be started.
        """
        place = _literal(host, port)
        if place is not None:
            found([place], None)
            return
        now, known = monotonic(), self._known.get((host, port))
        if known is not None and now < known[0] + _KNOWN_SECONDS:
            found(self._spread(host, known[1]), None)
            return
        since, waiting = self._asking.setdefault((host, port), (now, []))
        waiting.append(found)
        # A look-up whose end was lost must not be waited for for good.
        if len(waiting) == 1 or since + _ASKED_SECONDS < now:
            self._asking[host, port] = (now, waiting)
            try:
                Thread(target=self._look_up, args=(host, port), name="name", daemon=True).start()
            except RuntimeError:
                del self._asking[host, port]
                raise

    def _look_up(self, host: str, port: int) -> None:
        """Run on a thread of its own."""
        places: list[Place] = []
        failed: OSError | None = None
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            places = [Place(row[0], row[4]) for row in rows]
        except OSError as error:
            failed = error
        except Exception as error:  # noqa: BLE001  # a null in it, say: whoever waits is told
            failed = OSError(f"{host!r} is no name of a server: {error or error!r}")
        try:
            self._loop.call(lambda: self._looked_up(host, port, places, failed))
        except RuntimeError:
            # No thread, so nobody waits any more. The next one asks again.
            self._asking.pop((host, port), None)

    def _looked_up(self, host: str, port: int, places: list[Place], failed: OSError | None) -> None:
        if failed is None:
            self._known[host, port] = (monotonic(), places)
        _, waiting = self._asking.pop((host, port), (0.0, []))
        for found in waiting:
            safely(partial(found, self._spread(host, places), failed))

    def _spread(self, host: str, places: list[Place]) -> list[Place]:
        """Return the places in the order in which to try them: families in turn, each from another place on.

        So connections go to all addresses, and a family that leads nowhere holds up none for long.
        """
        families = {place.family: [each for each in places if each.family == place.family] for place in places}
        for each in families.values():
            _chance.shuffle(each)
        best = self._families.get(host)
        first = families.pop(best, []) if best is not None else []
        in_turn = [place for row in zip_longest(*families.values()) for place in row if place is not None]
        return first[:1] + in_turn[:1] + first[1:] + in_turn[1:]


def _literal(host: str, port: int) -> Place | None:
    """Return the place of a host that is an address itself."""
    for family, address in ((socket.AF_INET, (host, port)), (socket.AF_INET6, (host, port, 0, 0))):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return Place(family, address)
    return None
