"""The source of the simulation, and the troubles of a tick."""

import random
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from threading import Event

from syncd.model.errors import JobFailed
from syncd.model.objects import AlreadyThere, Copied, Failed, Folder, LogObject, Outcome, Page, Range, Transfer

from .deliveries import Delivery

PAGE_KEYS = 100


class CrashError(Exception):
    """The process dies here."""


class Bucket:
    """Keys in order, as they arrive, listed in pages as S3 lists them."""

    def __init__(self, coming: Sequence[Delivery], *, page_keys: int = PAGE_KEYS) -> None:
        self._coming = coming
        self._page_keys = page_keys
        self._arrived = 0
        self._keys: list[str] = []
        self._objects: dict[str, LogObject] = {}
        self.now = 0.0
        self.lists = 0
        self.chance = random.Random(0)
        self.page_error = 0.0
        """The chance that a page is not had."""

    def advance(self, now: float) -> None:
        """Let everything arrive that arrives until `now`."""
        self.now = now
        while self._arrived < len(self._coming) and self._coming[self._arrived].arrives_at <= now:
            item = self._coming[self._arrived]
            insort(self._keys, item.key)
            self._objects[item.key] = LogObject(item.key, item.etag, item.size_bytes, item.arrives_at)
            self._arrived += 1

    def objects(self, prefix: str, after: str, until: str = "") -> Iterator[list[LogObject]]:
        """Pages of what is there now; the last one is short, or empty."""
        position = bisect_right(self._keys, after) if after >= prefix else bisect_left(self._keys, prefix)
        while True:
            self.lists += 1
            if self.chance.random() < self.page_error:
                raise JobFailed("server_error", "ListObjectsV2", "")
            keys = self._keys[position : position + self._page_keys]
            page = [self._objects[key] for key in keys if key.startswith(prefix)]
            yield page
            position += self._page_keys
            if len(page) < self._page_keys or (until and page[-1].key > until):
                return

    def pages(self, ranges: Iterable[Range]) -> Iterator[Page | None]:
        """What `ports.Lister` promises."""
        for wanted in ranges:
            began_at = self.now
            for found in self.objects(wanted.shard.prefix, wanted.start_after, wanted.until):
                is_past = bool(wanted.until and found and found[-1].key > wanted.until)
                kept = found if wanted.whole_pages or not is_past else [x for x in found if x.key <= wanted.until]
                is_end = len(found) < self._page_keys
                yield Page(wanted, kept, is_past or is_end, is_end, began_at)

    def folders(self, prefixes: Iterable[str]) -> Iterator[Folder]:
        """What `ports.Lister` promises."""
        for prefix in prefixes:
            self.lists += 1
            found: list[str] = []
            position = bisect_left(self._keys, prefix)
            while position < len(self._keys) and self._keys[position].startswith(prefix):
                name = self._keys[position][len(prefix) :].split("/")[0]
                found.append(f"{prefix}{name}/")
                position = bisect_left(self._keys, f"{prefix}{name}0")
            yield Folder(prefix, found, [])


class Destination:
    """A copier and what it has written; also its listing."""

    mode: str | None = "stream"
    is_denied = False

    def __init__(self, chance: random.Random) -> None:
        self.objects: dict[str, LogObject] = {}
        self.writes: Counter[str] = Counter()
        self.broken: set[str] = set()
        """Keys that cannot be copied for now."""
        self.crash_after = 0
        """The process dies when so many more have been written; 0 for never."""
        self._chance = chance

    def copy_all(self, transfers: Iterator[Transfer | None], stop: Event) -> Iterator[Outcome]:
        """What `ports.Copier` promises: outcomes out of order, some objects written and not yet told of."""
        waiting: list[Outcome] = []
        for transfer in transfers:
            if stop.is_set():
                break
            if transfer is not None:
                waiting.append(self._copy(transfer))
            if len(waiting) >= 6 or (transfer is None and waiting):
                yield waiting.pop(self._chance.randrange(len(waiting)))
        yield from waiting

    def _copy(self, transfer: Transfer) -> Outcome:
        key = transfer.object.key
        if key in self.broken:
            return Failed(transfer, "server_error", "for now")
        if key in self.objects:
            return AlreadyThere(transfer)
        self.objects[key] = transfer.object
        self.writes[key] += 1
        if self.crash_after:
            self.crash_after -= 1
            if not self.crash_after:
                raise CrashError
        return Copied(transfer)

    def pages(self, ranges: Iterable[Range]) -> Iterator[Page | None]:
        """What `ports.Lister` promises."""
        keys = sorted(self.objects)
        for wanted in ranges:
            kept = [
                self.objects[key]
                for key in keys
                if key.startswith(wanted.shard.prefix)
                and key > wanted.start_after
                and (not wanted.until or key <= wanted.until)
            ]
            yield Page(wanted, kept, is_last=True, reached_end=True)

    def folders(self, prefixes: Iterable[str]) -> Iterator[Folder]:
        """What `ports.Lister` promises."""
        for prefix in prefixes:
            below = sorted({key[: key.index("/", len(prefix)) + 1] for key in self.objects if key.startswith(prefix)})
            yield Folder(prefix, below, [])
