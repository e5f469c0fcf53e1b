"""A state file of schema 1, as `ledger_v1.sql` holds it, under the present schema."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from builders_ledger import MD5, NOW, SHARD, copied, key, replica, shard

from syncd.ledger.ledger import SCHEMA, LedgerFile
from syncd.model.errors import LedgerError
from syncd.model.objects import FoundBy, Known, LogObject, ShardState
from syncd.model.sealed import SealedObject, fold_day

V1 = (Path(__file__).parent / "ledger_v1.sql").read_text()
A, B, C, D, E, F = (key("2026-11-24", name) for name in "ABCDEF")
DAY = 86400
STATE = ShardState(
    shard=SHARD,
    frontier=NOW,
    listed_at=NOW + 1,
    recent_at=NOW + 2,
    deep_key=A,
    deep_at=NOW + 3,
    complete_from=NOW + 4,
    complete_until=NOW + 5,
    newest_arrival=NOW + 6,
    deep_done_at=NOW + 3 - DAY,
    layout="?",
    found_by=FoundBy.TAIL,
)


def made(directory: Path, *damage: str) -> LedgerFile:
    file = LedgerFile(directory, now=lambda: NOW)
    with closing(sqlite3.connect(file.path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(V1)
        for statement in damage:
            assert connection.execute(statement).rowcount
    return file


@pytest.fixture
def file(tmp_path: Path) -> LedgerFile:
    return made(tmp_path)


def versions(file: LedgerFile) -> Sequence[object]:
    with closing(sqlite3.connect(file.path)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (told,) = connection.execute("SELECT value FROM meta").fetchone()
    return version, told


def test_a_file_of_schema_1_is_migrated_and_not_moved(file: LedgerFile) -> None:
    before = versions(file)
    with file.open(replica(), "b") as ledger:
        moved_aside = ledger.moved_aside

    assert (before, moved_aside, versions(file)) == ((1, "1"), None, (5, "5"))
    with file.open(replica(), "b") as ledger:
        assert ledger.mend() == []


def test_start_mode_and_discovery_are_kept(file: LedgerFile) -> None:
    with file.open(replica(), "b") as ledger:
        assert (ledger.start(), ledger.ran_here(), ledger.discovered_at()) == (NOW - DAY, True, NOW)
        assert ledger.mode_verdict() == ("stream", "CopyObject answered 403")
        assert ledger.looked_at() == {"AWSLogs/": (NOW, ("AWSLogs/111111111111/",))}
        assert ledger.lateness() == {300: 4}


def test_a_start_of_schema_1_survives_a_loss_from_then_on(file: LedgerFile) -> None:
    file.open(replica(), "b").close()
    file.path.unlink()

    with file.open(replica(), "b") as ledger:
        assert (ledger.start(), ledger.ran_here()) == (NOW - DAY, True)


def test_cursors_are_kept_and_the_last_whole_round_of_deep_is_the_one_before_that_under_way(file: LedgerFile) -> None:
    other = ShardState(
        shard=shard("eu-west-1"),
        frontier=NOW,
        listed_at=NOW + 1,
        recent_at=NOW + 2,
        deep_at=NOW + 3,
        complete_from=NOW + 4,
        complete_until=NOW + 5,
        newest_arrival=NOW + 6,
        deep_done_at=NOW + 3,
        layout="?",
    )
    with file.open(replica(), "b") as ledger:
        assert ledger.shards() == {SHARD.prefix: STATE, other.shard.prefix: other}
        assert list(ledger.damaged_shards) == []


def test_objects_are_kept_and_nothing_is_known_of_their_replicas_etags(file: LedgerFile) -> None:
    expected = {A: Known(MD5, 100), B: Known(MD5, 100), C: Known("multi-2", 100), F: Known(None, 7)}
    with file.open(replica(), "b") as ledger:
        assert ledger.known(SHARD, [A, B, C, D, E, F]) == expected
        assert ledger.remembered(SHARD, "", limit=9) == sorted(expected.items())
        assert ledger.damaged_rows == 0


def test_what_is_found_out_of_a_replica_is_remembered_beside_older_rows(file: LedgerFile) -> None:
    adopted = [(SHARD, LogObject(A, MD5, 100, NOW), MD5), (SHARD, LogObject(F, "e", 7, NOW), "other")]
    with file.open(replica(), "b") as ledger:
        ledger.record([copied(D)], adopted, now=NOW)

    with file.open(replica(), "b") as ledger:
        assert ledger.known(SHARD, [A, B, D, F]) == {
            A: Known(MD5, 100, MD5),
            B: Known(MD5, 100, ""),
            D: Known(MD5, 100, MD5),
            F: Known("e", 7, "other"),
        }


def test_sealed_days_are_kept_and_say_nothing_of_their_replicas_etags(file: LedgerFile) -> None:
    sealed = fold_day(SealedObject(key("2026-10-01", name), MD5, 100, "") for name in "AB")
    with file.open(replica(), "b") as ledger:
        (day,) = ledger.sealed(SHARD, "", "9").values()

        assert (day.count, day.size_bytes, day.digest, day.exact) == (2, 200, sealed.digest, True)
        assert not day.replica_exact


def test_an_object_that_is_sealed_onto_an_older_day_leaves_it_unsure_of_its_replicas(file: LedgerFile) -> None:
    with file.open(replica(), "b") as ledger:
        ledger.record([copied(key("2026-10-01", "C"))], [], now=NOW)
        ledger.seal(SHARD, "2026-11-01", limit=100)

        (day,) = ledger.sealed(SHARD, "", "9").values()
        assert (day.count, day.exact, day.replica_exact) == (3, True, False)


def test_a_day_with_an_object_whose_etag_is_unknown_is_sealed_as_not_exact(file: LedgerFile) -> None:
    with file.open(replica(), "b") as ledger:
        ledger.seal(SHARD, "2026-11-25", limit=100)

        day = ledger.sealed(SHARD, "2026-11-24", "2026-11-24")["2026-11-24"]
        assert (day.count, day.exact, day.replica_exact) == (4, False, False)


def test_quarantine_and_ticks_are_kept(file: LedgerFile) -> None:
    with file.open(replica(), "b") as ledger:
        assert {name: held.reason for name, held in ledger.quarantined().items()} == {D: "access_denied", E: "conflict"}
        assert (ledger.accepted(), ledger.uncovered()) == ({}, {})

    with file.open_readonly() as reader:
        assert [tick.report.listed for tick in reader.ticks("b", 9)] == [7]
        assert {row["type"] for row in reader.export("b")} == {"replica", "shard", "day", "object", "quarantined"}


def test_damaged_rows_do_not_keep_a_file_from_being_migrated(tmp_path: Path) -> None:
    file = made(
        tmp_path,
        "UPDATE cursors SET frontier = 7 WHERE shard = 1",
        "UPDATE days SET count = 7",
        "UPDATE objects SET size_bytes = 1 WHERE tail LIKE '%_A'",
        f"UPDATE quarantine SET attempts = 7 WHERE key = '{D}'",
    )

    with file.open(replica(), "b") as ledger:
        assert ledger.moved_aside is None
        assert ledger.shards().keys() == {shard("eu-west-1").prefix}
        assert ledger.sealed(SHARD, "", "9") == {}
        assert ledger.known(SHARD, [A, B]).keys() == {B}
        assert len(ledger.mend()) == 1
        assert ledger.quarantined().keys() == {E}


def test_a_file_of_schema_1_that_is_corrupt_is_moved_aside_and_its_entries_are_taken_over(tmp_path: Path) -> None:
    file = made(tmp_path, "DELETE FROM meta")

    with file.open(replica(), "b") as ledger:
        assert ledger.moved_aside is not None
        assert ledger.salvaged == 3
        assert (ledger.start(), ledger.quarantined().keys(), ledger.shards()) == (NOW - DAY, {D, E}, {})


def test_a_file_of_schema_1_is_not_read_before_a_tick_has_migrated_it(file: LedgerFile) -> None:
    with pytest.raises(LedgerError, match="has the older schema 1: a tick migrates it"), file.open_readonly():
        pass

    assert versions(file) == (1, "1")


def test_a_file_of_schema_2_gains_hashes_and_keeps_its_rows(tmp_path: Path) -> None:
    """Every object keeps its row as it is, without a hash; what is copied from then on has one."""
    file = made(tmp_path)
    with closing(sqlite3.connect(file.path, isolation_level=None)) as connection:
        SCHEMA.migrations[1](connection)
        connection.execute("UPDATE meta SET value = '2' WHERE name = 'schema_version'")
        connection.execute("PRAGMA user_version = 2")
    before = versions(file)

    with file.open(replica(), "b") as ledger:
        kept = ledger.known(SHARD, [A, B])
        ledger.record([copied(A)._replace(replica_etag=MD5, content="ab" * 32)], [], now=NOW)

    assert (before, versions(file)) == ((2, "2"), (5, "5"))
    with file.open(replica(), "b") as ledger:
        assert ledger.contents(SHARD, [A, B]) == {A: (MD5, 100, "ab" * 32)}
        assert ledger.known(SHARD, [B]) == {B: kept[B]}
        ledger.save_proof("AWSLogs/", "{}")
        assert (ledger.proofs(), ledger.tasks()) == ({"AWSLogs/": "{}"}, [])
