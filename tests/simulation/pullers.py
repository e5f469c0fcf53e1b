"""What looks at the bucket: syncd's own tick, and three cursors that users have lost logs to."""

import random
from collections import Counter, deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from threading import Event
from typing import Any, Protocol

from fakes_ledger import MemoryLedgerFile
from pace import DAY, PACE

from syncd.model.keys.layout import CloudTrailLayout
from syncd.model.keys.trail import Scope
from syncd.model.objects import LogObject, Replica
from syncd.model.reports import TickReport
from syncd.tick.ports import Ledger, Ports
from syncd.tick.task import Pace, Task
from syncd.tick.tick import Tick

from .bucket import Bucket, Destination

_TOP = "AWSLogs/"
_REPLICA = Replica(
    source_bucket="a", source_prefix="", destination_endpoint="", destination_bucket="b", destination_prefix=""
)


class Puller(Protocol):
    """Something that is run now and then and copies what it thinks is new."""

    copies: Counter[str]

    def tick(self) -> None:
        """One run."""
        ...


class Syncd:
    """The real tick, over the simulated buckets."""

    def __init__(self, bucket: Bucket, *, chance: random.Random, pace: Pace = PACE) -> None:
        self.bucket = bucket
        self.destination = Destination(chance)
        self.copies = self.destination.writes
        self.pace = pace
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._open: Callable[[], Ledger] = _memory_ledger()
        self.report: TickReport | None = None

    def lose_ledger(self) -> None:
        """Begin with an empty one."""
        self._open = _memory_ledger()

    def ledger(self) -> Ledger:
        """As the next tick will find it."""
        return self._open()

    def tick(self) -> None:
        """Raises CrashError where the destination says so."""
        task = Task(
            job="simulated",
            scope=Scope("", (), ("*",), ("CloudTrail",), ("*",)),
            shard=None,
            layout=CloudTrailLayout(),
            destination_prefix="",
            pace=self.pace,
            start=lambda now: now - 31 * DAY,
        )
        ports = Ports(
            source=self.bucket,
            source_bucket="a",
            destination=self.destination,
            copier=self.destination,
            ledger=self._open(),
            now=lambda: self.bucket.now,
            tell=lambda event, **facts: self.events.append((event, facts)),
        )
        self.report = None
        self.report = Tick(task, ports, stop=Event(), on_progress=lambda _: None).run()


def _memory_ledger() -> Callable[[], Ledger]:
    file = MemoryLedgerFile()
    return lambda: file.open(_REPLICA, "simulated")


class _Cursor:
    """Copies whatever its listing gives and it has not seen, as far as it remembers."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.copies: Counter[str] = Counter()

    def _shards(self) -> Iterator[str]:
        for account in next(self.bucket.folders([_TOP])).prefixes:
            yield from next(self.bucket.folders([f"{account}CloudTrail/"])).prefixes

    def _listed(self, prefix: str, after: str) -> list[LogObject]:
        return [item for page in self.bucket.objects(prefix, after) for item in page]


class Watermark(_Cursor):
    """StartAfter the last key of each shard."""

    def __init__(self, bucket: Bucket) -> None:
        super().__init__(bucket)
        self._last: dict[str, str] = {}

    def tick(self) -> None:
        for shard in self._shards():
            for item in self._listed(shard, self._last.get(shard, "")):
                self.copies[item.key] += 1
                self._last[shard] = item.key


class Yesterday(_Cursor):
    """From the beginning of yesterday's folder, remembering the last 500 keys of each shard."""

    def __init__(self, bucket: Bucket) -> None:
        super().__init__(bucket)
        self._seen: dict[str, deque[str]] = {}

    def tick(self) -> None:
        yesterday = datetime.fromtimestamp(self.bucket.now - DAY, UTC)
        for shard in self._shards():
            is_first = shard not in self._seen
            seen = self._seen.setdefault(shard, deque(maxlen=500))
            for item in self._listed(shard, "" if is_first else f"{shard}{yesterday:%Y/%m/%d}"):
                if item.key not in seen:
                    self.copies[item.key] += 1
                    seen.append(item.key)


class LastHundred(_Cursor):
    """One listing of the whole prefix, from the oldest of the last 100 keys on."""

    def __init__(self, bucket: Bucket) -> None:
        super().__init__(bucket)
        self._kept: list[str] = []

    def tick(self) -> None:
        after = self._kept[0] if self._kept else ""
        for item in self._listed(_TOP, after):
            if item.key not in self._kept:
                self.copies[item.key] += 1
                self._kept = sorted([*self._kept, item.key])[-100:]
