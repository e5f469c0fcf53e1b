"""`status` where the state has no room: a tick that cannot be recorded is not in it."""

import os
import resource
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jobs import configuration, job

from syncd import status
from syncd.ledger import LedgerFile
from syncd.report import UNHEALTHY
from syncd.scope import replica_of

JOB = job()


def disk(monkeypatch: pytest.MonkeyPatch, **values: int) -> None:
    """A disk with so many blocks of a KiB."""
    found = SimpleNamespace(**({"f_frsize": 1024, "f_blocks": 1 << 20, "f_bavail": 1 << 19} | values))
    monkeypatch.setattr(os, "statvfs", lambda _path: found)


def document(state_dir: Path) -> dict[str, Any]:
    given = configuration(state_dir, JOB)
    return status.status_document(given, given.jobs, now=1.0)


def test_a_full_disk_makes_every_job_unhealthy_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk(monkeypatch, f_bavail=12)

    found = document(tmp_path / "not" / "made")

    (entry,) = found["jobs"]
    assert (status.exit_code(found), entry["healthy"], entry["state_error"]["reason"]) == (
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
    assert (status.exit_code(found), entry["state_error"]["reason"], entry["last_tick"]) == (
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
