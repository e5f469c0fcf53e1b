"""The log and the bars of a verb that ends with a table."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from syncd.daemon import logs
from syncd.model import events

if TYPE_CHECKING:
    from syncd.cli.terminal.bars import Bars


def besides_the_table(tell: Callable[..., None]) -> Callable[..., None]:
    """Return the log of a verb that ends with a table. On a terminal it leaves out what the table shows."""
    if not (sys.stderr.isatty() and logs.is_for_people()):
        return tell

    def told(event: str, **facts: Any) -> None:
        if event not in _IN_THE_TABLE:
            tell(event, **facts)

    return told


def bars_on_a_terminal() -> "AbstractContextManager[Bars | None]":
    """Show bars on stderr until the end of the block. Yields None if it is no terminal."""
    if not sys.stderr.isatty():
        return nullcontext()
    from syncd.cli.terminal.bars import bars

    return bars()


_IN_THE_TABLE = frozenset(
    {
        events.TICK_FINISHED,
        events.CATCH_UP_FINISHED,
        events.TICK_FAILED,
        events.OBJECT_FAILED,
        events.OBJECT_CONFLICTED,
        events.OBJECT_ARCHIVED,
    }
)
