"""The destination listed beside the source, key by key."""

from collections.abc import Callable, Generator, Mapping

from syncd.model.objects import LogObject, Page, Range, Shard
from syncd.tick.ports import ReplicaLister


def at_destination(wanted: Range, destination_prefix: str) -> Range:
    """Return the range of the destination for the replicas of a source range."""
    return Range(
        shard=wanted.shard._replace(prefix=destination_prefix + wanted.shard.prefix),
        start_after=destination_prefix + wanted.start_after if wanted.start_after else "",
        until=destination_prefix + wanted.until if wanted.until else "",
    )


def replicas_of(page: Page, destination_prefix: str) -> list[LogObject]:
    """Return a page of the destination under the keys of the source."""
    return [item._replace(key=item.key[len(destination_prefix) :]) for item in page.objects]


def replicas_in(
    wanted: Range, lister: ReplicaLister, destination_prefix: str
) -> Generator[None, None, dict[str, LogObject] | None]:
    """List all replicas of a range. Returns them by the source's key, or None if the listing is denied.

    Yields None while there is nothing yet. Raises JobFailed.
    """
    beside = Beside(wanted, lister, destination_prefix)
    return (yield from beside.rest())


class Beside:
    """The replicas beside one range of the source, taken in the order of their keys. One for each listing."""

    def __init__(self, wanted: Range, lister: ReplicaLister, destination_prefix: str) -> None:
        self._lister = lister
        self._prefix = destination_prefix
        self._pages = lister.pages([at_destination(wanted, destination_prefix)])
        self._waiting: dict[str, LogObject] = {}
        """Listed, and beyond what was asked for so far. In key order."""
        self._newest_key = ""
        self._is_at_end = False

    def upto(self, key: str, is_wanted: Callable[[str], bool]) -> Generator[None, None, Mapping[str, LogObject] | None]:
        """List on until a key. Returns the wanted replicas up to it, or None if listing is denied.

        Years of replicas may lie between two keys that the source still has. Yields None while there is nothing yet.
        Raises JobFailed.
        """
        found: dict[str, LogObject] = {}
        while True:
            for name in [name for name in self._waiting if name <= key]:
                item = self._waiting.pop(name)
                if is_wanted(name):
                    found[name] = item
            if self._is_at_end or self._newest_key >= key:
                return None if self._lister.is_denied else found
            yield from self._next_page()

    def rest(self) -> Generator[None, None, dict[str, LogObject] | None]:
        """List to the end. Returns what is left, or None if the listing is denied."""
        while not self._is_at_end:
            yield from self._next_page()
        return None if self._lister.is_denied else self._waiting

    def _next_page(self) -> Generator[None, None, None]:
        page = next(self._pages, _END)
        if isinstance(page, _End):
            self._is_at_end = True
        elif page is None:
            yield None
        elif page.objects:
            replicas = replicas_of(page, self._prefix)
            self._waiting.update((item.key, item) for item in replicas)
            self._newest_key = replicas[-1].key


class _End:
    """The mark of the end of the pages."""


_END = _End()


def first_page(shard: Shard, lister: ReplicaLister, destination_prefix: str) -> list[LogObject]:
    """List the first replicas of a shard, up to 1,000. Raises JobFailed."""
    for page in lister.pages([at_destination(Range(shard, ""), destination_prefix)]):
        if page is not None and page.objects:
            return replicas_of(page, destination_prefix)
    return []
