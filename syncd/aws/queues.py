"""SQS queues, reached with the default chain and the settings that every AWS tool takes."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from botocore.config import Config

from syncd.aws.identity import refusals
from syncd.aws.identity.boto import own_session
from syncd.aws.identity.lookups import LookupFailed, Lookups, require_files
from syncd.config.addresses import region_of_queue
from syncd.model import reasons
from syncd.model.errors import JobFailed
from syncd.model.reasons import Reason

MESSAGES_A_CALL = 10
"""SQS takes and gives no more."""
_BYTES_A_CALL = 256 * 1024
"""The limit of a call is 1 MiB. Servers beside SQS may still have the old one."""
LONGEST_WAIT_SECONDS = 20
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
_ON_AWS = re.compile(r"sqs\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?")
_ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL")
_NO_QUEUE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "InvalidAddress"})
_STALE = frozenset({"ReceiptHandleIsInvalid", "InvalidParameterValue", "MessageNotInflight"})
_OWN_CREDENTIALS = (
    "give this process credentials by the default chain: environment, AWS_PROFILE, ~/.aws, or the role of the machine or"
    " container"
)
_REMEDIES: Mapping[str, str] = {
    Reason.NO_CREDENTIALS: _OWN_CREDENTIALS,
    Reason.CREDENTIALS: _OWN_CREDENTIALS,
    Reason.INVALID_CREDENTIALS: _OWN_CREDENTIALS,
    Reason.SLOW_DOWN: "nothing to do if it passes",
    Reason.CONNECTION: "check the network, DNS and proxy between here and SQS, the queue's URL, and AWS_ENDPOINT_URL_SQS",
    Reason.UNEXPECTED: "check the queue's URL in syncd.toml and AWS_ENDPOINT_URL_SQS, and look for a proxy on the way",
}


class Message(NamedTuple):
    """One message in hand."""

    body: str
    receipt: str
    receives: int
    """Times it was received, this one included."""


class Queues:
    """Client of queues, named by their URLs. Safe to use from any thread.

    A client whose call failed is dropped, so that the next one reads changed credentials.
    """

    def __init__(self) -> None:
        self._lookups = Lookups()
        self._lock = Lock()
        self._clients: dict[tuple[str | None, str | None], Any] = {}
        self._singly: set[tuple[str, str]] = set()
        """Queues and actions that are denied for several messages in one call."""

    def receive(
        self,
        queue: str,
        *,
        most: int = MESSAGES_A_CALL,
        wait_seconds: int = LONGEST_WAIT_SECONDS,
        visibility_seconds: int | None = None,
    ) -> list[Message]:
        """Receive messages, and wait for the first. Without `visibility_seconds` the queue's own holds.

        Raises:
            JobFailed: the queue cannot be received from.
        """
        hidden = {} if visibility_seconds is None else {"VisibilityTimeout": visibility_seconds}
        with self._client(queue, "ReceiveMessage") as client:
            answer = client.receive_message(
                QueueUrl=queue,
                MaxNumberOfMessages=most,
                WaitTimeSeconds=wait_seconds,
                AttributeNames=["ApproximateReceiveCount"],
                **hidden,
            )
            return [_message(item) for item in answer.get("Messages", ())]

    def send(self, queue: str, bodies: Sequence[str]) -> None:
        """Send messages.

        Raises:
            JobFailed: some were not sent.
        """
        for part in _parts(bodies):
            if not self._sent_together(queue, part):
                for body in part:
                    with self._client(queue, "SendMessage") as client:
                        client.send_message(QueueUrl=queue, MessageBody=body)

    def delete(self, queue: str, messages: Sequence[Message]) -> list[Message]:
        """Delete messages. Returns those that were not deleted and come again.

        Raises:
            JobFailed: the call was refused, or there was no answer.
        """
        kept: list[Message] = []
        for first in range(0, len(messages), MESSAGES_A_CALL):
            part = messages[first : first + MESSAGES_A_CALL]
            left = self._deleted_together(queue, part)
            kept += [item for item in part if not self._deleted(queue, item)] if left is None else left
        return kept

    def change_visibility(self, queue: str, message: Message, seconds: int) -> bool:
        """Hide a message for so long from now. 0 gives it back. Returns false if it is no longer in hand.

        Raises:
            JobFailed: the call was refused, or there was no answer.
        """
        return self._in_hand(
            queue,
            "ChangeMessageVisibility",
            lambda client: client.change_message_visibility(
                QueueUrl=queue, ReceiptHandle=message.receipt, VisibilityTimeout=seconds
            ),
        )

    def attributes(self, queue: str) -> dict[str, str]:
        """Return the queue's attributes, such as ApproximateNumberOfMessages and RedrivePolicy.

        Raises:
            JobFailed: the call was refused, or there was no answer.
        """
        with self._client(queue, "GetQueueAttributes") as client:
            return dict(client.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"]).get("Attributes", {}))

    def _sent_together(self, queue: str, bodies: Sequence[str]) -> bool:
        """Send messages in one call. Returns false if the server has another permission for that."""
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
        answer = self._together(
            queue, "SendMessage", lambda client: client.send_message_batch(QueueUrl=queue, Entries=entries)
        )
        if answer is not None:
            _require_all(f"SendMessage of {queue}", answer)
        return answer is not None

    def _deleted_together(self, queue: str, messages: Sequence[Message]) -> list[Message] | None:
        """Delete messages in one call. Returns those that come again, or None as `_sent_together` does."""
        entries = [{"Id": str(number), "ReceiptHandle": item.receipt} for number, item in enumerate(messages)]
        answer = self._together(
            queue, "DeleteMessage", lambda client: client.delete_message_batch(QueueUrl=queue, Entries=entries)
        )
        return None if answer is None else [messages[int(item["Id"])] for item in answer.get("Failed", ())]

    def _deleted(self, queue: str, message: Message) -> bool:
        return self._in_hand(
            queue,
            "DeleteMessage",
            lambda client: client.delete_message(QueueUrl=queue, ReceiptHandle=message.receipt),
        )

    def _together(self, queue: str, action: str, call: Callable[[Any], Any]) -> Any | None:
        """Return the answer to a call for several messages. None if it is denied: single ones may not be.

        On AWS the permission is the same. Servers beside it may have one for batches.
        """
        if (queue, action) in self._singly:
            return None
        try:
            with self._client(queue, action) as client:
                return call(client)
        except JobFailed as error:
            if error.reason != Reason.ACCESS_DENIED:
                raise
            self._singly.add((queue, action))
            return None

    def _in_hand(self, queue: str, action: str, call: Callable[[Any], Any]) -> bool:
        """Make a call about one message. Returns false if it is no longer in hand."""
        try:
            with self._client(queue, action) as client:
                call(client)
        except JobFailed as error:
            if refusals.answered(error.__cause__)[0].rpartition(".")[2] in _STALE:
                return False
            raise
        return True

    @contextmanager
    def _client(self, queue: str, action: str) -> Iterator[Any]:
        """Yield the client for a queue. Raises JobFailed for what goes wrong inside."""
        place = _place(queue)
        call = f"{action} of {queue}"
        try:
            with refusals.as_job_failure(call, denied=""):
                yield self._connected(place, call)
        except JobFailed as error:
            with self._lock:
                self._clients.pop(place, None)
            # If single messages are denied too, the permission is missing, and is asked for anew.
            self._singly.discard((queue, action))
            raise _of_queue(error, queue, action) from error.__cause__

    def _connected(self, place: tuple[str | None, str | None], call: str) -> Any:
        with self._lock:
            client = self._clients.get(place)
            if client is None:
                client = self._clients[place] = self._new_client(place, call)
            return client

    def _new_client(self, place: tuple[str | None, str | None], call: str) -> Any:
        region, endpoint = place

        def look() -> Any:
            require_files(with_tokens=True)
            session = own_session()
            found = session.get_credentials()
            if found is None:
                raise LookupFailed("no credentials were found by the default chain")
            found.get_frozen_credentials()
            return session.create_client(
                "sqs",
                region_name=region or session.get_config_variable("region") or "us-east-1",
                endpoint_url=endpoint,
                config=Config(
                    connect_timeout=_CONNECT_SECONDS,
                    read_timeout=LONGEST_WAIT_SECONDS + _ANSWER_SECONDS,
                    retries={"mode": "standard", "max_attempts": 2},
                ),
            )

        try:
            return self._lookups.run("queues", look)
        except LookupFailed as failed:
            raise JobFailed(
                Reason.NO_CREDENTIALS, f"{call}: {failed.detail}", failed.remedy or _OWN_CREDENTIALS
            ) from failed


def _place(queue: str) -> tuple[str | None, str | None]:
    """Return region and endpoint for a queue. Without an endpoint botocore chooses it."""
    parts = urlsplit(queue)
    is_chosen = any(os.environ.get(name) for name in _ENDPOINT_VARIABLES)
    endpoint = None if is_chosen or _ON_AWS.fullmatch(parts.netloc) else f"{parts.scheme}://{parts.netloc}"
    return region_of_queue(queue), endpoint


def _message(item: Mapping[str, Any]) -> Message:
    receives = item.get("Attributes", {}).get("ApproximateReceiveCount", "1")
    return Message(item.get("Body", ""), item["ReceiptHandle"], int(receives))


def _parts(bodies: Sequence[str]) -> Iterator[list[str]]:
    """Split messages into what one call takes."""
    part: list[str] = []
    size_bytes = 0
    for body in bodies:
        body_bytes = len(body.encode())
        if part and (len(part) == MESSAGES_A_CALL or size_bytes + body_bytes > _BYTES_A_CALL):
            yield part
            part, size_bytes = [], 0
        part.append(body)
        size_bytes += body_bytes
    if part:
        yield part


def _require_all(call: str, answer: Mapping[str, Any]) -> None:
    """Raise JobFailed if part of a batch failed."""
    for failed in answer.get("Failed", ()):
        why = f"{failed.get('Code', 'no code')}: {failed.get('Message', 'no reason given')}"
        raise JobFailed(Reason.UNEXPECTED, f"{call}: {why}", _REMEDIES[Reason.UNEXPECTED])


def _of_queue(error: JobFailed, queue: str, action: str) -> JobFailed:
    """Return a failure with the reason and the remedy that hold for queues."""
    code = refusals.answered(error.__cause__)[0]
    if code in _NO_QUEUE:
        return JobFailed(Reason.NO_QUEUE, error.detail, reasons.remedy_of(Reason.NO_QUEUE))
    if error.reason == Reason.ACCESS_DENIED:
        return JobFailed(error.reason, error.detail, _remedy_of_denial(queue, action))
    return JobFailed(error.reason, error.detail, _REMEDIES.get(error.reason) or error.remedy)


def _remedy_of_denial(queue: str, action: str) -> str:
    return (
        f"allow sqs:{action} on {queue} in the policy of this process's own principal, and look for a Deny in the queue's"
        " policy; if the queue encrypts with a KMS key, allow kms:Decrypt and kms:GenerateDataKey too"
    )
