"""The latest health of each job, for the status page, the metrics and systemd."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from syncd.config.job import RefusedJob
from syncd.daemon.ticks.pauses import Pauses
from syncd.daemon.ticks.running import RunningTicks
from syncd.daemon.ticks.schedule import PULSE_SECONDS, TICKS_AT_A_TIME
from syncd.job.health.health import JobHealth, is_fresh, late_reasons, trouble
from syncd.job.health.progress import STALLED_SECONDS, Progress
from syncd.job.health.refused import refused_health
from syncd.job.health.word import WORST_FIRST, headline, health_word
from syncd.model.reports import TickReport

_SILENT_SECONDS = 12 * PULSE_SECONDS


@dataclass(frozen=True, slots=True)
class LateJob:
    """A job that misses its objective, and why."""

    job: str
    why: Sequence[str]


class JobBoard:
    """Each job's health as last read, by name.

    Shared: the thread that ticks a job writes the job's entries, the main thread writes those of jobs that are added,
    removed or refused, and any thread reads. The lock guards all entries, so that a health and the report that belongs
    into it are joined in one step.
    """

    def __init__(self, *, now: Callable[[], float], pauses: Pauses, running: RunningTicks | None = None) -> None:
        """Show the ticks of `running` as under way."""
        self._now = now
        self._pauses = pauses
        self._running = running
        self._lock = threading.Lock()
        self._health: dict[str, JobHealth] = {}
        self._reports: dict[str, TickReport] = {}
        self._refused: Mapping[str, RefusedJob] = {}

    def put(self, health: JobHealth) -> None:
        """Take in a job's health as it was read from the state."""
        now = self._now()
        with self._lock:
            before = self._health.get(health.job)
            due_by = before.due_by if before else now + health.promise.period + PULSE_SECONDS
            self._health[health.job] = self._with_report(health._replace(due_by=due_by))

    def take_report(self, report: TickReport) -> None:
        """Take in a tick's report, in case the state has no record of it (disk full)."""
        with self._lock:
            self._reports[report.job] = report
            health = self._health.get(report.job)
            if health is not None:
                self._health[report.job] = self._with_report(health)

    def with_report(self, health: JobHealth) -> JobHealth:
        """Return a health with the last tick in it, even if that was not recorded."""
        with self._lock:
            reported = self._with_report(health)
        return self._with_progress(reported, self._progress())

    def drop(self, job: str) -> None:
        """Forget a job that was removed."""
        with self._lock:
            self._drop(job)

    def refuse(self, refused: Sequence[RefusedJob]) -> None:
        """Replace the list of jobs whose files cannot be used.

        A job that does not run is shown as one whose last tick failed. A job that runs as before a broken edit keeps its
        own health.
        """
        with self._lock:
            for label, job in self._refused.items():
                if not job.is_kept:
                    self._drop(label)
            self._refused = {job.label: job for job in refused}
            for label, job in self._refused.items():
                if not job.is_kept:
                    self._drop(label)
                    self._health[label] = refused_health(job)

    def refused(self) -> Mapping[str, RefusedJob]:
        """Return the jobs whose files cannot be used, by label."""
        return self._refused

    def of(self, job: str) -> JobHealth | None:
        """Return one job's health, or None if it is not known."""
        with self._lock:
            health = self._health.get(job)
        return None if health is None else self._with_progress(health, self._progress())

    def healths(self) -> list[JobHealth]:
        """List all healths, by name."""
        with self._lock:
            found = [health for _, health in sorted(self._health.items())]
        progress = self._progress()
        return [self._with_progress(health, progress) for health in found]

    def late(self) -> list[LateJob]:
        """List the jobs that miss their objective."""
        now = self._now()
        return [LateJob(item.job, self.why_late(item, now)) for item in self.healths() if not is_fresh(item, now)]

    def why_late(self, health: JobHealth, now: float, *, with_failure: bool = True) -> list[str]:
        """List why a job misses its objective. `with_failure` adds why its last tick failed."""
        refusal = self._refused.get(health.job)
        if refusal is not None and not refusal.is_kept:
            return trouble(health) if with_failure else []
        why = late_reasons(health, now, with_failure=with_failure)
        pause = self._pauses.of(health.job)
        if why and pause is not None:
            minutes = int(self._pauses.seconds_left(health.job) // 60) + 1
            times = "once" if pause.attempts == 1 else f"{pause.attempts} times"
            why.append(f"it is paused, since its role was refused {times}; it tries again in {minutes} min")
        return why

    def _progress(self) -> Mapping[str, Progress]:
        return self._running.progress_of() if self._running is not None else {}

    def _with_progress(self, health: JobHealth, progress: Mapping[str, Progress]) -> JobHealth:
        return health._replace(running=progress[health.job]) if health.job in progress else health

    def _with_report(self, health: JobHealth) -> JobHealth:
        report = self._reports.get(health.job)
        if report is None or (health.last is not None and health.last.started_at >= report.started_at):
            return health
        return health._replace(last=report)

    def _drop(self, job: str) -> None:
        self._health.pop(job, None)
        self._reports.pop(job, None)


def stuck_reason(running: RunningTicks, *, silent_seconds: float, slow: Collection[str] = ()) -> str | None:
    """Return why the daemon is stuck, or None if it is alive.

    It is stuck if the scheduler is silent, or if every thread is. A single tick that hangs does not count, however long:
    a restart would not fix what it waits for, and would stop the other jobs. `slow` jobs have threads of their own.
    """
    if silent_seconds > _SILENT_SECONDS:
        return f"the scheduler has shown no sign of life for {int(silent_seconds)} s"
    if sum(tick.job not in slow for tick in running.stalled()) >= TICKS_AT_A_TIME:
        return f"all {TICKS_AT_A_TIME} threads have made no progress for {int(STALLED_SECONDS)} s"
    return None


def sentence(board: JobBoard, *, running: int, now: float) -> str:
    """Return the state of the daemon in a sentence, for `systemctl status`."""
    words = {health.job: health_word(health, now) for health in board.healths()}
    state = headline(words.values())
    troubled = sorted((WORST_FIRST[word], job) for job, word in words.items() if not word.is_well)
    if troubled:
        named = ", ".join(job for _, job in troubled[:3])
        state += f" ({named}{' and others' if len(troubled) > 3 else ''})"
    ticks = "a tick is" if running == 1 else f"{running} ticks are"
    return f"{state}; {ticks} running" if running else state
