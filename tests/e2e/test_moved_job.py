"""A job that is pointed at another place begins anew there, and says so, once."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from faulty import Status
from program import Ran
from stage import Stage

from syncd.cli.demo.world import TRAIL_BUCKET


def moved(ran: Ran) -> list[dict[str, Any]]:
    """What a run says of a job that has moved."""
    return [event for event in ran.logged if event["event"] == "job.moved"]


@pytest.fixture
def ticked(stage: Stage, now: datetime) -> Stage:
    """A job that has copied three logs."""
    stage.deliver(Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=30), number) for number in range(3))
    stage.job()
    first = stage.syncd("tick", "--json")
    assert (first.code, first.job["copied"], moved(first)) == (0, 3, [])
    return stage


def test_a_change_of_the_destination_is_warned_of_once_with_the_old_and_the_new_place(ticked: Stage) -> None:
    ticked.job(changes={"destination.prefix": "second/"})

    first = ticked.syncd("tick", "--json")
    second = ticked.syncd("tick", "--json")

    (warning,) = moved(first)
    source, bucket = f"s3://{TRAIL_BUCKET}/", ticked.watched().name
    assert (warning["level"], warning["job"]) == ("warning", "account-z")
    assert warning["before"].startswith(f"{source} to s3://{bucket}/")
    assert warning["after"].startswith(f"{source} to s3://{bucket}/second/")
    assert warning["remedy"]
    assert (first.job["copied"], second.job["copied"], moved(second)) == (3, 0, [])


def test_it_is_told_though_the_first_tick_fails_and_not_again_by_the_next(ticked: Stage) -> None:
    ticked.job(changes={"destination.prefix": "second/"})
    refusal = ticked.server.faults.add("AssumeRole", Status(403, "AccessDenied"))

    refused = ticked.syncd("tick", "--json")
    ticked.server.faults.remove(refusal)
    healed = ticked.syncd("tick", "--json")

    assert (refused.job["outcome"], len(moved(refused))) == ("failed", 1)
    assert (healed.job["copied"], moved(healed)) == (3, [])


def test_a_rebuild_of_the_new_place_tells_of_it_as_well(ticked: Stage) -> None:
    ticked.job(changes={"destination.prefix": "second/"})

    rebuilt = ticked.syncd("ledger", "rebuild", "account-z")

    assert (rebuilt.code, len(moved(rebuilt))) == (0, 1)


def test_a_new_name_moves_nothing(ticked: Stage) -> None:
    ticked.job(changes={"name": "renamed"})

    ran = ticked.syncd("tick", "--json")

    assert (ran.job["job"], ran.job["copied"], moved(ran)) == ("renamed", 0, [])


def test_going_back_is_told_and_goes_on_with_what_was_known(ticked: Stage) -> None:
    ticked.job(changes={"destination.prefix": "second/"})
    ticked.syncd("tick", "--json")
    ticked.job()

    ran = ticked.syncd("tick", "--json")

    assert (ran.job["copied"], ran.job["already_there"], len(moved(ran))) == (0, 0, 1)
