"""What Prometheus is told, read back with its own parser."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from job_health import NOW, REFUSED, health, late, report
from prometheus_client.parser import text_string_to_metric_families

from syncd.config.job import Engine, JobEngine
from syncd.daemon.web.gauges import Gauges
from syncd.daemon.web.metrics import Metrics
from syncd.model.reports import Counts

GAUGES = Gauges(
    now=NOW,
    healths=[health("account-b", held_reasons={"kms_access_denied": 2}), late("account-c")],
    paused={"account-c": 120.0},
    running=["account-b"],
    ledger_bytes=4096,
    is_configuration_stale=True,
)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(lambda: GAUGES)


def samples(metrics: Metrics) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return samples(metrics).get(name, {}).get(tuple(sorted(labels.items())))


def progress(*, in_flight: int = 0, **counts: int) -> Any:
    return SimpleNamespace(counts=Counts(**counts), in_flight=in_flight)


def test_reports_add_up(metrics: Metrics) -> None:
    for _ in range(2):
        metrics.take_report(
            report(
                listed=30,
                copied=10,
                copied_bytes=1000,
                already_there=3,
                conflict_count=1,
                failed_count=2,
                failed_by_reason={"slow_down": 2},
                retried=4,
                copied_late=1,
                late_beyond_allowance=5,
                skipped={"already_copied": 7},
                requests={"AssumeRole": 1, "GetObject": 12},
            )
        )

    assert value(metrics, "syncd_objects_copied_total", syncd_job="account-b") == 20
    assert value(metrics, "syncd_objects_listed_total", syncd_job="account-b") == 60
    assert value(metrics, "syncd_bytes_copied_total", syncd_job="account-b") == 2000
    assert value(metrics, "syncd_objects_already_there_total", syncd_job="account-b") == 6
    assert value(metrics, "syncd_objects_conflicted_total", syncd_job="account-b") == 2
    assert value(metrics, "syncd_objects_failed_total", syncd_job="account-b", reason="slow_down") == 4
    assert value(metrics, "syncd_throttles_total", syncd_job="account-b") == 4
    assert value(metrics, "syncd_object_retries_total", syncd_job="account-b") == 8
    assert value(metrics, "syncd_objects_copied_late_total", syncd_job="account-b") == 2
    assert value(metrics, "syncd_objects_found_late_total", syncd_job="account-b") == 10
    assert value(metrics, "syncd_objects_skipped_total", syncd_job="account-b", reason="already_copied") == 14
    assert value(metrics, "syncd_requests_total", syncd_job="account-b", operation="AssumeRole") == 2
    assert value(metrics, "syncd_ticks_total", syncd_job="account-b", outcome="ok") == 2


def test_copied_objects_are_labelled_by_job_alone(metrics: Metrics) -> None:
    metrics.take_report(report(copied=1))

    assert set(samples(metrics)["syncd_objects_copied_total"]) == {
        (("syncd_job", "account-b"),),
        (("syncd_job", "account-c"),),
    }


def test_a_tick_under_way_counts_and_does_not_count_twice(metrics: Metrics) -> None:
    metrics.take_report(report(copied=5))
    metrics.take_progress("account-b", progress(copied=3))
    metrics.take_progress("account-b", progress(copied=40))
    under_way = value(metrics, "syncd_objects_copied_total", syncd_job="account-b")
    metrics.take_report(report(copied=50))

    assert under_way == 45
    assert value(metrics, "syncd_objects_copied_total", syncd_job="account-b") == 55


def test_what_is_in_flight_is_told_while_a_tick_runs_as_it_is_at_that_moment(metrics: Metrics) -> None:
    under_way = progress(in_flight=3)
    metrics.take_progress("account-b", under_way)
    under_way.in_flight = 100
    during = value(metrics, "syncd_objects_handed_over", syncd_job="account-b")
    metrics.take_report(report(copied=100))

    assert during == 100
    assert value(metrics, "syncd_objects_handed_over", syncd_job="account-b") == 0


LIMITS: dict[str, Any] = {"in_flight": 64, "memory": "5MiB", "requests_per_second": 500, "bytes_per_second": "1MiB"}


def test_every_limit_that_is_set_is_told_overall_and_of_each_job() -> None:
    gauges = replace(GAUGES, engine=Engine(**LIMITS), job_engines={"account-c": JobEngine(in_flight=8)})
    metrics = Metrics(lambda: gauges)

    assert value(metrics, "syncd_limit_objects_in_flight") == 64
    assert value(metrics, "syncd_limit_memory_bytes") == 5 * 1024**2
    assert value(metrics, "syncd_limit_requests_per_second") == 500
    assert value(metrics, "syncd_limit_bytes_per_second") == 1024**2
    assert value(metrics, "syncd_job_limit_objects_in_flight", syncd_job="account-c") == 8
    assert value(metrics, "syncd_job_limit_memory_bytes", syncd_job="account-c") is None


def test_a_limit_that_is_not_set_is_not_told_and_a_default_is(metrics: Metrics) -> None:
    assert value(metrics, "syncd_limit_objects_in_flight") == 128
    assert value(metrics, "syncd_limit_requests_per_second") is None
    assert value(metrics, "syncd_limit_bytes_per_second") is None


def test_what_a_tick_had_done_before_it_crashed_is_kept(metrics: Metrics) -> None:
    metrics.take_progress("account-b", progress(copied=40))

    metrics.take_crash("account-b")

    assert value(metrics, "syncd_objects_copied_total", syncd_job="account-b") == 40
    assert value(metrics, "syncd_tick_crashes_total", syncd_job="account-b") == 1


def test_lags_are_a_cumulative_histogram_of_each_job(metrics: Metrics) -> None:
    metrics.take_report(report(lags={"10": 1, "300": 2, "inf": 1}, lag_seconds=100_400.0))

    assert value(metrics, "syncd_lag_seconds_bucket", syncd_job="account-b", le="10.0") == 1
    assert value(metrics, "syncd_lag_seconds_bucket", syncd_job="account-b", le="900.0") == 3
    assert value(metrics, "syncd_lag_seconds_bucket", syncd_job="account-b", le="+Inf") == 4
    assert value(metrics, "syncd_lag_seconds_count", syncd_job="account-b") == 4
    assert value(metrics, "syncd_lag_seconds_sum", syncd_job="account-b") == 100_400


def test_durations_are_one_histogram_of_all_jobs(metrics: Metrics) -> None:
    metrics.take_report(report(duration_seconds=0.2))
    metrics.take_report(report("account-c", duration_seconds=20_000.0))
    metrics.take_report(report(outcome="already-running", duration_seconds=0.0))

    assert value(metrics, "syncd_tick_duration_seconds_bucket", le="0.25") == 1
    assert value(metrics, "syncd_tick_duration_seconds_bucket", le="7200.0") == 1
    assert value(metrics, "syncd_tick_duration_seconds_count") == 2


def test_failed_ticks_are_counted_by_reason_and_overruns_and_reloads_too(metrics: Metrics) -> None:
    metrics.take_report(report(outcome="failed", error=REFUSED))
    metrics.take_overrun("account-b")
    metrics.take_reload("refused")

    assert value(metrics, "syncd_tick_errors_total", syncd_job="account-b", reason="access_denied") == 1
    assert value(metrics, "syncd_tick_overruns_total", syncd_job="account-b") == 1
    assert value(metrics, "syncd_reloads_total", result="refused") == 1
    assert value(metrics, "syncd_reloads_total", result="done") == 0


def test_how_things_stand_is_told_for_each_job(metrics: Metrics) -> None:
    assert value(metrics, "syncd_jobs") == 2
    assert value(metrics, "syncd_ticks_running") == 1
    assert value(metrics, "syncd_ledger_bytes") == 4096
    assert value(metrics, "syncd_configuration_stale") == 1
    assert value(metrics, "syncd_objective_met", syncd_job="account-b") == 1
    assert value(metrics, "syncd_objective_met", syncd_job="account-c") == 0
    assert value(metrics, "syncd_horizon_age_seconds", syncd_job="account-c") == 9000
    assert value(metrics, "syncd_complete_until_timestamp_seconds", syncd_job="account-c") == NOW - 9000
    assert (
        value(metrics, "syncd_kind_complete_until_timestamp_seconds", syncd_job="account-b", kind="CloudTrail")
        == NOW - 1862
    )
    assert value(metrics, "syncd_quarantined_objects", syncd_job="account-b", reason="kms_access_denied") == 2
    assert value(metrics, "syncd_paused_seconds", syncd_job="account-c") == 120
    assert value(metrics, "syncd_oldest_listing_timestamp_seconds", syncd_job="account-b") == NOW - 62


def test_a_job_that_is_gone_takes_its_series_along(metrics: Metrics) -> None:
    metrics.take_report(report("left-us", copied=3))

    metrics.forget("left-us")

    assert b"left-us" not in metrics.exposition()


def test_two_daemons_in_one_process_share_no_registry() -> None:
    one, other = Metrics(lambda: GAUGES), Metrics(lambda: GAUGES)

    one.take_report(report(copied=3))

    assert value(other, "syncd_objects_copied_total", syncd_job="account-b") == 0


def test_the_process_is_among_the_metrics(metrics: Metrics) -> None:
    assert (value(metrics, "process_resident_memory_bytes") or 0) > 0


def test_counters_are_there_before_the_first_tick(metrics: Metrics) -> None:
    found = samples(metrics)

    counters = {name for name in found if name.startswith("syncd_") and name.endswith("_total")}
    assert {"syncd_objects_copied_total", "syncd_tick_crashes_total", "syncd_ticks_total"} <= counters
    assert value(metrics, "syncd_ticks_total", syncd_job="account-b", outcome="failed") == 0
    assert value(metrics, "syncd_requests_total", syncd_job="account-b", operation="PutObject") == 0
    assert value(metrics, "syncd_lag_seconds_count", syncd_job="account-b") == 0


def many(count: int, job_metrics: str) -> Metrics:
    """The metrics of so many jobs with the longest names, all of which have ticked and failed."""
    jobs = [f"{number:064d}" for number in range(count)]
    metrics = Metrics(lambda: Gauges(now=NOW, healths=[late(job) for job in jobs], job_metrics=job_metrics))
    for job in jobs:
        metrics.take_report(report(job, outcome="failed", error=REFUSED, copied=2, requests={"AssumeRole": 1}))
    return metrics


@pytest.mark.parametrize("job_metrics", ["auto", "essential"])
def test_the_metrics_of_ten_thousand_jobs_are_less_than_five_megabytes(job_metrics: str) -> None:
    metrics = many(10_000, job_metrics)

    assert len(metrics.exposition()) < 5_000_000


def test_what_is_essential_of_each_job_and_all_of_all_jobs_together() -> None:
    metrics = many(3, "essential")
    one = {"syncd_job": f"{1:064d}"}

    assert value(metrics, "syncd_objective_met", **one) == 0
    assert value(metrics, "syncd_tick_crashes_total", **one) == 0
    assert value(metrics, "syncd_objects_copied_total", **one) is None
    assert value(metrics, "syncd_objects_copied_total") == 6
    assert value(metrics, "syncd_ticks_total", outcome="failed") == 3
    assert value(metrics, "syncd_requests_total", operation="AssumeRole") == 3
    metrics.forget(one["syncd_job"])
    assert value(metrics, "syncd_objects_copied_total") == 6


def test_without_metrics_of_jobs_no_job_is_named() -> None:
    metrics = many(3, "none")

    assert b"syncd_job=" not in metrics.exposition()
    assert value(metrics, "syncd_objects_copied_total") == 6
    assert value(metrics, "syncd_jobs") == 3
    assert value(metrics, "syncd_jobs_late") == 3


def test_a_tick_under_way_or_crashed_counts_in_what_all_jobs_did() -> None:
    metrics = many(2, "none")
    metrics.take_progress("a", progress(in_flight=7, copied=40))
    under_way = value(metrics, "syncd_objects_copied_total"), value(metrics, "syncd_objects_handed_over")
    metrics.take_crash("a")

    assert under_way == (44, 7)
    assert value(metrics, "syncd_objects_copied_total") == 44
    assert value(metrics, "syncd_tick_crashes_total") == 1
    assert value(metrics, "syncd_objects_handed_over") == 0


def test_every_count_of_a_common_failure_is_there_before_the_first_comes(metrics: Metrics) -> None:
    for reason in ("access_denied", "connection_failed", "kms_access_denied", "slow_down", "timeout"):
        assert value(metrics, "syncd_objects_failed_total", syncd_job="account-b", reason=reason) == 0
        assert value(metrics, "syncd_tick_errors_total", syncd_job="account-b", reason=reason) == 0
    assert value(metrics, "syncd_objects_skipped_total", syncd_job="account-b", reason="timeout") is None
