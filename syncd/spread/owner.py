"""The owner of a spread catch-up: it cuts, sends, records what workers tell, and does what no worker can.

Everything it knows is in the ledger, so that it can be killed at any time, and the same command goes on. Workers move no
horizon: the last part is the ordinary catch-up of what is left, which claims the whole window if nothing of it is open.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from secrets import token_hex
from threading import Event

from syncd.aws.queues import Queues
from syncd.config.job import Job
from syncd.job.health.progress import Progress
from syncd.job.installation import Installation
from syncd.job.planning import PlannedCopies
from syncd.job.report import log_report
from syncd.job.run import tracked
from syncd.job.wiring import CATCH_UP, Run, RunRequest
from syncd.ledger.folder.job_locks import note_progress
from syncd.ledger.ledger import ReplicaLedger
from syncd.model import events
from syncd.model.errors import AlreadyRunning, Interrupted, JobFailed, LedgerError
from syncd.model.objects import Window
from syncd.model.reports import Counts, JobError, SpreadProgress, SpreadTask, TaskState, TickReport, job_error
from syncd.spread.collecting import Collector
from syncd.spread.cut import cut, parts_of
from syncd.spread.mail import Mail
from syncd.tick.scope import layout_of, replica_of

SENT_AT_ONCE = 100


def spread_job(
    job: Job,
    request: RunRequest,
    installation: Installation,
    *,
    jobs: Mapping[str, Job],
    stop: Event,
    show: Callable[[Progress], None],
    show_tasks: Callable[[str, SpreadProgress], None],
) -> TickReport:
    """Catch up a job with the help of workers. Errors of the job or its state are in the report.

    `jobs` are all jobs whose results may come along. `show` gets the progress of the owner's own part, `show_tasks` that
    of the tasks.
    """
    run = Run(job, request, installation, stop, lambda _: None)
    try:
        with installation.locks.catch_up(job.name) as lock:
            owner = Owner(
                job,
                request,
                installation,
                lock,
                stop=stop,
                show=show,
                on_tasks=partial(show_tasks, job.name),
            )
            report = owner.run(jobs)
    except AlreadyRunning as error:
        why = JobError(reason="already_running", detail=error.holder, remedy="wait for it to end")
        return run.ended("already-running", why)
    except Interrupted:
        report = run.ended("interrupted", None)
    except JobFailed as error:
        report = run.ended("failed", job_error(error, job.name))
    except LedgerError as error:
        report = run.ended("failed", JobError(reason=error.reason, detail=str(error), remedy=error.remedy))
    except BaseException as error:  # noqa: BLE001 - an error of one job must not end the others
        return run.crashed(error)
    log_report(report, events.CATCH_UP_FINISHED, installation.tell)
    return report


class Owner:
    """One spread catch-up of one job, under its lock."""

    def __init__(
        self,
        job: Job,
        request: RunRequest,
        installation: Installation,
        lock: int,
        *,
        stop: Event,
        show: Callable[[Progress], None],
        on_tasks: Callable[[SpreadProgress], None],
    ) -> None:
        self._job = job
        self._request = request
        self._installation = installation
        self._lock = lock
        self._stop = stop
        self._show = show
        self._on_tasks = on_tasks
        self._tell = installation.tell
        self._mail = Mail(Queues(), installation.settings.work)
        self._began_at = installation.now()

    def run(self, jobs: Mapping[str, Job]) -> TickReport:
        """Run all of it, and return one report."""
        self._note(SpreadProgress())
        self._begin()
        self._send()
        with self._ledger() as ledger:
            collector = Collector(self._job, jobs, ledger, self._mail, self._installation, on_tasks=self._note)
            while collector.waits():
                self._go_on()
                collector.collect(self._stop)
                if collector.is_lost():
                    self._send_again()
            own = self._do_own()
            self._go_on()
            tasks = ledger.tasks()
            if collector.counts.listed:
                ledger.record_tick(self._report("ok", [collector.counts]), kind=CATCH_UP)
            last = self._run(self._request._replace(spread=parts_of(tasks, self._request.window)))
            report = self._whole(tasks, own, last)
            if report.outcome == "ok":
                self._end(tasks)
            with suppress(JobFailed):  # nothing is left to do but to tidy up
                collector.drain(self._stop)
        return report

    def _ledger(self) -> ReplicaLedger:
        return self._installation.ledger_file.open(replica_of(self._job), self._job.name)

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise Interrupted

    def _run(self, request: RunRequest) -> TickReport:
        """Run an ordinary catch-up under the lock of the whole."""
        run, _ = tracked(self._job, request, self._installation, stop=self._stop, show=self._show)
        run.locks = (self._lock,)
        return run.with_ledger()

    def _note(self, tasks: SpreadProgress) -> None:
        """Show the tasks, and note them in the lock's file for `status`."""
        self._on_tasks(tasks)
        progress = Progress(
            kind=CATCH_UP,
            began_at=self._began_at,
            at=self._installation.now(),
            done=tasks.objects_done,
            known=max(tasks.objects, tasks.objects_done),
        )
        note_progress(self._lock, progress.document())

    def _begin(self) -> None:
        """Go on with the tasks of the same catch-up that was killed or left some open, or cut anew."""
        words = self._words()
        with self._ledger() as ledger:
            before = ledger.tasks()
            if before and {task.words for task in before} == {words}:
                again = [task._replace(state=TaskState.WAITING) for task in before if task.is_unfinished]
                ledger.save_tasks(self._claim_held(ledger, again))
            else:
                ledger.replace_tasks(self._claim_held(ledger, self._cut(ledger, f"{words}#{token_hex(16)}")))
            tasks = ledger.tasks()
        objects = sum(task.objects for task in tasks)
        self._tell(events.SPREAD_STARTED, job=self._job.name, tasks=len(tasks), objects=objects)

    def _words(self) -> str:
        request, settings = self._request, self._installation.settings.work
        window = request.window
        assert window is not None
        narrowed = f"{','.join(request.accounts)} {','.join(request.regions)}"
        return f"{window.first}..{window.last or ''} {narrowed} {settings.task_objects}"

    def _cut(self, ledger: ReplicaLedger, request: str) -> list[SpreadTask]:
        run = Run(self._job, self._request, self._installation, self._stop, lambda _: None)
        ports = run.ports(ledger, lambda *_: PlannedCopies())
        return cut(run.task(), ports, request=request, task_objects=self._installation.settings.work.task_objects)

    def _claim_held(self, ledger: ReplicaLedger, tasks: Sequence[SpreadTask]) -> list[SpreadTask]:
        """Keep tasks with objects in quarantine to ourselves, since only their copy may release them."""
        layout = layout_of(self._job)
        held: dict[str, set[str]] = {}
        for item in ledger.quarantined(with_details=False).values():
            held.setdefault(item.shard.prefix, set()).add(layout.day(item.shard, item.object.key))
        return [
            task._replace(state=TaskState.OWN)
            if any(task.first <= day <= task.last for day in held.get(task.shard.prefix, ()))
            else task
            for task in tasks
        ]

    def _send(self) -> None:
        with self._ledger() as ledger:
            waiting = [task for task in ledger.tasks() if task.state is TaskState.WAITING]
            # In no order, so that many of S3's partitions are read and written at once.
            random.shuffle(waiting)
            for first in range(0, len(waiting), SENT_AT_ONCE):
                self._go_on()
                some = waiting[first : first + SENT_AT_ONCE]
                # Marked first: a task that is sent twice may be done twice at a time.
                ledger.save_tasks([task._replace(state=TaskState.SENT) for task in some])
                try:
                    self._mail.send(self._job, some)
                except JobFailed:
                    ledger.save_tasks(some)
                    raise

    def _send_again(self) -> None:
        with self._ledger() as ledger:
            lost = [task for task in ledger.tasks() if task.state is TaskState.SENT]
            ledger.save_tasks([task._replace(state=TaskState.WAITING) for task in lost])
        self._tell(events.TASKS_SENT_AGAIN, job=self._job.name, tasks=len(lost))
        self._send()

    def _do_own(self) -> list[TickReport]:
        """Do the tasks that no worker can, so that the reason of each object is named."""
        with self._ledger() as ledger:
            waiting = [task for task in ledger.tasks() if task.is_open]
        reports = []
        for task in waiting:
            self._go_on()
            window = Window(task.first, task.last)
            report = self._run(RunRequest(kind=CATCH_UP, window=window, only=task.shard))
            if report.outcome == "interrupted":
                raise Interrupted
            with self._ledger() as ledger:
                ledger.save_tasks([task._replace(state=TaskState(report.outcome))])
            reports.append(report)
        return reports

    def _end(self, tasks: Sequence[SpreadTask]) -> None:
        """Let the same catch-up begin anew the next time. Its tasks stay to be seen."""
        with self._ledger() as ledger:
            ledger.save_tasks([task._replace(request=f"#{task.token}") for task in tasks])

    def _report(self, outcome: str, counts: Iterable[Counts]) -> TickReport:
        report = TickReport(
            job=self._job.name,
            outcome=outcome,
            started_at=self._began_at,
            duration_seconds=self._installation.now() - self._began_at,
        )
        for item in counts:
            report = report + item  # type: ignore[assignment]  # a sum is of the kind of its first
        return report

    def _whole(self, tasks: Sequence[SpreadTask], own: Sequence[TickReport], last: TickReport) -> TickReport:
        """Return one report of everything, earlier runs of the same catch-up included."""
        parts = (*own, last)
        is_done = all(task.state is TaskState.OK for task in tasks) and all(part.outcome == "ok" for part in own)
        outcome = "partial" if last.outcome == "ok" and not is_done else last.outcome
        return replace(
            self._report(outcome, (*(task.counts for task in tasks), *parts)),
            mode=last.mode,
            conflicts=tuple(item for part in parts for item in part.conflicts),
            failed=tuple(item for part in parts for item in part.failed),
            archived=tuple(item for part in parts for item in part.archived),
            shards=last.shards,
            uncovered=last.uncovered,
            complete_from=last.complete_from,
            complete_until=last.complete_until,
            error=next((part.error for part in (last, *own) if part.error is not None), None),
        )
