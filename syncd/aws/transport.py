"""Requests on the wire, many at a time, by curl's library.

What may pass (500, 502, 503, 504, connections that fail, break or stall) is sent again up to five times, after pauses that
grow; nothing above sends a request again. Memory is bounded by what each answer may have: its header block, and its body.
"""

from base64 import b64decode
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic

from syncd.aws.s3 import Address, Answer, Request
from syncd.aws.wire import certificates
from syncd.aws.wire.exchange import Exchange, signed
from syncd.aws.wire.handles import Handle
from syncd.aws.wire.loop import Loop
from syncd.aws.wire.signing import Credentials, Signer
from syncd.model.reasons import Reason
from syncd.model.shortage import resource_limit

DEADLINE_SECONDS = 60.0
"""A request is given up after this long, retries included."""
SLOWEST_BYTES_PER_SECOND = 256 * 1024
"""A large body adds the time that it takes at so many bytes a second, so that slow links can move it."""
# Handles that wait for the next request: as many as there are copies in flight at the most, or so.
_KEPT_HANDLES = 256

_Kind = tuple[str, str, str]


class Transport:
    """Sender of requests, safe to use from any thread. Answers come on a thread of its own."""

    def __init__(self, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        """Raises JobFailed if there are no descriptors for it."""
        self._deadline_seconds = deadline_seconds
        self._signer = Signer()
        # Only its thread uses these.
        self._under_way: set[Exchange] = set()
        self._handles: dict[_Kind, list[Handle]] = {}
        try:
            self._loop = Loop(each_second=self._expire)
        except OSError as error:
            raise resource_limit("the wire cannot begin", error) from error

    def send(
        self,
        request: Request,
        address: Address,
        credentials: Credentials,
        on_answer: Callable[[Answer], None],
        more_headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Send one request. Calls `on_answer` exactly once, on another thread, or on this one if nothing can be sent."""
        moved_bytes = len(request.body) + request.expected_bytes
        allowed_seconds = self._deadline_seconds + moved_bytes / SLOWEST_BYTES_PER_SECOND
        exchange = Exchange(request, address, credentials, more_headers, on_answer, allowed_seconds)
        try:
            self._loop.call(partial(self._begin, exchange))
        except RuntimeError as error:
            failed = resource_limit("the wire cannot begin", error)
            exchange.hand_over(Answer(0, {}, b"", failed.reason, failed.detail))

    def signed(
        self,
        request: Request,
        address: Address,
        credentials: Credentials,
        more_headers: Sequence[tuple[str, str]],
        *,
        body_sha256: str,
    ) -> tuple[str, list[tuple[str, str]]]:
        """Return the target and the headers of a request that is sent by somebody else.

        `body_sha256` (base64) is only needed where signatures cover the body.

        Raises:
            ValueError: a header cannot be sent.
        """
        payload = b64decode(body_sha256).hex()
        path, headers = signed(request, address, credentials, (*request.headers, *more_headers), self._signer, payload)
        return f"{path}?{request.query}" if request.query else path, headers

    def abandon(self) -> None:
        """Give up every request in flight, now."""
        try:
            self._loop.call(self._abandon)
        except RuntimeError:
            # No thread, so nothing is in flight.
            return

    def _abandon(self) -> None:
        for exchange in list(self._under_way):
            self._give_up(exchange, "given up, since syncd was told to end")

    def _begin(self, exchange: Exchange) -> None:
        """Begin the first attempt, or another."""
        if exchange.is_over:
            return
        self._under_way.add(exchange)
        address = exchange.address
        kind = (exchange.request.method, address.scheme, address.authorities)
        try:
            handle = self._handle(kind)
        except (OSError, ValueError) as error:
            why = certificates.unusable(address.authorities, error)
            self._end(exchange, Answer(0, {}, b"", Reason.UNTRUSTED, why))
            return
        try:
            exchange.ask(handle, self._signer)
        except ValueError as error:
            self._end(exchange, Answer(0, {}, b"", Reason.UNEXPECTED, f"it cannot be sent: {error}"))
            return
        self._loop.begin(handle.curl, partial(self._ended, exchange, kind))

    def _handle(self, kind: _Kind) -> Handle:
        kept = self._handles.setdefault(kind, [])
        if kept:
            return kept.pop()
        method, scheme, authorities = kind
        certificates.check(authorities)
        return Handle(method, scheme, authorities)

    def _ended(self, exchange: Exchange, kind: _Kind, error: int, message: str) -> None:
        handle = exchange.handle
        answer = exchange.ended(error, message)
        kept = self._handles[kind]
        if handle is not None and len(kept) < _KEPT_HANDLES:
            kept.append(handle)
        if exchange.may_pass(answer):
            pause = exchange.pause_seconds
            if monotonic() + pause < exchange.deadline:
                self._loop.call_later(pause, partial(self._begin, exchange))
                return
        self._end(exchange, answer)

    def _end(self, exchange: Exchange, answer: Answer) -> None:
        self._under_way.discard(exchange)
        exchange.hand_over(answer)

    def _expire(self) -> None:
        """Give up what is overdue."""
        now = monotonic()
        for exchange in [each for each in self._under_way if each.deadline < now]:
            self._give_up(exchange, f"no answer within {exchange.allowed_seconds:.0f} s")

    def _give_up(self, exchange: Exchange, why: str) -> None:
        handle, exchange.handle = exchange.handle, None
        if handle is not None:
            self._loop.cancel(handle.curl)
        self._end(exchange, Answer(0, {}, b"", Reason.TIMEOUT, why))
