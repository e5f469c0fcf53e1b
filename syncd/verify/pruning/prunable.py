"""The objects of the source that may go. Pure.

A day goes as a whole or not at all: of an account and region with all kinds that digests name, else of a shard. Digests
go after all logs that they name.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from syncd.model.keys.stamps import DAY_SECONDS, day_start
from syncd.model.objects import Failed, LogObject, Shard
from syncd.model.reports import JobError
from syncd.tick.task import DIGESTS
from syncd.verify.rules.result import PlaceResult
from syncd.verify.rules.verdict import Span, Verdict
from syncd.verify.source.results import Compared

ALWAYS_NAMED = ("CloudTrail", DIGESTS)
"""Kinds of which nothing goes that no digest proves."""
BEFORE_START = "before_start"
"""The reason of a day that the job has never promised anything of."""
_GOOD = (Verdict.PROVED, Verdict.BACKFILL)


class Kept(NamedTuple):
    """A day that stays, and why."""

    prefix: str
    day: str
    reason: str
    detail: str
    key: str = ""


class PruneDay(NamedTuple):
    """A day of one shard that may go."""

    shard: Shard
    day: str
    objects: Sequence[LogObject]


@dataclass(slots=True, kw_only=True)
class Pruned:
    """The outcome of a prune, or of a dry run."""

    job: str
    older_than_days: int
    deletes: bool
    until: float = 0.0
    """The end of the last day that is old enough and within the horizon; 0.0 if there is none."""
    days: list[tuple[PruneDay, int]] = field(default_factory=list)
    """The days that may go, and how many objects of each are gone."""
    waiting: int = 0
    """Digests that stay, since logs that they name do."""
    kept: Sequence[Kept] = ()
    size_bytes: int = 0
    """Of the objects that may go."""
    failed: list[Failed] = field(default_factory=list)
    failed_count: int = 0
    is_conditional: bool | None = None
    """The server takes the ETag as a condition; None if that was not asked."""
    requests: Counter[str] = field(default_factory=Counter)
    duration_seconds: float = 0.0
    error: JobError | None = None
    is_running: bool = False
    """The error is that a catch-up, or another prune, is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestProof:
    """The proof by the digests of one account and region."""

    place: PlaceResult
    named: Mapping[str, Sequence[str]]
    """The logs that each digest names, by the digest's key."""

    def spans(self) -> Iterator[Span]:
        """Yield the spans of all chains."""
        for spans in self.place.chains.values():
            yield from spans

    def proved(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Yield each digest that is proved together with its logs, and these logs."""
        for span in self.spans():
            if span.digest_key and span.verdict in _GOOD and not span.problems:
                yield span.digest_key, self.named.get(span.digest_key, ())


class Prunable:
    """The days that may go, and those that stay."""

    def __init__(
        self,
        found: Compared,
        objects: Mapping[tuple[Shard, str], Sequence[LogObject]],
        proofs: Iterable[DigestProof] | None,
        *,
        last_day: str,
    ) -> None:
        """Decide about each day.

        Args:
            found: the comparison of source and replica.
            objects: the source's objects that it proved, by shard and day.
            proofs: what the digests prove; None for a layout that has none.
            last_day: the last day that is old enough and within the horizon.
        """
        self._found, self._objects, self._last_day = found, objects, last_day
        self._places = None if proofs is None else {above: proof for proof in proofs for above in _folders(proof.place)}
        self._named: dict[str, Sequence[str]] = {}
        self._proved: dict[str, set[str]] = {}
        for place, proof in (self._places or {}).items():
            named = dict(proof.proved())
            self._named |= named
            self._proved[place] = named.keys() | {log for logs in named.values() for log in logs}
        uncertain = {(shard, day) for (shard, day), compared in found.days.items() if compared.flaws} | found.open_days
        self._uncertain = {f"{shard.prefix}{day.replace('-', '/')}/" for shard, day in uncertain}
        self._listed = {item.key for items in objects.values() for item in items}
        self.days: list[PruneDay] = []
        self.digests: list[PruneDay] = []
        """To be asked of `may_go` one by one, once the days above are gone."""
        self.kept: list[Kept] = []
        self._decide()

    def may_go(self, digest: str, deleted: Collection[str]) -> bool:
        """Return True if all logs that a digest names are gone, given those that were deleted just now."""
        logs = self._named.get(digest)
        return logs is not None and all(self._is_gone(key, deleted) for key in logs)

    def _is_gone(self, key: str, deleted: Collection[str]) -> bool:
        folder, day = _day_folder(key)
        was_looked_for = folder[: -len("2026/11/24/")] in self._found.prefixes and day <= self._last_day
        if not day or not was_looked_for or folder in self._uncertain:
            return False
        return key in deleted or key not in self._listed

    def _decide(self) -> None:
        groups: defaultdict[tuple[str, str], list[Shard]] = defaultdict(list)
        for shard, day in self._found.days.keys() | self._found.open_days:
            groups[day, self._group_of(shard)].append(shard)
        for (day, above), shards in sorted(groups.items()):
            kept = self._kept(above, day, shards)
            if kept is None and self._places is not None and "/*/" in above:
                kept = self._kept_by_digests(above, day, shards)
            if kept is not None:
                self.kept.append(kept)
                continue
            for shard in sorted(shards):
                is_digest = self._places is not None and shard.kind == DIGESTS
                pruned = PruneDay(shard, day, self._objects.get((shard, day), ()))
                (self.digests if is_digest else self.days).append(pruned)

    def _group_of(self, shard: Shard) -> str:
        """Return the shard's prefix, or what it has in common with all kinds that the same digests name."""
        if self._places is None or not shard.kind:
            return shard.prefix
        above = shard.prefix.replace(f"/{shard.kind}/", "/*/", 1)
        proof = self._places.get(above)
        result = proof.place if proof is not None else None
        is_named = result is not None and shard.kind in result.place.prefixes().keys() - result.uncovered.keys()
        return above if is_named or shard.kind in ALWAYS_NAMED else shard.prefix

    def _kept(self, above: str, day: str, shards: Sequence[Shard]) -> Kept | None:
        """Return why a day stays, as far as comparison and horizon tell. Returns None if nothing speaks for it."""
        found = self._found
        if day_start(day) < found.complete_from:
            return Kept(above, day, BEFORE_START, "the job claims nothing of this day, which is before its start")
        if day > self._last_day:
            return Kept(above, day, "beyond_horizon", "the job does not claim to be complete up to the end of this day")
        for shard in shards:
            compared = found.days.get((shard, day))
            if (shard, day) in found.open_days:
                return Kept(
                    above, day, "left_out", "the source has objects of this day that the job does not replicate"
                )
            if compared is not None and compared.flaws:
                first = min(compared.findings, key=lambda finding: finding.key)
                return Kept(above, day, first.flaw.value, first.detail, first.key)
        return None

    def _kept_by_digests(self, above: str, day: str, shards: Sequence[Shard]) -> Kept | None:
        proof = (self._places or {}).get(above)
        if proof is None or not proof.place.chains:
            return Kept(above, day, "no_digest", "the replica has no digests of this account and region")
        begin = day_start(day)
        for span in proof.spans():
            if span.end > begin and span.start < begin + DAY_SECONDS and (span.verdict not in _GOOD or span.problems):
                first = span.problems[0] if span.problems else None
                detail = first.detail if first else f"a part of this day is {span.verdict.value}, not proved"
                return Kept(above, day, first.flaw.value if first else span.verdict.value, detail, span.digest_key)
        for shard in shards:
            for item in self._objects.get((shard, day), ()):
                if item.key not in self._proved[above]:
                    return Kept(above, day, "unnamed", "no digest that is proved names this object", item.key)
        return None


def _folders(result: PlaceResult) -> Sequence[str]:
    """Return the folders of all kinds of an account and region, under former key prefixes too."""
    return [digests.replace(f"/{DIGESTS}/", "/*/", 1) for digests in result.place.all_digests]


def _day_folder(key: str) -> tuple[str, str]:
    """Return the day folder of a log, and its day. Both are empty if it has none."""
    folder = key.rpartition("/")[0] + "/"
    parts = folder.split("/")[-4:-1]
    is_day = [len(part) for part in parts] == [4, 2, 2] and all(part.isdecimal() for part in parts)
    return (folder, "-".join(parts)) if is_day else ("", "")
