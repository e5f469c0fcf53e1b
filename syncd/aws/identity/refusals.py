"""What STS refuses, or cannot be asked, as the error of a job: the reason, what was said, and what to do about it.

Codes and wording are AWS's: "Common Errors" and AssumeRole of the STS API Reference, "Troubleshooting" of the IAM User
Guide. Of several refusals AWS gives one code to, the message tells which it is.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

from botocore import exceptions
from botocore.parsers import ResponseParserError

from syncd.aws import answers
from syncd.model import reasons
from syncd.model.errors import JobFailed
from syncd.model.reasons import Reason
from syncd.model.units import format_duration

# "Signature expired: 20210502T144040Z is now earlier than 20210502T173143Z (20210502T174643Z - 15 min.)", and "Signature
# not yet current: … is still later than … (… + 15 min.)": when it was signed, the bound, and STS's own time.
_SKEWED = ("Signature expired", "Signature not yet current")
_STAMPS = re.compile(r": (?P<signed>\d{8}T\d{6}Z) is .*\((?P<theirs>\d{8}T\d{6}Z) ")

_NOT_STS = "check endpoints.sts, and that no proxy answers for it"
_SCOPED = "correct source.region in the job, or endpoints.sts: one is of another region than the other"
_CHAINED = 'set source.role.duration = "1h": a role that another role assumes lasts no longer'
_UNKNOWN_KEY = (
    "give the consumer a new access key, or activate this one: it was deleted, made inactive or mistyped, has a session token"
    " that is not its own, or is of another partition; or its account has not enabled the region that was asked (source.region)"
)
_THROTTLED = "nothing to do if it passes; otherwise let the jobs of this account tick less often (every)"
_NOT_SIGNED_UP = "ask AWS Support or the owner of the consumer's account: it was suspended, closed or never signed up"
_NOT_KNOWN = "use an STS that knows this call (endpoints.sts), or leave out [source.role] to read with the consumer's own credentials"
_CERTIFICATE = (
    "have the certificate of the server or of the proxy trusted here (AWS_CA_BUNDLE names a file of authorities), or check"
    " that nobody stands between"
)

NOT_SHOWN = "(not shown)"
_LONG_SECRET = 8


class Refusal(NamedTuple):
    """Why, and what to do about it."""

    reason: str
    remedy: str


def _of(reason: str, remedy: str = "") -> Refusal:
    return Refusal(reason, remedy or reasons.remedy_of(reason))


_BY_CODE: Mapping[str, Refusal] = {
    "AccessDenied": _of(Reason.ACCESS_DENIED),
    "AccessDeniedException": _of(Reason.ACCESS_DENIED),
    "ExpiredToken": _of(Reason.CREDENTIALS),
    "ExpiredTokenException": _of(Reason.CREDENTIALS),
    "IncompleteSignature": _of(Reason.INVALID_CREDENTIALS, _UNKNOWN_KEY),
    "InternalFailure": _of(Reason.SERVER_ERROR),
    "InvalidAccessKeyId": _of(Reason.INVALID_CREDENTIALS, _UNKNOWN_KEY),
    "InvalidAction": _of(Reason.UNSUPPORTED, _NOT_KNOWN),
    "InvalidClientTokenId": _of(Reason.INVALID_CREDENTIALS, _UNKNOWN_KEY),
    "InvalidSignatureException": _of(Reason.WRONG_SECRET),
    "MalformedPolicyDocument": _of(Reason.POLICY_MALFORMED),
    "OptInRequired": _of(Reason.ACCOUNT_PROBLEM, _NOT_SIGNED_UP),
    "PackedPolicyTooLarge": _of(Reason.POLICY_TOO_LARGE),
    "RegionDisabledException": _of(Reason.REGION_DISABLED),
    "RequestExpired": _of(Reason.CLOCK_SKEWED),
    "RequestTimeTooSkewed": _of(Reason.CLOCK_SKEWED),
    "ServiceUnavailable": _of(Reason.SERVER_ERROR),
    "SignatureDoesNotMatch": _of(Reason.WRONG_SECRET),
    "Throttling": _of(Reason.SLOW_DOWN, _THROTTLED),
    "ThrottlingException": _of(Reason.SLOW_DOWN, _THROTTLED),
    "UnrecognizedClientException": _of(Reason.INVALID_CREDENTIALS, _UNKNOWN_KEY),
    "ValidationError": _of(Reason.INVALID_PARAMETER),
}
_BY_MESSAGE: Mapping[str, Refusal] = {
    "Credential should be scoped to a valid region": _of(Reason.WRONG_REGION, _SCOPED),
    "Roles may not be assumed by root accounts": _of(Reason.ROOT_CALLER),
    "1 hour session limit for roles assumed by role chaining": _of(Reason.SESSION_TOO_LONG, _CHAINED),
    "exceeds the MaxSessionDuration": _of(Reason.SESSION_TOO_LONG),
}
_BY_STATUS: Mapping[int, Refusal] = {
    429: _of(Reason.SLOW_DOWN, _THROTTLED),
    501: _of(Reason.UNSUPPORTED, _NOT_KNOWN),
    503: _of(Reason.SLOW_DOWN, _THROTTLED),
}


@contextmanager
def told(call: str, *, denied: str, hidden: Collection[str | None] = ()) -> Iterator[None]:
    """Turn what botocore raises into JobFailed, once.

    `call` names the call, the principal and the resource; `denied` is what to do where permission is what lacks; `hidden`
    is what no message may show.
    """
    try:
        yield
    except exceptions.ClientError as error:
        code, message = answered(error)
        found = refusal_of(error)
        remedy = denied if found.reason == Reason.ACCESS_DENIED else found.remedy
        said = without(answers.said(code, message), hidden)
        raise JobFailed(found.reason, f"{call}: {said}", remedy) from error
    except exceptions.BotoCoreError as error:
        # Of parameters botocore writes a line each.
        what = "; ".join(str(error).replace("failed:\n", "failed: ").splitlines())
        raise JobFailed(*_not_asked(error, f"{call}: {without(what, hidden)}")) from error
    except (ResponseParserError, KeyError):
        # botocore quotes the answer, which may hold credentials, in what it raises: nothing of it may go on.
        raise JobFailed(Reason.UNEXPECTED, f"{call}: the answer is not one of STS", _NOT_STS) from None


def without(text: str, hidden: Collection[str | None]) -> str:
    """Return what a server said without the secrets that it was sent: it may repeat them."""
    for secret in hidden:
        if secret:
            text = re.sub(rf"'{re.escape(secret)}'|(?<!\w){re.escape(secret)}(?!\w)", NOT_SHOWN, text)
            # Long ones are nothing else by chance, whatever stands beside them.
            text = text.replace(secret, NOT_SHOWN) if len(secret) >= _LONG_SECRET else text
    return text


def refusal_of(error: exceptions.ClientError) -> Refusal:
    """Why STS refused; of ACCESS_DENIED only the caller knows what to do about it."""
    code, message = answered(error)
    if message.startswith(_SKEWED):
        return _of(Reason.CLOCK_SKEWED, _by_how_much(message) + reasons.remedy_of(Reason.CLOCK_SKEWED))
    for words, refusal in _BY_MESSAGE.items():
        if words in message:
            return refusal
    return _BY_CODE.get(code) or _by_status(status_of(error), code)


def answered(error: BaseException | None) -> tuple[str, str]:
    """AWS's code and message behind a failure; empty where AWS was not reached."""
    if not isinstance(error, exceptions.ClientError):
        return "", ""
    answer = error.response.get("Error") or {"Message": "no reason given"}
    return str(answer.get("Code") or status_of(error)), str(answer.get("Message") or "")


def status_of(error: exceptions.ClientError) -> int:
    """The HTTP status of the answer; 0 where it is not known."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _by_status(status: int, code: str) -> Refusal:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return _of(Reason.SERVER_ERROR)
    # A status in place of a code: there was no error document, and STS always sends one.
    if code.isdigit():
        return _of(Reason.UNEXPECTED, _NOT_STS)
    return _of(Reason.ACCESS_DENIED if status in (401, 403) else Reason.UNEXPECTED)


def _by_how_much(message: str) -> str:
    found = _STAMPS.search(message)
    if found is None:
        return ""
    signed, theirs = (datetime.strptime(found[name], "%Y%m%dT%H%M%S%z") for name in ("signed", "theirs"))
    side = "behind" if signed < theirs else "ahead of"
    return f"this machine's clock is {format_duration(_distance(signed, theirs))} {side} that of STS: "


def _distance(one: datetime, other: datetime) -> timedelta:
    return max(one, other) - min(one, other)


def _not_asked(error: exceptions.BotoCoreError, detail: str) -> tuple[str, str, str]:
    """The facts of a JobFailed, where there was no answer."""
    match error:
        case exceptions.ParamValidationError():
            found = _of(Reason.INVALID_PARAMETER)
        case exceptions.NoCredentialsError():
            found = _of(Reason.NO_CREDENTIALS)
        case exceptions.SSLError():
            found = _of(Reason.CONNECTION, _CERTIFICATE)
        case exceptions.ReadTimeoutError():
            found = _of(Reason.TIMEOUT)
        case exceptions.HTTPClientError() | exceptions.ConnectionError():
            found = _of(Reason.CONNECTION)
        case _:
            found = _of(Reason.UNEXPECTED)
    return found.reason, detail, found.remedy
