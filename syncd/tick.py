"""One pass over one job: discover, list, plan, copy, record.

A catch-up is a tick with a window, a dry run is a tick whose copier copies nothing. Nothing in this module knows AWS, a
database or the time of day: the world comes in by `ports`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from threading import Event

from syncd import events, failures
from syncd.closing import close, horizon
from syncd.cloudtrail import held_in_scope
from syncd.errors import Interrupted, JobFailed
from syncd.model import Failed, JobError, Page, Quarantined, Range, TickReport, Transfer
from syncd.plan import Rules, make_plan
from syncd.ports import Ports
from syncd.recorder import Recorder
from syncd.survey import Survey, Visit, survey
from syncd.task import Task
from syncd.tiers import Listed, Slice


class Tick:
    """One pass; make one for each, and call `run` once."""

    def __init__(self, task: Task, ports: Ports, *, stop: Event, on_progress: Callable[[Recorder], None]) -> None:
        self._task = task
        self._ports = ports
        self._stop = stop
        self._on_progress = on_progress
        self._began_at = ports.now()
        self._survey = Survey()
        self._held: Mapping[str, Quarantined] = {}
        self._late: list[float] = []
        self._watched_since = 0.0
        self._recorder = Recorder(ports.ledger, now=ports.now, stamp=task.layout.stamp, objective=task.objective)

    def run(self) -> TickReport:
        """Do it.

        What fails the job is in the report's `error`, never raised.

        Raises:
            LedgerError: the state cannot be read or written; nothing is claimed that is not recorded.
        """
        error: JobFailed | None = None
        try:
            self._held = held_in_scope(self._ports.ledger.quarantined(), self._task.scope)
            self._watched_since = self._ports.ledger.discovered_at()
            self._survey = survey(self._task, self._ports, began_at=self._began_at, recorder=self._recorder)
            self._copy()
            self._guard_against_an_empty_source()
        except JobFailed as raised:
            error = raised
        self._recorder.flush()
        report = self._report(error)
        if error is not None and error.reason == failures.SOURCE_EMPTY:
            # What was listed proves nothing: no cursor moves.
            complete = horizon(self._task, self._ports.ledger)
        else:
            is_whole = report.outcome in ("ok", "partial")
            complete = close(self._task, self._ports, self._survey, began_at=self._began_at, is_whole=is_whole)
        return replace(report, complete_from=complete[0], complete_until=complete[1])

    def so_far(self, outcome: str, error: JobError | None) -> TickReport:
        """The report of a tick that raised: what it had done by then."""
        return replace(self._report(None), outcome=outcome, error=error)

    def _copy(self) -> None:
        is_live = self._task.window is None
        for outcome in self._ports.copier.copy_all(self._transfers(), self._stop):
            visit = self._survey.visits.get(outcome.transfer.shard.prefix)
            if visit is not None:
                visit.unresolved -= 1
            counts_lag = is_live and self._arrived_under_watch(outcome.transfer, visit)
            if self._recorder.take(outcome, is_live=is_live, counts_lag=counts_lag):
                self._on_progress(self._recorder)

    def _arrived_under_watch(self, transfer: Transfer, visit: Visit | None) -> bool:
        """Whether an object is new, rather than part of what was there before the job was."""
        is_known_shard = visit is not None and bool(visit.state.listed_at)
        return self._watched_since > 0 and (is_known_shard or transfer.object.last_modified >= self._watched_since)

    def _transfers(self) -> Iterator[Transfer | None]:
        """Everything to copy, as the listing tells of it; None while it tells of nothing."""
        rules = Rules(
            destination_prefix=self._task.destination_prefix,
            start=0.0 if self._task.window else self._survey.start,
            backs_off_at=self._began_at if self._task.is_patient else None,
            stamp=self._task.layout.stamp,
            is_parsed=self._task.layout.is_parsed,
            doubtful=self._survey.doubtful,
        )
        yield from self._retries(rules)
        yield from self._looked_up(rules)
        for loose in self._survey.loose:
            yield from self._planned(loose, rules)
        slices = {item.range: item for visit in self._survey.visits.values() for item in visit.slices}
        for page in self._ports.source.pages(slices):
            self._recorder.record_if_due()
            self._on_progress(self._recorder)
            if page is None:
                yield None
                continue
            yield from self._planned(page, rules, slices[page.range])

    def _retries(self, rules: Rules) -> Iterator[Transfer]:
        """Objects that failed before, whether or not a listing comes by them in this tick."""
        for held in self._due(rules):
            if not held.has_changed:
                yield self._handed_over(Transfer(held.shard, held.object, rules.destination_prefix + held.object.key))

    def _looked_up(self, rules: Rules) -> Iterator[Transfer | None]:
        """Objects that were no longer as they had been listed: what they are now, a listing of the one key says."""
        changed = {
            Range(held.shard, held.object.key[:-1], held.object.key): held
            for held in self._due(rules)
            if held.has_changed
        }
        for page in self._ports.source.pages(changed) if changed else ():
            if page is None:
                yield None
                continue
            held = changed[page.range]
            found = [item for item in page.objects if item.key == held.object.key]
            transfer = Transfer(
                held.shard, found[0] if found else held.object, rules.destination_prefix + held.object.key
            )
            if found:
                yield self._handed_over(transfer)
            elif page.is_last:
                self._recorder.begin(transfer)
                gone = f"ListObjectsV2 of s3://{self._ports.source_bucket} gives {held.object.key} no more"
                self._recorder.take(Failed(transfer, failures.OBJECT_GONE, gone), is_live=False, counts_lag=False)

    def _due(self, rules: Rules) -> list[Quarantined]:
        if self._task.window is not None:
            return []
        due = [held for held in self._held.values() if not held.is_settled]
        return [held for held in due if rules.backs_off_at is None or held.next_at <= rules.backs_off_at]

    def _planned(self, page: Page, rules: Rules, listed_by: Slice | None = None) -> Iterator[Transfer]:
        shard = page.range.shard
        self._take_unreadable(page, rules)
        plan = make_plan(
            page,
            known=self._ports.ledger.known(shard, [item.key for item in page.objects]),
            held=self._held,
            in_progress=self._recorder.in_progress,
            rules=rules,
        )
        self._recorder.take_plan(plan, shard, len(page.objects))
        visit = self._survey.visits.get(shard.prefix)
        for transfer in plan.transfers:
            self._note_lateness(transfer, visit)
            yield self._handed_over(transfer)
        if visit is not None and listed_by is not None:
            before = visit.listed.get(page.range) or Listed(listed_by, page.requested_at)
            visit.listed[page.range] = before.after(page, layout=self._task.layout, left_out_stamp=plan.left_out_stamp)

    def _take_unreadable(self, page: Page, rules: Rules) -> None:
        for item in page.unreadable:
            if item.key not in self._held:
                transfer = Transfer(page.range.shard, item, rules.destination_prefix + item.key)
                self._recorder.begin(transfer)
                detail = (
                    f"s3://{self._ports.source_bucket}/{item.key}: a key whose bytes are not UTF-8 cannot be asked for"
                )
                self._recorder.take(Failed(transfer, failures.KEY_NOT_UTF8, detail), is_live=False, counts_lag=False)

    def _handed_over(self, transfer: Transfer) -> Transfer:
        self._recorder.begin(transfer)
        self._recorder.retried += transfer.object.key in self._held
        visit = self._survey.visits.get(transfer.shard.prefix)
        if visit is not None:
            visit.unresolved += 1
        return transfer

    def _note_lateness(self, transfer: Transfer, visit: Visit | None) -> None:
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
        # What was found at the destination already was listed before, even where a damaged ledger has forgotten it.
        listed_before = self._recorder.known_listed + self._recorder.already_there
        if task.window is not None or listed_before or self._stop.is_set():
            return
        since = self._began_at - task.pace.recent
        for visit in self._survey.visits.values():
            is_recent = visit.state.frontier >= since and visit.slices
            if is_recent and self._ports.ledger.has_known_after(visit.state.shard, visit.slices[-1].range.start_after):
                raise JobFailed(
                    failures.SOURCE_EMPTY,
                    f"ListObjectsV2 of s3://{self._ports.source_bucket} gave none of the objects of the last days that "
                    f"are known to have been there, such as those under {visit.state.shard.prefix}",
                    failures.remedy_of(failures.SOURCE_EMPTY),
                )

    def _report(self, error: JobFailed | None) -> TickReport:
        recorder = self._recorder
        outcome = "partial" if recorder.failed_count or recorder.conflict_count else "ok"
        if error is not None:
            outcome = "failed"
        if isinstance(error, Interrupted):
            error = None
            outcome = "interrupted"
        if self._stop.is_set():
            outcome = "interrupted"
        return TickReport(
            job=self._task.job,
            outcome=outcome,
            mode=self._ports.copier.mode,
            listed=recorder.listed,
            copied=recorder.copied,
            copied_bytes=recorder.copied_bytes,
            already_there=recorder.already_there,
            conflicts=tuple(recorder.conflicts),
            conflict_count=recorder.conflict_count,
            skipped={reason.value: count for reason, count in sorted(recorder.skipped.items())},
            failed=tuple(recorder.failed),
            failed_count=recorder.failed_count,
            failed_by_reason=dict(recorder.failed_by_reason),
            retried=recorder.retried,
            late_beyond_allowance=len(self._late),
            worst_lateness_seconds=max(self._late, default=0.0),
            lags=dict(recorder.lags),
            lag_seconds=recorder.lag_seconds,
            worst_lag_seconds=recorder.worst_lag_seconds,
            copied_late=recorder.copied_late,
            started_at=self._began_at,
            duration_seconds=self._ports.now() - self._began_at,
            error=JobError(reason=error.reason, detail=error.detail, remedy=error.remedy) if error else None,
        )
