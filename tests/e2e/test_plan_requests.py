"""What `plan` says that the next tick will request is what it then does request, type by type."""

from datetime import datetime, timedelta

import pytest
from builders import ACCOUNTS, REGIONS, Delivery, Trail
from stage import Stage

from syncd.cli.demo.world import ACCOUNT_A, ACCOUNT_Z, TRAIL_BUCKET

MIB = 1024**2
WAYS = {
    "in parts of the default size": {},
    "in small parts": {"destination.multipart_above": "5MiB", "destination.part_size": "5MiB"},
    "by the server for the consumer": {"destination.copy": "server-side", "destination.signer": "consumer"},
    "by the server for the role": {"destination.copy": "server-side", "destination.signer": "role"},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_plan_of_small_and_large_objects_says_the_requests_of_the_tick(stage: Stage, now: datetime, way: str) -> None:
    trail, account, region = Trail(), ACCOUNTS[0], REGIONS[0]
    small = [trail.log(account, region, now - timedelta(minutes=30), number) for number in range(3)]
    folder = small[0].key.rpartition("/")[0]
    sizes = (0, 5 * MIB, 5 * MIB + 1, 16 * MIB, 20 * MIB, 20 * MIB)
    stage.deliver([*small, *(Delivery(f"{folder}/{n}", bytes(size), now) for n, size in enumerate(sizes))])
    stage.server.storage.buckets[TRAIL_BUCKET].shared_with = frozenset({ACCOUNT_Z})
    stage.watched().shared_with = frozenset({ACCOUNT_A})
    stage.job(changes=WAYS[way])

    plan = stage.syncd("plan", "--json")
    stage.server.forget_requests()
    ticked = stage.syncd("tick", "--json")

    assert (plan.code, plan.job["objects"]) == (0, len(small) + len(sizes))
    assert (ticked.code, ticked.job["copied"], ticked.job["failed_count"]) == (0, len(small) + len(sizes), 0)
    assert plan.job["requests"] == ticked.job["requests"] == dict(stage.operations())


def test_a_plan_of_objects_to_compare_says_the_requests_of_the_tick(stage: Stage, now: datetime) -> None:
    log = Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=30))
    large = Delivery(f"{log.key.rpartition('/')[0]}/large", bytes(12 * MIB), now)
    stage.job(changes=WAYS["in small parts"])
    stage.deliver([log, large])
    stage.syncd("tick", "--json")
    for item in (log, large):
        stage.server.put(TRAIL_BUCKET, item.key, item.body, last_modified=now, etag="encrypted-anew")

    plan = stage.syncd("plan", "--json")
    ticked = stage.syncd("tick", "--json")

    assert (plan.job["objects"], ticked.job["already_there"]) == (2, 2)
    assert plan.job["requests"] == ticked.job["requests"]


def test_a_plan_that_could_not_be_made_has_no_cost(stage: Stage) -> None:
    stage.job(changes={"source.role.external_id": "another-id"})

    planned = stage.syncd("plan", "--json").job

    assert planned["outcome"] == "failed"
    assert (planned["cost_usd"], planned["seconds"], planned["objects_per_second"]) == (None, None, None)


def test_a_month_is_that_of_the_last_full_days_before_and_after_they_are_copied(stage: Stage, now: datetime) -> None:
    trail, account, region = Trail(), ACCOUNTS[0], REGIONS[0]
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    logs = [
        trail.log(account, region, midnight - timedelta(days=day, hours=-hour), 0)
        for day in (1, 2, 3)
        for hour in range(0, 24, 2)
    ]
    stage.deliver(logs)
    size = sum(len(log.body) for log in logs)
    stage.job(changes={"every": "30m"})

    before = stage.syncd("plan", "--month", "--json").job["month"]
    stage.syncd("tick")
    after = stage.syncd("plan", "--month", "--json").job["month"]
    shown = stage.syncd("plan", "--month")
    without = stage.syncd("plan", "--json").job["month"]

    for month in (before, after):
        assert (month["objects"], month["bytes"], month["ticks"]) == (12 * 30, round(size / 3 * 30), 48 * 30)
        assert month["requests"]["PutObject"] == month["requests"]["GetObject"] == 12 * 30
        assert month["s3_sync"]["requests"] == {"CopyObject": 12 * 30, "ListObjectsV2": 2 * 48 * 30}
        priced = 0.005 * (month["requests"]["PutObject"] + month["requests"]["ListObjectsV2"])
        priced += 0.0004 * month["requests"]["GetObject"]
        assert month["cost_usd"] == pytest.approx(priced / 1000, abs=0.011)
    assert without is None
    assert "aws s3 sync" in shown.stdout
    assert stage.syncd("plan", "--month", "--from", "2026-01-01").code == 2
