"""Where a fault is injected: the job that is hit and a neighbour, each with servers of its own, in one installation."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from builders import ACCOUNTS, REGIONS, Trail, changed, days_before, deliver, job_table, profiles, toml
from faulty import FaultyS3
from preload import Preload
from stage import Stage

from injection.program_run import Run, run

HIT, NEIGHBOUR = "account-z", "account-c"
MIB = 1024 * 1024
_DAYS, _LOGS = 3, 6
_MODES: Mapping[str, Mapping[str, Any]] = {
    "stream": {"destination.copy": "stream"},
    "server-side": {"destination.copy": "server-side", "destination.signer": "consumer"},
}
MODES = tuple(_MODES)


class Harm(NamedTuple):
    """What became of the objects of the job that was hit: each of these is to be 0."""

    lost: int
    double: int
    overwritten: int


class Scene:
    """Both jobs, what their sources hold, and how the program is started."""

    def __init__(
        self, server: FaultyS3, other: FaultyS3, folder: Path, mode: str, closing: contextlib.ExitStack
    ) -> None:
        self.stage = Stage(server, folder)
        self.server, self.folder, self.mode = server, folder, mode
        self.closing = closing
        """What has to stay until no program runs any more."""
        self.environment: dict[str, str] = {}
        """What the next run has beside the usual."""
        self.stderr: int | None = None
        """Where the next run's log goes, instead of a file."""
        self.during: list[Callable[[Run], object]] = []
        """What is done once the next run has been started."""
        self.began = datetime.now(UTC).replace(microsecond=0)
        self._runs = itertools.count(1)
        consumer = self.stage.world.consumer(HIT)
        server.storage.buckets[self.stage.world.bucket].shared_with = frozenset({consumer.account_id})
        days = days_before(self.began, _DAYS)
        self.keys = self.stage.deliver(Trail().span(ACCOUNTS[:2], REGIONS[:1], days, logs=_LOGS, digests=1))
        self.first_day = days[0]
        self.job()
        self._neighbour(other)

    def job(self, changes: Mapping[str, Any] | None = None) -> None:
        """Writes the file of the job that is hit, changed or as it was."""
        parts = {"destination.multipart_above": "5MiB", "destination.part_size": "5MiB"}
        self.stage.job(HIT, {"every": "1s", **_MODES[self.mode], **parts, **(changes or {})})

    def deliver_large(self) -> str:
        """A log of twenty minutes ago that is copied in two parts where it is streamed; its key."""
        delivery = Trail().log(ACCOUNTS[0], REGIONS[0], self.began - timedelta(minutes=20), 99)
        self.server.put(self.stage.world.bucket, delivery.key, b"x" * (6 * MIB), last_modified=delivery.arrives)
        return delivery.key

    def start(self, verb: str) -> contextlib.AbstractContextManager[Run]:
        """Starts a verb over both jobs."""
        span = ("--from", f"{self.first_day}") if verb == "catch-up" else ()
        json = () if verb == "run" else ("--json",)
        return run(
            (verb, *span, *json, "--config", str(self.stage.config)),
            folder=self.folder / "runs" / str(next(self._runs)),
            environment=self.stage.environment(**self.environment),
            stderr=self.stderr,
        )

    def command(self, *arguments: str) -> int:
        """Runs a command of an operator to its end; the exit code."""
        return self.stage.syncd(*arguments).code

    @property
    def is_whole(self) -> bool:
        """Whether the job that was hit has everything that its source has."""
        return self.missing == 0

    @property
    def missing(self) -> int:
        """How many objects of the source are not at the destination with the same content."""
        replica = self.stage.replica(HIT)
        return sum(replica.get(key) != item for key, item in self.stage.source().items())

    @property
    def is_neighbour_whole(self) -> bool:
        """Whether the other job has everything that its own source has."""
        server, world = self._other, self._other_world
        replica = set(server.keys(world.consumer(NEIGHBOUR).bucket))
        return replica == set(self._neighbours_keys)

    def harm(self) -> Harm:
        """What was done to the replica since the beginning."""
        watched = self.stage.watched(HIT)
        double = sum(count > 1 for count in watched.writes.values())
        return Harm(self.missing, double, len(watched.destroyed))

    def _neighbour(self, other: FaultyS3) -> None:
        self._other, self._other_world = other, other.world()
        span = Trail().span(ACCOUNTS[1:2], REGIONS[:1], days_before(self.began, _DAYS), logs=_LOGS)
        self._neighbours_keys = deliver(other, self._other_world.bucket, span)
        credentials = self.folder / "etc" / "neighbours-credentials"
        credentials.write_text(profiles(self._other_world))
        table = job_table(self._other_world, self._other_world.consumer(NEIGHBOUR), credentials, other.url)
        text = toml(changed(table, {"every": "1s"}))
        (self.folder / "etc" / "jobs.d" / f"{NEIGHBOUR}.toml").write_text(text)


@contextlib.contextmanager
def preloaded(scene: Scene, *, rules: str = "", ahead_seconds: int = 0) -> Iterator[Preload]:
    """Everything that is started within has the library."""
    preload = Preload(scene.folder / "page", rules=rules, ahead_seconds=ahead_seconds)
    scene.environment |= preload.environment
    try:
        yield preload
    finally:
        preload.set()
        scene.environment.clear()


@contextlib.contextmanager
def scene(folder: Path, mode: str) -> Iterator[Scene]:
    """With servers of its own; nothing is left running."""
    with contextlib.ExitStack() as closing:
        server, other = (closing.enter_context(FaultyS3()) for _ in range(2))
        yield Scene(server, other, folder, mode, closing)
