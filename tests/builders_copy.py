"""What tests of listing and copying are made of: ends on a server, terms of a copy, and jobs."""

import base64
import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from awscrt.checksums import crc64nvme
from builders import changed
from fakes import MemoryPrincipal
from faulty import FaultyS3
from place import Place
from servers import MakeClient, S3Server

from syncd.aws.endpoint import Endpoint, Principal
from syncd.aws.listing import BucketLister
from syncd.aws.s3 import Address, Answer, Request, Side
from syncd.aws.transport import Transport
from syncd.aws.wire.signing import Credentials
from syncd.config.job import Job
from syncd.copy.stream import stream
from syncd.copy.terms import Copy, Steps, Terms
from syncd.copy.workers.engine import CopyEngine
from syncd.copy.workers.large.relay import Relay
from syncd.copy.workers.messages import EndpointSpec, Order
from syncd.copy.workers.pool import PooledCopier, WorkerPool
from syncd.model.objects import Conflict, Failed, LogObject, Mode, Outcome, Shard, Transfer

READER, WRITER = "arn:aws:iam::111111111111:role/reader", "arn:aws:iam::222222222222:user/syncd"
A, B = "111111111111", "222222222222"
SOURCE, DESTINATION = "example-trail", "example-b-logs"
SHARD = Shard("logs/")
MIB = 1024 * 1024


def sha256_of(body: bytes) -> str:
    """As S3's checksum headers have it."""
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def md5_of(body: bytes) -> str:
    """The ETag of a plain object."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def forged(begins: bytes, crc: int) -> bytes:
    """Return these bytes and 8 more, so that all together have this CRC: anybody can, since a CRC is linear."""
    zero = crc64nvme(begins + bytes(8))
    rows: list[tuple[int, int]] = []
    for bit in range(64):
        changes, bits = crc64nvme(begins + (1 << bit).to_bytes(8)) ^ zero, 1 << bit
        for other, others in rows:
            changes, bits = min((changes, bits), (changes ^ other, bits ^ others))
        rows.append((changes, bits))
    wanted, found = crc ^ zero, 0
    for changes, bits in sorted(rows, reverse=True):
        wanted, found = min((wanted, found), (wanted ^ changes, found ^ bits))
    return begins + found.to_bytes(8)


def listed(key: str, body: bytes = b"body", *, etag: str | None = None, size: int | None = None) -> LogObject:
    """The object as a listing tells of it."""
    return LogObject(key, md5_of(body) if etag is None else etag, len(body) if size is None else size, 0.0)


def transfer_of(item: LogObject, *, prefix: str = "", compare_first: bool = False) -> Transfer:
    return Transfer(SHARD, item, prefix + item.key, compare_first=compare_first)


def terms(
    *, multipart_above: int = 64 * MIB, part_size: int = 16 * MIB, landing: tuple[tuple[str, str], ...] = ()
) -> Terms:
    return Terms(
        source_bucket=SOURCE,
        source_owner=A,
        source_principal=READER,
        destination_bucket=DESTINATION,
        destination_principal=WRITER,
        multipart_above=multipart_above,
        part_size=part_size,
        landing=landing,
    )


def address_of(url: str, bucket: str, region: str = "us-east-1") -> Address:
    scheme, _, host = url.partition("://")
    return Address(scheme, host, f"/{bucket}", region)


def fresh_bucket(name: str, server: FaultyS3 | S3Server, make_client: MakeClient) -> tuple[Place, Endpoint]:
    """A bucket of account A that no other test has, on the server of this name, and how its owner reaches it."""
    bucket = "bucket" if isinstance(server, FaultyS3) else server.fresh_bucket_name()
    user = server.add_user(A) if isinstance(server, FaultyS3) else server
    keys = (user.access_key_id, user.secret_access_key)
    client = make_client(server.url, access_key_id=keys[0], secret_access_key=keys[1])
    if isinstance(server, FaultyS3):
        server.create_bucket(bucket, account_id=A)
    else:
        client.create_bucket(Bucket=bucket)
    principal = MemoryPrincipal("owner", [Credentials(*keys, None, None)])
    return Place(name, client, bucket), Endpoint(
        bucket, A, address_of(server.url, bucket), principal, Transport(), Counter()
    )


def user_of(server: FaultyS3, account_id: str) -> MemoryPrincipal:
    """A new user of the account."""
    keys = server.add_user(account_id)
    return MemoryPrincipal(keys.arn, [Credentials(keys.access_key_id, keys.secret_access_key, None, None)])


def engine_between(
    source: Endpoint,
    destination: Endpoint,
    agreed: Terms,
    *,
    in_flight: int | Callable[[], int] = 16,
    memory_bytes: int = 64 * MIB,
    begin: Callable[[Transfer], Steps] | None = None,
    relay: Relay | None = None,
) -> CopyEngine:
    """Streams from one end to the other, or copies as `begin` says."""
    return CopyEngine(
        {Side.SOURCE: source, Side.DESTINATION: destination},
        begin=begin or (lambda transfer: stream(Copy(transfer, agreed))),
        in_flight=in_flight if callable(in_flight) else lambda: in_flight,
        # A body is held up to three times, and what is tested is how many bodies there may be.
        memory_bytes=lambda: memory_bytes,
        held_bytes=agreed.held_bytes,
        relay=relay or relay_of(),
    )


def relay_of(deadline_seconds: float = 60.0) -> Relay:
    return Relay(deadline_seconds=deadline_seconds, cores=os.sched_getaffinity(0))


class Ends:
    """A source of Account A's and a destination of B's on a FaultyS3, each with a user of its own account."""

    def __init__(
        self,
        server: FaultyS3,
        *,
        deadline_seconds: float = 60.0,
        reader: Principal | None = None,
        writer: Principal | None = None,
    ) -> None:
        for bucket, owner in ((SOURCE, A), (DESTINATION, B)):
            server.create_bucket(bucket, account_id=owner)
        self.server = server
        self.requests: Counter[str] = Counter()
        self.transport = Transport(deadline_seconds=deadline_seconds)
        self.relay = relay_of(deadline_seconds)
        self.source = self._end(SOURCE, A, reader or user_of(server, A))
        self.destination = self._end(DESTINATION, B, writer or user_of(server, B))

    def _end(self, bucket: str, owner: str, principal: Principal) -> Endpoint:
        address = address_of(self.server.url, bucket)
        return Endpoint(bucket, owner, address, principal, self.transport, self.requests)

    def lister(self, *, now: Callable[[], float] = time.time) -> BucketLister:
        """Lists the source."""
        return BucketLister(self.source, Side.SOURCE, now=now)

    def engine(
        self,
        *,
        in_flight: int | Callable[[], int] = 16,
        memory_bytes: int = 64 * MIB,
        copy_terms: Terms | None = None,
        begin: Callable[[Transfer], Steps] | None = None,
    ) -> CopyEngine:
        """Streams from the source to the destination, or copies as `begin` says."""
        return engine_between(
            self.source,
            self.destination,
            copy_terms or terms(),
            in_flight=in_flight,
            memory_bytes=memory_bytes,
            begin=begin,
            relay=self.relay,
        )

    def pooled(
        self, pool: WorkerPool, *, in_flight: int = 16, memory_bytes: int = 64 * MIB, copy_terms: Terms | None = None
    ) -> PooledCopier:
        """Streams from the source to the destination in the workers."""
        principals = {Side.SOURCE: self.source.principal, Side.DESTINATION: self.destination.principal}
        ends = {Side.SOURCE: self.source, Side.DESTINATION: self.destination}
        order = Order(
            job="account-b",
            mode=Mode.STREAM,
            terms=copy_terms or terms(),
            ends={
                side: EndpointSpec(end.bucket, end.owner, end.address, end.principal.name) for side, end in ends.items()
            },
            in_flight=in_flight,
            memory_bytes=memory_bytes,
        )
        return pool.copier(order, principals, self.requests)

    def put(self, key: str, body: bytes = b"body", **more: Any) -> Transfer:
        """Puts an object into the source, and gives the decision to copy it."""
        item = self.server.put(SOURCE, key, body, **more)
        return transfer_of(LogObject(key, item.etag, len(body), item.last_modified.timestamp(), item.storage_class))

    def replica(self, key: str) -> bytes:
        """What the destination has under the key."""
        return self.server.get(DESTINATION, key).body


_JOB: dict[str, Any] = {
    "name": "account-b",
    "every": "5m",
    "start": "31d",
    "consumer": {"account_id": B},
    "source": {"account_id": A, "bucket": SOURCE, "region": "us-east-1", "prefix": "", "accounts": [B]},
    "destination": {"bucket": DESTINATION, "region": "us-east-1"},
}


def job_of(**changes: Any) -> Job:
    """A job; of the changes, `__` in a name stands for the dot of a dotted key, and None removes a key."""
    dotted = {name.replace("__", "."): value for name, value in changes.items()}
    if "source.layout" in dotted:
        dotted["source.accounts"] = None
    return Job.model_validate(changed(_JOB, dotted))


class Walk(NamedTuple):
    """What a copy asked for, and what came of it."""

    requests: list[Request]
    outcome: Outcome

    @property
    def operations(self) -> list[str]:
        return [f"{request.operation} {request.side}" for request in self.requests]


def walk(transfer: Transfer, *answers: Answer, copy_terms: Terms | None = None) -> Walk:
    """Gives a copy these answers, one a request; they must be as many as it asks for."""
    steps = stream(Copy(transfer, copy_terms or terms()))
    requests = [next(steps)]
    for number, answer in enumerate(answers, start=1):
        try:
            requests.append(steps.send(answer))
        except StopIteration as done:
            assert number == len(answers), f"the copy ended before {answers[number:]}"
            return Walk(requests, done.value)
    raise AssertionError(f"the copy goes on with {requests[-1]}")


def ok(body: bytes = b"", status: int = 200, **headers: str) -> Answer:
    """An answer; `_` in a header's name stands for `-`."""
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def head_of(body: bytes, **headers: str) -> Answer:
    """What HeadObject says of these bytes."""
    return ok(content_length=str(len(body)), **headers)


def refused(status: int, code: str = "", message: str = "Access Denied") -> Answer:
    return Answer(status, {}, b"", code or str(status), message)


def reason(outcome: Outcome) -> str:
    assert isinstance(outcome, Failed)
    return outcome.reason


def detail(outcome: Outcome) -> str:
    assert isinstance(outcome, Failed | Conflict)
    return outcome.detail


THERE = refused(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
MISSING = refused(404)
CONCURRENT = refused(409, "ConditionalRequestConflict")
