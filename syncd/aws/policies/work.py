"""The needs of spread catch-ups in AWS: three queues, the workers' role, the owner's policy. Pure.

Only workers may send results, since a false one can claim days. Everything is in one account and one region, the queues'.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from syncd.aws.policies.files import PolicyFile, pretty
from syncd.aws.policies.formats import Format
from syncd.aws.policies.terraform import Expression, block, encoded
from syncd.config.partitions import partition_of
from syncd.config.tables.scale import Work

WORKER_ROLE = "syncd-worker"
OWNER_POLICY = "syncd-spread-owner"
MOST_RECEIVES = 10
"""Workers that are scaled in or reclaimed must not use these up."""
RETENTION_SECONDS = 14 * 86400
_SERVICES = ("ecs-tasks.amazonaws.com", "pods.eks.amazonaws.com", "ec2.amazonaws.com")
_VERSION = "2012-10-17"


class Names(NamedTuple):
    """The queues' names, and where they are."""

    partition: str
    region: str
    account_id: str
    tasks: str
    results: str
    dead: str

    @classmethod
    def of(cls, work: Work, region: str) -> "Names":
        """Return the names in the queues' URLs."""
        assert work.tasks is not None
        assert work.results is not None
        *_, account_id, tasks = urlsplit(work.tasks).path.split("/")
        results = work.results.rpartition("/")[2]
        dead = work.dead.rpartition("/")[2] if work.dead is not None else f"{tasks}-dead"
        return cls(partition_of(region) or "aws", region, account_id, tasks, results, dead)

    def queue_arn(self, name: str) -> str:
        """Return the ARN of a queue."""
        return f"arn:{self.partition}:sqs:{self.region}:{self.account_id}:{name}"

    @property
    def worker_arn(self) -> str:
        """The ARN of the workers' role."""
        return f"arn:{self.partition}:iam::{self.account_id}:role/{WORKER_ROLE}"


def worker_policy(names: Names) -> dict[str, Any]:
    """Return what workers may do with the queues."""
    tasks = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
    return _policy(
        ("DoTasks", tasks, names.queue_arn(names.tasks)),
        ("TellResults", ["sqs:SendMessage"], names.queue_arn(names.results)),
    )


def owner_policy(names: Names) -> dict[str, Any]:
    """Return what the owner may do with the queues."""
    received = ["sqs:ReceiveMessage", "sqs:DeleteMessage"]
    results = [*received, "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
    return _policy(
        ("SendTasks", ["sqs:SendMessage", "sqs:GetQueueAttributes"], names.queue_arn(names.tasks)),
        ("TakeResults", results, names.queue_arn(names.results)),
        ("TakeDeadLetters", received, names.queue_arn(names.dead)),
    )


def results_policy(names: Names) -> dict[str, Any]:
    """Return the policy of the queue of results, which denies sending to all but workers."""
    deny = {
        "Sid": "OnlyWorkersTell",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:SendMessage",
        "Resource": names.queue_arn(names.results),
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": names.worker_arn}},
    }
    return {"Version": _VERSION, "Statement": [deny]}


def trust_policy() -> dict[str, Any]:
    """Return the trust policy of the workers' role: ECS, EKS Pod Identity and EC2."""
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": list(_SERVICES)},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    return {"Version": _VERSION, "Statement": [allow]}


def files(work: Work, region: str, style: Format) -> list[PolicyFile]:
    """Return the files of one format."""
    names = Names.of(work, region)
    how = (
        f"Give the role {WORKER_ROLE} what `syncd policies JOB --principal {names.worker_arn}` prints for each job,"
        f" and attach {OWNER_POLICY} to the daemon's own role or user."
    )
    about = [
        "the queues of spread catch-ups, the role of their workers, and the policy of their owner",
        how,
    ]
    match style:
        case Format.CLOUDFORMATION:
            command = (
                f"aws cloudformation deploy --region {region} --stack-name syncd-work --template-file {{file}}"
                " --capabilities CAPABILITY_NAMED_IAM"
            )
            return [PolicyFile(names.account_id, "work.json", about, pretty(_template(work, names)), command)]
        case Format.TERRAFORM:
            return [PolicyFile(names.account_id, "work.tf", about, _terraform(work, names), None)]
        case Format.JSON:
            documents = {
                "worker-queues": (worker_policy(names), f"access policy of the role {WORKER_ROLE}"),
                "worker-trust": (trust_policy(), f"trust policy of the role {WORKER_ROLE}"),
                "owner-queues": (owner_policy(names), "access policy of the daemon's own role or user"),
                "results-queue": (results_policy(names), f"policy of the queue {names.results}"),
            }
            return [
                PolicyFile(names.account_id, f"{name}.json", [what, how], pretty(body), None)
                for name, (body, what) in documents.items()
            ]


def _policy(*statements: tuple[str, Sequence[str], str]) -> dict[str, Any]:
    allowed = [
        {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resource}
        for sid, actions, resource in statements
    ]
    return {"Version": _VERSION, "Statement": allowed}


def _template(work: Work, names: Names) -> dict[str, Any]:
    redrive = {"deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]}, "maxReceiveCount": MOST_RECEIVES}
    visibility = {"VisibilityTimeout": int(work.visibility.total_seconds()), "RedrivePolicy": redrive}
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "syncd: the queues of spread catch-ups, the role of their workers, the policy of their owner",
        "Resources": {
            "Dead": _queue(names.dead),
            "Tasks": _queue(names.tasks, **visibility),
            "Results": _queue(names.results),
            "ResultsPolicy": {
                "Type": "AWS::SQS::QueuePolicy",
                "Properties": {"Queues": [{"Ref": "Results"}], "PolicyDocument": results_policy(names)},
            },
            "Worker": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "RoleName": WORKER_ROLE,
                    "AssumeRolePolicyDocument": trust_policy(),
                    "Policies": [{"PolicyName": "syncd-queues", "PolicyDocument": worker_policy(names)}],
                },
            },
            "Owner": {
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {"ManagedPolicyName": OWNER_POLICY, "PolicyDocument": owner_policy(names)},
            },
        },
        "Outputs": {
            "WorkerRoleArn": {"Value": {"Fn::GetAtt": ["Worker", "Arn"]}},
            "OwnerPolicyArn": {"Value": {"Ref": "Owner"}},
            "TasksUrl": {"Value": {"Ref": "Tasks"}},
            "ResultsUrl": {"Value": {"Ref": "Results"}},
            "DeadUrl": {"Value": {"Ref": "Dead"}},
        },
    }


def _queue(name: str, **more: Any) -> dict[str, Any]:
    properties = {"QueueName": name, "MessageRetentionPeriod": RETENTION_SECONDS, "SqsManagedSseEnabled": True}
    return {"Type": "AWS::SQS::Queue", "Properties": {**properties, **more}}


def _terraform(work: Work, names: Names) -> str:
    redrive = {"deadLetterTargetArn": Expression("aws_sqs_queue.dead.arn"), "maxReceiveCount": MOST_RECEIVES}
    tasks = {"visibility_timeout_seconds": int(work.visibility.total_seconds()), "redrive_policy": encoded(redrive)}
    blocks: list[tuple[str, Mapping[str, Any]]] = [
        ('resource "aws_sqs_queue" "dead"', _terraform_queue(names.dead)),
        ('resource "aws_sqs_queue" "tasks"', {**_terraform_queue(names.tasks), **tasks}),
        ('resource "aws_sqs_queue" "results"', _terraform_queue(names.results)),
        (
            'resource "aws_sqs_queue_policy" "results"',
            {"queue_url": Expression("aws_sqs_queue.results.url"), "policy": encoded(results_policy(names))},
        ),
        (
            'resource "aws_iam_role" "worker"',
            {"name": WORKER_ROLE, "assume_role_policy": encoded(trust_policy())},
        ),
        (
            'resource "aws_iam_role_policy" "worker"',
            {
                "name": "syncd-queues",
                "role": Expression("aws_iam_role.worker.id"),
                "policy": encoded(worker_policy(names)),
            },
        ),
        ('resource "aws_iam_policy" "owner"', {"name": OWNER_POLICY, "policy": encoded(owner_policy(names))}),
        ('output "worker_role_arn"', {"value": Expression("aws_iam_role.worker.arn")}),
    ]
    head = f"# syncd: the queues of spread catch-ups, for account {names.account_id} in {names.region}.\n"
    return "\n".join([head, *(block(name, arguments) for name, arguments in blocks)])


def _terraform_queue(name: str) -> dict[str, Any]:
    return {"name": name, "message_retention_seconds": RETENTION_SECONDS, "sqs_managed_sse_enabled": True}
