"""Workers that end when nobody told them to, as the out-of-memory killer has it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import Any

import pytest
from builders_copy import Ends
from fakes import handed_over, words
from faulty import FaultyS3, Stall, on
from waiting import wait_until

from syncd.copy.workers import messages
from syncd.copy.workers.messages import Limits, Opening
from syncd.copy.workers.pool import OBJECTS_OUT, WorkerPool
from syncd.copy.workers.process import WorkerProcess
from syncd.copy.workers.resources import Resources
from syncd.model import reasons
from syncd.model.errors import Interrupted, JobFailed
from syncd.model.reasons import Reason

SECONDS = 60.0
HEAVY = 64 * 1024
"""Bytes of an object that weighs two."""
LIMITS = Limits(8, 1024**2, None, None, SECONDS)


@pytest.fixture(params=[1, 2])
def pool(request: pytest.FixtureRequest, _aws_environment: None) -> Iterator[WorkerPool]:
    workers = WorkerPool(workers=request.param, confine=False, in_flight=8)
    yield workers
    workers.close()


def test_a_worker_that_is_killed_fails_its_job_and_the_next_copies_with_another(
    pool: WorkerPool, faulty: FaultyS3
) -> None:
    ends = Ends(faulty)
    transfers = [ends.put(f"logs/{number:02}", b"body") for number in range(20)]
    copier = ends.pooled(pool)
    go_on = Event()
    stalled = faulty.faults.add("GetObject", Stall(go_on))

    with ThreadPoolExecutor(1) as thread:
        copying = thread.submit(lambda: list(copier.copy_all(handed_over(transfers), Event())))
        wait_until(lambda: stalled.hits > 0, what="the first read")
        killed = pool.processes()[0]
        os.kill(killed.process.pid, signal.SIGKILL)
        go_on.set()
        error = copying.exception(SECONDS)
    healed = list(copier.copy_all(handed_over(transfers), Event()))

    assert isinstance(error, JobFailed)
    assert (error.reason, error.remedy) == (Reason.WORKER_DIED, reasons.remedy_of(Reason.WORKER_DIED))
    assert set(words(healed).values()) <= {"Copied", "AlreadyThere"}
    assert len(healed) == 20
    assert killed not in pool.processes()
    assert killed.process.returncode == -signal.SIGKILL


def test_workers_that_were_ended_on_purpose_interrupt_their_job(pool: WorkerPool, faulty: FaultyS3) -> None:
    ends = Ends(faulty)
    transfers = [ends.put(f"logs/{number:02}", b"body") for number in range(20)]
    copier = ends.pooled(pool)
    stalled = faulty.faults.add("GetObject", Stall())

    with ThreadPoolExecutor(1) as thread:
        copying = thread.submit(lambda: list(copier.copy_all(handed_over(transfers), Event())))
        wait_until(lambda: stalled.hits > 0, what="the first read")
        pool.close()
        error = copying.exception(SECONDS)

    assert isinstance(error, Interrupted)


def test_no_more_objects_are_with_the_workers_than_may_be(pool: WorkerPool, faulty: FaultyS3) -> None:
    """Messages of 31 objects, since one in each is heavier, which do not add up to what may be out."""
    ends = Ends(faulty)
    bodies = [bytes(HEAVY) if number % 31 == 0 else b"body" for number in range(2 * OBJECTS_OUT)]
    transfers = [ends.put(f"logs/{number:03}", body) for number, body in enumerate(bodies)]
    taken = []
    handed_out = (taken.append(transfer) or transfer for transfer in transfers)  # type: ignore[func-returns-value]
    faulty.faults.add("GetObject", Stall())

    with ThreadPoolExecutor(1) as thread:
        copying = thread.submit(lambda: list(ends.pooled(pool).copy_all(handed_out, Event())))
        wait_until(lambda: len(taken) >= OBJECTS_OUT, what="as many objects as may be out")
        pool.close()
        error = copying.exception(SECONDS)

    assert isinstance(error, Interrupted)
    assert len(taken) == OBJECTS_OUT


def test_nothing_is_begun_once_the_job_was_told_to_end(pool: WorkerPool, faulty: FaultyS3) -> None:
    ends = Ends(faulty)
    transfers = [ends.put(f"logs/{number:02}", b"body") for number in range(20)]
    stop = Event()
    stop.set()

    outcomes = list(ends.pooled(pool).copy_all(iter(transfers), stop))

    assert outcomes == []
    assert faulty.requests == ()
    # Nor was a worker told of the job.
    assert pool.next_channel() == 1


def test_what_has_ended_is_told_while_another_object_is_still_under_way(pool: WorkerPool, faulty: FaultyS3) -> None:
    ends = Ends(faulty)
    slow, *others = [ends.put(f"logs/{number:02}", b"body") for number in range(20)]
    go_on = Event()
    faulty.faults.add(on("GetObject", key=slow.object.key), Stall(go_on))

    outcomes = ends.pooled(pool).copy_all(handed_over([slow, *others]), Event())
    first = [next(outcomes) for _ in others]
    go_on.set()
    rest = list(outcomes)

    assert {outcome.transfer for outcome in first} == set(others)
    assert [outcome.transfer for outcome in rest] == [slow]


def has_loaded(process: WorkerProcess) -> bool:
    return "_awscrt" in Path(f"/proc/{process.process.pid}/maps").read_text()


def test_workers_that_will_stream_load_what_makes_checksums_before_they_are_asked(pool: WorkerPool) -> None:
    pool.begin(streams=True)

    workers = pool.processes()
    wait_until(lambda: all(map(has_loaded, workers)), what="the checksums")


def test_workers_of_a_streaming_job_load_it_while_there_are_descriptors(pool: WorkerPool, faulty: FaultyS3) -> None:
    ends = Ends(faulty)
    list(ends.pooled(pool).copy_all(handed_over([ends.put("logs/a", b"body")]), Event()))

    wait_until(lambda: all(map(has_loaded, pool.processes())), what="the checksums")


def test_a_worker_that_was_begun_for_nothing_ends_with_its_parent(tmp_path: Path) -> None:
    script = """
from syncd.copy.workers.pool import WorkerPool
pool = WorkerPool(workers=1, confine=False, in_flight=8)
pool.begin(streams=False)
print(pool.processes()[0].process.pid, flush=True)
"""
    ran = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=tmp_path, check=True)
    worker = Path("/proc", ran.stdout.decode().strip())

    wait_until(lambda: not worker.exists(), what="the worker's end")


@pytest.mark.usefixtures("_aws_environment")
def test_a_worker_that_may_not_choose_its_cores_does_what_is_put_aside_all_the_same() -> None:
    no_such_core = 4095
    done = Event()

    Resources(LIMITS, {}, cores={no_such_core}).aside(done.set)

    assert done.wait(SECONDS)


def test_a_worker_that_has_ended_before_it_is_asked_says_so() -> None:
    worker = WorkerProcess(-1, LIMITS)
    worker.close()
    wait_until(lambda: not worker.is_alive, what="the end of the worker")
    inbox: SimpleQueue[tuple[Any, ...]] = SimpleQueue()

    worker.open(7, inbox, Opening(None, {}, 0), [])  # type: ignore[arg-type]  # an order that nobody reads

    assert inbox.get(timeout=SECONDS)[:3] == (worker, messages.CLOSED, 7)
