"""A job whose role is refused waits longer and longer, and not at all when somebody asks."""

import pytest
from clocks import HandClock

from syncd.daemon.ticks.pauses import LONGEST_SECONDS, Pauses, is_role_refusal
from syncd.model.reasons import Reason
from syncd.model.reports import JobError

REFUSED = JobError(reason=Reason.ACCESS_DENIED, detail="AssumeRole by x of y: AccessDenied: no", remedy="mend it")


@pytest.fixture
def pauses(clock: HandClock) -> Pauses:
    return Pauses(monotonic=clock.now)


def test_a_pause_doubles_up_to_a_quarter_of_an_hour(pauses: Pauses) -> None:
    ends = [pauses.pause("a", REFUSED, period=1.0).ends_at for _ in range(8)]

    assert ends == [59.5, 119.5, 239.5, 479.5, *[LONGEST_SECONDS - 0.5] * 4]


def test_a_pause_is_over_when_the_tick_after_it_is_due(pauses: Pauses) -> None:
    ends = [pauses.pause("a", REFUSED, period=300.0).ends_at for _ in range(4)]

    assert ends == [150, 450, 750, 750]


def test_a_job_that_ticks_seldom_is_not_asked_to_tick_more_often(pauses: Pauses) -> None:
    ends = [pauses.pause("a", REFUSED, period=86400.0).ends_at for _ in range(3)]

    assert ends == [43200, 43200, 43200]


def test_a_pause_holds_until_its_end(pauses: Pauses, clock: HandClock) -> None:
    pauses.pause("a", REFUSED, period=1.0)

    held = pauses.is_paused("a")
    clock.at = 59.5

    assert held
    assert not pauses.is_paused("a")
    assert not pauses.is_paused("b")


def test_a_lifted_pause_begins_anew(pauses: Pauses) -> None:
    pauses.pause("a", REFUSED, period=1.0)
    pauses.pause("a", REFUSED, period=1.0)

    lifted = pauses.end("a")

    assert lifted is not None
    assert lifted.attempts == 2
    assert pauses.pause("a", REFUSED, period=1.0).attempts == 1


def test_somebody_who_asks_ends_the_waiting_and_not_the_count(pauses: Pauses) -> None:
    pauses.pause("a", REFUSED, period=1.0)

    waiting = pauses.end_all()

    assert waiting == ["a"]
    assert not pauses.is_paused("a")
    assert pauses.seconds_left("a") == 0
    assert pauses.pause("a", REFUSED, period=1.0).attempts == 2


@pytest.mark.parametrize(
    ("reason", "detail", "expected"),
    [
        (Reason.ACCESS_DENIED, "AssumeRole by x of y: AccessDenied: no", True),
        (Reason.ACCESS_DENIED, "ListObjectsV2 by x of s3://b/: AccessDenied: no", False),
        (Reason.CONNECTION, "AssumeRole by x of y: no route to host", False),
    ],
)
def test_only_a_refusal_by_sts_pauses(reason: str, detail: str, *, expected: bool) -> None:
    assert is_role_refusal(JobError(reason=reason, detail=detail, remedy="")) is expected
