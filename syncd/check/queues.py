"""The steps of `check` for queues: those of hints, and those between the owner and the workers of spread catch-ups."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from json import JSONDecodeError, loads
from typing import Any

from syncd.aws.queues import Message, Queues
from syncd.check.result import Check, Status
from syncd.config.tables.scale import Work
from syncd.model.errors import JobFailed
from syncd.model.reasons import Reason

RECEIVE, DELETE = "hints-receive", "hints-delete"
TASKS, DEAD, OWNER, WORKER = "work-tasks", "work-dead", "work-owner", "work-worker"
_LEAST_RECEIVES = 5
_LEAST_RETENTION_SECONDS = 86400
# No queue has given this receipt, so it deletes nothing. Permissions are checked before receipts.
_NO_MESSAGE = Message("", "c3luY2QtY2hlY2s=", 1)
_PRINTED = "as `syncd policies --work` prints it"


def hint_checks(client: Queues, queue: str) -> Sequence[Check]:
    """Receive and delete as a daemon does. What is received stays in the queue."""
    found = []
    try:
        messages = client.receive(queue, wait_seconds=0, visibility_seconds=0)
        waiting = f"at least {len(messages)} messages wait" if messages else "it is empty or nearly so"
        found.append(Check(RECEIVE, Status.OK, f"{queue} can be received from; {waiting}"))
        client.delete(queue, [_NO_MESSAGE])
        found.append(Check(DELETE, Status.OK, f"{queue}: messages can be deleted"))
    except JobFailed as error:
        found.append(_failed(DELETE if found else RECEIVE, error))
    return found


def work_checks(client: Queues, work: Work) -> Sequence[Check]:
    """Look at the queues of spread catch-ups, and try what owner and workers do. No task is received, and none is sent."""
    if work.tasks is None or work.results is None:
        return []
    try:
        about = client.attributes(work.tasks)
    except JobFailed as error:
        return [_failed(TASKS, error)]
    found = [_queue_check(work.tasks, about)]
    dead = work.dead or _dead_of(work.tasks, about)
    if dead is None:
        remedy = f"give it a dead-letter queue, {_PRINTED}, or a task that kills its workers goes round for ever"
        return [*found, Check(DEAD, Status.FAILED, f"{work.tasks} has no redrive policy", remedy)]
    return [*found, _redrive_check(work.tasks, dead, about), *_roles_checks(client, work.tasks, work.results, dead)]


def _queue_check(queue: str, about: Mapping[str, str]) -> Check:
    seconds = int(about.get("MessageRetentionPeriod", _LEAST_RETENTION_SECONDS))
    if seconds < _LEAST_RETENTION_SECONDS:
        detail = f"{queue} forgets messages after {seconds} seconds, and tasks that wait longer are lost and sent again"
        return Check(TASKS, Status.WARNING, detail, f"set MessageRetentionPeriod to 1209600, {_PRINTED}")
    waiting = about.get("ApproximateNumberOfMessages", "0")
    return Check(TASKS, Status.OK, f"{queue} can be reached; about {waiting} messages wait")


def _redrive(about: Mapping[str, str]) -> Mapping[str, Any]:
    with suppress(JSONDecodeError):
        policy = loads(about.get("RedrivePolicy", "{}"))
        if isinstance(policy, dict):
            return policy
    return {}


def _dead_of(tasks: str, about: Mapping[str, str]) -> str | None:
    """Return the dead-letter queue, which is in the account and region of the queue itself. None if there is none."""
    name = str(_redrive(about).get("deadLetterTargetArn", "")).rpartition(":")[2]
    return f"{tasks.rpartition('/')[0]}/{name}" if name else None


def _redrive_check(tasks: str, dead: str, about: Mapping[str, str]) -> Check:
    policy = _redrive(about)
    target = str(policy.get("deadLetterTargetArn", "")).rpartition(":")[2]
    if target != dead.rpartition("/")[2]:
        detail = f"{tasks} leaves dead letters in {target or 'no queue'}, and the owner looks for them in {dead}"
        return Check(DEAD, Status.FAILED, detail, f"let work.dead name the queue of the redrive policy, {_PRINTED}")
    receives = int(policy.get("maxReceiveCount", 0))
    if receives < _LEAST_RECEIVES:
        detail = f"{tasks} gives a task up after {receives} receives, and workers that are stopped use them up"
        return Check(DEAD, Status.WARNING, detail, f"set maxReceiveCount to 10, {_PRINTED}")
    return Check(DEAD, Status.OK, f"a task that {receives} receives did not end goes to {dead}")


def _roles_checks(client: Queues, tasks: str, results: str, dead: str) -> Sequence[Check]:
    """Try what an owner and a worker may do. One of the two is enough for a machine, and sending is not tried."""
    own = _tried(OWNER, "an owner's", [partial(_look_and_take, client, results), partial(_take, client, dead)])
    workers = _tried(WORKER, "a worker's", [partial(_hold, client, tasks)])
    if Status.OK in (own.status, workers.status):
        return [_lesser(own), _lesser(workers)]
    return [own, workers]


def _tried(step: str, whose: str, calls: Sequence[Callable[[], None]]) -> Check:
    try:
        for call in calls:
            call()
    except JobFailed as error:
        return _failed(step, error)
    return Check(step, Status.OK, f"this process may make {whose} calls; sending is not tried")


def _look_and_take(client: Queues, queue: str) -> None:
    client.attributes(queue)
    _take(client, queue)


def _take(client: Queues, queue: str) -> None:
    client.receive(queue, wait_seconds=0, visibility_seconds=0)
    client.delete(queue, [_NO_MESSAGE])


def _hold(client: Queues, queue: str) -> None:
    client.change_visibility(queue, _NO_MESSAGE, 0)
    client.delete(queue, [_NO_MESSAGE])


def _lesser(check: Check) -> Check:
    """Return a denial as information: this process is the other. A queue that is not there is nobody's."""
    is_denied = check.detail.startswith(f"{Reason.ACCESS_DENIED}:")
    return check._replace(status=Status.INFORMATION) if check.status is not Status.OK and is_denied else check


def _failed(step: str, error: JobFailed) -> Check:
    return Check(step, Status.FAILED, f"{error.reason}: {error.detail}", error.remedy)
