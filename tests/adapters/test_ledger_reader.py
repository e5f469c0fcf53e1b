"""What `status`, `plan` and `export` see, without changing anything."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from builders_ledger import MD5, NOW, SHARD, conflict, copied, failed, key, replica, sealed

from syncd.ledger.ledger import TICKS_KEPT, LedgerCounts, LedgerFile, RecordedTick
from syncd.model.errors import LedgerCorrupt, LedgerError, LedgerExposed, LedgerNewer
from syncd.model.objects import Known, ShardState
from syncd.model.reports import TickReport

A, B, C = key("2026-11-24", "A"), key("2026-11-24", "B"), key("2026-11-25", "C")
D = key("2026-11-25", "D")
STATE = ShardState(shard=SHARD, frontier=NOW)


@pytest.fixture
def file(tmp_path: Path) -> LedgerFile:
    return LedgerFile(tmp_path / "state", now=lambda: NOW)


def report(job: str, number: int) -> TickReport:
    return TickReport(job=job, outcome="ok", listed=number, started_at=NOW + number)


def tick(file: LedgerFile, job: str, number: int, *, kind: str = "tick") -> None:
    with file.open(replica(f"example-{job}-logs"), job) as ledger:
        ledger.record_tick(report(job, number), kind=kind)


def test_a_missing_file_reads_as_nothing_and_is_not_made(file: LedgerFile) -> None:
    with file.open_readonly() as reader:
        assert (reader.jobs(), reader.last_tick("b"), reader.ticks("b", 9)) == ([], None, [])
        assert (reader.shards("b"), reader.quarantined("b"), reader.view_of("b")) == ({}, {}, None)
        assert (reader.counts("b"), reader.file_bytes(), list(reader.export())) == (LedgerCounts(0, 0, 0), 0, [])
        assert reader.view(replica()).known(SHARD, [A]) == {}

    assert not file.path.parent.exists()


def test_an_empty_file_reads_as_nothing(file: LedgerFile) -> None:
    file.path.parent.mkdir()
    file.path.touch()

    with file.open_readonly() as reader:
        assert reader.jobs() == []
    assert file.path.stat().st_size == 0


def test_reading_changes_nothing_in_the_file(file: LedgerFile) -> None:
    tick(file, "b", 1)
    before = file.path.read_bytes()

    with file.open_readonly() as reader:
        reader.jobs()
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader._db.execute("DELETE FROM ticks")

    assert file.path.read_bytes() == before


def test_a_file_is_read_while_it_is_written(file: LedgerFile) -> None:
    with file.open(replica(), "b") as ledger, file.open_readonly() as reader:
        ledger.record([copied(A)], [], now=NOW)

        assert reader.view(replica()).known(SHARD, [A]) == {A: Known(MD5, 100, MD5)}


def test_a_file_that_is_not_a_ledger_is_corrupt_and_stays(file: LedgerFile) -> None:
    file.path.parent.mkdir()
    file.path.write_text("not a database" * 1000)

    with pytest.raises(LedgerCorrupt), file.open_readonly():
        pass
    assert file.path.exists()


def test_a_corrupt_file_that_was_only_read_can_be_moved_aside(file: LedgerFile) -> None:
    file.path.parent.mkdir()
    file.path.write_text("not a database" * 1000)

    with pytest.raises(LedgerCorrupt), file.open_readonly():
        pass
    assert file.move_aside() is not None


def test_a_newer_file_is_refused(file: LedgerFile) -> None:
    tick(file, "b", 1)
    with closing(sqlite3.connect(file.path, isolation_level=None)) as connection:
        connection.execute("UPDATE meta SET value = '99'")
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(LedgerNewer), file.open_readonly():
        pass


def test_jobs_are_those_that_have_written(file: LedgerFile) -> None:
    tick(file, "c", 1)
    tick(file, "b", 1)
    with file.open(replica("elsewhere"), "never-wrote"):
        pass

    with file.open_readonly() as reader:
        assert reader.jobs() == ["b", "c"]


def test_the_last_tick_is_told_and_catch_ups_are_left_aside(file: LedgerFile) -> None:
    tick(file, "b", 1)
    tick(file, "b", 2)
    tick(file, "b", 3, kind="catch-up")
    tick(file, "c", 4)

    with file.open_readonly() as reader:
        assert reader.last_tick("b") == RecordedTick("tick", report("b", 2))


def test_ticks_are_told_newest_first(file: LedgerFile) -> None:
    tick(file, "b", 1)
    tick(file, "b", 2, kind="catch-up")
    tick(file, "b", 3)

    with file.open_readonly() as reader:
        assert [(item.kind, item.report.listed) for item in reader.ticks("b", 2)] == [("tick", 3), ("catch-up", 2)]


def test_a_bounded_number_of_ticks_is_kept_for_each_job(file: LedgerFile) -> None:
    tick(file, "c", 0)
    with file.open(replica(), "b") as ledger:
        for number in range(TICKS_KEPT + 5):
            ledger.record_tick(report("b", number), kind="tick")

    with file.open_readonly() as reader:
        ticks = reader.ticks("b", 10**6)
        assert (len(ticks), ticks[-1].report.listed, len(reader.ticks("c", 9))) == (TICKS_KEPT, 5, 1)


def test_a_damaged_tick_is_left_out(file: LedgerFile) -> None:
    tick(file, "b", 1)
    tick(file, "b", 2)
    with closing(sqlite3.connect(file.path, isolation_level=None)) as connection:
        connection.execute("UPDATE ticks SET report = '{' WHERE number = 2")

    with file.open_readonly() as reader:
        assert [item.report.listed for item in reader.ticks("b", 9)] == [1]


def test_shards_and_quarantine_are_told_by_job(file: LedgerFile) -> None:
    with file.open(replica(), "b") as ledger:
        ledger.save_shards([STATE])
        ledger.record([failed(A), conflict(B)], [], now=NOW)

    with file.open_readonly() as reader:
        assert reader.shards("b") == {SHARD.prefix: STATE}
        assert {name: entry.reason for name, entry in reader.quarantined("b").items()} == {
            A: "access_denied",
            B: "conflict",
        }
        assert (reader.shards("c"), reader.quarantined("c")) == ({}, {})


def test_a_job_is_the_replica_that_it_wrote_last(file: LedgerFile) -> None:
    with file.open(replica("first"), "b") as ledger:
        ledger.save_shards([STATE])
        ledger.record([copied(A)], [], now=NOW)
    with file.open(replica("second"), "b") as ledger:
        ledger.record([failed(B)], [], now=NOW)

    with file.open_readonly() as reader:
        assert reader.shards("b") == {}
        assert reader.quarantined("b").keys() == {B}
        assert reader.counts("b") == LedgerCounts(objects=0, sealed_days=0, quarantined=1)


def test_a_renamed_job_takes_its_replica_along(file: LedgerFile) -> None:
    with file.open(replica(), "b") as ledger:
        ledger.save_shards([STATE])
    with file.open(replica(), "renamed") as ledger:
        ledger.set_start(NOW)

    with file.open_readonly() as reader:
        assert reader.jobs() == ["renamed"]
        assert reader.shards("renamed") == {SHARD.prefix: STATE}


def test_what_is_remembered_is_counted(file: LedgerFile) -> None:
    with file.open(replica(), "b") as ledger:
        ledger.record([copied(A), copied(B), copied(C), failed(key("2026-11-25", "D"))], [], now=NOW)
        ledger.seal(SHARD, "2026-11-25", limit=1000)

    with file.open_readonly() as reader:
        assert reader.counts("b") == LedgerCounts(objects=1, sealed_days=1, quarantined=1)
        assert reader.file_bytes() >= file.path.stat().st_size > 0


def remember_a_bit_of_everything(file: LedgerFile) -> None:
    with file.open(replica(), "b") as ledger:
        ledger.set_start(1000)
        ledger.set_mode_verdict("stream", "CopyObject answered 403")
        ledger.save_shards([STATE], discovered_at=NOW)
        ledger.record([copied(A), copied(C, etag="multi-2", size=7), conflict(B), failed(D)], [], now=NOW)
        ledger.accept(D)
        ledger.save_uncovered(["AWSLogs/waf/"], now=NOW)
        ledger.seal(SHARD, "2026-11-25", limit=1000)


def test_the_export_tells_every_row(file: LedgerFile) -> None:
    remember_a_bit_of_everything(file)

    with file.open_readonly() as reader:
        rows = list(reader.export("b"))

    kinds = ["replica", "shard", "day", "object", "object", "quarantined", "accepted", "uncovered"]
    assert [row["type"] for row in rows] == kinds
    assert {row["job"] for row in rows} == {"b"}
    head, state, day, in_conflict, kept, held, accepted, uncovered = rows
    assert (head["source_bucket"], head["destination_bucket"]) == ("example-trail", "example-b-logs")
    assert (head["start"], head["discovered_at"], head["mode"]) == (1000, NOW, "stream")
    assert (state["prefix"], state["account"], state["frontier"]) == (SHARD.prefix, "111111111111", NOW)
    folded = sealed(A)
    assert (day["day"], day["count"], day["digest"], day["exact"]) == ("2026-11-24", 1, folded.digest, True)
    assert (day["replica_digest"], day["replica_exact"]) == (folded.replica_digest, True)
    assert (kept["key"], kept["etag"], kept["size_bytes"], kept["prefix"]) == (C, "multi-2", 7, SHARD.prefix)
    assert kept["replica_etag"] == MD5
    assert (in_conflict["key"], in_conflict["etag"], in_conflict["replica_etag"]) == (B, MD5, "")
    assert (held["key"], held["reason"], held["attempts"], held["etag"]) == (B, "conflict", 1, MD5)
    assert (accepted["key"], accepted["etag"], accepted["storage_class"]) == (D, MD5, "STANDARD")
    assert (uncovered["prefix"], uncovered["first_at"]) == ("AWSLogs/waf/", NOW)
    json.dumps(rows)


def test_the_export_of_all_jobs_is_that_of_each(file: LedgerFile) -> None:
    remember_a_bit_of_everything(file)
    tick(file, "c", 1)

    with file.open_readonly() as reader:
        assert list(reader.export()) == [*reader.export("b"), *reader.export("c")]


def test_a_copy_of_the_state_without_its_lock_files_is_read(file: LedgerFile, tmp_path: Path) -> None:
    tick(file, "b", 1)
    copy = LedgerFile(tmp_path / "copy", now=lambda: NOW)
    copy.path.parent.mkdir()
    copy.path.write_bytes(file.path.read_bytes())

    with copy.open_readonly() as reader:
        assert reader.jobs() == ["b"]


def test_the_state_of_another_user_is_not_touched(file: LedgerFile) -> None:
    file.path.parent.mkdir()
    if os.geteuid() == 0:
        os.chown(file.path.parent, 12345, -1)
        with pytest.raises(LedgerExposed, match="it belongs to user 12345, and this process is user root"):
            tick(file, "b", 1)

        assert list(file.path.parent.iterdir()) == []


@pytest.mark.parametrize("closed", ["folder", "file"])
def test_who_may_not_read_the_state_is_told_to_be_another_user(file: LedgerFile, closed: str) -> None:
    tick(file, "b", 1)
    if closed == "file":
        file.path.parent.chmod(0o755)
    file.path.chmod(0o000 if closed == "file" else 0o600)

    said = _as_nobody(file)

    assert said.startswith("LedgerUnreadable: run it as root, or as the user that runs syncd")


def _as_nobody(file: LedgerFile) -> str:
    """What reading the state comes to in a process of a user without rights."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresuid(12345, 12345, 12345)
            with file.open_readonly():
                os.write(writing, b"read")
        except LedgerError as error:
            os.write(writing, f"{type(error).__name__}: {error.remedy}".encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    return os.read(reading, 4096).decode()
