"""What the parent and a worker tell each other of a transfer and its outcome comes over whole."""

import pytest
from builders_copy import SHARD, listed

from syncd.copy.workers.messages import outcome_of, parcel_of, result_of, transfer_of
from syncd.model.objects import AlreadyThere, Conflict, Copied, Failed, Outcome, Transfer

ITEM = listed("logs/a", b"one log")


@pytest.mark.parametrize("compare_first", [False, True])
@pytest.mark.parametrize("is_changed", [False, True])
def test_a_transfer_comes_over_with_all_that_a_copy_needs(*, compare_first: bool, is_changed: bool) -> None:
    transfer = Transfer(SHARD, ITEM, "replica/logs/a", compare_first, is_changed)

    told = transfer_of(parcel_of(7, transfer))

    assert told._replace(shard=SHARD) == transfer


TRANSFER = Transfer(SHARD, ITEM, "replica/logs/a")


@pytest.mark.parametrize(
    "outcome",
    [
        Copied(TRANSFER, "ours"),
        Copied(TRANSFER, ""),
        AlreadyThere(TRANSFER, "theirs"),
        Conflict(TRANSFER, "other bytes"),
        Failed(TRANSFER, "timeout", "no answer"),
    ],
)
def test_an_outcome_comes_over_with_all_that_was_told(outcome: Outcome) -> None:
    result = result_of(7, outcome)

    assert result[0] == 7
    assert outcome_of(result, TRANSFER) == outcome
