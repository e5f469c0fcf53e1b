"""Locks, forks, threads and descriptors that the system does not grant: a refusal with reason and remedy in every verb."""

import errno
import subprocess
from datetime import datetime, timedelta
from typing import Any

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from pairs import in_turn
from preload import Preload
from program import LONGEST_SECONDS, PROGRAM, Ran
from stage import Stage

VERBS: dict[str, tuple[str, ...]] = {
    "tick": ("tick",),
    "catch-up": ("catch-up", "--from", "2026-11-01"),
    "plan": ("plan",),
    "status": ("status",),
    "check": ("check",),
    "rebuild": ("ledger", "rebuild"),
    "export": ("ledger", "export"),
    "list": ("ledger", "quarantine", "list"),
    "retry": ("ledger", "quarantine", "retry", "KEY"),
}
NO_LOCKS = {
    "no locks are left": f"flock {errno.ENOLCK} -",
    "NFS without locks": f"flock {errno.EOPNOTSUPP} /state/",
}
UNWRITABLE = {"read-only": f"write-open {errno.EROFS} /state\nmkdir {errno.EROFS} /state"}
SPENT = {
    "no process is left": f"fork {errno.EAGAIN} -",
    "no memory for a process": f"fork {errno.ENOMEM} -",
    "no descriptor for a worker": f"socketpair {errno.EMFILE} -",
    "no descriptor for a connection": f"socket {errno.ENFILE} -",
    "no descriptor for the state": f"open {errno.EMFILE} /state/",
    "no descriptor in the system": f"write-open {errno.ENFILE} /state/",
    "no thread is left": f"thread {errno.EAGAIN} -",
}
needs_compiler = pytest.mark.needs_tool("cc")
WRITES_STATE = ("tick", "catch-up", "rebuild", "retry")


@pytest.fixture
def stage(stage: Stage, now: datetime) -> Stage:
    """With a job that has ticked, and one more log to copy."""
    stage.job()
    stage.deliver([Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=20))])
    stage.syncd("tick")
    stage.deliver([Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=10))])
    return stage


def failing(stage: Stage, rules: str, verb: str) -> Ran:
    preload = Preload(stage.folder / "page", rules=rules)
    return stage.syncd(*VERBS[verb], "--json", **preload.environment)


def error_in(document: Any) -> Any:
    """The error of the whole document, of its only job, or of that job's state."""
    jobs = document.get("jobs") or [{}]
    if isinstance(jobs[0], str):
        jobs = [{}]
    return document.get("error") or jobs[0].get("error") or jobs[0].get("state_error")


def assert_refused(ran: Ran, reason: str) -> None:
    error = error_in(ran.document)
    assert "Traceback" not in ran.stderr, ran.stderr
    assert ran.code in (1, 4), ran
    assert error["reason"] == reason, error
    assert error["detail"]
    assert "report this" not in error["remedy"]


@needs_compiler
@pytest.mark.parametrize(("fault", "verb"), in_turn(NO_LOCKS, WRITES_STATE))
def test_a_file_system_without_locks_is_refused(stage: Stage, fault: str, verb: str) -> None:
    ran = failing(stage, NO_LOCKS[fault], verb)

    assert_refused(ran, "ledger_unwritable")
    assert "file system with locks" in error_in(ran.document)["remedy"]


@needs_compiler
@pytest.mark.parametrize(("fault", "verb"), in_turn(UNWRITABLE, WRITES_STATE))
def test_a_read_only_state_folder_is_refused(stage: Stage, fault: str, verb: str) -> None:
    ran = failing(stage, UNWRITABLE[fault], verb)

    assert_refused(ran, "ledger_unwritable")
    assert "not read-only" in error_in(ran.document)["remedy"]


@needs_compiler
@pytest.mark.parametrize(("fault", "verb"), in_turn([*NO_LOCKS, *UNWRITABLE], ["plan", "status", "export", "list"]))
def test_what_only_reads_the_state_does_without_locks(stage: Stage, fault: str, verb: str) -> None:
    ran = failing(stage, (NO_LOCKS | UNWRITABLE)[fault], verb)

    assert (ran.code, error_in(ran.document)) == (0, None)
    assert "Traceback" not in ran.stderr


@needs_compiler
def test_a_file_system_without_locks_on_ranges_is_refused(stage: Stage) -> None:
    rules = f"lock {errno.EOPNOTSUPP} /state/"

    for verb in WRITES_STATE:
        ran = failing(stage, rules, verb)
        assert_refused(ran, "ledger_unwritable")
        assert "file system with locks" in error_in(ran.document)["remedy"]


@needs_compiler
def test_check_says_what_is_wrong_with_the_state_folder(stage: Stage) -> None:
    states = NO_LOCKS | UNWRITABLE | {"no locks on ranges": f"lock {errno.ENOLCK} /state/"}

    for fault, rules in states.items():
        ran = failing(stage, rules, "check")
        failed = {check["check"]: check for check in ran.job["checks"] if check["status"] == "failed"}
        assert (ran.code, list(failed)) == (4, ["state"]), fault
        assert ("read-only" if fault == "read-only" else "file system with locks") in failed["state"]["remedy"]
    assert not list(stage.state.glob(".syncd-check-*"))


@needs_compiler
@pytest.mark.parametrize(("fault", "verb"), in_turn(SPENT, ["tick", "catch-up"]))
def test_what_the_system_has_run_out_of_is_named(stage: Stage, fault: str, verb: str) -> None:
    ran = failing(stage, SPENT[fault], verb)

    assert_refused(ran, "resource_limit")
    assert "ulimit" in error_in(ran.document)["remedy"]
    assert stage.syncd(verb, *VERBS[verb][1:], "--json").job["outcome"] == "ok"
    assert stage.replica() == stage.source()


@needs_compiler
@pytest.mark.parametrize(("fault", "verb"), in_turn(SPENT, VERBS))
def test_no_verb_ends_without_its_document(stage: Stage, fault: str, verb: str) -> None:
    ran = failing(stage, SPENT[fault], verb)

    assert isinstance(ran.document, dict)
    assert ran.code in (0, 1, 4), ran
    assert "Traceback" not in ran.stderr, ran.stderr
    assert "crashed" not in ran.stdout


@pytest.mark.parametrize(
    ("most", "verb"), in_turn(["6", "8", "10", "12", "16", "20", "24", "28", "32"], VERBS, rounds=2)
)
def test_few_descriptors_are_a_refusal_or_enough(stage: Stage, most: str, verb: str) -> None:
    ran = limited(stage, most, verb)

    assert ran.code in (0, 1, 4), ran
    assert "Traceback" not in ran.stderr, ran.stderr
    assert isinstance(ran.document, dict)
    if verb == "tick" and ran.code != 0:
        assert error_in(ran.document)["reason"] == "resource_limit"


def limited(stage: Stage, most: str, verb: str) -> Ran:
    command = ["bash", "-c", f'ulimit -n {most}; exec "$@"', "bash", PROGRAM, *VERBS[verb], "--json"]
    folder, variables = stage.folder / "home", stage.environment()
    ended = subprocess.run(
        [*command, "--config", str(stage.config)],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    return Ran(ended.returncode, ended.stdout, ended.stderr)
