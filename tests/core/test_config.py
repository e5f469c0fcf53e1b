"""The values of a configuration: what a job file means, and what follows from it."""

import pickle
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from syncd.config.job import Http, Job, Settings, StartPoint


def document(**tables: Any) -> dict[str, Any]:
    """A job's raw table that is right; `tables` are merged into it one level deep."""
    job: dict[str, Any] = {
        "name": "account-b",
        "consumer": {"account_id": "222222222222"},
        "source": {
            "account_id": "111111111111",
            "bucket": "example-trail",
            "region": "us-east-1",
            "role": {"arn": "arn:aws:iam::111111111111:role/Test"},
        },
        "destination": {"bucket": "example-b-logs", "region": "us-east-1"},
    }
    for key, value in tables.items():
        job[key] = {**job.get(key, {}), **value} if isinstance(value, dict) else value
    return job


def job_of(**tables: Any) -> Job:
    return Job.model_validate(document(**tables))


def test_a_job_is_due_every_five_minutes_unless_it_says_otherwise() -> None:
    job = job_of()

    assert (job.every, job.cron) == (timedelta(minutes=5), None)


def test_a_job_with_a_cron_line_has_no_interval() -> None:
    job = job_of(cron="0 3 * * *")

    assert (job.every, job.cron) == (None, "0 3 * * *")


@pytest.mark.parametrize(
    ("given", "objective"),
    [
        ({"every": "1m"}, timedelta(minutes=15)),
        ({"every": "1h"}, timedelta(hours=3)),
        ({"every": "1h", "objective": "5m"}, timedelta(minutes=5)),
        ({"cron": "0 3 * * *"}, timedelta(days=3)),
        ({"cron": "*/10 * * * *"}, timedelta(minutes=30)),
        ({"cron": "0 12 * * mon-fri"}, timedelta(days=9)),
    ],
)
def test_the_objective_follows_the_longest_time_between_ticks(given: dict[str, str], objective: timedelta) -> None:
    assert job_of(**given).objective_effective == objective


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("now", StartPoint.NOW),
        ("beginning", StartPoint.BEGINNING),
        ("31d", timedelta(days=31)),
        ("2026-11-01", date(2026, 11, 1)),
        (date(2026, 11, 1), date(2026, 11, 1)),
    ],
)
def test_start_is_a_word_a_span_or_a_day(text: object, start: object) -> None:
    assert job_of(start=text).start == start


@pytest.mark.parametrize(
    ("layout", "pattern"),
    [
        ("cloudtrail", None),
        ("flat", None),
        ("{prefix}/%Y/%m/%d/", "{prefix}/%Y/%m/%d/"),
        ({"pattern": "year=%Y/month=%m/day=%d/"}, "year=%Y/month=%m/day=%d/"),
    ],
)
def test_layout_is_a_word_or_a_date_pattern(layout: object, pattern: str | None) -> None:
    source = Job.model_validate(document(source={"layout": layout})).source

    assert (source.is_cloudtrail, source.date_pattern) == (layout == "cloudtrail", pattern)


@pytest.mark.parametrize(
    ("given", "organizations"),
    [
        ({}, ()),
        ({"organization_id": "o-exampleorgid"}, ("o-exampleorgid",)),
        ({"organization_id": ["o-exampleorgid", "o-otherorgid1"]}, ("o-exampleorgid", "o-otherorgid1")),
    ],
)
def test_an_organization_is_one_or_several(given: dict[str, object], organizations: tuple[str, ...]) -> None:
    assert job_of(source=given).source.organization_ids == organizations


def test_accounts_regions_and_kinds_are_lists_or_everything() -> None:
    source = job_of(source={"accounts": ["222222222222", "222222222222"], "regions": "*", "kinds": "*"}).source

    assert (source.accounts, source.regions, source.kinds) == (("222222222222",), "*", "*")


def test_the_session_is_named_after_the_job() -> None:
    role = job_of(name="n" * 64).source.role

    assert role is not None
    assert role.session_name == ("syncd-" + "n" * 64)[:64]


def test_a_job_without_a_role_reads_with_the_consumers_identity() -> None:
    raw = document()
    del raw["source"]["role"]

    assert Job.model_validate(raw).source.role is None


@pytest.mark.parametrize(
    ("arn", "region", "partition"),
    [
        ("arn:aws:iam::111111111111:role/Test", "eu-central-1", "aws"),
        ("arn:aws-us-gov:iam::111111111111:role/Test", "us-gov-west-1", "aws-us-gov"),
        ("arn:aws-cn:iam::111111111111:role/path/to/Test", "cn-north-1", "aws-cn"),
        (None, "cn-northwest-1", "aws-cn"),
        (None, "mx-central-1", "aws"),
    ],
)
def test_the_partition_is_that_of_the_role_and_the_region(arn: str | None, region: str, partition: str) -> None:
    raw = document(source={"region": region}, destination={"region": region})
    raw["source"]["role"] = {"arn": arn} if arn else None
    raw["source"] = {key: value for key, value in raw["source"].items() if value is not None}

    assert Job.model_validate(raw).partition == partition


def test_both_buckets_have_an_expected_owner() -> None:
    job = job_of()

    assert (job.expected_source_owner, job.expected_destination_owner) == ("111111111111", "222222222222")


def test_the_sources_account_may_be_the_consumers_own() -> None:
    job = job_of(consumer={"account_id": "111111111111"})

    assert job.consumer.account_id == job.source.account_id


def test_an_s3_compatible_server_names_regions_as_it_likes() -> None:
    job = job_of(
        source={"region": "garage"}, destination={"region": "main"}, endpoints={"s3": "http://127.0.0.1:5000/"}
    )

    assert job.endpoints.is_given
    assert (job.endpoints.s3, job.endpoints.destination) == ("http://127.0.0.1:5000", "http://127.0.0.1:5000")


def test_the_same_bucket_name_on_two_servers_is_two_buckets() -> None:
    job = job_of(
        destination={"bucket": "example-trail"},
        endpoints={"s3": "http://127.0.0.1:5000", "destination_s3": "http://127.0.0.1:5001"},
    )

    assert job.destination.bucket == job.source.bucket


def test_sizes_are_bytes() -> None:
    job = job_of(destination={"multipart_above": "1GiB", "part_size": "8MiB"}, engine={"bytes_per_second": "10MB"})

    assert (job.destination.multipart_above, job.destination.part_size) == (1024**3, 8 * 1024**2)
    assert job.engine.bytes_per_second == 10_000_000


def test_copy_is_spelt_copy_in_toml() -> None:
    assert job_of(destination={"copy": "server-side"}).destination.copy_mode == "server-side"


def test_a_job_cannot_be_changed() -> None:
    job = job_of()

    with pytest.raises(ValidationError):
        job.destination.bucket = "another"  # type: ignore[misc]


def test_a_job_survives_the_way_to_another_process() -> None:
    job = job_of(destination={"tags": {"origin": "syncd"}})

    assert pickle.loads(pickle.dumps(job)) == job


def test_the_external_id_is_not_in_the_jobs_representation() -> None:
    job = job_of(source={"role": {"arn": "arn:aws:iam::111111111111:role/Test", "external_id": "z-0001"}})

    assert "z-0001" not in repr(job)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"every": "5m", "cron": "0 3 * * *"}, "exclude each other"),
        ({"jitter": "5m"}, "must be less than 5m"),
        ({"destination": {"bucket": "example-trail", "region": "us-east-1"}}, "is the source too"),
    ],
)
def test_a_job_made_without_a_file_is_held_to_the_same_rules(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        job_of(**changes)


def test_settings_have_a_default_for_every_key() -> None:
    settings = Settings()

    assert settings.state_dir == Path("/var/lib/syncd")
    assert settings.jobs == ("jobs.d/*.toml",)
    assert settings.drain == timedelta(seconds=15)
    assert (settings.engine.in_flight, settings.engine.memory) == (128, 128 * 1024**2)


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("", None),
        ("127.0.0.1:9464", ("127.0.0.1", 9464)),
        ("[::1]:0", ("::1", 0)),
        ("localhost:80", ("localhost", 80)),
    ],
)
def test_an_address_on_this_machine_needs_no_permission(listen: str, address: tuple[str, int] | None) -> None:
    assert Settings(http=Http(listen=listen)).http.address == address


def test_an_address_for_other_machines_needs_allow_remote() -> None:
    settings = Settings(http=Http(listen="0.0.0.0:9464", allow_remote=True))

    assert settings.http.address == ("0.0.0.0", 9464)


def test_without_endpoints_both_ends_are_on_aws() -> None:
    endpoints = job_of().endpoints

    assert (endpoints.is_given, endpoints.s3, endpoints.destination, endpoints.sts) == (False, None, None, None)
