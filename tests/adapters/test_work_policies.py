"""The printed policies, enforced: they are enough for owner and workers, and only workers can tell results."""

import json
from typing import Any

import pytest
from servers import MakeClient, S3Server

from syncd.aws.policies import work
from syncd.aws.policies.formats import Format
from syncd.aws.queues import Queues
from syncd.config.tables.scale import Work
from syncd.model.errors import JobFailed
from syncd.model.reasons import Reason


def with_batches(document: str) -> str:
    """MiniStack has actions of their own for batches. AWS authorizes them as the single calls."""
    parsed = json.loads(document)
    for statement in parsed["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        batches = [f"{name}Batch" for name in actions if name in ("sqs:SendMessage", "sqs:DeleteMessage")]
        statement["Action"] = [*actions, *batches]
    return json.dumps(parsed)


class Sides:
    """Queues on MiniStack, and a user for each side with the policies that are printed for it."""

    def __init__(self, server: S3Server, make_client: MakeClient, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        root = {"access_key_id": server.access_key_id, "secret_access_key": server.secret_access_key}
        self._iam = make_client(server.url, "iam", **root)
        sqs = make_client(server.url, "sqs", **root)
        urls = {name: sqs.create_queue(QueueName=f"syncd-{name}")["QueueUrl"] for name in ("tasks", "results", "dead")}
        self.work = Work(**urls)
        self.documents = {
            file.name.removesuffix(".json"): with_batches(file.text)
            for file in work.files(self.work, "us-east-1", Format.JSON)
        }
        self._keys = {side: self._user(side) for side in ("worker", "owner", "administrator")}
        account = server.access_key_id
        policy = self.documents["results-queue"].replace(
            f"arn:aws:iam::{account}:role/{work.WORKER_ROLE}", f"arn:aws:iam::{account}:user/worker"
        )
        sqs.set_queue_attributes(QueueUrl=urls["results"], Attributes={"Policy": policy})

    def queues(self, side: str) -> Queues:
        """A client with that side's credentials."""
        key = self._keys[side]
        self._patch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        self._patch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        return Queues()

    def _user(self, side: str) -> Any:
        self._iam.create_user(UserName=side)
        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        document = self.documents.get(f"{side}-queues", json.dumps(everything))
        self._iam.put_user_policy(UserName=side, PolicyName="queues", PolicyDocument=document)
        return self._iam.create_access_key(UserName=side)["AccessKey"]


@pytest.fixture
def sides(ministack: S3Server, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> Sides:
    return Sides(ministack, make_client, monkeypatch)


def test_a_task_goes_to_a_worker_and_its_result_to_the_owner(sides: Sides) -> None:
    tasks, results = sides.work.tasks or "", sides.work.results or ""

    sides.queues("owner").send(tasks, ["task"])
    worker = sides.queues("worker")
    (task,) = worker.receive(tasks, wait_seconds=1, visibility_seconds=30)
    assert worker.change_visibility(tasks, task, 30)
    worker.send(results, ["result"])
    assert worker.delete(tasks, [task]) == []
    worker.attributes(tasks)
    owner = sides.queues("owner")
    (result,) = owner.receive(results, wait_seconds=1)
    assert owner.change_visibility(results, result, 30)
    assert owner.delete(results, [result]) == []
    assert owner.receive(sides.work.dead or "", wait_seconds=0) == []
    assert owner.attributes(tasks)["ApproximateNumberOfMessages"] == "0"


@pytest.mark.parametrize(
    ("side", "queue"), [("owner", "results"), ("worker", "tasks"), ("worker", "dead"), ("administrator", "results")]
)
def test_nobody_else_can_send(sides: Sides, side: str, queue: str) -> None:
    queues = sides.queues(side)

    with pytest.raises(JobFailed) as refused:
        queues.send(getattr(sides.work, queue), ["x"])

    assert refused.value.reason == Reason.ACCESS_DENIED
