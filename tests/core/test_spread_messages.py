"""What owner and workers tell each other: exact both ways, and nothing else is taken for it."""

import json
from typing import Any

import pytest
from builders_ledger import SHARD, log_object, transfer

from syncd.model.objects import Failed
from syncd.model.reports import Counts, TaskState
from syncd.model.sealed import SealedDay
from syncd.spread.messages import (
    LONGEST_RESULT_BYTES,
    MOST_HELD_TOLD,
    TaskMessage,
    UnreadableMessage,
    read_result,
    read_task,
    result_text,
)

TASK = TaskMessage(
    task="t",
    job="a",
    replica="x to y",
    terms="e" * 32,
    token="a" * 32,
    shard=SHARD,
    first="2024-03-01",
    last="2024-03-31",
)
DAY = SealedDay(2, 2**62, 2**63 - 1, exact=True, replica_digest=7, replica_exact=False)
COUNTS = Counts(copied=2, copied_bytes=200, requests={"GetObject": 2}, skipped={"sealed": 1})


def held(name: str, detail: str = "GetObject was refused") -> Failed:
    return Failed(transfer(log_object(f"{SHARD.prefix}2024/03/01/{name}")), "access_denied", detail)


def changed(text: str, **changes: Any) -> str:
    return json.dumps({**json.loads(text), **changes})


def test_a_result_arrives_as_it_was_told() -> None:
    text = result_text(TASK, TaskState.PARTIAL, COUNTS, {"2024-03-01": DAY}, [held("ü+ %41")])

    result = read_result(text).result(SHARD, "replica/")

    assert (result.task, result.state, result.counts) == ("t", TaskState.PARTIAL, COUNTS)
    assert result.days == {"2024-03-01": DAY}
    (item,) = result.held
    assert item.transfer.object == held("ü+ %41").transfer.object
    assert item.transfer.destination_key == f"replica/{SHARD.prefix}2024/03/01/ü+ %41"


def test_what_no_message_can_hold_is_left_to_the_owner() -> None:
    many = [held(f"{number}") for number in range(MOST_HELD_TOLD + 1)]
    long = [held("x" * 900 + str(number), "y" * 5000) for number in range(900)]

    for some in (many, long):
        text = result_text(TASK, TaskState.PARTIAL, COUNTS, {"2024-03-01": DAY}, some)
        result = read_result(text)
        assert (result.outcome, result.days, result.held) == ("own", {}, [])
        assert len(text.encode()) < LONGEST_RESULT_BYTES


def test_a_task_is_small_and_names_no_credential_and_no_role() -> None:
    text = TASK.model_dump_json()

    assert read_task(text) == TASK
    assert len(text) < 450
    assert json.loads(text).keys() == {"v", "task", "job", "replica", "token", "terms", "shard", "first", "last"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"v": 2}, "v: "),
        ({"first": "2024-02-30"}, "first: "),
        ({"first": "2024-3-1"}, "first: "),
        ({"last": "2024-02-01"}, "before its first"),
        ({"shard": ["a"]}, "shard"),
        ({"job": 7}, "job: "),
    ],
)
def test_what_is_no_task_is_refused_with_a_reason(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(UnreadableMessage, match=why):
        read_task(changed(TASK.model_dump_json(), **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"days": {"2024-03-01": [1, 2, 3]}},
        {"days": {"2024-03-01": [-1, 0, 0, True, 0, True]}},
        {"days": {"2024-03-01": [1, 0, 2**63, True, 0, True]}},
        {"days": {"march": [1, 0, 0, True, 0, True]}},
        {"outcome": "sent"},
        {"held": [{"key": "x"}]},
        {"counts": {"copied": "many"}},
    ],
)
def test_what_is_no_result_is_refused(changes: dict[str, Any]) -> None:
    text = result_text(TASK, TaskState.OK, COUNTS, {}, [])

    with pytest.raises(UnreadableMessage):
        read_result(changed(text, **changes))


def test_counts_that_this_version_does_not_know_are_left_out() -> None:
    text = changed(result_text(TASK, TaskState.OK, COUNTS, {}, []), counts={"copied": 1, "later": 2, "requests": 3})

    assert read_result(text).result(SHARD, "").counts == Counts(copied=1)
