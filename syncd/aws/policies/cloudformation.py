"""Policy documents as CloudFormation templates, one for each account. Pure.

A template holds only what a stack can own. A bucket's policy and a key's policy are one document each, in which others
have statements too (CloudTrail's delivery among them), and a stack would replace the whole.
"""

from collections.abc import Sequence
from typing import Any

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

_KEY_PARAMETER = "LogsKeyArn"


def templates(job: Job, found: Sequence[PolicyDocument], principal: str | None) -> dict[str, dict[str, Any]]:
    """Return the templates by account ID. An account with nothing that a stack can own has none."""
    owned = [document for document in found if not document.is_shared]
    accounts = dict.fromkeys(document.account_id for document in owned)
    return {
        account_id: _template(job, [item for item in owned if item.account_id == account_id], principal)
        for account_id in accounts
    }


def _template(job: Job, owned: Sequence[PolicyDocument], principal: str | None) -> dict[str, Any]:
    by_name = {document.name: document for document in owned}
    template: dict[str, Any] = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"syncd, job {job.name}: " + " ".join(document.why for document in owned),
    }
    resources: dict[str, Any] = {}
    if ROLE_TRUST in by_name:
        template |= _key_parameter()
        resources["Role"] = _role(job, by_name[ROLE_TRUST], by_name[ROLE_ACCESS])
        template["Outputs"] = {"RoleArn": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}}}
    for document in owned:
        if document.name not in (ROLE_TRUST, ROLE_ACCESS):
            resources[_logical_id(document)] = _attached(job, document, principal)
    template["Resources"] = resources
    return template


def _key_parameter() -> dict[str, Any]:
    return {
        "Parameters": {
            _KEY_PARAMETER: {
                "Type": "String",
                "Default": "",
                "AllowedPattern": "^$|^arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$",
                "Description": "The KMS key that the trail encrypts its logs with; empty where it uses none.",
            }
        },
        "Conditions": {"LogsHaveKey": {"Fn::Not": [{"Fn::Equals": [{"Ref": _KEY_PARAMETER}, ""]}]}},
    }


def _role(job: Job, trust: PolicyDocument, access: PolicyDocument) -> dict[str, Any]:
    role = job.source.role
    assert role is not None
    decrypt = {**decrypting(job, "*"), "Resource": {"Ref": _KEY_PARAMETER}}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": role_name(role.arn),
            "Path": role_path(role.arn),
            "Description": trust.why,
            "MaxSessionDuration": max(3600, int(role.duration.total_seconds())),
            "AssumeRolePolicyDocument": trust.body,
            "Policies": [
                {"PolicyName": f"syncd-{job.name}", "PolicyDocument": access.body},
                {
                    "Fn::If": [
                        "LogsHaveKey",
                        {
                            "PolicyName": f"syncd-{job.name}-decrypt",
                            "PolicyDocument": {"Version": "2012-10-17", "Statement": [decrypt]},
                        },
                        {"Ref": "AWS::NoValue"},
                    ]
                },
            ],
        },
    }


def _attached(job: Job, document: PolicyDocument, principal: str | None) -> dict[str, Any]:
    assert document.kind is Kind.ACCESS
    if principal is None:
        return {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {"Description": document.why, "PolicyDocument": document.body},
        }
    return {
        "Type": "AWS::IAM::Policy",
        "Properties": {
            "PolicyName": policy_name(job, document),
            "PolicyDocument": document.body,
            "Users" if ":user/" in principal else "Roles": [role_name(principal)],
        },
    }


def _logical_id(document: PolicyDocument) -> str:
    return "".join(part.capitalize() for part in document.name.split("-"))
