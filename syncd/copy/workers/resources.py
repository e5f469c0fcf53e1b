"""Resources shared by the jobs of one worker: connections, room, rates, and a hashing thread."""

import os
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from time import monotonic
from typing import Protocol

from syncd.aws.transport import Transport
from syncd.copy.workers.large.relay import Relay
from syncd.copy.workers.messages import Limits, Order
from syncd.copy.workers.throttle import Allowance, Throttle


class Taker(Protocol):
    """One job in the worker, and what it has in flight."""

    @property
    def in_flight(self) -> int:
        """Number of its copies in flight."""
        ...

    @property
    def held_bytes(self) -> int:
        """Memory that these may take."""
        ...


class Resources:
    """The resources of one worker, and the share of each job in them."""

    def __init__(self, limits: Limits, takers: Mapping[int, Taker], *, cores: Collection[int]) -> None:
        """Share out among `takers`, which may change. `cores` are those on which large bodies may be hashed.

        Hashing releases Python's lock, so that it moves nowhere.
        """
        self._limits = limits
        self._takers = takers
        self._requests = _allowances(limits.requests_per_second)
        self._bytes = _allowances(limits.bytes_per_second)
        self._asides: SimpleQueue[Callable[[], None]] = SimpleQueue()
        Thread(target=self._do_asides, args=(cores,), name="aside", daemon=True).start()
        self.relay = Relay(deadline_seconds=limits.deadline_seconds, cores=cores)
        self.transport = Transport(deadline_seconds=limits.deadline_seconds)

    def share(self, taker: Taker, wanted: int) -> int:
        """Return how many copies one job may have in flight now.

        It is an even share of the process's limit, but no more than the others leave, who may still have more than their share from a time when they were fewer.
        But it is at least one, or the job would wait for requests that stand still.
        """
        allowed, others = self._limits.in_flight, self._others(taker)
        if not others:
            return min(wanted, allowed)
        shared = min(allowed // (len(others) + 1), allowed - sum(other.in_flight for other in others))
        return max(1, min(wanted, shared))

    def share_memory(self, taker: Taker, wanted: int) -> int:
        """Return how many bytes one job may hold now, by the same rule."""
        allowed, others = self._limits.memory_bytes, self._others(taker)
        return min(wanted, allowed // (len(others) + 1), allowed - sum(other.held_bytes for other in others))

    def _others(self, taker: Taker) -> list[Taker]:
        if len(self._takers) == 1:
            return []
        return [other for other in list(self._takers.values()) if other is not taker]

    def throttle(self, order: Order) -> Throttle:
        """Return the rate limits of one job, which keep to those of the process too."""
        return Throttle(
            [*self._requests, *_allowances(order.requests_per_second)],
            [*self._bytes, *_allowances(order.bytes_per_second)],
            requests_a_copy=order.requests_a_copy,
        )

    def aside(self, step: Callable[[], None]) -> None:
        """Run a step that hashes much on another thread, while other copies go on."""
        self._asides.put(step)

    def _do_asides(self, cores: Collection[int]) -> None:
        # If that is not permitted, hash on the worker's own core.
        with suppress(OSError):
            os.sched_setaffinity(0, cores)
        while True:
            self._asides.get()()


def _allowances(per_second: float | None) -> list[Allowance]:
    return [] if per_second is None else [Allowance(per_second, monotonic=monotonic)]
