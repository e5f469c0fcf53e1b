"""The adapters that all jobs of a process share."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from syncd.aws.addresses import bucket_address
from syncd.aws.endpoint import Endpoint, Principal
from syncd.aws.identity.sessions import Identities
from syncd.aws.s3 import Address, Side
from syncd.aws.transport import Transport
from syncd.config.job import Configuration, Job, Settings
from syncd.copy.workers.pool import WorkerPool
from syncd.copy.workers.starting import pool_of
from syncd.job.copies import payer_headers
from syncd.ledger.folder.job_locks import Locks
from syncd.ledger.ledger import LedgerFile

if TYPE_CHECKING:
    from syncd.aws.identity.plain.session import Session


@dataclass(frozen=True, slots=True)
class Installation:
    """The adapters that all jobs of a process share."""

    settings: Settings
    now: Callable[[], float]
    tell: Callable[..., None]
    transport: Transport
    identities: Identities
    ledger_file: LedgerFile
    locks: Locks
    pool: WorkerPool
    addresses: "WeakKeyDictionary[Session, dict[tuple[object, ...], Address]]" = field(
        default_factory=WeakKeyDictionary
    )
    """The buckets' addresses, as the settings of a session have them."""

    @classmethod
    def of(
        cls,
        configuration: Configuration,
        *,
        now: Callable[[], float],
        tell: Callable[..., None],
        pool: WorkerPool | None = None,
    ) -> "Installation":
        """Return the installation for a configuration. `pool` has its workers, if they were started already."""
        settings = configuration.settings
        return cls(
            settings,
            now,
            tell,
            Transport(),
            Identities(now=now),
            LedgerFile(settings.state_dir, now=now),
            Locks(settings.state_dir),
            pool or pool_of(settings),
        )

    def abandon(self) -> None:
        """Cancel everything in flight at once."""
        self.transport.abandon()
        self.pool.close()

    def close(self) -> None:
        """Endpoint the workers, which must be idle."""
        self.pool.close()


def end_of(job: Job, side: Side, principal: Principal, installation: Installation, requests: Counter[str]) -> Endpoint:
    """Return one end of a job for this principal. Its requests are counted in `requests`."""
    endpoints, source, destination = job.endpoints, job.source, job.destination
    bucket, account_id, region, endpoint = {
        Side.SOURCE: (source.bucket, source.account_id, source.region, endpoints.s3),
        Side.DESTINATION: (destination.bucket, job.consumer.account_id, destination.region, endpoints.destination),
    }[side]
    owner = endpoints.owner(account_id, endpoint=endpoint)
    session = installation.identities.session_of(job)
    # Asking botocore takes a client, which is half the cost of an idle tick.
    known = installation.addresses.setdefault(session, {})
    key = (bucket, region, endpoint, endpoints.path_style)
    address = known.get(key)
    if address is None:
        address = bucket_address(bucket, region, endpoint=endpoint, path_style=endpoints.path_style, session=session)
        known[key] = address
    address = address._replace(signs_payload=endpoints.payload == "signed")
    headers = payer_headers(job, side)
    return Endpoint(bucket, owner, address, principal, installation.transport, requests, headers)
