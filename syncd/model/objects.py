"""The words of syncd: what is listed, decided, done and remembered.

Times are seconds since the epoch, UTC (`float`), sizes are bytes. The values on the hot path are NamedTuples,
since a tick makes one of each for every object it meets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from syncd.model import reasons
from syncd.model.reasons import Reason


class LogObject(NamedTuple):
    """One object as the source listed it."""

    key: str
    etag: str
    """Without quotes. An identity of the content in this one bucket only, never compared with another bucket's."""
    size_bytes: int
    last_modified: float
    storage_class: str = "STANDARD"


class Shard(NamedTuple):
    """The unit that has a cursor: one organization, account, kind and region, told by its prefix.

    Loose keys above a region, and layouts without accounts, are shards with the parts they have.
    """

    prefix: str
    """The source prefix, ending in a slash (or empty: the whole bucket)."""
    account: str = ""
    kind: str = ""
    region: str = ""
    organization: str = ""


class Range(NamedTuple):
    """What one listing covers in one shard: the keys after `start_after`, up to and including `until`."""

    shard: Shard
    start_after: str
    """The key after which the listing begins; empty for the beginning of the shard."""
    until: str = ""
    """The last key that belongs to it; empty for the end of the shard."""
    whole_pages: bool = False
    """A page that passes `until` is given whole, since its keys were paid for; otherwise it is cut there."""


class Page(NamedTuple):
    """Up to 1,000 LogObjects of one range in key order."""

    range: Range
    objects: Sequence[LogObject]
    is_last: bool
    """The range is listed to its end."""
    reached_end: bool = False
    """The listing met the end of the shard."""
    requested_at: float = 0.0
    """When the listing of the range began."""
    unreadable: Sequence[LogObject] = ()
    """Objects whose keys are not UTF-8, so that no request can name them; here each such byte stands as `%XX`."""


class Folder(NamedTuple):
    """What a delimiter listing of one prefix found."""

    prefix: str
    prefixes: Sequence[str]
    objects: Sequence[LogObject]
    """Keys directly in it, with no folder of their own."""
    unreadable: Sequence[str] = ()
    """Objects and folders whose names are not UTF-8; each such byte stands as `%XX`."""


class Known(NamedTuple):
    """What the ledger remembers of a key that is at the destination."""

    etag: str | None
    """The source's ETag when it was copied; None if only an older state's listing of the destination told of it."""
    size_bytes: int
    replica_etag: str = ""
    """The replica's own ETag, by which the audit notices another one; empty if it was never told."""


class SkipReason(StrEnum):
    """Why an object that was listed is not copied now."""

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
    """The key is known to be at the destination: compare with what is there before writing."""
    is_changed: bool = False
    """The ledger's row has another ETag, so the source may have changed: only a cryptographic hash proves the same
    content, a CRC does not."""


class Copied(NamedTuple):
    """The object was written to the destination by this tick."""

    transfer: Transfer
    replica_etag: str = ""
    """The ETag that the write was answered with; empty if it told none."""


class AlreadyThere(NamedTuple):
    """The destination holds the same content, by its checksum."""

    transfer: Transfer
    replica_etag: str = ""
    """The replica's ETag as HeadObject told it; empty if it told none."""


class Conflict(NamedTuple):
    """The destination holds other content under this key; it was left as it is."""

    transfer: Transfer
    detail: str


class Failed(NamedTuple):
    """The object was not copied."""

    transfer: Transfer
    reason: str
    """A short word for machines, a `Reason`."""
    detail: str
    """The call, the principal, the resource and what was answered."""


Outcome: TypeAlias = Copied | AlreadyThere | Conflict | Failed


class Quarantined(NamedTuple):
    """An object that is known and not at the destination."""

    object: LogObject
    shard: Shard
    reason: str
    detail: str
    attempts: int
    first_at: float
    next_at: float

    @property
    def is_conflict(self) -> bool:
        """Whether it is held back by other content at the destination rather than by a failure."""
        return self.reason == Reason.CONFLICT

    @property
    def is_settled(self) -> bool:
        """Whether trying again would change nothing: it waits for a listing that tells something else, or for a person."""
        return self.reason in reasons.SETTLED

    @property
    def has_changed(self) -> bool:
        """Whether the object may be another than the one that was listed, so that it has to be listed again."""
        return self.reason in (Reason.OBJECT_CHANGED, Reason.RETRY_REQUESTED)


class HeldCounts(NamedTuple):
    """How many objects are known and not at the destination, and why."""

    objects: int = 0
    size_bytes: int = 0
    by_reason: Mapping[str, int] = {}
    oldest_at: float = 0.0
    """Since when the first of them is known; 0.0 if there is none."""

    @property
    def conflicts(self) -> int:
        """How many are held back by other content at the destination."""
        return self.by_reason.get(Reason.CONFLICT, 0)


class Plan(NamedTuple):
    """What to do about one page."""

    transfers: Sequence[Transfer]
    adopted: Sequence[tuple[LogObject, str]]
    """Objects whose replica the destination lists and something vouches for, each with the replica's ETag."""
    archived: Sequence[Transfer]
    """Objects that cannot be read until their owner restores them, and that nobody has noted yet."""
    deferred: Sequence[Transfer]
    """Objects that failed before: they wait until everything new has been copied."""
    restored: Sequence[str]
    """Keys among the transfers that were at the destination once and are no more."""
    skipped: Mapping[SkipReason, int]
    known_listed: int
    """How many of the page's keys the ledger knew, at the destination or not there yet."""
    left_out_stamp: float
    """The newest stamp among objects left out because they are older than the job's start; 0.0 for none."""
    new: Sequence[LogObject]
    """Objects that the ledger had no row of."""


class Window(NamedTuple):
    """A span of UTC days, both inclusive, as `YYYY-MM-DD`; None is open."""

    first: str | None = None
    last: str | None = None


class Mode(StrEnum):
    """How bytes get from source to destination."""

    STREAM = "stream"
    SERVER_SIDE = "server-side"


class FoundBy(StrEnum):
    """Which listing is sure to find whatever key comes next in a shard; the horizon waits for that one."""

    TAIL = "tail"
    """Keys begin with their stamp in the order of time."""
    RECENT = "recent"
    """There are names that sort before the stamps of their day: only whole days find them."""
    DEEP = "deep"
    """There are keys without a stamp of their own, which may land in any day folder."""
    WHOLE = "whole"
    """There are keys outside the layout's grammar: only a listing of the whole shard finds them."""


class Branch(NamedTuple):
    """A folder of a shard that is listed whole, below which days are told in some form: where new keys are likely."""

    prefix: str
    """Relative to the shard's prefix; empty, or ending in a slash."""
    date_format: str
    """How the days below it are written, for `strftime`; `%-m` and `%-d` if without leading zeros."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardState:
    """What the ledger remembers of one shard between ticks; times are seconds since the epoch, 0.0 for never."""

    shard: Shard
    frontier: float = 0.0
    """The newest stamp of a listing that came to its end."""
    listed_at: float = 0.0
    """When the last listing that came to the end of the shard began."""
    recent_at: float = 0.0
    """When the last listing of the recent tier began."""
    deep_key: str = ""
    """The key after which the deep tier's round goes on; empty where none is under way."""
    deep_at: float = 0.0
    """When the deep tier's last round, which may be under way, began or should have."""
    complete_from: float = 0.0
    complete_until: float = 0.0
    newest_arrival: float = 0.0
    """The newest LastModified seen in it."""
    deep_done_at: float = 0.0
    """When the last round of the deep tier that came to its end began; of a shard that is listed whole, that listing."""
    layout: str = ""
    """The `Layout.name` that the cursors were made for."""
    found_by: FoundBy = FoundBy.TAIL
    branches: tuple[Branch, ...] = ()
    """Where a shard that is listed whole is looked at in between."""
    audit_key: str = ""
    """The key after which the audit of remembered keys goes on; empty if no round is under way."""
    audit_at: float = 0.0
    """When the audit's last round over remembered keys, which may be under way, began."""
    audited_at: float = 0.0
    """When the last such round that came to its end began."""
    sealed_audit_day: str = ""
    """The day after which the audit of sealed days goes on; empty if no round is under way."""
    sealed_audit_at: float = 0.0
    sealed_audited_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One flow of objects from a source prefix to a destination prefix: what rows of the ledger belong to."""

    source_bucket: str
    source_prefix: str
    destination_endpoint: str
    destination_bucket: str
    destination_prefix: str

    def __str__(self) -> str:
        """From where to where."""
        endpoint = f" at {self.destination_endpoint}" if self.destination_endpoint else ""
        source = f"s3://{self.source_bucket}/{self.source_prefix}"
        return f"{source} to s3://{self.destination_bucket}/{self.destination_prefix}{endpoint}"
