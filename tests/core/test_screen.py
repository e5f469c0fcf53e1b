"""What people read of `status` and of the quarantine."""

from typing import Any

import pytest
from rich.console import Console, RenderableType

from syncd.cli import screen
from syncd.cli.terminal.status import status_table

JOB = {
    "job": "account-b",
    "health": "healthy",
    "healthy": True,
    "running": [],
    "why": [],
    "state_error": None,
    "last_tick": {"outcome": "ok", "age_seconds": 63.4},
    "lag_seconds": 1806.2,
    "complete_until": "2026-11-24T12:00:00Z",
    "freshness": {"objective": "met", "within_objective": 0.0266, "objects": 38},
    "quarantine": {"count": 0},
}


def read(table: RenderableType) -> str:
    console = Console(width=200, no_color=True, force_terminal=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def held(attempts: int, next_at: str | None) -> dict[str, Any]:
    return {"key": "k", "reason": "timeout", "attempts": attempts, "first_at": "F", "next_at": next_at, "detail": "d"}


def test_that_the_objective_is_met_and_what_was_copied_in_time_are_told_apart() -> None:
    headline, heading, row = read(status_table({"jobs": [JOB]})).splitlines()

    assert headline.strip() == "The job is healthy."
    assert "In time" in heading
    assert "healthy" in row
    assert "2.6 %" in row


def test_spans_are_written_as_the_page_writes_them() -> None:
    shown = read(status_table({"jobs": [JOB]}))

    assert "1m ago" in shown
    assert " 30m6s " in shown


@pytest.mark.parametrize(
    ("attempts", "next_at", "expected"),
    [
        (1, "N", "timeout, tried once since F, again from N"),
        (3, None, "timeout, tried 3 times since F, not tried again by itself"),
    ],
)
def test_the_quarantine_says_how_often_an_object_was_tried_and_when_it_is_again(
    attempts: int, next_at: str | None, expected: str
) -> None:
    shown = list(screen.held_lines("account-b", held(attempts, next_at)))

    assert shown[:3] == ["account-b: k", f"  {expected}", "  d"]
    assert shown[3].startswith("  → ")
