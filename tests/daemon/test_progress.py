"""A first tick under way is told of everywhere as what it is, and not as a failure."""

import json
import os
import pty
import re
import signal
import subprocess
from datetime import datetime
from typing import Any

import pytest
from builders import ACCOUNTS, REGIONS, Trail, days_before
from service import LONGEST_SECONDS, PROGRAM, Service
from waiting import wait_until

from syncd.job.exit_codes import DONE

LOGS = 1_500
UNDER_WAY = re.compile(r"\d+ of (at least )?1,\d\d\d objects copied, [\d.]+/s, about \d+[sm]")


@pytest.fixture
def slow(service: Service, now: datetime) -> Service:
    """A job whose first tick takes long: a month of logs, and few requests a second."""
    service.deliver(*Trail().span(ACCOUNTS[:1], REGIONS[:1], days_before(now, 30), logs=LOGS // 30))
    service.configure({"engine.requests_per_second": 60})
    service.job("account-b", {"every": "5m"})
    return service


def test_a_daemon_tells_how_far_a_first_tick_is(slow: Service) -> None:
    with slow.running() as daemon:
        wait_until(
            lambda: (
                daemon.metric('syncd_running_objects_done{syncd_job="account-b"}') > 20
                and all(UNDER_WAY.search(daemon.get(path)[1]) for path in ("/", "/jobs/account-b"))
            ),
            seconds=LONGEST_SECONDS,
            what="progress in the metrics and on the pages",
        )
        page, job_page, fresh = (daemon.get(path)[1] for path in ("/", "/jobs/account-b", "/freshz"))
        known = daemon.metric('syncd_running_objects_known{syncd_job="account-b"}')
        starting = daemon.metric('syncd_jobs_by_health{health="starting"}')
        ready = daemon.get("/readyz")[0]
        code, status = slow.status()
        assert daemon.stopped() == 0

    (job,) = status["jobs"]
    (running,) = job["running"]
    assert (code, job["health"], job["healthy"], job["why"]) == (DONE, "starting", True, [])
    assert 20 <= running["done"] < running["known"] <= LOGS
    assert running["kind"] == "tick"
    assert (ready, starting) == (200, 1.0)
    assert 20 < known <= LOGS
    for text in (page, job_page):
        assert UNDER_WAY.search(text), text
        assert "never ticked" not in text
    assert "Nothing is wrong with 1 job: 1 starting" in page
    (entry,) = json.loads(fresh)["jobs"]
    assert (entry["health"], entry["running"]["known"] > 0) == ("starting", True)


def test_what_ended_is_under_way_no_more(service: Service, now: datetime) -> None:
    service.deliver(*Trail().span(ACCOUNTS[:1], REGIONS[:1], days_before(now, 1), logs=5))
    service.job("account-b", {"every": "5m"})

    with service.running() as daemon:
        daemon.wait_for("tick.finished", job="account-b")
        wait_until(lambda: not service.status()[1]["jobs"][0]["running"], what="the end of the tick")
        metrics = daemon.get("/metrics")[1]
        assert daemon.stopped() == 0

    assert 'syncd_running_objects_known{syncd_job="account-b"}' not in metrics


def test_a_process_that_was_killed_is_under_way_no_more(slow: Service) -> None:
    with slow.running() as daemon:
        wait_until(lambda: slow.status()[1]["jobs"][0]["running"], seconds=LONGEST_SECONDS, what="progress in status")
        daemon.send(signal.SIGKILL)
        daemon.ended()

    (job,) = slow.status()[1]["jobs"]

    assert (job["running"], job["health"]) == ([], "late")


@pytest.mark.parametrize("words", [("tick",), ("catch-up", "--from", "2026-01-01")], ids=lambda words: words[0])
def test_a_terminal_shows_a_bar_and_then_the_table_once(slow: Service, words: tuple[str, ...]) -> None:
    shown = on_a_terminal(slow, *words)

    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert re.search(r"account-b .*\d+/[\d,]+\+?  [\d.]+/s  [\d.]+ (B|KiB)", plain), plain
    assert "interrupted" in plain.rpartition("Outcome")[2]
    assert plain.count("Outcome") == 1
    assert "tick.finished" not in plain
    assert "catch_up.finished" not in plain
    assert "{'" not in plain


def on_a_terminal(service: Service, *words: str) -> str:
    """What a verb shows on a terminal of 80 columns until it is interrupted, a while after its first rate."""
    ours, theirs = pty.openpty()
    environment: dict[str, Any] = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
    command = [PROGRAM, *words, "--config", str(service.config)]
    shown = b""
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        try:
            while piece := os.read(ours, 4096):
                shown += piece
                if b"/s " in shown:
                    process.send_signal(signal.SIGINT)
        except OSError:
            pass  # the other end is closed
        finally:
            process.kill()
    os.close(ours)
    return shown.decode()
