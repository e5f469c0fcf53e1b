"""One account and region of a replica, and the objects in it."""

from collections.abc import Mapping
from typing import NamedTuple

from syncd.model.objects import Shard
from syncd.tick.task import DIGESTS


class Place(NamedTuple):
    """One account and region of the replica, by prefixes of source keys."""

    account: str
    region: str
    digests: str
    """The prefix of its digests, up to the dates."""
    kinds: Mapping[str, str]
    """The prefixes of its other kinds, such as CloudTrail and CloudTrail-Insight."""
    organization: str = ""

    def prefix_of(self, key: str) -> tuple[str, str]:
        """Return the kind of a key and the kind's prefix. Both are empty if it is of none."""
        kinds = {**self.kinds, DIGESTS: self.digests}
        return next((found for found in kinds.items() if key.startswith(found[1])), ("", ""))

    def shard_of(self, key: str) -> Shard:
        """Return the shard of a key of the place."""
        kind, prefix = self.prefix_of(key)
        return Shard(prefix, self.account, kind, self.region, self.organization)


class Stored(NamedTuple):
    """An object of the replica, by the source's key."""

    key: str
    size_bytes: int
    etag: str = ""
    modified: float = 0.0
    """When the replica was written. 0.0 if unknown."""
