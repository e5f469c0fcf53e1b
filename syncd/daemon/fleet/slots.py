"""The slot of this process: taken, renewed, and given back by conditional writes of its lease.

No clocks of two machines are compared. A lease is free to take once the taker has seen no change of it for its whole time to
live, by the taker's own clock. A holder that cannot renew it begins no tick after two thirds of that time.
"""

import os
import secrets
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from syncd.aws.leases import Lease, LeaseStore
from syncd.config.job import Fleet
from syncd.daemon.log.repeats import RepeatedProblems
from syncd.job.health.clock import boot_clock
from syncd.job.health.slot import Slot, read_slot, write_slot
from syncd.model import events
from syncd.model.errors import JobFailed

POLL_SECONDS = 1.0
SAFE_SHARE = 2 / 3
"""Part of the time to live after which a holder that could not renew begins no more ticks."""
_READS_A_SECOND = 10
_LONGEST_CALL_SECONDS = 5.0


class Held(NamedTuple):
    """The lease that this process has."""

    slot: int
    lease: Lease
    renewed_at: float
    """On the clock of this process, before the last write that succeeded was sent."""
    is_anothers: bool
    """Another state directory may have had the slot since this one did."""


class Slots:
    """The slots of the fleet, as this process sees them.

    Shared: the lease's thread writes `_held`, `_seen` and `_failure`, and any thread reads them. Each is one attribute, which the
    GIL writes whole.
    """

    def __init__(
        self,
        fleet: Fleet,
        state_dir: Path,
        problems: RepeatedProblems,
        *,
        now: Callable[[], float],
        on_change: Callable[[], None],
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        """Call `on_change` from the lease's thread when a slot was taken or lost."""
        self._fleet = fleet
        self._state_dir = state_dir
        self._problems = problems
        self._now = now
        self._on_change = on_change
        self._clock = clock
        self._ttl = fleet.ttl.total_seconds()
        self._store = LeaseStore(fleet.lease, seconds=min(max(1.0, self._ttl / 4), _LONGEST_CALL_SECONDS))
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._held: Held | None = None
        self._seen: dict[int, tuple[Lease, float]] = {}
        self._failure: JobFailed | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    @property
    def held(self) -> Held | None:
        """The lease that this process has, renewed in time or not."""
        return self._held

    @property
    def failure(self) -> JobFailed | None:
        """The failure of the last call to the store, or None."""
        return self._failure

    def may_tick(self) -> bool:
        """Return true if a slot is held, and its lease was renewed in time."""
        held = self._held
        return held is not None and self._clock() - held.renewed_at < SAFE_SHARE * self._ttl

    def holders(self) -> dict[int, str]:
        """Return the processes that have the slots, as far as they were looked at."""
        return {slot: lease.owner for slot, (lease, _) in sorted(self._seen.items()) if lease.owner}

    def begin(self) -> None:
        """Look for a slot."""
        self._note()
        self._thread.start()

    def close(self) -> None:
        """Give the slot back. To be called when no tick is running."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(_LONGEST_CALL_SECONDS)
        held, self._held = self._held, None
        if held is None or self._thread.is_alive():
            return
        try:
            if self._store.write(str(held.slot), held.lease._replace(owner="")) is not None:
                self._problems.log(events.LEASE_RELEASED, slot=held.slot)
        except JobFailed as error:
            self._log_failure(error)
        self._note(held)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                if self._held is None:
                    self._seek()
                else:
                    self._renew(self._held)
            except JobFailed as error:
                self._failure = error
                self._log_failure(error)
                self._closing.wait(min(POLL_SECONDS, self._ttl / 12))
                continue
            self._failure = None
            over = self._problems.resolve(events.LEASE_UNAVAILABLE)
            if over is not None:
                seconds = int(over.seconds)
                self._problems.log(events.LEASE_RECOVERED, failures=over.times, failing_seconds=seconds)
            self._closing.wait(self._pause_seconds())

    def _pause_seconds(self) -> float:
        """Return the time to the next call. A holder that had to look its lease up writes it again at once."""
        held = self._held
        if held is None:
            return max(POLL_SECONDS, self._fleet.members / _READS_A_SECOND)
        return max(0.0, held.renewed_at + self._ttl / 3 - self._clock())

    def _renew(self, held: Held) -> None:
        began = self._clock()
        written = self._store.write(str(held.slot), held.lease)
        if written is not None:
            self._held = held._replace(lease=written, renewed_at=began)
            return
        there = self._store.read(str(held.slot))
        if there is not None and there.owner == self.owner:
            # The answer to an earlier write was lost. What it wrote is renewed next.
            self._held = held._replace(lease=there)
            return
        self._held = None
        self._seen[held.slot] = (there or Lease("", 0), self._clock())
        self._problems.log(events.LEASE_LOST, slot=held.slot, holder=there.owner if there else "")
        self._note(held)
        self._on_change()

    def _seek(self) -> None:
        """Take a slot that is free, that of before first."""
        last = read_slot(self._state_dir)
        first = last.slot if last is not None and last.slot is not None and last.slot < self._fleet.members else 0
        for number in range(self._fleet.members):
            slot = (first + number) % self._fleet.members
            there = self._store.read(str(slot))
            if self._is_free(slot, there) and self._taken(slot, there, last):
                return

    def _is_free(self, slot: int, there: Lease | None) -> bool:
        if there is None or there.owner in ("", self.owner):
            return True
        before = self._seen.get(slot)
        if before is None or before[0].etag != there.etag:
            self._seen[slot] = (there, self._clock())
            return False
        return self._clock() - before[1] >= self._ttl

    def _taken(self, slot: int, there: Lease | None, last: Slot | None) -> bool:
        before = there or Lease("", 0)
        is_own = before.owner == self.owner
        began = self._clock()
        generation = before.generation if is_own else before.generation + 1
        written = self._store.write(str(slot), Lease(self.owner, generation, before.etag))
        if written is None:
            return False
        is_anothers = last is None or (last.slot, last.generation) != (slot, generation - 1)
        self._seen[slot] = (written, began)
        self._held = held = Held(slot, written, began, is_anothers)
        self._problems.log(
            events.LEASE_TAKEN, slot=slot, members=self._fleet.members, generation=generation, before=before.owner
        )
        self._note(held)
        self._on_change()
        return True

    def _note(self, last: Held | None = None) -> None:
        """Write down for `syncd status`, and for the next start, which slot this process has or last had."""
        is_held = self._held is not None
        kept = read_slot(self._state_dir) if last is None else None
        slot = last.slot if last is not None else kept.slot if kept is not None else None
        generation = last.lease.generation if last is not None else kept.generation if kept is not None else 0
        noted = Slot(slot=slot, generation=generation, is_held=is_held, owner=self.owner, at=self._now())
        try:
            write_slot(self._state_dir, noted)
        except OSError as error:
            self._problems.log(events.LEASE_UNAVAILABLE, reason="state_dir", detail=str(error))

    def _log_failure(self, error: JobFailed) -> None:
        self._problems.log(events.LEASE_UNAVAILABLE, reason=error.reason, detail=error.detail, remedy=error.remedy)
