"""What a worker takes of the machine's memory while it streams many large bodies, as the kernel counts it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest
from builders_copy import DESTINATION, MIB, SOURCE, Ends, terms
from fakes import words
from faulty import FaultyS3

from syncd.copy.workers.pool import WorkerPool

BOUND = 96 * MIB
# A body is there up to three times, and no more is begun than fits. What is over is the allocator's, and what it has kept.
ALLOWED = 1.4 * BOUND
SHAPES = {"whole": (4 * MIB, 64), "in parts": (32 * MIB, 12)}
"""Size and number of objects; those above 16 MiB are copied in parts of 8, one of them at a time."""


@pytest.fixture
def pool(_aws_environment: None) -> Iterator[WorkerPool]:
    with closing(WorkerPool(workers=1, confine=False, in_flight=128, memory_bytes=BOUND)) as workers:
        yield workers


def peak_bytes(pool: WorkerPool) -> int:
    """The most that the worker has had in memory so far."""
    (worker,) = pool.processes()
    lines = Path(f"/proc/{worker.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_worker_keeps_to_its_memory_with_many_large_bodies_in_flight(
    faulty: FaultyS3, pool: WorkerPool, shape: str
) -> None:
    ends = Ends(faulty)
    size, count = SHAPES[shape]
    copier = ends.pooled(
        pool, in_flight=128, memory_bytes=BOUND, copy_terms=terms(multipart_above=16 * MIB, part_size=8 * MIB)
    )
    list(copier.copy_all(iter([ends.put("one", b"byte")]), Event()))
    idle = peak_bytes(pool)
    body = bytes(range(256)) * (size // 256)
    transfers = [ends.put(f"{number}", body) for number in range(count)]

    outcomes = list(copier.copy_all(iter(transfers), Event()))

    assert list(words(outcomes).values()) == ["Copied"] * count
    assert len(faulty.objects(DESTINATION)) == len(faulty.objects(SOURCE))
    assert peak_bytes(pool) - idle < ALLOWED
