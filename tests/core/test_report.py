"""Instants as documents write them."""

import pytest

from syncd.job.report import utc


@pytest.mark.parametrize(
    ("instant", "written"),
    [
        (-62_135_596_800.0, "0001-01-01T00:00:00Z"),
        (-30_610_224_000.5, "1000-01-01T00:00:00Z"),
        (1_795_500_000.9, "2026-11-24T06:00:00Z"),
        (253_402_300_799.0, "9999-12-31T23:59:59Z"),
    ],
)
def test_an_instant_has_a_year_of_four_digits_and_whole_seconds(instant: float, written: str) -> None:
    assert utc(instant) == written


def test_never_is_no_instant() -> None:
    assert utc(0.0) is None
