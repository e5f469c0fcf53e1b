"""What a tick is given of a job's configuration: which folders, which grammar of keys, and how far back it looks."""

from typing import Any

import pytest
from pydantic import ValidationError

from syncd.config.job import Job
from syncd.model.keys.layout import CloudTrailLayout, FlatLayout
from syncd.model.keys.stamps import DAY_SECONDS
from syncd.model.objects import Shard
from syncd.tick.scope import layout_of, pace_of, scope_of, shard_of


def job(*, listing: dict[str, Any] | None = None, lateness: str = "30m", **source: Any) -> Job:
    return Job.model_validate(
        {
            "name": "account-b",
            "lateness": lateness,
            "listing": listing or {},
            "consumer": {"account_id": "222222222222"},
            "source": {"account_id": "111111111111", "bucket": "example-trail", "region": "us-east-1", **source},
            "destination": {"bucket": "example-b-logs", "region": "us-east-1"},
        }
    )


def test_nothing_is_ignored_unless_the_job_says_so() -> None:
    ignore = ["of/ours/AWSLogs/other/", "*/Config/"]

    assert job().source.ignore == ()
    assert scope_of(job()) == ("", (), ("*",), ("CloudTrail", "CloudTrail-Digest"), ("*",), ())
    assert scope_of(job(prefix="of/ours", ignore=ignore)) == (
        "of/ours",
        (),
        ("*",),
        ("CloudTrail", "CloudTrail-Digest"),
        ("*",),
        tuple(ignore),
    )
    assert job(ignore=[]).source.ignore == ()


@pytest.mark.parametrize("entry", ["logs/old/", "*"])
def test_a_flat_job_ignores_nothing(entry: str) -> None:
    with pytest.raises(ValidationError, match=r"source\.ignore|leave out everything"):
        job(layout="flat", ignore=[entry])


def test_a_dated_job_may_ignore_what_is_beside_its_dates() -> None:
    assert job(layout="{prefix}/%Y/%m/%d/", prefix="logs", ignore=["logs/old/"]).source.ignore == ("logs/old/",)


@pytest.mark.parametrize(
    ("source", "name", "shard"),
    [
        ({}, "cloudtrail", None),
        ({"layout": "flat", "prefix": "logs"}, "flat", Shard("logs")),
        ({"layout": "{prefix}/%Y/%m/%d/", "prefix": "logs"}, "%Y/%m/%d/", Shard("logs/")),
        ({"layout": "{prefix}/dt=%Y-%m-%d/", "prefix": "logs"}, "%Y-%m-%d/", Shard("logs/dt=")),
        ({"layout": "year=%Y/month=%m/day=%d/"}, "%Y/month=%m/day=%d/", Shard("year=")),
    ],
)
def test_a_layout_has_a_name_by_which_an_edited_job_is_noticed(
    source: dict[str, Any], name: str, shard: Shard | None
) -> None:
    assert layout_of(job(**source)).name == name
    assert shard_of(job(**source)) == shard


def test_the_layouts_are_those_that_the_job_names() -> None:
    assert isinstance(layout_of(job()), CloudTrailLayout)
    assert isinstance(layout_of(job(layout="flat")), FlatLayout)


def test_the_audit_comes_round_once_a_day_and_of_sealed_days_once_a_week() -> None:
    pace = pace_of(job())

    assert (pace.audit_every, pace.audit_sealed_every) == (DAY_SECONDS, 7 * DAY_SECONDS)


def test_the_audit_is_set_and_turned_off() -> None:
    pace = pace_of(job(listing={"audit": "6h", "audit_sealed": "0s"}))

    assert (pace.audit_every, pace.audit_sealed_every) == (6 * 3600.0, 0.0)


def test_no_listing_is_narrower_than_the_one_it_replaces() -> None:
    pace = pace_of(job(lateness="40d"))
    assert pace.tail_effective == pace.recent_effective == 40 * DAY_SECONDS
    assert pace.deep_effective == 41 * DAY_SECONDS

    usual = pace_of(job())
    assert usual.tail_effective == 5400.0
    assert (usual.recent_effective, usual.deep_effective) == (2 * DAY_SECONDS, 33 * DAY_SECONDS)


def test_digests_are_allowed_to_be_later_than_other_logs() -> None:
    assert pace_of(job()).lateness_of("CloudTrail-Digest") == 5400.0
    assert pace_of(job()).lateness_of("CloudTrail") == 1800.0
    assert pace_of(job(lateness="2h")).lateness_of("CloudTrail-Digest") == 7200.0
