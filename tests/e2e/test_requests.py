"""What each request carries, seen from the server."""

import base64
import json
import threading
from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest
from builders import ACCOUNTS, REGIONS, Trail, days_before
from faulty import Request, Stall
from stage import Stage
from waiting import wait_until

from syncd.cli.demo.world import ACCOUNT_A, ACCOUNT_Z, EXTERNAL_ID

CONTROL = {"ListObjectsV2", "AssumeRole"}
AT_MOST_BESIDE = {"GetCallerIdentity", "GetBucketLocation", "HeadBucket"}
LISTINGS_AT_ONCE = 8
EXPECTED_OWNER = "x-amz-expected-bucket-owner"


def delivered(stage: Stage, now: datetime, *, logs: int = 5) -> list[str]:
    return stage.deliver(Trail().span(ACCOUNTS[:3], REGIONS[:2], days_before(now, 2), logs=logs, digests=1))


def of(stage: Stage, bucket: str) -> list[Request]:
    return [request for request in stage.server.requests if request.bucket == bucket]


def headers(requests: Iterable[Request], name: str) -> set[str | None]:
    return {request.headers.get(name) for request in requests}


@pytest.fixture
def copied(stage: Stage, now: datetime) -> Stage:
    """After the first tick of a third party's job."""
    delivered(stage, now)
    stage.job()
    assert stage.syncd("tick").code == 0
    return stage


def test_both_ends_are_pinned_to_their_owners(copied: Stage) -> None:
    source, destination = of(copied, copied.world.bucket), of(copied, copied.watched().name)

    assert headers(source, EXPECTED_OWNER) == {ACCOUNT_A}
    assert headers(destination, EXPECTED_OWNER) == {ACCOUNT_Z}


def test_the_roles_credentials_touch_the_source_and_the_consumers_the_destination(copied: Stage) -> None:
    source, destination = of(copied, copied.world.bucket), of(copied, copied.watched().name)
    consumer = copied.world.consumer("account-z")

    assert all(request.access_key_id.startswith("ASIA") for request in source)
    assert None not in headers(source, "x-amz-security-token")
    assert {request.access_key_id for request in destination} == {consumer.access_key_id}
    assert headers(destination, "x-amz-security-token") == {None}


def test_every_write_is_conditional_and_carries_a_sha256(copied: Stage) -> None:
    writes = [request for request in copied.server.requests if request.operation == "PutObject"]

    assert headers(writes, "if-none-match") == {"*"}
    sums = headers(writes, "x-amz-checksum-sha256")
    assert all(text is not None and len(base64.b64decode(text)) == 32 for text in sums)
    assert all(each.checksums.get("sha256") for each in copied.server.objects(copied.watched().name).values())


def test_every_read_is_of_the_content_that_was_listed(copied: Stage) -> None:
    reads = [request for request in copied.server.requests if request.operation == "GetObject"]

    etags = {key: item.etag for key, item in copied.server.objects(copied.world.bucket).items()}
    assert {request.key: request.headers["if-match"].strip('"') for request in reads} == etags


def test_the_role_is_assumed_as_the_job_says(copied: Stage) -> None:
    (assumed,) = [request for request in copied.server.requests if request.operation == "AssumeRole"]

    role = copied.world.consumer("account-z").role_arn
    named = {name: assumed.form[name] for name in ("RoleArn", "RoleSessionName", "ExternalId", "DurationSeconds")}
    assert named == {
        "RoleArn": role,
        "RoleSessionName": "syncd-account-z",
        "ExternalId": EXTERNAL_ID,
        "DurationSeconds": "3600",
    }
    assert assumed.access_key_id == copied.world.consumer("account-z").access_key_id


def test_the_session_is_narrowed_to_reading_the_source(copied: Stage) -> None:
    (assumed,) = [request for request in copied.server.requests if request.operation == "AssumeRole"]

    policy = assumed.form["Policy"]
    statements = json.loads(policy)["Statement"]
    actions = {action for each in statements for action in [each["Action"]] if isinstance(action, str)} | {
        action for each in statements if isinstance(each["Action"], list) for action in each["Action"]
    }
    assert len(policy) <= 2048
    assert {"s3:ListBucket", "s3:GetObject"} <= actions
    assert not [action for action in actions if action.startswith(("s3:Put", "s3:Delete")) or "*" in action]


def test_a_session_policy_for_very_many_accounts_is_short_enough_still(stage: Stage, now: datetime) -> None:
    keys = delivered(stage, now)
    accounts = [*ACCOUNTS, *(f"{number:012}" for number in range(100, 300))]
    stage.job(changes={"source.accounts": accounts})

    ran = stage.syncd("tick", "--json")

    (assumed,) = [request for request in stage.server.requests if request.operation == "AssumeRole"]
    assert (ran.code, ran.job["copied"]) == (0, len(keys))
    assert len(assumed.form["Policy"]) <= 2048
    assert "AWSLogs/*" in assumed.form["Policy"]


def test_without_an_external_id_none_is_sent(stage: Stage, now: datetime) -> None:
    delivered(stage, now)
    stage.job("account-b", {"source.role.duration": "15m"})

    stage.syncd("tick")

    (assumed,) = [request for request in stage.server.requests if request.operation == "AssumeRole"]
    assert "ExternalId" not in assumed.form
    assert assumed.form["DurationSeconds"] == "900"


def test_without_a_role_the_consumer_reads_with_its_own_identity(stage: Stage, now: datetime) -> None:
    delivered(stage, now)
    stage.server.storage.buckets[stage.world.bucket].shared_with = frozenset({ACCOUNT_Z})
    stage.job(changes={"source.role": None})

    ran = stage.syncd("tick", "--json")

    keys = {request.access_key_id for request in stage.server.requests if request.bucket}
    assert (ran.code, stage.requests("AssumeRole")) == (0, 0)
    assert keys == {stage.world.consumer("account-z").access_key_id}
    assert stage.replica() == stage.source()


@pytest.mark.parametrize("prefix", ["", "trail"], ids=["no trail prefix", "a trail prefix"])
def test_with_named_accounts_only_their_folders_are_ever_listed(stage: Stage, now: datetime, prefix: str) -> None:
    trail = Trail(prefix=prefix)
    stage.deliver(trail.span(ACCOUNTS[:4], REGIONS[:2], days_before(now, 2), logs=3))
    stage.job(changes={"source.accounts": list(ACCOUNTS[:2]), "source.prefix": prefix})

    for _ in range(2):
        assert stage.syncd("tick").code == 0

    listed = [each.query["prefix"] for each in of(stage, stage.world.bucket) if each.operation == "ListObjectsV2"]
    above = f"{prefix}/AWSLogs/" if prefix else "AWSLogs/"
    allowed = tuple(f"{above}{account}/" for account in ACCOUNTS[:2])
    assert listed
    assert all(each.startswith(allowed) for each in listed)
    assert all(each.query["prefix"].startswith(allowed) for each in of(stage, stage.watched().name) if each.query)


def test_an_idle_tick_sends_listings_and_assumes_the_role_and_nothing_else(copied: Stage) -> None:
    copied.server.forget_requests()

    ran = copied.syncd("tick", "--json")

    sent = copied.operations()
    assert ran.code == 0
    assert sent.keys() <= CONTROL | AT_MOST_BESIDE
    assert sent["AssumeRole"] == 1
    assert sum(sent[operation] for operation in AT_MOST_BESIDE) <= 1


def test_the_listings_of_an_idle_tick_do_not_grow_with_the_history(stage: Stage, now: datetime) -> None:
    trail = Trail()
    recent = list(trail.span(ACCOUNTS[:2], REGIONS[:2], days_before(now, 2), logs=5))
    stage.deliver(recent)
    # Each shard's deep round, which is a listing too, comes once a day, at a time of its own: here it seldom does.
    stage.job(changes={"listing.deep_every": "30d"})
    stage.syncd("tick")
    stage.server.forget_requests()
    stage.syncd("tick")
    few = stage.requests("ListObjectsV2")
    stage.deliver(trail.span(ACCOUNTS[:2], REGIONS[:2], days_before(now, 28)[:26], logs=48))
    stage.syncd("catch-up", "--from", f"{days_before(now, 28)[0]}")
    stage.server.forget_requests()

    ran = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["copied"]) == (0, 0)
    assert stage.requests("ListObjectsV2") <= few
    assert len(stage.replica()) == len(recent) + 26 * 4 * 48


def test_temporary_credentials_of_the_consumer_are_used_with_their_token(stage: Stage, now: datetime) -> None:
    delivered(stage, now)
    role = f"arn:aws:iam::{ACCOUNT_Z}:role/own"
    stage.server.add_role(role, trusts=frozenset({ACCOUNT_Z}))
    session = stage.server.identities._start_session(stage.server.identities.roles[role], "x", 3600)
    stage.job(changes={"consumer.profile": None, "consumer.credentials_file": None})

    ran = stage.syncd(
        "tick",
        "--json",
        AWS_ACCESS_KEY_ID=session.access_key_id,
        AWS_SECRET_ACCESS_KEY=session.secret_access_key,
        AWS_SESSION_TOKEN=str(session.session_token),
    )

    assert ran.code == 0
    assert headers(of(stage, stage.watched().name), "x-amz-security-token") == {session.session_token}
    assert stage.replica() == stage.source()


@pytest.mark.parametrize("in_flight", [4, 100])
def test_as_many_requests_are_in_flight_as_the_configuration_allows(
    stage: Stage, now: datetime, in_flight: int
) -> None:
    delivered(stage, now, logs=30)
    stage.configure({"engine.in_flight": in_flight})
    stage.job()
    go_on = threading.Event()
    still = stage.server.faults.add("GetObject", Stall(go_on))

    with stage.start("tick", "--json") as process:
        wait_until(lambda: still.hits >= in_flight or not process.is_alive, what="reads in flight")
        go_on.set()
        ran = process.ended()

    assert ran.code == 0
    assert in_flight <= stage.server.peak_in_flight <= in_flight + LISTINGS_AT_ONCE


def test_a_new_account_is_seen_by_the_next_tick(copied: Stage, now: datetime) -> None:
    new = copied.deliver([Trail().log("888888888888", "eu-north-1", now - timedelta(minutes=10))])

    ran = copied.syncd("tick", "--json")

    assert (ran.code, ran.job["copied"]) == (0, 1)
    assert new[0] in copied.replica()
