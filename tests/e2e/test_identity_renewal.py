"""Credentials that were rejected are asked for anew, wherever they come from; the same ones again end it at once."""

import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from faulty import Principal, Request, Status
from stage import Stage
from waiting import wait_until

PROFILE = "b"


class Renewal:
    """A stage with one job, whose credentials a test writes wherever it likes."""

    def __init__(self, stage: Stage, folder: Path, now: datetime) -> None:
        self.stage = stage
        self.config = folder / "aws-config"
        self.keys = folder / "keys"
        self.environment = {"AWS_CONFIG_FILE": str(self.config)}
        self.now = now
        self._delivered = 5
        self.deliver()

    def deliver(self, count: int = 1) -> None:
        stamps = [self.now - timedelta(minutes=self._delivered + index) for index in range(count)]
        self._delivered += count
        self.stage.deliver(Trail().log(ACCOUNTS[0], REGIONS[0], stamp) for stamp in stamps)

    def job(self, **changes: Any) -> None:
        base = {"consumer.credentials_file": None, "consumer.profile": PROFILE, "every": "1s"}
        self.stage.job("account-b", {**base, **changes})

    def user(self, name: str) -> Principal:
        return self.stage.server.add_user(self.stage.world.consumer("account-b").account_id, name)

    def reject(self, user: Principal) -> None:
        self.stage.server.identities.remove(user)


def in_the_configuration(renewal: Renewal, user: Principal) -> None:
    renewal.config.write_text(
        f"[profile {PROFILE}]\naws_access_key_id = {user.access_key_id}\naws_secret_access_key = {user.secret_access_key}\n"
    )


def with_an_old_time(renewal: Renewal, user: Principal) -> None:
    in_the_configuration(renewal, user)
    os.utime(renewal.config, (1_000_000_000, 1_000_000_000))


def by_a_process(renewal: Renewal, user: Principal) -> None:
    told = {"Version": 1, "AccessKeyId": user.access_key_id, "SecretAccessKey": user.secret_access_key}
    renewal.keys.write_text(json.dumps(told))
    if not renewal.config.exists():
        renewal.config.write_text(f"[profile {PROFILE}]\ncredential_process = cat {renewal.keys}\n")


def behind_a_profile(renewal: Renewal, user: Principal) -> None:
    arn = f"arn:aws:iam::{user.account_id}:role/between"
    renewal.stage.server.add_role(arn, trusts=frozenset({user.account_id}))
    told = {"Version": 1, "AccessKeyId": user.access_key_id, "SecretAccessKey": user.secret_access_key}
    renewal.keys.write_text(json.dumps(told))
    renewal.config.write_text(
        f"[profile {PROFILE}]\nrole_arn = {arn}\nsource_profile = behind\n"
        f"[profile behind]\ncredential_process = cat {renewal.keys}\n"
    )


def share(stage: Stage) -> None:
    """Lets the consumer read the source itself."""
    owner = stage.world.consumer("account-b").account_id
    stage.server.storage.buckets[stage.world.bucket].shared_with |= {owner}


PLACES: dict[str, Callable[[Renewal, Principal], None]] = {
    each.__name__: each for each in (in_the_configuration, with_an_old_time, by_a_process, behind_a_profile)
}


@pytest.fixture
def renewal(stage: Stage, tmp_path: Path, now: datetime) -> Renewal:
    return Renewal(stage, tmp_path, now)


@pytest.mark.parametrize("has_role", [True, False])
@pytest.mark.parametrize("place", PLACES)
def test_the_daemon_goes_on_with_new_keys_without_a_restart(renewal: Renewal, place: str, *, has_role: bool) -> None:
    stage, put = renewal.stage, PLACES[place]
    if not has_role:
        share(stage)
    old, new = renewal.user("old"), renewal.user("new")
    put(renewal, old)
    renewal.job(**({} if has_role else {"source.role": None}))

    with stage.start("run", **renewal.environment):
        wait_until(lambda: len(stage.replica("account-b")) == 1)
        renewal.reject(old)
        if place == "behind_a_profile":
            stage.server.identities.expire_sessions()
        renewal.deliver()
        wait_until(lambda: stage.syncd("status").code == 4)
        put(renewal, new)
        wait_until(lambda: len(stage.replica("account-b")) == 2)


def test_a_helper_that_has_new_keys_is_asked_in_the_same_tick(renewal: Renewal, tmp_path: Path) -> None:
    old, new = renewal.user("old"), renewal.user("new")
    for name, user in (("first", old), ("second", new)):
        told = {"Version": 1, "AccessKeyId": user.access_key_id, "SecretAccessKey": user.secret_access_key}
        (tmp_path / name).write_text(json.dumps(told))
    helper = tmp_path / "helper"
    helper.write_text(
        f"#!/bin/sh\ncat {tmp_path}/first 2>/dev/null && mv {tmp_path}/first {tmp_path}/old || cat {tmp_path}/second\n"
    )
    helper.chmod(0o755)
    renewal.config.write_text(f"[profile {PROFILE}]\ncredential_process = {helper}\n")
    renewal.job()
    renewal.reject(old)

    ran = renewal.stage.syncd("tick", "--json", **renewal.environment)

    assert (ran.code, ran.job["copied"]) == (0, 1), ran


def test_static_keys_that_are_rejected_for_some_objects_fail_these_at_once(renewal: Renewal) -> None:
    stage = renewal.stage
    renewal.deliver(59)
    stage.job("account-b")
    refused = set(sorted(stage.source())[::20])
    stage.server.faults.add(
        lambda request: request.operation == "PutObject" and request.key in refused, Status(400, "ExpiredToken")
    )

    ran = stage.syncd("catch-up", "--from", f"{renewal.now - timedelta(days=1):%Y-%m-%d}", "--json", seconds=60)

    assert ran.code == 3
    assert ran.job["copied"] == 60 - len(refused)
    assert {item["reason"] for item in ran.job["failed"]} == {"credentials_expired"}
    assert {item["key"] for item in ran.job["failed"]} == refused


@pytest.mark.parametrize(
    "answer", [Status(400, "ExpiredToken"), Status(403, "InvalidAccessKeyId")], ids=lambda it: it.code
)
@pytest.mark.parametrize("operation", ["PutObject", "ListObjectsV2"])
@pytest.mark.parametrize("count", [3, 400])
def test_static_keys_that_are_rejected_end_the_tick_with_the_reason(
    renewal: Renewal, answer: Status, operation: str, count: int
) -> None:
    stage = renewal.stage
    renewal.deliver(count)
    stage.job("account-b", {"source.role": None})
    share(stage)
    stage.server.faults.add(operation, answer)

    ran = stage.syncd("tick", "--json", seconds=60)

    expected = "credentials_expired" if answer.code == "ExpiredToken" else "invalid_credentials"
    assert (ran.code, ran.job["error"]["reason"]) == (1, expected)


def test_rejected_keys_do_not_make_a_session_for_each_object(renewal: Renewal) -> None:
    stage = renewal.stage
    by_a_process(renewal, renewal.user("only"))
    count = renewal.keys.with_name("count")
    renewal.config.write_text(
        f"[profile {PROFILE}]\ncredential_process = sh -c 'echo >> {count}; cat {renewal.keys}'\n"
    )
    renewal.deliver(50)
    renewal.job()

    def every_other(request: Request) -> bool:
        return request.operation == "PutObject" and request.number % 2 == 0

    stage.server.faults.add(every_other, Status(400, "ExpiredToken"))
    stage.syncd("tick", **renewal.environment)

    assert len(count.read_text().splitlines()) <= 4
