"""The world as a tick sees it."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Protocol

from syncd.model.objects import (
    Folder,
    HeldCounts,
    Known,
    LogObject,
    Outcome,
    Page,
    Quarantined,
    Range,
    Shard,
    ShardState,
    Transfer,
)
from syncd.model.sealed import SealedDay


class Lister(Protocol):
    """Lists one bucket."""

    def pages(self, ranges: Iterable[Range]) -> Iterator[Page | None]:
        """Each range's pages in key order; None while there is nothing yet. Raises JobFailed."""
        ...

    def folders(self, prefixes: Iterable[str]) -> Iterator[Folder]:
        """What is directly below each prefix, as one or more Folders. Raises JobFailed."""
        ...


class ReplicaLister(Lister, Protocol):
    """Lists the destination."""

    @property
    def is_denied(self) -> bool:
        """True once a listing was refused: what is not listed is then not missing."""
        ...


class Copier(Protocol):
    """Carries objects to the destination."""

    @property
    def mode(self) -> str | None:
        """The copy mode in use, as far as it is known."""
        ...

    def copy_all(self, transfers: Iterator[Transfer | None], stop: Event) -> Iterator[Outcome]:
        """One Outcome for each transfer that was begun. Raises JobFailed after what is in flight has ended."""
        ...


class TickLedger(Protocol):
    """What is remembered of one replica between ticks. All methods raise LedgerError."""

    def mend(self) -> Sequence[str]:
        """Let go of damaged entries, and have what they may have held looked for again; a sentence for each."""
        ...

    def start(self) -> float | None:
        """The job's start, fixed at its first tick."""
        ...

    def set_start(self, instant: float) -> None:
        """Fix it."""
        ...

    def shards(self) -> Mapping[str, ShardState]:
        """By prefix; those that are damaged are left out, as if lost."""
        ...

    def save_shards(self, states: Iterable[ShardState], *, discovered_at: float | None = None) -> None:
        """In one commit."""
        ...

    def discovered_at(self) -> float:
        """When the last full discovery was."""
        ...

    def looked_at(self) -> Mapping[str, tuple[float, tuple[str, ...]]]:
        """When folders were last listed, and what was in them."""
        ...

    def save_looked_at(self, looks: Mapping[str, tuple[float, tuple[str, ...]]]) -> None:
        """In one commit."""
        ...

    def known(self, shard: Shard, keys: Sequence[str]) -> Mapping[str, Known]:
        """What is remembered of up to 1,000 keys of a page."""
        ...

    def has_known_after(self, shard: Shard, start_after: str) -> bool:
        """Whether any key after this one is remembered."""
        ...

    def record(
        self,
        outcomes: Sequence[Outcome],
        adopted: Sequence[tuple[Shard, LogObject, str]],
        *,
        now: float,
        lateness: Mapping[int, int] = ...,
    ) -> None:
        """All of it in one commit."""
        ...

    def remembered(self, shard: Shard, after_key: str, *, limit: int) -> list[tuple[str, Known]]:
        """The rows that follow a key, in the order of keys: at least `limit`, or to the end of the shard."""
        ...

    def accepted(self) -> Mapping[str, tuple[str, str]]:
        """ETag and storage class of the objects that an operator has let go of, by key."""
        ...

    def save_uncovered(self, prefixes: Collection[str], *, now: float) -> None:
        """Remember which folders of the source are not covered, in place of those of before."""
        ...

    def quarantined(
        self, *, is_wanted: Callable[[Shard], bool] | None = ..., limit: int | None = ..., with_details: bool = ...
    ) -> Mapping[str, Quarantined]:
        """Objects that are known and not at the destination, by key; of the shards that are wanted, so many at the most."""
        ...

    def held_counts(self, is_wanted: Callable[[Shard], bool] | None = ...) -> HeldCounts:
        """How many of them there are, without loading any."""
        ...

    def held_stamps(
        self, stamp: Callable[[Shard, LogObject], float], is_wanted: Callable[[Shard], bool] | None = ...
    ) -> Iterator[float]:
        """The times that they belong to, one at a time."""
        ...

    def seal(self, shard: Shard, before_day: str, *, limit: int) -> int:
        """Fold keys of days before this one into a row a day; how many rows were folded."""
        ...

    def sealed(self, shard: Shard, first: str, last: str) -> Mapping[str, SealedDay]:
        """The sealed days of a span, both ends inclusive."""
        ...

    def unseal(
        self,
        shard: Shard,
        days: Sequence[str],
        *,
        outcomes: Sequence[Outcome] = (),
        adopted: Sequence[tuple[Shard, LogObject, str]] = (),
        now: float = 0.0,
    ) -> None:
        """Forget the rows of sealed days and record what is remembered instead, in one commit."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What a tick is given to act with."""

    source: Lister
    source_bucket: str
    destination: ReplicaLister
    copier: Copier
    ledger: TickLedger
    now: Callable[[], float]
    """The process's own clock, seconds since the epoch."""
    tell: Callable[..., None]
    """Says an event: a name from `events`, and facts by keyword."""
