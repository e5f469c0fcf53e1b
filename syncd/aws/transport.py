"""Requests on the wire, many at a time, on one thread.

What may pass (500, 502, 503, 504, connections that fail, break or stall) is sent again up to five times, after pauses that
grow; nothing above sends a request again. Memory is bounded by what each answer may have: its header block, and its body.
"""

from base64 import b64decode
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic

from syncd.aws.s3 import Address, Answer, Request
from syncd.aws.wire.connection import Failure
from syncd.aws.wire.exchange import ATTEMPTS, Exchange, signed
from syncd.aws.wire.loop import Loop, safely
from syncd.aws.wire.pool import Pool
from syncd.aws.wire.servers import Server, server_of
from syncd.aws.wire.signing import Credentials, Signer
from syncd.model.reasons import Reason
from syncd.model.shortage import resource_limit

DEADLINE_SECONDS = 60.0
"""A request is given up after this long, retries included."""
SLOWEST_BYTES_PER_SECOND = 256 * 1024
"""A large body adds the time that it takes at so many bytes a second, so that slow links can move it."""


class Transport:
    """Sender of requests, safe to use from any thread. Answers come on a thread of its own."""

    def __init__(self, *, deadline_seconds: float = DEADLINE_SECONDS, attempts: int = ATTEMPTS) -> None:
        """A request is sent so many times at the most. Raises JobFailed if there are no descriptors for it."""
        self._attempts = attempts
        self._deadline_seconds = deadline_seconds
        self._signer = Signer()
        # Only its thread uses these.
        self._under_way: set[Exchange] = set()
        self._servers: dict[Address, Server] = {}
        try:
            self._loop = Loop(each_second=self._look)
        except OSError as error:
            raise resource_limit("the wire cannot begin", error) from error
        self._pool = Pool(self._loop)

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
            safely(partial(self._give_up, exchange, "given up, since syncd was told to end"))

    def _begin(self, exchange: Exchange, *, on_new: bool = False) -> None:
        """Begin the first attempt, or another."""
        if exchange.is_over:
            return
        self._under_way.add(exchange)
        try:
            server = self._server(exchange.address)
        except ValueError as error:
            self._end(exchange, Answer(0, {}, b"", Reason.CONNECTION, str(error)))
            return
        try:
            head = exchange.head(server, self._signer)
        except ValueError as error:
            self._end(exchange, Answer(0, {}, b"", Reason.UNEXPECTED, f"it cannot be sent: {error}"))
            return
        exchange.begin(self._pool.take(server, is_new=on_new), head, partial(self._ended, exchange))

    def _server(self, address: Address) -> Server:
        server = self._servers.get(address)
        if server is None:
            server = self._servers[address] = server_of(address)
        return server

    def _ended(self, exchange: Exchange, failure: Failure | None) -> None:
        try:
            answer = exchange.ended(failure)
        except Exception as error:  # noqa: BLE001  # no defect may leave a request without an answer
            answer = Answer(0, {}, b"", Reason.UNEXPECTED, repr(error))
        if failure is not None and failure.is_stale:
            self._begin(exchange, on_new=True)
            return
        if exchange.may_pass(answer, attempts=self._attempts):
            pause = exchange.pause_seconds
            if monotonic() + pause < exchange.deadline:
                self._loop.call_later(pause, partial(self._begin, exchange))
                return
        self._end(exchange, answer)

    def _end(self, exchange: Exchange, answer: Answer) -> None:
        self._under_way.discard(exchange)
        # A hearer that fails must not stop what others are told.
        safely(partial(exchange.hand_over, answer))

    def _look(self) -> bool:
        """Give up what is overdue, and connections on which nothing moves. Returns True if there is more to look at."""
        now = monotonic()
        for exchange in list(self._under_way):
            if exchange.deadline < now:
                safely(partial(self._give_up, exchange, f"no answer within {exchange.allowed_seconds:.0f} s"))
            elif exchange.connection is not None:
                safely(partial(exchange.connection.look, now))
        return self._pool.expire() or bool(self._under_way)

    def _give_up(self, exchange: Exchange, why: str) -> None:
        if exchange.connection is not None:
            exchange.connection.close()
        self._end(exchange, Answer(0, {}, b"", Reason.TIMEOUT, why))
