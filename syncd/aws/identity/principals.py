"""Principals of a job: the consumer, and the role that it assumes."""

from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from syncd.aws.identity import refusals
from syncd.aws.transport import Credentials
from syncd.config.job import Consumer, Role
from syncd.config.words import as_written
from syncd.model.errors import JobFailed
from syncd.model.reasons import Reason

# Credentials are renewed when this much of their life is left, so that no object begins with credentials about to end.
RENEW_AHEAD_SECONDS = 300.0
# A new session that is rejected in its first minute has cured nothing. After so many of them, stop trying.
_YOUNG_SECONDS = 60.0
_YOUNG_SESSIONS = 3


class ConsumerPrincipal:
    """The consumer's own credentials: a profile, a credentials file, or the default chain."""

    def __init__(
        self,
        consumer: Consumer,
        *,
        session: Callable[[], boto3.Session],
        identify: Callable[[Credentials], str | None] = lambda _: None,
    ) -> None:
        """Look the credentials up.

        `session` returns the consumer's session, a new one if its files have changed since. `identify` returns the name
        behind credentials that appear later, and raises JobFailed if they belong to somebody else.
        """
        self._consumer = consumer
        self._session = session
        self._identify = identify
        self._current = self._frozen()
        self.name = f"the consumer ({consumer.account_id})"

    def current(self) -> Credentials:
        """Return the credentials last looked up."""
        return self._current

    def refresh(self, *, rejected: Credentials | None = None) -> Credentials:
        """Ask the provider, which renews temporary credentials by itself and reads a changed file again.

        Raises:
            JobFailed: those in use were rejected and there are no others, or the others are somebody else's.
        """
        try:
            fresh = self._frozen()
        except JobFailed:
            # A file may be about to be written: use what was read before until it is rejected.
            if rejected == self._current:
                raise
            return self._current
        if fresh != self._current:
            self.name = self._identify(fresh) or self.name
            self._current = fresh
        return self._current

    def _frozen(self) -> Credentials:
        try:
            frozen = self._provided().get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            raise _no_credentials(self._consumer, error) from error
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token, None)

    def _provided(self) -> Any:
        path = self._consumer.credentials_file
        if path is not None and not path.is_file():
            why = f"consumer.credentials_file {as_written(path)} is not there or is no file"
            raise _no_credentials(self._consumer, why)
        found = self._session().get_credentials()
        if found is None:
            why = "no credentials were found, or whoever runs syncd may not read them"
            raise _no_credentials(self._consumer, why)
        return found


class RolePrincipal:
    """The role in the source's account, assumed by the consumer."""

    def __init__(
        self,
        role: Role,
        consumer: ConsumerPrincipal,
        *,
        sts: Callable[[Credentials], Any],
        session_policy: str,
        now: Callable[[], float],
        count: Callable[[str], None],
        duration_seconds: int | None = None,
    ) -> None:
        """Assume the role. `sts` makes an STS client that signs with the given credentials.

        `duration_seconds` is for tests, which have no time to wait for the shortest session that AWS grants.
        """
        self._role = role
        self._consumer = consumer
        self._sts = sts
        self._session_policy = session_policy
        self._now = now
        self._count = count
        self._duration_seconds = duration_seconds or int(role.duration.total_seconds())
        self._assumed_at = 0.0
        self._rejected_young = 0
        self._current = self._assume()

    @property
    def name(self) -> str:
        """The role's ARN."""
        return self._role.arn

    def current(self) -> Credentials:
        """Return the session last assumed."""
        return self._current

    def refresh(self, *, rejected: Credentials | None = None) -> Credentials:
        """Assume the role again if the session is near its end or was rejected.

        Raises:
            JobFailed: the role cannot be assumed, or new sessions are rejected one after the other.
        """
        if rejected is not None and rejected == self._current:
            self._count_rejected()
        expires_at = self._current.expires_at or 0.0
        ahead = min(RENEW_AHEAD_SECONDS, self._duration_seconds / 4)
        if rejected == self._current or expires_at - self._now() < ahead:
            self._current = self._assume()
        return self._current

    def _count_rejected(self) -> None:
        is_young = self._now() - self._assumed_at < min(_YOUNG_SECONDS, self._duration_seconds / 4)
        self._rejected_young = self._rejected_young + 1 if is_young else 0
        if self._rejected_young > _YOUNG_SESSIONS:
            detail = f"{self._rejected_young} new sessions of {self._role.arn} in a row were rejected as expired or not known"
            raise JobFailed(Reason.CREDENTIALS, detail)

    def _assume(self) -> Credentials:
        role = self._role
        parameters: dict[str, Any] = {
            "RoleArn": role.arn,
            "RoleSessionName": role.session_name,
            "DurationSeconds": self._duration_seconds,
            "Policy": self._session_policy,
        }
        if role.external_id is not None:
            parameters["ExternalId"] = role.external_id
        self._count("AssumeRole")
        consumer = self._consumer.refresh()
        call = f"AssumeRole by {self._consumer.name} of {role.arn}"
        hidden = (role.external_id, consumer.session_token)
        with refusals.as_job_failure(call, denied=_assume_remedy(role), hidden=hidden):
            answer = self._sts(consumer).assume_role(**parameters)["Credentials"]
        self._assumed_at = self._now()
        return Credentials(
            answer["AccessKeyId"],
            answer["SecretAccessKey"],
            answer["SessionToken"],
            answer["Expiration"].timestamp(),
        )


def described(consumer: Consumer) -> str:
    """Return the consumer's account and the source of its credentials, for reports."""
    named = [f"profile {consumer.profile}"] if consumer.profile is not None else []
    path = consumer.credentials_file
    named += [f"credentials file {as_written(path)}"] if path is not None else []
    return f"the consumer ({consumer.account_id}, {' of '.join(named) or 'the default chain'})"


def _no_credentials(consumer: Consumer, why: Exception | str) -> JobFailed:
    """Return the failure of a lookup. A provider may ask AWS (a profile with `role_arn`), which refuses a wrong clock."""
    path, what = consumer.credentials_file, str(why)
    if path is not None:
        what = what.replace(str(path), as_written(path))
    detail = f"looking for the credentials of {described(consumer)}: {what}"
    if isinstance(why, ClientError) and refusals.reason_of(why) is Reason.CLOCK_SKEWED:
        return JobFailed(Reason.CLOCK_SKEWED, detail, refusals.remedy_for(why))
    return JobFailed(Reason.NO_CREDENTIALS, detail)


def _assume_remedy(role: Role) -> str:
    external_id = (
        "has this external ID in its sts:ExternalId condition" if role.external_id else "asks for no external ID"
    )
    return (
        "check, since AWS gives one answer for all of these: the role exists; its trust policy names this principal and "
        f"{external_id}; and the consumer's own policy allows sts:AssumeRole on it: `syncd check JOB` names the statements"
    )
