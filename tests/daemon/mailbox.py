"""Queues of hints, and messages in every shape in which AWS tells of new objects."""

import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote_plus

from servers import S3Server

Shape = Callable[[str, str], str]


class Mailbox:
    """A queue on a server, as those who write to it see it."""

    def __init__(self, server: S3Server, client: Any, name: str = "hints") -> None:
        self.server = server
        self._client = client
        self.url = str(client.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "30"})["QueueUrl"])

    @property
    def environment(self) -> dict[str, str]:
        """What lets a process reach it by the default chain."""
        keys = {"AWS_ACCESS_KEY_ID": self.server.access_key_id, "AWS_SECRET_ACCESS_KEY": self.server.secret_access_key}
        return {**keys, "AWS_ENDPOINT_URL_SQS": self.server.url}

    def send(self, bodies: Sequence[str]) -> None:
        """Sends messages."""
        for first in range(0, len(bodies), 10):
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[first : first + 10])]
            assert not self._client.send_message_batch(QueueUrl=self.url, Entries=entries).get("Failed")

    def depth(self) -> int:
        """How many messages it holds, in hand or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)


def s3_event(bucket: str, *keys: str, event: str = "ObjectCreated:Put") -> str:
    """S3's own notification, with a record for each key."""
    return json.dumps({"Records": [_record(bucket, key, event) for key in keys]})


def _record(bucket: str, key: str, event: str) -> dict[str, Any]:
    about = {"bucket": {"name": bucket}, "object": {"key": quote_plus(key, safe="/"), "size": 1}}
    return {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": event, "s3": about}


def eventbridge(bucket: str, key: str) -> str:
    """EventBridge's, whose keys are as they are."""
    detail = {"version": "0", "bucket": {"name": bucket}, "object": {"key": key}, "reason": "PutObject"}
    return json.dumps({"version": "0", "source": "aws.s3", "detail-type": "Object Created", "detail": detail})


def cloudtrail(bucket: str, *keys: str) -> str:
    """CloudTrail's own message, which a topic hands on raw."""
    return json.dumps({"s3Bucket": bucket, "s3ObjectKey": list(keys)})


def by_sns(message: str) -> str:
    """A message in the wrapping of a topic without raw delivery."""
    topic = "arn:aws:sns:us-east-1:111111111111:trail"
    return json.dumps({"Type": "Notification", "MessageId": "1", "TopicArn": topic, "Message": message})


SHAPES: dict[str, Shape] = {
    "s3": s3_event,
    "eventbridge": eventbridge,
    "cloudtrail": cloudtrail,
    "s3 by sns": lambda bucket, key: by_sns(s3_event(bucket, key)),
    "eventbridge by sns": lambda bucket, key: by_sns(eventbridge(bucket, key)),
    "cloudtrail by sns": lambda bucket, key: by_sns(cloudtrail(bucket, key)),
}
