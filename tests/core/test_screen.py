"""What people read of `status` and of the quarantine."""

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.progress import Progress

from syncd.cli.screen import output, tables
from syncd.cli.screen.drawing import drawn_together
from syncd.cli.screen.parts import Line, Part, Remedy, Spans, Styled, Table
from syncd.cli.terminal.bars import Bars
from syncd.cli.terminal.status import MOST_HEALTHY, status_table
from syncd.model.reports import SpreadProgress

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


def drawn(parts: Sequence[Part], width: int) -> str:
    """The parts as a terminal of this width shows them."""
    console = Console(file=io.StringIO(), width=width, color_system=None, markup=False, emoji=False, highlight=False)
    console.print(drawn_together(parts), crop=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def read(parts: Sequence[Part]) -> str:
    return drawn(parts, 200)


def piped(parts: Sequence[Part]) -> str:
    with redirect_stdout(io.StringIO()) as out:
        output.show(parts)
    return out.getvalue()


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
    shown = piped(tables.held_lines("account-b", held(attempts, next_at))).splitlines()

    assert shown[:3] == ["account-b: k", f"  {expected}", "  d"]
    assert shown[3].startswith("  → ")


def jobs_of(**healths: int) -> dict[str, Any]:
    """So many jobs of each health, with names of the usual length."""
    names = (f"account-{number:012d}" for number in range(10**6))
    return {
        "jobs": [
            JOB
            | {"job": next(names), "health": word, "healthy": word in ("healthy", "starting"), "why": WHY.get(word, [])}
            for word, count in healths.items()
            for _ in range(count)
        ]
    }


WHY = {"late": ["it is late", "what to do: look"], "failing": ["its last tick failed"]}


def read_at_80(parts: Sequence[Part]) -> list[str]:
    return drawn(parts, 80).splitlines()


def test_80_columns_hold_whole_names_and_the_worst_job_is_first() -> None:
    found = read_at_80(status_table(jobs_of(healthy=2, failing=1, late=2)))

    assert found[0].strip() == "3 of 5 jobs need attention: 2 late, 1 failing."
    assert [line.split()[1] for line in found[2:7]] == ["late", "late", "failing", "healthy", "healthy"]
    assert [line.split()[0] for line in found[2:5]] == [f"account-{number:012d}" for number in (3, 4, 2)]
    assert max(map(len, found)) <= 80
    assert not [line for line in found if "…" in line]


def test_of_a_thousand_jobs_the_troubled_are_seen_and_the_rest_is_a_line() -> None:
    found = read_at_80(status_table(jobs_of(healthy=990, late=10), shows_all=False))

    assert len(found) < 70
    assert sum("healthy" in line and line.startswith("account-") for line in found) == MOST_HEALTHY
    assert any(line.startswith("970 more jobs are healthy") for line in found)
    assert sum(line.endswith("it is late") for line in found) == 10


def test_all_of_them_are_shown_when_they_are_asked_for() -> None:
    found = read_at_80(status_table(jobs_of(healthy=300)))

    assert sum(line.startswith("account-") for line in found) == 300


def test_a_key_is_not_broken_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"FORCE_COLOR": "1", "COLUMNS": "40", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)

    shown = piped(tables.held_lines("account-b", held(1, None) | {"key": LONG_KEY})).splitlines()

    assert shown[0] == f"account-b: {LONG_KEY}"
    assert len(shown) > 4


LONG_KEY = "AWSLogs/222222222222/CloudTrail/eu-west-1/2026/11/24/" + "x" * 60


def test_a_command_that_folding_breaks_is_repeated_whole() -> None:
    found = read_at_80([Remedy(f"do that, then `syncd ledger quarantine retry {LONG_KEY} --job b`: it is late")])

    assert found[-1].strip() == f"$ syncd ledger quarantine retry {LONG_KEY} --job b"
    assert found[0].startswith("→ do that")


@pytest.mark.parametrize(
    "remedy",
    [
        "look at it with `syncd check b`",
        f"then `syncd ledger quarantine accept 'x` `syncd check {LONG_KEY}`; evil' --job b`",
        f"he says `syncd demo {LONG_KEY}`",
    ],
    ids=["whole as it is", "a backtick in the key", "no command of a remedy"],
)
def test_no_other_command_is_repeated(remedy: str) -> None:
    assert not [line for line in read_at_80([Remedy(remedy)]) if line.strip().startswith("$")]


def test_a_bar_shows_the_tasks_of_a_spread_catch_up() -> None:
    with Progress(console=Console(quiet=True)) as shown:
        bars = Bars(shown)
        bars.show_tasks("account-b", SpreadProgress())
        bars.show_tasks("account-b", SpreadProgress(tasks=1000, ended=30, objects=20_000_000, objects_done=600_000))
        (task,) = shown.tasks
        bars.show("account-b", None)

        assert (task.fields["words"], task.completed, task.total) == ("30 of 1,000 tasks", 600_000, 20_000_000)
        assert shown.tasks == []


# Names, spaces to fold at, characters of no or of two columns, control characters, and what no encoding has.
ODD = st.text(st.sampled_from("abcdefg01-._  é表🙂\u0301\u200b\t\n\x1b\x07\r\udc80…"), max_size=60)
PLAIN = st.text(st.sampled_from("abcdefg01-._"), max_size=60)


@given(st.lists(st.tuples(PLAIN | ODD, PLAIN | ODD, PLAIN), max_size=4), st.sampled_from([None, 3, 22]), PLAIN | ODD)
def test_a_pipe_gets_what_an_endless_line_would_show(
    rows: list[tuple[str, str, str]], longest: int | None, words: str
) -> None:
    cells = [(name, Styled(word, "red"), number) for name, word, number in rows]
    table = Table(("Job", "Health"), ("Missing",), cells, longest)
    parts: list[Part] = [
        Styled(words, "bold"),
        table,
        Line(words),
        Remedy(words),
        words,
        Spans([Styled(words), Styled(words, "red")]),
    ]

    assert piped(parts) == drawn(parts, 10_000)


@pytest.mark.parametrize(
    ("variables", "lines"),
    [
        ({}, 2),
        ({"FORCE_COLOR": "1"}, 4),
        ({"FORCE_COLOR": ""}, 2),
        ({"TTY_COMPATIBLE": "1"}, 4),
        ({"TTY_COMPATIBLE": "0", "FORCE_COLOR": "1"}, 2),
        ({"NO_COLOR": "1"}, 2),
    ],
)
def test_a_pipe_is_drawn_on_if_the_environment_says_so(
    variables: dict[str, str], lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ({"COLUMNS": "40", "TERM": "xterm"} | variables).items():
        monkeypatch.setenv(name, value)

    shown = piped([Styled("The job is healthy.", "bold"), Line("word " * 20)])

    assert ("\x1b[1m" in shown, len(shown.splitlines())) == (lines > 2, lines)
