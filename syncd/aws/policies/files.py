"""Policy documents as files: JSON for each document, CloudFormation or Terraform for each account. Pure.

Documents that others have statements in too are JSON in every format, since their statements are added by hand.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from syncd.aws.policies import cloudformation, terraform
from syncd.aws.policies.documents import Kind, PolicyDocument
from syncd.aws.policies.formats import Format
from syncd.config.job import Job

# The longest documents: characters without white space for roles and users, bytes for policies of buckets and keys ("IAM
# and AWS STS quotas", "Bucket policies", "Key policies").
_LONGEST = {Kind.TRUST: 2_048, Kind.BUCKET: 20_480, Kind.KEY: 32_768, Kind.QUEUE: 8_192}
_LONGEST_OF_USER, _LONGEST_OF_ROLE = 2_048, 10_240


class PolicyFile(NamedTuple):
    """One file for the administrator of one account."""

    account_id: str
    name: str
    about: Sequence[str]
    """Sentences on the target, the purpose and the way to put it there."""
    text: str
    command: str | None
    """The command that puts it there, with `{file}` for its path."""


def files(job: Job, found: Sequence[PolicyDocument], principal: str | None, style: Format) -> list[PolicyFile]:
    """Return the files of one format, the source's account first."""
    if style is Format.JSON:
        return [_one(document) for document in found]
    made = []
    if style is Format.CLOUDFORMATION:
        for account_id, template in cloudformation.templates(job, found, principal).items():
            command = (
                f"aws cloudformation deploy --stack-name {stack_name(job)} --template-file {{file}}"
                " --capabilities CAPABILITY_NAMED_IAM"
            )
            made.append(PolicyFile(account_id, "template.json", _owned(found, account_id), pretty(template), command))
    else:
        for account_id, text in terraform.files(job, found, principal).items():
            made.append(PolicyFile(account_id, "syncd.tf", _owned(found, account_id), text, None))
    return made + [_one(document) for document in found if document.is_shared]


def policies_document(
    job: Job, found: Sequence[PolicyDocument], principal: str | None, style: Format
) -> dict[str, Any]:
    """Return the JSON of `syncd policies`."""
    return {
        "job": job.name,
        "principal": principal,
        "format": style.value,
        "documents": [
            {
                "name": document.name,
                "account_id": document.account_id,
                "kind": document.kind.value,
                "target": document.target,
                "why": document.why,
                "added_by_hand": document.is_shared,
                "document": document.body,
            }
            for document in found
        ],
        "files": [
            {"account_id": file.account_id, "name": file.name, "command": file.command, "text": file.text}
            for file in files(job, found, principal, style)
        ],
    }


def work_document(files: Sequence[PolicyFile], style: Format) -> dict[str, Any]:
    """Return the JSON of `syncd policies --work`, which is about no job."""
    made = [
        {"account_id": file.account_id, "name": file.name, "command": file.command, "text": file.text} for file in files
    ]
    return {"job": None, "principal": None, "format": style.value, "documents": [], "files": made}


def _one(document: PolicyDocument) -> PolicyFile:
    about = [f"{document.kind.value} of {document.target}: {document.why}"]
    if document.is_shared:
        about.append(
            f"Add the statement to the {document.kind.value} that is there: putting a policy replaces all of it."
        )
    text = pretty(document.body)
    limit = _longest(document)
    length = len(json.dumps(document.body, separators=(",", ":")))
    if length > limit:
        about.append(f"It has {length} characters and AWS takes {limit}: name fewer accounts, or split the job.")
    return PolicyFile(document.account_id, f"{document.name}.json", about, text, document.command)


def _longest(document: PolicyDocument) -> int:
    of_access = _LONGEST_OF_USER if document.target.startswith("user ") else _LONGEST_OF_ROLE
    return _LONGEST.get(document.kind, of_access)


def _owned(found: Sequence[PolicyDocument], account_id: str) -> list[str]:
    return [
        f"{document.kind.value} of {document.target}: {document.why}"
        for document in found
        if document.account_id == account_id and not document.is_shared
    ]


def stack_name(job: Job) -> str:
    """Return the name for a job's stack: letters, digits and hyphens."""
    return "syncd-" + "".join(char if char.isascii() and char.isalnum() else "-" for char in job.name)


def pretty(document: object) -> str:
    """Return a document as indented JSON."""
    # IAM takes no character beyond \u00FF, so json.dumps escapes all beyond ASCII.
    return json.dumps(document, indent=2) + "\n"
