"""What a tick relies on in a copier: one suite over the fake in memory, the engine that speaks S3, and the workers."""

from collections.abc import Callable, Iterator, Sequence
from threading import Event
from typing import NamedTuple

import pytest
from builders_copy import DESTINATION, Ends, transfer_of
from fakes import MemoryBucket, MemoryCopier, handed_over, outcomes_by_key, words
from faulty import FaultyS3, Status, on

from syncd.copy.workers.pool import OBJECTS_OUT, WorkerPool
from syncd.model.errors import JobFailed
from syncd.model.objects import AlreadyThere, Copied, Failed, Outcome, Transfer
from syncd.tick.ports import Copier

MORE_THAN_ARE_OUT = OBJECTS_OUT + 64


class Copying(NamedTuple):
    """A source, a destination, and what copies from one to the other."""

    put: Callable[[str, bytes], Transfer]
    replace: Callable[[str, bytes], object]
    """Puts an object into the source, over the one that was listed."""
    delete: Callable[[str], object]
    deny: Callable[[str], object]
    """The source refuses to give the key."""
    put_replica: Callable[[str, bytes], object]
    replicas: Callable[[], dict[str, bytes]]
    replica_etag: Callable[[str], str]
    copier: Copier


@pytest.fixture(scope="module")
def pool(_aws_environment: None) -> Iterator[WorkerPool]:
    workers = WorkerPool(workers=2, confine=False, in_flight=8)
    yield workers
    workers.close()


@pytest.fixture(params=["memory", "engine", "workers"])
def copying(request: pytest.FixtureRequest, pool: WorkerPool) -> Copying:
    if request.param == "memory":
        return in_memory()
    server: FaultyS3 = request.getfixturevalue("faulty")
    ends = Ends(server)
    return over_http(ends, ends.engine(in_flight=4) if request.param == "engine" else ends.pooled(pool))


def in_memory() -> Copying:
    source, destination = MemoryBucket(), MemoryBucket()
    copier = MemoryCopier(source, destination)
    return Copying(
        put=lambda key, body: transfer_of(source.put(key, body)),
        replace=source.put,
        delete=source.delete,
        deny=lambda key: copier.fail.update({key: "access_denied"}),
        put_replica=destination.put,
        replicas=lambda: dict(destination.bodies),
        replica_etag=lambda key: destination.objects[key].etag,
        copier=copier,
    )


def over_http(ends: Ends, copier: Copier) -> Copying:
    server = ends.server
    return Copying(
        put=ends.put,
        replace=ends.put,
        delete=lambda key: server.delete("example-trail", key),
        deny=lambda key: server.faults.add(on("GetObject", key=key), Status(403, "AccessDenied")),
        put_replica=lambda key, body: server.put(DESTINATION, key, body),
        replicas=lambda: {key: item.body for key, item in server.objects(DESTINATION).items()},
        replica_etag=lambda key: server.get(DESTINATION, key).etag,
        copier=copier,
    )


def copy(copying: Copying, transfers: Sequence[Transfer]) -> list[Outcome]:
    return list(copying.copier.copy_all(handed_over(transfers), Event()))


def put_many(copying: Copying, count: int) -> list[Transfer]:
    return [copying.put(f"logs/{number:04}", b"%d" % number) for number in range(count)]


def test_every_transfer_comes_to_exactly_one_end(copying: Copying) -> None:
    transfers = put_many(copying, 100)

    outcomes = copy(copying, transfers)

    assert {outcome.transfer for outcome in outcomes} == set(transfers)
    assert words(outcomes) == {transfer.object.key: "Copied" for transfer in transfers}
    assert copying.replicas() == {f"logs/{number:04}": b"%d" % number for number in range(100)}


def test_without_transfers_there_is_no_outcome(copying: Copying) -> None:
    assert copy(copying, []) == []


def test_a_listing_that_has_nothing_yet_is_asked_again(copying: Copying) -> None:
    transfer = copying.put("logs/a", b"body")

    outcomes = list(copying.copier.copy_all(iter([None, None, transfer, None, None]), Event()))

    assert words(outcomes) == {"logs/a": "Copied"}


def test_an_object_is_written_to_the_key_that_was_decided(copying: Copying) -> None:
    transfer = copying.put("logs/a", b"body")._replace(destination_key="replica/logs/a")

    copy(copying, [transfer])

    assert copying.replicas() == {"replica/logs/a": b"body"}


def test_an_empty_object_is_copied(copying: Copying) -> None:
    outcomes = copy(copying, [copying.put("logs/a", b"")])

    assert words(outcomes) == {"logs/a": "Copied"}
    assert copying.replicas() == {"logs/a": b""}


def test_the_same_content_at_the_destination_is_already_there(copying: Copying) -> None:
    copying.put_replica("logs/a", b"body")

    assert words(copy(copying, [copying.put("logs/a", b"body")])) == {"logs/a": "AlreadyThere"}


@pytest.mark.parametrize("other", [b"beef", b"longer than that"])
def test_other_content_at_the_destination_is_a_conflict_and_stays(copying: Copying, other: bytes) -> None:
    copying.put_replica("logs/a", other)

    outcomes = copy(copying, [copying.put("logs/a", b"body")])

    assert words(outcomes) == {"logs/a": "Conflict"}
    assert copying.replicas() == {"logs/a": other}


def test_a_copy_that_compares_first_copies_what_is_not_there(copying: Copying) -> None:
    transfer = copying.put("logs/a", b"body")._replace(compare_first=True)

    assert words(copy(copying, [transfer])) == {"logs/a": "Copied"}


def test_the_etag_of_the_replica_is_told_whoever_wrote_it(copying: Copying) -> None:
    copying.put_replica("logs/b", b"b")
    transfers = [copying.put("logs/a", b"a"), copying.put("logs/b", b"b")]

    outcomes = copy(copying, transfers)

    assert set(outcomes) == {
        Copied(transfers[0], copying.replica_etag("logs/a")),
        AlreadyThere(transfers[1], copying.replica_etag("logs/b")),
    }


def test_a_failure_is_told_with_reason_and_key_and_the_others_are_copied(copying: Copying) -> None:
    transfers = put_many(copying, 5)
    copying.deny("logs/0002")

    outcomes = copy(copying, transfers)

    failure = outcomes_by_key(outcomes)["logs/0002"]
    assert isinstance(failure, Failed)
    assert (failure.reason, "logs/0002" in failure.detail, "GetObject" in failure.detail) == (
        "access_denied",
        True,
        True,
    )
    assert sorted(copying.replicas()) == ["logs/0000", "logs/0001", "logs/0003", "logs/0004"]


def test_an_object_whose_key_would_be_too_long_there_fails_by_itself(copying: Copying) -> None:
    fits, does_not = (
        copying.put(key, b"body")._replace(destination_key="é" * count)
        for key, count in {"logs/a": 512, "logs/b": 513}.items()
    )

    outcomes = copy(copying, [fits, does_not])

    assert words(outcomes) == {"logs/a": "Copied", "logs/b": "key_too_long"}
    assert list(copying.replicas()) == ["é" * 512]


def test_an_object_that_is_gone_or_changed_since_it_was_listed_fails_as_such(copying: Copying) -> None:
    gone, changed = copying.put("logs/a", b"body"), copying.put("logs/b", b"body")
    copying.delete("logs/a")
    copying.replace("logs/b", b"beef")

    outcomes = copy(copying, [gone, changed])

    assert words(outcomes) == {"logs/a": "object_gone", "logs/b": "object_changed"}
    assert copying.replicas() == {}


def test_nothing_is_begun_after_stop_and_what_was_begun_is_finished(copying: Copying) -> None:
    transfers = put_many(copying, MORE_THAN_ARE_OUT)
    stop = Event()
    taken: list[Transfer] = []

    def hand_over() -> Iterator[Transfer]:
        for transfer in transfers:
            taken.append(transfer)
            yield transfer

    outcomes: list[Outcome] = []
    for outcome in copying.copier.copy_all(hand_over(), stop):
        outcomes.append(outcome)
        stop.set()

    assert len(outcomes) < MORE_THAN_ARE_OUT
    assert set(words(outcomes).values()) == {"Copied"}
    assert sorted(copying.replicas()) == sorted(words(outcomes))
    assert {outcome.transfer for outcome in outcomes} <= set(taken)


def test_nothing_is_copied_where_stop_was_set_before(copying: Copying) -> None:
    stop = Event()
    stop.set()

    outcomes = list(copying.copier.copy_all(iter(put_many(copying, 3)), stop))

    assert (outcomes, copying.replicas()) == ([], {})


def test_a_listing_that_fails_the_job_does_so_after_everything_begun_has_ended(copying: Copying) -> None:
    transfers = put_many(copying, 10)
    outcomes: list[Outcome] = []

    def hand_over() -> Iterator[Transfer]:
        yield from transfers
        raise JobFailed("server_error", "ListObjectsV2", "")

    with pytest.raises(JobFailed) as caught:
        outcomes.extend(copying.copier.copy_all(hand_over(), Event()))

    assert caught.value.reason == "server_error"
    assert words(outcomes) == {transfer.object.key: "Copied" for transfer in transfers}


def test_a_copier_copies_again(copying: Copying) -> None:
    first, second = copying.put("logs/a", b"1"), copying.put("logs/b", b"2")

    copy(copying, [first])
    outcomes = copy(copying, [first, second])

    assert words(outcomes) == {"logs/a": "AlreadyThere", "logs/b": "Copied"}
