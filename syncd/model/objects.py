"""The values of syncd: listings, transfers, outcomes and the state of shards.

Times are seconds since the epoch, UTC (`float`), and sizes are bytes. The values on the hot path are NamedTuples,
since a tick creates one of each for every object it meets.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from syncd.model import reasons
from syncd.model.reasons import Reason


def is_same_etag(one: str, other: str) -> bool:
    """Return whether two ETags are the same. Servers write the hex digits of an MD5 in either case."""
    return one == other or one.lower() == other.lower()


class LogObject(NamedTuple):
    """One object as the source listed it."""

    key: str
    etag: str
    """Without quotes. Identifies the content within this bucket only, never across buckets."""
    size_bytes: int
    last_modified: float
    storage_class: str = "STANDARD"


class Shard(NamedTuple):
    """The unit that has a cursor: one organization, account, kind and region, identified by its prefix.

    Loose keys above a region, and layouts without accounts, are shards with the parts they have.
    """

    prefix: str
    """The source prefix, ending in a slash (or empty: the whole bucket)."""
    account: str = ""
    kind: str = ""
    region: str = ""
    organization: str = ""


class Range(NamedTuple):
    """The keys of a shard that a listing covers: after `start_after`, up to and including `until`."""

    shard: Shard
    start_after: str
    """The key after which the listing begins, or empty for the beginning of the shard."""
    until: str = ""
    """The last key of the range, or empty for the end of the shard."""
    whole_pages: bool = False
    """True to return a page that passes `until` whole, since it was paid for, instead of cutting it there."""


class Page(NamedTuple):
    """Up to 1,000 LogObjects of one range, in the order in which the store lists."""

    range: Range
    objects: Sequence[LogObject]
    is_last: bool
    """True if the range is listed to its end."""
    reached_end: bool = False
    """True if the listing reached the end of the shard."""
    requested_at: float = 0.0
    """The time at which the listing of the range began."""
    unreadable: Sequence[LogObject] = ()
    """Objects whose keys are not UTF-8, so no request can name them. Each invalid byte is shown as `%XX`."""


class Folder(NamedTuple):
    """The result of a delimiter listing of one prefix."""

    prefix: str
    prefixes: Sequence[str]
    objects: Sequence[LogObject]
    """Objects directly in it."""
    unreadable: Sequence[str] = ()
    """Objects and folders whose names are not UTF-8. Each invalid byte is shown as `%XX`."""


class Known(NamedTuple):
    """The ledger's memory of a key that is at the destination."""

    etag: str | None
    """The source's ETag when it was copied, or None if an older state knew it only from the destination."""
    size_bytes: int
    replica_etag: str = ""
    """The replica's own ETag, by which the audit notices a change, or empty if unknown."""


class Written(NamedTuple):
    """The replica as it was written, of an object whose content was hashed meanwhile."""

    etag: str
    size_bytes: int
    sha256: str
    """Of the uncompressed content, hexadecimal."""


class SkipReason(StrEnum):
    """The reason that a listed object is not copied now."""

    ALREADY_COPIED = "already_copied"
    ARCHIVED = "archived"
    BEFORE_START = "before_start"
    CONFLICT_KNOWN = "conflict_known"
    BACKING_OFF = "backing_off"
    IN_PROGRESS = "in_progress"
    SEALED = "sealed"
    ACCEPTED = "accepted"
    OUTSIDE_WINDOW = "outside_window"
    OVER_QUOTA = "over_quota"


class Transfer(NamedTuple):
    """The decision to copy one LogObject to one key of the destination."""

    shard: Shard
    object: LogObject
    destination_key: str
    compare_first: bool = False
    """True if the key is known to be at the destination: compare before writing."""
    is_changed: bool = False
    """True if the ledger has another ETag, or a copy failed before, so the source may have changed: then only a
    cryptographic hash proves the same content, a CRC does not."""


class Copied(NamedTuple):
    """The object was written to the destination by this tick."""

    transfer: Transfer
    replica_etag: str = ""
    """The ETag in the answer to the write, or empty if there was none."""
    content: str = ""
    """The SHA-256 of the uncompressed content, hexadecimal, or empty if it was not computed."""


class AlreadyThere(NamedTuple):
    """The destination holds the same content, by its checksum."""

    transfer: Transfer
    replica_etag: str = ""
    """The replica's ETag in the answer to HeadObject, or empty if there was none."""


class Conflict(NamedTuple):
    """The destination holds other content under this key, which was left untouched."""

    transfer: Transfer
    detail: str


class Failed(NamedTuple):
    """The object was not copied."""

    transfer: Transfer
    reason: str
    """A `Reason`, or a code of AWS's own."""
    detail: str
    """The call, the principal, the resource and the answer."""


Outcome: TypeAlias = Copied | AlreadyThere | Conflict | Failed


class Quarantined(NamedTuple):
    """An object that is known but not at the destination."""

    object: LogObject
    shard: Shard
    reason: str
    detail: str
    attempts: int
    first_at: float
    next_at: float

    @property
    def is_conflict(self) -> bool:
        """True if other content at the destination holds it back, rather than a failure."""
        return self.reason == Reason.CONFLICT

    @property
    def is_settled(self) -> bool:
        """True if a retry changes nothing, so it waits for another listing or for an operator."""
        return self.reason in reasons.SETTLED

    @property
    def has_changed(self) -> bool:
        """True if the object may differ from the one listed, so it must be listed again."""
        return self.reason in (Reason.OBJECT_CHANGED, Reason.RETRY_REQUESTED)


class HeldCounts(NamedTuple):
    """The number of objects that are known but not at the destination, by reason."""

    objects: int = 0
    size_bytes: int = 0
    by_reason: Mapping[str, int] = {}
    oldest_at: float = 0.0
    """The time since when the first of them is known, or 0.0 if there is none."""

    @property
    def conflicts(self) -> int:
        """The number held back by other content at the destination."""
        return self.by_reason.get(Reason.CONFLICT, 0)


class Window(NamedTuple):
    """A span of UTC days, both inclusive, as `YYYY-MM-DD`. None is open."""

    first: str | None = None
    last: str | None = None


class Mode(StrEnum):
    """The way of bytes from source to destination."""

    STREAM = "stream"
    SERVER_SIDE = "server-side"


class FoundBy(StrEnum):
    """The listing that certainly finds the next key of a shard. The horizon waits for that one."""

    TAIL = "tail"
    """Keys begin with their stamp in the order of time."""
    RECENT = "recent"
    """Some names sort before the stamps of their day: only whole days find them."""
    DEEP = "deep"
    """Some keys have no stamp of their own and may land in any day folder."""
    WHOLE = "whole"
    """Some keys are outside the layout's grammar: only a listing of the whole shard finds them."""


class Branch(NamedTuple):
    """A folder with days of some form, in a shard that is listed whole: new keys are likely there."""

    prefix: str
    """Relative to the shard's prefix: empty, or ending in a slash."""
    date_format: str
    """The `strftime` format of its days, with `%-m` and `%-d` if they have no leading zeros."""


class ShardState(NamedTuple):
    """The state of one shard between ticks. Times are seconds since the epoch, 0.0 for never."""

    shard: Shard
    frontier: float = 0.0
    """The newest stamp of a complete listing."""
    listed_at: float = 0.0
    """The time at which the last listing that reached the end of the shard began."""
    recent_at: float = 0.0
    """The time at which the last listing of the recent tier began."""
    deep_key: str = ""
    """The key after which the deep tier's round continues, or empty if none is in progress."""
    deep_at: float = 0.0
    """The time at which the deep tier's last round began or was due. It may be in progress."""
    complete_from: float = 0.0
    complete_until: float = 0.0
    newest_arrival: float = 0.0
    """The newest LastModified seen in it."""
    deep_done_at: float = 0.0
    """The time at which the last complete deep round began, or the last complete listing of a whole shard."""
    layout: str = ""
    """The `Layout.name` for which the cursors are valid."""
    found_by: FoundBy = FoundBy.TAIL
    branches: tuple[Branch, ...] = ()
    """Folders that are listed between two listings of a whole shard."""
    audit_key: str = ""
    """The key after which the audit of remembered keys continues, or empty if none is in progress."""
    audit_at: float = 0.0
    """The time at which the last audit of remembered keys began. It may be in progress."""
    audited_at: float = 0.0
    """The time at which the last complete one began."""
    sealed_audit_day: str = ""
    """The day after which the audit of sealed days continues, or empty if none is in progress."""
    sealed_audit_at: float = 0.0
    sealed_audited_at: float = 0.0


class Replica(NamedTuple):
    """One flow of objects from a source prefix to a destination prefix. Owns rows of the ledger."""

    source_bucket: str
    source_prefix: str
    destination_endpoint: str
    destination_bucket: str
    destination_prefix: str

    def __str__(self) -> str:
        """Return the source and the destination."""
        endpoint = f" at {self.destination_endpoint}" if self.destination_endpoint else ""
        source = f"s3://{self.source_bucket}/{self.source_prefix}"
        return f"{source} to s3://{self.destination_bucket}/{self.destination_prefix}{endpoint}"
