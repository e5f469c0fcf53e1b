"""Five-field cron lines, in UTC, with the meaning that cron gives them.

APScheduler counts weekdays from Monday and joins day and weekday with "and"; cron counts from Sunday and joins them
with "or". So a line is rewritten with weekday names, and one that restricts both is refused.
"""

import re
from datetime import date, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from syncd.config.words import shown

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_DAY_MINUTES = 24 * 60
_SHAPE = 'five fields, minute hour day month weekday in UTC, such as "*/5 * * * *"'


class _Field(NamedTuple):
    word: str
    first: int
    last: int
    names: dict[str, int]


_FIELDS = (
    _Field("minute", 0, 59, {}),
    _Field("hour", 0, 23, {}),
    _Field("day of month", 1, 31, {}),
    _Field("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    _Field("weekday", 0, 7, {name: number for number, name in enumerate(_WEEKDAYS)}),
)


class Gaps(NamedTuple):
    """The spans between one due time and the next."""

    shortest: timedelta
    longest: timedelta


def normalized(text: str) -> str:
    """The line as `CronTrigger.from_crontab` understands it: months as numbers, weekdays by name.

    Raises:
        ValueError: with what would be right.
    """
    sets = _parse(text)
    fields = text.lower().split()
    if re.search("[a-z]", fields[3]):
        fields[3] = ",".join(str(number) for number in sorted(sets[3]))
    fields[4] = "*" if len(sets[4]) == len(_WEEKDAYS) else ",".join(_WEEKDAYS[number] for number in sorted(sets[4]))
    gaps(text)
    return " ".join(fields)


@lru_cache(maxsize=1024)
def gaps(text: str) -> Gaps:
    """The shortest and the longest span between two due times.

    Raises:
        ValueError: the line is no cron line, or never due.
    """
    minutes, hours, days, months, weekdays = _parse(text)
    due = sorted(60 * hour + minute for hour in hours for minute in minutes)
    inside = [after - before for before, after in pairwise(due)]
    between = _day_gaps(days, months, weekdays)
    if not between:
        raise ValueError(f"{shown(text)} is never due: no such day exists")
    overnight = [_DAY_MINUTES * gap - due[-1] + due[0] for gap in between]
    spans = [*inside, *overnight]
    return Gaps(timedelta(minutes=min(spans)), timedelta(minutes=max(spans)))


def _day_gaps(days: frozenset[int], months: frozenset[int], weekdays: frozenset[int]) -> set[int]:
    if len(days) == 31 and len(months) == 12 and len(weekdays) == 7:
        return {1}
    first = date(2024, 1, 1)  # nine years hold two leap days, and every weekday of every date that has one
    every_day = (first + timedelta(days=number) for number in range(9 * 366))
    due = [
        day.toordinal()
        for day in every_day
        if day.day in days and day.month in months and day.isoweekday() % 7 in weekdays
    ]
    return {after - before for before, after in pairwise(due)}


def _parse(text: str) -> tuple[frozenset[int], ...]:
    words = text.lower().split()
    if len(words) != len(_FIELDS):
        raise ValueError(f"{shown(text)} is no cron line: {_SHAPE}")
    sets = [_numbers(word, field, text) for word, field in zip(words, _FIELDS, strict=True)]
    sets[4] = frozenset(number % 7 for number in sets[4])
    if len(sets[2]) < 31 and len(sets[4]) < 7:
        raise ValueError(f"{shown(text)} restricts both the day of month and the weekday; leave one of them as *")
    return tuple(sets)


def _numbers(word: str, field: _Field, text: str) -> frozenset[int]:
    numbers: set[int] = set()
    for part in word.split(","):
        found = re.fullmatch(r"(?:(\*)|([a-z0-9]+)(?:-([a-z0-9]+))?)(?:/([0-9]{1,2}))?", part)
        if not found:
            raise ValueError(f"{shown(text)}: {shown(part)} is no {field.word}; {_SHAPE}")
        star, low, high, step = found.groups()
        first = field.first if star else _number(low, field, text)
        last = (6 if field.word == "weekday" else field.last) if star else _number(high or low, field, text)
        if high == "sun":
            last = 7
        if first > last:
            raise ValueError(f"{shown(text)}: the {field.word} range {part} runs backwards")
        if step and not 1 <= int(step) <= last - first:
            raise ValueError(f"{shown(text)}: the step in {part} fits no range; write it as */5 or 10-50/10")
        numbers.update(range(first, last + 1, int(step or 1)))
    return frozenset(numbers)


def _number(word: str, field: _Field, text: str) -> int:
    number = field.names.get(word, int(word) if word.isdigit() and len(word) <= 2 else -1)
    if not field.first <= number <= field.last:
        raise ValueError(f"{shown(text)}: {shown(word)} is no {field.word} ({field.first} to {field.last})")
    return number
