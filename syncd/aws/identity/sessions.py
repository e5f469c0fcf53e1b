"""Sessions and STS clients of a process, and the principals made of them."""

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any, NamedTuple

from syncd.aws.identity import refusals, scoped
from syncd.aws.identity.lookups import Lookups
from syncd.aws.identity.places import Place, files_of, key_of, place_of
from syncd.aws.identity.plain.calls import Wire
from syncd.aws.identity.plain.session import Session, plain_session
from syncd.aws.identity.plain.written import Keys
from syncd.aws.identity.principals import ConsumerPrincipal, described
from syncd.aws.identity.role import RolePrincipal
from syncd.aws.policies.session import consumer_policy
from syncd.aws.wire.signing import Credentials
from syncd.config.job import Consumer, Job, Role
from syncd.model.errors import JobFailed
from syncd.model.reasons import Reason

_CLIENTS_KEPT = 256
_RENEWED_SECONDS = 10.0
"""The least time from one session of a consumer to the next, where its credentials are rejected."""
_ANSWERS_IN_PLACE_OF_AN_IDENTITY = frozenset({404, 405, 501})
# "No permissions are required to perform this operation", not even in spite of a Deny (GetCallerIdentity, STS API Reference).
_IDENTITY_REMEDY = (
    "have the VPC endpoint or the proxy between here and STS let this call through: AWS itself asks for no permission; a"
    " server beside AWS (endpoints.sts) may ask for sts:GetCallerIdentity"
)


class _Kept(NamedTuple):
    """A session, and its files as they were."""

    session: Session
    files: tuple[object, ...]


class Caller(NamedTuple):
    """The answer of GetCallerIdentity for the consumer's credentials."""

    arn: str
    account: str


class Identities:
    """Sessions and STS clients, shared by all jobs of a process. Each of botocore's costs 12 MB and 140 ms."""

    def __init__(self, *, now: Callable[[], float]) -> None:
        self._now = now
        self._lookups = Lookups()
        self._wire = Wire()
        self._narrowing = scoped.Narrowing(now=now)
        self._too_large: set[tuple[str, str]] = set()
        self._sessions: dict[tuple[object, ...], _Kept] = {}
        self._renewed_at: dict[tuple[object, ...], float] = {}
        self._clients: dict[tuple[Place, Credentials], Any] = {}
        self._callers: dict[Credentials, Caller | None] = {}

    def session(self, consumer: Consumer, place: Place = Place(None, None)) -> Session:  # noqa: B008  # a tuple
        """Return the session of this consumer, a new one if its files have changed. It may raise anything."""
        key, files = key_of(consumer, place), files_of(consumer)
        kept = self._sessions.get(key)
        if kept is None or kept.files != files:
            kept = self._sessions[key] = _Kept(self._new_session(consumer, place), files)
        return kept.session

    def _new_session(self, consumer: Consumer, place: Place) -> Session:
        def knowing(keys: Keys, profile: Mapping[str, str]) -> Session:
            from syncd.aws.identity.boto import session_knowing  # noqa: PLC0415  # an idle tick goes without

            return session_knowing(consumer, place, keys, profile)

        if (found := plain_session(consumer, place, whole=knowing, wire=self._wire)) is not None:
            return found
        from syncd.aws.identity.boto import session_of  # noqa: PLC0415  # as above

        return session_of(consumer, place)

    def session_of(self, job: Job) -> Session:
        """Return the session that the job's credentials were last looked up with."""
        kept = self._sessions.get(key_of(job.consumer, place_of(job)))
        return kept.session if kept is not None else self.session(job.consumer, place_of(job))

    def renew(self, job: Job) -> None:
        """Have the job's credentials looked up by a new session, which remembers nothing of the last one."""
        key = key_of(job.consumer, place_of(job))
        # Jobs with the same consumer are refused together, and a session costs too much to make one for each.
        if monotonic() - self._renewed_at.get(key, -_RENEWED_SECONDS) >= _RENEWED_SECONDS:
            self._renewed_at[key] = monotonic()
            self._sessions.pop(key, None)
            self._narrowing.forget()

    def looked_up(self, job: Job) -> ConsumerPrincipal:
        """Return the consumer of a job, whoever it is.

        Raises:
            JobFailed: there are no credentials.
        """
        return self._principal(job, lambda _: None)

    def consumer(
        self,
        job: Job,
        *,
        count: Callable[[str], None],
        tell: Callable[..., None] = lambda *_, **__: None,
        deletes: bool = False,
    ) -> ConsumerPrincipal:
        """Return the consumer of a job, checked: not root, of the job's account, and narrowed if the job says so.

        If it `deletes`, narrowed credentials may also prune the source of a job without a role.

        Raises:
            JobFailed: there are no credentials, or they are somebody else's.
        """

        def identify(credentials: Credentials) -> str | None:
            caller = self._caller(job, credentials, count=count)
            if caller is None:
                return None
            _check_caller(caller, job)
            return caller.arn

        def narrow(credentials: Credentials) -> Credentials:
            if not job.consumer.narrow:
                return credentials
            wanted = consumer_policy(job, deletes=deletes)
            return self._narrowing.of(
                credentials, wanted, lambda policy: self._scoped(job, credentials, policy, count), tell
            )

        principal = self._principal(job, identify, narrow)
        principal.identify()
        return principal

    def _scoped(self, job: Job, credentials: Credentials, policy: str, count: Callable[[str], None]) -> Credentials:
        from syncd.aws.identity import sts as sts_wire  # noqa: PLC0415  # an idle tick goes without
        from syncd.aws.identity.boto import authorities_of  # noqa: PLC0415

        count(scoped.CALL)
        meta = self.sts(job, credentials).meta
        authorities = authorities_of(self.session_of(job))
        return scoped.scoped(
            credentials,
            policy,
            url=meta.endpoint_url,
            region=meta.region_name,
            send=sts_wire.session_to(meta.endpoint_url, authorities=authorities).send,
            who=described(job.consumer),
        )

    def _principal(
        self,
        job: Job,
        identify: Callable[[Credentials], str | None],
        narrow: Callable[[Credentials], Credentials] = lambda credentials: credentials,
    ) -> ConsumerPrincipal:
        return ConsumerPrincipal(
            job.consumer,
            session=lambda: self.session(job.consumer, place_of(job)),
            identify=identify,
            renew=lambda: self.renew(job),
            narrow=narrow,
            lookups=self._lookups,
        )

    def role(
        self,
        job: Job,
        role: Role,
        consumer: ConsumerPrincipal,
        *,
        policies: Sequence[str],
        count: Callable[[str], None],
        on_shorter: Callable[[str, str], None] = lambda _policy, _detail: None,
    ) -> RolePrincipal:
        """Return the job's role, assumed. Of the session policies the first that STS takes holds.

        `on_shorter` is told of one that STS finds too large: the next one, and STS's words. It is not tried again.

        Raises:
            JobFailed: STS refused, with its reason and the remedy.
        """
        untried = [policy for policy in policies if (role.arn, policy) not in self._too_large]

        def shorter(taken: str, detail: str) -> None:
            self._too_large.update((role.arn, policy) for policy in policies[: policies.index(taken)])
            on_shorter(taken, detail)

        return RolePrincipal(
            role,
            consumer,
            sts=lambda credentials: self.sts(job, credentials),
            policies=untried or policies[-1:],
            now=self._now,
            count=count,
            on_shorter=shorter,
        )

    def sts(self, job: Job, credentials: Credentials) -> Any:
        """Return an STS client for the job's regional endpoint that signs with these credentials."""
        place = place_of(job)
        client = self._clients.get((place, credentials))
        if client is None:
            if len(self._clients) > _CLIENTS_KEPT:
                self._clients.clear()
            client = self._clients[place, credentials] = self.session_of(job).create_client(
                "sts",
                aws_access_key_id=credentials.access_key_id,
                aws_secret_access_key=credentials.secret_access_key,
                aws_session_token=credentials.session_token,
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
                arn, account = (refusals.without(answer[name], hidden) for name in ("Arn", "Account"))
        except JobFailed as error:
            # S3-compatible servers may assume roles and not know this call.
            is_missing = refusals.status_of(error.__cause__) in _ANSWERS_IN_PLACE_OF_AN_IDENTITY
            if endpoints.sts is None or not is_missing:
                raise
            self._callers[credentials] = None
            return None
        found = self._callers[credentials] = Caller(arn, account)
        return found


def _check_caller(caller: Caller, job: Job) -> None:
    call, expected = f"GetCallerIdentity by {caller.arn}", job.consumer.account_id
    if caller.arn.endswith(":root"):
        raise JobFailed(Reason.ROOT_CALLER, f"{call}: roles may not be assumed by root accounts")
    if caller.account != expected:
        raise JobFailed(Reason.WRONG_ACCOUNT, f"{call}: consumer.account_id is {expected}, another account")
