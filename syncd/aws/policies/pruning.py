"""The document that lets a job prune its source. The owner adds it for `prune-source` alone, and may take it away again."""

from syncd.aws.policies import statements
from syncd.aws.policies.documents import Kind, PolicyDocument, role_name
from syncd.aws.policies.statements import granted_to, principal_of
from syncd.config.job import Job
from syncd.tick.scope import source_prefixes

ROLE_PRUNE = "role-prune-policy"
BUCKET_PRUNE = "source-bucket-prune-policy"
CONSUMER_PRUNE = "consumer-prune-policy"


def prune_documents(job: Job, principal: str | None = None) -> tuple[PolicyDocument, ...]:
    """Return the documents that both sides add for `prune-source`. `principal` is the consumer's ARN."""
    statement = statements.pruning(statements.bucket_arn(job, job.source.bucket), source_prefixes(job))
    role = job.source.role
    if role is not None:
        name = role_name(role.arn)
        return (
            PolicyDocument(
                name=ROLE_PRUNE,
                account_id=job.source.account_id,
                kind=Kind.ACCESS,
                target=f"role {name}",
                why="Lets `prune-source` delete what it has proved to be replicated. No tick asks for it.",
                statements=[statement],
                command=f"aws iam put-role-policy --role-name {name} --policy-name syncd-{job.name}-prune"
                " --policy-document file://{file}",
            ),
        )
    consumer = principal_of(job.partition, job.consumer.account_id, principal)
    found = [
        PolicyDocument(
            name=CONSUMER_PRUNE,
            account_id=job.consumer.account_id,
            kind=Kind.ACCESS,
            target=f"the user or role of account {job.consumer.account_id} that runs `prune-source`",
            why="Lets it delete what it has proved to be replicated. No tick asks for it.",
            statements=[statement],
        )
    ]
    if job.source.account_id != job.consumer.account_id:
        found.append(
            PolicyDocument(
                name=BUCKET_PRUNE,
                account_id=job.source.account_id,
                kind=Kind.BUCKET,
                target=f"bucket {job.source.bucket}",
                why="The same on the bucket's side; across accounts both sides must allow it.",
                statements=[granted_to(statement, consumer)],
            )
        )
    return tuple(found)
