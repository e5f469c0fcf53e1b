"""A state file of schema 1 opens, keeps all of its rows, and claims nothing that schema 1 did not know."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from builders_ledger import MD5, NOW, SHARD, copied, key, log_object, replica, shard

from syncd.errors import LedgerError
from syncd.ledger import LedgerFile, RecordedTick
from syncd.ledger_access import replica_key
from syncd.ledger_rows import (
    SealedDay,
    SealedObject,
    encode_etag,
    encode_key,
    fold_day,
    object_checksum,
    object_digest,
    old_checksum,
    report_to_json,
    with_checksum,
)
from syncd.model import FoundBy, Known, Quarantined, Shard, ShardState, TickReport

SCHEMA_1 = (Path(__file__).parents[1] / "ledger_schema_1.sql").read_text()
REPLICA = replica()
IDLE, ODD = shard("eu-west-1"), Shard("logs/")
A, B, C = key("2026-11-24", "A"), key("2026-11-24", "B"), key("2026-11-24", "C")
LOOSE = f"{SHARD.prefix}loose"
HELD = key("2026-11-24", "held")
REPORT = TickReport(job="b", outcome="ok", listed=3)
OBJECTS = [(A, MD5, 100), (B, "multi-2", 200), (C, None, 300), (LOOSE, MD5, 400)]


def insert(connection: sqlite3.Connection, table: str, *values: object) -> None:
    row = with_checksum(*values)
    connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)


def insert_object(connection: sqlite3.Connection, name: str, etag: str | None, size: int) -> None:
    values = (1, encode_key(SHARD, name), encode_etag(etag), size)
    connection.execute("INSERT INTO objects VALUES (?, ?, ?, ?, ?)", (*values, old_checksum(*values)))


@pytest.fixture
def file(tmp_path: Path) -> LedgerFile:
    """A state file as schema 1 left it: one job, three shards, of which one has a deep round under way."""
    file = LedgerFile(tmp_path / "state", now=lambda: NOW)
    file.path.parent.mkdir()
    with closing(sqlite3.connect(file.path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(SCHEMA_1)
        insert(connection, "replicas", *replica_key(REPLICA), 1, "b", 1000.0, NOW, "stream", "refused")
        for number, of in enumerate((SHARD, IDLE, ODD), start=1):
            insert(connection, "shards", 1, of.prefix, number, of.account, of.kind, of.region, of.organization)
        times = (1.5, NOW, 3.5)
        insert(connection, "cursors", 1, *times, A, NOW, 5.5, 6.5, 7.5, "2026-11-01")
        insert(connection, "cursors", 2, *times, "", NOW, 5.5, 6.5, 7.5, "")
        insert(connection, "cursors", 3, *times, "x", 100.0, 5.5, 6.5, 7.5, "")
        insert(connection, "looked", 1, "AWSLogs/", NOW, json.dumps(["AWSLogs/111111111111/"]))
        for name, etag, size in OBJECTS:
            insert_object(connection, name, etag, size)
        insert(connection, "days", 1, "2026-10-01", 7, 700, 12345, 1)
        insert(connection, "days", 1, "2026-10-02", 8, 800, 54321, 0)
        held = log_object(HELD)
        attributes = (held.etag, held.size_bytes, held.last_modified, held.storage_class)
        insert(connection, "quarantine", 1, HELD, json.dumps(SHARD), *attributes, "conflict", "detail", 2, 1.0, 2.0)
        insert(connection, "lateness", 1, 300, 4)
        insert(connection, "ticks", "b", 1, "tick", report_to_json(REPORT))
        connection.commit()
    return file


def test_every_row_is_kept(file: LedgerFile) -> None:
    with file.open(REPLICA, "b") as ledger:
        assert ledger.moved_aside is None
        assert (ledger.start(), ledger.ran_here(), ledger.discovered_at()) == (1000, True, NOW)
        assert ledger.mode_verdict() == ("stream", "refused")
        assert ledger.looked_at() == {"AWSLogs/": (NOW, ("AWSLogs/111111111111/",))}
        assert ledger.quarantined() == {HELD: Quarantined(log_object(HELD), SHARD, "conflict", "detail", 2, 1.0, 2.0)}
        assert (ledger.lateness(), ledger.accepted(), ledger.uncovered()) == ({300: 4}, {}, {})
        assert (ledger.damaged_rows, list(ledger.damaged_shards)) == (0, [])
    with file.open_readonly() as reader:
        assert reader.last_tick("b") == RecordedTick("tick", REPORT)


def test_nothing_is_known_of_the_replicas_that_schema_1_did_not_tell(file: LedgerFile) -> None:
    expected = {name: Known(etag, size) for name, etag, size in OBJECTS}

    with file.open(REPLICA, "b") as ledger:
        assert ledger.known(SHARD, [A, B, C, LOOSE]) == expected
        assert dict(ledger.remembered(SHARD, "", limit=100)) == expected
        assert ledger.has_known_after(SHARD, B)
    with file.open_readonly() as reader:
        told = {row["key"]: row["replica_etag"] for row in reader.export("b") if row["type"] == "object"}
    assert told == dict.fromkeys(expected, "")


def test_what_is_written_since_tells_of_the_replica_beside_what_was_written_before(file: LedgerFile) -> None:
    with file.open(REPLICA, "b") as ledger:
        ledger.record([copied(A, replica_etag=MD5)], [(SHARD, log_object(B), "another")], now=NOW)

        assert ledger.known(SHARD, [A, B, C]) == {
            A: Known(MD5, 100, MD5),
            B: Known(MD5, 100, "another"),
            C: Known(None, 300),
        }


def test_days_that_were_sealed_say_nothing_of_their_replicas(file: LedgerFile) -> None:
    with file.open(REPLICA, "b") as ledger:
        assert ledger.sealed(SHARD, "2026-10-01", "2026-10-31") == {
            "2026-10-01": SealedDay(7, 700, 12345, exact=True),
            "2026-10-02": SealedDay(8, 800, 54321, exact=False),
        }
        ledger.record([copied(key("2026-10-01", "late"), replica_etag=MD5)], [], now=NOW)
        ledger.seal(SHARD, "2026-10-02", limit=1000)
        day = ledger.sealed(SHARD, "2026-10-01", "2026-10-01")["2026-10-01"]

    digest = (12345 + object_digest(key("2026-10-01", "late"), MD5)) % 2**63
    assert (day.count, day.size_bytes, day.digest, day.exact, day.replica_exact) == (8, 800, digest, True, False)


def test_objects_of_before_are_sealed_as_of_unknown_replicas(file: LedgerFile) -> None:
    with file.open(REPLICA, "b") as ledger:
        assert ledger.seal(SHARD, "2026-11-25", limit=1000) == 3
        assert ledger.sealed(SHARD, "2026-11-24", "2026-11-24") == {
            "2026-11-24": fold_day(SealedObject(name, etag, size, "") for name, etag, size in OBJECTS[:3])
        }


def test_cursors_go_on_where_they_were_and_claim_no_round_that_did_not_end(file: LedgerFile) -> None:
    times = {"frontier": 1.5, "listed_at": NOW, "recent_at": 3.5, "newest_arrival": 7.5}
    times |= {"complete_from": 5.5, "complete_until": 6.5}

    with file.open(REPLICA, "b") as ledger:
        states = ledger.shards()

    assert states[SHARD.prefix] == ShardState(
        shard=SHARD, **times, deep_key=A, deep_at=NOW, deep_done_at=NOW - 86_400, layout="?"
    )
    assert states[IDLE.prefix] == ShardState(shard=IDLE, **times, deep_at=NOW, deep_done_at=NOW, layout="?")
    assert states[ODD.prefix] == ShardState(
        shard=ODD, **times, deep_key="x", deep_at=100.0, deep_done_at=0.0, layout="?"
    )
    assert {state.found_by for state in states.values()} == {FoundBy.TAIL}


def test_a_start_of_before_is_written_down_a_second_time(file: LedgerFile) -> None:
    file.open(REPLICA, "b").close()
    file.path.unlink()

    with LedgerFile(file.path.parent, now=lambda: NOW).open(REPLICA, "b") as ledger:
        assert ledger.start() == 1000


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE cursors SET frontier = 7.0 WHERE shard = 1",
        "UPDATE days SET count = 9 WHERE day = '2026-10-01'",
        "UPDATE objects SET size_bytes = 9",
    ],
)
def test_rows_that_were_damaged_before_are_forgotten(file: LedgerFile, damage: str) -> None:
    with closing(sqlite3.connect(file.path, isolation_level=None)) as connection:
        assert connection.execute(damage).rowcount

    with file.open(REPLICA, "b") as ledger:
        told = (SHARD.prefix in ledger.shards(), len(ledger.sealed(SHARD, "", "9")), len(ledger.known(SHARD, [A])))

    assert told == ("cursors" not in damage, 1 if "days" in damage else 2, 0 if "objects" in damage else 1)


def test_a_file_of_before_is_not_read_before_a_tick_migrates_it(file: LedgerFile) -> None:
    with pytest.raises(LedgerError, match="has the older schema 1: a tick migrates it"), file.open_readonly():
        pass


def test_a_file_of_before_that_is_damaged_is_salvaged(file: LedgerFile) -> None:
    with closing(sqlite3.connect(file.path, isolation_level=None)) as connection:
        connection.execute("DROP TABLE days")

    with file.open(REPLICA, "b") as ledger:
        assert ledger.moved_aside is not None
        assert (ledger.salvaged, ledger.start(), ledger.quarantined().keys()) == (2, 1000, {HELD})


def test_a_row_of_schema_2_is_none_of_schema_1() -> None:
    row = (1, "x", encode_etag(MD5), 5)

    assert old_checksum(*row) != object_checksum(*row)
