"""An installation in this process whose server is scripted: real wiring, real workers, real state on disk."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

from builders import content
from faulty import FaultyS3, StoredObject
from faulty.store import Bucket

from syncd.configfile import load
from syncd.ledger import LedgerFile
from syncd.model import Quarantined, TickReport
from syncd.pool import WorkerPool
from syncd.scope import replica_of
from syncd.transport import Transport
from syncd.wiring import Installation, Request, run_job
from syncd.world import ACCOUNT_A, REGION, Consumer, write_configuration

JOB = "account-z"
MIB = 1024 * 1024


class WatchedBucket(Bucket):
    """A bucket that counts what is written to each key."""

    def __init__(self, name: str, account_id: str, region: str) -> None:
        super().__init__(name, account_id, region)
        self.writes: Counter[str] = Counter()

    def put(self, key: str, item: StoredObject) -> None:
        self.writes[key] += 1
        super().put(key, item)


class Installed:
    """The job of the third party, whose role reads everything in Account A's trail bucket."""

    def __init__(self, server: FaultyS3, folder: Path, *, deadline_seconds: float = 60.0) -> None:
        self.server = server
        self.world = server.world()
        self.consumer: Consumer = self.world.consumer(JOB)
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.stop = Event()
        self.destination = WatchedBucket(self.consumer.bucket, self.consumer.account_id, REGION)
        server.storage.buckets[self.consumer.bucket] = self.destination
        self.configuration = load(write_configuration(self.world, folder))
        (job,) = (job for job in self.configuration.jobs if job.name == JOB)
        # The smallest parts that S3 takes, so that a large object is one of six mebibytes.
        destination = job.destination.model_copy(update={"multipart_above": 5 * MIB, "part_size": 5 * MIB})
        self.job = job.model_copy(update={"destination": destination})
        self.clock: Callable[[], float] = lambda: datetime.now(UTC).timestamp()
        installation = Installation.of(self.configuration, now=self.now, tell=self.tell)
        self.installation = replace(
            installation,
            transport=Transport(deadline_seconds=deadline_seconds),
            pool=WorkerPool(workers=1, confine=False, in_flight=128, deadline_seconds=deadline_seconds),
        )

    def now(self) -> float:
        return self.clock()

    def tell(self, event: str, **facts: Any) -> None:
        self.told.append((event, facts))

    def tick(self, *, on_progress: Any = lambda _: None, **request: Any) -> TickReport:
        """One tick, or a catch-up."""
        return run_job(self.job, Request(**request), self.installation, stop=self.stop, on_progress=on_progress)

    def put(self, name: str, body: bytes = b"", **more: Any) -> str:
        """A log of an hour ago; its key."""
        stamp = datetime.now(UTC) - timedelta(hours=1)
        file = f"{ACCOUNT_A}_CloudTrail_{REGION}_{stamp:%Y%m%dT%H%MZ}_{name}.json.gz"
        key = f"AWSLogs/{ACCOUNT_A}/CloudTrail/{REGION}/{stamp:%Y/%m/%d}/{file}"
        self.server.put(self.world.bucket, key, body or f"log {name}".encode(), **more)
        return key

    def put_many(self, count: int) -> list[str]:
        return [self.put(f"{number:05}") for number in range(count)]

    def put_replica(self, key: str, body: bytes, **more: Any) -> None:
        self.server.put(self.consumer.bucket, key, body, **more)

    def source(self) -> dict[str, tuple[object, ...]]:
        return content(self.server.objects(self.world.bucket))

    def replica(self) -> dict[str, tuple[object, ...]]:
        return content(self.server.objects(self.consumer.bucket))

    def uploads(self) -> list[str]:
        """Multipart uploads that were begun at the destination and neither completed nor aborted."""
        return list(self.destination.uploads)

    def quarantined(self) -> dict[str, Quarantined]:
        """What the state on disk holds of objects that are not at the destination."""
        ledger_file = LedgerFile(self.configuration.settings.state_dir, now=self.now)
        with ledger_file.open(replica_of(self.job), self.job.name) as ledger:
            return dict(ledger.quarantined())


@contextmanager
def installed(folder: Path, *, deadline_seconds: float = 60.0) -> Iterator[Installed]:
    """With a server of its own; nothing is left running."""
    with FaultyS3() as server:
        found = Installed(server, folder, deadline_seconds=deadline_seconds)
        try:
            yield found
        finally:
            found.installation.close()


def reasons(report: TickReport) -> dict[str, str]:
    """By key, why it was not copied."""
    return {failed.key: failed.reason for failed in report.failed}
