"""Code of others runs inside a job: helpers, token files and prompts are that job's failure, whatever they do."""

import json
import os
import signal
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.utils import generate_login_cache_key
from builders import ACCOUNTS, REGIONS, Trail
from stage import Stage
from waiting import wait_until

PROFILE = "vault"
HELPERS = {
    "sentence": "echo hello",
    "nothing": "true",
    "bytes": r"printf '\377\376'",
    "exit": "echo 'vault is sealed' >&2; exit 7",
    "bytes on stderr": r"printf '\377' >&2; exit 1",
    "array": "echo '[]'",
    "null": "echo null",
    "deep": "head -c 200000 /dev/zero | tr '\\0' '['",
    "no end of it": "yes",
    "date": """echo '{"Version": 1, "AccessKeyId": "AKIAEXAMPLE", "SecretAccessKey": "s", "Expiration": "soon"}'""",
    "past": """echo '{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "s", "Expiration": "2020-01-01T00:00:00Z"}'""",
    "number": """echo '{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "s", "Expiration": 7}'""",
    "half of it": """printf '{"Version": 1, "AccessKeyId": "AKIA'""",
    "no texts": """echo '{"Version": 1, "AccessKeyId": 7, "SecretAccessKey": ["s"]}'""",
    "empty texts": """echo '{"Version": 1, "AccessKeyId": "", "SecretAccessKey": ""}'""",
    "two lines": r"""printf '{"Version": 1, "AccessKeyId": "A\\nB: c", "SecretAccessKey": "s"}'""",
    "asks": "read answer && echo $answer",
}


class Foreign:
    """A stage with an honest job and one whose credentials come from code of others."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage = stage
        self.folder = folder
        self.aws = folder / "aws-config"
        self.environment = {"AWS_CONFIG_FILE": str(self.aws)}
        stage.job("account-b")
        stage.job("account-c", {"consumer.credentials_file": None, "consumer.profile": PROFILE})
        self.keys = {
            "AccessKeyId": stage.world.consumer("account-c").access_key_id,
            "SecretAccessKey": stage.world.consumer("account-c").secret_access_key,
        }

    def profile(self, *lines: str, name: str = f"profile {PROFILE}") -> None:
        self.aws.write_text("\n".join([f"[{name}]", *lines, ""]))

    def helper(self, script: str) -> Path:
        path = self.folder / "helper"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        self.profile(f"credential_process = {path}")
        return path

    def honest_helper(self, keys: dict[str, Any] | None = None) -> Path:
        (self.folder / "keys.json").write_text(json.dumps({"Version": 1, **(keys or self.keys)}))
        return self.helper(f"cat {self.folder / 'keys.json'}")

    def run(self, *arguments: str) -> Any:
        return self.stage.syncd(*arguments, **self.environment)


@pytest.fixture
def foreign(stage: Stage, now: datetime, tmp_path: Path) -> Foreign:
    stage.deliver(Trail().log(ACCOUNTS[index], REGIONS[0], now - timedelta(minutes=5)) for index in (0, 1))
    return Foreign(stage, tmp_path)


def require_only_that_job_fails(ran: Any, *named: str) -> None:
    honest, other = ran.document["jobs"]
    assert ran.code == 3, ran
    assert (honest["job"], honest["outcome"]) == ("account-b", "ok")
    assert (other["job"], other["outcome"]) == ("account-c", "failed")
    assert other["error"]["reason"] == "no_credentials"
    assert [word for word in named if word not in other["error"]["detail"]] == []
    assert other["error"]["remedy"]
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("what", HELPERS)
def test_a_helper_that_goes_wrong_is_one_jobs_failure_and_named(foreign: Foreign, what: str) -> None:
    path = foreign.helper(HELPERS[what])

    ran = foreign.run("tick", "--json")

    require_only_that_job_fails(ran, PROFILE, str(path))
    assert "helper" in ran.document["jobs"][1]["error"]["remedy"]


def test_what_a_helper_leaves_behind_holds_nothing_up(foreign: Foreign, tmp_path: Path) -> None:
    """An agent in a session of its own keeps the helper's pipes open for as long as it runs."""
    (tmp_path / "keys.json").write_text(json.dumps({"Version": 1, **foreign.keys}))
    foreign.helper(f"setsid sleep 1000 & echo $! > {tmp_path / 'agent'}; cat {tmp_path / 'keys.json'}")

    ran = foreign.run("tick", "--json")

    agent = int((tmp_path / "agent").read_text())
    try:
        assert (ran.code, [job["outcome"] for job in ran.document["jobs"]]) == (0, ["ok", "ok"])
        assert Path(f"/proc/{agent}").exists()
    finally:
        os.kill(agent, signal.SIGKILL)


@pytest.mark.parametrize("verb", [("tick",), ("catch-up", "--from", "2026-11-01"), ("plan",)], ids=" ".join)
def test_every_verb_keeps_the_other_jobs_report(foreign: Foreign, verb: tuple[str, ...]) -> None:
    path = foreign.helper("echo hello")

    require_only_that_job_fails(foreign.run(*verb, "--json"), PROFILE, str(path))


def test_check_says_it_too(foreign: Foreign) -> None:
    path = foreign.helper("echo hello")

    ran = foreign.run("check", "--json")

    checks = {check["check"]: check for check in ran.document["jobs"][1]["checks"]}
    assert ran.code == 4
    assert ran.document["jobs"][0]["ok"] is True
    assert checks["identity"]["status"] == "failed"
    assert str(path) in checks["identity"]["detail"]


def test_a_job_that_once_worked_is_remembered_as_failing(foreign: Foreign) -> None:
    foreign.honest_helper()
    assert foreign.run("tick").code == 0
    assert foreign.run("status").code == 0

    foreign.helper("echo hello")
    foreign.run("tick")
    status = foreign.run("status", "--json")

    assert status.code == 4
    assert [job["healthy"] for job in status.document["jobs"]] == [True, False]
    assert "no_credentials" in " ".join(status.document["jobs"][1]["why"])


@pytest.mark.parametrize("line", ["credential_process = /nowhere/helper --secret s3cr3t", "credential_process = '"])
def test_a_helper_that_cannot_be_started_is_named_without_its_arguments(foreign: Foreign, line: str) -> None:
    foreign.profile(line)

    ran = foreign.run("tick", "--json")

    require_only_that_job_fails(ran, PROFILE)
    assert "s3cr3t" not in ran.stdout + ran.stderr


@pytest.mark.parametrize(("script", "ending"), [("exit 7", "exit status 7"), ("kill -9 $$", "signal 9")])
def test_how_a_helper_ended_is_told(foreign: Foreign, script: str, ending: str) -> None:
    foreign.helper(script)

    require_only_that_job_fails(foreign.run("tick", "--json"), PROFILE, ending)


def test_a_helper_of_the_profile_behind_a_role_is_named(foreign: Foreign) -> None:
    foreign.profile(
        "role_arn = arn:aws:iam::333333333333:role/x",
        "source_profile = behind",
        "[profile behind]",
        "credential_process = /nowhere/helper",
    )

    require_only_that_job_fails(foreign.run("tick", "--json"), "behind", "/nowhere/helper")


def test_a_helper_that_never_ends_is_ended_with_what_it_started(foreign: Foreign) -> None:
    path = foreign.helper(f"sleep 1000 & echo $! > {foreign.folder / 'child'}; wait")

    ran = foreign.run("tick", "--json")

    require_only_that_job_fails(ran, PROFILE, str(path), "30 s")
    child = int((foreign.folder / "child").read_text())
    assert not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text()


def test_a_profile_that_wants_an_mfa_code_is_told_and_nobody_is_asked(foreign: Foreign) -> None:
    keys = foreign.keys
    foreign.profile(
        "role_arn = arn:aws:iam::333333333333:role/x",
        "source_profile = keys",
        "mfa_serial = arn:aws:iam::333333333333:mfa/ada",
        "[profile keys]",
        f"aws_access_key_id = {keys['AccessKeyId']}",
        f"aws_secret_access_key = {keys['SecretAccessKey']}",
    )

    ran = foreign.run("tick", "--json")

    require_only_that_job_fails(ran, PROFILE, "mfa/ada")
    assert "MFA" in ran.document["jobs"][1]["error"]["remedy"]


def test_a_login_that_a_person_has_to_renew_is_told_as_that(foreign: Foreign) -> None:
    foreign.profile(
        "sso_session = corp",
        "sso_account_id = 333333333333",
        "sso_role_name = reader",
        "[sso-session corp]",
        "sso_region = us-east-1",
        "sso_start_url = https://corp.example.com/start",
    )

    ran = foreign.run("tick", "--json")

    require_only_that_job_fails(ran, PROFILE, "corp")
    assert "aws sso login" in ran.document["jobs"][1]["error"]["remedy"]


def test_a_login_to_the_console_is_taken_and_told_of_once_it_is_lost(foreign: Foreign, tmp_path: Path) -> None:
    session = "arn:aws:iam::333333333333:user/ada"
    foreign.profile(f"login_session = {session}")
    foreign.environment["AWS_LOGIN_CACHE_DIRECTORY"] = str(tmp_path)

    require_only_that_job_fails(foreign.run("tick", "--json"), PROFILE, "aws login")

    keys = {"accessKeyId": foreign.keys["AccessKeyId"], "secretAccessKey": foreign.keys["SecretAccessKey"]}
    token = {"sessionToken": "", "accountId": "333333333333", "expiresAt": "2099-01-01T00:00:00Z", **keys}
    login = {"accessToken": token, "refreshToken": "r", "dpopKey": "d", "clientId": "c"}
    (tmp_path / f"{generate_login_cache_key(session)}.json").write_text(json.dumps(login))
    ran = foreign.run("tick", "--json")
    assert ran.code == 0, ran


@pytest.mark.parametrize("line", ["aws_access_key_id =", "aws_access_key_id = schlüssel"])
def test_keys_that_no_request_can_carry_are_told_as_that(foreign: Foreign, line: str) -> None:
    foreign.profile(line, "aws_secret_access_key = s")

    require_only_that_job_fails(foreign.run("tick", "--json"), PROFILE, "access key ID")


def directory(path: Path) -> None:
    path.mkdir()


def no_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")


def empty(path: Path) -> None:
    path.touch()


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    "make",
    [lambda _: None, directory, no_text, empty, device],
    ids=["missing", "folder", "bytes", "empty", "device"],
)
@pytest.mark.parametrize("variable", ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"])
def test_a_token_file_that_cannot_be_read_is_named(foreign: Foreign, variable: str, make: Any) -> None:
    token = foreign.folder / "token"
    make(token)
    foreign.stage.job("account-c", {"consumer.credentials_file": None, "consumer.profile": None})
    foreign.environment |= {
        variable: str(token),
        "AWS_ROLE_ARN": "arn:aws:iam::333333333333:role/pod",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": foreign.stage.server.url,
    }

    ran = foreign.run("tick", "--json")

    require_only_that_job_fails(ran, str(token))


def test_a_token_file_that_nobody_writes_is_given_up(foreign: Foreign) -> None:
    token = foreign.folder / "token"
    os.mkfifo(token)
    foreign.stage.job("account-c", {"consumer.credentials_file": None, "consumer.profile": None})
    foreign.environment |= {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
        "AWS_ROLE_ARN": "arn:aws:iam::333333333333:role/p",
    }

    require_only_that_job_fails(foreign.run("tick", "--json"), str(token), "30 s")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"no section", b"[profile vault\n"])
def test_an_aws_configuration_that_cannot_be_read_is_told_by_every_job_that_needs_it(
    foreign: Foreign, content: bytes
) -> None:
    foreign.aws.write_bytes(content)

    ran = foreign.run("tick", "--json")

    assert [job["error"]["reason"] for job in ran.document["jobs"]] == ["no_credentials"] * 2
    assert str(foreign.aws) in ran.document["jobs"][1]["error"]["detail"]
    assert "Traceback" not in ran.stderr


def test_the_daemon_goes_on_with_the_others_and_finds_a_mended_helper(foreign: Foreign) -> None:
    stage = foreign.stage
    foreign.helper("echo hello")
    changes = {"consumer.credentials_file": None, "consumer.profile": PROFILE, "every": "1s"}
    stage.job("account-c", changes)

    def error() -> Any:
        last = foreign.run("status", "account-c", "--json").job["last_tick"]
        return last and last["error"] and last["error"]["reason"]

    with stage.start("run", **foreign.environment):
        wait_until(lambda: error() == "no_credentials")
        foreign.honest_helper()
        wait_until(lambda: stage.replica("account-c"))
    assert stage.replica("account-b")
