"""What a damaged state file still tells of starts, quarantine and acceptances is taken over into the new one."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import ledger_writing
import pytest
from builders_ledger import MD5, NOW, SHARD, conflict, copied, failed, key, log_object, replica, transfer

from syncd.errors import LedgerCorrupt
from syncd.ledger import LedgerFile
from syncd.model import Failed, ShardState

REPLICA, OTHER_REPLICA = replica(), replica("example-c-logs")
HELD = [key("2026-11-24", f"held-{number:04}") for number in range(400)]
ACCEPTED = [key("2026-11-24", f"accepted-{number:04}") for number in range(100)]
PAGE = 4096
STATE = ShardState(shard=SHARD, frontier=NOW, listed_at=NOW)


@pytest.fixture
def file(tmp_path: Path) -> LedgerFile:
    file = LedgerFile(tmp_path / "state", now=lambda: NOW)
    write(file)
    return file


def write(file: LedgerFile) -> None:
    with file.open(OTHER_REPLICA, "c") as ledger:
        ledger.set_start(7)
        ledger.record([conflict(HELD[0])], [], now=NOW)
    with file.open(REPLICA, "b") as ledger:
        ledger.set_start(1000)
        ledger.set_mode_verdict("stream", "CopyObject answered 403")
        ledger.record(
            [Failed(transfer(log_object(name)), "access_denied", f"{name} was refused") for name in HELD], [], now=NOW
        )
        ledger.record([failed(name) for name in ACCEPTED], [], now=NOW)
        for name in ACCEPTED:
            ledger.accept(name)
        ledger.record([copied(key("2026-11-23", "there"))], [], now=NOW)
        ledger.save_shards([STATE], discovered_at=NOW)


def condemned(file: LedgerFile) -> LedgerFile:
    """The state as a new process finds it, which meets a damaged entry of the quarantine."""
    again = LedgerFile(file.path.parent, now=lambda: NOW)
    with pytest.raises(LedgerCorrupt), again.open(REPLICA, "b") as ledger:
        ledger.quarantined()
    return again


def flip_a_bit_of(file: LedgerFile, text: str) -> None:
    content = bytearray(file.path.read_bytes())
    content[content.index(text.encode())] ^= 1
    file.path.write_bytes(content)


def pages_with(content: bytes, text: str) -> list[int]:
    return [at for at in range(0, len(content), PAGE) if text.encode() in content[at : at + PAGE]]


def without_decisions(file: LedgerFile) -> None:
    """What is found from now on is salvaged and not written down elsewhere."""
    file.path.with_name("decisions.jsonl").unlink()


def test_a_flipped_bit_in_a_row_costs_that_row_and_what_listings_tell_again(file: LedgerFile) -> None:
    flip_a_bit_of(file, f"{HELD[7]} was refused")
    without_decisions(file)
    again = condemned(file)

    aside = again.move_aside()

    assert aside is not None
    assert again.salvaged == 2 + len(HELD) - 1 + 1 + len(ACCEPTED)
    with again.open(REPLICA, "b") as ledger:
        assert (ledger.start(), ledger.ran_here()) == (1000, True)
        assert ledger.mode_verdict() == ("stream", "CopyObject answered 403")
        assert ledger.quarantined().keys() == set(HELD) - {HELD[7]}
        assert ledger.quarantined()[HELD[0]].detail == f"{HELD[0]} was refused"
        assert ledger.accepted() == dict.fromkeys(ACCEPTED, (MD5, "STANDARD"))
        assert (ledger.shards(), ledger.discovered_at(), ledger.looked_at()) == ({}, 0.0, {})
        assert ledger.known(SHARD, [key("2026-11-23", "there")]) == {}
    with again.open(OTHER_REPLICA, "c") as ledger:
        assert (ledger.start(), ledger.quarantined().keys()) == (7, {HELD[0]})


def test_new_rows_after_it_do_not_become_those_of_an_older_replica(file: LedgerFile) -> None:
    flip_a_bit_of(file, f"{HELD[7]} was refused")
    again = condemned(file)
    again.move_aside()

    with again.open(replica("example-d-logs"), "d") as ledger:
        ledger.record([copied(HELD[0])], [], now=NOW)
        assert ledger.quarantined() == {}
    with again.open(REPLICA, "b") as ledger:
        assert ledger.known(SHARD, [HELD[0]]) == {}


LEAF = b"\x0a"


@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_what_lies_before_a_damaged_page_and_behind_it_is_taken_over(file: LedgerFile, share: float) -> None:
    content = bytearray(file.path.read_bytes())
    leaves = sorted(
        (name, page)
        for name in HELD
        for page in pages_with(content, f"{name} was refused")
        if content[page : page + 1] == LEAF
    )
    name, page = leaves[int(share * (len(leaves) - 1))]
    content[page : page + PAGE] = bytes(PAGE)
    file.path.write_bytes(content)
    without_decisions(file)

    with LedgerFile(file.path.parent, now=lambda: NOW).open(REPLICA, "b") as ledger:
        assert ledger.moved_aside is not None
        missing = sorted(set(HELD) - ledger.quarantined().keys())
        assert name in missing
        assert missing == HELD[HELD.index(missing[0]) :][: len(missing)]
        assert len(missing) <= PAGE // 300
        assert (ledger.start(), len(ledger.accepted())) == (1000, len(ACCEPTED))


def test_what_stands_in_the_log_alone_is_taken_over(tmp_path: Path) -> None:
    killed = LedgerFile(tmp_path / "killed", now=lambda: NOW)
    file = LedgerFile(tmp_path / "state", now=lambda: NOW)
    with killed.open(OTHER_REPLICA, "c"):
        # As long as somebody has the file open, nothing is carried from the log into it.
        write(killed)
        shutil.copytree(killed.path.parent, file.path.parent)
    without_decisions(file)
    assert HELD[7].encode() not in file.path.read_bytes()
    log = file.path.with_name(f"{file.path.name}-wal")
    with closing(sqlite3.connect(file.path)) as connection:
        connection.execute("UPDATE quarantine SET attempts = 9 WHERE key = ?", (HELD[7],))
        connection.commit()
        kept = file.path.read_bytes(), log.read_bytes()
    file.path.write_bytes(kept[0])
    log.write_bytes(kept[1])

    again = condemned(file)
    aside = again.move_aside()

    assert aside is not None
    with again.open(REPLICA, "b") as ledger:
        assert (ledger.start(), ledger.quarantined().keys()) == (1000, set(HELD) - {HELD[7]})


def test_nothing_is_moved_before_there_is_room_for_what_takes_its_place(file: LedgerFile) -> None:
    flip_a_bit_of(file, f"{HELD[7]} was refused")
    before = file.path.read_bytes()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    told = []
    for size in range(32 * 1024, len(before), 24 * 1024):
        command = [sys.executable, ledger_writing.__file__, str(file.path.parent), "b", "salvage-when-full", str(size)]
        told.append(
            subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        )
        if told[-1] != "full":
            break
        assert file.path.read_bytes() == before
        assert not list(file.path.parent.glob("*.corrupt-*"))
        assert not list(file.path.parent.glob("*.new*"))

    assert told[:2] == ["full", "full"]
    with LedgerFile(file.path.parent, now=lambda: NOW).open(REPLICA, "b") as ledger:
        assert told[-1] == "full" or len(ledger.quarantined()) == len(HELD) - 1


@pytest.mark.parametrize("left", [b"", b"not a database" * 1000])
def test_a_file_that_tells_nothing_leaves_what_is_written_down_elsewhere(file: LedgerFile, left: bytes) -> None:
    file.path.write_bytes(left)

    with LedgerFile(file.path.parent, now=lambda: NOW).open(REPLICA, "b") as ledger:
        assert ledger.salvaged == 0
        assert (ledger.start(), ledger.accepted().keys(), ledger.quarantined()) == (1000, set(ACCEPTED), {})


def test_a_file_moved_aside_before_is_no_part_of_the_count(file: LedgerFile) -> None:
    flip_a_bit_of(file, f"{HELD[7]} was refused")
    again = condemned(file)
    again.move_aside()

    with again.open(REPLICA, "b") as ledger:
        assert (ledger.moved_aside, ledger.salvaged) == (None, 0)


def damaged_files(file: LedgerFile) -> set[str]:
    return {path.name.partition("corrupt-")[2] for path in file.path.parent.glob("*.corrupt-*")}


def test_the_newest_damaged_files_are_kept_and_all_that_belongs_to_them(tmp_path: Path) -> None:
    kept = []
    for number in range(5):
        file = LedgerFile(tmp_path, now=lambda: NOW + number)  # noqa: B023
        file.path.write_bytes(b"not a database %d" % number * 1000)
        os.utime(file.path, (NOW + number, NOW + number))
        with file.open(REPLICA, "b") as ledger:
            assert ledger.moved_aside is not None
            ledger.moved_aside.with_name(f"{ledger.moved_aside.name}-wal").write_bytes(b"log")
            kept.append(damaged_files(file))

    stamps = [f"20261124T08000{number}Z" for number in range(5)]
    assert kept[0] == {stamps[0], f"{stamps[0]}-wal"}
    assert kept[4] == {name for stamp in stamps[3:] for name in (stamp, f"{stamp}-wal")}


def test_the_file_that_was_just_moved_is_kept_however_old_it_looks(tmp_path: Path) -> None:
    for name in ("20300101T000000Z", "20300101T000000Z-2", "20300101T000000Z-10"):
        (tmp_path / f"ledger.sqlite3.corrupt-{name}").write_bytes(b"newer")
    file = LedgerFile(tmp_path, now=lambda: NOW)
    file.path.write_bytes(b"not a database" * 1000)
    os.utime(file.path, (1, 1))

    with file.open(REPLICA, "b") as ledger:
        assert ledger.moved_aside is not None
        assert ledger.moved_aside.exists()
        assert len(damaged_files(file)) == 2


def test_a_damaged_file_that_cannot_be_removed_stays(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"ledger.sqlite3.corrupt-2026010{number}T000000Z").mkdir()
    file = LedgerFile(tmp_path, now=lambda: NOW)
    file.path.write_bytes(b"not a database" * 1000)

    with file.open(REPLICA, "b") as ledger:
        assert ledger.moved_aside is not None
    assert len(damaged_files(file)) == 4
