"""Which objects `syncd check` reads of a shard: the first, and one of the newest."""

from datetime import UTC, datetime

import pytest
from fakes import MemoryBucket, MemorySource

from syncd.check.source import _ends_of
from syncd.model.keys.layout import CloudTrailLayout
from syncd.model.objects import Shard

SHARD = Shard("AWSLogs/222222222222/CloudTrail/us-east-1/", "222222222222", "CloudTrail", "us-east-1")
NOW = datetime(2026, 12, 24, 12, 0, tzinfo=UTC).timestamp()


def named(stamp: str) -> str:
    name = f"222222222222_CloudTrail_us-east-1_{stamp}_AbCdEfGhIjKlMnOp.json.gz"
    return f"{SHARD.prefix}{stamp[:4]}/{stamp[4:6]}/{stamp[6:8]}/{name}"


@pytest.mark.parametrize(
    ("stamps", "newest"),
    [
        (["20251231T2355Z", "20260930T0000Z", "20261102T0000Z", "20261103T0000Z"], "20261103T0000Z"),
        (["20251231T2355Z", "20261103T0000Z", "20261224T1155Z"], "20261224T1155Z"),
        (["20251231T2355Z"], "20251231T2355Z"),
    ],
)
def test_the_newest_day_is_looked_at_though_it_was_long_ago(stamps: list[str], newest: str) -> None:
    bucket = MemoryBucket()
    for stamp in stamps:
        bucket.put(named(stamp), last_modified=NOW)

    found = _ends_of(SHARD, MemorySource(bucket, page_keys=2), CloudTrailLayout(), NOW)

    assert [item.key for item in found] == [named("20251231T2355Z"), named(newest)]


def test_of_an_empty_shard_nothing_is_read() -> None:
    assert _ends_of(SHARD, MemorySource(MemoryBucket()), CloudTrailLayout(), NOW) == []
