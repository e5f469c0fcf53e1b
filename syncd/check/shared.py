"""The steps of `check` for what all jobs share: the queues of hints."""

from collections.abc import Sequence

from syncd.aws.queues import Message, Queues
from syncd.check.result import Check, Status
from syncd.config.job import Configuration
from syncd.model.errors import JobFailed

RECEIVE, DELETE = "hints-receive", "hints-delete"
# No queue has given this receipt, so it deletes nothing. Permissions are checked before receipts.
_NO_MESSAGE = Message("", "c3luY2QtY2hlY2s=", 1)


def shared_checks(configuration: Configuration) -> list[Check]:
    """Check what syncd.toml names beside the jobs. Empty if it names nothing."""
    client = Queues()
    return [check for queue in configuration.settings.hints.queues for check in _queue_checks(client, queue)]


def _queue_checks(client: Queues, queue: str) -> Sequence[Check]:
    found = []
    try:
        messages = client.receive(queue, wait_seconds=0, visibility_seconds=0)
        waiting = f"at least {len(messages)} messages wait" if messages else "it is empty or nearly so"
        found.append(Check(RECEIVE, Status.OK, f"{queue} can be received from; {waiting}"))
        client.delete(queue, [_NO_MESSAGE])
        found.append(Check(DELETE, Status.OK, f"{queue}: messages can be deleted"))
    except JobFailed as error:
        step = DELETE if found else RECEIVE
        found.append(Check(step, Status.FAILED, f"{error.reason}: {error.detail}", error.remedy))
    return found
