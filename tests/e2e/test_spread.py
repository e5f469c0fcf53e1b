"""Catch-ups that workers do: complete, written once, and forgetful workers and owners cost time only."""

from datetime import date, timedelta

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from servers import MakeClient, S3Server
from spreading import Spreading
from stage import Stage

DAYS = [date(2024, 3, 1) + timedelta(days=number) for number in range(8)]
LOGS = 500
WINDOW = ("--from", f"{DAYS[0]}", "--to", f"{DAYS[-1]}")


@pytest.fixture
def spreading(stage: Stage, ministack: S3Server, make_client: MakeClient) -> Spreading:
    """Eight days of two shards at the source, 8,000 objects, and a job for them."""
    stage.deliver(Trail().span(ACCOUNTS[:2], REGIONS[:1], DAYS, logs=LOGS))
    made = Spreading.of(stage, ministack, make_client, task_objects=2000)
    stage.job(changes={"destination.prefix": "replica/"})
    return made


def test_workers_copy_each_object_once_and_the_owner_knows_all_of_it(spreading: Spreading) -> None:
    stage = spreading.stage

    with spreading.workers(2):
        ran = spreading.owner(*WINDOW)
    asked = stage.operations()
    stage.server.forget_requests()
    audit = stage.syncd("catch-up", "--json", *WINDOW)

    assert (ran.code, ran.job["outcome"], ran.job["copied"]) == (0, "ok", 8000)
    assert stage.replica(prefix="replica/") == stage.source()
    assert set(stage.watched().writes.values()) == {1}
    assert asked["GetObject"] == 8000
    assert (audit.code, audit.job["skipped"]) == (0, {"sealed": 8000})
    assert stage.requests("GetObject", "PutObject") == 0
    assert stage.requests("ListObjectsV2") <= 2.2 * 8 + 6
    assert spreading.waiting() == {"tasks": 0, "results": 0, "dead": 0}
