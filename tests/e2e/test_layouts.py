"""Any other log prefix: flat, where keys tell nothing, and dated folders; and keys of every shape under CloudTrail's."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from builders import ACCOUNTS, REGIONS, Delivery, Trail, days_before
from stage import Stage

FLAT = {"source.layout": "flat", "source.prefix": "elb/", "source.accounts": None, "source.kinds": None}
DATED = {**FLAT, "source.layout": "{prefix}/%Y/%m/%d/", "source.prefix": "config"}


def deliveries(now: datetime, *keys: str, age: timedelta = timedelta(minutes=30)) -> list[Delivery]:
    return [Delivery(key, f"content of {key}".encode(), now - age) for key in keys]


def dated(now: datetime, days_back: int, *names: str) -> list[str]:
    return [f"config/{now - timedelta(days=days_back):%Y/%m/%d}/{name}" for name in names]


def test_a_flat_prefix_is_replicated_and_nothing_beside_it(stage: Stage, now: datetime) -> None:
    inside = stage.deliver(deliveries(now, "elb/b", "elb/a/deep/er", "elb/z", "elb/ü ö+%&?.log", "elb/", "elb//x"))
    stage.deliver(deliveries(now, "elb", "elc/a", "other/b"))
    stage.job(changes=FLAT)

    ran = stage.syncd("tick", "--json")
    idle = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["copied"]) == (0, len(inside))
    assert (idle.code, idle.job["copied"]) == (0, 0)
    assert sorted(stage.replica()) == sorted(inside)


def test_new_objects_of_a_flat_prefix_are_found_anywhere_in_key_order(stage: Stage, now: datetime) -> None:
    stage.deliver(deliveries(now, *(f"elb/{number:04}" for number in range(100, 1400))))
    stage.job(changes=FLAT)
    first = stage.syncd("tick", "--json")
    new = stage.deliver(deliveries(now, "elb/0000", "elb/0500-in-the-middle", "elb/zzz", age=timedelta(0)))
    stage.server.forget_requests()

    ran = stage.syncd("tick", "--json")
    idle = stage.syncd("tick", "--json")

    assert (first.job["copied"], ran.job["copied"], idle.job["copied"]) == (1300, len(new), 0)
    assert stage.requests("PutObject") == len(new)
    assert stage.replica() == stage.source()


def test_a_flat_prefix_begins_at_the_jobs_start(stage: Stage, now: datetime) -> None:
    stage.deliver(deliveries(now, "elb/old", age=timedelta(days=3)))
    stage.deliver(deliveries(now, "elb/young", age=timedelta(hours=3)))
    stage.job(changes={**FLAT, "start": "1d"})

    ran = stage.syncd("tick", "--json")
    caught_up = stage.syncd("catch-up", "--json", "--from", f"{now - timedelta(days=5):%Y-%m-%d}")

    assert (ran.job["copied"], ran.job["skipped"]) == (1, {"before_start": 1})
    assert caught_up.job["copied"] == 1
    assert stage.replica() == stage.source()


def test_a_lost_ledger_of_a_flat_prefix_copies_nothing_twice(stage: Stage, now: datetime) -> None:
    stage.deliver(deliveries(now, *(f"elb/{number:04}" for number in range(50))))
    stage.job(changes={**FLAT, "destination.prefix": "copy/"})
    stage.syncd("tick")
    for path in [path for path in stage.state.rglob("*") if path.is_file()]:
        path.unlink()
    new = stage.deliver(deliveries(now, "elb/0000-a", "elb/zzz", age=timedelta(0)))
    stage.server.forget_requests()

    ran = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["copied"], stage.requests("PutObject")) == (0, len(new), len(new))
    assert stage.replica(prefix="copy/") == stage.source()


def test_dated_folders_are_replicated_and_new_objects_are_found(stage: Stage, now: datetime) -> None:
    history = [key for back in range(5, -1, -1) for key in dated(now, back, "a.gz", "m.gz", "z.gz")]
    stage.deliver(deliveries(now, *history))
    stage.job(changes=DATED)
    first = stage.syncd("tick", "--json")
    new = stage.deliver(deliveries(now, *dated(now, 0, "0.gz", "mm.gz", "zz.gz"), age=timedelta(0)))
    stage.server.forget_requests()

    ran = stage.syncd("tick", "--json")
    idle = stage.syncd("tick", "--json")

    assert (first.code, first.job["copied"]) == (0, len(history))
    assert (ran.code, ran.job["copied"], idle.job["copied"]) == (0, len(new), 0)
    assert stage.requests("PutObject") == len(new)
    assert stage.replica() == stage.source()


def test_the_window_of_a_catch_up_holds_for_dated_folders(stage: Stage, now: datetime) -> None:
    history = [key for back in range(9, -1, -1) for key in dated(now, back, "a.gz", "z.gz")]
    stage.deliver(deliveries(now, *history))
    stage.job(changes=DATED)
    days = days_before(now, 9)

    ran = stage.syncd("catch-up", "--json", "--from", f"{days[2]}", "--to", f"{days[4]}")

    wanted = sorted(f"config/{day:%Y/%m/%d}/{name}" for day in days[2:5] for name in ("a.gz", "z.gz"))
    assert (ran.code, ran.job["copied"]) == (0, len(wanted))
    assert sorted(stage.replica()) == wanted


@pytest.mark.parametrize(
    "pattern",
    ["{prefix}/%Y/%m/%d/", "{prefix}/%Y/%m/%d/%H/", "{prefix}/year=%Y/month=%m/day=%d/", "{prefix}/%Y-%m-%d-"],
)
def test_dates_may_be_written_in_several_ways(stage: Stage, now: datetime, pattern: str) -> None:
    moments = [now - timedelta(hours=hours) for hours in (70, 46, 23, 2, 0)]
    folders = [f"{moment:{pattern.replace('{prefix}', 'logs')}}" for moment in moments]
    keys = stage.deliver(deliveries(now, *(f"{folder}{name}" for folder in folders for name in ("a", "b"))))
    stage.job(changes={**DATED, "source.layout": pattern, "source.prefix": "logs"})
    first = stage.syncd("tick", "--json")
    stage.deliver(deliveries(now, f"{folders[-1]}0", f"{folders[-1]}z", age=timedelta(0)))
    ran = stage.syncd("tick", "--json")
    stage.deliver(deliveries(now, f"{folders[1]}late", age=timedelta(0)))
    caught_up = stage.syncd("catch-up", "--json", "--from", f"{moments[1]:%Y-%m-%d}", "--to", f"{moments[1]:%Y-%m-%d}")

    assert (first.code, first.job["copied"]) == (0, len(set(keys)))
    assert (ran.code, ran.job["copied"]) == (0, 2)
    assert (caught_up.code, caught_up.job["copied"]) == (0, 1)
    assert stage.replica() == stage.source()


def test_keys_that_do_not_parse_and_stamps_in_the_future_are_copied_too(stage: Stage, now: datetime) -> None:
    trail, account, region = Trail(), ACCOUNTS[0], REGIONS[0]
    folder = trail.folder(account, region, now.date())
    odd = deliveries(
        now,
        f"{folder}no-stamp.json.gz",
        f"{folder}{account}_CloudTrail_{region}_20261399T9999Z_x.json.gz",
        f"{folder}a b+c%20ü&=?#'\"<>.gz",
        f"{folder}sub/folder/x",
        f"{trail.folder(account, region, now.date())[:-11]}loose-in-the-region.txt",
    )
    future = [trail.log(account, region, now + timedelta(days=3), late=timedelta(days=-3))]
    stage.deliver([*odd, *future, *(trail.log(account, region, now - timedelta(minutes=20), n) for n in range(3))])
    stage.job(changes={"source.accounts": [account]})

    ran = stage.syncd("tick", "--json")
    normal = stage.deliver([trail.log(account, region, now - timedelta(minutes=10))])
    next_one = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["copied"], ran.job["failed_count"]) == (0, 5 + 1 + 3, 0)
    assert (next_one.job["copied"], normal[0] in stage.replica()) == (1, True)
    assert stage.replica() == stage.source()


def test_every_kind_is_found_where_all_are_wanted(stage: Stage, now: datetime) -> None:
    account, region = ACCOUNTS[0], REGIONS[0]
    day = f"{now:%Y/%m/%d}"
    kinds = ("CloudTrail", "CloudTrail-Digest", "CloudTrail-Insight", "CloudTrail-NetworkActivity", "Config")
    keys = stage.deliver(deliveries(now, *(f"AWSLogs/{account}/{kind}/{region}/{day}/x.gz" for kind in kinds)))
    stage.job(changes={"source.kinds": "*"})

    ran = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["copied"]) == (0, len(keys))
    assert stage.replica() == stage.source()


def test_an_object_in_parts_and_an_empty_one_are_replicated(stage: Stage, now: datetime) -> None:
    trail, account, region = Trail(), ACCOUNTS[0], REGIONS[0]
    small = trail.log(account, region, now - timedelta(minutes=30))
    folder = small.key.rpartition("/")[0]
    large = Delivery(f"{folder}/large", bytes(range(256)) * 4096 * 17, now, {"signature": "ab"}, "text/x", "gzip")
    empty = Delivery(f"{folder}/empty", b"", now)
    stage.deliver([small, large, empty])
    stage.job(changes={"destination.multipart_above": "5MiB", "destination.part_size": "5MiB"})

    ran = stage.syncd("tick", "--json")
    idle = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["copied"], idle.job["copied"]) == (0, 3, 0)
    assert stage.requests("UploadPart") == 4
    assert stage.replica() == stage.source()


def config_history(year: int, month: int, day: int, name: str) -> str:
    """A key of AWS Config, which writes months and days without leading zeros."""
    return f"AWSLogs/{ACCOUNTS[0]}/Config/{REGIONS[0]}/{year}/{month}/{day}/ConfigHistory/{name}.json.gz"


@pytest.mark.parametrize("month", [1, 2, 9])
def test_a_catch_up_finds_days_without_leading_zeros_that_no_recent_key_shows(
    stage: Stage, now: datetime, month: int
) -> None:
    recent = stage.deliver(deliveries(now, config_history(now.year - 1, 12, 31, "new")))
    stage.job(changes={"source.kinds": "*", "start": "beginning"})
    ticked = stage.syncd("tick", "--json")
    old = [config_history(now.year - 1, month, day, f"{day}") for day in (5, 15, 28)]
    stage.deliver(deliveries(now, *old, age=timedelta(days=300)))
    days = ("--from", f"{now.year - 1}-{month:02}-05", "--to", f"{now.year - 1}-{month:02}-15")

    ran = stage.syncd("catch-up", *days, "--json")

    assert (ticked.code, ticked.job["copied"]) == (0, 1)
    assert (ran.code, ran.job["copied"]) == (0, 2)
    assert sorted(stage.replica()) == sorted([*recent, *old[:2]])


HIVE = f"AWSLogs/aws-account-id={ACCOUNTS[0]}/aws-service=vpcflowlogs/aws-region={REGIONS[0]}/year=%Y/month=%m/day=%d/"


def test_hive_folders_beside_cloudtrail_are_covered_by_a_job_of_everything(stage: Stage, now: datetime) -> None:
    stage.deliver([*deliveries(now, f"{now:{HIVE}}a.gz"), Trail().log(ACCOUNTS[0], REGIONS[0], now)])
    stage.job(changes={"source.kinds": "*"})
    first = stage.syncd("tick", "--json")
    stage.deliver(deliveries(now, f"{now:{HIVE}}b.gz", age=timedelta(0)))

    ran = stage.syncd("tick", "--json")

    assert (first.code, first.job["copied"], ran.code, ran.job["copied"]) == (0, 2, 0, 1)
    assert stage.replica() == stage.source()


def test_hive_folders_beside_cloudtrail_are_named_as_uncovered_by_a_job_of_one_kind(
    stage: Stage, now: datetime
) -> None:
    stage.deliver([*deliveries(now, f"{now:{HIVE}}a.gz"), Trail().log(ACCOUNTS[0], REGIONS[0], now)])
    stage.job(changes={"source.kinds": ["CloudTrail"]})

    ran = stage.syncd("tick", "--json")
    looked = stage.syncd("status", "--json")

    assert (ran.code, ran.job["copied"]) == (0, 1)
    assert ran.job["uncovered"] == [f"AWSLogs/aws-account-id={ACCOUNTS[0]}/"]
    assert (looked.code, looked.job["healthy"]) == (4, False)


@pytest.mark.parametrize("prefix", ["AWSLogs", "logs/", "AWSLogs/AWSLogs", "a//b", "logs//"])
@pytest.mark.parametrize("accounts", ["*", [ACCOUNTS[0]]], ids=["all", "named"])
def test_the_prefix_of_a_trail_is_taken_literally(
    stage: Stage, now: datetime, prefix: str, accounts: str | list[str]
) -> None:
    log = Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=20))
    inside = stage.deliver([replace(log, key=f"{prefix}/{log.key}")])
    stage.deliver([log, replace(log, key=f"{prefix.strip('/')}-2/{log.key}")])
    stage.job(changes={"source.prefix": prefix, "source.accounts": accounts})

    checked = stage.syncd("check", "--json")
    ran = stage.syncd("tick", "--json")
    idle = stage.syncd("tick", "--json")

    assert checked.code == 0, checked.stdout
    assert (ran.code, ran.job["copied"], idle.job["copied"]) == (0, 1, 0)
    assert sorted(stage.replica()) == inside


ORGANIZATION = "o-exampleorgid"


@pytest.mark.parametrize("accounts", ["*", list(ACCOUNTS[:2])], ids=["all", "named"])
def test_one_job_has_what_control_tower_writes_below_its_organization_and_beside_it(
    stage: Stage, now: datetime, accounts: str | list[str]
) -> None:
    trail = Trail(prefix=ORGANIZATION, organization_id=ORGANIZATION)
    wanted = stage.deliver(trail.log(account, REGIONS[0], now - timedelta(minutes=20)) for account in ACCOUNTS[:2])
    wanted += stage.deliver(
        deliveries(now, *(f"{ORGANIZATION}/{config_history(now.year, 11, 24, name)}" for name in "ab"))
    )
    stage.job(
        changes={
            "source.prefix": ORGANIZATION,
            "source.organization_id": [ORGANIZATION, ""],
            "source.accounts": accounts,
            "source.kinds": "*",
        }
    )

    checked = stage.syncd("check", "--json")
    ran = stage.syncd("tick", "--json")
    new = stage.deliver(deliveries(now, f"{ORGANIZATION}/{config_history(now.year, 11, 25, 'c')}", age=timedelta(0)))
    ran_again = stage.syncd("tick", "--json")
    looked = stage.syncd("status", "--json")

    assert checked.code == 0, checked.stdout
    assert (ran.code, ran.job["copied"], ran.job["uncovered"]) == (0, len(wanted), [])
    assert (ran_again.code, ran_again.job["copied"]) == (0, len(new))
    assert (looked.code, looked.job["healthy"]) == (0, True)
    assert stage.replica() == stage.source()
