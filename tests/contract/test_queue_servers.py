"""The contract of queues, against MiniStack; with `make queues` against fauxqs."""

import pytest
from servers import MakeClient, S3Server

from syncd.aws.queues import Message, Queues
from syncd.config.addresses import region_of_queue
from syncd.model.errors import JobFailed
from syncd.model.reasons import Reason


@pytest.fixture
def queue(queue_server: S3Server, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty queue."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", queue_server.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", queue_server.secret_access_key)
    client = make_client(
        queue_server.url,
        "sqs",
        access_key_id=queue_server.access_key_id,
        secret_access_key=queue_server.secret_access_key,
    )
    return str(client.create_queue(QueueName="hints", Attributes={"VisibilityTimeout": "60"})["QueueUrl"])


def test_messages_are_sent_received_and_deleted(queue: str) -> None:
    queues = Queues()
    bodies = [f"{number}: ü + \u2028" for number in range(12)] + ["x" * 200_000] * 2

    queues.send(queue, bodies)
    received: list[Message] = []
    while found := queues.receive(queue, wait_seconds=0):
        received += found
    kept = queues.delete(queue, received)

    assert sorted(item.body for item in received) == sorted(bodies)
    assert {item.receives for item in received} == {1}
    assert kept == []
    assert queues.attributes(queue)["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_a_message_that_is_given_back_comes_again_and_the_old_receipt_deletes_nothing(queue: str) -> None:
    queues = Queues()
    queues.send(queue, ["task"])
    (first,) = queues.receive(queue, wait_seconds=1, visibility_seconds=30)
    assert queues.receive(queue, wait_seconds=0) == []

    assert queues.change_visibility(queue, first, 0)
    (second,) = queues.receive(queue, wait_seconds=1)
    queues.delete(queue, [first])

    assert second.receives == 2
    assert queues.attributes(queue)["ApproximateNumberOfMessagesNotVisible"] == "1"
    assert queues.change_visibility(queue, second, 60)
    queues.delete(queue, [second])
    assert not queues.change_visibility(queue, second, 60)


def test_a_queue_that_is_not_there_is_named(queue: str) -> None:
    other = queue.replace("hints", "hits")

    with pytest.raises(JobFailed) as failure:
        Queues().receive(other, wait_seconds=0)

    assert failure.value.reason == Reason.NO_QUEUE
    assert other in failure.value.detail
    assert "syncd.toml" in failure.value.remedy


def test_a_server_that_does_not_answer_is_a_connection_that_failed(nobody: str) -> None:
    with pytest.raises(JobFailed) as failure:
        Queues().receive(f"{nobody}/000000000000/hints")

    assert failure.value.reason == Reason.CONNECTION


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("sqs.eu-west-3.amazonaws.com", "eu-west-3"),
        ("sqs.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("sqs-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("vpce-0a-1b.sqs.us-east-1.vpce.amazonaws.com", "us-east-1"),
        ("127.0.0.1:9324", None),
        ("sqs.example.com", None),
    ],
)
def test_a_queues_url_names_its_region(host: str, region: str | None) -> None:
    assert region_of_queue(f"https://{host}/111111111111/hints") == region
