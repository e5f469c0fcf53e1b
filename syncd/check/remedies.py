"""Remedies for refusals: the exact statement to add, its account and its document. Pure.

The message of a denial may end with the kind of policy that decided ("Troubleshoot access denied error messages", IAM
user guide). Across accounts it usually does not.
"""

import re
from collections.abc import Sequence
from enum import StrEnum

from syncd.aws import answers
from syncd.aws.policies import documents as policies
from syncd.aws.policies import statements
from syncd.aws.policies.documents import PolicyDocument, statement_of
from syncd.aws.policies.statements import compact
from syncd.config.job import Job
from syncd.model.actions import remedy_of_action


class Denier(StrEnum):
    """The kind of policy that decided, as the message names it."""

    IDENTITY = "identity-based policy"
    TRUST = "role trust policy"
    RESOURCE = "resource-based policy"
    SESSION = "session policy"
    BOUNDARY = "permissions boundary"
    SERVICE_CONTROL = "service control policy"
    RESOURCE_CONTROL = "resource control policy"
    ENDPOINT = "VPC endpoint policy"


_ELSEWHERE = {
    Denier.SESSION: "allow this call in the session policy of the principal named here, which the creator of its session set",
    Denier.BOUNDARY: "allow this call in the permissions boundary of the principal named here",
    Denier.SERVICE_CONTROL: "ask the organization's administrator to exempt this call from the service control policy",
    Denier.RESOURCE_CONTROL: "ask the organization's administrator to exempt this call from the resource control policy",
    Denier.ENDPOINT: "allow this call in the policy of the VPC endpoint between here and AWS",
}
_NARROW = "remove or narrow the Deny that matches this call"
# What the other account denies is its own control.
_MEET = (
    "find the Deny that matches this call and meet its condition, such as MFA, a source identity or an address: its owner"
    " knows what it is for"
)
_COMMAND = re.compile("[:;] `syncd ")
# syncd itself sets the session policy of the role (`session_policy`).
_OWN_SESSION = (
    "check source.prefix, source.accounts and source.kinds in the job: syncd derives the session policy from them; if they"
    " are right, report a bug"
)


def denier_of(message: str) -> Denier | None:
    """Return the kind of policy that a denial's message names, or None."""
    return next((denier for denier in Denier if denier.value in message), None)


def is_explicit(message: str) -> bool:
    """Return True if a Deny decided, rather than the lack of an Allow."""
    return "explicit deny" in message


class Remedies:
    """Remedies for a job's refusals, given its consumer's principal."""

    def __init__(self, job: Job, principal: str | None) -> None:
        self._job = job
        self._documents = policies.documents(job, principal)

    def add(self, name: str, sid: str) -> str:
        """Return the statement and the document to add it to.

        Raises:
            KeyError: the job needs no such statement.
        """
        document, statement = statement_of(self._documents, name, sid)
        return f"{_where(document)}, add: {compact(statement)}"

    def _with_action(self, name: str, sid: str, action: str) -> str:
        """Return the statement, with an action beside its own, and the document to add it to."""
        document, statement = statement_of(self._documents, name, sid)
        own = statement["Action"]
        actions = [own] if isinstance(own, str) else list(own)
        if action and action not in actions:
            statement = {**statement, "Action": [*actions, action]}
        return f"{_where(document)}, add: {compact(statement)}"

    def listing(self, message: str) -> str:
        """Return the remedy for a denied ListObjectsV2 at the source."""
        return self._source("ListObjectsV2", message, statements.LIST_LOGS)

    def reading(self, message: str) -> str:
        """Return the remedy for a denied GetObject at the source."""
        if "kms:" in message.lower():
            return self._decrypting(message)
        return self._source("GetObject", message, statements.READ_LOGS)

    def proving(self) -> str:
        """Return the remedy for a denied ListPublicKeys."""
        document = policies.ROLE_ACCESS if self._job.source.role is not None else policies.CONSUMER_READ
        return self.add(document, statements.LIST_PUBLIC_KEYS)

    def writing(self, message: str) -> str:
        """Return the remedy for a denied PutObject at the destination."""
        if "kms:" in message.lower():
            return self._encrypting()
        return self._destination("PutObject", message, statements.WRITE_REPLICAS)

    def comparing(self, message: str) -> str:
        """Return the remedy for a denied GetObject at the destination."""
        return self._destination("GetObject", message, statements.COMPARE_REPLICAS)

    def listing_replicas(self, message: str) -> str:
        """Return the remedy for a denied ListObjectsV2 at the destination."""
        return self._destination("ListObjectsV2", message, statements.LIST_REPLICAS)

    def assuming(self, message: str) -> str:
        """Return the remedy for a denied AssumeRole."""
        beside = answers.denied_action("AssumeRole", message)
        consumer = self._with_action(policies.CONSUMER_ASSUME, statements.ASSUME_ROLE, beside)
        trust = self._with_action(policies.ROLE_TRUST, statements.TRUST, beside)
        if beside:
            return f"{_about(beside)}{trust}; and {consumer}"
        role = self._job.source.role
        assert role is not None
        match denier_of(message):
            case Denier.IDENTITY:
                mistyped = f"; or correct source.role.arn in the job, if {role.arn} is not the role's ARN"
                return _drop_deny(consumer) if is_explicit(message) else consumer + mistyped
            case Denier.TRUST | Denier.RESOURCE:
                return _meet_deny(trust) if is_explicit(message) else trust
            case None:
                name = policies.role_name(role.arn)
                external = "its external ID is the one in the job" if role.external_id else "it asks for no external ID"
                return (
                    "AWS gives the same answer for all of these, so check each: "
                    f"(1) in account {self._job.source.account_id}, role {name} exists, as source.role.arn spells it; "
                    f"(2) its trust policy trusts this principal, and {external}: {trust}; (3) {consumer}; (4) a condition there on MFA, or on a source identity"
                    " (source.role.source_identity), is met by this call: it is the owner's control, so meet it"
                )
            case denier:
                return _ELSEWHERE[denier]

    def copying(self) -> str:
        """Return the remedy for a denied server-side copy."""
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
        """Return the remedy for a principal that can do more than the job needs."""
        names = [policies.ROLE_ACCESS] if self._job.source.role else [policies.SOURCE_BUCKET, policies.CONSUMER_READ]
        documents = [document for document in self._documents if document.name in names]
        return "; ".join(f"{_where(document)}, leave no more than: {compact(document.body)}" for document in documents)

    def trusting(self) -> str:
        """Return the remedy for a trust policy that is too wide."""
        document, statement = statement_of(self._documents, policies.ROLE_TRUST, statements.TRUST)
        return f"{_where(document)}, replace the statement with: {compact(statement)}"

    def _source(self, call: str, message: str, sid: str) -> str:
        if self._is_own_session(message):
            return _OWN_SESSION
        places = [(policies.ROLE_ACCESS, sid)]
        if self._job.source.role is None:
            places = self._needed([(policies.CONSUMER_READ, sid), (policies.SOURCE_BUCKET, sid)])
        return self._decided(call, message, places, self._job.source.bucket)

    def _is_own_session(self, message: str) -> bool:
        return self._job.source.role is not None and denier_of(message) is Denier.SESSION

    def _destination(self, call: str, message: str, sid: str) -> str:
        return self._decided(call, message, [(policies.CONSUMER_WRITE, sid)], self._job.destination.bucket)

    def _decided(self, call: str, message: str, places: Sequence[tuple[str, str]], bucket: str) -> str:
        denier, beside = denier_of(message), answers.denied_action(call, message)
        about = _about(beside)
        if denier in _ELSEWHERE:
            return about + _ELSEWHERE[denier]
        if is_explicit(message):
            where = f"the bucket policy of {bucket}" if denier is Denier.RESOURCE else _where(self._at(places[0]))
            is_owners = self._at(places[0]).account_id == self._job.source.account_id != self._job.consumer.account_id
            return f"{about}in {where.removeprefix('in ')}, {_MEET if is_owners else _NARROW}"
        chosen = places
        if len(places) > 1 and denier is not None:
            chosen = [places[1] if denier is Denier.RESOURCE else places[0]]
        return about + "; and ".join(self._with_action(*place, beside) for place in chosen)

    def _needed(self, places: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the places whose document the job needs."""
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


def _about(action: str) -> str:
    """Return the beginning of a remedy for a denial of an action that is not the call's own. Empty for no action."""
    # A remedy of a tick ends with the command that tells what follows here.
    return f"{_COMMAND.split(remedy_of_action(action))[0]}: " if action else ""


def _drop_deny(added: str) -> str:
    return f"{_place(added)}, {_NARROW}"


def _meet_deny(added: str) -> str:
    return f"{_place(added)}, {_MEET}"


def _place(added: str) -> str:
    return added.partition(", add: ")[0].replace(", to the ", ", in the ")
