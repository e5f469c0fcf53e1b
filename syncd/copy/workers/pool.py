"""The parent's side of the copy workers: starts them, hands out transfers, and returns outcomes.

One pool serves all jobs of a process. A batch of transfers goes to the worker that has the least of this job to do, by
objects and bytes together.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import count
from queue import Empty
from threading import Event, Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from syncd.aws.endpoint import Principal
from syncd.aws.s3 import Side
from syncd.aws.transport import DEADLINE_SECONDS
from syncd.aws.wire.signing import Credentials
from syncd.copy.workers import messages
from syncd.copy.workers.conversation import Conversation
from syncd.copy.workers.messages import Limits, Opening, Order, Parcel, outcome_of, parcel_of
from syncd.model.errors import Interrupted, JobFailed
from syncd.model.objects import Mode, Outcome, Transfer
from syncd.model.reasons import Reason

if TYPE_CHECKING:
    from syncd.copy.workers.process import WorkerProcess

# At most this many objects of a job are with the workers. With those that wait to be recorded they stay below 256.
OBJECTS_OUT = 192
# A message holds objects of about this weight in all. No object weighs more: a worker with one of gigabytes gets small ones.
WEIGHT_A_MESSAGE = 32
# A streamed object costs, beside its bytes, as much as so many bytes.
_BYTES_A_WEIGHT = 64 * 1024
_WAIT_SECONDS = 0.1
_RENEW_EVERY_SECONDS = 1.0


class WorkerPool:
    """The workers of a process, started when there is something to copy, or by `begin`."""

    def __init__(
        self,
        *,
        workers: int,
        confine: bool,
        in_flight: int,
        memory_bytes: int = 128 * 1024**2,
        requests_per_second: float | None = None,
        bytes_per_second: float | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        """The limits are for all workers together. A request is cancelled after `deadline_seconds`."""
        self._workers = workers
        self._confine = confine
        self._limits = Limits(
            max(1, in_flight // workers),
            memory_bytes // workers,
            None if requests_per_second is None else requests_per_second / workers,
            None if bytes_per_second is None else bytes_per_second / workers,
            deadline_seconds,
        )
        self._processes: list[WorkerProcess] = []
        self._guard = Lock()
        self._channels = count(1)

    def copier(
        self, order: Order, principals: Mapping[Side, Principal], requests: Counter[str], *, locks: Sequence[int] = ()
    ) -> "PooledCopier":
        """Return the copier of one job. `locks` are descriptors that workers hold too, until they have finished."""
        return PooledCopier(self, order, principals, requests, locks)

    def begin(self, *, streams: bool) -> None:
        """Start the workers before there is something to copy. Without resources, start none."""
        with suppress(JobFailed):
            for process in self.processes():
                if streams:
                    process.send(messages.PREPARE, 0)

    def processes(self) -> "list[WorkerProcess]":
        """Return all workers, and replace those that have ended. Raises JobFailed if one cannot be started."""
        from syncd.copy.workers.process import WorkerProcess  # noqa: PLC0415  # not for a run that copies nothing

        cores = sorted(os.sched_getaffinity(0))
        with self._guard:
            self._processes = [process for process in self._processes if process.is_alive]
            while len(self._processes) < self._workers:
                # The last core first: most else of a machine runs on the first one.
                core = cores[-1 - len(self._processes) % len(cores)] if self._confine else -1
                self._processes.append(WorkerProcess.started(core, self._limits))
            return list(self._processes)

    def next_channel(self) -> int:
        """Return a new number for one job's messages to the workers."""
        with self._guard:
            return next(self._channels)

    def close(self) -> None:
        """Kill the workers, whatever they are doing."""
        with self._guard:
            for process in self._processes:
                process.close()
            self._processes = []


class PooledCopier:
    """A `ports.Copier` that copies in the workers."""

    def __init__(
        self,
        pool: WorkerPool,
        order: Order,
        principals: Mapping[Side, Principal],
        requests: Counter[str],
        locks: Sequence[int],
    ) -> None:
        self._pool = pool
        self._order = order
        self._principals = principals
        self._requests = requests
        self._locks = locks
        self._sent: dict[Side, Credentials] = {}
        self._renew_at = 0.0
        self.mode: str | None = order.mode.value

    def copy_all(self, transfers: Iterator[Transfer | None], stop: Event) -> Iterator[Outcome]:
        """Return one Outcome for each transfer that was begun.

        Raises:
            JobFailed: `transfers` raised it, credentials could not be renewed, or a worker died.
            Interrupted: `transfers` raised it, or the pool was closed.
        """
        first = self._first(transfers, stop)
        if first is None:
            return
        talk = self._begin()
        try:
            held: Transfer | None = first
            while True:
                self._renew(talk)
                if stop.is_set() and not talk.is_stopped:
                    self._stop(talk)
                if not talk.is_exhausted and len(talk.out) < OBJECTS_OUT:
                    self._hand_out(talk, transfers, held)
                    held = None
                if talk.is_exhausted and not talk.out and not talk.is_ended:
                    self._end(talk)
                if not talk.load:
                    break
                can_only_wait = talk.is_exhausted or len(talk.out) >= OBJECTS_OUT
                yield from self._outcomes(talk, wait=can_only_wait)
        finally:
            for process in talk.load:
                process.send(messages.STOP, talk.channel)
                process.send(messages.END, talk.channel)
                process.forget(talk.channel)
        if talk.error is not None:
            raise talk.error

    def _first(self, transfers: Iterator[Transfer | None], stop: Event) -> Transfer | None:
        """Start no worker until there is something to copy."""
        for transfer in transfers:
            if stop.is_set():
                return None
            if transfer is not None:
                return transfer
        return None

    def _begin(self) -> Conversation:
        # A job with fewer objects in flight than there are workers cannot use all of them.
        talk = Conversation(self._pool.processes()[: self._order.in_flight], self._pool.next_channel())
        self._sent = {side: principal.current() for side, principal in self._principals.items()}
        part = self._order.divided(len(talk.load))
        for process in talk.load:
            if self._order.mode is Mode.STREAM:
                # While there are descriptors for it.
                process.send(messages.PREPARE, 0)
            process.open(talk.channel, talk.inbox, Opening(part, self._sent, len(self._locks)), self._locks)
        return talk

    def _hand_out(self, talk: Conversation, transfers: Iterator[Transfer | None], held: Transfer | None) -> None:
        """Send transfers to the worker with the least to do, or note their end."""
        process = min(talk.load, key=talk.load.__getitem__)
        parcels: list[Parcel] = []
        weight = 0
        while weight < WEIGHT_A_MESSAGE and len(talk.out) < OBJECTS_OUT:
            transfer = held
            if transfer is None:
                try:
                    transfer = next(transfers)
                except StopIteration:
                    talk.is_exhausted = True
                    break
                except JobFailed as raised:
                    talk.fail(raised)
                    break
            held = None
            if transfer is None:
                break
            number = next(talk.numbers)
            talk.out[number] = (transfer, process)
            parcels.append(parcel_of(number, transfer))
            weight += self._weight(transfer)
        if parcels:
            talk.load[process] += weight
            process.send(messages.COPY, talk.channel, parcels)

    def _weight(self, transfer: Transfer) -> int:
        """Return what it costs a worker, in small objects."""
        if self._order.mode is Mode.SERVER_SIDE:
            return 1
        return min(1 + transfer.object.size_bytes // _BYTES_A_WEIGHT, WEIGHT_A_MESSAGE)

    def _stop(self, talk: Conversation) -> None:
        talk.is_stopped = talk.is_exhausted = True
        for process in talk.load:
            process.send(messages.STOP, talk.channel)
            process.send(messages.END, talk.channel)

    def _end(self, talk: Conversation) -> None:
        # Only after all outcomes are back: a worker that waits for more sends its results at once.
        talk.is_ended = True
        for process in talk.load:
            process.send(messages.END, talk.channel)

    def _outcomes(self, talk: Conversation, *, wait: bool) -> Iterator[Outcome]:
        try:
            message = talk.inbox.get(timeout=_WAIT_SECONDS) if wait else talk.inbox.get_nowait()
            while True:
                yield from self._handle(talk, *message)
                message = talk.inbox.get_nowait()
        except Empty:
            return

    def _handle(
        self, talk: Conversation, process: "WorkerProcess", word: str, _: int, *facts: Any
    ) -> Iterator[Outcome]:
        match word:
            case messages.OUTCOMES:
                results, requests = facts
                self._requests.update(requests)
                for result in results:
                    transfer = talk.out.pop(result[0])[0]
                    talk.load[process] -= self._weight(transfer)
                    yield outcome_of(result, transfer)
            case messages.RENEW:
                self._renew_rejected(talk, *facts)
            case messages.CLOSED:
                self._closed(talk, process, *facts)

    def _closed(
        self, talk: Conversation, process: "WorkerProcess", facts: tuple[str, str, str] | None, broken: str
    ) -> None:
        process.forget(talk.channel)
        talk.load.pop(process, None)
        talk.out = {number: entry for number, entry in talk.out.items() if entry[1] is not process}
        if facts is not None:
            talk.fail(JobFailed(*facts))
        elif broken and process.is_killed:
            talk.fail(Interrupted())
        elif broken:
            talk.fail(JobFailed(Reason.WORKER_DIED, broken))

    def _renew(self, talk: Conversation) -> None:
        now = monotonic()
        if now < self._renew_at:
            return
        self._renew_at = now + _RENEW_EVERY_SECONDS
        for side, principal in self._principals.items():
            try:
                fresh = principal.refresh()
            except JobFailed as raised:
                talk.fail(raised)
                return
            self._send_credentials(talk, side, fresh)

    def _renew_rejected(self, talk: Conversation, side: Side, rejected: Credentials) -> None:
        try:
            fresh = self._principals[side].refresh(rejected=rejected)
        except JobFailed as raised:
            talk.fail(raised)
            self._stop(talk)
            fresh = rejected
        # Even the same ones again: the worker waits for an answer.
        self._sent[side] = fresh
        for process in talk.load:
            process.send(messages.CREDENTIALS, talk.channel, side, fresh)

    def _send_credentials(self, talk: Conversation, side: Side, fresh: Credentials) -> None:
        if self._sent.get(side) != fresh:
            self._sent[side] = fresh
            for process in talk.load:
                process.send(messages.CREDENTIALS, talk.channel, side, fresh)
