"""Buckets of thousands of keys, how they are listed, and how S3 answers those who copy from one to the other."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping
from hashlib import md5
from typing import Any

from fakes import CrashError, MemoryBucket, MemoryCopier, MemorySource

from syncd.aws.s3 import Answer, Request, Side
from syncd.copy.stream import stream
from syncd.copy.terms import Copy, Terms
from syncd.model.objects import Folder, LogObject, Outcome, Transfer

SHA256 = "x-amz-checksum-sha256"
_LONGEST_BYTES = 1024
_TERMS = Terms(
    source_bucket="trail",
    source_owner="111111111111",
    source_principal="reader",
    destination_bucket="replica",
    destination_principal="writer",
    multipart_above=1 << 20,
    part_size=1 << 20,
)


class Bucket(MemoryBucket):
    """A MemoryBucket that keeps its keys in order, for thousands of listings of thousands of keys."""

    def __init__(self, *, is_encrypted: bool = False) -> None:
        """`is_encrypted` gives the objects ETags that are no MD5 of theirs, as a KMS key does."""
        super().__init__()
        self.checksums: dict[str, str] = {}
        """SHA-256 of the objects that were written with it, by key."""
        self._is_encrypted = is_encrypted
        self._keys: list[str] = []

    def put(self, key: str, body: bytes = b"body", *, etag: str | None = None, **more: Any) -> LogObject:
        if key not in self.objects:
            insort(self._keys, key)
        self.checksums.pop(key, None)
        if etag is None and self._is_encrypted:
            etag = md5(b"a key" + body + key.encode(), usedforsecurity=False).hexdigest()
        return super().put(key, body, etag=etag, **more)

    def delete(self, key: str) -> None:
        super().delete(key)
        self.checksums.pop(key, None)
        del self._keys[bisect_left(self._keys, key)]

    def keys(self, prefix: str = "", after: str = "") -> list[str]:
        begin = max(bisect_left(self._keys, prefix), bisect_right(self._keys, after) if after else 0)
        return self._keys[begin : bisect_left(self._keys, prefix + "\U0010ffff")]

    def below(self, prefix: str) -> tuple[list[str], list[LogObject]]:
        """The folders and the objects that lie directly below a prefix."""
        folders, loose = [], []
        at = bisect_left(self._keys, prefix)
        while at < len(self._keys) and self._keys[at].startswith(prefix):
            key = self._keys[at]
            cut = key.find("/", len(prefix))
            if cut < 0:
                loose.append(self.objects[key])
                at += 1
            else:
                folders.append(key[: cut + 1])
                at = bisect_left(self._keys, key[:cut] + "0")
        return folders, loose


class Listing(MemorySource):
    """A MemorySource that does not go through all keys to find the folders."""

    def folders(self, prefixes: Iterable[str]) -> Iterator[Folder]:
        assert isinstance(self.bucket, Bucket)
        for prefix in prefixes:
            self._ask(prefix, 0)
            yield Folder(prefix, *self.bucket.below(prefix))


class Copier(MemoryCopier):
    """Copies as `syncd.copying` has it, request by request, from one bucket to another.

    The buckets do as they are told, as S3 does: a write without a condition overwrites.
    """

    def __init__(
        self, source: Bucket, destination: Bucket, *, fail: Mapping[str, str], crash_after: int | None, now: float
    ) -> None:
        """`fail` and `crash_after` are those of a MemoryCopier; `now` is the LastModified of what is written."""
        super().__init__(source, destination, fail=fail, crash_after=crash_after, now=lambda: now)
        self._checksums = {Side.SOURCE: source.checksums, Side.DESTINATION: destination.checksums}

    def _copy(self, transfer: Transfer) -> Outcome:
        steps = stream(Copy(transfer, _TERMS))
        try:
            request = next(steps)
            while True:
                request = steps.send(self._answer(request))
        except StopIteration as ended:
            outcome: Outcome = ended.value
            return outcome

    def _answer(self, request: Request) -> Answer:
        if request.operation == "PutObject":
            return self._write(request)
        return self._read(request)

    def _read(self, request: Request) -> Answer:
        is_source = request.side is Side.SOURCE
        bucket = self.source if is_source else self.destination
        refused = self._refusal(request.key) if is_source else None
        if refused is not None:
            return refused
        item = bucket.objects.get(request.key)
        if item is None:
            return Answer(404, {}, b"", "NoSuchKey", "")
        condition = dict(request.headers).get("if-match")
        if condition is not None and condition != f'"{item.etag}"':
            return Answer(412, {}, b"", "PreconditionFailed", "")
        if item.storage_class == "GLACIER" and request.operation == "GetObject":
            return Answer(403, {}, b"", "InvalidObjectState", "")
        headers = {"etag": f'"{item.etag}"', "content-length": str(item.size_bytes)}
        if request.key in self._checksums[request.side]:
            headers[SHA256] = self._checksums[request.side][request.key]
        body = bucket.bodies[request.key] if request.operation == "GetObject" else b""
        if is_source and self.fail.get(request.key) == "checksum_mismatch":
            headers[SHA256] = "another"
        return Answer(200, headers, body)

    def _refusal(self, key: str) -> Answer | None:
        match self.fail.get(key):
            case "access_denied":
                return Answer(403, {}, b"", "AccessDenied", "")
            case "kms_access_denied":
                return Answer(403, {}, b"", "AccessDenied", "not authorized to perform: kms:Decrypt")
            case "slow_down":
                return Answer(503, {}, b"", "SlowDown", "")
            case "object_changed":
                return Answer(412, {}, b"", "PreconditionFailed", "")
        return None

    def _write(self, request: Request) -> Answer:
        headers = dict(request.headers)
        if len(request.key.encode()) > _LONGEST_BYTES:
            return Answer(400, {}, b"", "KeyTooLongError", "")
        if request.key in self.destination.objects and headers.get("if-none-match") == "*":
            return Answer(412, {}, b"", "PreconditionFailed", "")
        if self.crash_after == 0:
            raise CrashError(request.key)
        # A copy, so that what was written again is told from what was left.
        written = self.destination.put(request.key, bytes(bytearray(request.body)), last_modified=self._now())
        self._checksums[Side.DESTINATION][request.key] = headers[SHA256]
        if self.crash_after is not None:
            self.crash_after -= 1
        return Answer(200, {"etag": f'"{written.etag}"'}, b"")
