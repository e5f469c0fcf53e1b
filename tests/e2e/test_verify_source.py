"""`syncd verify --against source`, from outside: what source, ledger and replica show together, for every layout."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import ACCOUNTS, REGIONS, Delivery, Trail, days_before
from stage import Stage

FLAT = {"source.layout": "flat", "source.prefix": "elb/", "source.accounts": None, "source.kinds": None}
DATED = {**FLAT, "source.layout": "{prefix}/%Y/%m/%d/", "source.prefix": "config"}
CLOUDTRAIL: dict[str, Any] = {}
REENCRYPTED = "0123456789abcdef0123456789abcdef"


def keys_of(layout: str, now: datetime) -> list[str]:
    days = [now - timedelta(days=back) for back in (3, 2)]
    names = ["a", "b", "c"]
    if layout == "flat":
        return [f"elb/{name}" for name in names]
    if layout == "dated":
        return [f"config/{day:%Y/%m/%d}/{name}" for day in days for name in names]
    marks = [day.replace(hour=6, minute=5) for day in days]
    logs = [Trail().log(ACCOUNTS[0], REGIONS[0], mark, number) for mark in marks for number in range(3)]
    return [log.key for log in logs]


@dataclass
class Replicated:
    stage: Stage
    keys: list[str]

    @property
    def bucket(self) -> str:
        return self.stage.world.consumer("account-z").bucket

    def verify(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        ran = self.stage.syncd("verify", "--against", "source", "--json", *arguments)
        (entry,) = json.loads(ran.stdout)["jobs"]
        return ran.code, entry

    def put_replica(self, key: str, body: bytes, **more: Any) -> None:
        self.stage.server.put(self.bucket, key, body, **more)

    def body(self, key: str) -> bytes:
        return self.stage.server.get(self.bucket, key).body

    def lose_state(self) -> None:
        shutil.rmtree(self.stage.state)


def replicated(stage: Stage, now: datetime, layout: str, **changes: Any) -> Replicated:
    table = {"flat": FLAT, "dated": DATED, "cloudtrail": CLOUDTRAIL}[layout]
    keys = keys_of(layout, now)
    stage.deliver(Delivery(key, f"content of {key}".encode(), now - timedelta(days=1)) for key in keys)
    stage.job(changes={**table, **changes})
    assert stage.syncd("tick").code == 0
    return Replicated(stage, keys)


@pytest.fixture
def flat(stage: Stage, now: datetime) -> Replicated:
    return replicated(stage, now, "flat")


@pytest.mark.parametrize("layout", ["flat", "dated", "cloudtrail"])
@pytest.mark.parametrize("prefix", ["", "replica/"])
def test_an_untouched_replica_is_proved(stage: Stage, now: datetime, layout: str, prefix: str) -> None:
    it = replicated(stage, now, layout, **{"destination.prefix": prefix})

    code, entry = it.verify()

    assert (code, entry["verdict"], entry["problems"], entry["extra"]) == (0, "proved", {}, [])
    assert (entry["objects"], entry["evidence"]) == (len(it.keys), {"etag": len(it.keys)})
    assert {span["verdict"] for span in entry["spans"]} == {"proved"}
    assert len(entry["spans"]) == (1 if layout == "flat" else 2)
    assert set(entry["requests"]) <= {"ListObjectsV2", "AssumeRole", "GetCallerIdentity"}


@pytest.mark.parametrize("layout", ["flat", "dated", "cloudtrail"])
def test_read_data_compares_the_bodies(stage: Stage, now: datetime, layout: str) -> None:
    it = replicated(stage, now, layout)
    stage.server.forget_requests()

    code, entry = it.verify("--read-data")

    assert (code, entry["verdict"], entry["evidence"]) == (0, "proved", {"content": len(it.keys)})
    assert stage.requests("GetObject") == 2 * len(it.keys)


def test_large_objects_are_read_in_parts(stage: Stage, now: datetime) -> None:
    mib = 1024 * 1024
    bounds = {"destination.multipart_above": "6MiB", "destination.part_size": "5MiB"}
    stage.deliver([Delivery("elb/large", bytes(11 * mib), now - timedelta(days=1))])
    stage.job(changes={**FLAT, **bounds})
    assert stage.syncd("tick").code == 0
    stage.server.forget_requests()

    code, entry = Replicated(stage, ["elb/large"]).verify("--read-data")

    assert (code, entry["verdict"], entry["bytes"]) == (0, "proved", 11 * mib)
    assert stage.requests("GetObject") == 6


def test_a_replica_of_another_size_is_altered(flat: Replicated) -> None:
    flat.put_replica(flat.keys[1], b"short")

    code, entry = flat.verify()

    assert (code, entry["problems"]) == (4, {"log_altered": 1})
    (span,) = entry["spans"]
    assert [problem["key"] for problem in span["problems"]] == [flat.keys[1]]
    assert "5 bytes" in span["problems"][0]["detail"]


def test_a_missing_replica_is_named(stage: Stage, now: datetime) -> None:
    it = replicated(stage, now, "dated")
    stage.server.delete(it.bucket, it.keys[1])

    code, entry = it.verify()

    assert (code, entry["verdict"], entry["problems"]) == (3, "some", {"log_missing": 1})
    assert [span["verdict"] for span in entry["spans"]] == ["unproved", "proved"]
    assert entry["proved_until"] is None


@pytest.mark.parametrize("arguments", [(), ("--read-data",)], ids=["by checksum", "by content"])
def test_other_bytes_of_the_same_size_are_found(flat: Replicated, arguments: tuple[str, ...]) -> None:
    flat.put_replica(flat.keys[1], flat.body(flat.keys[1])[::-1])

    code, entry = flat.verify(*arguments)

    assert (code, entry["problems"]) == (4, {"log_altered": 1})


def test_a_checksum_tells_what_etags_do_not(flat: Replicated) -> None:
    same, other = flat.keys[:2]
    source = flat.stage.world.bucket
    for key in (same, other):
        body = flat.body(key)
        flat.stage.server.put(source, key, body, etag=f"{'9' * 30}-2", checksum_algorithm="sha256")
        flat.put_replica(key, body if key == same else body[::-1], checksum_algorithm="sha256")

    _, entry = flat.verify()

    assert (entry["evidence"]["checksum"], entry["problems"]) == (1, {"log_altered": 1})


def test_an_equal_crc_is_no_proof(flat: Replicated) -> None:
    key = flat.keys[0]
    flat.stage.server.put(flat.stage.world.bucket, key, flat.body(key), etag=REENCRYPTED, checksum_algorithm="crc32c")
    flat.put_replica(key, flat.body(key), checksum_algorithm="crc32c")

    _, entry = flat.verify()

    assert entry["problems"] == {"not_comparable": 1}
    assert "--read-data" in entry["spans"][-1]["problems"][0]["detail"]
    assert flat.verify("--read-data")[1]["verdict"] == "proved"


def test_the_ledger_vouches_for_etags_that_cannot_be_compared(stage: Stage, now: datetime) -> None:
    keys = keys_of("flat", now)
    for key in keys:
        stage.server.put(stage.world.bucket, key, key.encode(), etag=REENCRYPTED, last_modified=now - timedelta(days=1))
    stage.job(changes=FLAT)
    assert stage.syncd("tick").code == 0
    it = Replicated(stage, keys)

    with_ledger = it.verify()
    it.lose_state()
    code, entry = it.verify()

    assert (with_ledger[0], with_ledger[1]["evidence"]) == (0, {"ledger": len(keys)})
    assert (code, entry["problems"]) == (4, {"not_comparable": len(keys)})


def test_what_only_the_replica_has_is_extra_unless_the_ledger_knows_it(flat: Replicated) -> None:
    flat.put_replica("elb/planted", b"never copied")
    flat.stage.server.delete(flat.stage.world.bucket, flat.keys[0])

    code, entry = flat.verify()

    assert (code, entry["verdict"], entry["extra"]) == (3, "some", ["elb/planted"])
    assert (entry["gone_at_source"], entry["objects"]) == (1, len(flat.keys) - 1)


def test_an_extra_account_is_found_too(stage: Stage, now: datetime) -> None:
    it = replicated(stage, now, "cloudtrail")
    planted = Trail().log(ACCOUNTS[3], REGIONS[1], now - timedelta(days=2))
    it.put_replica(planted.key, planted.body)

    code, entry = it.verify()

    assert (code, entry["extra"]) == (3, [planted.key])


def test_an_object_that_neither_side_has_contradicts_the_ledger(flat: Replicated) -> None:
    for bucket in (flat.bucket, flat.stage.world.bucket):
        flat.stage.server.delete(bucket, flat.keys[0])

    _, entry = flat.verify()

    assert entry["problems"] == {"log_missing": 1}


def test_a_replica_that_was_rewritten_after_the_source_let_go_is_altered(flat: Replicated) -> None:
    flat.stage.server.delete(flat.stage.world.bucket, flat.keys[0])
    flat.put_replica(flat.keys[0], b"something else")

    _, entry = flat.verify()

    assert (entry["problems"], entry["gone_at_source"]) == ({"log_altered": 1}, 0)


def test_what_no_tick_has_seen_yet_is_told_apart(flat: Replicated, now: datetime) -> None:
    flat.stage.deliver([Delivery("elb/new", b"new", now)])

    code, entry = flat.verify()

    assert (code, entry["verdict"], entry["not_copied_yet"]) == (0, "proved", 1)


def test_what_is_older_than_the_job_is_left_out(stage: Stage, now: datetime) -> None:
    stage.deliver([Delivery("elb/old", b"old", now - timedelta(days=9))])
    it = replicated(stage, now, "flat", start="5d")

    code, entry = it.verify()

    assert (code, entry["verdict"], entry["left_out"], entry["objects"]) == (0, "proved", 1, len(it.keys))


def test_a_span_of_days_is_compared_alone(stage: Stage, now: datetime) -> None:
    it = replicated(stage, now, "cloudtrail")
    day = f"{now - timedelta(days=2):%Y-%m-%d}"
    stage.server.delete(it.bucket, it.keys[0])

    code, entry = it.verify("--from", day, "--to", day)

    assert (code, entry["verdict"], entry["objects"]) == (0, "proved", 3)
    assert [span["from"][:10] for span in entry["spans"]] == [day]


@pytest.mark.parametrize("case", ["untouched", "tampered"])
def test_sealed_days_vouch_for_what_cannot_be_compared(stage: Stage, now: datetime, case: str) -> None:
    log = [Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(days=60), number) for number in range(5)]
    for number, item in enumerate(log):
        etag = f"{number:032x}"
        stage.server.put(stage.world.bucket, item.key, item.body, etag=etag, last_modified=now - timedelta(days=60))
    stage.deliver([Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(days=1))])
    stage.job(changes={"start": "beginning"})
    assert stage.syncd("tick").code == 0
    it = Replicated(stage, [item.key for item in log])
    rows = stage.syncd("ledger", "export").stdout
    assert '"count": 5' in rows
    if case == "tampered":
        it.put_replica(log[2].key, log[2].body[::-1])

    code, entry = it.verify()

    if case == "tampered":
        assert (code, entry["problems"]) == (3, {"log_altered": 1, "not_comparable": 4})
    else:
        assert (code, entry["evidence"]) == (0, {"etag": 1, "sealed_day": 5})


def test_thousands_of_objects_are_compared_by_listings_alone(stage: Stage, now: datetime) -> None:
    days = days_before(now, 3)
    stage.deliver(Trail().span(ACCOUNTS[:2], REGIONS[:1], days, logs=500))
    stage.job()
    assert stage.syncd("tick").code == 0
    it = Replicated(stage, [])
    stage.server.forget_requests()

    code, entry = it.verify()

    assert (code, entry["objects"], len(entry["spans"])) == (0, 3000, 3)
    assert stage.requests("HeadObject", "GetObject") == 0
    assert stage.requests("ListObjectsV2") < 30


def test_a_report_is_written_and_its_sums_hold(flat: Replicated, tmp_path: Path) -> None:
    flat.put_replica("elb/<planted>", b"never copied")

    flat.verify("--report", str(tmp_path / "report"))
    flat.verify("--report", str(tmp_path / "report"), "--from", "2026-01-01")

    folder = tmp_path / "report"
    check = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=folder, capture_output=True, check=False)
    assert check.returncode == 0
    reports = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    assert [report["verdict"] for report in reports] == ["some", "some"]
    assert sum(report["previous_report"] is not None for report in reports) == 1
    assert "elb/&lt;planted&gt;" in next(folder.glob("*.html")).read_text()


def test_a_person_reads_the_verdict_first(flat: Replicated) -> None:
    flat.put_replica(flat.keys[1], b"short")

    ran = flat.stage.syncd("verify", "--against", "source")

    assert ran.code == 4
    assert ran.stdout.startswith("account-z against its source: unproved\n")
    assert f"log_altered: {flat.keys[1]}: the replica has 5 bytes" in ran.stdout


def test_a_denied_listing_ends_with_its_remedy(flat: Replicated) -> None:
    flat.stage.server.storage.buckets[flat.bucket].account_id = "444444444444"

    code, entry = flat.verify()

    assert (code, entry["verdict"], entry["error"]["reason"]) == (4, "unproved", "access_denied")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--against", "source", "--account", "222222222222"),
        ("--against", "source", "--bundle", "x"),
        ("--against", "source", "--offline", "x"),
        ("--against", "elsewhere"),
    ],
    ids=" ".join,
)
def test_options_that_mean_nothing_together_are_refused(flat: Replicated, arguments: tuple[str, ...]) -> None:
    assert flat.stage.syncd("verify", *arguments).code == 2
