"""Listing over HTTP: how many at once, what is asked, what is made of refusals and lies, and sessions that end."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from builders_copy import SOURCE, A, Ends, address_of, user_of
from fakes import MemoryPrincipal
from faulty import Body, Call, DropConnection, ErrorIn200, FaultyS3, Request, Stall, Status
from waiting import wait_until

from syncd.aws.endpoint import Endpoint
from syncd.aws.listing import BucketLister
from syncd.aws.s3 import Side
from syncd.aws.wire.signing import Credentials
from syncd.model.errors import Interrupted, JobFailed
from syncd.model.objects import Page, Range, Shard

LOGS = Shard("logs/")
EXPIRED = Status(400, "ExpiredToken", "The provided token has expired.")


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(2)
    yield pool
    # Not waited for: in a test that failed they may wait for the server, which is closed after this.
    pool.shutdown(wait=False)


def ends_with(server: FaultyS3, count: int, **more: Any) -> Ends:
    ends = Ends(server, **more)
    for number in range(count):
        server.put(SOURCE, f"logs/{number:05}", b"")
    return ends


def pages(lister: BucketLister, *ranges: Range) -> list[Page]:
    return [page for page in lister.pages(ranges) if page is not None]


def keys(found: list[Page]) -> list[str]:
    return [item.key for page in found for item in page.objects]


def numbered(count: int) -> list[str]:
    return [f"logs/{number:05}" for number in range(count)]


def renewing(server: FaultyS3, *, count: int = 2, last: JobFailed | None = None) -> MemoryPrincipal:
    credentials: list[Credentials | JobFailed] = [user_of(server, A).current() for _ in range(count)]
    return MemoryPrincipal("arn:aws:iam::111111111111:role/reader", [*credentials, *([last] if last else [])])


# What is asked


def test_a_thousand_keys_are_asked_for_with_the_owner_and_the_exact_prefix(faulty: FaultyS3) -> None:
    ends = ends_with(faulty, 3)

    pages(ends.lister(), Range(LOGS, "logs/00000"))

    (request,) = faulty.requests
    assert (request.operation, request.bucket) == ("ListObjectsV2", SOURCE)
    assert request.headers["x-amz-expected-bucket-owner"] == A
    assert request.query == {
        "list-type": "2",
        "encoding-type": "url",
        "max-keys": "1000",
        "prefix": "logs/",
        "start-after": "logs/00000",
    }


def test_a_range_of_several_pages_is_asked_for_page_by_page_and_counted(faulty: FaultyS3) -> None:
    ends = ends_with(faulty, 2500)

    found = pages(ends.lister(), Range(LOGS, "logs/"))

    assert keys(found) == numbered(2500)
    assert ends.requests == {"ListObjectsV2": 3}
    asked = [{"start-after", "continuation-token"} & request.query.keys() for request in faulty.requests]
    assert asked == [{"start-after"}, {"continuation-token"}, {"continuation-token"}]


def test_nothing_is_asked_beyond_the_end_of_a_range(faulty: FaultyS3) -> None:
    ends = ends_with(faulty, 2500)

    pages(ends.lister(), Range(LOGS, "", "logs/00500"))

    assert faulty.count("ListObjectsV2") == 1


def test_a_folder_is_asked_for_with_a_delimiter(faulty: FaultyS3) -> None:
    ends = ends_with(faulty, 0)

    list(ends.lister().folders(["logs/"]))

    assert faulty.requests[0].query["delimiter"] == "/"


def test_the_bucket_of_another_owner_is_refused(faulty: FaultyS3) -> None:
    ends = ends_with(faulty, 1)
    foreign = Endpoint(
        SOURCE, "999999999999", ends.source.address, ends.source.principal, ends.transport, ends.requests
    )

    with pytest.raises(JobFailed) as caught:
        pages(BucketLister(foreign, Side.SOURCE, now=time.time), Range(LOGS, ""))

    assert caught.value.reason == "access_denied"


# Several at once


def test_eight_ranges_are_listed_at_once_and_no_more(faulty: FaultyS3, threads: ThreadPoolExecutor) -> None:
    ends = ends_with(faulty, 0)
    go_on = threading.Event()
    fault = faulty.faults.add("ListObjectsV2", Stall(go_on))
    ranges = [Range(Shard(f"{number}/"), "") for number in range(24)]
    listing = threads.submit(pages, ends.lister(), *ranges)
    wait_until(lambda: fault.hits == 8, what="the first listings")

    go_on.set()

    assert {page.range for page in listing.result()} == set(ranges)
    assert faulty.peak_in_flight == 8


def test_a_lister_that_was_stopped_begins_nothing_and_says_so(faulty: FaultyS3) -> None:
    ends = ends_with(faulty, 1)
    stop = threading.Event()
    stop.set()
    lister = BucketLister(ends.source, Side.SOURCE, now=time.time, stop=stop)

    with pytest.raises(Interrupted):
        pages(lister, Range(LOGS, ""))
    with pytest.raises(Interrupted):
        list(lister.folders(["logs/"]))

    assert faulty.requests == ()


def test_a_lister_that_is_stopped_waits_for_no_answer(faulty: FaultyS3) -> None:
    ends = ends_with(faulty, 1)
    stop = threading.Event()
    faulty.faults.add("ListObjectsV2", Call(lambda _: stop.set()))
    faulty.faults.add("ListObjectsV2", Stall())

    with pytest.raises(Interrupted):
        pages(BucketLister(ends.source, Side.SOURCE, now=time.time, stop=stop), Range(LOGS, ""))

    assert faulty.count("ListObjectsV2") == 1


def test_ranges_are_taken_only_as_there_is_room(faulty: FaultyS3) -> None:
    ends = ends_with(faulty, 0)
    taken: list[int] = []

    def ranges() -> Iterator[Range]:
        for number in range(100):
            taken.append(number)
            yield Range(Shard(f"{number}/"), "")

    next(page for page in ends.lister().pages(ranges()) if page is not None)

    assert len(taken) <= 9


def test_the_next_page_is_on_its_way_while_the_last_is_looked_at(faulty: FaultyS3) -> None:
    ends = ends_with(faulty, 2500)
    found = (page for page in ends.lister().pages([Range(LOGS, "")]) if page is not None)

    next(found)

    wait_until(lambda: faulty.count("ListObjectsV2") == 2, what="the second page's request")
    assert keys(list(found)) == numbered(2500)[1000:]


def test_none_is_said_while_there_is_nothing_so_that_other_work_goes_on(faulty: FaultyS3) -> None:
    ends = ends_with(faulty, 1)
    go_on = threading.Event()
    faulty.faults.add("ListObjectsV2", Stall(go_on))
    found = ends.lister().pages([Range(LOGS, "")])

    first = next(found)
    go_on.set()

    assert first is None
    assert next(page for page in found if page is not None).is_last


def test_the_time_of_a_listing_is_that_of_its_first_request(faulty: FaultyS3) -> None:
    ends = ends_with(faulty, 1500)
    clock = iter([4e9 + 10, 4e9 + 20])

    found = pages(ends.lister(now=lambda: next(clock)), Range(LOGS, ""), Range(LOGS, "logs/01000"))

    times = {page.range.start_after: page.requested_at for page in found}
    assert times == {"": 4e9 + 10, "logs/01000": 4e9 + 20}


# Refusals and lies


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (Status(403, "AccessDenied", "not authorized to perform: s3:ListBucket"), "access_denied"),
        (Status(403, "InvalidAccessKeyId"), "invalid_credentials"),
        (Status(403, "SignatureDoesNotMatch"), "wrong_secret_key"),
        (Status(403, "AllAccessDisabled"), "account_problem"),
        (Status(404, "NoSuchBucket"), "no_such_bucket"),
        (Status(301, "PermanentRedirect"), "wrong_region"),
        (Status(400, "AuthorizationHeaderMalformed"), "wrong_region"),
        (Status(400, "InvalidArgument"), "unexpected_answer"),
        (Status(501, "NotImplemented"), "unsupported"),
        (Status(429, "TooManyRequests"), "slow_down"),
    ],
)
def test_a_listing_that_is_refused_fails_the_job_with_its_reason(faulty: FaultyS3, action: Status, reason: str) -> None:
    ends = ends_with(faulty, 1)
    faulty.faults.add("ListObjectsV2", action)

    with pytest.raises(JobFailed) as caught:
        pages(ends.lister(), Range(LOGS, ""))

    assert caught.value.reason == reason
    assert caught.value.remedy
    named = f"ListObjectsV2 by {ends.source.principal.name} of s3://{SOURCE}/logs/: {action.code}: {action.message}"
    assert caught.value.detail == named


def test_a_signature_for_another_region_names_the_wrong_region(faulty: FaultyS3) -> None:
    ends = ends_with(faulty, 1)
    address = address_of(faulty.url, SOURCE, "eu-west-1")
    end = Endpoint(SOURCE, A, address, ends.source.principal, ends.transport, ends.requests)

    with pytest.raises(JobFailed) as caught:
        pages(BucketLister(end, Side.SOURCE, now=time.time), Range(LOGS, ""))

    assert caught.value.reason == "wrong_region"


def test_a_page_that_is_refused_in_the_middle_leaves_the_range_without_its_last_page(faulty: FaultyS3) -> None:
    ends = ends_with(faulty, 3500)
    faulty.faults.add(continued(2), Status(403, "AccessDenied"))
    found: list[Page] = []

    with pytest.raises(JobFailed):
        found.extend(page for page in ends.lister().pages([Range(LOGS, "")]) if page is not None)

    assert not [page for page in found if page.is_last or page.reached_end]


def continued(after: int) -> Callable[[Request], bool]:
    """Requests that continue a listing, from so many on."""
    seen: list[int] = []

    def is_meant(request: Request) -> bool:
        if request.operation != "ListObjectsV2" or "continuation-token" not in request.query:
            return False
        seen.append(request.number)
        return len(seen) >= after

    return is_meant


LIE = '<?xml version="1.0"?><ListBucketResult><IsTruncated>true</IsTruncated>{token}</ListBucketResult>'
LIES = {
    "a truncated page without a token": LIE.format(token=""),
    "a token that leads back to itself": LIE.format(token="<NextContinuationToken>t</NextContinuationToken>"),
    "a page of another kind": "<html><body>Welcome to the proxy</body></html>",
    "half a page": "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a",
    "an object without a size": "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
    "nothing": "",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_page_that_cannot_be_true_fails_the_job_and_is_no_end(faulty: FaultyS3, lie: str) -> None:
    ends = ends_with(faulty, 1)
    faulty.faults.add("ListObjectsV2", Body(LIES[lie].encode()))

    with pytest.raises(JobFailed) as caught:
        pages(ends.lister(), Range(LOGS, ""))

    assert caught.value.reason == "unexpected_answer"
    assert f"s3://{SOURCE}/logs/" in caught.value.detail


@pytest.mark.parametrize("action", [Status(503, "SlowDown"), DropConnection(), ErrorIn200()])
def test_what_passes_is_not_noticed(faulty: FaultyS3, action: Any) -> None:
    ends = ends_with(faulty, 1500)
    faulty.faults.add("ListObjectsV2", action, times=1)

    assert keys(pages(ends.lister(), Range(LOGS, ""))) == numbered(1500)


def test_a_listing_that_stalls_is_given_up_at_its_deadline(faulty: FaultyS3) -> None:
    ends = ends_with(faulty, 1, deadline_seconds=0.2)
    faulty.faults.add("ListObjectsV2", Stall())

    with pytest.raises(JobFailed) as caught:
        pages(ends.lister(), Range(LOGS, ""))

    assert caught.value.reason == "timeout"


# Sessions that end


def test_a_session_that_ends_in_the_middle_is_renewed_and_no_key_is_lost_or_listed_twice(faulty: FaultyS3) -> None:
    reader = renewing(faulty)
    ends = ends_with(faulty, 2500, reader=reader)
    first = reader.current()
    faulty.faults.add(continued(2), EXPIRED, times=1)

    found = pages(ends.lister(), Range(LOGS, ""))

    assert keys(found) == numbered(2500)
    assert reader.rejected == [first]
    assert faulty.requests[-1].access_key_id != faulty.requests[0].access_key_id


def test_listings_that_are_rejected_together_are_renewed_once(faulty: FaultyS3) -> None:
    reader = renewing(faulty, last=JobFailed("access_denied", "a third time", ""))
    ends = ends_with(faulty, 0, reader=reader)
    first = reader.current()
    faulty.faults.add(lambda request: request.access_key_id == first.access_key_id, EXPIRED)

    found = pages(ends.lister(), *(Range(Shard(f"{number}/"), "") for number in range(20)))

    assert len(found) == 20
    assert set(reader.rejected) == {first}


def test_a_session_that_stays_rejected_fails_the_job(faulty: FaultyS3) -> None:
    reader = renewing(faulty, count=10)
    ends = ends_with(faulty, 1, reader=reader)
    faulty.faults.add("ListObjectsV2", EXPIRED)

    with pytest.raises(JobFailed) as caught:
        pages(ends.lister(), Range(LOGS, ""))

    assert (caught.value.reason, faulty.count("ListObjectsV2")) == ("credentials_expired", 3)


def test_a_session_that_cannot_be_renewed_fails_the_job_with_that_reason(faulty: FaultyS3) -> None:
    refusal = JobFailed("access_denied", "AssumeRole", "")
    ends = ends_with(faulty, 1, reader=renewing(faulty, count=1, last=refusal))
    faulty.faults.add("ListObjectsV2", EXPIRED)

    with pytest.raises(JobFailed) as caught:
        pages(ends.lister(), Range(LOGS, ""))

    assert caught.value is refusal


def test_objects_that_arrive_while_the_listing_is_made_are_met_or_missed_and_nothing_else(faulty: FaultyS3) -> None:
    ends = ends_with(faulty, 1500)

    def arrive(_: Request) -> None:
        faulty.put(SOURCE, "logs/00000-late", b"")
        faulty.put(SOURCE, "logs/99999", b"")

    faulty.faults.add(continued(1), Call(arrive))

    found = keys(pages(ends.lister(), Range(LOGS, "")))

    assert found == [*numbered(1500), "logs/99999"]
