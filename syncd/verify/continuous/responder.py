"""The response to doubts of one job: missing objects are fetched, and altered ones hold the horizon back."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from threading import Event

from syncd.config.job import Job
from syncd.job.health.proofs import Doubt, Problem
from syncd.job.installation import Installation
from syncd.ledger.ledger import ReplicaLedger
from syncd.model.errors import JobFailed
from syncd.model.keys.stamps import stamp_of
from syncd.model.objects import Conflict, LogObject, Transfer
from syncd.verify.healing.healer import Healer
from syncd.verify.healing.lost import shard_of
from syncd.verify.healing.source import SourceReader
from syncd.verify.proof import Asked, Disagreement, Proof
from syncd.verify.rules.digest import ChainName
from syncd.verify.rules.place import Place
from syncd.verify.rules.result import PlaceResult
from syncd.verify.rules.verdict import Finding, Flaw, Span, Verdict

_OF_CONTENT = frozenset(
    {
        Flaw.LOG_ALTERED,
        Flaw.TRAILING_DATA,
        Flaw.UNREADABLE,
        Flaw.TOO_LARGE,
        Flaw.MALFORMED,
        Flaw.NAMED_TWICE,
        Flaw.MOVED,
        Flaw.SIGNATURE_WRONG,
    }
)
"""Flaws of an object that is there: its replica is not what CloudTrail delivered."""
_MISSING = (Flaw.LOG_MISSING, Flaw.DIGEST_MISSING)


class JobResponder:
    """Heals one job, and holds what cannot be healed."""

    def __init__(
        self,
        job: Job,
        installation: Installation,
        ledger: ReplicaLedger,
        *,
        requests: Counter[str],
        stop: Event,
    ) -> None:
        """Requests to the source are counted in `requests`."""
        self._job, self._installation = job, installation
        self._requests = requests
        self._ledger = ledger
        self._stop = stop

    def heal(self, place: Place, doubts: Sequence[Doubt], again: Callable[[Doubt], Doubt | None]) -> list[Doubt]:
        """Fetch what is missing from the source, and return the doubts that stay."""
        if not any(problem.reason in _MISSING for doubt in doubts for problem in doubt.problems):
            return list(doubts)
        asked = Asked(last=self._installation.now())
        healer = Healer(
            self._job, self._installation, Proof(job=self._job.name, asked=asked), heals=True, stop=self._stop
        )
        kept = {doubt.digest: doubt for doubt in doubts}

        def look_again() -> PlaceResult:
            left = [left for doubt in doubts if (left := again(doubt)) is not None]
            kept.clear()
            kept.update({doubt.digest: doubt for doubt in left})
            return _result(place, left)

        result = healer.heal(place, _result(place, doubts), look_again)
        spans = {span.digest_key: span for spans in result.chains.values() for span in spans}
        return [doubt._replace(problems=_problems(spans[digest])) for digest, doubt in kept.items()]

    def hold(self, place: Place, doubt: Doubt) -> None:
        """Hold the horizon back for what is altered, until somebody decides or it is mended."""
        conflicts = []
        wrong = [problem for problem in doubt.problems if problem.key and problem.reason in _OF_CONTENT]
        words = self._words(place, wrong)
        for problem in wrong:
            if problem.key not in self._ledger.accepted():
                shard = shard_of(problem.key, place)
                known = self._ledger.known(shard, [problem.key]).get(problem.key)
                etag, size = (known.etag or "", known.size_bytes) if known is not None else ("", 0)
                item = LogObject(problem.key, etag, size, stamp_of(problem.key) or doubt.start)
                transfer = Transfer(shard, item, self._job.destination.prefix + problem.key)
                conflicts.append(Conflict(transfer, f"{problem.reason}: {words.get(problem.key, problem.detail)}"))
        if conflicts:
            self._ledger.record(conflicts, [], now=self._installation.now())

    def _words(self, place: Place, wrong: Sequence[Problem]) -> Mapping[str, str]:
        """Compare replica, source and digest. Returns a sentence about each log that the digest names."""
        named = {problem.key: problem for problem in wrong if problem.named}
        if not named:
            return {}
        try:
            source = SourceReader(self._job, self._installation, self._requests, stop=self._stop)
            hashes = source.hashes(source.listed([(key, shard_of(key, place)) for key in named]).values())
        except JobFailed as error:
            why = f"the source cannot be asked for it: {error.reason}: {error.detail}"
            return {key: f"{problem.detail}; {why}" for key, problem in named.items()}
        return {
            key: Disagreement(key, problem.named, problem.found, hashes.get(key, "")).words
            for key, problem in named.items()
        }

    def release(self, doubt: Doubt) -> None:
        """Have the next tick look at what was held."""
        for problem in doubt.problems:
            held = self._ledger.held(problem.key) if problem.key else None
            if held is not None and held.is_conflict:
                self._ledger.retry(problem.key)


def _result(place: Place, doubts: Sequence[Doubt]) -> PlaceResult:
    chains: dict[ChainName, list[Span]] = {}
    for doubt in doubts:
        problems = tuple(Finding(Flaw(problem.reason), *problem[1:]) for problem in doubt.problems)
        span = Span(doubt.start, doubt.end, Verdict.UNPROVED, doubt.digest, problems)
        chains.setdefault(ChainName.of(doubt.chain), []).append(span)
    return PlaceResult(
        place=place, chains=chains, extra=(), uncovered={}, logs=0, log_bytes=0, newest_end=0.0, unnamed_after=()
    )


def _problems(span: Span) -> tuple[Problem, ...]:
    return tuple(Problem(finding.flaw.value, *finding[1:]) for finding in span.problems)
