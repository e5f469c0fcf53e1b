"""The ports of continuous verification: the replica, the ledger, and the response to doubts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from syncd.job.health.proofs import Doubt
from syncd.model.objects import Known, Shard, ShardState, Written
from syncd.verify.audit import ReplicaReader
from syncd.verify.rules.place import Place, Stored


class LiveReplica(ReplicaReader, Protocol):
    """The replica, read, and listed from key to key."""

    def between(self, prefix: str, first: str, last: str) -> Iterator[Stored]:
        """List the objects below a prefix from one key to another, both included."""
        ...


class Ledger(Protocol):
    """The ledger. Methods raise LedgerError."""

    def shards(self) -> Mapping[str, ShardState]:
        """Return each shard's state by its prefix."""
        ...

    def accepted(self) -> Mapping[str, Any]:
        """Return what an operator has accepted, by key."""
        ...

    def remembered(self, shard: Shard, after_key: str, *, limit: int) -> list[tuple[str, Known]]:
        """Return the rows after a key, in key order: at least `limit`, or up to the end of the shard."""
        ...

    def contents(self, shard: Shard, keys: Sequence[str]) -> Mapping[str, Written]:
        """Return what was written of those keys whose content was hashed meanwhile."""
        ...

    def proofs(self) -> Mapping[str, str]:
        """Return the saved proofs by the prefix of their digests."""
        ...

    def save_proof(self, prefix: str, proof: str) -> None:
        """Save one."""
        ...


class Responder(Protocol):
    """The response to doubts."""

    def heal(self, place: Place, doubts: Sequence[Doubt], again: Callable[[Doubt], Doubt | None]) -> list[Doubt]:
        """Fetch what is missing, and return the doubts that stay. `again` looks at one anew."""
        ...

    def hold(self, place: Place, doubt: Doubt) -> None:
        """Hold the horizon back for what is altered."""
        ...

    def release(self, doubt: Doubt) -> None:
        """Have the next tick look at what was held."""
        ...
