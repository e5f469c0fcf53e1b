"""Durations and sizes."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.model.units import LARGEST_SIZE, LONGEST_DURATION, format_duration, format_size, parse_duration, parse_size


@given(st.integers(0, int(LONGEST_DURATION.total_seconds())))
def test_a_duration_survives_being_written_and_read(seconds: int) -> None:
    span = timedelta(seconds=seconds)

    assert parse_duration(format_duration(span)) == span


@given(st.integers(0, LARGEST_SIZE))
def test_a_size_survives_being_written_and_read(size_bytes: int) -> None:
    assert parse_size(format_size(size_bytes)) == size_bytes


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0), ("45s", 45), ("5m", 300), ("1h30m", 5400), ("1d12h", 129_600), ("90m", 5400)]
)
def test_a_duration_is_numbers_with_units(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0B", 0),
        ("7B", 7),
        ("1KB", 1000),
        ("1KiB", 1024),
        ("2MB", 2_000_000),
        ("128MiB", 134_217_728),
        ("1GiB", 1 << 30),
    ],
)
def test_a_size_is_a_number_with_its_unit(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text", ["", "5", "5min", "m5", "1.5h", "-5m", "5M", "1m1m", "5 m", "\u0665m", "999999999999d", "1s" * 99]
)
def test_other_text_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


def test_a_duration_without_a_unit_is_told_the_unit() -> None:
    with pytest.raises(ValueError, match='write "300s" for seconds'):
        parse_duration("300")


@pytest.mark.parametrize(
    "text", ["", "128", "128M", "128mib", "1.5GiB", "-1B", "1 MiB", "\u0665B", "9999999999GiB", "9" * 5000 + "B"]
)
def test_other_text_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


@given(st.text(max_size=12), st.sampled_from([parse_duration, parse_size]))
def test_no_text_fails_in_another_way(text: str, parse: Callable[[str], object]) -> None:
    with suppress(ValueError):
        assert parse(text) is not None
