"""`verify = "continuous"`, from outside: each digest is checked as it arrives, and no log is read again."""

import gzip
import hashlib
import json
import signal
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from builders import Delivery
from chains import known_keys
from key_server import lists_keys
from stage import Stage
from waiting import wait_until

from syncd.cli.demo.samples import SampleObject, TrailSpec, trail

ACCOUNT, REGION = "222222222222", "us-east-1"
HOURS = 6


@dataclass
class Watched:
    """A trail whose objects come in two parts: before the digest of its last full hour, and that digest with the rest."""

    stage: Stage
    now: datetime
    changes: dict[str, Any]
    early: list[SampleObject]
    late: list[SampleObject]

    def deliver(self, items: Iterable[SampleObject]) -> None:
        arrived = self.now - timedelta(minutes=5)
        self.stage.deliver(Delivery(item.key, item.body, arrived, item.metadata) for item in items)

    def tick(self) -> tuple[int, dict[str, Any], list[dict[str, Any]]]:
        ran = self.stage.syncd("tick", "--json")
        (entry,) = json.loads(ran.stdout)["jobs"]
        return ran.code, entry, [json.loads(line) for line in ran.stderr.splitlines()]

    def status(self) -> tuple[int, dict[str, Any]]:
        ran = self.stage.syncd("status", "--json")
        (entry,) = json.loads(ran.stdout)["jobs"]
        return ran.code, entry

    @property
    def bucket(self) -> str:
        return self.stage.world.consumer("account-z").bucket

    def last_digest(self) -> SampleObject:
        return next(item for item in reversed(self.late) if "/CloudTrail-Digest/" in item.key)


@pytest.fixture
def watched(stage: Stage, now: datetime) -> Iterable[Watched]:
    begins = (now - timedelta(hours=HOURS)).replace(minute=0, second=0)
    spec = TrailSpec(stage.world.bucket, [ACCOUNT], [REGION], begins, logs_per_hour=3)
    items = list(trail(spec, now - timedelta(minutes=10)))
    digests = sorted(item.key for item in items if "/CloudTrail-Digest/" in item.key)
    with lists_keys(known_keys(spec)) as url:
        changes = {"endpoints.cloudtrail": url, "verify": "continuous"}
        stage.job(changes=changes)
        yield Watched(
            stage,
            now,
            changes,
            [item for item in items if item.key != digests[-1]],
            [item for item in items if item.key == digests[-1]],
        )


def test_a_digest_is_checked_as_it_arrives_and_no_log_is_read_again(watched: Watched) -> None:
    watched.deliver(watched.early)
    code, first, _ = watched.tick()
    watched.deliver(watched.late)
    again, second, _ = watched.tick()
    status_code, status = watched.status()

    assert (code, again, first["unproved"], second["unproved"]) == (0, 0, [], [])
    assert first["proved_until"] < second["proved_until"] == status["proved_until"]
    digest = json.loads(gzip.decompress(watched.last_digest().body))
    assert second["proved_until"] == digest["digestEndTime"]
    assert (status_code, status["unproved_count"], status["verify"]) == (0, 0, "continuous")
    # The digests were read back, the last of them in the second tick, and not one log.
    reads = [request.key for request in watched.stage.server.requests if request.operation == "GetObject"]
    digests = [item.key for item in (*watched.early, *watched.late) if "/CloudTrail-Digest/" in item.key]
    assert sorted(reads) == sorted([item.key for item in (*watched.early, *watched.late)] + digests)


def test_an_altered_replica_is_an_alarm_with_its_digest_until_somebody_decides(watched: Watched) -> None:
    """It is altered after it was copied and before its digest comes; its size and its place stay the same."""
    watched.deliver(watched.early)
    watched.tick()
    named = {log["s3Object"] for log in json.loads(gzip.decompress(watched.last_digest().body))["logFiles"]}
    key = min(named)
    stored = watched.stage.server.objects(watched.bucket)[key]
    watched.stage.server.put(watched.bucket, key, gzip.compress(b'{"Records":[1]}'), metadata=stored.metadata)
    watched.deliver(watched.late)

    code, entry, lines = watched.tick()
    status_code, status = watched.status()

    assert (code, [(item["key"], item["reason"]) for item in entry["unproved"]]) == (3, [(key, "log_altered")])
    told = [(line["key"], line["reason"]) for line in lines if line["event"] == "proof.broken"]
    assert told == [(key, "log_altered")]
    assert (status_code, status["unproved_count"]) == (4, 1)
    assert entry["proved_until"] < json.loads(gzip.decompress(watched.last_digest().body))["digestEndTime"]
    assert [(held["key"], held["reason"]) for held in status["quarantine"]["objects"]] == [(key, "conflict")]
    assert any(key in sentence and "log_altered" in sentence for sentence in status["why"])

    # Both hashes are told, and which of the two the digest vouches for, also once a tick has compared the two.
    right, wrong = (hashlib.sha256(body).hexdigest() for body in (gzip.decompress(stored.body), b'{"Records":[1]}'))
    (held,) = status["quarantine"]["objects"]
    assert all(word in held["detail"] for word in (right, wrong, "the digest vouches for the source's"))
    watched.stage.job(changes=watched.changes | {"listing.audit": "1s"})
    wait_until(lambda: watched.tick()[1]["conflict_count"] == 1, what="a tick that audits")
    accepted = watched.stage.syncd("ledger", "quarantine", "accept", key)

    # Somebody takes the replica as it is, and the proof goes on.
    assert (accepted.code, "the digest vouches for the source's" in accepted.stdout) == (0, True)
    assert all(word in accepted.stdout for word in (right, wrong))
    code, entry, _ = watched.tick()
    status_code, status = watched.status()
    assert (code, status_code, status["unproved_count"], status["quarantine"]["count"]) == (0, 0, 0, 0)
    assert entry["proved_until"] == json.loads(gzip.decompress(watched.last_digest().body))["digestEndTime"]


def test_a_repaired_replica_ends_its_alarm_with_the_next_tick(watched: Watched) -> None:
    watched.stage.server.storage.buckets[watched.bucket].versioning = "Enabled"
    watched.deliver(watched.early)
    watched.tick()
    key = min(log["s3Object"] for log in json.loads(gzip.decompress(watched.last_digest().body))["logFiles"])
    watched.stage.server.put(watched.bucket, key, gzip.compress(b"{}"))
    watched.deliver(watched.late)
    assert watched.tick()[0] == 3

    repaired = watched.stage.syncd("verify", "--repair", "--json")
    code, entry, lines = watched.tick()
    status_code, status = watched.status()

    assert [item["key"] for item in json.loads(repaired.stdout)["jobs"][0]["repaired"]] == [key]
    assert [line["key"] for line in lines if line["event"] == "proof.mended"] == [key]
    assert (code, status_code, status["unproved_count"], status["quarantine"]["count"]) == (0, 0, 0, 0)
    assert entry["proved_until"] == json.loads(gzip.decompress(watched.last_digest().body))["digestEndTime"]


MODES: dict[str, dict[str, Any]] = {
    "stream": {"destination.copy": "stream"},
    "server-side": {"destination.copy": "server-side", "destination.signer": "consumer", "verify_rate": 5},
}


@pytest.mark.parametrize("mode", MODES)
def test_a_daemon_follows_the_chain_and_names_what_is_altered_with_the_digest_that_shows_it(
    watched: Watched, mode: str
) -> None:
    """In stream mode no log is read back; in server-side mode each one is, once."""
    stage = watched.stage
    stage.server.storage.buckets[stage.world.bucket].shared_with = frozenset(
        {stage.world.consumer("account-z").account_id}
    )
    stage.job(changes=watched.changes | MODES[mode] | {"every": "1s"})
    digests = [item.key for item in (*watched.early, *watched.late) if "/CloudTrail-Digest/" in item.key]
    last = json.loads(gzip.decompress(watched.last_digest().body))
    key = min(log["s3Object"] for log in last["logFiles"])
    named = {
        log["s3Object"]
        for item in watched.early
        if item.key in digests
        for log in json.loads(gzip.decompress(item.body))["logFiles"]
    }
    watched.deliver(watched.early)
    with stage.start("run") as daemon:
        wait_until(lambda: watched.status()[1]["proved_until"] == last["digestStartTime"])
        assert watched.status()[1]["unproved_count"] == 0
        watched.stage.server.put(watched.bucket, key, gzip.compress(b'{"Records":[1]}'))
        watched.deliver(watched.late)
        wait_until(lambda: watched.status()[1]["unproved_count"] == 1)
        code, status = watched.status()
        daemon.signal(signal.SIGTERM)
        ran = daemon.ended()

    assert (code, status["proved_until"]) == (4, last["digestStartTime"])
    told = [(line["key"], line["digest"]) for line in ran.logged if line["event"] == "proof.broken"]
    assert told == [(key, watched.last_digest().key)]
    assert [line["event"] for line in ran.logged if line["event"] == "proof.failed"] == []
    reads = Counter(
        request.key
        for request in stage.server.requests
        if (request.operation, request.bucket) == ("GetObject", watched.bucket) and request.key not in digests
    )
    assert set(reads) == {key} if mode == "stream" else set(reads) >= named
    assert all(count == 1 for name, count in reads.items() if name in named)
