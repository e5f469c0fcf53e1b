"""The JSON documents: every field that the contract promises, of its type, in one document on stdout."""

from datetime import datetime
from typing import Any

import pytest
from builders import ACCOUNTS, REGIONS, Trail, days_before
from faulty import Status, on
from program import Ran
from stage import Stage

TEXT, WHOLE, NUMBER, OPTIONAL_TEXT = (str,), (int,), (int, float), (str, type(None))
JOB: dict[str, tuple[type, ...]] = {
    "job": TEXT,
    "outcome": TEXT,
    "mode": OPTIONAL_TEXT,
    "listed": WHOLE,
    "copied": WHOLE,
    "copied_bytes": WHOLE,
    "already_there": WHOLE,
    "conflicts": (list,),
    "skipped": (dict,),
    "failed": (list,),
    "failed_count": WHOLE,
    "late_beyond_allowance": WHOLE,
    "requests": (dict,),
    "complete_from": OPTIONAL_TEXT,
    "complete_until": OPTIONAL_TEXT,
    "duration_seconds": NUMBER,
    "error": (dict, type(None)),
}
OUTCOMES = {"ok", "partial", "failed", "interrupted", "already-running"}
RUNS = {"tick": ("tick",), "catch-up": ("catch-up", "--from", "2026-01-01")}


def assert_promised(job: Any) -> None:
    """All fields of the contract, each of its type."""
    assert JOB.keys() <= job.keys()
    wrong = {name: job[name] for name, types in JOB.items() if type(job[name]) not in types}
    assert wrong == {}
    assert job["outcome"] in OUTCOMES
    assert all(type(count) is int for count in (*job["skipped"].values(), *job["requests"].values()))
    assert all(each.keys() == {"key", "reason", "detail"} for each in job["failed"])
    assert all(each.keys() == {"key", "detail"} for each in job["conflicts"])
    assert job["error"] is None or job["error"].keys() == {"reason", "detail", "remedy"}
    assert all(is_instant(job[name]) for name in ("complete_from", "complete_until"))


def is_instant(text: str | None) -> bool:
    """ISO 8601, UTC, or nothing."""
    return text is None or bool(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z"))


def delivered(stage: Stage, now: datetime) -> list[str]:
    return stage.deliver(Trail().span(ACCOUNTS[:1], REGIONS[:1], days_before(now, 2), logs=10))


def run(stage: Stage, verb: str) -> Ran:
    return stage.syncd(*RUNS[verb], "--json")


@pytest.mark.parametrize("verb", RUNS)
def test_a_run_without_anything_wrong_has_the_promised_document(stage: Stage, now: datetime, verb: str) -> None:
    keys = delivered(stage, now)
    stage.job()

    ran = run(stage, verb)

    assert ran.document.keys() == {"jobs"}
    assert_promised(ran.job)
    assert (ran.code, ran.job["job"], ran.job["outcome"], ran.job["mode"]) == (0, "account-z", "ok", "stream")
    assert (ran.job["listed"], ran.job["copied"]) == (len(keys), len(keys))
    assert ran.job["copied_bytes"] == sum(len(item.body) for item in stage.server.objects(stage.world.bucket).values())
    assert ran.job["error"] is None


@pytest.mark.parametrize("verb", RUNS)
def test_a_run_with_failures_and_a_conflict_has_the_promised_document(stage: Stage, now: datetime, verb: str) -> None:
    keys = delivered(stage, now)
    stage.server.put(stage.watched().name, keys[0], b"other content")
    stage.server.faults.add(on("GetObject", key=keys[1]), Status(403, "AccessDenied"))
    stage.job()

    ran = run(stage, verb)

    assert_promised(ran.job)
    assert (ran.code, ran.job["outcome"]) == (3, "partial")
    assert [each["key"] for each in ran.job["failed"]] == [keys[1]]
    assert [each["key"] for each in ran.job["conflicts"]] == [keys[0]]


@pytest.mark.parametrize("verb", RUNS)
def test_a_failed_run_has_the_promised_document(stage: Stage, verb: str) -> None:
    stage.job(changes={"source.role.external_id": "wrong"})

    ran = run(stage, verb)

    assert_promised(ran.job)
    assert (ran.code, ran.job["outcome"], ran.job["error"]["reason"]) == (1, "failed", "access_denied")


def test_requests_are_counted_as_the_server_counts_them(stage: Stage, now: datetime) -> None:
    delivered(stage, now)
    stage.job()

    ran = stage.syncd("tick", "--json")

    assert ran.job["requests"] == dict(stage.operations())


def test_jobs_come_in_the_order_of_their_names_and_only_the_named_ones_run(stage: Stage) -> None:
    for name in ("account-z", "account-b", "account-c"):
        stage.job(name)

    every = stage.syncd("tick", "--json")
    named = stage.syncd("tick", "--json", "account-z", "account-c", "account-z")

    assert [job["job"] for job in every.document["jobs"]] == ["account-b", "account-c", "account-z"]
    assert sorted(job["job"] for job in named.document["jobs"]) == ["account-c", "account-z"]


@pytest.mark.parametrize("arguments", [("tick",), ("plan",), ("status",)], ids=" ".join)
def test_stdout_has_one_document_and_the_log_goes_to_stderr(
    stage: Stage, now: datetime, arguments: tuple[str, ...]
) -> None:
    delivered(stage, now)
    stage.configure({"log.level": "debug"})
    stage.job()

    ran = stage.syncd(*arguments, "--json")

    assert len(ran.stdout.splitlines()) == 1
    assert [job["job"] for job in ran.document["jobs"]] == ["account-z"]
    assert all("event" in event and "timestamp" in event for event in ran.logged)


def test_one_canonical_line_tells_a_tick(stage: Stage, now: datetime) -> None:
    delivered(stage, now)
    stage.job()

    ran = stage.syncd("tick", "--json")

    (line,) = [event for event in ran.logged if event["event"] == "tick.finished"]
    same = ("job", "outcome", "copied", "copied_bytes", "failed_count", "complete_until")
    assert {name: line[name] for name in same} == {name: ran.job[name] for name in same}


def test_a_run_for_people_prints_a_table_and_no_json(stage: Stage, now: datetime) -> None:
    delivered(stage, now)
    stage.configure({"log.format": "console"})
    stage.job()

    ran = stage.syncd("tick")

    assert ran.code == 0
    assert "account-z" in ran.stdout
    assert "{" not in ran.stdout


def test_no_progress_is_drawn_in_a_pipe(stage: Stage, now: datetime) -> None:
    delivered(stage, now)
    stage.job()

    ran = stage.syncd("catch-up", "--from", f"{days_before(now, 2)[0]}")

    assert ran.code == 0
    assert "\r" not in ran.stderr
    assert "\x1b" not in ran.stderr + ran.stdout


def test_the_version_is_printed(stage: Stage) -> None:
    ran = stage.syncd("--version", with_config=False)

    assert ran.code == 0
    assert ran.stdout.startswith("syncd ")
    assert ran.stdout.split()[1][0].isdigit()


VERBS = {
    "run",
    "completion",
    "tick",
    "catch-up",
    "plan",
    "check",
    "status",
    "policies",
    "ledger",
    "init",
    "demo",
    "config",
}


def test_the_help_names_every_verb_of_the_contract(stage: Stage) -> None:
    ran = stage.syncd("--help", with_config=False)

    assert ran.code == 0
    assert set(ran.stdout.split()) >= VERBS


def test_a_verb_has_a_help_of_its_own(stage: Stage) -> None:
    ran = stage.syncd("catch-up", "--help", with_config=False)

    assert ran.code == 0
    assert {"--from", "--to", "--account", "--region", "--config", "--json"} <= set(ran.stdout.split())
