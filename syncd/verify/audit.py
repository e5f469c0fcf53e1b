"""The audit of one account and region: its digest chains, and each log that they name, against the replica.

What is read comes through a `ReplicaReader`; nothing here does any I/O.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from syncd.model.keys.stamps import DAY_SECONDS, stamp_of
from syncd.model.keys.vouched import beside
from syncd.tick.task import DIGESTS
from syncd.verify.rules.chain import Chain, Found, Step, steps
from syncd.verify.rules.digest import ChainName, Named, name_of
from syncd.verify.rules.keys import Keys
from syncd.verify.rules.unnamed import sorted_out
from syncd.verify.rules.verdict import Finding, Flaw, Span, Verdict

ANCHOR_SECONDS = 2 * DAY_SECONDS
"""Digests are read from so long before the audit's beginning, so that its first one finds its predecessor."""


class Place(NamedTuple):
    """One account and region of the replica, by prefixes of source keys."""

    account: str
    region: str
    digests: str
    """The prefix of its digests, up to the dates."""
    kinds: Mapping[str, str]
    """The prefixes of its other kinds, such as CloudTrail and CloudTrail-Insight."""
    organization: str = ""

    def prefix_of(self, key: str) -> tuple[str, str]:
        """Return the kind of a key and the kind's prefix. Both are empty if it is of none."""
        kinds = {**self.kinds, DIGESTS: self.digests}
        return next((found for found in kinds.items() if key.startswith(found[1])), ("", ""))


class Stored(NamedTuple):
    """An object of the replica, by the source's key."""

    key: str
    size_bytes: int
    etag: str = ""


class Hashes(NamedTuple):
    """The SHA-256 of a log, as its digest names it and as the replica has it."""

    digest: str
    replica: str
    """Empty if the replica's content cannot be hashed."""


class ReplicaReader(Protocol):
    """The replica, read."""

    def keys(self, prefix: str, first: float, last: float) -> Iterator[Stored]:
        """List the objects below a prefix whose days lie between two instants, both included, in key order."""
        ...

    def digests(self, items: Iterable[Stored]) -> Iterator[Found]:
        """Read digests, in the order asked for. One that has vanished is left out."""
        ...

    def hashes(self, items: Iterable[Stored]) -> Iterator[tuple[Stored, str | Finding]]:
        """Yield the SHA-256 of the uncompressed content of logs, in any order, or a finding if there is none."""
        ...


@dataclass(slots=True)
class Checked:
    """One step of a chain, and what became of the logs that it names."""

    chain: ChainName
    span: Span
    waiting: int = 0
    problems: list[Finding] = field(default_factory=list)

    def result(self) -> Span:
        """Return the span with the verdict that its logs leave it."""
        if not self.problems:
            return self.span
        return self.span._replace(verdict=Verdict.UNPROVED, problems=(*self.span.problems, *self.problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceResult:
    """The findings of the audit of one account and region."""

    place: Place
    chains: Mapping[ChainName, Sequence[Span]]
    extra: Sequence[str]
    """Logs that no digest names, although one tells of their time."""
    uncovered: Mapping[str, int]
    """Kinds that no digest names anything of, and how many objects there are."""
    logs: int
    """Logs that were compared."""
    log_bytes: int
    newest_end: float
    """The end of the newest digest; 0.0 if there is none."""
    unnamed_after: Sequence[str]
    """Logs that are newer than the newest digest accounts for."""
    beside: Sequence[str] = ()
    """Replacements beside altered logs, each with the content that the digest names."""
    hashes: Mapping[str, Hashes] = field(default_factory=dict)
    """Of logs that are not what their digest names, and of those that were watched."""
    tail: Span | None = None
    """The span after the newest digest."""

    @property
    def is_cut(self) -> bool:
        """The newest digests are missing, and not only late."""
        return self.tail is not None and self.tail.problems[0].flaw == Flaw.DIGEST_MISSING


class Audit:
    """Goes through one place, day by day."""

    def __init__(
        self,
        replica: ReplicaReader,
        place: Place,
        *,
        buckets: Iterable[str],
        keys: Keys,
        first: float,
        last: float,
        known: Callable[[str], str | None] = lambda _: None,
        watched: Collection[str] = (),
        on_progress: Callable[[int, int], None] = lambda *_: None,
    ) -> None:
        """`known` gives the hash of a log that was computed while it was copied, or None to read it.

        The hashes of `watched` logs are in the result.
        """
        self._replica = replica
        self._place = place
        self._buckets = frozenset(buckets)
        self._keys = keys
        self._first, self._last = first, last
        self._known = known
        self._watched = watched
        self._hashes: dict[str, Hashes] = {}
        self._on_progress = on_progress
        self._chains: dict[ChainName, list[Checked]] = defaultdict(list)
        self._waiting: dict[str, list[tuple[Checked, Named]]] = {}
        self._unclaimed: dict[str, int] = {}
        self._replacements: dict[str, str] = {}
        """The SHA-256 that each replacement beside a log should have, by its key."""
        self._beside: list[str] = []
        self._named_kinds: set[str] = set()
        self._logs = self._log_bytes = 0

    def run(self) -> PlaceResult:
        """Check every digest and every log of it."""
        self._list_logs()
        for item, found in self._replica.hashes(self._wanted()):
            if item.key in self._replacements:
                self._take_replacement(item.key, found)
                continue
            for checked, named in self._waiting.pop(item.key, ()):
                self._compare(checked, named, found)
            self._logs += 1
            self._log_bytes += item.size_bytes
            self._on_progress(1, item.size_bytes)
        return self._result()

    def _list_logs(self) -> None:
        for prefix in self._place.kinds.values():
            for item in self._replica.keys(prefix, self._first - DAY_SECONDS, self._last + DAY_SECONDS):
                self._unclaimed[item.key] = item.size_bytes

    def _wanted(self) -> Iterator[Stored]:
        """Yield the logs to read, while going through the digests."""
        by_chain: dict[ChainName, list[Stored]] = defaultdict(list)
        for item in self._replica.keys(self._place.digests, self._first - ANCHOR_SECONDS, self._last + DAY_SECONDS):
            named = name_of(item.key)
            if named is not None:
                by_chain[named[0]].append(item)
        for name, items in sorted(by_chain.items()):
            items.sort(key=lambda item: (name_of(item.key) or (name, 0.0))[1])
            for step in self._steps(name, items):
                yield from self._logs_of(name, step)

    def _steps(self, name: ChainName, items: Sequence[Stored]) -> Iterator[Step]:
        return steps(Chain(name, self._buckets, self._keys), self._replica.digests(items))

    def _logs_of(self, name: ChainName, step: Step) -> Iterator[Stored]:
        """Yield the logs of one digest that have to be read. What lies before the audit's beginning anchors it only."""
        is_within = step.span.end > self._first and step.span.start < self._last
        if is_within:
            self._chains[name] += [Checked(name, span) for span in step.before]
        if step.digest is None:
            if is_within:
                self._chains[name].append(Checked(name, step.span))
            return
        checked = Checked(name, step.span)
        if is_within:
            self._chains[name].append(checked)
        for log in step.digest.logs:
            yield from self._claimed(checked, log, is_within=is_within)

    def _claimed(self, checked: Checked, log: Named, *, is_within: bool) -> Iterator[Stored]:
        kind = next((kind for kind, prefix in self._place.kinds.items() if log.key.startswith(prefix)), "")
        self._named_kinds.add(kind)
        if is_within:
            yield from self._replacement(log)
        size_bytes = self._unclaimed.pop(log.key, None)
        if not is_within:
            return
        if log.bucket not in self._buckets:
            checked.problems.append(Finding(Flaw.LOG_MISSING, f"it is in another bucket, s3://{log.bucket}", log.key))
            return
        if size_bytes is None and log.key not in self._waiting and self._is_listed(log.key):
            checked.problems.append(Finding(Flaw.LOG_MISSING, "the replica has no such object", log.key))
            return
        known = self._known(log.key)
        if known is not None:
            self._logs += 1
            self._log_bytes += size_bytes or 0
            self._on_progress(1, size_bytes or 0)
            self._compare(checked, log, known)
            return
        is_asked = log.key in self._waiting
        self._waiting.setdefault(log.key, []).append((checked, log))
        if not is_asked:
            yield Stored(log.key, size_bytes or 0)

    def _replacement(self, log: Named) -> Iterator[Stored]:
        """Yield the replacement that `--repair` has written beside a log, if there is one."""
        key = beside(log.key)
        if key in self._unclaimed and key not in self._replacements:
            self._replacements[key] = log.sha256
            yield Stored(key, self._unclaimed[key])

    def _take_replacement(self, key: str, found: str | Finding) -> None:
        """Take a replacement for what it is. With other content it is an object that no digest names."""
        if found == self._replacements[key]:
            del self._unclaimed[key]
            self._beside.append(key)

    def _is_listed(self, key: str) -> bool:
        """Return True if a log of this key was sure to be among those listed."""
        stamp = stamp_of(key)
        is_of_kind = any(key.startswith(prefix) for prefix in self._place.kinds.values())
        return is_of_kind and stamp is not None and self._first <= stamp <= self._last

    def _compare(self, checked: Checked, log: Named, found: str | Finding) -> None:
        is_missing = isinstance(found, Finding) and found.flaw == Flaw.LOG_MISSING
        if (found != log.sha256 or log.key in self._watched) and not is_missing:
            self._hashes[log.key] = Hashes(log.sha256, "" if isinstance(found, Finding) else found)
        if isinstance(found, Finding):
            checked.problems.append(found._replace(key=log.key))
        elif found != log.sha256:
            detail = f"its content has SHA-256 {found}, and its digest names {log.sha256}"
            checked.problems.append(Finding(Flaw.LOG_ALTERED, detail, log.key))

    def _result(self) -> PlaceResult:
        chains = {name: [checked.result() for checked in found] for name, found in sorted(self._chains.items())}
        spans = [span for name, found in chains.items() if not name.is_backfill for span in found]
        newest_end = max((span.end for span in spans if span.digest_key), default=0.0)
        # A digest tells what there is to be, whatever has become of it.
        good = sorted(
            (checked.span.start, checked.span.end)
            for name, found in self._chains.items()
            for checked in found
            if checked.span.verdict in (Verdict.PROVED, Verdict.UNANCHORED)
        )
        unnamed = sorted_out(
            self._unclaimed, self._place.kinds, self._named_kinds, (self._first, self._last), newest_end, good
        )
        return PlaceResult(
            place=self._place,
            chains=chains,
            extra=unnamed.extra,
            uncovered=unnamed.uncovered,
            logs=self._logs,
            log_bytes=self._log_bytes,
            newest_end=newest_end,
            unnamed_after=unnamed.after,
            beside=sorted(self._beside),
            hashes=self._hashes,
        )
