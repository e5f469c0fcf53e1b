"""The ports of a tick: the interfaces of the two buckets, the copier and the ledger."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from threading import Event
from typing import NamedTuple, Protocol

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
        """Yield each range's pages in the store's order, or None while none has arrived. Raises JobFailed."""
        ...

    def folders(self, prefixes: Iterable[str]) -> Iterator[Folder]:
        """Yield the contents of each prefix as one or more Folders. Raises JobFailed."""
        ...


class ReplicaLister(Lister, Protocol):
    """Lists the destination."""

    @property
    def is_denied(self) -> bool:
        """True once a listing was denied: a replica that is not listed then may still exist."""
        ...


class Copier(Protocol):
    """Copies objects to the destination."""

    @property
    def mode(self) -> str | None:
        """The copy mode in use, or None until decided."""
        ...

    def copy_all(self, transfers: Iterator[Transfer | None], stop: Event) -> Iterator[Outcome]:
        """Yield one Outcome per started transfer. Raises JobFailed once all copies in flight have ended."""
        ...


class Cursors(Protocol):
    """The cursors of one replica: its start, its shards and its folders. All methods raise LedgerError."""

    def start(self) -> float | None:
        """Return the job's start. Returns None before the first tick fixes it."""
        ...

    def set_start(self, instant: float) -> None:
        """Fix the job's start."""
        ...

    def shards(self) -> Mapping[str, ShardState]:
        """Return each shard's state by its prefix. Shards with damaged rows are left out."""
        ...

    def save_shards(self, states: Iterable[ShardState], *, discovered_at: float | None = None) -> None:
        """Save shards in one commit and, if given, when a full discovery began."""
        ...

    def discovered_at(self) -> float:
        """Return when the last full discovery began, or 0.0."""
        ...

    def looked_at(self) -> Mapping[str, tuple[float, tuple[str, ...]]]:
        """Return when folders were last listed, and the folders found in them."""
        ...

    def save_looked_at(self, looks: Mapping[str, tuple[float, tuple[str, ...]]]) -> None:
        """Save listings of folders in one commit."""
        ...

    def save_uncovered(self, prefixes: Collection[str], *, now: float) -> None:
        """Replace the list of the source's folders that are not covered."""
        ...


class Objects(Protocol):
    """The objects of one replica, key by key and in sealed days. All methods raise LedgerError."""

    def known(self, shard: Shard, keys: Sequence[str]) -> Mapping[str, Known]:
        """Return those of up to 1,000 keys of a page that are at the destination."""
        ...

    def has_known_after(self, shard: Shard, start_after: str) -> bool:
        """Return True if any key after this one is remembered."""
        ...

    def remembered(self, shard: Shard, after_key: str, *, limit: int) -> list[tuple[str, Known]]:
        """Return the rows after a key, in key order: at least `limit`, or up to the end of the shard."""
        ...

    def accepted(self) -> Mapping[str, tuple[str, str]]:
        """Return ETag and storage class of the objects that an operator has accepted, by key."""
        ...

    def record(
        self,
        outcomes: Sequence[Outcome],
        adopted: Sequence[tuple[Shard, LogObject, str]],
        *,
        now: float,
        lateness: Mapping[int, int] = ...,
    ) -> None:
        """Record outcomes and adopted objects in one commit."""
        ...

    def seal(self, shard: Shard, before_day: str, *, limit: int) -> int:
        """Fold the keys of days before this one into a row per day. Returns how many were folded."""
        ...

    def sealed(self, shard: Shard, first: str, last: str) -> Mapping[str, SealedDay]:
        """Return the sealed days of a span, both ends inclusive."""
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
        """Delete sealed days and record their objects key by key, in one commit."""
        ...


class Quarantine(Protocol):
    """The quarantine of one replica: objects known but not at the destination. All methods raise LedgerError."""

    def mend(self) -> Sequence[str]:
        """Remove damaged entries, so that their objects are found again. Returns a sentence per action."""
        ...

    def quarantined(
        self, *, is_wanted: Callable[[Shard], bool] | None = ..., limit: int | None = ..., with_details: bool = ...
    ) -> Mapping[str, Quarantined]:
        """Return the objects of wanted shards by key, at most `limit`."""
        ...

    def held_counts(self, is_wanted: Callable[[Shard], bool] | None = ...) -> HeldCounts:
        """Count the objects without loading any."""
        ...

    def held_stamps(
        self, stamp: Callable[[Shard, LogObject], float], is_wanted: Callable[[Shard], bool] | None = ...
    ) -> Iterator[float]:
        """Yield the stamp of each object."""
        ...


class Ledger(Cursors, Objects, Quarantine, Protocol):
    """The memory of one replica between ticks."""


class Ports(NamedTuple):
    """A tick's access to the outside world."""

    source: Lister
    source_bucket: str
    destination: ReplicaLister
    copier: Copier
    ledger: Ledger
    now: Callable[[], float]
    """The process's own clock, in seconds since the epoch."""
    tell: Callable[..., None]
    """Logs an event: a name from `events`, and facts by keyword."""
