"""The handover of planned objects to the copier, or to a later tick."""

from collections import deque
from collections.abc import Iterator, Mapping

from syncd.model import events
from syncd.model.bounds import Quota
from syncd.model.objects import Failed, Page, Quarantined, Shard, SkipReason, Transfer
from syncd.model.reasons import Reason
from syncd.tick.listing.plan import Plan
from syncd.tick.listing.survey import Survey, Visit
from syncd.tick.ports import Ports
from syncd.tick.recorder import REFUSED_IN_A_ROW, Recorder
from syncd.tick.task import Task


class Handover:
    """The transfers of one tick, on their way to the copier."""

    def __init__(
        self, task: Task, ports: Ports, survey: Survey, recorder: Recorder, held: Mapping[str, Quarantined]
    ) -> None:
        self._task = task
        self._ports = ports
        self._survey = survey
        self._recorder = recorder
        self._held = held
        self._put_off: deque[Transfer] = deque(maxlen=REFUSED_IN_A_ROW)
        self._quota = Quota(task.max_objects)
        self.dealt_with: set[str] = set()
        """Keys that failed before and that this tick has come across."""

    def chosen(self, plan: Plan, shard: Shard) -> Iterator[Transfer]:
        """Yield a plan's transfers, as many as this tick may copy."""
        visit = self._survey.visits.get(shard.prefix)
        for transfer in plan.transfers:
            self._note_lateness(transfer, visit)
            if self._recorder.is_denied:
                self._put_it_off(transfer)
            elif not self._quota.take():
                # The horizon waits for it.
                self._recorder.skip(SkipReason.OVER_QUOTA)
                self._recorder.wanted -= 1
                self._leave(visit)
            else:
                yield self.hand_over(transfer)

    def hand_over(self, transfer: Transfer) -> Transfer:
        """Note that a transfer goes to the copier. Returns it. Raises JobFailed."""
        self._recorder.begin(transfer)
        if transfer.object.key in self._held:
            self._recorder.counts.retried += 1
            self.dealt_with.add(transfer.object.key)
        visit = self._survey.visits.get(transfer.shard.prefix)
        if visit is not None:
            visit.unresolved += 1
            if any(item.both_sides for item in visit.slices):
                visit.days_in_flight[self._task.layout.day(transfer.shard, transfer.object.key)] += 1
        return transfer

    def denied(self) -> Iterator[Transfer]:
        """Yield the newest objects that were put off after denials in a row."""
        if not self._put_off:
            return
        self._recorder.begin_anew()
        for transfer in reversed(self._put_off):
            yield self.hand_over(transfer)

    def take_unreadable(self, page: Page) -> None:
        """Record the objects whose keys no request can name as failed."""
        for item in page.unreadable:
            if item.key not in self._held:
                transfer = Transfer(page.range.shard, item, self._task.destination_prefix + item.key)
                self._recorder.begin(transfer)
                detail = (
                    f"s3://{self._ports.source_bucket}/{item.key}: a key whose bytes are not UTF-8 cannot be asked for"
                )
                self._recorder.take(Failed(transfer, Reason.KEY_NOT_UTF8, detail), is_live=False)

    def _put_it_off(self, transfer: Transfer) -> None:
        """Put an object off. Only the newest are tried at the end of this tick."""
        if self._put_off.maxlen == len(self._put_off):
            self._leave(self._survey.visits.get(self._put_off[0].shard.prefix))
        self._put_off.append(transfer)

    def _leave(self, visit: Visit | None) -> None:
        """Leave an object to the next tick, for which the horizon waits."""
        if visit is None:
            self._survey.discovered_at = None
        else:
            visit.unresolved += 1

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
