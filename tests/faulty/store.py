"""Buckets and objects in memory, with S3's key order and S3's listing."""

import base64
import hashlib
import secrets
from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

STANDARD = "STANDARD"


def md5_hex(body: bytes) -> str:
    """The ETag of a plain object, without quotes."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class StoredObject:
    """One object; `system` holds further headers that S3 keeps and gives back, names in lower case."""

    body: bytes = field(repr=False)
    etag: str
    last_modified: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "binary/octet-stream"
    content_encoding: str = ""
    storage_class: str = STANDARD
    checksums: Mapping[str, str] = field(default_factory=dict)
    """{algorithm: base64}; a composite one ends in `-<parts>`."""
    tags: Mapping[str, str] = field(default_factory=dict)
    system: Mapping[str, str] = field(default_factory=dict)
    version_id: str = ""
    """Empty in a bucket that never had versions; `null` if it was written while it had none."""

    @property
    def is_composite(self) -> bool:
        """Whether its checksum is one of the parts' checksums rather than of the whole."""
        return any("-" in value for value in self.checksums.values())


@dataclass
class Upload:
    """A multipart upload in progress."""

    key: str
    template: StoredObject
    """The properties of the object to be, without its body."""
    algorithm: str
    is_composite: bool
    parts: dict[int, "Part"] = field(default_factory=dict)


class Part(NamedTuple):
    """One uploaded part."""

    body: bytes
    etag: str
    checksum: str


class ListedPage(NamedTuple):
    """One page of a listing: keys and common prefixes, merged in key order."""

    keys: list[str]
    prefixes: list[str]
    last: str
    """The last of both; a listing goes on after it."""
    is_truncated: bool


class Bucket:
    """One bucket; keys are kept in the order of their UTF-8 bytes, as general purpose buckets list them."""

    def __init__(self, name: str, account_id: str, region: str) -> None:
        self.name, self.account_id, self.region = name, account_id, region
        self.shared_with: frozenset[str] = frozenset()
        """Further accounts that may do everything with it, as by a bucket policy."""
        self.default_retention: tuple[str, int] | None = None
        """Mode and days for which Object Lock keeps each object that is written."""
        self.versioning = ""
        """Empty, `Enabled` or `Suspended`."""
        self.older: dict[str, list[StoredObject]] = {}
        """Versions that are not current any more, the oldest first."""
        self.lists_folder_by_folder = False
        """As stores do that keep a tree: `a/1` before `a-`, and StartAfter is a place in it."""
        self.objects: dict[str, StoredObject] = {}
        self.uploads: dict[str, Upload] = {}
        self._order: list[bytes] = []

    def put(self, key: str, item: StoredObject) -> None:
        """Puts the object in the place of any other."""
        if key not in self.objects:
            insort(self._order, key.encode())
        if self.default_retention is not None:
            mode, days = self.default_retention
            until = item.last_modified + timedelta(days=days)
            locked = {"x-amz-object-lock-mode": mode, "x-amz-object-lock-retain-until-date": until.isoformat()}
            item = replace(item, system={**item.system, **locked})
        self.objects[key] = self._versioned(key, item)

    def _versioned(self, key: str, item: StoredObject) -> StoredObject:
        """The object with its version; those before it stay, but for the one without a version of its own."""
        if not self.versioning:
            return item
        before = self.objects.get(key)
        kept = [*self.older.get(key, ()), *([before] if before is not None else ())]
        is_enabled = self.versioning == "Enabled"
        self.older[key] = [one for one in kept if is_enabled or one.version_id not in ("", "null")]
        return replace(item, version_id=secrets.token_hex(16) if is_enabled else "null")

    def delete(self, key: str) -> None:
        """Removes the object, if it is there."""
        if self.objects.pop(key, None) is not None:
            del self._order[bisect_left(self._order, key.encode())]

    def keys(self) -> list[str]:
        """All keys in order."""
        return [key.decode() for key in self._order]

    def page(self, *, prefix: str, after: str, delimiter: str, limit: int) -> ListedPage:
        """Up to `limit` keys and common prefixes that follow `after`."""
        if self.lists_folder_by_folder:
            return self._tree_page(prefix=prefix, after=after, delimiter=delimiter, limit=limit)
        start, past, until = prefix.encode(), after.encode(), delimiter.encode()
        order = self._order
        position = max(bisect_left(order, start), bisect_right(order, past) if past else 0)
        keys: list[str] = []
        prefixes: list[str] = []
        last = b""
        while position < len(order) and order[position].startswith(start):
            entry, following = order[position], position + 1
            found = entry.find(until, len(start)) if until else -1
            if found >= 0:
                entry = entry[: found + len(until)]
                following = bisect_left(order, _successor(entry), position)
            # A common prefix that a page before has listed, or that is not after StartAfter, is not listed.
            if entry > past:
                if len(keys) + len(prefixes) == limit:
                    return ListedPage(keys, prefixes, last.decode(), is_truncated=limit > 0)
                (prefixes if found >= 0 else keys).append(entry.decode())
                last = entry
            position = following
        return ListedPage(keys, prefixes, last.decode(), is_truncated=False)

    def _tree_page(self, *, prefix: str, after: str, delimiter: str, limit: int) -> ListedPage:
        entries: dict[str, bool] = {}
        for key in sorted(self.objects, key=_in_tree):
            # The folder of the name that a listing goes on after lies before that place.
            if not key.startswith(prefix) or (after and _in_tree(key) <= [*_in_tree(after.rstrip("/")), "\U0010ffff"]):
                continue
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            entries[key if end < 0 else key[: end + len(delimiter)]] = end >= 0
        listed = list(entries.items())[:limit]
        return ListedPage(
            [name for name, is_folder in listed if not is_folder],
            [name for name, is_folder in listed if is_folder],
            listed[-1][0] if listed else "",
            is_truncated=len(entries) > limit,
        )


def _in_tree(key: str) -> list[str]:
    return key.split("/")


def _successor(prefix: bytes) -> bytes:
    """The first string after everything that begins with `prefix`; UTF-8 never holds 0xFF."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def continuation_token(after: str) -> str:
    """Opaque to clients."""
    return base64.urlsafe_b64encode(after.encode()).decode()


def continued_after(token: str) -> str:
    """The key or prefix that a continuation token goes on after; raises ValueError."""
    return base64.b64decode(token, altchars=b"-_", validate=True).decode()
