"""Twenty SIGKILLs at random moments, after which one tick makes all whole; `make faults` sends five hundred."""

import pytest
from injection.kills import series
from injection.scene import Harm


@pytest.mark.parametrize(("seed", "mode"), [(1, "stream"), (2, "server-side")])
def test_kills_at_random_moments_lose_nothing_and_write_nothing_twice(seed: int, mode: str) -> None:
    came = series(seed, 10, mode)

    assert came.problems == []
    assert came.harm == Harm(lost=0, double=0, overwritten=0)
    assert came.kills.total() == 10
    assert set(came.kills) == {"tick", "catch-up", "run"}
