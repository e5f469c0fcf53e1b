"""The digests that a replica should have, by the ledger: what was taken away as a whole leaves nothing that names it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from syncd.ledger.ledger import LedgerView
from syncd.model.keys.stamps import DAY_SECONDS, day_start, utc_day
from syncd.model.keys.trail import Scope, in_scope
from syncd.model.objects import Shard, ShardState
from syncd.tick.task import DIGESTS
from syncd.verify.proof import Newest
from syncd.verify.rules.digest import ChainName, name_of
from syncd.verify.rules.place import Place
from syncd.verify.rules.unnamed import times_of

_ROWS_AT_ONCE = 1000
_AFTER = DAY_SECONDS / 2
"""Of the digests after a proof's end, the first begins before it. They are read for a day."""


class Expected(NamedTuple):
    """One account and region of which the ledger says that it was copied."""

    place: Place
    newest: Sequence[Newest]
    """The newest digest of each chain, or the newest day of digests if none is remembered key by key."""


def expected(view: LedgerView, scope: Scope, *, first: float, last: float) -> list[Expected]:
    """Return the accounts and regions whose objects are at the destination, by the ledger.

    Chains that ended are looked for from `first` on.

    Raises:
        LedgerError: it cannot be read.
    """
    states = [state for state in view.shards().values() if state.shard.region and in_scope(state.shard, scope)]
    found: dict[tuple[str, str, str], dict[str, ShardState]] = defaultdict(dict)
    for state in states:
        shard = state.shard
        if shard.prefix.endswith(f"/{shard.kind}/{shard.region}/") and _has_objects(view, shard):
            found[shard.organization, shard.account, shard.region][shard.kind] = state
    return [
        Expected(
            Place(account, region, digests.shard.prefix, _prefixes(kinds), organization),
            _newest(view, digests, first=first, last=last),
        )
        for (organization, account, region), kinds in sorted(found.items())
        if (digests := kinds.get(DIGESTS)) is not None
    ]


def _prefixes(kinds: Mapping[str, ShardState]) -> dict[str, str]:
    return {kind: state.shard.prefix for kind, state in kinds.items() if kind != DIGESTS}


def _has_objects(view: LedgerView, shard: Shard) -> bool:
    return bool(view.remembered(shard, "", limit=1) or view.sealed(shard, "0000-00-00", "9999-99-99"))


def _newest(view: LedgerView, state: ShardState, *, first: float, last: float) -> list[Newest]:
    """Return the digest of each chain that covers `last`, or its newest before. One that somebody has let go of is none."""
    since = min(first, max(0.0, min(state.frontier, last) - 2 * DAY_SECONDS))
    given_up = view.accepted()
    ends: dict[ChainName, list[Newest]] = defaultdict(list)
    for key in _keys(view, state.shard, f"{state.shard.prefix}{utc_day(since).replace('-', '/')}/"):
        named, (begin, end) = name_of(key), times_of(key)
        if key not in given_up and named is not None and begin == end <= last + _AFTER and not named[0].is_backfill:
            ends[named[0]].append(Newest(end, key))
    if not ends:
        return _newest_day(view, state.shard, last)
    return [min((item for item in found if item.end >= last), default=max(found)) for found in ends.values()]


def _newest_day(view: LedgerView, shard: Shard, last: float) -> list[Newest]:
    """Return the beginning of the newest day whose keys are folded into one row: a digest of it ends later."""
    day = max(view.sealed(shard, "0000-00-00", utc_day(max(0.0, last - 1))), default="")
    return [Newest(day_start(day), f"{shard.prefix}{day.replace('-', '/')}/")] if day else []


def _keys(view: LedgerView, shard: Shard, after: str) -> Iterator[str]:
    while True:
        rows: Sequence[tuple[str, object]] = view.remembered(shard, after, limit=_ROWS_AT_ONCE)
        yield from (key for key, _ in rows)
        if len(rows) < _ROWS_AT_ONCE:
            return
        after = rows[-1][0]
