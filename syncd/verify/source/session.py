"""The comparison of several jobs, one after the other, with signals and reports."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from syncd.config.job import Configuration, Job
from syncd.job.exit_codes import DONE, PARTIAL, UNHEALTHY
from syncd.job.installation import Installation
from syncd.job.verbs import interruptible
from syncd.model.errors import Interrupted
from syncd.verify.source.comparison import Comparison
from syncd.verify.source.document import write_comparison
from syncd.verify.source.results import Asked, Compared


@dataclass(frozen=True, slots=True)
class Done:
    """The outcome of a run."""

    found: Sequence[Compared]
    signal_code: int = 0

    @property
    def exit_code(self) -> int:
        """0 if all is proved, 4 if nothing is, 3 if some is."""
        verdicts = {found.verdict for found in self.found}
        if self.signal_code or verdicts <= {"proved"}:
            return self.signal_code or DONE
        return UNHEALTHY if verdicts == {"unproved"} else PARTIAL


def compare(
    configuration: Configuration,
    jobs: Sequence[Job],
    asked: Asked,
    report: Path | None,
    *,
    now: Callable[[], float],
    tell: Callable[..., Any],
    on_progress: Callable[[int, int], None],
) -> Done:
    """Compare each job with its source, and write the reports.

    Raises:
        OSError: a report cannot be written.
    """
    installation = Installation.of(configuration, now=now, tell=tell)
    found: list[Compared] = []
    with interruptible() as interruption:
        try:
            for job in jobs:
                comparison = Comparison(job, asked, installation, stop=interruption.stop, on_progress=on_progress)
                found.append(comparison.run())
        except Interrupted:
            return Done(found, 128 + interruption.signal)
        finally:
            installation.close()
    for item in found if report is not None else ():
        assert report is not None
        write_comparison(report, item)
    return Done(found)
