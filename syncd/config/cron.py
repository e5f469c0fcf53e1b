"""Cron lines in UTC, as Debian's cron reads them: cronsim parses them and finds the due times."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain, islice, pairwise, takewhile
from typing import NamedTuple

from syncd.config.words import shown

SHAPE = 'five fields, minute hour day month weekday in UTC, such as "*/5 * * * *"'

_FIELDS = (
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of month", "1 to 31"),
    ("month", "1 to 12, or jan to dec"),
    ("weekday", "0 to 7 with 0 and 7 for Sunday, or sun to sat"),
)
# Nine years hold two leap days, and each date on every weekday that it can have there.
_FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
_LAST_DAY = datetime(2033, 1, 1, tzinfo=UTC)


class Gaps(NamedTuple):
    """The spans between one due time and the next."""

    shortest: timedelta
    longest: timedelta


def check_cron(line: str) -> str:
    """Return the line with single spaces. Raises ValueError with what would be right."""
    fields = line.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"{shown(line)} is no cron line: {SHAPE}")
    for number, (word, bounds) in enumerate(_FIELDS):
        if not _is_read([fields[number] if number == each else "*" for each in range(len(_FIELDS))]):
            shapes = "a number, a list 1,2, a range 1-5 upwards, or a step */5 or 10-50/10"
            raise ValueError(f"{shown(line)}: {shown(fields[number])} is no {word} ({bounds}): {shapes}")
    line = " ".join(fields)
    if not _is_read(fields) or next_due(line, after=_FIRST_DAY) is None:
        raise ValueError(f"{shown(line)} is never due: no such day exists")
    return line


def next_due(line: str, *, after: datetime) -> datetime | None:
    """Return the first due time after an instant, or None if there is none in 50 years."""
    return next(_due(line, after), None)


@lru_cache(maxsize=1024)
def gaps(line: str) -> Gaps:
    """Return the shortest and the longest span between two due times of a line that was checked."""
    minute, hour, *day = line.split()
    first = _FIRST_DAY - timedelta(seconds=1)
    times = list(takewhile(lambda due: due.day == 1, _due(f"{minute} {hour} * * *", first)))
    inside = [after - before for before, after in pairwise(times)]
    overnight = [days - (times[-1] - times[0]) for days in _day_gaps(" ".join(day))]
    spans = [*inside, *overnight]
    return Gaps(min(spans), max(spans))


@lru_cache(maxsize=1024)
def _day_gaps(day_fields: str) -> Iterable[timedelta]:
    """Return the spans between due days, of nine years or of the first two due days if they are further apart."""
    if day_fields == "* * *":
        return {timedelta(days=1)}
    days = _due(f"0 0 {day_fields}", _FIRST_DAY - timedelta(seconds=1))
    due = chain(islice(days, 2), takewhile(lambda day: day < _LAST_DAY, days))
    return {after - before for before, after in pairwise(due)} or {timedelta(days=50 * 366)}


def _due(line: str, after: datetime) -> Iterator[datetime]:
    from cronsim import CronSim  # noqa: PLC0415  # for the jobs that have a cron line

    return CronSim(line, after)


def _is_read(fields: list[str]) -> bool:
    from cronsim import CronSimError  # noqa: PLC0415

    try:
        _due(" ".join(fields), _FIRST_DAY)
    except (CronSimError, ValueError):  # ValueError: a number of more digits than Python reads
        return False
    return True
