"""GetScopedCredentials: temporary credentials of the same principal that may do less (STS API Reference).

The installed botocore need not know the call, so its request is written here.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from syncd.aws.identity import refusals
from syncd.aws.identity.plain.calls import VERSION, document_of, refusal
from syncd.aws.identity.role import credentials_in
from syncd.aws.wire.signing import Credentials
from syncd.model import events
from syncd.model.errors import JobFailed
from syncd.model.reasons import Reason

CALL = "GetScopedCredentials"
_KEPT = 256
_EARLY_SECONDS = 60.0
"""Credentials that end so soon are not used for another tick."""
# What a server answers that does not know the call, beside Reason.UNSUPPORTED.
_NOT_KNOWN = frozenset({404, 405, 501})


def scoped(
    credentials: Credentials, policy: str, *, url: str, region: str, send: Callable[[Any], Any], who: str
) -> Credentials:
    """Return credentials that may do what the policy allows, as far as these may.

    Raises:
        JobFailed: STS does not know the call, refused it, or cannot be reached.
    """
    with refusals.as_job_failure(
        f"{CALL} by {who}",
        denied="allow sts:GetScopedCredentials in the consumer's own policy, or remove consumer.narrow",
        hidden=(credentials.session_token,),
    ):
        answer = send(_signed(credentials, policy, url=url, region=region))
        document = document_of(answer.content)
        found = document.find(".//{*}Credentials")
        if answer.status_code != 200 or found is None:
            raise refusal(CALL, answer.status_code, document)
        fields: dict[str, Any] = {item.tag.rpartition("}")[2]: item.text or "" for item in found}
        return credentials_in({**fields, "Expiration": datetime.fromisoformat(fields["Expiration"])})


def _is_not_known(error: JobFailed) -> bool:
    """Return whether STS refused the call because it does not know it."""
    return error.reason == Reason.UNSUPPORTED or refusals.status_of(error.__cause__) in _NOT_KNOWN


class Narrowing:
    """The consumers' narrowed credentials, so that each is asked for once."""

    def __init__(self, *, now: Callable[[], float]) -> None:
        self._now = now
        self._kept: dict[tuple[Credentials, str], Credentials] = {}

    def of(
        self,
        credentials: Credentials,
        policy: str,
        narrow: Callable[[str], Credentials],
        tell: Callable[..., None],
    ) -> Credentials:
        """Return the credentials narrowed by `narrow`. Where that is impossible, say so and return them as they are."""
        key = (credentials, policy)
        kept = self._kept.get(key)
        if kept is None or (kept.expires_at is not None and kept.expires_at - _EARLY_SECONDS < self._now()):
            if len(self._kept) > _KEPT:
                self._kept.clear()
            kept = self._kept[key] = self._narrowed(credentials, policy, narrow, tell)
        return kept

    def forget(self) -> None:
        """Ask anew for all of them, since some were rejected."""
        self._kept.clear()

    def _narrowed(
        self,
        credentials: Credentials,
        policy: str,
        narrow: Callable[[str], Credentials],
        tell: Callable[..., None],
    ) -> Credentials:
        if credentials.session_token is None:
            detail = f"the consumer's keys are not temporary, and STS narrows no others by {CALL}"
            tell(events.CONSUMER_NOT_NARROWED, reason="not_temporary", detail=detail)
            return credentials
        try:
            narrowed = narrow(policy)
        except JobFailed as error:
            if error.reason in refusals.REJECTED:
                raise
            known = "" if not _is_not_known(error) else f"this STS does not know {CALL}: "
            tell(
                events.CONSUMER_NOT_NARROWED, reason=error.reason, detail=f"{known}{error.detail}", remedy=error.remedy
            )
            return credentials
        tell(events.CONSUMER_NARROWED, detail=f"{CALL} narrowed the consumer's credentials to what the job needs")
        return narrowed


def _signed(credentials: Credentials, policy: str, *, url: str, region: str) -> Any:
    from botocore.auth import SigV4Auth  # noqa: PLC0415  # an idle tick goes without
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    from botocore.credentials import ReadOnlyCredentials  # noqa: PLC0415

    body = urlencode({"Action": CALL, "Version": VERSION, "Policy": policy, "ScopedSessionDescription": "syncd"})
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    request = AWSRequest("POST", f"{url.rstrip('/')}/", headers=headers, data=body)
    keys = ReadOnlyCredentials(
        credentials.access_key_id, credentials.secret_access_key, credentials.session_token or ""
    )
    SigV4Auth(keys, "sts", region).add_auth(request)
    return request.prepare()
