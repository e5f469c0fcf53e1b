"""What systemd is told, on a real socket."""

import os
import socket
from time import monotonic_ns

import pytest
from service import ServiceManager

from syncd.daemon.notify import systemd as notify


def test_assignments_arrive_as_one_message(manager: ServiceManager) -> None:
    notifier = notify.SystemdNotifier(manager.environment)

    notifier.send(notify.READY, notify.status("two jobs\non time"))

    assert manager.wait_for("READY=1") == ["READY=1", "STATUS=two jobs on time"]


def test_a_reload_says_when_it_began(manager: ServiceManager) -> None:
    before = monotonic_ns() // 1000

    notify.SystemdNotifier(manager.environment).send(*notify.reloading())

    _, stamp = manager.wait_for("RELOADING=1")
    assert before <= int(stamp.removeprefix("MONOTONIC_USEC=")) <= monotonic_ns() // 1000


def test_a_socket_in_the_abstract_namespace_is_reached() -> None:
    name = f"syncd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0{name}")
        receiver.settimeout(30)

        notify.SystemdNotifier({"NOTIFY_SOCKET": f"@{name}"}).send(notify.WATCHDOG)

        assert receiver.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nonexistent/notify"}])
def test_where_nobody_listens_nothing_happens(environ: dict[str, str]) -> None:
    notify.SystemdNotifier(environ).send(notify.READY)


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "120000000"}, 120.0),
        ({"WATCHDOG_USEC": "120000000", "WATCHDOG_PID": str(os.getpid())}, 120.0),
        ({"WATCHDOG_USEC": "120000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_a_watchdog_is_told_from_one_that_watches_somebody_else(environ: dict[str, str], seconds: float | None) -> None:
    assert notify.watchdog_seconds(environ) == seconds


def test_a_stop_may_take_as_long_as_it_says() -> None:
    assert notify.extend_timeout(25) == "EXTEND_TIMEOUT_USEC=25000000"
