"""Both ends of a job, as a comparison reaches them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from math import inf

from syncd.aws.endpoint import Endpoint, Principal
from syncd.aws.listing import BucketLister
from syncd.aws.policies.session import prune_policies, session_policies
from syncd.aws.s3 import Side
from syncd.config.job import Job
from syncd.copy.terms import Terms
from syncd.job.health.health import read_health
from syncd.job.installation import Installation, end_of
from syncd.ledger.ledger import LedgerView
from syncd.model.objects import Folder, Known, Page, Range
from syncd.tick.scope import source_prefixes

ROWS_AT_A_TIME = 1000


def ends_of(
    job: Job, installation: Installation, requests: Counter[str], *, deletes: bool = False
) -> tuple[Endpoint, Endpoint]:
    """Return source and destination, for sessions that do what a tick does, and `deletes` at the source if so.

    Raises:
        JobFailed: there are no credentials, or the role cannot be assumed.
    """

    def count(operation: str) -> None:
        requests[operation] += 1

    consumer = installation.identities.consumer(job, count=count, deletes=deletes)
    reader: Principal = consumer
    if job.source.role is not None:
        narrowed = prune_policies(job) if deletes else session_policies(job)
        reader = installation.identities.role(job, job.source.role, consumer, policies=narrowed, count=count)
    source = end_of(job, Side.SOURCE, reader, installation, requests)
    return source, end_of(job, Side.DESTINATION, consumer, installation, requests)


def terms_of(job: Job, source: Endpoint, destination: Endpoint) -> Terms:
    """Return what holds for reading objects of both."""
    return Terms(
        source_bucket=source.bucket,
        source_owner=source.owner,
        source_principal=source.principal.name,
        destination_bucket=destination.bucket,
        destination_principal=destination.principal.name,
        multipart_above=job.destination.multipart_above,
        part_size=job.destination.part_size,
    )


class ReplicaFolders:
    """The destination's folders, by the prefixes of the source. Only discovery lists with it."""

    def __init__(self, lister: BucketLister, prefix: str) -> None:
        self._lister, self._prefix = lister, prefix

    def pages(self, ranges: Iterable[Range]) -> Iterator[Page | None]:
        """List ranges of the destination itself. Raises JobFailed."""
        return self._lister.pages(ranges)

    def folders(self, prefixes: Iterable[str]) -> Iterator[Folder]:
        """List what is directly below each prefix. Raises JobFailed."""
        cut = len(self._prefix)
        for folder in self._lister.folders([self._prefix + prefix for prefix in prefixes]):
            below = [prefix[cut:] for prefix in folder.prefixes]
            yield folder._replace(prefix=folder.prefix[cut:], prefixes=below)


def rows_of(view: LedgerView, wanted: Range) -> Iterator[tuple[str, Known]]:
    """Yield the ledger's rows of a range, in key order."""
    key = wanted.start_after
    while True:
        rows = view.remembered(wanted.shard, key, limit=ROWS_AT_A_TIME)
        for row in rows:
            if wanted.until and row[0] > wanted.until:
                return
            yield row
        if len(rows) < ROWS_AT_A_TIME:
            return
        key = rows[-1][0]


def horizon_of_others(job: Job, others: Iterable[Job], installation: Installation, *, now: float) -> float:
    """Return up to when all other jobs that read some of the same objects are complete. It is infinity if there are none.

    Raises:
        LedgerError: the state cannot be read.
    """
    own = source_prefixes(job)
    with installation.ledger_file.open_readonly() as reader:
        return min(
            (
                read_health(other, reader, now=now).complete_until
                for other in others
                if other.name != job.name and other.source.bucket == job.source.bucket and _overlap(own, other)
            ),
            default=inf,
        )


def _overlap(prefixes: Iterable[str], other: Job) -> bool:
    theirs = source_prefixes(other)
    return any(one.startswith(two) or two.startswith(one) for one in prefixes for two in theirs)
