"""Files and folders that are this user's alone: what others could have planted is refused, and never followed."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from syncd.ledger.file import StateFile
from syncd.ledger.folder.job_locks import Locks
from syncd.ledger.folder.locks import create_private_directory, exposure, open_private, require_plain
from syncd.ledger.schema import SCHEMA
from syncd.model.errors import LedgerExposed, LedgerUnwritable

PRECIOUS = "precious"
OTHER = 12345


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_text(PRECIOUS)
    return path


def linked(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def hard_linked(path: Path, victim: Path) -> None:
    path.hardlink_to(victim)


def piped(path: Path, _victim: Path) -> None:
    os.mkfifo(path)


PLANTED = {"a link": linked, "a second name": hard_linked, "a pipe": piped}


@pytest.mark.parametrize("what", PLANTED)
def test_what_was_planted_in_the_place_of_a_lock_is_refused_and_not_written(
    tmp_path: Path, victim: Path, what: str
) -> None:
    state = tmp_path / "state"
    create_private_directory(state / "locks")
    PLANTED[what](state / "locks" / "b.tick.lock", victim)

    with pytest.raises(LedgerExposed) as refused, Locks(state).tick("b"):
        pass

    assert str(state / "locks" / "b.tick.lock") in str(refused.value)
    assert "runuser" in refused.value.remedy
    assert victim.read_text() == PRECIOUS


@pytest.mark.parametrize("name", ["ledger.sqlite3", "ledger.sqlite3-wal", "ledger.sqlite3-shm", "ledger.gate"])
@pytest.mark.parametrize("what", PLANTED)
def test_what_was_planted_in_the_place_of_a_state_file_is_refused_and_not_written(
    tmp_path: Path, victim: Path, name: str, what: str
) -> None:
    state = tmp_path / "state"
    create_private_directory(state)
    PLANTED[what](state / name, victim)

    with pytest.raises(LedgerUnwritable):
        StateFile(state, now=lambda: 1.0, schema=SCHEMA).open()

    assert victim.read_text() == PRECIOUS


def test_a_link_to_nothing_makes_no_file(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(LedgerExposed, match="symbolic link"):
        open_private(tmp_path / "lock")

    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_is_missing_or_plain_is_no_matter(tmp_path: Path, victim: Path) -> None:
    require_plain(tmp_path / "missing")
    require_plain(victim)


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o757])
def test_a_state_folder_that_others_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(mode)

    with pytest.raises(LedgerExposed, match=f"{state}: others can write to it") as refused:
        create_private_directory(state)

    assert "chmod go-w" in refused.value.remedy


def test_a_folder_above_that_others_can_write_to_is_refused_unless_it_is_sticky(tmp_path: Path) -> None:
    above = tmp_path / "above"
    (above / "state").mkdir(parents=True)
    above.chmod(0o777)
    is_open = exposure(above / "state")
    above.chmod(0o1777)

    assert is_open is not None
    assert is_open.startswith(f"{above}: others can write to it")
    assert exposure(above / "state") is None


def test_a_link_to_the_state_folder_is_followed_if_nobody_else_can_turn_it(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir(mode=0o700)
    (tmp_path / "open").mkdir()
    (tmp_path / "state").symlink_to(tmp_path / "disk")
    (tmp_path / "open" / "state").symlink_to(tmp_path / "disk")
    (tmp_path / "open").chmod(0o777)

    assert exposure(tmp_path / "state") is None
    assert exposure(tmp_path / "open" / "state") is not None


def test_a_folder_of_a_group_is_refused_if_others_are_in_it_and_taken_if_it_is_this_users_own(tmp_path: Path) -> None:
    tmp_path.chmod(0o770)
    own = exposure(tmp_path)
    if os.geteuid() == 0:
        os.chown(tmp_path, -1, OTHER)  # as Kubernetes' fsGroup, to which root does not belong
        assert exposure(tmp_path) is not None

    assert own is None or "others can write" in own


OF_A_GROUP = """
import os, sys
from pathlib import Path
from syncd.ledger.folder.locks import exposure
folder, number = Path(sys.argv[1]), int(sys.argv[2])
os.setgroups([number])
os.setresgid(number, number, number)
os.setresuid(number, number, number)
print(exposure(folder))
"""


def test_a_volume_that_kubernetes_gives_to_a_group_of_the_container_alone_is_taken() -> None:
    """fsGroup leaves the folder to root, and lets the group write."""
    if os.geteuid() != 0:
        return
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    volume = folder / "state"
    volume.mkdir()
    os.chown(volume, 0, OTHER)
    volume.chmod(0o2770)

    found = [
        subprocess.run(
            [sys.executable, "-c", OF_A_GROUP, volume, str(number)], capture_output=True, text=True, check=True
        ).stdout
        for number in (OTHER, OTHER + 1)
    ]

    shutil.rmtree(folder)
    assert found[0] == "None\n"
    assert "others can write to it (mode 2770)" in found[1]


DROP = """
import os, subprocess, sys
from pathlib import Path
from syncd.cli.privileges import drop_to_owner
state, victim = Path(sys.argv[1]), Path(sys.argv[2])
print(drop_to_owner(state))
print(*os.getresuid())
for attempt in (lambda: os.setresuid(0, 0, 0), lambda: victim.write_text("x"), lambda: os.chown(state, 0, 0)):
    try:
        attempt()
    except PermissionError:
        print("refused")
print(victim.read_text())
print(subprocess.run(
    [sys.executable, "-c", "import os; print(*os.getresuid())"], capture_output=True, text=True, check=True
).stdout, end="")
"""


def test_root_becomes_the_owner_of_the_state_for_good_and_goes_on_reading(tmp_path: Path, victim: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    victim.chmod(0o600)
    is_root = os.geteuid() == 0
    if is_root:
        os.chown(state, OTHER, OTHER)

    run = subprocess.run([sys.executable, "-c", DROP, state, victim], capture_output=True, text=True, check=True)

    ids = " ".join([str(OTHER if is_root else os.geteuid())] * 3)
    if is_root:
        assert run.stdout.splitlines() == [str(OTHER), ids, "refused", "refused", "refused", PRECIOUS, ids]
    else:
        assert run.stdout.splitlines()[:2] == ["None", ids]
