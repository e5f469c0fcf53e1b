"""What repeats itself is said loudly once, then once an hour with a count, and once more when it is over."""

from typing import Any

import pytest

from syncd.daemon.log.repeats import AGAIN_AFTER_SECONDS, RepeatedProblems
from syncd.model import events


class Log:
    """What was said, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.at = 1000.0
        self.problems = RepeatedProblems(self.tell, now=lambda: self.at, monotonic=lambda: self.at, most=50)

    def tell(self, event: str, **facts: Any) -> None:
        self.told.append((event, facts))

    def fail(self, job: str = "a", reason: str = "timeout") -> None:
        self.problems.log(events.TICK_FAILED, job=job, error={"reason": reason})


@pytest.fixture
def log() -> Log:
    return Log()


def test_the_same_failure_is_said_once(log: Log) -> None:
    for _ in range(50):
        log.fail()

    assert len(log.told) == 1


def test_after_an_hour_it_is_said_again_with_how_often_it_happened(log: Log) -> None:
    for _ in range(5):
        log.fail()
    log.at += AGAIN_AFTER_SECONDS

    log.fail()
    log.fail()

    (_, again) = log.told[1]
    assert len(log.told) == 2
    assert (again["repeated"], again["since"]) == (5, "1970-01-01T00:16:40Z")


def test_another_reason_is_another_matter_and_two_that_alternate_are_said_once_each(log: Log) -> None:
    for _ in range(5):
        log.fail(reason="timeout")
        log.fail(reason="connection_failed")

    assert len(log.told) == 2


def test_another_job_is_another_matter(log: Log) -> None:
    log.fail("a")
    log.fail("b")

    assert [facts["job"] for _, facts in log.told] == ["a", "b"]


def test_each_edit_that_is_refused_is_told_of(log: Log) -> None:
    for problem in ('jobs.d/a.toml: every: "x" is no duration', 'jobs.d/a.toml: every: "0s" is too short'):
        log.problems.log(events.CONFIGURATION_REFUSED, problems=[problem], problem_count=1)

    assert [event for event, _ in log.told] == [events.CONFIGURATION_REFUSED] * 2


def test_each_object_is_a_matter_of_its_own(log: Log) -> None:
    for key in ("one", "two", "one"):
        log.problems.log(events.OBJECT_FAILED, job="a", key=key, reason="access_denied")

    assert [facts["key"] for _, facts in log.told] == ["one", "two"]


def test_what_is_no_complaint_is_said_each_time(log: Log) -> None:
    for _ in range(3):
        log.problems.log(events.TICK_FINISHED, job="a")

    assert len(log.told) == 3


def test_a_matter_that_is_settled_tells_how_often_and_how_long_and_is_loud_the_next_time(log: Log) -> None:
    log.fail()
    log.at += 60
    log.fail()

    resolved = log.problems.resolve(events.TICK_FAILED, "a")
    log.fail()

    assert resolved == (2, 60.0)
    assert len(log.told) == 2


def test_what_was_never_wrong_has_nothing_to_be_settled(log: Log) -> None:
    assert log.problems.resolve(events.TICK_FAILED, "a") is None


def test_a_job_that_is_gone_is_forgotten(log: Log) -> None:
    log.fail("a")
    log.problems.log(events.OBJECT_FAILED, job="a", key="k")
    log.fail("b")

    log.problems.forget("a")

    assert log.problems.resolve(events.OBJECT_FAILED, "a") is None
    assert log.problems.resolve(events.TICK_FAILED, "b") is not None


def test_what_somebody_asks_for_is_said_again_with_how_often_it_happened(log: Log) -> None:
    for job in ("a", "a", "b"):
        log.fail(job)

    log.problems.log_again("a")
    for job in ("a", "a", "b"):
        log.fail(job)

    assert [facts["job"] for _, facts in log.told] == ["a", "b", "a"]
    assert log.told[2][1]["repeated"] == 2


def test_what_is_remembered_has_a_limit(log: Log) -> None:
    for number in range(500):
        log.fail(f"job-{number}")

    resolved = [log.problems.resolve(events.TICK_FAILED, f"job-{number}") for number in range(500)]
    assert sum(item is not None for item in resolved) == 50


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    def refuse(_event: str, **_facts: Any) -> None:
        raise OSError(28, "No space left on device")

    problems = RepeatedProblems(refuse, now=lambda: 0.0, monotonic=lambda: 0.0)

    problems.log(events.TICK_FINISHED, job="a")

    assert problems.resolve(events.TICK_FINISHED, "a") is None
