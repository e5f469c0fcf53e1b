"""Objects that digests name and the replica lacks: which the job should have, and which the horizon claims. Pure."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from syncd.model.keys.stamps import stamp_of
from syncd.model.keys.trail import Scope, in_scope, is_ignored
from syncd.model.objects import LogObject, Shard, ShardState
from syncd.verify.rules.digest import name_of
from syncd.verify.rules.place import Place
from syncd.verify.rules.result import PlaceResult
from syncd.verify.rules.unnamed import OVERDUE_SECONDS
from syncd.verify.rules.verdict import Finding, Flaw, Span

_LOST = (Flaw.LOG_MISSING, Flaw.DIGEST_MISSING)


class Lost(NamedTuple):
    """One object that a digest names, that the job copies, and that the replica lacks."""

    key: str
    day: str
    shard: Shard
    stamp: float
    is_claimed: bool
    """The horizon says that it is at the destination."""
    is_due: bool
    """The horizon would pass it, or has."""
    is_known: bool = False
    """The ledger says that it was copied."""
    may_come: bool = False
    """It is a digest that CloudTrail may yet deliver."""

    def is_contradiction(self, source: LogObject | None, lateness: float) -> bool:
        """Return True if the horizon should have waited for it, given what the source has.

        What arrived later than the horizon waits for is no contradiction.
        """
        if not self.is_claimed or self.is_known or source is None:
            return self.is_claimed and not self.may_come
        return source.last_modified <= self.stamp + lateness


def lost_keys(result: PlaceResult) -> dict[str, str]:
    """Return the keys that digests name and the replica lacks, and the days they belong to."""
    return {finding.key: _day_of(finding.key, span) for span, finding in _findings(result) if finding.flaw in _LOST}


def lost_of(
    result: PlaceResult, scope: Scope, shards: Mapping[str, ShardState], given_up: Collection[str], *, now: float
) -> dict[str, Lost]:
    """Return what the replica lacks and the job should have, by key.

    Args:
        result: the audit of one account and region.
        scope: the job's.
        shards: the shards that the ledger knows, by prefix.
        given_up: keys that an operator has accepted as not copied.
        now: the present time, in epoch seconds.
    """
    found = {}
    for key, day in lost_keys(result).items():
        shard = shard_of(key, result.place)
        if key in given_up or not is_copied(key, result.place, scope):
            continue
        stamp, state = stamp_of(key) or 0.0, shards.get(shard.prefix)
        is_claimed = state is not None and state.complete_from <= stamp <= state.complete_until
        is_due = state is None or stamp >= state.complete_from
        may_come = name_of(key) is not None and now < stamp + 2 * OVERDUE_SECONDS
        found[key] = Lost(key, day, shard, stamp, is_claimed, is_due, may_come=may_come)
    return found


def shard_of(key: str, place: Place) -> Shard:
    """Return the shard of a key of the place."""
    return place.shard_of(key)


def is_copied(key: str, place: Place, scope: Scope) -> bool:
    """Return False for what the job may not look at, such as what it ignores or lies under a former key prefix."""
    return in_scope(shard_of(key, place), scope) and not is_ignored(key, scope.ignore)


def reworded(result: PlaceResult, words: Callable[[Finding], Finding]) -> PlaceResult:
    """Return the result with each finding as `words` puts it."""
    chains = {
        name: [span._replace(problems=tuple(map(words, span.problems))) for span in spans]
        for name, spans in result.chains.items()
    }
    tail = result.tail
    if tail is not None:
        tail = tail._replace(problems=tuple(map(words, tail.problems)))
    return replace(result, chains=chains, tail=tail)


def _findings(result: PlaceResult) -> Iterator[tuple[Span, Finding]]:
    for spans in result.chains.values():
        for span in spans:
            for finding in span.problems:
                if finding.key:
                    yield span, finding
    # Of the newest ones only digests are named: a day, or a log that none names, is none that is known to be missing.
    tail = result.tail
    if tail is not None:
        yield from ((tail, finding) for finding in tail.problems if name_of(finding.key) is not None)


def _day_of(key: str, span: Span) -> str:
    parts = key.split("/")[-4:-1]
    stamp = stamp_of(key)
    instant = span.start if stamp is None else stamp
    is_dated = len(parts) == len("ymd") and all(map(str.isdecimal, parts))
    return "-".join(parts) if is_dated else datetime.fromtimestamp(instant, UTC).date().isoformat()
