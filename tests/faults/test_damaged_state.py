"""The state file deleted, cut short, or flipped bit by bit: the product recovers, and the destination tells.

No double copy, no loss, no false Conflict, whatever was done to the file between two ticks.
"""

import random
import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest
from faulty import FaultyS3
from faulty.faults import Body, Status
from faulty.request import Request as Received

from syncd.cli.demo.world import TRAIL_BUCKET, write_configuration
from syncd.config import files
from syncd.job.installation import Installation
from syncd.job.run import run_job
from syncd.job.wiring import RunRequest
from syncd.ledger.ledger import LedgerFile, ReplicaLedger
from syncd.model import events
from syncd.model.objects import Failed, LogObject, Shard, Transfer
from syncd.model.reports import TickReport
from syncd.tick.scope import replica_of

SHARD = "AWSLogs/222222222222/CloudTrail/us-east-1/"
OTHER_SHARD = "AWSLogs/333333333333/CloudTrail/us-east-1/"
JOB, OTHER_JOB = "account-b", "account-c"


class Site:
    """One job against the fake, in this process."""

    def __init__(self, server: FaultyS3, folder: Path) -> None:
        self.server = server
        world = server.world()
        self.bucket = world.consumer(JOB).bucket
        configuration = files.load(write_configuration(world, folder))
        self._jobs = {job.name: job for job in configuration.jobs}
        self.told: list[str] = []
        self._installation = Installation.of(
            configuration, now=lambda: self.now, tell=lambda event, **_: self.told.append(event)
        )
        self.state = configuration.settings.state_dir / "ledger.sqlite3"
        self.now = 1_795_507_200.0

    def deliver(self, count: int, name: str, shard: str = SHARD) -> None:
        account = shard.split("/")[1]
        for number in range(count):
            stem = f"{account}_CloudTrail_us-east-1_20261123T{number % 24:02}15Z_{name}{number:08}"
            body = f"{name} {number}".encode()
            self.server.put(TRAIL_BUCKET, f"{shard}2026/11/23/{stem}.json.gz", body)

    def tick(self, job: str = JOB) -> TickReport:
        self.now += 3700
        return run_job(self._jobs[job], RunRequest(), self._installation, stop=Event())

    def ledger(self, job: str = JOB) -> ReplicaLedger:
        """Opens the state of a job beside the installation."""
        return LedgerFile(self.state.parent, now=lambda: self.now).open(replica_of(self._jobs[job]), job)

    def rows(self, job: str) -> list[dict[str, object]]:
        with LedgerFile(self.state.parent, now=lambda: self.now).open_readonly() as reader:
            return list(reader.export(job))

    def last_tick(self, job: str) -> TickReport:
        with LedgerFile(self.state.parent, now=lambda: self.now).open_readonly() as reader:
            last = reader.last_tick(job)
        assert last is not None
        return last.report

    def is_mirrored(self) -> bool:
        everything = self.server.objects(TRAIL_BUCKET).items()
        source = {key: item.body for key, item in everything if key.startswith(SHARD)}
        return source == {key: item.body for key, item in self.server.objects(self.bucket).items()}


@pytest.fixture
def site(faulty: FaultyS3, tmp_path: Path) -> Site:
    return Site(faulty, tmp_path)


def delete(file: Path, _: random.Random) -> None:
    for path in file.parent.glob("ledger.sqlite3*"):
        path.unlink()


def truncate(file: Path, chance: random.Random) -> None:
    with file.open("r+b") as opened:
        opened.truncate(chance.randrange(file.stat().st_size))


def flip(file: Path, chance: random.Random) -> None:
    content = bytearray(file.read_bytes())
    for _ in range(3):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [delete, truncate, flip])
@pytest.mark.parametrize("seed", range(4))
def test_damage_between_ticks_costs_no_object_no_second_copy_and_no_conflict(
    site: Site, damage: object, seed: int
) -> None:
    assert callable(damage)
    chance = random.Random(seed)
    site.deliver(60, "first")
    assert site.tick().copied == 60
    reports = []
    for round_number in range(6):
        damage(site.state, chance)
        site.deliver(5, f"round{round_number}")
        reports.append(site.tick())

    assert site.is_mirrored()
    assert sum(report.copied for report in reports) == 30
    assert [report.conflict_count for report in reports] == [0] * 6
    assert {report.outcome for report in reports} == {"ok"}


def is_listing_of_the_shard(request: Received) -> bool:
    """Whether it is one of all keys, rather than of folders."""
    is_listing = request.operation == "ListObjectsV2" and request.bucket == TRAIL_BUCKET
    return is_listing and request.query.get("prefix") == SHARD and "delimiter" not in request.query


def listing(key: str, size: int) -> bytes:
    """An archived object of an impossible size."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>{TRAIL_BUCKET}</Name><Prefix>{SHARD}</Prefix>
<KeyCount>1</KeyCount><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>
<Contents><Key>{key}</Key><LastModified>2026-11-24T08:00:00.000Z</LastModified><ETag>&quot;{"0" * 32}&quot;</ETag>
<Size>{size}</Size><StorageClass>GLACIER</StorageClass></Contents></ListBucketResult>""".encode()


@pytest.mark.parametrize("is_past_the_gate", [False, True])
def test_what_a_source_says_and_cannot_be_remembered_fails_its_own_job_alone(
    site: Site, monkeypatch: pytest.MonkeyPatch, *, is_past_the_gate: bool
) -> None:
    site.deliver(5, "first")
    site.deliver(5, "first", OTHER_SHARD)
    before = [site.tick(), site.tick(OTHER_JOB)]
    rows, others = site.rows(JOB), site.rows(OTHER_JOB)
    lie = f"{SHARD}2026/11/24/222222222222_CloudTrail_us-east-1_20261124T0815Z_aaaaaaaaaaaaaaaa.json.gz"
    fault = site.server.faults.add(is_listing_of_the_shard, Body(listing(lie, 5 if is_past_the_gate else 10**20)))

    with monkeypatch.context() as patched:
        if is_past_the_gate:
            # The gate knows another bound than the state then, as if it had a gap.
            patched.setattr("syncd.ledger.rows.LONGEST_KEY_BYTES", len(lie) - 1)
        lied = site.tick()
    told, other = site.last_tick(JOB), site.tick(OTHER_JOB)

    assert fault.hits
    assert [report.outcome for report in (*before, other)] == ["ok", "ok", "ok"]
    assert lied.outcome == "failed"
    assert lied.error is not None
    assert lied.error.reason == "unexpected_answer"
    assert lied.complete_until == before[0].complete_until
    assert (told.outcome, told.error) == (lied.outcome, lied.error)
    assert site.rows(JOB) == rows
    assert [row for row in site.rows(OTHER_JOB) if row["type"] == "object"] == [
        row for row in others if row["type"] == "object"
    ]
    assert events.LEDGER_MOVED_ASIDE not in site.told
    assert not list(site.state.parent.glob("*.corrupt-*"))

    site.server.faults.remove(fault)
    site.deliver(5, "second")
    assert (site.tick().outcome, site.is_mirrored()) == ("ok", True)


def test_a_damaged_entry_of_the_quarantine_is_mended_by_a_tick_and_no_other_job_notices(site: Site) -> None:
    site.deliver(5, "first")
    site.deliver(5, "first", OTHER_SHARD)
    site.tick()
    site.tick(OTHER_JOB)
    shard = Shard(SHARD, "222222222222", "CloudTrail", "us-east-1")
    gone = LogObject(f"{SHARD}2026/11/23/gone", "etag", 5, site.now)
    with site.ledger() as ledger:
        ledger.record([Failed(Transfer(shard, gone, gone.key), "object_gone", "it was there")], [], now=site.now)
    others = site.rows(OTHER_JOB)
    with closing(sqlite3.connect(site.state, isolation_level=None)) as connection:
        assert connection.execute("UPDATE quarantine SET attempts = 9").rowcount == 1

    site.deliver(5, "second")
    report = site.tick()

    assert (report.outcome, report.copied, site.is_mirrored()) == ("ok", 5, True)
    assert site.told.count(events.STATE_MENDED) == 1
    assert events.LEDGER_MOVED_ASIDE not in site.told
    assert site.rows(OTHER_JOB) == others


def test_a_tick_that_is_refused_at_once_mends_and_keeps_the_file(site: Site) -> None:
    site.deliver(5, "first")
    site.tick()
    shard = Shard(SHARD, "222222222222", "CloudTrail", "us-east-1")
    gone = LogObject(f"{SHARD}2026/11/23/gone", "etag", 5, site.now)
    with site.ledger() as ledger:
        ledger.record([Failed(Transfer(shard, gone, gone.key), "object_gone", "it was there")], [], now=site.now)
    with closing(sqlite3.connect(site.state, isolation_level=None)) as connection:
        connection.execute("UPDATE quarantine SET attempts = 9")
    site.server.faults.add("AssumeRole", Status(403, "AccessDenied"))
    site.now += 86_400

    report = site.tick()

    assert report.error is not None
    assert report.error.reason == "access_denied"
    assert site.told.count(events.STATE_MENDED) == 1
    assert events.LEDGER_MOVED_ASIDE not in site.told


def test_damaged_rows_are_logged_and_found_again(site: Site) -> None:
    site.deliver(5, "first")
    site.tick()
    with closing(sqlite3.connect(site.state, isolation_level=None)) as connection:
        assert connection.execute("UPDATE objects SET size_bytes = 0").rowcount == 5
        assert connection.execute("UPDATE cursors SET frontier = 7").rowcount == 1

    report = site.tick()

    assert (report.outcome, report.copied) == ("ok", 0)
    assert site.told.count(events.ROWS_DAMAGED) == 1

    site.tick()

    assert site.told.count(events.ROWS_DAMAGED) == 1
    assert site.is_mirrored()
