"""The recorder of one tick: it counts outcomes and records them in the ledger."""

from collections import Counter
from collections.abc import Callable, Sequence
from math import inf

from syncd.model import reasons
from syncd.model.errors import JobFailed
from syncd.model.objects import AlreadyThere, Conflict, Copied, Failed, LogObject, Outcome, Shard, SkipReason, Transfer
from syncd.model.reasons import Reason
from syncd.model.reports import Counts, FailedObject, lag_bucket
from syncd.tick.listing.plan import Plan
from syncd.tick.listing.reach import Reach
from syncd.tick.ports import Objects

# At most 256 objects are in flight and unrecorded together, whatever the engine holds (192 at most).
RECORD_EVERY_OBJECTS = 64
RECORD_EVERY_SECONDS = 1.0
# After this many refusals in a row the job fails, not just the objects.
REFUSED_IN_A_ROW = 100
# The same where credentials have ended and there are no others: a server may say so of single requests.
EXPIRED_IN_A_ROW = 8
LISTED_IN_REPORT = 100
MOST_HELD = 100_000
"""The most quarantined objects of one job: each takes memory in every tick."""
LATENESS_BOUNDS = (60, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 604800, 2678400)


def lateness_bound(seconds: float) -> int:
    """Return the upper bound of the bucket in the lateness histogram. Returns 0 beyond the last."""
    return next((bound for bound in LATENESS_BOUNDS if seconds <= bound), 0)


def too_many_held(objects: int) -> JobFailed:
    """Return the failure of a job with this many quarantined objects."""
    detail = f"{objects:,} objects are known and not at the destination, and a job may have {MOST_HELD:,}"
    return JobFailed(Reason.TOO_MANY_HELD, detail, reasons.remedy_of(Reason.TOO_MANY_HELD))


class Recorder:
    """The counts of one tick, and its outcomes until they are recorded."""

    def __init__(
        self,
        ledger: Objects,
        *,
        now: Callable[[], float],
        stamp: Callable[[Shard, LogObject], float],
        objective: float = inf,
    ) -> None:
        """Make a recorder. `objective` is the seconds a live object may take from LastModified to its copy."""
        self._ledger = ledger
        self._now = now
        self._stamp = stamp
        self._objective = objective
        self._outcomes: list[Outcome] = []
        self._adopted: list[tuple[Shard, LogObject, str]] = []
        self._lateness: Counter[int] = Counter()
        self._recorded_at = now()
        self._refused_in_a_row: list[Failed] = []
        self._expired_in_a_row: list[Failed] = []
        self._denied_in_a_row: list[Failed] = []
        self._denied_before: list[Failed] = []
        self._of_the_job: Failed | None = None
        self.held = 0
        """The number of quarantined objects, including those of earlier ticks."""
        self.in_progress: set[str] = set()
        """Keys that are being copied, are not yet recorded, or failed in this tick."""
        self.counts = Counts()
        self.known_listed = 0
        self.reach = Reach()
        self.wanted = 0
        """Objects to copy that were found, handed over or not."""
        self.planned = 0
        self.ended = 0
        self.retries_ended = 0
        self.retries_failed = 0
        self.conflicts: list[tuple[str, str]] = []
        self.failed: list[FailedObject] = []
        self.archived: list[FailedObject] = []
        self.worst_lag_seconds = 0.0
        self.worst_lateness_seconds = 0.0

    @property
    def in_flight(self) -> int:
        """Objects that were handed to the copier and have not ended."""
        return self.planned - self.ended

    def _require_few_held(self) -> None:
        if self.held > MOST_HELD:
            raise too_many_held(self.held)

    def take_plan(self, plan: Plan, shard: Shard, listed: int) -> None:
        """Count a page, and note the replicas that it adopts.

        Raises:
            JobFailed: the quarantine is full.
        """
        self.counts.listed += listed
        self.counts.already_there += len(plan.adopted)
        self.counts.restored += len(plan.restored)
        for skipped, objects in plan.skipped.items():
            self.skip(skipped, objects)
        self.known_listed += plan.known_listed
        self.wanted += len(plan.transfers)
        self._adopted += [(shard, item, replica_etag) for item, replica_etag in plan.adopted]
        self._take_archived(plan.archived)
        self._require_few_held()

    def _take_archived(self, archived: Sequence[Transfer]) -> None:
        """Note objects to quarantine. They hold the horizon, but are no failures of this tick."""
        for transfer in archived:
            detail = f"its storage class is {transfer.object.storage_class}"
            self._outcomes.append(Failed(transfer, Reason.ARCHIVED, detail))
            if len(self.archived) < LISTED_IN_REPORT:
                self.archived.append(FailedObject(key=transfer.object.key, reason=Reason.ARCHIVED, detail=detail))
        self.held += len(archived)

    def adopt(self, shard: Shard, item: LogObject, replica_etag: str) -> None:
        """Note an object that the destination already has, with the ETag of its replica."""
        self._adopted.append((shard, item, replica_etag))

    def note(self, failed: Failed) -> None:
        """Note a failure without a transfer in this tick."""
        self._take_failure(failed.transfer.object, failed, failed.reason, failed.detail, is_new=False)
        self._outcomes.append(failed)

    def note_lateness(self, seconds: float) -> None:
        """Count an object that arrived after the horizon had passed it."""
        self.counts.late_beyond_allowance += 1
        self.worst_lateness_seconds = max(self.worst_lateness_seconds, seconds)

    def skip(self, reason: SkipReason, objects: int = 1) -> None:
        """Count objects that are left alone in this tick."""
        _count(self.counts.skipped, reason, objects)

    def skip_sealed(self, objects: int) -> None:
        """Count objects of sealed days that were listed and found unchanged."""
        self.counts.listed += objects
        if objects:
            self.skip(SkipReason.SEALED, objects)

    @property
    def is_denied(self) -> bool:
        """True after so many denials in a row that another is likely."""
        return len(self._denied_in_a_row) >= REFUSED_IN_A_ROW

    def begin_anew(self) -> None:
        """Reset the denials in a row, so that the newest objects are tried too."""
        self._denied_before = self._denied_before or self._denied_in_a_row[:1]
        self._denied_in_a_row.clear()

    def require_readable(self) -> None:
        """Raise JobFailed if none was copied, and too many in a row were denied or the credentials rejected."""
        of_the_job = self._of_the_job
        is_rejected = of_the_job is not None and of_the_job.reason == Reason.INVALID_CREDENTIALS
        rejected = of_the_job if is_rejected else next(iter(self._expired_in_a_row), None)
        if rejected is not None and not self.counts.copied:
            raise self._of_all(rejected)
        if self._denied_before and self._denied_in_a_row and not self.counts.copied:
            raise self._refusal(self._denied_before[0])

    def _refusal(self, first: Failed) -> JobFailed:
        detail = f"{REFUSED_IN_A_ROW} objects in a row, of which the first: {first.detail}"
        return JobFailed(first.reason, detail, reasons.remedy_of(first.reason, detail=detail))

    def _of_all(self, first: Failed) -> JobFailed:
        return JobFailed(first.reason, first.detail, reasons.remedy_of(first.reason, detail=first.detail))

    def begin(self, transfer: Transfer) -> None:
        """Note that a transfer is handed to the copier.

        Raises:
            JobFailed: the whole job was refused, the destination refused too many in a row, or the quarantine is full.
        """
        self._require_few_held()
        if self._of_the_job is not None:
            raise self._of_all(self._of_the_job)
        if len(self._expired_in_a_row) >= EXPIRED_IN_A_ROW:
            raise self._of_all(self._expired_in_a_row[0])
        if len(self._refused_in_a_row) >= REFUSED_IN_A_ROW:
            raise self._refusal(self._refused_in_a_row[0])
        self.in_progress.add(transfer.object.key)
        self.planned += 1

    def take(self, outcome: Outcome, *, is_live: bool, counts_lag: bool = False, is_new: bool = True) -> bool:
        """Note the end of one transfer. Returns True if that led to a commit.

        `is_live` counts its lateness, which a catch-up would distort. `counts_lag` counts the time to its copy, which
        means nothing for objects older than the job. Only `is_new` objects, not retries, count towards failing the job.
        """
        item = outcome.transfer.object
        self.ended += 1
        self.retries_ended += not is_new
        self.retries_failed += not is_new and isinstance(outcome, Failed | Conflict)
        match outcome:
            case Copied():
                self.counts.copied += 1
                self.counts.copied_bytes += item.size_bytes
                self._no_refusal()
                if is_live:
                    late = item.last_modified - self._stamp(outcome.transfer.shard, item)
                    self._lateness[lateness_bound(late)] += 1
                if counts_lag:
                    self._take_lag(max(0.0, self._now() - item.last_modified))
            case AlreadyThere():
                self.counts.already_there += 1
                self._no_refusal()
            case Conflict(_, detail):
                self.held += is_new
                self.counts.conflict_count += 1
                if len(self.conflicts) < LISTED_IN_REPORT:
                    self.conflicts.append((item.key, detail))
            case Failed(_, reason, detail):
                self.held += is_new
                self._take_failure(item, outcome, reason, detail, is_new=is_new)
        self._outcomes.append(outcome)
        return self.record_if_due()

    def _no_refusal(self) -> None:
        self._refused_in_a_row.clear()
        self._expired_in_a_row.clear()
        self._denied_in_a_row.clear()

    def _take_lag(self, seconds: float) -> None:
        _count(self.counts.lags, lag_bucket(seconds))
        self.counts.lag_seconds += seconds
        self.counts.copied_late += seconds > self._objective
        self.worst_lag_seconds = max(self.worst_lag_seconds, seconds)

    def _take_failure(self, item: LogObject, outcome: Failed, reason: str, detail: str, *, is_new: bool) -> None:
        self.counts.failed_count += 1
        _count(self.counts.failed_by_reason, reason)
        if len(self.failed) < LISTED_IN_REPORT:
            self.failed.append(FailedObject(key=item.key, reason=reason, detail=detail))
        if reason == Reason.CREDENTIALS:
            self._expired_in_a_row.append(outcome)
        if reason in reasons.OF_EVERY_REQUEST:
            self._of_the_job = self._of_the_job or outcome
        # If others could be copied, only these objects may be denied.
        if is_new and reason in (Reason.ACCESS_DENIED, *reasons.OF_A_KEY) and not self.counts.copied:
            self._denied_in_a_row.append(outcome)
        if is_new and reason in reasons.OF_THE_STORE:
            self._refused_in_a_row.append(outcome)

    def record_if_due(self) -> bool:
        """Record the pending outcomes if enough of them or enough time has passed. Returns True if it did."""
        waiting = len(self._outcomes) + len(self._adopted) // 16
        if waiting < RECORD_EVERY_OBJECTS and not (waiting and self._now() - self._recorded_at >= RECORD_EVERY_SECONDS):
            return False
        self.flush()
        return True

    def flush(self) -> None:
        """Record all pending outcomes in one commit."""
        now = self._now()
        if self._outcomes or self._adopted:
            self._ledger.record(self._outcomes, self._adopted, now=now, lateness=self._lateness)
        self._lateness = Counter()
        self._begin_gathering(now)

    def unseal(self, shard: Shard, day: str, transfers: Sequence[Transfer]) -> None:
        """Replace a sealed day by its quarantined transfers, with all pending outcomes, in one commit.

        The row vouched for some of these objects, so they are remembered until they are known to be there.
        """
        now = self._now()
        detail = f"{day} was sealed, and this object of it was not found at the destination as it should be"
        held = [Failed(transfer, Reason.RETRY_REQUESTED, detail) for transfer in transfers]
        outcomes = [*self._outcomes, *held]
        self._ledger.unseal(shard, [day], outcomes=outcomes, adopted=self._adopted, now=now)
        self._begin_gathering(now)

    def _begin_gathering(self, now: float) -> None:
        for outcome in self._outcomes:
            if isinstance(outcome, Copied | AlreadyThere):
                self.in_progress.discard(outcome.transfer.object.key)
        self._outcomes, self._adopted = [], []
        self._recorded_at = now


def _count(counts: dict[str, int], word: str, times: int = 1) -> None:
    counts[word] = counts.get(word, 0) + times
