"""The threads that listen to queues of hints, one to each."""

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from syncd.aws.queues import Message, Queues
from syncd.config.job import Configuration
from syncd.daemon.hints.routes import Routes
from syncd.daemon.hints.shapes import Word, read
from syncd.daemon.log.repeats import RepeatedProblems
from syncd.daemon.ticks.hinted import HintedTicks
from syncd.model import events
from syncd.model.errors import JobFailed

FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 300.0
PARKED_SECONDS = 5.0
"""A queue that was taken out of the configuration is looked for in it again after this time, or sooner."""


class Hints:
    """The queues that are listened to, and what becomes of their messages.

    A message is deleted at once, whatever it says: it hastens a tick, and the schedule finds everything without it.

    Shared: the main thread writes `_routes`, `_queues` and `_is_closed`, the threads of the queues read them. Each is one
    attribute, which the GIL writes whole. The thread of a queue alone writes its entry of `_failing`.
    """

    def __init__(
        self,
        tick: Callable[[str, Collection[str]], bool],
        problems: RepeatedProblems,
        *,
        count: Callable[[str], None],
        monotonic: Callable[[], float],
    ) -> None:
        """Tick a job's keys with `tick`. It returns false if another tick of the job is running."""
        self._problems = problems
        self._count = count
        self._client = Queues()
        self._ticks = HintedTicks(tick, monotonic=monotonic)
        self._routes = Routes(())
        self._queues: Sequence[str] = ()
        self._failing: dict[str, JobFailed] = {}
        self._wake = threading.Condition()
        self._listened: set[str] = set()
        self._is_closed = False

    def follow(self, configuration: Configuration, *, listens: bool = True) -> None:
        """Listen to the queues of a configuration, and to no others. Those that failed are tried again now.

        Without `listens`, leave what comes to others.
        """
        hints = configuration.settings.hints
        queues = hints.queues if listens else ()
        self._routes = Routes(configuration.jobs) if queues else Routes(())
        self._queues = queues
        if queues:
            self._ticks.begin(hints.settle.total_seconds())
        with self._wake:
            self._wake.notify_all()
        for queue in set(queues) - self._listened:
            self._listened.add(queue)
            threading.Thread(target=self._listen, args=(queue,), name="hints", daemon=True).start()

    def close(self) -> None:
        """Begin no more ticks and listen no more, without waiting for a call under way."""
        self._is_closed = True
        self._ticks.close()
        with self._wake:
            self._wake.notify_all()

    def queues(self) -> Mapping[str, bool]:
        """Return each queue, and whether its last call succeeded."""
        return {queue: queue not in self._failing for queue in self._queues}

    def notes(self) -> list[tuple[str, str]]:
        """Return a sentence about the queues, and one with a remedy about each that fails."""
        queues, failing = self._queues, dict(self._failing)
        if not queues:
            return []
        number = "1 queue" if len(queues) == 1 else f"{len(queues)} queues"
        found = [(f"Listens to {number} of hints.", "")]
        return found + [(f"Hints: {error.reason}: {error.detail}", error.remedy) for error in failing.values()]

    def _listen(self, queue: str) -> None:
        """Listen to a queue until the daemon ends, and wait while it is not in the configuration."""
        backoff_seconds = FIRST_BACKOFF_SECONDS
        while not self._is_closed:
            if queue not in self._queues:
                self._failing.pop(queue, None)
                self._pause(PARKED_SECONDS)
                continue
            try:
                messages = self._client.receive(queue)
                self._take(messages)
                self._client.delete(queue, messages)
            except JobFailed as error:
                self._failing[queue] = error
                self._log(
                    events.HINTS_UNAVAILABLE,
                    queue=queue,
                    reason=error.reason,
                    detail=error.detail,
                    remedy=error.remedy,
                )
                self._pause(backoff_seconds)
                backoff_seconds = min(2 * backoff_seconds, LONGEST_BACKOFF_SECONDS)
            else:
                backoff_seconds = FIRST_BACKOFF_SECONDS
                self._recovered(queue)

    def _pause(self, seconds: float) -> None:
        """Wait, at most until the configuration is followed anew."""
        with self._wake:
            if not self._is_closed:
                self._wake.wait(seconds)

    def _recovered(self, queue: str) -> None:
        self._failing.pop(queue, None)
        over = self._problems.resolve(events.HINTS_UNAVAILABLE, queue)
        if over is not None:
            self._log(events.HINTS_RECOVERED, queue=queue, failures=over.times, failing_seconds=int(over.seconds))

    def _take(self, messages: Sequence[Message]) -> None:
        """Hand the hints of messages to the jobs that want them."""
        routes = self._routes
        wanted: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        for message in messages:
            self._count(self._read(message.body, routes, wanted))
        self._ticks.add(wanted)

    def _read(self, body: str, routes: Routes, wanted: Mapping[tuple[str, str], set[str]]) -> Word:
        """Note the keys that a message names, by job and shard. Returns what became of it."""
        said = read(body)
        if not said.hints:
            return said.word
        found = [(route, hint.key) for hint in said.hints for route in routes.jobs(hint)]
        taken = [(route, key) for route, key in found if self._ticks.has_room(route[0])]
        for route, key in taken:
            wanted[route].add(key)
        return Word.TAKEN if taken else Word.DROPPED if found else Word.FOREIGN

    def _log(self, event: str, **facts: Any) -> None:
        self._problems.log(event, **facts)
