"""How large an object may be, and its parts; all of it told before the first byte."""

import pytest
from builders_copy import listed, terms, transfer_of
from hypothesis import given
from hypothesis import strategies as st

from syncd.copy.stream import stream
from syncd.copy.terms import Copy
from syncd.model.bounds import LARGEST_PART, MOST_PARTS, Quota, part_size_for, refusal
from syncd.model.objects import Failed
from syncd.model.units import LARGEST_SIZE

MIB = 1024**2
GIB = 1024**3
TIB = 1024**4


@given(size=st.integers(0, LARGEST_SIZE), configured=st.integers(5 * MIB, LARGEST_PART))
def test_no_object_that_s3_holds_has_more_parts_than_s3_takes(size: int, configured: int) -> None:
    part = part_size_for(size, configured)

    assert configured <= part <= LARGEST_PART
    if size <= LARGEST_PART * MOST_PARTS:
        assert -(-size // part) <= MOST_PARTS


@pytest.mark.parametrize(
    ("size", "part"),
    [(0, 8 * MIB), (80_000 * MIB, 8 * MIB), (80_000 * MIB + 1, 9 * MIB), (TIB, 105 * MIB), (5 * TIB, 525 * MIB)],
)
def test_parts_grow_only_where_they_must_and_by_whole_mib(size: int, part: int) -> None:
    assert part_size_for(size, 8 * MIB) == part


@pytest.mark.parametrize(
    ("size", "why"),
    [
        (400 * GIB, ""),
        (410 * GIB, ""),
        (411 * GIB, "it has 441307889664 bytes, so its 10000 parts have 43MiB each, and engine.memory is 128MiB"),
        (TIB, "it has 1099511627776 bytes, so its 10000 parts have 105MiB each, and engine.memory is 128MiB"),
        (49 * TIB, "it has 53876069761024 bytes, more than 10000 parts of 5GiB"),
    ],
)
def test_an_object_is_refused_where_its_parts_do_not_fit(size: int, why: str) -> None:
    assert refusal(size, max_object=None, part_size=8 * MIB, memory_bytes=128 * MIB) == why


def test_copies_that_s3_makes_itself_need_no_memory() -> None:
    assert refusal(TIB, max_object=None, part_size=8 * MIB, memory_bytes=None) == ""


def test_an_object_beyond_max_object_is_refused_and_one_of_that_size_is_not() -> None:
    sizes = {size: refusal(size, max_object=GIB, part_size=8 * MIB, memory_bytes=None) for size in (GIB, GIB + 1)}

    assert sizes == {GIB: "", GIB + 1: "it has 1073741825 bytes, and source.max_object is 1GiB"}


def test_an_object_that_is_refused_sends_no_request() -> None:
    transfer = transfer_of(listed("logs/large", size=2 * GIB))
    steps = stream(Copy(transfer, terms()._replace(max_object=GIB)))

    with pytest.raises(StopIteration) as ended:
        next(steps)

    detail = "s3://example-trail/logs/large: it has 2147483648 bytes, and source.max_object is 1GiB"
    assert ended.value.value == Failed(transfer, "object_too_large", detail)


def test_what_a_large_object_holds_is_reckoned_by_its_own_parts() -> None:
    agreed = terms(multipart_above=16 * MIB, part_size=8 * MIB)

    assert agreed.held_bytes(TIB) == 3 * 105 * MIB
    assert agreed.held_bytes(GIB) == 3 * 8 * MIB


def test_a_quota_ends_and_none_does_not() -> None:
    bounded, unbounded = Quota(2), Quota(None)

    assert [bounded.take() for _ in range(4)] == [True, True, False, False]
    assert all(unbounded.take() for _ in range(1000))
