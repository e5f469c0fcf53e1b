"""The daemon: each job on its own schedule, until a signal ends it.

One tick of a job runs at a time. The main thread waits for one command at a time. Signal handlers and ticks only queue commands.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from queue import Empty, SimpleQueue

from syncd.config.job import Configuration
from syncd.daemon import logs, notify
from syncd.daemon.board import stuck_reason
from syncd.daemon.reload import ConfigWatch, CurrentJobs, RefusedJobs, job_changes, reread
from syncd.daemon.schedule import Schedule
from syncd.daemon.ticker import DaemonState, Ticker
from syncd.daemon.watch import Watch
from syncd.daemon.web.gauges import Gauges
from syncd.daemon.web.port import StatusPort
from syncd.daemon.web.site import RESERVED, Site
from syncd.job.exit_codes import DONE, STATE_UNWRITABLE
from syncd.job.installation import Installation
from syncd.model import events
from syncd.model.errors import ConfigError

LOOK_SECONDS = 1.0
POLL_SECONDS = 0.1
RECORDING_SECONDS = 1.0
"""Objects in flight are abandoned this long before the drain limit, which leaves time to record what is done."""
RECORDING_PATIENCE_SECONDS = 5.0
"""The longest that recording may take after a second signal, on a busy disk and within the drain limit."""
STOP_MARGIN_SECONDS = 10.0
REJECTED_AGAIN_SECONDS = 20.0
NAMES_LOGGED = 20


class Command(Enum):
    """A command to the main thread."""

    STOP = "stop"
    RELOAD = "reload"
    STATE_UNWRITABLE = "state unwritable"


_SIGNALS = {signal.SIGTERM: Command.STOP, signal.SIGINT: Command.STOP, signal.SIGHUP: Command.RELOAD}


def run(configuration: Configuration, *, now: Callable[[], float], tell: Callable[..., None]) -> int:
    """Tick every job on its schedule until SIGTERM or SIGINT.

    Returns the exit code: 0, or 5 if the state cannot be written. Ends the process itself if a tick outlives the drain
    limit and all attempts to stop it.
    """
    daemon = Daemon(configuration, now=now, tell=tell, environ=os.environ)
    with _signals(daemon.ask):
        code = daemon.run()
    if daemon.leaves_ticks_behind:
        # Their threads would keep the interpreter waiting. What they did is recorded, or will be found again.
        sys.stdout.flush()
        logs.STDERR.drain()
        os._exit(code)
    return code


@contextmanager
def _signals(ask: Callable[[Command], None]) -> Iterator[None]:
    before = {
        number: signal.signal(number, lambda _number, _frame, command=command: ask(command))  # type: ignore[misc]
        for number, command in _SIGNALS.items()
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Daemon:
    """The daemon's parts, and its main thread.

    Shared: the main thread alone writes `_configuration`, `_is_stale` and `_unready`, the threads of the heartbeat and of
    the status port read them. Each is one attribute, which the GIL writes whole. Any thread may queue a command.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        now: Callable[[], float],
        tell: Callable[..., None],
        environ: Mapping[str, str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.leaves_ticks_behind = False
        self._configuration = configuration
        self._now = now
        self._monotonic = monotonic
        self._inbox: SimpleQueue[Command] = SimpleQueue()  # its put is reentrant, as a signal handler needs
        self._is_stale = bool(configuration.refused)
        self._unready: str | None = "the daemon is starting"
        self._config_watch = ConfigWatch(configuration)
        self._state = DaemonState.of(now=now, monotonic=monotonic, tell=tell, gauges=self._gauges)
        self._log = self._state.problems.log
        self._jobs = CurrentJobs(self._state)
        self._refused = RefusedJobs(self._state, monotonic=monotonic)
        self._ticker = Ticker(
            Installation.of(configuration, now=now, tell=self._log),
            self._state,
            find_job=self._jobs.find,
            on_unwritable=lambda: self.ask(Command.STATE_UNWRITABLE),
            on_rejected=lambda name: self._schedule.hasten(name, seconds_from_now=REJECTED_AGAIN_SECONDS),
        )
        self._schedule = Schedule(self._ticker.tick, now=now, on_overrun=self._ticker.overrun)
        self._heartbeat = notify.Heartbeat(self._well, self._state.problems)
        self._watch = Watch(
            self._state, self._schedule, environ=environ, now=now, monotonic=monotonic, is_stuck=self._stuck_reason
        )
        site = Site(
            self._state.board,
            self._state.metrics,
            self._ticker.installation.ledger_file,
            find_job=self._jobs.find,
            stuck_reason=self._stuck_reason,
            unready_reason=lambda: self._unready or self._stuck_reason(),
            now=now,
        )
        self._port = StatusPort(site.answer, self._state.problems, reserved=RESERVED)

    @property
    def address(self) -> str | None:
        """The address of the status port, or None."""
        return self._port.address

    def ask(self, command: Command) -> None:
        """Queue a command for the main thread. Safe in a signal handler."""
        self._inbox.put(command)

    def run(self) -> int:
        """Run until a command ends it, and return the exit code."""
        code = DONE
        try:
            self._start()
            while (command := self._next(LOOK_SECONDS)) not in (Command.STOP, Command.STATE_UNWRITABLE):
                if command is Command.RELOAD:
                    self._reload()
                    self._try_again()
                else:
                    self._look()
            code = STATE_UNWRITABLE if command is Command.STATE_UNWRITABLE else DONE
        finally:
            self._stop(code)
        return code

    def _start(self) -> None:
        jobs = self._configuration.jobs
        self._watch.notify(notify.status("starting"))
        self._port.follow(self._configuration.settings.http)
        self._refused.take(self._configuration.refused)
        self._ticker.read_health(jobs)
        self._jobs.begin(jobs, self._schedule)
        self._schedule.start()
        self._heartbeat.follow(notify.beats(self._configuration))
        self._unready = None
        self._log(events.DAEMON_STARTED, jobs=len(jobs))
        self._watch.notify_state(notify.READY)

    def _next(self, seconds: float) -> Command | None:
        try:
            return self._inbox.get(timeout=seconds)
        except Empty:
            return None

    def _look(self) -> None:
        self._watch.look()
        self._refused.remind()
        self._port.listen()
        if self._config_watch.is_due(self._configuration):
            self._reload()

    def _well(self) -> list[notify.Beat]:
        """Return the heartbeats of what is well."""
        if self._stuck_reason() is not None:
            return []
        late = {item.job for item in self._state.board.late()}
        return [
            beat
            for beat in notify.beats(self._configuration)
            if (beat.job not in late if beat.job else not late and not self._is_stale)
        ]

    def _stuck_reason(self) -> str | None:
        return stuck_reason(
            self._state.running, silent_seconds=self._schedule.silent_seconds(), slow=self._schedule.slow()
        )

    def _gauges(self) -> Gauges:
        configuration, pauses = self._configuration, self._state.pauses
        return Gauges(
            now=self._now(),
            healths=self._state.board.healths(),
            paused={name: pauses.seconds_left(name) for name in self._jobs.names()},
            running=self._state.running.jobs(),
            stalled=len(self._state.running.stalled()),
            ledger_bytes=self._ticker.ledger_bytes(),
            is_configuration_stale=self._is_stale,
            refused=self._state.board.refused(),
            engine=configuration.settings.engine,
            job_metrics=configuration.settings.http.job_metrics,
            job_engines={job.name: job.engine for job in configuration.jobs},
        )

    def _reload(self) -> None:
        """Read the files again. A broken edit is refused, and the old configuration stays."""
        self._watch.notify(*notify.reloading())
        before = self._configuration
        self._config_watch.begin(before)
        try:
            after = reread(before)
        except ConfigError as error:
            self._is_stale = True
            self._state.metrics.take_reload("refused")
            problems = [str(problem) for problem in error.problems]
            self._log(events.CONFIGURATION_REFUSED, problems=problems[:NAMES_LOGGED], problem_count=len(problems))
        else:
            self._is_stale = bool(after.refused)
            self._state.metrics.take_reload("done")
            self._apply(before, after)
        self._config_watch.note(self._configuration)
        self._watch.notify_state(notify.READY)

    def _apply(self, before: Configuration, after: Configuration) -> None:
        self._configuration = after
        settings = after.settings
        logs.configure(settings.log)
        self._ticker.installation = replace(self._ticker.installation, settings=settings)
        self._heartbeat.follow(notify.beats(self._configuration))
        self._port.follow(settings.http)
        changes = job_changes(before.jobs, after.jobs)
        self._jobs.apply(changes, self._schedule)
        self._refused.take(after.refused)
        self._ticker.read_health([*changes.added, *changes.changed])
        self._log(
            events.CONFIGURATION_RELOADED,
            added=[job.name for job in changes.added[:NAMES_LOGGED]],
            changed=[job.name for job in changes.changed[:NAMES_LOGGED]],
            removed=list(changes.removed[:NAMES_LOGGED]),
            jobs=len(after.jobs),
            refused=[job.label for job in after.refused[:NAMES_LOGGED]],
        )

    def _try_again(self) -> None:
        """End all pauses after SIGHUP, and log problems that persist again."""
        for name in self._jobs.names():
            self._state.problems.log_again(name)
        for name in self._state.pauses.end_all():
            self._schedule.hasten(name)

    def _stop(self, code: int) -> None:
        """Finish the objects in flight, within the drain limit."""
        running, limit = self._state.running, self._configuration.settings.drain.total_seconds()
        jobs = running.jobs()
        self._unready = "the daemon is stopping"
        self._log(events.DAEMON_STOPPING, running=jobs[:NAMES_LOGGED], running_count=len(jobs))
        waiting = f"stopping; objects in flight of {len(jobs)} ticks are finished first" if jobs else "stopping"
        self._watch.notify(notify.STOPPING, notify.status(waiting), notify.extend_timeout(limit + STOP_MARGIN_SECONDS))
        self._schedule.close()
        self._heartbeat.close()
        running.close()
        self.leaves_ticks_behind = not self._drain(limit)
        self._ticker.installation.close()
        self._port.close()
        self._log(events.DAEMON_STOPPED, exit_code=code, left_behind=running.jobs())

    def _drain(self, limit: float) -> bool:
        """Wait for all ticks to end. A second signal or the limit abandons the objects in flight.

        Returns false if a tick is still running.
        """
        running, ends_at = self._state.running, self._monotonic() + limit
        while self._monotonic() < ends_at - RECORDING_SECONDS and not running.wait(POLL_SECONDS):
            self._watch.feed_watchdog()
            if self._next(0) is Command.STOP:
                break
        if running.wait(0):
            return True
        self._log(events.DAEMON_ABANDONED, jobs=running.jobs()[:NAMES_LOGGED])
        now = self._monotonic()
        abandons_until = now + max(RECORDING_SECONDS, min(ends_at - now, RECORDING_PATIENCE_SECONDS))
        while self._monotonic() < abandons_until:
            # Repeated, since a copy that was abandoned may still have a request to send.
            self._ticker.installation.abandon()
            if running.wait(POLL_SECONDS):
                return True
        return False
