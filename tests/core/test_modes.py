"""`copy = "auto"`: tried once, kept, explained, and given up when it is refused."""

from collections.abc import Iterator
from threading import Event

import pytest

from syncd import events, failures
from syncd.model import AlreadyThere, Copied, Failed, LogObject, Mode, Outcome, Shard, Transfer
from syncd.modes import REFUSALS_TOLERATED, STREAM, ModalCopier, Way

BY_CONSUMER, BY_ROLE = Way(Mode.SERVER_SIDE, "consumer"), Way(Mode.SERVER_SIDE, "role")
AUTO = [BY_CONSUMER, BY_ROLE, STREAM]


class Verdict:
    def __init__(self, kept: tuple[str, str] | None = None) -> None:
        self.kept = kept

    def mode_verdict(self) -> tuple[str, str] | None:
        return self.kept

    def set_mode_verdict(self, mode: str, why: str) -> None:
        self.kept = mode, why


class Carrier:
    """Copies everything, or refuses it for one reason."""

    mode: str | None = None

    def __init__(self, way: Way, refusal: str, log: list[tuple[Way, str]]) -> None:
        self._way, self._refusal, self._log = way, refusal, log

    def copy_all(self, transfers: Iterator[Transfer | None], stop: Event) -> Iterator[Outcome]:
        del stop
        for transfer in transfers:
            if transfer is not None:
                self._log.append((self._way, transfer.object.key))
                yield Failed(transfer, self._refusal, f"by {self._way.signer}") if self._refusal else Copied(transfer)


class Copying:
    def __init__(self, ways: list[Way], *, refusals: dict[Way, str] | None = None, kept: Verdict | None = None) -> None:
        self.verdict = kept or Verdict()
        self.log: list[tuple[Way, str]] = []
        self.told: list[dict[str, object]] = []
        self.refusals = refusals or {}
        self.copier = ModalCopier(
            ways,
            lambda way: Carrier(way, self.refusals.get(way, ""), self.log),
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
    assert copying.ways() == [BY_CONSUMER] * 3
    assert copying.verdict.kept == ("server-side:consumer", "CopyObject by the consumer works")
    assert copying.copier.mode == "server-side"


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


def test_a_failure_that_is_the_objects_own_decides_nothing() -> None:
    copying = Copying(AUTO, refusals={BY_CONSUMER: failures.SLOW_DOWN})

    outcomes = copying.run(1)

    assert [type(outcome) for outcome in outcomes] == [Failed]
    assert copying.verdict.kept is None


def test_a_kept_verdict_is_not_tried_again() -> None:
    copying = Copying(AUTO, kept=Verdict(("stream", "refused once")))

    copying.run(2)

    assert copying.ways() == [STREAM, STREAM]
    assert copying.told == []


def test_a_way_that_is_refused_later_is_given_up_and_every_object_is_streamed() -> None:
    copying = Copying(AUTO, kept=Verdict(("server-side:role", "worked")), refusals={BY_ROLE: failures.ACCESS_DENIED})

    outcomes = copying.run(100)

    assert {type(outcome) for outcome in outcomes} == {Copied}
    assert len(outcomes) == 100
    assert copying.ways().count(BY_ROLE) == REFUSALS_TOLERATED
    assert copying.verdict.kept == ("stream", "server-side copies are refused now: by role")


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
