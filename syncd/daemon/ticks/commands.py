"""Commands to the main thread, which signals and other threads queue."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum


class Command(Enum):
    """A command to the main thread."""

    STOP = "stop"
    RELOAD = "reload"
    STATE_UNWRITABLE = "state unwritable"
    SHARE = "share"
    """Other jobs are this daemon's."""


_SIGNALS = {signal.SIGTERM: Command.STOP, signal.SIGINT: Command.STOP, signal.SIGHUP: Command.RELOAD}


@contextmanager
def signals(ask: Callable[[Command], None]) -> Iterator[None]:
    """Queue commands with `ask` while signals arrive."""
    before = {
        number: signal.signal(number, lambda _number, _frame, command=command: ask(command))  # type: ignore[misc]
        for number, command in _SIGNALS.items()
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
