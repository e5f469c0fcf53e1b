"""Which way objects are copied: as the job says, or as `auto` finds out once.

A server-side copy costs no bytes here but has one principal for both ends, which most installations grant to nobody.
`auto` tries it with the first object there is, keeps the verdict in the ledger, and streams where it was refused.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from threading import Event
from typing import NamedTuple, Protocol

from syncd import events, failures
from syncd.model import Failed, Mode, Outcome, Transfer
from syncd.ports import Copier

REFUSALS_TOLERATED = 32
# What says that a server-side copy cannot be had, rather than that something is wrong with the object.
_REFUSALS = frozenset(
    {
        failures.ACCESS_DENIED,
        failures.KMS_DENIED,
        failures.OBJECT_GONE,
        failures.NO_BUCKET,
        failures.UNSUPPORTED,
        failures.WRONG_REGION,
        failures.UNEXPECTED,
    }
)


class Way(NamedTuple):
    """One way of copying: how, and who signs it."""

    mode: Mode
    signer: str = ""
    """`consumer` or `role` for server-side copies."""

    @property
    def name(self) -> str:
        """As the ledger keeps it."""
        return f"{self.mode.value}:{self.signer}" if self.signer else self.mode.value


STREAM = Way(Mode.STREAM)


class VerdictLedger(Protocol):
    """Where a verdict is kept."""

    def mode_verdict(self) -> tuple[str, str] | None:
        """The way's name, and why."""
        ...

    def set_mode_verdict(self, mode: str, why: str) -> None:
        """Keep it."""
        ...


@dataclass(slots=True)
class ModalCopier:
    """A `ports.Copier` that copies in one of several ways."""

    ways: Sequence[Way]
    """What may be tried, the cheapest first; one alone is not tried but used."""
    copier: Callable[[Way], Copier]
    """Makes the copier of one way. Raises JobFailed."""
    ledger: VerdictLedger
    tell: Callable[..., None]
    chosen: str | None = None
    """The mode that this run has chosen."""

    @property
    def mode(self) -> str | None:
        """The mode that is in use, as far as it is known."""
        way = self._decided()
        return self.chosen or (way.mode.value if way else None)

    def copy_all(self, transfers: Iterator[Transfer | None], stop: Event) -> Iterator[Outcome]:
        """What `ports.Copier` promises."""
        way = self._decided()
        if way is None:
            first = _first(transfers, stop)
            if first is None:
                return
            way, tried = self._try(first, stop)
            if tried is not None:
                yield tried
            else:
                transfers = chain([first], transfers)
        self.chosen = way.mode.value
        yield from self._copy(way, transfers, stop)

    def _copy(self, way: Way, transfers: Iterator[Transfer | None], stop: Event) -> Iterator[Outcome]:
        """In the way decided on; where only `auto` chose it and it is refused now, it is given up for streaming."""
        refused: list[Transfer] = []
        why: list[str] = []

        def until_refused() -> Iterator[Transfer | None]:
            while len(refused) < REFUSALS_TOLERATED:
                try:
                    yield next(transfers)
                except StopIteration:
                    return

        for outcome in self.copier(way).copy_all(until_refused(), stop):
            if isinstance(outcome, Failed) and self._is_refusal(way, outcome):
                refused.append(outcome.transfer)
                why.append(outcome.detail)
            else:
                yield outcome
        if refused:
            self._decide(STREAM, f"server-side copies are refused now: {why[0]}")
            yield from self.copier(STREAM).copy_all(chain(refused, transfers), stop)

    def _is_refusal(self, way: Way, outcome: Failed) -> bool:
        is_choice = len(self.ways) > 1 and way.mode is Mode.SERVER_SIDE
        return is_choice and outcome.reason in _REFUSALS

    def _decided(self) -> Way | None:
        if len(self.ways) == 1:
            return self.ways[0]
        verdict = self.ledger.mode_verdict()
        return next((way for way in self.ways if verdict is not None and way.name == verdict[0]), None)

    def _try(self, first: Transfer, stop: Event) -> tuple[Way, Outcome | None]:
        """The first way that is not refused for this object, and what came of it; for the last way nothing yet."""
        why = []
        for way in self.ways[:-1]:
            outcome = next(self.copier(way).copy_all(iter([first]), stop), None)
            if outcome is None:
                break
            if not isinstance(outcome, Failed):
                self._decide(way, f"CopyObject by the {way.signer} works")
                return way, outcome
            if outcome.reason not in _REFUSALS:
                return way, outcome
            why.append(outcome.detail)
        else:
            self._decide(self.ways[-1], "; ".join(why))
        return self.ways[-1], None

    def _decide(self, way: Way, why: str) -> None:
        self.chosen = way.mode.value
        self.ledger.set_mode_verdict(way.name, why)
        self.tell(events.MODE_CHOSEN, mode=way.mode.value, signer=way.signer or None, why=why)


def _first(transfers: Iterator[Transfer | None], stop: Event) -> Transfer | None:
    """The first transfer there is; None where there is none."""
    for transfer in transfers:
        if transfer is not None or stop.is_set():
            return transfer
    return None
