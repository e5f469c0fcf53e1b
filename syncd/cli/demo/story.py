"""The demo, step by step. Each step runs when it is asked for, and knows if it passed.

Jobs run exactly as by `syncd tick`, from configuration files. Nothing is stubbed: the roles are assumed, the refusals
are the server's, and the comparison reads every object on both sides.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from syncd.cli.demo.compare import differences, stored
from syncd.cli.demo.proof import Proved, proofs
from syncd.cli.demo.samples import SampleObject, TrailSpec, late_log, trail
from syncd.cli.demo.world import (
    ACCOUNT_A,
    ACCOUNT_B,
    ACCOUNT_C,
    TRAIL_BUCKET,
    Consumer,
    World,
    build_world,
    deliver,
    root_client,
    write_configuration,
)
from syncd.config import files
from syncd.job import verbs
from syncd.job.wiring import RunRequest
from syncd.model.reasons import Reason
from syncd.model.reports import TickReport

REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2")
NEW_REGION = "eu-north-1"
DAYS = 3
LATE_HOURS = 20
PAUSE = timedelta(hours=1, minutes=5)
"""The time between the first tick and the next, by the jobs' clock. It is long enough for the hourly listing of the
last 48 hours to be due again."""


class Interrupted(Exception):
    """An interruption of the jobs by a signal, with the exit code of `syncd tick`."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"exit code {exit_code}")
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Built:
    """A step that created accounts, roles, buckets, and the configuration for them."""

    world: World
    config: Path
    holds: bool = True


@dataclass(frozen=True, slots=True)
class Delivered:
    """A step in which the trail delivered objects."""

    what: str
    objects: int

    @property
    def holds(self) -> bool:
        """True if there were any objects."""
        return self.objects > 0


@dataclass(frozen=True, slots=True)
class Ticked:
    """A step in which every job ticked once."""

    title: str
    remark: str
    reports: Sequence[TickReport]
    expected: Sequence[int]
    """The number of objects that each job should have copied."""

    @property
    def holds(self) -> bool:
        """True if each job copied exactly the new objects, and requested no others."""
        return all(
            report.outcome == "ok"
            and report.copied == expected
            and (expected > 0 or not report.requests.keys() & {"GetObject", "PutObject"})
            for report, expected in zip(self.reports, self.expected, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Compared:
    """A step that compared a replica with the objects that its consumer can read."""

    job: str
    source: str
    destination: str
    objects: int
    size_bytes: int
    differences: Sequence[str]

    @property
    def holds(self) -> bool:
        """True if both sides are identical."""
        return self.objects > 0 and not self.differences


@dataclass(frozen=True, slots=True)
class Tried:
    """A step in which a job tried something that must be refused."""

    what: str
    operation: str
    """The request that must be refused."""
    report: TickReport

    @property
    def holds(self) -> bool:
        """True if that request was refused and nothing was read."""
        report = self.report
        return (
            report.outcome == "failed"
            and report.error is not None
            and report.error.reason == Reason.ACCESS_DENIED
            and self.operation in report.error.detail
            and report.requests.get(self.operation, 0) > 0
            and report.requests.get("GetObject", 0) == 0
            and report.copied == 0
        )


Step: TypeAlias = Built | Delivered | Ticked | Compared | Tried | Proved


def play(url: str, directory: Path, *, tell: Callable[..., None]) -> Iterator[Step]:
    """Run the demo on an empty MiniStack, with all its files in `directory`.

    Raises:
        Interrupted: SIGINT or SIGTERM arrived while jobs were running.
    """
    now = datetime.now(UTC)
    world = build_world(url)
    config = write_configuration(world, directory)
    yield Built(world, config)
    spec = TrailSpec(
        TRAIL_BUCKET,
        (ACCOUNT_A, ACCOUNT_B, ACCOUNT_C),
        REGIONS,
        (now - timedelta(days=DAYS)).replace(minute=0, second=0, microsecond=0),
        logs_per_hour=1,
    )
    past = now - PAUSE
    history = list(trail(spec, past))
    yield _delivered(world, f"{DAYS} days, 3 accounts, {len(REGIONS)} regions", history)
    yield _ticked(
        world,
        config,
        "The first tick",
        "Each job assumes its role in A, lists what it can read, and copies it to its own\n"
        "bucket. (Its clock is an hour slow, so that the next tick can be an hour later.)",
        history,
        tell=tell,
        ago=PAUSE,
    )
    fresh = list(trail(spec, now, since=past))
    yield _delivered(world, "the logs of the hour since", fresh)
    late = late_log(spec, ACCOUNT_C, "eu-west-1", _on_the_mark(now - timedelta(hours=LATE_HOURS)), now)
    yield _delivered(world, f"a log file that is {LATE_HOURS} hours late, with a digest of its own", late)
    elsewhere = list(trail(replace(spec, accounts=(ACCOUNT_B,), regions=(NEW_REGION,), begins=past), now))
    yield _delivered(world, f"B's first logs in {NEW_REGION}", elsewhere)
    yield _ticked(
        world,
        config,
        "The next tick, an hour later",
        "New objects are copied, including the late log and the new region, and nothing else.",
        [*fresh, *late, *elsewhere],
        tell=tell,
    )
    yield _ticked(
        world, config, "Another tick right away", "Nothing is new: no object is read or written.", [], tell=tell
    )
    yield from _compared(world)
    yield from _tried(world, directory / "refused", tell=tell)
    yield from proofs(world, config, replace(spec, regions=(*REGIONS, NEW_REGION)), tell=tell)


def may_read(consumer: Consumer, key: str) -> bool:
    """Return True if the consumer can read this key of the trail's bucket."""
    return not consumer.accounts or any(key.startswith(prefix) for prefix in _prefixes(consumer))


def _prefixes(consumer: Consumer) -> Sequence[str]:
    return [f"AWSLogs/{account}/" for account in consumer.accounts] or [""]


def _on_the_mark(instant: datetime) -> datetime:
    return instant.replace(minute=instant.minute // 5 * 5, second=0, microsecond=0)


def _delivered(world: World, what: str, objects: Iterable[SampleObject]) -> Delivered:
    return Delivered(what, deliver(world, objects))


def _ticked(
    world: World,
    config: Path,
    title: str,
    remark: str,
    objects: Sequence[SampleObject],
    *,
    tell: Callable[..., None],
    ago: timedelta = timedelta(0),
) -> Ticked:
    """Tick every job once. `objects` are those delivered since the last tick."""
    reports = _run(config, tell=tell, ago=ago)
    consumers = [world.consumer(report.job) for report in reports]
    expected = [sum(may_read(consumer, item.key) for item in objects) for consumer in consumers]
    return Ticked(title, remark, reports, expected)


def _run(config: Path, *, tell: Callable[..., None], ago: timedelta = timedelta(0)) -> Sequence[TickReport]:
    configuration = files.load(config)
    done = verbs.run(
        configuration,
        configuration.jobs,
        RunRequest(),
        now=lambda: time.time() - ago.total_seconds(),
        tell=tell,
    )
    if any(report.outcome == "interrupted" for report in done.reports):
        raise Interrupted(done.exit_code)
    return done.reports


def _compared(world: World) -> Iterator[Compared]:
    with root_client(world.url, world.account_id, "s3") as client:
        source = stored(client, world.bucket)
    for consumer in world.consumers:
        with root_client(world.url, consumer.account_id, "s3") as client:
            replica = stored(client, consumer.bucket)
        readable = {key: item for key, item in source.items() if may_read(consumer, key)}
        yield Compared(
            consumer.name,
            f"s3://{world.bucket}",
            f"s3://{consumer.bucket}",
            len(replica),
            sum(len(item.body) for item in replica.values()),
            list(differences(readable, replica)),
        )


def _tried(world: World, directory: Path, *, tell: Callable[..., None]) -> Iterator[Tried]:
    """Run three jobs that A's policies must stop."""
    b, z = world.consumer("account-b"), world.consumer("account-z")
    attempts = {
        "guessing": ("Z, with an external ID that it guessed", "AssumeRole", replace(z, external_id="guessed-id-0001")),
        "omitting": ("Z, with no external ID", "AssumeRole", replace(z, external_id=None, bucket="example-z-other")),
        "prying": ("B, by its own role, reading C's logs", "ListObjectsV2", replace(b, accounts=(ACCOUNT_C,))),
    }
    consumers = tuple(replace(consumer, name=name) for name, (_, _, consumer) in attempts.items())
    config = write_configuration(replace(world, consumers=consumers), directory)
    for report in _run(config, tell=tell):
        what, operation, _ = attempts[report.job]
        yield Tried(what, operation, report)
