"""What `policies --work` prints: templates that linters accept, and documents with least rights."""

import json
from typing import Any

import hcl2
import pytest
from cfnlint.api import lint_all

from syncd.aws.policies import work
from syncd.aws.policies.formats import Format
from syncd.config.tables.scale import Work

QUEUES = Work(
    tasks="https://sqs.eu-west-1.amazonaws.com/222222222222/syncd-tasks",
    results="https://sqs.eu-west-1.amazonaws.com/222222222222/syncd-results",
    dead="https://sqs.eu-west-1.amazonaws.com/222222222222/syncd-dead",
)
REGION = "eu-west-1"


def text(style: Format, queues: Work = QUEUES, region: str = REGION) -> str:
    (file,) = work.files(queues, region, style)
    assert file.account_id == "222222222222"
    return file.text


def documents() -> dict[str, Any]:
    return {file.name.removesuffix(".json"): json.loads(file.text) for file in work.files(QUEUES, REGION, Format.JSON)}


def test_cfn_lint_finds_nothing() -> None:
    matches = [match for match in lint_all(text(Format.CLOUDFORMATION)) if not match.rule.id.startswith("I")]

    assert [str(match) for match in matches] == []


def test_terraform_can_be_read_and_has_all_three_queues() -> None:
    resources = hcl2.loads(text(Format.TERRAFORM))["resource"]

    kinds = [kind.strip('"') for resource in resources for kind in resource]
    assert kinds.count("aws_sqs_queue") == 3
    assert {"aws_sqs_queue_policy", "aws_iam_role", "aws_iam_role_policy", "aws_iam_policy"} < set(kinds)


def test_template_and_documents_say_the_same() -> None:
    resources = json.loads(text(Format.CLOUDFORMATION))["Resources"]
    found = documents()

    assert resources["Worker"]["Properties"]["Policies"][0]["PolicyDocument"] == found["worker-queues"]
    assert resources["Worker"]["Properties"]["AssumeRolePolicyDocument"] == found["worker-trust"]
    assert resources["Owner"]["Properties"]["PolicyDocument"] == found["owner-queues"]
    assert resources["ResultsPolicy"]["Properties"]["PolicyDocument"] == found["results-queue"]
    assert resources["Tasks"]["Properties"]["RedrivePolicy"]["maxReceiveCount"] == work.MOST_RECEIVES
    assert resources["Tasks"]["Properties"]["VisibilityTimeout"] == 60


@pytest.mark.parametrize(
    ("name", "queue", "actions"),
    [
        ("worker-queues", "syncd-results", {"SendMessage"}),
        ("worker-queues", "syncd-dead", set()),
        (
            "owner-queues",
            "syncd-results",
            {"ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes"},
        ),
        ("owner-queues", "syncd-tasks", {"SendMessage", "GetQueueAttributes"}),
    ],
)
def test_each_side_may_do_what_it_does_and_no_more(name: str, queue: str, actions: set[str]) -> None:
    arn = f"arn:aws:sqs:eu-west-1:222222222222:{queue}"

    allowed = {
        action.removeprefix("sqs:")
        for statement in documents()[name]["Statement"]
        if statement["Resource"] == arn
        for action in statement["Action"]
    }

    assert allowed == actions


def test_other_partitions_and_a_queue_without_a_dead_one_are_named_right() -> None:
    queues = Work(
        tasks="https://sqs.cn-north-1.amazonaws.com.cn/222222222222/t",
        results="https://sqs.cn-north-1.amazonaws.com.cn/222222222222/r",
    )

    template = json.loads(text(Format.CLOUDFORMATION, queues, "cn-north-1"))["Resources"]

    assert template["Dead"]["Properties"]["QueueName"] == "t-dead"
    statement = template["ResultsPolicy"]["Properties"]["PolicyDocument"]["Statement"][0]
    assert statement["Resource"] == "arn:aws-cn:sqs:cn-north-1:222222222222:r"
    assert statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"].startswith("arn:aws-cn:iam::")
