"""The watch, once a second: the clock, stalled ticks, objectives, and systemd's watchdog."""

from collections.abc import Callable, Mapping
from typing import Any

from syncd.daemon.board import JobBoard, sentence
from syncd.daemon.notify import systemd as notify
from syncd.daemon.ticker import DaemonState
from syncd.daemon.ticks.schedule import ClockWatch, Schedule
from syncd.job.health.health import is_fresh
from syncd.model import events

_EVERY_LOOKS = 2
_WATCHDOG_SHARE = 1 / 3
"""systemd recommends half of its limit. A third leaves room for one look that comes late."""


class Watch:
    """The daemon's watch over itself and its jobs. Used by the main thread alone."""

    def __init__(
        self,
        state: DaemonState,
        schedule: Schedule,
        *,
        environ: Mapping[str, str],
        now: Callable[[], float],
        monotonic: Callable[[], float],
        is_stuck: Callable[[], str | None],
    ) -> None:
        """Ask `is_stuck` why the daemon is stuck. It returns None if the daemon is alive."""
        self._state = state
        self._schedule = schedule
        self._now = now
        self._monotonic = monotonic
        self._is_stuck = is_stuck
        self._clock = ClockWatch(now=now, monotonic=monotonic)
        self._objectives = Objectives(state.board, state.problems.log, now=now)
        self._systemd = notify.SystemdNotifier(environ)
        self._watchdog_seconds = notify.watchdog_seconds(environ)
        self._fed_at: float | None = None
        self._looks = 0
        self._sent = ""

    def notify(self, *assignments: str) -> None:
        """Send assignments to systemd."""
        self._systemd.send(*assignments)

    def notify_state(self, *assignments: str) -> None:
        """Send systemd a sentence on the daemon's state, unless it was sent last."""
        if not self._systemd.is_heard:
            return
        running = len(self._state.running.jobs())
        status = notify.status(sentence(self._state.board, running=running, now=self._now()))
        if assignments or status != self._sent:
            self._sent = status
            self._systemd.send(*assignments, status)

    def look(self) -> None:
        """Look at everything once."""
        if jump := self._clock.jump():
            self._log(events.CLOCK_JUMPED, seconds=round(jump, 1))
            self._schedule.follow_clock(jump)
        for tick in self._state.running.stalled():
            idle = int(self._monotonic() - tick.progressed_at)
            self._log(events.TICK_STALLED, job=tick.job, idle_seconds=idle)
        if self._looks % _EVERY_LOOKS == 0:
            self._objectives.look()
            self.notify_state()
        self._looks += 1
        self.feed_watchdog()

    def feed_watchdog(self) -> None:
        """Feed systemd's watchdog if that is due and the daemon is alive."""
        limit, now = self._watchdog_seconds, self._monotonic()
        if limit is None or (self._fed_at is not None and now - self._fed_at < limit * _WATCHDOG_SHARE):
            return
        stuck = self._is_stuck()
        if stuck is None:
            self._fed_at = now
            self._systemd.send(notify.WATCHDOG)
        else:
            self._log(events.WATCHDOG_WITHHELD, detail=stuck)

    def _log(self, event: str, **facts: Any) -> None:
        self._state.problems.log(event, **facts)


class Objectives:
    """The objectives that jobs miss: logged once when missed, and once when met again. Used by one thread."""

    def __init__(self, board: JobBoard, log: Callable[..., None], *, now: Callable[[], float]) -> None:
        self._board = board
        self._log = log
        self._now = now
        self._missed_at: dict[str, float] = {}
        self._seen_at: dict[str, float] = {}

    def look(self) -> None:
        """Judge every job again."""
        now = self._now()
        healths = {health.job: health for health in self._board.healths()}
        for job, health in healths.items():
            seen_at = self._seen_at.setdefault(job, now)
            if is_fresh(health, now):
                if (missed_at := self._missed_at.pop(job, None)) is not None:
                    self._log(events.OBJECTIVE_REGAINED, job=job, missed_seconds=int(now - missed_at))
            # A new job has as long as its objective for its first listing.
            elif job not in self._missed_at and (health.complete_until or now - seen_at > health.promise.objective):
                self._missed_at[job] = now
                self._log(events.OBJECTIVE_MISSED, job=job, why=self._board.why_late(health, now))
        for remembered in (self._missed_at, self._seen_at):
            for gone in remembered.keys() - healths.keys():
                del remembered[gone]
