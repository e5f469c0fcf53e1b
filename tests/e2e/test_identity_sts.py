"""STS: where it is asked, what it denies, and how far its sessions are narrowed."""

import json
import re
from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from faulty import Answer, Rewritten, Status
from stage import Stage
from waiting import wait_until

PROFILE = "b"


@pytest.fixture
def ready(stage: Stage, now: datetime) -> Stage:
    stage.deliver([Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=5))])
    stage.job("account-b")
    return stage


def asked(stage: Stage, operation: str) -> list[Any]:
    return [request for request in stage.server.requests if request.operation == operation]


def session_in_the_file(stage: Stage) -> None:
    """Temporary credentials of the consumer, in the profile of its job."""
    consumer = stage.world.consumer("account-b")
    identities = stage.server.identities
    session = identities.start(consumer.account_id, "fleet")
    lines = ("aws_access_key_id", session.access_key_id), ("aws_secret_access_key", session.secret_access_key)
    token = ("aws_session_token", session.session_token)
    stage.credentials.write_text(
        "\n".join(["[account-b]", *(f"{name} = {value}" for name, value in (*lines, token)), ""])
    )


# Where it is asked


def test_the_session_is_got_in_another_region_than_it_is_used_in(ready: Stage) -> None:
    ready.job("account-b", {"source.role.sts_region": "eu-west-3"})

    ran = ready.syncd("tick", "--json")

    assert ran.code == 0, ran
    assert {request.signing_region for request in asked(ready, "AssumeRole")} == {"eu-west-3"}
    assert {request.signing_region for request in asked(ready, "GetCallerIdentity")} == {"eu-west-3"}
    assert {request.signing_region for request in asked(ready, "ListObjectsV2")} == {ready.world.region}


def test_a_region_of_another_partition_is_refused(ready: Stage) -> None:
    ready.job("account-b", {"source.role.sts_region": "cn-north-1", "endpoints": None})

    ran = ready.syncd("tick", "--json")

    assert ran.code == 2
    assert "source.role.sts_region" in ran.stderr


def test_an_endpoint_of_another_region_than_the_signatures_is_refused(ready: Stage) -> None:
    endpoint = "https://vpce-0a1b2c.sts.eu-west-1.vpce.amazonaws.com"
    ready.job("account-b", {"source.role.sts_region": "eu-south-2", "endpoints": None, "endpoints.sts": endpoint})

    ran = ready.syncd("config", "validate")

    assert ran.code == 2
    assert "endpoints.sts is of eu-west-1" in " ".join((ran.stdout + ran.stderr).split())


def test_the_profiles_own_calls_get_the_jobs_region_and_endpoint(ready: Stage, tmp_path: Path) -> None:
    consumer = ready.world.consumer("account-b")
    arn = f"arn:aws:iam::{consumer.account_id}:role/between"
    ready.server.add_role(arn, trusts=frozenset({consumer.account_id}))
    (tmp_path / "aws").write_text(
        f"[profile {PROFILE}]\nrole_arn = {arn}\nsource_profile = keys\nregion = ap-south-1\n"
        f"[profile keys]\naws_access_key_id = {consumer.access_key_id}\n"
        f"aws_secret_access_key = {consumer.secret_access_key}\n"
    )
    changes = {"consumer.credentials_file": None, "consumer.profile": PROFILE, "source.role.sts_region": "eu-west-3"}
    ready.job("account-b", changes)

    ran = ready.syncd("tick", "--json", AWS_CONFIG_FILE=str(tmp_path / "aws"))

    assert ran.code == 0, ran
    assert asked(ready, "AssumeRole")[0].form["RoleArn"] == arn
    assert {request.signing_region for request in asked(ready, "AssumeRole")} == {"eu-west-3"}


def test_a_web_identity_is_exchanged_at_the_jobs_endpoint(ready: Stage, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a.b.c")
    ready.job("account-b", {"consumer.credentials_file": None, "consumer.profile": None})

    ran = ready.syncd(
        "tick",
        "--json",
        AWS_WEB_IDENTITY_TOKEN_FILE=str(tmp_path / "token"),
        AWS_ROLE_ARN="arn:aws:iam::222222222222:role/pod",
    )

    assert len(asked(ready, "AssumeRoleWithWebIdentity")) == 1
    assert ran.job["error"]["reason"] == "no_credentials"


# What it denies


DENIED = "User: arn:aws:iam::222222222222:user/syncd is not authorized to perform: {} on resource: {}"
ROLE = "arn:aws:iam::111111111111:role/account-b"
ACTIONS = {
    "AssumeRole": ("sts:TagSession", "sts:SetSourceIdentity", "sts:Other"),
    "PutObject": ("s3:PutObjectTagging", "s3:PutObjectAcl", "s3:PutObjectRetention"),
    "GetObject": ("s3:GetObjectVersion",),
    "ListObjectsV2": ("s3:ListBucketVersions",),
}


@pytest.mark.parametrize(("call", "action"), [(call, action) for call, all_ in ACTIONS.items() for action in all_])
def test_the_action_that_was_denied_is_named_by_tick_check_and_status(ready: Stage, call: str, action: str) -> None:
    message = DENIED.format(action, ROLE if call == "AssumeRole" else "arn:aws:s3:::example/key")
    ready.server.faults.add(call, Status(403, "AccessDenied", message))

    ran = ready.syncd("tick", "--json")
    checked = ready.syncd("check", "--json")
    people = ready.syncd("tick")

    said = ran.job["error"] or ran.job["failed"][0]
    assert said["reason"] == "access_denied"
    assert action in said["detail"]
    assert f"allow {action}" in (ran.job["error"]["remedy"] if ran.job["error"] else people.stdout)
    failed = [check for check in checked.job["checks"] if check["status"] == "failed"]
    assert all(action in check["detail"] and f"allow {action}" in check["remedy"] for check in failed)
    # It is in the statement that is to be added too.
    assert [check for check in failed if f'"{action}"' in check["remedy"]]
    assert action in " ".join(ready.syncd("status", "--json").job["why"])


def test_the_calls_own_action_is_not_repeated(ready: Stage) -> None:
    ready.server.faults.add("AssumeRole", Status(403, "AccessDenied", DENIED.format("sts:AssumeRole", ROLE)))

    ran = ready.syncd("tick", "--json")

    assert "sts:AssumeRole" not in ran.job["error"]["detail"]
    assert "MFA" in ran.job["error"]["remedy"]


def test_policies_print_tag_session_for_credentials_that_carry_tags(ready: Stage, tmp_path: Path) -> None:
    claims = json.dumps({"https://aws.amazon.com/tags": {"principal_tags": {"a": ["b"]}, "transitive_tag_keys": ["a"]}})
    (tmp_path / "token").write_text(f"x.{urlsafe_b64encode(claims.encode()).decode().rstrip('=')}.y")
    session = ready.server.identities.start(ready.world.consumer("account-b").account_id, "pod")
    ready.server.identities.web_identity = session
    ready.job("account-b", {"consumer.credentials_file": None, "consumer.profile": None})

    tagged = ready.syncd(
        "policies",
        "account-b",
        AWS_WEB_IDENTITY_TOKEN_FILE=str(tmp_path / "token"),
        AWS_ROLE_ARN="arn:aws:iam::222222222222:role/pod",
    )
    ready.job("account-b")
    plain = ready.syncd("policies", "account-b")

    assert tagged.stdout.count("sts:TagSession") == 2, tagged
    assert "sts:TagSession" not in plain.stdout


# How far sessions are narrowed


def policies(stage: Stage) -> list[int]:
    return [len(request.form.get("Policy", "")) for request in asked(stage, "AssumeRole")]


def test_a_policy_that_is_too_large_gives_way_to_a_shorter_one_and_this_is_said(ready: Stage) -> None:
    ready.syncd("tick")
    (exact,) = policies(ready)
    ready.server.forget_requests()
    ready.server.identities.longest_policy = exact - 1

    ran = ready.syncd("tick", "--json")

    assert ran.code == 0, ran
    assert policies(ready)[0] == exact > policies(ready)[-1] > 0
    (event,) = [line for line in ran.logged if line["event"] == "session_policy.shortened"]
    assert (event["session_policy"], "140%" in event["detail"]) == ("shorter", True)


def test_no_policy_is_the_last_step_and_has_to_be_allowed(ready: Stage) -> None:
    ready.server.identities.longest_policy = 0

    refused = ready.syncd("tick", "--json")
    ready.job("account-b", {"source.role.session_policy": "off"})
    allowed = ready.syncd("tick", "--json")
    checked = ready.syncd("check", "--json")

    assert refused.job["error"]["reason"] == "session_policy_too_large"
    assert 'session_policy = "off"' in refused.job["error"]["remedy"]
    assert (allowed.code, policies(ready)[-1]) == (0, 0)
    assert [line["session_policy"] for line in allowed.logged if line["event"] == "session_policy.shortened"][
        -1
    ] == "off"
    (check,) = [check for check in checked.job["checks"] if check["check"] == "assume-role"]
    assert "no session policy" in check["detail"]


def test_temporary_credentials_are_narrowed_where_sts_knows_how(ready: Stage) -> None:
    session_in_the_file(ready)
    ready.server.identities.scopes = True
    ready.job("account-b", {"consumer.narrow": True})

    ran = ready.syncd("tick", "--json")

    (asked_for,) = asked(ready, "GetScopedCredentials")
    policy = json.loads(asked_for.form["Policy"])
    assert ran.code == 0, ran
    assert ran.job["requests"]["GetScopedCredentials"] == 1
    assert {request.access_key_id for request in asked(ready, "PutObject")}.isdisjoint({asked_for.access_key_id})
    assert "s3:DeleteObject" not in json.dumps(policy)
    assert [line["event"] for line in ran.logged if line["event"].startswith("consumer.")] == ["consumer.narrowed"]


def test_narrowed_credentials_that_end_are_asked_for_anew(ready: Stage, now: datetime) -> None:
    session_in_the_file(ready)
    ready.server.identities.scopes = True
    ready.job("account-b", {"consumer.narrow": True, "every": "1s"})

    with ready.start("run"):
        wait_until(lambda: len(ready.replica("account-b")) == 1)
        ready.server.identities.revoke({request.access_key_id for request in asked(ready, "PutObject")})
        ready.deliver([Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=9))])
        wait_until(lambda: len(ready.replica("account-b")) == 2)


@pytest.mark.parametrize("tag", ["Expiration", "SessionToken"])
@pytest.mark.parametrize("call", ["GetScopedCredentials", "AssumeRole"])
def test_a_session_that_cannot_be_read_is_no_crash(ready: Stage, call: str, tag: str) -> None:
    session_in_the_file(ready)
    ready.server.identities.scopes = True
    ready.job("account-b", {"consumer.narrow": True})

    def spoiled(answer: Answer) -> Answer:
        bad = b"soon" if tag == "Expiration" else b""
        return replace(answer, body=re.sub(rb"(<%s>)[^<]*" % tag.encode(), rb"\g<1>" + bad, answer.body))

    ready.server.faults.add(call, Rewritten(spoiled))
    ran = ready.syncd("tick", "--json")

    assert "Traceback" not in ran.stderr
    if call == "AssumeRole":
        assert (ran.code, ran.job["error"]["reason"]) == (1, "unexpected_answer")
    else:
        assert (ran.code, ran.job["copied"]) == (0, 1)
        assert [line["reason"] for line in ran.logged if line["event"] == "consumer.not_narrowed"] == [
            "unexpected_answer"
        ]


@pytest.mark.parametrize("answer", [None, Status(403, "AccessDenied", "no"), Status(404, "NotFound", "no")])
def test_where_they_cannot_be_narrowed_this_is_said_and_nothing_else_changes(
    ready: Stage, answer: Status | None
) -> None:
    session_in_the_file(ready)
    if answer is not None:
        ready.server.faults.add("GetScopedCredentials", answer)
    ready.job("account-b", {"consumer.narrow": True})

    ran = ready.syncd("tick", "--json")

    (event,) = [line for line in ran.logged if line["event"] == "consumer.not_narrowed"]
    assert (ran.code, ran.job["copied"]) == (0, 1), ran
    assert "GetScopedCredentials" in event["detail"]
    assert ("does not know" in event["detail"]) is (answer is None or answer.status == 404)


def test_keys_that_are_not_temporary_are_not_narrowed(ready: Stage) -> None:
    ready.job("account-b", {"consumer.narrow": True})

    ran = ready.syncd("tick", "--json")

    assert [line["reason"] for line in ran.logged if line["event"] == "consumer.not_narrowed"] == ["not_temporary"]
    assert (ran.code, asked(ready, "GetScopedCredentials")) == (0, [])
