"""`syncd verify` by hashes that were computed while logs were copied: what is not read again, and what is."""

import gzip
import json
from dataclasses import dataclass
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
