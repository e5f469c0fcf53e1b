"""What to do about a page: a pure decision from what was listed and what the ledger knows.

listed                                    ledger                        decision
----------------------------------------  ----------------------------  --------------------------------------
any                                       copied, same ETag             skip: already_copied
any                                       copied, ETag unknown, same    adopt the ETag (the replica was found
                                          size                          by listing the destination)
any                                       copied, another ETag or size  compare with the replica
any                                       being copied or tried         skip: in_progress
                                          in this tick
any                                       conflict, same ETag           skip: conflict_known
any                                       failed, its time not come     skip: backing_off
LastModified before the start of the job  unknown                       skip: before_start
archived storage class                    unknown                       skip: archived
any                                       unknown                       copy
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from syncd.model import Known, LogObject, Page, Plan, Quarantined, SkipReason, Transfer

ARCHIVED_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What holds for every page of a tick."""

    destination_prefix: str
    start: float
    """Objects whose LastModified is earlier are left out; 0.0 to leave none out."""
    backs_off_at: float | None
    """The time of this tick where failed objects wait for theirs; None where somebody asked for everything now."""
    stamp: Callable[[LogObject], float]
    is_parsed: Callable[[str], bool]
    doubtful: Mapping[str, str] = field(default_factory=dict)
    """ETags of replicas that somebody else may have written: where one differs from the source's, they are compared."""


def make_plan(
    page: Page,
    *,
    known: Mapping[str, Known],
    held: Mapping[str, Quarantined],
    in_progress: Collection[str],
    rules: Rules,
) -> Plan:
    """Decide about each object of a page.

    Args:
        page: what was listed.
        known: what the ledger remembers of the page's keys.
        held: objects of this job that are known and not at the destination, by key.
        in_progress: keys that this tick is copying, or has tried.
        rules: what holds for the whole tick.
    """
    transfers: list[Transfer] = []
    adopted: list[LogObject] = []
    archived: list[Transfer] = []
    skipped: Counter[SkipReason] = Counter()
    left_out_stamp = 0.0
    for item in page.objects:
        remembered = known.get(item.key)
        if remembered is not None and remembered.etag == item.etag:
            skipped[SkipReason.ALREADY_COPIED] += 1
            continue
        decision = _decide(item, remembered, held.get(item.key), in_progress, rules)
        transfer = Transfer(page.range.shard, item, rules.destination_prefix + item.key, remembered is not None)
        if decision is None:
            transfers.append(transfer)
            continue
        skipped[decision] += 1
        if decision is SkipReason.ALREADY_COPIED:
            adopted.append(item)
        elif decision is SkipReason.BEFORE_START:
            left_out_stamp = max(left_out_stamp, rules.stamp(item))
        elif decision is SkipReason.ARCHIVED and item.key not in held:
            archived.append(transfer)
    unparsed = sum(not rules.is_parsed(transfer.object.key) for transfer in transfers)
    listed_before = sum(item.key in known or item.key in held for item in page.objects) if held else len(known)
    return Plan(transfers, adopted, archived, skipped, listed_before, unparsed, left_out_stamp)


def _decide(
    item: LogObject,
    remembered: Known | None,
    held: Quarantined | None,
    in_progress: Collection[str],
    rules: Rules,
) -> SkipReason | None:
    """Why an object is not copied now; None to copy it."""
    if item.key in in_progress:
        return SkipReason.IN_PROGRESS
    if held is not None and held.object.etag == item.etag:
        if held.is_conflict:
            return SkipReason.CONFLICT_KNOWN
        if rules.backs_off_at is not None and held.next_at > rules.backs_off_at:
            return SkipReason.BACKING_OFF
    if remembered is not None:
        is_told_by_destination = remembered.etag is None and remembered.size_bytes == item.size_bytes
        is_told_by_destination &= rules.doubtful.get(item.key, item.etag) == item.etag
        is_in_conflict = held is not None and held.is_conflict
        return SkipReason.ALREADY_COPIED if is_told_by_destination and not is_in_conflict else None
    if held is None and item.last_modified < rules.start:
        return SkipReason.BEFORE_START
    if item.storage_class in ARCHIVED_CLASSES:
        return SkipReason.ARCHIVED
    return None
