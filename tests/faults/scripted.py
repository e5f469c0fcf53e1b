"""A server that is scripted, and the third party's job, which may read all of Account A's logs."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from builders import content
from faulty import FaultyS3, StoredObject
from faulty.store import Bucket
from installed import Installed

from syncd.cli.demo.world import ACCOUNT_A, REGION
from syncd.model.reports import TickReport

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


class Scripted:
    """The server, what is installed, and both ends of the job."""

    def __init__(self, server: FaultyS3, folder: Path, *, deadline_seconds: float) -> None:
        self.server = server
        self.world = server.world()
        consumer = self.world.consumer(JOB)
        self.destination = WatchedBucket(consumer.bucket, consumer.account_id, REGION)
        server.storage.buckets[consumer.bucket] = self.destination
        self.installed = Installed(self.world, folder, deadline_seconds=deadline_seconds)
        # The smallest parts that S3 takes, so that a large object is one of six mebibytes.
        bounds = {"destination.multipart_above": "5MiB", "destination.part_size": "5MiB"}
        self.job = self.installed.job(JOB, bounds)

    def tick(self, **request: Any) -> TickReport:
        return self.installed.tick(self.job, **request)

    def put(self, name: str, body: bytes = b"", **more: Any) -> str:
        """A log of an hour ago; its key."""
        stamp = datetime.now(UTC) - timedelta(hours=1)
        file = f"{ACCOUNT_A}_CloudTrail_{REGION}_{stamp:%Y%m%dT%H%MZ}_{name}.json.gz"
        key = f"AWSLogs/{ACCOUNT_A}/CloudTrail/{REGION}/{stamp:%Y/%m/%d}/{file}"
        self.server.put(self.world.bucket, key, body or f"log {name}".encode(), **more)
        return key

    def put_many(self, count: int) -> list[str]:
        return [self.put(f"{number:05}") for number in range(count)]

    def put_replica(self, key: str, body: bytes) -> None:
        self.server.put(self.destination.name, key, body)

    def source(self) -> dict[str, tuple[object, ...]]:
        return content(self.server.objects(self.world.bucket))

    def replica(self) -> dict[str, tuple[object, ...]]:
        return content(self.server.objects(self.destination.name))

    def uploads(self) -> list[str]:
        """Multipart uploads that were begun at the destination and neither completed nor aborted."""
        return list(self.destination.uploads)


@contextmanager
def scripted(folder: Path, *, deadline_seconds: float = 60.0) -> Iterator[Scripted]:
    """With a server of its own; nothing is left running."""
    with FaultyS3() as server:
        stage = Scripted(server, folder, deadline_seconds=deadline_seconds)
        try:
            yield stage
        finally:
            stage.installed.close()
