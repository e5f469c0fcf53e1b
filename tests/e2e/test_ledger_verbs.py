"""`syncd ledger`: the state rebuilt, read out, and single objects dealt with by hand."""

import contextlib
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from faulty import Status, on
from stage import Stage

from syncd.ledger.folder.job_locks import Locks


def delivered(stage: Stage, now: datetime) -> list[str]:
    """Six logs, 55 to 5 minutes old."""
    begin = now.replace(second=0) - timedelta(minutes=55)
    return stage.deliver(
        Trail().log(ACCOUNTS[0], REGIONS[0], begin + timedelta(minutes=10 * number), number) for number in range(6)
    )


def in_conflict(stage: Stage, now: datetime) -> str:
    """A job with one conflict, found; its key."""
    keys = delivered(stage, now)
    stage.server.put(stage.watched().name, keys[1], b"other content")
    stage.job()
    stage.syncd("tick")
    return keys[1]


def held(stage: Stage) -> Any:
    """What the quarantine lists of the only job."""
    return stage.syncd("ledger", "quarantine", "list", "--json").job["objects"]


def z(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def test_the_quarantine_lists_what_failed_and_why(stage: Stage, now: datetime) -> None:
    keys = delivered(stage, now)
    stage.server.faults.add(on("GetObject", key=keys[2]), Status(403, "AccessDenied"))
    stage.job()
    stage.syncd("tick")

    ran = stage.syncd("ledger", "quarantine", "list", "--json")

    (listed,) = ran.job["objects"]
    assert (ran.code, listed["key"], listed["reason"], listed["attempts"]) == (0, keys[2], "access_denied", 1)
    assert listed["first_at"] <= listed["next_at"]


def test_an_accepted_conflict_keeps_the_replica_and_lets_the_horizon_go_on(stage: Stage, now: datetime) -> None:
    key = in_conflict(stage, now)
    before = stage.syncd("tick", "--json")

    accepted = stage.syncd("ledger", "quarantine", "accept", key)
    stage.server.forget_requests()
    after = stage.syncd("tick", "--json")

    assert (accepted.code, held(stage)) == (0, [])
    assert before.job["complete_until"] < z(now - timedelta(minutes=45))
    assert after.job["complete_until"] > z(now - timedelta(minutes=35))
    assert (after.code, after.job["copied"], stage.requests("GetObject", "PutObject")) == (0, 0, 0)
    assert stage.server.get(stage.watched().name, key).body == b"other content"


def test_what_was_accepted_stays_accepted_when_the_state_is_rebuilt_or_lost(stage: Stage, now: datetime) -> None:
    key = in_conflict(stage, now)
    stage.syncd("ledger", "quarantine", "accept", key)

    state = {file.name: file.read_bytes() for file in stage.state.iterdir() if file.name == "ledger.sqlite3"}
    stage.server.forget_requests()
    rehearsed = stage.syncd("ledger", "rebuild", "--dry-run", "--json")
    assert (rehearsed.code, stage.operations()) == (0, {})
    assert rehearsed.job["would"] == {"forget": 6, "list": 2, "keep": {"quarantined": 0, "accepted": 1}}
    assert {file.name: file.read_bytes() for file in stage.state.iterdir() if file.name in state} == state
    stage.syncd("ledger", "rebuild")
    rebuilt = stage.syncd("tick", "--json")
    for file in stage.state.glob("ledger.sqlite3*"):
        file.unlink()
    lost = stage.syncd("tick", "--json")

    assert (rebuilt.code, rebuilt.job["skipped"]["accepted"], rebuilt.job["conflicts"]) == (0, 1, [])
    assert (lost.code, lost.job["skipped"]["accepted"], lost.job["conflicts"]) == (0, 1, [])


def test_a_conflict_that_is_retried_is_found_again(stage: Stage, now: datetime) -> None:
    key = in_conflict(stage, now)

    retried = stage.syncd("ledger", "quarantine", "retry", key)
    ticked = stage.syncd("tick", "--json")

    assert (retried.code, ticked.code) == (0, 3)
    assert [conflict["key"] for conflict in ticked.job["conflicts"]] == [key]
    assert stage.watched().destroyed == [] or stage.server.get(stage.watched().name, key).body == b"other content"


def test_a_key_that_is_not_in_the_quarantine_is_told(stage: Stage, now: datetime) -> None:
    in_conflict(stage, now)

    ran = stage.syncd("ledger", "quarantine", "accept", "no/such/key")

    assert ran.code != 0
    assert "no/such/key" in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr
    assert len(held(stage)) == 1


@pytest.mark.parametrize("verb", ["retry", "accept"])
def test_a_key_that_is_not_in_the_quarantine_is_an_error_in_the_document(stage: Stage, verb: str) -> None:
    stage.job()

    ran = stage.syncd("ledger", "quarantine", verb, "no/such/key", "--json")

    document = ran.document
    error = document.pop("error")
    assert (ran.code, document) == (1, {"key": "no/such/key", "jobs": [], "objects": 0, "details": {}})
    assert (error["reason"], error["detail"]) == ("not_in_quarantine", "no/such/key is in no job's quarantine")
    assert "syncd ledger quarantine list" in error["remedy"]


def test_a_rebuilt_ledger_copies_nothing_twice(stage: Stage, now: datetime) -> None:
    keys = delivered(stage, now)
    stage.job()
    stage.syncd("tick")
    stage.server.forget_requests()

    rebuilt = stage.syncd("ledger", "rebuild", "--json")
    ticked = stage.syncd("tick", "--json")

    assert (rebuilt.code, rebuilt.job["replicas"]) == (0, len(keys))
    assert (ticked.code, ticked.job["copied"]) == (0, 0)
    assert stage.requests("PutObject", "GetObject") == 0


def test_the_export_names_every_copied_object(stage: Stage, now: datetime) -> None:
    keys = delivered(stage, now)
    stage.job()
    stage.syncd("tick")

    ran = stage.syncd("ledger", "export")

    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert ran.code == 0
    assert all(any(key in json.dumps(row) for row in rows) for key in keys)


def test_the_export_claims_nothing_that_the_destination_lacks(stage: Stage, now: datetime) -> None:
    keys = delivered(stage, now)
    stage.server.faults.add(on("PutObject", key=keys[2]), Status(403, "AccessDenied"))
    stage.job()
    stage.syncd("tick")

    ran = stage.syncd("ledger", "export")

    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    copied = [row["key"] for row in rows if row["type"] == "object"]
    assert sorted(copied) == sorted(set(keys) - {keys[2]})


def test_the_export_in_one_document_holds_the_rows_of_the_lines(stage: Stage, now: datetime) -> None:
    delivered(stage, now)
    stage.job()
    stage.syncd("tick")

    lines = stage.syncd("ledger", "export")
    document = stage.syncd("ledger", "export", "--json")

    assert (lines.code, document.code) == (0, 0)
    rows = [json.loads(line) for line in lines.stdout.splitlines()]
    assert json.loads(document.stdout) == {"rows": rows, "error": None}


OF_THE_STATE = {
    "list": ("quarantine", "list"),
    "export": ("export",),
    "retry": ("quarantine", "retry", "a/key"),
    "accept": ("quarantine", "accept", "a/key"),
}


def with_a_damaged_state(stage: Stage) -> str:
    """A job whose state file is junk; the file's path."""
    stage.job()
    stage.state.mkdir(exist_ok=True)
    ledger = stage.state / "ledger.sqlite3"
    ledger.write_bytes(b"this is no database\n" * 500)
    return str(ledger)


@pytest.mark.parametrize("verb", OF_THE_STATE)
def test_a_damaged_state_is_an_error_in_one_whole_document(stage: Stage, verb: str) -> None:
    ledger = with_a_damaged_state(stage)

    ran = stage.syncd("ledger", *OF_THE_STATE[verb], "--json")

    error = ran.document["error"]
    assert (ran.code, error["reason"]) == (1, "ledger_corrupt")
    assert ledger in error["detail"]
    assert "rebuilds the state from the destination" in error["remedy"]


@pytest.mark.parametrize("verb", OF_THE_STATE)
def test_a_damaged_state_is_told_with_its_file_and_the_remedy(stage: Stage, verb: str) -> None:
    ledger = with_a_damaged_state(stage)

    ran = stage.syncd("ledger", *OF_THE_STATE[verb])

    assert (ran.code, ran.stdout) == (1, "")
    assert ledger in ran.stderr
    assert "a tick moves the file aside and rebuilds the state from the destination" in ran.stderr


@pytest.mark.parametrize(("running", "code"), [(["account-b"], 3), (["account-b", "account-c"], 11)])
def test_a_job_that_runs_is_not_rebuilt_and_told_as_a_tick_tells_it(
    stage: Stage, running: list[str], code: int
) -> None:
    stage.job("account-b")
    stage.job("account-c")
    locks = Locks(stage.state)

    with contextlib.ExitStack() as held:
        for name in running:
            held.enter_context(locks.tick(name))
        ran = stage.syncd("ledger", "rebuild", "--json")

    errors = {job["job"]: job["error"] and job["error"]["reason"] for job in ran.document["jobs"]}
    assert ran.code == code
    assert {name for name, reason in errors.items() if reason == "already_running"} == set(running)
    assert set(errors.values()) <= {None, "already_running"}


def archived(stage: Stage, now: datetime, reasons: int = 4) -> list[str]:
    """Six logs, of which the first are archived and one is denied; the keys of all."""
    keys = delivered(stage, now)
    bucket = stage.world.bucket
    for key in keys[:reasons]:
        item = stage.server.get(bucket, key)
        stage.server.put(bucket, key, item.body, storage_class="GLACIER", last_modified=item.last_modified)
    stage.server.faults.add(on("GetObject", key=keys[5]), Status(403, "AccessDenied"))
    stage.job()
    stage.syncd("tick")
    return keys


def test_objects_are_chosen_by_pattern_by_reason_or_all_at_once(stage: Stage, now: datetime) -> None:
    keys = archived(stage, now)
    tail = keys[0].rpartition("_")[2]

    one = stage.syncd("ledger", "quarantine", "accept", f"*{tail}", "--json").document
    others = stage.syncd("ledger", "quarantine", "retry", "--reason", "archived")
    both = stage.syncd("ledger", "quarantine", "accept", "AWSLogs/*", "--reason", "access_denied", "--json").document
    left = {item["key"]: item["reason"] for item in held(stage)}
    rest = stage.syncd("ledger", "quarantine", "accept", "--all")

    assert (one["objects"], one["jobs"], one["error"]) == (1, ["account-z"], None)
    assert others.stdout == "3 objects: will be tried again by the next tick of account-z\n"
    assert both["objects"] == 1
    assert left == dict.fromkeys(keys[1:4], "retry_requested")
    assert (rest.code, held(stage)) == (0, [])


def test_a_key_that_is_held_is_no_pattern(stage: Stage, now: datetime) -> None:
    begin = now.replace(second=0) - timedelta(minutes=55)
    log = Trail().log(ACCOUNTS[0], REGIONS[0], begin)
    folder = log.key.rpartition("/")[0]
    names = [f"{folder}/[ab]*.gz", f"{folder}/ax.gz", f"{folder}/bx.gz"]
    stage.deliver(replace(log, key=name) for name in names)
    stage.server.faults.add("GetObject", Status(404, "NoSuchKey"))
    stage.job()
    stage.syncd("tick")

    itself = stage.syncd("ledger", "quarantine", "accept", names[0], "--json").document
    pattern = stage.syncd("ledger", "quarantine", "accept", names[0], "--json").document

    assert (itself["objects"], pattern["objects"]) == (1, 2)


@pytest.mark.parametrize(
    ("words", "named"),
    [((), "--all"), (("k", "--all"), "--all"), (("--reason", "archivd"), "archivd")],
    ids=["nothing", "too much", "no reason"],
)
def test_a_choice_that_means_nothing_changes_nothing(stage: Stage, words: tuple[str, ...], named: str) -> None:
    stage.job()

    ran = stage.syncd("ledger", "quarantine", "accept", *words)

    assert ran.code == 2
    assert named in ran.stderr
