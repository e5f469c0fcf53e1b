"""Orders for the copy workers, made from a job's configuration."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote, urlencode

from syncd.aws.endpoint import Endpoint, Principal
from syncd.aws.s3 import Side
from syncd.config.job import Destination, Engine, Job
from syncd.copy.hashes.checksums import SHA256, header_of
from syncd.copy.modes import STREAM, Way
from syncd.copy.terms import Terms
from syncd.copy.workers.messages import EndpointSpec, Order
from syncd.copy.workers.pool import PooledCopier, WorkerPool
from syncd.model.objects import Mode


def ways_of(job: Job) -> list[Way]:
    """Return the ways of copying that the job allows, cheapest first."""
    signers = [job.destination.signer] if job.destination.signer != "auto" else ["consumer", "role"]
    signers = [signer for signer in signers if signer == "consumer" or job.source.role is not None]
    by_server = [Way(Mode.SERVER_SIDE, signer) for signer in signers]
    match job.destination.copy_mode:
        case "stream":
            return [STREAM]
        case "server-side":
            return by_server[:1]
        case _:
            # Most S3-compatible servers ignore If-None-Match on CopyObject, and would overwrite.
            return [STREAM] if job.endpoints.is_given else [*by_server, STREAM]


def landing_headers(destination: Destination) -> tuple[tuple[str, str], ...]:
    """Return the headers that every write sends: storage class, encryption, tags and ACL."""
    headers: list[tuple[str, str]] = []
    if destination.storage_class is not None:
        headers.append(("x-amz-storage-class", destination.storage_class))
    if destination.encryption is not None or destination.kms_key_id is not None:
        headers.append(("x-amz-server-side-encryption", destination.encryption or "aws:kms"))
    if destination.kms_key_id is not None:
        headers.append(("x-amz-server-side-encryption-aws-kms-key-id", destination.kms_key_id))
    if destination.bucket_key is not None:
        headers.append(("x-amz-server-side-encryption-bucket-key-enabled", str(destination.bucket_key).lower()))
    if destination.tags:
        headers.append(("x-amz-tagging", urlencode(destination.tags, quote_via=quote)))
    if destination.acl is not None:
        headers.append(("x-amz-acl", destination.acl))
    return tuple(headers)


def payer_headers(job: Job, side: Side) -> tuple[tuple[str, str], ...]:
    """Return the header by which the caller pays. A server-side copy asks for the source too."""
    payer = job.source.request_payer
    return () if payer is None or side is Side.DESTINATION else (("x-amz-request-payer", payer),)


class Copies(NamedTuple):
    """The maker of the copiers of one run of a job."""

    job: Job
    limits: Engine
    """The limits of all jobs together. The job's own limits are lower."""
    pool: WorkerPool
    source: Endpoint
    destination: Endpoint
    locks: Sequence[int]
    """File descriptors of the run's locks."""
    requests: Counter[str]
    role_writer: Callable[[], Principal]
    """Assume the role in a session that may also write. Raises JobFailed."""

    def copier(self, way: Way) -> PooledCopier:
        """Return the copier for this way.

        Raises:
            JobFailed: the role that signs could not be assumed.
        """
        principals: dict[Side, Principal] = {
            Side.SOURCE: self.source.principal,
            Side.DESTINATION: self.destination.principal,
        }
        if way.mode is Mode.SERVER_SIDE:
            principals[Side.COPY] = self.role_writer() if way.signer == "role" else self.destination.principal
        return self.pool.copier(self._order(way, principals), principals, self.requests, locks=self.locks)

    def _order(self, way: Way, principals: Mapping[Side, Principal]) -> Order:
        job, own = self.job, self.job.engine
        ends = {Side.SOURCE: self.source, Side.DESTINATION: self.destination, Side.COPY: self.destination}
        return Order(
            job=job.name,
            mode=way.mode,
            terms=self._terms(principals),
            ends={
                side: EndpointSpec(
                    ends[side].bucket, ends[side].owner, ends[side].address, principal.name, payer_headers(job, side)
                )
                for side, principal in principals.items()
            },
            in_flight=min(own.in_flight or self.limits.in_flight, self.limits.in_flight),
            memory_bytes=min(own.memory or self.limits.memory, self.limits.memory),
            requests_per_second=own.requests_per_second,
            bytes_per_second=own.bytes_per_second,
        )

    def _terms(self, principals: Mapping[Side, Principal]) -> Terms:
        destination = self.job.destination
        signer = principals.get(Side.COPY)
        # Signatures cover the SHA-256 of the body, so it has to be known in any case.
        is_signed = self.destination.address.signs_payload
        return Terms(
            source_bucket=self.job.source.bucket,
            source_owner=self.source.owner,
            source_principal=self.source.principal.name,
            destination_bucket=destination.bucket,
            destination_principal=self.destination.principal.name,
            copy_principal=signer.name if signer else "",
            multipart_above=destination.multipart_above,
            part_size=destination.part_size,
            checksum=SHA256 if is_signed else header_of(destination.checksum),
            copies_tags=destination.copy_tags,
            landing=landing_headers(destination),
            hashes_content=self.job.verify == "continuous",
            max_object=self.job.source.max_object,
            memory_bytes=None if signer else min(self.job.engine.memory or self.limits.memory, self.limits.memory),
        )
