"""The search for objects to copy: new ones, those the audit misses, then retries.

Each page takes three steps: the destination is listed beside it if the ledger does not know what is there, sealed days
are split off, and the rest is planned.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping

from syncd.model import events
from syncd.model.keys.layout import Layout
from syncd.model.keys.stamps import day_start, utc_day
from syncd.model.keys.vouched import without_replacements
from syncd.model.objects import LogObject, Page, Quarantined, Range, Shard, Transfer
from syncd.model.sealed import SealedDay
from syncd.tick.audit import KEYS_LOGGED, Audit
from syncd.tick.handover import Handover
from syncd.tick.listing import tiers
from syncd.tick.listing.horizon import Listed
from syncd.tick.listing.plan import Plan, Rules, make_plan
from syncd.tick.listing.reach import Reach
from syncd.tick.listing.sealing import (
    SEALED_AT_ONCE,
    DaySplitter,
    Stretch,
    day_ranges,
    first_unsealed_day,
    is_same,
    is_same_there,
)
from syncd.tick.listing.slice_reading import SliceReading
from syncd.tick.listing.survey import Survey, Visit, is_in_window
from syncd.tick.listing.tiers import Slice, Tier
from syncd.tick.ports import Ports
from syncd.tick.recorder import Recorder
from syncd.tick.retries import Retries
from syncd.tick.side_by_side import Beside, replicas_in
from syncd.tick.task import Task

SEALED_EVERY_OBJECTS = 20_000
"""A listing of history seals its days after this many objects."""


class Search:
    """The search of one tick."""

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
        self._sealed_at = 0
        self._handover = Handover(task, ports, survey, recorder, held)
        self._retries = Retries(task, ports, recorder, self._handover, held, began_at=began_at)
        self.recalled: Counter[str] = Counter()
        """Replicas found in shards that the ledger did not know, by prefix."""

    def transfers(self) -> Iterator[Transfer | None]:
        """Yield everything to copy, new objects first, or None while there is nothing yet."""
        for loose in self._survey.loose:
            rules = self._rules(loose.range.shard)
            self._handover.take_unreadable(loose)
            yield from self._planned(loose, rules, None)
        yield from self._listed()
        yield from self._handover.denied()
        if self._survey.is_hinted:
            return
        audit = Audit(self._task, self._ports, self._survey, self._recorder, self._accepted, began_at=self._began_at)
        yield from audit.transfers(self._plan_day, self._handover.hand_over)
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
        """Return an object's stamp, or 0.0 if it is in the future."""
        stamp = self._task.layout.stamp(shard, item)
        return stamp if stamp <= self._began_at else 0.0

    def _in_window(self, shard: Shard) -> Callable[[LogObject], bool]:
        window, layout = self._task.window, self._task.layout
        visit = self._survey.visits.get(shard.prefix)
        if window is None or visit is None or tiers.window_is_exact(visit.state, layout):
            return lambda _: True
        return lambda item: any(is_in_window(day, window) for day in _days_of(layout, shard, item))

    def _listed(self) -> Iterator[Transfer | None]:
        """Yield the transfers found in the slices of all shards."""
        slices = {item.range: item for visit in self._survey.visits.values() for item in visit.slices}
        readings: dict[Range, SliceReading] = {}
        reach = self._recorder.reach = Reach(len(slices))
        for page in self._ports.source.pages(slices):
            self._recorder.record_if_due()
            self._on_progress(self._recorder)
            if page is None:
                yield None
                continue
            reading = readings.get(page.range)
            if reading is None:
                reading = readings[page.range] = self._reading(slices[page.range])
            self._note_reach(page)
            yield from self._read(page, reading)
        reach.end()

    def _note_reach(self, page: Page) -> None:
        shard, keys = page.range.shard, [item.key for item in (*page.objects[:1], *page.objects[-1:])]
        first, last = [self._task.layout.day(shard, key) for key in keys] or ("", "")
        self._recorder.reach.take(page.range, first, last, is_last=page.is_last)

    def _reading(self, listed: Slice) -> SliceReading:
        task, wanted = self._task, listed.range
        first = task.layout.day(wanted.shard, wanted.start_after) or "0000-00-00"
        sealed = self._ports.ledger.sealed(wanted.shard, first, "9999-99-99")
        beside = Beside(wanted, self._ports.destination, task.destination_prefix) if listed.both_sides else None
        rules = self._rules(wanted.shard)
        return SliceReading(listed, DaySplitter(task.layout, sealed), sealed, beside, rules, rules)

    def _read(self, page: Page, reading: SliceReading) -> Iterator[Transfer | None]:
        shard = page.range.shard
        new: list[LogObject] = []
        left_out = 0.0
        self._handover.take_unreadable(page)
        for stretch in reading.gate.stretches(page):
            if stretch.sealed_day:
                plan = yield from self._sealed_stretch(stretch, reading)
            else:
                replicas = None
                if reading.beside is not None and stretch.page.objects:
                    here = {item.key for item in stretch.page.objects}
                    replicas = yield from reading.beside.upto(stretch.page.objects[-1].key, here.__contains__)
                plan = yield from self._planned(stretch.page, reading.rules, replicas)
            if plan is not None:
                if reading.slice.tier in (Tier.FIRST, Tier.RECALL) and plan.adopted:
                    self.recalled[shard.prefix] += len(plan.adopted)
                new += plan.new
                left_out = max(left_out, plan.left_out_stamp)
        visit = self._survey.visits[shard.prefix]
        before = visit.listed.get(page.range) or Listed(reading.slice, page.requested_at)
        visit.listed[page.range] = before.after(
            page, layout=self._task.layout, left_out_stamp=left_out, new=new, found_by=visit.state.found_by
        )
        self._seal_behind(visit, page, reading)

    def _sealed_stretch(self, stretch: Stretch, reading: SliceReading) -> Generator[Transfer | None, None, Plan | None]:
        """Skip a sealed day that is unchanged on the listed sides. Plan any other key by key."""
        task, shard, was = self._task, stretch.page.range.shard, reading.sealed[stretch.sealed_day]
        replicas = None
        is_opened = stretch.sealed_day == reading.opened_day
        if is_opened:
            replicas = reading.replicas_left
        elif reading.beside is not None:
            replicas = yield from reading.beside.upto(
                task.layout.day_end(shard, stretch.sealed_day),
                lambda key: task.layout.day(shard, key) == stretch.sealed_day,
            )
        is_same_here = is_same(was, stretch.totals) and stretch.totals.total == len(stretch.page.objects)
        if is_same_here and not is_opened and (replicas is None or is_same_there(was, replicas)):
            self._recorder.skip_sealed(stretch.totals.total)
            return None
        if not is_opened and self._is_partly_listed(stretch):
            # The rest of the day would be listed later, with nothing but its replicas to go by.
            page, replicas = yield from self._listed_day(shard, stretch.sealed_day)
            rules = _unless_altered(reading.rules, was, replicas)
            return (yield from self._unsealed(page, stretch.sealed_day, rules, replicas))
        if reading.beside is None and not is_opened:
            wanted = day_ranges(shard, [stretch.sealed_day], task.layout)[0]
            replicas = yield from replicas_in(wanted, self._ports.destination, task.destination_prefix)
        if not is_opened:
            reading.rules_opened = _unless_altered(reading.rules, was, replicas)
        if stretch.is_part:
            last, there = stretch.page.objects[-1].key, replicas
            reading.opened_day, reading.replicas_left = stretch.sealed_day, None
            if there is not None:
                replicas = {key: item for key, item in there.items() if key <= last}
                reading.replicas_left = {key: item for key, item in there.items() if key > last}
        return (yield from self._unsealed(stretch.page, stretch.sealed_day, reading.rules_opened, replicas))

    def _is_partly_listed(self, stretch: Stretch) -> bool:
        layout, wanted = self._task.layout, stretch.page.range
        begin = layout.position(wanted.shard, day_start(stretch.sealed_day), whole_day=True)
        end = layout.day_end(wanted.shard, stretch.sealed_day)
        return wanted.start_after > begin or (stretch.is_cut and "" < wanted.until < end)

    def _unsealed(
        self, page: Page, day: str, rules: Rules, replicas: Mapping[str, LogObject] | None
    ) -> Generator[Transfer | None, None, Plan]:
        """Unseal a day and plan it key by key. Replicas of what was accepted, or the source has expired, are remembered."""
        shard = page.range.shard
        plan = self._plan(page, rules, replicas)
        here = {item.key: item for item in page.objects}
        for key, replica in without_replacements(replicas or {}).items():
            item = here.get(key)
            if item is None or self._accepted.get(key) == (item.etag, item.storage_class):
                self._recorder.adopt(shard, item or replica._replace(etag=""), replica.etag)
        self._recorder.unseal(shard, day, plan.transfers)
        yield from self._handover.chosen(plan, shard)
        return plan

    def _plan_day(self, shard: Shard, day: str) -> Generator[Transfer | None, None, int]:
        """List a sealed day on both sides and plan it. Returns how many of its objects either side has."""
        page, replicas = yield from self._listed_day(shard, day)
        # The audit found that the day has changed, so names do not vouch for replicas.
        yield from self._unsealed(page, day, self._rules(shard)._replace(ran_here=False), replicas)
        return len({item.key for item in page.objects} | without_replacements(replicas or {}).keys())

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
        yield from self._handover.chosen(plan, page.range.shard)
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
        self._handover.dealt_with.update(item.key for item, _ in plan.adopted if item.key in self._held)
        for key in plan.restored[:KEYS_LOGGED]:
            self._ports.tell(events.REPLICA_RESTORED, key=key, restored=len(plan.restored))
        if self._task.window is not None:
            self._deferred += plan.deferred
        return plan

    def _seal_behind(self, visit: Visit, page: Page, reading: SliceReading) -> None:
        """Seal the days that a listing of history has passed."""
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
        """Yield what failed before, in a catch-up only what its window lists."""
        if self._task.window is None:
            yield from self._retries.transfers()
        for transfer in self._deferred:
            yield self._handover.hand_over(transfer)


def _unless_altered(rules: Rules, was: SealedDay, replicas: Mapping[str, LogObject] | None) -> Rules:
    """Return the rules for a sealed day. If its replicas have changed, names do not vouch for them."""
    is_altered = replicas is not None and not is_same_there(was, replicas)
    return rules._replace(ran_here=False) if is_altered else rules


def _days_of(layout: Layout, shard: Shard, item: LogObject) -> set[str]:
    """Return the days of an object: that of its key, and that of its stamp."""
    stamped = utc_day(max(0.0, layout.stamp(shard, item)))
    return {layout.day_anyhow(shard, item.key) or stamped, stamped}
