"""An installation of the product in this process: real wiring, real workers, real state on disk."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

from builders import changed

from syncd.aws.identity.sessions import Identities
from syncd.aws.transport import Transport
from syncd.cli.demo.world import World, write_configuration
from syncd.config.files import load
from syncd.config.job import Job
from syncd.copy.workers.pool import WorkerPool
from syncd.job.installation import Installation
from syncd.job.run import run_job
from syncd.job.wiring import RunRequest
from syncd.ledger.ledger import LedgerFile
from syncd.model.objects import Quarantined
from syncd.model.reports import TickReport
from syncd.tick.scope import replica_of


class Installed:
    """The consumers' jobs of a world, their configuration and state in a folder. Close it in the end."""

    def __init__(
        self,
        world: World,
        folder: Path,
        *,
        deadline_seconds: float = 60.0,
        identities: Callable[..., Identities] = Identities,
    ) -> None:
        self.world = world
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.stop = Event()
        self.clock: Callable[[], float] = lambda: datetime.now(UTC).timestamp()
        self.configuration = load(write_configuration(world, folder))
        installation = Installation.of(self.configuration, now=self.now, tell=self.tell)
        self.installation = replace(
            installation,
            transport=Transport(deadline_seconds=deadline_seconds),
            identities=identities(now=self.now),
            pool=WorkerPool(workers=1, confine=False, in_flight=128, deadline_seconds=deadline_seconds),
        )

    def close(self) -> None:
        """Ends the workers."""
        self.installation.close()

    def now(self) -> float:
        return self.clock()

    def tell(self, event: str, **facts: Any) -> None:
        self.told.append((event, facts))

    def job(self, name: str, changes: Mapping[str, Any] | None = None) -> Job:
        """The job of a consumer of the world, with dotted keys changed or removed (None)."""
        (job,) = (job for job in self.configuration.jobs if job.name == name)
        table = job.model_dump(by_alias=True, exclude_unset=True)
        return Job.model_validate(changed(table, changes)) if changes else job

    def tick(self, job: Job, **request: Any) -> TickReport:
        """One tick, or a catch-up."""
        return run_job(job, RunRequest(**request), self.installation, stop=self.stop)

    def quarantined(self, job: Job) -> dict[str, Quarantined]:
        """What the state on disk holds of objects that are not at the destination."""
        ledger_file = LedgerFile(self.configuration.settings.state_dir, now=self.now)
        with ledger_file.open(replica_of(job), job.name) as ledger:
            return dict(ledger.quarantined())


def reasons(report: TickReport) -> dict[str, str]:
    """By key, why it was not copied."""
    return {failed.key: failed.reason for failed in report.failed}
