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

    assert list(samples(metrics)["syncd_objects_copied_total"]) == [(("syncd_job", "account-b"),)]


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
    during = value(metrics, "syncd_objects_in_flight", syncd_job="account-b")
    metrics.take_report(report(copied=100))

    assert during == 100
    assert value(metrics, "syncd_objects_in_flight", syncd_job="account-b") == 0


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
    metrics.take_report(report("gone", copied=3))

    metrics.forget("gone")

    assert b"gone" not in metrics.exposition()


def test_two_daemons_in_one_process_share_no_registry() -> None:
    one, other = Metrics(lambda: GAUGES), Metrics(lambda: GAUGES)

    one.take_report(report(copied=3))

    assert value(other, "syncd_objects_copied_total", syncd_job="account-b") is None


def test_the_process_is_among_the_metrics(metrics: Metrics) -> None:
    assert (value(metrics, "process_resident_memory_bytes") or 0) > 0
