"""Cron lines mean what cron means by them."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.config.cron import check_cron, gaps, next_due


def due_times(line: str, count: int) -> list[datetime]:
    times: list[datetime] = []
    now = datetime(2026, 11, 1, tzinfo=UTC)
    for _ in range(count):
        due = next_due(line, after=now)
        assert due is not None
        times.append(due)
        now = due
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
    assert {due.strftime("%a") for due in due_times(check_cron(line), 5)} == {weekday}


@pytest.mark.parametrize(
    ("line", "days"),
    [
        ("0 3 * * 5-7", ["01 Sun", "06 Fri", "07 Sat", "08 Sun"]),
        ("0 3 * JAN-MAR *", ["01 Fri", "02 Sat", "03 Sun", "04 Mon"]),
        ("0 3 * * */2", ["01 Sun", "03 Tue", "05 Thu", "07 Sat"]),
        ("0 3 13 * fri", ["06 Fri", "13 Fri", "20 Fri", "27 Fri"]),
        ("0 3 4 * mon", ["02 Mon", "04 Wed", "09 Mon", "16 Mon"]),
        ("0 3 */10 * mon", ["21 Mon", "11 Mon", "01 Mon", "01 Mon"]),
    ],
)
def test_a_line_that_names_days_and_weekdays_is_due_on_either_as_in_cron(line: str, days: list[str]) -> None:
    assert [due.strftime("%d %a") for due in due_times(check_cron(line), 4)] == days


def test_a_line_keeps_its_words_with_single_spaces() -> None:
    assert check_cron(" 0  3\t* * Mon ") == "0 3 * * Mon"


@given(minute=fields(0, 59), hour=fields(0, 23), weekday=fields(0, 6))
def test_the_gaps_hold_between_due_times(minute: str, hour: str, weekday: str) -> None:
    line = check_cron(f"{minute} {hour} * * {weekday}")

    shortest, longest = gaps(line)

    spans = [after - before for before, after in pairwise(due_times(line, 40))]
    assert min(spans) >= shortest
    assert max(spans) <= longest


@pytest.mark.parametrize(
    ("line", "shortest", "longest"),
    [
        ("*/5 * * * *", timedelta(minutes=5), timedelta(minutes=5)),
        ("*/7 * * * *", timedelta(minutes=4), timedelta(minutes=7)),
        ("0 3 * * *", timedelta(days=1), timedelta(days=1)),
        ("0 9-17 * * mon-fri", timedelta(hours=1), timedelta(days=2, hours=16)),
        ("0 0 1 * *", timedelta(days=28), timedelta(days=31)),
        ("0 0 29 2 *", timedelta(days=1461), timedelta(days=1461)),
        ("0 0 1 * mon", timedelta(days=1), timedelta(days=7)),
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
        ("0 0 3 * * *", "five fields"),
        (f"{'9' * 5000} * * * *", "no minute"),
        ("60 * * * *", "no minute (0 to 59)"),
        ("* 24 * * *", "no hour (0 to 23)"),
        ("* * 0 * *", "no day of month (1 to 31)"),
        ("* * * 13 *", "no month (1 to 12, or jan to dec)"),
        ("* * * * 8", "no weekday (0 to 7 with 0 and 7 for Sunday, or sun to sat)"),
        ("* * * * funday", "no weekday"),
        ("30-10 * * * *", "a range 1-5 upwards"),
        ("*/0 * * * *", "10-50/10"),
        ("1,,2 * * * *", "no minute"),
        ("0 0 30 2 *", "never due"),
    ],
)
def test_a_line_that_cron_would_not_take_is_refused(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        check_cron(line)
