"""`copy = "auto"`: tried once, kept, explained, and given up when it is refused."""

from collections.abc import Iterator
from threading import Event

import pytest
from fakes import MemoryVerdict

from syncd.copy.modes import OBJECTS_TRIED, REFUSALS_TOLERATED, STREAM, ModalCopier, Way
from syncd.copy.terms import LARGEST_COPY_BYTES
from syncd.model import events
from syncd.model.errors import JobFailed
from syncd.model.objects import AlreadyThere, Conflict, Copied, Failed, LogObject, Mode, Outcome, Shard, Transfer
from syncd.model.reasons import Reason
from syncd.tick.ports import Copier

BY_CONSUMER, BY_ROLE = Way(Mode.SERVER_SIDE, "consumer"), Way(Mode.SERVER_SIDE, "role")
AUTO = [BY_CONSUMER, BY_ROLE, STREAM]


class Carrier:
    """Copies everything but what it refuses, by key or (None) all of it, for a reason."""

    mode: str | None = None

    def __init__(
        self,
        way: Way,
        refusals: dict[str | None, str],
        log: list[tuple[Way, str]],
        replicas: dict[str, str],
        *,
        overwrites: bool,
    ) -> None:
        """`replicas` are what is there: by key, who wrote it, which stands for content and ETag alike."""
        self._way, self._refusals, self._log, self._replicas = way, refusals, log, replicas
        self._overwrites = overwrites

    def copy_all(self, transfers: Iterator[Transfer | None], stop: Event) -> Iterator[Outcome]:
        del stop
        for transfer in transfers:
            if transfer is not None:
                key = transfer.object.key
                self._log.append((self._way, key))
                there = self._replicas.get(key)
                if refusal := self._refusals.get(key) or self._refusals.get(None):
                    yield Failed(transfer, refusal, f"by {self._way.signer}")
                elif there is None or self._overwrites:
                    self._replicas[key] = "ours"
                    yield Copied(transfer, "ours")
                elif there == "altered":
                    yield Conflict(transfer, "the replica has other bytes")
                else:
                    yield AlreadyThere(transfer, there)


class Copying:
    def __init__(
        self,
        ways: list[Way],
        *,
        refusals: dict[Way, str] | None = None,
        misfortunes: dict[str, str] | None = None,
        kept: MemoryVerdict | None = None,
        overwrites: bool = False,
        replicas: dict[str, str] | None = None,
    ) -> None:
        """`refusals` are a way's own, and `misfortunes` an object's in every way, by key."""
        self.verdict = kept or MemoryVerdict()
        self.log: list[tuple[Way, str]] = []
        self.replicas: dict[str, str] = dict(replicas or {})
        self.told: list[dict[str, object]] = []
        self.refusals = {way: {None: (refusals or {}).get(way, ""), **(misfortunes or {})} for way in ways}
        self.copier = ModalCopier(
            ways,
            lambda way: Carrier(
                way, self.refusals[way], self.log, self.replicas, overwrites=overwrites and way != STREAM
            ),
            self.verdict,
            lambda event, **facts: self.told.append({"event": event, **facts}),
        )

    def run(self, count: int) -> list[Outcome]:
        transfers = iter([None, *(transfer(number) for number in range(count))])
        return list(self.copier.copy_all(transfers, Event()))

    def ways(self) -> list[Way]:
        return [way for way, _ in self.log]

    def by_server(self) -> list[str]:
        """The keys that CopyObject was sent for."""
        return [key for way, key in self.log if way != STREAM]


def transfer(number: int) -> Transfer:
    return Transfer(Shard(""), LogObject(f"k{number}", "e", 1, 0.0), f"k{number}")


TRIED = [STREAM, STREAM, BY_CONSUMER]
"""An object is streamed, its replica looked at, and a copy onto that tried."""


def test_the_cheap_way_is_kept_where_it_works_and_is_tried_with_a_real_object() -> None:
    copying = Copying(AUTO)

    outcomes = copying.run(3)

    assert [outcome.transfer.object.key for outcome in outcomes] == ["k0", "k1", "k2"]
    assert {type(outcome) for outcome in outcomes} == {Copied}
    assert copying.ways() == [*TRIED, BY_CONSUMER, BY_CONSUMER]
    assert copying.verdict.kept == ("server-side:consumer", "CopyObject by the consumer works")
    assert copying.copier.mode == "server-side"


def test_the_first_copy_by_the_server_is_onto_a_replica_of_our_own() -> None:
    copying = Copying(AUTO)

    copying.run(1)

    assert copying.log == [(STREAM, "k0"), (STREAM, "k0"), (BY_CONSUMER, "k0")]


def test_a_server_that_overwrites_is_streamed_to() -> None:
    copying = Copying(AUTO, overwrites=True)

    outcomes = copying.run(3)

    assert [type(outcome) for outcome in outcomes] == [Copied] * 3
    assert copying.ways() == [*TRIED, STREAM, STREAM]
    assert copying.verdict.kept == (
        "stream",
        "CopyObject by the consumer overwrites: the server ignores If-None-Match",
    )


@pytest.mark.parametrize(("there", "outcome"), [("the same", AlreadyThere), ("altered", Conflict)])
def test_what_was_there_before_is_never_tried_upon_and_tells_nothing_of_a_way(there: str, outcome: type) -> None:
    copying = Copying(AUTO, overwrites=True, replicas={"k0": there})

    outcomes = copying.run(2)

    assert [type(found) for found in outcomes] == [outcome, Copied]
    assert copying.by_server() == ["k1"]
    assert copying.replicas["k0"] == there


@pytest.mark.parametrize("there", ["the same", "altered"])
def test_a_replica_that_another_writer_replaced_meanwhile_is_not_tried_upon(there: str) -> None:
    copying = Copying(AUTO, overwrites=True)
    carrier = copying.copier.copier

    def replacing(way: Way) -> Copier:
        if copying.log:
            copying.replicas["k0"] = there
        return carrier(way)

    copying.copier.copier = replacing

    outcomes = copying.run(1)

    assert [type(outcome) for outcome in outcomes] == [Copied]
    assert copying.by_server() == []
    assert (copying.replicas["k0"], copying.verdict.kept) == (there, None)


def test_an_object_that_is_copied_in_parts_tells_nothing_of_copyobject() -> None:
    copying = Copying(AUTO)
    large = transfer(0)._replace(object=transfer(0).object._replace(size_bytes=LARGEST_COPY_BYTES + 1))

    list(copying.copier.copy_all(iter([large, transfer(1)]), Event()))

    assert copying.by_server() == ["k1"]


def test_an_object_that_was_to_be_compared_and_is_copied_is_an_object_like_any() -> None:
    copying = Copying(AUTO)
    compared = transfer(0)._replace(compare_first=True)

    outcomes = list(copying.copier.copy_all(iter([compared]), Event()))

    assert outcomes == [Copied(compared, "ours")]
    assert copying.verdict.kept == ("server-side:consumer", "CopyObject by the consumer works")


@pytest.mark.parametrize("refusal", [Reason.ACCESS_DENIED, Reason.OBJECT_GONE, Reason.UNSUPPORTED])
def test_what_is_refused_is_tried_by_the_role_and_then_streamed_and_the_reason_is_told(refusal: str) -> None:
    copying = Copying(AUTO, refusals={BY_CONSUMER: refusal, BY_ROLE: refusal})

    outcomes = copying.run(2)

    assert [outcome.transfer.object.key for outcome in outcomes] == ["k0", "k1"]
    assert copying.ways() == [*TRIED, STREAM, BY_ROLE, STREAM]
    assert copying.verdict.kept == ("stream", "by consumer; by role")
    assert copying.told == [
        {"event": events.MODE_CHOSEN, "mode": "stream", "signer": None, "why": "by consumer; by role"}
    ]


def test_a_session_that_may_not_be_had_for_writing_is_a_refusal_of_that_way_alone() -> None:
    copying = Copying(AUTO, refusals={BY_CONSUMER: Reason.ACCESS_DENIED})
    carrier = copying.copier.copier

    def without_role(way: Way) -> Copier:
        if way == BY_ROLE:
            raise JobFailed(Reason.ACCESS_DENIED, "AssumeRole", "")
        return carrier(way)

    copying.copier.copier = without_role

    outcomes = copying.run(2)

    assert [type(outcome) for outcome in outcomes] == [Copied] * 2
    assert copying.verdict.kept == ("stream", "by consumer; AssumeRole")


def test_a_failure_that_is_not_one_of_the_way_decides_nothing() -> None:
    copying = Copying(AUTO, refusals={BY_CONSUMER: Reason.SLOW_DOWN})

    outcomes = copying.run(1)

    assert [type(outcome) for outcome in outcomes] == [Copied]
    assert copying.verdict.kept is None


@pytest.mark.parametrize("misfortune", [Reason.OBJECT_GONE, Reason.ACCESS_DENIED, Reason.KMS_DENIED])
def test_an_object_that_cannot_be_streamed_decides_nothing_and_the_next_one_is_tried(misfortune: str) -> None:
    copying = Copying(AUTO, misfortunes={"k0": misfortune})

    outcomes = copying.run(3)

    assert [type(outcome) for outcome in outcomes] == [Failed, Copied, Copied]
    assert copying.log[:2] == [(STREAM, "k0"), (STREAM, "k1")]
    assert copying.verdict.kept == ("server-side:consumer", "CopyObject by the consumer works")


def test_if_no_object_tells_anything_the_rest_is_streamed_and_the_next_run_tries_again() -> None:
    everything = dict.fromkeys((f"k{number}" for number in range(5)), Reason.ACCESS_DENIED)
    copying = Copying(AUTO, misfortunes=everything)

    outcomes = copying.run(5)

    assert [type(outcome) for outcome in outcomes] == [Failed] * 5
    assert copying.log == [(STREAM, f"k{number}") for number in range(OBJECTS_TRIED + 2)]
    assert copying.verdict.kept is None


def test_a_kept_verdict_is_not_tried_again() -> None:
    copying = Copying(AUTO, kept=MemoryVerdict(("stream", "refused once")))

    copying.run(2)

    assert copying.ways() == [STREAM, STREAM]
    assert copying.told == []


def test_a_way_that_is_refused_later_is_given_up_and_every_object_is_streamed() -> None:
    copying = Copying(
        AUTO, kept=MemoryVerdict(("server-side:role", "worked")), refusals={BY_ROLE: Reason.ACCESS_DENIED}
    )

    outcomes = copying.run(100)

    assert {type(outcome) for outcome in outcomes} == {Copied}
    assert len(outcomes) == 100
    assert copying.ways().count(BY_ROLE) == REFUSALS_TOLERATED
    assert copying.verdict.kept == ("stream", "server-side copies are refused now: by role")


WORKED = ("server-side:consumer", "worked")


def test_an_object_that_is_gone_is_streamed_in_vain_and_says_nothing_of_the_way() -> None:
    copying = Copying(AUTO, kept=MemoryVerdict(WORKED), misfortunes={"k0": Reason.OBJECT_GONE})

    outcomes = copying.run(1)

    assert [type(outcome) for outcome in outcomes] == [Failed]
    assert copying.ways() == [BY_CONSUMER, STREAM]
    assert (copying.verdict.kept, copying.copier.mode) == (WORKED, "server-side")


def test_what_alone_is_refused_among_many_is_streamed_and_the_way_is_kept() -> None:
    copying = Copying(AUTO, kept=MemoryVerdict(WORKED))
    copying.refusals[BY_CONSUMER]["k7"] = Reason.KMS_DENIED

    outcomes = copying.run(100)

    assert {type(outcome) for outcome in outcomes} == {Copied}
    assert [key for way, key in copying.log if way == STREAM] == ["k7"]
    assert (copying.verdict.kept, copying.told) == (WORKED, [])


def test_a_way_that_is_refused_for_the_only_object_there_is_is_given_up_once_that_is_streamed() -> None:
    copying = Copying(AUTO, kept=MemoryVerdict(WORKED), refusals={BY_CONSUMER: Reason.ACCESS_DENIED})

    outcomes = copying.run(1)

    assert [type(outcome) for outcome in outcomes] == [Copied]
    assert copying.verdict.kept == ("stream", "server-side copies are refused now: by consumer")


def test_the_one_way_that_a_job_names_is_never_left() -> None:
    copying = Copying([BY_CONSUMER], refusals={BY_CONSUMER: Reason.ACCESS_DENIED})

    outcomes = copying.run(3)

    assert [type(outcome) for outcome in outcomes] == [Failed] * 3
    assert copying.verdict.kept is None


def test_nothing_is_tried_where_there_is_nothing_to_copy() -> None:
    copying = Copying(AUTO)

    assert copying.run(0) == []
    assert copying.copier.mode is None
