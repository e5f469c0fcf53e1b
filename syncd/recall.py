"""What the destination remembers: the ledger rebuilt from a listing of the replicas.

A shard that the ledger knows nothing of is either new or lost; the destination tells which. Replicas found become rows
whose source ETag is not known yet, and the shard resumes at its newest replica, never at the job's start.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from syncd.discovery import FolderLister
from syncd.layout import Layout, day_start
from syncd.model import LogObject, Page, Range, Shard


class ReplicaLister(FolderLister, Protocol):
    """Lists the destination."""

    def pages(self, ranges: Iterable[Range]) -> Iterator[Page | None]:
        """Pages of the ranges, None while there is nothing yet; raises JobFailed."""
        ...


class ReplicaLedger(Protocol):
    """Where found replicas are written down."""

    def adopt_replicas(self, shard: Shard, replicas: Sequence[tuple[str, int]]) -> None:
        """Rows of (source key, size) whose source ETag is not known."""
        ...


class Recalled(NamedTuple):
    """What the destination holds of one shard."""

    total: int
    oldest_stamp: float


def at_destination(shard: Shard, destination_prefix: str) -> Shard:
    """The prefix under which a shard's replicas lie."""
    return shard._replace(prefix=destination_prefix + shard.prefix)


def recall(
    ranges: Sequence[Range],
    lister: ReplicaLister,
    ledger: ReplicaLedger,
    *,
    destination_prefix: str,
    layout: Layout,
    doubtful: dict[str, str] | None = None,
) -> dict[str, Recalled]:
    """Write down the replicas of these source ranges, page by page; by the shard's prefix, what was found.

    A replica of the source's size is taken for the source's object. Where nothing says that it was we who wrote it, the
    ETags of the few replicas of a shard with no more than a page are put into `doubtful`: one that differs from the
    source's proves nothing, but is reason enough to compare.

    Raises:
        JobFailed: the destination's listing was refused or cannot be had.
    """
    shards = {destination_prefix + item.shard.prefix: item.shard for item in ranges}
    found: dict[str, Recalled] = {}
    wanted = (
        item._replace(
            shard=at_destination(item.shard, destination_prefix),
            start_after=destination_prefix + item.start_after if item.start_after else "",
            until=destination_prefix + item.until if item.until else "",
        )
        for item in ranges
    )
    for page in lister.pages(wanted):
        if page is None or not page.objects:
            continue
        shard = shards[page.range.shard.prefix]
        replicas = replicas_of(page, destination_prefix)
        if doubtful is not None and page.is_last and shard.prefix not in found:
            doubtful.update((item.key, item.etag) for item in replicas)
        ledger.adopt_replicas(shard, [(item.key, item.size_bytes) for item in replicas])
        found[shard.prefix] = _merged(found.get(shard.prefix), [layout.stamp(item) for item in replicas])
    return found


def newest_day(shard: Shard, lister: FolderLister, *, destination_prefix: str) -> str:
    """The newest day folder (`YYYY-MM-DD`) that the destination has of a CloudTrail shard; empty for none.

    Three listings at the most, however long the history.
    """
    prefix = destination_prefix + shard.prefix
    parts: list[str] = []
    for width in (4, 2, 2):
        names = [
            name[len(prefix) : -1]
            for folder in lister.folders([prefix])
            for name in folder.prefixes
            if len(name) == len(prefix) + width + 1 and name[len(prefix) : -1].isdigit()
        ]
        if not names:
            return ""
        parts.append(max(names))
        prefix += f"{parts[-1]}/"
    day = "-".join(parts)
    try:
        day_start(day)
    except ValueError:
        return ""
    return day


def _merged(before: Recalled | None, stamps: Sequence[float]) -> Recalled:
    if before is None:
        return Recalled(len(stamps), min(stamps))
    return Recalled(before.total + len(stamps), min(before.oldest_stamp, *stamps))


def replicas_of(page: Page, destination_prefix: str) -> list[LogObject]:
    """A page of the destination, under the keys of the source."""
    return [item._replace(key=item.key[len(destination_prefix) :]) for item in page.objects]
