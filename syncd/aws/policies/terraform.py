"""Policy documents as Terraform, one file for each account. Pure.

A file holds only what Terraform can own. `aws_s3_bucket_policy` and `aws_kms_key_policy` would replace the whole of a
document in which others have statements too, CloudTrail's delivery among them.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from syncd.aws.policies.documents import (
    ROLE_ACCESS,
    ROLE_TRUST,
    Kind,
    PolicyDocument,
    policy_name,
    role_name,
    role_path,
)
from syncd.aws.policies.statements import decrypting
from syncd.config.job import Job


class Expression(NamedTuple):
    """A Terraform expression, as opposed to a string."""

    text: str


_KEY_VARIABLE = """\
variable "logs_key_arn" {
  description = "The KMS key that the trail encrypts its logs with; empty where it uses none."
  type        = string
  default     = ""
}
"""


def files(job: Job, found: Sequence[PolicyDocument], principal: str | None) -> dict[str, str]:
    """Return the files by account ID. An account with nothing that Terraform can own has none."""
    owned = [document for document in found if not document.is_shared]
    accounts = dict.fromkeys(document.account_id for document in owned)
    return {
        account_id: _file(job, [item for item in owned if item.account_id == account_id], principal)
        for account_id in accounts
    }


def _file(job: Job, owned: Sequence[PolicyDocument], principal: str | None) -> str:
    by_name = {document.name: document for document in owned}
    blocks = [f"# syncd, job {job.name}: for account {owned[0].account_id}.\n"]
    if ROLE_TRUST in by_name:
        blocks += [_KEY_VARIABLE, *_role(job, by_name[ROLE_TRUST], by_name[ROLE_ACCESS])]
    blocks += [_attached(job, item, principal) for item in owned if item.name not in (ROLE_TRUST, ROLE_ACCESS)]
    return "\n".join(blocks)


def _role(job: Job, trust: PolicyDocument, access: PolicyDocument) -> list[str]:
    role = job.source.role
    assert role is not None
    label = _label(job.name)
    decrypt = {**decrypting(job, "*"), "Resource": Expression("var.logs_key_arn")}
    attached = {"role": Expression(f"aws_iam_role.{label}.id")}
    return [
        _resource(
            trust,
            "aws_iam_role",
            label,
            name=role_name(role.arn),
            path=role_path(role.arn),
            max_session_duration=max(3600, int(role.duration.total_seconds())),
            assume_role_policy=encoded(trust.body),
        ),
        _resource(
            access, "aws_iam_role_policy", label, name=f"syncd-{job.name}", **attached, policy=encoded(access.body)
        ),
        block(
            f'resource "aws_iam_role_policy" "{label}-decrypt"',
            {
                "count": Expression('var.logs_key_arn == "" ? 0 : 1'),
                "name": f"syncd-{job.name}-decrypt",
                **attached,
                "policy": encoded({"Version": "2012-10-17", "Statement": [decrypt]}),
            },
        ),
        block('output "role_arn"', {"value": Expression(f"aws_iam_role.{label}.arn")}),
    ]


def _attached(job: Job, document: PolicyDocument, principal: str | None) -> str:
    assert document.kind is Kind.ACCESS
    name, label, policy = policy_name(job, document), _label(document.name), encoded(document.body)
    if principal is None:
        return _resource(document, "aws_iam_policy", label, name=name, policy=policy)
    kind = "user" if ":user/" in principal else "role"
    return _resource(
        document, f"aws_iam_{kind}_policy", label, name=name, **{kind: role_name(principal)}, policy=policy
    )


def _resource(document: PolicyDocument, kind: str, label: str, **arguments: Any) -> str:
    return f"# {document.why}\n" + block(f'resource "{kind}" "{label}"', arguments)


def block(head: str, arguments: Mapping[str, Any]) -> str:
    """Return a block with these arguments."""
    return "\n".join([f"{head} {{", *_assignments(arguments, 1), "}", ""])


def _assignments(arguments: Mapping[str, Any], depth: int) -> list[str]:
    """Return a line for each, the signs of neighbours aligned as `terraform fmt` does: not beside several lines."""
    written = [(_key(name), _hcl(value, depth)) for name, value in arguments.items()]
    rows: list[str] = []
    for is_long, neighbours in groupby(written, key=lambda item: "\n" in item[1]):
        found = list(neighbours)
        width = 0 if is_long else max(len(name) for name, _ in found)
        rows += [f"{'  ' * depth}{name:<{width}} = {text}" for name, text in found]
    return rows


def encoded(document: Mapping[str, Any]) -> Expression:
    """Return a document as JSON that Terraform writes."""
    return Expression(f"jsonencode({_hcl(document, 1)})")


def _hcl(value: Any, depth: int) -> str:
    indent, close = "  " * (depth + 1), "  " * depth
    match value:
        case Expression(text):
            return text
        case Mapping():
            return "\n".join(["{", *_assignments(value, depth + 1), close + "}"])
        case list():
            rows = [f"{indent}{_hcl(item, depth + 1)}," for item in value]
            return "\n".join(["[", *rows, close + "]"])
        case _:
            # In a quoted string `${` and `%{` begin a template. Doubled they mean themselves.
            written = json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
            return "".join(map(_ascii, written))


def _ascii(char: str) -> str:
    """Escape a character as JSON does, and beyond U+FFFF by HCL's own escape."""
    code = ord(char)
    if code < 0x7F:
        return char
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _key(name: str) -> str:
    return name if name.isidentifier() else json.dumps(name)


def _label(name: str) -> str:
    """Return a resource's name: letters, digits, hyphens and underscores, no digit in front."""
    label = "".join(char if char.isascii() and (char.isalnum() or char in "_-") else "-" for char in name)
    return label if label[0].isalpha() or label[0] == "_" else f"job-{label}"
