"""Whether a job keeps its objective: what is missing, what was not listed, and what only is quiet."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.job.health.freshness import (
    Deadline,
    Lags,
    Promise,
    bound,
    deadline,
    fresh_until,
    lags_of,
    last_look,
    percentile,
    span,
    within_words,
)
from syncd.model.objects import Shard, ShardState
from syncd.model.reports import LAG_BOUNDS, lag_bucket

NOW = 1_795_500_000.0
PROMISE = Promise(objective=900.0, lateness=1800.0, period=300.0, idle_every=900.0, discovery_every=3600.0)
SHARD = Shard("AWSLogs/222222222222/CloudTrail/eu-west-1/", "222222222222", "CloudTrail", "eu-west-1")
LISTED = ShardState(shard=SHARD, listed_at=NOW, complete_until=NOW - 1800, newest_arrival=NOW - 60)


def test_a_shard_is_fresh_for_its_objective_after_each_listing() -> None:
    assert fresh_until(LISTED, PROMISE) == NOW + 900


def test_a_shard_that_was_never_listed_to_its_end_is_not_fresh() -> None:
    assert fresh_until(ShardState(shard=SHARD), PROMISE) == 0


def test_an_object_that_is_missing_counts_by_its_own_stamp() -> None:
    held = LISTED._replace(complete_until=NOW - 7200 - 1)

    assert fresh_until(held, PROMISE) == NOW - 7200 - 1 + 1800 + 900


def test_a_quiet_shard_counts_by_its_last_listing_which_may_be_as_old_as_the_job_lets_it_be() -> None:
    quiet = LISTED._replace(newest_arrival=NOW - 86400)

    assert fresh_until(quiet, PROMISE) == NOW + 900 + 2 * 300


def test_a_quiet_shard_that_misses_an_object_is_held_to_the_objective_itself() -> None:
    held = LISTED._replace(newest_arrival=NOW - 86400, complete_until=NOW - 90000)

    assert fresh_until(held, PROMISE) == NOW - 90000 + 1800 + 900


def test_the_shard_that_is_furthest_behind_decides() -> None:
    behind = LISTED._replace(shard=SHARD._replace(prefix="behind/"), listed_at=NOW - 600, complete_until=NOW - 2400)

    found = deadline([LISTED, behind], discovered_at=NOW, promise=PROMISE)

    assert found == Deadline(NOW - 600 + 900, behind.shard)


def test_discovery_that_is_too_old_decides_where_the_shards_are_fresh() -> None:
    found = deadline([LISTED], discovered_at=NOW - 7200, promise=PROMISE)

    assert found == Deadline(NOW - 7200 + 4200, None)


def test_a_job_whose_shards_were_never_discovered_is_not_fresh() -> None:
    assert deadline([], discovered_at=0.0, promise=PROMISE).at == 0


def test_no_news_is_told_from_not_looking() -> None:
    quiet = LISTED._replace(newest_arrival=NOW - 86400)
    left_alone = LISTED._replace(listed_at=NOW - 600)

    look = last_look([quiet, left_alone], PROMISE)

    assert look == (NOW - 600, NOW - 60, 1)


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(0.0, "1"), (1.5, "2"), (10.0, "10"), (10.1, "30"), (900.0, "900"), (86400.0, "86400"), (1e6, "inf")],
)
def test_a_lag_belongs_to_the_smallest_bucket_that_holds_it(seconds: float, bucket: str) -> None:
    assert lag_bucket(seconds) == bucket


def test_percentiles_are_the_upper_ends_of_buckets() -> None:
    lags = lags_of([(NOW, {"60": 90, "300": 9}, 0, 250.0), (NOW - 300, {"3600": 1}, 1, 2000.0)])

    assert (lags.since, lags.objects, lags.copied_late, lags.worst) == (NOW - 300, 100, 1, 2000.0)
    assert (lags.p50, lags.p95, lags.p99) == (60, 300, 300)
    assert lags.within_objective == 0.99


def test_where_nothing_was_copied_there_are_no_percentiles() -> None:
    lags = lags_of([])

    assert lags == Lags()
    assert lags.within_objective is None
    assert within_words(lags) == "no new object was copied lately"


def test_a_share_is_never_rounded_up_to_all() -> None:
    assert within_words(Lags(objects=100_000, copied_late=1)).startswith("99.9 % of 100,000")
    assert within_words(Lags(objects=100_000)).startswith("100 %")


@given(st.lists(st.floats(0, 1e6), min_size=1), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_never_less_than_the_true_one_nor_more_than_the_worst(
    seconds: list[float], share: float
) -> None:
    histogram: dict[str, int] = {}
    for lag in seconds:
        histogram[lag_bucket(lag)] = histogram.get(lag_bucket(lag), 0) + 1
    true = sorted(seconds)[max(0, -int(-len(seconds) * share // 1) - 1)]

    found = percentile(histogram, share, worst=max(seconds))

    assert found is not None
    assert true <= found <= max(seconds)


def test_bounds_hold_the_objectives_that_jobs_usually_have() -> None:
    assert {900, 1800, 3600} <= set(LAG_BOUNDS)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (3599, "59m59s"),
        (3600, "1h"),
        (4320, "1h12m"),
        (90061, "1d1h"),
        (-5, "0s"),
    ],
)
def test_a_span_is_said_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize("seconds", [0.2, 1.82, 59.01, 61.0, 3599.5, 3661, 86399, 90061, 200_000])
def test_a_bound_is_never_less_than_what_it_bounds(seconds: float) -> None:
    units = {"d": 86400, "h": 3600, "m": 60, "s": 1}

    said = sum(int(count) * units[unit] for count, unit in re.findall(r"(\d+)([dhms])", bound(seconds)))

    assert said >= seconds
    assert said - seconds <= 1 + (seconds > 60) * 60 + (seconds > 3600) * 60 + (seconds > 86400) * 3600
