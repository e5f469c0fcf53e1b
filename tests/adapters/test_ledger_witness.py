"""The witness of a sealed day: the content of its replicas, as it was hashed while they were copied."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from builders_ledger import MD5, NOW, SHARD, copied, key, replica
from hypothesis import given
from hypothesis import strategies as st

from syncd.ledger.ledger import LedgerFile
from syncd.model.objects import Outcome
from syncd.model.sealed import NO_WITNESS, witnessed

DAY, BEFORE = "2026-11-24", "2026-11-25"
A, B, C = (key(DAY, name) for name in "ABC")


def hashed(name: str) -> Outcome:
    return copied(name)._replace(content=f"{ord(name[-9]):064x}")


def witness(*names: str) -> int:
    found = NO_WITNESS
    for name in names:
        found = witnessed(found, name, 100, MD5, f"{ord(name[-9]):064x}")
    return found


def sealed(directory: Path, *parts: Sequence[Outcome]) -> int | None:
    """The day's witness, once each part was recorded and sealed after the one before."""
    with LedgerFile(directory, now=lambda: NOW).open(replica(), "b") as ledger:
        for part in parts:
            ledger.record(part, [], now=NOW)
            ledger.seal(SHARD, BEFORE, limit=1000)
    with LedgerFile(directory, now=lambda: NOW).open(replica(), "b") as ledger:
        return ledger.witness(SHARD, DAY)


def test_a_day_has_the_same_witness_however_its_objects_were_folded(tmp_path: Path) -> None:
    at_once = sealed(tmp_path / "once", [hashed(A), hashed(B), hashed(C)])
    later = sealed(tmp_path / "later", [hashed(C)], [hashed(A), hashed(B)])

    assert at_once == later == witness(B, C, A)


def test_one_object_without_a_hash_leaves_its_day_without_a_witness(tmp_path: Path) -> None:
    assert sealed(tmp_path / "never", [hashed(A), copied(B)]) is None
    assert sealed(tmp_path / "first", [copied(B)], [hashed(A)]) is None
    assert sealed(tmp_path / "later", [hashed(A)], [copied(B)], [hashed(C)]) is None


def test_a_day_that_is_unsealed_has_no_witness_until_it_is_sealed_again(tmp_path: Path) -> None:
    sealed(tmp_path, [hashed(A), hashed(B)])
    with LedgerFile(tmp_path, now=lambda: NOW).open(replica(), "b") as ledger:
        ledger.unseal(SHARD, [DAY])
        assert ledger.witness(SHARD, DAY) is None

    assert sealed(tmp_path, [hashed(A)]) == witness(A)


Facts: TypeAlias = list[tuple[str, int, str, str]]
FACTS = st.lists(
    st.tuples(st.text(max_size=8), st.integers(0, 2**40), st.text(max_size=4), st.text("0123456789abcdef")), max_size=5
)


def folded(facts: Facts) -> int:
    found = NO_WITNESS
    for values in facts:
        found = witnessed(found, *values)
    return found


@given(FACTS, FACTS, st.randoms(use_true_random=False))
def test_days_have_the_same_witness_only_if_their_replicas_are_the_same(
    one: Facts, other: Facts, chance: random.Random
) -> None:
    shuffled = list(one)
    chance.shuffle(shuffled)

    assert folded(one) == folded(shuffled)
    assert (folded(one) == folded(other)) == (sorted(one) == sorted(other))
