"""The promise, under sixty days of bad weather: nothing lost, nothing twice, and a horizon that never lies."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .bucket import Bucket
from .deliveries import Weather, deliveries
from .pullers import LastHundred, Syncd, Watermark, Yesterday
from .run import calm, rough

SHARDS = (("222222222222", "us-east-1"), ("333333333333", "eu-west-1"))
HOURLY = Weather(slot_minutes=60.0, files_a_slot=1.2, out_of_order=0.1, hours_late=0.02, weeks_late=0.01)
BUSY_DAYS = Weather(days=6, slot_minutes=10.0, files_a_slot=2.0, out_of_order=0.3, outages=0)


@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_sixty_rough_days_lose_nothing_repeat_nothing_and_the_horizon_never_lies(seed: int) -> None:
    coming = deliveries(seed, SHARDS, HOURLY)
    syncd = Syncd(Bucket(coming), chance=random.Random(seed))

    verdict = rough(syncd, coming, seed=seed, days=HOURLY.days)

    assert (verdict.lost, verdict.copied_twice) == (0, 0)


@settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_six_busy_days_whose_slots_arrive_out_of_order_do_not_make_the_horizon_lie(seed: int) -> None:
    coming = deliveries(seed, SHARDS, BUSY_DAYS)
    syncd = Syncd(Bucket(coming), chance=random.Random(seed))

    verdict = rough(syncd, coming, seed=seed, days=BUSY_DAYS.days)

    assert (verdict.lost, verdict.copied_twice) == (0, 0)


def test_a_ledger_that_is_lost_again_and_again_costs_no_object_and_no_second_copy() -> None:
    coming = deliveries(3, SHARDS, BUSY_DAYS)
    syncd = Syncd(Bucket(coming), chance=random.Random(3))
    bucket = syncd.bucket
    chance = random.Random(4)
    for delivery in coming[200::37]:
        bucket.advance(delivery.arrives_at)
        if chance.random() < 0.3:
            syncd.lose_ledger()
        syncd.tick()

    bucket.advance(coming[-1].arrives_at + 86_400)
    syncd.lose_ledger()
    syncd.tick()

    assert {key for key, times in syncd.copies.items() if times == 1} == {item.key for item in coming}


@pytest.mark.parametrize("cursor", [Watermark, Yesterday, LastHundred])
def test_the_cursors_that_users_have_lost_logs_to_lose_or_repeat_them_here_too(
    cursor: type[Watermark | Yesterday | LastHundred],
) -> None:
    weather = Weather(days=8, outages=1)
    coming = deliveries(5, SHARDS, weather)
    bucket = Bucket(coming)

    verdict = calm(cursor(bucket), bucket, coming, seed=5, days=weather.days)

    assert verdict.lost + verdict.copied_twice > 0
