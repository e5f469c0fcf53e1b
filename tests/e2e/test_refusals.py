"""What AWS, the network or the machine refuses is told in words, with a remedy, and never by a traceback."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from faulty import Call, CorruptBody, ErrorIn200, Request, Status
from faulty.faults import Action
from program import Ran
from stage import Stage

OTHERS_ROLE = "arn:aws:iam::111111111111:role/NotForUs"


@pytest.fixture
def stage(stage: Stage, now: datetime) -> Stage:
    """With one log at the source."""
    stage.deliver([Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=20))])
    return stage


def assert_failed(ran: Ran, reason: str) -> Any:
    """Exit 1, and the job's error in the document; the error."""
    assert ran.code == 1, ran
    assert "Traceback" not in ran.stderr
    assert (ran.job["outcome"], ran.job["error"]["reason"]) == ("failed", reason)
    assert ran.job["error"]["detail"]
    assert ran.job["error"]["remedy"]
    return ran.job["error"]


REFUSED: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "a wrong external ID": (
        {"source.role.external_id": "not-the-one"},
        "access_denied",
        ("AssumeRole", "role/account-z"),
    ),
    "a role that does not trust us": ({"source.role.arn": OTHERS_ROLE}, "access_denied", ("AssumeRole", OTHERS_ROLE)),
    "a source bucket that is not there": ({"source.bucket": "no-such"}, "no_such_bucket", ("ListObjectsV2", "no-such")),
    "a source bucket of another owner": (
        {"source.bucket": "example-b-logs"},
        "access_denied",
        ("ListObjectsV2", "example-b-logs"),
    ),
    "credentials of another account": (
        {"consumer.profile": "account-b"},
        "wrong_account",
        ("222222222222", "999999999999"),
    ),
    "a profile that is not there": ({"consumer.profile": "nobody"}, "no_credentials", ("nobody",)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_each_refusal_is_told_with_its_reason_and_a_remedy(stage: Stage, name: str) -> None:
    changes, reason, words = REFUSED[name]
    stage.job(changes=changes)

    ran = stage.syncd("tick", "--json")

    error = assert_failed(ran, reason)
    assert all(word in error["detail"] for word in words), error
    assert stage.requests("PutObject") == 0


def test_a_destination_bucket_that_is_not_there_is_told(stage: Stage) -> None:
    stage.job(changes={"destination.bucket": "no-such"})

    ran = stage.syncd("tick", "--json")

    assert ran.code in (1, 3)
    assert "no_such_bucket" in ran.stdout
    assert "no-such" in ran.stdout
    assert "Traceback" not in ran.stderr


def test_an_external_id_never_shows(stage: Stage) -> None:
    stage.job(changes={"source.role.external_id": "secret-external-id"})

    ran = stage.syncd("tick", "--json")

    assert_failed(ran, "access_denied")
    assert "secret-external-id" not in ran.stdout + ran.stderr


def test_a_credentials_file_that_is_missing_is_named(stage: Stage) -> None:
    stage.job(changes={"consumer.credentials_file": stage.folder / "nothing"})

    ran = stage.syncd("tick", "--json")

    error = assert_failed(ran, "no_credentials")
    assert str(stage.folder / "nothing") in error["detail"]
    assert stage.server.requests == ()


def test_no_credentials_at_all_are_told(stage: Stage) -> None:
    stage.job(changes={"consumer.credentials_file": None, "consumer.profile": None})

    ran = stage.syncd("tick", "--json")

    assert_failed(ran, "no_credentials")


def test_the_default_chain_is_used_where_neither_profile_nor_file_is_named(stage: Stage) -> None:
    stage.job(changes={"consumer.credentials_file": None, "consumer.profile": None})
    consumer = stage.world.consumer("account-z")

    ran = stage.syncd(
        "tick",
        "--json",
        AWS_ACCESS_KEY_ID=consumer.access_key_id,
        AWS_SECRET_ACCESS_KEY=consumer.secret_access_key,
    )

    assert (ran.code, ran.job["copied"]) == (0, 1)


def test_a_root_user_is_refused_before_the_role_is_asked_for(stage: Stage) -> None:
    root = stage.server.add_user("999999999999", "root")
    stage.job(changes={"consumer.credentials_file": None, "consumer.profile": None})

    ran = stage.syncd(
        "tick", "--json", AWS_ACCESS_KEY_ID=root.access_key_id, AWS_SECRET_ACCESS_KEY=root.secret_access_key
    )

    error = assert_failed(ran, "root_caller")
    assert "root" in error["detail"]
    assert stage.requests("AssumeRole") == 0


def test_an_endpoint_that_is_down_is_told_in_time(stage: Stage, nobody: str) -> None:
    stage.job(changes={"endpoints.s3": nobody, "endpoints.sts": nobody})

    ran = stage.syncd("tick", "--json", seconds=60)

    error = assert_failed(ran, "connection_failed")
    assert "127.0.0.1" in error["detail"]


def test_an_s3_that_is_down_behind_an_sts_that_is_not_is_told_in_time(stage: Stage, nobody: str) -> None:
    stage.job(changes={"endpoints.s3": nobody})

    ran = stage.syncd("tick", "--json", seconds=85)

    error = assert_failed(ran, "connection_failed")
    assert "ListObjectsV2" in error["detail"]


def test_a_listing_that_is_refused_fails_the_job(stage: Stage) -> None:
    stage.job()
    stage.server.faults.add("ListObjectsV2", Status(403, "AccessDenied", "Access Denied"))

    ran = stage.syncd("tick", "--json")

    error = assert_failed(ran, "access_denied")
    assert "ListObjectsV2" in error["detail"]


def test_a_destination_that_may_not_be_listed_is_written_to_all_the_same(stage: Stage) -> None:
    stage.job()
    destination = stage.watched().name
    stage.server.faults.add(
        lambda request: request.operation == "ListObjectsV2" and request.bucket == destination,
        Status(403, "AccessDenied", "Access Denied"),
    )

    ran = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["copied"]) == (0, 1)
    assert "s3:ListBucket" in ran.stderr


@pytest.mark.parametrize("fault", [CorruptBody(), ErrorIn200()], ids=["garbled", "another document"])
def test_an_answer_that_is_not_one_of_sts_is_told_and_nothing_of_it_is_shown(stage: Stage, fault: Action) -> None:
    stage.job()
    stage.server.faults.add("AssumeRole", fault)

    ran = stage.syncd("tick", "--json")

    error = assert_failed(ran, "unexpected_answer")
    assert "AssumeRole" in error["detail"]
    assert "AccessKey" not in ran.stdout + ran.stderr


def test_a_wrong_region_is_told(stage: Stage) -> None:
    stage.job(changes={"source.region": "eu-west-1"})

    ran = stage.syncd("tick", "--json")

    error = assert_failed(ran, "wrong_region")
    assert "region" in error["remedy"]


def test_a_state_folder_that_is_a_file_is_told(stage: Stage) -> None:
    stage.job()
    stage.state.write_text("not a folder")

    ran = stage.syncd("tick", "--json")

    error = assert_failed(ran, "ledger_unwritable")
    assert str(stage.state) in error["detail"]


def test_the_table_for_people_says_what_is_wrong_and_what_to_do(stage: Stage) -> None:
    stage.job(changes={"source.role.external_id": "not-the-one"})

    ran = stage.syncd("tick")

    assert ran.code == 1
    assert "account-z" in ran.stdout
    assert "AssumeRole" in ran.stdout + ran.stderr
    assert "trust policy" in " ".join((ran.stdout + ran.stderr).split())
    assert "Traceback" not in ran.stderr


def test_a_session_that_ends_in_the_middle_is_renewed_and_nothing_fails(stage: Stage, now: datetime) -> None:
    stage.deliver(Trail().span(ACCOUNTS[:1], REGIONS[:1], [now.date() - timedelta(days=1)], logs=60))
    stage.job()

    def expire(_: Request) -> None:
        stage.server.identities.expire_sessions()

    stage.server.faults.add("GetObject", Call(expire), times=1)
    ran = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["failed_count"], ran.job["copied"]) == (0, 0, 61)
    assert stage.requests("AssumeRole") == 2
    assert stage.replica() == stage.source()


def test_no_secret_is_written_anywhere(stage: Stage) -> None:
    stage.configure({"log.level": "debug"})
    stage.job()

    ran = stage.syncd("tick", "--json")

    secret = stage.world.consumer("account-z").secret_access_key
    tokens = {request.headers.get("x-amz-security-token", "") for request in stage.server.requests} - {""}
    written = b"".join(path.read_bytes() for path in stage.state.rglob("*") if path.is_file())
    said = (ran.stdout + ran.stderr).encode()
    assert tokens
    assert not any(word.encode() in written + said for word in (secret, *tokens))
