"""Who acts: the consumer's own credentials, and the role that they assume in the source's account."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from syncd.aws.identity import refusals
from syncd.aws.identity import sts as sts_wire
from syncd.aws.transport import Credentials
from syncd.config.job import Consumer, Job, Role
from syncd.config.words import as_written
from syncd.model import reasons
from syncd.model.errors import JobFailed
from syncd.model.reasons import Reason

# Credentials are renewed when this much of their life is left, so that no object begins with what is about to end.
RENEW_AHEAD_SECONDS = 300.0
_CONNECT_SECONDS = 10.0
# A session that is rejected in its first minute was no cure; how many of them, before all that follow are none either.
_YOUNG_SECONDS = 60.0
_YOUNG_SESSIONS = 3
_ANSWERS_IN_PLACE_OF_AN_IDENTITY = frozenset({404, 405, 501})
# "No permissions are required to perform this operation", not even in spite of a Deny (GetCallerIdentity, STS API Reference).
_IDENTITY_REMEDY = (
    "have the VPC endpoint or the proxy between here and STS let this call through: AWS itself asks for no permission; a"
    " server beside AWS (endpoints.sts) may ask for sts:GetCallerIdentity"
)


class Caller(NamedTuple):
    """What GetCallerIdentity says of the consumer's credentials."""

    arn: str
    account: str


class ConsumerPrincipal:
    """The consumer's own credentials: a profile, a credentials file, or the default chain, which renews itself."""

    def __init__(
        self,
        consumer: Consumer,
        *,
        session: Callable[[], boto3.Session],
        identify: Callable[[Credentials], str | None] = lambda _: None,
    ) -> None:
        """Look the credentials up.

        `session` gives the consumer's session, a new one if its files have changed since the last. `identify` is asked
        whose other credentials are that appear later. It raises JobFailed for those of somebody else.
        """
        self._consumer = consumer
        self._session = session
        self._identify = identify
        self._current = self._frozen()
        self.name = f"the consumer ({consumer.account_id})"

    def current(self) -> Credentials:
        """The credentials last looked up."""
        return self._current

    def refresh(self, *, rejected: Credentials | None = None) -> Credentials:
        """Ask the provider, which renews temporary credentials of its own accord and reads a changed file again.

        Raises:
            JobFailed: those in use were rejected and there are no others, or the others are somebody else's.
        """
        try:
            fresh = self._frozen()
        except JobFailed:
            # A file may be about to be written: what was read before holds until it is rejected.
            if rejected == self._current:
                raise
            return self._current
        if fresh != self._current:
            self.name = self._identify(fresh) or self.name
            self._current = fresh
        return self._current

    def _frozen(self) -> Credentials:
        try:
            frozen = _provided(self._session, self._consumer).get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            raise _no_credentials(self._consumer, error) from error
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token, None)


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
        """`sts` makes an STS client that signs with the given credentials.

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
        """The session last assumed."""
        return self._current

    def refresh(self, *, rejected: Credentials | None = None) -> Credentials:
        """Assume the role again when the session is near its end or was rejected.

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
            raise JobFailed(Reason.CREDENTIALS, detail, reasons.remedy_of(Reason.CREDENTIALS))

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
        with refusals.told(call, denied=_assume_remedy(role), hidden=(role.external_id, consumer.session_token)):
            answer = self._sts(consumer).assume_role(**parameters)["Credentials"]
        self._assumed_at = self._now()
        return Credentials(
            answer["AccessKeyId"],
            answer["SecretAccessKey"],
            answer["SessionToken"],
            answer["Expiration"].timestamp(),
        )


class Identities:
    """The sessions and STS clients of a process, shared by all its jobs: each would cost 12 MB and 140 ms."""

    def __init__(self, *, now: Callable[[], float]) -> None:
        self._now = now
        self._sessions: dict[tuple[str | None, str | None, int], boto3.Session] = {}
        self._clients: dict[tuple[str, str | None, Credentials], Any] = {}
        self._callers: dict[Credentials, Caller | None] = {}

    def session(self, consumer: Consumer) -> boto3.Session:
        """The boto3 session of this consumer's profile and credentials file; a new one when the file has changed."""
        path = None if consumer.credentials_file is None else str(consumer.credentials_file)
        key = (consumer.profile, path, _modified_ns(path or os.environ.get("AWS_SHARED_CREDENTIALS_FILE")))
        if key not in self._sessions:
            self._sessions[key] = _session(consumer.profile, path)
        return self._sessions[key]

    def consumer(self, job: Job, *, count: Callable[[str], None]) -> ConsumerPrincipal:
        """The consumer of a job, checked: not root, and of the account that the job names.

        Raises:
            JobFailed: there are no credentials, or they are somebody else's.
        """

        def identify(credentials: Credentials) -> str | None:
            caller = self._caller(job, credentials, count=count)
            if caller is None:
                return None
            _check_caller(caller, job)
            return caller.arn

        principal = ConsumerPrincipal(job.consumer, session=lambda: self.session(job.consumer), identify=identify)
        principal.name = identify(principal.current()) or principal.name
        return principal

    def role(
        self, job: Job, role: Role, consumer: ConsumerPrincipal, *, policy: str, count: Callable[[str], None]
    ) -> RolePrincipal:
        """The job's role, assumed.

        Raises:
            JobFailed: STS refused, with its reason and the remedy.
        """
        return RolePrincipal(
            role,
            consumer,
            sts=lambda credentials: self.sts(job, credentials),
            session_policy=policy,
            now=self._now,
            count=count,
        )

    def sts(self, job: Job, credentials: Credentials) -> Any:
        """An STS client for the job's regional endpoint that signs with these credentials."""
        endpoint = job.endpoints.sts
        key = (job.source.region, endpoint, credentials)
        client = self._clients.get(key)
        if client is None:
            if len(self._clients) > 256:
                self._clients.clear()
            session = self.session(job.consumer)
            client = session.client(
                "sts",
                region_name=job.source.region,
                endpoint_url=endpoint,
                aws_access_key_id=credentials.access_key_id,
                aws_secret_access_key=credentials.secret_access_key,
                aws_session_token=credentials.session_token,
                config=Config(
                    connect_timeout=_CONNECT_SECONDS,
                    read_timeout=sts_wire.CALL_SECONDS,
                    retries={"mode": "standard", "max_attempts": 3},
                ),
            )
            # The session's own (AWS_CA_BUNDLE or the profile's ca_bundle), else what botocore falls back on.
            authorities = session._session.get_config_variable("ca_bundle")  # noqa: SLF001  # boto3 has no name for it
            sts_wire.bound(
                client,
                authorities=authorities or os.environ.get("REQUESTS_CA_BUNDLE"),
                connect_seconds=_CONNECT_SECONDS,
            )
            self._clients[key] = client
        return client

    def _caller(self, job: Job, credentials: Credentials, *, count: Callable[[str], None]) -> Caller | None:
        if credentials in self._callers:
            return self._callers[credentials]
        endpoints = job.endpoints
        if endpoints.s3 and not endpoints.sts and job.source.role is None:
            # A server of its own without an STS, and nobody who is asked for a role.
            return None
        count("GetCallerIdentity")
        try:
            call, hidden = f"GetCallerIdentity by {_named(job.consumer)}", (credentials.session_token,)
            with refusals.told(call, denied=_IDENTITY_REMEDY, hidden=hidden):
                answer = self.sts(job, credentials).get_caller_identity()
        except JobFailed as error:
            # S3-compatible servers may assume roles without saying who asks.
            cause = error.__cause__
            is_missing = (
                isinstance(cause, ClientError) and refusals.status_of(cause) in _ANSWERS_IN_PLACE_OF_AN_IDENTITY
            )
            if endpoints.sts is None or not is_missing:
                raise
            self._callers[credentials] = None
            return None
        self._callers[credentials] = Caller(
            refusals.without(answer["Arn"], hidden), refusals.without(answer["Account"], hidden)
        )
        return self._callers[credentials]


def _modified_ns(path: str | None) -> int:
    try:
        return Path(path or "~/.aws/credentials").expanduser().stat().st_mtime_ns
    except OSError:
        return 0


def _session(profile: str | None, credentials_file: str | None) -> boto3.Session:
    core = botocore.session.Session(profile="default" if profile is None and credentials_file else profile)
    if credentials_file is not None:
        core.set_config_variable("credentials_file", credentials_file)
    core.set_config_variable("sts_regional_endpoints", "regional")
    return boto3.Session(botocore_session=core)


def _provided(session: Callable[[], boto3.Session], consumer: Consumer) -> Any:
    path = consumer.credentials_file
    if path is not None and not path.is_file():
        raise _no_credentials(consumer, f"consumer.credentials_file {as_written(path)} is not there or is no file")
    try:
        found = session().get_credentials()
    except (BotoCoreError, ClientError) as error:
        raise _no_credentials(consumer, error) from error
    if found is None:
        raise _no_credentials(consumer, "no credentials were found, or whoever runs syncd may not read them")
    return found


def _no_credentials(consumer: Consumer, why: Exception | str) -> JobFailed:
    """A clock that is wrong is told as such, where AWS refused for it what a provider asked (a profile with `role_arn`)."""
    found = refusals.refusal_of(why) if isinstance(why, ClientError) else None
    if found is None or found.reason != Reason.CLOCK_SKEWED:
        found = refusals.Refusal(Reason.NO_CREDENTIALS, reasons.remedy_of(Reason.NO_CREDENTIALS))
    path, told = consumer.credentials_file, str(why)
    if path is not None:
        told = told.replace(str(path), as_written(path))
    return JobFailed(found.reason, f"looking for the credentials of {_named(consumer)}: {told}", found.remedy)


def _named(consumer: Consumer) -> str:
    """The consumer before anybody knows who it is: its account, and where its credentials come from."""
    named = [f"profile {consumer.profile}"] if consumer.profile is not None else []
    path = consumer.credentials_file
    named += [f"credentials file {as_written(path)}"] if path is not None else []
    return f"the consumer ({consumer.account_id}, {' of '.join(named) or 'the default chain'})"


def _check_caller(caller: Caller, job: Job) -> None:
    if caller.arn.endswith(":root"):
        raise _not_ours(Reason.ROOT_CALLER, caller, "roles may not be assumed by root accounts")
    if caller.account != job.consumer.account_id:
        raise _not_ours(
            Reason.WRONG_ACCOUNT, caller, f"consumer.account_id is {job.consumer.account_id}, another account"
        )


def _not_ours(reason: str, caller: Caller, why: str) -> JobFailed:
    return JobFailed(reason, f"GetCallerIdentity by {caller.arn}: {why}", reasons.remedy_of(reason))


def _assume_remedy(role: Role) -> str:
    external_id = (
        "has this external ID in its sts:ExternalId condition" if role.external_id else "asks for no external ID"
    )
    return (
        "check, since AWS gives one answer for all of these: the role exists; its trust policy names this principal and "
        f"{external_id}; and the consumer's own policy allows sts:AssumeRole on it: `syncd check JOB` names the statements"
    )
