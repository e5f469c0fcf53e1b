"""Retries of objects that failed before.

A replica that one of them meets may be of another version of its source, so each counts as changed.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence

from syncd.model.bounds import LONGEST_BACKOFF_SECONDS
from syncd.model.objects import Failed, Quarantined, Range, Transfer
from syncd.model.reasons import Reason
from syncd.tick.handover import Handover
from syncd.tick.ports import Ports
from syncd.tick.recorder import Recorder
from syncd.tick.task import Task

RETRIES_A_TICK = 64
"""Objects that failed before and may fail again in one tick, after everything new; while they heal, more are tried."""


class Retries:
    """The quarantined objects that one tick tries again."""

    def __init__(
        self,
        task: Task,
        ports: Ports,
        recorder: Recorder,
        handover: Handover,
        held: Mapping[str, Quarantined],
        *,
        began_at: float,
    ) -> None:
        self._task = task
        self._ports = ports
        self._recorder = recorder
        self._handover = handover
        self._held = held
        self._began_at = began_at

    def transfers(self) -> Iterator[Transfer | None]:
        """Yield the retries, longest waiting first, those to be looked up before the others."""
        left = [held for held in self._due() if held.object.key not in self._handover.dealt_with]
        due = sorted(left, key=lambda held: held.next_at)
        changed = [held for held in due if held.has_changed]
        yield from self._looked_up(changed[:RETRIES_A_TICK])
        for held in due:
            if not held.has_changed:
                if not (yield from self._may_retry()):
                    return
                key = self._task.destination_prefix + held.object.key
                yield self._handover.hand_over(Transfer(held.shard, held.object, key, is_changed=True))

    def _may_retry(self) -> Generator[None, None, bool]:
        """Wait for those in flight if they may be the last. Returns False once so many have failed again."""
        recorder = self._recorder
        while recorder.retries_failed < RETRIES_A_TICK:
            in_flight = recorder.counts.retried - recorder.retries_ended
            if recorder.retries_failed + in_flight < RETRIES_A_TICK:
                return True
            yield None
        return False

    def _looked_up(self, due: Sequence[Quarantined]) -> Iterator[Transfer | None]:
        """Yield objects that may have changed, as a listing of their key shows them."""
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
                    yield self._handover.hand_over(Transfer(held.shard, item, key, is_changed=True))
            if page.is_last and held.object.key not in found:
                transfer = Transfer(held.shard, held.object, key)
                self._recorder.begin(transfer)
                gone = f"ListObjectsV2 of s3://{self._ports.source_bucket} gives {held.object.key} no more"
                self._recorder.take(Failed(transfer, Reason.OBJECT_GONE, gone), is_live=False, is_new=False)

    def _due(self) -> list[Quarantined]:
        """Return the objects to retry. A patient tick waits for the end of their backoff."""
        waiting = [held for held in self._held.values() if not held.is_settled]
        if not self._task.is_patient:
            return waiting
        # No backoff is longer than this: a later time was computed by a clock that ran ahead.
        latest = self._began_at + LONGEST_BACKOFF_SECONDS
        return [held for held in waiting if held.next_at <= self._began_at or held.next_at > latest]
