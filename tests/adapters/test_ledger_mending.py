"""Single rows that are damaged in a file that is whole: what is let go of, what is found again, and what is told."""

import sqlite3
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest
from builders_ledger import NOW, SHARD, conflict, copied, failed, key, log_object, replica, shard, transfer

from syncd.ledger.ledger import LedgerFile
from syncd.model.errors import LedgerCorrupt
from syncd.model.objects import Failed, ShardState

OTHER = shard("eu-west-1")
HELD = [key("2026-11-24", f"held-{number}") for number in range(5)]
ACCEPTED = [key("2026-11-24", f"accepted-{number}") for number in range(3)]
STATES = [ShardState(shard=SHARD, listed_at=NOW), ShardState(shard=OTHER, listed_at=NOW)]
THERE = key("2026-11-23", "there")


@pytest.fixture
def file(tmp_path: Path) -> LedgerFile:
    file = LedgerFile(tmp_path, now=lambda: NOW)
    for name in ("b", "c"):
        with file.open(replica(f"example-{name}-logs"), name) as ledger:
            ledger.set_start(NOW)
            ledger.save_shards(STATES)
            ledger.record([copied(THERE), *map(failed, HELD), *map(conflict, ACCEPTED)], [], now=NOW)
            for key_ in ACCEPTED:
                ledger.accept(key_)
    return file


def tamper(file: LedgerFile, statement: str) -> None:
    with closing(sqlite3.connect(file.path, isolation_level=None)) as connection:
        assert connection.execute(statement).rowcount


IDS = "(SELECT id FROM replicas WHERE job = 'b')"


@pytest.mark.parametrize(
    "damage",
    [
        "detail = CAST(x'ff' AS TEXT)",
        "key = CAST(x'ff41' AS TEXT)",
        "key = 'a' || key",
        "key = key || CAST(x'00c3' AS TEXT)",
    ],
)
def test_a_damaged_entry_is_let_go_of_whatever_is_left_of_its_key(file: LedgerFile, damage: str) -> None:
    tamper(file, f"UPDATE quarantine SET {damage} WHERE key = '{HELD[1]}' AND replica = {IDS}")

    with file.open(replica(), "b") as ledger:
        assert len(ledger.mend()) == 1
        assert ledger.quarantined().keys() == set(HELD) - {HELD[1]}
        assert (ledger.shards(), ledger.start()) == ({}, NOW)
        assert ledger.mend() == []
    assert file.move_aside() is None


def test_an_entry_that_has_changed_its_place_is_let_go_of(file: LedgerFile) -> None:
    """Whoever looks for it by its key looks elsewhere."""
    with file.open(replica(), "b"):
        pass
    content = file.path.read_bytes().replace(HELD[2].encode(), f"Z{HELD[2][1:]}".encode())
    file.path.write_bytes(content)

    with file.open(replica(), "b") as ledger:
        assert len(ledger.mend()) == 1
        assert ledger.quarantined().keys() == set(HELD) - {HELD[2]}


def test_a_view_that_only_reads_mends_nothing_and_tells_no_count_that_it_cannot_read(file: LedgerFile) -> None:
    tamper(file, f"UPDATE quarantine SET shard = '[[' WHERE key = '{HELD[1]}' AND replica = {IDS}")

    with file.open_readonly() as reader:
        view = reader.view(replica())
        for read in (
            view.quarantined,
            lambda: view.held(HELD[1]),
            lambda: list(view.held_stamps(lambda *_: 0.0)),
            lambda: view.held_counts(lambda _: True),
            lambda: view.held_overview(9, lambda *_: 0.0, lambda _: True),
            lambda: view.held_after("", 9),
        ):
            with pytest.raises(LedgerCorrupt, match="quarantine is damaged"):
                read()


@pytest.mark.parametrize("damaged", ["=", "2026"])
def test_damaged_rows_do_not_end_a_walk_through_the_others(file: LedgerFile, damaged: str) -> None:
    keys = [f"{SHARD.prefix}{form}{number:03}" for form in ("", "2026/11/24/") for number in range(50)]
    with file.open(replica(), "b") as ledger:
        ledger.record([copied(name) for name in keys], [], now=NOW)
    tamper(file, f"UPDATE objects SET size_bytes = 9 WHERE tail LIKE '{damaged}%' AND tail LIKE '%007'")

    met: list[str] = []
    with file.open(replica(), "b") as ledger:
        while rows := ledger.remembered(SHARD, met[-1] if met else "", limit=10):
            met += [name for name, _ in rows]
        assert ledger.damaged_rows >= 1

    gone = {name for name in keys if name.endswith("007") and ("2026/" in name) == (damaged == "2026")}
    assert met == sorted({*keys, THERE, *ACCEPTED} - gone)


def test_rows_of_a_replica_that_is_no_more_are_swept_out(file: LedgerFile) -> None:
    tamper(file, "UPDATE replicas SET start = 1.0 WHERE job = 'b'")
    with file.open(replica(), "b") as ledger:
        ledger.record([failed(HELD[0])], [], now=NOW)
        ledger.forget()

    with closing(sqlite3.connect(file.path)) as connection:
        rows = connection.execute("SELECT replica, count(*) FROM quarantine GROUP BY replica ORDER BY 1").fetchall()
    assert [count for _, count in rows] == [len(HELD), 1]


def test_looking_for_damage_holds_no_more_than_an_entry(file: LedgerFile) -> None:
    details = [f"{number} {'x' * 1900}" for number in range(2000)]
    held = [Failed(transfer(log_object(key("2026-11-24", d[:4].strip()))), "access_denied", d) for d in details]
    with file.open(replica(), "b") as ledger:
        ledger.record(held, [], now=NOW)
        tracemalloc.start()
        try:
            mended, (_, peak) = ledger.mend(), tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert mended == []
    assert peak < 500_000
