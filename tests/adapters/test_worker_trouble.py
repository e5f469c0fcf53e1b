"""Workers that cannot be talked to: of another version, without descriptors, or saying what nobody can read."""

import os
import pickle
import resource
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from builders_copy import Ends
from fakes import handed_over, words
from faulty import FaultyS3, Stall, on
from waiting import wait_until

from syncd.copy.workers import pipe, process
from syncd.copy.workers.pool import PooledCopier, WorkerPool
from syncd.model.errors import JobFailed
from syncd.model.reasons import Reason

SECONDS = 60.0


@pytest.fixture
def pool(_aws_environment: None) -> Iterator[WorkerPool]:
    workers = WorkerPool(workers=1, confine=False, in_flight=8)
    yield workers
    workers.close()


def copied(copier: PooledCopier, transfers: list[Any]) -> dict[str, str]:
    return words(list(copier.copy_all(handed_over(transfers), Event())))


def test_a_worker_of_another_version_says_that_the_daemon_has_to_be_restarted(
    pool: WorkerPool, faulty: FaultyS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = Ends(faulty)
    transfers = [ends.put("logs/a", b"body")]
    with monkeypatch.context() as patched:
        patched.setattr(process, "__version__", "0.0.0")
        with pytest.raises(JobFailed, match="another version of syncd was installed") as raised:
            copied(ends.pooled(pool), transfers)

    assert (raised.value.reason, "restart" in raised.value.remedy) == (Reason.WORKER_DIED, True)
    assert set(copied(ends.pooled(pool), transfers).values()) == {"Copied"}


def test_what_cannot_be_read_ends_the_job_and_the_worker(
    pool: WorkerPool, faulty: FaultyS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = Ends(faulty)
    transfers = [ends.put(f"logs/{number:02}", b"body") for number in range(20)]
    worker = pool.processes()[0]

    def unreadable(_: bytes) -> Any:
        raise TypeError("takes 5 positional arguments but 6 were given")

    with monkeypatch.context() as patched:
        patched.setattr(pipe, "pickle", SimpleNamespace(**vars(pickle) | {"loads": unreadable}))
        with pytest.raises(JobFailed, match="cannot be read: TypeError"):
            copied(ends.pooled(pool), transfers)

    wait_until(lambda: not worker.is_alive, what="its end")
    assert worker.process.returncode is not None
    assert set(copied(ends.pooled(pool), transfers).values()) <= {"Copied", "AlreadyThere"}


def test_copies_that_nobody_waits_for_any_more_leave_nothing_behind(pool: WorkerPool, faulty: FaultyS3) -> None:
    ends = Ends(faulty)
    transfers = [ends.put(f"logs/{number:02}", b"body") for number in range(40)]

    for _ in range(3):
        outcomes = ends.pooled(pool).copy_all(handed_over(transfers), Event())
        next(outcomes)
        outcomes.close()  # type: ignore[attr-defined]  # it is a generator

    assert pool.processes()[0]._inboxes == {}


def test_a_job_whose_locks_find_no_room_fails_alone(pool: WorkerPool, faulty: FaultyS3, tmp_path: Path) -> None:
    ends, go_on = Ends(faulty), Event()
    stalled = faulty.faults.add(on("GetObject"), Stall(go_on))
    waiting = [ends.put(f"logs/a{number}", b"body") for number in range(4)]
    lock = os.open(tmp_path / "lock", os.O_CREAT | os.O_RDWR)
    late = ends.pooled(pool)
    late._locks = [lock]
    with ThreadPoolExecutor(1) as thread:
        under_way = thread.submit(copied, ends.pooled(pool), waiting)
        wait_until(lambda: stalled.hits == len(waiting), what="all reads")
        pid = pool.processes()[0].process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        held = max(int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir())
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (held + 1, limits[1]))
        spare = held - len(list(Path(f"/proc/{pid}/fd").iterdir())) + 1
        late._locks = [lock] * (spare + 1)
        with pytest.raises(JobFailed) as raised:
            copied(late, [ends.put("logs/b", b"body")])
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        go_on.set()
        ended = under_way.result(SECONDS)
    os.close(lock)

    assert (raised.value.reason, "Too many open files" in raised.value.detail) == (Reason.RESOURCE_LIMIT, True)
    assert set(ended.values()) == {"Copied"}
    # Those for which there was room are closed again.
    assert str(tmp_path / "lock") not in {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()}


def test_an_end_that_is_closed_wakes_whoever_waits_to_send() -> None:
    """Its descriptor may be another file's a moment later, so nobody may be in the middle of a message then."""
    near, far = socket.socketpair()
    sender, blocked = pipe.Pipe(near), Event()

    def send() -> None:
        while True:
            sender.send(("x" * 100_000,))
            blocked.set()

    with far, ThreadPoolExecutor(1) as thread:
        under_way = thread.submit(send)
        assert blocked.wait(SECONDS)
        sender.close()
        assert isinstance(under_way.exception(SECONDS), OSError)
    assert near.fileno() == -1
