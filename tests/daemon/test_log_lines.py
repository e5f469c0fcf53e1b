"""What people read of the log on a terminal: one line an event, and below it what to do."""

import re
from typing import Any

import pytest

from syncd.config.job import Log
from syncd.daemon import logs
from syncd.job.report import log_report, report_document
from syncd.model import events
from syncd.model.reports import FailedObject, JobError, TickReport

TICK: dict[str, Any] = {"job": "account-b", "duration_seconds": 1.24, "complete_until": 1_795_500_000.0}
DENIED = JobError(reason="access_denied", detail="AssumeRole by x: 403", remedy="`syncd check account-b` says more")


def lines(capsys: pytest.CaptureFixture[str], event: str, **facts: Any) -> list[str]:
    """The lines of an event, without the time and the level."""
    logs.configure(Log(format="console"))
    logs.event_logger()(event, **facts)
    first, *others = capsys.readouterr().err.splitlines()
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", first)
    return [first.partition(" ")[2], *others]


def test_a_tick_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    report = TickReport(outcome="ok", listed=340, copied=12, copied_bytes=4096, skipped={"already_copied": 328}, **TICK)

    (line,) = lines(capsys, events.TICK_FINISHED, **report_document(report))

    assert line == (
        "tick.finished account-b: ok, 12 copied (4.0 KiB), 340 listed, complete until 2026-11-24 06:00, 1.2 s"
    )


def test_a_failed_tick_says_why_and_below_it_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    report = TickReport(outcome="failed", error=DENIED, **TICK)

    first, second = lines(capsys, events.TICK_FAILED, **report_document(report))

    assert first == "error: tick.failed account-b: access_denied: AssumeRole by x: 403"
    assert second == "    → `syncd check account-b` says more"


def test_an_object_is_named_by_its_key_and_the_remedy_can_be_pasted(capsys: pytest.CaptureFixture[str]) -> None:
    gone = FailedObject(key="a b", reason="object_gone", detail="GetObject: 404")
    logs.configure(Log(format="console"))

    log_report(TickReport(outcome="partial", failed=[gone], **TICK), events.TICK_FINISHED, logs.event_logger())

    first, second, third = capsys.readouterr().err.splitlines()
    assert r"object.failed account-b: 'a\x20b': object_gone: GetObject: 404" in first
    assert r"`syncd ledger quarantine accept 'a\x20b' --job account-b`" in second
    assert "tick.finished account-b: partial" in third


def test_sentences_stand_below_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    found = lines(capsys, events.OBJECTIVE_MISSED, job="account-b", why=["it is late", "what to do: wait"])

    assert found == ["error: objective.missed account-b", "    it is late", "    → wait"]


def test_no_fact_is_written_as_a_value_of_python(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = lines(
        capsys, "any.event", counts={"ok": 1, "failed": 2}, names=["a", "b"], nothing=None, empty=[], flag=True
    )

    assert line == 'any.event: counts="ok 1, failed 2" names="a; b" flag=True'


def test_progress_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    facts = {"kind": "tick", "listed": 2000, "copied": 448, "copied_bytes": 2048, "done": 448, "known": 1073}

    (line,) = lines(capsys, events.TICK_PROGRESS, job="b", per_second=67.2, seconds_left=40.0, is_total=False, **facts)

    assert line == "tick.progress b: 448 of at least 1,073 objects copied, 67/s, about 40s left (2.0 KiB)"
