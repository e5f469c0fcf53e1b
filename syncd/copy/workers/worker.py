"""A copy worker: a process of its own, confined to a core, in which the engine runs.

Handing Python's lock from core to core between the runtime's thread and ours costs more than the copying itself, so
the engine keeps to one core (`docs/adr/`). A worker does what its parent says and ends with it, before the lock of a
job that it works for can be free: it holds that lock too.
"""

import gc
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from queue import Empty, SimpleQueue
from threading import Condition, Event, Lock, Thread
from time import monotonic
from typing import Any

from syncd.aws.endpoint import Endpoint
from syncd.aws.s3 import Side
from syncd.aws.transport import Credentials, Transport
from syncd.copy.workers import messages
from syncd.copy.workers.engine import CopyEngine
from syncd.copy.workers.messages import Limits, Opening, Order, Parcel, Result, result_of, transfer_of
from syncd.copy.workers.throttle import Allowance, Throttle
from syncd.model.errors import JobFailed
from syncd.model.objects import Outcome, Transfer

RESULTS_A_MESSAGE = 32
_PATIENCE_SECONDS = 0.005
_RENEWAL_SECONDS = 120.0


class _SentPrincipal:
    """Credentials that the parent keeps fresh; to renew them is to ask, and to wait."""

    def __init__(self, name: str, credentials: Credentials, channel: "_Channel", side: Side) -> None:
        self.name = name
        self._current = credentials
        self._channel = channel
        self._side = side
        self._changed = Condition()
        self._is_given_up = False

    def current(self) -> Credentials:
        return self._current

    def replace(self, credentials: Credentials) -> None:
        with self._changed:
            self._current = credentials
            self._changed.notify_all()

    def give_up(self) -> None:
        with self._changed:
            self._is_given_up = True
            self._changed.notify_all()

    def refresh(self, *, rejected: Credentials | None = None) -> Credentials:
        if rejected is None:
            return self._current
        with self._changed:
            if self._current == rejected and not self._is_given_up:
                self._channel.send(messages.RENEW, self._side, rejected)
                self._changed.wait_for(lambda: self._is_given_up or self._current != rejected, _RENEWAL_SECONDS)
            return self._current


class _Channel:
    """One job in this worker, on a thread of its own."""

    def __init__(self, number: int, opening: Opening, locks: list[int], office: "Worker") -> None:
        self._number = number
        self._order: Order = opening.order
        self._locks = locks
        self._office = office
        self._parcels: SimpleQueue[list[Parcel] | None] = SimpleQueue()
        self._numbers: dict[str, int] = {}
        self._requests: Counter[str] = Counter()
        self._stop = Event()
        self._handed_in_at = 0.0
        self._engine: CopyEngine | None = None
        self.principals = {
            side: _SentPrincipal(spec.principal, opening.credentials[side], self, side)
            for side, spec in self._order.ends.items()
        }
        Thread(target=self._run, name=f"channel-{number}", daemon=True).start()

    @property
    def in_flight(self) -> int:
        return self._engine.active if self._engine is not None else 0

    @property
    def held_bytes(self) -> int:
        return self._engine.reserved_bytes if self._engine is not None else 0

    def send(self, word: str, *facts: Any) -> None:
        self._office.send((word, self._number, *facts))

    def take(self, parcels: list[Parcel] | None) -> None:
        self._parcels.put(parcels)
        if self._engine is not None:
            self._engine.wake()

    def stop(self) -> None:
        self._stop.set()
        for principal in self.principals.values():
            principal.give_up()
        if self._engine is not None:
            self._engine.wake()

    def _run(self) -> None:
        error: JobFailed | None = None
        broken = ""
        try:
            self._copy()
        except JobFailed as raised:
            error = raised
        except Exception as raised:  # noqa: BLE001  # told to the parent, which fails the job
            broken = repr(raised)
        finally:
            self._office.forget(self._number)
            for descriptor in self._locks:
                os.close(descriptor)
            facts = (error.reason, error.detail, error.remedy) if error else None
            self.send(messages.CLOSED, facts, broken)

    def _copy(self) -> None:
        ends = {
            side: Endpoint(
                spec.bucket, spec.owner, spec.address, self.principals[side], self._office.transport, self._requests
            )
            for side, spec in self._order.ends.items()
        }
        engine = CopyEngine(
            ends,
            begin=self._order.begin,
            in_flight=lambda: self._office.share(self, self._order.in_flight),
            memory_bytes=lambda: self._office.share_memory(self, self._order.memory_bytes),
            held_bytes=self._order.terms.held_bytes,
            throttle=self._office.throttle(self._order),
            is_woken=True,
            aside=self._office.aside,
        )
        self._engine = engine
        results: list[Result] = []
        try:
            for outcome in engine.copy_all(self._transfers(results), self._stop):
                results.append(self._result(outcome))
                if len(results) >= RESULTS_A_MESSAGE:
                    self._hand_in(results)
        finally:
            self._hand_in(results)

    def _result(self, outcome: Outcome) -> Result:
        return result_of(self._numbers.pop(outcome.transfer.destination_key), outcome)

    def _hand_in(self, results: list[Result]) -> None:
        # Taken one by one, since the runtime's thread goes on counting.
        requests = {operation: self._requests.pop(operation) for operation in list(self._requests)}
        if results or requests:
            self.send(messages.OUTCOMES, list(results), requests)
        results.clear()
        self._handed_in_at = monotonic()

    def _transfers(self, results: list[Result]) -> Iterator[Transfer | None]:
        while True:
            try:
                parcels = self._parcels.get_nowait()
            except Empty:
                # Nothing to begin: the parent may be waiting for what has ended, but not for each one by itself.
                if len(results) >= RESULTS_A_MESSAGE // 2 or monotonic() - self._handed_in_at > _PATIENCE_SECONDS:
                    self._hand_in(results)
                yield None
                continue
            if parcels is None:
                return
            for parcel in parcels:
                transfer = transfer_of(parcel)
                self._numbers[transfer.destination_key] = parcel[0]
                yield transfer


class Worker:
    """The process: reads what the parent says, until it says nothing more."""

    def __init__(self, connection: Connection, limits: Limits, *, cores: Collection[int]) -> None:
        """`cores` are those on which large bodies may be hashed: without Python's lock, so that it moves nowhere."""
        self._connection = connection
        self._asides: SimpleQueue[Callable[[], None]] = SimpleQueue()
        Thread(target=self._do_asides, args=(cores,), name="aside", daemon=True).start()
        self._sending = Lock()
        self._limits = limits
        self._channels: dict[int, _Channel] = {}
        self._requests = _allowances(limits.requests_per_second)
        self._bytes = _allowances(limits.bytes_per_second)
        self.transport = Transport(deadline_seconds=limits.deadline_seconds, body_bytes=limits.memory_bytes)

    def share(self, channel: _Channel, wanted: int) -> int:
        """How many objects one job may have in flight now: an even share of what the process may.

        It is no more than what is left beside the others, who may still have more than their share from a time when they
        were fewer; but one it always may, lest it wait for requests that stand still.
        """
        allowed, others = self._limits.in_flight, self._others(channel)
        if not others:
            return min(wanted, allowed)
        shared = min(allowed // (len(others) + 1), allowed - sum(other.in_flight for other in others))
        return max(1, min(wanted, shared))

    def share_memory(self, channel: _Channel, wanted: int) -> int:
        """How many bytes one job may hold now, by the same rule."""
        allowed, others = self._limits.memory_bytes, self._others(channel)
        return min(wanted, allowed // (len(others) + 1), allowed - sum(other.held_bytes for other in others))

    def _others(self, channel: _Channel) -> list[_Channel]:
        if len(self._channels) == 1:
            return []
        return [other for other in list(self._channels.values()) if other is not channel]

    def throttle(self, order: Order) -> Throttle:
        """The limits of one job, and below them those of all."""
        return Throttle(
            [*self._requests, *_allowances(order.requests_per_second)],
            [*self._bytes, *_allowances(order.bytes_per_second)],
            requests_a_copy=order.requests_a_copy,
        )

    def aside(self, step: Callable[[], None]) -> None:
        """Have a step of a copy done that hashes much, while the requests of others go on."""
        self._asides.put(step)

    def _do_asides(self, cores: Collection[int]) -> None:
        # Where that is not permitted, they are hashed on the worker's own core.
        with suppress(OSError):
            os.sched_setaffinity(0, cores)
        while True:
            self._asides.get()()

    def send(self, message: tuple[Any, ...]) -> None:
        """To the parent; what cannot be sent has nobody to read it."""
        with self._sending, suppress(OSError):
            self._connection.send(message)

    def forget(self, channel: int) -> None:
        """A job is done."""
        self._channels.pop(channel, None)

    def serve(self) -> None:
        """Until the parent ends."""
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                os._exit(0)
            self._obey(*message)

    def _obey(self, word: str, number: int, *facts: Any) -> None:
        if word == messages.OPEN:
            opening: Opening = facts[0]
            locks = [recv_handle(self._connection) for _ in range(opening.locks)]
            self._channels[number] = _Channel(number, opening, locks, self)
            return
        channel = self._channels.get(number)
        if channel is None:
            return
        match word:
            case messages.COPY:
                channel.take(facts[0])
            case messages.END:
                channel.take(None)
            case messages.STOP:
                channel.stop()
            case messages.CREDENTIALS:
                channel.principals[facts[0]].replace(facts[1])


def _allowances(per_second: float | None) -> list[Allowance]:
    return [] if per_second is None else [Allowance(per_second, monotonic=monotonic)]


def main() -> None:
    """`python -m syncd.worker DESCRIPTOR CORE LIMITS`: core -1 leaves the process where it may run."""
    descriptor, core = int(sys.argv[1]), int(sys.argv[2])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Those are the parent's, which ends the worker when it is done with it.
        signal.signal(number, signal.SIG_IGN)
    cores = os.sched_getaffinity(0)
    if core >= 0:
        # Where that is not permitted, the copies take more of the processor, and are made all the same.
        with suppress(OSError):
            os.sched_setaffinity(0, {core})
    # Copies make no cycles, and looking for some among a thousand requests in flight takes a tenth of a copy's time.
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    Worker(Connection(descriptor), Limits(*json.loads(sys.argv[3])), cores=cores).serve()


if __name__ == "__main__":
    main()
