"""What a copy costs: list prices of S3, and what a plan of so many requests and bytes comes to.

The defaults are us-east-1, S3 Standard, US dollars, as published in January 2026: PUT, COPY, POST and LIST 0.005 per
1,000, GET and others 0.0004 per 1,000 ("Amazon S3 pricing", Requests & data retrievals), data transfer between two
regions 0.02 per GB (the same page, Data transfer). Prices differ by region and contract: `[prices]` overrides them.
"""

from collections.abc import Mapping
from typing import NamedTuple

from syncd.tables import Prices

PRICED_ON = "2026-01"
# What one confined worker was seen to do against real S3 is not known; this is far below what it does on loopback.
ASSUMED_OBJECTS_PER_SECOND = 500.0
_WRITES = frozenset(
    {"PutObject", "CopyObject", "ListObjectsV2", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"}
)
_GIGABYTE = 1000**3


class Estimate(NamedTuple):
    """What a plan comes to."""

    requests: Mapping[str, int]
    """By operation."""
    cost_usd: float
    seconds: float
    objects_per_second: float
    """The rate that `seconds` rests on."""


def estimate(
    *,
    objects: int,
    size_bytes: int,
    lists: int,
    is_server_side: bool,
    crosses_regions: bool,
    prices: Prices,
    objects_per_second: float | None,
) -> Estimate:
    """The requests, dollars and seconds of copying so much; `objects_per_second` is a measured rate, None where there is none."""
    requests = {"CopyObject": objects} if is_server_side else {"GetObject": objects, "PutObject": objects}
    requests["ListObjectsV2"] = lists
    thousands = {operation: count / 1000 for operation, count in requests.items()}
    cost = sum(count * (prices.writes if name in _WRITES else prices.reads) for name, count in thousands.items())
    if crosses_regions:
        cost += size_bytes / _GIGABYTE * prices.transfer_gb
    rate = objects_per_second or ASSUMED_OBJECTS_PER_SECOND
    return Estimate(requests, cost, objects / rate, rate)
