"""A new customer of a vendor: the job, and one CloudFormation file for the customer to launch."""

import os
import secrets
import shlex
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from syncd.aws.policies import documents
from syncd.aws.policies import files as policy_files
from syncd.aws.policies.formats import Format
from syncd.cli.setup import first_config, granting
from syncd.cli.setup.first_config import Refused
from syncd.cli.setup.init_answers import Answers, derived
from syncd.config.files import find, load
from syncd.config.job import Job
from syncd.config.partitions import partition_of
from syncd.config.reading.toml_file import UnusableError, read_toml

_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
_EXTERNAL_ID_BYTES = 20
_LONGEST_ROLE_NAME = 64


class Onboarded(NamedTuple):
    """The files, and what the customer is asked to do."""

    job: Job
    top: Path
    template: Path
    written: first_config.Written
    letter: str
    """The text to send with the template."""


def with_defaults(given: Answers, top: Path) -> Answers:
    """Fill in the consumer and the destination that [defaults] of syncd.toml name."""
    raw: Mapping[str, Any] = {}
    with suppress(UnusableError):
        raw = read_toml(top)
    consumer, destination = (_table(_table(raw, "defaults"), key) for key in ("consumer", "destination"))
    file = consumer.get("credentials_file")
    return given.filled(
        consumer_account=consumer.get("account_id"),
        profile=consumer.get("profile"),
        credentials_file=file and str(top.absolute().parent / str(file)) if "$" not in str(file) else None,
        destination=destination.get("bucket"),
        destination_region=destination.get("region"),
    )


class NewRole(NamedTuple):
    """The role that the customer is to make. Its external ID is new, and nobody can guess it."""

    name: str | None
    external_id: str

    @classmethod
    def of(cls, name: str | None) -> "NewRole":
        """Return a role of this name, or named after the customer."""
        return cls(name, secrets.token_hex(_EXTERNAL_ID_BYTES))

    def added(self, answers: Answers) -> Answers:
        """Return the answers with the role."""
        answers = derived(answers)
        name = self.name or f"syncd-{answers.name}"[:_LONGEST_ROLE_NAME]
        partition = partition_of(answers.region or "") or "aws"
        return replace(
            answers,
            role=f"arn:{partition}:iam::{answers.source_account}:role/{name}",
            external_id=self.external_id,
            destination_prefix=answers.destination_prefix or f"{answers.name}/",
        )


def onboard(
    answers: Answers,
    top: Path,
    *,
    template: Path | None,
    template_url: str | None,
    principal: str | None,
    say: Callable[[str], None],
) -> Onboarded:
    """Write the job's file and the customer's template.

    Raises:
        Refused: an answer is invalid, or one of the files exists already. Nothing was written.
        OSError: a file cannot be written.
    """
    path = template or top.parent / "onboarding" / f"{answers.name}.template.json"
    if path.exists():
        raise Refused([f"--output: {path} exists already and is left as it is; name another file"])
    written = first_config.write(answers, top)
    try:
        (job,) = (job for job in load(top).jobs if job.name == answers.name)
        if principal is not None and (problem := granting.principal_problem(job, principal)):
            raise Refused([f"--principal: {problem}"])  # noqa: TRY301  # what was written goes away again
        made = template_of(job, principal, say)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(made.text)
    except BaseException:
        for each in written.wrote:
            each.unlink()
        raise
    written = replace(written, wrote=[*written.wrote, path], next=_next(job, top))
    return Onboarded(job, top, path, written, letter(job, made, path.name, template_url))


def template_of(job: Job, principal: str | None, say: Callable[[str], None]) -> policy_files.PolicyFile:
    """Return the template of the source's account, as `syncd policies --format cloudformation` prints it."""
    who, has_tags = (granting.named(principal), False) if principal is not None else granting.who_runs(job, say)
    found = documents.documents(job, who, has_tags=has_tags)
    made = policy_files.files(job, found, who, Format.CLOUDFORMATION)
    return next(file for file in made if file.account_id == job.source.account_id and file.command is not None)


def letter(job: Job, file: policy_files.PolicyFile, name: str, url: str | None) -> str:
    """Return what to write to the customer."""
    stack = policy_files.stack_name(job)
    region, command = job.source.region, (file.command or "").format(file=name)
    console = f"https://{region}.{_CONSOLES.get(job.partition, _CONSOLES['aws'])}/cloudformation/home?region={region}"
    if url is None:
        where = [
            f"In the console: {console}#/stacks/create",
            f"(upload {name}, name the stack {stack}), or in a shell:",
        ]
    else:
        link = f"{console}#/stacks/quickcreate?{urlencode({'templateURL': url, 'stackName': stack})}"
        where = [f"In the console: {link}", "or in a shell:"]
    return "\n".join(
        [
            f"Please launch {name} as a CloudFormation stack in account {job.source.account_id}.",
            *file.about,
            "If CloudTrail encrypts the logs with a KMS key, give the key's ARN as LogsKeyArn.",
            *where,
            f"  {command} --region {region}",
        ]
    )


def document(onboarded: Onboarded) -> dict[str, Any]:
    """Return the JSON of `onboard`."""
    role = onboarded.job.source.role
    assert role is not None
    return {
        **first_config.written_document(onboarded.written),
        "template": str(onboarded.template),
        "role": role.arn,
        "external_id": role.external_id,
        "letter": onboarded.letter,
    }


def _next(job: Job, top: Path) -> list[first_config.Step]:
    option = "" if top == find(None, os.environ) else f" --config {shlex.quote(str(top))}"
    own = f"syncd policies {job.name} --account {job.consumer.account_id}{option}"
    steps = first_config.next_steps(job.name, top)
    return [first_config.Step("allow your own side", own), *steps[1:]]


def _table(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = raw.get(key)
    return found if isinstance(found, Mapping) else {}
