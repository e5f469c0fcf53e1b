"""Checks of every page of a listing, of either bucket, before anything else uses it.

A source is not trusted to follow the API. A row out of order would make a listing endless or hide a key, one of the year
9999 would move the horizon for good, and one with a negative size would turn a limit off. Such a row fails the job that
lists. A key that is not UTF-8 fails alone: S3 has none, but other servers do, and their owner may not know.

S3 lists in the order of the keys' bytes. Stores that keep a tree list folder by folder, each by the names in it: there `a/b`
comes before `a-b`, as the folder `a` does. A listing has one of these orders throughout, and only who says that the order does
not matter gets the second one.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import blake2b
from itertools import pairwise
from typing import NamedTuple, TypeAlias
from urllib.parse import quote

from syncd.aws.pages.page import ListingPage
from syncd.aws.s3 import MalformedAnswer
from syncd.model.keys.tree import in_tree
from syncd.model.objects import LogObject
from syncd.model.units import LARGEST_SIZE

MOST_ROWS = 1000
LONGEST_KEY_BYTES = 1024
# 2000-01-01. S3 itself began in 2006.
OLDEST = 946_684_800.0
# 2200-01-01. Not closer to now: this machine's own clock may be wrong by years.
NEWEST = 7_258_118_400.0
_LONGEST_TOKEN = 16 * 1024
_SHOWN = 200
# It is sent back in a header (If-Match).
_ETAG = re.compile(r"[\x21-\x7e]{0,256}")
_STORAGE_CLASS = re.compile(r"[A-Za-z0-9_\-]{1,64}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_Order: TypeAlias = Callable[[str], str] | Callable[[str], bytes]


class Passed(NamedTuple):
    """A page that passed the checks."""

    objects: Sequence[LogObject]
    prefixes: Sequence[str]
    unreadable: Sequence[LogObject]
    """Objects whose keys are not UTF-8, under names that are: each such byte as `%XX`."""
    unreadable_prefixes: Sequence[str]
    """Folders of this kind, named likewise."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.objects) + len(self.prefixes) + len(self.unreadable) + len(self.unreadable_prefixes)


class _OutOfOrder(MalformedAnswer):
    """A row does not come after the one before."""


class ListingChecks:
    """The checks of one listing, which remember the end of its last page."""

    def __init__(self, prefix: str, *, start_after: str, delimiter: str, takes_trees: bool) -> None:
        """`takes_trees` allows the order of a store that keeps a tree."""
        self._takes_trees = takes_trees
        self._prefix = prefix
        self._delimiter = delimiter
        self._last = self._before = start_after
        self._is_tree = False
        """A row has shown that the store lists folder by folder."""

    def check(self, listing: ListingPage) -> Passed:
        """Return a page's rows.

        Raises:
            MalformedAnswer: the page, or one of its rows, cannot be part of this listing.
        """
        count = len(listing.objects) + len(listing.prefixes)
        if count > MOST_ROWS:
            raise MalformedAnswer(f"{count} rows in one page, at most {MOST_ROWS} were asked for")
        if len(listing.next_token) > _LONGEST_TOKEN:
            raise MalformedAnswer(f"a continuation token of {len(listing.next_token)} characters")
        keys = [item.key for item in listing.objects]
        everything = "".join((self._last, *keys, *listing.prefixes))
        is_utf8 = everything.isascii() or not _SURROGATE.search(everything)
        # Characters sort as their bytes do, unless a byte belongs to no character.
        orders: Sequence[_Order] = (_itself, in_tree) if is_utf8 else (_bytes, _bytes_in_tree)
        orders = orders[1:] if self._is_tree else orders if self._takes_trees else orders[:1]
        last = self._last_of(keys, listing.prefixes, *orders)
        for item in listing.objects:
            self._check_object(item)
        for name in listing.prefixes:
            self._check_prefix(name)
        self._before, self._last = self._last, last
        if is_utf8:
            return Passed(listing.objects, listing.prefixes, (), ())
        return Passed(
            [item for item in listing.objects if not _SURROGATE.search(item.key)],
            [name for name in listing.prefixes if not _SURROGATE.search(name)],
            [item._replace(key=written(item.key)) for item in listing.objects if _SURROGATE.search(item.key)],
            [written(name) for name in listing.prefixes if _SURROGATE.search(name)],
        )

    def may_be_past(self, keys: Sequence[str], until: str) -> bool:
        """Return True if the last page, with these keys, may have some after `until`."""
        return bool(until and keys) and (self._is_tree or keys[-1] > until)

    def is_past(self, keys: Sequence[str], until: str) -> bool:
        """Return True if no key up to `until` is left to list after the last page, which had these keys."""
        # By bytes too: a tree may have come by a folder that the range ends in only by bytes.
        if not until or not keys or keys[-1] <= until:
            return False
        if in_tree(keys[-1]) > in_tree(until):
            return True
        # A store that keeps a tree may yet come to it, unless the page shows that this one lists by bytes.
        names = [in_tree(name) for name in (self._before, *keys)]
        return not self._is_tree and any(name >= following for name, following in pairwise(names))

    def _last_of(
        self, keys: Sequence[str], prefixes: Sequence[str], order: _Order, by_folders: _Order | None = None
    ) -> str:
        """Return the last name of both, in the first order in which they ascend. Raises MalformedAnswer if in none."""
        try:
            ends = (self._ascending(keys, "key", order), self._ascending(prefixes, "common prefix", order))
            return max(*ends, key=order)
        except _OutOfOrder as error:
            if by_folders is None:
                raise
            with suppress(_OutOfOrder):
                last = self._last_of(keys, prefixes, by_folders)
                self._is_tree = True
                return last
            raise error from None

    def _ascending(self, names: Sequence[str], what: str, order: _Order) -> str:
        """Return the last name, or that of the page before if there is none."""
        last, key = self._last, order(self._last)
        for name in names:
            before, key = key, order(name)
            if not before < key:  # type: ignore[operator]  # both are of one type
                raise _OutOfOrder(f"{what} {_shown(name)} does not come after {_shown(last)}")
            if not name.startswith(self._prefix):
                raise MalformedAnswer(f"{what} {_shown(name)} is outside of the prefix")
            if len(name) * 4 > LONGEST_KEY_BYTES and len(_bytes(name)) > LONGEST_KEY_BYTES:
                raise MalformedAnswer(f"{what} {_shown(name)} is longer than {LONGEST_KEY_BYTES} bytes")
            last = name
        return last

    def _check_object(self, item: LogObject) -> None:
        if not 0 <= item.size_bytes <= LARGEST_SIZE:
            raise MalformedAnswer(f"key {_shown(item.key)} has {item.size_bytes} bytes")
        if item.last_modified < OLDEST:
            raise MalformedAnswer(f"key {_shown(item.key)} was modified before the year 2000")
        if item.last_modified > NEWEST:
            raise MalformedAnswer(f"key {_shown(item.key)} was modified after the year 2199")
        if not _ETAG.fullmatch(item.etag):
            raise MalformedAnswer(f"key {_shown(item.key)} has the ETag {_shown(item.etag)}")
        if not _STORAGE_CLASS.fullmatch(item.storage_class):
            raise MalformedAnswer(f"key {_shown(item.key)} has the storage class {_shown(item.storage_class)}")

    def _check_prefix(self, name: str) -> None:
        if not self._delimiter:
            raise MalformedAnswer(f"common prefix {_shown(name)} though no delimiter was asked for")
        below = name[len(self._prefix) :]
        if not below or below.find(self._delimiter) != len(below) - len(self._delimiter):
            raise MalformedAnswer(f"common prefix {_shown(name)} is no folder directly below the prefix")


def written(name: str) -> str:
    """Return a name that is not UTF-8 as text.

    Each byte that is not UTF-8 becomes `%XX`, and `%` becomes `%25`. A text that would be longer than a key may be ends with a hash of the name in place of the rest.
    """
    text = _SURROGATE.sub(lambda found: quote(_bytes(found[0])), name.replace("%", "%25"))
    if len(text.encode()) <= LONGEST_KEY_BYTES:
        return text
    ending = f"...{blake2b(_bytes(name), digest_size=16).hexdigest()}"
    return text.encode()[: LONGEST_KEY_BYTES - len(ending)].decode(errors="ignore") + ending


def _itself(name: str) -> str:
    return name


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _bytes_in_tree(name: str) -> bytes:
    return _bytes(name).replace(b"/", b"\0")


def _shown(text: str) -> str:
    return ascii(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
