"""The state file as such: how it is made, refused, migrated and moved aside."""

import os
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier, Event

import pytest
from builders_ledger import NOW, SHARD, copied, key, log_object, replica, transfer
from waiting import wait_until

from syncd.ledger.folder.locks import lock_now, open_private
from syncd.ledger.ledger import SCHEMA, LedgerFile, Schema
from syncd.model.errors import LedgerCorrupt, LedgerError, LedgerNewer, LedgerRefused, LedgerUnwritable
from syncd.model.objects import Copied, Failed, LogObject
from syncd.model.reports import TickReport

A, B = key("2026-11-24", "A"), key("2026-11-24", "B")
ASIDE = "ledger.sqlite3.corrupt-20261124T080000Z"


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def file(state_dir: Path) -> LedgerFile:
    return LedgerFile(state_dir, now=lambda: NOW)


def remember(file: LedgerFile, name: str = A) -> None:
    with file.open(replica(), "b") as ledger:
        ledger.set_start(NOW)
        ledger.record([copied(name)], [], now=NOW)


def known(file: LedgerFile) -> set[str]:
    with file.open(replica(), "b") as ledger:
        return set(ledger.known(SHARD, [A, B]))


def tamper(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def is_locked(path: Path) -> bool:
    descriptor = open_private(path)
    try:
        return not lock_now(descriptor, exclusive=False)
    finally:
        os.close(descriptor)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_directory_and_file_are_made_for_their_owner_alone(file: LedgerFile, state_dir: Path) -> None:
    with file.open(replica(), "b") as ledger:
        ledger.set_start(NOW)
        modes = {path.name: mode_of(path) for path in state_dir.iterdir()}

    assert mode_of(state_dir) == 0o700
    assert modes.keys() >= {
        "ledger.sqlite3",
        "ledger.sqlite3-wal",
        "ledger.sqlite3-shm",
        "ledger.lock",
        "decisions.jsonl",
    }
    assert set(modes.values()) == {0o600}


def test_the_file_is_written_ahead(file: LedgerFile) -> None:
    remember(file)

    with closing(sqlite3.connect(file.path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_that_is_there_is_opened_and_nothing_is_moved(file: LedgerFile) -> None:
    remember(file)

    with file.open(replica(), "b") as ledger:
        assert ledger.moved_aside is None
        assert ledger.ran_here()


def test_an_empty_file_is_made_into_a_ledger(file: LedgerFile, state_dir: Path) -> None:
    state_dir.mkdir()
    file.path.touch()

    remember(file)

    assert known(file) == {A}


def test_a_ledger_without_its_lock_files_is_opened(file: LedgerFile, state_dir: Path) -> None:
    remember(file)
    (state_dir / "ledger.lock").unlink()
    (state_dir / "ledger.gate").unlink()

    assert known(file) == {A}


@pytest.mark.parametrize("directory", ["file/state", "/proc/nowhere/state"])
def test_a_directory_that_cannot_be_made_is_unwritable(tmp_path: Path, directory: str) -> None:
    (tmp_path / "file").touch()
    file = LedgerFile(tmp_path / directory, now=lambda: NOW)

    with pytest.raises(LedgerUnwritable, match=r"ledger\.sqlite3"):
        file.open(replica(), "b")


def test_a_directory_in_the_place_of_the_file_is_unwritable(file: LedgerFile) -> None:
    file.path.mkdir(parents=True)

    with pytest.raises(LedgerUnwritable, match="it is not a regular file"):
        file.open(replica(), "b")


def test_a_newer_file_is_refused_and_not_touched(file: LedgerFile, state_dir: Path) -> None:
    remember(file)
    tamper(file.path, "UPDATE meta SET value = '99' WHERE name = 'schema_version'", "PRAGMA user_version = 99")
    before = file.path.read_bytes()

    with pytest.raises(LedgerNewer, match="has schema 99; this syncd knows schemas up to 5"):
        file.open(replica(), "b")

    assert file.path.read_bytes() == before
    assert not list(state_dir.glob("*corrupt*"))


@pytest.mark.parametrize(
    "damage",
    [
        "PRAGMA user_version = 99",
        "PRAGMA user_version = 0",
        "UPDATE meta SET value = '99'",
        "DELETE FROM meta",
        "DROP TABLE meta",
        "DROP TABLE objects",
    ],
)
def test_a_file_whose_version_or_tables_contradict_themselves_is_moved_aside(
    file: LedgerFile, state_dir: Path, damage: str
) -> None:
    remember(file)
    tamper(file.path, damage)

    with file.open(replica(), "b") as ledger:
        assert ledger.moved_aside == state_dir / ASIDE
        assert ledger.start() == NOW
        assert ledger.known(SHARD, [A]) == {}


def test_what_is_not_a_database_is_moved_aside_with_all_that_belongs_to_it(file: LedgerFile, state_dir: Path) -> None:
    state_dir.mkdir()
    file.path.write_text("not a database, and long enough to be read as one " * 9)

    remember(file)

    assert (state_dir / ASIDE).read_text().startswith("not a database")
    assert known(file) == {A}


def test_a_log_that_belongs_to_another_file_is_not_taken_over(file: LedgerFile) -> None:
    with file.open(replica(), "b") as ledger:
        ledger.record([copied(B)], [], now=NOW)
        log = file.path.with_name(f"{file.path.name}-wal").read_bytes()
    file.path.unlink()
    file.path.with_name(f"{file.path.name}-wal").write_bytes(log)

    remember(file)

    assert known(file) == {A}


def test_a_second_file_moved_aside_in_one_second_gets_a_name_of_its_own(file: LedgerFile, state_dir: Path) -> None:
    state_dir.mkdir()
    file.path.write_text("first" * 1000)
    remember(file)
    file.path.write_text("second" * 1000)

    with file.open(replica(), "b") as ledger:
        assert ledger.moved_aside == state_dir / f"{ASIDE}-2"
    assert (state_dir / ASIDE).read_text().startswith("first")


def test_a_damaged_page_is_found_by_the_first_open_of_a_process(file: LedgerFile, state_dir: Path) -> None:
    remember(file)
    content = bytearray(file.path.read_bytes())
    content[4096:8192] = bytes(4096)
    file.path.write_bytes(content)

    with LedgerFile(state_dir, now=lambda: NOW).open(replica(), "b") as ledger:
        assert ledger.moved_aside == state_dir / ASIDE


def condemn(file: LedgerFile) -> None:
    """Meet a number that never was one: the file as a whole is in order as far as SQLite can tell."""
    tamper(file.path, f"INSERT INTO ticks VALUES ('b', {2**60}, '', '', 0)")
    with file.open(replica(), "b") as ledger, pytest.raises(LedgerCorrupt, match="is not a valid number"):
        ledger.record_tick(TickReport(job="b", outcome="ok"), kind="tick")


def test_a_file_that_turns_out_to_be_corrupt_can_be_moved_aside(file: LedgerFile, state_dir: Path) -> None:
    remember(file)
    condemn(file)

    target = file.move_aside()

    assert target == state_dir / ASIDE
    assert target.exists()
    assert known(file) == set()


def test_a_file_that_nobody_found_corrupt_stays(file: LedgerFile) -> None:
    remember(file)

    assert file.move_aside() is None
    assert known(file) == {A}


def test_what_another_has_moved_aside_and_made_again_stays(file: LedgerFile) -> None:
    remember(file)
    condemn(file)
    file.move_aside()
    remember(file, B)

    assert file.move_aside() is None
    assert known(file) == {B}


def test_moving_aside_waits_until_others_have_closed_the_file(file: LedgerFile) -> None:
    remember(file)
    condemn(file)
    is_open, may_close = Event(), Event()

    def look() -> set[str]:
        with file.open(replica(), "b") as ledger:
            is_open.set()
            assert may_close.wait(30)
            return set(ledger.known(SHARD, [A]))

    with ThreadPoolExecutor() as pool:
        looking = pool.submit(look)
        assert is_open.wait(30)
        moving = pool.submit(file.move_aside)
        wait_until(lambda: is_locked(file.path.with_name("ledger.gate")), what="the wait to be alone")
        blocked = pool.submit(known, file)
        still_waiting = not moving.done() and not blocked.done()
        may_close.set()

    assert still_waiting
    assert looking.result() == {A}
    assert moving.result() is not None
    assert blocked.result() in ({A}, set())


def test_moving_aside_gives_up_on_those_who_do_not_close_the_file(
    file: LedgerFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncd.ledger.file.ALONE_SECONDS", 0.1)
    remember(file)
    condemn(file)

    with file.open(replica(), "b"), pytest.raises(LedgerCorrupt, match="other processes keep it open"):
        file.move_aside()
    assert known(file) == {A}


def test_a_file_that_was_removed_while_open_is_made_again(file: LedgerFile) -> None:
    remember(file)
    with file.open(replica(), "b") as ledger:
        file.path.unlink()
        with pytest.raises(LedgerCorrupt):
            ledger.record([copied(B)], [], now=NOW)

    remember(file, B)

    assert known(file) == {B}


WIDE = log_object(A)._replace(size_bytes=2**63)
NAMELESS = log_object(f"{SHARD.prefix}\udcff")
TIMELESS = log_object(A)._replace(last_modified=float("nan"))


@pytest.mark.parametrize("item", [WIDE, NAMELESS, TIMELESS], ids=["size", "key", "time"])
@pytest.mark.parametrize("is_copied", [True, False])
def test_what_a_source_tells_that_cannot_be_stored_is_no_damage(
    file: LedgerFile, item: LogObject, is_copied: object
) -> None:
    remember(file)
    outcome = Copied(transfer(item)) if is_copied and item is not TIMELESS else Failed(transfer(item), "archived", "")

    with file.open(replica(), "b") as ledger:
        with pytest.raises(LedgerRefused):
            ledger.record([copied(B), outcome], [], now=NOW)
        assert ledger.known(SHARD, [A, B]).keys() == {A}

    assert file.move_aside() is None
    assert known(file) == {A}


def test_a_value_too_big_for_sqlite_is_no_damage(file: LedgerFile) -> None:
    remember(file)

    with file.open(replica(), "b") as ledger:
        ledger._rows.db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 5000)
        with pytest.raises(LedgerRefused, match="too big"):
            ledger.save_looked_at({"AWSLogs/": (NOW, ("x" * 6000,))})

    assert file.move_aside() is None
    assert known(file) == {A}


def test_folders_beyond_what_is_kept_are_no_damage(file: LedgerFile) -> None:
    remember(file)

    with file.open(replica(), "b") as ledger:
        ledger.save_looked_at({"AWSLogs/": (NOW, tuple(f"{number}{'x' * 945}" for number in range(67_200)))})
        assert ledger.looked_at() == {}

    assert file.path.stat().st_size < 1024 * 1024
    assert known(file) == {A}


def test_a_value_too_big_to_be_read_is_damage(file: LedgerFile) -> None:
    remember(file)

    with file.open(replica(), "b") as ledger:
        ledger.save_looked_at({"AWSLogs/": (NOW, ("x" * 6000,))})
        ledger._rows.db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 5000)
        with pytest.raises(LedgerCorrupt):
            ledger.looked_at()

    assert file.move_aside() is not None


def test_a_table_with_other_columns_is_damage_though_a_write_meets_it(file: LedgerFile) -> None:
    remember(file)

    with file.open(replica(), "b") as ledger:
        tamper(file.path, "ALTER TABLE looked ADD COLUMN more TEXT")
        with pytest.raises(LedgerCorrupt):
            ledger.save_looked_at({"AWSLogs/": (NOW, ())})

    assert file.move_aside() is not None


def next_schema(*statements: str) -> Schema:
    """A schema after the present one, which these statements make of it."""

    def migrate(connection: sqlite3.Connection) -> None:
        for statement in statements:
            connection.execute(statement)

    def create(connection: sqlite3.Connection) -> None:
        SCHEMA.create(connection)
        migrate(connection)

    return Schema(
        version=SCHEMA.version + 1,
        tables=[*SCHEMA.tables, "notes"],
        create=create,
        migrations={SCHEMA.version: migrate},
    )


NOTES = "CREATE TABLE notes (text TEXT PRIMARY KEY) STRICT, WITHOUT ROWID"


def test_an_older_file_is_migrated_and_keeps_its_rows(file: LedgerFile, state_dir: Path) -> None:
    remember(file)
    newer = LedgerFile(state_dir, now=lambda: NOW, schema=next_schema(NOTES, "INSERT INTO notes VALUES ('migrated')"))

    with newer.open(replica(), "b") as ledger:
        moved_aside = ledger.moved_aside

    assert moved_aside is None
    assert known(newer) == {A}
    with closing(sqlite3.connect(file.path)) as connection:
        assert connection.execute("SELECT text FROM notes").fetchall() == [("migrated",)]
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA.version + 1,)
    with pytest.raises(LedgerNewer):
        file.open(replica(), "b")


def test_versions_are_passed_one_after_the_other(file: LedgerFile, state_dir: Path) -> None:
    remember(file)
    second = next_schema(NOTES)

    def note(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO notes VALUES ('third')")

    steps = {**second.migrations, second.version: note}
    third = second._replace(version=second.version + 1, migrations=steps)

    assert known(LedgerFile(state_dir, now=lambda: NOW, schema=third)) == {A}
    with closing(sqlite3.connect(file.path)) as connection:
        assert connection.execute("SELECT text FROM notes").fetchall() == [("third",)]


def test_a_migration_that_is_cut_short_leaves_the_file_as_it_was(file: LedgerFile, state_dir: Path) -> None:
    remember(file)

    def cut_short(connection: sqlite3.Connection) -> None:
        connection.execute(NOTES)
        raise KeyboardInterrupt

    schema = next_schema(NOTES)._replace(migrations={SCHEMA.version: cut_short})

    with pytest.raises(KeyboardInterrupt):
        LedgerFile(state_dir, now=lambda: NOW, schema=schema).open(replica(), "b")

    assert known(file) == {A}
    with closing(sqlite3.connect(file.path)) as connection:
        assert not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'notes'").fetchall()


def test_an_older_file_that_cannot_be_migrated_is_moved_aside(file: LedgerFile, state_dir: Path) -> None:
    remember(file)

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO nowhere VALUES (1)")

    newer = LedgerFile(
        state_dir, now=lambda: NOW, schema=next_schema(NOTES)._replace(migrations={SCHEMA.version: fail})
    )

    with newer.open(replica(), "b") as ledger:
        assert ledger.moved_aside == state_dir / ASIDE


def test_a_version_that_no_migration_begins_with_is_corrupt(file: LedgerFile, state_dir: Path) -> None:
    remember(file)
    unrelated = next_schema(NOTES)._replace(migrations={})

    with LedgerFile(state_dir, now=lambda: NOW, schema=unrelated).open(replica(), "b") as ledger:
        assert ledger.moved_aside is not None


def test_a_new_file_is_made_with_the_newest_schema(state_dir: Path) -> None:
    file = LedgerFile(state_dir, now=lambda: NOW, schema=next_schema(NOTES))

    remember(file)

    assert known(file) == {A}


def test_reading_does_not_migrate(file: LedgerFile, state_dir: Path) -> None:
    remember(file)
    newer = LedgerFile(state_dir, now=lambda: NOW, schema=next_schema(NOTES))

    with pytest.raises(LedgerError, match="has the older schema 5"), newer.open_readonly():
        pass
    assert known(file) == {A}


def test_many_threads_make_one_file(file: LedgerFile) -> None:
    def tick(number: int) -> None:
        with file.open(replica(), "b") as ledger:
            ledger.record([copied(key("2026-11-24", f"{number}"))], [], now=NOW)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(tick, range(64)))

    with file.open(replica(), "b") as ledger:
        assert len(ledger.known(SHARD, [key("2026-11-24", f"{number}") for number in range(64)])) == 64


def test_those_who_come_while_it_is_made_need_not_wait_until_its_maker_has_closed_it(file: LedgerFile) -> None:
    all_open = Barrier(16)

    def tick(_: int) -> bool:
        with file.open(replica(), "b"):
            all_open.wait(20)
            return True

    with ThreadPoolExecutor(16) as pool:
        opened = list(pool.map(tick, range(16)))

    assert opened == [True] * 16
