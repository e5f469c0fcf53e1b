"""Source, replica and ledger merged by key, a page of each at a time. Pure.

The ledger's rows come in the order of the keys' bytes, and so do S3's listings. A store that keeps a tree lists folder by
folder: `a/b` before `a-b`. So a key that one listing lacks is waited for until the other has passed it in both orders.
"""

from collections.abc import Generator, Iterable, Iterator
from heapq import heappop, heappush
from typing import NamedTuple, TypeVar

from syncd.model.keys.tree import in_tree
from syncd.model.objects import Known, LogObject, Page

MOST_WAITING = 200_000
"""More keys than these do not wait. Of a store that keeps a tree, some replicas are then taken for extra ones."""

_T = TypeVar("_T")


class Trio(NamedTuple):
    """The three's entries of one key, by the source's key."""

    key: str
    source: LogObject | None
    replica: LogObject | None
    known: Known | None
    """The ledger's row."""


def side_by_side(
    source: Iterator[LogObject | None],
    replicas: Iterator[LogObject | None],
    rows: Iterator[tuple[str, Known]],
    *,
    most_waiting: int = MOST_WAITING,
) -> Iterator[Trio | None]:
    """Yield a Trio for each key that any of the three has. `rows` are in the order of bytes. None is nothing yet."""
    here = yield from _next(source)
    there = yield from _next(replicas)
    row = next(rows, None)
    waiting = _Waiting(most_waiting)
    while here is not None or there is not None or row is not None:
        yield from waiting.passed(here, there)
        key = min(item[0] for item in (here, there, row) if item is not None)
        trio = waiting.joined(
            Trio(
                key,
                here if here is not None and here.key == key else None,
                there if there is not None and there.key == key else None,
                row[1] if row is not None and row[0] == key else None,
            )
        )
        if waiting.is_complete(trio):
            yield trio
        else:
            yield from waiting.hold(trio)
        if here is not None and here.key == key:
            here = yield from _next(source)
        if there is not None and there.key == key:
            there = yield from _next(replicas)
        if row is not None and row[0] == key:
            row = next(rows, None)
    yield from waiting.passed(None, None)


class _Waiting:
    """Keys that a listing may yet come to, if its store keeps a tree."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._trios: dict[str, Trio] = {}
        self._order: list[tuple[str, str]] = []
        self._here: str | None = ""
        self._there: str | None = ""
        """The places in a tree that both listings have come to. None is the end."""

    def passed(self, here: LogObject | None, there: LogObject | None) -> Iterator[Trio]:
        """Note where both listings are. Yields what neither can come to any more."""
        self._here, self._there = _place(self._here, here), _place(self._there, there)
        while self._order and self._is_past(self._order[0][0]):
            yield from self._let_go()

    def joined(self, trio: Trio) -> Trio:
        """Return the trio with what waited for it."""
        before = self._trios.pop(trio.key, None)
        if before is None:
            return trio
        return Trio(trio.key, trio.source or before.source, trio.replica or before.replica, trio.known or before.known)

    def is_complete(self, trio: Trio) -> bool:
        """Return True if no listing that lacks the key can come to it."""
        place = in_tree(trio.key)
        is_here = trio.source is not None or _is_beyond(self._here, place)
        return is_here and (trio.replica is not None or _is_beyond(self._there, place))

    def hold(self, trio: Trio) -> Iterator[Trio]:
        """Hold a trio. Yields the first one if there are too many."""
        self._trios[trio.key] = trio
        heappush(self._order, (in_tree(trio.key), trio.key))
        if len(self._trios) > self._most:
            yield from self._let_go()

    def _let_go(self) -> Iterator[Trio]:
        trio = self._trios.pop(heappop(self._order)[1], None)
        if trio is not None:
            yield trio

    def _is_past(self, place: str) -> bool:
        return _is_beyond(self._here, place) and _is_beyond(self._there, place)


def _place(before: str | None, item: LogObject | None) -> str | None:
    return None if before is None or item is None else max(before, in_tree(item.key))


def _is_beyond(here: str | None, place: str) -> bool:
    return here is None or here > place


def _next(items: Iterator[_T | None]) -> Generator[None, None, _T | None]:
    """Return the next item, or None at the end. Yields None while there is nothing yet."""
    for item in items:
        if item is not None:
            return item
        yield None
    return None


def objects_of(pages: Iterable[Page | None], *, strip: str = "") -> Iterator[LogObject | None]:
    """Yield the objects of a listing under the keys of the source. None is nothing yet."""
    for page in pages:
        if page is None:
            yield None
        else:
            # Folder by folder, a listing begins at another key than by bytes.
            for item in page.objects:
                if item.key <= page.range.start_after:
                    continue
                yield item._replace(key=item.key[len(strip) :]) if strip else item
