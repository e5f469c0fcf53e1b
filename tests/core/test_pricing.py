"""What a plan comes to."""

import pytest

from syncd.pricing import ASSUMED_OBJECTS_PER_SECOND, estimate
from syncd.tables import Prices


def test_a_million_streamed_objects_within_a_region_cost_what_their_requests_cost() -> None:
    made = estimate(
        objects=1_000_000,
        size_bytes=10**12,
        lists=1000,
        is_server_side=False,
        crosses_regions=False,
        prices=Prices(),
        objects_per_second=2000.0,
    )

    assert dict(made.requests) == {"GetObject": 1_000_000, "PutObject": 1_000_000, "ListObjectsV2": 1000}
    assert made.cost_usd == pytest.approx(5.0 + 0.4 + 0.005)
    assert made.seconds == 500


def test_a_server_side_copy_between_regions_costs_one_request_each_and_the_transfer() -> None:
    made = estimate(
        objects=1000,
        size_bytes=10**9,
        lists=1,
        is_server_side=True,
        crosses_regions=True,
        prices=Prices(writes=1.0, reads=9.0, transfer_gb=0.5),
        objects_per_second=None,
    )

    assert dict(made.requests) == {"CopyObject": 1000, "ListObjectsV2": 1}
    assert made.cost_usd == pytest.approx(1.0 + 0.001 + 0.5)
    assert made.seconds == 1000 / ASSUMED_OBJECTS_PER_SECOND
