"""The role in the source's account, assumed by the consumer."""

from collections.abc import Callable, Sequence
from typing import Any

from syncd.aws.identity import refusals
from syncd.aws.identity.principals import ConsumerPrincipal
from syncd.aws.wire.signing import Credentials
from syncd.config.job import Role
from syncd.model.errors import JobFailed
from syncd.model.reasons import Reason

# Credentials are renewed when this much of their life is left, so that no object begins with credentials about to end.
RENEW_AHEAD_SECONDS = 300.0
# A new session that is rejected in its first minute has cured nothing. After so many of them, stop trying.
_YOUNG_SECONDS = 60.0
_YOUNG_SESSIONS = 3

NO_POLICY = ""


def assume_parameters(role: Role, *, with_external_id: bool = True) -> dict[str, Any]:
    """Return the parameters of AssumeRole that the job sets."""
    parameters: dict[str, Any] = {"RoleArn": role.arn, "RoleSessionName": role.session_name}
    if role.external_id is not None and with_external_id:
        parameters["ExternalId"] = role.external_id
    if role.source_identity is not None:
        parameters["SourceIdentity"] = role.source_identity
    if role.tags:
        parameters["Tags"] = [{"Key": key, "Value": value} for key, value in role.tags.items()]
    return parameters


class RolePrincipal:
    """The role in the source's account, assumed by the consumer."""

    def __init__(
        self,
        role: Role,
        consumer: ConsumerPrincipal,
        *,
        sts: Callable[[Credentials], Any],
        policies: Sequence[str],
        now: Callable[[], float],
        count: Callable[[str], None],
        on_shorter: Callable[[str, str], None] = lambda _policy, _detail: None,
        duration_seconds: int | None = None,
    ) -> None:
        """Assume the role. `sts` makes an STS client that signs with the given credentials.

        `policies` are session policies, each shorter than the one before and taken only if STS finds that one too
        large. `on_shorter` is told which is next, and why. `duration_seconds` is for tests, which have no time to wait
        for the shortest session that AWS grants.
        """
        self._role = role
        self._consumer = consumer
        self._sts = sts
        self._policies = list(policies)
        self._now = now
        self._count = count
        self._on_shorter = on_shorter
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
        consumer = self._consumer.refresh()
        while True:
            try:
                return self._assumed_by(consumer)
            except JobFailed as error:
                if error.reason == Reason.POLICY_TOO_LARGE and len(self._policies) > 1:
                    self._policies.pop(0)
                    self._on_shorter(self._policies[0], error.detail)
                    continue
                if error.reason not in refusals.REJECTED:
                    raise
                fresh = self._consumer.refresh(rejected=consumer)
                if fresh == consumer:
                    raise
                consumer = fresh

    def _assumed_by(self, consumer: Credentials) -> Credentials:
        role = self._role
        parameters = {**assume_parameters(role), "DurationSeconds": self._duration_seconds}
        if self._policies[0] != NO_POLICY:
            parameters["Policy"] = self._policies[0]
        self._count("AssumeRole")
        call = f"AssumeRole by {self._consumer.name} of {role.arn}"
        hidden = (role.external_id, consumer.session_token)
        with refusals.as_job_failure(call, denied=_assume_remedy(role), hidden=hidden):
            session = credentials_in(self._sts(consumer).assume_role(**parameters)["Credentials"])
        self._assumed_at = self._now()
        return session


def credentials_in(fields: Any) -> Credentials:
    """Return the session of an answer of STS. Raises KeyError if it is not all there."""
    access_key_id, secret, token = (fields[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
    if not (access_key_id and secret and token):
        raise KeyError("empty")
    return Credentials(access_key_id, secret, token, fields["Expiration"].timestamp())


def _assume_remedy(role: Role) -> str:
    external_id = (
        "has this external ID in its sts:ExternalId condition" if role.external_id else "asks for no external ID"
    )
    return (
        "check, since AWS gives one answer for all of these: the role exists; its trust policy names this principal and "
        f"{external_id}; a condition there on MFA or on a source identity is met; and the consumer's own policy allows"
        " sts:AssumeRole on it: `syncd check JOB` names the statements"
    )
