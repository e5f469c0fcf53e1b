"""The printed policies, enforced: they are enough for owner and workers, and only workers can tell results."""

import json
from typing import Any

import pytest
from servers import MakeClient, S3Server

from syncd.aws.policies import work
from syncd.aws.policies.formats import Format
from syncd.aws.queues import Queues
from syncd.check.queues import work_checks
from syncd.check.result import Status
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
        account = self._account = server.access_key_id
        policy = self.documents["results-queue"].replace(
            f"arn:aws:iam::{account}:role/{work.WORKER_ROLE}", f"arn:aws:iam::{account}:user/worker"
        )
        sqs.set_queue_attributes(QueueUrl=urls["results"], Attributes={"Policy": policy})
        self._sqs = sqs

    def redrive(self, queue: str, *, receives: int) -> None:
        """Let dead letters of tasks go to a queue of this name."""
        policy = {"deadLetterTargetArn": f"arn:aws:sqs:us-east-1:{self._account}:{queue}", "maxReceiveCount": receives}
        self._sqs.set_queue_attributes(
            QueueUrl=self.work.tasks,
            Attributes={"RedrivePolicy": json.dumps(policy), "MessageRetentionPeriod": "345600"},
        )

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


@pytest.mark.parametrize(
    ("side", "statuses"),
    [
        ("owner", ["ok", "ok", "ok", "information"]),
        ("worker", ["ok", "ok", "information", "ok"]),
        ("administrator", ["ok", "ok", "ok", "ok"]),
    ],
)
def test_check_finds_what_a_side_may_do_and_moves_no_message(sides: Sides, side: str, statuses: list[str]) -> None:
    sides.redrive("syncd-dead", receives=10)
    sides.queues("owner").send(sides.work.tasks or "", ["task"])

    found = work_checks(sides.queues(side), sides.work)

    assert [check.status.value for check in found] == statuses
    (task,) = sides.queues("worker").receive(sides.work.tasks or "", most=1, wait_seconds=1)
    assert task.receives == 1


def test_check_names_what_is_wrong_with_the_queues(sides: Sides) -> None:
    client, own = sides.queues("administrator"), sides.work

    without = work_checks(client, own.model_copy(update={"dead": None}))
    sides.redrive("syncd-results", receives=10)
    elsewhere = work_checks(client, own)
    sides.redrive("syncd-dead", receives=2)
    few = work_checks(client, own)
    absent = work_checks(client, own.model_copy(update={"tasks": f"{own.tasks}-not"}))

    assert [(check.name, check.status) for check in without][-1] == ("work-dead", Status.FAILED)
    assert (elsewhere[1].status, "syncd-results" in elsewhere[1].detail) == (Status.FAILED, True)
    assert (few[1].status, "maxReceiveCount to 10" in few[1].remedy) == (Status.WARNING, True)
    assert [(check.name, check.status) for check in absent] == [("work-tasks", Status.FAILED)]
