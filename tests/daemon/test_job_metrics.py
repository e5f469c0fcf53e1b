"""The metrics of each job, as an operator turns them on and off."""

import threading

import pytest
from faulty import Stall
from service import Service
from waiting import wait_until

from syncd.model.reasons import Reason


def test_counters_are_there_before_the_first_tick_has_ended(service: Service) -> None:
    go_on = threading.Event()
    held = service.server.faults.add("AssumeRole", Stall(go_on))
    service.job("account-b")

    with service.running() as daemon:
        wait_until(lambda: held.hits > 0, what="the first tick")
        scraped = daemon.get("/metrics")[1].splitlines()
        go_on.set()
        assert daemon.stopped() == 0

    assert 'syncd_objects_copied_total{syncd_job="account-b"} 0.0' in scraped
    assert 'syncd_tick_crashes_total{syncd_job="account-b"} 0.0' in scraped
    assert 'syncd_ticks_total{outcome="failed",syncd_job="account-b"} 0.0' in scraped
    for reason in (Reason.ACCESS_DENIED, Reason.KMS_DELETING, Reason.RESOURCE_LIMIT):
        assert f'syncd_objects_failed_total{{reason="{reason}",syncd_job="account-b"}} 0.0' in scraped
        assert f'syncd_tick_errors_total{{reason="{reason}",syncd_job="account-b"}} 0.0' in scraped
    assert 'syncd_objects_skipped_total{reason="archived",syncd_job="account-b"} 0.0' in scraped


@pytest.mark.parametrize(
    ("job_metrics", "of_jobs", "together"),
    [
        ("auto", {"syncd_objective_met", "syncd_objects_listed_total"}, {"syncd_jobs_late"}),
        ("all", {"syncd_objective_met", "syncd_objects_listed_total"}, {"syncd_jobs_late"}),
        ("essential", {"syncd_objective_met"}, {"syncd_jobs_late", "syncd_objects_listed_total"}),
        ("none", set(), {"syncd_jobs_late", "syncd_objects_listed_total"}),
    ],
)
def test_the_metrics_of_each_job_are_chosen_by_a_key(
    job_metrics: str, of_jobs: set[str], together: set[str], service: Service
) -> None:
    service.configure({"http.job_metrics": job_metrics})
    service.job("account-b")

    with service.running() as daemon:
        daemon.wait_for("tick.finished")
        scraped = daemon.get("/metrics")[1].splitlines()
        assert daemon.stopped() == 0

    names = {line.partition("{")[0] for line in scraped if 'syncd_job="account-b"' in line}
    alone = {line.split()[0] for line in scraped if "{" not in line}
    asked = of_jobs | together
    assert (names & asked, alone & asked) == (of_jobs, together)
