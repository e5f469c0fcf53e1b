"""Rows that stay beside their day's: of objects in quarantine, and of those that an operator has accepted."""

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
    assert ledger.known(SHARD, NAMES).keys() == {NAMES[0]}


@pytest.mark.parametrize("is_accepted", [True, False])
def test_the_rest_of_its_day_is_sealed_and_other_days_too(ledger: ReplicaLedger, *, is_accepted: bool) -> None:
    ledger.record([copied(name) for name in (*NAMES, OTHER)], [], now=NOW)
    ledger.record([altered(NAMES[0])], [], now=NOW)
    if is_accepted:
        ledger.accept(NAMES[0])

    assert ledger.seal(SHARD, LATER, limit=1000) == 3

    assert ledger.sealed(SHARD, DAY, NEXT) == {DAY: sealed(*NAMES[1:]), NEXT: sealed(OTHER)}
    assert ledger.known(SHARD, [*NAMES, OTHER])[NAMES[0]].etag == MD5


def test_a_day_of_nothing_else_is_passed_over(ledger: ReplicaLedger) -> None:
    ledger.record([copied(name) for name in (NAMES[0], OTHER)], [], now=NOW)
    ledger.record([altered(NAMES[0])], [], now=NOW)
    ledger.accept(NAMES[0])

    assert ledger.seal(SHARD, LATER, limit=1000) == 1

    assert ledger.sealed(SHARD, DAY, NEXT) == {NEXT: sealed(OTHER)}


def test_what_was_accepted_without_a_replica_has_no_row(ledger: ReplicaLedger) -> None:
    ledger.record([Failed(transfer(log_object(NAMES[0])), "archived", "")], [], now=NOW)
    ledger.record([copied(NAMES[1])], [], now=NOW)
    ledger.accept(NAMES[0])

    assert ledger.seal(SHARD, LATER, limit=1000) == 1
    assert ledger.sealed(SHARD, DAY, DAY) == {DAY: sealed(NAMES[1])}
