"""The plan of a page: a pure decision for each listed object.

listed                                    ledger and destination        decision
----------------------------------------  ----------------------------  --------------------------------------
any                                       accepted, same ETag and class skip: accepted
any                                       copied, same ETag             skip: already_copied
any                                       copied, same ETag; the        copy again, counted as restored
                                          replica is not listed
any                                       copied, same ETag; a replica  compare with the replica
                                          of another size or ETag
any                                       copied, another ETag          compare with the replica
any                                       being copied or tried         skip: in_progress
                                          in this tick
any                                       conflict, same ETag           skip: conflict_known
any                                       failed, same ETag             skip: backing_off (it is tried again
                                                                        after everything that is new)
LastModified before the start of the job  unknown                       skip: before_start
any                                       unknown; a replica that       adopt it
                                          something vouches for
any                                       unknown; another replica      compare with the replica
archived storage class                    unknown                       skip: archived
any                                       unknown                       copy

Equal size proves nothing. A replica is vouched for by the same MD5-shaped ETag in both listings, or by a CloudTrail name
(its 16 random characters are never reused) with equal size, if this replica was filled from here before and the source
has not been written since.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from syncd.model.objects import Known, LogObject, Page, Quarantined, SkipReason, Transfer, is_same_etag

ARCHIVED_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_MD5 = re.compile(r"[0-9a-f]{32}")
_LOG_NAME = re.compile(r"[0-9]{12}_CloudTrail(?:-[A-Za-z]+)?_[a-z0-9-]+_[0-9]{8}T[0-9]{4}Z_[A-Za-z0-9]{16}\.json\.gz")


class Plan(NamedTuple):
    """The decisions about one page."""

    transfers: Sequence[Transfer]
    adopted: Sequence[tuple[LogObject, str]]
    """Objects whose replica is listed and proven to be theirs, each with the replica's ETag."""
    archived: Sequence[Transfer]
    """Objects that cannot be read until their owner restores them, and are not in quarantine yet."""
    deferred: Sequence[Transfer]
    """Objects that failed before, retried once everything new has been copied."""
    restored: Sequence[str]
    """Keys among the transfers that were at the destination before and have vanished."""
    skipped: Mapping[SkipReason, int]
    known_listed: int
    """The number of the page's keys that the ledger knew, copied or not."""
    left_out_stamp: float
    """The newest stamp of objects left out as older than the job's start; 0.0 for none."""
    new: Sequence[LogObject]
    """Objects without a row in the ledger."""


class Rules(NamedTuple):
    """The rules for every page of a tick."""

    destination_prefix: str
    start: float
    """Objects whose LastModified is earlier are left out; 0.0 to leave none out."""
    stamp: Callable[[LogObject], float]
    """Return the stamp of an object of the page."""
    accepted: Mapping[str, tuple[str, str]] = {}
    """ETag and storage class of the objects that an operator has accepted as they are, by key."""
    ran_here: bool = True
    """This replica was filled from here before, so a log's name and size vouch for it."""
    is_wanted: Callable[[LogObject], bool] = lambda _: True
    """Return True for an object in a catch-up's window, if the listing reaches beyond it."""


def make_plan(
    page: Page,
    *,
    known: Mapping[str, Known],
    held: Mapping[str, Quarantined],
    in_progress: Collection[str],
    rules: Rules,
    replicas: Mapping[str, LogObject] | None = None,
) -> Plan:
    """Decide about each object of a page.

    Args:
        page: the listed page.
        known: the ledger's rows of the page's keys.
        held: the job's quarantined objects, by key.
        in_progress: keys that this tick is copying, or has tried.
        rules: the rules of the tick.
        replicas: the replicas of the page's keys, by the source's key; None if the destination was not listed.
    """
    made, there = _Made(), 0
    for item in page.objects:
        remembered = known.get(item.key)
        if replicas is None and remembered is not None and remembered.etag == item.etag:
            there += 1
            continue
        _decide(made, page, item, remembered, held.get(item.key), in_progress, rules, replicas)
    if there:
        made.skipped[SkipReason.ALREADY_COPIED] += there
    listed_before = sum(item.key in known or item.key in held for item in page.objects) if held else len(known)
    return Plan(
        transfers=made.transfers,
        adopted=made.adopted,
        archived=made.archived,
        deferred=made.deferred,
        restored=made.restored,
        skipped=made.skipped,
        known_listed=listed_before,
        left_out_stamp=made.left_out_stamp,
        new=made.new,
    )


@dataclass(slots=True)
class _Made:
    """A plan in the making."""

    transfers: list[Transfer] = field(default_factory=list)
    adopted: list[tuple[LogObject, str]] = field(default_factory=list)
    archived: list[Transfer] = field(default_factory=list)
    deferred: list[Transfer] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    skipped: Counter[SkipReason] = field(default_factory=Counter)
    left_out_stamp: float = 0.0
    new: list[LogObject] = field(default_factory=list)


def _decide(
    made: _Made,
    page: Page,
    item: LogObject,
    remembered: Known | None,
    held: Quarantined | None,
    in_progress: Collection[str],
    rules: Rules,
    replicas: Mapping[str, LogObject] | None,
) -> None:
    # What failed before may have left a replica of what it was then.
    transfer = Transfer(page.range.shard, item, rules.destination_prefix + item.key, is_changed=held is not None)
    if remembered is None:
        made.new.append(item)
    skipped = _skipped(item, remembered, held, in_progress, rules)
    if skipped is SkipReason.BACKING_OFF:
        made.deferred.append(transfer._replace(compare_first=remembered is not None))
    if skipped is not None:
        made.skipped[skipped] += 1
        if skipped is SkipReason.BEFORE_START:
            made.left_out_stamp = max(made.left_out_stamp, rules.stamp(item))
        return
    replica = replicas.get(item.key) if replicas is not None else None
    if remembered is not None:
        _known(made, transfer, remembered, replica, is_listed=replicas is not None, ran_here=rules.ran_here)
    else:
        is_in_conflict = held is not None and held.is_conflict
        vouched = replica is not None and not is_in_conflict and vouches(item, replica, ran_here=rules.ran_here)
        _unknown(made, transfer, replica, held, is_vouched=vouched)


def _known(
    made: _Made, transfer: Transfer, remembered: Known, replica: LogObject | None, *, is_listed: bool, ran_here: bool
) -> None:
    """Decide about an object that the ledger has a row of."""
    item = transfer.object
    if remembered.etag is None and replica is not None and vouches(item, replica, ran_here=ran_here):
        made.adopted.append((item, replica.etag))
    elif remembered.etag != item.etag:
        is_changed = transfer.is_changed or remembered.etag is not None
        made.transfers.append(transfer._replace(compare_first=True, is_changed=is_changed))
    elif is_listed and replica is None:
        made.restored.append(item.key)
        made.transfers.append(transfer)
    elif replica is not None and is_another(remembered, replica):
        made.transfers.append(transfer._replace(compare_first=True, is_changed=True))
    else:
        made.skipped[SkipReason.ALREADY_COPIED] += 1


def _unknown(
    made: _Made, transfer: Transfer, replica: LogObject | None, held: Quarantined | None, *, is_vouched: bool
) -> None:
    """Decide about an object that the ledger has no row of."""
    item = transfer.object
    if replica is not None and is_vouched:
        made.adopted.append((item, replica.etag))
    elif replica is not None:
        made.transfers.append(transfer._replace(compare_first=True))
    elif item.storage_class in ARCHIVED_CLASSES:
        made.skipped[SkipReason.ARCHIVED] += 1
        if held is None or held.object.etag != item.etag:
            made.archived.append(transfer)
    else:
        made.transfers.append(transfer)


def _skipped(
    item: LogObject,
    remembered: Known | None,
    held: Quarantined | None,
    in_progress: Collection[str],
    rules: Rules,
) -> SkipReason | None:
    """Return the reason to skip an object, whatever the destination lists. Returns None if there is none."""
    if rules.accepted and rules.accepted.get(item.key) == (item.etag, item.storage_class):
        return SkipReason.ACCEPTED
    if not rules.is_wanted(item):
        return SkipReason.OUTSIDE_WINDOW
    if item.key in in_progress:
        return SkipReason.IN_PROGRESS
    if held is not None and held.object.etag == item.etag:
        if held.is_conflict:
            return SkipReason.CONFLICT_KNOWN
        if not held.is_settled:
            return SkipReason.BACKING_OFF
    if remembered is None and held is None and item.last_modified < rules.start:
        return SkipReason.BEFORE_START
    return None


def is_another(remembered: Known, replica: LogObject) -> bool:
    """Return True if the listed replica differs from the one that the ledger remembers."""
    if remembered.size_bytes != replica.size_bytes:
        return True
    # Some servers leave ETags out, in listings or in the answers to writes.
    known = remembered.replica_etag
    return bool(known and replica.etag) and not is_same_etag(known, replica.etag)


def vouches(item: LogObject, replica: LogObject, *, ran_here: bool) -> bool:
    """Return True if both listings prove that the replica was made from this object."""
    if item.size_bytes != replica.size_bytes:
        return False
    if is_same_etag(item.etag, replica.etag) and _MD5.fullmatch(item.etag.lower()):
        return True
    # A source written in the second of the copy, or later, may differ from what was copied.
    is_untouched = item.last_modified < replica.last_modified
    return ran_here and is_untouched and _LOG_NAME.fullmatch(item.key.rpartition("/")[2]) is not None
