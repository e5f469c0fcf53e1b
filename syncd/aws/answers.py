"""Reasons by the codes, messages and statuses of S3, STS and AWS's runtime. Pure.

Codes are those of "Error responses" of the S3 API Reference, and of "Common Errors" and AssumeRole of the STS API
Reference. STS has one code for several refusals, which its message tells apart ("Troubleshooting" of the IAM User
Guide). Sentences for people are made elsewhere: remedies in `model.reasons` and `identity.refusals`.
"""

import re
from collections.abc import Mapping

from syncd.model.reasons import Reason

_OF_BOTH: Mapping[str, Reason] = {
    "AccessDenied": Reason.ACCESS_DENIED,
    "ExpiredToken": Reason.CREDENTIALS,
    "ExpiredTokenException": Reason.CREDENTIALS,
    "InvalidAccessKeyId": Reason.INVALID_CREDENTIALS,
    "RequestExpired": Reason.CLOCK_SKEWED,
    "RequestTimeTooSkewed": Reason.CLOCK_SKEWED,
    "ServiceUnavailable": Reason.SERVER_ERROR,
    "SignatureDoesNotMatch": Reason.WRONG_SECRET,
    "Throttling": Reason.SLOW_DOWN,
    "ThrottlingException": Reason.SLOW_DOWN,
}

# The transport's own words if no answer came. They are reasons already.
_OWN_WORDS = frozenset({Reason.CONNECTION, Reason.SHORT_BODY, Reason.TIMEOUT, Reason.UNEXPECTED})

_OF_S3: Mapping[str, Reason] = {
    **_OF_BOTH,
    **{word: word for word in _OWN_WORDS},
    "AllAccessDisabled": Reason.ACCOUNT_PROBLEM,
    "AccountProblem": Reason.ACCOUNT_PROBLEM,
    "NotSignedUp": Reason.ACCOUNT_PROBLEM,
    "InvalidSecurity": Reason.INVALID_CREDENTIALS,
    "NoSuchKey": Reason.OBJECT_GONE,
    "NoSuchVersion": Reason.OBJECT_GONE,
    "NoSuchBucket": Reason.NO_BUCKET,
    "InvalidObjectState": Reason.ARCHIVED,
    "SlowDown": Reason.SLOW_DOWN,
    "RequestLimitExceeded": Reason.SLOW_DOWN,
    "InternalError": Reason.SERVER_ERROR,
    # A body that does not match its digest: the first is S3's own, the others come from servers beside it.
    "BadDigest": Reason.CHECKSUM,
    "InvalidDigest": Reason.CHECKSUM,
    "XAmzContentSHA256Mismatch": Reason.CHECKSUM,
    "XAmzContentChecksumMismatch": Reason.CHECKSUM,
    "RequestTimeout": Reason.TIMEOUT,
    "PermanentRedirect": Reason.WRONG_REGION,
    "AuthorizationHeaderMalformed": Reason.WRONG_REGION,
    "IllegalLocationConstraintException": Reason.WRONG_REGION,
    "TokenRefreshRequired": Reason.CREDENTIALS,
    "InvalidToken": Reason.CREDENTIALS,
    "NotImplemented": Reason.UNSUPPORTED,
    "ConditionalRequestConflict": Reason.CONCURRENT_WRITE,
    "OperationAborted": Reason.CONCURRENT_WRITE,
    "KeyTooLongError": Reason.KEY_TOO_LONG,
}
_OF_STS: Mapping[str, Reason] = {
    **_OF_BOTH,
    "AccessDeniedException": Reason.ACCESS_DENIED,
    "IncompleteSignature": Reason.INVALID_CREDENTIALS,
    "InternalFailure": Reason.SERVER_ERROR,
    "InvalidAction": Reason.UNSUPPORTED,
    "InvalidClientTokenId": Reason.INVALID_CREDENTIALS,
    "InvalidSignatureException": Reason.WRONG_SECRET,
    "MalformedPolicyDocument": Reason.POLICY_MALFORMED,
    "OptInRequired": Reason.ACCOUNT_PROBLEM,
    "PackedPolicyTooLarge": Reason.POLICY_TOO_LARGE,
    "RegionDisabledException": Reason.REGION_DISABLED,
    "UnrecognizedClientException": Reason.INVALID_CREDENTIALS,
    "ValidationError": Reason.INVALID_PARAMETER,
}

ROLE_CHAINED = "1 hour session limit for roles assumed by role chaining"
_STS_MESSAGES: Mapping[str, Reason] = {
    "Signature expired": Reason.CLOCK_SKEWED,
    "Signature not yet current": Reason.CLOCK_SKEWED,
    "Credential should be scoped to a valid region": Reason.WRONG_REGION,
    "Roles may not be assumed by root accounts": Reason.ROOT_CALLER,
    ROLE_CHAINED: Reason.SESSION_TOO_LONG,
    "exceeds the MaxSessionDuration": Reason.SESSION_TOO_LONG,
}

_STATUS_OF_BOTH: Mapping[int, Reason] = {
    403: Reason.ACCESS_DENIED,
    429: Reason.SLOW_DOWN,
    501: Reason.UNSUPPORTED,
    503: Reason.SLOW_DOWN,
}
_STATUS_OF_S3: Mapping[int, Reason] = {
    **_STATUS_OF_BOTH,
    301: Reason.WRONG_REGION,
    307: Reason.WRONG_REGION,
    404: Reason.OBJECT_GONE,
    408: Reason.TIMEOUT,
    409: Reason.CONCURRENT_WRITE,
    412: Reason.OBJECT_CHANGED,
}
_STATUS_OF_STS: Mapping[int, Reason] = {**_STATUS_OF_BOTH, 401: Reason.ACCESS_DENIED}

RUNTIME_ERRORS: Mapping[str, tuple[int, str]] = {
    "AWS_ERROR_S3_SLOW_DOWN": (503, "SlowDown"),
    "AWS_ERROR_S3_INTERNAL_ERROR": (500, "InternalError"),
    "AWS_ERROR_S3_CANCELED": (0, Reason.TIMEOUT),
    "AWS_ERROR_S3_REQUEST_TIMEOUT": (408, Reason.TIMEOUT),
    # The runtime sends these again five times, and hands over nothing of the answer, not even its Date.
    "AWS_ERROR_S3_REQUEST_TIME_TOO_SKEWED": (403, "RequestTimeTooSkewed"),
    # What it expects in the answer to a range.
    "AWS_ERROR_S3_MISSING_CONTENT_RANGE_HEADER": (0, Reason.UNEXPECTED),
    "AWS_ERROR_S3_INVALID_CONTENT_RANGE_HEADER": (0, Reason.UNEXPECTED),
    "AWS_ERROR_S3_MISSING_ETAG": (0, Reason.UNEXPECTED),
    "AWS_ERROR_DEST_COPY_TOO_SMALL": (0, Reason.SHORT_BODY),
}
"""Status and code by the runtime's error, for answers that it does not hand over."""

# Unknown keys are among them: a session's keys may have ended before their time.
_EXPIRED = frozenset({code for code, reason in _OF_S3.items() if reason is Reason.CREDENTIALS} | {"InvalidAccessKeyId"})

# "Troubleshoot access denied error messages", IAM user guide.
_DENIAL = re.compile(
    r"User: *(?P<user>\S*) is not authorized to perform: (?P<action>\S+)(?: on resource: (?P<resource>\"[^\"]*\"|\S+))?"
)


def reason_of(status: int, code: str, message: str = "") -> Reason:
    """Return the reason for an answer of S3. A code that is known says more than the status."""
    if code.startswith("KMS.") or ("kms:" in message.lower() and status in (400, 403)):
        return Reason.KMS_DENIED
    return _OF_S3.get(code) or _STATUS_OF_S3.get(status) or _of_class(status)


def sts_reason_of(status: int, code: str, message: str = "") -> Reason:
    """Return the reason for an answer of STS. Some messages say more than the code, a code more than the status."""
    for words, reason in _STS_MESSAGES.items():
        if words in message:
            return reason
    if code in _OF_STS:
        return _OF_STS[code]
    # A status in place of a code means that there was no error document, and STS always sends one.
    if code.isdigit() and status < 500 and status != 429:
        return Reason.UNEXPECTED
    return _STATUS_OF_STS.get(status) or _of_class(status)


def _of_class(status: int) -> Reason:
    return Reason.SERVER_ERROR if status >= 500 else Reason.UNEXPECTED


def is_expired(status: int, code: str, method: str) -> bool:
    """Return whether S3 refused a request because its credentials have ended.

    The answer to a HEAD has no body to say so, so a 400 may mean it.
    """
    return code in _EXPIRED or (method == "HEAD" and status == 400)


def said(code: str, message: str) -> str:
    """Return the code and message of a refusal, without what its report contains already.

    That is the principal, action and resource of a denial, and a code that is our own word for the reason or the
    beginning of its message. KMS's denials are kept: they are about another call and another resource, the key.
    """
    if code.isdigit() and message:
        return f"{message} (HTTP {code})"
    found = _DENIAL.match(message)
    if found is not None and not found["action"].startswith("kms:"):
        message = message[found.end() :].strip()
    if message and (code in _OWN_WORDS or message.startswith(code)):
        return message
    return ": ".join(part for part in (code, message) if part)
