"""Ready is the daemon that serves and schedules; fresh is the job that meets its objective."""

import json
import signal
import subprocess
import threading
from datetime import datetime, timedelta

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from faulty import Stall, Status
from service import LONGEST_SECONDS, PROGRAM, Service
from waiting import wait_until

from syncd.daemon.web.messages import Reply
from syncd.daemon.web.server import WebServer


@pytest.mark.parametrize("first_tick", ["denied", "long"])
def test_a_job_that_is_denied_or_takes_long_makes_no_daemon_unready(
    first_tick: str, service: Service, now: datetime
) -> None:
    service.deliver(Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=10)))
    service.job("account-b")
    service.job("account-c")
    go_on = threading.Event()
    fault = Stall(go_on) if first_tick == "long" else Status(403, "AccessDenied", "not authorized")
    held = service.server.faults.add(service.assumes("account-c"), fault)

    with service.running() as daemon:
        daemon.wait_for("tick.finished", job="account-b")
        wait_until(lambda: held.hits > 0, what="the other's fault")
        ready, alive, fresh = (daemon.get(path) for path in ("/readyz", "/healthz", "/freshz"))
        go_on.set()
        assert daemon.stopped() == 0

    assert (ready[0], json.loads(ready[1])) == (200, {"ready": True, "why": None})
    assert alive[0] == 200
    document = json.loads(fresh[1])
    assert (fresh[0], document["fresh"], document["late"], document["job_count"]) == (503, False, ["account-c"], 2)


def test_a_daemon_that_stops_is_not_ready(service: Service, now: datetime) -> None:
    service.deliver(Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=10)))
    service.job("account-b")
    go_on = threading.Event()
    held = service.server.faults.add("PutObject", Stall(go_on))

    with service.running() as daemon:
        wait_until(lambda: held.hits > 0, what="a write in flight")
        daemon.send(signal.SIGTERM)
        daemon.wait_for("daemon.stopping")
        status, body = daemon.get("/readyz")
        go_on.set()
        assert daemon.ended() == 0

    assert (status, json.loads(body)) == (503, {"ready": False, "why": "the daemon is stopping"})


def test_a_heartbeat_is_the_jobs_own(service: Service, now: datetime) -> None:
    service.deliver(*(Trail().log(account, REGIONS[0], now - timedelta(minutes=10)) for account in ACCOUNTS))
    paths: list[str] = []

    def answer(path: str, _query: object) -> Reply:
        paths.append(path)
        return Reply(b"", "text/plain")

    server = WebServer(("127.0.0.1", 0), answer)
    service.configure({"heartbeat_url": f"http://{server.address}/all"})
    service.server.faults.add(service.assumes("account-c"), Status(403, "AccessDenied", "not authorized"))
    for name in ("account-b", "account-c"):
        service.job(name)

    with service.running() as daemon:
        daemon.wait_for("tick.finished", job="account-b", outcome="ok")
        for name in ("account-b", "account-c"):
            service.job(name, {"heartbeat_url": f"http://{server.address}/{{job}}/ping"})
        daemon.send(signal.SIGHUP)
        wait_until(lambda: paths, what="a call")
        assert daemon.stopped() == 0
    server.close()

    assert set(paths) == {"/account-b/ping"}


@pytest.mark.parametrize("where", ["in defaults", "in two jobs"])
def test_a_url_of_two_jobs_is_refused_with_the_remedy(where: str, service: Service) -> None:
    url = "https://heartbeat.example.com/geheim"
    service.configure({"defaults": {"heartbeat_url": url}} if where == "in defaults" else {})
    for name in ("account-b", "account-c"):
        service.job(name, {} if where == "in defaults" else {"heartbeat_url": url})

    command = [PROGRAM, "config", "validate", "--config", service.config]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False)
    told = ran.stdout + ran.stderr

    assert ran.returncode == 2
    assert "heartbeat_url" in told
    assert "{job}" in told
    assert "geheim" not in told
