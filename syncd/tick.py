"""One pass over one job: discover, list, plan, copy, record.

A catch-up is a tick with a window, a dry run is a tick whose copier copies nothing. Nothing in this module knows AWS, a
database or the time of day: the world comes in by `ports`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Event

from syncd import events, failures, recall, sealing, tiers
from syncd.cloudtrail import EVERY, Scope, in_scope
from syncd.discovery import discover
from syncd.errors import JobFailed
from syncd.layout import Layout, day_start
from syncd.model import (
    JobError,
    Page,
    Quarantined,
    Range,
    Shard,
    ShardState,
    SkipReason,
    TickReport,
    Transfer,
    Window,
)
from syncd.plan import Rules, make_plan
from syncd.ports import Ports
from syncd.recorder import Recorder
from syncd.tiers import Listed, Pace, Slice, Tier

SEAL_ROWS_A_TICK = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a tick is to do: a job, taken apart into what the tick needs of it."""

    job: str
    scope: Scope | None
    """Which accounts, kinds and regions; None for layouts that have none."""
    shard: Shard | None
    """The one shard of such a layout."""
    layout: Layout
    destination_prefix: str
    pace: Pace
    start: Callable[[float], float]
    """The job's start as an instant, given the time of its first tick; 0.0 for the beginning."""
    window: Window | None = None
    """The days of a catch-up; None for a tick."""
    accounts: Sequence[str] = (EVERY,)
    """Of these accounts only (a catch-up's)."""
    regions: Sequence[str] = (EVERY,)
    """Of these regions only (a catch-up's)."""
    is_patient: bool = False
    """Failed objects wait for their time (the daemon); otherwise somebody asked for everything now."""
    mode: str = ""
    """How bytes are copied, for the report."""


@dataclass(slots=True)
class _Visit:
    """One shard in this tick."""

    state: ShardState
    slices: list[Slice] = field(default_factory=list)
    listed: dict[Range, Listed] = field(default_factory=dict)
    unresolved: int = 0
    """Transfers that were handed over and have not come to their end."""


class Tick:
    """One pass; make one for each, and call `run` once."""

    def __init__(self, task: Task, ports: Ports, *, stop: Event, on_progress: Callable[[Recorder], None]) -> None:
        self._task = task
        self._ports = ports
        self._ledger = ports.ledger
        self._stop = stop
        self._on_progress = on_progress
        self._began_at = ports.now()
        self._visits: dict[str, _Visit] = {}
        self._loose: list[Page] = []
        self._discovered_at: float | None = None
        self._start = 0.0
        self._held: Mapping[str, Quarantined] = {}
        self._late: list[float] = []
        self._recorder = Recorder(ports.ledger, now=ports.now, stamp=task.layout.stamp)

    def run(self) -> TickReport:
        """Do it.

        What fails the job is in the report's `error`, never raised.

        Raises:
            LedgerError: the state cannot be read or written; nothing is claimed that is not recorded.
        """
        error: JobFailed | None = None
        try:
            self._prepare()
            for outcome in self._ports.copier.copy_all(self._transfers(), self._stop):
                visit = self._visits.get(outcome.transfer.shard.prefix)
                if visit is not None:
                    visit.unresolved -= 1
                self._recorder.take(outcome, is_live=self._task.window is None)
                self._on_progress(self._recorder)
            self._guard_against_an_empty_source()
        except JobFailed as raised:
            error = raised
        self._recorder.flush()
        report = self._report(error)
        if error is None or error.reason != failures.SOURCE_EMPTY:
            report = self._finish(report)
        return report

    def _prepare(self) -> None:
        task, ledger = self._task, self._ledger
        self._held = ledger.quarantined()
        states = ledger.shards()
        self._discover(states)
        start = ledger.start()
        configured = task.start(self._began_at) if start is None else start
        oldest_replica = self._recall(configured)
        self._start = configured if start is not None or oldest_replica is None else min(configured, oldest_replica)
        if start is None:
            ledger.set_start(self._start)
        self._choose_slices()

    def _discover(self, states: Mapping[str, ShardState]) -> None:
        task, ledger = self._task, self._ledger
        if task.scope is None:
            assert task.shard is not None
            self._visits[task.shard.prefix] = _Visit(states.get(task.shard.prefix) or ShardState(shard=task.shard))
            self._discovered_at = self._began_at
            return
        looks = ledger.looked_at()
        times = {prefix: when for prefix, (when, _) in looks.items()}
        is_tick = task.window is None
        stale = tiers.due(times, every=task.pace.discovery_every, now=self._began_at) if is_tick else set(times)
        found = discover(task.scope, self._ports.source, looks=looks, stale=stale, now=self._began_at)
        ledger.save_looked_at(found.looks)
        self._discovered_at = found.stalest_look if is_tick else None
        self._loose = found.loose
        # A folder that has gone is still visited: that is how its disappearance is noticed.
        known = [state.shard for state in states.values() if in_scope(state.shard, task.scope)]
        for shard in (*found.shards, *known):
            if self._is_asked_for(shard) and shard.prefix not in self._visits:
                self._visits[shard.prefix] = _Visit(states.get(shard.prefix) or ShardState(shard=shard))

    def _is_asked_for(self, shard: Shard) -> bool:
        accounts, regions = self._task.accounts, self._task.regions
        return (EVERY in accounts or shard.account in accounts) and (EVERY in regions or shard.region in regions)

    def _recall(self, start: float) -> float | None:
        """Ask the destination about shards that the ledger knows nothing of; the oldest stamp found, if any."""
        task = self._task
        ranges = []
        for prefix, visit in self._visits.items():
            state = visit.state
            if state.listed_at or self._ledger.has_known_after(state.shard, ""):
                continue
            if task.window is not None:
                ranges.append(tiers.window_range(state.shard, task.window, layout=task.layout).range)
                continue
            newest = recall.newest_day(state.shard, self._ports.destination, destination_prefix=task.destination_prefix)
            if newest or task.scope is None:
                frontier = day_start(newest) if newest else 0.0
                visit.state = replace(state, frontier=frontier)
                first = tiers.slices(visit.state, layout=task.layout, pace=task.pace, now=self._began_at, start=start)
                ranges.append(first[0].range)
            self._visits[prefix] = visit
        found = recall.recall(
            ranges,
            self._ports.destination,
            self._ledger,
            destination_prefix=task.destination_prefix,
            layout=task.layout,
        )
        if found:
            count = sum(item.total for item in found.values())
            self._ports.tell(events.LEDGER_REBUILT, shards=len(found), replicas=count)
        return min((item.oldest_stamp for item in found.values()), default=None)

    def _choose_slices(self) -> None:
        task = self._task
        if task.window is not None:
            for visit in self._visits.values():
                visit.slices = self._window_slices(visit.state.shard, task.window)
            return
        states = [visit.state for visit in self._visits.values()]
        for state in tiers.shards_to_visit(states, pace=task.pace, now=self._began_at):
            self._visits[state.shard.prefix].slices = tiers.slices(
                state, layout=task.layout, pace=task.pace, now=self._began_at, start=self._start
            )

    def _window_slices(self, shard: Shard, window: Window) -> list[Slice]:
        task = self._task
        whole = tiers.window_range(shard, window, layout=task.layout)
        sealed = self._ledger.sealed(shard, window.first or "0000-00-00", window.last or "9999-99-99")
        if not sealed:
            return [whole]
        same, count = sealing.reopen_changed_days(
            shard,
            sealed,
            self._ports.source,
            self._ports.destination,
            self._ledger,
            layout=task.layout,
            destination_prefix=task.destination_prefix,
        )
        self._recorder.skipped[SkipReason.SEALED] += count
        self._recorder.listed += count
        ranges = sealing.unsealed_ranges(shard, whole.range, same, task.layout)
        return [Slice(Tier.WINDOW, item) for item in ranges]

    def _transfers(self) -> Iterator[Transfer | None]:
        """Everything to copy, as the listing tells of it; None while it tells of nothing."""
        rules = Rules(
            destination_prefix=self._task.destination_prefix,
            start=0.0 if self._task.window else self._start,
            backs_off_at=self._began_at if self._task.is_patient else None,
            stamp=self._task.layout.stamp,
            is_parsed=self._task.layout.is_parsed,
        )
        yield from self._retries(rules)
        for loose in self._loose:
            yield from self._planned(loose, rules)
        slices = {item.range: item for visit in self._visits.values() for item in visit.slices}
        for page in self._ports.source.pages(slices):
            self._recorder.record_if_due()
            self._on_progress(self._recorder)
            if page is None:
                yield None
                continue
            yield from self._planned(page, rules, slices[page.range])

    def _retries(self, rules: Rules) -> Iterator[Transfer]:
        """Objects that failed before, whether or not a listing comes by them in this tick."""
        if self._task.window is not None:
            return
        for held in self._held.values():
            if held.is_conflict or (rules.backs_off_at is not None and held.next_at > rules.backs_off_at):
                continue
            yield self._handed_over(Transfer(held.shard, held.object, rules.destination_prefix + held.object.key))

    def _planned(self, page: Page, rules: Rules, listed_by: Slice | None = None) -> Iterator[Transfer]:
        shard = page.range.shard
        plan = make_plan(
            page,
            known=self._ledger.known(shard, [item.key for item in page.objects]),
            held=self._held,
            in_progress=self._recorder.in_progress,
            rules=rules,
        )
        self._recorder.take_plan(plan, shard, len(page.objects))
        visit = self._visits.get(shard.prefix)
        for transfer in plan.transfers:
            self._note_lateness(transfer, visit)
            yield self._handed_over(transfer)
        if visit is not None and listed_by is not None:
            before = visit.listed.get(page.range) or Listed(listed_by, page.requested_at)
            visit.listed[page.range] = before.after(page, layout=self._task.layout, left_out_stamp=plan.left_out_stamp)

    def _handed_over(self, transfer: Transfer) -> Transfer:
        self._recorder.begin(transfer)
        visit = self._visits.get(transfer.shard.prefix)
        if visit is not None:
            visit.unresolved += 1
        return transfer

    def _note_lateness(self, transfer: Transfer, visit: _Visit | None) -> None:
        if visit is None or self._task.window is not None or transfer.compare_first or not visit.state.listed_at:
            return
        item = transfer.object
        stamp = self._task.layout.stamp(item)
        if visit.state.complete_from <= stamp <= visit.state.complete_until and item.key not in self._held:
            self._late.append(item.last_modified - stamp)
            self._ports.tell(
                events.OBJECT_LATE, key=item.key, late_seconds=self._late[-1], lateness_seconds=self._task.pace.lateness
            )

    def _guard_against_an_empty_source(self) -> None:
        """A whole job that lists none of the keys of its last days is an alarm, not a success.

        Raises:
            JobFailed: nothing that the ledger knows was listed, though some of it should have been.
        """
        task = self._task
        if task.window is not None or self._recorder.known_listed or self._stop.is_set():
            return
        since = self._began_at - task.pace.recent
        for visit in self._visits.values():
            is_recent = visit.state.frontier >= since and visit.slices
            if is_recent and self._ledger.has_known_after(visit.state.shard, visit.slices[-1].range.start_after):
                raise JobFailed(
                    failures.SOURCE_EMPTY,
                    f"ListObjectsV2 of s3://{self._ports.source_bucket} gave none of the objects of the last days that "
                    f"are known to have been there, such as those under {visit.state.shard.prefix}",
                    failures.remedy_of(failures.SOURCE_EMPTY),
                )

    def _finish(self, report: TickReport) -> TickReport:
        """Move the cursors of what was listed to its end, seal old days, and say how far the replica is complete."""
        ledger = self._ledger
        missing = self._missing_since()
        current = ledger.shards()
        finished = []
        for prefix, visit in self._visits.items():
            whole = [item for item in visit.listed.values() if item.is_whole]
            if whole and not visit.unresolved and len(whole) == len(visit.slices):
                state = self._advanced(visit, whole, current.get(prefix), missing.get(prefix))
                finished += [state] if state is not None else []
        is_whole = report.outcome not in ("failed", "interrupted")
        ledger.save_shards(finished, discovered_at=self._discovered_at if is_whole else None)
        self._seal()
        complete_from, complete_until = self._horizon()
        return replace(report, complete_from=complete_from, complete_until=complete_until)

    def _advanced(
        self, visit: _Visit, listed: Sequence[Listed], current: ShardState | None, missing_since: float | None
    ) -> ShardState | None:
        task = self._task
        if task.window is not None:
            return self._extended(current, task.window, missing_since)
        # A catch-up that ran beside this tick may have extended it.
        state = replace(visit.state, complete_from=current.complete_from) if current else visit.state
        return tiers.advance(
            state, listed, layout=task.layout, pace=task.pace, start=self._start, missing_since=missing_since
        )

    def _extended(self, state: ShardState | None, window: Window, missing_since: float | None) -> ShardState | None:
        """A catch-up moves no frontier; where its window meets what is complete, it extends it backwards."""
        if state is None or not state.listed_at or window.first is None:
            return None
        first = day_start(window.first)
        end = day_start(tiers.day_after(window.last)) if window.last else self._began_at
        if end < state.complete_from or first >= state.complete_from:
            return None
        if missing_since is not None and missing_since < state.complete_from:
            return None
        return replace(state, complete_from=first)

    def _missing_since(self) -> dict[str, float]:
        """By shard, the oldest stamp among objects that are known and not at the destination."""
        missing: dict[str, float] = {}
        for held in self._ledger.quarantined().values():
            stamp = self._task.layout.stamp(held.object)
            missing[held.shard.prefix] = min(stamp, missing.get(held.shard.prefix, stamp))
        return missing

    def _seal(self) -> None:
        before = sealing.first_unsealed_day(self._began_at, self._task.pace.deep)
        room = SEAL_ROWS_A_TICK
        for visit in self._visits.values():
            if room > 0 and visit.slices:
                room -= self._ledger.seal(visit.state.shard, before, limit=room)

    def _horizon(self) -> tuple[float, float]:
        scope = self._task.scope
        states = [state for state in self._ledger.shards().values() if scope is None or in_scope(state.shard, scope)]
        return tiers.horizon(states, discovered_at=self._ledger.discovered_at(), pace=self._task.pace)

    def _report(self, error: JobFailed | None) -> TickReport:
        recorder = self._recorder
        outcome = "partial" if recorder.failed_count or recorder.conflict_count else "ok"
        if self._stop.is_set():
            outcome = "interrupted"
        if error is not None:
            outcome = "failed"
        return TickReport(
            job=self._task.job,
            outcome=outcome,
            mode=self._task.mode or None,
            listed=recorder.listed,
            copied=recorder.copied,
            copied_bytes=recorder.copied_bytes,
            already_there=recorder.already_there,
            conflicts=tuple(recorder.conflicts),
            conflict_count=recorder.conflict_count,
            skipped={reason.value: count for reason, count in sorted(recorder.skipped.items())},
            failed=tuple(recorder.failed),
            failed_count=recorder.failed_count,
            late_beyond_allowance=len(self._late),
            worst_lateness_seconds=max(self._late, default=0.0),
            started_at=self._began_at,
            duration_seconds=self._ports.now() - self._began_at,
            error=JobError(reason=error.reason, detail=error.detail, remedy=error.remedy) if error else None,
        )
