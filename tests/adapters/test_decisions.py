"""What was decided is written down twice: the state file may be lost, and a damaged line costs that line."""

import json
import os
import subprocess
import sys
from pathlib import Path
from zlib import crc32

import ledger_writing
import pytest
from builders_ledger import MD5, NOW, conflict, failed, key, replica

from syncd.decisions import Decisions
from syncd.ledger import LedgerFile
from syncd.ledger_access import replica_key

REPLICA, OTHER_REPLICA = replica(), replica("example-c-logs")
OURS = replica_key(REPLICA)
A, B, C = key("2026-11-24", "A"), key("2026-11-24", "B"), key("2026-11-24", "C")
ACCEPTED = (MD5, "STANDARD")


@pytest.fixture
def file(tmp_path: Path) -> LedgerFile:
    return LedgerFile(tmp_path / "state", now=lambda: NOW)


@pytest.fixture
def written(file: LedgerFile) -> Path:
    return file.path.with_name("decisions.jsonl")


def decide(file: LedgerFile) -> None:
    """Fix a start and accept two objects: three lines."""
    with file.open(REPLICA, "b") as ledger:
        ledger.set_start(1000)
        ledger.record([failed(A), conflict(B)], [], now=NOW)
        ledger.accept(A)
        ledger.accept(B)


def lost(file: LedgerFile) -> LedgerFile:
    """The same state after its file was lost, for a new process."""
    file.path.unlink()
    return LedgerFile(file.path.parent, now=lambda: NOW)


def said(file: LedgerFile) -> tuple[float | None, set[str]]:
    with file.open(REPLICA, "b") as ledger:
        return ledger.start(), set(ledger.accepted())


def start_line(instant: float) -> bytes:
    """A line as it is written, for a start that this process would not write."""
    entry = {"decision": "start", "job": "b", "replica": list(OURS), "instant": instant}
    text = json.dumps(entry, sort_keys=True)
    return json.dumps({**entry, "crc32": crc32(text.encode())}).encode() + b"\n"


def test_decisions_are_lines_of_json_for_their_owner_alone(file: LedgerFile, written: Path) -> None:
    decide(file)

    lines = [json.loads(line) for line in written.read_text(encoding="ascii").splitlines()]
    assert [line["decision"] for line in lines] == ["start", "accepted", "accepted"]
    assert {line["job"] for line in lines} == {"b"}
    assert (lines[0]["instant"], lines[1]["key"], lines[1]["etag"], lines[1]["at"]) == (1000, A, MD5, NOW)
    assert written.stat().st_mode & 0o777 == 0o600


def test_a_lost_ledger_gets_its_decisions_back(file: LedgerFile) -> None:
    decide(file)

    assert said(lost(file)) == (1000, {A, B})


def test_a_start_that_is_not_earlier_is_not_written_down(file: LedgerFile, written: Path) -> None:
    for instant in (2000, 3000, 2000, 1000, 1500):
        with file.open(REPLICA, "b") as ledger:
            ledger.set_start(instant)

    instants = [json.loads(line)["instant"] for line in written.read_text().splitlines()]
    assert instants == [2000, 1000]
    assert said(lost(file)) == (1000, set())


def test_decisions_of_other_replicas_are_left_alone(file: LedgerFile) -> None:
    decide(file)
    with file.open(OTHER_REPLICA, "c") as ledger:
        ledger.set_start(7)

    again = lost(file)
    assert said(again) == (1000, {A, B})
    with again.open(OTHER_REPLICA, "c") as ledger:
        assert (ledger.start(), ledger.accepted()) == (7, {})


def test_a_start_that_only_the_state_file_knows_is_written_down_once(file: LedgerFile, written: Path) -> None:
    decide(file)
    written.unlink()

    for _ in range(3):
        said(LedgerFile(file.path.parent, now=lambda: NOW))

    assert len(written.read_text().splitlines()) == 1
    assert said(lost(file)) == (1000, set())


@pytest.mark.parametrize("line", range(3))
@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line.replace(b"1", b"2"),
        lambda line: line[:-10],
        lambda _: b"",
        lambda _: b"\xff\xfe",
        lambda _: b"[]",
        lambda _: b"{}",
        lambda _: b'{"crc32": 2745614147}',
        lambda _: b"[" * 100_000,
    ],
)
def test_a_damaged_line_costs_that_line(file: LedgerFile, written: Path, damage: object, line: int) -> None:
    assert callable(damage)
    decide(file)
    lines = written.read_bytes().splitlines()
    lines[line] = damage(lines[line])
    written.write_bytes(b"\n".join(lines) + b"\n")

    expected = {0: (None, {A, B}), 1: (1000, {B}), 2: (1000, {A})}
    assert said(lost(file)) == expected[line]


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_a_line_that_was_cut_short_does_not_take_the_next_one_along(file: LedgerFile, written: Path, cut: int) -> None:
    decide(file)
    written.write_bytes(written.read_bytes()[:-cut])
    with file.open(REPLICA, "b") as ledger:
        ledger.record([failed(C)], [], now=NOW)
        ledger.accept(C)

    # Without its line break alone the line is whole.
    assert said(lost(file)) == (1000, {A, C} if cut > 1 else {A, B, C})


@pytest.mark.parametrize(("instant", "expected"), [(NOW + 3600, None), (NOW + 60, NOW + 60), (NOW, NOW)])
def test_a_start_from_the_future_was_told_by_a_wrong_clock(
    file: LedgerFile, written: Path, instant: float, expected: float | None
) -> None:
    written.parent.mkdir()
    written.write_bytes(start_line(instant))

    assert said(file) == (expected, set())


def test_what_was_accepted_counts_though_the_start_is_of_a_wrong_clock(file: LedgerFile, written: Path) -> None:
    decide(file)
    with written.open("ab") as lines:
        lines.write(start_line(NOW + 3600))

    assert said(lost(file)) == (None, {A, B})


def test_the_later_line_wins(file: LedgerFile, written: Path) -> None:
    written.parent.mkdir()
    written.write_bytes(start_line(NOW + 3600) + start_line(5) + start_line(7))

    assert said(file) == (7, set())


def test_what_is_appended_meanwhile_is_read_and_no_line_twice(tmp_path: Path) -> None:
    reading, writing = Decisions(tmp_path), Decisions(tmp_path)
    nothing = reading.of(OURS)
    for instant in range(5):
        writing.keep_start(OURS, "b", float(instant))
        assert reading.of(OURS).start == instant
    with (tmp_path / "decisions.jsonl").open("ab") as lines:
        lines.write(start_line(9)[:-1])

    assert (nothing.start, reading.of(OURS).start) == (None, 9)
    writing.keep_accepted(OURS, "b", A, etag=MD5, storage_class="STANDARD", at=NOW)
    assert reading.of(OURS).accepted == {A: (*ACCEPTED, NOW)}


@pytest.mark.parametrize("instant", [7.0, 70_000.0])
def test_another_file_in_its_place_is_read_from_its_beginning(tmp_path: Path, instant: float) -> None:
    decisions = Decisions(tmp_path)
    decisions.keep_start(OURS, "b", 1.0)
    decisions.keep_accepted(OURS, "b", A, etag=MD5, storage_class="STANDARD", at=NOW)
    before = decisions.of(OURS)
    (tmp_path / "decisions.jsonl").write_bytes(start_line(instant) * 20)

    assert (before.start, before.accepted.keys()) == (1.0, {A})
    assert (decisions.of(OURS).start, decisions.of(OURS).accepted) == (instant, {})
    (tmp_path / "decisions.jsonl").unlink()
    assert (decisions.of(OURS).start, decisions.exists) == (None, False)


def start_process(directory: Path, writer: str, what: str, more: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, ledger_writing.__file__, str(directory), writer, what, more]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_two_processes_that_decide_at_once_lose_nothing(tmp_path: Path) -> None:
    processes = [start_process(tmp_path, writer, "decide", "200") for writer in ("first", "second")]
    for process in processes:
        process.communicate(timeout=60)

    assert [process.returncode for process in processes] == [0, 0]
    assert len((tmp_path / "decisions.jsonl").read_bytes().splitlines()) == 400
    accepted = Decisions(tmp_path).of(OURS).accepted
    assert accepted.keys() == {f"{writer}-{number}" for writer in ("first", "second") for number in range(200)}


def test_a_full_disk_is_told_before_anything_is_decided_and_leaves_no_half_line(tmp_path: Path) -> None:
    process = start_process(tmp_path, "b", "decide-when-full", "10")
    told, _ = process.communicate(timeout=60)

    assert (process.returncode, told.split()) == (0, ["full", "None"])
    lines = (tmp_path / "decisions.jsonl").read_bytes()
    assert lines.endswith(b"\n")
    assert said(LedgerFile(tmp_path, now=lambda: NOW)) == (1000.0, set())
