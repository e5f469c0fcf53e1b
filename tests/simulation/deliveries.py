"""How CloudTrail delivers, with the delays that users have reported.

- Files of one five-minute slot bear random suffixes, so key order within a slot is not arrival order (wazuh#33108).
- Names run up to five minutes ahead of LastModified, or trail it (the same thread).
- Ten to twenty files a day arrive out of order (wazuh#1367); some after midnight, in yesterday's folder.
- A region is silent for days and is then redelivered with its original stamps; CloudTrail retries for 30 days
  ("Getting and viewing your CloudTrail log files").
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
BEGIN = datetime(2026, 9, 1, tzinfo=UTC).timestamp()


class Delivery(NamedTuple):
    """One object on its way into the source bucket."""

    arrives_at: float
    key: str
    stamp: float
    etag: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Weather:
    """How a trail behaves; chances are per object."""

    days: int = 60
    slot_minutes: float = 5.0
    files_a_slot: float = 1.0
    early: float = 0.2
    out_of_order: float = 0.05
    hours_late: float = 0.003
    weeks_late: float = 0.001
    outages: int = 2


def deliveries(seed: int, shards: Sequence[tuple[str, str]], weather: Weather) -> list[Delivery]:
    """Everything that will arrive in (account, region) shards, in order of arrival."""
    chance = random.Random(seed)
    found: list[Delivery] = []
    for account, region in shards:
        silences = [
            (begin := BEGIN + chance.uniform(2, weather.days - 8) * DAY, begin + chance.uniform(0.2, 6) * DAY)
            for _ in range(weather.outages)
        ]
        for slot in range(int(weather.days * DAY / (weather.slot_minutes * MINUTE))):
            stamp = BEGIN + slot * weather.slot_minutes * MINUTE
            found += [
                _delivery(chance, account, region, stamp, silences, weather)
                for _ in range(_files(chance, weather.files_a_slot))
            ]
    return sorted(found)


def _files(chance: random.Random, average: float) -> int:
    return int(average) + (chance.random() < average % 1)


def _delivery(
    chance: random.Random,
    account: str,
    region: str,
    stamp: float,
    silences: Sequence[tuple[float, float]],
    weather: Weather,
) -> Delivery:
    delay = chance.uniform(20, 7 * MINUTE)
    luck = chance.random()
    if luck < weather.weeks_late:
        delay = chance.uniform(2, 29) * DAY
    elif luck < weather.weeks_late + weather.hours_late:
        delay = chance.uniform(1, 20) * HOUR
    elif luck < weather.out_of_order:
        delay = chance.uniform(7, 29) * MINUTE
    elif luck < weather.out_of_order + weather.early:
        delay = -chance.uniform(0, 5 * MINUTE)
    arrives_at = stamp + delay
    for begin, end in silences:
        if begin <= arrives_at < end:
            arrives_at = end + chance.uniform(0, HOUR)
    moment = datetime.fromtimestamp(stamp, UTC)
    suffix = "".join(chance.choices("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", k=16))
    name = f"{account}_CloudTrail_{region}_{moment:%Y%m%dT%H%MZ}_{suffix}.json.gz"
    key = f"AWSLogs/{account}/CloudTrail/{region}/{moment:%Y/%m/%d}/{name}"
    return Delivery(arrives_at, key, stamp, f"{chance.getrandbits(128):032x}", chance.randrange(300, 90_000))
