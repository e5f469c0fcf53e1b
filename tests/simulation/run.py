"""Runs a puller through the simulated days, and judges it."""

import random
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from .bucket import Bucket, CrashError
from .deliveries import BEGIN, DAY, HOUR, MINUTE, Delivery
from .pullers import PACE, Puller, Syncd


@dataclass(frozen=True)
class Verdict:
    """What a puller made of it."""

    delivered: int
    lost: int
    copied_twice: int
    ticks: int
    lists: int


def judged(puller: Puller, coming: Sequence[Delivery], ticks: int, lists: int) -> Verdict:
    """Of the objects that arrived within 31 days of their stamp."""
    in_time = [item.key for item in coming if item.arrives_at - item.stamp <= 31 * DAY]
    lost = sum(1 for key in in_time if not puller.copies[key])
    return Verdict(len(in_time), lost, sum(1 for count in puller.copies.values() if count > 1), ticks, lists)


def calm(puller: Puller, bucket: Bucket, coming: Sequence[Delivery], *, seed: int, days: int) -> Verdict:
    """Ticks at random times about a quarter of an hour apart, and nothing goes wrong."""
    chance = random.Random(seed)
    now, ticks = BEGIN + HOUR, 0
    end = BEGIN + (days + 33) * DAY
    while now < end:
        bucket.advance(now)
        puller.tick()
        ticks += 1
        now += chance.uniform(2, 28) * MINUTE if now < BEGIN + (days + 1) * DAY else 4 * HOUR
    return judged(puller, coming, ticks, bucket.lists)


class LieError(AssertionError):
    """The horizon claimed something that was not so."""


def rough(puller: Syncd, coming: Sequence[Delivery], *, seed: int, days: int) -> Verdict:
    """Ticks at random times, with pauses, crashes, page errors, objects that fail for a while; the horizon is checked.

    Raises:
        LieError: after a tick, an object within the horizon that was listed in time was not at the destination.
    """
    chance = random.Random(seed)
    bucket = puller.bucket
    bucket.chance = random.Random(seed + 1)
    on_time = sorted((item.stamp, item.key) for item in coming if item.arrives_at - item.stamp <= PACE.lateness)
    keys = [item.key for item in coming]
    now, ticks = BEGIN + HOUR, 0
    healed_at = BEGIN + (days + 1) * DAY
    end = healed_at + 33 * DAY
    while now < end:
        bucket.advance(now)
        is_rough = now < healed_at
        bucket.page_error = 0.002 if is_rough and chance.random() < 0.2 else 0.0
        puller.destination.crash_after = chance.randrange(1, 12) if is_rough and chance.random() < 0.05 else 0
        if is_rough and chance.random() < 0.02:
            puller.destination.broken = set(chance.sample(keys, min(len(keys), 400)))
        elif not is_rough or chance.random() < 0.02:
            puller.destination.broken = set()
        try:
            puller.tick()
        except CrashError:
            pass
        else:
            _check_horizon(puller, on_time)
        ticks += 1
        pause = chance.uniform(2, 28) * MINUTE
        if chance.random() < 0.003:
            pause = chance.uniform(0.2, 4) * DAY
        now += pause if is_rough else 4 * HOUR
    return judged(puller, coming, ticks, bucket.lists)


def _check_horizon(puller: Syncd, on_time: Sequence[tuple[float, str]]) -> None:
    report = puller.report
    assert report is not None
    if not report.complete_until:
        return
    first = bisect_left(on_time, (report.complete_from, ""))
    for stamp, key in on_time[first:]:
        if stamp > report.complete_until:
            return
        if key not in puller.destination.objects:
            raise LieError(f"complete from {report.complete_from} until {report.complete_until}, but {key} is missing")
