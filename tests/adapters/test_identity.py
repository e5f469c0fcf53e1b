"""Who acts: where the consumer's credentials come from, how the role is assumed and renewed, and what is refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty import Status
from sts_stage import KNOWN_ROLE, WAYS, Stage, ask_sts_by, refusal, sts_stage

from syncd.aws.policies.session import session_policy
from syncd.aws.wire.signing import Credentials
from syncd.cli.demo.world import ACCOUNT_B, ACCOUNT_C, ACCOUNT_Z, EXTERNAL_ID
from syncd.model.errors import JobFailed


@pytest.fixture(params=WAYS)
def stage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    ask_sts_by(request.param, monkeypatch)
    with sts_stage(tmp_path) as made:
        yield made


# Where credentials come from


def test_credentials_of_somebody_else_that_appear_in_mid_run_are_asked_who_they_are(stage: Stage) -> None:
    stage.write("default", stage.server.add_user(ACCOUNT_B, "at-first"))
    consumer = stage.consumer()
    stage.write("default", stage.server.add_user(ACCOUNT_C, "later"))

    with pytest.raises(JobFailed, match="wrong_account"):
        consumer.refresh()

    assert consumer.name == f"arn:aws:iam::{ACCOUNT_B}:user/at-first"


def test_credentials_that_change_in_mid_run_give_the_consumer_another_name(stage: Stage) -> None:
    stage.write("default", stage.server.add_user(ACCOUNT_B, "at-first"))
    consumer = stage.consumer()
    stage.write("default", stage.server.add_user(ACCOUNT_B, "later"))

    consumer.refresh()

    assert consumer.name == f"arn:aws:iam::{ACCOUNT_B}:user/later"


def test_a_credentials_file_has_a_default_profile(stage: Stage) -> None:
    user = stage.server.add_user(ACCOUNT_B, "from-file")
    stage.write("default", user)

    consumer = stage.consumer()

    assert consumer.current() == Credentials(user.access_key_id, user.secret_access_key, None, None)
    assert consumer.name == f"arn:aws:iam::{ACCOUNT_B}:user/from-file"


def test_a_profile_of_a_credentials_file_is_taken(stage: Stage) -> None:
    user = stage.server.add_user(ACCOUNT_B, "from-profile")
    stage.write("account-b", user)

    assert stage.consumer(stage.job(consumer__profile="account-b")).current().access_key_id == user.access_key_id


def test_a_profile_of_the_standard_configuration_is_taken(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = stage.server.add_user(ACCOUNT_B)
    stage.write("account-b", user)
    standard = tmp_path / "standard"
    stage.credentials.rename(standard)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(standard))

    job = stage.job(consumer__profile="account-b", consumer__credentials_file=None)

    assert stage.consumer(job).current().access_key_id == user.access_key_id


def test_a_process_of_a_profile_is_asked(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = stage.server.add_user(ACCOUNT_B)
    told = {"Version": 1, "AccessKeyId": user.access_key_id, "SecretAccessKey": user.secret_access_key}
    (tmp_path / "told.json").write_text(json.dumps(told))
    (tmp_path / "config").write_text(f"[profile vault]\ncredential_process = cat {tmp_path / 'told.json'}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))

    job = stage.job(consumer__profile="vault", consumer__credentials_file=None)

    assert stage.consumer(job).current().access_key_id == user.access_key_id


def test_the_environment_is_taken_where_nothing_is_named(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    user = stage.server.add_user(ACCOUNT_B)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", user.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", user.secret_access_key)

    assert stage.consumer(stage.job(consumer__credentials_file=None)).current().access_key_id == user.access_key_id


def test_a_named_file_wins_over_the_environment(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAFROMENVIRONMENT")

    assert stage.consumer().current().access_key_id != "AKIAFROMENVIRONMENT"


def test_a_changed_credentials_file_is_read_again(stage: Stage) -> None:
    first = stage.consumer().current()
    stage.write("default", stage.server.add_user(ACCOUNT_B, "another"))

    assert stage.consumer().current() != first


def test_credentials_that_are_rejected_are_read_again_from_a_changed_file(stage: Stage) -> None:
    consumer = stage.consumer()
    old = consumer.current()
    another = stage.server.add_user(ACCOUNT_B, "another")
    stage.write("default", another)

    renewed = consumer.refresh(rejected=old)

    assert renewed.access_key_id == consumer.current().access_key_id == another.access_key_id


def test_a_file_that_is_just_being_written_leaves_the_credentials_that_were_read_before(stage: Stage) -> None:
    consumer = stage.consumer()
    before = consumer.current()
    stage.credentials.write_text("[default]\naws_access_")

    kept = consumer.refresh()

    assert kept == before
    assert refusal(lambda: consumer.refresh(rejected=before)).reason == "no_credentials"


def test_temporary_credentials_keep_their_token(stage: Stage) -> None:
    session = stage.role().current()
    stage.write("default", stage.server.add_user(ACCOUNT_B), token="a-token")

    assert stage.consumer(stage.job(endpoints__sts=None, source__role=None)).current().session_token == "a-token"
    assert session.session_token


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"consumer__profile": "nobody"}, "nobody"),
        ({"consumer__credentials_file": "/nowhere/credentials"}, "/nowhere/credentials"),
        ({"consumer__profile": "nobody", "consumer__credentials_file": None}, "nobody"),
    ],
)
def test_credentials_that_are_not_there_are_named(stage: Stage, changes: dict[str, Any], told: str) -> None:
    error = refusal(lambda: stage.consumer(stage.job(**changes)))

    assert (error.reason, told in error.detail) == ("no_credentials", True)
    assert error.remedy
    assert stage.server.requests == ()


def test_no_credentials_at_all_are_named(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    error = refusal(lambda: stage.consumer(stage.job(consumer__credentials_file=None)))

    assert (error.reason, "the default chain" in error.detail) == ("no_credentials", True)


@pytest.mark.parametrize("text", ["", "nonsense", "[default]\n", "[default]\naws_access_key_id = A\n", "\x00\xff"])
def test_a_credentials_file_that_holds_none_is_named(stage: Stage, text: str) -> None:
    stage.credentials.write_text(text)

    error = refusal(stage.consumer)

    assert (error.reason, str(stage.credentials) in error.detail) == ("no_credentials", True)


# Who the consumer is


def test_the_caller_is_asked_for_once_for_the_same_credentials(stage: Stage) -> None:
    for _ in range(3):
        stage.consumer()

    assert stage.server.count("GetCallerIdentity") == stage.counted["GetCallerIdentity"] == 1


def test_a_root_caller_is_refused_before_the_role_is_asked_for(stage: Stage) -> None:
    stage.write("default", stage.server.add_user(ACCOUNT_B, "root"))

    error = refusal(stage.role)

    assert error.reason == "root_caller"
    assert "roles may not be assumed by root accounts" in error.detail
    assert f"arn:aws:iam::{ACCOUNT_B}:root" in error.detail
    assert stage.server.count("AssumeRole") == 0


def test_a_caller_of_another_account_is_refused_before_the_role_is_asked_for(stage: Stage) -> None:
    stage.write("default", stage.server.add_user(ACCOUNT_C))

    error = refusal(stage.role)

    assert error.reason == "wrong_account"
    assert ACCOUNT_B in error.detail
    assert ACCOUNT_C in error.detail
    assert stage.server.count("AssumeRole") == 0


def test_a_server_that_does_not_say_who_asks_is_believed(stage: Stage) -> None:
    stage.server.faults.add("GetCallerIdentity", Status(405, "MethodNotAllowed"))

    assert stage.consumer().name == f"the consumer ({ACCOUNT_B})"


def test_a_server_without_sts_is_not_asked_who_asks(stage: Stage) -> None:
    stage.consumer(stage.job(endpoints__sts=None, source__role=None))

    assert stage.server.requests == ()


def test_who_asks_for_a_role_is_asked_where_only_the_environment_names_the_sts(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", stage.server.url)

    stage.consumer(stage.job(endpoints__sts=None))

    assert stage.counted == {"GetCallerIdentity": 1}


# Assuming the role


def test_the_role_is_assumed_with_name_duration_policy_and_external_id(stage: Stage) -> None:
    stage.server.add_role(KNOWN_ROLE, trusts=frozenset({ACCOUNT_Z}), external_id=EXTERNAL_ID, max_seconds=7200)
    stage.write("default", stage.server.add_user(ACCOUNT_Z))
    role = {
        "arn": KNOWN_ROLE,
        "session_name": "our-name",
        "external_id": EXTERNAL_ID,
        "third_party": True,
        "duration": "2h",
    }
    job = stage.job(consumer__account_id=ACCOUNT_Z, source__accounts="*", source__role=role)

    principal = stage.role(job)

    (request,) = stage.asked("AssumeRole")
    form = {name: value for name, value in request.form.items() if name not in ("Action", "Version")}
    assert form == {
        "RoleArn": KNOWN_ROLE,
        "RoleSessionName": "our-name",
        "ExternalId": EXTERNAL_ID,
        "DurationSeconds": "7200",
        "Policy": session_policy(job),
    }
    assert principal.name == KNOWN_ROLE
    assert principal.current().expires_at == stage.clock.seconds() + 7200
    assert stage.counted == {"GetCallerIdentity": 1, "AssumeRole": 1}


def test_a_role_without_an_external_id_is_assumed_without_one(stage: Stage) -> None:
    stage.role()

    assert "ExternalId" not in stage.asked("AssumeRole")[0].form


def test_the_region_of_the_source_signs_the_call(stage: Stage) -> None:
    stage.role(stage.job(source__region="eu-west-1"))

    assert {request.signing_region for request in stage.server.requests} == {"eu-west-1"}


def test_a_refused_role_is_told_with_all_that_may_be_wrong(stage: Stage) -> None:
    stage.server.add_role(KNOWN_ROLE, trusts=frozenset({ACCOUNT_C}))

    error = refusal(stage.role)

    assert error.reason == "access_denied"
    assert f"AssumeRole by arn:aws:iam::{ACCOUNT_B}:user/syncd of {KNOWN_ROLE}: AccessDenied" in error.detail
    assert all(word in error.remedy for word in ("trust policy", "external ID", "sts:AssumeRole"))


def test_what_passes_at_sts_is_not_noticed(stage: Stage) -> None:
    stage.server.faults.add("AssumeRole", Status(503, "ServiceUnavailable"), times=1)

    assert stage.role().current().session_token


# Renewing it


@pytest.mark.parametrize(("minutes", "calls"), [(0, 1), (54, 1), (56, 2), (61, 2)])
def test_a_session_is_renewed_five_minutes_before_its_end(stage: Stage, minutes: float, calls: int) -> None:
    principal = stage.role()
    first = principal.current()
    stage.clock.pass_by(minutes=minutes)

    principal.refresh()

    assert stage.server.count("AssumeRole") == calls
    assert (principal.current() == first) is (calls == 1)


def test_a_short_session_is_renewed_in_its_last_quarter(stage: Stage) -> None:
    role = {"arn": KNOWN_ROLE, "session_name": "syncd", "duration": "15m"}
    principal = stage.role(stage.job(source__role=role))
    stage.clock.pass_by(minutes=11)
    principal.refresh()
    before = stage.server.count("AssumeRole")

    stage.clock.pass_by(seconds=16)
    principal.refresh()

    assert (before, stage.server.count("AssumeRole")) == (1, 2)


def test_a_session_that_was_rejected_is_renewed_at_once_and_only_once(stage: Stage) -> None:
    principal = stage.role()
    rejected = principal.current()

    renewed = principal.refresh(rejected=rejected)
    again = principal.refresh(rejected=rejected)

    assert renewed == again != rejected
    assert stage.server.count("AssumeRole") == 2


def test_a_session_is_renewed_with_the_consumers_credentials_as_they_are_then(stage: Stage) -> None:
    principal = stage.role()
    another = stage.server.add_user(ACCOUNT_B, "another")
    stage.write("default", another)
    stage.server.faults.add(
        lambda request: request.operation == "AssumeRole" and request.access_key_id != another.access_key_id,
        Status(403, "InvalidClientTokenId"),
    )

    stage.clock.pass_by(hours=1)
    principal.refresh()

    assert stage.asked("AssumeRole")[-1].access_key_id == another.access_key_id


def test_a_session_that_cannot_be_renewed_fails_the_job(stage: Stage) -> None:
    principal = stage.role()
    stage.server.add_role(KNOWN_ROLE, trusts=frozenset({ACCOUNT_C}))
    stage.clock.pass_by(hours=2)

    error = refusal(principal.refresh)

    assert error.reason == "access_denied"


# What is shared, and what is not shown


def test_jobs_of_one_consumer_share_a_session_and_a_client(stage: Stage) -> None:
    first, second = stage.job(), stage.job(name="another")

    assert stage.identities.session(first.consumer) is stage.identities.session(second.consumer)
    credentials = stage.consumer().current()
    assert stage.identities.sts(first, credentials) is stage.identities.sts(second, credentials)


def test_no_secret_is_in_what_goes_wrong_or_is_shown(stage: Stage) -> None:
    user = stage.server.add_user(ACCOUNT_C)
    stage.write("default", user)
    wrong = refusal(stage.consumer)
    stage.write("default", stage.server.add_user(ACCOUNT_B))
    principal = stage.role()
    stage.server.add_role(KNOWN_ROLE, trusts=frozenset())
    denied = refusal(lambda: principal.refresh(rejected=principal.current()))

    texts = [str(wrong), repr(wrong), wrong.remedy, str(denied), repr(denied), repr(denied.__cause__), denied.remedy]
    texts += [repr(principal.current()), repr(principal), repr(stage.consumer()), repr(stage.job())]
    shown = "\n".join(texts)
    secrets = [user.secret_access_key, principal.current().secret_access_key, str(principal.current().session_token)]
    assert not [secret for secret in secrets if secret in shown]
