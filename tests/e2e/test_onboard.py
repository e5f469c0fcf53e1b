"""`syncd onboard`: a vendor's new customer gets a job, and one file to launch; nothing is overwritten."""

import json
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint_all
from program import PROGRAM, Ran, running

from syncd.config import files
from syncd.config.job import Job
from syncd.job.exit_codes import USAGE

CUSTOMER, VENDOR = "111111111111", "999999999999"
USER = f"arn:aws:iam::{VENDOR}:user/syncd"
GIVEN = ("--account", CUSTOMER, "--bucket", "example-trail", "--region", "eu-west-1", "--config", "etc/syncd.toml")
OURS = ("--consumer-account", VENDOR, "--destination", "example-z-logs", "--destination-region", "us-east-1")


def syncd(folder: Path, environment: dict[str, str], *arguments: str) -> Ran:
    with running(arguments, folder=folder, environment=environment) as process:
        return process.ended()


def onboard(folder: Path, environment: dict[str, str], customer: str, *more: str) -> Ran:
    return syncd(folder, environment, "onboard", customer, *GIVEN, "--principal", USER, *more)


def jobs(folder: Path) -> dict[str, Job]:
    return {job.name: job for job in files.load(folder / "etc" / "syncd.toml", {}).jobs}


def test_it_writes_the_job_and_the_template_that_policies_prints(tmp_path: Path, nowhere: dict[str, str]) -> None:
    ran = onboard(tmp_path, nowhere, "acme", *OURS, "--json")

    assert ran.code == 0, ran
    job = jobs(tmp_path)["acme"]
    assert job.source.role is not None
    assert (job.source.account_id, job.source.accounts, job.destination.prefix) == (CUSTOMER, "*", "acme/")
    assert (job.source.role.arn, job.source.role.third_party) == (f"arn:aws:iam::{CUSTOMER}:role/syncd-acme", True)
    assert ran.document["external_id"] == job.source.role.external_id
    template = (tmp_path / ran.document["template"]).read_text()
    assert [str(match) for match in lint_all(template) if not match.rule.id.startswith("I")] == []
    args = ("policies", "acme", "--account", CUSTOMER, "--principal", USER, "--format", "cloudformation", "--json")
    printed = syncd(tmp_path, nowhere, *args, "--config", "etc/syncd.toml").document["files"]
    assert template in [file["text"] for file in printed]
    trust = json.loads(template)["Resources"]["Role"]["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]
    assert trust["Condition"]["StringEquals"]["sts:ExternalId"] == ran.document["external_id"]
    assert USER in json.dumps(trust)


def test_the_next_customer_has_an_external_id_of_its_own_and_our_side_stands_in_the_defaults(
    tmp_path: Path, nowhere: dict[str, str]
) -> None:
    onboard(tmp_path, nowhere, "acme", *OURS)
    top = tmp_path / "etc" / "syncd.toml"
    top.write_text(
        f'{top.read_text()}\n[defaults.consumer]\naccount_id = "{VENDOR}"\n'
        '[defaults.destination]\nbucket = "example-z-logs"\nregion = "us-east-1"\n'
    )

    ran = onboard(tmp_path, nowhere, "globex", "--template-url", "https://s3.amazonaws.com/z/globex.json")

    assert ran.code == 0, ran
    roles = [job.source.role for job in jobs(tmp_path).values()]
    assert len({role.external_id for role in roles if role is not None}) == 2
    assert all(len(role.external_id or "") == 40 for role in roles if role is not None)
    assert "Send globex.template.json to globex, with these words:" in ran.stdout
    assert (
        "https://eu-west-1.console.aws.amazon.com/cloudformation/home?region=eu-west-1#/stacks/quickcreate"
        "?templateURL=https%3A%2F%2Fs3.amazonaws.com%2Fz%2Fglobex.json&stackName=syncd-globex" in ran.stdout
    )
    assert "--stack-name syncd-globex --template-file globex.template.json" in ran.stdout
    assert "syncd check globex --config etc/syncd.toml" in ran.stdout


@pytest.mark.parametrize(
    ("spoil", "more", "said"),
    [
        ("etc/jobs.d/acme.toml", (), "exists already and is left as it is"),
        ("etc/onboarding/acme.template.json", (), "exists already and is left as it is"),
        ("", ("--principal", "arn:aws:iam::111111111111:user/x"), "--principal: "),
        ("", ("--account", "1"), "--account: "),
    ],
)
def test_nothing_is_overwritten_and_what_is_wrong_leaves_nothing_behind(
    tmp_path: Path, nowhere: dict[str, str], spoil: str, more: tuple[str, ...], said: str
) -> None:
    if spoil:
        (tmp_path / spoil).parent.mkdir(parents=True)
        (tmp_path / spoil).write_text("mine")

    ran = onboard(tmp_path, nowhere, "acme", *OURS, *more)

    assert (ran.code, said in ran.stderr) == (USAGE, True), ran
    assert [path.read_text() for path in tmp_path.rglob("etc/**/*.*") if path.is_file()] == (["mine"] if spoil else [])


def test_on_a_terminal_it_asks_for_the_customers_side(tmp_path: Path, nowhere: dict[str, str]) -> None:
    typed = ["12", CUSTOMER, "example-trail", "", "eu-west-1", "", "", "\x04"]
    ours, theirs = pty.openpty()
    os.write(ours, "\n".join(typed).encode())

    ended: Any = subprocess.run(
        [PROGRAM, "onboard", "acme", "--config", "etc/syncd.toml", "--principal", USER, "--profile", "z", *OURS],
        stdin=theirs,
        capture_output=True,
        env=nowhere,
        cwd=tmp_path,
        timeout=60,
        check=False,
        text=True,
    )

    os.close(ours)
    os.close(theirs)
    assert '"12" is no account ID' in ended.stderr
    assert "Account ID of the customer" in ended.stderr
    assert f"arn:aws:iam::{CUSTOMER}:role/syncd-acme, external ID " in ended.stderr
    assert "ARN of the role" not in ended.stderr
    assert ended.returncode == 1  # nobody said that it is to be written
    assert not (tmp_path / "etc").exists()
