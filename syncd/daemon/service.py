"""The daemon: each job on its own schedule, until a signal ends it.

One tick of a job runs at a time. The main thread waits for one command at a time. Signal handlers and ticks only queue commands.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from queue import Empty, SimpleQueue

from syncd.config.job import Configuration
from syncd.daemon import logs
from syncd.daemon.board import stuck_reason
from syncd.daemon.fleet.fleet import Share
from syncd.daemon.hints.listening import Hints
from syncd.daemon.notify import heartbeat, systemd
from syncd.daemon.reload import ConfigWatch, CurrentJobs, JobChanges, RefusedJobs, job_changes, reload_facts, reread
from syncd.daemon.ticker import DaemonState, Ticker
from syncd.daemon.ticks.commands import Command, signals
from syncd.daemon.ticks.draining import drain
from syncd.daemon.ticks.gate import Gate
from syncd.daemon.ticks.schedule import Schedule
from syncd.daemon.watch import Watch
from syncd.daemon.web.gauges import Gauges
from syncd.daemon.web.port import StatusPort
from syncd.daemon.web.site import RESERVED, Site
from syncd.job.exit_codes import DONE, STATE_UNWRITABLE
from syncd.job.installation import Installation
from syncd.model import events
from syncd.model.errors import ConfigError

LOOK_SECONDS = 1.0
STOP_MARGIN_SECONDS = 10.0
REJECTED_AGAIN_SECONDS = 20.0
NAMES_LOGGED = 20


def run(configuration: Configuration, *, now: Callable[[], float], tell: Callable[..., None]) -> int:
    """Tick every job on its schedule until SIGTERM or SIGINT.

    Returns the exit code: 0, or 5 if the state cannot be written. Ends the process itself if a tick outlives the drain
    limit and all attempts to stop it.
    """
    daemon = Daemon(configuration, now=now, tell=tell, environ=os.environ)
    with signals(daemon.ask):
        code = daemon.run()
    if daemon.leaves_ticks_behind:
        # Their threads would keep the interpreter waiting. What they did is recorded, or will be found again.
        sys.stdout.flush()
        logs.STDERR.drain()
        os._exit(code)
    return code


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
        self._whole = configuration
        self._now = now
        self._monotonic = monotonic
        self._inbox: SimpleQueue[Command] = SimpleQueue()  # its put is reentrant, as a signal handler needs
        self._has_lapsed = False
        self._is_stale = bool(configuration.refused)
        self._unready: str | None = "the daemon is starting"
        self._config_watch = ConfigWatch(configuration)
        self._state = DaemonState.of(now=now, monotonic=monotonic, tell=tell, gauges=self._gauges)
        self._log = self._state.problems.log
        self._share = Share(configuration, self._state.problems, now=now, on_change=lambda: self.ask(Command.SHARE))
        self._configuration = self._share.of(configuration)
        self._gate = Gate(self._share.may_tick)
        self._jobs = CurrentJobs(self._state)
        self._refused = RefusedJobs(self._state, monotonic=monotonic)
        self._ticker = Ticker(
            Installation.of(configuration, now=now, tell=self._log),
            self._state,
            find_job=self._jobs.find,
            on_unwritable=lambda: self.ask(Command.STATE_UNWRITABLE),
            on_rejected=lambda name: self._schedule.hasten(name, seconds_from_now=REJECTED_AGAIN_SECONDS),
            gate=self._gate,
        )
        self._hints = Hints(
            self._ticker.follow_hints, self._state.problems, count=self._state.metrics.take_hint, monotonic=monotonic
        )
        self._schedule = Schedule(self._ticker.tick, now=now, on_overrun=self._ticker.overrun)
        self._heartbeat = heartbeat.Heartbeat(self._well, self._state.problems)
        self._watch = Watch(
            self._state, self._schedule, environ=environ, now=now, monotonic=monotonic, is_stuck=self._stuck_reason
        )
        self._port = StatusPort(self._site().answer, self._state.problems, reserved=RESERVED)

    def _site(self) -> Site:
        return Site(
            self._state.board,
            self._state.metrics,
            self._ticker.installation.ledger_file,
            find_job=self._jobs.find,
            stuck_reason=self._stuck_reason,
            unready_reason=lambda: self._unready or self._share.lapsed_reason() or self._stuck_reason(),
            now=self._now,
            notes=lambda: [*self._share.notes(), *self._hints.notes()],
        )

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
                    self._reload(anew=True)
                    self._try_again()
                elif command is Command.SHARE:
                    self._take_share()
                else:
                    self._look()
            code = STATE_UNWRITABLE if command is Command.STATE_UNWRITABLE else DONE
        finally:
            self._stop(code)
        return code

    def _start(self) -> None:
        jobs = self._configuration.jobs
        self._watch.notify(systemd.status("starting"))
        self._port.follow(self._configuration.settings.http)
        self._refused.take(self._configuration.refused)
        self._ticker.read_health(jobs)
        self._jobs.begin(jobs, self._schedule)
        self._schedule.start()
        self._heartbeat.follow(heartbeat.beats(self._configuration))
        self._hints.follow(self._configuration, listens=not self._share.is_standing_by)
        self._share.begin()
        self._unready = None
        self._log(events.DAEMON_STARTED, jobs=len(jobs))
        self._watch.notify_state(systemd.READY)

    def _next(self, seconds: float) -> Command | None:
        try:
            return self._inbox.get(timeout=seconds)
        except Empty:
            return None

    def _look(self) -> None:
        self._watch.look()
        is_lapsed = self._share.lapsed_reason() is not None
        if is_lapsed:
            self._state.running.stop_all()
        elif self._has_lapsed:
            for name in self._jobs.names():
                self._schedule.hasten(name)
        self._has_lapsed = is_lapsed
        self._refused.remind()
        self._port.listen()
        if self._config_watch.is_due(self._whole):
            self._reload(anew=False)

    def _well(self) -> list[heartbeat.Beat]:
        """Return the heartbeats of what is well."""
        if self._stuck_reason() is not None or not self._share.may_tick():
            return []
        late = {item.job for item in self._state.board.late()}
        found = heartbeat.beats(self._configuration)
        return [beat for beat in found if (beat.job not in late if beat.job else not late and not self._is_stale)]

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
            queues=self._hints.queues(),
            **self._share.gauges(),
            known=dict(self._ticker.known),
            prices=configuration.settings.prices,
            engine=configuration.settings.engine,
            job_metrics=configuration.settings.http.job_metrics,
            job_engines={job.name: job.engine for job in configuration.jobs},
        )

    def _reload(self, *, anew: bool) -> None:
        """Read the files again. A broken edit is refused, and the old configuration stays."""
        self._watch.notify(*systemd.reloading())
        before = self._configuration
        self._config_watch.begin(self._whole)
        try:
            self._whole = reread(self._whole, anew=anew)
        except ConfigError as error:
            self._is_stale = True
            self._state.metrics.take_reload("refused")
            problems = [str(problem) for problem in error.problems]
            self._log(events.CONFIGURATION_REFUSED, problems=problems[:NAMES_LOGGED], problem_count=len(problems))
        else:
            self._is_stale = bool(self._whole.refused)
            self._state.metrics.take_reload("done")
            changes = self._apply(before, self._share.of(self._whole))
            facts = reload_facts(changes, self._configuration, most=NAMES_LOGGED)
            self._log(events.CONFIGURATION_RELOADED, **facts)
        self._config_watch.note(self._whole)
        self._watch.notify_state(systemd.READY)

    def _take_share(self) -> None:
        """Run the jobs of the slot that was taken, or none after it was lost."""
        after = self._share.of(self._whole)
        if self._share.is_anothers:
            self._gate.recall(job.name for job in after.jobs)
        self._apply(self._configuration, after)

    def _apply(self, before: Configuration, after: Configuration) -> JobChanges:
        self._configuration = after
        settings = after.settings
        logs.configure(settings.log)
        self._ticker.installation = replace(self._ticker.installation, settings=settings)
        self._heartbeat.follow(heartbeat.beats(self._configuration))
        self._port.follow(settings.http)
        changes = job_changes(before.jobs, after.jobs)
        self._jobs.apply(changes, self._schedule)
        self._refused.take(after.refused)
        self._ticker.read_health([*changes.added, *changes.changed])
        self._hints.follow(after, listens=not self._share.is_standing_by)
        return changes

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
        self._watch.notify(
            systemd.STOPPING, systemd.status(waiting), systemd.extend_timeout(limit + STOP_MARGIN_SECONDS)
        )
        self._schedule.close()
        self._hints.close()
        self._heartbeat.close()
        running.close()
        self.leaves_ticks_behind = not drain(
            running,
            limit,
            is_urged=self._is_urged,
            abandon=self._ticker.installation.abandon,
            tell_abandoned=lambda jobs: self._log(events.DAEMON_ABANDONED, jobs=jobs[:NAMES_LOGGED]),
        )
        self._share.close()
        self._ticker.close()
        self._port.close()
        self._log(events.DAEMON_STOPPED, exit_code=code, left_behind=running.jobs())

    def _is_urged(self) -> bool:
        """Return true if a second signal came. Feeds the watchdog meanwhile."""
        self._watch.feed_watchdog()
        return self._next(0) is Command.STOP
