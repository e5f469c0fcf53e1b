"""A remedy that names a command is true: after the command the matter is over."""

from datetime import datetime, timedelta
from typing import Any

from builders import ACCOUNTS, REGIONS, Trail
from faulty import Call, Request, Status, on
from program import Ran
from stage import Stage


def told(ran: Ran, event: str) -> Any:
    """The remedy of the only event of this name."""
    (found,) = [item for item in ran.logged if item["event"] == event]
    return found["remedy"]


def test_an_object_that_was_restored_from_the_archive_is_copied_when_it_is_asked_for(
    stage: Stage, now: datetime
) -> None:
    (key,) = stage.deliver([Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(hours=2))])
    bucket = stage.world.bucket
    item = stage.server.get(bucket, key)
    stage.server.faults.add(on("GetObject", key=key), Status(403, "InvalidObjectState"), times=1)
    stage.job()
    archived = stage.syncd("tick")
    stage.server.put(bucket, key, item.body, storage_class="GLACIER", last_modified=item.last_modified, etag=item.etag)

    def restored(_: Request) -> None:
        """It is read as if it were there, and listed as it was."""
        stage.server.put(bucket, key, item.body, last_modified=item.last_modified, etag=item.etag)

    stage.server.faults.add(on("GetObject", key=key), Call(restored))

    without = stage.syncd("tick", "--json")
    asked = stage.syncd("ledger", "quarantine", "retry", key)
    ran = stage.syncd("tick", "--json")

    assert f"`syncd ledger quarantine retry {key} --job account-z`" in told(archived, "object.failed")
    assert (without.job["copied"], asked.code, ran.code, ran.job["copied"]) == (0, 0, 0, 1)


def test_an_object_that_is_gone_holds_the_horizon_until_it_is_let_go_of(stage: Stage, now: datetime) -> None:
    trail, stamp = Trail(), now.replace(second=0) - timedelta(hours=5)
    (gone,) = stage.deliver([trail.log(ACCOUNTS[0], REGIONS[0], stamp)])
    stage.deliver(trail.log(ACCOUNTS[0], REGIONS[0], stamp + timedelta(hours=hour), hour) for hour in (1, 2, 3, 4))
    stage.server.faults.add(on("GetObject", key=gone), Status(404, "NoSuchKey"))
    stage.job()
    missed = stage.syncd("tick")
    stage.server.delete(stage.world.bucket, gone)

    held = stage.syncd("tick", "--json")
    accepted = stage.syncd("ledger", "quarantine", "accept", gone)
    ran = stage.syncd("tick", "--json")

    assert f"`syncd ledger quarantine accept {gone} --job account-z`" in told(missed, "object.failed")
    assert held.job["complete_until"] < f"{stamp:%Y-%m-%dT%H:%M:%SZ}"
    assert accepted.code == 0
    assert ran.job["complete_until"] > f"{now - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
