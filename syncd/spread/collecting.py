"""The return from workers: results recorded, dead letters taken over, lost tasks noticed."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hmac import compare_digest
from threading import Event
from time import monotonic

from syncd.aws.queues import MESSAGES_A_CALL, Message
from syncd.config.job import Job
from syncd.job.installation import Installation
from syncd.ledger.ledger import ReplicaLedger
from syncd.model import events
from syncd.model.errors import JobFailed
from syncd.model.reasons import OF_THE_STORE
from syncd.model.reports import Counts, SpreadProgress, SpreadTask, TaskState
from syncd.spread.mail import Mail, Told
from syncd.spread.messages import ResultMessage
from syncd.tick.scope import replica_of

SHOWN_SECONDS = 1.0
SHOWING_SHARE = 50
"""Progress is counted again after so many times the time that it took: tens of thousands of tasks take some."""
GATHERING_SECONDS = 2.0
"""Results that come one by one are left to gather for so long, so that a call takes several."""
PROGRESS_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 60.0
_DEAD_SECONDS = 30.0
"""Dead letters are looked for after so long without a result."""


class Collector:
    """The receiver of one job's results. Results of other jobs of this state are recorded too."""

    def __init__(
        self,
        job: Job,
        jobs: Mapping[str, Job],
        ledger: ReplicaLedger,
        mail: Mail,
        installation: Installation,
        *,
        on_tasks: Callable[[SpreadProgress], None],
    ) -> None:
        self._job = job
        self._jobs = {**jobs, job.name: job}
        self._ledger = ledger
        self._mail = mail
        self._installation = installation
        self._tell = installation.tell
        self._on_tasks = on_tasks
        self._told_at = monotonic()
        self._show_at = 0.0
        self._sent = 0
        self._failures = 0
        self.counts = Counts()
        """The counts of this process: what workers told it."""
        self._looked_for_dead_at = monotonic()
        self._is_idle = False

    def waits(self) -> bool:
        """Return True while a worker still has to tell of a task."""
        began = monotonic()
        if began >= self._show_at:
            self._show(self._ledger.progress())
            took = monotonic() - began
            self._show_at = began + max(SHOWN_SECONDS, SHOWING_SHARE * took)
        self._sent = self._ledger.sent_tasks(most=MESSAGES_A_CALL)
        return self._sent > 0

    def _show(self, progress: SpreadProgress) -> None:
        self._on_tasks(progress)
        if monotonic() - self._told_at >= PROGRESS_SECONDS:
            self._told_at = monotonic()
            self._tell(events.SPREAD_PROGRESSED, job=self._job.name, **progress._asdict())

    def collect(self, stop: Event) -> None:
        """Take some results, or wait a little. A queue that cannot be reached is tried again. Raises JobFailed."""
        try:
            told = self._collect()
            self._failures = 0
            if 0 < len(told) < min(MESSAGES_A_CALL, self._sent):
                stop.wait(min(GATHERING_SECONDS, self._mail.hidden_seconds / 4))
        except JobFailed as error:
            if error.reason not in OF_THE_STORE:
                raise
            self._is_idle = False
            self._tell(events.QUEUE_UNAVAILABLE, detail=error.detail, reason=error.reason, remedy=error.remedy)
            stop.wait(min(_LONGEST_PAUSE_SECONDS, 2.0**self._failures))
            self._failures = min(self._failures + 1, 10)

    def _collect(self) -> Sequence[Told]:
        told = self._mail.receive()
        self._is_idle = not told
        self._take(told)
        if told:
            self._looked_for_dead_at = monotonic()
        elif monotonic() - self._looked_for_dead_at >= min(_DEAD_SECONDS, self._mail.visibility_seconds):
            self._looked_for_dead_at = monotonic()
            self._take_dead()
        return told

    def is_lost(self) -> bool:
        """Return True if tasks were sent that are in no queue any more. Raises JobFailed."""
        return self._is_idle and self._mail.is_quiet()

    def drain(self, stop: Event) -> None:
        """Delete what comes late, while a task is still with a worker that was too slow. Raises JobFailed."""
        until = monotonic() + 2 * self._mail.visibility_seconds
        while self._mail.tasks_left() and monotonic() < until and not stop.is_set():
            self._take(self._mail.receive(wait_seconds=1))
        self._take(self._mail.receive(wait_seconds=0))
        self._mail.delete_results()

    @contextmanager
    def _ledger_of(self, job: Job) -> Iterator[ReplicaLedger]:
        if job.name == self._job.name:
            yield self._ledger
            return
        with self._installation.ledger_file.open(replica_of(job), job.name) as ledger:
            yield ledger

    def _take(self, told: Sequence[Told]) -> None:
        done: list[Message] = []
        by_job: defaultdict[str, list[Told]] = defaultdict(list)
        for item in told:
            if item.result is None:
                self._ignore(item, item.why)
                done.append(item.message)
            else:
                by_job[item.result.job].append(item)
        for name, items in by_job.items():
            known = self._recorded(name, items)
            for item in items:
                if item.result is not None and item.result.task in known:
                    done.append(item.message)
                elif not self._mail.leave(item.message):
                    self._ignore(item, "no catch-up waits for it")
                    done.append(item.message)
        self._mail.discard(done)

    def _recorded(self, name: str, items: Sequence[Told]) -> set[str]:
        """Record the results of a job. Returns the names of tasks that this state has sent."""
        job = self._jobs.get(name)
        if job is None:
            return set()
        replica = str(replica_of(job))
        with self._ledger_of(job) as ledger:
            results = []
            for item in items:
                task = ledger.task(item.result.task) if item.result is not None else None
                if item.result is not None and task is not None and _answers(item.result, task, replica):
                    results.append(item.result.result(task.shard, job.destination.prefix))
            known, ended = ledger.record_results(results, now=self._installation.now())
        for result in ended:
            counts = result.counts
            if job.name == self._job.name:
                self.counts += counts
            self._tell(
                events.TASK_DONE,
                job=name,
                task=result.task,
                outcome=result.state.value,
                copied=counts.copied,
                already_there=counts.already_there,
                held=len(result.held),
            )
        return set(known)

    def _ignore(self, item: Told, why: str) -> None:
        self._tell(events.RESULT_IGNORED, job=self._job.name, detail=why, body=item.message.body[:300])

    def _take_dead(self) -> None:
        """Take over the tasks of this state that workers have failed at."""
        done: list[Message] = []
        for message, letter in self._mail.dead():
            job = self._jobs.get(letter.job) if letter is not None else None
            if letter is None or job is None:
                self._tell(events.TASK_DEAD, job=self._job.name, task=message.body[:300], is_known=False)
                done += [message] if letter is None else []
                continue
            with self._ledger_of(job) as ledger:
                task = ledger.task(letter.task)
                if task is None:
                    continue
                if task.state is TaskState.SENT:
                    ledger.save_tasks([task._replace(state=TaskState.DEAD)])
                    self._tell(events.TASK_DEAD, job=job.name, task=task.name, is_known=True)
            done.append(message)
        self._mail.delete_dead(done)


def _answers(result: ResultMessage, task: SpreadTask, replica: str) -> bool:
    """Return True if a result comes from a worker that had this very task."""
    return result.replica == replica and compare_digest(result.token.encode(), task.token.encode())
