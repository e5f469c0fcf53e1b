"""The main job: everything of a window, then only what is new, each object exactly once."""

from collections import Counter
from datetime import datetime, timedelta

import pytest
from builders import ACCOUNTS, REGIONS, Delivery, Trail, days_before
from stage import Stage

NEW_ACCOUNT, NEW_REGION = "777777777777", "me-south-1"
CONTROL = {"ListObjectsV2", "AssumeRole", "GetCallerIdentity", "GetBucketLocation", "HeadBucket"}


def ten_thousand(trail: Trail, now: datetime) -> list[Delivery]:
    """6 accounts, 5 regions, 10 days; one of the shards is far busier than the others."""
    days = days_before(now, 10)
    even = list(trail.span(ACCOUNTS, REGIONS, days, logs=20, digests=3))
    busy = list(Trail(seed=8).span(ACCOUNTS[2:3], REGIONS[1:2], days, logs=310))
    return even + busy


def thirty_seven(trail: Trail, now: datetime) -> list[Delivery]:
    """What arrives later: in known shards, in a region new to its account, and in an account never seen before."""
    stamp = now - timedelta(minutes=20)
    known = [trail.log(account, REGIONS[0], stamp, number) for account in ACCOUNTS for number in range(4)]
    in_new_region = [trail.log(ACCOUNTS[0], NEW_REGION, stamp, number) for number in range(6)]
    in_new_account = [trail.log(NEW_ACCOUNT, REGIONS[3], stamp, number) for number in range(6)]
    return [*known, *in_new_region, *in_new_account, trail.digest(NEW_ACCOUNT, REGIONS[3], stamp)]


def test_ten_thousand_objects_are_copied_once_and_then_only_what_is_new(stage: Stage, now: datetime) -> None:
    trail = Trail()
    stage.deliver(ten_thousand(trail, now))
    stage.job()

    caught_up = stage.syncd("catch-up", "--json", "--from", f"{days_before(now, 10)[0]}")
    puts = Counter(request.key for request in stage.server.requests if request.operation == "PutObject")
    stage.server.forget_requests()
    idle = stage.syncd("tick", "--json")
    idle_operations = stage.operations()
    new = stage.deliver(thirty_seven(trail, now))
    stage.server.forget_requests()
    ticked = stage.syncd("tick", "--json")

    assert (caught_up.code, caught_up.job["outcome"], caught_up.job["copied"]) == (0, "ok", 10_000)
    assert len(puts) == 10_000
    assert set(puts.values()) == {1}
    assert (idle.code, idle.job["copied"], idle.job["failed_count"]) == (0, 0, 0)
    assert idle_operations.keys() <= CONTROL
    assert (ticked.code, ticked.job["copied"], len(new)) == (0, 37, 37)
    assert stage.requests("GetObject") == stage.requests("PutObject") == 37
    assert stage.replica() == stage.source()
    assert set(stage.watched().writes.values()) == {1}


VARIANTS = {
    "named accounts": ({"source.accounts": list(ACCOUNTS[:3])}, Trail()),
    "an organization and a trail prefix": (
        {"source.organization_id": "o-exampleorgid", "source.prefix": "org"},
        Trail(prefix="org", organization_id="o-exampleorgid"),
    ),
    "an organization that discovery finds": ({}, Trail(organization_id="o-exampleorgid")),
    "a destination prefix": ({"destination.prefix": "replica/"}, Trail()),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_tick_after_a_catch_up_copies_exactly_what_is_new(stage: Stage, now: datetime, name: str) -> None:
    changes, trail = VARIANTS[name]
    days = days_before(now, 3)
    accounts = ACCOUNTS[:3]
    stage.deliver(trail.span(accounts, REGIONS[:2], days, logs=5, digests=1))
    stage.job(changes=changes)

    caught_up = stage.syncd("catch-up", "--json", "--from", f"{days[0]}")
    idle = stage.syncd("tick", "--json")
    stage.deliver([trail.log(account, NEW_REGION, now - timedelta(minutes=20)) for account in accounts])
    stage.server.forget_requests()
    ticked = stage.syncd("tick", "--json")

    assert (caught_up.code, caught_up.job["copied"]) == (0, 3 * 2 * 3 * 6)
    assert (idle.code, idle.job["copied"]) == (0, 0)
    assert (ticked.code, ticked.job["copied"]) == (0, 3)
    assert stage.requests("PutObject") == 3
    assert stage.replica(prefix=changes.get("destination.prefix", "")) == stage.source()


def test_logs_of_other_accounts_are_neither_listed_nor_copied(stage: Stage, now: datetime) -> None:
    trail, days = Trail(), days_before(now, 2)
    own = stage.deliver(trail.span(ACCOUNTS[:1], REGIONS[:2], days, logs=3))
    stage.deliver(trail.span(ACCOUNTS[1:4], REGIONS[:2], days, logs=3))
    stage.job("account-b")

    ran = stage.syncd("tick", "--json")

    listed = [
        request.query.get("prefix", "")
        for request in stage.server.requests
        if request.operation == "ListObjectsV2" and request.bucket == stage.world.bucket
    ]
    assert (ran.code, ran.job["copied"]) == (0, len(own))
    assert sorted(stage.replica("account-b")) == sorted(own)
    assert listed
    assert all(prefix.startswith("AWSLogs/222222222222/") for prefix in listed)


def test_two_consumers_copy_side_by_side_each_into_its_own_bucket(stage: Stage, now: datetime) -> None:
    trail, days = Trail(), days_before(now, 2)
    b = stage.deliver(trail.span(ACCOUNTS[:1], REGIONS[:2], days, logs=3))
    c = stage.deliver(trail.span(ACCOUNTS[1:2], REGIONS[:2], days, logs=4))
    stage.job("account-b")
    stage.job("account-c")

    ran = stage.syncd("tick", "--json")

    assert ran.code == 0
    assert {job["job"]: job["copied"] for job in ran.document["jobs"]} == {"account-b": len(b), "account-c": len(c)}
    assert sorted(stage.replica("account-b")) == sorted(b)
    assert sorted(stage.replica("account-c")) == sorted(c)


def test_a_catch_up_of_named_accounts_and_regions_takes_nothing_else(stage: Stage, now: datetime) -> None:
    trail, days = Trail(), days_before(now, 4)
    stage.deliver(trail.span(ACCOUNTS[:3], REGIONS[:3], days, logs=2))
    stage.job()
    wanted = ["--account", ACCOUNTS[0], "--account", ACCOUNTS[1], "--region", REGIONS[2]]

    ran = stage.syncd("catch-up", "--json", "--from", f"{days[1]}", "--to", f"{days[2]}", *wanted)

    folders = {trail.folder(account, REGIONS[2], day) for account in ACCOUNTS[:2] for day in days[1:3]}
    assert (ran.code, ran.job["copied"]) == (0, 2 * 2 * 2)
    assert {key.rpartition("/")[0] + "/" for key in stage.replica()} == folders


@pytest.mark.parametrize("decoy", ["syncd", "json"])
def test_no_code_of_the_current_folder_is_run(stage: Stage, now: datetime, decoy: str) -> None:
    keys = stage.deliver([Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=20))])
    stage.job()
    (stage.folder / "home" / f"{decoy}.py").write_text("raise SystemExit('code of the current folder')")

    ran = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["copied"]) == (0, len(keys))
