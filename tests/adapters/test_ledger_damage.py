"""A damaged state file: what is returned is true, or the damage is said and the file can be moved aside."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from builders_ledger import MD5, NOW, SHARD, conflict, copied, failed, key, replica, shard
from ledger_writing import no_room

from syncd.ledger.ledger import LedgerFile, ReplicaLedger
from syncd.model.errors import LedgerCorrupt, LedgerFull
from syncd.model.objects import Known, ShardState
from syncd.model.reports import TickReport
from syncd.model.sealed import SealedObject, fold_day

SHARDS = [shard(f"us-east-{number}") for number in range(4)]
DAYS = [f"2026-11-{day:02}" for day in range(1, 21)]
KEYS = [key(day, f"{number:016}", of) for of in SHARDS for day in DAYS for number in range(10)]
HELD = [key("2026-11-24", f"held-{number}") for number in range(20)]
KNOWN = {
    name: Known(f"{number:032x}", 1000 + number, f"{number:032x}" if number % 3 else "other")
    for number, name in enumerate(KEYS)
}
ACCEPTED = [key("2026-11-24", f"accepted-{number}") for number in range(5)]
SHARD_OF = {name: of for of in SHARDS for name in KEYS if name.startswith(of.prefix)}
STATES = {of.prefix: ShardState(shard=of, frontier=NOW + n, deep_key=KEYS[n]) for n, of in enumerate(SHARDS)}
LOOKED = {of.prefix: (NOW, (f"{of.prefix}2026/",)) for of in SHARDS}
SEALED_BEFORE = "2026-11-06"


class Remembered(NamedTuple):
    """Everything that a ledger says."""

    start: float | None
    known: dict[str, Known]
    states: dict[str, ShardState]
    looked: dict[str, tuple[float, tuple[str, ...]]]
    held: dict[str, tuple[str, int]]
    accepted: dict[str, tuple[str, str]]
    days: dict[tuple[str, str], object]
    lateness: dict[int, int]


def write(file: LedgerFile) -> None:
    with file.open(replica(), "b") as ledger:
        ledger.set_start(NOW)
        ledger.save_shards(STATES.values(), discovered_at=NOW)
        ledger.save_looked_at(LOOKED)
        outcomes = [
            copied(name, SHARD_OF[name], etag=str(known.etag), size=known.size_bytes, replica_etag=known.replica_etag)
            for name, known in KNOWN.items()
        ]
        ledger.record(outcomes, [], now=NOW, lateness={300: 4})
        ledger.record([failed(name) for name in ACCEPTED], [], now=NOW)
        for name in ACCEPTED:
            ledger.accept(name)
        ledger.record([*map(failed, HELD[:10]), *map(conflict, HELD[10:])], [], now=NOW)
        for of in SHARDS:
            ledger.seal(of, SEALED_BEFORE, limit=10**6)
        ledger.record_tick(TickReport(job="b", outcome="ok"), kind="tick")


def read(ledger: ReplicaLedger) -> Remembered:
    known: dict[str, Known] = {}
    days: dict[tuple[str, str], object] = {}
    for of in SHARDS:
        known |= ledger.known(of, [name for name in KEYS if SHARD_OF[name] == of])
        days |= {(of.prefix, day): sealed for day, sealed in ledger.sealed(of, "", "9").items()}
        ledger.has_known_after(of, "")
        assert dict(ledger.remembered(of, "", limit=10**6)).items() <= KNOWN.items()
    held = {name: (entry.reason, entry.attempts) for name, entry in ledger.quarantined().items()}
    accepted, looked = ledger.accepted(), ledger.looked_at()
    return Remembered(ledger.start(), known, ledger.shards(), looked, held, accepted, days, ledger.lateness())


def truth_of(path: Path) -> Remembered:
    """What a whole ledger says; every part of it is held to what was written."""
    file = LedgerFile(path, now=lambda: NOW)
    write(file)
    with file.open(replica(), "b") as ledger:
        truth = read(ledger)
    assert truth.known == {name: KNOWN[name] for name in KEYS if not _is_sealed(name)}
    assert truth.states == STATES
    assert truth.looked == LOOKED
    assert truth.held.keys() == set(HELD)
    assert truth.accepted == dict.fromkeys(ACCEPTED, (MD5, "STANDARD"))
    assert truth.days == {(of.prefix, day): _fold(of.prefix, day) for of in SHARDS for day in DAYS[:5]}
    return truth


def _is_sealed(name: str) -> bool:
    return name[len(SHARD.prefix) :][:10] < SEALED_BEFORE.replace("-", "/")


def _fold(prefix: str, day: str) -> object:
    names = [name for name in KEYS if name.startswith(prefix + day.replace("-", "/"))]
    return fold_day(SealedObject(name, *KNOWN[name]) for name in names)


def is_true(said: Remembered, truth: Remembered) -> bool:
    """Whether all that is said is so; much of it may have been forgotten."""
    earlier = {name: Known(*KNOWN[name]) for name in KEYS}
    held_earlier = dict.fromkeys(ACCEPTED, ("access_denied", 1))
    return (
        said.start in (None, truth.start)
        and said.known.items() <= earlier.items()
        and said.states.items() <= truth.states.items()
        and said.looked.items() <= truth.looked.items()
        and said.held.items() <= (truth.held | held_earlier).items()
        and said.accepted.items() <= truth.accepted.items()
        and said.days.items() <= truth.days.items()
        and said.lateness.items() <= truth.lateness.items()
    )


@pytest.fixture(scope="session")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Remembered:
    return truth_of(tmp_path_factory.mktemp("truth"))


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = LedgerFile(tmp_path_factory.mktemp("whole"), now=lambda: NOW)
    write(file)
    return file.path.read_bytes()


@pytest.fixture(scope="session")
def whole_and_log(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """File and log as a killed process leaves them."""
    file = LedgerFile(tmp_path_factory.mktemp("killed"), now=lambda: NOW)
    with file.open(replica(), "b"):
        write(file)
        log = file.path.with_name(f"{file.path.name}-wal")
        return file.path.read_bytes(), log.read_bytes()


def flip(content: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(chance.choice([1, 1, 1, 2, 10, 100])):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def flip_header(content: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(content)
    damaged[chance.randrange(100)] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def truncate(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def blank(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content))
    length = chance.choice([1, 16, 512, 4096, 9000])
    return content[:start] + bytes(min(length, len(content) - start)) + content[start + length :]


def swap_pages(content: bytes, chance: random.Random) -> bytes:
    one, other = sorted(chance.sample(range(1, len(content) // 4096), 2))
    pages = [content[at : at + 4096] for at in range(0, len(content), 4096)]
    pages[one], pages[other] = pages[other], pages[one]
    return b"".join(pages)


Damage = Callable[[bytes, random.Random], bytes]
SEEDS = range(20)


def check(file: LedgerFile, truth: Remembered) -> None:
    """Open, read and write; where the damage is found on the way, move the file aside and do it all again."""
    try:
        _use(file, truth)
    except LedgerCorrupt:
        assert file.move_aside() is not None
        _use(file, truth)


def _use(file: LedgerFile, truth: Remembered) -> None:
    with file.open(replica(), "b") as ledger:
        ledger.mend()
        assert is_true(read(ledger), truth)
        fresh = [key("2026-11-24", f"fresh-{number}") for number in range(30)]
        ledger.record([copied(name) for name in fresh], [], now=NOW)
        ledger.save_shards(STATES.values())
        ledger.seal(SHARDS[0], "2026-11-10", limit=10**6)
        ledger.record_tick(TickReport(job="b", outcome="ok"), kind="tick")
        assert set(ledger.known(SHARD, fresh).values()) <= {Known(MD5, 100, MD5)}
    with file.open_readonly() as reader:
        reader.last_tick("b")
        reader.counts("b")
        exported = {
            row["key"]: (row["etag"], row["size_bytes"], row["replica_etag"])
            for row in reader.export()
            if row["type"] == "object"
        }
    assert exported.keys() - set(fresh) <= set(KEYS)
    assert all(exported[name] == KNOWN[name] for name in exported.keys() & set(KEYS))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("damage", [flip, flip_header, truncate, blank, swap_pages])
def test_a_file_damaged_between_two_processes_tells_the_truth_or_is_moved_aside(
    tmp_path: Path, truth: Remembered, whole: bytes, damage: Damage, seed: int
) -> None:
    file = LedgerFile(tmp_path, now=lambda: NOW)
    file.path.write_bytes(damage(whole, random.Random(seed)))

    check(file, truth)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("damage", [flip, flip_header, truncate, blank, swap_pages])
def test_a_file_damaged_after_it_was_checked_tells_the_truth_or_is_moved_aside(
    tmp_path: Path, truth: Remembered, whole: bytes, damage: Damage, seed: int
) -> None:
    file = LedgerFile(tmp_path, now=lambda: NOW)
    file.path.write_bytes(whole)
    with file.open(replica(), "b") as ledger:
        assert read(ledger) == truth
    with file.path.open("r+b") as content:
        content.write(damaged := damage(whole, random.Random(seed)))
        content.truncate(len(damaged))

    check(file, truth)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("damage", [flip, truncate, blank])
def test_a_damaged_log_tells_the_truth_or_the_file_is_moved_aside(
    tmp_path: Path, truth: Remembered, whole_and_log: tuple[bytes, bytes], damage: Damage, seed: int
) -> None:
    file = LedgerFile(tmp_path, now=lambda: NOW)
    file.path.write_bytes(whole_and_log[0])
    log = file.path.with_name(f"{file.path.name}-wal")
    log.write_bytes(damage(whole_and_log[1], random.Random(seed)))

    check(file, truth)


@pytest.mark.parametrize("missing", ["", "-wal"])
def test_a_file_that_is_missing_is_made_again(
    tmp_path: Path, truth: Remembered, whole_and_log: tuple[bytes, bytes], missing: str
) -> None:
    file = LedgerFile(tmp_path, now=lambda: NOW)
    file.path.write_bytes(whole_and_log[0])
    file.path.with_name(f"{file.path.name}-wal").write_bytes(whole_and_log[1])
    file.path.with_name(file.path.name + missing).unlink()

    check(file, truth)


def in_schema(content: bytes) -> bytes:
    return content.replace(b"CREATE TABLE looked", b"CREATE \xc9ABLE looked")


def in_write_version(content: bytes) -> bytes:
    return content[:18] + b"\x07" + content[19:]


def in_text_encoding(content: bytes) -> bytes:
    return content[:59] + b"\x03" + content[60:]


def in_page_size(content: bytes) -> bytes:
    return content[:16] + b"\x08\x00" + content[18:]


@pytest.mark.parametrize("damage", [in_schema, in_write_version, in_text_encoding, in_page_size])
def test_damage_that_sqlite_tells_in_a_way_of_its_own_is_known_as_such(
    tmp_path: Path, truth: Remembered, whole: bytes, damage: Callable[[bytes], bytes]
) -> None:
    file = LedgerFile(tmp_path, now=lambda: NOW)
    file.path.write_bytes(damage(whole))

    check(file, truth)

    assert list(tmp_path.glob("*corrupt*"))


@pytest.fixture
def file(tmp_path: Path) -> LedgerFile:
    file = LedgerFile(tmp_path, now=lambda: NOW)
    write(file)
    return file


def tamper(file: LedgerFile, statement: str) -> None:
    with closing(sqlite3.connect(file.path, isolation_level=None)) as connection:
        assert connection.execute(statement).rowcount


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE objects SET size_bytes = size_bytes + 1",
        "UPDATE objects SET etag = zeroblob(16)",
        "UPDATE objects SET etag = NULL",
        "UPDATE objects SET checksum = checksum + 1",
        "UPDATE OR REPLACE objects SET shard = 1 WHERE shard = 2",
    ],
)
def test_a_damaged_object_is_forgotten_and_counted(file: LedgerFile, statement: str) -> None:
    tamper(file, statement)

    with file.open(replica(), "b") as ledger:
        said = ledger.known(SHARDS[0], [KEYS[100], KEYS[101]])

        assert (said, ledger.damaged_rows) == ({}, 2)
        assert not ledger.has_known_after(SHARDS[0], "")


def test_a_damaged_object_is_remembered_again_when_it_is_recorded_again(file: LedgerFile) -> None:
    tamper(file, "UPDATE objects SET size_bytes = 0")

    with file.open(replica(), "b") as ledger:
        ledger.record([copied(KEYS[100], SHARDS[0], size=5)], [], now=NOW)

        assert ledger.known(SHARDS[0], [KEYS[100]])[KEYS[100]].size_bytes == 5


def test_a_damaged_object_is_not_sealed(file: LedgerFile) -> None:
    tamper(file, f"UPDATE objects SET size_bytes = 0 WHERE shard = 1 AND tail < '{20261106}T0815Z_{3:016}'")

    with file.open(replica(), "b") as ledger:
        folded = ledger.seal(SHARDS[0], "2026-11-07", limit=10**6)

        assert (folded, ledger.damaged_rows) == (7, 3)


@pytest.mark.parametrize("column", ["frontier", "listed_at", "deep_key", "complete_until", "checksum"])
def test_a_damaged_cursor_is_left_out_and_named_and_its_objects_stay(file: LedgerFile, column: str) -> None:
    tamper(file, f"UPDATE cursors SET {column} = 7 WHERE shard = 1")

    with file.open(replica(), "b") as ledger:
        assert ledger.shards().keys() == {of.prefix for of in SHARDS[1:]}
        assert ledger.damaged_shards == [SHARDS[0].prefix]
        assert ledger.known(SHARDS[0], [KEYS[100]]) == {KEYS[100]: KNOWN[KEYS[100]]}


def test_a_damaged_shard_is_left_out_and_begins_afresh(file: LedgerFile) -> None:
    tamper(file, "UPDATE shards SET region = 'us-east-9' WHERE id = 1")

    with file.open(replica(), "b") as ledger:
        left = ledger.shards().keys()
        damaged = ledger.damaged_shards
        ledger.save_shards([STATES[SHARDS[0].prefix]])

        assert (left, damaged) == ({of.prefix for of in SHARDS[1:]}, [SHARDS[0].prefix])
        assert ledger.shards() == STATES
        assert ledger.known(SHARDS[0], [KEYS[100]]) == {}


def test_a_damaged_replica_begins_afresh_from_the_start_that_was_decided(file: LedgerFile) -> None:
    tamper(file, "UPDATE replicas SET start = 1.0")

    with file.open(replica(), "b") as ledger:
        assert (ledger.start(), ledger.ran_here()) == (NOW, True)
        assert ledger.accepted().keys() == set(ACCEPTED)
        assert (ledger.shards(), ledger.known(SHARDS[0], [KEYS[100]])) == ({}, {})


def test_a_replica_after_a_damaged_one_does_not_inherit_its_rows(file: LedgerFile) -> None:
    tamper(file, "UPDATE replicas SET start = 1.0")

    with file.open(replica(), "b") as ledger:
        ledger.set_start(NOW)
        ledger.save_shards(STATES.values())

        assert ledger.known(SHARDS[0], [KEYS[100]]) == {}
        assert ledger.quarantined() == {}


def test_forgetting_sweeps_out_what_damage_left_without_an_owner(file: LedgerFile) -> None:
    tamper(file, "DELETE FROM shards")

    with file.open(replica(), "b") as ledger:
        ledger.forget()

    with closing(sqlite3.connect(file.path)) as connection:
        tables = ("shards", "cursors", "looked", "objects", "days", "lateness", "uncovered")
        counts = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]
    assert counts == [0] * len(tables)


@pytest.mark.parametrize(
    "damage", ["etag = '7'", "attempts = 7", "shard = '7'", "next_at = 7", "key = CAST(x'ff41' AS TEXT)"]
)
def test_a_damaged_entry_of_the_quarantine_costs_that_entry_and_has_the_shards_looked_through_again(
    file: LedgerFile, damage: str
) -> None:
    tamper(file, f"UPDATE quarantine SET {damage} WHERE key = '{HELD[0]}'")

    with file.open(replica(), "b") as ledger:
        with pytest.raises(LedgerCorrupt, match="quarantine is damaged"):
            ledger.quarantined()
        (told,) = ledger.mend()

        assert told.startswith("damaged entries of the quarantine were removed: 1;")
        assert ledger.quarantined().keys() == set(HELD[1:])
        assert ledger.shards() == {}
        assert ledger.known(SHARDS[0], [KEYS[100]]) == {KEYS[100]: KNOWN[KEYS[100]]}
        assert ledger.mend() == []
    assert file.move_aside() is None


def test_mending_leaves_other_replicas_as_they_are(file: LedgerFile) -> None:
    tamper(file, f"UPDATE quarantine SET attempts = 7 WHERE key = '{HELD[0]}'")

    with file.open(replica("elsewhere"), "c") as ledger:
        ledger.save_shards(STATES.values())
        ledger.record([failed(HELD[0])], [], now=NOW)
        mended = ledger.mend()
    with file.open(replica(), "b") as ledger:
        ledger.mend()

    with file.open(replica("elsewhere"), "c") as ledger:
        assert mended == []
        assert (ledger.shards(), ledger.quarantined().keys()) == (STATES, {HELD[0]})


def test_a_damaged_acceptance_is_taken_from_the_decisions(file: LedgerFile) -> None:
    tamper(file, f"UPDATE accepted SET etag = '' WHERE key = '{ACCEPTED[0]}'")

    with file.open(replica(), "b") as ledger:
        before = ledger.accepted().keys()
        (told,) = ledger.mend()

        assert before == set(ACCEPTED[1:])
        assert told == "damaged acceptances were restored from decisions.jsonl: 1"
        assert ledger.accepted() == dict.fromkeys(ACCEPTED, (MD5, "STANDARD"))
        assert ledger.shards() == STATES


SALVAGED = 1 + len(HELD) + len(ACCEPTED)


def drop_while_open(file: LedgerFile) -> None:
    """Have the file found corrupt by a read: a table is gone that was there when it was opened."""
    with file.open(replica(), "b") as ledger:
        tamper(file, "DROP TABLE looked")
        with pytest.raises(LedgerCorrupt):
            ledger.looked_at()


def tamper_anyway(file: LedgerFile, statement: str) -> None:
    with closing(sqlite3.connect(file.path, isolation_level=None)) as connection:
        connection.execute(statement)


def test_what_no_listing_tells_is_taken_over_from_a_file_that_is_moved_aside(file: LedgerFile) -> None:
    file.path.with_name("decisions.jsonl").unlink()
    drop_while_open(file)

    assert file.move_aside() is not None

    assert file.salvaged == SALVAGED
    with file.open(replica(), "b") as ledger:
        assert (ledger.start(), ledger.ran_here(), ledger.discovered_at()) == (NOW, True, 0.0)
        assert ledger.quarantined().keys() == set(HELD)
        assert ledger.accepted().keys() == set(ACCEPTED)
        assert (ledger.shards(), ledger.known(SHARDS[0], [KEYS[100]])) == ({}, {})
        assert ledger.sealed(SHARDS[0], "", "9") == {}


def test_damaged_entries_of_a_file_that_is_moved_aside_cost_those_entries(file: LedgerFile) -> None:
    tamper(file, f"UPDATE quarantine SET attempts = 7 WHERE key = '{HELD[0]}'")
    tamper(file, f"UPDATE accepted SET etag = '' WHERE key = '{ACCEPTED[0]}'")
    tamper_anyway(file, "DROP TABLE looked")

    with file.open(replica(), "b") as ledger:
        assert ledger.moved_aside is not None
        assert ledger.salvaged == SALVAGED - 2
        assert ledger.quarantined().keys() == set(HELD[1:])
        assert ledger.accepted().keys() == set(ACCEPTED[1:])


def many(number: int) -> str:
    return key("2026-11-24", f"{number:05}")


def test_entries_before_and_after_a_page_that_cannot_be_read_are_taken_over(tmp_path: Path) -> None:
    file = LedgerFile(tmp_path, now=lambda: NOW)
    with file.open(replica(), "b") as ledger:
        ledger.set_start(NOW)
        ledger.record([failed(many(number)) for number in range(2000)], [], now=NOW)
    content = bytearray(file.path.read_bytes())
    middle = content.index(many(1000).encode()) // 4096 * 4096
    content[middle : middle + 4096] = bytes(4096)
    file.path.write_bytes(content)

    with LedgerFile(tmp_path, now=lambda: NOW).open(replica(), "b") as ledger:
        held = ledger.quarantined()
        assert ledger.moved_aside is not None
        assert held.keys() < {many(number) for number in range(2000)}
        assert {many(0), many(1999)} <= held.keys()
        assert len(held) > 1950


def test_a_second_loss_takes_over_what_the_first_did(file: LedgerFile) -> None:
    for _ in range(2):
        drop_while_open(file)
        file.move_aside()

    with file.open(replica(), "b") as ledger:
        assert ledger.quarantined().keys() == set(HELD)


def test_only_the_two_newest_damaged_files_are_kept(tmp_path: Path) -> None:
    hours = iter(range(100))
    file = LedgerFile(tmp_path, now=lambda: NOW + 3600 * next(hours))
    for number in range(4):
        file.path.write_text(f"damage number {number} " * 1000)
        file.path.with_name(f"{file.path.name}-wal").write_text("log")
        file.open(replica(), "b").close()

    kept = sorted(path for path in tmp_path.glob("*corrupt*") if not path.name.endswith(("-wal", "-shm")))
    assert [path.read_text()[:15] for path in kept] == ["damage number 2", "damage number 3"]
    assert len(list(tmp_path.glob("*corrupt*-wal"))) <= 2


def test_a_disk_without_room_for_the_new_file_leaves_the_damaged_one_in_its_place(file: LedgerFile) -> None:
    drop_while_open(file)

    with no_room(), pytest.raises(LedgerFull):
        file.move_aside()

    assert not list(file.path.parent.glob("*corrupt*"))
    assert file.move_aside() is not None
    with file.open(replica(), "b") as ledger:
        assert ledger.quarantined().keys() == set(HELD)


def test_damaged_days_looks_and_buckets_are_forgotten(file: LedgerFile) -> None:
    tamper(file, "UPDATE days SET count = count + 1")
    tamper(file, "UPDATE looked SET looked_at = 1.0")
    tamper(file, "UPDATE lateness SET count = 9")

    with file.open(replica(), "b") as ledger:
        assert (ledger.sealed(SHARDS[0], "", "9"), ledger.looked_at(), ledger.lateness()) == ({}, {}, {})
        assert ledger.damaged_rows == 5 + 4 + 1
