"""How often a shard is looked at; the requests of a whole day are counted at a server in `e2e/test_quiet_day.py`."""

import random

from .bucket import Bucket
from .deliveries import BEGIN, DAY, HOUR, MINUTE, Delivery, Weather, deliveries
from .pullers import Syncd

SHARDS = tuple(
    (account, region) for account in ("222222222222", "333333333333") for region in ("eu-west-1", "us-east-1")
)
HISTORY_DAYS = 33
QUIET_AT = BEGIN + HISTORY_DAYS * DAY
TICKS_A_DAY = 288


def history(files_a_day: int) -> list[Delivery]:
    weather = Weather(
        days=HISTORY_DAYS, slot_minutes=24 * 60 / files_a_day, out_of_order=0, hours_late=0, weeks_late=0, outages=0
    )
    return deliveries(1, SHARDS, weather)


def test_the_deep_tier_looks_at_every_key_of_its_day_folders_once_a_day() -> None:
    syncd = Syncd(Bucket(history(100), page_keys=1000), chance=random.Random(1))
    bucket = syncd.bucket
    for now in (QUIET_AT + HOUR, QUIET_AT + HOUR + DAY):
        bucket.advance(now)
        syncd.tick()
    begin = bucket.now

    ledger = syncd.ledger()
    rounds = 0
    last = {state.shard.prefix: state.deep_key for state in ledger.shards().values()}
    for tick in range(2 * TICKS_A_DAY):
        bucket.advance(begin + (tick + 1) * 5 * MINUTE)
        syncd.tick()
        for prefix, state in syncd.ledger().shards().items():
            rounds += last[prefix] != "" and state.deep_key == ""
            last[prefix] = state.deep_key

    assert 2 * len(SHARDS) <= rounds <= 3 * len(SHARDS)


def test_a_large_organization_is_not_listed_whole_in_each_tick() -> None:
    shards = [(f"{account:012}", "us-east-1") for account in range(1, 401)]
    weather = Weather(days=3, slot_minutes=12 * 60, out_of_order=0, hours_late=0, weeks_late=0, outages=0)
    syncd = Syncd(Bucket(deliveries(1, shards, weather), page_keys=1000), chance=random.Random(1))
    bucket = syncd.bucket
    for minute in (0, 5, 10):
        bucket.advance(BEGIN + 5 * DAY + minute * MINUTE)
        syncd.tick()

    lists = []
    for tick in range(12):
        before = bucket.lists
        bucket.advance(BEGIN + 5 * DAY + (15 + 5 * tick) * MINUTE)
        syncd.tick()
        lists.append(bucket.lists - before)

    assert max(lists) < (400 + 401) / 2
    assert sum(lists) / len(lists) < (400 + 401) / 3
    assert syncd.report is not None
    assert syncd.report.complete_until >= bucket.now - syncd.pace.lateness - syncd.pace.discovery_every - 10 * MINUTE


def test_a_shard_that_fell_silent_long_ago_is_still_known_where_it_is_still_listed() -> None:
    weather = Weather(days=6, slot_minutes=60, hours_late=0, weeks_late=0, outages=0)
    syncd = Syncd(Bucket(deliveries(1, SHARDS, weather), page_keys=1000), chance=random.Random(1))
    bucket = syncd.bucket
    bucket.advance(BEGIN + 7 * DAY)
    syncd.tick()

    reports = []
    for day in range(1, 80):
        bucket.advance(BEGIN + (7 + day) * DAY)
        syncd.tick()
        assert syncd.report is not None
        reports.append(syncd.report)

    assert {(report.copied, report.already_there) for report in reports} == {(0, 0)}
    assert {report.outcome for report in reports} == {"ok"}
