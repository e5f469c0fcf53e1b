"""The server: counts requests, lets faults befall them, and answers the rest."""

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from faulty import checksums
from faulty.answer import Answer, S3Error, StsError, error_document
from faulty.faults import (
    Action,
    Body,
    Call,
    CorruptBody,
    DropConnection,
    ErrorIn200,
    Faults,
    Predicate,
    Rewritten,
    ShortBody,
    Slow,
    Stall,
    Status,
    WithoutHeaders,
    WrongChecksum,
)
from faulty.operations import operation_of
from faulty.request import Request, make_request
from faulty.storage import Storage
from faulty.store import Bucket, StoredObject, md5_hex
from faulty.sts import Identities, Principal, Role
from faulty.wire import HttpServer, TruncatedError, UnansweredError
from syncd.cli.demo.world import (
    ACCOUNT_A,
    ACCOUNT_B,
    ACCOUNT_C,
    ACCOUNT_Z,
    EXTERNAL_ID,
    REGION,
    TRAIL_BUCKET,
    Consumer,
    World,
)


class FaultyS3:
    """Listens from `__enter__` to `__exit__`; everything may be called from any thread."""

    def __init__(
        self, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC), certificate: Path | None = None
    ) -> None:
        """`certificate` is the PEM file of a certificate and its key, where TLS is spoken."""
        self._certificate = certificate
        self.faults = Faults()
        self.identities = Identities(clock)
        self.storage = Storage(clock)
        self.peak_in_flight = 0
        self.counts_in_flight: Predicate = lambda _: True
        """Which requests `peak_in_flight` is about; to be set before there are any."""
        self._in_flight = 0
        self._requests: list[Request] = []
        self._numbers = itertools.count(1)
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._http: HttpServer | None = None

    def __enter__(self) -> Self:
        self._http = HttpServer(self._respond, certificate=self._certificate)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        if self._http is not None:
            self._http.close()

    @property
    def url(self) -> str:
        """The endpoint of both S3 and STS."""
        assert self._http is not None, "not entered"
        scheme = "http" if self._certificate is None else "https"
        return f"{scheme}://127.0.0.1:{self._http.port}"

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request so far, in order of arrival, those included that met a fault."""
        with self._lock:
            return tuple(self._requests)

    def count(self, operation: str) -> int:
        """How many requests of this operation came."""
        return sum(1 for request in self.requests if request.operation == operation)

    def forget_requests(self) -> None:
        """Counts from nothing again."""
        with self._lock:
            self._requests.clear()
            self.peak_in_flight = self._in_flight

    def create_bucket(self, name: str, *, account_id: str = ACCOUNT_A, region: str = REGION) -> Bucket:
        """A new bucket; `shared_with` of what is returned lets other accounts in."""
        with self.storage.lock:
            self.storage.buckets[name] = bucket = Bucket(name, account_id, region)
            return bucket

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes,
        *,
        last_modified: datetime | None = None,
        metadata: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        content_encoding: str = "",
        storage_class: str = "STANDARD",
        etag: str | None = None,
        checksum_algorithm: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> StoredObject:
        """Puts an object without a request; an `etag` of one's own is what re-encryption gives the same bytes."""
        item = StoredObject(
            body=body,
            etag=md5_hex(body) if etag is None else etag,
            last_modified=self.storage.now() if last_modified is None else last_modified,
            metadata=dict(metadata or {}),
            content_type=content_type,
            content_encoding=content_encoding,
            storage_class=storage_class,
            checksums={checksum_algorithm: checksums.compute(checksum_algorithm, body)} if checksum_algorithm else {},
            tags=dict(tags or {}),
            system={"x-amz-server-side-encryption": "AES256"},
        )
        with self.storage.lock:
            self.storage.buckets[bucket].put(key, item)
        return item

    def get(self, bucket: str, key: str) -> StoredObject:
        """The object as it is kept; raises KeyError."""
        with self.storage.lock:
            return self.storage.buckets[bucket].objects[key]

    def delete(self, bucket: str, key: str) -> None:
        """Removes an object without a request."""
        with self.storage.lock:
            self.storage.buckets[bucket].delete(key)

    def keys(self, bucket: str) -> list[str]:
        """All keys of a bucket in S3's order."""
        with self.storage.lock:
            return self.storage.buckets[bucket].keys()

    def objects(self, bucket: str) -> dict[str, StoredObject]:
        """Everything in a bucket."""
        with self.storage.lock:
            return dict(self.storage.buckets[bucket].objects)

    def add_user(self, account_id: str, name: str = "syncd") -> Principal:
        """A new user; `root` is the account's root user."""
        return self.identities.add_user(account_id, name)

    def add_role(
        self, arn: str, *, trusts: frozenset[str], external_id: str | None = None, max_seconds: int = 3600
    ) -> None:
        """A role that the users of the trusted accounts may assume, and that may do all its account may."""
        self.identities.roles[arn] = Role(arn, trusts, external_id, max_seconds)

    def world(self) -> World:
        """The world that `syncd.world.build_world` makes of a MiniStack: Account A, and the consumers B, C and Z."""
        self.create_bucket(TRAIL_BUCKET, account_id=ACCOUNT_A)
        consumers = (
            self._consumer("account-b", ACCOUNT_B, (ACCOUNT_B,), None),
            self._consumer("account-c", ACCOUNT_C, (ACCOUNT_C,), None),
            self._consumer("account-z", ACCOUNT_Z, (), EXTERNAL_ID),
        )
        return World(self.url, ACCOUNT_A, TRAIL_BUCKET, REGION, "", None, consumers)

    def _consumer(self, name: str, account_id: str, accounts: tuple[str, ...], external_id: str | None) -> Consumer:
        bucket, arn = f"example-{name.removeprefix('account-')}-logs", f"arn:aws:iam::{ACCOUNT_A}:role/{name}"
        self.create_bucket(bucket, account_id=account_id)
        self.add_role(arn, trusts=frozenset({account_id}), external_id=external_id)
        user = self.add_user(account_id)
        return Consumer(
            name, account_id, arn, external_id, accounts, bucket, user.access_key_id, user.secret_access_key
        )

    def _respond(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        with self._lock:
            request = make_request(next(self._numbers), method, target, headers, body, at=time.monotonic())
            self._requests.append(replace(request, body=b""))
            counted = int(self.counts_in_flight(request))
            self._in_flight += counted
            self.peak_in_flight = max(self.peak_in_flight, self._in_flight)
        try:
            answer = self._befallen(self.faults.meet(request), request)
        finally:
            with self._lock:
                self._in_flight -= counted
        named = {"x-amz-request-id": f"{request.number:016X}", **answer.headers}
        return replace(answer, headers=named)

    def _befallen(self, action: Action | None, request: Request) -> Answer:
        match action:
            case None | Call():
                return self._answer(request)
            case Status(status, code, message, is_applied):
                self._apply(request, is_applied=is_applied)
                is_sts = not request.bucket and request.form
                return (StsError if is_sts else S3Error)(status, code, message).answer()
            case DropConnection(is_applied):
                self._apply(request, is_applied=is_applied)
                raise UnansweredError
            case Stall(until):
                return self._stalled(until, request)
            case Slow(seconds):
                self._closing.wait(seconds)
                return self._answer(request)
            case ErrorIn200(code, message):
                return Answer(200, {"content-type": "application/xml"}, error_document(code, message, {}))
            case Body(body):
                return Answer(200, {"content-type": "application/xml"}, body)
            case ShortBody(sent_bytes):
                raise TruncatedError(self._answer(request), sent_bytes)
            case Rewritten() | CorruptBody() | WrongChecksum() | WithoutHeaders():
                return _altered(self._answer(request), action)

    def _stalled(self, until: threading.Event | None, request: Request) -> Answer:
        while until is None or not until.wait(0.05):
            if self._closing.wait(0 if until else None):
                raise UnansweredError
        return self._answer(request)

    def _apply(self, request: Request, *, is_applied: bool) -> None:
        if is_applied:
            self._answer(request)

    def _answer(self, request: Request) -> Answer:
        try:
            if not request.bucket and request.form:
                return self.identities.answer(request)
            principal = self.identities.of_s3(request)
            operation = operation_of(request)
            with self.storage.lock:
                bucket = self.storage.bucket(request, principal)
                return operation(self.storage, bucket, request, principal)
        except (S3Error, StsError) as error:
            return error.answer()


def _altered(answer: Answer, action: Rewritten | CorruptBody | WrongChecksum | WithoutHeaders) -> Answer:
    match action:
        case Rewritten(change):
            return change(answer)
        case CorruptBody():
            return replace(answer, body=answer.body[:-1] + bytes([answer.body[-1] ^ 1])) if answer.body else answer
        case WrongChecksum():
            wrong = {
                name: checksums.compute(name.removeprefix(checksums.HEADER), b"something else" + answer.body)
                for name in answer.headers
                if name.startswith(checksums.HEADER) and name != f"{checksums.HEADER}type"
            }
            return replace(answer, headers={**answer.headers, **wrong})
        case WithoutHeaders(prefix):
            kept = {name: value for name, value in answer.headers.items() if not name.startswith(prefix)}
            return replace(answer, headers=kept)
