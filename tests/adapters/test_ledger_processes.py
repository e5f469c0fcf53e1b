"""Several processes, killed processes and full disks: what was recorded is remembered, by whole batches."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import ledger_writing
import pytest
from builders_ledger import NOW, SHARD, replica
from ledger_writing import BATCH, batch

from syncd.ledger.decisions import Decisions
from syncd.ledger.ledger import LedgerFile
from syncd.ledger.replica.access import replica_key

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
SECONDS = 60


def command(directory: Path, writer: str, what: str, more: str) -> list[str]:
    return [sys.executable, ledger_writing.__file__, str(directory), writer, what, more]


def start(directory: Path, writer: str, what: str, more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(command(directory, writer, what, more), env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]") -> list[str]:
    """What the process said to its end."""
    said, _ = process.communicate(timeout=SECONDS)
    return said.split()


def remembered(directory: Path, writer: str, batches: int) -> list[int]:
    """How many of each batch's objects the ledger remembers."""
    with LedgerFile(directory, now=lambda: NOW).open(replica(), writer) as ledger:
        assert ledger.moved_aside is None
        return [len(ledger.known(SHARD, batch(writer, number))) for number in range(batches)]


def test_two_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    first, second = start(tmp_path, "first", "batches", "150"), start(tmp_path, "second", "batches", "150")
    codes = [len(finish(process)) for process in (first, second)]

    assert (codes, first.returncode, second.returncode) == ([150, 150], 0, 0)
    assert remembered(tmp_path, "first", 150) == [BATCH] * 150
    assert remembered(tmp_path, "second", 150) == [BATCH] * 150
    with LedgerFile(tmp_path, now=lambda: NOW).open(replica(), "first") as ledger:
        assert ledger.lateness() == {300: 300}


def test_two_processes_that_decide_at_once_lose_nothing(tmp_path: Path) -> None:
    processes = [start(tmp_path, writer, "decide", "200") for writer in ("first", "second")]

    assert [finish(process) for process in processes] == [[], []]
    assert [process.returncode for process in processes] == [0, 0]
    accepted = Decisions(tmp_path).of(replica_key(replica()), latest=NOW).accepted
    assert accepted.keys() == {f"{writer}-{number}" for writer in ("first", "second") for number in range(200)}


@pytest.mark.parametrize("batches", [0, 1, 7, 60])
def test_a_process_killed_while_it_writes_leaves_whole_batches(tmp_path: Path, batches: int) -> None:
    process = start(tmp_path, "killed", "batches", "1000000")
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(batches)]
    process.send_signal(signal.SIGKILL)
    said += finish(process)

    counts = remembered(tmp_path, "killed", len(said) + 10)
    assert counts[: len(said)] == [BATCH] * len(said)
    assert set(counts[len(said) :]) <= {0, BATCH}
    assert process.returncode == -signal.SIGKILL


def test_the_other_processes_go_on_when_one_is_killed(tmp_path: Path) -> None:
    killed, other = start(tmp_path, "killed", "batches", "1000000"), start(tmp_path, "other", "batches", "100")
    assert killed.stdout is not None
    killed.stdout.readline()
    killed.send_signal(signal.SIGKILL)
    finish(killed)

    assert len(finish(other)) == 100
    assert remembered(tmp_path, "other", 100) == [BATCH] * 100


def own_mounts(script: str, *arguments: str) -> list[str]:
    """A shell script in a mount namespace of its own, which ends with it; as another user, a user namespace too."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *user, "--mount", "sh", "-ec", script, "sh", *arguments]


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(own_mounts("mount -t tmpfs tmpfs /mnt"), capture_output=True, timeout=SECONDS, check=False)
    return tried.returncode == 0


ON_A_SMALL_DISK = """
directory=$1 filler_bytes=$2; shift 2
mount -t tmpfs -o size=1m,mode=700 tmpfs "$directory"
head -c "$filler_bytes" /dev/zero > "$directory/filler" || true
"$@"
cp "$directory"/ledger.sqlite3* "$directory/../kept"
"""


class FullDisk(NamedTuple):
    """How a process comes to have no room: by its own limit on the size of files, or by a disk that is really full."""

    is_mounted: bool
    what: str
    more: str

    def start(self, directory: Path, kept: Path) -> "subprocess.Popen[str]":
        if not self.is_mounted:
            return start(kept, "small", self.what, self.more)
        writing = command(directory, "small", self.what, str(directory / "filler"))
        mounted = own_mounts(ON_A_SMALL_DISK, str(directory), self.more, *writing)
        return subprocess.Popen(mounted, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)


# Where no file system can be mounted, the limit stands alone for a full disk.
FILLING = [FullDisk(is_mounted=False, what="until-full", more=str(256 * 1024))]
FULL = [FullDisk(is_mounted=False, what="open-when-full", more="1")]
if can_mount():
    FILLING.append(FullDisk(is_mounted=True, what="until-full-disk", more=str(512 * 1024)))
    FULL.append(FullDisk(is_mounted=True, what="open-on-full-disk", more=str(1024 * 1024)))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    path.mkdir()
    return path


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "kept"
    path.mkdir()
    return path


@pytest.mark.parametrize("disk", FILLING, ids=lambda disk: disk.what)
def test_a_disk_that_fills_up_is_told_and_the_ledger_goes_on_when_there_is_room(
    disk: FullDisk, directory: Path, kept: Path
) -> None:
    process = disk.start(directory, kept)
    said = finish(process)

    *written, full, after = said
    assert (process.returncode, full, int(after)) == (0, "full", len(written))
    assert len(written) > 1
    assert remembered(kept, "small", len(said)) == [BATCH] * (len(written) + 1) + [0]


@pytest.mark.parametrize("disk", FULL, ids=lambda disk: disk.what)
def test_a_disk_that_is_full_is_told_and_a_ledger_is_made_when_there_is_room(
    disk: FullDisk, directory: Path, kept: Path
) -> None:
    process = disk.start(directory, kept)

    assert (finish(process), process.returncode) == (["full", "0"], 0)
    assert remembered(kept, "small", 1) == [BATCH]
