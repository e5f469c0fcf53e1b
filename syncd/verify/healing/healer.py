"""The healing of one job: what digests name and the replica lacks is fetched, and the horizon held to what is found."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event

from syncd.config.job import Job
from syncd.job.installation import Installation
from syncd.job.run import run_job
from syncd.job.wiring import CATCH_UP, RunRequest
from syncd.ledger.ledger import ReplicaLedger
from syncd.model import events
from syncd.model.errors import Interrupted, JobFailed, LedgerError
from syncd.model.objects import Failed, LogObject, Transfer, Window
from syncd.model.reasons import Reason
from syncd.tick.scope import pace_of, replica_of, scope_of
from syncd.verify.healing.lost import Lost, lost_keys, lost_of, reworded
from syncd.verify.healing.source import SourceReader
from syncd.verify.proof import Proof
from syncd.verify.rules.place import Place
from syncd.verify.rules.result import PlaceResult
from syncd.verify.rules.verdict import Finding, Flaw

KEYS_LOGGED = 100
_NEITHER = "a digest names it, and neither the replica nor the source has it"


class Healer:
    """Heals one job's replica. What it finds is in the proof."""

    def __init__(self, job: Job, installation: Installation, proof: Proof, *, heals: bool, stop: Event) -> None:
        """Nothing is fetched or held unless it `heals`."""
        self._job, self._installation = job, installation
        self._proof = proof
        self._heals = heals
        self._stop = stop

    def heal(self, place: Place, result: PlaceResult, again: Callable[[], PlaceResult]) -> PlaceResult:
        """Fetch what is lost from the source, and return what another audit finds.

        Raises:
            JobFailed: the state cannot be read or written.
            Interrupted: it was told to stop.
        """
        lost = self._lost(result)
        if not lost:
            return result
        why = ""
        if self._heals:
            why = self._catch_up(place, {item.day for item in lost.values()})
            result = again()
        still = [lost[key] for key in lost_keys(result) if key in lost]
        healed = sorted(lost.keys() - {item.key for item in still})
        self._proof.healed += healed
        for key in healed[:KEYS_LOGGED]:
            self._tell(events.REPLICA_HEALED, key=key, healed=len(healed))
        is_open = self._heals or any(item.is_claimed and not item.is_known for item in lost.values())
        at_source, why_not = self._at_source(lost.values()) if is_open else ({}, "")
        gone: set[str] = set()
        if self._heals and at_source is not None:
            gone = {item.key for item in still if item.key not in at_source and not item.may_come}
            self._hold([item for item in still if item.key in gone and item.is_due])
            self._proof.missing_at_source += sorted(gone.difference(self._proof.missing_at_source))
            kept = {item.key: self._why_kept(item.key, why) for item in still if item.key in at_source}
            result = reworded(result, _words(kept, gone))
        elif self._heals:
            result = reworded(result, _words({item.key: why_not for item in still}, ()))
        pace = pace_of(self._job)
        # Of a place that a chain came from, the audit before may have told of it.
        told = set(self._proof.contradicted)
        wrong = [
            item
            for item in lost.values()
            if item.key not in told
            and item.is_contradiction((at_source or {}).get(item.key), pace.lateness_of(item.shard.kind))
        ]
        self._contradict(wrong, healed, gone)
        return result

    def _lost(self, result: PlaceResult) -> dict[str, Lost]:
        scope = scope_of(self._job)
        assert scope is not None
        with as_job_failure(), self._installation.ledger_file.open_readonly() as reader:
            view = reader.view(replica_of(self._job))
            lost = lost_of(result, scope, view.shards(), view.accepted(), now=self._installation.now())
            return {key: item._replace(is_known=key in view.known(item.shard, [key])) for key, item in lost.items()}

    def _catch_up(self, place: Place, days: Collection[str]) -> str:
        """Catch up these days. Returns why it failed, or an empty text."""
        why = ""
        for day in sorted(days):
            window = Window(day, day)
            request = RunRequest(kind=CATCH_UP, window=window, accounts=(place.account,), regions=(place.region,))
            report = run_job(self._job, request, self._installation, stop=self._stop)
            if report.error is not None:
                why = f"{report.error.reason}: {report.error.detail}"
        return why

    def _at_source(self, items: Collection[Lost]) -> tuple[Mapping[str, LogObject] | None, str]:
        """Return which of the objects the source has, or None and why it cannot be asked."""
        try:
            source = SourceReader(self._job, self._installation, self._proof.requests, stop=self._stop)
            return source.listed([(item.key, item.shard) for item in items]), ""
        except Interrupted:
            raise
        except JobFailed as error:
            return None, f"the source cannot be asked for it: {error.reason}: {error.detail}"

    def _hold(self, items: Sequence[Lost]) -> None:
        """Hold the horizon back until somebody decides, or the source has the objects after all."""
        prefix = self._job.destination.prefix
        outcomes = [
            Failed(
                Transfer(item.shard, LogObject(item.key, "", 0, item.stamp), prefix + item.key),
                Reason.MISSING_AT_SOURCE,
                _NEITHER,
            )
            for item in items
        ]
        if outcomes:
            with self._ledger() as ledger:
                ledger.record(outcomes, [], now=self._installation.now())

    def _why_kept(self, key: str, why: str) -> str:
        with as_job_failure(), self._installation.ledger_file.open_readonly() as reader:
            held = reader.view(replica_of(self._job)).held(key)
        held_why = f"{held.reason}: {held.detail}" if held is not None else "the next catch-up tries again"
        return f"the source has it, and it was not copied: {why or held_why}"

    def _contradict(self, claimed: Sequence[Lost], healed: Collection[str], gone: Collection[str]) -> None:
        self._proof.contradicted += sorted(item.key for item in claimed)
        for item in claimed[:KEYS_LOGGED]:
            found = "healed" if item.key in healed else Flaw.MISSING_AT_SOURCE.value if item.key in gone else "missing"
            self._tell(events.HORIZON_CONTRADICTED, key=item.key, found=found, contradicted=len(claimed))

    def _tell(self, event: str, **facts: object) -> None:
        self._installation.tell(event, job=self._job.name, **facts)

    @contextmanager
    def _ledger(self) -> Iterator[ReplicaLedger]:
        with as_job_failure(), self._installation.ledger_file.open(replica_of(self._job), self._job.name) as ledger:
            yield ledger


def _words(kept: Mapping[str, str], gone: Collection[str]) -> Callable[[Finding], Finding]:
    def put(finding: Finding) -> Finding:
        if finding.flaw not in (Flaw.LOG_MISSING, Flaw.DIGEST_MISSING):
            return finding
        if finding.key in gone:
            return Finding(Flaw.MISSING_AT_SOURCE, _NEITHER, finding.key)
        told = kept.get(finding.key)
        return finding if told is None else finding._replace(detail=f"{finding.detail}; {told}")

    return put


@contextmanager
def as_job_failure() -> Iterator[None]:
    """Raise a LedgerError of the block as JobFailed."""
    try:
        yield
    except LedgerError as error:
        raise JobFailed(error.reason, str(error), error.remedy) from error
