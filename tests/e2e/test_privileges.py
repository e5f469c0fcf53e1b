"""Root runs verbs over a state that belongs to another user: nothing that this user plants is followed."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from faulty import FaultyS3
from stage import Stage

import syncd

IS_ROOT = os.geteuid() == 0
OWNER = 12345 if IS_ROOT else os.geteuid()
PRECIOUS = "precious"


@pytest.fixture
def shared(faulty: FaultyS3) -> Iterator[Stage]:
    """A stage whose state folder is another user's, if this is root; that user reaches nothing else of it."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    stage = Stage(faulty, folder)
    stage.credentials.chmod(0o600)
    stage.state.mkdir(mode=0o700)
    os.chown(stage.state, OWNER, OWNER if IS_ROOT else -1)
    yield stage
    shutil.rmtree(folder)


def owners(stage: Stage) -> set[int]:
    return {path.lstat().st_uid for path in (stage.state, *stage.state.rglob("*"))}


def test_a_tick_by_root_leaves_everything_to_the_owner_of_the_state(shared: Stage, now: datetime) -> None:
    shared.job()
    stamps = [now - timedelta(minutes=minutes) for minutes in (5, 6, 7)]
    shared.deliver(Trail().log(ACCOUNTS[0], REGIONS[0], stamp) for stamp in stamps)

    ran = shared.syncd("tick", "--json")
    again = shared.syncd("status", "--json")

    assert (ran.code, ran.job["copied"], again.code) == (0, 3, 0)
    assert owners(shared) == {OWNER}
    assert ("privileges.dropped" in {line["event"] for line in ran.logged}) is IS_ROOT


PLACES = ["locks/account-z.tick.lock", "ledger.gate", "ledger.lock", "ledger.sqlite3"]


@pytest.mark.parametrize("place", PLACES)
def test_a_link_in_the_state_is_not_followed(shared: Stage, tmp_path: Path, place: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text(PRECIOUS)
    link = shared.state / place
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(victim)
    for path in (link.parent, link):
        os.chown(path, OWNER, -1, follow_symlinks=False)
    shared.job()

    ran = shared.syncd("tick", "--json")

    assert ran.code == 1
    assert ran.job["error"]["reason"] == "ledger_unwritable"
    assert "symbolic link" in ran.job["error"]["detail"]
    assert (victim.read_text(), victim.stat().st_uid) == (PRECIOUS, os.geteuid())


def test_a_state_that_all_can_write_to_is_refused_with_what_to_do(shared: Stage) -> None:
    shared.state.chmod(0o777)
    shared.job()

    ran = shared.syncd("tick", "--json")

    assert ran.code == 1
    assert "others can write to it" in ran.job["error"]["detail"]
    assert "chmod go-w" in ran.job["error"]["remedy"]
    assert list(shared.state.iterdir()) == []


def test_a_program_that_the_owner_of_the_state_cannot_read_is_told_at_once(shared: Stage, tmp_path: Path) -> None:
    """As with `pip install --user` as root, in a container: its root may read what others may not only as root."""
    hidden = tmp_path / "hidden"
    shutil.copytree(Path(syncd.__file__).parent, hidden / "syncd", ignore=shutil.ignore_patterns("__pycache__"))
    hidden.chmod(0o700)
    shared.job()
    alone = ["setpriv", "--bounding-set=-dac_read_search"] if IS_ROOT else []
    program = [*alone, sys.executable, "-P", "-m", "syncd", "tick", "--config", str(shared.config), "--json"]

    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(hidden)}
    ran = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)

    # Python itself may lie in root's home.
    said = [f"user {OWNER}, who cannot read syncd in {hidden}", f"user {OWNER}, who cannot run {sys.executable}"]
    is_told = any(words in ran.stdout + ran.stderr for words in said)
    assert (ran.returncode != 0, is_told) == (IS_ROOT, IS_ROOT), ran
    assert "Traceback" not in ran.stderr


def test_the_daemon_ends_as_it_does_where_the_state_cannot_be_written(shared: Stage) -> None:
    shared.state.chmod(0o777)
    shared.job(changes={"every": "1s"})

    ran = shared.syncd("run")

    assert ran.code == 5


def test_a_link_in_the_place_of_a_policy_is_replaced_and_not_followed(stage: Stage, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text(PRECIOUS)
    link = tmp_path / "out" / "111111111111" / "role-trust-policy.json"
    link.parent.mkdir(parents=True)
    link.symlink_to(victim)
    stage.job()

    ran = stage.syncd("policies", "account-z", "--principal", "account", "--output", str(tmp_path / "out"))

    assert ran.code == 0, ran
    assert victim.read_text() == PRECIOUS
    assert not link.is_symlink()
    assert "sts:AssumeRole" in link.read_text()


@pytest.mark.parametrize("is_link", [True, False])
def test_policies_are_not_written_where_others_could_replace_them(
    stage: Stage, tmp_path: Path, *, is_link: bool
) -> None:
    out = tmp_path / "out"
    (tmp_path / "elsewhere").mkdir()
    out.mkdir()
    if is_link:
        (out / "111111111111").symlink_to(tmp_path / "elsewhere")
    else:
        out.chmod(0o777)
    stage.job()

    ran = stage.syncd("policies", "account-z", "--principal", "account", "--output", str(out))

    assert ran.code == 1
    assert "Traceback" not in ran.stderr
    assert str(out) in ran.stderr
    assert [*tmp_path.rglob("*.json")] == []


def test_a_first_configuration_is_not_written_where_others_could_replace_it(stage: Stage, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    folder.chmod(0o777)
    answers = ["--consumer-account", "222222222222", "--bucket", "example-trail", "--region", "us-east-1"]
    answers += ["--source-account", "111111111111", "--destination", "example-b", "--destination-region", "us-east-1"]

    ran = stage.syncd("init", "--directory", str(folder), *answers, with_config=False)

    assert ran.code == 2
    assert "others can write to it" in ran.stderr
    assert list(folder.iterdir()) == []
