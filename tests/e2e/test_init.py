"""`syncd init`: a first configuration that can be used, from as few answers as can be; nothing is overwritten."""

import os
import pty
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from accounts import EXTERNAL_ID, REPLICAS, ROLE, USER_ARN, Accounts, admin
from program import PROGRAM, Ran, running
from servers import S3Server

from syncd.cli.demo.world import ACCOUNT_A, ACCOUNT_B, ACCOUNT_C, TRAIL_BUCKET
from syncd.config import files
from syncd.config.job import Job
from syncd.job.exit_codes import FAILED, USAGE

GIVEN = {
    "--directory": "etc",
    "--consumer-account": ACCOUNT_B,
    "--bucket": TRAIL_BUCKET,
    "--region": "us-east-1",
    "--role": ROLE,
    "--destination": REPLICAS,
    "--destination-region": "eu-west-1",
}


@pytest.fixture
def accounts(ministack: S3Server, tmp_path: Path, nowhere: dict[str, str]) -> Accounts:
    """B's user and its buckets on a server that stands for AWS."""
    made = Accounts(ministack.url, tmp_path, environment={**nowhere, "AWS_ENDPOINT_URL": ministack.url})
    made.build()
    return made


def init(folder: Path, environment: dict[str, str], changes: dict[str, str | None] | None = None, *more: str) -> Ran:
    given: dict[str, str | None] = {**GIVEN, **(changes or {})}
    options = [word for flag, value in given.items() if value is not None for word in (flag, value)]
    arguments = ("init", *options, *more)
    with running(arguments, folder=folder, environment=environment) as process:
        return process.ended()


def written_job(folder: Path) -> Job:
    (job,) = files.load(folder / "etc" / "syncd.toml", {}).jobs
    return job


def test_what_it_writes_is_a_configuration(tmp_path: Path, nowhere: dict[str, str]) -> None:
    ran = init(tmp_path, nowhere)

    assert ran.code == 0, ran
    job = written_job(tmp_path)
    assert (job.name, job.consumer.account_id, job.source.account_id) == (f"account-{ACCOUNT_B}", ACCOUNT_B, ACCOUNT_A)
    assert (job.source.accounts, job.destination.region) == ((ACCOUNT_B,), "eu-west-1")
    assert job.source.role is not None
    assert (job.source.role.arn, job.source.role.external_id) == (ROLE, None)


def test_a_third_party_reads_the_logs_of_all_accounts(tmp_path: Path, nowhere: dict[str, str]) -> None:
    init(tmp_path, nowhere, {"--external-id": EXTERNAL_ID})

    job = written_job(tmp_path)
    assert job.source.role is not None
    assert (job.source.accounts, job.source.role.external_id, job.source.role.third_party) == ("*", EXTERNAL_ID, True)


def test_everything_that_can_be_said_is_written(tmp_path: Path, nowhere: dict[str, str]) -> None:
    more = {
        "--name": "trail",
        "--profile": "b",
        "--prefix": "trails",
        "--organization-id": "o-exampleorgid",
        "--account": "333333333333",
        "--destination-prefix": "replica/",
        "--endpoint": "http://127.0.0.1:9000",
        "--state-dir": "state-of-it",
    }

    init(tmp_path, nowhere, more)

    job = written_job(tmp_path)
    assert (job.name, job.consumer.profile, job.source.prefix) == ("trail", "b", "trails")
    assert (job.source.organization_id, job.source.accounts) == (("o-exampleorgid",), ("333333333333",))
    assert (job.destination.prefix, job.endpoints.s3) == ("replica/", "http://127.0.0.1:9000")


def test_every_table_has_a_comment(tmp_path: Path, nowhere: dict[str, str]) -> None:
    init(tmp_path, nowhere)

    lines = [line for file in (tmp_path / "etc").rglob("*.toml") for line in file.read_text().splitlines()]
    assert [line for line in lines if line.startswith("[") and "#" not in line] == []


def test_account_and_regions_are_found_out(accounts: Accounts) -> None:
    with admin(accounts.url, ACCOUNT_B, "s3") as s3:
        s3.delete_bucket(Bucket=REPLICAS)
        s3.create_bucket(Bucket=REPLICAS, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        s3.put_bucket_policy(Bucket=REPLICAS, Policy=_open_to_b())

    ran = accounts.init()

    assert ran.code == 0, ran
    job = accounts.job
    assert (job.consumer.account_id, job.destination.region) == (ACCOUNT_B, "eu-west-1")


def _open_to_b() -> str:
    # MiniStack tells a bucket's region to whoever may list it only; S3 tells it in its refusals too.
    return (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":'
        f'"arn:aws:iam::{ACCOUNT_B}:user/syncd"}},"Action":"s3:ListBucket","Resource":"arn:aws:s3:::{REPLICAS}"}}]}}'
    )


def test_everything_that_is_missing_is_told_at_once_by_its_flag(tmp_path: Path, nowhere: dict[str, str]) -> None:
    ran = init(tmp_path, nowhere, {"--bucket": None, "--destination": None, "--consumer-account": None})

    assert ran.code == USAGE
    told = [line.partition(":")[0] for line in ran.stderr.splitlines()]
    assert {"--bucket", "--destination", "--consumer-account"} <= set(told)
    assert not (tmp_path / "etc").exists()


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--role", "arn:aws:iam::111111111111:user/Test"), ("--bucket", "No_Bucket"), ("--external-id", "!")],
)
def test_an_answer_that_cannot_be_used_is_told_by_its_flag(
    tmp_path: Path, nowhere: dict[str, str], flag: str, value: str
) -> None:
    ran = init(tmp_path, nowhere, {flag: value})

    assert ran.code == USAGE
    assert f"{flag}: " in ran.stderr
    assert not (tmp_path / "etc").exists()


def test_a_job_file_that_is_there_is_left_as_it_is(tmp_path: Path, nowhere: dict[str, str]) -> None:
    init(tmp_path, nowhere)
    before = {file: file.read_text() for file in (tmp_path / "etc").rglob("*.toml")}

    ran = init(tmp_path, nowhere, {"--destination": "another"})

    assert ran.code == USAGE
    assert "exists already" in ran.stderr
    assert {file: file.read_text() for file in (tmp_path / "etc").rglob("*.toml")} == before


def test_a_second_job_goes_beside_the_first(tmp_path: Path, nowhere: dict[str, str]) -> None:
    init(tmp_path, nowhere)
    top = tmp_path / "etc" / "syncd.toml"
    before = top.read_text()

    ran = init(tmp_path, nowhere, {"--name": "second", "--destination": "another"}, "--json")

    assert ran.code == 0
    assert top.read_text() == before
    assert ran.document["kept"] == ["etc/syncd.toml"]
    assert ran.document["wrote"] == ["etc/jobs.d/second.toml"]
    assert {job.name for job in files.load(top, {}).jobs} == {f"account-{ACCOUNT_B}", "second"}


def files_below(folder: Path) -> dict[Path, str]:
    return {file: file.read_text() for file in folder.rglob("*.toml")}


def test_a_second_job_that_writes_where_the_first_one_does_is_not_written(
    tmp_path: Path, nowhere: dict[str, str]
) -> None:
    init(tmp_path, nowhere)
    before = files_below(tmp_path)

    ran = init(tmp_path, nowhere, {"--name": "second"})

    assert ran.code == USAGE
    assert "writes to this bucket and prefix too; give each job its own prefix" in ran.stderr
    assert files_below(tmp_path) == before


def test_a_second_job_of_the_same_name_is_not_written(tmp_path: Path, nowhere: dict[str, str]) -> None:
    init(tmp_path, nowhere, {"--name": "first"})
    jobs = tmp_path / "etc" / "jobs.d"
    (jobs / "first.toml").rename(jobs / "b.toml")
    before = files_below(tmp_path)

    ran = init(tmp_path, nowhere, {"--name": "first", "--destination": "another"})

    assert ran.code == USAGE
    assert '"first" is the name of the job in' in ran.stderr
    assert files_below(tmp_path) == before


@pytest.mark.parametrize(
    ("configured", "said"),
    [
        ("drain = 1", "etc/syncd.toml: drain: "),
        ("jobs = []", "etc/syncd.toml: jobs: no pattern matches etc/jobs.d/account-222222222222.toml"),
    ],
)
def test_beside_a_configuration_with_which_the_job_could_not_be_used_nothing_is_written(
    tmp_path: Path, nowhere: dict[str, str], configured: str, said: str
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "syncd.toml").write_text(f"{configured}\n")

    ran = init(tmp_path, nowhere)

    assert ran.code == USAGE
    assert said in ran.stderr
    assert not (tmp_path / "etc" / "jobs.d").exists()


def test_the_file_may_be_named_as_for_every_verb(tmp_path: Path, nowhere: dict[str, str]) -> None:
    ran = init(tmp_path, nowhere, {"--directory": None, "--config": "here/own.toml"}, "--json")

    assert ran.document["wrote"] == ["here/own.toml", f"here/jobs.d/account-{ACCOUNT_B}.toml"]
    assert ran.document["next"][-1] == "syncd run --config here/own.toml"
    assert len(files.load(tmp_path / "here" / "own.toml", {}).jobs) == 1


def test_the_file_may_be_named_by_the_environment(tmp_path: Path, nowhere: dict[str, str]) -> None:
    ran = init(tmp_path, {**nowhere, "SYNCD_CONFIG": "here/own.toml"}, {"--directory": None}, "--json")

    assert ran.document["wrote"] == ["here/own.toml", f"here/jobs.d/account-{ACCOUNT_B}.toml"]
    assert ran.document["next"][-1] == "syncd run"


def test_file_and_folder_are_not_named_both(tmp_path: Path, nowhere: dict[str, str]) -> None:
    ran = init(tmp_path, nowhere, {"--config": "here/own.toml"})

    assert ran.code == USAGE
    assert "--directory" in ran.stderr
    assert files_below(tmp_path) == {}


def test_a_role_is_assumed_at_the_server_that_stands_for_aws(tmp_path: Path, nowhere: dict[str, str]) -> None:
    init(tmp_path, nowhere, {"--endpoint": "http://127.0.0.1:9000"})

    endpoints = written_job(tmp_path).endpoints
    assert (endpoints.s3, endpoints.sts) == ("http://127.0.0.1:9000", "http://127.0.0.1:9000")


def test_without_a_role_no_sts_is_named(tmp_path: Path, nowhere: dict[str, str]) -> None:
    given = {"--endpoint": "http://127.0.0.1:9000", "--role": None, "--source-account": ACCOUNT_A}

    init(tmp_path, nowhere, given)

    assert written_job(tmp_path).endpoints.sts is None


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, nowhere: dict[str, str]) -> None:
    (tmp_path / "etc").touch()

    ran = init(tmp_path, nowhere)

    assert ran.code == FAILED
    assert "etc" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_commands_that_come_next_are_told_and_can_be_run(tmp_path: Path, nowhere: dict[str, str]) -> None:
    ran = init(tmp_path, nowhere, None, "--json")

    verbs = [command.split()[1] for command in ran.document["next"]]
    assert verbs == ["policies", "check", "plan", "tick", "run"]
    policies = ran.document["next"][0].split()[1:]
    with running(tuple(policies), folder=tmp_path, environment=nowhere) as process:
        assert process.ended().code == 0


def test_on_a_terminal_each_answer_is_tried_and_one_can_go_back(accounts: Accounts) -> None:
    put_in_place(accounts)
    typed = [
        *("nobody", "account-b"),  # there is no such profile
        *("S3://bad bucket/", "example-lost", "<", "", TRAIL_BUCKET),
        *("arn:aws:iam::111111111111:user/x", ROLE),
        *("not-the-one", EXTERNAL_ID),
        *("trails", ""),  # may not be listed, and is kept
        *("back", "-", ""),
        *("example-nowhere", REPLICAS, "", ""),
        "",  # to write it
        *("", "", "n", "q"),  # policies and check, no plan, and that is all
    ]

    code, shown = on_a_terminal(accounts, typed, "--credentials-file", str(accounts.credentials))

    assert code == 0, shown
    assert said_in_order(
        shown,
        "there is no such profile; there are: account-b",
        f"✓ you are {USER_ARN}",
        '"S3://bad bucket/" is no bucket',
        "✗ S3 knows no bucket of this name",
        f"✓ you are {USER_ARN}",
        "✓ it is there",
        "is a user or a root account",
        "✗ the role cannot be assumed with this external ID",
        "✓ the role can be assumed",
        "✗ trails/AWSLogs/ cannot be listed: AccessDenied",
        "Enter keeps it all the same",
        "Organization ID",
        f"✓ AWSLogs/ holds the logs of {ACCOUNT_B}, {ACCOUNT_C}",
        "S3 knows no bucket of this name; to create it:\n    aws s3api create-bucket --bucket example-nowhere",
        "Write it?",
        "wrote ",
        "1 of 4: print the policies",
        "role-trust-policy.json",
        "2 of 4: check",
        "  ready",
        "3 of 4: see what the first copy would do",
        "To go on later:",
        "syncd tick",
        "syncd run",
    ), shown
    assert "Account ID" not in shown
    job = accounts.job
    assert (job.consumer.account_id, job.source.account_id, job.source.prefix) == (ACCOUNT_B, ACCOUNT_A, "")
    assert job.source.role is not None
    assert (job.source.role.external_id, job.source.accounts) == (EXTERNAL_ID, "*")
    lines = shown.split("aws s3api")[0].splitlines()
    assert max(len(line.removeprefix("> ")) for line in lines) <= 80


def test_on_a_terminal_a_name_that_is_taken_is_asked_for_again(accounts: Accounts) -> None:
    given = ["--profile", "account-b", "--credentials-file", str(accounts.credentials), "--bucket", TRAIL_BUCKET]
    given += ["--region", "us-east-1", "--role", ROLE, "--destination-region", "us-east-1"]
    assert accounts.init().code == 0

    typed = ["", "", "", "", "another", "", "", "", "", "second", ""]

    code, shown = on_a_terminal(accounts, typed, *given, "--json")

    assert code == 0, shown
    assert said_in_order(
        shown,
        f"✓ --profile: you are {USER_ARN}",
        "· not tried, since the role cannot be assumed yet",
        "exists already and is left as it is",
        '"next": [',
    )
    assert {path.name for path in accounts.config.parent.glob("jobs.d/*")} == {
        f"account-{ACCOUNT_B}.toml",
        "second.toml",
    }


def test_with_both_buckets_given_a_terminal_is_asked_nothing(accounts: Accounts) -> None:
    options = [word for flag, value in GIVEN.items() if flag != "--directory" for word in (flag, value)]

    code, shown = on_a_terminal(accounts, [], *options)

    assert code == 0, shown
    assert "wrote " in shown
    assert ">" not in shown


def put_in_place(accounts: Accounts) -> None:
    """The role and the policies of the job that is going to be set up, whose files are then removed."""
    accounts.is_third_party = True
    accounts.prepared()
    accounts.apply()
    shutil.rmtree(accounts.config.parent)


def said_in_order(text: str, *sentences: str) -> bool:
    """Whether each sentence stands after the one before."""
    for sentence in sentences:
        assert sentence in text, f"{sentence!r} is not in {text}"
        text = text.partition(sentence)[2]
    return True


def on_a_terminal(accounts: Accounts, typed: list[str], *options: str) -> tuple[int, str]:
    """Exit code and output of `init` for somebody who types these lines, and then Ctrl-D."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, "".join([*(f"{line}\n" for line in typed), "\x04" * 3]).encode())
        ended: Any = subprocess.run(
            [PROGRAM, "init", "--directory", str(accounts.config.parent), *options],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=accounts.environment,
            cwd=accounts.folder,
            timeout=60,
            check=False,
            text=True,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    return ended.returncode, ended.stdout
