"""The counts of each day, and sealed days, which vouch for their objects all together. Pure."""

from collections import Counter
from dataclasses import dataclass, field

from syncd.model.objects import LogObject
from syncd.model.sealed import EMPTY_DAY, SealedDay, SealedObject, fold_day
from syncd.tick.listing.sealing import DayTotals
from syncd.verify.rules.verdict import Finding, Flaw
from syncd.verify.source.probing import Evidence
from syncd.verify.source.sides import Trio

FINDINGS_KEPT = 1000
"""Of each day; the counts are of all."""
LARGEST_DAY_HELD = 200_000
"""Objects of a sealed day that wait for its end to be vouched for."""


@dataclass(slots=True)
class Day:
    """The comparison of one shard and UTC day."""

    objects: int = 0
    """Of the source, and those that the ledger knows and neither side has."""
    size_bytes: int = 0
    evidence: Counter[Evidence] = field(default_factory=Counter)
    flaws: Counter[Flaw] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_proved(self) -> bool:
        """Every object of the day is proved."""
        return self.objects > 0 and not self.flaws

    def prove(self, item: LogObject, evidence: Evidence) -> None:
        """Count an object that is proved."""
        self.objects += 1
        self.size_bytes += item.size_bytes
        self.evidence[evidence] += 1

    def find(self, finding: Finding, *, size_bytes: int = 0, objects: int = 1) -> None:
        """Count what is wrong."""
        self.objects += objects
        self.size_bytes += size_bytes
        self.flaws[finding.flaw] += 1
        if len(self.findings) < FINDINGS_KEPT:
            self.findings.append(finding)

    def add(self, other: "Day") -> None:
        """Take in the same day of another shard."""
        self.objects += other.objects
        self.size_bytes += other.size_bytes
        self.evidence += other.evidence
        self.flaws += other.flaws
        self.findings = [*self.findings, *other.findings][:FINDINGS_KEPT]


@dataclass(slots=True)
class SealedRun:
    """A sealed day while the listing goes through it.

    Objects that came after it was sealed are remembered beside it, one by one: each side is folded with and without them.
    """

    day: str
    was: SealedDay
    keys: int = 0
    waiting: list[Trio] = field(default_factory=list)
    """Objects that the sealed day may vouch for."""
    _here: DayTotals = field(default_factory=DayTotals)
    _here_sealed: DayTotals = field(default_factory=DayTotals)
    _there: SealedDay = EMPTY_DAY
    _there_sealed: SealedDay = EMPTY_DAY

    def take(self, trio: Trio) -> None:
        """Fold one key."""
        is_beside = trio.known is not None
        self.keys += trio.source is not None or trio.replica is not None
        if trio.source is not None:
            self._here = self._here.plus(trio.source)
            if not is_beside:
                self._here_sealed = self._here_sealed.plus(trio.source)
        if trio.replica is not None:
            folded = [SealedObject(trio.key, None, trio.replica.size_bytes, trio.replica.etag)]
            self._there = fold_day(folded, self._there)
            if not is_beside:
                self._there_sealed = fold_day(folded, self._there_sealed)

    @property
    def vouches_for_source(self) -> bool:
        """The source lists exactly what was sealed, ETags included."""
        wanted = (self.was.count, self.was.digest)
        return self.was.exact and wanted in {(now.total, now.digest) for now in (self._here, self._here_sealed)}

    @property
    def vouches_for_replicas(self) -> bool:
        """The destination lists exactly what was sealed, ETags included."""
        was = (self.was.count, self.was.size_bytes, self.was.replica_digest)
        folded = (self._there, self._there_sealed)
        return self.was.replica_exact and was in {(now.count, now.size_bytes, now.replica_digest) for now in folded}

    @property
    def lost(self) -> int:
        """The number of its objects that are on neither side."""
        return max(0, self.was.count - self.keys)
