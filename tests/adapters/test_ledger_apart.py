"""Objects in quarantine and their sealed days: each is counted once, whoever found it, accepted or not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from builders_ledger import MD5, NOW, SHARD, copied, key, log_object, replica, sealed, transfer

from syncd.ledger.ledger import LedgerFile, ReplicaLedger
from syncd.model.objects import Conflict, Failed

DAY, NEXT, LATER = "2024-03-01", "2024-03-02", "2026-01-01"
NAMES = [key(DAY, f"{number}") for number in range(3)]
OTHER = key(NEXT, "0")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[ReplicaLedger]:
    with LedgerFile(tmp_path, now=lambda: NOW).open(replica(), "job") as opened:
        yield opened


def altered(name: str) -> Conflict:
    return Conflict(transfer(log_object(name)), "it has other bytes")


def test_an_accepted_conflict_that_the_day_counts_is_not_counted_twice(ledger: ReplicaLedger) -> None:
    ledger.record([copied(name) for name in NAMES], [], now=NOW)
    ledger.seal(SHARD, LATER, limit=1000)
    ledger.record([altered(NAMES[0])], [], now=NOW)  # found by a proof, which leaves the day sealed

    assert ledger.accept(NAMES[0]) == 1
    ledger.seal(SHARD, LATER, limit=1000)

    assert ledger.sealed(SHARD, DAY, DAY) == {DAY: sealed(*NAMES)}
    assert ledger.known(SHARD, NAMES) == {}
    assert ledger.accepted().keys() == {NAMES[0]}


@pytest.mark.parametrize("was_copied", [True, False])
@pytest.mark.parametrize("is_sealed", [True, False])
def test_an_accepted_conflict_that_the_day_does_not_count_is_counted_once(
    ledger: ReplicaLedger, *, was_copied: bool, is_sealed: bool
) -> None:
    """A tick found it: its row stays beside the others', or there is none, since it was not this job's replica."""
    ledger.record([copied(name) for name in (*NAMES[not was_copied :], OTHER)], [], now=NOW)
    ledger.record([altered(NAMES[0])], [], now=NOW)
    if is_sealed:
        assert ledger.seal(SHARD, LATER, limit=1000) == 3
        assert ledger.sealed(SHARD, DAY, NEXT) == {DAY: sealed(*NAMES[1:]), NEXT: sealed(OTHER)}
        assert ledger.known(SHARD, NAMES)[NAMES[0]].etag == MD5

    ledger.accept(NAMES[0])
    ledger.seal(SHARD, LATER, limit=1000)

    assert ledger.sealed(SHARD, DAY, DAY)[DAY].count == len(NAMES)
    assert ledger.known(SHARD, NAMES) == {}


def test_a_day_of_nothing_but_held_objects_is_passed_over(ledger: ReplicaLedger) -> None:
    ledger.record([copied(name) for name in (NAMES[0], OTHER)], [], now=NOW)
    ledger.record([altered(NAMES[0])], [], now=NOW)

    assert ledger.seal(SHARD, LATER, limit=1000) == 1

    assert ledger.sealed(SHARD, DAY, NEXT) == {NEXT: sealed(OTHER)}


def test_what_is_held_and_has_no_replica_has_no_row(ledger: ReplicaLedger) -> None:
    ledger.record([Failed(transfer(log_object(NAMES[0])), "archived", "")], [], now=NOW)
    ledger.record([copied(NAMES[1])], [], now=NOW)
    assert ledger.seal(SHARD, LATER, limit=1000) == 1
    ledger.accept(NAMES[0])
    ledger.seal(SHARD, LATER, limit=1000)

    assert ledger.sealed(SHARD, DAY, DAY) == {DAY: sealed(NAMES[1])}
    assert ledger.known(SHARD, NAMES) == {}
