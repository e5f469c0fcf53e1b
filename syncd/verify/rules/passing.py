"""The memory of what was computed while logs were copied: a hash of each, or one witness of a whole day. Pure.

Both are of replicas that still are what was written, by their ETag and size.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from syncd.model.keys.stamps import DAY_SECONDS, day_folder, day_start
from syncd.model.objects import Shard, Written
from syncd.model.sealed import NO_WITNESS, witnessed
from syncd.verify.rules.digest import Named
from syncd.verify.rules.place import Place, Stored

LARGEST_DAY_HELD = 100_000
"""The most logs of a sealed day that are held until its end. Those of a larger one are read."""
_NAMED_BY_SECONDS = 3 * 3600.0
"""The digests of the time after a day name its last logs."""

T = TypeVar("T")


class Passing(Protocol):
    """The memory of the copies."""

    def kept(self, items: Sequence[Stored]) -> Mapping[str, str]:
        """Return the SHA-256 of logs of which it is known, by key."""
        ...

    def witness(self, key: str, day: str) -> int | None:
        """Return the witness of a log's day (YYYY-MM-DD), if the day is sealed and has one."""
        ...

    def vouched(self, hashes: Mapping[str, str]) -> None:
        """Take note of what a witness was found to vouch for."""


class View(Protocol):
    """The ledger of one replica."""

    def contents(self, shard: Shard, keys: Sequence[str]) -> Mapping[str, Written]:
        """Return what was written of those keys whose content was hashed meanwhile."""
        ...

    def witness(self, shard: Shard, day: str) -> int | None:
        """Return the witness of a sealed day, or None if it has none."""
        ...


class Nothing:
    """No memory: each log is read."""

    def kept(self, items: Sequence[Stored]) -> Mapping[str, str]:
        """Return nothing."""
        del items
        return {}

    def witness(self, _key: str, _day: str) -> int | None:
        """Return nothing."""
        return None

    def vouched(self, _hashes: Mapping[str, str]) -> None:
        """Do nothing."""


class LedgerPassing(Nothing):
    """The ledger's memory of one place."""

    def __init__(self, view: View, place: Place) -> None:
        self._view, self._place = view, place

    def kept(self, items: Sequence[Stored]) -> Mapping[str, str]:
        """Return the hashes of logs of which S3 lists the ETag and the size that were written."""
        kept: dict[str, str] = {}
        by_shard: dict[Shard, list[Stored]] = defaultdict(list)
        for item in items:
            by_shard[self._place.shard_of(item.key)].append(item)
        for shard, stored in by_shard.items():
            written = self._view.contents(shard, [item.key for item in stored])
            for item in stored:
                was = written.get(item.key)
                if was is not None and was[:2] == (item.etag, item.size_bytes):
                    kept[item.key] = was.sha256
        return kept

    def witness(self, key: str, day: str) -> int | None:
        """Return the witness of a log's day (YYYY-MM-DD), if the day is sealed and has one."""
        return self._view.witness(self._place.shard_of(key), day)


@dataclass(slots=True)
class Held(Generic[T]):
    """A sealed day whose logs wait for the last of its digests."""

    witness: int
    ends_at: float
    found: int = NO_WITNESS
    logs: list[tuple[Stored, Named, T]] = field(default_factory=list)

    @property
    def is_vouched(self) -> bool:
        """Return True if the logs, as digests name them and the replica lists them, are those that were written."""
        return self.found == self.witness

    def hashes(self) -> Mapping[str, str]:
        """Return the hashes that the witness vouches for."""
        return {log.key: log.sha256 for _, log, _ in self.logs}


class SealedDays(Generic[T]):
    """The sealed days of a place. `T` is what a caller remembers of each log."""

    def __init__(self, passing: Passing) -> None:
        self._passing = passing
        self._open: dict[str, Held[T] | None] = {}

    def hold(self, item: Stored, log: Named, about: T) -> bool:
        """Hold a log until the end of its day. Returns False if it has to be read."""
        folder, _, _ = log.key.rpartition("/")
        if folder not in self._open:
            self._open[folder] = self._begun(log.key, day_folder(f"{folder[-10:]}/"))
        day = self._open[folder]
        if day is None or len(day.logs) >= LARGEST_DAY_HELD:
            return False
        day.logs.append((item, log, about))
        day.found = witnessed(day.found, item.key, item.size_bytes, item.etag, log.sha256)
        return True

    def ended(self, until: float) -> Iterator[Held[T]]:
        """Yield the days whose digests have all come, given the end of the newest one."""
        for folder, day in list(self._open.items()):
            if day is not None and day.ends_at <= until:
                self._open[folder] = None
                yield day

    def _begun(self, key: str, day: str) -> Held[T] | None:
        witness = self._passing.witness(key, day) if day else None
        return None if witness is None else Held(witness, day_start(day) + DAY_SECONDS + _NAMED_BY_SECONDS)
