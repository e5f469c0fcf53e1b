"""One account and region of a replica, and the objects in it."""

from collections.abc import Iterable, Mapping, Sequence
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
    former: Sequence["Place"] = ()
    """The same account and region under other key prefixes, to which its trails delivered before."""
    is_copied: bool = True
    """False for a former one that the job does not copy, so that no more digests of it come."""

    def prefix_of(self, key: str) -> tuple[str, str]:
        """Return the kind of a key and the kind's prefix. Both are empty if it is of none."""
        kinds = (item for place in (self, *self.former) for item in {**place.kinds, DIGESTS: place.digests}.items())
        return next((found for found in kinds if key.startswith(found[1])), ("", ""))

    def has(self, key: str) -> bool:
        """Return True if a key is of one of its kinds but digests."""
        return key.startswith(tuple(self.kinds.values()))

    def uncopied(self) -> Sequence["Place"]:
        """Return the former places that the job does not copy."""
        return [place for place in self.former if not place.is_copied]

    @property
    def all_digests(self) -> Sequence[str]:
        """All prefixes of digests."""
        return [place.digests for place in (self, *self.former)]

    def prefixes(self) -> Mapping[str, Sequence[str]]:
        """Return all prefixes of each kind but digests."""
        found: dict[str, list[str]] = {}
        for place in (self, *self.former):
            for kind, prefix in place.kinds.items():
                found.setdefault(kind, []).append(prefix)
        return found

    def prefixes_elsewhere(self, keys: Iterable[str]) -> Sequence[str]:
        """Return the prefixes of digests with these keys, if they are of the same account and region under another one."""
        found = dict.fromkeys(under(key) for key in keys)
        ending = f"/{self.account}/{DIGESTS}/{self.region}/"
        return [prefix for prefix in found if prefix not in self.all_digests and prefix.endswith(ending)]

    def shard_of(self, key: str) -> Shard:
        """Return the shard of a key of the place."""
        kind, prefix = self.prefix_of(key)
        former = [place for place in self.former if prefix in (place.digests, *place.kinds.values())]
        return Shard(prefix, self.account, kind, self.region, (former[0] if former else self).organization)


def under(key: str) -> str:
    """Return the prefix of a digest's key or a log's, up to the dates."""
    return f"{key.rsplit('/', 4)[0]}/"


class Stored(NamedTuple):
    """An object of the replica, by the source's key."""

    key: str
    size_bytes: int
    etag: str = ""
    modified: float = 0.0
    """When the replica was written. 0.0 if unknown."""
