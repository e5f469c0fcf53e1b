"""One job in a copy worker: its thread, credentials and messages to the parent."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from queue import Empty, SimpleQueue
from threading import Condition, Event, Thread
from time import monotonic
from typing import Any

from syncd.aws.endpoint import Endpoint
from syncd.aws.s3 import Side
from syncd.aws.wire.signing import Credentials
from syncd.copy.workers import messages
from syncd.copy.workers.engine import CopyEngine
from syncd.copy.workers.messages import Opening, Order, Parcel, Result, result_of, transfer_of
from syncd.copy.workers.resources import Resources
from syncd.model.errors import JobFailed
from syncd.model.objects import Outcome, Transfer

RESULTS_A_MESSAGE = 32
_PATIENCE_SECONDS = 0.005
_RENEWAL_SECONDS = 120.0


class SentPrincipal:
    """Credentials that the parent keeps fresh. To renew them, the channel asks the parent and waits."""

    def __init__(self, name: str, credentials: Credentials, ask: Callable[[Credentials], None]) -> None:
        """`ask` asks the parent for others than the rejected ones."""
        self.name = name
        self._current = credentials
        self._ask = ask
        self._changed = Condition()
        self._answers = 0
        self._is_stopped = False

    def current(self) -> Credentials:
        """Return the credentials that were sent last."""
        return self._current

    def replace(self, credentials: Credentials) -> None:
        """Use other credentials from now on."""
        with self._changed:
            self._current = credentials
            self._answers += 1
            self._changed.notify_all()

    def stop(self) -> None:
        """Wait for no renewal any more."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def refresh(self, *, rejected: Credentials | None = None) -> Credentials:
        """Return the current credentials, or wait for others if these were rejected. They may be the same again."""
        if rejected is None:
            return self._current
        with self._changed:
            if self._current == rejected and not self._is_stopped:
                before = self._answers
                self._ask(rejected)
                self._changed.wait_for(lambda: self._is_stopped or self._answers != before, _RENEWAL_SECONDS)
            return self._current


class Channel:
    """One job in this worker, on a thread of its own."""

    def __init__(
        self,
        number: int,
        opening: Opening,
        locks: list[int],
        *,
        resources: Resources,
        send: Callable[[tuple[Any, ...]], None],
        on_closed: Callable[[int], object],
    ) -> None:
        """Begin. `locks` are descriptors to close at the end, when `on_closed` is called."""
        self._number = number
        self._order: Order = opening.order
        self._locks = locks
        self._resources = resources
        self._send_message = send
        self._on_closed = on_closed
        self._parcels: SimpleQueue[list[Parcel] | None] = SimpleQueue()
        self._numbers: dict[str, int] = {}
        self._requests: Counter[str] = Counter()
        self._stop = Event()
        self._handed_in_at = 0.0
        self._engine: CopyEngine | None = None
        self._principals = {
            side: SentPrincipal(
                spec.principal,
                opening.credentials[side],
                partial(self._send, messages.RENEW, side),
            )
            for side, spec in self._order.ends.items()
        }
        Thread(target=self._run, name=f"channel-{number}", daemon=True).start()

    @property
    def in_flight(self) -> int:
        """Number of copies in flight."""
        return self._engine.active if self._engine is not None else 0

    @property
    def held_bytes(self) -> int:
        """Memory that these may take."""
        return self._engine.reserved_bytes if self._engine is not None else 0

    def take(self, parcels: list[Parcel] | None) -> None:
        """Take transfers to copy, or None after the last."""
        self._parcels.put(parcels)
        if self._engine is not None:
            self._engine.wake()

    def replace(self, side: Side, credentials: Credentials) -> None:
        """Use other credentials for one side."""
        self._principals[side].replace(credentials)

    def stop(self) -> None:
        """Begin no more copies, and wait for no credentials."""
        self._stop.set()
        for principal in self._principals.values():
            principal.stop()
        if self._engine is not None:
            self._engine.wake()

    def _send(self, word: str, *facts: Any) -> None:
        self._send_message((word, self._number, *facts))

    def _run(self) -> None:
        error: JobFailed | None = None
        broken = ""
        try:
            self._copy()
        except JobFailed as raised:
            error = raised
        except Exception as raised:  # noqa: BLE001  # sent to the parent, which fails the job
            broken = repr(raised)
        finally:
            self._on_closed(self._number)
            for descriptor in self._locks:
                os.close(descriptor)
            facts = (error.reason, error.detail, error.remedy) if error else None
            self._send(messages.CLOSED, facts, broken)

    def _copy(self) -> None:
        order, resources = self._order, self._resources
        ends = {
            side: Endpoint(
                spec.bucket,
                spec.owner,
                spec.address,
                self._principals[side],
                resources.transport,
                self._requests,
                spec.headers,
            )
            for side, spec in order.ends.items()
        }
        engine = CopyEngine(
            ends,
            begin=order.begin,
            in_flight=lambda: resources.share(self, order.in_flight),
            memory_bytes=lambda: resources.share_memory(self, order.memory_bytes),
            held_bytes=order.terms.held_bytes,
            throttle=resources.throttle(order),
            is_woken=True,
            aside=resources.aside,
            relay=resources.relay,
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
        # Pop one by one: the wire's thread goes on counting.
        requests = {operation: self._requests.pop(operation) for operation in list(self._requests)}
        if results or requests:
            self._send(messages.OUTCOMES, list(results), requests)
        results.clear()
        self._handed_in_at = monotonic()

    def _transfers(self, results: list[Result]) -> Iterator[Transfer | None]:
        while True:
            try:
                parcels = self._parcels.get_nowait()
            except Empty:
                # The parent may be waiting for what has ended, but a message for each outcome would cost too much.
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
