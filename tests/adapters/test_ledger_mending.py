"""Single rows that are damaged in a file that is whole: what is let go of, what is found again, and what is told."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from builders_ledger import MD5, NOW, SHARD, conflict, copied, failed, key, replica, shard

from syncd.errors import LedgerCorrupt
from syncd.ledger import LedgerFile
from syncd.model import ShardState

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
        "etag = 'another'",
        "attempts = 9",
        "shard = '[['",
        "detail = CAST(x'ff' AS TEXT)",
        "key = CAST(x'ff41' AS TEXT)",
        "key = 'a' || key",
        "key = key || CAST(x'00c3' AS TEXT)",
    ],
)
def test_a_damaged_entry_of_the_quarantine_is_let_go_of_and_its_replica_looked_through_again(
    file: LedgerFile, damage: str
) -> None:
    tamper(file, f"UPDATE quarantine SET {damage} WHERE key = '{HELD[1]}' AND replica = {IDS}")

    with file.open(replica(), "b") as ledger:
        told = ledger.mend()
        assert told == ["1 entry of the quarantine damaged: source and destination are compared from the job's start"]
        assert ledger.quarantined().keys() == set(HELD) - {HELD[1]}
        assert (ledger.shards(), ledger.start()) == ({}, NOW)
        assert ledger.known(SHARD, [THERE]).keys() == {THERE}
        assert ledger.mend() == []
    with file.open(replica("example-c-logs"), "c") as ledger:
        assert (ledger.shards().keys(), ledger.quarantined().keys()) == ({SHARD.prefix, OTHER.prefix}, set(HELD))
    assert file.move_aside() is None


def test_many_damaged_entries_are_told_as_one(file: LedgerFile) -> None:
    tamper(file, f"UPDATE quarantine SET attempts = 9 WHERE replica = {IDS}")

    with file.open(replica(), "b") as ledger:
        (told,) = ledger.mend()
        assert told.startswith("5 entries of the quarantine damaged")
        assert ledger.quarantined() == {}


@pytest.mark.parametrize("damage", ["etag = 'another'", "key = CAST(x'ff41' AS TEXT)", "at = 1.0"])
def test_a_damaged_acceptance_is_written_down_elsewhere(file: LedgerFile, damage: str) -> None:
    tamper(file, f"UPDATE accepted SET {damage} WHERE key = '{ACCEPTED[1]}' AND replica = {IDS}")

    with file.open(replica(), "b") as ledger:
        assert ledger.mend() == ["1 of the accepted objects damaged: 1 of them are written down elsewhere"]
        assert ledger.accepted() == dict.fromkeys(ACCEPTED, (MD5, "STANDARD"))
        assert ledger.shards().keys() == {SHARD.prefix, OTHER.prefix}
        assert ledger.mend() == []


def test_a_damaged_acceptance_that_is_nowhere_else_is_told(file: LedgerFile) -> None:
    file.path.with_name("decisions.jsonl").unlink()
    tamper(file, f"UPDATE accepted SET at = 1.0 WHERE key = '{ACCEPTED[1]}' AND replica = {IDS}")

    with LedgerFile(file.path.parent, now=lambda: NOW).open(replica(), "b") as ledger:
        assert ledger.mend() == ["1 of the accepted objects damaged: 0 of them are written down elsewhere"]
        assert ledger.accepted().keys() == set(ACCEPTED) - {ACCEPTED[1]}


def test_an_entry_that_has_changed_its_place_condemns_the_file(file: LedgerFile) -> None:
    """Whoever looks for it by its key looks elsewhere, so that it can neither be read nor deleted."""
    with file.open(replica(), "b"):
        pass
    content = bytearray(file.path.read_bytes())
    name = HELD[2].encode()
    at = content.index(name)
    while at >= 0:
        content[at] = ord("Z")
        at = content.find(name)
    file.path.write_bytes(content)

    with file.open(replica(), "b") as ledger, pytest.raises(LedgerCorrupt):
        ledger.mend()
    assert file.move_aside() is not None


def test_a_view_that_only_reads_mends_nothing_and_tells_no_count_that_it_cannot_read(file: LedgerFile) -> None:
    tamper(file, f"UPDATE quarantine SET shard = '[[' WHERE key = '{HELD[1]}' AND replica = {IDS}")

    with file.open_readonly() as reader:
        view = reader.view(replica())
        for read in (
            view.quarantined,
            lambda: view.held(HELD[1]),
            lambda: list(view.held_stamps(lambda *_: 0.0)),
            lambda: view.held_counts(lambda _: True),
            lambda: view.longest_held(9, lambda _: True),
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
