"""A clock that is set by years while the daemon runs: it ticks within seconds, grows by nothing, and ends when told to."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from builders import ACCOUNTS, REGIONS, Delivery, Trail
from preload import Preload
from service import Running, Service
from waiting import wait_until

pytestmark = pytest.mark.needs_tool("cc")
YEAR = 365 * 86_400
SECONDS = 20.0
GROWTH_BYTES = 40 * 1024**2

Clock = Callable[[float], dict[str, str]]


@pytest.fixture
def set_ahead(tmp_path: Path) -> Clock:
    """Sets the clock so many seconds ahead of the kernel's, and returns the environment that makes it hold."""
    preload = Preload(tmp_path / "page")

    def set_ahead(seconds: float) -> dict[str, str]:
        preload.set(ahead_seconds=int(seconds))
        return preload.environment

    return set_ahead


def log(now: datetime, number: int) -> Delivery:
    return Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=10), number)


def resident(daemon: Running) -> int:
    lines = Path(f"/proc/{daemon.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


@pytest.mark.parametrize("every", [{"every": "1s"}, {"every": None, "cron": "* * * * *"}], ids=["every", "cron"])
def test_a_daemon_that_starts_in_1970_goes_to_work_when_the_clock_is_set(
    every: dict[str, str | None], service: Service, set_ahead: Clock, now: datetime
) -> None:
    service.job("account-b", every)
    keys = service.deliver(log(now, 0))

    with service.running(set_ahead(60 - now.timestamp())) as daemon:
        daemon.wait_for("daemon.started")
        if "cron" not in every:
            wait_until(lambda: service.ticks("account-b") > 1, what="ticks in 1970")
        before = resident(daemon)
        set_ahead(0)
        daemon.wait_for("clock.jumped", seconds=SECONDS)
        wait_until(lambda: service.replica("account-b") == keys, seconds=SECONDS, what="the copy")

        assert daemon.get("/healthz")[0] == 200
        assert resident(daemon) - before < GROWTH_BYTES
        assert daemon.stopped(seconds=SECONDS) == 0


@pytest.mark.parametrize("years", [-56, -10, -1, 1, 10, 60])
def test_ticks_go_on_when_the_clock_is_set_by_years_and_back(
    years: int, service: Service, set_ahead: Clock, now: datetime
) -> None:
    service.job("account-b")
    keys = service.deliver(log(now, 0))

    with service.running(set_ahead(0)) as daemon:
        wait_until(lambda: service.replica("account-b") == keys, what="the first copy")
        before = resident(daemon)
        set_ahead(years * YEAR)
        daemon.wait_for("clock.jumped", seconds=SECONDS)
        ticks = service.ticks("account-b") + sum(event["event"] == "tick.finished" for event in daemon.events)
        wait_until(
            lambda: service.ticks("account-b") + len(daemon.told("tick.finished")) >= ticks + 3,
            seconds=SECONDS,
            what="ticks in another year",
        )
        assert daemon.get("/healthz")[0] == 200
        set_ahead(0)
        daemon.wait_for("clock.jumped", times=2, seconds=SECONDS)
        keys += service.deliver(log(now, 1))
        wait_until(lambda: service.replica("account-b") == sorted(keys), seconds=SECONDS, what="the copy in this year")

        assert resident(daemon) - before < GROWTH_BYTES
        assert daemon.stopped(seconds=SECONDS) == 0


@pytest.mark.parametrize("years", [-56, 60])
def test_it_ends_when_told_to_just_after_the_clock_was_set(
    years: int, service: Service, set_ahead: Clock, now: datetime
) -> None:
    service.job("account-b")
    service.deliver(log(now, 0))

    with service.running(set_ahead(0)) as daemon:
        daemon.wait_for("tick.finished")
        set_ahead(years * YEAR)

        assert daemon.stopped(seconds=SECONDS) == 0
