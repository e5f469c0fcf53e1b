"""The rolling audit of the destination, which verifies that replicas are still there.

Remembered keys are compared with the destination's listing once in `[listing] audit`, sealed days once in
`audit_sealed`, by count, bytes and hash. A replica that vanished, or differs from the one written, is copied or compared
again, and logged. Each tick does a bounded number of listings, the stalest shard first.
"""

from bisect import bisect_right
from collections.abc import Callable, Generator, Iterator, Mapping
from math import ceil

from syncd.model import events
from syncd.model.keys.stamps import day_start
from syncd.model.objects import Failed, Known, LogObject, Range, Shard, ShardState, Transfer
from syncd.model.reasons import Reason
from syncd.model.sealed import SealedDay
from syncd.tick.listing.plan import is_another
from syncd.tick.listing.sealing import day_ranges, is_same_there
from syncd.tick.listing.survey import Survey, Visit
from syncd.tick.ports import Ports
from syncd.tick.recorder import Recorder
from syncd.tick.side_by_side import replicas_in
from syncd.tick.task import LISTED_AT_ONCE, Task

LISTS_A_TICK = 64
"""Listings of the destination in one tick, of 1,000 keys each, for both parts of the audit."""
_USUAL_PERIOD_SECONDS = 300.0
KEYS_LOGGED = 20

PlanDay = Callable[[Shard, str], Generator[Transfer | None, None, int]]
HandOver = Callable[[Transfer], Transfer]


class Audit:
    """The audit within one tick."""

    def __init__(
        self,
        task: Task,
        ports: Ports,
        survey: Survey,
        recorder: Recorder,
        accepted: Mapping[str, tuple[str, str]],
        *,
        began_at: float,
    ) -> None:
        self._task = task
        self._ports = ports
        self._visits = survey.visits
        self._recorder = recorder
        self._accepted = accepted
        self._began_at = began_at
        # A job that ticks once a day has a day's listings to do.
        last = max((visit.state.listed_at for visit in survey.visits.values()), default=began_at)
        self._lists_left = ceil(LISTS_A_TICK * max(1.0, (began_at - last) / _USUAL_PERIOD_SECONDS))
        self._logged = 0

    def transfers(self, plan_day: PlanDay, hand_over: HandOver) -> Iterator[Transfer | None]:
        """Yield the transfers to copy or compare again, or None while there is nothing yet.

        `plan_day` plans a sealed day key by key. It returns how many of its objects either side has.
        """
        if self._task.window is not None:
            return
        pace, now = self._task.pace, self._began_at
        listed = [visit for visit in self._visits.values() if visit.state.listed_at]
        for visit in sorted(listed, key=lambda item: item.state.audited_at):
            is_due = visit.state.audit_key or now - visit.state.audited_at >= pace.audit_every
            if pace.audit_every and is_due and self._lists_left > 0 and not self._ports.destination.is_denied:
                yield from self._remembered(visit, hand_over)
        for visit in sorted(listed, key=lambda item: item.state.sealed_audited_at):
            is_due = visit.state.sealed_audit_day or now - visit.state.sealed_audited_at >= pace.audit_sealed_every
            if pace.audit_sealed_every and is_due and self._lists_left > 0 and not self._ports.destination.is_denied:
                yield from self._sealed(visit, plan_day)

    def _remembered(self, visit: Visit, hand_over: HandOver) -> Iterator[Transfer | None]:
        state = visit.state
        began = state.audit_at if state.audit_key else self._began_at
        key = state.audit_key
        days = sorted(self._ports.ledger.sealed(state.shard, "0000-00-00", "9999-99-99"))
        sealed = [self._task.layout.day_end(state.shard, day) for day in days]
        while self._lists_left > 0:
            # Read rows before listing: whatever was recorded by then must be listed.
            rows = self._ports.ledger.remembered(state.shard, key, limit=LISTED_AT_ONCE)
            if rows:
                for some in _between_sealed(rows, sealed):
                    wanted = Range(state.shard, max(key, some[0][0][:-1]), some[-1][0])
                    self._lists_left -= 1 + len(some) // LISTED_AT_ONCE
                    replicas = yield from replicas_in(wanted, self._ports.destination, self._task.destination_prefix)
                    if replicas is None:
                        return
                    for item in self._differing(state, some, replicas):
                        yield hand_over(item)
                key = rows[-1][0]
            if len(rows) < LISTED_AT_ONCE:
                self._move(visit, audit_key="", audit_at=began, audited_at=began)
                return
            self._move(visit, audit_key=key, audit_at=began)

    def _differing(
        self, state: ShardState, rows: list[tuple[str, Known]], replicas: Mapping[str, LogObject]
    ) -> Iterator[Transfer]:
        shard, prefix = state.shard, self._task.destination_prefix
        for key, known in rows:
            replica = replicas.get(key)
            if key in self._accepted or key in self._recorder.in_progress:
                continue
            if replica is not None and not is_another(known, replica):
                if not known.replica_etag and known.etag is not None:
                    self._recorder.adopt(shard, LogObject(key, known.etag, known.size_bytes, 0.0), replica.etag)
                continue
            item = LogObject(key, known.etag or "", known.size_bytes, self._stamp(state, key))
            is_there = replica is not None
            self._recorder.counts.restored += not is_there
            self._log(key, "other content" if is_there else "vanished")
            yield Transfer(shard, item, prefix + key, compare_first=is_there, is_changed=is_there)

    def _stamp(self, state: ShardState, key: str) -> float:
        """Return a LastModified, safe for the horizon, for an object known by its row alone."""
        day = self._task.layout.day(state.shard, key)
        return day_start(day) if day else state.complete_from

    def _sealed(self, visit: Visit, plan_day: PlanDay) -> Iterator[Transfer | None]:
        state = visit.state
        began = state.sealed_audit_at if state.sealed_audit_day else self._began_at
        waiting = sorted(self._ports.ledger.sealed(state.shard, "0000-00-00", "9999-99-99").items())
        waiting = [(day, was) for day, was in waiting if day > state.sealed_audit_day]
        while waiting and self._lists_left > 0:
            batch = _batch(waiting)
            del waiting[: len(batch)]
            found: dict[str, dict[str, LogObject]] = {day: {} for day in batch}
            for wanted in day_ranges(state.shard, list(batch), self._task.layout):
                replicas = yield from replicas_in(wanted, self._ports.destination, self._task.destination_prefix)
                if replicas is None:
                    return
                self._lists_left -= 1 + len(replicas) // LISTED_AT_ONCE
                for key, item in replicas.items():
                    found.setdefault(self._task.layout.day(state.shard, key), {})[key] = item
            for day, was in batch.items():
                if not self._is_same_there(state.shard, was, found[day]):
                    yield from self._reopened(state.shard, day, was, found[day], plan_day)
            self._move(visit, sealed_audit_day=max(batch), sealed_audit_at=began)
        if not waiting:
            self._move(visit, sealed_audit_day="", sealed_audit_at=began, sealed_audited_at=began)

    def _is_same_there(self, shard: Shard, was: SealedDay, found: Mapping[str, LogObject]) -> bool:
        """Compare a sealed day with its replicas, ignoring those remembered by rows of their own."""
        if is_same_there(was, found):
            return True
        beside = self._ports.ledger.known(shard, list(found))
        return bool(beside) and is_same_there(was, {key: item for key, item in found.items() if key not in beside})

    def _reopened(
        self, shard: Shard, day: str, was: SealedDay, found: Mapping[str, LogObject], plan_day: PlanDay
    ) -> Iterator[Transfer | None]:
        self._log(f"{shard.prefix}{day}", f"{was.count} objects were sealed, {len(found)} are there or are others")
        self._lists_left -= 2 * (1 + was.count // LISTED_AT_ONCE)
        known = yield from plan_day(shard, day)
        if known < was.count:
            lost = was.count - known
            key = f"{shard.prefix}{day.replace('-', '/')}/"
            if key in self._accepted:
                return
            transfer = Transfer(shard, LogObject(key, "", 0, day_start(day)), self._task.destination_prefix + key)
            detail = (
                f"{lost} of the {was.count} objects of {day} are neither at the destination nor at the source any more"
            )
            self._ports.tell(events.REPLICA_LOST, shard=shard.prefix, day=day, lost=lost)
            self._recorder.note(Failed(transfer, Reason.REPLICA_LOST, detail))

    def _log(self, key: str, what: str) -> None:
        if self._logged < KEYS_LOGGED:
            self._ports.tell(events.REPLICA_RESTORED, key=key, found=what)
        self._logged += 1

    def _move(self, visit: Visit, **audit: float | str) -> None:
        visit.state = visit.state._replace(**audit)  # type: ignore[arg-type]
        visit.is_audited = True


def _between_sealed(rows: list[tuple[str, Known]], sealed: list[str]) -> Iterator[list[tuple[str, Known]]]:
    """Yield the rows in groups that have no sealed day between them.

    `sealed` are the ends of the sealed days, in order.
    """
    begin = 0
    for number in range(1, len(rows)):
        at = bisect_right(sealed, rows[number - 1][0])
        if at < len(sealed) and sealed[at] < rows[number][0]:
            yield rows[begin:number]
            begin = number
    yield rows[begin:]


def _batch(waiting: list[tuple[str, SealedDay]]) -> dict[str, SealedDay]:
    """Return the first days, as many as one listing can cover."""
    batch: dict[str, SealedDay] = {}
    total = 0
    for day, was in waiting:
        if batch and total + was.count > LISTED_AT_ONCE:
            break
        batch[day] = was
        total += was.count
    return batch
