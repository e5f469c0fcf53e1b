"""`syncd work`: takes tasks from a queue and does them, one at a time. It keeps no state."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import NamedTuple

from syncd.aws.queues import LONGEST_WAIT_SECONDS, Message, Queues
from syncd.config.job import Configuration
from syncd.job.exit_codes import DONE
from syncd.job.health.clock import boot_clock
from syncd.job.installation import Installation
from syncd.job.verbs import Interruption, interruptible
from syncd.model import events
from syncd.model.errors import JobFailed
from syncd.spread.hold import BEATS_A_VISIBILITY, Hold
from syncd.spread.messages import TaskMessage, UnreadableMessage, read_task
from syncd.spread.metrics import ABANDONED, ENDED, FAILED, REFUSED, SpreadMetrics
from syncd.spread.worker import Done, Verdicts, do, refusal

_POLL_SECONDS = 5
"""A signal waits for the end of a poll."""
_LONGEST_PAUSE_SECONDS = 300.0


class Worked(NamedTuple):
    """The sum of a worker's tasks."""

    exit_code: int
    tasks: int
    objects: int


def work(
    configuration: Configuration,
    metrics: SpreadMetrics,
    *,
    until_empty: bool,
    now: Callable[[], float],
    tell: Callable[..., None],
) -> Worked:
    """Do tasks until SIGTERM or SIGINT, or with `until_empty` until none is left."""
    installation = Installation.of(configuration, now=now, tell=tell)
    try:
        with interruptible() as interruption:
            tell(events.WORK_STARTED, jobs=len(configuration.jobs))
            worker = Worker(configuration, installation, Queues(), interruption, metrics)
            worker.run(until_empty=until_empty)
            tell(events.WORK_STOPPED, tasks=worker.tasks, objects=worker.objects)
    finally:
        installation.close()
    return Worked(DONE, worker.tasks, worker.objects)


class Worker:
    """The loop of one process."""

    def __init__(
        self,
        configuration: Configuration,
        installation: Installation,
        queues: Queues,
        interruption: Interruption,
        metrics: SpreadMetrics,
    ) -> None:
        work = configuration.settings.work
        assert work.tasks is not None
        assert work.results is not None
        self._tasks_queue, self._results_queue = work.tasks, work.results
        self._visibility = int(work.visibility.total_seconds())
        # Shorter than between two beats, so that a message that comes at the beginning of a poll is not old at its end.
        self._wait = max(1, min(_POLL_SECONDS, LONGEST_WAIT_SECONDS, self._visibility // BEATS_A_VISIBILITY))
        self._jobs = {job.name: job for job in configuration.jobs}
        self._installation = installation
        self._tell = installation.tell
        self._queues = queues
        self._interruption = interruption
        self._metrics = metrics
        self._verdicts = Verdicts()
        self._failures = 0
        self.tasks = 0
        self.objects = 0

    def run(self, *, until_empty: bool) -> None:
        """Do tasks until a signal, or until there are none."""
        # The signal handlers run in this thread, which therefore takes no lock.
        with ThreadPoolExecutor(1, thread_name_prefix="work") as pool:
            future = pool.submit(self._loop, until_empty=until_empty)
            self._interruption.wait([future], self._installation.abandon)
            future.result()

    def _loop(self, *, until_empty: bool) -> None:
        stop = self._interruption.stop
        is_over = False
        while not is_over and not stop.is_set():
            began = boot_clock()
            try:
                received = self._queues.receive(
                    self._tasks_queue, most=1, wait_seconds=self._wait, visibility_seconds=self._visibility
                )
                is_over = until_empty and not received and self._is_empty()
            except JobFailed as error:
                self._tell(events.QUEUE_UNAVAILABLE, detail=error.detail, reason=error.reason, remedy=error.remedy)
                self._pause()
                continue
            for message in received:
                most_seconds = self._take(message, began)
                if most_seconds:
                    self._pause(most_seconds)
                else:
                    self._failures = 0

    def _is_empty(self) -> bool:
        counts = self._queues.attributes(self._tasks_queue)
        return not any(int(value) for name, value in counts.items() if name.startswith("ApproximateNumberOf"))

    def _take(self, message: Message, since: float) -> float:
        """Do a task. Returns the most seconds to pause after it, 0.0 unless it failed for a reason that lies here."""
        try:
            task = read_task(message.body)
        except UnreadableMessage as error:
            self._refuse(message, str(error))
            return 0.0
        if (why := refusal(task, self._jobs)) is not None:
            self._refuse(message, why)
            # By then this one is with others. Tasks of other jobs must not keep this worker from its own for longer.
            return self._visibility
        ending = _Ending(self._interruption.stop)
        hold = Hold(
            self._queues,
            self._tasks_queue,
            message,
            visibility_seconds=self._visibility,
            since=since,
            on_lost=ending.set,
        )
        with hold:
            done = do(
                task,
                self._jobs[task.job],
                self._installation,
                self._verdicts,
                stop=ending,
                on_progress=lambda _: hold.look(),
            )
            return 0.0 if self._finish(task, message, done, hold) else _LONGEST_PAUSE_SECONDS

    def _refuse(self, message: Message, why: str) -> None:
        """Leave a message to others. After as many receives as the queue allows, the owner deals with it."""
        self._metrics.take_end(REFUSED)
        self._tell(events.TASK_REFUSED, detail=why, receives=message.receives, task=message.body[:300])

    def _finish(self, task: TaskMessage, message: Message, done: Done, hold: Hold) -> bool:
        """Tell the owner, then delete the task. In this order nothing is lost, and twice is harmless."""
        if hold.is_lost():
            self._metrics.take_end(ABANDONED)
            self._tell(events.TASK_ABANDONED, task=task.task, why="it was silent for too long, and is another's now")
            return True
        try:
            if done.result is None:
                if self._interruption.stop.is_set():
                    hold.give_back()
                else:
                    self._metrics.take_end(FAILED)
                return False
            self._queues.send(self._results_queue, [done.result])
            self._queues.delete(self._tasks_queue, [message])
        except JobFailed as error:
            self._tell(events.QUEUE_UNAVAILABLE, detail=error.detail, reason=error.reason, remedy=error.remedy)
            return False
        self._metrics.take_end(ENDED, done.report)
        self.tasks += 1
        self.objects += done.report.copied + done.report.already_there
        return True

    def _pause(self, most_seconds: float = _LONGEST_PAUSE_SECONDS) -> None:
        """Wait longer after each failure in a row, so that a worker that cannot work leaves tasks to others."""
        self._interruption.stop.wait(min(most_seconds, 2.0**self._failures))
        self._failures = min(self._failures + 1, 10)


class _Ending(Event):
    """The end of one task: it was lost, or the process stops."""

    def __init__(self, stop: Event) -> None:
        super().__init__()
        self._stop = stop

    def is_set(self) -> bool:
        """Return True once either holds."""
        return super().is_set() or self._stop.is_set()
