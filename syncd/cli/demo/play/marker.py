"""A marker beside syncd: both poll for the same deliveries, in the order of a real trail."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from syncd.cli.demo.play.arrivals import arrivals, fewest_and_most, lost_behind_a_marker, polls
from syncd.cli.demo.play.steps import Raced
from syncd.cli.demo.samples import TrailSpec
from syncd.cli.demo.world import (
    ACCOUNT_A,
    BUSY_BUCKET,
    REGION,
    World,
    build_busy_world,
    deliver,
    root_client,
    write_configuration,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MARKER_BUCKET = "example-marker-logs"


class Marker:
    """A poller of S3 that remembers one thing, the greatest key it has read, and lists from there."""

    def __init__(self, client: "S3Client", source: str, destination: str, prefix: str) -> None:
        self._client = client
        self._source = source
        self._destination = destination
        self._prefix = prefix
        self._greatest = ""

    def poll(self) -> None:
        """Copy what is listed behind the marker, and move the marker."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._source, Prefix=self._prefix, StartAfter=self._greatest
        )
        for key in [item["Key"] for page in pages for item in page.get("Contents", ())]:
            with self._client.get_object(Bucket=self._source, Key=key)["Body"] as body:
                self._client.put_object(Bucket=self._destination, Key=key, Body=body.read())
            self._greatest = max(self._greatest, key)


def race(
    world: World, directory: Path, spec: TrailSpec, last: datetime, *, tick: Callable[[Path, datetime], object]
) -> Iterator[Raced]:
    """Let a marker and syncd poll every five minutes while logs arrive, the newest stamped `last`.

    `tick` runs the jobs of a configuration at an instant.
    """
    busy = build_busy_world(world)
    config = write_configuration(busy, directory)
    delivered = arrivals(spec, ACCOUNT_A, REGION, last)
    count = 0
    with root_client(world.url, world.account_id, "s3") as client:
        client.create_bucket(Bucket=MARKER_BUCKET)
        marker = Marker(client, BUSY_BUCKET, MARKER_BUCKET, f"AWSLogs/{ACCOUNT_A}/CloudTrail/{REGION}/")
        for at, arrived in polls(delivered):
            deliver(busy, [item.sample for item in arrived])
            marker.poll()
            tick(config, at)
            count += 1
        by_marker = _keys(client, MARKER_BUCKET)
    consumer = busy.consumers[0]
    with root_client(world.url, consumer.account_id, "s3") as client:
        by_syncd = _keys(client, consumer.bucket)
    keys = sorted(item.sample.key for item in delivered)
    fewest, most = fewest_and_most(delivered)
    yield Raced(
        len(keys),
        count,
        [key for key in keys if key not in by_marker],
        [key for key in keys if key not in by_syncd],
        fewest,
        most,
        lost_behind_a_marker(delivered),
    )


def _keys(client: "S3Client", bucket: str) -> Sequence[str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [item["Key"] for page in pages for item in page.get("Contents", ())]
