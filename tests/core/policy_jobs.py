"""Jobs for tests of policies, and what a policy decides: by MiniStack's evaluator, which is nobody of ours."""

from collections.abc import Mapping, Sequence
from typing import Any

from ministack.core.iam_evaluator import EvalContext, evaluate, evaluate_resource_policy, parse_policy_document

from syncd.aws.policies.documents import PolicyDocument, documents
from syncd.config.job import Job

USER = "arn:aws:iam::222222222222:user/syncd"
ROLE = "arn:aws:iam::111111111111:role/Test"
BUCKET = "arn:aws:s3:::example-trail"
REPLICAS = "arn:aws:s3:::example-b-logs"


def job(**tables: Mapping[str, Any] | None) -> Job:
    """Account B's job; a table's keys are put over its own, and None takes the table away."""
    raw: dict[str, Any] = {
        "name": "account-b",
        "consumer": {"account_id": "222222222222"},
        "source": {
            "account_id": "111111111111",
            "bucket": "example-trail",
            "region": "us-east-1",
            "accounts": ["222222222222"],
            "role": {"arn": ROLE},
        },
        "destination": {"bucket": "example-b-logs", "region": "us-east-1"},
    }
    source = dict(raw["source"], **(tables.pop("source", None) or {}))
    if "role" in tables:
        role = tables.pop("role")
        source = {key: value for key, value in source.items() if key != "role"}
        source |= {} if role is None else {"role": {"arn": ROLE, **role}}
    for name, table in tables.items():
        raw[name] = {**raw.get(name, {}), **(table or {})}
    return Job.model_validate({**raw, "source": source})


def named(found: Sequence[PolicyDocument], name: str) -> PolicyDocument:
    (document,) = [document for document in found if document.name == name]
    return document


def document(of: Job, name: str, principal: str | None = USER) -> PolicyDocument:
    return named(documents(of, principal), name)


def allows(policy: PolicyDocument, action: str, resource: str, **context: str) -> bool:
    """Whether the access policy lets whoever has it do this."""
    request = _request(USER, action, resource, context)
    return bool(evaluate(request, [parse_policy_document(policy.body)]).decision == "Allow")


def lets(policy: PolicyDocument, principal: str, action: str, resource: str, **context: str) -> bool:
    """Whether the policy of a resource or role lets this principal do this."""
    request = _request(principal, action, resource, context)
    return bool(evaluate_resource_policy(policy.body, request).decision == "Allow")


def _request(principal: str, action: str, resource: str, context: Mapping[str, str]) -> EvalContext:
    # A keyword cannot hold a colon, so `s3_prefix` stands for `s3:prefix`.
    keys = {name.replace("_", ":", 1).lower(): value for name, value in context.items()}
    return EvalContext(
        principal_arn=principal,
        principal_type="User" if ":user/" in principal else "AssumedRole",
        principal_account=principal.split(":")[4],
        action=action,
        resource_arn=resource,
        region="us-east-1",
        service_context=keys,
    )
