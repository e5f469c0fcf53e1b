"""The question and the answer of a proof: what is asked of one job, and what its audits come to. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from syncd.model.keys.trail import EVERY
from syncd.model.reports import JobError
from syncd.verify.audit import PlaceResult
from syncd.verify.rules.unnamed import OVERDUE_SECONDS
from syncd.verify.rules.verdict import Finding, Flaw, Span, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The question: a span of time, accounts and regions. Times are seconds since the epoch."""

    first: float = 0.0
    """0.0 for the beginning of the replica."""
    last: float
    accounts: Sequence[str] = (EVERY,)
    regions: Sequence[str] = (EVERY,)
    reads_all: bool = False
    """Read each log, and take no hash that was kept while it was copied."""
    heals: bool = True
    """Fetch from the source what a digest names and the replica lacks."""


class Disagreement(NamedTuple):
    """The SHA-256 of a log in three places, hexadecimal. Empty if there is none."""

    key: str
    digest: str
    replica: str
    source: str

    @property
    def vouched(self) -> str:
        """The content that the digest vouches for: `replica`, `source`, `both` or `neither`."""
        is_replica, is_source = self.replica == self.digest, self.source == self.digest
        if is_replica and is_source:
            return "both"
        return "replica" if is_replica else "source" if is_source else "neither"

    @property
    def words(self) -> str:
        """A sentence for people."""
        vouched = "neither" if self.vouched == "neither" else f"the {self.vouched}'s"
        return (
            f"the replica's content has SHA-256 {self.replica or 'none'}, the source's {self.source or 'none'};"
            f" the digest vouches for {vouched}: it names {self.digest}"
        )


@dataclass(slots=True, kw_only=True)
class Proof:
    """The answer for one job: proved spans and the others."""

    job: str
    asked: Asked
    places: list[PlaceResult] = field(default_factory=list)
    healed: list[str] = field(default_factory=list)
    """Objects that a digest names and the replica lacked, fetched from the source."""
    missing_at_source: list[str] = field(default_factory=list)
    """Objects that a digest names, and that neither side has."""
    contradicted: list[str] = field(default_factory=list)
    """Objects that the horizon claimed and the replica lacked."""
    conflicts: list[Disagreement] = field(default_factory=list)
    """Logs of which replica and source differ from each other, or from their digest."""
    keys_error: str = ""
    requests: Counter[str] = field(default_factory=Counter)
    started_at: float = 0.0
    duration_seconds: float = 0.0
    error: JobError | None = None

    def spans(self) -> Iterator[Span]:
        """Yield the spans of all chains."""
        for place in self.places:
            for spans in place.chains.values():
                yield from spans

    @property
    def verdict(self) -> str:
        """`proved`, `unproved`, or `some` if parts of it are proved."""
        spans = [span for span in self.spans() if span.end > span.start]
        good = [span for span in spans if span.verdict in (Verdict.PROVED, Verdict.BACKFILL)]
        if self.error is not None or not any(span.verdict == Verdict.PROVED for span in spans):
            return "unproved"
        is_all = len(good) == len(spans) and not any(place.extra or place.is_cut for place in self.places)
        return "proved" if is_all else "some"

    @property
    def proved_until(self) -> float:
        """The end of the span that is proved without a break in all accounts and regions. 0.0 if none is."""
        return min((_proved_until(place) for place in self.places), default=0.0) if self.error is None else 0.0


def _proved_until(place: PlaceResult) -> float:
    spans = [span for name, found in place.chains.items() if not name.is_backfill for span in found]
    bad = [span.start for span in spans if span.verdict == Verdict.UNPROVED]
    good = [span.end for span in spans if span.verdict in (Verdict.PROVED, Verdict.UNANCHORED)]
    first_bad = min(bad, default=place.newest_end)
    return max((end for end in good if end <= first_bad), default=0.0)


def with_tail(result: PlaceResult, end: float) -> PlaceResult:
    """Add the span after the newest digest."""
    if not result.newest_end or end <= result.newest_end:
        return result
    age = end - result.newest_end
    if result.unnamed_overdue:
        many = f"{result.unnamed_overdue:,} logs of this span are in the replica"
        detail = f"{many}, and no digest names them: the newest are missing"
        finding = Finding(Flaw.DIGEST_MISSING, detail, min(result.unnamed_after))
    elif age > OVERDUE_SECONDS:
        detail = f"no digest for {age / 3600:.0f} hours: CloudTrail delivers one an hour, unless it was stopped"
        finding = Finding(Flaw.NO_DIGEST_YET, detail)
    else:
        finding = Finding(Flaw.NO_DIGEST_YET, "a digest comes about half an hour after its hour has ended")
    return replace(result, tail=Span(result.newest_end, end, Verdict.UNPROVED, "", (finding,)))
