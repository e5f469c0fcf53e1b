"""Runs a puller through the simulated days, and judges it."""

import random
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from .bucket import Bucket, CrashError
from .deliveries import BEGIN, DAY, HOUR, MINUTE, Delivery
from .pullers import PACE, Puller, Syncd

LAST_TICKS_EVERY = 4 * HOUR
FOUND_WITHIN = PACE.deep_every + PACE.recent_every + LAST_TICKS_EVERY
"""How long after its arrival an object may be found, while ticks are no rarer than the last ones and nothing goes wrong."""


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
    end = _end(coming, BEGIN + (days + 1) * DAY)
    while now < end:
        bucket.advance(now)
        puller.tick()
        ticks += 1
        now += chance.uniform(2, 28) * MINUTE if now < BEGIN + (days + 1) * DAY else LAST_TICKS_EVERY
    return judged(puller, coming, ticks, bucket.lists)


def _end(coming: Sequence[Delivery], healed_at: float) -> float:
    """When the last tick has come that may find something."""
    return max(healed_at, coming[-1].arrives_at) + FOUND_WITHIN + LAST_TICKS_EVERY


class LieError(AssertionError):
    """The horizon claimed something that was not so."""


class LateError(AssertionError):
    """An object was not found in time."""


def rough(puller: Syncd, coming: Sequence[Delivery], *, seed: int, days: int) -> Verdict:
    """Ticks at random times, with pauses, crashes, page errors, objects that fail for a while; the horizon is checked.

    Raises:
        LieError: after a tick, an object within the horizon that was listed in time was not at the destination.
        LateError: with the troubles over, an object was found later than it may be.
    """
    chance = random.Random(seed)
    bucket = puller.bucket
    bucket.chance = random.Random(seed + 1)
    on_time = sorted((item.stamp, item.key) for item in coming if item.arrives_at - item.stamp <= PACE.lateness)
    keys = [item.key for item in coming]
    now, ticks, found = BEGIN + HOUR, 0, 0
    healed_at = BEGIN + (days + 1) * DAY
    end = _end(coming, healed_at)
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
        if now >= healed_at + FOUND_WITHIN:
            found = _check_found(puller, coming, found, now)
        ticks += 1
        pause = chance.uniform(2, 28) * MINUTE
        if chance.random() < 0.003:
            pause = chance.uniform(0.2, 4) * DAY
        now += pause if is_rough else LAST_TICKS_EVERY
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


def _check_found(puller: Syncd, coming: Sequence[Delivery], first: int, now: float) -> int:
    """Everything from the `first` on that arrived long enough ago is at the destination; how many have now been seen."""
    for number, item in enumerate(coming[first:], first):
        if item.arrives_at + FOUND_WITHIN > now:
            return number
        if item.arrives_at - item.stamp <= 31 * DAY and item.key not in puller.destination.objects:
            raise LateError(f"{item.key} arrived {(now - item.arrives_at) / HOUR:.1f} hours ago")
    return len(coming)
