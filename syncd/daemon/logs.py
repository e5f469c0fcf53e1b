"""Logging: structlog to stderr, JSON in ASCII for machines, console for people.

Facts contain text from outside. JSON escapes it by itself. For a console it is escaped and quoted here, so that it can
neither begin a line nor pass for another fact.
"""

import io
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from types import TracebackType
from typing import Any

import structlog

from syncd.config.job import Log
from syncd.model import events
from syncd.model.escaping import cut, safe_indented, safe_key, safe_line

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_LONGEST_FACT = 4_000
_LONGEST_TRACEBACK = 20_000
_TRACEBACK = "exception"
_KEY = "key"

_SEVERITY = {
    events.TICK_FAILED: "error",
    events.OBJECT_FAILED: "warning",
    events.OBJECT_CONFLICTED: "error",
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
}


def configure(log: Log) -> None:
    """Write events to stderr as `[log]` configures. `auto` means console on a terminal and JSON elsewhere."""
    is_console = log.format == "console" or (log.format == "auto" and sys.stderr.isatty())
    # A traceback with the values of variables would show credentials.
    plain = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    renderers: list[Any] = [_for_people, plain] if is_console else [_bounded, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[log.level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def event_logger() -> Callable[..., None]:
    """Return a function that logs an event by name, with facts by keyword."""
    logger = structlog.get_logger()

    def log(event: str, **facts: Any) -> None:
        getattr(logger, _SEVERITY.get(event, "info"))(event, **facts)

    return log


def write_safely() -> None:
    """Let stdout take any character in any locale, and escape text from outside in tracebacks."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
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


def _bounded(_logger: Any, _method: str, facts: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Cut each fact to its longest size."""
    return {
        name: _cut(value, _LONGEST_TRACEBACK if name == _TRACEBACK else _LONGEST_FACT) for name, value in facts.items()
    }


def _cut(value: Any, most: int) -> Any:
    match value:
        case str():
            return cut(value, most)
        case Mapping():
            return {cut(str(key), most): _cut(item, most) for key, item in value.items()}
        case list() | tuple():
            return [_cut(item, most) for item in value]
        case _:
            return value


def _for_people(_logger: Any, _method: str, facts: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Write each fact as one word, or in quotes."""
    shown = {name: _word(name, value) if name not in _OWN else value for name, value in facts.items()}
    if _TRACEBACK in facts:
        lines = cut(str(facts[_TRACEBACK]), _LONGEST_TRACEBACK).splitlines()
        shown[_TRACEBACK] = "\n".join(f"    {safe_indented(line)}" for line in lines)
    return shown


_OWN = ("event", "level", "timestamp", _TRACEBACK)


class _Word:
    """A fact written as it is. The renderer would quote a string once more."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _word(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if name == _KEY:
        return _Word(safe_key(str(value)))
    text = safe_line(str(value), _LONGEST_FACT)
    return _Word(text if text and not set(text) & set(' "=') else '"' + text.replace('"', "\\x22") + '"')
