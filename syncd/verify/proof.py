"""The question and the answer of a proof: what is asked of one job, and what its audits come to. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import NamedTuple

from syncd.model.keys.stamps import DAY_SECONDS
from syncd.model.keys.trail import EVERY
from syncd.model.keys.vouched import VOUCHES
from syncd.model.reports import JobError
from syncd.verify.rules.digest import name_of
from syncd.verify.rules.result import PlaceResult
from syncd.verify.rules.unnamed import OVERDUE_SECONDS, times_of
from syncd.verify.rules.verdict import Finding, Flaw, Span, Verdict

STOPPED_SECONDS = float(DAY_SECONDS)
"""A chain without a digest for so long has ended: its trail was stopped, renamed or deleted."""


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
    repairs: bool = False
    """Replace an altered replica by the source's object, if the digest vouches for that."""


class Repaired(NamedTuple):
    """A replacement of an altered replica."""

    key: str
    how: str
    """`version` (a newer version of the replica), `beside` (an object of its own), or `already` (somebody else's)."""
    written: str
    """The key of the destination that has it."""
    version_id: str
    kept_version: str
    """The version that the altered replica is now, or an empty text."""
    detail: str


class NotRepaired(NamedTuple):
    """An altered replica that was not replaced, and why."""

    key: str
    reason: str
    detail: str


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
            f" {VOUCHES} {vouched}: it names {self.digest}"
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
    repaired: list[Repaired] = field(default_factory=list)
    """Altered replicas that were replaced by what their digests vouch for."""
    not_repaired: list[NotRepaired] = field(default_factory=list)
    """Altered replicas that were to be replaced and were not."""
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
        spans = [span for span in self.spans() if span.end > span.start or span.verdict == Verdict.UNPROVED]
        good = [span for span in spans if span.verdict in (Verdict.PROVED, Verdict.BACKFILL)]
        if self.error is not None or not any(span.verdict == Verdict.PROVED for span in spans):
            return "unproved"
        is_all = len(good) == len(spans) and not any(place.extra or place.is_cut for place in self.places)
        return "proved" if is_all else "some"

    @property
    def proved_until(self) -> float:
        """The end of the span that is proved without a break in all accounts and regions. 0.0 if none is."""
        until = min(map(_proved_until, self.places), default=inf)
        return until if self.error is None and until < inf else 0.0


def _proved_until(place: PlaceResult) -> float:
    """Return the end of what is proved without a break in all trails of a place that go on."""
    until = [place.tail.start] if place.tail is not None and (place.is_cut or not place.newest_end) else []
    for name, spans in place.chains.items():
        # A hole at the end is no stop: a later digest tells of it.
        newest = max((span.end for span in spans if span.digest_key or span.verdict == Verdict.UNPROVED), default=0.0)
        if not name.is_backfill and newest and place.newest_end - newest < STOPPED_SECONDS:
            until.append(_chain_proved_until(spans, newest))
    return min(until, default=0.0 if place.newest_end else inf)


def _chain_proved_until(spans: Sequence[Span], newest: float) -> float:
    first_bad = min((span.start for span in spans if span.verdict == Verdict.UNPROVED), default=newest)
    good = [span.end for span in spans if span.verdict in (Verdict.PROVED, Verdict.UNANCHORED)]
    return max((end for end in good if end <= first_bad), default=0.0)


class Newest(NamedTuple):
    """The newest digest of a chain that is at the destination, by the ledger. Or a day that has digests."""

    end: float
    key: str
    """Of a digest, or the folder of a day."""


def with_tail(result: PlaceResult, end: float, newest: Mapping[str, Sequence[Newest]]) -> PlaceResult:
    """Add the span after the newest digest, or after the first log if there is no digest.

    `newest` are the digests that the ledger knows as the newest, by the prefix of a place's digests. One that is not there
    was taken away.
    """
    first = min((times_of(key)[0] for key in result.unnamed_after), default=None)
    known = [item for prefix in result.place.all_digests for item in newest.get(prefix, ())]
    gone = [(_end_of(result, item), item) for item in known if _end_of(result, item) < item.end]
    if gone:
        detail = "it was copied, and the replica has neither it nor a newer one"
        findings = tuple(Finding(Flaw.DIGEST_MISSING, detail, item.key) for _, item in gone)
        begin = min(min(found for found, _ in gone) or first or 0.0, end)
        return replace(result, tail=Span(begin, end, Verdict.UNPROVED, "", findings))
    begin = result.newest_end or (end if first is None else first)
    if end <= begin:
        return result
    age = end - begin
    if result.unnamed_overdue:
        many = f"{result.unnamed_overdue:,} logs of this span are in the replica"
        why = "the newest are missing" if result.newest_end else "there is none of this account and region"
        finding = Finding(Flaw.DIGEST_MISSING, f"{many}, and no digest names them: {why}", min(result.unnamed_after))
    elif age > OVERDUE_SECONDS:
        detail = f"no digest for {age / 3600:.0f} hours: CloudTrail delivers one an hour, unless it was stopped"
        finding = Finding(Flaw.NO_DIGEST_YET, detail)
    else:
        finding = Finding(Flaw.NO_DIGEST_YET, "a digest comes about half an hour after its hour has ended")
    return replace(result, tail=Span(begin, end, Verdict.UNPROVED, "", (finding,)))


def _end_of(result: PlaceResult, newest: Newest) -> float:
    """Return the end of the chain of a digest. Of a day, any chain's digest will do."""
    named = name_of(newest.key)
    return max(result.ends.values(), default=0.0) if named is None else result.ends.get(named[0], 0.0)
