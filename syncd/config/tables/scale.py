"""The tables of what lies beyond one daemon's own schedule: hints."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, Strict

from syncd.config import addresses, fields
from syncd.config.fields import Words
from syncd.config.tables.table import Table

QueueUrl = Annotated[str, Strict(), AfterValidator(addresses.check_queue), Words("URL of an SQS queue")]
QueueUrls = Annotated[
    tuple[QueueUrl, ...],
    AfterValidator(lambda queues: tuple(dict.fromkeys(queues))),
    Words("list of URLs of SQS queues", show=lambda _: "[]", remedy="write it in [ ]"),
]


class Hints(Table):
    """`[hints]` of syncd.toml: queues that tell of new objects."""

    queues: QueueUrls = Field(
        (), description="queues with notifications of new objects, which hasten the ticks of jobs"
    )
    settle: fields.DurationOrZero = Field(
        timedelta(seconds=1), description="hints that follow within this time are one tick of a job"
    )


class Work(Table):
    """`[work]` of syncd.toml: the queues of spread catch-ups, on their owner and on workers."""

    tasks: QueueUrl | None = Field(None, description="URL of the SQS queue of tasks, from the owner to workers")
    results: QueueUrl | None = Field(None, description="URL of the SQS queue of results, from workers to the owner")
    dead: QueueUrl | None = Field(
        None,
        description="URL of the dead-letter queue of tasks, if it is not that of their redrive policy",
    )
    visibility: fields.Visibility = Field(
        timedelta(seconds=60), description="a task goes to another worker when its own has been silent for this long"
    )
    task_objects: fields.TaskObjects = Field(20_000, description="about how many objects a task has")

    @property
    def is_given(self) -> bool:
        """True if catch-ups can be spread."""
        return self.tasks is not None
