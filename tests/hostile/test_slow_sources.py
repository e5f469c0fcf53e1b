"""Sources that answer a byte now and then, as many as there are threads and more: nobody waits for them."""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from builders import ACCOUNTS, REGIONS, Trail, days_before
from stage import Stage
from waiting import wait_until

from hostile.attacks import Attack
from hostile.runs import HOSTILE, attack_jobs
from hostile.server import Asked

HONEST = "account-z"
"""After all others in the order of jobs."""


def drip(_: Asked) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n"
    while not threading.Event().wait(0.5):
        yield b"x"


@pytest.mark.parametrize("attackers", [8, 32])
def test_an_honest_job_is_copied_before_the_first_slow_source_is_given_up(stage: Stage, attackers: int) -> None:
    days = days_before(datetime.now(UTC).replace(microsecond=0), 2)
    keys = stage.deliver(Trail().span(ACCOUNTS[:1], REGIONS[:2], days, logs=5))
    stage.job(HONEST)
    with ExitStack() as servers:
        attack_jobs(stage, Attack("s3", drip, frozenset()), attackers, servers)

        with stage.start("tick", "--json") as process:
            wait_until(lambda: len(stage.replica(HONEST)) == len(keys) or not process.is_alive, what="the copies")
            process.signal(signal.SIGTERM)
            ran = process.ended()

    outcomes = {job["job"]: job["outcome"] for job in ran.document["jobs"]}
    assert set(stage.replica(HONEST)) == set(keys)
    # One that was given up before has failed.
    assert {outcomes[f"{HOSTILE}-{number}"] for number in range(attackers)} == {"interrupted"}
