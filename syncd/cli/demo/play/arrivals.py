"""The order in which a real trail delivered, and what a marker loses of it.

The times are those of a public listing of a multi-region trail (us-east-1, 2026-03-07, 13:44 to 14:45 UTC): when S3 took each log
(LastModified), the five-minute mark in its name, and the first letter of its random suffix. Within 65 minutes, four times a log
whose key sorts earlier arrived later.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from syncd.cli.demo.samples import SampleObject, TrailSpec, named_log

POLL = timedelta(minutes=5)
_MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
_LAST_MARK = "1445"
_LISTING = """
13:44:33 1345 2GYy
13:47:56 1345 fSAA
13:49:44 1350 bWZr
13:53:16 1355 vYcE
13:57:55 1400 BNNT
14:03:16 1405 9pNa
14:03:17 1400 EdpT
14:09:56 1410 vzdt
14:13:18 1410 Fhp0
14:15:38 1420 Vt1F
14:20:38 1420 X6fb
14:21:49 1425 3t6m
14:27:59 1430 eYh2
14:33:10 1430 6rx2
14:33:11 1435 JiGz
14:33:20 1430 C4sx
14:39:41 1440 Z86t
14:40:22 1440 6NDw
14:44:32 1445 1VR5
"""


@dataclass(frozen=True)
class Arrival:
    """A log, and when it arrived."""

    at: datetime
    sample: SampleObject


def arrivals(spec: TrailSpec, account_id: str, region: str, last: datetime) -> Sequence[Arrival]:
    """Return the listing's logs in order of arrival, moved so that the newest has the stamp `last`."""
    end = _minutes(_LAST_MARK)
    found = []
    for line in _LISTING.split("\n")[1:-1]:
        clock, mark, letters = line.split()
        hours, minutes, seconds = map(int, clock.split(":"))
        at = last + timedelta(minutes=hours * 60 + minutes - end, seconds=seconds)
        stamp = last + timedelta(minutes=_minutes(mark) - end)
        found.append(Arrival(at, named_log(spec, account_id, region, stamp, letters)))
    return found


def polls(
    delivered: Sequence[Arrival], phase: timedelta = timedelta(0)
) -> Iterator[tuple[datetime, Sequence[Arrival]]]:
    """Yield the moments of polls, `phase` after each five-minute mark, and what arrived since the one before."""
    left, first = list(delivered), delivered[0].at
    at = first + (phase + _MIDNIGHT - first) % POLL
    while left:
        arrived = [item for item in left if item.at <= at]
        left = left[len(arrived) :]
        yield at, arrived
        at += POLL


def lost_behind_a_marker(delivered: Sequence[Arrival], phase: timedelta = timedelta(0)) -> Sequence[str]:
    """Return the keys that no poll lists, if each one begins behind the greatest key of those before."""
    marker = ""
    lost: list[str] = []
    for _, arrived in polls(delivered, phase):
        keys = sorted(item.sample.key for item in arrived)
        lost += [key for key in keys if key <= marker]
        marker = max([marker, *keys])
    return sorted(lost)


def fewest_and_most(delivered: Sequence[Arrival]) -> tuple[int, int]:
    """Return how many a marker loses, at the best and the worst moment for its polls."""
    counts = [
        len(lost_behind_a_marker(delivered, timedelta(seconds=second))) for second in range(round(POLL.total_seconds()))
    ]
    return min(counts), max(counts)


def _minutes(mark: str) -> int:
    return int(mark[:2]) * 60 + int(mark[2:])
