"""Reasons by the codes, messages and statuses of S3 and STS. Pure.

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
_OWN_WORDS = frozenset(
    {
        Reason.CONNECTION,
        Reason.RESOURCE_LIMIT,
        Reason.SHORT_BODY,
        Reason.TIMEOUT,
        Reason.UNEXPECTED,
        Reason.UNTRUSTED,
    }
)

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
    # "Please reduce your request rate" comes with either code.
    "ServiceUnavailable": Reason.SLOW_DOWN,
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
# Errors of KMS (KMS API Reference, Decrypt and GenerateDataKey), which S3 hands on with this prefix.
_OF_KMS: Mapping[str, Reason] = {
    "KMS.DisabledException": Reason.KMS_DISABLED,
    "KMS.NotFoundException": Reason.KMS_GONE,
    "KMS.KMSInvalidStateException": Reason.KMS_UNUSABLE,
    "KMS.InvalidStateException": Reason.KMS_UNUSABLE,
    "KMS.KeyUnavailableException": Reason.KMS_UNUSABLE,
    "KMS.InvalidKeyUsageException": Reason.KMS_UNUSABLE,
    "KMS.ThrottlingException": Reason.SLOW_DOWN,
    "KMS.KMSInternalException": Reason.SERVER_ERROR,
    "KMS.DependencyTimeoutException": Reason.SERVER_ERROR,
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

# Words in the codes by which servers beside S3 deny. What else they answer with 403, such as a full quota, is no denial.
_DENYING = ("denied", "forbidden", "unauthorized", "notauthorized", "notallowed")
_OF_PAYLOADS = frozenset({"InvalidDigest", "XAmzContentSHA256Mismatch"})

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

# Unknown keys are among them: a session's keys may have ended before their time.
_EXPIRED = frozenset({code for code, reason in _OF_S3.items() if reason is Reason.CREDENTIALS} | {"InvalidAccessKeyId"})

# "Troubleshoot access denied error messages", IAM user guide.
_DENIAL = re.compile(
    r"User: *(?P<user>\S*) is not authorized to perform: (?P<action>\S+)(?: on resource: (?P<resource>\"[^\"]*\"|\S+))?"
)


_STS_CALLS = frozenset({"AssumeRole", "GetCallerIdentity", "GetScopedCredentials"})
# The action of a call whose name is another ("Actions, resources, and condition keys for Amazon S3").
_ACTIONS: Mapping[str, str] = {
    "ListObjectsV2": "s3:ListBucket",
    "HeadBucket": "s3:ListBucket",
    "HeadObject": "s3:GetObject",
    "CopyObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "UploadPartCopy": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "ListParts": "s3:ListMultipartUploadParts",
    "ListBuckets": "s3:ListAllMyBuckets",
    "GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "GetBucketOwnershipControls": "s3:GetBucketOwnershipControls",
}


def reason_of(status: int, code: str, message: str = "") -> Reason:
    """Return the reason for an answer of S3. A code that is known says more than the status."""
    if code.startswith("KMS."):
        return _of_kms(code, message)
    if "kms:" in message.lower() and status in (400, 403):
        return Reason.KMS_DENIED
    known = _OF_S3.get(code)
    if known is None and status == 403 and not _is_denial(code):
        return Reason.UNEXPECTED
    return known or _STATUS_OF_S3.get(status) or _of_class(status)


def _is_denial(code: str) -> bool:
    """Return whether a 403 is for lack of permission. The answer to a HEAD has no code, and its status is in its place."""
    return not code or code.isdigit() or any(word in code.lower() for word in _DENYING)


def may_be_about_payload(code: str) -> bool:
    """Return whether a refused write may be for UNSIGNED-PAYLOAD, and not for a body that does not match its digest."""
    return code in _OF_PAYLOADS


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


def _of_kms(code: str, message: str) -> Reason:
    if "pending deletion" in message.lower():
        return Reason.KMS_DELETING
    return _OF_KMS.get(code, Reason.KMS_DENIED)


def _of_class(status: int) -> Reason:
    return Reason.SERVER_ERROR if status >= 500 else Reason.UNEXPECTED


def is_expired(status: int, code: str, method: str) -> bool:
    """Return whether S3 refused a request because its credentials have ended.

    The answer to a HEAD has no body to say so, so a 400 may mean it.
    """
    return code in _EXPIRED or (method == "HEAD" and status == 400)


def denied_action(call: str, message: str) -> str:
    """Return the action that a denial is about, if it is not the call's own. Empty if it is, or if none is named.

    One call is authorised by several actions: AssumeRole by sts:TagSession too, PutObject by s3:PutObjectTagging.
    """
    found = _DENIAL.search(message)
    action = found["action"] if found is not None else ""
    return "" if action.lower() == _own_action(call).lower() else action


def said(call: str, code: str, message: str) -> str:
    """Return the code and message of a refused call, without what its report contains already.

    That is the principal, action and resource of a denial, and a code that is our own word for the reason or the
    beginning of its message. An action that is not the call's own is kept with its resource: KMS's, and others beside it.
    """
    if code.isdigit() and message:
        return f"{message} (HTTP {code})"
    found = _DENIAL.match(message)
    if found is not None and not denied_action(call, message):
        message = message[found.end() :].strip()
    if message and (code in _OWN_WORDS or message.startswith(code)):
        return message
    return ": ".join(part for part in (code, message) if part)


def _own_action(call: str) -> str:
    if call in _ACTIONS:
        return _ACTIONS[call]
    return f"{'sts' if call in _STS_CALLS else 's3'}:{call}"
