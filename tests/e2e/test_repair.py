"""`syncd verify --repair`, from outside: an altered replica is replaced by what its digest vouches for, and none is lost."""

import gzip
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import Delivery, Trail
from chains import known_keys
from faulty import StoredObject
from faulty.faults import Call, Status, on
from stage import Stage
from waiting import wait_until

from syncd.cli.demo.samples import TrailSpec, trail
from syncd.verify.keystore import keys_text

ACCOUNT, REGION = "222222222222", "us-east-1"
HOURS = 6
SUFFIX = ".vouched"


class Altered:
    """A replicated trail, of which one log's replica was altered."""

    def __init__(
        self, stage: Stage, now: datetime, folder: Path, versioning: str, prefix: str = "", days_ago: int = 0
    ) -> None:
        self.stage, self.prefix = stage, prefix
        self.bucket = stage.world.consumer("account-z").bucket
        stage.server.storage.buckets[self.bucket].versioning = versioning
        until = now - timedelta(days=days_ago, minutes=10)
        begins = (until - timedelta(hours=HOURS)).replace(minute=0, second=0)
        spec = TrailSpec(stage.world.bucket, [ACCOUNT], [REGION], begins, logs_per_hour=3)
        stage.deliver(
            Delivery(item.key, item.body, until + timedelta(minutes=5), item.metadata) for item in trail(spec, until)
        )
        if days_ago:
            # Days are sealed once newer ones are there.
            stage.deliver([Trail().log(ACCOUNT, REGION, now - timedelta(minutes=30))])
        stage.job(changes={"destination.prefix": prefix, "start": "beginning"})
        assert stage.syncd("tick").code == 0
        self.keys = folder / "keys.json"
        self.keys.write_text(keys_text(known_keys(spec)))
        self.key = sorted(key for key in stage.source() if "/CloudTrail/" in key)[3]
        self.right = stage.server.get(stage.world.bucket, self.key).body
        self.alter()

    def alter(self) -> None:
        item = self.replica()
        self.bad = gzip.compress(gzip.decompress(item.body) + b" ")
        self.stage.server.put(self.bucket, self.prefix + self.key, self.bad, metadata=item.metadata)

    def replica(self, suffix: str = "") -> StoredObject:
        return self.stage.server.get(self.bucket, self.prefix + self.key + suffix)

    @property
    def older(self) -> list[bytes]:
        """What the bucket keeps of older versions of the replica."""
        older = self.stage.server.storage.buckets[self.bucket].older
        return [item.body for item in older.get(self.prefix + self.key, [])]

    def verify(self, *arguments: str) -> tuple[int, dict[str, Any], list[dict[str, Any]]]:
        ran = self.stage.syncd("verify", "--json", "--keys", str(self.keys), *arguments)
        (entry,) = json.loads(ran.stdout)["jobs"]
        return ran.code, entry, ran.logged

    def held(self) -> list[str]:
        (status,) = json.loads(self.stage.syncd("status", "--json").stdout)["jobs"]
        return [item["key"] for item in status["quarantine"]["objects"]]


@pytest.fixture
def altered(stage: Stage, now: datetime, tmp_path: Path) -> Callable[..., Altered]:
    def make(versioning: str, prefix: str = "", days_ago: int = 0) -> Altered:
        return Altered(stage, now, tmp_path, versioning, prefix, days_ago)

    return make


def test_with_versions_a_newer_one_is_written_and_the_altered_one_stays(
    altered: Callable[..., Altered], tmp_path: Path
) -> None:
    it = altered("Enabled")
    bad_version = it.replica().version_id
    looked = it.verify()  # without --repair nothing is replaced
    assert (looked[0], it.replica().body, it.held()) == (3, it.bad, [it.key])

    code, entry, lines = it.verify("--repair", "--report", str(tmp_path / "report"))

    (repaired,) = entry["repaired"]
    # Never silently: an event, the document, the report, and the exit code.
    assert (code, entry["verdict"], entry["repaired_count"], entry["not_repaired"]) == (3, "proved", 1, [])
    assert (it.replica().body, it.older[-1]) == (it.right, it.bad)
    assert (repaired["how"], repaired["written"]) == ("version", it.key)
    assert (repaired["version_id"], repaired["kept_version"]) == (it.replica().version_id, bad_version)
    assert [line["key"] for line in lines if line["event"] == "replica.repaired"] == [it.key]
    assert bad_version in next((tmp_path / "report").glob("*.html")).read_text()
    # The ledger agrees with it: no conflict is left, and none is found by the audit or by comparison.
    assert it.held() == []
    again, compared = it.verify("--repair"), it.stage.syncd("verify", "--against", "source", "--json")
    assert (again[0], again[1]["repaired"], compared.code) == (0, [], 0)
    it.stage.job(changes={"listing.audit": "1s", "listing.deep_every": "1m"})
    tick = it.stage.syncd("tick", "--json")
    assert (tick.code, tick.job["copied"], tick.job["conflict_count"], tick.job["restored"]) == (0, 0, 0, 0)


@pytest.mark.parametrize("versioning", ["", "Suspended", "hidden", "refused", "before"])
def test_if_no_version_would_stay_it_is_written_beside_and_everything_knows_it(
    altered: Callable[..., Altered], versioning: str
) -> None:
    """Never enabled, suspended, not to be seen, a policy that demands If-None-Match, and altered before it was enabled."""
    it = altered({"hidden": "Enabled", "refused": "Enabled", "before": ""}.get(versioning, versioning), "copy/")
    if versioning == "hidden":
        it.stage.server.faults.add("GetBucketVersioning", Status(403, "AccessDenied"))
    if versioning == "refused":
        refused = Status(403, "AccessDenied")
        it.stage.server.faults.add(
            lambda it: it.operation == "PutObject" and "if-none-match" not in it.headers, refused
        )
    if versioning == "before":
        it.stage.server.storage.buckets[it.bucket].versioning = "Enabled"

    code, entry, lines = it.verify("--repair")

    (repaired,) = entry["repaired"]
    assert (code, entry["verdict"], entry["problems"], entry["extra"]) == (3, "some", {"log_altered": 1}, [])
    assert (repaired["how"], repaired["written"]) == ("beside", f"copy/{it.key}{SUFFIX}")
    assert repaired["detail"]
    assert (it.replica().body, it.replica(SUFFIX).body) == (it.bad, it.right)
    assert [line["key"] for line in lines if line["event"] == "replica.repaired"] == [it.key]
    assert entry["vouched_beside"] == [f"{it.key}{SUFFIX}"]
    if versioning not in ("", "Suspended"):
        return
    # It is written once, and is neither extra nor foreign to anything that lists the destination.
    again = it.verify("--repair")[1]
    compared = it.stage.syncd("verify", "--against", "source", "--json").document["jobs"][0]
    it.stage.job(changes={"destination.prefix": "copy/", "listing.audit": "1s", "listing.deep_every": "1m"})
    tick = it.stage.syncd("tick", "--json")
    assert "there already" in again["repaired"][0]["detail"]
    assert (again["extra"], again["vouched_beside"]) == ([], [f"{it.key}{SUFFIX}"])
    assert (compared["extra"], compared["vouched_beside"]) == ([], 1)
    assert (tick.job["copied"], tick.job["restored"], tick.job["failed_count"]) == (0, 0, 0)
    assert it.stage.server.count("PutObject") - len(it.stage.source()) == 2
    # An operator lets the altered replica stand, and is told what lies beside.
    accepted = it.stage.syncd("ledger", "quarantine", "accept", it.key)
    assert f"{it.key}{SUFFIX}" in accepted.stdout
    # Under that name nothing else passes.
    it.stage.server.put(it.bucket, f"copy/{it.key}{SUFFIX}", gzip.compress(b'{"Records":[1]}'))
    planted = it.verify("--no-heal")[1]
    assert (planted["extra"], planted["vouched_beside"]) == ([f"{it.key}{SUFFIX}"], [])
    assert it.stage.syncd("verify", "--against", "source", "--json").document["jobs"][0]["extra_count"] == 1


@pytest.mark.parametrize(
    ("versioning", "audits"), [("Enabled", []), ("", ["1s", "1s"]), ("", ["1h", "1s", "1s"])], ids=str
)
def test_of_a_sealed_day_the_row_counts_the_replica_once(
    altered: Callable[..., Altered], versioning: str, audits: list[str]
) -> None:
    it = altered(versioning, days_ago=70)
    before = it.stage.syncd("ledger", "export").stdout
    assert '"day": "' in before

    code, entry, _ = it.verify("--repair")
    it.stage.job(changes={"start": "beginning", "listing.audit_sealed": "1s", "listing.deep_every": "1m"})
    ticks = [it.stage.syncd("tick", "--json") for _ in range(2)]
    after = it.stage.syncd("ledger", "export").stdout

    assert (code, entry["repaired"][0]["how"]) == (3, "version" if versioning else "beside")
    assert it.held() == ([] if versioning else [it.key])
    assert [line for tick in ticks for line in tick.logged if line["event"] == "replica.lost"] == []
    assert [tick.job["failed_count"] for tick in ticks] == [0, 0]

    def sealed(text: str) -> list[str]:
        return sorted(line for line in text.splitlines() if '"day": "' in line)

    if versioning:
        assert sealed(after) == sealed(before)
        return
    # Accepted, it is still the one object that the day's row counts: whether the day is audited next, or sealed again.
    assert it.stage.syncd("ledger", "quarantine", "accept", it.key).code == 0
    ticks = []
    for audit in audits:
        it.stage.job(changes={"start": "beginning", "listing.audit_sealed": audit, "listing.deep_every": "1m"})
        ended = datetime.now(UTC)
        wait_until(lambda ended=ended: datetime.now(UTC) > ended + timedelta(seconds=1), what="the next audit")
        ticks.append(it.stage.syncd("tick", "--json"))
    assert [line for tick in ticks for line in tick.logged if line["event"] == "replica.lost"] == []
    assert [tick.job["failed_count"] for tick in ticks] == [0] * len(ticks)
    assert it.held() == []
    compared = it.stage.syncd("verify", "--against", "source", "--json").document["jobs"][0]
    assert compared["problems"] == {"log_altered": 1}


def test_nothing_is_written_that_the_digest_does_not_vouch_for(altered: Callable[..., Altered]) -> None:
    """The source was altered too; or it is while it is read; or it lacks the log; or the place beside is taken."""
    it = altered("")
    stage, before = it.stage, it.stage.server.count("PutObject")
    source = stage.server.get(stage.world.bucket, it.key)
    wrong = it.right[:-1] + bytes([it.right[-1] ^ 1])  # as long, under the same ETag
    reads: list[int] = []

    def swap(_: object) -> None:
        reads.append(1)
        if len(reads) == 2:  # after the hashes were compared, before it is read to be written
            stage.server.put(stage.world.bucket, it.key, wrong, etag=source.etag, last_modified=source.last_modified)

    stage.server.faults.add(on("GetObject", bucket=stage.world.bucket, key=it.key), Call(swap))
    swapped = it.verify("--repair")
    altered_too = it.verify("--repair")
    stage.server.delete(stage.world.bucket, it.key)
    gone = it.verify("--repair")
    stage.server.put(stage.world.bucket, it.key, it.right)
    stage.server.put(it.bucket, it.key + SUFFIX, wrong)
    stage.server.faults.clear()
    taken = it.verify("--repair")

    told = [[item["reason"] for item in found[1]["not_repaired"]] for found in (swapped, altered_too, gone, taken)]
    assert told == [["altered_at_source"], ["altered_at_source"], ["not_at_source"], ["conflict"]]
    assert {found[0] for found in (swapped, altered_too, gone, taken)} == {3}
    assert [line["reason"] for line in taken[2] if line["event"] == "replica.not_repaired"] == ["conflict"]
    # What is beside was asked for on condition only, and what was there stands.
    assert (it.replica().body, it.replica(SUFFIX).body) == (it.bad, wrong)
    assert stage.server.count("PutObject") - before == 1


def test_versioning_that_is_suspended_in_between_costs_no_version_and_is_told(altered: Callable[..., Altered]) -> None:
    it = altered("Enabled")
    bucket = it.stage.server.storage.buckets[it.bucket]
    bad_version = it.replica().version_id

    def suspend(_: object) -> None:
        bucket.versioning = "Suspended"

    it.stage.server.faults.add(on("PutObject", bucket=it.bucket, key=it.key), Call(suspend))

    code, entry, _ = it.verify("--repair")

    (repaired,) = entry["repaired"]
    assert (code, entry["verdict"], it.replica().body) == (3, "proved", it.right)
    assert bad_version in [item.version_id for item in bucket.older[it.key]]
    assert (repaired["kept_version"], "suspended meanwhile" in repaired["detail"]) == (bad_version, True)


def test_a_replica_that_changes_in_between_is_left_alone(altered: Callable[..., Altered]) -> None:
    it = altered("Enabled")
    another = gzip.compress(b'{"Records":["another"]}')

    def change(request: Any) -> None:
        if request.headers.get("if-match") == f'"{hashlib.md5(it.bad).hexdigest()}"':
            it.stage.server.put(it.bucket, it.key, another)

    it.stage.server.faults.add(on("PutObject", bucket=it.bucket, key=it.key), Call(change))

    code, entry, _ = it.verify("--repair")

    assert (code, entry["repaired"], [item["reason"] for item in entry["not_repaired"]]) == (3, [], ["object_changed"])
    assert it.replica().body == another


@pytest.mark.parametrize("option", ["--no-heal", "--against=source", "--offline=bundle"])
def test_it_goes_with_nothing_that_only_looks(stage: Stage, option: str) -> None:
    ran = stage.syncd("verify", "--repair", option)

    assert (ran.code, "--repair" in ran.stderr) == (2, True)


def test_policies_print_the_permission_alone_and_check_says_what_a_repair_would_do(stage: Stage) -> None:
    stage.job()
    bucket = stage.world.consumer("account-z").bucket

    def versioning() -> dict[str, Any]:
        checks = stage.syncd("check", "--json").job["checks"]
        (found,) = [check for check in checks if check["check"] == "versioning"]
        return found

    printed = stage.syncd("policies", "account-z", "--repair", "--principal", "account", "--json")
    never = versioning()
    stage.server.storage.buckets[bucket].versioning = "Enabled"
    enabled = versioning()
    stage.server.faults.add("GetBucketVersioning", Status(403, "AccessDenied"))
    hidden = versioning()

    (document,) = printed.document["documents"]
    (statement,) = document["document"]["Statement"]
    assert (statement["Action"], statement["Effect"]) == ("s3:GetBucketVersioning", "Allow")
    assert statement["Resource"].endswith(f":{bucket}")
    assert "writes beside" in never["detail"]
    assert "a newer version" in enabled["detail"]
    assert "syncd policies account-z --repair" in hidden["remedy"]
    assert {check["status"] for check in (never, enabled, hidden)} == {"information"}
