"""`syncd verify --repair` of digests, from outside: what CloudTrail signed takes the place of an altered replica."""

import gzip
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import Delivery
from chains import another_key, chained, content, forged, found, known_keys
from faulty import StoredObject
from key_server import lists_keys
from stage import Stage

from syncd.cli.demo.samples import TrailSpec, trail
from syncd.verify.keystore import keys_text
from syncd.verify.rules.chain import Found
from syncd.verify.rules.keys import Keys

ACCOUNT, REGION = "222222222222", "us-east-1"
HOURS = 7
SUFFIX = ".vouched"


@dataclass
class Replicated:
    """A replicated trail. `digests` are those of the source, the oldest first."""

    stage: Stage
    keys_file: Path
    keys: Keys
    digests: list[Found]

    @property
    def bucket(self) -> str:
        return self.stage.world.consumer("account-z").bucket

    def replica(self, key: str) -> StoredObject:
        return self.stage.server.get(self.bucket, key)

    def put(self, key: str, body: bytes, metadata: Mapping[str, str], *, bucket: str = "") -> None:
        self.stage.server.put(bucket or self.bucket, key, body, metadata=metadata)

    def is_right(self, number: int, suffix: str = "") -> bool:
        """Whether the replica of a digest, or what lies beside it, is what the source has."""
        item = self.digests[number]
        stored = self.replica(item.key + suffix)
        return (stored.body, stored.metadata) == (item.body, metadata_of(item))

    def edit(self, number: int) -> None:
        """Drop the logs that a digest names, as one would who has removed them."""
        item = self.digests[number]
        self.put(item.key, forged(item, lambda document: document.update(logFiles=[])).body, metadata_of(item))

    def verify(self, *arguments: str) -> tuple[int, dict[str, Any], list[dict[str, Any]]]:
        ran = self.stage.syncd("verify", "--json", "--keys", str(self.keys_file), *arguments)
        return ran.code, ran.job, ran.logged

    def held(self) -> list[str]:
        return [item["key"] for item in self.stage.syncd("status", "--json").job["quarantine"]["objects"]]


def metadata_of(item: Found) -> dict[str, str]:
    metadata = {"signature": item.signature, "signature-algorithm": item.algorithm}
    if item.generated_at is not None:
        generated = datetime.fromtimestamp(item.generated_at, UTC)
        metadata["backfill-generation-timestamp"] = f"{generated:%Y-%m-%dT%H:%M:%SZ}"
    return metadata


@pytest.fixture
def replicated(stage: Stage, now: datetime, tmp_path: Path) -> Callable[..., Replicated]:
    def make(versioning: str = "", change: Callable[[list[Found]], list[Found]] = list) -> Replicated:
        stage.server.storage.buckets[stage.world.consumer("account-z").bucket].versioning = versioning
        begins = (now - timedelta(hours=HOURS)).replace(minute=0, second=0)
        spec = TrailSpec(stage.world.bucket, [ACCOUNT], [REGION], begins, logs_per_hour=3)
        items = list(trail(spec, now - timedelta(minutes=10)))
        arrived = now - timedelta(minutes=5)
        stage.deliver(Delivery(item.key, item.body, arrived) for item in items if "/CloudTrail/" in item.key)
        digests = change([found(item) for item in items if "/CloudTrail-Digest/" in item.key])
        stage.deliver(Delivery(item.key, item.body, arrived, metadata_of(item)) for item in digests)
        stage.job()
        assert stage.syncd("tick").code == 0
        keys = tmp_path / "keys.json"
        keys.write_text(keys_text(known_keys(spec)))
        return Replicated(stage, keys, known_keys(spec), digests)

    return make


def test_an_altered_digest_is_replaced_and_then_the_logs_that_it_names_are_looked_at(
    replicated: Callable[..., Replicated],
) -> None:
    """Of content, of metadata only, of the newest one's, and a log that only the altered digest names."""
    it = replicated("Enabled")
    log = content(it.digests[2])["logFiles"][0]["s3Object"]
    right = it.replica(log).body
    it.put(log, gzip.compress(b"{}"), {})
    it.edit(2)
    it.put(it.digests[4].key, it.digests[4].body, {"signature": "00" * 256, "signature-algorithm": "SHA256withRSA"})
    it.put(it.digests[-1].key, it.digests[-1].body, {"signature-algorithm": "SHA256withRSA"})
    older = {number: it.replica(it.digests[number].key).version_id for number in (2, 4, -1)}
    looked = it.verify("--no-heal")

    code, entry, lines = it.verify("--repair")

    assert (looked[0], looked[1]["problems"]) == (3, {"signature_wrong": 2, "no_signature": 1})
    assert (code, entry["verdict"], entry["not_repaired"], entry["extra"]) == (3, "proved", [], []), entry
    assert {(item["key"], item["how"]) for item in entry["repaired"]} == {
        *((it.digests[number].key, "version") for number in (2, 4, -1)),
        (log, "version"),
    }
    assert [it.is_right(number) for number in (2, 4, -1)] == [True] * 3
    assert it.replica(log).body == right
    kept = {item["kept_version"] for item in entry["repaired"]}
    assert set(older.values()) <= kept
    assert {line["key"] for line in lines if line["event"] == "replica.repaired"} >= {it.digests[2].key, log}
    # Ledger, comparison and ticks agree with it.
    again, compared = it.verify("--repair"), it.stage.syncd("verify", "--against", "source", "--json")
    it.stage.job(changes={"listing.audit": "1s", "listing.deep_every": "1m"})
    tick = it.stage.syncd("tick", "--json")
    assert (again[0], again[1]["repaired"], compared.code, it.held()) == (0, [], 0, [])
    assert (tick.code, tick.job["copied"], tick.job["conflict_count"], tick.job["restored"]) == (0, 0, 0, 0)


def test_without_versions_it_is_written_beside_and_everything_knows_it(replicated: Callable[..., Replicated]) -> None:
    it = replicated()
    it.edit(3)
    key = it.digests[3].key

    code, entry, _ = it.verify("--repair")
    again = it.verify("--repair")[1]
    compared = it.stage.syncd("verify", "--against", "source", "--json").job

    (repaired,) = entry["repaired"]
    assert (code, entry["verdict"], repaired["how"], repaired["written"]) == (3, "some", "beside", key + SUFFIX)
    assert (it.is_right(3), it.is_right(3, SUFFIX)) == (False, True)
    assert (entry["vouched_beside"], entry["extra"], it.held()) == ([key + SUFFIX], [], [key])
    assert "there already" in again["repaired"][0]["detail"]
    assert (compared["extra"], compared["vouched_beside"]) == ([], 1)
    # Under that name nothing else passes.
    it.put(key + SUFFIX, it.replica(key).body, it.replica(key).metadata)
    planted = it.verify("--no-heal")[1]
    assert (planted["vouched_beside"], planted["extra"]) == ([], [key + SUFFIX])


def test_nothing_is_written_that_no_signature_vouches_for(replicated: Callable[..., Replicated]) -> None:
    it = replicated("Enabled")
    it.edit(2)
    it.edit(4)
    it.put(it.digests[2].key, it.digests[2].body[:-9], {}, bucket=it.stage.world.bucket)
    it.stage.server.delete(it.stage.world.bucket, it.digests[4].key)
    # Copied to another hour's name, where the source has none.
    name = it.digests[3].key
    moved = name[: -len("00Z.json.gz")] + ("01Z.json.gz" if name.endswith("00Z.json.gz") else "00Z.json.gz")
    it.put(moved, it.digests[3].body, metadata_of(it.digests[3]))
    before = it.stage.server.count("PutObject")

    code, entry, lines = it.verify("--repair")

    reasons = {item["key"]: item["reason"] for item in entry["not_repaired"]}
    assert reasons == {
        it.digests[2].key: "altered_at_source",
        it.digests[4].key: "not_at_source",
        moved: "not_at_source",
    }
    assert (code, entry["repaired"], it.stage.server.count("PutObject")) == (3, [], before)
    assert len([line for line in lines if line["event"] == "replica.not_repaired"]) == 3

    # Nor what the job does not copy, even if the source has it.
    log = content(it.digests[5])["logFiles"][0]["s3Object"]
    it.put(log, gzip.compress(b"{}"), {})
    it.edit(1)
    it.stage.job(changes={"source.ignore": [it.digests[1].key, log]})
    entry = it.verify("--repair")[1]
    reasons = {item["key"]: item["reason"] for item in entry["not_repaired"]}
    assert (entry["repaired"], reasons[it.digests[1].key], reasons[log]) == ([], "unsupported", "unsupported")


def rotated(digests: list[Found]) -> list[Found]:
    """The last but one is signed with a key that nobody keeps, and the last one names it as its predecessor."""
    key = another_key()
    strange = forged(digests[-2], lambda document: document.update(digestPublicKeyFingerprint=key.fingerprint), key=key)

    def follow(document: dict[str, Any]) -> None:
        document["previousDigestHashValue"] = hashlib.sha256(gzip.decompress(strange.body)).hexdigest()
        document["previousDigestSignature"] = strange.signature

    return [*digests[:-2], strange, forged(digests[-1], follow)]


@pytest.mark.parametrize("versioning", ["Enabled", ""])
def test_without_its_key_the_digest_after_it_vouches_for_it(
    replicated: Callable[..., Replicated], versioning: str
) -> None:
    it = replicated(versioning, rotated)
    key, puts = it.digests[-2].key, it.stage.server.count("PutObject")
    sound = it.verify("--repair")[1]
    # That nobody knows the key is no alteration.
    assert (sound["repaired"], sound["not_repaired"], it.held()) == ([], [], [])
    assert it.stage.server.count("PutObject") == puts
    it.edit(-2)

    code, entry, _ = it.verify("--repair")

    written = key if versioning else key + SUFFIX
    assert [(item["key"], item["written"]) for item in entry["repaired"]] == [(key, written)]
    assert (code, it.is_right(-2, written.removeprefix(key)), entry["extra"]) == (3, True, [])
    assert entry["problems"] == {"no_key": 1}
    assert entry["vouched_beside"] == ([] if versioning else [written])


def backfilled(digests: list[Found]) -> list[Found]:
    """Two digests of a backfill beside the others."""

    def late(item: Found) -> Found:
        key = item.key.replace(".json.gz", "_backfill.json.gz")
        made = forged(item, lambda document: document.update(digestS3Object=key, logFiles=[]))
        ended = datetime.strptime(content(item)["digestEndTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        return made._replace(key=key, generated_at=ended.timestamp() + 7200)

    return [*digests, *chained([late(item) for item in digests[1:3]])]


def test_the_time_of_a_backfill_is_a_part_of_it(replicated: Callable[..., Replicated]) -> None:
    it = replicated("Enabled", backfilled)
    late = it.digests[-1]
    it.put(late.key, late.body, {**metadata_of(late), "backfill-generation-timestamp": "2001-01-01T00:00:00Z"})

    found = it.verify("--no-heal")[1]
    entry = it.verify("--repair")[1]

    assert found["problems"] == {"key_not_valid_then": 1}
    assert [(item["key"], item["how"]) for item in entry["repaired"]] == [(late.key, "version")]
    assert (it.is_right(-1), entry["problems"], entry["verdict"]) == (True, {}, "proved")


def test_digests_that_are_missing_are_fetched_the_newest_too(replicated: Callable[..., Replicated]) -> None:
    it = replicated()
    gone = [it.digests[number].key for number in (2, -2, -1)]
    for key in gone:
        it.stage.server.delete(it.bucket, key)

    code, entry, _ = it.verify()

    # Nothing names the last but one as long as the last is missing. It comes with its day.
    assert (code, entry["verdict"], entry["healed"]) == (0, "proved", [gone[0], gone[2]])
    assert [it.is_right(number) for number in (2, -2, -1)] == [True] * 3


def test_a_repaired_digest_ends_the_alarm_of_continuous_verification(replicated: Callable[..., Replicated]) -> None:
    it = replicated("Enabled")
    with lists_keys(it.keys) as url:
        changes = {"verify": "continuous", "endpoints.cloudtrail": url}
        it.stage.job(changes=changes)
        it.edit(3)
        broken = it.stage.syncd("tick", "--json")
        it.verify("--repair")
        mended = it.stage.syncd("tick", "--json")

    assert (broken.code, [item["key"] for item in broken.job["unproved"]]) == (3, [it.digests[3].key])
    assert (mended.code, mended.job["unproved"], it.held()) == (0, [], [])
    assert mended.job["proved_until"] == content(it.digests[-1])["digestEndTime"]
