"""`syncd verify` by hashes that were computed while logs were copied: what is not read again, and what is."""

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import Delivery
from chains import known_keys
from key_server import lists_keys
from stage import Stage

from syncd.cli.demo.samples import TrailSpec, trail
from syncd.verify.keystore import keys_text

ACCOUNT, REGION = "222222222222", "us-east-1"
HOURS = 6


@dataclass
class Kept:
    """A trail's objects, copied by a tick that hashed their content meanwhile."""

    stage: Stage
    keys: Path
    logs: list[str]
    """Those that a digest names."""

    @property
    def bucket(self) -> str:
        return self.stage.world.consumer("account-z").bucket

    def verify(self, *arguments: str) -> tuple[int, dict[str, Any], list[str]]:
        """The exit code, the proof, and the logs that were read meanwhile."""
        before = len(self.stage.server.requests)
        ran = self.stage.syncd("verify", "--json", "--no-heal", "--keys", str(self.keys), *arguments)
        (entry,) = json.loads(ran.stdout)["jobs"]
        asked = list(self.stage.server.requests)[before:]
        read = (r.key for r in asked if (r.operation, r.bucket) == ("GetObject", self.bucket))
        return ran.code, entry, sorted(key for key in read if key in self.logs)


@pytest.fixture
def kept(stage: Stage, now: datetime, tmp_path: Path) -> Kept:
    begins = (now - timedelta(hours=HOURS)).replace(minute=0, second=0)
    spec = TrailSpec(stage.world.bucket, [ACCOUNT], [REGION], begins, logs_per_hour=3)
    items = list(trail(spec, now - timedelta(minutes=10)))
    stage.deliver(Delivery(item.key, item.body, now - timedelta(minutes=5), item.metadata) for item in items)
    with lists_keys(known_keys(spec)) as url:
        stage.job(changes={"verify": "continuous", "endpoints.cloudtrail": url})
        assert stage.syncd("tick").code == 0
    keys = tmp_path / "keys.json"
    keys.write_text(keys_text(known_keys(spec)))
    digests = [json.loads(gzip.decompress(item.body)) for item in items if "/CloudTrail-Digest/" in item.key]
    return Kept(stage, keys, sorted(log["s3Object"] for digest in digests for log in digest["logFiles"]))


def days_of(keys: Iterable[str]) -> set[str]:
    """The days of their folders."""
    return {"-".join(key.split("/")[-4:-1]) for key in keys}


def test_no_log_is_read_whose_hash_was_kept_unless_its_replica_is_another(kept: Kept) -> None:
    every = len(kept.logs)
    code, entry, read = kept.verify()
    assert (code, entry["verdict"], entry["logs"], read) == (0, "proved", every, [])
    assert (entry["logs_read"], entry["logs_hashed_while_copied"]) == (0, every)

    code, entry, read = kept.verify("--read-data")
    assert (code, entry["verdict"], entry["logs_read"], read) == (0, "proved", every, kept.logs)

    # Other bytes of the same length, and other bytes of another length.
    server, (one, other) = kept.stage.server, (kept.logs[2], kept.logs[4])
    body = bytearray(server.objects(kept.bucket)[one].body)
    body[len(body) // 2] ^= 1
    server.put(kept.bucket, one, bytes(body))
    server.put(kept.bucket, other, gzip.compress(b'{"Records":[]}'))

    code, entry, read = kept.verify()

    problems = {problem["key"] for span in entry["chains"][0]["spans"] for problem in span["problems"]}
    assert (code, entry["verdict"], problems, read) == (3, "some", {one, other}, [one, other])
    assert (entry["logs_read"], entry["logs_hashed_while_copied"]) == (2, every - 2)


def test_a_store_that_keeps_the_etag_of_other_bytes_is_believed_unless_all_is_read(kept: Kept, tmp_path: Path) -> None:
    """What the manual says of damage below the store's own interface."""
    key, server = kept.logs[3], kept.stage.server
    was = server.objects(kept.bucket)[key]
    server.put(kept.bucket, key, was.body[:-1] + bytes([was.body[-1] ^ 1]), etag=was.etag)
    bundle = tmp_path / "bundle.tar.gz"

    code, entry, read = kept.verify("--bundle", str(bundle), "account-z")
    assert (code, entry["logs_read"], read) == (0, 0, [])

    code, entry, _ = kept.verify("--read-data")
    assert (code, list(entry["problems"])) == (3, ["unreadable"])

    # A bundle tells which hashes were of logs that nobody read.
    offline = kept.stage.syncd("verify", "--offline", str(bundle), "--json", with_config=False)
    (again,) = json.loads(offline.stdout)["jobs"]
    assert (offline.code, again["logs_read"], again["logs_hashed_while_copied"]) == (0, 0, len(kept.logs))


def test_a_day_that_was_sealed_is_proved_by_its_witness_unless_a_replica_of_it_is_another(
    stage: Stage, now: datetime, tmp_path: Path
) -> None:
    """The ledger remembers an old day as one row, and no hash of any log."""
    begins = (now - timedelta(days=50)).replace(hour=0, minute=0, second=0)
    spec = TrailSpec(stage.world.bucket, [ACCOUNT], [REGION], begins, logs_per_hour=1)
    items = list(trail(spec, begins + timedelta(hours=50)))
    stage.deliver(Delivery(item.key, item.body, now - timedelta(days=40), item.metadata) for item in items)
    recent = replace(spec, begins=now - timedelta(days=1), has_digests=False)
    stage.deliver(
        Delivery(item.key, item.body, now - timedelta(days=1)) for item in trail(recent, now - timedelta(hours=12))
    )
    keys = tmp_path / "keys.json"
    keys.write_text(keys_text(known_keys(spec)))
    with lists_keys(known_keys(spec)) as url:
        stage.job(changes={"verify": "continuous", "endpoints.cloudtrail": url, "start": "beginning"})
        stage.syncd("tick")
    exported = [json.loads(line) for line in stage.syncd("ledger", "export").stdout.splitlines()]
    kept = Kept(stage, keys, sorted(item.key for item in items if "/CloudTrail/" in item.key))
    *days, third = (f"{begins + timedelta(days=number):%Y-%m-%d}" for number in range(3))
    assert {row["day"] for row in exported if row["type"] == "day"} >= set(days)

    code, entry, read = kept.verify("--to", days[1])
    # The last digest of the second day also names a log of the third, whose others are not asked for.
    assert (code, entry["verdict"], days_of(read) - {third}) == (0, "proved", set())
    assert entry["logs_hashed_while_copied"] > 40

    key = next(key for key in kept.logs if days[0].replace("-", "/") in key)
    stage.server.put(kept.bucket, key, gzip.compress(b'{"Records":[]}'))
    code, entry, read = kept.verify("--to", days[1])

    assert (code, entry["problems"]) == (3, {"log_altered": 1})
    assert (key in read, days_of(read) - {third}) == (True, {days[0]})
