"""Notifications to systemd: sd_notify(3)."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic_ns

READY = "READY=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"
_SEND_SECONDS = 1.0


class SystemdNotifier:
    """The sender to the datagram socket that NOTIFY_SOCKET names. It does nothing if there is none, or nobody listens."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        name = environ.get("NOTIFY_SOCKET", "")
        # A name that begins with @ is in Linux's abstract namespace, whose names begin with a null byte.
        self._address = f"\0{name[1:]}" if name.startswith("@") else name

    @property
    def is_heard(self) -> bool:
        """True if somebody asked for notifications."""
        return bool(self._address)

    def send(self, *assignments: str) -> None:
        """Send `NAME=value` lines in one message."""
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(_SEND_SECONDS)
            sender.sendto("\n".join(assignments).encode(), self._address)


def status(sentence: str) -> str:
    """Return the assignment that `systemctl status` shows."""
    return f"STATUS={sentence}".replace("\n", " ")


def reloading() -> tuple[str, str]:
    """Return the assignments for a reload. Type=notify-reload needs the time on the monotonic clock."""
    return "RELOADING=1", f"MONOTONIC_USEC={monotonic_ns() // 1000}"


def extend_timeout(seconds: float) -> str:
    """Return the assignment that lets a stop take this long from now on."""
    return f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}"


def watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """Return the silence after which systemd's watchdog ends this process, or None without a watchdog."""
    microseconds, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not microseconds.isdigit() or not int(microseconds) or pid not in ("", str(os.getpid())):
        return None
    return int(microseconds) / 1_000_000
