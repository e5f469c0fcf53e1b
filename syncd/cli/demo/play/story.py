"""The demo, step by step. Each step runs when it is asked for, and knows if it passed.

Jobs run exactly as by `syncd tick`, from configuration files. Nothing is stubbed: the roles are assumed, the refusals
are the server's, and the comparison reads every object on both sides.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from syncd.cli.demo.play.compare import differences, stored
from syncd.cli.demo.play.marker import race
from syncd.cli.demo.play.proof import proofs
from syncd.cli.demo.play.steps import Built, Compared, Delivered, Interrupted, Step, Ticked, Tried
from syncd.cli.demo.samples import SampleObject, TrailSpec, late_log, trail
from syncd.cli.demo.world import (
    ACCOUNT_A,
    ACCOUNT_B,
    ACCOUNT_C,
    TRAIL_BUCKET,
    Consumer,
    World,
    allow_reading,
    build_world,
    deliver,
    forbid_reading,
    root_client,
    write_configuration,
)
from syncd.config import files
from syncd.job import verbs
from syncd.job.wiring import CATCH_UP, RunRequest
from syncd.model.objects import Window
from syncd.model.reports import TickReport

REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2")
NEW_REGION = "eu-north-1"
LATE_HOURS = 20
_NOT_AGO = timedelta(0)
_TICK = RunRequest()
PAUSE = timedelta(hours=1, minutes=5)
"""The time from one tick to the next, by the jobs' clock. It is long enough for the hourly listing of the last 48 hours to
be due again."""


def sample_spec(now: datetime) -> TrailSpec:
    """Return the demo's trail, which began to log a day ago."""
    begins = (now - timedelta(days=1)).replace(minute=0, second=0, microsecond=0)
    return TrailSpec(TRAIL_BUCKET, (ACCOUNT_A, ACCOUNT_B, ACCOUNT_C), REGIONS, begins, logs_per_hour=1)


def play(
    url: str, directory: Path, *, tell: Callable[..., None], doing: Callable[[str], None] = lambda _: None
) -> Iterator[Step]:
    """Run the demo on an empty MiniStack, with all its files in `directory`.

    `doing` is told what begins.

    Raises:
        Interrupted: SIGINT or SIGTERM arrived while jobs were running.
    """
    now = datetime.now(UTC)
    doing("building accounts, roles and buckets")
    world = build_world(url)
    config = write_configuration(world, directory)
    yield Built(world, config)
    spec = sample_spec(now)
    yield from _Ticks(world, config, spec, now, tell, doing).steps()
    doing("polling beside a marker")
    yield from race(
        world,
        directory / "busy",
        spec,
        on_the_mark(now),
        tick=lambda path, at: _run(path, tell=tell, ago=now - at),
    )
    doing("comparing every byte")
    yield from _compared(world)
    doing("trying what must be refused")
    yield from _tried(world, directory / "refused", tell=tell)
    doing("proving the replicas")
    since = RunRequest(kind=CATCH_UP, window=Window(f"{spec.begins:%Y-%m-%d}", None))
    yield from proofs(
        world,
        config,
        replace(spec, regions=(*REGIONS, NEW_REGION)),
        tell=tell,
        catch_up=lambda name: _run(config, since, tell=tell, only=name)[0].copied,
    )


@dataclass(frozen=True)
class _Ticks:
    """The deliveries and ticks of the demo."""

    world: World
    config: Path
    spec: TrailSpec
    now: datetime
    tell: Callable[..., None]
    doing: Callable[[str], None]
    waiting: dict[str, int] = field(default_factory=dict)
    """By job: objects that it may read and has not copied."""

    def steps(self) -> Iterator[Step]:
        """Let the trail deliver, and tick every job after each delivery."""
        first, second = self.now - 2 * PAUSE, self.now - PAUSE
        yield self._delivered("a day of 3 accounts in 3 regions", trail(self.spec, first))
        self.doing("copying a day of logs into three buckets")
        yield self._ticked(
            "The first tick",
            "Each job assumes its role in A, lists what it may read, and copies it into its"
            " own bucket. (Its clock is two hours slow, so that later ticks need no waiting.)",
            ago=2 * PAUSE,
        )
        yield from self._outage(first, second)
        late = late_log(
            self.spec, ACCOUNT_C, "eu-west-1", on_the_mark(self.now - timedelta(hours=LATE_HOURS)), self.now
        )
        elsewhere = replace(self.spec, accounts=(ACCOUNT_B,), regions=(NEW_REGION,), begins=second)
        yield self._delivered("the logs of another hour", trail(self.spec, self.now, since=second))
        yield self._delivered(f"a log {LATE_HOURS} hours late, and its digest", late)
        yield self._delivered(f"B's first logs in {NEW_REGION}", trail(elsewhere, self.now))
        self.doing("catching up")
        yield self._ticked(
            "The role heals",
            "A's administrator puts the policy back. Nobody touches syncd: C's job copies what it"
            " missed. The late log and B's new region are found as well, and nothing is copied twice.",
        )
        yield self._ticked("Another tick right away", "Nothing is new: no object is read or written.")

    def _outage(self, first: datetime, second: datetime) -> Iterator[Step]:
        broken = self.world.consumer("account-c")
        yield self._delivered("the logs of the next hour", trail(self.spec, second, since=first))
        forbid_reading(self.world, broken)
        self.doing("ticking with a broken role")
        yield self._ticked(
            "A role breaks",
            "An hour later, A's administrator has taken the read policy off C's role. C's job"
            " says what is wrong and what to do, and stays complete until then. The other jobs go on.",
            ago=PAUSE,
            denied=(broken.name,),
        )
        allow_reading(self.world, broken)

    def _delivered(self, what: str, objects: Iterable[SampleObject]) -> Delivered:
        delivered = list(objects)
        for consumer in self.world.consumers:
            readable = sum(may_read(consumer, item.key) for item in delivered)
            self.waiting[consumer.name] = self.waiting.get(consumer.name, 0) + readable
        return Delivered(what, deliver(self.world, delivered))

    def _ticked(self, title: str, remark: str, *, ago: timedelta = _NOT_AGO, denied: Collection[str] = ()) -> Ticked:
        """Tick every job once. All but those that are denied must copy what waits for them."""
        reports = _run(self.config, tell=self.tell, ago=ago)
        expected = [0 if report.job in denied else self.waiting.pop(report.job, 0) for report in reports]
        return Ticked(title, remark, reports, expected, denied)


def may_read(consumer: Consumer, key: str) -> bool:
    """Return True if the consumer can read this key of the trail's bucket."""
    return not consumer.accounts or any(key.startswith(prefix) for prefix in _prefixes(consumer))


def _prefixes(consumer: Consumer) -> Sequence[str]:
    return [f"AWSLogs/{account}/" for account in consumer.accounts] or [""]


def on_the_mark(instant: datetime) -> datetime:
    """Return the five-minute mark at or before an instant."""
    return instant.replace(minute=instant.minute // 5 * 5, second=0, microsecond=0)


def _run(
    config: Path,
    request: RunRequest = _TICK,
    *,
    tell: Callable[..., None],
    ago: timedelta = _NOT_AGO,
    only: str = "",
) -> Sequence[TickReport]:
    configuration = files.load(config)
    done = verbs.run(
        configuration,
        [job for job in configuration.jobs if only in ("", job.name)],
        request,
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
