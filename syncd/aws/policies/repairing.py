"""The document that lets the consumer see if the destination keeps versions, for `verify --repair` alone."""

from syncd.aws.policies import statements
from syncd.aws.policies.documents import PolicyDocument, consumer_document
from syncd.config.job import Job

CONSUMER_REPAIR = "consumer-repair-policy"


def repair_documents(job: Job, principal: str | None = None) -> tuple[PolicyDocument, ...]:
    """Return the document that the consumer adds for `verify --repair`. `principal` is the consumer's ARN."""
    bucket = statements.bucket_arn(job, job.destination.bucket)
    why = "Lets `verify --repair` see if an altered replica stays as an older version. Without it, it writes beside."
    return (consumer_document(job, principal, CONSUMER_REPAIR, why, [statements.seeing_versions(bucket)]),)
