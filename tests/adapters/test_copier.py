"""The copy engine over HTTP: how much is in flight, what happens when credentials end, and that nothing is lost."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from builders_copy import DESTINATION, MIB, SOURCE, A, B, Ends, terms, user_of
from fakes import MemoryPrincipal, outcomes_by_key, words
from faulty import FaultyS3, Request, Stall, Status, on
from waiting import wait_until

from syncd.aws.s3 import Request as Asked
from syncd.aws.s3 import Side
from syncd.aws.wire.signing import Credentials
from syncd.copy.stream import stream
from syncd.copy.terms import Copy, Steps
from syncd.copy.workers.engine import CopyEngine
from syncd.model.errors import JobFailed
from syncd.model.objects import Copied, Failed, Outcome, Transfer


@pytest.fixture
def ends(faulty: FaultyS3) -> Ends:
    return Ends(faulty)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(2)
    yield pool
    # Not waited for: in a test that failed they may wait for the server, which is closed after this.
    pool.shutdown(wait=False)


def copy(engine: CopyEngine, transfers: Sequence[Transfer], stop: Event | None = None) -> list[Outcome]:
    return list(engine.copy_all(iter(transfers), stop or Event()))


def put_many(ends: Ends, count: int, body: bytes = b"body") -> list[Transfer]:
    return [ends.put(f"logs/{number:04}", body) for number in range(count)]


def renewing(server: FaultyS3, account: str, *, last: JobFailed | None = None, count: int = 2) -> MemoryPrincipal:
    """A principal with so many credentials, one after the other; `last` is what comes of asking for more."""
    credentials: list[Credentials | JobFailed] = [user_of(server, account).current() for _ in range(count)]
    return MemoryPrincipal(f"principal of {account}", [*credentials, *([last] if last else [])])


EXPIRED = Status(400, "ExpiredToken", "The provided token has expired.")


def signed_by(principal: MemoryPrincipal) -> Callable[[Request], bool]:
    """Requests to S3 that are signed by what the principal begins with."""
    first = principal.current().access_key_id
    return lambda request: request.access_key_id == first and bool(request.bucket)


# Whose buckets


def test_every_request_is_pinned_to_the_owner_of_its_bucket(faulty: FaultyS3, ends: Ends) -> None:
    transfers = [ends.put("logs/small"), ends.put("logs/large", bytes(5 * MIB + 1)), ends.put("logs/there")]
    faulty.put(DESTINATION, "logs/there", b"body")
    before = len(faulty.requests)

    copy(ends.engine(copy_terms=terms(multipart_above=5 * MIB, part_size=5 * MIB)), transfers)

    asked = faulty.requests[before:]
    assert {request.operation for request in asked} == {
        "CompleteMultipartUpload",
        "CreateMultipartUpload",
        "GetObject",
        "HeadObject",
        "PutObject",
        "UploadPart",
    }
    assert {(request.bucket, request.headers.get("x-amz-expected-bucket-owner")) for request in asked} == {
        (SOURCE, A),
        (DESTINATION, B),
    }


# What is in flight


def test_no_more_copies_are_in_flight_than_allowed(faulty: FaultyS3, ends: Ends, threads: ThreadPoolExecutor) -> None:
    transfers = put_many(ends, 40)
    go_on = threading.Event()
    fault = faulty.faults.add("GetObject", Stall(go_on))
    copying = threads.submit(copy, ends.engine(in_flight=5), transfers)
    wait_until(lambda: fault.hits == 5, what="five reads")

    go_on.set()

    assert set(words(copying.result()).values()) == {"Copied"}
    assert faulty.peak_in_flight == 5


def test_the_bound_may_change_while_copies_are_made(faulty: FaultyS3, ends: Ends, threads: ThreadPoolExecutor) -> None:
    transfers = put_many(ends, 40)
    allowed = [1]
    go_on = threading.Event()
    fault = faulty.faults.add("GetObject", Stall(go_on))
    copying = threads.submit(copy, ends.engine(in_flight=lambda: allowed[0]), transfers)
    wait_until(lambda: fault.hits == 1, what="one read")

    allowed[0] = 7
    wait_until(lambda: fault.hits == 7, what="seven reads")
    go_on.set()

    assert len(copying.result()) == 40
    assert faulty.peak_in_flight == 7


def test_no_more_bytes_are_in_flight_than_allowed(faulty: FaultyS3, ends: Ends, threads: ThreadPoolExecutor) -> None:
    transfers = put_many(ends, 10, bytes(MIB))
    go_on = threading.Event()
    fault = faulty.faults.add("GetObject", Stall(go_on))
    engine = ends.engine(memory_bytes=3 * terms().held_bytes(MIB) + 10)
    copying = threads.submit(copy, engine, transfers)
    wait_until(lambda: fault.hits == 3, what="three reads")

    go_on.set()

    assert len(copying.result()) == 10
    assert faulty.peak_in_flight == 3


def test_what_has_ended_makes_room_for_as_much_again(faulty: FaultyS3, ends: Ends, threads: ThreadPoolExecutor) -> None:
    transfers = put_many(ends, 6, bytes(MIB))
    gates = [threading.Event(), threading.Event()]
    waves = [
        faulty.faults.add(lambda request, keys=keys: request.key in keys and request.bucket == SOURCE, Stall(gate))
        for keys, gate in zip((keys_of(transfers[:3]), keys_of(transfers[3:])), gates, strict=True)
    ]
    copying = threads.submit(copy, ends.engine(memory_bytes=3 * terms().held_bytes(MIB)), transfers)

    for wave, gate in zip(waves, gates, strict=True):
        wait_until(lambda wave=wave: wave.hits == 3, what="three reads")
        gate.set()

    assert set(words(copying.result()).values()) == {"Copied"}


def keys_of(transfers: Sequence[Transfer]) -> set[str]:
    return {transfer.object.key for transfer in transfers}


def test_an_object_larger_than_all_memory_is_copied_alone(faulty: FaultyS3, ends: Ends) -> None:
    transfers = [
        ends.put("logs/large", bytes(2 * MIB)),
        ends.put("logs/small", b"x"),
        ends.put("logs/too", bytes(2 * MIB)),
    ]

    outcomes = copy(ends.engine(memory_bytes=MIB), transfers)

    assert set(words(outcomes).values()) == {"Copied"}
    assert faulty.peak_in_flight == 1


def test_of_an_object_in_parts_only_what_is_read_at_a_time_counts(
    faulty: FaultyS3, ends: Ends, threads: ThreadPoolExecutor
) -> None:
    faulty.storage.min_part_bytes = 1
    transfers = put_many(ends, 4, bytes(4 * MIB))
    go_on = threading.Event()
    fault = faulty.faults.add("GetObject", Stall(go_on))
    in_parts = terms(multipart_above=2 * MIB, part_size=MIB)
    engine = ends.engine(memory_bytes=2 * in_parts.held_bytes(4 * MIB), copy_terms=in_parts)
    copying = threads.submit(copy, engine, transfers)
    wait_until(lambda: fault.hits == 2, what="two reads")

    go_on.set()

    assert set(words(copying.result()).values()) == {"Copied"}
    assert faulty.peak_in_flight == 2
    assert ends.replica("logs/0003") == bytes(4 * MIB)


def test_two_requests_are_sent_for_an_object_and_counted(faulty: FaultyS3, ends: Ends) -> None:
    copy(ends.engine(), put_many(ends, 30))

    assert dict(ends.requests) == {"GetObject": 30, "PutObject": 30}
    assert (faulty.count("GetObject"), faulty.count("PutObject"), len(faulty.requests)) == (30, 30, 60)


def test_the_source_is_read_by_one_principal_and_the_destination_written_by_the_other(faulty: FaultyS3) -> None:
    reader, writer = user_of(faulty, A), user_of(faulty, B)
    ends = Ends(faulty, reader=reader, writer=writer)

    copy(ends.engine(), put_many(ends, 3))

    signers = {(request.bucket, request.access_key_id) for request in faulty.requests}
    assert signers == {
        (SOURCE, reader.current().access_key_id),
        (DESTINATION, writer.current().access_key_id),
    }


# The end of it


def test_what_is_in_flight_at_a_stop_is_finished(faulty: FaultyS3, ends: Ends, threads: ThreadPoolExecutor) -> None:
    transfers = put_many(ends, 40)
    go_on, stop = threading.Event(), Event()
    fault = faulty.faults.add("PutObject", Stall(go_on))
    copying = threads.submit(copy, ends.engine(in_flight=4), transfers, stop)
    wait_until(lambda: fault.hits == 4, what="four writes")

    stop.set()
    go_on.set()

    assert len(copying.result()) == 4
    assert len(faulty.keys(DESTINATION)) == 4


@pytest.mark.parametrize("requests", [0, 1])
@pytest.mark.parametrize(
    ("error", "reason"), [(ZeroDivisionError(), "unexpected_answer"), (MemoryError(), "resource_limit")], ids=repr
)
def test_a_copy_that_breaks_in_our_own_hands_fails_alone(
    ends: Ends, requests: int, error: Exception, reason: str
) -> None:
    transfers = put_many(ends, 3)

    def begin(transfer: Transfer) -> Steps:
        if transfer is not transfers[1]:
            return (yield from stream(Copy(transfer, terms())))
        for _ in range(requests):
            yield Asked("GetObject", Side.SOURCE, "GET", transfer.object.key, "", ())
        raise error

    outcomes = {outcome.transfer: outcome for outcome in copy(ends.engine(begin=begin), transfers)}

    broken = outcomes.pop(transfers[1])
    assert isinstance(broken, Failed)
    assert (broken.reason, transfers[1].object.key in broken.detail, repr(error) in broken.detail) == (
        reason,
        True,
        True,
    )
    assert {type(outcome) for outcome in outcomes.values()} == {Copied}


def test_an_end_of_the_whole_process_is_no_failure_of_an_object(ends: Ends) -> None:
    def begin(_: Transfer) -> Steps:
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        copy(ends.engine(begin=begin), put_many(ends, 1))


class Lapsing(MemoryPrincipal):
    """Breaks when it is asked for its credentials once too often."""

    allowed = 3

    def current(self) -> Credentials:
        self.allowed -= 1
        if self.allowed < 0:
            raise ZeroDivisionError
        return super().current()


def test_a_request_that_cannot_be_sent_is_raised_and_not_waited_for(faulty: FaultyS3) -> None:
    ends = Ends(faulty, writer=Lapsing("writer", [user_of(faulty, B).current()]))

    with pytest.raises(ZeroDivisionError):
        copy(ends.engine(in_flight=1), put_many(ends, 5))


def test_a_copy_may_end_without_any_request(ends: Ends) -> None:
    def begin(transfer: Transfer) -> Steps:
        return Copied(transfer)
        yield

    transfers = put_many(ends, 3)

    assert copy(ends.engine(begin=begin), transfers) == [Copied(transfer) for transfer in transfers]


# When credentials end


@pytest.mark.parametrize("operation", ["GetObject", "PutObject"])
@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidToken", "TokenRefreshRequired"])
def test_credentials_that_end_on_the_way_are_renewed_and_the_same_object_goes_on(
    faulty: FaultyS3, operation: str, code: str
) -> None:
    reader, writer = renewing(faulty, A), renewing(faulty, B)
    ends = Ends(faulty, reader=reader, writer=writer)
    principal = reader if operation == "GetObject" else writer
    before = principal.current()
    faulty.faults.add(signed_by(principal), Status(400, code))

    outcomes = copy(ends.engine(), [ends.put("logs/a", b"body")])

    assert words(outcomes) == {"logs/a": "Copied"}
    assert (principal.rejected, principal.current() == before) == ([before], False)
    assert faulty.count(operation) == 2
    assert len(faulty.requests) == 3


def test_credentials_that_end_at_a_look_are_renewed_though_a_head_does_not_say_why(faulty: FaultyS3) -> None:
    writer = renewing(faulty, B)
    ends = Ends(faulty, writer=writer)
    faulty.put(DESTINATION, "logs/a", b"body")
    transfer = ends.put("logs/a", b"body")._replace(compare_first=True)
    faulty.faults.add("HeadObject", EXPIRED, times=1)

    outcomes = copy(ends.engine(), [transfer])

    assert words(outcomes) == {"logs/a": "AlreadyThere"}
    assert len(writer.rejected) == 1


@pytest.mark.parametrize(
    ("replica", "expected"), [(b"body", "AlreadyThere"), (b"beef", "Conflict"), (b"longer", "Conflict")]
)
def test_a_known_key_is_compared_by_the_checksums_that_s3_makes_itself(
    faulty: FaultyS3, replica: bytes, expected: str
) -> None:
    ends = Ends(faulty)
    faulty.put(DESTINATION, "logs/a", replica)
    transfer = ends.put("logs/a", b"body")._replace(compare_first=True)

    outcomes = copy(ends.engine(), [transfer])

    assert words(outcomes) == {"logs/a": expected}
    assert {request.operation for request in faulty.requests} == {"HeadObject"}


def test_credentials_that_end_again_and_again_in_a_large_object_are_renewed_each_time(faulty: FaultyS3) -> None:
    faulty.storage.min_part_bytes = 1
    reader, writer = renewing(faulty, A, count=20), renewing(faulty, B, count=20)
    ends = Ends(faulty, reader=reader, writer=writer)
    for number in range(5):
        wanted = f"bytes={2 * number}-{2 * number + 1}"
        faulty.faults.add(lambda request, wanted=wanted: request.headers.get("range") == wanted, EXPIRED, times=1)
        part = str(number + 1)
        faulty.faults.add(lambda request, part=part: request.query.get("partNumber") == part, EXPIRED, times=1)

    outcomes = copy(ends.engine(copy_terms=terms(multipart_above=4, part_size=2)), [ends.put("logs/a", b"0123456789")])

    assert words(outcomes) == {"logs/a": "Copied"}
    assert (len(reader.rejected), len(writer.rejected)) == (5, 5)
    assert ends.replica("logs/a") == b"0123456789"


def test_many_requests_that_are_rejected_together_are_one_renewal(faulty: FaultyS3) -> None:
    reader = renewing(faulty, A, last=JobFailed("access_denied", "a third time", ""))
    ends = Ends(faulty, reader=reader)
    first = reader.current()
    faulty.faults.add(signed_by(reader), EXPIRED)

    outcomes = copy(ends.engine(in_flight=8), put_many(ends, 30))

    assert set(words(outcomes).values()) == {"Copied"}
    assert set(reader.rejected) == {first}


def test_credentials_that_stay_rejected_fail_the_object_and_are_not_asked_for_without_end(faulty: FaultyS3) -> None:
    reader = renewing(faulty, A, count=10)
    ends = Ends(faulty, reader=reader)
    transfer = ends.put("logs/a")
    faulty.faults.add("GetObject", EXPIRED)

    (outcome,) = copy(ends.engine(), [transfer])

    assert isinstance(outcome, Failed)
    assert outcome.reason == "credentials_expired"
    assert (faulty.count("GetObject"), len(reader.rejected)) == (3, 2)


def test_credentials_that_cannot_be_renewed_fail_the_job_after_the_others_have_ended(
    faulty: FaultyS3, threads: ThreadPoolExecutor
) -> None:
    refusal = JobFailed("access_denied", "AssumeRole", "")
    ends = Ends(faulty, reader=renewing(faulty, A, last=refusal, count=1))
    transfers = put_many(ends, 4)
    go_on = threading.Event()
    writing = faulty.faults.add("PutObject", Stall(go_on))
    faulty.faults.add(on("GetObject", key="logs/0002"), EXPIRED)
    outcomes: list[Outcome] = []

    def copy_all() -> None:
        outcomes.extend(ends.engine().copy_all(iter(transfers), Event()))

    copying = threads.submit(copy_all)
    wait_until(lambda: writing.hits == 3, what="three writes")
    go_on.set()

    assert copying.exception() is refusal
    assert sorted(outcomes_by_key(outcomes)) == ["logs/0000", "logs/0001", "logs/0003"]


class Failing(MemoryPrincipal):
    """Cannot be renewed ahead of its end, once it is told so."""

    is_failing = False
    refusals = 0

    def refresh(self, *, rejected: Credentials | None = None) -> Credentials:
        if self.is_failing:
            self.refusals += 1
            raise JobFailed("access_denied", "AssumeRole", "")
        return super().refresh(rejected=rejected)


def test_a_renewal_ahead_of_time_that_fails_the_job_lets_what_is_in_flight_end(
    faulty: FaultyS3, threads: ThreadPoolExecutor
) -> None:
    reader = Failing("reader", [user_of(faulty, A).current()])
    ends = Ends(faulty, reader=reader)
    transfers = put_many(ends, 40)
    go_on = threading.Event()
    writing = faulty.faults.add("PutObject", Stall(go_on))
    outcomes: list[Outcome] = []

    def copy_all() -> None:
        outcomes.extend(ends.engine(in_flight=4).copy_all(iter(transfers), Event()))

    copying = threads.submit(copy_all)
    wait_until(lambda: writing.hits == 4, what="four writes")
    reader.is_failing = True
    wait_until(lambda: reader.refusals, what="the next renewal")
    go_on.set()

    error = copying.exception()
    assert isinstance(error, JobFailed)
    assert reader.refusals == 1
    assert len(faulty.keys(DESTINATION)) == len(outcomes)
    assert {type(outcome) for outcome in outcomes} == {Copied}
