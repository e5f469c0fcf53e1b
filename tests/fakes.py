"""Both ends of a copy in memory: they pass the same contracts as the real ones (`contract/test_lister_contract.py`,
`contract/test_copier_contract.py`)."""

from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import md5
from threading import Event

from awscrt.checksums import crc64nvme

from syncd.aws.wire.signing import Credentials
from syncd.model.errors import JobFailed
from syncd.model.objects import (
    AlreadyThere,
    Conflict,
    Copied,
    Failed,
    Folder,
    LogObject,
    Outcome,
    Page,
    Range,
    Transfer,
)

MINUTE = 60.0
LONGEST_KEY_BYTES = 1024


class CrashError(Exception):
    """The process dies here: nothing that comes after is done."""


@dataclass
class MemoryBucket:
    """Objects and their bytes by key, listed in the order of their UTF-8 bytes, which is that of their code points."""

    objects: dict[str, LogObject] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)

    def put(
        self,
        key: str,
        body: bytes = b"body",
        *,
        last_modified: float = 0.0,
        etag: str | None = None,
        storage_class: str = "STANDARD",
    ) -> LogObject:
        """Puts the object in the place of any other; an `etag` of one's own is what re-encryption gives the same bytes."""
        named = md5(body, usedforsecurity=False).hexdigest() if etag is None else etag
        item = LogObject(key, named, len(body), last_modified, storage_class)
        self.objects[key], self.bodies[key] = item, body
        return item

    def delete(self, key: str) -> None:
        """Removes the object."""
        del self.objects[key], self.bodies[key]

    def keys(self, prefix: str = "", after: str = "") -> list[str]:
        """All keys of the prefix behind `after`, in order."""
        keys = sorted(self.objects)
        begin = max(bisect_left(keys, prefix), bisect_right(keys, after) if after else 0)
        return keys[begin : bisect_left(keys, prefix + "\U0010ffff")]


class MemorySource:
    """Lists a MemoryBucket; `lists` counts the listings of each prefix, and `refuse` makes one of them fail the job."""

    def __init__(
        self,
        bucket: MemoryBucket,
        *,
        page_keys: int = 1000,
        now: Callable[[], float] = lambda: 0.0,
        refuse: Callable[[str, int], JobFailed | None] = lambda _prefix, _page: None,
    ) -> None:
        """`refuse` is given the prefix and the number of the page, from 0, and says what it fails with."""
        self.bucket = bucket
        self.is_denied = False
        self.refuse = refuse
        self.lists: Counter[str] = Counter()
        self._page_keys = page_keys
        self._now = now

    def pages(self, ranges: Iterable[Range]) -> Iterator[Page | None]:
        """One range after the other, with a None before each page, as when nothing has come yet."""
        for wanted in ranges:
            requested_at = self._now()
            for number, (keys, has_more) in enumerate(self._listed(wanted.shard.prefix, wanted.start_after)):
                self._ask(wanted.shard.prefix, number)
                yield None
                is_past = bool(wanted.until and keys and keys[-1] > wanted.until)
                is_cut = is_past and not wanted.whole_pages
                objects = [self.bucket.objects[key] for key in keys if not is_cut or key <= wanted.until]
                yield Page(wanted, objects, is_past or not has_more, not has_more, requested_at)
                if is_past:
                    break

    def folders(self, prefixes: Iterable[str]) -> Iterator[Folder]:
        """What is directly below each prefix, all of it as one Folder."""
        for prefix in prefixes:
            self._ask(prefix, 0)
            keys = self.bucket.keys(prefix)
            cuts = {key: key.find("/", len(prefix)) for key in keys}
            below = dict.fromkeys(key[: cut + 1] for key, cut in cuts.items() if cut >= 0)
            yield Folder(prefix, list(below), [self.bucket.objects[key] for key, cut in cuts.items() if cut < 0])

    def _listed(self, prefix: str, after: str) -> Iterator[tuple[list[str], bool]]:
        """Pages of keys as they are when the page is asked for, and whether there are more."""
        while True:
            keys = self.bucket.keys(prefix, after)
            yield keys[: self._page_keys], len(keys) > self._page_keys
            if len(keys) <= self._page_keys:
                return
            after = keys[self._page_keys - 1]

    def _ask(self, prefix: str, number: int) -> None:
        self.lists[prefix] += 1
        refusal = self.refuse(prefix, number)
        if refusal is not None:
            raise refusal


class MemoryCopier:
    """Copies from one MemoryBucket to another, `in_flight` at a time, and what began first ends last."""

    mode: str | None = "stream"

    def __init__(
        self,
        source: MemoryBucket,
        destination: MemoryBucket,
        *,
        in_flight: int = 4,
        fail: Mapping[str, str] | None = None,
        crash_after: int | None = None,
        now: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`fail` gives keys of the source a reason to fail; after `crash_after` writes the process dies (CrashError).

        `now` is the LastModified of what is written.
        """
        self.source = source
        self.destination = destination
        self.fail: dict[str, str] = dict(fail or {})
        self.crash_after = crash_after
        self.attempts: Counter[str] = Counter()
        self._in_flight = in_flight
        self._now = now

    def copy_all(self, transfers: Iterator[Transfer | None], stop: Event) -> Iterator[Outcome]:
        """As `ports.Copier` has it."""
        begun: deque[Transfer] = deque()
        error: JobFailed | None = None
        is_exhausted = False
        while not (is_exhausted or error or stop.is_set()):
            try:
                transfer = next(transfers)
            except StopIteration:
                is_exhausted = True
                break
            except JobFailed as raised:
                error = raised
                break
            if transfer is not None:
                begun.append(transfer)
            # While there is nothing new, what is under way goes on.
            if len(begun) >= self._in_flight or (transfer is None and begun):
                yield self._copy(begun.pop())
        while begun:
            yield self._copy(begun.pop())
        if error is not None:
            raise error

    def _copy(self, transfer: Transfer) -> Outcome:
        key, there = transfer.object.key, transfer.destination_key
        self.attempts[key] += 1
        if len(there.encode()) > LONGEST_KEY_BYTES:
            return Failed(transfer, "key_too_long", f"{there} is longer than {LONGEST_KEY_BYTES} bytes")
        if key in self.fail:
            return Failed(transfer, self.fail[key], f"GetObject of {key}: {self.fail[key]}")
        if key not in self.source.objects:
            return Failed(transfer, "object_gone", f"GetObject of {key}: NoSuchKey")
        if self.source.objects[key].etag != transfer.object.etag:
            return Failed(transfer, "object_changed", f"GetObject of {key}: PreconditionFailed")
        body = self.source.bodies[key]
        replica = self.destination.bodies.get(there)
        if replica is not None:
            # As both sides' S3 tell of their objects: other bytes may have the same CRC.
            is_same = replica == body if transfer.is_changed else crc64nvme(replica) == crc64nvme(body)
            if not is_same:
                return Conflict(transfer, "the replica has other bytes")
            return AlreadyThere(transfer, self.destination.objects[there].etag)
        if self.crash_after == 0:
            raise CrashError(key)
        written = self.destination.put(there, body, last_modified=self._now())
        if self.crash_after is not None:
            self.crash_after -= 1
        return Copied(transfer, written.etag)


class MemoryPrincipal:
    """Credentials that are renewed when they are rejected: the next of `credentials`, or the refusal among them."""

    def __init__(self, name: str, credentials: Sequence[Credentials | JobFailed]) -> None:
        self.name = name
        self.rejected: list[Credentials] = []
        self._left = deque(credentials)
        self._current = self._next()

    def current(self) -> Credentials:
        """The credentials in use."""
        return self._current

    def refresh(self, *, rejected: Credentials | None = None) -> Credentials:
        """Takes the next ones when those in use were rejected."""
        if rejected is not None:
            self.rejected.append(rejected)
            if rejected == self._current and self._left:
                self._current = self._next()
        return self._current

    def _next(self) -> Credentials:
        found = self._left.popleft()
        if isinstance(found, JobFailed):
            raise found
        return found


def outcomes_by_key(outcomes: Iterable[Outcome]) -> dict[str, Outcome]:
    """Outcomes by the key of the source; each key once."""
    found = {}
    for outcome in outcomes:
        key = outcome.transfer.object.key
        assert key not in found, f"{key} came to two ends"
        found[key] = outcome
    return found


def words(outcomes: Iterable[Outcome]) -> dict[str, str]:
    """By key, the name of what came of it, and of a failure its reason."""
    return {
        key: outcome.reason if isinstance(outcome, Failed) else type(outcome).__name__
        for key, outcome in outcomes_by_key(outcomes).items()
    }


def handed_over(transfers: Collection[Transfer]) -> Iterator[Transfer | None]:
    """Transfers as a listing gives them: now and then there is none yet."""
    for transfer in transfers:
        yield None
        yield transfer


@dataclass
class MemoryVerdict:
    """Where `auto` keeps what it found out (`modes.VerdictLedger`)."""

    kept: tuple[str, str] | None = None

    def mode_verdict(self) -> tuple[str, str] | None:
        return self.kept

    def set_mode_verdict(self, mode: str, why: str) -> None:
        self.kept = mode, why
