"""Refusals of STS, and calls that never reached it, as JobFailed with a remedy.

Which reason a code or message stands for is decided in `answers`. The sentences are made here.
"""

import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from syncd.aws import answers
from syncd.model import reasons
from syncd.model.actions import remedy_of_action
from syncd.model.errors import JobFailed
from syncd.model.reasons import Reason
from syncd.model.shortage import resource_limit, shortage
from syncd.model.units import format_duration

if TYPE_CHECKING:
    from botocore import exceptions

# "Signature expired: 20210502T144040Z is now earlier than 20210502T173143Z (20210502T174643Z - 15 min.)", and "Signature
# not yet current: … is still later than … (… + 15 min.)": when it was signed, the bound, and STS's own time.
_STAMPS = re.compile(r": (?P<signed>\d{8}T\d{6}Z) is .*\((?P<theirs>\d{8}T\d{6}Z) ")

_TUNNEL = re.compile(r"Tunnel connection failed: \d{3} [ -&(-~]*")

_RESTART = "restart syncd: its packages have changed since it was started"
_NOT_STS = "check endpoints.sts, and that no proxy answers for it"
_CHAINED = 'set source.role.duration = "1h": a role that another role assumes lasts no longer'
_REMEDIES: Mapping[Reason, str] = {
    Reason.INVALID_CREDENTIALS: (
        "give the consumer a new access key, or activate this one: it was deleted, made inactive or mistyped, has a session"
        " token that is not its own, or is of another partition; or its account has not enabled the region that was asked"
        " (source.role.sts_region, else source.region)"
    ),
    Reason.ACCOUNT_PROBLEM: (
        "ask AWS Support or the owner of the consumer's account: it was suspended, closed or never signed up"
    ),
    Reason.SLOW_DOWN: "nothing to do if it passes; otherwise let the jobs of this account tick less often (every)",
    Reason.UNSUPPORTED: (
        "use an STS that knows this call (endpoints.sts), or leave out [source.role] to read with the consumer's own credentials"
    ),
    Reason.WRONG_REGION: "correct source.role.sts_region in the job, or endpoints.sts: one is of another region than the other",
}
"""Remedies that STS needs in place of those of `model.reasons`."""

REJECTED = frozenset({Reason.CREDENTIALS, Reason.INVALID_CREDENTIALS, Reason.WRONG_SECRET})
"""Reasons of credentials that others may cure."""

NOT_SHOWN = "(not shown)"
_LONG_SECRET = 8


@contextmanager
def as_job_failure(call: str, *, denied: str, hidden: Collection[str | None] = ()) -> Iterator[None]:
    """Turn what botocore raises into JobFailed.

    `call` names the call, the principal and the resource. `denied` is the remedy if a permission is missing: only the
    caller knows it. No message shows what is `hidden`.
    """
    try:
        yield
    except JobFailed:
        raise
    except Exception as error:
        is_botocores = raised_by_botocore(error, "BotoCoreError")
        if raised_by_botocore(error, "ClientError"):
            raise _refused(call, error, denied, hidden) from error
        if shortage(error) and (is_botocores or isinstance(error, OSError | RuntimeError | ImportError)):
            raise resource_limit(call, error) from error
        if is_botocores:
            raise _unanswered(call, error, hidden) from error
        if isinstance(error, ImportError):
            # An upgrade, say, under a daemon that had not needed it yet.
            raise JobFailed(Reason.UNEXPECTED, f"{call}: botocore cannot be loaded: {error}", _RESTART) from error
        is_odd = isinstance(error, KeyError | ValueError | RecursionError) and not isinstance(error, OSError)
        if is_odd or raised_by_botocore(error, "ResponseParserError"):
            # botocore quotes the answer in what it raises, and the answer may hold credentials: drop all of it.
            raise JobFailed(Reason.UNEXPECTED, f"{call}: the answer is not one of STS", _NOT_STS) from None
        raise


def raised_by_botocore(error: BaseException | None, *names: str) -> bool:
    """Return whether an error is of one of these classes of botocore's.

    Loads nothing: if botocore is not loaded, it raised nothing.
    """
    modules = (sys.modules.get(f"botocore.{module}") for module in ("exceptions", "parsers"))
    known = [vars(module) for module in modules if module is not None]
    return isinstance(error, tuple(module[name] for module in known for name in names if name in module))


def _refused(call: str, error: Exception, denied: str, hidden: Collection[str | None]) -> JobFailed:
    code, message = answered(error)
    reason = reason_of(error)
    name = call.partition(" ")[0]
    beside = remedy_of_action(answers.denied_action(name, message))
    remedy = (beside or denied) if reason is Reason.ACCESS_DENIED else remedy_for(error)
    return JobFailed(reason, f"{call}: {without(answers.said(name, code, message), hidden)}", remedy)


def _unanswered(call: str, error: Any, hidden: Collection[str | None]) -> JobFailed:
    # For parameters botocore writes a line each.
    what = "; ".join(str(error).replace("failed:\n", "failed: ").splitlines())
    # Of a proxy it names the URL, and not what the proxy answered.
    refusal = _TUNNEL.search(str(error.kwargs.get("error", "")))
    what += f" ({refusal[0]})" if refusal else ""
    reason, remedy = _not_sent(error)
    return JobFailed(reason, f"{call}: {without(what, (*hidden, *passwords_of_proxies()))}", remedy)


def passwords_of_proxies() -> Iterator[str]:
    """Yield the passwords in the proxies' URLs, whole and in the parts that a parser may cut them into."""
    for name, url in os.environ.items():
        if name.lower().endswith("_proxy"):
            user, _, password = url.rpartition("@")[0].rpartition("://")[2].partition(":")
            del user
            yield from (password, unquote(password), *re.split(r"[^\w.~-]", password))


def without(text: str, hidden: Collection[str | None]) -> str:
    """Return a server's text without the secrets that it was sent and may repeat."""
    for secret in hidden:
        if secret:
            text = re.sub(rf"'{re.escape(secret)}'|(?<!\w){re.escape(secret)}(?!\w)", NOT_SHOWN, text)
            # A long secret cannot be there by chance, whatever stands beside it.
            text = text.replace(secret, NOT_SHOWN) if len(secret) >= _LONG_SECRET else text
    return text


def reason_of(error: BaseException) -> Reason:
    """Return the reason of a refusal."""
    return answers.sts_reason_of(status_of(error), *answered(error))


def remedy_for(error: BaseException) -> str:
    """Return the remedy for a refusal. For ACCESS_DENIED only the caller knows a better one."""
    reason, (code, message) = reason_of(error), answered(error)
    if reason is Reason.CLOCK_SKEWED:
        return _by_how_much(message) + reasons.remedy_of(reason)
    if answers.ROLE_CHAINED in message:
        return _CHAINED
    if reason is Reason.UNEXPECTED and code.isdigit():
        return _NOT_STS
    return _REMEDIES.get(reason) or reasons.remedy_of(reason)


def answered(error: BaseException | None) -> tuple[str, str]:
    """Return AWS's code and message behind a failure. Empty if AWS was not reached."""
    if not raised_by_botocore(error, "ClientError"):
        return "", ""
    refused: Any = error
    answer = refused.response.get("Error") or {"Message": "no reason given"}
    return str(answer.get("Code") or status_of(error)), str(answer.get("Message") or "")


def status_of(error: BaseException | None) -> int:
    """Return the HTTP status of a refusal, or 0 if it is not known or none was answered."""
    refused: Any = error
    response = refused.response if raised_by_botocore(error, "ClientError") else {}
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _by_how_much(message: str) -> str:
    found = _STAMPS.search(message)
    if found is None:
        return ""
    signed, theirs = (datetime.strptime(found[name], "%Y%m%dT%H%M%S%z") for name in ("signed", "theirs"))
    side = "behind" if signed < theirs else "ahead of"
    return f"this machine's clock is {format_duration(_distance(signed, theirs))} {side} that of STS: "


def _distance(one: datetime, other: datetime) -> timedelta:
    return max(one, other) - min(one, other)


def _not_sent(error: "exceptions.BotoCoreError") -> tuple[Reason, str]:
    """Return the reason and remedy of a call that got no answer. An empty remedy is that of the reason."""
    from botocore import exceptions  # noqa: PLC0415

    match error:
        case exceptions.ParamValidationError():
            return Reason.INVALID_PARAMETER, ""
        case exceptions.NoCredentialsError():
            return Reason.NO_CREDENTIALS, ""
        case exceptions.SSLError() | exceptions.HTTPClientError() if "certificate" in str(error).lower():
            return Reason.UNTRUSTED, ""
        case exceptions.ReadTimeoutError():
            return Reason.TIMEOUT, ""
        case exceptions.HTTPClientError() | exceptions.ConnectionError():
            return Reason.CONNECTION, ""
        case _:
            return Reason.UNEXPECTED, ""
