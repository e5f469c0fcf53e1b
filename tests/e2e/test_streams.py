"""Streams that are closed, broken or full, and locales that are not UTF-8: every verb ends as it would without them."""

import json
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from pairs import in_turn
from program import LONGEST_SECONDS, PROGRAM
from stage import Stage

NEW = (
    "init",
    "--name",
    "new",
    "--consumer-account",
    "222222222222",
    "--bucket",
    "example-trail",
    "--region",
    "us-east-1",
)
VERBS: dict[str, tuple[str, ...]] = {
    "tick": ("tick",),
    "catch-up": ("catch-up", "--from", "2026-11-01"),
    "plan": ("plan",),
    "status": ("status",),
    "check": ("check",),
    "policies": ("policies", "account-z"),
    "init": (*NEW, "--source-account", "111111111111", "--destination", "new", "--destination-region", "us-east-1"),
    "validate": ("config", "validate"),
    "rebuild": ("ledger", "rebuild"),
    "export": ("ledger", "export"),
    "list": ("ledger", "quarantine", "list"),
    "retry": ("ledger", "quarantine", "retry", "KEY"),
}
ENDS = {"retry": 1}
STREAMS = {
    "stdin closed": 'exec "$@" <&-',
    "stdout closed": 'exec "$@" >&-',
    "stderr closed": 'exec "$@" 2>&-',
    "all closed": 'exec "$@" <&- >&- 2>&-',
    "stdout without a reader": '"$@" | true; exit ${PIPESTATUS[0]}',
    "stderr without a reader": '"$@" 2> >(true)',
    "stderr full": 'exec "$@" 2>/dev/full',
}
LOCALES = {
    "ASCII": {"PYTHONIOENCODING": "ascii"},
    "strict ASCII": {"PYTHONIOENCODING": "ascii:strict"},
    "Latin 1": {"PYTHONIOENCODING": "iso-8859-1"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "POSIX": {"LC_ALL": "POSIX"},
    "one that is not installed": {"LC_ALL": "de_DE.ISO-8859-1"},
}


@pytest.fixture
def stage(stage: Stage, now: datetime) -> Stage:
    """With one log at the source and a job."""
    stage.deliver([Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=20))])
    stage.job()
    stage.syncd("tick")
    return stage


def ran(
    stage: Stage, *arguments: str, shell: str = 'exec "$@"', **environment: str
) -> "subprocess.CompletedProcess[bytes]":
    command = ["bash", "-c", shell, "bash", PROGRAM, *arguments, "--config", str(stage.config)]
    folder, variables = stage.folder / "home", stage.environment(**environment)
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, timeout=LONGEST_SECONDS, check=False)


def assert_no_defect_is_shown(ended: "subprocess.CompletedProcess[bytes]") -> None:
    assert b"Traceback" not in ended.stderr, ended.stderr
    assert b"Exception ignored" not in ended.stderr, ended.stderr


@pytest.mark.parametrize(("streams", "verb"), in_turn(STREAMS, VERBS, rounds=2))
def test_a_stream_that_cannot_be_used_changes_nothing(stage: Stage, streams: str, verb: str) -> None:
    ended = ran(stage, *VERBS[verb], "--json", shell=STREAMS[streams])

    assert ended.returncode == ENDS.get(verb, 0), ended
    assert_no_defect_is_shown(ended)
    if "stdout" not in streams and "all" not in streams:
        assert isinstance(json.loads(ended.stdout), dict)


@pytest.mark.parametrize(("option", "verb"), in_turn(["", "--json"], VERBS))
def test_output_that_is_lost_is_a_failure_that_is_told(stage: Stage, option: str, verb: str) -> None:
    ended = ran(stage, *VERBS[verb], *option.split(), shell='exec "$@" >/dev/full')

    assert ended.returncode == 1
    assert_no_defect_is_shown(ended)
    assert ended.stderr.splitlines()[-1] == b"syncd: stdout: No space left on device; what was printed is not whole"


def test_a_closed_stream_does_not_give_its_number_to_a_state_file(stage: Stage) -> None:
    ended = ran(stage, "tick", shell='exec "$@" <&- >&- 2>&-')

    assert ended.returncode == 0
    assert ended.stdout + ended.stderr == b""
    assert stage.state_is_sound()
    assert stage.replica() == stage.source()


def test_a_long_output_ends_when_its_reader_has_gone(stage: Stage, now: datetime) -> None:
    stage.deliver(Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=20), number) for number in range(900))
    stage.syncd("tick")

    ended = ran(stage, "ledger", "export", shell='"$@" | head -n 1; exit ${PIPESTATUS[0]}')

    assert ended.returncode == 0
    assert len(ended.stdout.splitlines()) == 1
    assert ended.stderr == b""


@pytest.mark.parametrize(("locale", "verb"), in_turn(LOCALES, VERBS))
def test_every_verb_speaks_in_any_locale(stage: Stage, locale: str, verb: str) -> None:
    as_json = ran(stage, *VERBS[verb], "--json", **LOCALES[locale])
    (stage.config.parent / "jobs.d" / "new.toml").unlink(missing_ok=True)
    for_people = ran(stage, *VERBS[verb], **LOCALES[locale])

    for ended in (as_json, for_people):
        assert ended.returncode == ENDS.get(verb, 0), ended
        assert_no_defect_is_shown(ended)
    assert isinstance(json.loads(as_json.stdout), dict)
    assert for_people.stdout


@pytest.mark.parametrize("locale", ["ASCII", "strict ASCII", "C"])
def test_check_marks_its_steps_in_plain_characters(stage: Stage, locale: str) -> None:
    ended = ran(stage, "check", **LOCALES[locale])

    assert ended.stdout.isascii()
    assert b"\n  + identity " in ended.stdout


def test_paths_are_the_same_in_every_locale(stage: Stage, tmp_path: Path) -> None:
    folder = tmp_path / "süß ✓"
    folder.mkdir()
    stage.configure({"state_dir": folder / "state"})

    for variables in LOCALES.values():
        assert ran(stage, "tick", **variables).returncode == 0

    assert [path.name for path in folder.iterdir()] == ["state"]
    assert stage.requests("PutObject") == 1
