"""Two buckets in memory, with the real tick and the real ledger."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from fakes import CrashError, MemoryBucket, MemoryCopier, MemorySource
from pace import DAY, HOUR, MINUTE, PACE

from syncd.job.planning import ForgivingLister
from syncd.ledger.ledger import LedgerFile, ReplicaLedger
from syncd.model.errors import JobFailed
from syncd.model.keys.layout import CloudTrailLayout, Layout
from syncd.model.keys.trail import EVERY, Scope
from syncd.model.objects import Replica, Shard, Window
from syncd.model.reports import TickReport
from syncd.tick.ports import Ports
from syncd.tick.task import Task
from syncd.tick.tick import Tick

BEGIN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC).timestamp()
ACCOUNT, OTHER = "222222222222", "333333333333"
PREFIX = "copy/"
REPLICA = Replica(
    source_bucket="trail",
    source_prefix="",
    destination_endpoint="",
    destination_bucket="replica",
    destination_prefix=PREFIX,
)
FLAT = Shard("logs/")


class World:
    """Two buckets, the real tick, the real ledger."""

    def __init__(
        self, folder: Path, *, layout: Layout | None = None, shard: Shard | None = None, page: int = 1000
    ) -> None:
        self.folder = folder
        self.now = BEGIN
        self.source, self.destination = MemoryBucket(), MemoryBucket()
        self.layout = layout or CloudTrailLayout()
        self.scope = None if shard else Scope("", (), (EVERY,), (EVERY,), (EVERY,))
        self.shard = shard
        self.page = page
        self.start: Callable[[float], float] = lambda now: now - 31 * DAY
        self.pace = PACE
        self.failing: dict[str, str] = {}
        self.events: list[tuple[str, dict[str, object]]] = []
        self.copier = MemoryCopier(self.source, self.destination)
        self.lists: dict[str, int] = {}
        """Of the destination, by prefix, in the last tick."""
        self.lists_here: dict[str, int] = {}
        """Of the source."""
        self.refusal: JobFailed | None = None
        self.number = 0

    def clock(self) -> float:
        self.now += 0.001
        return self.now

    def deliver(self, stamp: float, *, account: str = ACCOUNT, arrives: float | None = None) -> str:
        self.number += 1
        moment = datetime.fromtimestamp(stamp, UTC)
        name = f"{account}_CloudTrail_us-east-1_{moment:%Y%m%dT%H%MZ}_{self.number:016}.json.gz"
        return self.put(f"AWSLogs/{account}/CloudTrail/us-east-1/{moment:%Y/%m/%d}/{name}", arrives=arrives)

    def put(self, key: str, body: str = "", *, arrives: float | None = None) -> str:
        self.number += 1
        at = float(int(self.now if arrives is None else arrives))
        self.source.put(key, (body or str(self.number)).encode(), last_modified=at)
        return key

    def is_there(self, key: str) -> bool:
        return PREFIX + key in self.destination.objects

    def ledger(self) -> ReplicaLedger:
        return LedgerFile(self.folder, now=self.clock).open(REPLICA, "job")

    def tick(
        self,
        window: Window | None = None,
        *,
        crash_after: int | None = None,
        most: int | None = None,
        stop_after: int | None = None,
        hinted: Collection[str] = (),
        recalls: bool = False,
    ) -> TickReport | None:
        stop = Event()
        self.copier = MemoryCopier(
            self.source, self.destination, fail=self.failing, crash_after=crash_after, now=self.clock, in_flight=1
        )
        there = MemorySource(self.destination, page_keys=self.page, now=self.clock)

        def tell(event: str, **facts: object) -> None:
            self.events.append((event, facts))

        with self.ledger() as ledger:
            here = MemorySource(self.source, page_keys=self.page, now=self.clock, refuse=lambda *_: self.refusal)
            ports = Ports(
                source=here,
                source_bucket="trail",
                destination=ForgivingLister(there, tell),
                copier=self.copier,
                ledger=ledger,
                now=self.clock,
                tell=tell,
            )
            task = Task(
                job="job",
                scope=self.scope,
                shard=self.shard,
                layout=self.layout,
                destination_prefix=PREFIX,
                pace=self.pace,
                start=self.start,
                window=window,
                is_patient=True,
                was_here=ledger.ran_here(),
                max_objects=most,
                hinted=hinted,
                recalls=recalls,
            )

            def on_progress(recorder: object) -> None:
                if stop_after is not None and recorder.ended >= stop_after:  # type: ignore[attr-defined]
                    stop.set()

            try:
                report = Tick(task, ports, stop=stop, on_progress=on_progress).run()
            except CrashError:
                report = None
        self.lists, self.lists_here = dict(there.lists), dict(here.lists)
        return report

    def ticks(self, seconds: float, every: float = 6 * HOUR, *, is_busy: bool = False) -> TickReport | None:
        report = None
        end = self.now + seconds
        while self.now < end:
            self.now += every
            if is_busy:
                self.deliver(self.now - 10 * MINUTE)
            report = self.tick()
        return report

    def absent_within(self, report: TickReport | None) -> list[str]:
        """Keys that the horizon claims, and that the destination lacks."""
        assert report is not None
        shards = {item.prefix: item for item in (self.shard,) if item}
        with self.ledger() as ledger:
            shards |= {prefix: state.shard for prefix, state in ledger.shards().items()}
        absent = []
        for key, item in self.source.objects.items():
            shard = max(
                (one for one in shards.values() if key.startswith(one.prefix)),
                key=lambda one: len(one.prefix),
                default=Shard(""),
            )
            stamp = self.layout.stamp(shard, item)
            if report.complete_from <= stamp <= report.complete_until and not self.is_there(key):
                absent.append(key)
        return absent
