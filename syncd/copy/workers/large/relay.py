"""The relay: threads that move large bodies from one connection to another.

Each body goes through one buffer, which is kept for the next. While the destination does not take what was sent, nothing
is received, so the kernel holds the source back. Threads are not confined to the worker's core: they wait for the kernel
or for a checksum, and hold no lock of Python's then.
"""

import os
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from queue import SimpleQueue
from threading import Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING

from syncd.aws.endpoint import Endpoint
from syncd.aws.s3 import Answer, Request, error_of
from syncd.aws.transport import SLOWEST_BYTES_PER_SECOND
from syncd.aws.wire.exchange import ANSWER_BYTES
from syncd.copy.hashes.checksums import SHA256
from syncd.copy.passage import NotPassed, Passage
from syncd.model.reasons import Reason

if TYPE_CHECKING:
    from http.client import HTTPResponse

    from syncd.copy.workers.large.line import Line, Lines

# Bodies at once, as far as the engine's bounds on copies and memory let them begin.
_MOST_THREADS = 32
# A body that has waited for a thread for so long goes request by request, which takes none.
_PATIENCE_SECONDS = 2.0
# With 256 KiB, threads on two free cores fight for Python's lock: a fifth more of the processor. With 2 MiB, a fourteenth.
PIECE_BYTES = 1024**2
# Buffers that wait for the next body. What is lent is within the engine's bound on memory.
_KEPT_BYTES = 32 * 1024**2


class _Move:
    """One passage on its way."""

    def __init__(
        self,
        passage: Passage,
        source: Endpoint,
        destination: Endpoint,
        on_answer: Callable[[Answer], None],
    ) -> None:
        self.passage = passage
        self.source = source
        self.destination = destination
        self.on_answer = on_answer
        self.why_ended = ""
        self.waits_since = monotonic()
        self._lock = Lock()
        self._sockets: list[socket.socket] = []
        self._last = self._deadline = float("inf")

    def begin(self, seconds: float) -> None:
        """Begin now. All of it has to be done within so many seconds."""
        self._last = self._deadline = monotonic() + seconds

    def go_on(self, seconds: float) -> None:
        """Give the next step so many seconds."""
        self._deadline = min(self._last, monotonic() + seconds)

    def uses(self, line: "Line") -> None:
        """Shut this line down when time is up."""
        with self._lock:
            self._sockets.append(line.socket)
        if self.why_ended:
            self.end(self.why_ended)

    def forget(self, line: "Line") -> None:
        """Leave this line to others."""
        with self._lock:
            self._sockets.remove(line.socket)

    def expire(self) -> None:
        """Shut the lines down if time is up."""
        if self._deadline < monotonic():
            self.end("it did not get on within the time that a slow line takes")

    def end(self, why: str) -> None:
        """Shut the lines down, whatever is under way on them."""
        with self._lock:
            self.why_ended = why
            for each in self._sockets:
                # One that is closed already is no reason to leave the others open.
                with suppress(OSError):
                    # Not TLS's own: that one would leave plain text to whoever still sends.
                    socket.socket.shutdown(each, socket.SHUT_RDWR)


class Relay:
    """The threads, their buffers and connections. Safe to use from any thread."""

    def __init__(self, *, deadline_seconds: float, cores: Collection[int]) -> None:
        self._deadline_seconds = deadline_seconds
        self._cores = cores
        self._lines: Lines | None = None
        self._waiting: SimpleQueue[_Move] = SimpleQueue()
        self._lock = Lock()
        self._moves: set[_Move] = set()
        """Those that wait, and those under way."""
        self._under_way: set[_Move] = set()
        self._threads = 0
        self._buffers: dict[int, list[memoryview]] = {}
        self._kept_bytes = 0

    def begin(
        self, passage: Passage, source: Endpoint, destination: Endpoint, on_answer: Callable[[Answer], None]
    ) -> None:
        """Make a passage. Calls `on_answer` exactly once, on another thread."""
        try:
            # Its HTTP client is loaded for the first large body.
            from syncd.copy.workers.large.line import Lines  # noqa: PLC0415
        except Exception as error:  # noqa: BLE001  # no descriptor, say: the copy goes another way
            on_answer(Answer(0, {}, b"", Reason.UNEXPECTED, repr(error)))
            return
        move = _Move(passage, source, destination, on_answer)
        with self._lock:
            self._lines = self._lines or Lines()
            self._moves.add(move)
            is_short = len(self._moves) > self._threads and self._threads < _MOST_THREADS
            self._threads += is_short
        if is_short:
            try:
                Thread(target=self._run, name="relay", daemon=True).start()
            except RuntimeError:
                with self._lock:
                    self._threads -= 1
                    has_none = not self._threads
                    self._moves -= {move} if has_none else set()
                if has_none:
                    on_answer(Answer(0, {}, b"", Reason.UNEXPECTED, "no thread"))
                    return
        self._waiting.put(move)

    def expire(self) -> None:
        """Give up what is overdue, or waits for a thread. Callers must poll this while they wait."""
        latest = monotonic() - _PATIENCE_SECONDS
        with self._lock:
            moves = list(self._under_way)
            left = [move for move in self._moves - self._under_way if move.waits_since < latest]
            self._moves.difference_update(left)
        for move in moves:
            move.expire()
        for move in left:
            # Other jobs' bodies may stand still on all threads.
            move.on_answer(Answer(0, {}, b"", Reason.UNEXPECTED, "no thread"))
        if self._lines is not None:
            self._lines.expire()

    def _run(self) -> None:
        with suppress(OSError):
            os.sched_setaffinity(0, self._cores)
        while True:
            move = self._waiting.get()
            with self._lock:
                if move not in self._moves:
                    # It was left.
                    continue
                self._under_way.add(move)
            answer = self._answer(move)
            with self._lock:
                self._moves.discard(move)
                self._under_way.discard(move)
            move.on_answer(answer)

    def _answer(self, move: _Move) -> Answer:
        move.begin(self._seconds(move.passage.size_bytes))
        try:
            with ExitStack() as lines:
                return self._moved(move, lines)
        except Exception as error:  # noqa: BLE001  # whatever it is, the copy goes another way and says so there
            code = Reason.TIMEOUT if move.why_ended else Reason.UNEXPECTED
            return Answer(0, {}, b"", code, move.why_ended or repr(error))

    def _moved(self, move: _Move, lines: ExitStack) -> Answer:
        passage, size = move.passage, move.passage.size_bytes
        source = lines.enter_context(self._line(move, move.source))
        # Whatever the size: what a source says first is small.
        move.go_on(self._deadline_seconds)
        self._ask(source, move.source, passage.read, 0)
        response = source.answer()
        write = passage.begun(_head_of(response, passage.read))
        move.go_on(self._deadline_seconds)
        source.begin_body()
        buffer = lines.enter_context(self._buffer(size if write is None else min(size, PIECE_BYTES)))
        destination: Line | None = None
        held = 0
        for start in range(0, size, PIECE_BYTES):
            piece = buffer[held : held + min(size - start, PIECE_BYTES)]
            held += len(piece)
            move.go_on(self._seconds(len(piece)))
            source.fill(piece)
            passage.take(piece)
            is_last = start + len(piece) == size
            if is_last and passage.is_wrong:
                raise NotPassed("it does not match its checksum")
            if write is None and not is_last:
                continue
            write = write or passage.ended()
            move.go_on(self._seconds(held))
            if destination is None:
                destination = lines.enter_context(self._line(move, move.destination))
                self._ask(destination, move.destination, write, size)
            if is_last and destination.has_answer:
                raise NotPassed("an answer before all of the body was sent")
            destination.send(buffer[:held])
            held = 0
        assert destination is not None, "a passage has a body"
        # S3 may go through all of it once more before it answers.
        move.go_on(self._seconds(size))
        return _written(destination.answer())

    def _seconds(self, size_bytes: int) -> float:
        return self._deadline_seconds + size_bytes / SLOWEST_BYTES_PER_SECOND

    @contextmanager
    def _line(self, move: _Move, end: Endpoint) -> "Iterator[Line]":
        """Lend a line."""
        assert self._lines is not None, "a passage has begun"
        with self._lines.open(end.address._replace(base_path="", signs_payload=False)) as line:
            move.uses(line)
            try:
                yield line
            finally:
                # Before it is given back: the next one to use it must not be shut down by this one's deadline.
                move.forget(line)

    @staticmethod
    def _ask(line: "Line", end: Endpoint, request: Request, body_bytes: int) -> None:
        sha256 = dict(request.headers).get(SHA256, "")
        target, headers = end.signed(request, body_sha256=sha256)
        if body_bytes:
            headers.append(("content-length", str(body_bytes)))
        line.ask(request.method, target, headers)

    @contextmanager
    def _buffer(self, size_bytes: int) -> Iterator[memoryview]:
        """Lend a buffer of at least this size. Only what is used of it takes memory."""
        room = PIECE_BYTES
        while room < size_bytes:
            room *= 2
        with self._lock:
            kept = self._buffers.setdefault(room, [])
            buffer = kept.pop() if kept else None
            self._kept_bytes -= room if buffer is not None else 0
        if buffer is None:
            buffer = memoryview(bytearray(room))
        yield buffer
        with self._lock:
            if self._kept_bytes + room <= _KEPT_BYTES:
                self._kept_bytes += room
                kept.append(buffer)


def load() -> None:
    """Load the HTTP client of large bodies."""
    from syncd.copy.workers.large import line  # noqa: F401, PLC0415


def _head_of(response: "HTTPResponse", request: Request) -> Answer:
    """Return the head of an answer whose body is what was asked for."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    if not all(value.isprintable() for value in headers.values()):
        raise NotPassed("a header that goes on in the next line")
    span = next((value for name, value in request.headers if name == "range"), "").removeprefix("bytes=")
    is_span = response.status == 206 and headers.get("content-range", "").startswith(f"bytes {span}/")
    is_whole = response.status == 200 and not span
    # With an encoding, the length is not that of the body.
    is_encoded = "transfer-encoding" in headers
    if not (is_whole or (span and is_span)) or is_encoded or response.length != request.expected_bytes:
        raise NotPassed(f"{response.status} with {response.length} bytes")
    return Answer(response.status, headers, b"")


def _written(response: "HTTPResponse") -> Answer:
    body = response.read(ANSWER_BYTES)
    if not 200 <= response.status < 300 or not response.isclosed() or error_of(body)[0]:
        raise NotPassed(f"{response.status} to the write")
    return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, body)
