"""The tables of what lies beyond one daemon's own schedule: hints, workers, and slots of several daemons."""

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


LeaseUrl = Annotated[
    str, Strict(), AfterValidator(addresses.check_lease), Words("s3://BUCKET/PREFIX/", schema={"pattern": "^s3://.+/$"})
]
Members = Annotated[int, Strict(), Field(ge=1, le=1000), Words("whole number from 1 to 1000")]
Visibility = Annotated[timedelta, *fields.duration("3s", "12h", words="duration from 3s to 12h")]
TaskObjects = Annotated[int, Strict(), Field(ge=2000, le=10_000_000), Words("whole number from 2000 to 10000000")]
Ttl = Annotated[timedelta, *fields.duration("3s", "1h", words="duration from 3s to 1h")]


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
    visibility: Visibility = Field(
        timedelta(seconds=60), description="a task goes to another worker when its own has been silent for this long"
    )
    task_objects: TaskObjects = Field(20_000, description="about how many objects a task has")
    metrics_listen: fields.Listen = Field(
        "",
        description="where an owner or a worker answers /metrics and /healthz while it runs; allowed as http.listen is",
    )

    @property
    def is_given(self) -> bool:
        """True if catch-ups can be spread."""
        return self.tasks is not None

    @property
    def queues(self) -> dict[str, str]:
        """The queues that are given, by their keys."""
        given = {"tasks": self.tasks, "results": self.results, "dead": self.dead}
        return {key: queue for key, queue in given.items() if queue is not None}


class Fleet(Table):
    """`[fleet]` of syncd.toml: several daemons, each of which has a slot of the jobs."""

    lease: LeaseUrl = Field(
        description="where the slots' leases are kept; the bucket is no job's source or destination"
    )
    members: Members = Field(
        1, description="slots among which the jobs are shared; run one daemon more to have one standing by"
    )
    ttl: Ttl = Field(
        timedelta(seconds=30), description="a slot whose lease has not changed for this long is free to take"
    )
