"""The daemon: each job on its own schedule, one tick of a job at a time, until a signal says otherwise.

The main thread only waits, for one message at a time; signal handlers and ticks only leave messages.
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
from syncd.daemon import logs, systemd
from syncd.daemon.board import stuck_reason
from syncd.daemon.heartbeat import Heartbeat
from syncd.daemon.left_out import LeftOut
from syncd.daemon.reload import Watch, difference, reread
from syncd.daemon.roster import Roster
from syncd.daemon.schedule import Schedule
from syncd.daemon.ticker import Parts, Ticker
from syncd.daemon.watch import Vigil
from syncd.daemon.web.gauges import Gauges
from syncd.daemon.web.server import WebServer
from syncd.daemon.web.site import RESERVED, Site
from syncd.job.installation import Installation
from syncd.job.report import DONE, STATE_UNWRITABLE
from syncd.model import events
from syncd.model.errors import ConfigError

LOOK_SECONDS = 1.0
POLL_SECONDS = 0.1
RECORDING_SECONDS = 1.0
"""So long before the drain limit objects in flight are given up, for what is done to be recorded."""
RECORDING_PATIENCE_SECONDS = 5.0
"""So long after a second signal what is done may take to be recorded, on a busy disk, if the limit is not reached."""
STOP_MARGIN_SECONDS = 10.0
NAMES_TOLD = 20


class Message(Enum):
    """What the main thread is asked to do."""

    STOP = "stop"
    RELOAD = "reload"
    STATE_UNWRITABLE = "state unwritable"


_SIGNALS = {signal.SIGTERM: Message.STOP, signal.SIGINT: Message.STOP, signal.SIGHUP: Message.RELOAD}


def run(configuration: Configuration, *, now: Callable[[], float], tell: Callable[..., None]) -> int:
    """Tick every job on its schedule until SIGTERM or SIGINT; the exit code: 0, or 5 where the state cannot be written.

    Does not return where a tick outlives the drain limit and all attempts to end it: the process then ends at once.
    """
    daemon = Daemon(configuration, now=now, tell=tell, environ=os.environ)
    with _signals(daemon.ask):
        code = daemon.run()
    if daemon.leaves_ticks_behind:
        # Their threads would keep the interpreter waiting. Whatever they did is recorded, or found again.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


@contextmanager
def _signals(ask: Callable[[Message], None]) -> Iterator[None]:
    before = {
        number: signal.signal(number, lambda _number, _frame, message=message: ask(message))  # type: ignore[misc]
        for number, message in _SIGNALS.items()
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Daemon:
    """The schedule, what it runs, and what is known of it."""

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
        self._inbox: SimpleQueue[Message] = SimpleQueue()  # its put may interrupt itself, as a signal handler does
        self._is_stale = bool(configuration.refused)
        self._server: WebServer | None = None
        self._watch = Watch(configuration)
        self._parts = Parts.of(now=now, monotonic=monotonic, tell=tell, gauges=self._gauges)
        self._tell = self._parts.complaints.tell
        self._roster = Roster(self._parts)
        self._left_out = LeftOut(self._parts, monotonic=monotonic)
        self._ticker = Ticker(
            Installation.of(configuration, now=now, tell=self._tell),
            self._parts,
            find_job=self._roster.find,
            on_unwritable=lambda: self.ask(Message.STATE_UNWRITABLE),
        )
        self._schedule = Schedule(self._ticker.tick, now=now, on_overrun=self._ticker.overrun)
        self._heartbeat = Heartbeat(self._is_well, self._parts.complaints)
        self._vigil = Vigil(
            self._parts, self._schedule, environ=environ, now=now, monotonic=monotonic, is_stuck=self._stuck_reason
        )
        self._site = Site(
            self._parts.board,
            self._parts.metrics,
            self._ticker.installation.ledger_file,
            find_job=self._roster.find,
            stuck_reason=self._stuck_reason,
            now=now,
        )

    @property
    def address(self) -> str | None:
        """Where it answers over HTTP."""
        return self._server.address if self._server else None

    def ask(self, message: Message) -> None:
        """Leave a message for the main thread; a signal handler may."""
        self._inbox.put(message)

    def run(self) -> int:
        """Until a message says to stop; the exit code."""
        code = DONE
        try:
            self._start()
            while (message := self._next(LOOK_SECONDS)) not in (Message.STOP, Message.STATE_UNWRITABLE):
                if message is Message.RELOAD:
                    self._reload()
                    self._try_again()
                else:
                    self._look()
            code = STATE_UNWRITABLE if message is Message.STATE_UNWRITABLE else DONE
        finally:
            self._stop(code)
        return code

    def _start(self) -> None:
        jobs = self._configuration.jobs
        self._vigil.notify(systemd.status("starting"))
        self._listen()
        self._left_out.take(self._configuration.refused)
        self._ticker.read_standings(jobs)
        self._roster.begin(jobs, self._schedule)
        self._schedule.start()
        self._heartbeat.follow(self._configuration.settings.heartbeat_url)
        self._tell(events.DAEMON_STARTED, jobs=len(jobs))
        self._vigil.notify_state(systemd.READY)

    def _next(self, seconds: float) -> Message | None:
        try:
            return self._inbox.get(timeout=seconds)
        except Empty:
            return None

    def _look(self) -> None:
        self._vigil.look()
        self._left_out.remind()
        if self._server is None:
            self._listen()
        if self._watch.is_due(self._configuration):
            self._reload()

    def _is_well(self) -> bool:
        return not self._is_stale and self._stuck_reason() is None and not self._parts.board.late()

    def _stuck_reason(self) -> str | None:
        return stuck_reason(
            self._parts.flights, silent_seconds=self._schedule.silent_seconds(), slow=self._schedule.slow()
        )

    def _gauges(self) -> Gauges:
        pauses = self._parts.pauses
        return Gauges(
            now=self._now(),
            standings=self._parts.board.standings(),
            paused={name: pauses.seconds_left(name) for name in self._roster.names()},
            running=self._parts.flights.jobs(),
            stalled=len(self._parts.flights.stalled()),
            ledger_bytes=self._ticker.ledger_bytes(),
            is_configuration_stale=self._is_stale,
            refused=self._parts.board.refused(),
            engine=self._configuration.settings.engine,
            job_engines={job.name: job.engine for job in self._configuration.jobs},
        )

    def _listen(self) -> None:
        """Answer over HTTP; copying goes on where that cannot be, and the next look tries again."""
        http = self._configuration.settings.http
        if http.address is None:
            return
        try:
            self._server = WebServer(
                http.address, self._site.answer, hosts=http.hosts, reserved=RESERVED, on_defect=self._page_crashed
            )
        except OSError as error:
            self._tell(events.HTTP_UNAVAILABLE, listen=http.listen, reason=error.strerror or type(error).__name__)
        else:
            self._parts.complaints.settle(events.HTTP_UNAVAILABLE)
            self._tell(events.HTTP_LISTENING, address=self._server.address)

    def _page_crashed(self, path: str, error: Exception) -> None:
        self._tell(events.HTTP_CRASHED, path=path, reason=type(error).__name__, detail=str(error), exc_info=error)

    def _reload(self) -> None:
        """Read the files again. A broken edit is refused, and what was read before stays."""
        self._vigil.notify(*systemd.reloading())
        before = self._configuration
        self._watch.begin(before)
        try:
            after = reread(before)
        except ConfigError as error:
            self._is_stale = True
            self._parts.metrics.take_reload("refused")
            problems = [str(problem) for problem in error.problems]
            self._tell(events.CONFIGURATION_REFUSED, problems=problems[:NAMES_TOLD], problem_count=len(problems))
        else:
            self._is_stale = bool(after.refused)
            self._parts.metrics.take_reload("done")
            self._apply(before, after)
        self._watch.note(self._configuration)
        self._vigil.notify_state(systemd.READY)

    def _apply(self, before: Configuration, after: Configuration) -> None:
        self._configuration = after
        settings = after.settings
        logs.configure(settings.log)
        self._ticker.installation = replace(self._ticker.installation, settings=settings)
        self._heartbeat.follow(settings.heartbeat_url)
        if settings.http != before.settings.http:
            self._close_server()
            self._listen()
        found = difference(before.jobs, after.jobs)
        self._roster.apply(found, self._schedule)
        self._left_out.take(after.refused)
        self._ticker.read_standings([*found.added, *found.changed])
        self._tell(
            events.CONFIGURATION_RELOADED,
            added=[job.name for job in found.added[:NAMES_TOLD]],
            changed=[job.name for job in found.changed[:NAMES_TOLD]],
            removed=list(found.removed[:NAMES_TOLD]),
            jobs=len(after.jobs),
            refused=[job.label for job in after.refused[:NAMES_TOLD]],
        )

    def _try_again(self) -> None:
        """Somebody asks: jobs that are paused need not wait."""
        for name in self._roster.names():
            self._parts.complaints.say_again(name)
        for name in self._parts.pauses.cut_short():
            self._schedule.hasten(name)

    def _stop(self, code: int) -> None:
        """Let what is in flight come to its end, for as long as the drain limit says."""
        flights, limit = self._parts.flights, self._configuration.settings.drain.total_seconds()
        running = flights.jobs()
        self._tell(events.DAEMON_STOPPING, running=running[:NAMES_TOLD], running_count=len(running))
        waiting = f"stopping; objects in flight of {len(running)} ticks are finished first" if running else "stopping"
        self._vigil.notify(
            systemd.STOPPING, systemd.status(waiting), systemd.extend_timeout(limit + STOP_MARGIN_SECONDS)
        )
        self._schedule.close()
        self._heartbeat.close()
        flights.close()
        self.leaves_ticks_behind = not self._drain(limit)
        self._ticker.installation.close()
        self._close_server()
        self._tell(events.DAEMON_STOPPED, exit_code=code, left_behind=flights.jobs())

    def _drain(self, limit: float) -> bool:
        """Whether all ticks have ended; a second signal, and the limit, give up what is in flight."""
        flights, ends_at = self._parts.flights, self._monotonic() + limit
        while self._monotonic() < ends_at - RECORDING_SECONDS and not flights.wait(POLL_SECONDS):
            self._vigil.feed()
            if self._next(0) is Message.STOP:
                break
        if flights.wait(0):
            return True
        self._tell(events.DAEMON_ABANDONED, jobs=flights.jobs()[:NAMES_TOLD])
        now = self._monotonic()
        gives_up_at = now + max(RECORDING_SECONDS, min(ends_at - now, RECORDING_PATIENCE_SECONDS))
        while self._monotonic() < gives_up_at:
            # Again and again, since a copy that is given up may still have a request to send.
            self._ticker.installation.abandon()
            if flights.wait(POLL_SECONDS):
                return True
        return False

    def _close_server(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
