"""The audit of one account and region: its digest chains, and each log that they name, against the replica.

What is read comes through a `ReplicaReader`; nothing here does any I/O.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Protocol

from syncd.model.keys.stamps import DAY_SECONDS
from syncd.model.keys.vouched import replaced_by
from syncd.verify.rules.chain import Chain, Found, Step, named_by, own_word, parsed
from syncd.verify.rules.digest import ChainName, Digest, Named, name_of
from syncd.verify.rules.keys import Keys
from syncd.verify.rules.passing import Nothing, Passing, SealedDays
from syncd.verify.rules.place import Place, Stored
from syncd.verify.rules.progress import Progress
from syncd.verify.rules.result import Hashes, PlaceResult
from syncd.verify.rules.unnamed import NAMED_WITHIN_SECONDS, Unnamed, by_time, times_of
from syncd.verify.rules.verdict import Finding, Flaw, Span, Verdict

ANCHOR_SECONDS = 2 * DAY_SECONDS
"""Digests are read from so long before the audit's beginning, so that its first one finds its predecessor."""


class ReplicaReader(Protocol):
    """The replica, read."""

    def keys(self, prefix: str, first: float, last: float) -> Iterator[Stored]:
        """List the objects below a prefix whose days lie between two instants, both included, the oldest day first."""
        ...

    def digests(self, items: Iterable[Stored]) -> Iterator[Found]:
        """Read digests, in the order asked for. One that has vanished is left out."""
        ...

    def hashes(self, items: Iterable[Stored]) -> Iterator[tuple[Stored, str | Finding]]:
        """Yield the SHA-256 of the uncompressed content of logs, in any order, or a finding if there is none."""
        ...


def elsewhere(log: Named) -> Finding:
    """Return what is said of a log that was delivered to another bucket."""
    detail = f"it is in s3://{log.bucket}; if the trail delivered there, name the bucket in source.trail_buckets"
    return Finding(Flaw.OTHER_BUCKET, detail, log.key)


@dataclass(slots=True)
class Checked:
    """One step of a chain, and what became of the logs that it names."""

    chain: ChainName
    span: Span
    problems: list[Finding] = field(default_factory=list)

    def result(self) -> Span:
        """Return the span with the verdict that its logs leave it."""
        if not self.problems:
            return self.span
        return self.span._replace(verdict=Verdict.UNPROVED, problems=(*self.span.problems, *self.problems))


class Audit:
    """Goes through one place, digest by digest. Memory does not grow with the logs of a sound replica."""

    def __init__(
        self,
        replica: ReplicaReader,
        place: Place,
        *,
        buckets: Iterable[str],
        keys: Keys,
        first: float,
        last: float,
        passing: Passing | None = None,
        watched: Collection[str] = (),
        progress: Progress | None = None,
    ) -> None:
        """A log is read unless a hash `passing` by, while it was copied, is what its digest names.

        `watched` logs are always read, and their hashes are in the result.
        """
        self._replica = replica
        self._place = place
        self._buckets = frozenset(buckets)
        self._keys = keys
        self._first, self._last = first, last
        self._passing = passing or Nothing()
        self._sealed = SealedDays[Checked](self._passing)
        self._watched = watched
        self._hashes: dict[str, Hashes] = {}
        self._progress = progress or Progress()
        self._chains: dict[ChainName, list[Checked]] = defaultdict(list)
        self._ends: dict[ChainName, float] = {}
        self._newest_under: defaultdict[str, float] = defaultdict(float)
        """The end of the newest digest under each prefix."""
        self._waiting: dict[str, list[tuple[Checked, Named]]] = {}
        self._replacements: dict[str, str] = {}
        """The SHA-256 that each replacement beside a log should have, by its key."""
        self._beside_digests: dict[str, Stored] = {}
        """The replacements beside digests, by the digest's key."""
        self._followers: dict[str, Digest] = {}
        """The digests that name one of these as the one before, by its key."""
        self._beside: list[str] = []
        self._planted: list[str] = []
        self._unnamed = Unnamed(self._listings(), self._spans, first=first, last=last)
        self._read = self._not_read = self._log_bytes = 0

    def run(self) -> PlaceResult:
        """Check every digest and every log of it."""
        for item, found in self._replica.hashes(self._wanted()):
            if item.key in self._replacements:
                # With other content it is an object that no digest names.
                is_right = found == self._replacements[item.key]
                (self._beside if is_right else self._planted).append(item.key)
                continue
            for checked, named in self._waiting.pop(item.key, ()):
                self._compare(checked, named, found)
            self._read += 1
            self._done(item)
        for digest in self._replica.digests(self._beside_digests.values()):
            original = digest._replace(key=replaced_by(digest.key))
            follower = self._followers.get(original.key)
            is_right = bool(own_word(original, self._buckets, self._keys) or named_by(follower, original))
            (self._beside if is_right else self._planted).append(digest.key)
        return self._result()

    def _done(self, item: Stored) -> None:
        self._log_bytes += item.size_bytes
        self._progress.log(item.size_bytes)

    def _listings(self) -> Mapping[str, Iterator[Stored]]:
        first, last = self._first - DAY_SECONDS, self._last + DAY_SECONDS
        return {
            kind: by_time([self._replica.keys(prefix, first, last) for prefix in prefixes])
            for kind, prefixes in self._place.prefixes().items()
        }

    def _wanted(self) -> Iterator[Stored]:
        """Yield the logs to read, while going through the digests of all chains by their ends."""
        dated: list[tuple[float, ChainName, Stored]] = []
        first, last = self._first - ANCHOR_SECONDS, self._last + DAY_SECONDS
        for prefix in self._place.all_digests:
            listed = ((name_of(item.key), item) for item in self._replica.keys(prefix, first, last))
            for named, item in listed:
                if named is not None:
                    self._newest_under[prefix] = max(self._newest_under[prefix], named[1])
                    dated.append((named[1], named[0], item))
                elif name_of(replaced_by(item.key)) is not None:
                    self._beside_digests[replaced_by(item.key)] = item
        dated.sort()
        for number, (name, step) in enumerate(self._steps([item for _, _, item in dated]), 1):
            self._unnamed.read_until(step.span.end)
            yield from self._logs_of(name, step)
            yield from self._of_sealed_days(step.span.end)
            self._progress.digest(number, len(dated))
        yield from self._of_sealed_days(inf)

    def _steps(self, items: Sequence[Stored]) -> Iterator[tuple[ChainName, Step]]:
        chains: dict[ChainName, Chain] = {}
        waiting: dict[ChainName, Found] = {}
        for found in self._replica.digests(items):
            named = name_of(found.key)
            assert named is not None
            name = named[0]
            chain = chains.setdefault(name, Chain(name, self._buckets, self._keys))
            before = waiting.get(name)
            waiting[name] = found
            if before is not None:
                yield name, chain.accept(before, parsed(found) if not before.signature else None)
        for name, found in waiting.items():
            yield name, chains[name].accept(found)
        self._ends = {name: chain.last.end for name, chain in chains.items() if chain.last is not None}

    def _logs_of(self, name: ChainName, step: Step) -> Iterator[Stored]:
        """Yield the logs of one digest that have to be read. What lies before the audit's beginning anchors it only."""
        checked = Checked(name, step.span)
        # A digest after the audit's end may show that the one before it is missing.
        found = [*(Checked(name, span) for span in step.before), checked]
        self._chains[name] += [item for item in found if self._is_within(item.span)]
        if step.digest is None:
            return
        if (previous := step.digest.previous) is not None and previous.key in self._beside_digests:
            self._followers[previous.key] = step.digest
        listed = [(log, self._unnamed.name(log.key, self._place.prefix_of(log.key)[0])) for log in step.digest.logs]
        if self._is_within(step.span):
            yield from self._checked(checked, listed)
            yield from self._replacements_of(step.digest.logs)

    def _is_within(self, span: Span) -> bool:
        return span.end > self._first and span.start < self._last

    def _checked(self, checked: Checked, logs: Sequence[tuple[Named, Stored | None]]) -> Iterator[Stored]:
        """Check logs by hashes that were kept, and yield the others to be read."""
        unwatched = [item for log, item in logs if item is not None and log.key not in self._watched]
        kept = self._passing.kept(unwatched)
        for log, item in logs:
            if log.bucket not in self._buckets:
                checked.problems.append(elsewhere(log))
            elif item is None or log.key in self._watched:
                # One that is not listed is asked for too: another digest may have named it before.
                yield from self._asked(checked, log, item or Stored(log.key, 0))
            elif kept.get(log.key) == log.sha256:
                self._not_read += 1
                self._done(item)
            elif log.key in kept or not self._sealed.hold(item, log, checked):
                yield from self._asked(checked, log, item)

    def _asked(self, checked: Checked, log: Named, item: Stored) -> Iterator[Stored]:
        is_asked = log.key in self._waiting
        self._waiting.setdefault(log.key, []).append((checked, log))
        if not is_asked:
            yield item

    def _of_sealed_days(self, until: float) -> Iterator[Stored]:
        """Yield the logs of sealed days that have to be read, because their day's witness does not vouch for them."""
        for day in self._sealed.ended(until):
            if day.is_vouched:
                self._passing.vouched(day.hashes())
            for item, log, checked in day.logs:
                if day.is_vouched:
                    self._not_read += 1
                    self._done(item)
                else:
                    yield from self._asked(checked, log, item)

    def _replacements_of(self, logs: Iterable[Named]) -> Iterator[Stored]:
        """Yield the replacements that `--repair` has written beside logs."""
        for log in logs:
            item = self._unnamed.beside(log.key)
            if item is not None:
                self._replacements[item.key] = log.sha256
                yield item

    def _compare(self, checked: Checked, log: Named, found: str | Finding) -> None:
        is_missing = isinstance(found, Finding) and found.flaw == Flaw.LOG_MISSING
        if (found != log.sha256 or log.key in self._watched) and not is_missing:
            self._hashes[log.key] = Hashes(log.sha256, "" if isinstance(found, Finding) else found)
        if isinstance(found, Finding):
            checked.problems.append(found._replace(key=log.key))
        elif found != log.sha256:
            detail = f"its content has SHA-256 {found}, and its digest names {log.sha256}"
            checked.problems.append(Finding(Flaw.LOG_ALTERED, detail, log.key))

    def _spans(self) -> list[Span]:
        """Return the spans of all chains so far, whatever has become of their logs.

        A backfill is of logs that came too late for their own digest.
        """
        return [item.span for name, found in self._chains.items() if not name.is_backfill for item in found]

    def _may_be_named(self, key: str) -> bool:
        """Return True for a log that a digest may name which came when the job copied its prefix no more."""
        first, last = times_of(key)
        if first < last or replaced_by(key):
            return False
        ends = [self._newest_under[former.digests] for former in self._place.uncopied() if former.has(key)]
        return any(first > end - NAMED_WITHIN_SECONDS for end in ends)

    def _result(self) -> PlaceResult:
        chains = {name: [checked.result() for checked in found] for name, found in sorted(self._chains.items())}
        standard = [found for name, found in chains.items() if not name.is_backfill]
        ends = [max((span.end for span in found if span.digest_key), default=0.0) for found in standard]
        left = self._unnamed.left(ends)
        extra = [key for key in left.extra if not self._may_be_named(key)]
        return PlaceResult(
            place=self._place,
            chains=chains,
            extra=sorted([*extra, *self._planted]),
            uncovered=left.uncovered,
            logs=self._read + self._not_read,
            logs_read=self._read,
            log_bytes=self._log_bytes,
            newest_end=max(ends, default=0.0),
            ends=self._ends,
            unnamed_after=left.after,
            unnamed_overdue=left.overdue,
            in_flight=left.in_flight,
            beside=sorted(self._beside),
            hashes=self._hashes,
        )
