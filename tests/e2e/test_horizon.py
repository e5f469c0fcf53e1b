""" "Complete from .. until: honest, whatever a job, its configuration and its state have been through."""

from datetime import datetime, timedelta

from builders import ACCOUNTS, REGIONS, Delivery, Trail, days_before
from faulty import Status, on
from stage import Stage


def z(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def lose_the_state(stage: Stage) -> None:
    for path in [path for path in stage.state.rglob("*") if path.is_file()]:
        path.unlink()


def fresh(now: datetime, *minutes: int) -> list[Delivery]:
    """Logs so many minutes old, which arrived two minutes after their stamps."""
    stamps = [now.replace(second=0) - timedelta(minutes=each) for each in minutes]
    return [
        Trail().log(ACCOUNTS[0], REGIONS[0], stamp, number, late=timedelta(minutes=2))
        for number, stamp in enumerate(stamps)
    ]


def test_a_tick_is_complete_from_its_start_until_what_lateness_allows(stage: Stage, now: datetime) -> None:
    stage.deliver(fresh(now, 50, 40, 5))
    stage.job(changes={"start": "2d", "lateness": "20m"})

    ran = stage.syncd("tick", "--json")

    ended = datetime.now(now.tzinfo)
    assert z(now - timedelta(minutes=20)) <= ran.job["complete_until"] <= z(ended - timedelta(minutes=20))
    assert z(now - timedelta(days=2)) <= ran.job["complete_from"] <= z(ended - timedelta(days=2))


def test_a_catch_up_that_meets_it_extends_the_horizon_backwards(stage: Stage, now: datetime) -> None:
    days = days_before(now, 9)
    stage.deliver(Trail().span(ACCOUNTS[:1], REGIONS[:1], days, logs=2))
    stage.job(changes={"start": "2d"})
    stage.syncd("tick")

    apart = stage.syncd("catch-up", "--json", "--from", f"{days[0]}", "--to", f"{days[1]}")
    meeting = stage.syncd("catch-up", "--json", "--from", f"{days[3]}")

    assert apart.job["complete_from"] > z(now - timedelta(days=3))
    assert meeting.job["complete_from"] == f"{days[3]}T00:00:00Z"
    assert meeting.job["complete_until"] == apart.job["complete_until"]


def test_a_log_later_than_lateness_allows_is_copied_and_reported(stage: Stage, now: datetime) -> None:
    stage.deliver(fresh(now, 58, 5))
    stage.job(changes={"lateness": "10m"})
    stage.syncd("tick")
    stamp = now.replace(second=0) - timedelta(minutes=40)
    (late,) = stage.deliver([Trail().log(ACCOUNTS[0], REGIONS[0], stamp, 9, late=now - stamp)])

    ran = stage.syncd("tick", "--json")
    again = stage.syncd("tick", "--json")

    (told,) = [event for event in ran.logged if event["event"] == "object.found_late"]
    assert (ran.code, ran.job["copied"], ran.job["late_beyond_allowance"]) == (0, 1, 1)
    assert told["key"] == late
    assert ran.job["lateness_suggested_seconds"] >= 40 * 60
    assert again.job["late_beyond_allowance"] == 0


def test_after_a_loss_what_was_not_listed_again_is_not_claimed(stage: Stage, now: datetime) -> None:
    days = days_before(now, 60)
    stage.deliver(Trail().span(ACCOUNTS[:1], REGIONS[:1], days, logs=1))
    stage.job(changes={"start": "beginning"})
    stage.syncd("catch-up", "--from", f"{days[-2]}")
    lose_the_state(stage)

    ran = stage.syncd("tick", "--json")

    missing = [key.split("/")[4:7] for key in stage.source() if key not in stage.replica()]
    complete_from = ran.job["complete_from"] or ""
    claimed = [day for day in missing if f"{'-'.join(day)}T23:59:59Z" >= complete_from]
    assert ran.code == 0
    assert claimed == []


def test_an_account_that_the_job_no_longer_names_is_let_go_of(stage: Stage, now: datetime) -> None:
    stage.deliver(fresh(now, 40, 20))
    stamp = now.replace(second=0) - timedelta(minutes=50)
    (other,) = stage.deliver([Trail().log(ACCOUNTS[1], REGIONS[0], stamp)])
    stage.server.faults.add(on("GetObject", key=other), Status(403, "AccessDenied"))
    stage.job(changes={"source.accounts": list(ACCOUNTS[:2])})
    both = stage.syncd("tick", "--json")
    stage.job(changes={"source.accounts": list(ACCOUNTS[:1])})
    stage.server.forget_requests()

    one = stage.syncd("tick", "--json")
    status = stage.syncd("status", "--json")

    assert both.code == 3
    assert not [request for request in stage.server.requests if request.key == other]
    assert (one.code, one.job["failed_count"]) == (0, 0)
    assert one.job["complete_until"] > z(now - timedelta(minutes=35))
    assert status.code == 0


def test_a_failed_object_without_a_region_of_its_own_holds_the_horizon_too(stage: Stage, now: datetime) -> None:
    stage.deliver(fresh(now, 40, 20))
    loose = Delivery(f"AWSLogs/{ACCOUNTS[0]}/CloudTrail/loose.txt", b"loose", now - timedelta(hours=3))
    stage.deliver([loose])
    stage.server.faults.add(on("GetObject", key=loose.key), Status(403, "AccessDenied"))
    stage.job(changes={"source.kinds": "*"})

    ran = stage.syncd("tick", "--json")

    assert (ran.code, [failed["key"] for failed in ran.job["failed"]]) == (3, [loose.key])
    assert ran.job["complete_until"] < z(now - timedelta(hours=3))


def test_after_a_loss_and_a_catch_up_of_some_days_a_tick_reads_nothing_again(stage: Stage, now: datetime) -> None:
    days = days_before(now, 6)
    keys = stage.deliver(Trail().span(ACCOUNTS[:1], REGIONS[:1], days, logs=10))
    stage.job()
    stage.syncd("tick")
    lose_the_state(stage)
    stage.server.forget_requests()

    caught_up = stage.syncd("catch-up", "--json", "--from", f"{days[-1]}")
    ticked = stage.syncd("tick", "--json")

    assert (caught_up.code, ticked.code) == (0, 0)
    assert stage.requests("PutObject", "GetObject") == 0
    assert len(stage.replica()) == len(keys)


def test_a_source_that_lists_nothing_of_the_last_days_is_an_alarm(stage: Stage, now: datetime) -> None:
    keys = stage.deliver(fresh(now, 50, 40, 5))
    stage.job()
    before = stage.syncd("tick", "--json")
    for key in keys:
        stage.server.delete(stage.world.bucket, key)

    ran = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["outcome"], ran.job["error"]["reason"]) == (1, "failed", "source_empty")
    assert (ran.job["complete_until"] or "") <= before.job["complete_until"]
    assert sorted(stage.replica()) == sorted(keys)


def test_an_object_that_failed_and_was_encrypted_anew_since_is_copied(stage: Stage, now: datetime) -> None:
    keys = stage.deliver(fresh(now, 50, 40, 5))
    stage.server.faults.add(on("GetObject", key=keys[1]), Status(400, "KMS.DisabledException"))
    stage.job()
    failing = stage.syncd("tick")
    stage.server.faults.clear()
    body = stage.server.get(stage.world.bucket, keys[1]).body
    stage.server.put(stage.world.bucket, keys[1], body, etag="0123456789abcdef", last_modified=now)

    stage.syncd("tick")
    ran = stage.syncd("tick", "--json")

    assert (failing.code, ran.code) == (3, 0)
    assert sorted(stage.replica()) == sorted(keys)
    assert ran.job["complete_until"] > z(now - timedelta(minutes=35))


def test_what_failed_once_and_is_gone_from_the_source_is_named_until_it_is_accepted(
    stage: Stage, now: datetime
) -> None:
    keys = stage.deliver(fresh(now, 50, 40, 5))
    stage.server.faults.add(on("GetObject", key=keys[1]), Status(403, "AccessDenied"))
    stage.job()
    stage.syncd("tick")
    stage.server.delete(stage.world.bucket, keys[1])
    stage.server.faults.clear()

    gone = stage.syncd("tick", "--json")
    later = stage.syncd("tick", "--json")
    stage.syncd("ledger", "quarantine", "accept", keys[1])
    accepted = stage.syncd("tick", "--json")

    assert [failed["reason"] for failed in gone.job["failed"]] == ["object_gone"]
    assert later.job["complete_until"] < z(now - timedelta(minutes=40))
    assert accepted.job["complete_until"] > z(now - timedelta(minutes=35))
