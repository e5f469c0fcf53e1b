"""Cron lines mean what cron means by them, also after the scheduler has read them."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given
from hypothesis import strategies as st

from syncd.config.cron import gaps, normalized


def due_times(line: str, count: int) -> list[datetime]:
    trigger = CronTrigger.from_crontab(line, timezone=UTC)
    times: list[datetime] = []
    now = datetime(2026, 11, 1, tzinfo=UTC)
    for _ in range(count):
        due = trigger.get_next_fire_time(None, now)
        times.append(due)
        now = due + timedelta(minutes=1)
    return times


def fields(first: int, last: int) -> st.SearchStrategy[str]:
    number = st.integers(first, last)
    span = st.tuples(number, number).map(sorted).map(lambda ends: f"{ends[0]}-{ends[1]}")
    step = st.integers(1, last - first).map(lambda by: f"*/{by}")
    return st.one_of(
        st.just("*"), number.map(str), span, step, st.lists(number.map(str), min_size=1, max_size=4).map(",".join)
    )


@pytest.mark.parametrize(
    ("line", "weekday"), [("0 3 * * 0", "Sun"), ("0 3 * * 7", "Sun"), ("0 3 * * 1", "Mon"), ("0 3 * * sat", "Sat")]
)
def test_weekdays_count_from_sunday(line: str, weekday: str) -> None:
    assert {due.strftime("%a") for due in due_times(normalized(line), 5)} == {weekday}


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("*/5 * * * *", "*/5 * * * *"),
        ("0  3\t* * *", "0 3 * * *"),
        ("0 3 * * 5-7", "0 3 * * sun,fri,sat"),
        ("0 3 * * fri-sun", "0 3 * * sun,fri,sat"),
        ("0 3 * JAN-MAR *", "0 3 * 1,2,3 *"),
        ("0 3 * * */2", "0 3 * * sun,tue,thu,sat"),
        ("0 3 * * 0-6", "0 3 * * *"),
    ],
)
def test_a_line_is_rewritten_for_the_scheduler(line: str, meaning: str) -> None:
    assert normalized(line) == meaning


@given(minute=fields(0, 59), hour=fields(0, 23), weekday=fields(0, 6))
def test_the_gaps_hold_between_the_schedulers_due_times(minute: str, hour: str, weekday: str) -> None:
    line = normalized(f"{minute} {hour} * * {weekday}")

    shortest, longest = gaps(line)

    spans = [after - before for before, after in pairwise(due_times(line, 40))]
    assert min(spans) >= shortest
    assert max(spans) <= longest


@given(minute=fields(0, 59), hour=fields(0, 23), weekday=fields(0, 6))
def test_a_rewritten_line_is_left_as_it_is(minute: str, hour: str, weekday: str) -> None:
    line = normalized(f"{minute} {hour} * * {weekday}")

    assert normalized(line) == line


@pytest.mark.parametrize(
    ("line", "shortest", "longest"),
    [
        ("*/5 * * * *", timedelta(minutes=5), timedelta(minutes=5)),
        ("*/7 * * * *", timedelta(minutes=4), timedelta(minutes=7)),
        ("0 3 * * *", timedelta(days=1), timedelta(days=1)),
        ("0 9-17 * * mon-fri", timedelta(hours=1), timedelta(days=2, hours=16)),
        ("0 0 1 * *", timedelta(days=28), timedelta(days=31)),
        ("0 0 29 2 *", timedelta(days=1461), timedelta(days=1461)),
    ],
)
def test_the_gaps_of_a_line(line: str, shortest: timedelta, longest: timedelta) -> None:
    assert gaps(line) == (shortest, longest)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("@daily", "five fields"),
        ("60 * * * *", "no minute (0 to 59)"),
        ("* 24 * * *", "no hour (0 to 23)"),
        ("* * 0 * *", "no day of month (1 to 31)"),
        ("* * * 13 *", "no month (1 to 12)"),
        ("* * * * 8", "no weekday (0 to 7)"),
        ("* * * * funday", "no weekday"),
        ("30-10 * * * *", "runs backwards"),
        ("5/10 * * * *", "10-50/10"),
        ("*/0 * * * *", "fits no range"),
        ("*/60 * * * *", "fits no range"),
        ("1,,2 * * * *", "no minute"),
        ("0 3 1 * mon", "both the day of month and the weekday"),
        ("0 0 30 2 *", "never due"),
    ],
)
def test_a_line_that_cron_would_not_take_is_refused(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        normalized(line)
