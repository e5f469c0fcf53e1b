"""Logging: structlog to stderr, JSON for machines, console for people."""

import logging
import sys
from collections.abc import Callable
from typing import Any

import structlog

from syncd import events
from syncd.config import Log

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

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
    events.HEARTBEAT_FAILED: "warning",
    events.LEDGER_UNREADABLE: "error",
    events.WATCHDOG_WITHHELD: "error",
}


def configure(log: Log) -> None:
    """Write events to stderr as `[log]` says; `auto` is for people on a terminal and JSON elsewhere."""
    is_console = log.format == "console" or (log.format == "auto" and sys.stderr.isatty())
    renderer: Any = structlog.dev.ConsoleRenderer() if is_console else structlog.processors.JSONRenderer()
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if not is_console:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[log.level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def teller() -> Callable[..., None]:
    """Says an event by name, at the severity that the event has, with facts by keyword."""
    logger = structlog.get_logger()

    def tell(event: str, **facts: Any) -> None:
        getattr(logger, _SEVERITY.get(event, "info"))(event, **facts)

    return tell
