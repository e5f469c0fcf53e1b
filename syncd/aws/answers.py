"""Error answers of S3 and STS: which reason a code or a status stands for, and what was said. Pure."""

import re

from syncd.model.reasons import Reason

# "Troubleshoot access denied error messages", IAM user guide.
_DENIAL = re.compile(
    r"User: *(?P<user>\S*) is not authorized to perform: (?P<action>\S+)(?: on resource: (?P<resource>\"[^\"]*\"|\S+))?"
)


_BY_CODE = {
    "AccessDenied": Reason.ACCESS_DENIED,
    "AllAccessDisabled": Reason.ACCOUNT_PROBLEM,
    "AccountProblem": Reason.ACCOUNT_PROBLEM,
    "NotSignedUp": Reason.ACCOUNT_PROBLEM,
    "InvalidAccessKeyId": Reason.INVALID_CREDENTIALS,
    "InvalidSecurity": Reason.INVALID_CREDENTIALS,
    "SignatureDoesNotMatch": Reason.WRONG_SECRET,
    "RequestTimeTooSkewed": Reason.CLOCK_SKEWED,
    "RequestExpired": Reason.CLOCK_SKEWED,
    "NoSuchKey": Reason.OBJECT_GONE,
    "NoSuchVersion": Reason.OBJECT_GONE,
    "NoSuchBucket": Reason.NO_BUCKET,
    "InvalidObjectState": Reason.ARCHIVED,
    "SlowDown": Reason.SLOW_DOWN,
    "RequestLimitExceeded": Reason.SLOW_DOWN,
    "Throttling": Reason.SLOW_DOWN,
    "ThrottlingException": Reason.SLOW_DOWN,
    "InternalError": Reason.SERVER_ERROR,
    "ServiceUnavailable": Reason.SERVER_ERROR,
    "BadDigest": Reason.CHECKSUM,
    "InvalidDigest": Reason.CHECKSUM,
    "XAmzContentSHA256Mismatch": Reason.CHECKSUM,
    "XAmzContentChecksumMismatch": Reason.CHECKSUM,
    "RequestTimeout": Reason.TIMEOUT,
    "PermanentRedirect": Reason.WRONG_REGION,
    "AuthorizationHeaderMalformed": Reason.WRONG_REGION,
    "IllegalLocationConstraintException": Reason.WRONG_REGION,
    "ExpiredToken": Reason.CREDENTIALS,
    "ExpiredTokenException": Reason.CREDENTIALS,
    "TokenRefreshRequired": Reason.CREDENTIALS,
    "InvalidToken": Reason.CREDENTIALS,
    "NotImplemented": Reason.UNSUPPORTED,
    "ConditionalRequestConflict": Reason.CONCURRENT_WRITE,
    "OperationAborted": Reason.CONCURRENT_WRITE,
    "KeyTooLongError": Reason.KEY_TOO_LONG,
    # The transport's own words, where no answer came.
    Reason.CONNECTION: Reason.CONNECTION,
    Reason.SHORT_BODY: Reason.SHORT_BODY,
    Reason.TIMEOUT: Reason.TIMEOUT,
    Reason.UNEXPECTED: Reason.UNEXPECTED,
}


_OWN_WORDS = frozenset({Reason.CONNECTION, Reason.SHORT_BODY, Reason.TIMEOUT, Reason.UNEXPECTED})


_BY_STATUS = {
    301: Reason.WRONG_REGION,
    307: Reason.WRONG_REGION,
    403: Reason.ACCESS_DENIED,
    404: Reason.OBJECT_GONE,
    408: Reason.TIMEOUT,
    409: Reason.CONCURRENT_WRITE,
    412: Reason.OBJECT_CHANGED,
    429: Reason.SLOW_DOWN,
    501: Reason.UNSUPPORTED,
    503: Reason.SLOW_DOWN,
}


def reason_of(status: int, code: str, message: str = "") -> str:
    """The reason for an HTTP status and an S3 error code; the code, where known, tells more than the status."""
    if code.startswith("KMS.") or ("kms:" in message.lower() and status in (400, 403)):
        return Reason.KMS_DENIED
    by_code = _BY_CODE.get(code)
    if by_code is not None:
        return by_code
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return Reason.SERVER_ERROR if status >= 500 else Reason.UNEXPECTED


def said(code: str, message: str) -> str:
    """Code and message of a refusal, without what else is told already: each thing is told once.

    Those are the principal, the action and the resource that a denial repeats, and a code that is our own word for the
    reason or the beginning of its message. KMS's denials are kept, since they tell of another call and of another
    resource: the key.
    """
    if code.isdigit() and message:
        return f"{message} (HTTP {code})"
    found = _DENIAL.match(message)
    if found is not None and not found["action"].startswith("kms:"):
        message = message[found.end() :].strip()
    if message and (code in _OWN_WORDS or message.startswith(code)):
        return message
    return ": ".join(part for part in (code, message) if part)
