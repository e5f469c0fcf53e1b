"""The replica, read for the proof: digests in order, logs as they come, many requests at a time.

The hash of a log is computed on other threads, which zlib and SHA-256 leave free for each other.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from threading import Event
from typing import NamedTuple

from syncd.aws.answers import reason_of, said
from syncd.aws.endpoint import RENEWALS_A_REQUEST, Endpoint, is_expired
from syncd.aws.listing import BucketLister
from syncd.aws.s3 import Answer, Request, Side
from syncd.aws.wire.signing import Credentials
from syncd.model.errors import Interrupted, JobFailed
from syncd.model.keys.stamps import DAY_SECONDS
from syncd.model.objects import Range, Shard
from syncd.model.reasons import Reason, remedy_of
from syncd.verify.rules.chain import Found
from syncd.verify.rules.digest import Refused, content_sha256
from syncd.verify.rules.place import Stored
from syncd.verify.rules.verdict import Finding, Flaw

IN_FLIGHT = 64
IN_FLIGHT_BYTES = 128 * 1024 * 1024
DIGESTS_IN_FLIGHT = 16
LARGEST_LOG_BYTES = 4 * 1024**3
"""Uncompressed. It is hashed a buffer at a time; a log that unpacks to more is refused."""
LARGEST_STORED_BYTES = 512 * 1024**2
"""Of an object that is read whole into memory. CloudTrail's logs have a few megabytes, its digests fewer."""
_HASHING_THREADS = 2
_WAIT_SECONDS = 0.1
_AFTER_FOLDER = "0"
"""A name with it comes after all that is in the folder, by bytes and folder by folder."""


# In place of an object that is not read. A digest that is no gzip is unreadable.
_TOO_LARGE = Answer(200, {}, b"larger than any digest")


class _Answered(NamedTuple):
    item: Stored
    answer: Answer
    credentials: Credentials


class BucketReplica:
    """A replica below a prefix of a bucket. Raises JobFailed if it may not be listed or read, Interrupted once stopped."""

    def __init__(
        self, end: Endpoint, lister: BucketLister, *, prefix: str, stop: Event, side: Side = Side.DESTINATION
    ) -> None:
        """`side` is the source to read what a replica was made from."""
        self._end = end
        self._side = side
        self._lister = lister
        self._prefix = prefix
        self._stop = stop

    def keys(self, prefix: str, first: float, last: float) -> Iterator[Stored]:
        """List the objects below a prefix whose days lie between two instants, both included, the oldest day first."""
        under = self._prefix + prefix
        # Stores that keep a tree take the name of a folder as the place after all that is in it.
        after = f"{under}{_day(first - DAY_SECONDS)}{_AFTER_FOLDER}" if first >= DAY_SECONDS else ""
        return self._listed(Range(Shard(under), after, f"{under}{_day(last)}{_AFTER_FOLDER}"))

    def between(self, prefix: str, first: str, last: str) -> Iterator[Stored]:
        """List the objects below a prefix from one key to another, both included."""
        return self._listed(Range(Shard(self._prefix + prefix), self._prefix + first[:-1], self._prefix + last))

    def _listed(self, wanted: Range) -> Iterator[Stored]:
        for page in self._lister.pages([wanted]):
            for item in page.objects if page is not None else ():
                if not item.key.endswith("/"):
                    yield Stored(item.key[len(self._prefix) :], item.size_bytes, item.etag, item.last_modified)

    def folders(self, prefix: str) -> list[str]:
        """List what is directly below a prefix, by the source's prefixes."""
        found = self._lister.folders([self._prefix + prefix])
        return sorted(child[len(self._prefix) :] for folder in found for child in folder.prefixes)

    def digests(self, items: Iterable[Stored]) -> Iterator[Found]:
        """Read digests, in the order asked for. One that has vanished is left out."""
        waiting: deque[Stored] = deque()
        answered: dict[str, Answer] = {}
        for item, answer in self._read(self._noted(items, waiting), in_flight=DIGESTS_IN_FLIGHT):
            answered[item.key] = answer
            while waiting and waiting[0].key in answered:
                key = waiting.popleft().key
                found = _digest(key, answered.pop(key), self._end)
                if found is not None:
                    yield found

    @staticmethod
    def _noted(items: Iterable[Stored], waiting: deque[Stored]) -> Iterator[Stored]:
        for item in items:
            waiting.append(item)
            yield item

    def hashes(self, items: Iterable[Stored]) -> Iterator[tuple[Stored, str | Finding]]:
        """Yield the SHA-256 of logs' uncompressed content, in any order, or a finding if there is none."""
        with _hashers() as pool:
            hashing: deque[tuple[Stored, Future[str | Finding]]] = deque()
            held_bytes = 0
            for item, answer in self._read(items, in_flight=IN_FLIGHT):
                if answer is _TOO_LARGE:
                    yield (
                        item,
                        Finding(Flaw.TOO_LARGE, f"it has more than {LARGEST_STORED_BYTES:,} bytes and is not read"),
                    )
                    continue
                if answer.status == 404:
                    yield item, Finding(Flaw.LOG_MISSING, "the replica has no such object")
                    continue
                _check(answer, item.key, self._end)
                hashing.append((item, pool.submit(_hash, answer.body)))
                held_bytes += item.size_bytes
                while hashing and (len(hashing) > IN_FLIGHT or held_bytes > IN_FLIGHT_BYTES or hashing[0][1].done()):
                    item_done, future = hashing.popleft()
                    found = future.result()
                    held_bytes -= item_done.size_bytes
                    yield item_done, found
            for item_done, future in hashing:
                yield item_done, future.result()

    def _read(self, items: Iterable[Stored], *, in_flight: int) -> Iterator[tuple[Stored, Answer]]:
        answers: SimpleQueue[_Answered] = SimpleQueue()
        renewals: dict[str, int] = {}
        todo = iter(items)
        count = size_bytes = 0
        is_exhausted = False
        while True:
            while not is_exhausted and count < in_flight and (not count or size_bytes < IN_FLIGHT_BYTES):
                item = next(todo, None)
                if item is None:
                    is_exhausted = True
                    break
                if item.size_bytes > LARGEST_STORED_BYTES:
                    yield item, _TOO_LARGE
                    continue
                self._send(item, answers.put)
                count, size_bytes = count + 1, size_bytes + item.size_bytes
            if not count:
                return
            answered = self._next(answers)
            item, request = answered.item, self._request(answered.item)
            renewed = renewals.get(item.key, 0)
            if is_expired(answered.answer, request) and renewed < RENEWALS_A_REQUEST:
                renewals[item.key] = renewed + 1
                self._end.principal.refresh(rejected=answered.credentials)
                self._send(item, answers.put)
                continue
            count, size_bytes = count - 1, size_bytes - item.size_bytes
            yield item, answered.answer

    def _next(self, answers: "SimpleQueue[_Answered]") -> _Answered:
        while True:
            if self._stop.is_set():
                raise Interrupted
            try:
                return answers.get(timeout=_WAIT_SECONDS)
            except Empty:
                continue

    def _request(self, item: Stored) -> Request:
        key = self._prefix + item.key
        return Request("GetObject", self._side, "GET", key, "", (), expected_bytes=item.size_bytes)

    def _send(self, item: Stored, put: Callable[[_Answered], None]) -> None:
        self._end.send(self._request(item), lambda answer, credentials: put(_Answered(item, answer, credentials)))


@contextmanager
def _hashers() -> Iterator[ThreadPoolExecutor]:
    """Lend threads that hash. Whatever ends the reading, nothing is waited for that nobody wants any more."""
    pool = ThreadPoolExecutor(_HASHING_THREADS, thread_name_prefix="hash")
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _day(instant: float) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%Y/%m/%d")


def _hash(body: bytes) -> str | Finding:
    try:
        return content_sha256(body, most=LARGEST_LOG_BYTES)
    except Refused as refused:
        return refused.finding


def _digest(key: str, answer: Answer, end: Endpoint) -> Found | None:
    if answer.status == 404:
        return None
    _check(answer, key, end)
    return Found.of(key, answer.body, answer.headers)


def _check(answer: Answer, key: str, end: Endpoint) -> None:
    if answer.is_ok:
        return
    reason = reason_of(answer.status, answer.code, answer.message)
    detail = f"GetObject by {end.principal.name} of s3://{end.bucket}/{key}: {said('GetObject', answer.code, answer.message)}"
    raise JobFailed(Reason(reason), detail, remedy_of(reason))
