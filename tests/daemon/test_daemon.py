"""The daemon within this process, with a clock of its own, and what becomes of one tick."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import apscheduler.schedulers.base
import pytest
from builders import ACCOUNTS, REGIONS, Trail
from faulty import Stall, Status
from service import Service, ServiceManager
from waiting import wait_until

from syncd.config import files
from syncd.daemon.service import Daemon
from syncd.daemon.ticker import DaemonState, Ticker
from syncd.daemon.ticks.commands import Command
from syncd.daemon.web.gauges import Gauges
from syncd.job.run import Installation
from syncd.ledger.ledger import LedgerFile

HOUR = 3600.0


class Clock:
    """The time of day, moved by hand."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()

    class Datetime(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.fromtimestamp(clock.now(), tz)

    monkeypatch.setattr(apscheduler.schedulers.base, "datetime", Datetime)
    return clock


class Within:
    """A daemon on a thread of this process."""

    def __init__(
        self, service: Service, clock: Clock, environ: dict[str, str], on_event: Callable[[str], None]
    ) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self._on_event = on_event
        configuration = files.load(service.config)
        self.daemon = Daemon(configuration, now=clock.now, tell=self._tell, environ=environ)
        self._codes: list[int] = []
        self._thread = threading.Thread(target=lambda: self._codes.append(self.daemon.run()))
        self._thread.start()

    def _tell(self, event: str, **facts: Any) -> None:
        self.told.append((event, facts))
        self._on_event(event)

    def facts(self, event: str) -> list[dict[str, Any]]:
        return [facts for name, facts in list(self.told) if name == event]

    def wait_for(self, event: str, *, times: int = 1) -> dict[str, Any]:
        wait_until(lambda: len(self.facts(event)) >= times, what=event)
        return self.facts(event)[times - 1]

    def stop(self) -> int:
        self.daemon.ask(Command.STOP)
        self._thread.join()
        return self._codes[0]


@pytest.fixture
def within(service: Service, clock: Clock, manager: ServiceManager) -> Iterator[Any]:
    daemons: list[Within] = []

    def start(on_event: Callable[[str], None] = lambda _: None) -> Within:
        daemons.append(Within(service, clock, manager.environment, on_event))
        return daemons[-1]

    yield start
    for daemon in daemons:
        daemon.stop()


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["an hour forward", "an hour back"])
def test_a_clock_that_jumps_stops_no_job_and_loses_nothing(
    service: Service, within: Any, clock: Clock, now: datetime, jump: float
) -> None:
    service.job("account-b")
    daemon = within()
    daemon.wait_for("tick.finished", times=2)

    clock.ahead = jump
    jumped = daemon.wait_for("clock.jumped")
    keys = service.deliver(Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=5)))
    ticks = service.ticks("account-b")
    wait_until(lambda: service.replica("account-b") == keys, what="the copy")
    wait_until(lambda: service.ticks("account-b") >= ticks + 2, what="two more ticks")

    assert jumped["seconds"] == pytest.approx(jump, abs=5)
    assert daemon.stop() == 0


def test_new_keys_are_found_within_half_a_minute_however_seldom_the_job_ticks(
    service: Service, within: Any, clock: Clock, now: datetime
) -> None:
    right = service.credentials.read_text()
    service.credentials.write_text(right.replace("AKIA", "AKIB"))
    service.job("account-b", {"every": "6h"})
    keys = service.deliver(Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=5)))
    daemon = within()

    assert daemon.wait_for("tick.failed")["error"]["reason"] == "invalid_credentials"
    service.credentials.write_text(right)
    clock.ahead = 30

    wait_until(lambda: service.replica("account-b") == keys, what="the copy")


def test_a_tick_that_crashes_is_told_and_the_next_one_goes_on(service: Service, within: Any) -> None:
    service.job("account-b")
    crashes: list[BaseException] = [ZeroDivisionError("a defect"), SystemExit(3)]

    def refuse(event: str) -> None:
        if event == "tick.finished" and crashes:
            raise crashes.pop()

    daemon = within(refuse)
    recovered = daemon.wait_for("tick.recovered")

    told = [facts["reason"] for facts in daemon.facts("tick.crashed")]
    assert told == ["SystemExit", "ZeroDivisionError"]
    assert recovered["failures"] == 2
    assert daemon.stop() == 0


def test_a_tick_that_is_interrupted_is_no_recovery(service: Service, within: Any) -> None:
    service.job("account-b")
    fault = service.server.faults.add("ListObjectsV2", Status(403, "AccessDenied", "not authorized"))
    daemon = within()
    daemon.wait_for("tick.failed")
    stalled = service.server.faults.add("ListObjectsV2", Stall())
    service.server.faults.remove(fault)
    wait_until(lambda: stalled.hits > 0, what="a listing that stands still")

    ended = daemon.stop()

    assert ended == 0
    assert daemon.facts("tick.recovered") == []


def test_a_failure_that_repeats_is_told_once_and_once_more_when_it_is_over(service: Service, within: Any) -> None:
    service.job("account-b")
    fault = service.server.faults.add("ListObjectsV2", Status(403, "AccessDenied", "not authorized"))
    daemon = within()
    wait_until(lambda: service.ticks("account-b") >= 3, what="three ticks")

    service.server.faults.remove(fault)
    recovered = daemon.wait_for("tick.recovered")

    assert len(daemon.facts("tick.failed")) == 1
    assert recovered["failures"] >= 2
    assert "job.paused" not in [event for event, _ in daemon.told]


def test_objects_that_were_copied_late_are_told(service: Service, within: Any, now: datetime) -> None:
    service.deliver(Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=20)))
    service.job("account-b", {"objective": "2s"})
    daemon = within()
    daemon.wait_for("tick.finished")
    service.deliver(Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=10)))

    late = daemon.wait_for("objects.copied_late")

    assert (late["count"], late["objective_seconds"]) == (1, 2)
    assert late["worst_lag_seconds"] >= 290


def test_what_was_there_before_the_job_was_is_not_late(service: Service, within: Any, now: datetime) -> None:
    keys = service.deliver(
        *(Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(hours=hours)) for hours in range(1, 9))
    )
    service.job("account-b", {"objective": "1s"})
    daemon = within()

    daemon.wait_for("tick.finished", times=2)

    assert service.replica("account-b") == sorted(keys)
    assert daemon.facts("objects.copied_late") == []


def test_a_job_that_can_be_listed_at_last_keeps_its_objective(service: Service, within: Any, now: datetime) -> None:
    service.deliver(Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=10)))
    service.job("account-b", {"objective": "1s"})
    refusal = service.server.faults.add("ListObjectsV2", Status(403, "AccessDenied"))
    daemon = within()
    missed = daemon.wait_for("objective.missed")

    service.server.faults.remove(refusal)
    daemon.wait_for("objective.regained")

    assert missed["job"] == "account-b"


def test_a_rebuilt_state_is_told_once_it_is_stored(service: Service, within: Any, now: datetime) -> None:
    keys = service.deliver(Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=10)))
    service.job("account-b")
    first = within()
    wait_until(lambda: service.replica("account-b") == keys, what="the copy")
    first.stop()
    shutil.rmtree(service.state)
    stored: list[int] = []

    def look(event: str) -> None:
        if event == "ledger.rebuilt":
            with LedgerFile(service.state, now=time.time).open_readonly() as reader:
                stored.append(len(reader.ticks("account-b", 5)))

    again = within(look)
    again.wait_for("tick.finished", times=2)

    assert stored == [1]
    assert [facts["replicas"] for facts in again.facts("ledger.rebuilt")] == [1]


def test_a_removed_job_is_stopped_in_the_middle_and_forgotten(service: Service, within: Any, now: datetime) -> None:
    service.deliver(Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=10)))
    service.job("account-c")
    path = service.job("account-b", {"every": "1h"})
    let_go = threading.Event()
    service.server.faults.add("GetObject", Stall(let_go))
    daemon = within()
    wait_until(lambda: service.server.count("GetObject"), what="the copy under way")

    path.unlink()
    daemon.daemon.ask(Command.RELOAD)
    daemon.wait_for("configuration.reloaded")
    let_go.set()
    wait_until(lambda: "account-b" in [facts["job"] for facts in daemon.facts("tick.finished")], what="its end")

    assert service.replica("account-b") != []
    assert daemon.stop() == 0


def test_a_job_that_is_removed_while_the_end_of_its_tick_is_taken_in_leaves_nothing_behind(service: Service) -> None:
    service.job("account-b")
    given = files.load(service.config)
    (job,) = given.jobs
    state = DaemonState.of(
        now=time.time,
        monotonic=time.monotonic,
        tell=lambda *_, **__: None,
        gauges=lambda: Gauges(now=time.time(), healths=()),
    )
    installation = Installation.of(given, now=time.time, tell=state.problems.log)
    found = iter([job, job])
    ticker = Ticker(
        installation,
        state,
        find_job=lambda _: next(found, None),
        on_unwritable=lambda: None,
        on_rejected=lambda _: None,
    )

    ticker.tick(job.name)
    installation.close()

    labels = [sample.labels for family in state.metrics.collect() for sample in family.samples]
    assert service.ticks("account-b") == 1
    assert state.board.healths() == []
    assert [label for label in labels if label.get("syncd_job") == job.name] == []


def test_settings_that_change_are_followed(service: Service, within: Any, manager: ServiceManager) -> None:
    service.configure({"http": {"listen": ""}})
    service.job("account-b")
    daemon = within()
    daemon.wait_for("tick.finished")
    before = daemon.daemon.address

    service.configure({"http": {"listen": "127.0.0.1:0"}, "drain": "1s"})
    daemon.daemon.ask(Command.RELOAD)
    daemon.wait_for("http.listening")

    assert before is None
    assert daemon.daemon.address is not None
    manager.wait_for("RELOADING=1")


def test_a_state_directory_that_changes_is_refused_until_the_restart(service: Service, within: Any) -> None:
    service.job("account-b")
    daemon = within()
    daemon.wait_for("tick.finished")

    service.configure({"state_dir": str(service.folder / "elsewhere")})
    refused = daemon.wait_for("configuration.refused")

    assert "restart it" in refused["problems"][0]
    assert not (service.folder / "elsewhere").exists()
