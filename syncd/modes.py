"""Which way objects are copied: as the job says, or as `auto` finds out once.

A server-side copy costs no bytes here but has one principal for both ends, which most installations grant to nobody.
`auto` tries it with the first object there is, keeps the verdict in the ledger, and streams where it was refused.

A refusal is also what an object gets that is gone, or that a key of its own protects. So it is no verdict before
streaming has copied what was refused. And what copies may also overwrite: many servers know no If-None-Match on
CopyObject, and S3 itself only does since October 2025. So the first copy is made twice, and the second must be refused.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from threading import Event
from typing import NamedTuple, Protocol

from syncd import events, failures
from syncd.errors import JobFailed
from syncd.model import Copied, Failed, Mode, Outcome, Transfer
from syncd.ports import Copier

REFUSALS_TOLERATED = 32
OBJECTS_TRIED = 3
"""With so many objects that no way copies, `auto` finds nothing out; the next run tries again."""
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
        for _ in range(OBJECTS_TRIED):
            if way is not None:
                break
            way, outcome = self._try(transfers, stop)
            if outcome is None:
                return
            yield outcome
        way = way or self.ways[-1]
        self.chosen = way.mode.value
        yield from self._copy(way, transfers, stop)

    def _copy(self, way: Way, transfers: Iterator[Transfer | None], stop: Event) -> Iterator[Outcome]:
        """In the way decided on; what `auto` is refused in it is streamed, and so is all else after many refusals."""
        refused: dict[Transfer, str] = {}
        copied = 0

        def until_refused() -> Iterator[Transfer | None]:
            while len(refused) < REFUSALS_TOLERATED:
                try:
                    yield next(transfers)
                except StopIteration:
                    return

        for outcome in self.copier(way).copy_all(until_refused(), stop):
            if isinstance(outcome, Failed) and self._is_refusal(way, outcome):
                refused[outcome.transfer] = outcome.detail
            else:
                copied += not isinstance(outcome, Failed)
                yield outcome
        if not refused:
            return
        is_given_up = len(refused) >= REFUSALS_TOLERATED or not copied
        for outcome in self.copier(STREAM).copy_all(chain(refused, transfers), stop):
            if is_given_up and not isinstance(outcome, Failed) and outcome.transfer in refused:
                is_given_up = False
                self._decide(STREAM, f"server-side copies are refused now: {refused[outcome.transfer]}")
            yield outcome

    def _is_refusal(self, way: Way, outcome: Failed) -> bool:
        is_choice = len(self.ways) > 1 and way.mode is Mode.SERVER_SIDE
        return is_choice and outcome.reason in _REFUSALS

    def _decided(self) -> Way | None:
        if len(self.ways) == 1:
            return self.ways[0]
        verdict = self.ledger.mode_verdict()
        return next((way for way in self.ways if verdict is not None and way.name == verdict[0]), None)

    def _try(self, transfers: Iterator[Transfer | None], stop: Event) -> tuple[Way | None, Outcome | None]:
        """Copy the next object there is in the first way that is not refused.

        Returns the way to go on with, None where this object has told nothing of it, and what came of the object, None
        where there was none.
        """
        taken: list[Transfer] = []

        def only_one() -> Iterator[Transfer | None]:
            for transfer in transfers:
                if transfer is not None:
                    taken.append(transfer)
                yield transfer
                if taken:
                    return

        why: list[str] = []
        outcome: Outcome | None = None
        for way in self.ways:
            try:
                copier = self.copier(way)
            except JobFailed as refused:
                # The session that writes is another than the one that reads, and may be refused by itself.
                why.append(refused.detail)
                continue
            outcome = next(copier.copy_all(iter(taken) if taken else only_one(), stop), None)
            if outcome is None or taken[0].compare_first:
                # What is to be compared is read, whatever the way.
                break
            if not isinstance(outcome, Failed):
                return self._found(way, outcome, why, stop), outcome
            if outcome.reason not in _REFUSALS:
                return way, outcome
            why.append(outcome.detail)
        return None, outcome

    def _found(self, way: Way, outcome: Outcome, why: Sequence[str], stop: Event) -> Way | None:
        """The verdict, where a way has copied the first object."""
        if way == self.ways[-1]:
            self._decide(way, "; ".join(why))
            return way
        again: Outcome | None = outcome
        if isinstance(outcome, Copied):
            again = next(self.copier(way).copy_all(iter([outcome.transfer]), stop), None)
        if isinstance(again, Copied):
            self._decide(STREAM, f"CopyObject by the {way.signer} overwrites: the server ignores If-None-Match")
            return STREAM
        if again is None or isinstance(again, Failed):
            return None
        self._decide(way, f"CopyObject by the {way.signer} works")
        return way

    def _decide(self, way: Way, why: str) -> None:
        self.chosen = way.mode.value
        self.ledger.set_mode_verdict(way.name, why)
        self.tell(events.MODE_CHOSEN, mode=way.mode.value, signer=way.signer or None, why=why)
