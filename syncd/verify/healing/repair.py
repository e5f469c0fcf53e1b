"""The repair of one job's altered replicas, which only `syncd verify --repair` does."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event

from syncd.aws.s3 import Side
from syncd.config.job import Job
from syncd.copy.terms import Copy
from syncd.copy.workers.engine import CopyEngine
from syncd.job.copies import landing_headers
from syncd.job.health.proofs import place_proof
from syncd.job.installation import Installation
from syncd.ledger.ledger import ReplicaLedger
from syncd.model import events
from syncd.model.errors import Interrupted, JobFailed
from syncd.model.objects import AlreadyThere, Conflict, Copied, Failed, Outcome, Transfer
from syncd.model.reasons import Reason
from syncd.tick.scope import replica_of, scope_of
from syncd.verify.healing.digests import DigestVoucher, altered
from syncd.verify.healing.healer import as_job_failure
from syncd.verify.healing.lost import is_copied, shard_of
from syncd.verify.healing.replacement import ALTERED_AT_SOURCE, LARGEST_BYTES, NOT_AT_SOURCE, Wanted, replacement
from syncd.verify.healing.source import SourceReader
from syncd.verify.healing.vouching import NOT_COPIED, Vouched
from syncd.verify.proof import NotRepaired, Proof, Repaired
from syncd.verify.rules.keys import Keys
from syncd.verify.rules.place import Place
from syncd.verify.rules.result import PlaceResult
from syncd.verify.source.ends import ends_of, terms_of

_IN_FLIGHT = 4


class Repairer:
    """Replaces altered replicas of one job. What it did is in the proof."""

    def __init__(self, job: Job, installation: Installation, proof: Proof, keys: Keys, *, stop: Event) -> None:
        self._job, self._installation = job, installation
        self._proof, self._keys = proof, keys
        self._stop = stop

    def repair_digests(self, place: Place, result: PlaceResult) -> bool:
        """Replace digests that the source has as CloudTrail signed them. Returns True if anything is other than before.

        Raises:
            JobFailed: the destination cannot be reached, or the state cannot be written.
            Interrupted: it was told to stop, as in `repair`.
        """
        scope = scope_of(self._job)
        assert scope is not None
        found = altered(result)
        elsewhere = [item for item in found if not is_copied(item.key, place, scope)]
        for strange in elsewhere:
            if strange.is_certain:
                self._give_up(NotRepaired(strange.key, Reason.UNSUPPORTED, NOT_COPIED))
        found = [item for item in found if item not in elsewhere]
        if not found:
            return False
        try:
            source = SourceReader(self._job, self._installation, self._proof.requests, stop=self._stop)
            wanted, others = DigestVoucher(self._job, source, self._keys, place).vouch(found)
        except Interrupted:
            raise
        except JobFailed as error:
            why = f"the source cannot be asked for it: {error.reason}: {error.detail}"
            wanted, others = [], [NotRepaired(item.key, Reason.UNEXPECTED, why) for item in found if item.is_certain]
        for item in others:
            self._give_up(item)
        return self._replace_all(place, wanted)

    def repair(self, place: Place, found: Sequence[Vouched]) -> bool:
        """Replace what the source has as its digest names it. Returns True if anything is other than before.

        Raises:
            JobFailed: an end cannot be reached, or the state cannot be written.
            Interrupted: it was told to stop. What was replaced by then is in the log and in the ledger.
        """
        wanted = []
        for item in found:
            if item.found.vouched == "source" and item.listed is not None:
                wanted.append(Wanted(item.listed, item.found.digest, item.found.words))
            elif item.found.vouched != "replica":
                self._give_up(_why_not(item))
        return self._replace_all(place, wanted)

    def _replace_all(self, place: Place, wanted: Sequence[Wanted]) -> bool:
        right, before = {item.listed.key: item for item in wanted}, len(self._proof.repaired)
        for outcome in self._replaced(place, right) if right else ():
            self._take(place, outcome, right[outcome.transfer.object.key])
        return len(self._proof.repaired) > before

    def _replaced(self, place: Place, right: Mapping[str, Wanted]) -> Iterator[Outcome]:
        job, installation = self._job, self._installation
        source, destination = ends_of(job, installation, self._proof.requests)
        terms = terms_of(job, source, destination)._replace(
            landing=landing_headers(job.destination), copies_tags=job.destination.copy_tags
        )
        done: dict[str, Repaired] = {}

        def note(item: Repaired) -> None:
            done[item.key] = item

        engine = CopyEngine(
            {Side.SOURCE: source, Side.DESTINATION: destination},
            begin=lambda transfer: replacement(Copy(transfer, terms), right[transfer.object.key], note),
            in_flight=lambda: _IN_FLIGHT,
            memory_bytes=lambda: LARGEST_BYTES,
            held_bytes=lambda size_bytes: 2 * size_bytes,
        )
        transfers = (
            Transfer(shard_of(key, place), item.listed, job.destination.prefix + key) for key, item in right.items()
        )
        for outcome in engine.copy_all(transfers, self._stop):
            if (item := done.get(outcome.transfer.object.key)) is not None:
                self._proof.repaired.append(item)
                self._tell(events.REPLICA_REPAIRED, **item._asdict())
            yield outcome
        if self._stop.is_set():
            raise Interrupted

    def _take(self, place: Place, outcome: Outcome, wanted: Wanted) -> None:
        """Have the ledger agree with what lies at the destination."""
        transfer = outcome.transfer
        if isinstance(outcome, Failed):
            self._give_up(NotRepaired(transfer.object.key, outcome.reason, outcome.detail))
            return
        with self._ledger() as ledger:
            if isinstance(outcome, Conflict):
                if transfer.object.key not in ledger.accepted():
                    told = outcome._replace(detail=f"{wanted.words}; {outcome.detail}")
                    ledger.record([told], [], now=self._installation.now())
            elif isinstance(outcome, AlreadyThere):
                self._settle(ledger, transfer, outcome.replica_etag, wanted.sha256)
                _look_again(ledger, place, transfer.object.key)

    def _settle(self, ledger: ReplicaLedger, transfer: Transfer, etag: str, sha256: str) -> None:
        shard, key = transfer.shard, transfer.object.key
        if ledger.is_folded(shard, key):
            ledger.release(key)
        else:
            ledger.record([Copied(transfer, etag, sha256)], [], now=self._installation.now())

    def _give_up(self, item: NotRepaired) -> None:
        self._proof.not_repaired.append(item)
        self._tell(events.REPLICA_NOT_REPAIRED, **item._asdict())

    def _tell(self, event: str, **facts: object) -> None:
        self._installation.tell(event, job=self._job.name, **facts)

    @contextmanager
    def _ledger(self) -> Iterator[ReplicaLedger]:
        with as_job_failure(), self._installation.ledger_file.open(replica_of(self._job), self._job.name) as ledger:
            yield ledger


def _look_again(ledger: ReplicaLedger, place: Place, key: str) -> None:
    """Have continuous verification look at a doubt about this log after the next tick."""
    proof = place_proof(ledger.proofs().get(place.digests))
    doubts = [
        doubt._replace(checked_at=0.0) if key in [problem.key for problem in doubt.problems] else doubt
        for doubt in proof.doubts
    ]
    if doubts != list(proof.doubts):
        ledger.save_proof(place.digests, proof._replace(doubts=doubts).to_json())


def _why_not(item: Vouched) -> NotRepaired:
    key = item.found.key
    if item.why_not:
        reason = Reason.UNSUPPORTED if item.why_not == NOT_COPIED else Reason.UNEXPECTED
        return NotRepaired(key, reason, item.why_not)
    if item.listed is None:
        return NotRepaired(key, NOT_AT_SOURCE, "the source has no such object")
    return NotRepaired(key, ALTERED_AT_SOURCE, f"altered at the source too: {item.found.words}")
