"""boto3 sessions and STS clients of a process, and the principals made of them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from syncd.aws.identity import refusals
from syncd.aws.identity import sts as sts_wire
from syncd.aws.identity.principals import ConsumerPrincipal, RolePrincipal, described
from syncd.aws.transport import Credentials
from syncd.config.job import Consumer, Job, Role
from syncd.model.errors import JobFailed
from syncd.model.reasons import Reason

_CONNECT_SECONDS = 10.0
_CLIENTS_KEPT = 256
_ANSWERS_IN_PLACE_OF_AN_IDENTITY = frozenset({404, 405, 501})
# "No permissions are required to perform this operation", not even in spite of a Deny (GetCallerIdentity, STS API Reference).
_IDENTITY_REMEDY = (
    "have the VPC endpoint or the proxy between here and STS let this call through: AWS itself asks for no permission; a"
    " server beside AWS (endpoints.sts) may ask for sts:GetCallerIdentity"
)


class Caller(NamedTuple):
    """The answer of GetCallerIdentity for the consumer's credentials."""

    arn: str
    account: str


class Identities:
    """Sessions and STS clients, shared by all jobs of a process. Each costs 12 MB and 140 ms."""

    def __init__(self, *, now: Callable[[], float]) -> None:
        self._now = now
        self._sessions: dict[tuple[str | None, str | None, int], boto3.Session] = {}
        self._clients: dict[tuple[str, str | None, Credentials], Any] = {}
        self._callers: dict[Credentials, Caller | None] = {}

    def session(self, consumer: Consumer) -> boto3.Session:
        """Return the boto3 session of this consumer, a new one if its file has changed."""
        path = None if consumer.credentials_file is None else str(consumer.credentials_file)
        key = (consumer.profile, path, _modified_ns(path or os.environ.get("AWS_SHARED_CREDENTIALS_FILE")))
        if key not in self._sessions:
            self._sessions[key] = _session(consumer.profile, path)
        return self._sessions[key]

    def consumer(self, job: Job, *, count: Callable[[str], None]) -> ConsumerPrincipal:
        """Return the consumer of a job, checked: not root, and of the job's account.

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
        """Return the job's role, assumed.

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
        """Return an STS client for the job's regional endpoint that signs with these credentials."""
        endpoint = job.endpoints.sts
        key = (job.source.region, endpoint, credentials)
        client = self._clients.get(key)
        if client is None:
            if len(self._clients) > _CLIENTS_KEPT:
                self._clients.clear()
            client = self._clients[key] = _sts_client(
                self.session(job.consumer), job.source.region, endpoint, credentials
            )
        return client

    def _caller(self, job: Job, credentials: Credentials, *, count: Callable[[str], None]) -> Caller | None:
        if credentials in self._callers:
            return self._callers[credentials]
        endpoints = job.endpoints
        if endpoints.s3 and not endpoints.sts and job.source.role is None:
            # A server of its own without an STS, and no role to assume.
            return None
        count("GetCallerIdentity")
        try:
            call, hidden = f"GetCallerIdentity by {described(job.consumer)}", (credentials.session_token,)
            with refusals.as_job_failure(call, denied=_IDENTITY_REMEDY, hidden=hidden):
                answer = self.sts(job, credentials).get_caller_identity()
        except JobFailed as error:
            # S3-compatible servers may assume roles and not know this call.
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


def _sts_client(session: boto3.Session, region: str, endpoint: str | None, credentials: Credentials) -> Any:
    client = session.client(
        "sts",
        region_name=region,
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
        client, authorities=authorities or os.environ.get("REQUESTS_CA_BUNDLE"), connect_seconds=_CONNECT_SECONDS
    )
    return client


def _check_caller(caller: Caller, job: Job) -> None:
    call, expected = f"GetCallerIdentity by {caller.arn}", job.consumer.account_id
    if caller.arn.endswith(":root"):
        raise JobFailed(Reason.ROOT_CALLER, f"{call}: roles may not be assumed by root accounts")
    if caller.account != expected:
        raise JobFailed(Reason.WRONG_ACCOUNT, f"{call}: consumer.account_id is {expected}, another account")
