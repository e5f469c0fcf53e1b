"""What the daemon looks at once a second, whatever its jobs do: the clock, what hangs, the objectives, the watchdog."""

from collections.abc import Callable, Mapping
from typing import Any

from syncd.daemon import systemd
from syncd.daemon.board import Board, sentence
from syncd.daemon.schedule import ClockWatch, Schedule
from syncd.daemon.ticker import Parts
from syncd.job.health.health import is_fresh
from syncd.model import events

_EVERY_LOOKS = 2
_WATCHDOG_SHARE = 1 / 3
"""systemd recommends half of its limit; a third leaves room for one look that comes late."""


class Vigil:
    """Called by the main thread alone."""

    def __init__(
        self,
        parts: Parts,
        schedule: Schedule,
        *,
        environ: Mapping[str, str],
        now: Callable[[], float],
        monotonic: Callable[[], float],
        is_stuck: Callable[[], str | None],
    ) -> None:
        """`is_stuck` says why the daemon is not alive; None for alive."""
        self._parts = parts
        self._schedule = schedule
        self._monotonic = monotonic
        self._is_stuck = is_stuck
        self._clock = ClockWatch(now=now, monotonic=monotonic)
        self._objectives = Objectives(parts.board, parts.complaints.tell, now=now)
        self._notifier = systemd.Notifier(environ)
        self._watchdog_seconds = systemd.watchdog_seconds(environ)
        self._fed_at: float | None = None
        self._looks = 0
        self._state = ""

    def notify(self, *assignments: str) -> None:
        """Tell systemd."""
        self._notifier.send(*assignments)

    def notify_state(self, *assignments: str) -> None:
        """Tell systemd, with a sentence on how things are; nothing where it would be told what it was told last."""
        running = len(self._parts.flights.jobs())
        state = systemd.status(sentence(self._parts.board, running=running))
        if assignments or state != self._state:
            self._state = state
            self._notifier.send(*assignments, state)

    def look(self) -> None:
        """Look at everything."""
        if jump := self._clock.jump():
            self._tell(events.CLOCK_JUMPED, seconds=round(jump, 1))
            self._schedule.follow_clock(jump)
        for flight in self._parts.flights.stalled():
            idle = int(self._monotonic() - flight.progressed_at)
            self._tell(events.TICK_STALLED, job=flight.job, idle_seconds=idle)
        if self._looks % _EVERY_LOOKS == 0:
            self._objectives.look()
            self.notify_state()
        self._looks += 1
        self.feed()

    def feed(self) -> None:
        """Feed systemd's watchdog where it is due and the daemon is alive."""
        limit, now = self._watchdog_seconds, self._monotonic()
        if limit is None or (self._fed_at is not None and now - self._fed_at < limit * _WATCHDOG_SHARE):
            return
        stuck = self._is_stuck()
        if stuck is None:
            self._fed_at = now
            self._notifier.send(systemd.WATCHDOG)
        else:
            self._tell(events.WATCHDOG_WITHHELD, detail=stuck)

    def _tell(self, event: str, **facts: Any) -> None:
        self._parts.complaints.tell(event, **facts)


class Objectives:
    """Says when a job misses its objective, and when it keeps it again: once each. Called by one thread."""

    def __init__(self, board: Board, tell: Callable[..., None], *, now: Callable[[], float]) -> None:
        self._board = board
        self._tell = tell
        self._now = now
        self._missed_at: dict[str, float] = {}
        self._seen_at: dict[str, float] = {}

    def look(self) -> None:
        """Judge every job anew."""
        now = self._now()
        standings = {standing.job: standing for standing in self._board.standings()}
        for job, standing in standings.items():
            seen_at = self._seen_at.setdefault(job, now)
            if is_fresh(standing, now):
                if (missed_at := self._missed_at.pop(job, None)) is not None:
                    self._tell(events.OBJECTIVE_REGAINED, job=job, missed_seconds=int(now - missed_at))
            # A job that is new has the objective's time for its first listing.
            elif job not in self._missed_at and (standing.complete_until or now - seen_at > standing.promise.objective):
                self._missed_at[job] = now
                self._tell(events.OBJECTIVE_MISSED, job=job, why=self._board.why_late(standing, now))
        for remembered in (self._missed_at, self._seen_at):
            for gone in remembered.keys() - standings.keys():
                del remembered[gone]
