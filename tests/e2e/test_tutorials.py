"""Each tutorial is followed word by word, against a server that stands for AWS."""

import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from accounts import admin, root_keys
from console import Step, follow, steps
from servers import S3Server

from syncd.cli.demo.samples import TrailSpec, trail
from syncd.cli.demo.world import ACCOUNT_A, ACCOUNT_B, ACCOUNT_C, ACCOUNT_Z, REGION, TRAIL_BUCKET

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"
ORGANIZATION = "o-exampleorgid"
PROFILES = {"account-a": ACCOUNT_A, "account-b": ACCOUNT_B, "account-c": ACCOUNT_C, "account-z": ACCOUNT_Z}


@pytest.fixture
def environment(ministack: S3Server, tmp_path: Path) -> dict[str, str]:
    """The AWS CLI with a profile of each account's administrator, and AWS where MiniStack is."""
    profiles = {name: root_keys(account_id) for name, account_id in PROFILES.items()}
    return {**with_profiles(tmp_path, profiles), "AWS_ENDPOINT_URL": ministack.url}


def with_profiles(folder: Path, profiles: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    (folder / "credentials").write_text(
        "".join(
            f"[{name}]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
            for name, (key, secret) in profiles.items()
        )
    )
    (folder / "config").write_text("".join(f"[profile {name}]\nregion = {REGION}\n" for name in profiles))
    (folder / "work").mkdir()
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "COLUMNS": "200",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
        "AWS_CONFIG_FILE": str(folder / "config"),
        "AWS_REGION": REGION,
        "AWS_PAGER": "",
    }


def deliver(
    url: str, bucket: str = TRAIL_BUCKET, *, owner: str = ACCOUNT_A, organization_id: str | None = None
) -> None:
    """A bucket with three hours of logs of B and C, and with the policy by which CloudTrail delivers them."""
    now = datetime.now(UTC)
    spec = TrailSpec(
        bucket, (ACCOUNT_B, ACCOUNT_C), (REGION,), now - timedelta(days=1), organization_id=organization_id
    )
    with admin(url, owner, "s3") as s3:
        s3.create_bucket(Bucket=bucket)
        statement = {
            "Sid": "AWSCloudTrailWrite",
            "Effect": "Allow",
            "Principal": {"Service": "cloudtrail.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
        }
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
        for item in trail(spec, now, since=now - timedelta(hours=3)):
            s3.put_object(Bucket=bucket, Key=item.key, Body=item.body, Metadata=dict(item.metadata))


def assert_followed(name: str, folder: Path, environment: Mapping[str, str]) -> None:
    results = follow(TUTORIALS / f"{name}.md", folder=folder / "work", environment=environment)

    assert "\n".join(result.complaint for result in results if result.complaint) == ""


@pytest.mark.parametrize("name", ["own-accounts", "third-party", "bucket-owner-enforced"])
def test_a_tutorial_can_be_followed(
    name: str, environment: dict[str, str], ministack: S3Server, tmp_path: Path
) -> None:
    deliver(ministack.url)

    assert_followed(name, tmp_path, environment)


def test_the_tutorial_of_server_side_copies_can_be_followed(
    environment: dict[str, str], ministack: S3Server, tmp_path: Path
) -> None:
    deliver(ministack.url, "example-own-trail", owner=ACCOUNT_B)

    assert_followed("server-side", tmp_path, environment)


def test_the_tutorial_of_an_organizations_trail_can_be_followed(
    environment: dict[str, str], ministack: S3Server, tmp_path: Path
) -> None:
    deliver(ministack.url, organization_id=ORGANIZATION)

    assert_followed("organization-trail", tmp_path, environment)


def test_the_tutorial_of_s3_compatible_servers_can_be_followed(seaweed: S3Server, tmp_path: Path) -> None:
    profiles = {"storage": (seaweed.access_key_id, seaweed.secret_access_key)}
    environment = {**with_profiles(tmp_path, profiles), "STORAGE": seaweed.url}

    assert_followed("s3-compatible", tmp_path, environment)


def test_the_tutorial_of_another_engine_can_be_followed(seaweed: S3Server, tmp_path: Path) -> None:
    profiles = {"storage": (seaweed.access_key_id, seaweed.secret_access_key)}
    environment = {**with_profiles(tmp_path, profiles), "STORAGE": seaweed.url}

    assert_followed("another-engine", tmp_path, environment)


def test_every_tutorial_is_followed() -> None:
    followed = {"own-accounts", "third-party", "bucket-owner-enforced", "server-side", "organization-trail"}

    # test_verify.py follows that of the audit.
    assert {page.stem for page in TUTORIALS.glob("*.md")} == followed | {"s3-compatible", "another-engine", "audit"}


@pytest.mark.parametrize("page", sorted(TUTORIALS.glob("*[!t].md")), ids=lambda page: page.stem)
def test_a_tutorial_checks_and_copies(page: Path) -> None:
    commands = [step.command for step in steps(page)]

    assert [verb for verb in ("init", "check", "tick") if not any(f"syncd {verb}" in each for each in commands)] == []


def test_commands_and_what_they_print_are_told_apart(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Text\n\n```console\n$ one \\\n    two\nprinted\n$ three\n```\n\n```toml\n$ no\n```\n")

    assert steps(page) == [Step("one \\\n    two", ["printed"]), Step("three", [])]


def test_a_page_that_shows_something_else_is_found_out(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ echo one two\none …\n$ echo three\nfour\n$ false\n```\n")

    results = follow(page, folder=tmp_path, environment={"PATH": os.environ["PATH"]})

    assert [bool(result.complaint) for result in results] == [False, True, True]
