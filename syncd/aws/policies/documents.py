"""Policy documents that both sides of a job need, made from the job's definition. Pure.

documents(job, principal)   the source's account    the role's trust policy and access policy, or a bucket policy
                                                    the key statement, if logs are encrypted with a KMS key
                            the consumer's account  the policies to assume the role and to write replicas
                                                    a bucket policy, if the role writes them (server-side)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from syncd.aws.policies import statements
from syncd.aws.policies.statements import Statement, granted_to, principal_of
from syncd.config.job import Job
from syncd.tick.scope import source_prefixes

ROLE_TRUST = "role-trust-policy"
ROLE_ACCESS = "role-access-policy"
SOURCE_BUCKET = "source-bucket-policy"
SOURCE_KEY = "source-key-policy"
CONSUMER_ASSUME = "consumer-assume-role-policy"
CONSUMER_READ = "consumer-read-policy"
CONSUMER_WRITE = "consumer-write-policy"
DESTINATION_BUCKET = "destination-bucket-policy"
DESTINATION_KEY = "destination-key-policy"
DECRYPT_AS_CONSUMER = "DecryptLogsAsConsumer"
_ACCOUNTS_TOLD = 5


class Kind(StrEnum):
    """The kind of a document."""

    TRUST = "trust policy"
    ACCESS = "access policy"
    BUCKET = "bucket policy"
    KEY = "key policy"
    QUEUE = "queue policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDocument:
    """One document and its target."""

    name: str
    account_id: str
    kind: Kind
    target: str
    """The target, such as `role Test`."""
    why: str
    """The purpose, in a sentence."""
    statements: Sequence[Statement]
    command: str | None = None
    """AWS CLI command that puts it there, with `{file}` for its file. None if it is added to a document by hand."""

    @property
    def is_shared(self) -> bool:
        """True if others have statements in it too, so that ours are added to it."""
        return self.kind in (Kind.BUCKET, Kind.KEY, Kind.QUEUE)

    @property
    def body(self) -> dict[str, Any]:
        """The document itself."""
        return {"Version": "2012-10-17", "Statement": list(self.statements)}


def documents(job: Job, principal: str | None = None, *, has_tags: bool = False) -> tuple[PolicyDocument, ...]:
    """Return the documents of a job, the source's account first.

    `principal` is the ARN of the consumer's user, role or session of a role. Without it the account as a whole is
    trusted, and its own administrator decides who may act. `has_tags` if the consumer's credentials carry session tags.
    """
    consumer = principal_of(job.partition, job.consumer.account_id, principal)
    who = _who(job, principal)
    found = [*_role_documents(job, consumer, who, has_tags=has_tags)] if job.source.role else []
    found += [*_direct_documents(job, consumer, who), *_key_documents(job, consumer, who)]
    found += _consumer_documents(job, principal, who, has_tags=has_tags)
    found += _destination_documents(job)
    return tuple(found)


def statement_of(found: Sequence[PolicyDocument], name: str, sid: str) -> tuple[PolicyDocument, Statement]:
    """Return one statement and its document. Raises KeyError if the job needs no such statement."""
    for document in found:
        for statement in document.statements:
            if document.name == name and statement["Sid"] == sid:
                return document, statement
    raise KeyError(f"{name}: {sid}")


def role_name(arn: str) -> str:
    """Return the name in an ARN of a role, user or session, without its path."""
    resource = arn.partition(":assumed-role/")[2] or arn.split(":", 5)[5].partition("/")[2]
    return resource.split("/")[0] if ":assumed-role/" in arn else resource.rpartition("/")[2]


def role_path(arn: str) -> str:
    """Return the path of a role or user, `/` for none."""
    return f"/{arn.split(':', 5)[5].partition('/')[2]}".rpartition("/")[0] + "/"


def copies_by_role(job: Job) -> bool:
    """Return whether the role signs server-side copies, and so writes at the destination."""
    to = job.destination
    return to.copy_mode == "server-side" and to.signer == "role" and job.source.role is not None


def copies_by_consumer(job: Job) -> bool:
    """Return whether the consumer signs server-side copies, and so reads the source itself."""
    return job.destination.copy_mode == "server-side" and not copies_by_role(job)


def _role_documents(job: Job, consumer: Statement, who: str, *, has_tags: bool) -> list[PolicyDocument]:
    role = job.source.role
    assert role is not None
    name, account_id = role_name(role.arn), job.source.account_id
    external = "when it gives the external ID" if role.external_id else "and asks for no external ID"
    path = role_path(role.arn)
    seconds = max(3600, int(role.duration.total_seconds()))
    create = f"aws iam create-role --role-name {name}"
    create += f" --path {path}" if path != "/" else ""
    create += f" --max-session-duration {seconds}" if seconds > 3600 else ""
    writing = " and writes what it copies into the destination" if copies_by_role(job) else ""
    return [
        PolicyDocument(
            name=ROLE_TRUST,
            account_id=account_id,
            kind=Kind.TRUST,
            target=f"role {name}",
            why=f"Lets {who} assume the role, {external}; nobody else.",
            statements=[statements.trusting(consumer, role, has_tags=has_tags)],
            command=f"{create} --assume-role-policy-document file://{{file}}",
        ),
        PolicyDocument(
            name=ROLE_ACCESS,
            account_id=account_id,
            kind=Kind.ACCESS,
            target=f"role {name}",
            why=f"The role lists and reads {_what(job)}, and nothing else{writing}.",
            statements=statements.reading_and_proving(job) + (statements.writing(job) if copies_by_role(job) else []),
            command=f"aws iam put-role-policy --role-name {name} --policy-name syncd-{job.name} --policy-document file://{{file}}",
        ),
    ]


def _direct_documents(job: Job, consumer: Statement, who: str) -> list[PolicyDocument]:
    """Return the source bucket's policy, for a consumer that reads without the role."""
    if job.source.account_id == job.consumer.account_id:
        # Within one account the consumer's own policy is enough.
        return []
    if job.source.role is None:
        granted, does = statements.reading(job), "lists and reads"
    elif copies_by_consumer(job):
        granted, does = statements.reading(job)[1:], "reads, to copy server-side,"
    else:
        return []
    return [
        PolicyDocument(
            name=SOURCE_BUCKET,
            account_id=job.source.account_id,
            kind=Kind.BUCKET,
            target=f"bucket {job.source.bucket}",
            why=f"By it {who} {does} {_what(job)} without a role; keep CloudTrail's own statements beside it.",
            statements=[granted_to(statement, consumer) for statement in granted],
        )
    ]


def _key_documents(job: Job, consumer: Statement, who: str) -> list[PolicyDocument]:
    """Return the key statements of all readers, for logs that are encrypted."""
    role = job.source.role
    granted, readers = [], []
    if role is not None:
        # Name the role as principal: the account would leave the decision to its own policies.
        decrypting = statements.decrypting(job, "*")
        granted.append(granted_to(decrypting, {"Principal": {"AWS": role.arn}}))
        readers.append("the role")
    if role is None or copies_by_consumer(job):
        decrypting = statements.decrypting(job, "*", sid=DECRYPT_AS_CONSUMER)
        granted.append(granted_to(decrypting, consumer))
        readers.append(who)
    return [
        PolicyDocument(
            name=SOURCE_KEY,
            account_id=job.source.account_id,
            kind=Kind.KEY,
            target="the KMS key of the logs",
            why=f"Only where the logs are encrypted with a KMS key: lets {' and '.join(readers)} decrypt them, through S3.",
            statements=granted,
        )
    ]


def _consumer_documents(job: Job, principal: str | None, who: str, *, has_tags: bool) -> list[PolicyDocument]:
    found = []
    if job.source.role is not None:
        found.append(
            consumer_document(
                job,
                principal,
                CONSUMER_ASSUME,
                f"Lets {who} ask for the role; across accounts both sides must allow it.",
                [statements.assuming(job.source.role, has_tags=has_tags)],
            )
        )
    if job.source.role is None or copies_by_consumer(job):
        itself = statements.reading_and_proving(job) if job.source.role is None else statements.reading(job)[1:]
        reading = [*itself, statements.decrypting(job, statements.source_keys(job))]
        both = "" if job.source.account_id == job.consumer.account_id else "; across accounts both sides must allow it"
        why = f"Lets {who} read the source{both}."
        found.append(consumer_document(job, principal, CONSUMER_READ, why, reading))
    why = f"Lets {who} write, compare and list replicas in {_replicas(job)}; it deletes nothing."
    found.append(
        consumer_document(job, principal, CONSUMER_WRITE, why, [*statements.writing(job), *statements.comparing(job)])
    )
    return found


def consumer_document(
    job: Job, principal: str | None, name: str, why: str, found: Sequence[Statement]
) -> PolicyDocument:
    """Return a document of the consumer's user or role."""
    target = f"the user or role of account {job.consumer.account_id} that runs syncd"
    document = PolicyDocument(
        name=name, account_id=job.consumer.account_id, kind=Kind.ACCESS, target=target, why=why, statements=found
    )
    if principal is None:
        return document
    kind = "user" if ":user/" in principal else "role"
    command = (
        f"aws iam put-{kind}-policy --{kind}-name {role_name(principal)} --policy-name {policy_name(job, document)}"
        " --policy-document file://{file}"
    )
    return replace(document, target=f"{kind} {role_name(principal)}", command=command)


def policy_name(job: Job, document: PolicyDocument) -> str:
    """Return a consumer document's name in IAM. One job's documents never replace another's."""
    return f"syncd-{job.name}-{document.name.removeprefix('consumer-').removesuffix('-policy')}"


def _destination_documents(job: Job) -> list[PolicyDocument]:
    """Return the destination's documents if the role writes: it needs access for a server-side copy."""
    role = job.source.role
    if role is None or not copies_by_role(job):
        return []
    owner = job.consumer.account_id
    writer = principal_of(job.partition, job.source.account_id, role.arn)
    put = statements.writing(job)[0]
    found = [
        PolicyDocument(
            name=DESTINATION_BUCKET,
            account_id=owner,
            kind=Kind.BUCKET,
            target=f"bucket {job.destination.bucket}",
            why=f"Lets role {role_name(role.arn)} write replicas server-side; set Object Ownership to bucket owner enforced,"
            " else they belong to the source's account.",
            statements=[granted_to(put, writer)],
        )
    ]
    if job.destination.kms_key_id is not None:
        found.append(
            PolicyDocument(
                name=DESTINATION_KEY,
                account_id=owner,
                kind=Kind.KEY,
                target=f"KMS key {job.destination.kms_key_id}",
                why=f"Lets role {role_name(role.arn)} encrypt the replicas, through S3.",
                statements=[granted_to(statements.encrypting(job, "*"), writer)],
            )
        )
    return found


def _who(job: Job, principal: str | None) -> str:
    if principal is None:
        return f"account {job.consumer.account_id}"
    kind = "user" if ":user/" in principal else "role"
    return f"{kind} {role_name(principal)} of account {job.consumer.account_id}"


def _what(job: Job) -> str:
    source = job.source
    if not source.is_cloudtrail:
        return f"everything below s3://{source.bucket}/{source_prefixes(job)[0]}"
    organizations = ", ".join(filter(None, source.organization_ids))
    owner = f"organization {organizations}, " if organizations else ""
    if source.accounts == "*":
        return f"the logs of {owner}all accounts"
    more = len(source.accounts) - _ACCOUNTS_TOLD
    named = ", ".join(source.accounts[:_ACCOUNTS_TOLD]) + (f" and {more} more" if more > 0 else "")
    return f"the logs of {owner}account {named}"


def _replicas(job: Job) -> str:
    return f"s3://{job.destination.bucket}/{job.destination.prefix}"
