"""Every promise of docs/guarantees.md names a test that there is."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "guarantees.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)))


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_test_that_shows_a_promise_exists(file: str, test: str) -> None:
    text = (PROJECT / file).read_text()

    assert f"def {test or 'test_'}" in text


def test_every_promise_names_one() -> None:
    promised = PAGE.partition("## Promised")[2].partition("## Under")[0]
    rows = [line for line in promised.splitlines() if line.startswith("| **")]

    assert rows
    assert all("`tests/" in row for row in rows)
