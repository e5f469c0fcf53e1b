"""Logging to stderr by structlog: JSON in ASCII for machines, lines for people.

Facts contain text from outside. JSON escapes it by itself. For a console it is escaped and quoted here, so that it can
neither begin a line nor pass for another fact.

Nothing waits for stderr: what is written to it is queued, and a thread of its own writes it on.
"""

import errno
import functools
import io
import os
import select
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from syncd.daemon.log.json_lines import as_json
from syncd.model import events
from syncd.model.escaping import safe_indented, safe_line

if TYPE_CHECKING:
    from syncd.config.job import Log

_LEVELS = {"debug": 0, "info": 1, "warning": 2, "error": 3}

_MOST_QUEUED_BYTES = 4 * 1024**2
_BATCH_BYTES = 64 * 1024
_STUCK_SECONDS = 1.0
_LONGEST_DRAIN_SECONDS = 10.0
_TRIES_AGAIN = frozenset({errno.EAGAIN, errno.EINTR})
_Renderer = Callable[[Mapping[str, Any]], str]

_SEVERITY = {
    events.TICK_FAILED: "error",
    events.OBJECT_FAILED: "warning",
    events.OBJECT_CONFLICTED: "error",
    events.OBJECT_ARCHIVED: "warning",
    events.OBJECT_LATE: "warning",
    events.HORIZON_HELD: "warning",
    events.LEDGER_MOVED_ASIDE: "error",
    events.LEDGER_UNWRITABLE: "error",
    events.REBUILD_BLIND: "warning",
    events.TICK_CRASHED: "error",
    events.TICK_SKIPPED: "warning",
    events.TICK_OVERRAN: "warning",
    events.TICK_STALLED: "error",
    events.JOB_PAUSED: "error",
    events.JOB_MOVED: "warning",
    events.JOB_REFUSED: "error",
    events.OBJECTS_COPIED_LATE: "warning",
    events.OBJECTIVE_MISSED: "error",
    events.CONFIGURATION_REFUSED: "error",
    events.CLOCK_JUMPED: "warning",
    events.DAEMON_ABANDONED: "warning",
    events.HTTP_UNAVAILABLE: "error",
    events.HTTP_CRASHED: "error",
    events.HEARTBEAT_FAILED: "warning",
    events.LEDGER_UNREADABLE: "error",
    events.WATCHDOG_WITHHELD: "error",
    events.LOG_DROPPED: "warning",
}


class LogQueue(io.RawIOBase):
    """The lines on their way to a descriptor. A thread writes them, so that no caller waits for a slow or stuck reader.

    If the queue is full or a write fails, lines are dropped and counted. Once lines get through again, the number is
    logged.

    Shared: any thread may call it. The lock guards the queue and the counts, and is reentrant, since a signal handler may
    log. The writing thread starts with the first line.
    """

    def __init__(self, descriptor: int, *, most_bytes: int = _MOST_QUEUED_BYTES) -> None:
        self.dropped = 0
        """Lines that were dropped so far."""
        self._descriptor = descriptor
        self._most_bytes = most_bytes
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        """Those waiting, and those being written."""
        self._told = 0
        self._progressed_at = monotonic()
        self._thread: threading.Thread | None = None

    def write(self, data: bytes) -> int:  # type: ignore[override]  # any buffer, in its stubs
        """Queue what is one line, or more. Never waits."""
        line = bytes(data)
        with self._changed:
            if self._bytes + len(line) > self._most_bytes:
                self.dropped += _lines(line)
            elif self._is_started():
                if not self._bytes:
                    self._progressed_at = monotonic()
                self._waiting.append(line)
                self._bytes += len(line)
                self._changed.notify_all()
            elif not self._put_out(line):
                self.dropped += _lines(line)
        return len(line)

    def drain(self) -> bool:
        """Wait until all is written. Returns false if the reader is stuck, or slow for long."""
        ends_at = monotonic() + _LONGEST_DRAIN_SECONDS
        with self._changed:
            while self._bytes:
                now = monotonic()
                left = min(ends_at, self._progressed_at + _STUCK_SECONDS) - now
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def writable(self) -> bool:
        """Return true."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return true for a terminal."""
        return os.isatty(self._descriptor)

    def _is_started(self) -> bool:
        if self._thread is None:
            thread = threading.Thread(target=self._write_on, name="log", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return False  # the system has no thread left
            self._thread = thread
        return True

    def _write_on(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                batch = self._waiting.popleft()
                while self._waiting and len(batch) + len(self._waiting[0]) <= _BATCH_BYTES:
                    batch += self._waiting.popleft()
            is_written = self._put_out(batch)
            with self._changed:
                self._bytes -= len(batch)
                self._progressed_at = monotonic()
                if not is_written:
                    self.dropped += _lines(batch)
                untold = self.dropped - self._told if is_written and 2 * self._bytes <= self._most_bytes else 0
                self._told += untold
                self._changed.notify_all()
            if untold:
                event_logger()(events.LOG_DROPPED, lines=untold)

    def _put_out(self, data: bytes) -> bool:
        """Write to the descriptor, however long that takes. Returns false if it fails."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
                self._progressed_at = monotonic()
            except OSError as error:
                if error.errno not in _TRIES_AGAIN:
                    return False
                # Another process has made the terminal or pipe non-blocking.
                select.select([], [self._descriptor], [])
        return True


STDERR = LogQueue(2)
"""The queue to stderr, of this process."""


def _lines(data: bytes) -> int:
    return max(1, data.count(b"\n"))


class _Written:
    """The way events are written. The lock is reentrant, since a signal handler may log."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.render: _Renderer = as_json
        self.least_level = _LEVELS["info"]
        self.stream: TextIO | io.TextIOBase = sys.stderr

    def write(self, line: str) -> None:
        """Write a line."""
        with self.lock:
            self.stream.write(line + "\n")
            self.stream.flush()

    debug = info = warning = error = write


def configure(log: "Log") -> None:
    """Write events to stderr as `[log]` configures. `auto` means console on a terminal and JSON elsewhere."""
    is_console = log.format == "console" or (log.format == "auto" and sys.stderr.isatty())
    _written.render = _for_people() if is_console else as_json
    _written.least_level = _LEVELS[log.level]
    _written.stream = sys.stderr


def _for_people() -> _Renderer:
    from syncd.daemon.log.lines import renderer  # noqa: PLC0415  # for terminals alone

    return renderer(colors=sys.stderr.isatty())


def is_for_people() -> bool:
    """Return True if events are written as lines for people."""
    return _written.render is not as_json


def event_logger() -> Callable[..., None]:
    """Return a function that logs an event by name, with facts by keyword."""

    def log(event: str, **facts: Any) -> None:
        level = _SEVERITY.get(event, "info")
        if _LEVELS[level] >= _written.least_level:
            getattr(_logger(), level)(event, **facts)

    return log


@functools.cache
def _logger() -> Any:
    """Return structlog's logger. It is loaded with the first event, so that verbs without one start faster."""
    from syncd.daemon.log.structured import structlog  # noqa: PLC0415

    # The default formatter shows no values of variables, which may be credentials.
    return structlog.wrap_logger(
        _written,
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _rendered,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )


def _rendered(_logger: Any, _method: str, facts: Mapping[str, Any]) -> str:
    return _written.render(facts)


@contextmanager
def written_to(stream: TextIO | io.TextIOBase) -> Iterator[None]:
    """Write events to another stream than stderr during the block."""
    before, _written.stream = _written.stream, stream
    try:
        yield
    finally:
        _written.stream = before


def write_safely() -> None:
    """Escape text from outside in tracebacks."""
    sys.excepthook = _print_defect
    threading.excepthook = lambda args: _print_defect(args.exc_type, args.exc_value, args.exc_traceback)


def traceback_lines(error: BaseException | None) -> list[str]:
    """Return the lines of a traceback, with messages escaped and indented."""
    first, *lines = "".join(traceback.format_exception(error)).splitlines() or [""]
    return [safe_line(first), *(f"  {safe_indented(line)}" for line in lines)]


def _print_defect(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, SystemExit):
        return  # raised by a thread; Python does not pass the program's own to the hook
    if error is not None and issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        sys.stderr.write("\n".join(traceback_lines(error)) + "\n")


_written = _Written()
