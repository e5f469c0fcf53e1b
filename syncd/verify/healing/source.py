"""The source, looked up key by key: does it have an object, and with which content."""

from collections import Counter
from collections.abc import Collection, Iterator
from threading import Event

from syncd.aws.listing import BucketLister
from syncd.aws.s3 import Side
from syncd.config.job import Job
from syncd.job.installation import Installation
from syncd.model.objects import LogObject, Range, Shard
from syncd.verify.replica import BucketReplica
from syncd.verify.rules.chain import Found
from syncd.verify.rules.place import Stored
from syncd.verify.rules.verdict import Finding
from syncd.verify.source.ends import ends_of


class SourceReader:
    """Reads objects of a job's source. Raises JobFailed if it may not."""

    def __init__(self, job: Job, installation: Installation, requests: Counter[str], *, stop: Event) -> None:
        end, _ = ends_of(job, installation, requests)
        self._lister = BucketLister(end, Side.SOURCE, now=installation.now, stop=stop, takes_trees=True)
        self._reader = BucketReplica(end, self._lister, prefix="", stop=stop, side=Side.SOURCE)

    def listed(self, wanted: Collection[tuple[str, Shard]]) -> dict[str, LogObject]:
        """Return those of the keys that the source lists."""
        keys = {key for key, _ in wanted}
        ranges = [Range(shard, key[:-1], key) for key, shard in sorted(wanted)]
        pages = (page for page in self._lister.pages(ranges) if page is not None)
        return {item.key: item for page in pages for item in page.objects if item.key in keys}

    def digests(self, objects: Collection[LogObject]) -> Iterator[Found]:
        """Read digests."""
        return self._reader.digests(Stored(item.key, item.size_bytes) for item in objects)

    def hashes(self, objects: Collection[LogObject]) -> dict[str, str]:
        """Return the SHA-256 of the uncompressed content of each object, empty if it is not a log's."""
        items = [Stored(item.key, item.size_bytes) for item in objects]
        found = self._reader.hashes(items)
        return {item.key: "" if isinstance(told, Finding) else told for item, told in found}
