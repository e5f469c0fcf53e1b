"""The knowledge of continuous verification: up to when accounts and regions are proved, and the doubts about them."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from syncd.job.report import utc
from syncd.model.escaping import safe_key, safe_line
from syncd.model.keys.stamps import utc_day
from syncd.model.objects import Shard, ShardState

MOST_DOUBTS = 200
"""Doubts of one account and region that are remembered, the oldest first."""
MOST_PROBLEMS = 20


class Seen(NamedTuple):
    """A digest as its successor has to name it: how far a chain was followed."""

    key: str
    end: float
    sha256: str
    signature: str
    is_good: bool


class Problem(NamedTuple):
    """One thing that is wrong, as `syncd verify` names it."""

    reason: str
    detail: str
    key: str
    named: str = ""
    """The SHA-256 that a digest names for a log that is there, hexadecimal."""
    found: str = ""
    """The SHA-256 of its content, or an empty text if it cannot be hashed."""


class Doubt(NamedTuple):
    """A span of a chain that is not proved. Times are seconds since the epoch."""

    chain: str
    start: float
    end: float
    digest: str
    """The key of the digest up to which the chain is followed again."""
    before: Seen | None
    """The digest from which on it is."""
    problems: tuple[Problem, ...]
    found_at: float
    checked_at: float
    is_told: bool = False
    """It is an alarm. Until then it may be no more than a digest or a log that is late."""


class PlaceProof(NamedTuple):
    """The proof of one account and region."""

    positions: Mapping[str, Seen]
    """The last digest of each chain."""
    proved_from: float = 0.0
    proved_until: float = 0.0
    has_ended: bool = False
    """Nothing is delivered there any more, neither digests nor logs."""
    doubts: Sequence[Doubt] = ()

    def to_json(self) -> str:
        """Return the text that the ledger keeps."""
        kept = sorted(self.doubts, key=lambda doubt: doubt.start)[:MOST_DOUBTS]
        shorter = [doubt._replace(problems=doubt.problems[:MOST_PROBLEMS])._asdict() for doubt in kept]
        return json.dumps({**self._asdict(), "doubts": shorter}, separators=(",", ":"))


class JobProof(NamedTuple):
    """The proof of a job, of all accounts and regions together."""

    proved_from: float = 0.0
    proved_until: float = 0.0
    """0.0 if nothing is proved yet."""
    doubts: Sequence[Doubt] = ()
    """Alarms, the oldest first."""


class ProofView(Protocol):
    """The ledger, as far as proofs are in it. Methods raise LedgerError."""

    def shards(self) -> Mapping[str, ShardState]:
        """Return each shard's state by its prefix."""
        ...

    def proofs(self) -> Mapping[str, str]:
        """Return the saved proofs by the prefix of their digests."""
        ...


def place_proof(text: str | None) -> PlaceProof:
    """Return the proof that the ledger keeps. One that cannot be read begins anew."""
    with suppress(ValueError, TypeError, KeyError, AttributeError):
        if text is not None:
            return _parsed(json.loads(text))
    return PlaceProof(positions={})


def job_proof(texts: Iterable[str]) -> JobProof:
    """Return the proof of a job, given those of its accounts and regions."""
    places = [place_proof(text) for text in texts]
    going_on = [place for place in places if not place.has_ended or place.doubts] or places
    doubts = [doubt for place in places for doubt in place.doubts if doubt.is_told]
    return JobProof(
        max((place.proved_from for place in places), default=0.0),
        min((place.proved_until for place in going_on), default=0.0),
        sorted(doubts, key=lambda doubt: doubt.start),
    )


def proof_in(view: ProofView, is_wanted: Callable[[Shard], bool]) -> JobProof:
    """Return the proof of a job, of the accounts and regions in its scope."""
    wanted = {prefix for prefix, state in view.shards().items() if is_wanted(state.shard)}
    texts = view.proofs()
    return job_proof(text for name, text in texts.items() if name in wanted or _logs_beside(name) in wanted)


def doubt_words(job: str, doubts: Sequence[Doubt]) -> list[str]:
    """Return sentences about alarms: the first of them, and what to do."""
    if not doubts:
        return []
    first, count = doubts[0], len(doubts)
    problem = first.problems[0]
    spans = "1 span is not proved" if count == 1 else f"{count} spans are not proved, the first of them"
    told = f"{problem.reason}: {safe_key(problem.key or first.digest)}: {safe_line(problem.detail)}"
    remedy = (
        f"what to do: `syncd verify {job} --from {utc_day(first.start)}` shows all of it; find out who changed the"
        f" replica; `syncd verify {job} --repair` replaces it by what its digest vouches for, and `syncd ledger quarantine accept KEY`"
        " takes it as it is"
    )
    return [f"{spans} from {utc(first.start)} to {utc(first.end)}: {told}", remedy]


def _logs_beside(digests: str) -> str:
    above, _, region = digests.rpartition("/CloudTrail-Digest/")
    return f"{above}/CloudTrail/{region}"


def _parsed(values: dict[str, Any]) -> PlaceProof:
    positions = {chain: Seen(*seen) for chain, seen in values.pop("positions").items()}
    doubts = []
    for doubt in values.pop("doubts"):
        before = doubt.pop("before")
        problems = tuple(Problem(*problem) for problem in doubt.pop("problems"))
        doubts.append(Doubt(before=None if before is None else Seen(*before), problems=problems, **doubt))
    return PlaceProof(positions=positions, doubts=doubts, **values)
