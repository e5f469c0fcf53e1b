"""A damaged state file makes way for a new one: there is room for that, or nothing is moved, whenever it is cut short."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from builders_ledger import NOW, conflict, failed, key, log_object, replica, transfer
from ledger_writing import no_room

from syncd.ledger.ledger import LedgerFile
from syncd.model.errors import LedgerCorrupt, LedgerFull
from syncd.model.objects import Failed

REPLICA, OTHER_REPLICA = replica(), replica("example-c-logs")
HELD = [key("2026-11-24", f"held-{number:04}") for number in range(400)]
ACCEPTED = [key("2026-11-24", f"accepted-{number:04}") for number in range(100)]


def write(file: LedgerFile) -> None:
    with file.open(OTHER_REPLICA, "c") as ledger:
        ledger.set_start(7)
        ledger.record([conflict(HELD[0])], [], now=NOW)
    with file.open(REPLICA, "b") as ledger:
        ledger.set_start(1000)
        held = [Failed(transfer(log_object(name)), "access_denied", f"{name} was refused") for name in HELD]
        ledger.record([*held, *map(failed, ACCEPTED)], [], now=NOW)
        for name in ACCEPTED:
            ledger.accept(name)


def lose_a_table(file: LedgerFile) -> LedgerFile:
    """The state as a new process finds it: it is whole as far as SQLite can tell, and a table is gone."""
    with closing(sqlite3.connect(file.path, isolation_level=None)) as connection:
        connection.execute("DROP TABLE looked")
    return LedgerFile(file.path.parent, now=lambda: NOW)


def condemned(file: LedgerFile) -> LedgerFile:
    """The state as a process found it that has read from it, and has not moved it yet."""
    again = LedgerFile(file.path.parent, now=lambda: NOW)
    with again.open(REPLICA, "b") as ledger:
        lose_a_table(file)
        with pytest.raises(LedgerCorrupt):
            ledger.looked_at()
    return again


@pytest.fixture
def file(tmp_path: Path) -> LedgerFile:
    file = LedgerFile(tmp_path / "state", now=lambda: NOW)
    write(file)
    return file


def beside(file: LedgerFile) -> set[str]:
    """The files beside the state that a move makes."""
    return {path.name for pattern in ("*.corrupt-*", "*.new*") for path in file.path.parent.glob(pattern)}


def test_what_stands_in_the_log_alone_is_taken_over(tmp_path: Path) -> None:
    killed = LedgerFile(tmp_path / "killed", now=lambda: NOW)
    file = LedgerFile(tmp_path / "state", now=lambda: NOW)
    with killed.open(OTHER_REPLICA, "c"):
        # As long as somebody has the file open, nothing is carried from the log into it.
        write(killed)
        shutil.copytree(killed.path.parent, file.path.parent)
    file.path.with_name("decisions.jsonl").unlink()
    assert HELD[7].encode() not in file.path.read_bytes()

    with lose_a_table(file).open(REPLICA, "b") as ledger:
        assert ledger.moved_aside is not None
        assert ledger.salvaged == 2 + len(HELD) + 1 + len(ACCEPTED)
        assert (ledger.start(), ledger.quarantined().keys()) == (1000, set(HELD))
        assert ledger.accepted().keys() == set(ACCEPTED)


@pytest.mark.parametrize("size", [1, 32 * 1024, 64 * 1024, 96 * 1024, 128 * 1024, 160 * 1024])
def test_nothing_is_moved_before_there_is_room_for_what_takes_its_place(file: LedgerFile, size: int) -> None:
    again = condemned(file)
    before = file.path.read_bytes()

    with no_room(size), pytest.raises(LedgerFull):
        again.move_aside()

    assert (file.path.read_bytes(), beside(file)) == (before, set())
    assert again.move_aside() is not None
    with again.open(REPLICA, "b") as ledger:
        assert ledger.quarantined().keys() == set(HELD)


class CutShort(BaseException):
    """The process ends here, and does nothing more."""


@pytest.mark.parametrize(("last", "is_gone"), [("ledger.sqlite3", False), ("ledger.sqlite3.new", True)])
def test_a_move_that_is_cut_short_is_gone_on_with(
    file: LedgerFile, monkeypatch: pytest.MonkeyPatch, last: str, is_gone: object
) -> None:
    again = condemned(file)
    file.path.with_name("decisions.jsonl").unlink()
    rename = Path.rename

    def cut_short(path: Path, target: Path) -> None:
        if path.name == last:
            raise CutShort
        rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", cut_short)
        with pytest.raises(CutShort):
            again.move_aside()
    assert file.path.exists() is not is_gone

    with LedgerFile(file.path.parent, now=lambda: NOW + 1).open(REPLICA, "b") as ledger:
        assert (ledger.moved_aside is None) is is_gone
        assert (ledger.start(), ledger.quarantined().keys()) == (1000, set(HELD))
        assert ledger.accepted().keys() == set(ACCEPTED)
    assert not list(file.path.parent.glob("*.new*"))


@pytest.mark.parametrize("left", [b"", b"not a database" * 1000])
def test_what_a_move_left_behind_and_is_no_ledger_is_none(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "ledger.sqlite3.new").write_bytes(left)

    with LedgerFile(tmp_path, now=lambda: NOW).open(REPLICA, "b") as ledger:
        ledger.set_start(7)
        assert (ledger.start(), ledger.quarantined()) == (7, {})


@pytest.mark.parametrize("left", [b"", b"not a database" * 1000])
def test_a_file_that_tells_nothing_leaves_what_is_written_down_elsewhere(file: LedgerFile, left: bytes) -> None:
    file.path.write_bytes(left)

    with LedgerFile(file.path.parent, now=lambda: NOW).open(REPLICA, "b") as ledger:
        assert ledger.salvaged == 0
        assert (ledger.start(), ledger.accepted().keys(), ledger.quarantined()) == (1000, set(ACCEPTED), {})


def test_a_file_moved_aside_before_is_no_part_of_the_count(file: LedgerFile) -> None:
    again = condemned(file)
    again.move_aside()

    with again.open(REPLICA, "b") as ledger:
        assert (ledger.moved_aside, ledger.salvaged) == (None, 0)


def named(path: Path, *names: str) -> None:
    for name in names:
        path.joinpath(f"ledger.sqlite3.corrupt-{name}").write_bytes(b"damaged")


def left_of(path: Path) -> set[str]:
    return {file.name.partition("corrupt-")[2] for file in path.glob("*.corrupt-*")}


def move_one_more(path: Path) -> None:
    file = LedgerFile(path, now=lambda: NOW)
    file.path.write_bytes(b"not a database" * 1000)
    with file.open(REPLICA, "b") as ledger:
        assert ledger.moved_aside is not None


def test_the_newest_damaged_files_are_kept_by_their_names_with_all_that_belongs_to_them(tmp_path: Path) -> None:
    older = [f"20261124T07000{second}Z" for second in range(3)]
    named(tmp_path, *older, *(f"{name}-wal" for name in older), "20261124T070000Z-wal-shm")
    os.utime(tmp_path / f"ledger.sqlite3.corrupt-{older[2]}", (1, 1))

    move_one_more(tmp_path)

    assert left_of(tmp_path) == {older[2], f"{older[2]}-wal", "20261124T080000Z"}


def test_the_tenth_file_of_a_second_is_newer_than_the_second(tmp_path: Path) -> None:
    named(tmp_path, *(f"20261124T070000Z-{number}" for number in (2, 9, 10)))

    move_one_more(tmp_path)

    assert left_of(tmp_path) == {"20261124T070000Z-10", "20261124T080000Z"}


def test_the_file_that_was_just_moved_is_kept_though_others_are_of_a_later_time(tmp_path: Path) -> None:
    named(tmp_path, "20300101T000000Z", "20300102T000000Z")

    move_one_more(tmp_path)

    assert left_of(tmp_path) == {"20300102T000000Z", "20261124T080000Z"}


def test_a_log_whose_file_is_gone_is_removed_in_its_turn(tmp_path: Path) -> None:
    named(tmp_path, "20261124T070000Z-wal", "20261124T070001Z", "20261124T070002Z")

    move_one_more(tmp_path)

    assert left_of(tmp_path) == {"20261124T070002Z", "20261124T080000Z"}


def test_what_cannot_be_removed_stays_and_hinders_nothing(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"ledger.sqlite3.corrupt-2026010{number}T000000Z").mkdir()

    move_one_more(tmp_path)

    assert len(left_of(tmp_path)) == 4
