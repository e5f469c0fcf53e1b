"""`copy = "auto"`: tried once, kept, explained, and given up when it is refused."""

from collections.abc import Iterator
from threading import Event

import pytest
from fakes import MemoryVerdict

from syncd import events, failures
from syncd.errors import JobFailed
from syncd.model import AlreadyThere, Copied, Failed, LogObject, Mode, Outcome, Shard, Transfer
from syncd.modes import OBJECTS_TRIED, REFUSALS_TOLERATED, STREAM, ModalCopier, Way
from syncd.ports import Copier

BY_CONSUMER, BY_ROLE = Way(Mode.SERVER_SIDE, "consumer"), Way(Mode.SERVER_SIDE, "role")
AUTO = [BY_CONSUMER, BY_ROLE, STREAM]


class Carrier:
    """Copies everything but what it refuses, by key or (None) all of it, for a reason."""

    mode: str | None = None

    def __init__(
        self, way: Way, refusals: dict[str | None, str], log: list[tuple[Way, str]], replicas: set[str] | None
    ) -> None:
        """`replicas` are the keys that are there; None where writes are not held to any condition."""
        self._way, self._refusals, self._log, self._replicas = way, refusals, log, replicas

    def copy_all(self, transfers: Iterator[Transfer | None], stop: Event) -> Iterator[Outcome]:
        del stop
        for transfer in transfers:
            if transfer is not None:
                key = transfer.object.key
                self._log.append((self._way, key))
                if refusal := self._refusals.get(key) or self._refusals.get(None):
                    yield Failed(transfer, refusal, f"by {self._way.signer}")
                elif self._replicas is not None and key in self._replicas:
                    yield AlreadyThere(transfer)
                else:
                    (self._replicas if self._replicas is not None else set()).add(key)
                    yield Copied(transfer)


class Copying:
    def __init__(
        self,
        ways: list[Way],
        *,
        refusals: dict[Way, str] | None = None,
        misfortunes: dict[str, str] | None = None,
        kept: MemoryVerdict | None = None,
        overwrites: bool = False,
    ) -> None:
        """`refusals` are a way's own, and `misfortunes` an object's in every way, by key."""
        self.verdict = kept or MemoryVerdict()
        self.log: list[tuple[Way, str]] = []
        self.replicas: set[str] = set()
        self.told: list[dict[str, object]] = []
        self.refusals = {way: {None: (refusals or {}).get(way, ""), **(misfortunes or {})} for way in ways}
        self.copier = ModalCopier(
            ways,
            lambda way: Carrier(
                way, self.refusals[way], self.log, None if overwrites and way != STREAM else self.replicas
            ),
            self.verdict,
            lambda event, **facts: self.told.append({"event": event, **facts}),
        )

    def run(self, count: int) -> list[Outcome]:
        transfers = iter([None, *(transfer(number) for number in range(count))])
        return list(self.copier.copy_all(transfers, Event()))

    def ways(self) -> list[Way]:
        return [way for way, _ in self.log]


def transfer(number: int) -> Transfer:
    return Transfer(Shard(""), LogObject(f"k{number}", "e", 1, 0.0), f"k{number}")


def test_the_cheap_way_is_kept_where_it_works_and_is_tried_with_a_real_object() -> None:
    copying = Copying(AUTO)

    outcomes = copying.run(3)

    assert [type(outcome) for outcome in outcomes] == [Copied] * 3
    assert set(copying.ways()) == {BY_CONSUMER}
    assert copying.verdict.kept == ("server-side:consumer", "CopyObject by the consumer works")
    assert copying.copier.mode == "server-side"


def test_the_first_copy_is_made_twice_to_see_that_nothing_is_overwritten() -> None:
    copying = Copying(AUTO)

    outcomes = copying.run(2)

    assert [key for _, key in copying.log] == ["k0", "k0", "k1"]
    assert [outcome.transfer.object.key for outcome in outcomes] == ["k0", "k1"]


def test_a_server_that_overwrites_is_streamed_to() -> None:
    copying = Copying(AUTO, overwrites=True)

    outcomes = copying.run(3)

    assert [type(outcome) for outcome in outcomes] == [Copied] * 3
    assert copying.ways() == [BY_CONSUMER] * 2 + [STREAM] * 2
    assert copying.verdict.kept == (
        "stream",
        "CopyObject by the consumer overwrites: the server ignores If-None-Match",
    )


def test_what_is_compared_tells_nothing_of_a_way_since_it_is_read_in_each() -> None:
    copying = Copying(AUTO)
    compared = transfer(0)._replace(compare_first=True)

    outcomes = list(copying.copier.copy_all(iter([compared, transfer(1)]), Event()))

    assert len(outcomes) == 2
    assert [key for _, key in copying.log] == ["k0", "k1", "k1"]
    assert copying.verdict.kept == ("server-side:consumer", "CopyObject by the consumer works")


@pytest.mark.parametrize("refusal", [failures.ACCESS_DENIED, failures.OBJECT_GONE, failures.UNSUPPORTED])
def test_what_is_refused_is_tried_by_the_role_and_then_streamed_and_the_reason_is_told(refusal: str) -> None:
    copying = Copying(AUTO, refusals={BY_CONSUMER: refusal, BY_ROLE: refusal})

    outcomes = copying.run(2)

    assert [outcome.transfer.object.key for outcome in outcomes] == ["k0", "k1"]
    assert copying.ways() == [BY_CONSUMER, BY_ROLE, STREAM, STREAM]
    assert copying.verdict.kept == ("stream", "by consumer; by role")
    assert copying.told == [
        {"event": events.MODE_CHOSEN, "mode": "stream", "signer": None, "why": "by consumer; by role"}
    ]


def test_a_session_that_may_not_be_had_for_writing_is_a_refusal_of_that_way_alone() -> None:
    copying = Copying(AUTO, refusals={BY_CONSUMER: failures.ACCESS_DENIED})
    carrier = copying.copier.copier

    def without_role(way: Way) -> Copier:
        if way == BY_ROLE:
            raise JobFailed(failures.ACCESS_DENIED, "AssumeRole", "")
        return carrier(way)

    copying.copier.copier = without_role

    outcomes = copying.run(2)

    assert [type(outcome) for outcome in outcomes] == [Copied] * 2
    assert copying.verdict.kept == ("stream", "by consumer; AssumeRole")


def test_a_failure_that_is_the_objects_own_decides_nothing() -> None:
    copying = Copying(AUTO, refusals={BY_CONSUMER: failures.SLOW_DOWN})

    outcomes = copying.run(1)

    assert [type(outcome) for outcome in outcomes] == [Failed]
    assert copying.verdict.kept is None


@pytest.mark.parametrize("misfortune", [failures.OBJECT_GONE, failures.ACCESS_DENIED, failures.KMS_DENIED])
def test_an_object_that_cannot_be_streamed_either_decides_nothing_and_the_next_one_is_tried(misfortune: str) -> None:
    copying = Copying(AUTO, misfortunes={"k0": misfortune})

    outcomes = copying.run(3)

    assert [type(outcome) for outcome in outcomes] == [Failed, Copied, Copied]
    assert copying.log[:4] == [(BY_CONSUMER, "k0"), (BY_ROLE, "k0"), (STREAM, "k0"), (BY_CONSUMER, "k1")]
    assert copying.verdict.kept == ("server-side:consumer", "CopyObject by the consumer works")


def test_where_no_way_copies_anything_the_rest_is_streamed_and_the_next_run_tries_again() -> None:
    everything = dict.fromkeys((f"k{number}" for number in range(5)), failures.ACCESS_DENIED)
    copying = Copying(AUTO, misfortunes=everything)

    outcomes = copying.run(5)

    assert [type(outcome) for outcome in outcomes] == [Failed] * 5
    assert copying.ways() == [BY_CONSUMER, BY_ROLE, STREAM] * OBJECTS_TRIED + [STREAM] * 2
    assert copying.verdict.kept is None


def test_a_kept_verdict_is_not_tried_again() -> None:
    copying = Copying(AUTO, kept=MemoryVerdict(("stream", "refused once")))

    copying.run(2)

    assert copying.ways() == [STREAM, STREAM]
    assert copying.told == []


def test_a_way_that_is_refused_later_is_given_up_and_every_object_is_streamed() -> None:
    copying = Copying(
        AUTO, kept=MemoryVerdict(("server-side:role", "worked")), refusals={BY_ROLE: failures.ACCESS_DENIED}
    )

    outcomes = copying.run(100)

    assert {type(outcome) for outcome in outcomes} == {Copied}
    assert len(outcomes) == 100
    assert copying.ways().count(BY_ROLE) == REFUSALS_TOLERATED
    assert copying.verdict.kept == ("stream", "server-side copies are refused now: by role")


WORKED = ("server-side:consumer", "worked")


def test_an_object_that_is_gone_is_streamed_in_vain_and_says_nothing_of_the_way() -> None:
    copying = Copying(AUTO, kept=MemoryVerdict(WORKED), misfortunes={"k0": failures.OBJECT_GONE})

    outcomes = copying.run(1)

    assert [type(outcome) for outcome in outcomes] == [Failed]
    assert copying.ways() == [BY_CONSUMER, STREAM]
    assert (copying.verdict.kept, copying.copier.mode) == (WORKED, "server-side")


def test_what_alone_is_refused_among_many_is_streamed_and_the_way_is_kept() -> None:
    copying = Copying(AUTO, kept=MemoryVerdict(WORKED))
    copying.refusals[BY_CONSUMER]["k7"] = failures.KMS_DENIED

    outcomes = copying.run(100)

    assert {type(outcome) for outcome in outcomes} == {Copied}
    assert [key for way, key in copying.log if way == STREAM] == ["k7"]
    assert (copying.verdict.kept, copying.told) == (WORKED, [])


def test_a_way_that_is_refused_for_the_only_object_there_is_is_given_up_once_that_is_streamed() -> None:
    copying = Copying(AUTO, kept=MemoryVerdict(WORKED), refusals={BY_CONSUMER: failures.ACCESS_DENIED})

    outcomes = copying.run(1)

    assert [type(outcome) for outcome in outcomes] == [Copied]
    assert copying.verdict.kept == ("stream", "server-side copies are refused now: by consumer")


def test_the_one_way_that_a_job_names_is_never_left() -> None:
    copying = Copying([BY_CONSUMER], refusals={BY_CONSUMER: failures.ACCESS_DENIED})

    outcomes = copying.run(3)

    assert [type(outcome) for outcome in outcomes] == [Failed] * 3
    assert copying.verdict.kept is None


def test_nothing_is_tried_where_there_is_nothing_to_copy() -> None:
    copying = Copying(AUTO)

    assert copying.run(0) == []
    assert copying.copier.mode is None


def test_a_replica_that_is_there_already_shows_that_the_way_is_open() -> None:
    copying = Copying(AUTO)
    copying.copier.copier = lambda _: _There()

    outcomes = copying.run(1)

    assert [type(outcome) for outcome in outcomes] == [AlreadyThere]
    assert copying.verdict.kept is not None


class _There:
    mode: str | None = None

    def copy_all(self, transfers: Iterator[Transfer | None], stop: Event) -> Iterator[Outcome]:
        del stop
        for item in transfers:
            if item is not None:
                yield AlreadyThere(item)
