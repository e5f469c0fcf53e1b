"""A whole tick goes wrong: sessions that end, listings that break, a process that dies between copying and recording."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from faulty import Body, Call, Request, Stall, Status, on
from faulty.faults import Predicate
from installed import reasons
from scripted import MIB, Scripted, scripted
from waiting import wait_until

LARGE = bytes(range(256)) * (11 * MIB // 256)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Scripted]:
    with scripted(tmp_path) as found:
        yield found


def is_whole(stage: Scripted) -> bool:
    return stage.replica() == stage.source()


class CrashError(Exception):
    """The process dies here."""


# A session that ends


def nth(operation: str, number: int, *, query: str = "", span: str = "") -> Predicate:
    """The request of this number, counted from 1, among those of an operation."""
    seen: list[int] = []

    def is_meant(request: Request) -> bool:
        if request.operation != operation or query not in str(request.query):
            return False
        if not request.headers.get("range", "").startswith(span):
            return False
        seen.append(request.number)
        return len(seen) == number

    return is_meant


MOMENTS: dict[str, Callable[[], Predicate]] = {
    "before the first listing": lambda: nth("ListObjectsV2", 1),
    "in the middle of a listing": lambda: nth("ListObjectsV2", 1, query="continuation-token"),
    "in the middle of the copies": lambda: nth("GetObject", 700),
    "at the first copy": lambda: nth("GetObject", 1),
    "in the middle of a large object": lambda: nth("GetObject", 1, span=f"bytes={5 * MIB}-"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_session_that_ends_is_renewed_and_nothing_fails_or_is_done_twice(stage: Scripted, moment: str) -> None:
    stage.put_many(1100)
    stage.put("large", LARGE)
    expire = Call(lambda _: stage.server.identities.expire_sessions())
    fault = stage.server.faults.add(MOMENTS[moment](), expire, times=1)

    report = stage.tick()

    assert fault.hits == 1
    assert (report.outcome, report.copied, reasons(report)) == ("ok", 1101, {})
    assert stage.server.count("AssumeRole") == report.requests["AssumeRole"] == 2
    assert stage.server.count("PutObject") == 1100
    assert stage.server.count("CreateMultipartUpload") == 1
    assert is_whole(stage)


def test_a_session_that_ends_again_and_again_is_renewed_each_time(stage: Scripted) -> None:
    stage.put_many(600)
    expire = Call(lambda _: stage.server.identities.expire_sessions())
    for number in (150, 450):
        stage.server.faults.add(nth("PutObject", number), expire, times=1)

    report = stage.tick()

    assert (report.outcome, report.copied) == ("ok", 600)
    assert 2 <= stage.server.count("AssumeRole") <= 3
    assert is_whole(stage)


def test_a_session_that_cannot_be_renewed_fails_the_job_and_what_was_copied_is_kept(stage: Scripted) -> None:
    stage.put_many(300)
    expire = Call(lambda _: stage.server.identities.expire_sessions())
    stage.server.faults.add(nth("GetObject", 150), expire, times=1)
    stage.server.faults.add(nth("AssumeRole", 2), Status(403, "AccessDenied", "not authorized"), times=1)

    failed = stage.tick()
    written = stage.server.count("PutObject")
    there = len(stage.replica())
    stage.server.forget_requests()
    healed = stage.tick()

    assert (failed.outcome, failed.error and failed.error.reason) == ("failed", "access_denied")
    assert failed.error is not None
    assert "AssumeRole by arn:aws:iam::999999999999:user/syncd of" in failed.error.detail
    assert 0 < failed.copied <= there == written
    assert (healed.outcome, healed.copied + healed.already_there) == ("ok", 300 - failed.copied)
    assert stage.server.count("PutObject") == 300 - failed.copied
    assert is_whole(stage)


# A listing that breaks


BREAKS = {
    "a refusal": (Status(403, "AccessDenied"), "access_denied"),
    "a page of another kind": (Body(b"<html/>"), "unexpected_answer"),
    "a truncated page that names no token": (
        Body(b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"),
        "unexpected_answer",
    ),
}


@pytest.mark.parametrize("what", BREAKS)
def test_a_listing_that_breaks_in_the_middle_moves_no_cursor_and_the_next_tick_lists_it_again(
    stage: Scripted, what: str
) -> None:
    action, reason = BREAKS[what]
    stage.put_many(1100)
    stage.server.faults.add(nth("ListObjectsV2", 1, query="continuation-token"), action, times=1)

    broken = stage.tick()
    healed = stage.tick()

    assert (broken.outcome, broken.error and broken.error.reason) == ("failed", reason)
    assert broken.complete_until == 0.0
    assert (healed.outcome, broken.copied + healed.copied + healed.already_there) == ("ok", 1100)
    assert healed.complete_until > 0.0
    assert is_whole(stage)


def test_a_listing_that_is_slowed_down_for_a_moment_is_not_noticed(stage: Scripted) -> None:
    stage.put_many(200)
    stage.server.faults.add("ListObjectsV2", Status(503, "SlowDown"), times=2)

    report = stage.tick()

    assert (report.outcome, report.copied) == ("ok", 200)


@pytest.mark.parametrize("operation", ["GetObject", "PutObject"])
def test_a_burst_of_slowdowns_fails_no_object(stage: Scripted, operation: str) -> None:
    stage.put_many(400)
    asked: Counter[str] = Counter()

    def is_among_the_first_two(request: Request) -> bool:
        asked.update([request.key] if request.operation == operation else [])
        return request.operation == operation and asked[request.key] <= 2

    stage.server.faults.add(is_among_the_first_two, Status(503, "SlowDown"))

    report = stage.tick()

    assert (report.outcome, report.copied, reasons(report)) == ("ok", 400, {})
    assert is_whole(stage)


@pytest.mark.parametrize("done_before", [0, 150])
def test_a_store_that_refuses_whatever_is_written_fails_the_job_and_not_each_object(
    stage: Scripted, done_before: int
) -> None:
    stage.put_many(600)
    seen: list[int] = []

    def is_meant(request: Request) -> bool:
        seen.extend([request.number] if request.operation == "PutObject" else [])
        return request.operation == "PutObject" and len(seen) > done_before

    # Of those that are not sent again, so that the test does not wait for it.
    stage.server.faults.add(is_meant, Status(505, "HttpVersionNotSupported"))

    failed = stage.tick()
    asked = stage.server.count("PutObject")
    stage.server.faults.clear()
    healed = stage.tick()

    assert (failed.outcome, failed.error and failed.error.reason) == ("failed", "server_error")
    assert failed.error is not None
    assert failed.error.detail.startswith("100 objects in a row, of which the first: PutObject by ")
    assert (failed.copied, asked < 600) == (done_before, True)
    assert (healed.outcome, healed.copied) == ("ok", 600 - done_before)
    assert is_whole(stage)


# What stalls


def test_requests_that_stall_are_given_up_the_others_copied_and_the_next_tick_heals(tmp_path: Path) -> None:
    with scripted(tmp_path, deadline_seconds=10.0) as stage:
        keys = stage.put_many(50)
        stage.server.faults.add(on("GetObject", key=keys[3]), Stall())
        stage.server.faults.add(on("PutObject", key=keys[7]), Stall())

        first = stage.tick()
        stage.server.faults.clear()
        second = stage.tick()

        assert (first.outcome, first.copied) == ("partial", 48)
        assert reasons(first) == {keys[3]: "timeout", keys[7]: "timeout"}
        assert (second.outcome, second.copied) == ("ok", 2)
        assert is_whole(stage)


# A process that dies between copying and recording


@pytest.mark.parametrize("writes", [1, 63, 64, 65, 200])
def test_what_was_copied_and_not_recorded_is_found_again_and_never_written_twice(stage: Scripted, writes: int) -> None:
    keys = stage.put_many(300)
    clock = stage.installed.clock

    def dying() -> float:
        if stage.server.count("PutObject") >= writes:
            raise CrashError
        return clock()

    stage.installed.clock = dying
    with pytest.raises(CrashError):
        stage.tick()
    stage.installed.clock = clock
    again = next(report for report in iter(stage.tick, None) if report.outcome != "already-running")

    assert (again.outcome, reasons(again), again.conflicts) == ("ok", {}, ())
    assert stage.destination.writes == dict.fromkeys(keys, 1)
    assert is_whole(stage)


def test_a_stop_lets_what_is_in_flight_end_and_the_next_tick_goes_on(stage: Scripted) -> None:
    stage.put_many(400)
    go_on = threading.Event()
    fault = stage.server.faults.add("PutObject", Stall(go_on))

    with ThreadPoolExecutor(1) as threads:
        ticking = threads.submit(stage.tick)
        wait_until(lambda: fault.hits >= 64, what="writes in flight")
        stage.installed.stop.set()
        go_on.set()
        stopped = ticking.result()
    stage.installed.stop.clear()
    rest = stage.tick()

    assert stopped.outcome == "interrupted"
    assert 64 <= stopped.copied < 400
    assert (rest.outcome, rest.copied, rest.already_there) == ("ok", 400 - stopped.copied, 0)
    assert is_whole(stage)
