"""Workers that end when nobody told them to, as the out-of-memory killer has it."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event
from typing import Any

import pytest
from builders_copy import Ends
from fakes import handed_over, words
from faulty import FaultyS3, Stall
from waiting import wait_until

from syncd import failures, orders
from syncd.errors import JobFailed
from syncd.orders import Limits, Opening
from syncd.pool import WorkerPool
from syncd.worker_process import WorkerProcess

SECONDS = 60.0


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
    assert (error.reason, error.remedy) == (failures.WORKER_DIED, failures.remedy_of(failures.WORKER_DIED))
    assert set(words(healed).values()) <= {"Copied", "AlreadyThere"}
    assert len(healed) == 20
    assert killed not in pool.processes()
    assert killed.process.returncode == -signal.SIGKILL


def test_a_worker_that_has_ended_before_it_is_asked_says_so() -> None:
    worker = WorkerProcess(-1, Limits(8, 1024**2, None, None, SECONDS))
    worker.close()
    wait_until(lambda: not worker.is_alive, what="the end of the worker")
    inbox: SimpleQueue[tuple[Any, ...]] = SimpleQueue()

    worker.open(7, inbox, Opening(None, {}, 0), [])  # type: ignore[arg-type]  # an order that nobody reads

    assert inbox.get(timeout=SECONDS)[:3] == (worker, orders.CLOSED, 7)
