"""The proof of one job: who reads, which accounts and regions there are, and their audits."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from threading import Event
from typing import Protocol, TypeVar

from syncd.aws.identity.principals import ConsumerPrincipal
from syncd.aws.listing import BucketLister
from syncd.aws.s3 import Side
from syncd.config.job import Job
from syncd.job.installation import Installation, end_of
from syncd.model.errors import JobFailed
from syncd.model.keys.stamps import DAY_SECONDS
from syncd.model.keys.trail import EVERY, Scope, children, in_scope, roots
from syncd.model.reasons import Reason
from syncd.model.reports import JobError
from syncd.tick.scope import replica_of, scope_of
from syncd.tick.task import DIGESTS
from syncd.verify.audit import Audit, ReplicaReader
from syncd.verify.evidence.bundle import Recorder, Recording
from syncd.verify.healing.expected import Expected, expected
from syncd.verify.healing.healer import Healer, as_job_failure
from syncd.verify.healing.repair import Repairer
from syncd.verify.healing.vouching import Voucher
from syncd.verify.keystore import AskedKeys, KeyService
from syncd.verify.proof import Asked, Newest, Proof, with_tail
from syncd.verify.replica import BucketReplica
from syncd.verify.rules.keys import PublicKey
from syncd.verify.rules.passing import LedgerPassing, Nothing, Passing
from syncd.verify.rules.place import Place
from syncd.verify.rules.progress import Progress
from syncd.verify.rules.result import PlaceResult
from syncd.verify.rules.verdict import Flaw

MOST_FORMER = 16
"""Key prefixes that one account's trails delivered to before, at most."""


class Prover:
    """Proves one job."""

    def __init__(
        self,
        job: Job,
        asked: Asked,
        installation: Installation,
        known_keys: Iterable[PublicKey],
        *,
        asks: bool = True,
        record: Recorder | None = None,
        stop: Event,
        progress: Progress | None = None,
    ) -> None:
        """`asks` is False if AWS is asked for no keys. `record` writes down what was found, for a bundle."""
        self._record = record
        self._job, self._asked, self._installation = job, asked, installation
        self._stop = stop
        self._progress = progress or Progress()
        self._proof = Proof(job=job.name, asked=asked)
        self._principals: list[ConsumerPrincipal] = []
        self._known: list[Expected] = []
        self._former: dict[str, list[Place]] = {}
        self.newest: dict[str, list[Newest]] = {}
        """The newest digest that each chain should have, by the prefix of its digests."""
        self.keys = AskedKeys(known_keys, self._ask_keys if asks else lambda _: ())

    def run(self) -> Proof:
        """Prove the job. What is wrong with it is in the proof, unless the run is interrupted.

        Raises:
            Interrupted: it was told to stop.
        """
        proof = self._proof
        proof.started_at = self._installation.now()
        try:
            self._prove()
        except JobFailed as error:
            proof.error = JobError(reason=error.reason, detail=error.detail, remedy=error.remedy)
        proof.keys_error = "; ".join(filter(None, (proof.keys_error, *self.keys.refused)))
        proof.duration_seconds = self._installation.now() - proof.started_at
        return proof

    def _prove(self) -> None:
        job, proof = self._job, self._proof
        scope = scope_of(job)
        if scope is None:
            raise JobFailed(
                Reason.UNSUPPORTED,
                "only CloudTrail's own layout has digests",
                f"`syncd verify {job.name} --against source` compares source, ledger and replica",
            )
        consumer = self._installation.identities.consumer(job, count=self._count)
        self._principals = [consumer]
        end = end_of(job, Side.DESTINATION, consumer, self._installation, proof.requests)
        lister = BucketLister(end, Side.DESTINATION, now=self._installation.now, stop=self._stop, takes_trees=True)
        replica = BucketReplica(end, lister, prefix=job.destination.prefix, stop=self._stop)
        # Before the replica is listed, which may have more by then.
        self.newest = self._expected(scope)
        places = list(self._places(scope, replica))
        there = {place.digests for place, _ in places}
        places += [(item.place, False) for item in self._known if item.place.digests not in there]
        if not any(has_digests for _, has_digests in places):
            raise JobFailed(
                Reason.SOURCE_EMPTY,
                f"the replica has no digests under s3://{job.destination.bucket}/{job.destination.prefix}",
                f"give {job.name} the kind {DIGESTS} in source.kinds, and turn on log file validation for the trail",
            )
        healer = Healer(job, self._installation, proof, heals=self._asked.heals, stop=self._stop)
        voucher = Voucher(job, self._installation, proof, holds=self._asked.heals, stop=self._stop)
        repairer = Repairer(job, self._installation, proof, self.keys, stop=self._stop)
        # An organization's trail may have been an account's before: then its place has the account's as a former one.
        for number, (place, _) in enumerate(reversed(places)):
            self._progress.place(number, len(places))
            if place.digests in self._formers:
                continue
            audit = partial(self._followed, place, replica, voucher.conflicts)
            result = healer.heal(place, audit(), audit)
            if self._asked.repairs and repairer.repair_digests(result.place, result):
                # It may name logs that were not looked at.
                result = healer.heal(place, audit(), audit)
            found = voucher.vouch(result.place, result)
            if self._asked.repairs and repairer.repair(result.place, found):
                result = audit()
            proof.places.append(result)
        proof.places = [item for item in reversed(proof.places) if item.place.digests not in self._formers]
        # What one had that turned out to be a former place was found twice.
        proof.conflicts, proof.repaired = _once(proof.conflicts), _once(proof.repaired)
        proof.not_repaired = _once(proof.not_repaired)

    @property
    def _formers(self) -> set[str]:
        return {former.digests for known in self._former.values() for former in known}

    def _expected(self, scope: Scope) -> dict[str, list[Newest]]:
        """Return the newest digest of each chain that is asked about, by the prefix of its digests."""
        last = min(self._asked.last, self._installation.now())
        with as_job_failure(), self._installation.ledger_file.open_readonly() as reader:
            known = expected(reader.view(replica_of(self._job)), scope, first=self._asked.first, last=last)
        asked = self._asked
        self._known = [
            item
            for item in known
            if _is_asked(item.place.account, asked.accounts) and _is_asked(item.place.region, asked.regions)
        ]
        return {
            item.place.digests: [newest for newest in item.newest if newest.end >= asked.first] for item in self._known
        }

    def _followed(self, place: Place, replica: BucketReplica, watched: Callable[[Place], Sequence[str]]) -> PlaceResult:
        """Audit a place with the key prefixes to which its trails delivered before, as far as the replica has them."""
        known = self._former.setdefault(place.digests, [])
        while True:
            place = place._replace(former=tuple(known))
            result = self._audit(place, replica, watched(place))
            named = place.prefixes_elsewhere(_predecessors(result))
            found = [prefix for prefix in named if next(replica.keys(prefix, 0.0, self._asked.last), None) is not None]
            if not found or len(known) + len(found) > MOST_FORMER:
                return with_tail(result, min(self._asked.last, self._installation.now()), self.newest)
            known += [self._former_place(place, prefix, replica) for prefix in found]

    def _former_place(self, place: Place, digests: str, replica: BucketReplica) -> Place:
        above = digests.removesuffix(f"{DIGESTS}/{place.region}/")
        kinds = {folder[len(above) : -1]: f"{folder}{place.region}/" for folder in replica.folders(above)}
        kinds.pop(DIGESTS, None)
        name = above.split("/")[-3]
        former = Place(place.account, place.region, digests, kinds, name if name.startswith("o-") else "")
        scope = scope_of(self._job)
        return former._replace(is_copied=scope is not None and in_scope(former.shard_of(digests), scope))

    def _audit(self, place: Place, replica: ReplicaReader, watched: Sequence[str]) -> PlaceResult:
        with as_job_failure(), self._installation.ledger_file.open_readonly() as reader:
            passing: Passing = Nothing()
            if not self._asked.reads_all:
                passing = LedgerPassing(reader.view(replica_of(self._job)), place)
            recording = None if self._record is None else Recording(replica, passing, self._record)
            audit = Audit(
                recording or replica,
                place,
                buckets=self._job.source.digest_buckets,
                keys=self.keys,
                first=self._asked.first,
                last=self._asked.last,
                passing=recording or passing,
                watched=frozenset(watched),
                progress=self._progress,
            )
            return audit.run()

    def _places(self, scope: Scope, replica: BucketReplica) -> Iterator[tuple[Place, bool]]:
        """Yield the accounts and regions that have logs or digests in the replica, and True for those with digests."""
        wide = scope._replace(kinds=(EVERY,))
        nodes, shards = roots(wide)
        while nodes:
            node = nodes.pop()
            below = children(node, replica.folders(node.prefix), wide)
            nodes += below.nodes
            shards += below.shards
        found: dict[tuple[str, str, str], dict[str, str]] = {}
        for shard in shards:
            if shard.account and shard.region and shard.prefix.endswith(f"/{shard.kind}/{shard.region}/"):
                found.setdefault((shard.organization, shard.account, shard.region), {})[shard.kind] = shard.prefix
        for (organization, account, region), kinds in sorted(found.items()):
            has_digests = DIGESTS in kinds
            if not has_digests and "CloudTrail" not in kinds:
                continue
            above = kinds.get("CloudTrail", "").removesuffix(f"/CloudTrail/{region}/")
            digests = kinds.pop(DIGESTS, f"{above}/{DIGESTS}/{region}/")
            is_asked = _is_asked(account, self._asked.accounts) and _is_asked(region, self._asked.regions)
            if is_asked:
                yield Place(account, region, digests, kinds, organization), has_digests

    def _ask_keys(self, region: str) -> Sequence[PublicKey]:
        (consumer,) = self._principals
        service = KeyService(self._job, self._installation, consumer, count=self._count)
        first = self._asked.first - DAY_SECONDS if self._asked.first else 1.0
        found = service.ask(region, first, self._asked.last + DAY_SECONDS)
        self._proof.keys_error = service.error
        return found

    def _count(self, operation: str) -> None:
        self._proof.requests[operation] += 1


class _Keyed(Protocol):
    @property
    def key(self) -> str: ...


_K = TypeVar("_K", bound=_Keyed)


def _once(items: Iterable[_K]) -> list[_K]:
    """Return the first item of each key."""
    found: dict[str, _K] = {}
    for item in items:
        found.setdefault(item.key, item)
    return list(found.values())


def _predecessors(result: PlaceResult) -> Iterator[str]:
    """Yield the digests that others follow and the replica lacks."""
    for spans in result.chains.values():
        for finding in (finding for span in spans for finding in span.problems):
            if finding.flaw in (Flaw.DIGEST_MISSING, Flaw.OTHER_PREFIX):
                yield finding.key


def _is_asked(name: str, asked: Sequence[str]) -> bool:
    return EVERY in asked or name in asked
