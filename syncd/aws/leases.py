"""Leases: small objects in a bucket of their own, each written on the condition that nobody else wrote it meanwhile."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, NamedTuple

from botocore.config import Config

from syncd.aws.identity import refusals
from syncd.aws.identity.boto import own_session
from syncd.aws.identity.lookups import LookupFailed, Lookups, require_files
from syncd.model.errors import JobFailed
from syncd.model.reasons import Reason

_LARGEST_BYTES = 4096
# The condition does not hold: another wrote the object, is writing it, or it is not there.
_LOST = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409", "404", "NoSuchKey"})
_ABSENT = frozenset({"NoSuchKey", "404"})
_REMEDY = (
    "check fleet.lease in syncd.toml and the network between here and S3 (AWS_REGION, AWS_ENDPOINT_URL_S3); this process needs"
    " credentials by the default chain"
)


class Lease(NamedTuple):
    """A lease as it was read or written."""

    owner: str
    """Name of the process that has it, or empty once it was given back."""
    generation: int
    """Number of owners it has had."""
    etag: str = ""


class LeaseStore:
    """The leases in one folder of a bucket, reached by the default chain. Safe to use from any thread."""

    def __init__(self, url: str, *, seconds: float) -> None:
        """`seconds` is how long each wait of a call may take."""
        self.bucket, _, self._prefix = url.removeprefix("s3://").partition("/")
        self._seconds = seconds
        self._lookups = Lookups()
        self._lock = Lock()
        self._client_kept: Any = None

    def read(self, name: str) -> Lease | None:
        """Return a lease, or None if there is none.

        Raises:
            JobFailed: the store cannot be asked.
        """
        try:
            with self._client("GetObject", name) as client:
                answer = client.get_object(Bucket=self.bucket, Key=self._key(name))
                with answer["Body"] as body:
                    return _parsed(body.read(_LARGEST_BYTES), answer["ETag"])
        except JobFailed as error:
            if refusals.answered(error.__cause__)[0] in _ABSENT:
                return None
            raise

    def write(self, name: str, lease: Lease) -> Lease | None:
        """Write a lease in place of the one with its ETag, or of none if that is empty. Returns None if another was first.

        Raises:
            JobFailed: the store cannot be asked. It may have been written.
        """
        condition = {"IfMatch": lease.etag} if lease.etag else {"IfNoneMatch": "*"}
        # S3's ETag is of the bytes: without something new in them, nobody could see a renewal.
        facts = {"owner": lease.owner, "generation": lease.generation, "write": secrets.token_hex(8)}
        try:
            with self._client("PutObject", name) as client:
                answer = client.put_object(
                    Bucket=self.bucket,
                    Key=self._key(name),
                    Body=json.dumps(facts).encode(),
                    ContentType="application/json",
                    **condition,
                )
                return lease._replace(etag=answer["ETag"])
        except JobFailed as error:
            if refusals.answered(error.__cause__)[0] in _LOST:
                return None
            raise

    def _key(self, name: str) -> str:
        return f"{self._prefix}{name}.json"

    @contextmanager
    def _client(self, action: str, name: str) -> Iterator[Any]:
        call = f"{action} of s3://{self.bucket}/{self._key(name)}"
        try:
            with refusals.as_job_failure(
                call, denied=f"allow s3:{action} and s3:ListBucket: `syncd policies JOB --fleet`"
            ):
                yield self._connected(call)
        except JobFailed as error:
            code = refusals.answered(error.__cause__)[0]
            if code == "NoSuchBucket":
                raise JobFailed(Reason.NO_BUCKET, error.detail, _REMEDY) from error.__cause__
            if code not in _LOST:
                with self._lock:
                    self._client_kept = None
            raise

    def _connected(self, call: str) -> Any:
        with self._lock:
            if self._client_kept is None:
                try:
                    self._client_kept = self._lookups.run("lease", self._new_client)
                except LookupFailed as failed:
                    raise JobFailed(
                        Reason.NO_CREDENTIALS, f"{call}: {failed.detail}", failed.remedy or _REMEDY
                    ) from failed
            return self._client_kept

    def _new_client(self) -> Any:
        require_files(with_tokens=True)
        session = own_session()
        if session.get_credentials() is None:
            raise LookupFailed("no credentials were found by the default chain")
        config = Config(
            connect_timeout=self._seconds,
            read_timeout=self._seconds,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "auto", "us_east_1_regional_endpoint": "regional"},
        )
        region = session.get_config_variable("region") or "us-east-1"
        return session.create_client("s3", region_name=region, config=config)


def _parsed(body: bytes, etag: str) -> Lease:
    """Return the lease in an object. One that is unreadable is nobody's, of a generation of its own."""
    try:
        document = json.loads(body)
        return Lease(str(document["owner"]), int(document["generation"]), etag)
    except (ValueError, TypeError, KeyError, RecursionError):
        return Lease("?", 0, etag)
