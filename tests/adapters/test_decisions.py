"""The file of decisions: appended to, never relied on for a line that is not whole."""

import json
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from builders_ledger import NOW, SHARD, copied, failed, key, replica
from ledger_writing import no_room

from syncd.ledger.decisions import Decisions
from syncd.ledger.ledger import LedgerFile
from syncd.model.errors import LedgerFull, LedgerUnwritable

A, B = key("2026-11-24", "A"), key("2026-11-24", "B")
HERE, THERE = ("source", "", "", "here", ""), ("source", "", "", "there", "")


@pytest.fixture
def decisions(tmp_path: Path) -> Decisions:
    return Decisions(tmp_path / "state")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "decisions.jsonl"


def test_nothing_was_decided_before_there_is_a_file(decisions: Decisions, path: Path) -> None:
    kept = decisions.of(HERE, latest=NOW)

    assert (kept.start, kept.accepted, decisions.has_start(HERE), decisions.exists) == (None, {}, False, False)
    assert not path.parent.exists()


def test_the_latest_line_of_a_replica_wins(decisions: Decisions) -> None:
    decisions.keep_start(HERE, "b", 1000.5)
    decisions.keep_start(THERE, "c", 3000.0)
    decisions.keep_accepted(HERE, "b", "é", etag="one", storage_class="STANDARD", at=NOW)
    decisions.keep_accepted(HERE, "b", "é", etag="other", storage_class="GLACIER", at=NOW + 1)
    decisions.keep_start(HERE, "b", 2000.5)

    kept = decisions.of(HERE, latest=NOW)
    assert (kept.start, kept.accepted) == (2000.5, {"é": ("other", "GLACIER", NOW + 1)})
    assert (decisions.of(THERE, latest=NOW).start, decisions.of(THERE, latest=NOW).accepted) == (3000.0, {})


def test_a_start_from_the_future_gives_way_to_the_one_before(decisions: Decisions) -> None:
    decisions.keep_start(HERE, "b", 1000.0)
    decisions.keep_start(HERE, "b", NOW + 40 * 86400)

    assert decisions.of(HERE, latest=NOW).start == 1000.0


def test_each_line_is_ascii_json_and_the_owners_alone(decisions: Decisions, path: Path) -> None:
    decisions.keep_start(HERE, "b", 1000.0)
    decisions.keep_accepted(HERE, "b", "é\u2028\n", etag="e", storage_class="STANDARD", at=NOW)

    start, accepted = path.read_text("ascii").splitlines()
    assert json.loads(start).items() >= {"decision": "start", "job": "b", "replica": [*HERE], "instant": 1000.0}.items()
    assert json.loads(accepted)["key"] == "é\u2028\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def without_checksum(line: bytes) -> bytes:
    return json.dumps({name: value for name, value in json.loads(line).items() if name != "crc32"}).encode()


def with_other_instant(line: bytes) -> bytes:
    return line.replace(b"1000.0", b"2000.0")


def cut_short(line: bytes) -> bytes:
    return line[: len(line) // 2]


def of_zeros(line: bytes) -> bytes:
    return bytes(len(line))


def no_object(_: bytes) -> bytes:
    return b"[1]"


def not_text(line: bytes) -> bytes:
    return b"\xff" + line


DAMAGE = [without_checksum, with_other_instant, cut_short, of_zeros, no_object, not_text]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_line_costs_that_line(decisions: Decisions, path: Path, damage: Callable[[bytes], bytes]) -> None:
    decisions.keep_start(THERE, "c", 500.0)
    decisions.keep_start(HERE, "b", 1000.0)
    decisions.keep_accepted(HERE, "b", A, etag="e", storage_class="STANDARD", at=NOW)
    first, second, third = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([first, damage(second), third, b""]))

    kept = decisions.of(HERE, latest=NOW)
    assert (kept.start, kept.accepted.keys(), decisions.has_start(HERE)) == (None, {A}, False)
    assert decisions.of(THERE, latest=NOW).start == 500.0


def test_a_line_that_was_cut_short_does_not_take_the_next_along(decisions: Decisions, path: Path) -> None:
    decisions.keep_start(HERE, "b", 1000.0)
    path.write_bytes(path.read_bytes()[:-9])

    decisions.keep_start(HERE, "b", 2000.0)

    assert decisions.of(HERE, latest=NOW).start == 2000.0


def test_a_line_of_a_later_version_is_passed_over(decisions: Decisions) -> None:
    decisions.keep_start(HERE, "b", 1000.0)
    decisions._append({"decision": "start", "replica": [*HERE], "instant": "soon"})
    decisions._append({"decision": "wished", "replica": [*HERE]})

    assert decisions.of(HERE, latest=NOW).start == 1000.0


def test_a_start_that_another_process_kept_is_noticed(decisions: Decisions, tmp_path: Path) -> None:
    decisions.keep_start(THERE, "c", 1000.0)
    before = decisions.has_start(HERE)

    Decisions(tmp_path / "state").keep_start(HERE, "b", 1000.0)

    assert (before, decisions.has_start(HERE)) == (False, True)


def test_lines_written_at_once_are_all_kept(tmp_path: Path) -> None:
    def write(number: int) -> None:
        Decisions(tmp_path).keep_accepted(HERE, "b", f"key-{number}", etag="e", storage_class="STANDARD", at=NOW)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(64)))

    assert len(Decisions(tmp_path).of(HERE, latest=NOW).accepted) == 64


def test_a_line_for_which_there_is_no_room_leaves_the_file_as_it_was(decisions: Decisions, path: Path) -> None:
    decisions.keep_start(HERE, "b", 1000.0)
    before = path.read_bytes()

    with no_room(len(before) + 10), pytest.raises(LedgerFull, match="decisions"):
        decisions.keep_start(HERE, "b", 2000.0)

    assert path.read_bytes() == before


def test_a_file_that_cannot_be_written_is_told(decisions: Decisions, path: Path) -> None:
    path.mkdir(parents=True)

    with pytest.raises(LedgerUnwritable, match="decisions"):
        decisions.keep_start(HERE, "b", 2000.0)


@pytest.fixture
def file(tmp_path: Path) -> LedgerFile:
    return LedgerFile(tmp_path / "state", now=lambda: NOW)


def test_a_start_that_cannot_be_kept_is_not_set(file: LedgerFile, path: Path) -> None:
    with file.open(replica(), "b") as ledger:
        ledger.record([copied(A)], [], now=NOW)
        path.mkdir()
        with pytest.raises(LedgerUnwritable):
            ledger.set_start(1000.0)
        path.rmdir()

        assert ledger.start() is None
        assert ledger.known(SHARD, [A])


def test_an_acceptance_that_cannot_be_kept_is_not_made(file: LedgerFile, path: Path) -> None:
    with file.open(replica(), "b") as ledger:
        ledger.record([failed(A)], [], now=NOW)
        path.mkdir()
        with pytest.raises(LedgerUnwritable):
            ledger.accept(A)

        assert (ledger.quarantined().keys(), ledger.accepted()) == ({A}, {})


def test_a_start_that_stays_what_it_is_is_not_written_again(file: LedgerFile, path: Path) -> None:
    with file.open(replica(), "b") as ledger:
        ledger.set_start(1000.0)
        ledger.set_start(1000.0)
        ledger.set_start(2000.0)
    with file.open(replica(), "b"):
        pass

    assert len(path.read_bytes().splitlines()) == 1


def test_a_start_of_which_the_decisions_know_nothing_is_written_there_once(file: LedgerFile, path: Path) -> None:
    with file.open(replica(), "b") as ledger:
        ledger.set_start(1000.0)
    path.unlink()

    for _ in range(3):
        file.open(replica(), "b").close()

    assert Decisions(path.parent).of((*_parts(),), latest=NOW).start == 1000.0
    assert len(path.read_bytes().splitlines()) == 1


def _parts() -> tuple[str, ...]:
    place = replica()
    return (
        place.source_bucket,
        place.source_prefix,
        place.destination_endpoint,
        place.destination_bucket,
        place.destination_prefix,
    )
