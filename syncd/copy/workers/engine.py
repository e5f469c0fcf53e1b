"""The copy engine: many copies in flight on one thread.

Each copy is a generator of requests (`stream`, `server_side`). Answers come on the wire's thread, which takes a copy's next
step at once. The thread that owns the engine starts copies, renews credentials and hands over outcomes.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event
from time import monotonic
from typing import TypeAlias

from syncd.aws.endpoint import RENEWALS_A_REQUEST, Endpoint, is_expired
from syncd.aws.s3 import Answer, Request, Side
from syncd.aws.wire.signing import Credentials
from syncd.copy.passage import Passage
from syncd.copy.terms import Steps
from syncd.copy.workers.large.relay import Relay
from syncd.copy.workers.throttle import Throttle
from syncd.model.errors import JobFailed
from syncd.model.objects import Failed, Outcome, Transfer
from syncd.model.reasons import Reason
from syncd.model.shortage import shortage

# From this size on, hashing a body takes longer than handing it to another thread.
ASIDE_BYTES = 1024**2
_WAIT_SECONDS = 0.1
_RENEW_EVERY_SECONDS = 1.0
# With so many copies in flight outcomes are taken in together. To wake for each one, and to fight for Python's lock with
# the wire's thread, took a tenth of a small copy on a busy machine, and a thirtieth on a quiet one.
_MANY = 16
_REST_SECONDS = 0.002


class _InFlight:
    """One copy in flight."""

    __slots__ = ("renewals", "reserved_bytes", "steps", "transfer")

    def __init__(self, transfer: Transfer, steps: Steps, reserved_bytes: int) -> None:
        self.transfer = transfer
        self.steps = steps
        self.reserved_bytes = reserved_bytes
        self.renewals = 0


_Finished: TypeAlias = tuple[_InFlight, Outcome]
_Parked: TypeAlias = tuple[_InFlight, Request, Answer, Credentials]


class _Intake:
    """Transfers that one call of `copy_all` has taken in and not yet handed back."""

    def __init__(self, transfers: Iterator[Transfer | None]) -> None:
        self._transfers = transfers
        self.active = 0
        self.reserved_bytes = 0
        self.held: Transfer | None = None
        self.is_exhausted = False
        self.error: JobFailed | None = None

    def take(self) -> Transfer | None:
        try:
            return next(self._transfers)
        except StopIteration:
            self.is_exhausted = True
        except JobFailed as raised:
            self.fail(raised)
        return None

    def fail(self, error: JobFailed) -> None:
        self.error = self.error or error
        self.is_exhausted = True

    def finish(self, task: _InFlight) -> None:
        self.active -= 1
        self.reserved_bytes -= task.reserved_bytes


class CopyEngine:
    """Copier of transfers between endpoints, with bounds on copies and bytes in flight."""

    def __init__(
        self,
        ends: Mapping[Side, Endpoint],
        *,
        begin: Callable[[Transfer], Steps],
        in_flight: Callable[[], int],
        memory_bytes: Callable[[], int],
        held_bytes: Callable[[int], int],
        throttle: Throttle | None = None,
        is_woken: bool = False,
        aside: Callable[[Callable[[], None]], object] | None = None,
        relay: Relay | None = None,
    ) -> None:
        """`begin` makes the generator of a copy. `held_bytes` is the memory that a copy of so many bytes takes.

        `in_flight` and `memory_bytes` return the bounds, which may change. If `is_woken`, transfers yield None at once
        rather than after a wait, and `wake` is called when there are more. `aside` runs the next step of a copy on
        another thread, if its answer is large. `relay` makes passages. Without one there are none.
        """
        self._relay = relay
        self._aside = aside
        self._is_woken = is_woken
        self._throttle = throttle or Throttle((), (), requests_a_copy=1)
        self._ends = ends
        self._begin = begin
        self._in_flight = in_flight
        self._memory_bytes = memory_bytes
        self._held_bytes = held_bytes
        self._renew_at = 0.0
        self._events: SimpleQueue[_Finished | _Parked | BaseException | None] = SimpleQueue()
        self._intake: _Intake | None = None

    @property
    def active(self) -> int:
        """Number of copies in flight."""
        return self._intake.active if self._intake is not None else 0

    @property
    def reserved_bytes(self) -> int:
        """Memory that these may take."""
        return self._intake.reserved_bytes if self._intake is not None else 0

    def copy_all(self, transfers: Iterator[Transfer | None], stop: Event) -> Iterator[Outcome]:
        """Copy everything, in any order. Each transfer that begins before `stop` is set ends in exactly one Outcome.

        `transfers` is asked for more as there is room, and yields None if it has none yet. An error that it raises ends
        the intake, and is raised after the copies in flight have finished.

        Raises:
            JobFailed: `transfers` raised it, or credentials could not be renewed.
        """
        intake = self._intake = _Intake(transfers)
        while True:
            self._renew(intake)
            while not stop.is_set() and self._has_room(intake) and self._start_next(intake):
                pass
            if intake.active:
                can_only_wait = self._is_woken or stop.is_set() or not self._has_room(intake)
                if self._is_woken and intake.active >= _MANY:
                    # Elsewhere a signal sets `stop`, in the thread that would wait for it here.
                    stop.wait(_REST_SECONDS)
                yield from self._outcomes(intake, wait=can_only_wait)
            elif intake.error is not None:
                raise intake.error
            elif intake.is_exhausted or stop.is_set():
                return
            elif self._is_woken or intake.held is not None:
                yield from self._outcomes(intake, wait=True)

    def wake(self) -> None:
        """Look for transfers now. Safe to call from any thread."""
        self._events.put(None)

    def _has_room(self, intake: _Intake) -> bool:
        if intake.is_exhausted or intake.active >= self._throttle.window(self._in_flight()):
            return False
        return intake.held is None or self._fits(intake, intake.held)

    def _fits(self, intake: _Intake, transfer: Transfer) -> bool:
        return not intake.active or intake.reserved_bytes + self._bytes_for(transfer) <= self._memory_bytes()

    def _bytes_for(self, transfer: Transfer) -> int:
        return self._held_bytes(transfer.object.size_bytes)

    def _start_next(self, intake: _Intake) -> bool:
        """Start one copy. Returns False if there is none to start now."""
        transfer = intake.held or intake.take()
        if transfer is None:
            return False
        intake.held = transfer
        if not self._fits(intake, transfer) or not self._throttle.admits(transfer.object.size_bytes):
            return False
        intake.held = None
        task = _InFlight(transfer, self._begin(transfer), self._bytes_for(transfer))
        intake.active += 1
        intake.reserved_bytes += task.reserved_bytes
        self._step(task, None)
        return True

    def _outcomes(self, intake: _Intake, *, wait: bool) -> Iterator[Outcome]:
        """Return outcomes since the last call. Waits a moment for the first if nothing else can be done."""
        try:
            event = self._events.get(timeout=_WAIT_SECONDS) if wait else self._events.get_nowait()
            while True:
                if event is None:
                    pass
                elif isinstance(event, BaseException):
                    raise event
                elif len(event) == 2:
                    intake.finish(event[0])
                    self._throttle.learn(event[1], in_flight=self._in_flight())
                    yield event[1]
                else:
                    self._resume(intake, *event)
                event = self._events.get_nowait()
        except Empty:
            if self._relay is not None:
                self._relay.expire()

    def _renew(self, intake: _Intake) -> None:
        now = monotonic()
        if now >= self._renew_at and intake.error is None:
            self._renew_at = now + _RENEW_EVERY_SECONDS
            try:
                for end in self._ends.values():
                    end.principal.refresh()
            except JobFailed as raised:
                intake.fail(raised)

    def _resume(
        self, intake: _Intake, task: _InFlight, request: Request, answer: Answer, rejected: Credentials
    ) -> None:
        """Send a request again with other credentials. If there are none, the answer stands."""
        try:
            fresh = self._ends[request.side].principal.refresh(rejected=rejected)
        except JobFailed as raised:
            intake.fail(raised)
            intake.finish(task)
        else:
            if fresh == rejected:
                task.renewals = 0
                self._step(task, answer)
            else:
                self._send(task, request)

    def _step(self, task: _InFlight, answer: Answer | None) -> None:
        try:
            asked = self._asked(task, answer)
            if isinstance(asked, Passage):
                self._pass(task, asked)
            elif asked is not None:
                self._send(task, asked)
        except BaseException as broken:  # noqa: BLE001  # raised again by the thread that owns the engine
            self._events.put(broken)

    def _asked(self, task: _InFlight, answer: Answer | None) -> Request | Passage | None:
        """Return what a copy asks for next, or None if it has ended."""
        try:
            return task.steps.send(answer)  # type: ignore[arg-type]  # None begins a generator
        except StopIteration as done:
            self._events.put((task, done.value))
        except JobFailed:
            raise
        except Exception as error:  # noqa: BLE001  # one object, whoever brought it about, must not end all others' copies
            reason = Reason.RESOURCE_LIMIT if shortage(error) else Reason.UNEXPECTED
            detail = f"{task.transfer.object.key}: a defect of syncd, or more than it can take: {error!r}"
            self._events.put((task, Failed(task.transfer, reason, detail)))
        return None

    def _pass(self, task: _InFlight, passage: Passage) -> None:
        if self._relay is None:
            self._step(task, Answer(0, {}, b"", Reason.UNEXPECTED, "no relay"))
        else:
            source, destination = self._ends[Side.SOURCE], self._ends[Side.DESTINATION]
            self._relay.begin(passage, source, destination, partial(self._step, task))

    def _send(self, task: _InFlight, request: Request) -> None:
        def on_answer(answer: Answer, credentials: Credentials) -> None:
            if is_expired(answer, request) and task.renewals < RENEWALS_A_REQUEST:
                task.renewals += 1
                self._events.put((task, request, answer, credentials))
            else:
                task.renewals = 0
                if self._aside is not None and len(answer.body) >= ASIDE_BYTES:
                    self._aside(partial(self._step, task, answer))
                else:
                    self._step(task, answer)

        self._ends[request.side].send(request, on_answer)
