"""The sample world: what is delivered lies there as it was made, and its configuration is whole."""

import configparser
import hashlib
import tomllib
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from syncd.cli.demo.samples import SampleObject, TrailSpec, trail
from syncd.cli.demo.world import ACCOUNT_A, ACCOUNT_B, EXTERNAL_ID, World, deliver, root_client, write_configuration

BEGINS = datetime(2026, 11, 23, tzinfo=UTC)


def samples(world: World) -> list[SampleObject]:
    spec = TrailSpec(world.bucket, (ACCOUNT_A, ACCOUNT_B), ("us-east-1",), BEGINS)
    return list(trail(spec, BEGINS + timedelta(hours=2)))


def test_objects_are_delivered_with_bytes_metadata_type_and_encoding(world: World) -> None:
    made = samples(world)

    count = deliver(world, made)

    with root_client(world.url, world.account_id, "s3") as s3:
        for sample in made:
            answer = s3.get_object(Bucket=world.bucket, Key=sample.key)
            with closing(answer["Body"]) as stream:
                assert hashlib.sha256(stream.read()).digest() == hashlib.sha256(sample.body).digest()
            assert answer["Metadata"] == sample.metadata
            assert (answer["ContentType"], answer["ContentEncoding"]) == ("application/json", "gzip")
        assert count == s3.list_objects_v2(Bucket=world.bucket)["KeyCount"] == len(made)


def test_the_configuration_has_a_job_for_each_consumer(world: World, tmp_path: Path) -> None:
    path = write_configuration(world, tmp_path)

    jobs = {file.stem: tomllib.loads(file.read_text()) for file in (tmp_path / "jobs.d").iterdir()}
    assert tomllib.loads(path.read_text())["jobs"] == ["jobs.d/*.toml"]
    assert {name: job["consumer"]["account_id"] for name, job in jobs.items()} == {
        consumer.name: consumer.account_id for consumer in world.consumers
    }
    assert jobs["account-b"]["source"]["accounts"] == [ACCOUNT_B]
    assert jobs["account-z"]["source"]["accounts"] == "*"
    assert jobs["account-z"]["source"]["role"]["external_id"] == EXTERNAL_ID
    assert "external_id" not in jobs["account-b"]["source"]["role"]


def test_secrets_are_in_the_credentials_file_alone(world: World, tmp_path: Path) -> None:
    write_configuration(world, tmp_path)

    profiles = configparser.ConfigParser()
    profiles.read(tmp_path / "credentials")
    written = "".join(file.read_text() for file in tmp_path.rglob("*.toml"))
    assert {name: profiles[name]["aws_secret_access_key"] for name in profiles.sections()} == {
        consumer.name: consumer.secret_access_key for consumer in world.consumers
    }
    assert not [consumer for consumer in world.consumers if consumer.secret_access_key in written]
    assert (tmp_path / "credentials").stat().st_mode & 0o077 == 0


def test_no_secret_is_in_the_worlds_own_words(world: World) -> None:
    assert not [consumer for consumer in world.consumers if consumer.secret_access_key in repr(world)]


def test_a_broken_aws_configuration_is_no_matter(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    with root_client(world.url, ACCOUNT_A, "s3") as s3:
        buckets = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]

    assert buckets == [world.bucket]
