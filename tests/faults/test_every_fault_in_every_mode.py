"""Each request of each way of copying goes wrong in each way there is, and the copy comes to an end of its own.

A way has all its cases at once, on a server of its own, since what lasts takes the runtime some ten seconds to give up.
Then all is healed, and what failed is copied once more.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import NamedTuple

import pytest
from builders_copy import DESTINATION, READER, SOURCE, WRITER, B, Ends, relay_of, terms
from copy_faults import AT_SOURCE, LARGE, WAYS, Case, cases_of
from fakes import outcomes_by_key, words
from faulty import Call, FaultyS3, Request, Stall

from syncd.aws.s3 import Side
from syncd.aws.transport import Transport
from syncd.copy.terms import Copy
from syncd.copy.workers.engine import CopyEngine
from syncd.model.objects import Conflict, Failed, Outcome, Transfer

AGREED = terms(multipart_above=8, part_size=4)._replace(largest_copy=8, copy_part_size=4, copy_principal=WRITER)
PASSED = AGREED._replace(passage_bytes=1)
STALL_SECONDS = 10.0


class Stage:
    """A server on which every case of a way stands ready, by the key of its object."""

    def __init__(self, server: FaultyS3, way: str) -> None:
        self.server, self.way, self.cases = server, WAYS[way], cases_of(way)
        agreed = PASSED if way.startswith("passed") else AGREED
        self.agreed = agreed if self.way.body is LARGE else agreed._replace(part_size=8)
        self.ends = Ends(server)
        server.storage.min_part_bytes = 1
        server.storage.buckets[SOURCE].shared_with = frozenset({B})
        self.transfers = {key: self._prepared(key, case) for key, case in self.cases.items()}

    def _prepared(self, key: str, case: Case) -> Transfer:
        if case.happens is not None:
            happens = case.happens
            self.server.faults.add(nth_request(key, case), Call(lambda _: happens(self.server, key)), times=1)
        if case.action is not None:
            self.server.faults.add(nth_request(key, case), case.action, times=case.times)
        return self.ends.put(key, self.way.body, **case.put)

    def heal(self) -> None:
        """The source is as it was, and nothing goes wrong any more."""
        self.server.faults.clear()
        for key in self.cases:
            self.server.put(SOURCE, key, self.way.body)

    def copy(self, keys: Sequence[str], deadline_seconds: float = 60.0) -> dict[str, Outcome]:
        transport = Transport(deadline_seconds=deadline_seconds)
        source, destination = (end._replace(transport=transport) for end in (self.ends.source, self.ends.destination))
        engine = CopyEngine(
            {Side.SOURCE: source, Side.DESTINATION: destination, Side.COPY: destination},
            begin=lambda transfer: self.way.begin(Copy(transfer, self.agreed)),
            in_flight=lambda: 256,
            memory_bytes=lambda: 1024**2,
            held_bytes=self.agreed.held_bytes,
            relay=relay_of(deadline_seconds),
        )
        return outcomes_by_key(engine.copy_all(iter([self.transfers[key] for key in keys]), Event()))


def nth_request(key: str, case: Case) -> Callable[[Request], bool]:
    seen: list[int] = []

    def is_meant(request: Request) -> bool:
        if request.key != key or not case.is_met_by(request):
            return False
        seen.append(request.number)
        return len(seen) >= case.at

    return is_meant


class Happened(NamedTuple):
    """What came of all cases of a way, and what once all was healed; everything by key."""

    cases: dict[str, Case]
    outcomes: dict[str, Outcome]
    uploads: list[str]
    """What was begun in parts and left behind."""
    replicas: set[str]
    healed: dict[str, Outcome]
    bodies: dict[str, bytes]


def all_at_once(way: str) -> Happened:
    with FaultyS3() as server:
        stage = Stage(server, way)
        silent = [key for key, case in stage.cases.items() if isinstance(case.action, Stall)]
        others = [key for key in stage.cases if key not in silent]
        outcomes = stage.copy(silent, STALL_SECONDS) | stage.copy(others)
        destination = server.storage.buckets[DESTINATION]
        uploads, replicas = [upload.key for upload in destination.uploads.values()], set(destination.objects)
        stage.heal()
        healed = stage.copy([key for key, outcome in outcomes.items() if isinstance(outcome, Failed)])
        bodies = {key: item.body for key, item in destination.objects.items()}
        return Happened(stage.cases, outcomes, uploads, replicas, healed, bodies)


@pytest.fixture(scope="module")
def all_ways(_aws_environment: None) -> dict[str, Happened]:
    with ThreadPoolExecutor(len(WAYS)) as threads:
        return dict(zip(WAYS, threads.map(all_at_once, WAYS), strict=True))


@pytest.fixture(params=WAYS)
def happened(request: pytest.FixtureRequest, all_ways: dict[str, Happened]) -> Happened:
    return all_ways[request.param]


def test_every_fault_ends_as_an_outcome_and_a_reason_of_its_own(happened: Happened) -> None:
    assert words(happened.outcomes.values()) == {key: case.expected for key, case in happened.cases.items()}


def test_a_failure_names_the_call_the_principal_the_object_and_what_was_said(happened: Happened) -> None:
    untold = []
    for key, outcome in happened.outcomes.items():
        case = happened.cases[key]
        if isinstance(outcome, Failed) and case.action is not None:
            operation = case.operation.removeprefix("+")
            is_read = operation in AT_SOURCE and not case.operation.startswith("+")
            principal, bucket = (READER, SOURCE) if is_read else (WRITER, DESTINATION)
            told = f"{operation} by {principal} of s3://{bucket}/{key}"
            untold += [] if told in outcome.detail and case.detail in outcome.detail else [outcome.detail]

    assert untold == []


def test_what_fails_leaves_no_upload_and_no_object_behind(happened: Happened) -> None:
    failed = {key for key, outcome in happened.outcomes.items() if isinstance(outcome, Failed)}
    # An upload whose beginning was not answered has an ID that nobody was told: a lifecycle rule of the bucket ends it.
    nameless = {key for key in happened.cases if key.startswith("CreateMultipartUpload is done")}

    assert set(happened.uploads) == nameless
    assert happened.replicas & failed == set()


def test_what_failed_is_copied_once_it_is_healed(happened: Happened) -> None:
    assert set(words(happened.healed.values()).values()) == {"Copied"}


def test_in_the_end_every_replica_is_its_source_but_where_another_wrote_something_else(happened: Happened) -> None:
    conflicts = {key for key, outcome in happened.outcomes.items() if isinstance(outcome, Conflict)}
    kept = {body for key, body in happened.bodies.items() if key not in conflicts}

    assert set(happened.bodies) == set(happened.cases)
    assert len(kept) == 1
    assert conflicts
    assert not kept & {happened.bodies[key] for key in conflicts}


COMMON = {
    "AlreadyThere",
    "Conflict",
    "Copied",
    "access_denied",
    "archived",
    "checksum_mismatch",
    "concurrent_write",
    "connection_failed",
    "kms_access_denied",
    "object_changed",
    "object_gone",
    "server_error",
    "slow_down",
    "timeout",
}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_of_copying_meets_all_that_any_can_meet(way: str) -> None:
    assert COMMON - {case.expected for case in cases_of(way).values()} == set()
