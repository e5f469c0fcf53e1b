"""One tick and one catch-up at a time for each job."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from syncd.ledger.folder.job_locks import Locks, hold
from syncd.model.errors import AlreadyRunning, LedgerUnwritable

HOLDER = """
import sys
from pathlib import Path
from syncd.ledger.folder.job_locks import Locks

with Locks(Path(sys.argv[1])).tick("b"):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(state_dir: Path) -> "subprocess.Popen[str]":
    """Another process that holds the tick of job b."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(state_dir)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def is_free(lock: AbstractContextManager[None]) -> bool:
    try:
        with lock:
            return True
    except AlreadyRunning:
        return False


def test_a_lock_that_is_held_is_refused_to_another_process(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        with pytest.raises(AlreadyRunning) as refusal, Locks(tmp_path).tick("b"):
            pass
        process.communicate()

    assert re.fullmatch(
        rf"pid {process.pid} on {re.escape(socket.gethostname())} since 2\d{{3}}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
        refusal.value.holder,
    )
    assert str(refusal.value) == refusal.value.holder


def test_a_lock_is_free_when_its_holder_has_ended(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.communicate()

    assert is_free(Locks(tmp_path).tick("b"))


def test_a_lock_is_free_when_its_holder_was_killed(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.send_signal(signal.SIGKILL)

    assert is_free(Locks(tmp_path).tick("b"))


def test_threads_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    with Locks(tmp_path).tick("b"), ThreadPoolExecutor(1) as pool:
        assert not pool.submit(is_free, Locks(tmp_path).tick("b")).result()


def test_a_lock_is_free_after_its_block_even_if_that_failed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Locks(tmp_path).tick("b"):
        raise ZeroDivisionError

    assert is_free(Locks(tmp_path).tick("b"))


def test_a_tick_a_catch_up_and_another_job_do_not_exclude_each_other(tmp_path: Path) -> None:
    locks = Locks(tmp_path)

    with locks.tick("b"), locks.catch_up("b"), locks.tick("c"):
        assert {path.name for path in (tmp_path / "locks").iterdir()} == {
            "b.tick.lock",
            "b.catch-up.lock",
            "c.tick.lock",
        }


def test_the_name_of_a_job_cannot_lead_out_of_the_directory(tmp_path: Path) -> None:
    with Locks(tmp_path / "state").tick("../../b"):
        pass

    assert [path.name for path in (tmp_path / "state" / "locks").iterdir()] == ["..%2F..%2Fb.tick.lock"]


def test_the_file_says_who_holds_it(tmp_path: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)

    with Locks(tmp_path).tick("b"):
        said = json.loads((tmp_path / "locks" / "b.tick.lock").read_text())

    assert (said["pid"], said["host"]) == (os.getpid(), socket.gethostname())
    assert before <= datetime.fromisoformat(said["since"]) <= datetime.now(UTC)


def test_the_file_stays_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "b.tick.lock"
    with Locks(tmp_path).tick("b"):
        inode = path.stat().st_ino
    with Locks(tmp_path).tick("b"):
        pass

    assert path.stat().st_ino == inode


def test_the_file_of_a_longer_holder_is_overwritten_whole(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("x" * 5000)

    with hold(path, what="this"):
        assert json.loads(path.read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', "\xff"])
def test_a_holder_that_the_file_does_not_name_is_another_process(tmp_path: Path, content: str) -> None:
    path = tmp_path / "lock"
    with hold(path, what="this"):
        path.write_text(content, encoding="latin-1")
        with pytest.raises(AlreadyRunning, match="another process"), hold(path, what="this"):
            pass


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    with Locks(tmp_path / "state").tick("b"):
        modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "state").rglob("*")]

    assert modes == [0o700, 0o600]


@pytest.mark.parametrize("directory", ["file/state", "/proc/nowhere"])
def test_a_lock_that_cannot_be_made_is_told_with_its_purpose(tmp_path: Path, directory: str) -> None:
    (tmp_path / "file").touch()

    with (
        pytest.raises(LedgerUnwritable, match="the lock of the tick of b cannot be taken"),
        Locks(tmp_path / directory).tick("b"),
    ):
        pass


def test_a_lock_on_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    script = f"""
import resource
from pathlib import Path
from syncd.model.errors import LedgerFull
from syncd.ledger.folder.job_locks import Locks

resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    with Locks(Path({str(tmp_path)!r})).tick("b"):
        print("held")
except LedgerFull as error:
    print(error)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    said = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout

    assert "the lock of the tick of b cannot be taken: File too large" in said
