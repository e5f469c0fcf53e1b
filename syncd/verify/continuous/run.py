"""Continuous verification after a tick: its ports connected to the adapters. It never delays a copy of the tick."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from threading import Event

from syncd.aws.listing import BucketLister
from syncd.aws.s3 import Side
from syncd.config.job import Job
from syncd.job.health.proofs import Problem, proof_in
from syncd.job.installation import Installation, end_of
from syncd.job.report import LISTED
from syncd.ledger.ledger import ReplicaLedger
from syncd.model import events
from syncd.model.errors import ConfigError, Interrupted, JobFailed, LedgerError
from syncd.model.keys.trail import Scope, wanted_by
from syncd.model.reports import FailedObject, TickReport
from syncd.tick.scope import replica_of, scope_of
from syncd.verify.continuous.responder import JobResponder
from syncd.verify.continuous.watch import Watch
from syncd.verify.keystore import AskedKeys, KeyService, keep_keys, kept_keys
from syncd.verify.replica import BucketReplica

CONTINUOUS = "continuous"
_LEAST_READS = 50


def verified(job: Job, report: TickReport, installation: Installation, *, stop: Event) -> TickReport:
    """Check the digests that have come, and return the tick's report with what is proved and what is not.

    Errors are logged, and cost this verification only: the next tick goes on where this one ended.
    """
    scope = scope_of(job)
    if job.verify != CONTINUOUS or scope is None or report.outcome not in ("ok", "partial") or stop.is_set():
        return report
    requests: Counter[str] = Counter()
    broken: Sequence[Problem] = ()
    try:
        with installation.ledger_file.open(replica_of(job), job.name) as ledger:
            try:
                broken = _watch(job, scope, installation, ledger, requests, stop)
            finally:
                proof = proof_in(ledger, wanted_by(scope))
                report = replace(report, proved_until=proof.proved_until)
    except Interrupted:
        pass
    except (JobFailed, LedgerError) as error:
        installation.tell(
            events.PROOF_FAILED, job=job.name, reason=error.reason, detail=str(error), remedy=error.remedy
        )
    except ConfigError as error:
        installation.tell(events.PROOF_FAILED, job=job.name, reason="public_keys", detail=str(error), remedy="")
    except OSError as error:
        installation.tell(events.PROOF_FAILED, job=job.name, reason="public_keys", detail=str(error), remedy="")
    unproved = [FailedObject(key=problem.key, reason=problem.reason, detail=problem.detail) for problem in broken]
    total = Counter(report.requests) + requests
    return replace(report, unproved=tuple(unproved[:LISTED]), requests=dict(total))


def _watch(
    job: Job, scope: Scope, installation: Installation, ledger: ReplicaLedger, requests: Counter[str], stop: Event
) -> Sequence[Problem]:
    def count(operation: str) -> None:
        requests[operation] += 1

    state_dir, now = installation.settings.state_dir, installation.now
    consumer = installation.identities.consumer(job, count=count)
    end = end_of(job, Side.DESTINATION, consumer, installation, requests)
    lister = BucketLister(end, Side.DESTINATION, now=now, stop=stop, takes_trees=True)
    known = kept_keys(state_dir)
    service = KeyService(job, installation, consumer, count=count)
    keys = AskedKeys(known.all(), lambda region: service.ask(region, 0.0, now()))
    watch = Watch(
        scope,
        job.source.digest_buckets,
        keys,
        BucketReplica(end, lister, prefix=job.destination.prefix, stop=stop),
        ledger,
        JobResponder(job, installation, ledger, requests=requests, stop=stop),
        reads=max(_LEAST_READS, int(job.verify_rate * job.period.total_seconds())),
        now=now,
        tell=partial(installation.tell, job=job.name),
    )
    try:
        return watch.run().broken
    finally:
        if len(keys.all()) > len(known.all()):
            keep_keys(state_dir, keys)
