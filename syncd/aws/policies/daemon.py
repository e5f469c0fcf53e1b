"""Policy documents of the daemon itself: who may send hints, and that it may receive them and keep its lease. Pure."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from syncd.aws.policies.documents import Kind, PolicyDocument, consumer_document
from syncd.aws.policies.statements import Statement, allow, literal
from syncd.config.addresses import region_of_queue
from syncd.config.job import Job

QUEUE = "hints-queue-policy"
CONSUMER_HINTS = "consumer-hints-policy"
CONSUMER_FLEET = "consumer-fleet-policy"


def hint_documents(job: Job, queues: Sequence[str], principal: str | None = None) -> tuple[PolicyDocument, ...]:
    """Return the documents that let hints of a job's bucket into each queue, and the daemon take them out."""
    why = "Lets syncd receive hints and delete them. It sends none."
    receiving = allow(
        "ReceiveHints", ("sqs:ReceiveMessage", "sqs:DeleteMessage"), [queue_arn(queue, job) for queue in queues]
    )
    return (
        *(_queue_document(job, queue) for queue in queues),
        consumer_document(job, principal, CONSUMER_HINTS, why, [receiving]),
    )


def fleet_documents(job: Job, lease: str, principal: str | None = None) -> tuple[PolicyDocument, ...]:
    """Return the document that lets the daemon read and write leases. It deletes none."""
    bucket, _, prefix = lease.removeprefix("s3://").partition("/")
    arn = f"arn:{job.partition}:s3:::{bucket}"
    keeping = allow("KeepLeases", ("s3:GetObject", "s3:PutObject"), f"{arn}/{literal(prefix)}*")
    # Without it S3 denies to read a lease that is not there yet.
    listing = allow("FindLeases", "s3:ListBucket", arn)
    why = f"Lets syncd keep the leases of its slots in {lease}."
    return (consumer_document(job, principal, CONSUMER_FLEET, why, [keeping, listing]),)


def queue_arn(queue: str, job: Job) -> str:
    """Return the ARN of a queue. Its URL ends in account and name."""
    account_id, name = urlsplit(queue).path.split("/")[-2:]
    return f"arn:{job.partition}:sqs:{region_of_queue(queue) or job.source.region}:{account_id}:{name}"


def _queue_document(job: Job, queue: str) -> PolicyDocument:
    arn = queue_arn(queue, job)
    account_id, name = arn.split(":")[4:]
    return PolicyDocument(
        name=QUEUE if name == "syncd-hints" else f"{QUEUE}-{name}",
        account_id=account_id,
        kind=Kind.QUEUE,
        target=f"queue {queue}",
        why=f"Lets bucket {job.source.bucket} send hints, directly, by a topic of its account, or by a rule of this one;"
        " leave out the statements of the ways that are not used.",
        statements=[
            _sending("HintsFromS3", "s3", f"arn:{job.partition}:s3:::{job.source.bucket}", job.source.account_id, arn),
            _sending(
                "HintsFromSns",
                "sns",
                f"arn:{job.partition}:sns:{job.source.region}:{job.source.account_id}:*",
                job.source.account_id,
                arn,
            ),
            _sending(
                "HintsFromEventBridge",
                "events",
                f"arn:{job.partition}:events:{region_of_queue(queue) or job.source.region}:{account_id}:rule/*",
                account_id,
                arn,
            ),
        ],
    )


def _sending(sid: str, service: str, source: str, account_id: str, queue: str) -> Statement:
    """Return a statement that lets a service send for one account: others could name the same ARN."""
    condition = {"ArnLike": {"aws:SourceArn": source}, "StringEquals": {"aws:SourceAccount": account_id}}
    principal = {"Service": f"{service}.amazonaws.com"}
    return {**allow(sid, "sqs:SendMessage", queue, Principal=principal), "Condition": condition}
