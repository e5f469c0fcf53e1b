"""The messages between the owner of a spread catch-up and its workers, as JSON. Pure.

A task names a job, and holds no definition, credential or ARN: a worker does only what its own configuration says. A
result is facts about the destination, so that late ones, doubled ones and those of another run do no harm.
"""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from syncd.model.objects import Failed, LogObject, Shard, Transfer
from syncd.model.reports import SHOWN, Counts, TaskResult, TaskState
from syncd.model.sealed import DIGEST_MODULUS, SealedDay

LONGEST_RESULT_BYTES = 900_000
"""SQS takes a mebibyte."""
MOST_HELD_TOLD = 1000
_LONGEST_DETAIL = 500


class UnreadableMessage(ValueError):
    """A message that is no task or no result."""


def _day(text: str) -> str:
    if date.fromisoformat(text).isoformat() != text:
        raise ValueError(f"{text!r} is no day")
    return text


_Day = Annotated[str, AfterValidator(_day)]
_Key = Annotated[str, Field(max_length=1024)]
_Number = Annotated[int, Field(ge=0, lt=DIGEST_MODULUS)]
_ShardParts = tuple[_Key, _Key, _Key, _Key, _Key]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True)

    v: Literal[1] = 1
    task: str
    job: str
    replica: str
    """The source and the destination in words, by which both sides know that they mean the same."""
    token: str = ""
    """A secret of the owner's, by which it knows the results of its own tasks."""


class TaskMessage(_Message):
    """A span of days of one shard to catch up."""

    terms: str
    """A hash of what the owner's job file says."""
    shard: _ShardParts
    first: _Day
    last: _Day

    @property
    def place(self) -> Shard:
        """The shard."""
        return Shard(*self.shard)


class _Held(BaseModel):
    key: str
    etag: str
    size_bytes: _Number
    last_modified: float
    storage_class: str
    reason: str
    detail: str


class ResultMessage(_Message):
    """The end of a task, as a worker tells it."""

    outcome: Literal["ok", "partial", "own"]
    counts: dict[str, int | float | dict[str, int]]
    days: dict[_Day, tuple[_Number, _Number, _Number, bool, _Number, bool]] = {}
    held: list[_Held] = []

    def result(self, shard: Shard, destination_prefix: str) -> TaskResult:
        """Return what it tells, for a task in this shard. What it tells of other shards is left out."""
        days = {day: SealedDay(*facts) for day, facts in self.days.items()}
        held = [
            Failed(
                Transfer(
                    shard,
                    LogObject(item.key, item.etag, item.size_bytes, item.last_modified, item.storage_class),
                    destination_prefix + item.key,
                ),
                item.reason,
                item.detail,
            )
            for item in self.held
            if item.key.startswith(shard.prefix)
        ]
        return TaskResult(self.task, TaskState(self.outcome), _counts_of(self.counts), days, held)


def read_task(body: str) -> TaskMessage:
    """Return the task of a message. Raises UnreadableMessage."""
    try:
        task = TaskMessage.model_validate_json(body)
    except ValidationError as error:
        raise UnreadableMessage(_first_of(error)) from error
    if task.last < task.first:
        raise UnreadableMessage(f"its last day, {task.last}, is before its first, {task.first}")
    return task


def read_result(body: str) -> ResultMessage:
    """Return the result of a message. Raises UnreadableMessage."""
    try:
        return ResultMessage.model_validate_json(body)
    except ValidationError as error:
        raise UnreadableMessage(_first_of(error)) from error


def result_text(
    task: TaskMessage, outcome: str, counts: Counts, days: dict[str, SealedDay], held: Sequence[Failed]
) -> str:
    """Return the message of a result. What no message can hold is left to the owner."""
    message = ResultMessage(
        task=task.task,
        job=task.job,
        replica=task.replica,
        token=task.token,
        outcome=outcome,
        counts=counts.counted(),
        days={day: _facts(sealed) for day, sealed in days.items()},
        held=[_held(item) for item in held[:MOST_HELD_TOLD]],
    )
    text = message.model_dump_json()
    if outcome != TaskState.OWN and (len(held) > MOST_HELD_TOLD or len(text.encode()) > LONGEST_RESULT_BYTES):
        return result_text(task, TaskState.OWN, counts, {}, [])
    return text


def _facts(sealed: SealedDay) -> tuple[int, int, int, bool, int, bool]:
    sums = (sealed.count, sealed.size_bytes, sealed.digest, sealed.exact)
    return (*sums, sealed.replica_digest, sealed.replica_exact)


def _held(item: Failed) -> _Held:
    found = item.transfer.object
    return _Held(
        key=found.key,
        etag=found.etag,
        size_bytes=found.size_bytes,
        last_modified=found.last_modified,
        storage_class=found.storage_class,
        reason=item.reason,
        detail=item.detail[:_LONGEST_DETAIL],
    )


def _counts_of(told: dict[str, Any]) -> Counts:
    zero = Counts()
    known = {}
    for name, value in told.items():
        is_table = name in SHOWN and isinstance(getattr(zero, name), dict)
        if name in SHOWN and isinstance(value, dict) == is_table:
            known[name] = value
    return Counts(**known)


def _first_of(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"])) or "the message"
    return f"{where}: {first['msg']}"
