"""Ways to copy objects: the one in the job, or the one that `auto` finds.

A server-side copy moves no bytes through this machine but has one principal for both ends, which most installations grant
to nobody. `auto` tries it with the first object, keeps the verdict in the ledger, and streams if it was refused.

An object that is gone, or that a key of its own protects, is refused too. And a server that copies may also overwrite:
many do not know If-None-Match on CopyObject, and S3 itself has known it only since October 2025. So the first object is
streamed, under a condition that every server keeps. If it was there before, it proves nothing. If it was not, the replica
is ours and the same as the source. A CopyObject onto it must be refused, and can do no harm if it is not. The replica is
compared right before, so that it is never another writer's.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from threading import Event
from typing import NamedTuple, Protocol

from syncd.copy.terms import LARGEST_COPY_BYTES
from syncd.model import events
from syncd.model.errors import JobFailed
from syncd.model.objects import AlreadyThere, Copied, Failed, Mode, Outcome, Transfer
from syncd.model.reasons import Reason
from syncd.tick.ports import Copier

REFUSALS_TOLERATED = 32
OBJECTS_TRIED = 3
"""Objects that `auto` tries in one run. Those that fail, or were there before, prove nothing."""
# Reasons that a server-side copy is refused, rather than that something is wrong with the object.
_REFUSALS = frozenset(
    {
        Reason.ACCESS_DENIED,
        Reason.KMS_DENIED,
        Reason.OBJECT_GONE,
        Reason.NO_BUCKET,
        Reason.UNSUPPORTED,
        Reason.WRONG_REGION,
        Reason.UNEXPECTED,
    }
)


class Way(NamedTuple):
    """One way of copying: the mode, and who signs."""

    mode: Mode
    signer: str = ""
    """`consumer` or `role` for server-side copies."""

    @property
    def name(self) -> str:
        """The name that the ledger keeps."""
        return f"{self.mode.value}:{self.signer}" if self.signer else self.mode.value


STREAM = Way(Mode.STREAM)


class VerdictLedger(Protocol):
    """The ledger's part that keeps the verdict."""

    def mode_verdict(self) -> tuple[str, str] | None:
        """Return the way's name and the cause, or None."""
        ...

    def set_mode_verdict(self, mode: str, why: str) -> None:
        """Keep a verdict."""
        ...


@dataclass(slots=True)
class ModalCopier:
    """A `ports.Copier` that copies in one of several ways."""

    ways: Sequence[Way]
    """The ways to try, the cheapest first. A single one is used without a trial."""
    copier: Callable[[Way], Copier]
    """Factory of the copier of one way. Raises JobFailed."""
    ledger: VerdictLedger
    tell: Callable[..., None]
    chosen: str | None = None
    """The mode that this run has chosen."""

    @property
    def mode(self) -> str | None:
        """The copy mode in use, or None until decided."""
        way = self._decided()
        return self.chosen or (way.mode.value if way else None)

    def copy_all(self, transfers: Iterator[Transfer | None], stop: Event) -> Iterator[Outcome]:
        """Copy as `ports.Copier` promises."""
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
        """Copy in this way. Under `auto`, stream what it refuses, and everything after many refusals."""
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
        """Stream the next object, then try the other ways on its replica, cheapest first.

        Returns the way to go on with, or None if this object proves nothing, and the object's outcome, or None if there
        was no object.
        """
        stream = self.ways[-1]
        outcome = next(self.copier(stream).copy_all(_one_of(transfers), stop), None)
        # A larger object is copied in parts, and every server keeps the condition of CompleteMultipartUpload.
        if not isinstance(outcome, Copied) or outcome.transfer.object.size_bytes > LARGEST_COPY_BYTES:
            return None, outcome
        why: list[str] = []
        for way in self.ways[:-1]:
            try:
                copier = self.copier(way)
            except JobFailed as refused:
                # The session that writes is not the one that reads, and may be refused by itself.
                why.append(refused.detail)
                continue
            again = self._copied_again(copier, outcome, stop)
            if isinstance(again, Copied):
                self._decide(stream, f"CopyObject by the {way.signer} overwrites: the server ignores If-None-Match")
                return stream, again
            if isinstance(again, AlreadyThere):
                self._decide(way, f"CopyObject by the {way.signer} works")
                return way, outcome
            if not isinstance(again, Failed) or again.reason not in _REFUSALS:
                return None, outcome
            why.append(again.detail)
        self._decide(stream, "; ".join(why))
        return stream, outcome

    def _copied_again(self, copier: Copier, copied: Copied, stop: Event) -> Outcome | None:
        """Copy onto a replica of our own. Returns None if that could not be tried, or it is not ours any more."""
        transfer = copied.transfer
        looked = next(
            self.copier(self.ways[-1]).copy_all(iter([transfer._replace(compare_first=True)]), stop),
            None,
        )
        if not isinstance(looked, AlreadyThere) or not _is_one_etag(looked.replica_etag, copied.replica_etag):
            return None
        again = next(copier.copy_all(iter([transfer._replace(compare_first=False)]), stop), None)
        return again._replace(transfer=transfer) if again is not None else None

    def _decide(self, way: Way, why: str) -> None:
        self.chosen = way.mode.value
        self.ledger.set_mode_verdict(way.name, why)
        self.tell(events.MODE_CHOSEN, mode=way.mode.value, signer=way.signer or None, why=why)


def _one_of(transfers: Iterator[Transfer | None]) -> Iterator[Transfer | None]:
    """Yield the next transfer, and each None before it."""
    for transfer in transfers:
        yield transfer
        if transfer is not None:
            return


def _is_one_etag(one: str, other: str) -> bool:
    """Return whether two ETags are the same. An empty one matches any."""
    return one == other or not (one and other)
