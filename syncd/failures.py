"""Why an object, or a job, was not copied: one word for each cause, and what to do about it.

The words are part of the contract: they stand in `failed[].reason` and `error.reason` of the JSON documents, in the log
and in the labels of metrics. Codes in capitals are AWS's own.
"""

import re
from typing import NamedTuple

ACCESS_DENIED = "access_denied"
KMS_DENIED = "kms_access_denied"
OBJECT_GONE = "object_gone"
OBJECT_CHANGED = "object_changed"
ARCHIVED = "archived"
SLOW_DOWN = "slow_down"
SERVER_ERROR = "server_error"
CONNECTION = "connection_failed"
TIMEOUT = "timeout"
SHORT_BODY = "short_body"
CHECKSUM = "checksum_mismatch"
CANNOT_COMPARE = "cannot_compare"
CREDENTIALS = "credentials_expired"
WORKER_DIED = "worker_died"
NO_BUCKET = "no_such_bucket"
WRONG_REGION = "wrong_region"
UNSUPPORTED = "unsupported"
UNEXPECTED = "unexpected_answer"
CONFLICT = "conflict"
RETRY_REQUESTED = "retry_requested"

# Jobs only.
ROOT_CALLER = "root_caller"
WRONG_ACCOUNT = "wrong_account"
NO_CREDENTIALS = "no_credentials"
SOURCE_EMPTY = "source_empty"
LEDGER_UNWRITABLE = "ledger_unwritable"

REMEDIES: dict[str, str] = {
    ACCESS_DENIED: "add the missing permission to the policy of the principal named here: `syncd check JOB` names the statement",
    KMS_DENIED: "let the principal named here use the key: kms:Decrypt at the source, kms:GenerateDataKey at the destination",
    OBJECT_GONE: "nothing to do if the owner of the source deletes or expires logs; otherwise ask who deleted it",
    OBJECT_CHANGED: "nothing to do: the next tick lists the object again",
    ARCHIVED: "ask the owner of the source to restore the object",
    SLOW_DOWN: "nothing to do if it passes; otherwise lower engine.in_flight or set engine.requests_per_second",
    SERVER_ERROR: "nothing to do if it passes; otherwise look at the health of S3 in this region",
    CONNECTION: "check the network, DNS, proxy and endpoint between here and S3",
    TIMEOUT: "check the network between here and S3; the object is tried again",
    SHORT_BODY: "nothing to do if it passes: the object is read again",
    CHECKSUM: "nothing to do if it passes; otherwise suspect memory or the network of this machine",
    CANNOT_COMPARE: "allow the consumer s3:GetObject at the destination, so that a replica can be compared",
    CREDENTIALS: "give the consumer fresh credentials",
    WORKER_DIED: "nothing to do if it passes: the next tick starts another; otherwise look for the out-of-memory killer",
    NO_BUCKET: "correct the bucket's name in the job, or create the bucket",
    WRONG_REGION: "correct the region of this bucket in the job",
    UNSUPPORTED: "use a server that supports this call, or another copy mode",
    UNEXPECTED: "look at the answer quoted here",
    CONFLICT: "compare the two objects; `syncd ledger quarantine accept KEY` keeps the replica and ends the matter",
    RETRY_REQUESTED: "nothing to do: the next tick tries the object again, as was asked for",
    ROOT_CALLER: "use an IAM user or role of the consumer's account: AWS lets no root user assume a role",
    WRONG_ACCOUNT: "correct consumer.account_id, or point the job at credentials of that account",
    NO_CREDENTIALS: "set consumer.profile or consumer.credentials_file, or provide credentials by the default chain",
    SOURCE_EMPTY: "ask the owner of the source whether logs were deleted or the trail moved; check bucket and prefix in the job",
}


# "Troubleshoot access denied error messages", IAM user guide.
_DENIAL = re.compile(
    r"User: *(?P<user>\S*) is not authorized to perform: (?P<action>\S+)(?: on resource: (?P<resource>\"[^\"]*\"|\S+))?"
)


class Answer(NamedTuple):
    """What went wrong with one request, as a reason and a sentence."""

    reason: str
    detail: str


_BY_CODE = {
    "AccessDenied": ACCESS_DENIED,
    "AllAccessDisabled": ACCESS_DENIED,
    "InvalidAccessKeyId": ACCESS_DENIED,
    "SignatureDoesNotMatch": ACCESS_DENIED,
    "AccountProblem": ACCESS_DENIED,
    "NoSuchKey": OBJECT_GONE,
    "NoSuchVersion": OBJECT_GONE,
    "NoSuchBucket": NO_BUCKET,
    "InvalidObjectState": ARCHIVED,
    "SlowDown": SLOW_DOWN,
    "RequestLimitExceeded": SLOW_DOWN,
    "Throttling": SLOW_DOWN,
    "ThrottlingException": SLOW_DOWN,
    "InternalError": SERVER_ERROR,
    "ServiceUnavailable": SERVER_ERROR,
    "BadDigest": CHECKSUM,
    "InvalidDigest": CHECKSUM,
    "XAmzContentSHA256Mismatch": CHECKSUM,
    "XAmzContentChecksumMismatch": CHECKSUM,
    "RequestTimeout": TIMEOUT,
    "PermanentRedirect": WRONG_REGION,
    "AuthorizationHeaderMalformed": WRONG_REGION,
    "IllegalLocationConstraintException": WRONG_REGION,
    "ExpiredToken": CREDENTIALS,
    "ExpiredTokenException": CREDENTIALS,
    "TokenRefreshRequired": CREDENTIALS,
    "InvalidToken": CREDENTIALS,
    "NotImplemented": UNSUPPORTED,
    # The transport's own words, where no answer came.
    CONNECTION: CONNECTION,
    TIMEOUT: TIMEOUT,
}

_BY_STATUS = {
    301: WRONG_REGION,
    307: WRONG_REGION,
    403: ACCESS_DENIED,
    404: OBJECT_GONE,
    408: TIMEOUT,
    412: OBJECT_CHANGED,
    429: SLOW_DOWN,
    501: UNSUPPORTED,
    503: SLOW_DOWN,
}


def reason_of(status: int, code: str, message: str = "") -> str:
    """The reason for an HTTP status and an S3 error code; the code, where known, tells more than the status."""
    if code.startswith("KMS.") or ("kms:" in message.lower() and status in (400, 403)):
        return KMS_DENIED
    by_code = _BY_CODE.get(code)
    if by_code is not None:
        return by_code
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return SERVER_ERROR if status >= 500 else UNEXPECTED


def said(code: str, message: str) -> str:
    """Code and message of a refusal, without the principal, the action and the resource that a denial repeats.

    KMS's are kept, since they tell of another call and of another resource: the key.
    """
    found = _DENIAL.match(message)
    if found is not None and not found["action"].startswith("kms:"):
        message = message[found.end() :].strip()
    return ": ".join(part for part in (code, message) if part)


def remedy_of(reason: str) -> str:
    """What the operator can do about it."""
    return REMEDIES.get(reason, REMEDIES[UNEXPECTED])
