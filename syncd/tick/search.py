"""What a tick finds to copy: new objects as the listing comes by them, then what the audit misses, then what failed before.

Pages go through three steps: the destination's listing beside them if the ledger does not say what is there, the gate that
keeps sealed days together, and the plan.
"""

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace

from syncd.model import events
from syncd.model.bounds import LONGEST_BACKOFF_SECONDS, Quota
from syncd.model.layout import day_start
from syncd.model.objects import Failed, LogObject, Page, Plan, Quarantined, Range, Shard, SkipReason, Transfer
from syncd.model.reasons import Reason
from syncd.tick.audit import KEYS_TOLD, Audit
from syncd.tick.closing import SEALED_AT_ONCE
from syncd.tick.listing import tiers
from syncd.tick.listing.horizon import Listed
from syncd.tick.listing.plan import Rules, make_plan
from syncd.tick.listing.sealing import Gate, Run, day_ranges, first_unsealed_day, is_same, is_same_there
from syncd.tick.listing.slice_reader import Reading, days_of, unless_altered
from syncd.tick.listing.survey import Survey, Visit, is_in_window
from syncd.tick.listing.tiers import Slice, Tier
from syncd.tick.ports import Ports
from syncd.tick.recorder import REFUSED_IN_A_ROW, Recorder
from syncd.tick.side_by_side import Beside, replicas_in
from syncd.tick.task import Task

RETRIES_A_TICK = 64
"""Objects that failed before and may fail again in one tick, after everything new; while they heal, more are tried."""
SEALED_EVERY_OBJECTS = 20_000
"""A listing that goes through history folds its days away after so many objects."""


class Search:
    """Finds what one tick copies. Make one for each."""

    def __init__(
        self,
        task: Task,
        ports: Ports,
        survey: Survey,
        recorder: Recorder,
        *,
        held: Mapping[str, Quarantined],
        accepted: Mapping[str, tuple[str, str]],
        began_at: float,
        on_progress: Callable[[Recorder], None],
    ) -> None:
        self._task = task
        self._ports = ports
        self._survey = survey
        self._recorder = recorder
        self._held = held
        self._accepted = accepted
        self._began_at = began_at
        self._on_progress = on_progress
        self._deferred: list[Transfer] = []
        self._put_off: deque[Transfer] = deque(maxlen=REFUSED_IN_A_ROW)
        self._sealed_at = 0
        self._quota = Quota(task.max_objects)
        self._dealt_with: set[str] = set()
        """Keys that failed before and that this tick has come by."""
        self.recalled: Counter[str] = Counter()
        """Replicas that shards which the ledger knew nothing of were found to have, by prefix."""

    def transfers(self) -> Iterator[Transfer | None]:
        """Yield everything to copy as the listing finds it, what is new first; None while there is nothing yet."""
        for loose in self._survey.loose:
            rules = self._rules(loose.range.shard)
            self._take_unreadable(loose, rules)
            yield from self._planned(loose, rules, None)
        yield from self._listed()
        yield from self._denied()
        audit = Audit(self._task, self._ports, self._survey, self._recorder, self._accepted, began_at=self._began_at)
        yield from audit.transfers(self._plan_day, self._handed_over)
        yield from self.tried_again()

    def _rules(self, shard: Shard) -> Rules:
        task = self._task
        return Rules(
            destination_prefix=task.destination_prefix,
            start=0.0 if task.window else self._survey.start,
            stamp=lambda item: self._stamp_by_now(shard, item),
            accepted=self._accepted,
            ran_here=self._survey.ran_here,
            is_wanted=self._in_window(shard),
        )

    def _stamp_by_now(self, shard: Shard, item: LogObject) -> float:
        """Return an object's stamp; 0.0 if its time is yet to come, when it will be listed again."""
        stamp = self._task.layout.stamp(shard, item)
        return stamp if stamp <= self._began_at else 0.0

    def _in_window(self, shard: Shard) -> Callable[[LogObject], bool]:
        window, layout = self._task.window, self._task.layout
        visit = self._survey.visits.get(shard.prefix)
        if window is None or visit is None or not tiers.is_listed_whole(visit.state, layout):
            return lambda _: True
        return lambda item: any(is_in_window(day, window) for day in days_of(layout, shard, item))

    def _listed(self) -> Iterator[Transfer | None]:
        """Yield what the slices of all shards bring."""
        slices = {item.range: item for visit in self._survey.visits.values() for item in visit.slices}
        readings: dict[Range, Reading] = {}
        for page in self._ports.source.pages(slices):
            self._recorder.record_if_due()
            self._on_progress(self._recorder)
            if page is None:
                yield None
                continue
            reading = readings.get(page.range)
            if reading is None:
                reading = readings[page.range] = self._reading(slices[page.range])
            yield from self._read(page, reading)

    def _reading(self, listed: Slice) -> Reading:
        task, wanted = self._task, listed.range
        first = task.layout.day(wanted.shard, wanted.start_after) or "0000-00-00"
        sealed = self._ports.ledger.sealed(wanted.shard, first, "9999-99-99")
        beside = Beside(wanted, self._ports.destination, task.destination_prefix) if listed.both_sides else None
        rules = self._rules(wanted.shard)
        return Reading(listed, Gate(task.layout, sealed), sealed, beside, rules, rules)

    def _read(self, page: Page, reading: Reading) -> Iterator[Transfer | None]:
        shard = page.range.shard
        new: list[LogObject] = []
        left_out = 0.0
        self._take_unreadable(page, reading.rules)
        for run in reading.gate.runs(page):
            if run.sealed_day:
                plan = yield from self._sealed_run(run, reading)
            else:
                replicas = None
                if reading.beside is not None and run.page.objects:
                    here = {item.key for item in run.page.objects}
                    replicas = yield from reading.beside.upto(run.page.objects[-1].key, here.__contains__)
                plan = yield from self._planned(run.page, reading.rules, replicas)
            if plan is not None:
                if reading.slice.tier is Tier.FIRST and plan.adopted:
                    self.recalled[shard.prefix] += len(plan.adopted)
                new += plan.new
                left_out = max(left_out, plan.left_out_stamp)
        visit = self._survey.visits[shard.prefix]
        before = visit.listed.get(page.range) or Listed(reading.slice, page.requested_at)
        visit.listed[page.range] = before.after(
            page, layout=self._task.layout, left_out_stamp=left_out, new=new, found_by=visit.state.found_by
        )
        self._seal_behind(visit, page, reading)

    def _sealed_run(self, run: Run, reading: Reading) -> Generator[Transfer | None, None, Plan | None]:
        """Skip a sealed day that is the same on the sides that were listed; plan any other key by key."""
        task, shard, was = self._task, run.page.range.shard, reading.sealed[run.sealed_day]
        replicas = None
        is_opened = run.sealed_day == reading.opened_day
        if is_opened:
            replicas = reading.replicas_left
        elif reading.beside is not None:
            replicas = yield from reading.beside.upto(
                task.layout.day_end(shard, run.sealed_day), lambda key: task.layout.day(shard, key) == run.sealed_day
            )
        is_same_here = is_same(was, run.totals) and run.totals.total == len(run.page.objects)
        if is_same_here and not is_opened and (replicas is None or is_same_there(was, replicas)):
            self._recorder.skip_sealed(run.totals.total)
            return None
        if not is_opened and self._is_partly_listed(run):
            # What is left of the day would be listed later, and known by nothing but its replicas.
            page, replicas = yield from self._listed_day(shard, run.sealed_day)
            rules = unless_altered(reading.rules, was, replicas)
            return (yield from self._unsealed(page, run.sealed_day, rules, replicas))
        if reading.beside is None and not is_opened:
            wanted = day_ranges(shard, [run.sealed_day], task.layout)[0]
            replicas = yield from replicas_in(wanted, self._ports.destination, task.destination_prefix)
        if not is_opened:
            reading.rules_opened = unless_altered(reading.rules, was, replicas)
        if run.is_part:
            last, there = run.page.objects[-1].key, replicas
            reading.opened_day, reading.replicas_left = run.sealed_day, None
            if there is not None:
                replicas = {key: item for key, item in there.items() if key <= last}
                reading.replicas_left = {key: item for key, item in there.items() if key > last}
        return (yield from self._unsealed(run.page, run.sealed_day, reading.rules_opened, replicas))

    def _is_partly_listed(self, run: Run) -> bool:
        layout, wanted = self._task.layout, run.page.range
        begin = layout.position(wanted.shard, day_start(run.sealed_day), whole_day=True)
        end = layout.day_end(wanted.shard, run.sealed_day)
        return wanted.start_after > begin or (run.is_cut and "" < wanted.until < end)

    def _unsealed(
        self, page: Page, day: str, rules: Rules, replicas: Mapping[str, LogObject] | None
    ) -> Generator[Transfer | None, None, Plan]:
        """Remember a sealed day key by key again, and plan it."""
        shard = page.range.shard
        plan = self._plan(page, rules, replicas)
        here = {item.key for item in page.objects}
        for key, replica in (replicas or {}).items():
            if key not in here:
                # The source has expired it since; its replica stays among what is remembered of the day.
                self._recorder.adopt(shard, replica._replace(etag=""), replica.etag)
        self._recorder.unseal(shard, day, plan.transfers)
        yield from self._chosen(plan, shard)
        return plan

    def _plan_day(self, shard: Shard, day: str) -> Generator[Transfer | None, None, int]:
        """List a sealed day on both sides and plan it; for the audit. Returns how many of its objects either side has."""
        page, replicas = yield from self._listed_day(shard, day)
        # The audit asks for a day that is not as it was sealed.
        yield from self._unsealed(page, day, replace(self._rules(shard), ran_here=False), replicas)
        return len({item.key for item in page.objects} | (replicas or {}).keys())

    def _listed_day(
        self, shard: Shard, day: str
    ) -> Generator[Transfer | None, None, tuple[Page, Mapping[str, LogObject] | None]]:
        task = self._task
        wanted = day_ranges(shard, [day], task.layout)[0]
        replicas = yield from replicas_in(wanted, self._ports.destination, task.destination_prefix)
        objects: list[LogObject] = []
        for page in self._ports.source.pages([wanted]):
            if page is None:
                yield None
            else:
                objects += page.objects
        return Page(wanted, objects, is_last=True), replicas

    def _planned(
        self, page: Page, rules: Rules, replicas: Mapping[str, LogObject] | None
    ) -> Generator[Transfer | None, None, Plan]:
        plan = self._plan(page, rules, replicas)
        yield from self._chosen(plan, page.range.shard)
        return plan

    def _plan(self, page: Page, rules: Rules, replicas: Mapping[str, LogObject] | None) -> Plan:
        shard = page.range.shard
        plan = make_plan(
            page,
            known=self._ports.ledger.known(shard, [item.key for item in page.objects]),
            held=self._held,
            in_progress=self._recorder.in_progress,
            rules=rules,
            replicas=replicas,
        )
        self._recorder.take_plan(plan, shard, len(page.objects))
        self._dealt_with.update(item.key for item, _ in plan.adopted if item.key in self._held)
        for key in plan.restored[:KEYS_TOLD]:
            self._ports.tell(events.REPLICA_RESTORED, key=key, restored=len(plan.restored))
        if self._task.window is not None:
            self._deferred += plan.deferred
        return plan

    def _chosen(self, plan: Plan, shard: Shard) -> Iterator[Transfer]:
        """Yield a plan's transfers, as many as this tick may copy."""
        visit = self._survey.visits.get(shard.prefix)
        for transfer in plan.transfers:
            self._note_lateness(transfer, visit)
            if self._recorder.is_denied:
                self._put_it_off(transfer)
            elif not self._quota.take():
                # Left to the next tick, and the horizon waits for it.
                self._recorder.skip(SkipReason.OVER_QUOTA)
                self._leave(visit)
            else:
                yield self._handed_over(transfer)

    def _take_unreadable(self, page: Page, rules: Rules) -> None:
        for item in page.unreadable:
            if item.key not in self._held:
                transfer = Transfer(page.range.shard, item, rules.destination_prefix + item.key)
                self._recorder.begin(transfer)
                detail = (
                    f"s3://{self._ports.source_bucket}/{item.key}: a key whose bytes are not UTF-8 cannot be asked for"
                )
                self._recorder.take(Failed(transfer, Reason.KEY_NOT_UTF8, detail), is_live=False)

    def _leave(self, visit: Visit | None) -> None:
        """Leave an object to the next tick: its shard's horizon waits for it, or all of the job's if it lies above any."""
        if visit is None:
            self._survey.discovered_at = None
        else:
            visit.unresolved += 1

    def _put_it_off(self, transfer: Transfer) -> None:
        """Leave an object to the next tick, unless it is among the newest, which get a chance in this one."""
        if self._put_off.maxlen == len(self._put_off):
            self._leave(self._survey.visits.get(self._put_off[0].shard.prefix))
        self._put_off.append(transfer)

    def _denied(self) -> Iterator[Transfer]:
        """Yield the newest of what was put off: objects that are denied for ever delay no readable one."""
        if not self._put_off:
            return
        self._recorder.begin_anew()
        for transfer in reversed(self._put_off):
            yield self._handed_over(transfer)

    def _seal_behind(self, visit: Visit, page: Page, reading: Reading) -> None:
        """Fold away the days that a listing of history has left behind, so that the state grows with days."""
        task, ended = self._task, self._recorder.ended + self._recorder.counts.already_there
        if not reading.slice.both_sides or ended - self._sealed_at < SEALED_EVERY_OBJECTS or not page.objects:
            return
        shard = page.range.shard
        here = task.layout.day(shard, page.objects[0].key)
        if not here or not task.layout.day_end(shard, here):
            return
        self._sealed_at = ended
        self._recorder.flush()
        before = min(here, first_unsealed_day(visit.state, task.pace, self._began_at), *visit.days_in_flight)
        self._ports.ledger.seal(shard, before, limit=SEALED_AT_ONCE)

    def tried_again(self) -> Iterator[Transfer | None]:
        """Yield what failed before, the longest waiting first: those that have to be looked up, then the others."""
        if self._task.window is not None:
            for transfer in self._deferred:
                yield self._handed_over(transfer)
            return
        left = [held for held in self._due() if held.object.key not in self._dealt_with]
        due = sorted(left, key=lambda held: held.next_at)
        changed = [held for held in due if held.has_changed]
        yield from self._looked_up(changed[:RETRIES_A_TICK])
        for held in due:
            if not held.has_changed:
                if not (yield from self._may_retry()):
                    return
                key = self._task.destination_prefix + held.object.key
                yield self._handed_over(Transfer(held.shard, held.object, key))

    def _may_retry(self) -> Generator[None, None, bool]:
        """Wait for those under way if they may be the last; False once so many have failed again."""
        recorder = self._recorder
        while recorder.retries_failed < RETRIES_A_TICK:
            under_way = recorder.counts.retried - recorder.retries_ended
            if recorder.retries_failed + under_way < RETRIES_A_TICK:
                return True
            yield None
        return False

    def _looked_up(self, due: Sequence[Quarantined]) -> Iterator[Transfer | None]:
        """Yield objects that were no longer as they had been listed: what they are now, a listing of the one key says."""
        changed = {Range(held.shard, held.object.key[:-1], held.object.key): held for held in due}
        found: set[str] = set()
        for page in self._ports.source.pages(changed) if changed else ():
            if page is None:
                yield None
                continue
            held = changed[page.range]
            key = self._task.destination_prefix + held.object.key
            for item in page.objects:
                if item.key == held.object.key:
                    found.add(item.key)
                    yield self._handed_over(Transfer(held.shard, item, key))
            if page.is_last and held.object.key not in found:
                transfer = Transfer(held.shard, held.object, key)
                self._recorder.begin(transfer)
                gone = f"ListObjectsV2 of s3://{self._ports.source_bucket} gives {held.object.key} no more"
                self._recorder.take(Failed(transfer, Reason.OBJECT_GONE, gone), is_live=False, is_new=False)

    def _due(self) -> list[Quarantined]:
        """Return what is to be tried again: what waits for nobody, and whose time has come if that is waited for."""
        waiting = [held for held in self._held.values() if not held.is_settled]
        if not self._task.is_patient:
            return waiting
        # No backoff is longer than this: a time beyond it was reckoned by a clock that ran ahead.
        latest = self._began_at + LONGEST_BACKOFF_SECONDS
        return [held for held in waiting if held.next_at <= self._began_at or held.next_at > latest]

    def _handed_over(self, transfer: Transfer) -> Transfer:
        self._recorder.begin(transfer)
        if transfer.object.key in self._held:
            self._recorder.counts.retried += 1
            self._dealt_with.add(transfer.object.key)
        visit = self._survey.visits.get(transfer.shard.prefix)
        if visit is not None:
            visit.unresolved += 1
            if any(item.both_sides for item in visit.slices):
                visit.days_in_flight[self._task.layout.day(transfer.shard, transfer.object.key)] += 1
        return transfer

    def _note_lateness(self, transfer: Transfer, visit: Visit | None) -> None:
        if visit is None or self._task.window is not None or transfer.compare_first or not visit.state.listed_at:
            return
        item = transfer.object
        stamp = self._task.layout.stamp(transfer.shard, item)
        if visit.state.complete_from <= stamp <= visit.state.complete_until and item.key not in self._held:
            late = item.last_modified - stamp
            self._recorder.note_lateness(late)
            lateness = self._task.pace.lateness_of(transfer.shard.kind)
            self._ports.tell(events.OBJECT_LATE, key=item.key, late_seconds=late, lateness_seconds=lateness)
