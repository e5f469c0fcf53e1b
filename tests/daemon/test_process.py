"""The daemon as a process: how it starts, ticks, is told to reload, drains, and is killed."""

import resource
import signal
import threading
from datetime import datetime, timedelta

from builders import ACCOUNTS, REGIONS, Delivery, Trail
from faulty import Slow, Stall, Status, on
from service import Running, Service, ServiceManager
from waiting import wait_until

B, C = ACCOUNTS[0], ACCOUNTS[1]


def logs(now: datetime, count: int, account: str = B) -> list[Delivery]:
    """So many logs of the last minutes."""
    return [Trail().log(account, REGIONS[0], now - timedelta(minutes=10), number) for number in range(count)]


def test_it_says_that_it_is_ready_and_how_its_jobs_are(
    service: Service, manager: ServiceManager, now: datetime
) -> None:
    service.deliver(*logs(now, 1), *logs(now, 1, C))
    service.job("account-b")
    service.job("account-c")

    with service.running(manager.environment) as daemon:
        ready = manager.wait_for("READY=1")
        daemon.wait_for("tick.finished", job="account-c")
        manager.wait_for("STATUS=All 2 jobs are healthy")
        code = daemon.stopped()

    assert ready[0] == "READY=1"
    assert manager.received("STOPPING=1")
    assert code == 0


def test_the_watchdog_is_fed_however_a_job_fares(service: Service, manager: ServiceManager) -> None:
    service.job("account-b")
    service.server.faults.add("AssumeRole", Status(403, "AccessDenied", "not authorized"))

    with service.running({**manager.environment, "WATCHDOG_USEC": "900000"}) as daemon:
        daemon.wait_for("tick.failed")
        manager.wait_for("WATCHDOG=1", times=2)

        assert daemon.get("/healthz")[0] == 200
        assert daemon.stopped() == 0


def test_a_good_edit_is_read_by_itself_and_touches_no_other_job(
    service: Service, manager: ServiceManager, now: datetime
) -> None:
    service.job("account-b")
    service.job("account-z", {"every": "1h"}, file="third")

    with service.running(manager.environment) as daemon:
        daemon.wait_for("tick.finished", job="account-b")
        # One job takes the place of the other at one stroke: what was edited in two steps may be read in two.
        service.job("account-c", file="third")
        reloaded = daemon.wait_for("configuration.reloaded")
        daemon.wait_for("tick.finished", job="account-c")
        service.deliver(*logs(now, 1))
        wait_until(lambda: service.replica("account-b"), what="the copy of the job that was not touched")

        assert (reloaded["added"], reloaded["changed"], reloaded["removed"]) == (["account-c"], [], ["account-z"])
        assert daemon.get("/jobs/account-z")[0] == 404
        assert daemon.metric("syncd_jobs") == 2
        assert daemon.stopped() == 0
    assert not daemon.told("daemon.started")[1:]
    reloading = manager.received("RELOADING=1")[0]
    assert reloading[1].startswith("MONOTONIC_USEC=")
    assert len(manager.received("READY=1")) == 2


def test_a_broken_edit_is_refused_loudly_and_the_old_configuration_stays(service: Service) -> None:
    path = service.job("account-b")

    with service.running() as daemon:
        daemon.wait_for("tick.finished")
        service.job("account-b", {"every": "soon", "source.buckett": "x"})
        refused = daemon.wait_for("configuration.refused")
        ticks = service.ticks("account-b")
        wait_until(lambda: service.ticks("account-b") >= ticks + 2, what="two more ticks")

        assert daemon.metric("syncd_configuration_stale") == 1
        assert daemon.metric('syncd_reloads_total{result="refused"}') == 1
        service.job("account-b", {"every": "2s"})
        daemon.wait_for("configuration.reloaded")
        assert daemon.metric("syncd_configuration_stale") == 0
        assert daemon.stopped() == 0
    assert refused["level"] == "error"
    assert [problem.startswith(str(path)) for problem in refused["problems"]] == [True, True]


def test_a_job_that_is_changed_in_the_middle_of_its_tick_goes_on_as_it_is_now(service: Service, now: datetime) -> None:
    keys = service.deliver(*logs(now, 40))
    service.job("account-b", {"every": "1h", "engine": {"in_flight": 2}})
    go_on = threading.Event()
    still = service.server.faults.add("PutObject", Stall(go_on))

    with service.running() as daemon:
        wait_until(lambda: still.hits >= 2, what="the writes in flight")
        service.job("account-b", {"every": "1h", "engine": {"in_flight": 64}})
        daemon.send(signal.SIGHUP)
        daemon.wait_for("configuration.reloaded")
        go_on.set()
        daemon.wait_for("tick.finished", outcome="interrupted")
        daemon.wait_for("tick.finished", outcome="ok")

        assert daemon.stopped() == 0
    assert service.replica("account-b") == sorted(keys)
    assert service.server.count("PutObject") == len(keys)


def test_sigterm_in_the_middle_of_copies_ends_with_0_and_a_restart_copies_the_rest_once(
    service: Service, now: datetime
) -> None:
    keys = service.deliver(*logs(now, 120))
    service.job("account-b", {"engine": {"in_flight": 4}})
    # So slow that most objects are left for long after the signal.
    slow = service.server.faults.add("PutObject", Slow(0.5))
    with service.running() as daemon:
        wait_until(lambda: service.server.count("PutObject") >= 8, what="some writes")
        code = daemon.stopped()
        report = daemon.told("tick.finished")[-1]
    there = len(service.replica("account-b"))
    service.server.faults.remove(slow)

    with service.running() as again:
        wait_until(lambda: len(service.replica("account-b")) == len(keys), what="the rest of the copies")
        again.stopped()

    assert (code, report["outcome"]) == (0, "interrupted")
    assert report["copied"] == there < len(keys)
    assert daemon.told("daemon.stopped", exit_code=0, left_behind=[])
    assert service.server.count("PutObject") == len(keys)


def test_a_second_signal_gives_up_what_is_in_flight(service: Service, now: datetime) -> None:
    service.configure({"drain": "10m"})
    service.deliver(*logs(now, 3))
    service.job("account-b", {"every": "1h"})
    service.server.faults.add("PutObject", Stall())

    with service.running() as daemon:
        wait_until(lambda: service.server.count("PutObject") >= 3, what="the writes")
        daemon.send(signal.SIGTERM)
        daemon.wait_for("daemon.stopping")
        code = daemon.stopped()

    assert code == 0
    assert daemon.told("daemon.abandoned", jobs=["account-b"])
    assert daemon.told("daemon.stopped", left_behind=[])


def test_a_job_that_hangs_holds_up_neither_the_others_nor_the_end(service: Service) -> None:
    service.configure({"drain": "6s"})
    service.job("account-b")
    service.job("account-c")
    service.server.faults.add(service.assumes("account-b"), Stall())

    with service.running() as daemon:
        wait_until(lambda: service.ticks("account-b") >= 1, what="the tick that hangs")
        daemon.wait_for("tick.finished", job="account-c", times=2)
        daemon.wait_for("tick.overran", job="account-b", reason="running")
        code = daemon.stopped()

    assert code == 0
    # One tick: the call by the wire, and botocore's.
    assert service.ticks("account-b") <= 2
    assert daemon.told("daemon.stopped", left_behind=["account-b"])


def test_a_killed_daemon_leaves_nothing_that_its_successor_stumbles_over(service: Service, now: datetime) -> None:
    keys = service.deliver(*logs(now, 60))
    service.job("account-b", {"engine": {"in_flight": 4}})
    slow = service.server.faults.add("PutObject", Slow(0.1))
    with service.running() as daemon:
        wait_until(lambda: service.server.count("PutObject") >= 8, what="some writes")
        daemon.stopped(signal.SIGKILL)
    service.server.faults.remove(slow)

    with service.running() as again:
        wait_until(lambda: len(service.replica("account-b")) == len(keys), what="the rest of the copies")
        again.wait_for("tick.finished", outcome="ok")
        code = again.stopped()

    assert code == 0
    assert not again.told("tick.skipped")


def test_of_two_daemons_on_one_state_the_second_says_once_who_is_ticking(service: Service, now: datetime) -> None:
    service.deliver(*logs(now, 1))
    service.job("account-b")
    stall = service.server.faults.add("GetObject", Stall())
    with service.running() as first:
        wait_until(lambda: stall.hits, what="the tick that takes long")
        with service.running() as second:
            wait_until(lambda: _ticked(second, "already-running") >= 2, what="two ticks that are skipped")
            code = second.stopped()
        skipped = second.told("tick.skipped")
        first.send(signal.SIGKILL)

    assert code == 0
    assert [item["job"] for item in skipped] == ["account-b"]
    assert f"pid {first.pid} " in skipped[0]["detail"]


def _ticked(daemon: Running, outcome: str) -> float:
    return daemon.metric(f'syncd_ticks_total{{outcome="{outcome}",syncd_job="account-b"}}')


def test_a_full_disk_fails_the_tick_and_is_over_when_there_is_room(service: Service, now: datetime) -> None:
    service.job("account-b")

    with service.running() as daemon:
        daemon.wait_for("tick.finished")
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (512, resource.RLIM_INFINITY))
        key = service.deliver(*logs(now, 1))
        failed = daemon.wait_for("tick.failed")
        # A tick is told of before it is counted and shown.
        wait_until(lambda: daemon.metric('syncd_last_tick_failed{syncd_job="account-b"}') == 1, what="the failed tick")
        pages = ("/", "/jobs/account-b")
        remedy = "free space on the disk that holds state_dir"
        wait_until(lambda: all(remedy in daemon.get(page)[1] for page in pages), what="the remedy on the pages")
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        recovered = daemon.wait_for("tick.recovered")
        wait_until(lambda: service.replica("account-b") == key, what="the copy")
        code = daemon.stopped()

    assert failed["error"]["reason"] == "disk_full"
    assert recovered["failures"] >= 1
    assert code == 0


def test_a_role_that_is_refused_pauses_its_job_until_somebody_asks_for_it(service: Service) -> None:
    service.job("account-b")
    service.job("account-c")
    refusal = service.server.faults.add(service.assumes("account-b"), Status(403, "AccessDenied", "not authorized"))

    with service.running() as daemon:
        paused = daemon.wait_for("job.paused")
        daemon.wait_for("tick.finished", job="account-c", times=2)
        ticks_paused = service.ticks("account-b")
        pause_left = daemon.metric('syncd_paused_seconds{syncd_job="account-b"}')
        service.server.faults.remove(refusal)
        daemon.send(signal.SIGHUP)
        daemon.wait_for("job.resumed", job="account-b")
        daemon.wait_for("tick.recovered", job="account-b", failures=1)
        code = daemon.stopped()

    assert (paused["reason"], paused["attempts"]) == ("access_denied", 1)
    assert "its trust policy names this principal" in paused["remedy"]
    assert ticks_paused == 1
    assert pause_left > 0
    assert code == 0


def test_what_still_fails_when_somebody_asks_is_told_again(service: Service) -> None:
    service.job("account-b")
    service.server.faults.add(service.assumes("account-b"), Status(403, "AccessDenied", "not authorized"))

    with service.running() as daemon:
        daemon.wait_for("job.paused")
        daemon.send(signal.SIGHUP)
        failed = daemon.wait_for("tick.failed", times=2)
        paused = daemon.wait_for("job.paused", times=2)
        service.job("account-b", {"lateness": "20m"})
        daemon.wait_for("job.paused", times=3)
        code = daemon.stopped()

    assert failed["repeated"] == paused["repeated"] == 1
    assert code == 0


def test_a_pause_that_an_edit_ended_is_told_to_be_over_and_the_next_one_is_told(service: Service) -> None:
    service.job("account-b")
    refuse = service.assumes("account-b"), Status(403, "AccessDenied", "not authorized")
    refusal = service.server.faults.add(*refuse)

    with service.running() as daemon:
        daemon.wait_for("job.paused")
        service.server.faults.remove(refusal)
        service.job("account-b", {"lateness": "20m"})
        resumed = daemon.wait_for("job.resumed")
        service.server.faults.add(*refuse)
        paused = daemon.wait_for("job.paused", times=2)
        code = daemon.stopped()

    assert resumed["attempts"] == paused["attempts"] == 1
    assert "repeated" not in paused
    assert code == 0


def test_an_address_that_is_taken_keeps_nothing_from_being_copied(service: Service, now: datetime) -> None:
    address = service.server.url.removeprefix("http://")
    service.configure({"http": {"listen": address}})
    service.deliver(*logs(now, 1))
    service.job("account-b")

    with service.running() as daemon:
        unavailable = daemon.wait_for("http.unavailable")
        wait_until(lambda: service.replica("account-b"), what="the copy")
        code = daemon.stopped()

    assert unavailable["listen"] == address
    assert code == 0


def test_what_is_denied_at_the_destination_is_told_once_and_shown_with_its_remedy(
    service: Service, now: datetime
) -> None:
    service.deliver(*logs(now, 2))
    service.job("account-b")
    denial = service.server.faults.add(on("PutObject"), Status(403, "AccessDenied", "not authorized"))

    with service.running() as daemon:
        daemon.wait_for("tick.finished", times=2)
        page = daemon.get("/jobs/account-b")[1]
        held = daemon.metric('syncd_quarantined_objects{reason="access_denied",syncd_job="account-b"}')
        service.server.faults.remove(denial)
        code = daemon.stopped()

    assert len(daemon.told("object.failed")) == 2
    assert held == 2
    assert "add the missing permission to the policy of the principal named here" in page
    assert code == 0


def test_nothing_secret_is_shown_or_logged(service: Service, now: datetime) -> None:
    service.configure({"heartbeat_url": "http://127.0.0.1:9/secret-path", "log": {"level": "debug"}})
    service.deliver(*logs(now, 1))
    service.job("account-z")
    consumer = service.world.consumer("account-z")
    with service.running() as first:
        first.wait_for("tick.finished")
        first.stopped()

    with service.running() as daemon:
        daemon.wait_for("heartbeat.failed")
        shown = [daemon.get(path)[1] for path in ("/", "/jobs/account-z", "/metrics", "/readyz", "/freshz", "/healthz")]
        code = daemon.stopped()

    told = "".join(shown) + str(first.events + daemon.events)
    secrets = ("secret-path", consumer.external_id, consumer.access_key_id, consumer.secret_access_key)
    assert [secret for secret in secrets if str(secret) in told] == []
    assert code == 0
