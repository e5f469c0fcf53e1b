"""`status` where the state has no room or cannot be read: a tick that cannot be recorded is not in it."""

import os
import random
import resource
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from job_health import NOW, SHARD, report
from jobs import configuration, job

from syncd.job import exit_codes
from syncd.job.exit_codes import UNHEALTHY
from syncd.job.health import status
from syncd.ledger.ledger import LedgerFile
from syncd.model.errors import LedgerCorrupt, LedgerNewer, LedgerUnwritable
from syncd.model.objects import ShardState
from syncd.tick.scope import replica_of

JOB = job()
OTHER = job("account-c")


def disk(monkeypatch: pytest.MonkeyPatch, **values: int) -> None:
    """A disk with so many blocks of a KiB."""
    found = SimpleNamespace(**({"f_frsize": 1024, "f_blocks": 1 << 20, "f_bavail": 1 << 19} | values))
    monkeypatch.setattr(os, "statvfs", lambda _path: found)


def document(state_dir: Path, *, now: float = 1.0) -> dict[str, Any]:
    given = configuration(state_dir, JOB)
    return status.status_document(given, given.jobs, now=now)


def ticked(state_dir: Path) -> Path:
    """The state of a job that ticked; its file."""
    file = LedgerFile(state_dir, now=lambda: NOW)
    with file.open(replica_of(JOB), JOB.name) as ledger:
        ledger.set_start(1.0)
        state = ShardState(shard=SHARD, listed_at=NOW - 60, complete_until=NOW - 1860, newest_arrival=NOW - 90)
        ledger.save_shards([state], discovered_at=NOW - 60)
        ledger.record_tick(report(copied=4), kind="tick")
    return file.path


def junk(state_dir: Path) -> None:
    path = ticked(state_dir)
    body = path.read_bytes()
    path.write_bytes(body[:100] + random.Random(1).randbytes(len(body) - 100))


def another_version(state_dir: Path) -> None:
    with closing(sqlite3.connect(ticked(state_dir))) as connection:
        connection.execute("PRAGMA user_version = 99")


def newer(state_dir: Path) -> None:
    with closing(sqlite3.connect(ticked(state_dir), isolation_level=None)) as connection:
        connection.execute("UPDATE meta SET value = '99'")
        connection.execute("PRAGMA user_version = 99")


def a_file_for_a_folder(state_dir: Path) -> None:
    state_dir.write_text("a file")


def a_folder_for_a_file(state_dir: Path) -> None:
    (state_dir / "ledger.sqlite3").mkdir(parents=True)


UNREADABLE: dict[str, tuple[Callable[[Path], None], str]] = {
    "junk": (junk, LedgerCorrupt.reason),
    "another version": (another_version, LedgerCorrupt.reason),
    "newer": (newer, LedgerNewer.reason),
    "a file for a folder": (a_file_for_a_folder, LedgerUnwritable.reason),
    "a folder for a file": (a_folder_for_a_file, LedgerUnwritable.reason),
}


def test_a_full_disk_makes_every_job_unhealthy_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk(monkeypatch, f_bavail=12)

    found = document(tmp_path / "not" / "made")

    (entry,) = found["jobs"]
    assert (
        exit_codes.of_health(job["healthy"] for job in found["jobs"]),
        entry["healthy"],
        entry["state_error"]["reason"],
    ) == (
        UNHEALTHY,
        False,
        "disk_full",
    )
    assert f"12 KiB are left on the disk of {tmp_path}" in entry["state_error"]["detail"]
    assert entry["why"][-1] == f"what to do: {entry['state_error']['remedy']}"


def test_a_state_that_a_full_disk_keeps_from_being_read_is_told_as_such(tmp_path: Path) -> None:
    with LedgerFile(tmp_path, now=lambda: 1.0).open(replica_of(JOB), JOB.name) as ledger:
        ledger.set_start(1.0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, before[1]))
    try:
        found = document(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    (entry,) = found["jobs"]
    assert (
        exit_codes.of_health(job["healthy"] for job in found["jobs"]),
        entry["state_error"]["reason"],
        entry["last_tick"],
    ) == (
        UNHEALTHY,
        "disk_full",
        None,
    )
    assert [sentence.partition(":")[0] for sentence in entry["why"]] == ["its state cannot be read", "what to do"]


@pytest.mark.parametrize("values", [{}, {"f_blocks": 0, "f_bavail": 0}], ids=["room", "a disk of no size"])
def test_a_disk_with_room_is_not_spoken_of(
    values: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk(monkeypatch, **values)

    (entry,) = document(tmp_path)["jobs"]

    assert entry["state_error"] is None
    assert "disk" not in " ".join(entry["why"])


@pytest.mark.parametrize(("damage", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_state_that_cannot_be_read_makes_every_job_one_that_never_ticked(
    damage: Callable[[Path], None], reason: str, tmp_path: Path
) -> None:
    damage(tmp_path / "state")
    given = configuration(tmp_path / "state", JOB, OTHER)

    found = status.status_document(given, given.jobs, now=NOW)

    nothing = configuration(tmp_path / "nothing", JOB, OTHER)
    never = status.status_document(nothing, nothing.jobs, now=NOW)
    told = {"health", "why", "state_error"}
    assert exit_codes.of_health(job["healthy"] for job in found["jobs"]) == UNHEALTHY
    assert [entry["state_error"]["reason"] for entry in found["jobs"]] == [reason, reason]
    assert [{name: entry[name] for name in entry if name not in told} for entry in found["jobs"]] == [
        {name: entry[name] for name in entry if name not in told} for entry in never["jobs"]
    ]


def test_a_state_that_cannot_be_read_is_told_with_its_file_and_what_to_do(tmp_path: Path) -> None:
    junk(tmp_path)

    (entry,) = document(tmp_path)["jobs"]

    path = tmp_path / "ledger.sqlite3"
    assert entry["why"] == [
        f"its state cannot be read: ledger_corrupt: {path}: database disk image is malformed",
        f"what to do: {LedgerCorrupt.remedy}",
    ]
    assert str(path) in entry["state_error"]["detail"]
    assert entry["state_error"]["remedy"] == LedgerCorrupt.remedy


def test_a_damaged_state_on_a_full_disk_is_told_as_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    junk(tmp_path)
    disk(monkeypatch, f_bavail=12)

    (entry,) = document(tmp_path)["jobs"]

    assert entry["state_error"]["reason"] == LedgerCorrupt.reason


def test_a_state_directory_that_cannot_even_be_looked_for_is_told(tmp_path: Path) -> None:
    found = document(tmp_path / ("x" * 300))

    (entry,) = found["jobs"]
    assert (exit_codes.of_health(job["healthy"] for job in found["jobs"]), entry["state_error"]["reason"]) == (
        UNHEALTHY,
        LedgerUnwritable.reason,
    )


def test_the_state_that_cannot_be_read_stays_as_it_is(tmp_path: Path) -> None:
    junk(tmp_path)
    before = (tmp_path / "ledger.sqlite3").read_bytes()

    document(tmp_path)

    assert (tmp_path / "ledger.sqlite3").read_bytes() == before


def test_what_a_clock_claimed_that_was_set_back_since_does_not_stand(tmp_path: Path) -> None:
    ticked(tmp_path)

    (entry,) = document(tmp_path, now=NOW - 86_400)["jobs"]

    assert (entry["complete_until"], entry["lag_seconds"], entry["last_tick"]["age_seconds"]) == (None, None, 0.0)
    assert not any("nothing found yet" in why for why in entry["why"])
