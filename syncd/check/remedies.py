"""What to do about a refusal: the very statement to add, in which account, to which document. Pure.

AWS ends the message of a denial with the kind of policy that decided, where it tells at all ("Troubleshoot access denied
error messages", IAM user guide); across accounts it mostly does not.
"""

from collections.abc import Sequence
from enum import StrEnum

from syncd.aws.policies import documents as policies
from syncd.aws.policies import statements
from syncd.aws.policies.documents import PolicyDocument, statement_of
from syncd.aws.policies.statements import compact
from syncd.config.job import Job


class Denier(StrEnum):
    """Which kind of policy decided, as the message says."""

    IDENTITY = "identity-based policy"
    TRUST = "role trust policy"
    RESOURCE = "resource-based policy"
    SESSION = "session policy"
    BOUNDARY = "permissions boundary"
    SERVICE_CONTROL = "service control policy"
    RESOURCE_CONTROL = "resource control policy"
    ENDPOINT = "VPC endpoint policy"


_ELSEWHERE = {
    Denier.SESSION: "have the session policy of the principal named here allow this call too: whoever made its session set it",
    Denier.BOUNDARY: "have the permissions boundary of the principal named here allow this call too",
    Denier.SERVICE_CONTROL: "have the organization's administrator exempt this call from the service control policy",
    Denier.RESOURCE_CONTROL: "have the organization's administrator exempt this call from the resource control policy",
    Denier.ENDPOINT: "have the policy of the VPC endpoint between here and AWS allow this call",
}
# The role's session is syncd's own (`session_policy`).
_OWN_SESSION = (
    "check source.prefix, source.accounts and source.kinds in the job, of which syncd makes the session policy; if they are"
    " right, report it"
)


def denier_of(message: str) -> Denier | None:
    """The kind of policy that a denial's message names; None where it names none."""
    return next((denier for denier in Denier if denier.value in message), None)


def is_explicit(message: str) -> bool:
    """Whether a Deny decided, rather than that nothing allows the call."""
    return "explicit deny" in message


class Remedies:
    """What to do about a job's refusals, given who its consumer is."""

    def __init__(self, job: Job, principal: str | None) -> None:
        self._job = job
        self._documents = policies.documents(job, principal)

    def add(self, name: str, sid: str) -> str:
        """The statement, and where it goes.

        Raises:
            KeyError: the job needs no such statement.
        """
        document, statement = statement_of(self._documents, name, sid)
        return f"{_where(document)}, add: {compact(statement)}"

    def listing(self, message: str) -> str:
        """ListObjectsV2 of the source was denied."""
        return self._source(message, statements.LIST_LOGS)

    def reading(self, message: str) -> str:
        """GetObject at the source was denied."""
        if "kms:" in message.lower():
            return self._decrypting(message)
        return self._source(message, statements.READ_LOGS)

    def writing(self, message: str) -> str:
        """PutObject at the destination was denied."""
        if "kms:" in message.lower():
            return self._encrypting()
        return self._destination(message, statements.WRITE_REPLICAS)

    def comparing(self, message: str) -> str:
        """GetObject at the destination was denied."""
        return self._destination(message, statements.COMPARE_REPLICAS)

    def listing_replicas(self, message: str) -> str:
        """ListObjectsV2 of the destination was denied."""
        return self._destination(message, statements.LIST_REPLICAS)

    def assuming(self, message: str) -> str:
        """AssumeRole was denied."""
        consumer = self.add(policies.CONSUMER_ASSUME, statements.ASSUME_ROLE)
        trust = self.add(policies.ROLE_TRUST, statements.TRUST)
        role = self._job.source.role
        assert role is not None
        match denier_of(message):
            case Denier.IDENTITY:
                mistyped = f"; or correct source.role.arn in the job, if {role.arn} is not the role's ARN"
                return _drop_deny(consumer) if is_explicit(message) else consumer + mistyped
            case Denier.TRUST | Denier.RESOURCE:
                return _drop_deny(trust) if is_explicit(message) else trust
            case None:
                name = policies.role_name(role.arn)
                external = "its external ID is the one in the job" if role.external_id else "it asks for no external ID"
                return (
                    "AWS gives one answer for all of these, so look at each: "
                    f"(1) in account {self._job.source.account_id}, role {name} exists, as source.role.arn spells it; "
                    f"(2) its trust policy trusts this principal, and {external}: {trust}; (3) {consumer}"
                )
            case denier:
                return _ELSEWHERE[denier]

    def copying(self) -> str:
        """A server-side copy was denied to whoever is to sign it."""
        if policies.copies_by_role(self._job):
            places = [
                (policies.DESTINATION_BUCKET, statements.WRITE_REPLICAS),
                (policies.ROLE_ACCESS, statements.WRITE_REPLICAS),
            ]
        else:
            sides = (policies.SOURCE_BUCKET, policies.CONSUMER_READ)
            places = self._needed([(name, statements.READ_LOGS) for name in sides])
        return f'set destination.copy = "auto"; or {"; and ".join(self.add(*place) for place in places)}'

    def narrowing(self) -> str:
        """The role, or the consumer at the source's bucket, may do more than the job needs."""
        names = [policies.ROLE_ACCESS] if self._job.source.role else [policies.SOURCE_BUCKET, policies.CONSUMER_READ]
        documents = [document for document in self._documents if document.name in names]
        return "; ".join(f"{_where(document)}, leave no more than: {compact(document.body)}" for document in documents)

    def trusting(self) -> str:
        """The role's trust policy is wider than it should be."""
        document, statement = statement_of(self._documents, policies.ROLE_TRUST, statements.TRUST)
        return f"{_where(document)}, put in place of what is there: {compact(statement)}"

    def _source(self, message: str, sid: str) -> str:
        if self._is_own_session(message):
            return _OWN_SESSION
        if self._job.source.role is not None:
            return self._decided(message, [(policies.ROLE_ACCESS, sid)], self._job.source.bucket)
        sides = self._needed([(policies.CONSUMER_READ, sid), (policies.SOURCE_BUCKET, sid)])
        return self._decided(message, sides, self._job.source.bucket)

    def _is_own_session(self, message: str) -> bool:
        return self._job.source.role is not None and denier_of(message) is Denier.SESSION

    def _destination(self, message: str, sid: str) -> str:
        return self._decided(message, [(policies.CONSUMER_WRITE, sid)], self._job.destination.bucket)

    def _decided(self, message: str, places: Sequence[tuple[str, str]], bucket: str) -> str:
        denier = denier_of(message)
        if denier in _ELSEWHERE:
            return _ELSEWHERE[denier]
        if is_explicit(message):
            where = f"the bucket policy of {bucket}" if denier is Denier.RESOURCE else _where(self._at(places[0]))
            return f"in {where.removeprefix('in ')}, remove or narrow the Deny that meets this call"
        chosen = places
        if len(places) > 1 and denier is not None:
            chosen = [places[1] if denier is Denier.RESOURCE else places[0]]
        return "; and ".join(self.add(*place) for place in chosen)

    def _needed(self, places: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Those whose document the job needs."""
        names = {document.name for document in self._documents}
        return [place for place in places if place[0] in names]

    def _at(self, place: tuple[str, str]) -> PolicyDocument:
        return statement_of(self._documents, *place)[0]

    def _decrypting(self, message: str) -> str:
        places = [(policies.SOURCE_KEY, statements.DECRYPT_LOGS)]
        if self._is_own_session(message):
            return _OWN_SESSION
        if self._job.source.role is None:
            places = [
                (policies.SOURCE_KEY, policies.DECRYPT_AS_CONSUMER),
                (policies.CONSUMER_READ, statements.DECRYPT_LOGS),
            ]
        denier = denier_of(message)
        return _ELSEWHERE[denier] if denier in _ELSEWHERE else "; and ".join(self.add(*place) for place in places)

    def _encrypting(self) -> str:
        if self._job.destination.kms_key_id is not None:
            return self.add(policies.CONSUMER_WRITE, statements.ENCRYPT_REPLICAS)
        document, _ = statement_of(self._documents, policies.CONSUMER_WRITE, statements.WRITE_REPLICAS)
        key = compact(statements.encrypting(self._job, "KEY"))
        return f"{_where(document)}, add this, with the key that the bucket encrypts with: {key}"


def _where(document: PolicyDocument) -> str:
    return f"in account {document.account_id}, to the {document.kind.value} of {document.target}"


def _drop_deny(added: str) -> str:
    where = added.partition(", add: ")[0].replace(", to the ", ", in the ")
    return f"{where}, remove or narrow the Deny that meets this call"
