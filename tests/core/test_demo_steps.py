"""What the demo claims of itself: each step knows when it did not come out right, and the screen says so."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import mean

import pytest
from rich.console import Console

from syncd.cli.demo.demo import document
from syncd.cli.demo.play.arrivals import arrivals, fewest_and_most, lost_behind_a_marker, polls
from syncd.cli.demo.play.compare import Stored, differences
from syncd.cli.demo.play.steps import Compared, Delivered, Raced, Ticked, Tried
from syncd.cli.demo.samples import TrailSpec
from syncd.cli.demo.screen import DemoScreen
from syncd.model.reasons import Reason
from syncd.model.reports import JobError, TickReport

COPIED = TickReport(job="account-b", outcome="ok", copied=2, requests={"GetObject": 2, "PutObject": 2})
IDLE = TickReport(job="account-b", outcome="ok", requests={"ListObjectsV2": 4})
DENIED = TickReport(
    job="prying",
    outcome="failed",
    requests={"AssumeRole": 1, "ListObjectsV2": 1},
    error=JobError(reason=Reason.ACCESS_DENIED, detail="ListObjectsV2 by a role: AccessDenied", remedy="ask"),
)
ASSUMED_NOTHING = replace(DENIED, requests={"AssumeRole": 1})
UNREACHABLE = replace(DENIED, error=JobError(reason=Reason.CONNECTION, detail="ListObjectsV2: refused", remedy="look"))
ELSEWHERE = replace(DENIED, error=JobError(reason=Reason.ACCESS_DENIED, detail="GetObject by a role", remedy="ask"))
SAME = Compared("account-b", "s3://a", "s3://b", 2, 20, ())
STORED = Stored(b"log", "application/json", "gzip", {"signature": "00"})


def shown(*steps: Ticked | Raced | Compared | Tried | Delivered) -> str:
    """The steps as the screen prints them."""
    text = io.StringIO()
    screen = DemoScreen(Console(file=text, width=100))
    for step in steps:
        screen.show(step)
    screen.ended(holds=all(step.holds for step in steps), seconds=1.0, is_kept=False)
    return text.getvalue()


@pytest.mark.parametrize(
    ("report", "expected", "holds"),
    [
        (COPIED, 2, True),
        (COPIED, 3, False),
        (COPIED, 0, False),
        (IDLE, 0, True),
        (IDLE, 1, False),
        (replace(IDLE, requests={"GetObject": 1}), 0, False),
        (replace(COPIED, outcome="partial"), 2, False),
    ],
)
def test_a_tick_holds_when_it_copied_what_was_new_and_asked_for_nothing_else(
    report: TickReport, expected: int, *, holds: bool
) -> None:
    assert Ticked("A tick", "", [report], [expected]).holds is holds


@pytest.mark.parametrize(("report", "holds"), [(DENIED, True), (IDLE, False), (UNREACHABLE, False), (COPIED, False)])
def test_a_tick_of_a_broken_role_holds_only_when_it_was_denied(report: TickReport, *, holds: bool) -> None:
    assert Ticked("A role breaks", "", [report], [0], denied=(report.job,)).holds is holds


@pytest.mark.parametrize(
    ("marker", "syncd", "holds"),
    [(["a"], [], True), ([], [], False), (["b"], [], False), (["a", "b"], [], False), (["a"], ["b"], False)],
)
def test_a_race_holds_when_syncd_lost_nothing_and_the_marker_what_the_order_costs(
    marker: list[str], syncd: list[str], *, holds: bool
) -> None:
    step = Raced(19, 13, marker, syncd, 2, 4, ["a"])

    assert step.holds is holds
    assert ("✗" in shown(step)) is not holds


@pytest.mark.parametrize("end", [datetime(2026, 11, 27, 12, 45, tzinfo=UTC), datetime(2026, 3, 1, 0, 5, tzinfo=UTC)])
def test_a_marker_loses_two_to_four_of_the_real_deliveries_over_midnight_too(end: datetime) -> None:
    delivered = arrivals(TrailSpec("example", (), (), end), "111111111111", "us-east-1", end)
    phases = [timedelta(seconds=10 * number) for number in range(30)]

    assert len(delivered) == 19
    assert all(sum(len(arrived) for _, arrived in polls(delivered, phase)) == 19 for phase in phases)
    assert fewest_and_most(delivered) == (2, 4)
    assert round(mean(len(lost_behind_a_marker(delivered, phase)) for phase in phases), 1) == 2.8


@pytest.mark.parametrize(
    ("report", "holds"),
    [
        (DENIED, True),
        (IDLE, False),
        (ASSUMED_NOTHING, False),
        (UNREACHABLE, False),
        (ELSEWHERE, False),
        (replace(DENIED, copied=1), False),
        (replace(DENIED, requests={**DENIED.requests, "GetObject": 1}), False),
    ],
)
def test_an_attempt_holds_only_when_it_was_refused_where_it_should_be(report: TickReport, *, holds: bool) -> None:
    assert Tried("B reading C's logs", "ListObjectsV2", report).holds is holds


@pytest.mark.parametrize(
    ("replica", "said"),
    [
        ({"key": STORED}, []),
        ({}, ["key is missing from the replica"]),
        ({"key": replace(STORED, body=b"lag")}, ["key has other bytes in the replica"]),
        ({"key": replace(STORED, metadata={})}, ["key has other metadata in the replica"]),
        ({"key": replace(STORED, content_encoding="")}, ["key has other metadata in the replica"]),
        ({"key": STORED, "more": STORED}, ["more is in the replica only"]),
    ],
)
def test_what_differs_between_two_buckets_is_named(replica: dict[str, Stored], said: list[str]) -> None:
    assert list(differences({"key": STORED}, replica)) == said


def test_the_screen_names_the_job_that_copied_too_little() -> None:
    text = shown(Ticked("A tick", "", [COPIED], [3]))

    assert "✗ account-b copied 2 objects instead of 3" in text
    assert "A check failed" in text


def test_the_screen_names_what_is_not_the_same() -> None:
    text = shown(replace(SAME, differences=["key is missing from the replica"]))

    assert "1 difference" in text
    assert "key is missing from the replica" in text


def test_the_screen_says_when_something_was_not_refused() -> None:
    assert "✗ B reading C's logs: NOT refused" in shown(Tried("B reading C's logs", "ListObjectsV2", IDLE))


def test_the_document_holds_only_if_all_of_it_does() -> None:
    steps = (Delivered("logs", 2), Ticked("A tick", "", [COPIED], [2]), SAME, Tried("B", "ListObjectsV2", DENIED))

    assert document(steps, seconds=1.0)["holds"] is True
    assert document((*steps, replace(SAME, objects=0)), seconds=1.0)["holds"] is False
