"""One task done by a worker: today's catch-up on a throwaway ledger, and what it found told to the owner."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import NamedTuple

from syncd.config.job import Job
from syncd.job.installation import Installation
from syncd.job.run import run_job
from syncd.job.wiring import CATCH_UP, RunRequest
from syncd.ledger.folder.job_locks import Locks
from syncd.ledger.ledger import LedgerFile, ReplicaLedger
from syncd.model.keys.trail import in_scope
from syncd.model.objects import Failed, Shard, Transfer, Window
from syncd.model.reports import SpreadTask, TaskState, TickReport
from syncd.model.sealed import SealedDay
from syncd.spread.messages import TaskMessage, result_text
from syncd.spread.terms import terms_of
from syncd.tick.recorder import Recorder
from syncd.tick.scope import replica_of, scope_of, shard_of, source_prefixes

_AFTER_ALL_DAYS = "9999-99-99"
_ALL_ROWS = 2**62


class Done(NamedTuple):
    """The end of a task."""

    report: TickReport
    result: str | None
    """The message to the owner. None if there is nothing to tell yet."""


class Verdicts:
    """The copy modes that jobs have chosen, since throwaway ledgers do not remember them."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[str, str]] = {}

    def give(self, job: Job, ledger: ReplicaLedger) -> None:
        """Tell a new ledger."""
        if job.name in self._of:
            ledger.set_mode_verdict(*self._of[job.name])

    def keep(self, job: Job, ledger: ReplicaLedger) -> None:
        """Remember what a ledger was told."""
        if (verdict := ledger.mode_verdict()) is not None:
            self._of[job.name] = verdict


def refusal(task: TaskMessage, jobs: Mapping[str, Job]) -> str | None:
    """Return why this worker may not do a task. Returns None if it may."""
    job = jobs.get(task.job)
    if job is None:
        return f"no job is named {task.job} here"
    if task.replica != str(replica_of(job)):
        return f"here {task.job} is {replica_of(job)}, and the task is for {task.replica}"
    if task.terms != terms_of(job):
        return f"[source] or [destination] of {task.job} is another here than at the owner: give both the same job file"
    if task.task != SpreadTask(task.place, task.first, task.last, "", 0).name:
        return f"{task.task} is no task of {task.place.prefix} from {task.first} to {task.last}: somebody altered the message"
    if not _is_of(job, task.place):
        return f"{task.place.prefix} is outside what {task.job} may copy"
    return None


def _is_of(job: Job, shard: Shard) -> bool:
    scope = scope_of(job)
    if scope is None:
        return shard == shard_of(job)
    return in_scope(shard, scope) and any(shard.prefix.startswith(prefix) for prefix in source_prefixes(job))


def do(
    task: TaskMessage,
    job: Job,
    installation: Installation,
    verdicts: Verdicts,
    *,
    stop: Event,
    on_progress: Callable[[Recorder], None],
) -> Done:
    """Catch up a task, and return what to tell. A failure of the job is told by nobody, so that others try."""
    with tempfile.TemporaryDirectory(prefix="syncd-work-") as folder:
        here = replace(
            installation,
            ledger_file=LedgerFile(Path(folder), now=installation.now),
            locks=Locks(Path(folder)),
        )
        with here.ledger_file.open(replica_of(job), job.name) as ledger:
            verdicts.give(job, ledger)
        request = RunRequest(kind=CATCH_UP, window=Window(task.first, task.last), only=task.place)
        report = run_job(job, request, here, stop=stop, on_progress=on_progress)
        if report.outcome not in (TaskState.OK, TaskState.PARTIAL) or report.error is not None:
            return Done(report, None)
        with here.ledger_file.open(replica_of(job), job.name) as ledger:
            verdicts.keep(job, ledger)
            return Done(report, _told(task, job, report, ledger))


def _told(task: TaskMessage, job: Job, report: TickReport, ledger: ReplicaLedger) -> str:
    days, held = _found(task.place, job, ledger)
    if days is None:
        return result_text(task, TaskState.OWN, report, {}, [])
    outcome = TaskState.PARTIAL if held or report.outcome == TaskState.PARTIAL else TaskState.OK
    return result_text(task, outcome, report, days, held)


def _found(shard: Shard, job: Job, ledger: ReplicaLedger) -> tuple[dict[str, SealedDay] | None, Sequence[Failed]]:
    """Return the days and the objects that were not copied. There are no days if they do not hold all of the others."""
    ledger.seal(shard, _AFTER_ALL_DAYS, limit=_ALL_ROWS)
    held = [
        Failed(Transfer(item.shard, item.object, job.destination.prefix + key), item.reason, item.detail)
        for key, item in ledger.quarantined().items()
    ]
    if ledger.remembered(shard, "", limit=1):
        return None, held
    return ledger.sealed(shard, "0000-00-00", _AFTER_ALL_DAYS), held
