"""Source, replica and ledger merged in the order of keys, a page of each at a time. Pure."""

from collections.abc import Generator, Iterable, Iterator
from typing import NamedTuple, TypeVar

from syncd.model.objects import Known, LogObject, Page

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
) -> Iterator[Trio | None]:
    """Yield a Trio for each key that any of the three has. All three are in key order. None is nothing yet."""
    here = yield from _next(source)
    there = yield from _next(replicas)
    row = next(rows, None)
    while here is not None or there is not None or row is not None:
        key = min(item[0] for item in (here, there, row) if item is not None)
        trio = Trio(
            key,
            here if here is not None and here.key == key else None,
            there if there is not None and there.key == key else None,
            row[1] if row is not None and row[0] == key else None,
        )
        yield trio
        if trio.source is not None:
            here = yield from _next(source)
        if trio.replica is not None:
            there = yield from _next(replicas)
        if trio.known is not None:
            row = next(rows, None)


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
            for item in page.objects:
                yield item._replace(key=item.key[len(strip) :]) if strip else item
