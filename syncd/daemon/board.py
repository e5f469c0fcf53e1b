"""What the daemon knows of its jobs at this moment, for whoever asks: the page, the metrics, systemd."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from syncd.config.job import RefusedJob
from syncd.daemon.pauses import Pauses
from syncd.daemon.running import STALLED_SECONDS, Flights
from syncd.daemon.schedule import PULSE_SECONDS, TICKS_AT_A_TIME
from syncd.job.health.health import Standing, is_fresh, late_reasons, trouble
from syncd.job.refused import refused_standing
from syncd.model.reports import TickReport

_SILENT_SECONDS = 12 * PULSE_SECONDS


@dataclass(frozen=True, slots=True)
class Late:
    """A job that does not keep its objective, and why."""

    job: str
    why: Sequence[str]


class Board:
    """Each job's standing as last read, by name; any thread may call it."""

    def __init__(self, *, now: Callable[[], float], flights: Flights, pauses: Pauses) -> None:
        self._now = now
        self._flights = flights
        self._pauses = pauses
        self._standings: dict[str, Standing] = {}
        self._reports: dict[str, TickReport] = {}
        self._refused: dict[str, RefusedJob] = {}

    def put(self, standing: Standing) -> None:
        """A job was read again."""
        self._standings[standing.job] = self.present(standing)

    def take_report(self, report: TickReport) -> None:
        """A tick has ended; where the state does not know of it, on a full disk say, it is known here."""
        self._reports[report.job] = report
        standing = self._standings.get(report.job)
        if standing is not None:
            self.put(standing)

    def present(self, standing: Standing) -> Standing:
        """What was read from the state, with the last tick in it though that could not be recorded."""
        report = self._reports.get(standing.job)
        if report is None or (standing.last is not None and standing.last.started_at >= report.started_at):
            return standing
        return replace(standing, last=report)

    def drop(self, job: str) -> None:
        """A job is gone."""
        self._standings.pop(job, None)
        self._reports.pop(job, None)

    def refuse(self, refused: Sequence[RefusedJob]) -> None:
        """Take in the jobs whose files cannot be used, in the place of those that were refused before.

        One that does not run stands among the others as one whose last tick failed; one that runs as it was before an
        edit has its own standing.
        """
        for label, job in self._refused.items():
            if not job.is_kept:
                self.drop(label)
        self._refused = {job.label: job for job in refused}
        for label, job in self._refused.items():
            if not job.is_kept:
                self.drop(label)
                self._standings[label] = refused_standing(job)

    def refused(self) -> Mapping[str, RefusedJob]:
        """The jobs whose files cannot be used, by what they are called."""
        return self._refused

    def of(self, job: str) -> Standing | None:
        """One job's standing."""
        return self._standings.get(job)

    def standings(self) -> list[Standing]:
        """All of them, by name."""
        return [standing for _, standing in sorted(self._standings.items())]

    def late(self) -> list[Late]:
        """The jobs that do not keep their objective."""
        now = self._now()
        return [Late(item.job, self.why_late(item, now)) for item in self.standings() if not is_fresh(item, now)]

    def why_late(self, standing: Standing, now: float, *, with_failure: bool = True) -> list[str]:
        """Why a job does not keep its objective; none where it does. `with_failure` says why its last tick failed."""
        refusal = self._refused.get(standing.job)
        if refusal is not None and not refusal.is_kept:
            return trouble(standing) if with_failure else []
        why = late_reasons(standing, now, with_failure=with_failure)
        pause = self._pauses.of(standing.job)
        if why and pause is not None:
            minutes = int(self._pauses.seconds_left(standing.job) // 60) + 1
            times = "once" if pause.attempts == 1 else f"{pause.attempts} times"
            why.append(f"it is paused, since its role was refused {times}; it tries again in {minutes} min")
        return why


def stuck_reason(flights: Flights, *, silent_seconds: float, slow: Collection[str] = ()) -> str | None:
    """Why the daemon is not alive: the scheduler is silent, or every thread is stuck; None for alive.

    One tick that hangs, and be it for ever, is that job's matter: restarting the daemon would not mend what it waits
    for, and would stop the others. `slow` are jobs that tick on threads of their own.
    """
    if silent_seconds > _SILENT_SECONDS:
        return f"the scheduler has shown no sign of life for {int(silent_seconds)} s"
    if sum(flight.job not in slow for flight in flights.stalled()) >= TICKS_AT_A_TIME:
        return f"all {TICKS_AT_A_TIME} threads have made no progress for {int(STALLED_SECONDS)} s"
    return None


def sentence(board: Board, *, running: int) -> str:
    """How things are, in a sentence for `systemctl status`."""
    count = len(board.standings())
    late = board.late()
    jobs = "1 job" if count == 1 else f"{count} jobs"
    if not late:
        state = f"{jobs} on time" if count else "no jobs"
    else:
        named = ", ".join(item.job for item in late[:3]) + (" and others" if len(late) > 3 else "")
        state = f"{len(late)} of {jobs} not on time: {named}"
    ticks = "a tick is" if running == 1 else f"{running} ticks are"
    return f"{state}; {ticks} running" if running else state
