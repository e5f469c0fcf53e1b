"""Principals and sessions: who signs a request, and what AssumeRole and GetCallerIdentity answer."""

import re
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from faulty.answer import Answer, S3Error, StsError, elements, sts_document
from faulty.request import Request

_SHORTEST_SECONDS, _LONGEST_SECONDS = 900, 43_200
_CHAINED_SECONDS = 3_600
_ACTION = re.compile(r'"s3:(\w+)"')
_NEEDS = {"ListObjectsV2": "ListBucket", "HeadObject": "GetObject"}


@dataclass(frozen=True)
class Principal:
    """One set of credentials and whose they are."""

    account_id: str
    arn: str
    user_id: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires: datetime | None = None
    role_arn: str | None = None
    actions: frozenset[str] | None = None
    """All that credentials may do that were narrowed; None for those that were not."""

    @property
    def is_root(self) -> bool:
        """Whether these are an account's root user's."""
        return self.arn.endswith(":root")


@dataclass(frozen=True)
class Role:
    """A role that may be assumed."""

    arn: str
    trusts: frozenset[str]
    """Account IDs."""
    external_id: str | None
    max_seconds: int


class Identities:
    """Users, roles and sessions of every account."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._principals: dict[str, Principal] = {}
        self.roles: dict[str, Role] = {}
        self.session_seconds: float | None = None
        """Set: every new session lasts this long, whatever was asked for."""
        self.scopes = False
        """Set: GetScopedCredentials is known."""
        self.web_identity: Principal | None = None
        """The session that any token of a web identity is exchanged for."""
        self.longest_policy: int | None = None
        """Set: a longer session policy is too large, packed."""

    def add_user(self, account_id: str, name: str) -> Principal:
        """A new IAM user with an access key."""
        arn = f"arn:aws:iam::{account_id}:{'root' if name == 'root' else f'user/{name}'}"
        user_id = account_id if name == "root" else f"AIDA{secrets.token_hex(8).upper()}"
        return self._add(account_id, arn, user_id, key_prefix="AKIA")

    def remove(self, user: Principal) -> None:
        """Its access key is no more."""
        del self._principals[user.access_key_id]

    def start(self, account_id: str, role_name: str) -> Principal:
        """A session of a role of this account, as an instance or a pod has one."""
        role = Role(f"arn:aws:iam::{account_id}:role/{role_name}", frozenset(), None, 3600)
        return self._start_session(role, "i-0123456789", 3600)

    def expire_sessions(self) -> None:
        """Every session issued so far is over."""
        for key, principal in list(self._principals.items()):
            if principal.session_token is not None:
                self._principals[key] = replace(principal, expires=self._clock() - timedelta(seconds=1))

    def revoke(self, access_key_ids: Collection[str]) -> None:
        """These sessions are over."""
        for key in access_key_ids:
            self._principals[key] = replace(self._principals[key], expires=self._clock() - timedelta(seconds=1))

    def of_s3(self, request: Request) -> Principal:
        """Who sent a request to S3; raises S3Error."""
        if not request.access_key_id:
            raise S3Error(403, "AccessDenied", "Access Denied")
        principal = self._principals.get(request.access_key_id)
        if principal is None:
            message = "The AWS Access Key Id you provided does not exist in our records."
            raise S3Error(403, "InvalidAccessKeyId", message, AWSAccessKeyId=request.access_key_id)
        if principal.session_token != request.headers.get("x-amz-security-token"):
            raise S3Error(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
        if self._is_over(principal):
            raise S3Error(400, "ExpiredToken", "The provided token has expired.")
        if principal.actions is not None and _NEEDS.get(request.operation, request.operation) not in principal.actions:
            raise S3Error(403, "AccessDenied", "Access Denied")
        return principal

    def answer(self, request: Request) -> Answer:
        """Answers an STS call; raises StsError."""
        if request.operation == "AssumeRoleWithWebIdentity" and self.web_identity is not None:
            content = f"<Credentials>{_credentials(self.web_identity)}</Credentials>"
            return sts_document("AssumeRoleWithWebIdentity", content)
        caller = self._principals.get(request.access_key_id)
        token = request.headers.get("x-amz-security-token")
        if caller is None or caller.session_token != token:
            raise StsError(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
        if self._is_over(caller):
            raise StsError(403, "ExpiredToken", "The security token included in the request is expired")
        if request.operation == "GetCallerIdentity":
            content = elements(Arn=caller.arn, UserId=caller.user_id, Account=caller.account_id)
            return sts_document("GetCallerIdentity", content)
        if request.operation == "AssumeRole":
            return self._assume_role(caller, request.form)
        if request.operation == "GetScopedCredentials" and self.scopes:
            return self._scope(caller, request.form.get("Policy", ""))
        raise StsError(400, "InvalidAction", f"Could not find operation {request.operation} for version 2011-06-15")

    def _assume_role(self, caller: Principal, form: Mapping[str, str]) -> Answer:
        arn, name = form.get("RoleArn", ""), form.get("RoleSessionName", "")
        if caller.is_root:
            raise StsError(403, "AccessDenied", "Roles may not be assumed by root accounts.")
        role = self.roles.get(arn)
        is_trusted = role is not None and caller.account_id in role.trusts
        # One message for a role that is not there, is not for this caller, or wants another external ID.
        if role is None or not is_trusted or role.external_id not in (None, form.get("ExternalId")):
            message = f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
            raise StsError(403, "AccessDenied", message)
        if self.longest_policy is not None and len(form.get("Policy", "")) > self.longest_policy:
            message = "Packed policy consumes 140% of allotted space, please use smaller policy."
            raise StsError(400, "PackedPolicyTooLarge", message)
        seconds = _checked_seconds(caller, role, int(form.get("DurationSeconds", "3600")))
        session = self._start_session(role, name, seconds)
        user = elements(AssumedRoleId=session.user_id, Arn=session.arn)
        content = f"<Credentials>{_credentials(session)}</Credentials><AssumedRoleUser>{user}</AssumedRoleUser>"
        return sts_document("AssumeRole", content)

    def _scope(self, caller: Principal, policy: str) -> Answer:
        if caller.session_token is None:
            raise StsError(400, "InvalidSubjectCredentials", "Only temporary credentials can be scoped")
        scoped = self._add(
            caller.account_id,
            caller.arn,
            caller.user_id,
            key_prefix="ASIA",
            session_token=secrets.token_urlsafe(96),
            expires=caller.expires,
            role_arn=caller.role_arn,
        )
        scoped = replace(scoped, actions=frozenset(_ACTION.findall(policy)))
        self._principals[scoped.access_key_id] = scoped
        return sts_document("GetScopedCredentials", f"<Credentials>{_credentials(scoped)}</Credentials>")

    def _start_session(self, role: Role, name: str, seconds: float) -> Principal:
        account_id, role_name = role.arn.split(":")[4], role.arn.rpartition("/")[2]
        return self._add(
            account_id,
            f"arn:aws:sts::{account_id}:assumed-role/{role_name}/{name}",
            f"AROA{secrets.token_hex(8).upper()}:{name}",
            key_prefix="ASIA",
            session_token=secrets.token_urlsafe(96),
            expires=self._clock() + timedelta(seconds=self.session_seconds or seconds),
            role_arn=role.arn,
        )

    def _add(
        self,
        account_id: str,
        arn: str,
        user_id: str,
        *,
        key_prefix: str,
        session_token: str | None = None,
        expires: datetime | None = None,
        role_arn: str | None = None,
    ) -> Principal:
        key = f"{key_prefix}{secrets.token_hex(8).upper()}"
        secret = secrets.token_urlsafe(30)
        principal = Principal(account_id, arn, user_id, key, secret, session_token, expires, role_arn)
        self._principals[key] = principal
        return principal

    def _is_over(self, principal: Principal) -> bool:
        return principal.expires is not None and principal.expires <= self._clock()


def _credentials(session: Principal) -> str:
    assert session.expires is not None
    return elements(
        AccessKeyId=session.access_key_id,
        SecretAccessKey=session.secret_access_key,
        SessionToken=session.session_token,
        Expiration=f"{session.expires:%Y-%m-%dT%H:%M:%SZ}",
    )


def _checked_seconds(caller: Principal, role: Role, seconds: int) -> int:
    if not _SHORTEST_SECONDS <= seconds <= _LONGEST_SECONDS:
        message = f"Value '{seconds}' at 'durationSeconds' failed to satisfy constraint"
        raise StsError(400, "ValidationError", f"1 validation error detected: {message}")
    if caller.session_token is not None and seconds > _CHAINED_SECONDS:
        message = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        raise StsError(400, "ValidationError", message)
    if seconds > role.max_seconds:
        message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        raise StsError(400, "ValidationError", message)
    return seconds
