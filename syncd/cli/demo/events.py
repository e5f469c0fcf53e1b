"""Sample CloudTrail records of an ordinary day: several services, several kinds of callers.

Field names, and the fields of each event, follow "CloudTrail record contents" in the CloudTrail user guide. Addresses
come from the documentation ranges of RFC 5737.
"""

import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

Record: TypeAlias = dict[str, object]

_NETWORKS = ("192.0.2", "198.51.100", "203.0.113")
_AGENTS = (
    "aws-cli/2.17.9 md/awscrt#0.20.11 ua/2.0 os/linux#6.1.0 md/arch#x86_64 lang/python#3.11.8",
    "Boto3/1.34.131 md/Botocore#1.34.131 ua/2.0 os/linux#5.10.218 md/arch#aarch64 lang/python#3.11.6",
    "APN/1.0 HashiCorp/1.0 Terraform/1.8.5 aws-sdk-go-v2/1.30.0 os/linux lang/go#1.22.4",
    "console.amazonaws.com",
)
_USERS = ("alice", "bob", "ci-deploy", "backup")
_ROLES = ("AppServer", "DataPipeline", "OrganizationAccountAccessRole", "AWSServiceRoleForAutoScaling")
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True)
class _Call:
    """The part of an event that depends on the API call."""

    source: str
    name: str
    is_read_only: bool
    request: Mapping[str, object] | None
    response: Mapping[str, object] | None = None
    error: tuple[str, str] | None = None


def record(source: random.Random, account_id: str, region: str, at: datetime) -> Record:
    """Return one management event of that account, region and time (UTC, to the second)."""
    stamp = f"{at:%Y-%m-%dT%H:%M:%SZ}"
    identity = source.choices((_user, _assumed_role, _service, _root), weights=(4, 6, 3, 1))[0](
        source, account_id, stamp
    )
    call = source.choice(_CALLS)(source, account_id, region)
    invoked_by = identity.get("invokedBy")
    event: Record = {
        "eventVersion": "1.10",
        "userIdentity": identity,
        "eventTime": stamp,
        "eventSource": f"{call.source}.amazonaws.com",
        "eventName": call.name,
        "awsRegion": region,
        "sourceIPAddress": invoked_by or f"{source.choice(_NETWORKS)}.{source.randrange(1, 255)}",
        "userAgent": invoked_by or source.choice(_AGENTS),
    }
    if call.error is not None:
        event["errorCode"], event["errorMessage"] = call.error
    return event | {
        "requestParameters": call.request,
        "responseElements": call.response,
        "requestID": _uuid(source),
        "eventID": _uuid(source),
        "readOnly": call.is_read_only,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": account_id,
        "eventCategory": "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": f"{call.source}.{region}.amazonaws.com",
        },
    }


def _uuid(source: random.Random) -> str:
    return str(uuid.UUID(int=source.getrandbits(128), version=4))


def _token(source: random.Random, prefix: str) -> str:
    return prefix + "".join(source.choices(_ALPHABET, k=16))


def _hexadecimal(source: random.Random) -> str:
    return f"0{source.getrandbits(64):016x}"


def _user(source: random.Random, account_id: str, _stamp: str) -> Record:
    name = source.choice(_USERS)
    return {
        "type": "IAMUser",
        "principalId": _token(source, "AIDA"),
        "arn": f"arn:aws:iam::{account_id}:user/{name}",
        "accountId": account_id,
        "accessKeyId": _token(source, "AKIA"),
        "userName": name,
    }


def _assumed_role(source: random.Random, account_id: str, stamp: str) -> Record:
    name, session, role_id = source.choice(_ROLES), f"i-{_hexadecimal(source)}", _token(source, "AROA")
    return {
        "type": "AssumedRole",
        "principalId": f"{role_id}:{session}",
        "arn": f"arn:aws:sts::{account_id}:assumed-role/{name}/{session}",
        "accountId": account_id,
        "accessKeyId": _token(source, "ASIA"),
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": role_id,
                "arn": f"arn:aws:iam::{account_id}:role/{name}",
                "accountId": account_id,
                "userName": name,
            },
            "attributes": {"creationDate": stamp, "mfaAuthenticated": "false"},
        },
    }


def _service(source: random.Random, _account_id: str, _stamp: str) -> Record:
    service = source.choice(("autoscaling", "cloudtrail", "config", "lambda"))
    return {"type": "AWSService", "invokedBy": f"{service}.amazonaws.com"}


def _root(_source: random.Random, account_id: str, stamp: str) -> Record:
    return {
        "type": "Root",
        "principalId": account_id,
        "arn": f"arn:aws:iam::{account_id}:root",
        "accountId": account_id,
        "sessionContext": {"attributes": {"creationDate": stamp, "mfaAuthenticated": "true"}},
    }


def _describe_instances(source: random.Random, _account_id: str, _region: str) -> _Call:
    items = [{"instanceId": f"i-{_hexadecimal(source)}"}]
    return _Call("ec2", "DescribeInstances", True, {"instancesSet": {"items": items}, "filterSet": {}})


def _run_instances(source: random.Random, account_id: str, _region: str) -> _Call:
    image = f"ami-{_hexadecimal(source)}"
    request = {
        "instancesSet": {"items": [{"imageId": image, "minCount": 1, "maxCount": 1}]},
        "instanceType": "t4g.small",
    }
    response = {"reservationId": f"r-{_hexadecimal(source)}", "ownerId": account_id}
    return _Call("ec2", "RunInstances", False, request, response)


def _assume_role(source: random.Random, account_id: str, _region: str) -> _Call:
    name, session = source.choice(_ROLES), f"session-{source.randrange(10_000)}"
    arn = f"arn:aws:iam::{account_id}:role/{name}"
    user = {"assumedRoleId": f"{_token(source, 'AROA')}:{session}", "arn": f"{arn}/{session}"}
    return _Call("sts", "AssumeRole", True, {"roleArn": arn, "roleSessionName": session}, {"assumedRoleUser": user})


def _get_bucket_acl(_source: random.Random, account_id: str, region: str) -> _Call:
    bucket = f"logs-{account_id}-{region}"
    return _Call("s3", "GetBucketAcl", True, {"bucketName": bucket, "acl": "", "Host": f"{bucket}.s3.amazonaws.com"})


def _decrypt(source: random.Random, account_id: str, region: str) -> _Call:
    key = f"arn:aws:kms:{region}:{account_id}:key/{_uuid(source)}"
    context = {"aws:s3:arn": f"arn:aws:s3:::data-{account_id}"}
    return _Call("kms", "Decrypt", True, {"keyId": key, "encryptionContext": context})


def _create_log_stream(source: random.Random, _account_id: str, _region: str) -> _Call:
    stream = f"2026/01/01/[$LATEST]{source.getrandbits(128):032x}"
    return _Call("logs", "CreateLogStream", False, {"logGroupName": "/aws/lambda/ingest", "logStreamName": stream})


def _denied(source: random.Random, account_id: str, _region: str) -> _Call:
    who = f"arn:aws:iam::{account_id}:user/{source.choice(_USERS)}"
    message = f"User: {who} is not authorized to perform: iam:ListUsers on resource: arn:aws:iam::{account_id}:user/"
    return _Call("iam", "ListUsers", True, None, None, ("AccessDenied", message))


def _describe_table(source: random.Random, _account_id: str, _region: str) -> _Call:
    return _Call("dynamodb", "DescribeTable", True, {"tableName": source.choice(("orders", "sessions", "inventory"))})


_CALLS: tuple[Callable[[random.Random, str, str], _Call], ...] = (
    _describe_instances,
    _run_instances,
    _assume_role,
    _get_bucket_acl,
    _decrypt,
    _create_log_stream,
    _denied,
    _describe_table,
)
