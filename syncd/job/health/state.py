"""A job's state as the ledger has it, narrowed to the job's scope. Every view of a job is made from it."""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from syncd.config.job import Job
from syncd.job.health.proofs import JobProof, proof_in
from syncd.ledger.ledger import HeldOverview, LedgerView, Reader, RecordedTick
from syncd.model.keys.trail import in_scope, wanted_by
from syncd.model.objects import Quarantined, ShardState
from syncd.tick.scope import layout_of, replica_of, scope_of, shard_of

TICKS_READ = 60
_QUARANTINED_AT_A_TIME = 500


class JobState(NamedTuple):
    """The remembered state of a job. Its defaults describe a job that never ticked."""

    shards: Sequence[ShardState] = ()
    """The shards in the job's scope, by prefix."""
    quarantine: HeldOverview = HeldOverview()
    """The quarantined objects in the job's scope."""
    ticks: Sequence[RecordedTick] = ()
    """The last ticks and catch-ups, newest first."""
    proof: JobProof = JobProof()
    """The proof of continuous verification."""
    discovered_at: float = 0.0
    uncovered: Collection[str] = ()


def read_state(job: Job, reader: Reader, *, shown: int = 1) -> JobState:
    """Read a job's state, with the `shown` objects that have been in quarantine longest.

    Raises:
        LedgerError: the state cannot be read.
    """
    view = reader.view(replica_of(job))
    return JobState(
        shards=_shards(job, view),
        quarantine=view.held_overview(shown, layout_of(job).stamp, wanted_by(scope_of(job))),
        ticks=reader.ticks(job.name, TICKS_READ),
        proof=JobProof() if job.verify == "off" else proof_in(view, wanted_by(scope_of(job))),
        discovered_at=view.discovered_at(),
        uncovered=view.uncovered(),
    )


def quarantined(job: Job, reader: Reader) -> Iterator[Quarantined]:
    """Yield a job's quarantined objects by key, read in pages to keep the state free.

    Raises:
        LedgerError: the state cannot be read.
    """
    view, last, is_wanted = reader.view(replica_of(job)), "", wanted_by(scope_of(job))
    while page := view.held_after(last, _QUARANTINED_AT_A_TIME):
        yield from (item for item in page if is_wanted(item.shard))
        last = page[-1].object.key


def _shards(job: Job, view: LedgerView) -> list[ShardState]:
    scope, only = scope_of(job), shard_of(job)
    return [
        state
        for _, state in sorted(view.shards().items())
        if (in_scope(state.shard, scope) if scope is not None else state.shard == only)
    ]
