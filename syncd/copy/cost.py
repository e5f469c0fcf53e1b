"""Cost of copies: requests, S3's list prices, and the dollars and seconds of a plan.

The defaults are us-east-1, S3 Standard, US dollars, as published in January 2026: PUT, COPY, POST and LIST 0.005 per
1,000, GET and others 0.0004 per 1,000 ("Amazon S3 pricing", Requests & data retrievals), data transfer between two
regions 0.02 per GB (the same page, Data transfer). Prices differ by region and contract: `[prices]` overrides them.
"""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from syncd.config.tables.settings import Prices
from syncd.copy.hashes.checksums import SHA256
from syncd.copy.modes import Way
from syncd.copy.terms import Bounds
from syncd.model.bounds import part_size_for
from syncd.model.objects import LogObject, Mode, Shard, Transfer

PRICED_ON = "2026-01"
# The rate of one confined worker against real S3 is not known. This is far below its rate on loopback.
ASSUMED_OBJECTS_PER_SECOND = 500.0
# A line of one gigabit a second, for all that is streamed.
ASSUMED_BYTES_PER_SECOND = 125_000_000.0
_WRITES = frozenset(
    {
        "PutObject",
        "CopyObject",
        "ListObjectsV2",
        "CreateMultipartUpload",
        "UploadPart",
        "UploadPartCopy",
        "CompleteMultipartUpload",
    }
)
# STS is free (IAM User Guide, "Pricing for IAM"), and so are DELETE requests (Amazon S3 pricing).
_FREE = frozenset({"AssumeRole", "GetCallerIdentity", "AbortMultipartUpload"})
MESSAGES = "Messages"
"""Requests to SQS, of all kinds."""
_GIGABYTE = 1000**3
_KEYS_A_LIST = 1000
DAYS_A_MONTH = 30


class Estimate(NamedTuple):
    """Requests, dollars and seconds of a plan."""

    requests: Mapping[str, int]
    """Number by operation."""
    cost_usd: float
    seconds: float
    objects_per_second: float
    """The rate behind `seconds`."""


def requests_of(transfer: Transfer, mode: Mode, bounds: Bounds) -> dict[str, int]:
    """Return the requests of one copy by operation, as `stream` and `server_side` send them.

    This is the usual case: a new object has no replica, and its source tells a checksum. An object to compare has one
    with its SHA-256, which the source lacks, or with a CRC, which proves nothing of an altered source: then both are read.
    If both have a checksum of the same algorithm, nothing is read. Tags do not show in a listing, and cost one
    GetObjectTagging if the object has some.
    """
    size = transfer.object.size_bytes
    if mode is Mode.SERVER_SIDE and not transfer.compare_first:
        if size <= bounds.largest_copy:
            return {"CopyObject": 1}
        return {"HeadObject": 1} | _upload("UploadPartCopy", _parts(size, bounds.copy_part_size))
    parts = 1 if size <= bounds.part_size else _parts(size, bounds.part_size)
    if transfer.compare_first:
        has_crc = size >= bounds.passage_bytes and bounds.checksum != SHA256
        return {"HeadObject": 2, "GetObject": parts * 2 if has_crc else parts}
    if size <= bounds.part_size:
        return {"GetObject": 1, "PutObject": 1}
    if bounds.passage_bytes <= size <= bounds.multipart_above:
        return {"HeadObject": 1, "GetObject": 1, "PutObject": 1}
    return {"HeadObject": 2, "GetObject": parts} | _upload("UploadPart", parts)


def _parts(size_bytes: int, part_size: int) -> int:
    return -(-size_bytes // part_size_for(size_bytes, part_size))


def _upload(operation: str, parts: int) -> dict[str, int]:
    return {"CreateMultipartUpload": 1, operation: parts, "CompleteMultipartUpload": 1}


def estimate(
    way: Way,
    *,
    looking: Mapping[str, int],
    copying: Mapping[str, int],
    size_bytes: int,
    crosses_regions: bool,
    prices: Prices,
    objects_per_second: float | None,
) -> Estimate:
    """Estimate a tick with these requests for looking, and these for copying `size_bytes`.

    `objects_per_second` is a measured rate, or None. It is a rate of small objects, so a large object counts by its
    requests.
    """
    requests = Counter(looking) + Counter(copying)
    if way.signer == "role":
        # The session that writes is not the one that reads.
        requests["AssumeRole"] += 1
    cost = _cost(requests, prices)
    if crosses_regions:
        cost += size_bytes / _GIGABYTE * prices.transfer_gb
    rate = objects_per_second or ASSUMED_OBJECTS_PER_SECOND
    is_server_side = way.mode is Mode.SERVER_SIDE
    seconds = sum(copying.values()) / (1 if is_server_side else 2) / rate
    if not is_server_side:
        seconds = max(seconds, size_bytes / ASSUMED_BYTES_PER_SECOND)
    return Estimate(dict(sorted(requests.items())), cost, seconds, rate)


class Usual(NamedTuple):
    """The usual day of a job, from which a month follows."""

    objects_a_day: float
    bytes_a_day: float
    ticks_a_day: float
    lists_a_tick: float
    """Listings of the source, on average over the ticks."""
    audit_lists_a_day: float
    known: int
    """Objects that are at the destination, or will be soon."""


class Month(NamedTuple):
    """Thirty days of a job, and of `aws s3 sync` run as often as the job ticks."""

    objects: int
    size_bytes: int
    ticks: int
    requests: Mapping[str, int]
    cost_usd: float
    sync_requests: Mapping[str, int]
    """`aws s3 sync` lists both sides as a whole each time, and copies each new object with CopyObject."""
    sync_cost_usd: float


def month(usual: Usual, way: Way, bounds: Bounds, prices: Prices, *, crosses_regions: bool) -> Month:
    """Estimate a month at this usual. Storage is not counted."""
    objects, size_bytes = round(usual.objects_a_day * DAYS_A_MONTH), round(usual.bytes_a_day * DAYS_A_MONTH)
    ticks = round(usual.ticks_a_day * DAYS_A_MONTH)
    one = Transfer(Shard(""), LogObject("", "", size_bytes // max(objects, 1), 0.0), "")
    lists = ticks * usual.lists_a_tick + usual.audit_lists_a_day * DAYS_A_MONTH
    requests = Counter({name: count * objects for name, count in requests_of(one, way.mode, bounds).items()})
    requests["ListObjectsV2"] += round(lists)
    # In the middle of the month half of its objects are there.
    pages = max(1, -(-(usual.known + objects // 2) // _KEYS_A_LIST))
    sync = Counter({"ListObjectsV2": 2 * pages * ticks, "CopyObject": objects})
    transfer = size_bytes / _GIGABYTE * prices.transfer_gb if crosses_regions else 0.0
    return Month(
        objects,
        size_bytes,
        ticks,
        dict(sorted(requests.items())),
        _cost(requests, prices) + transfer,
        dict(sorted(sync.items())),
        _cost(sync, prices) + transfer,
    )


def _cost(requests: Mapping[str, int], prices: Prices) -> float:
    return sum(count / 1000 * _price(name, prices) for name, count in requests.items())


def _price(operation: str, prices: Prices) -> float:
    """Return the dollars for 1,000 of them."""
    if operation in _FREE:
        return 0.0
    if operation == MESSAGES:
        return prices.messages
    return prices.writes if operation in _WRITES else prices.reads
