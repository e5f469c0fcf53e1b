"""The wiring of one run: the ports of a tick connected to the adapters."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from threading import Event
from typing import Any, NamedTuple

from syncd.aws.endpoint import Endpoint, Principal
from syncd.aws.identity.principals import ConsumerPrincipal
from syncd.aws.identity.refusals import REJECTED
from syncd.aws.listing import BucketLister
from syncd.aws.policies.session import copy_policies, session_policies
from syncd.aws.s3 import Side
from syncd.config.job import Job, Role
from syncd.copy.modes import ModalCopier
from syncd.job.copies import Copies, ways_of
from syncd.job.health.proofs import proof_in
from syncd.job.installation import Installation, end_of
from syncd.job.planning import ForgivingLister, PlannedCopies
from syncd.ledger.ledger import ReplicaLedger
from syncd.model import events
from syncd.model.errors import Interrupted, JobFailed, LedgerCorrupt, LedgerRefused, SyncdError
from syncd.model.keys.trail import EVERY, wanted_by
from syncd.model.objects import Shard, Window
from syncd.model.reasons import Reason
from syncd.model.reports import JobError, TickReport, job_error
from syncd.model.shortage import resource_limit, shortage
from syncd.tick.closing import horizon
from syncd.tick.ports import Copier, Ledger, Ports
from syncd.tick.recorder import Recorder
from syncd.tick.scope import layout_of, pace_of, replica_of, scope_of, shard_of, start_of
from syncd.tick.task import Spread, Task
from syncd.tick.tick import Tick

TICK = "tick"
CATCH_UP = "catch-up"
_CURABLE = frozenset({*REJECTED, Reason.NO_CREDENTIALS, Reason.WRONG_ACCOUNT, Reason.ROOT_CALLER})


class RunRequest(NamedTuple):
    """The request for a tick, a catch-up of a window, or a plan of either."""

    kind: str = TICK
    window: Window | None = None
    accounts: Sequence[str] = (EVERY,)
    regions: Sequence[str] = (EVERY,)
    is_patient: bool = False
    only: Shard | None = None
    """The one shard of a catch-up, which is not looked for."""
    spread: Mapping[str, Spread] = {}
    """The parts of a catch-up that workers do, by the prefix of the shard."""
    recalls: bool = False
    """Another daemon may have ticked the job since, so the destination is listed too."""
    hinted: Collection[str] = ()
    """Keys that hints name, of a tick that lists nothing else."""


class Run:
    """One run of one job, wired to the adapters."""

    def __init__(
        self,
        job: Job,
        request: RunRequest,
        installation: Installation,
        stop: Event,
        on_progress: Callable[[Recorder], None],
    ) -> None:
        self._job = job
        self._request = request
        self._installation = installation
        self._stop = stop
        self._on_progress = on_progress
        self._began_at = installation.now()
        self._was_here = False
        self._had_lock = installation.locks.has_been(job.name)
        self._requests: Counter[str] = Counter()
        self.locks: tuple[int, ...] = ()
        """The descriptors of the locks that it runs under, which the workers inherit."""
        self._tick: Tick | None = None
        self._rebuilt: dict[str, Any] | None = None

    def with_ledger(self) -> TickReport:
        """Run against the state file. A corrupt file is moved aside and rebuilt, once."""
        try:
            return self._against_state_file()
        except LedgerCorrupt as error:
            aside = self._installation.ledger_file.move_aside()
            salvaged = self._installation.ledger_file.salvaged
            if aside is not None:
                self._log(events.LEDGER_MOVED_ASIDE, path=str(aside), detail=str(error), salvaged=salvaged)
            return self._against_state_file()

    def _against_state_file(self) -> TickReport:
        with self._installation.ledger_file.open(replica_of(self._job), self._job.name) as ledger:
            # An older state kept no decisions. Of a lost one only the job's lock is left.
            is_older_loss = self._had_lock and not self._installation.ledger_file.decisions.exists
            self._was_here = ledger.ran_here() or is_older_loss or self._request.recalls
            if ledger.moved_aside is not None:
                self._log(events.LEDGER_MOVED_ASIDE, path=str(ledger.moved_aside), salvaged=ledger.salvaged)
            self._log_moved(ledger)
            report = self.tick(ledger, lambda source, destination: self._copier(source, destination, ledger))
            self._log_damaged(ledger)
            if self._job.verify != "off":
                proof = proof_in(ledger, wanted_by(scope_of(self._job)))
                report = replace(report, proved_until=proof.proved_until)
            ledger.record_tick(report, kind=self._request.kind)
            self._log_rebuilt()
            return report

    def rebuild(self) -> TickReport:
        """Forget the copied objects, and compare both sides. The next tick copies what is missing."""
        with self._installation.ledger_file.open(replica_of(self._job), self._job.name) as ledger:
            self._log_moved(ledger)
            ledger.forget()
            report = self.tick(ledger, lambda *_: PlannedCopies())
            self._log_rebuilt()
            return report

    def tick(self, ledger: Ledger, copier: Callable[[Endpoint, Endpoint], Copier]) -> TickReport:
        """Assume the role and run the tick. Whatever ends it is in the report."""
        try:
            report = self._ticked(ledger, copier)
        except Interrupted:
            report = self.ended("interrupted", None)
        except JobFailed as error:
            report = self.ended("failed", job_error(error, self._job.name))
        except LedgerRefused as error:
            report = self.ended("failed", JobError(reason=error.reason, detail=str(error), remedy=error.remedy))
        except SyncdError:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, the job remembers it
            report = self.crashed(error)
        else:
            return self._distrusted(report)
        for mended in ledger.mend():
            self._log(events.STATE_MENDED, what=mended)
        complete = horizon(self.task(), ledger, now=self._installation.now())
        return self._distrusted(replace(report, complete_from=complete[0], complete_until=complete[1]))

    def _ticked(self, ledger: Ledger, copier: Callable[[Endpoint, Endpoint], Copier]) -> TickReport:
        ports = self.ports(ledger, copier)
        self._tick = Tick(self.task(), ports, stop=self._stop, on_progress=self._on_progress)
        return self._as_a_whole(self._tick.run())

    def _distrusted(self, report: TickReport) -> TickReport:
        """Return the report. After a failure that other credentials cure, the next tick looks them up anew."""
        if report.error is not None and report.error.reason in _CURABLE:
            self._installation.identities.renew(self._job)
        return report

    def ports(self, ledger: Ledger, copier: Callable[[Endpoint, Endpoint], Copier]) -> Ports:
        """Return the ports of the tick. Raises JobFailed if the role cannot be assumed."""
        job, installation = self._job, self._installation
        source, destination = self._ends()
        return Ports(
            source=self._lister(source, Side.SOURCE),
            source_bucket=job.source.bucket,
            destination=ForgivingLister(self._lister(destination, Side.DESTINATION), self._log),
            copier=copier(source, destination),
            ledger=ledger,
            now=installation.now,
            tell=self._log,
        )

    def _lister(self, end: Endpoint, side: Side) -> BucketLister:
        # An operator asked for the catch-up, so it may list for as long as it takes.
        budget = None if self._request.window is not None else self._job.listing.budget.total_seconds()
        return BucketLister(end, side, now=self._installation.now, stop=self._stop, budget_seconds=budget)

    def task(self) -> Task:
        """Return the input of the tick."""
        job, request = self._job, self._request
        return Task(
            job=job.name,
            scope=scope_of(job),
            shard=shard_of(job),
            layout=layout_of(job),
            destination_prefix=job.destination.prefix,
            pace=pace_of(job),
            start=start_of(job),
            window=request.window,
            accounts=request.accounts,
            regions=request.regions,
            only=request.only,
            spread=request.spread,
            hinted=request.hinted,
            recalls=request.recalls,
            was_here=self._was_here,
            ignore=job.source.ignore,
            max_objects=job.source.max_objects_per_tick if request.window is None else None,
            is_patient=request.is_patient,
            objective=job.objective_effective.total_seconds(),
        )

    def _ends(self) -> tuple[Endpoint, Endpoint]:
        job, installation = self._job, self._installation
        consumer = self._consumer()
        reader: Principal = consumer
        if job.source.role is not None:
            reader = self._role(job.source.role, consumer, session_policies(job))
        source = end_of(job, Side.SOURCE, reader, installation, self._requests)
        return source, end_of(job, Side.DESTINATION, consumer, installation, self._requests)

    def _copier(self, source: Endpoint, destination: Endpoint, ledger: ReplicaLedger) -> Copier:
        copies = Copies(
            job=self._job,
            limits=self._installation.settings.engine,
            pool=self._installation.pool,
            source=source,
            destination=destination,
            locks=self.locks,
            requests=self._requests,
            role_writer=self._role_writer,
        )
        return ModalCopier(ways_of(self._job), copies.copier, ledger, self._log)

    def _role_writer(self) -> Principal:
        job = self._job
        assert job.source.role is not None
        return self._role(job.source.role, self._consumer(), copy_policies(job))

    def _consumer(self) -> ConsumerPrincipal:
        self._go_on()
        return self._installation.identities.consumer(self._job, count=self._count, tell=self._log)

    def _role(self, role: Role, consumer: ConsumerPrincipal, policies: Sequence[str]) -> Principal:
        self._go_on()

        def shorter(policy: str, detail: str) -> None:
            policy_is = "shorter" if policy else "off"
            self._log(events.SESSION_POLICY_SHORTENED, role=role.arn, session_policy=policy_is, detail=detail)

        return self._installation.identities.role(
            self._job, role, consumer, policies=policies, count=self._count, on_shorter=shorter
        )

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise Interrupted

    def ended(self, outcome: str, error: JobError | None) -> TickReport:
        """Return the report of a run that did not finish or begin its tick."""
        if self._tick is not None:
            return self._as_a_whole(self._tick.so_far(outcome, error))
        return self._as_a_whole(TickReport(job=self._job.name, outcome=outcome, error=error))

    def crashed(self, error: BaseException) -> TickReport:
        """Return the report of an error that nobody foresaw, or of a limit of this machine. The log has its traceback."""
        name, what = self._job.name, " ".join(f"{type(error).__name__}: {error}".split())
        if shortage(error):
            return self.ended("failed", job_error(resource_limit("it cannot run", error), name))
        self._log(events.TICK_CRASHED, reason=type(error).__name__, detail=repr(error), exc_info=error)
        return self.ended("failed", job_error(JobFailed(Reason.CRASHED, what), name))

    def _as_a_whole(self, report: TickReport) -> TickReport:
        """Add the requests and the time of the whole run to a report."""
        return replace(
            report,
            requests=dict(sorted(self._requests.items())),
            started_at=self._began_at,
            duration_seconds=self._installation.now() - self._began_at,
        )

    def _count(self, operation: str) -> None:
        self._requests[operation] += 1

    def _log(self, event: str, **facts: Any) -> None:
        if event == events.LEDGER_REBUILT:
            # With a full disk each tick rebuilds anew. Log it once it is recorded.
            self._rebuilt = facts
        else:
            self._installation.tell(event, job=self._job.name, **facts)

    def _log_moved(self, ledger: ReplicaLedger) -> None:
        if (before := ledger.move()) is not None:
            after = str(replica_of(self._job))
            self._log(events.JOB_MOVED, before=str(before), after=after, remedy="if it was not meant, change it back")

    def _log_damaged(self, ledger: ReplicaLedger) -> None:
        if ledger.damaged_rows or ledger.damaged_shards:
            shards = ledger.damaged_shards
            prefix = next(iter(shards), None)
            self._log(events.ROWS_DAMAGED, rows=ledger.damaged_rows, shards=len(shards), prefix=prefix)

    def _log_rebuilt(self) -> None:
        if self._rebuilt is not None:
            self._installation.tell(events.LEDGER_REBUILT, job=self._job.name, **self._rebuilt)
            self._rebuilt = None
