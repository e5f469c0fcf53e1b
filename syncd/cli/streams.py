"""Standard streams that no reader, disk or locale breaks.

A stream that was closed is one to nowhere, so that no other file gets its number. A character that the locale's encoding
does not have is written in plain characters. What cannot be written to stderr is dropped. What cannot be written to
stdout is told at the end, unless its reader has gone, as `head` does. Nothing waits for stderr (`daemon/logs.py`).
"""

import atexit
import codecs
import errno
import io
import os
import select
import sys
from typing import TextIO

from syncd.daemon.logs import STDERR

_OUT, _ERR = 1, 2
_LONGEST_LINE = 1024**2
_PLAIN = {"✓": "+", "✗": "x", "·": "-", "→": "->", "…": "..."}
_ERRORS = "syncd.plain"
_TRIES_AGAIN = frozenset({errno.EAGAIN, errno.EINTR})


class _Sink(io.RawIOBase):
    """A descriptor that is written to as long as that works, and drops the rest.

    What was written to stderr before comes first, unless stderr is stuck.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.error: OSError | None = None
        """The first error, after which nothing is written."""

    def write(self, data: bytes) -> int:  # type: ignore[override]  # any buffer, in its stubs
        STDERR.drain()
        view = memoryview(data)
        while view and self.error is None:
            try:
                view = view[os.write(self._descriptor, view) :]
            except OSError as error:
                if error.errno in _TRIES_AGAIN:
                    # Another process has made the terminal or pipe non-blocking.
                    select.select([], [self._descriptor], [])
                else:
                    self.error = error
        return len(data)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)


_stdout = _Sink(_OUT)


def secure() -> None:
    """Replace the standard streams. Call it before any file is opened."""
    codecs.register_error(_ERRORS, _in_plain_characters)
    _fill_closed()
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  # stays open
    sys.stdout = _text(_stdout, sys.stdout)
    sys.stderr = _text(STDERR, sys.stderr)
    atexit.register(STDERR.drain)


def reader_has_gone() -> bool:
    """Return True if nobody reads stdout any more, so that the rest of a long output can be left out."""
    return _stdout.error is not None


def lost_output() -> str:
    """Flush stdout. Returns why it is not whole, or an empty text if it is or its reader has gone."""
    sys.stdout.flush()
    error = _stdout.error
    return "" if error is None or error.errno == errno.EPIPE else str(error.strerror)


def _fill_closed() -> None:
    """Open /dev/null in place of each stream that is closed: the lowest number that is free."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _ERR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _text(sink: io.RawIOBase, before: TextIO | None) -> io.TextIOWrapper:
    encoding = before.encoding if before is not None else "utf-8"
    # A line of the log is passed on whole, so that it is dropped whole.
    size = _LONGEST_LINE if sink is STDERR else io.DEFAULT_BUFFER_SIZE
    buffer = io.BufferedWriter(sink, size)
    is_line_buffered = sink.fileno() == _ERR or sink.isatty()
    return io.TextIOWrapper(buffer, encoding=encoding, errors=_ERRORS, line_buffering=is_line_buffered)


def _in_plain_characters(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    first = error.object[error.start]
    if first in _PLAIN:
        return _PLAIN[first], error.start + 1
    one = UnicodeEncodeError(error.encoding, error.object, error.start, error.start + 1, error.reason)
    return codecs.backslashreplace_errors(one)
