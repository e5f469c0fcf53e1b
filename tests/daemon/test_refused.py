"""A daemon beside whose honest jobs one job's file cannot be used."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from job_health import board as board_of
from jobs import configuration
from jobs import job as job_named
from service import Service
from waiting import wait_until

from syncd.config.job import RefusedJob
from syncd.daemon.log.repeats import AGAIN_AFTER_SECONDS
from syncd.daemon.reload import RefusedJobs, _with_kept
from syncd.daemon.ticker import DaemonState
from syncd.daemon.web.page import overview
from syncd.model import events
from syncd.model.errors import Problem

FILE = Path("/etc/syncd/jobs.d/b.toml")
REFUSED = RefusedJob(FILE, "account-b", (Problem(str(FILE), "every", "is wrong"),))


def test_the_others_start_and_the_broken_one_is_told_everywhere(service: Service, now: datetime) -> None:
    service.deliver(Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=10)))
    service.job("account-b")
    path = service.job("account-c", {"every": "soon"})

    with service.running() as daemon:
        refused = daemon.wait_for("job.refused")
        daemon.wait_for("tick.finished", job="account-b", times=2)
        fresh, page = daemon.get("/freshz"), daemon.get("/")
        of_job = daemon.get("/jobs/account-c")
        metrics = [
            daemon.metric('syncd_job_refused{syncd_job="account-c"}'),
            daemon.metric('syncd_last_tick_failed{syncd_job="account-c"}'),
            daemon.metric('syncd_last_tick_failed{syncd_job="account-b"}'),
            daemon.metric("syncd_jobs"),
            daemon.metric("syncd_configuration_stale"),
        ]
        code = daemon.stopped()

    assert (refused["job"], refused["level"], refused["runs_as_before"]) == ("account-c", "error", False)
    assert f"{path}: every" in refused["problems"][0]
    assert (fresh[0], json.loads(fresh[1])["late"]) == (503, ["account-c"])
    assert "its file is invalid" in " ".join(json.loads(fresh[1])["jobs"][0]["why"])
    assert "refused" in page[1]
    assert f"{path}: every" in page[1]
    assert (of_job[0], f"{path}: every" in of_job[1]) == (503, True)
    assert metrics == [1, 1, 0, 1, 1]
    assert code == 0


def test_it_runs_as_soon_as_its_file_is_right(service: Service) -> None:
    service.job("account-b")
    service.job("account-c", {"every": "soon"})

    with service.running() as daemon:
        daemon.wait_for("job.refused")
        service.job("account-c")
        daemon.wait_for("job.admitted", job="account-c")
        daemon.wait_for("tick.finished", job="account-c")
        stale = daemon.metric("syncd_configuration_stale")
        daemon.stopped()

    assert stale == 0


def test_a_broken_edit_of_one_job_leaves_it_as_it_was_and_takes_the_others(service: Service) -> None:
    service.job("account-b")
    service.job("account-c")

    with service.running() as daemon:
        daemon.wait_for("tick.finished", job="account-c")
        service.job("account-c", {"every": "soon"})
        service.job("account-b", {"every": "2s"})
        refused = daemon.wait_for("job.refused")
        reloaded = daemon.wait_for("configuration.reloaded")
        ticks = service.ticks("account-c")
        wait_until(lambda: service.ticks("account-c") >= ticks + 2, what="two more ticks")
        page = daemon.get("/")
        metrics = [daemon.metric('syncd_job_refused{syncd_job="account-c"}'), daemon.metric("syncd_jobs")]
        daemon.stopped()

    assert (refused["job"], refused["runs_as_before"]) == ("account-c", True)
    assert (reloaded["refused"], reloaded["removed"]) == (["account-c"], [])
    assert "runs as before" in page[1]
    assert metrics == [1, 2]


def test_a_job_whose_place_was_taken_meanwhile_is_not_kept(tmp_path: Path) -> None:
    before = configuration(tmp_path, job_named("b"))
    taker = job_named("c").model_copy(update={"destination": before.jobs[0].destination})
    after = configuration(tmp_path, taker)
    file = before.files[1] if len(before.files) > 1 else FILE

    found = _with_kept(before, type(after)(after.settings, after.jobs, after.files, (RefusedJob(file, "b", ()),)))

    assert [job.name for job in found.jobs] == ["c"]
    assert [refused.is_kept for refused in found.refused] == [False]


def test_the_complaint_comes_again_after_an_hour_and_ends_when_it_is_over() -> None:
    told: list[tuple[str, object]] = []
    at = [0.0]
    state = DaemonState.of(
        now=lambda: at[0],
        monotonic=lambda: at[0],
        tell=lambda event, **facts: told.append((event, facts["job"])),
        gauges=lambda: pytest.fail("nobody asks"),
    )
    refused_jobs = RefusedJobs(state, monotonic=lambda: at[0])

    refused_jobs.take([REFUSED])
    refused_jobs.remind()
    at[0] += AGAIN_AFTER_SECONDS
    refused_jobs.remind()
    refused_jobs.remind()
    refused_jobs.take([REFUSED])
    refused_jobs.take([])
    at[0] += AGAIN_AFTER_SECONDS
    refused_jobs.remind()

    assert told == [(events.JOB_REFUSED, "account-b")] * 3 + [(events.JOB_ADMITTED, "account-b")]


def test_a_page_shows_what_is_wrong_with_the_file_once() -> None:
    board = board_of()
    board.refuse([REFUSED])

    page = overview(board, now=1.0)

    assert page.count("every: is wrong") == 1
    assert "1 of 1 job needs attention: 1 refused" in page
