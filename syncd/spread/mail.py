"""The owner's side of the queues: tasks sent, results received, dead letters found, and what was lost sent again."""

from collections.abc import Sequence
from json import JSONDecodeError, loads
from time import monotonic
from typing import NamedTuple

from syncd.aws.queues import MESSAGES_A_CALL, Message, Queues
from syncd.config.job import Job, Work
from syncd.model.errors import JobFailed
from syncd.model.reasons import Reason
from syncd.model.reports import SpreadTask
from syncd.spread.messages import ResultMessage, TaskMessage, UnreadableMessage, read_result, read_task
from syncd.spread.terms import terms_of
from syncd.tick.scope import replica_of

MOST_POLL_SECONDS = 5
_MOST_HIDDEN_SECONDS = 30
FOREIGN_SECONDS = 15
"""A result of another state's catch-up is left to its owner for this long."""
MOST_FOREIGN_RECEIVES = 20
"""A result that was left so often has no owner any more."""
EMPTY_LOOKS = 2
"""Tasks are lost if the queues are empty this often, at looks that are a visibility apart."""


class Told(NamedTuple):
    """A message with a result in it, or with None if it cannot be read."""

    message: Message
    result: ResultMessage | None
    why: str = ""


class Mail:
    """The queues as the owner uses them. Methods raise JobFailed."""

    def __init__(self, queues: Queues, work: Work) -> None:
        assert work.tasks is not None
        assert work.results is not None
        self._queues = queues
        self.tasks, self.results = work.tasks, work.results
        self._visibility = int(work.visibility.total_seconds())
        self.hidden_seconds = min(_MOST_HIDDEN_SECONDS, self._visibility)
        """The time that a result in hand stays with this owner."""
        self._dead = work.dead
        self._empty_looks = 0
        self._look_at = monotonic() + self._visibility
        self._discarded: list[Message] = []
        self._discarded_since = 0.0

    def send(self, job: Job, tasks: Sequence[SpreadTask]) -> None:
        """Send tasks to the workers."""
        replica, terms = str(replica_of(job)), terms_of(job)
        self._queues.send(
            self.tasks,
            [
                TaskMessage(
                    task=task.name,
                    job=job.name,
                    replica=replica,
                    token=task.token,
                    terms=terms,
                    shard=task.shard,
                    first=task.first,
                    last=task.last,
                ).model_dump_json()
                for task in tasks
            ],
        )

    def receive(self, *, wait_seconds: int = MOST_POLL_SECONDS) -> list[Told]:
        """Receive some results. The wait ends before results in hand come again."""
        wait_seconds = min(wait_seconds, max(1, self.hidden_seconds // 4))
        received = self._queues.receive(self.results, wait_seconds=wait_seconds, visibility_seconds=self.hidden_seconds)
        if received:
            self._empty_looks, self._look_at = 0, monotonic() + self._visibility
        return [_told(message) for message in received]

    def discard(self, messages: Sequence[Message]) -> None:
        """Note results that are recorded, or that nobody needs, and delete them once there are some."""
        self._discarded_since = self._discarded_since if self._discarded else monotonic()
        self._discarded += messages
        is_old = monotonic() - self._discarded_since >= self.hidden_seconds / 2
        if len(self._discarded) >= MESSAGES_A_CALL or (self._discarded and (is_old or not messages)):
            self.delete_results()

    def delete_results(self) -> None:
        """Delete the results that were noted."""
        if self._discarded:
            self._queues.delete(self.results, self._discarded)
            self._discarded = []

    def leave(self, message: Message) -> bool:
        """Leave a result to another owner. Returns False if it has been left often enough."""
        if message.receives > MOST_FOREIGN_RECEIVES:
            return False
        self._queues.change_visibility(self.results, message, min(FOREIGN_SECONDS, self._visibility))
        return True

    def dead(self) -> list[tuple[Message, TaskMessage | None]]:
        """Receive some tasks that workers have failed at again and again."""
        queue = self._dead_queue()
        if queue is None:
            return []
        received = self._queues.receive(queue, wait_seconds=0, visibility_seconds=self.hidden_seconds)
        return [(message, _task(message)) for message in received]

    def delete_dead(self, messages: Sequence[Message]) -> None:
        """Delete dead letters."""
        if self._dead is not None and messages:
            self._queues.delete(self._dead, messages)

    def _dead_queue(self) -> str | None:
        """Return the dead-letter queue of the tasks. SQS has it in the account and region of the queue itself."""
        if self._dead is None:
            try:
                arn = loads(self._queues.attributes(self.tasks)["RedrivePolicy"])["deadLetterTargetArn"]
            except (KeyError, JSONDecodeError) as error:
                detail = f"{self.tasks} has no redrive policy: a task that kills its workers would go round for ever"
                remedy = "give the queue of tasks a dead-letter queue, as `syncd policies --work` prints it"
                raise JobFailed(Reason.CONFIGURATION, detail, remedy) from error
            self._dead = f"{self.tasks.rpartition('/')[0]}/{str(arn).rpartition(':')[2]}"
        return self._dead

    def is_quiet(self) -> bool:
        """Return True if no result has come for long, and all queues are empty: what was sent is lost."""
        now = monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + self._visibility
        self._empty_looks = 0 if any(map(self._waiting, (self.tasks, self.results))) else self._empty_looks + 1
        return self._empty_looks >= EMPTY_LOOKS

    def tasks_left(self) -> bool:
        """Return True if tasks are in the queue, or in a worker's hands."""
        return self._waiting(self.tasks) > 0

    @property
    def visibility_seconds(self) -> int:
        """The time that a task stays with a worker that is silent."""
        return self._visibility

    def _waiting(self, queue: str) -> int:
        counts = self._queues.attributes(queue)
        return sum(int(value) for name, value in counts.items() if name.startswith("ApproximateNumberOf"))


def _told(message: Message) -> Told:
    try:
        return Told(message, read_result(message.body))
    except UnreadableMessage as error:
        return Told(message, None, str(error))


def _task(message: Message) -> TaskMessage | None:
    try:
        return read_task(message.body)
    except UnreadableMessage:
        return None
