"""What a copy requests, and what a plan comes to."""

from collections import Counter
from collections.abc import Callable
from threading import Event

import pytest
from builders_copy import (
    MISSING,
    SHARD,
    head_of,
    ok,
    refused,
    sha256_of,
    terms,
)

from syncd.aws.s3 import Answer, Request, Side
from syncd.config.tables.settings import Prices
from syncd.copy.cost import ASSUMED_BYTES_PER_SECOND, ASSUMED_OBJECTS_PER_SECOND, estimate, requests_of
from syncd.copy.modes import STREAM, Way
from syncd.copy.server_side import server_side
from syncd.copy.stream import stream
from syncd.copy.terms import Bounds, Copy, Steps
from syncd.job.planning import PlannedCopies, planned_way
from syncd.model.objects import AlreadyThere, Copied, LogObject, Mode, Outcome, Transfer

# Parts of 4 bytes above 8, at the server of 3 above 6.
AGREED = terms(multipart_above=8, part_size=4)._replace(largest_copy=6, copy_part_size=3)
SIZES = [0, 1, 4, 6, 7, 8, 9, 12, 13, 40]
BY_CONSUMER, BY_ROLE = Way(Mode.SERVER_SIDE, "consumer"), Way(Mode.SERVER_SIDE, "role")
BEGINS: dict[Mode, Callable[[Copy], Steps]] = {Mode.STREAM: stream, Mode.SERVER_SIDE: server_side}


def sized(size: int, *, compare_first: bool = False) -> Transfer:
    return Transfer(SHARD, LogObject("logs/a", "e1", size, 0.0), "replica/logs/a", compare_first)


def answered(request: Request, body: bytes, replica: bytes | None) -> Answer:
    """As S3 would: the source is `body`, the replica another object in one piece, or none."""
    match request.operation, request.side:
        case "GetObject", Side.SOURCE:
            first, _, last = dict(request.headers).get("range", f"bytes=0-{len(body)}")[6:].partition("-")
            return ok(body[int(first) : int(last) + 1], etag='"e1"')
        case "HeadObject", Side.SOURCE:
            return head_of(body)
        case "HeadObject", Side.DESTINATION:
            return MISSING if replica is None else head_of(replica, x_amz_checksum_sha256=sha256_of(replica))
        case "CreateMultipartUpload", _:
            return ok(b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
        case "UploadPartCopy", _:
            return ok(b"<CopyPartResult><ETag>x</ETag></CopyPartResult>")
        case "CompleteMultipartUpload" | "CopyObject" as operation, _:
            return ok(f"<{operation}Result><ETag>x</ETag></{operation}Result>".encode())
        case "PutObject" | "UploadPart", _:
            return ok(etag='"x"')
    return refused(501)


def sent(transfer: Transfer, mode: Mode, *, replica: bytes | None = None) -> tuple[Counter[str], Outcome]:
    """What the copy itself sends, by operation."""
    body = bytes(transfer.object.size_bytes)
    steps = BEGINS[mode](Copy(transfer, AGREED))
    requests: Counter[str] = Counter()
    request = next(steps)
    while True:
        requests[request.operation] += 1
        try:
            request = steps.send(answered(request, body, replica))
        except StopIteration as done:
            return requests, done.value


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", Mode)
def test_what_a_new_object_is_reckoned_to_request_is_what_its_copy_sends(mode: Mode, size: int) -> None:
    requests, outcome = sent(sized(size), mode)

    assert isinstance(outcome, Copied)
    assert requests_of(sized(size), mode, AGREED.bounds) == requests


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", Mode)
def test_what_a_comparison_is_reckoned_to_request_is_what_it_sends(mode: Mode, size: int) -> None:
    requests, outcome = sent(sized(size, compare_first=True), mode, replica=bytes(size))

    assert isinstance(outcome, AlreadyThere)
    assert requests_of(sized(size, compare_first=True), mode, AGREED.bounds) == requests


def test_a_plan_adds_up_what_each_object_requests() -> None:
    copies = PlannedCopies("stream", lambda transfer: requests_of(transfer, Mode.STREAM, AGREED.bounds))

    list(copies.copy_all(iter([sized(1), None, sized(9)]), stop=Event()))

    assert (copies.objects, copies.size_bytes) == (2, 10)
    assert copies.requests == {
        "GetObject": 4,
        "PutObject": 1,
        "HeadObject": 2,
        "CreateMultipartUpload": 1,
        "UploadPart": 3,
        "CompleteMultipartUpload": 1,
    }


@pytest.mark.parametrize(
    ("ways", "verdict", "expected"),
    [
        ([STREAM], None, STREAM),
        ([BY_CONSUMER, BY_ROLE, STREAM], None, STREAM),
        ([BY_CONSUMER, BY_ROLE, STREAM], ("server-side:role", "it works"), BY_ROLE),
        # The job has been changed since.
        ([STREAM], ("server-side:role", "it works"), STREAM),
        ([BY_CONSUMER], ("stream", "it is refused"), BY_CONSUMER),
    ],
)
def test_a_plan_reckons_with_the_way_that_the_next_tick_takes(
    ways: list[Way], verdict: tuple[str, str] | None, expected: Way
) -> None:
    assert planned_way(ways, verdict) == expected


def test_a_million_streamed_objects_within_a_region_cost_what_their_requests_cost() -> None:
    made = estimate(
        STREAM,
        looking={"AssumeRole": 1, "ListObjectsV2": 1000},
        copying={"GetObject": 1_000_000, "PutObject": 1_000_000},
        size_bytes=10**9,
        crosses_regions=False,
        prices=Prices(),
        objects_per_second=2000.0,
    )

    assert dict(made.requests) == {
        "AssumeRole": 1,
        "GetObject": 1_000_000,
        "ListObjectsV2": 1000,
        "PutObject": 1_000_000,
    }
    assert made.cost_usd == pytest.approx(5.0 + 0.4 + 0.005)
    assert made.seconds == 500


def test_a_server_side_copy_between_regions_costs_one_request_each_and_the_transfer() -> None:
    made = estimate(
        BY_CONSUMER,
        looking={"ListObjectsV2": 1},
        copying={"CopyObject": 1000},
        size_bytes=10**9,
        crosses_regions=True,
        prices=Prices(writes=1.0, reads=9.0, transfer_gb=0.5),
        objects_per_second=None,
    )

    assert dict(made.requests) == {"CopyObject": 1000, "ListObjectsV2": 1}
    assert made.cost_usd == pytest.approx(1.0 + 0.001 + 0.5)
    assert made.seconds == 1000 / ASSUMED_OBJECTS_PER_SECOND


def test_each_type_of_request_has_its_price() -> None:
    writes = ("PutObject", "CopyObject", "ListObjectsV2", "CreateMultipartUpload", "UploadPart", "UploadPartCopy")
    prices = dict.fromkeys((*writes, "CompleteMultipartUpload"), 5.0)
    prices |= {"GetObject": 0.4, "HeadObject": 0.4, "AssumeRole": 0.0, "GetCallerIdentity": 0.0}

    costs = {
        name: estimate(
            STREAM,
            looking={},
            copying={name: 1_000_000},
            size_bytes=0,
            crosses_regions=False,
            prices=Prices(),
            objects_per_second=None,
        ).cost_usd
        for name in prices
    }

    assert costs == pytest.approx(prices)


def test_the_session_that_the_role_writes_with_is_one_more() -> None:
    made = estimate(
        BY_ROLE,
        looking={"AssumeRole": 1},
        copying={},
        size_bytes=0,
        crosses_regions=False,
        prices=Prices(),
        objects_per_second=None,
    )

    assert dict(made.requests) == {"AssumeRole": 2}


def test_large_objects_take_the_time_of_their_requests_and_of_their_bytes() -> None:
    def seconds(size_bytes: int, way: Way) -> float:
        return estimate(
            way,
            looking={},
            copying={"GetObject": 600, "UploadPart": 600, "HeadObject": 400, "CreateMultipartUpload": 400},
            size_bytes=size_bytes,
            crosses_regions=False,
            prices=Prices(),
            objects_per_second=10.0,
        ).seconds

    assert (seconds(0, STREAM), seconds(0, BY_CONSUMER)) == (100.0, 200.0)
    assert seconds(10**12, STREAM) == 10**12 / ASSUMED_BYTES_PER_SECOND
    assert seconds(10**12, BY_CONSUMER) == 200.0


def test_the_server_copies_in_parts_of_a_gibibyte_above_five_gigabytes() -> None:
    bounds = Bounds(multipart_above=16 * 1024**2, part_size=8 * 1024**2)

    whole, larger = (requests_of(sized(size), Mode.SERVER_SIDE, bounds) for size in (5 * 10**9, 5 * 10**9 + 1))

    assert whole == {"CopyObject": 1}
    assert larger == {"HeadObject": 1, "CreateMultipartUpload": 1, "UploadPartCopy": 5, "CompleteMultipartUpload": 1}
