"""The continuous verification of one job, a bounded piece after each tick. What it reads and writes comes through ports."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from syncd.job.health.proofs import MOST_DOUBTS, Doubt, PlaceProof, Problem, Seen, place_proof
from syncd.model import events
from syncd.model.keys.stamps import stamp_of, utc_day
from syncd.model.keys.trail import Scope, in_scope
from syncd.model.objects import Known, Shard, ShardState
from syncd.tick.task import DIGESTS
from syncd.verify.continuous.doubts import (
    Followed,
    doubt_of,
    follow,
    gap_before,
    is_alarm,
    is_due,
    proved_until,
    still_doubted,
    without,
)
from syncd.verify.continuous.logs import LogCheck
from syncd.verify.continuous.ports import Ledger, LiveReplica, Responder
from syncd.verify.healing.lost import shard_of
from syncd.verify.proof import STOPPED_SECONDS
from syncd.verify.rules.chain import Chain
from syncd.verify.rules.digest import ChainName, name_of
from syncd.verify.rules.keys import Keys
from syncd.verify.rules.place import Place, Stored
from syncd.verify.rules.unnamed import NAMED_WITHIN_SECONDS, times_of

DIGESTS_AT_ONCE = 500
"""Digests of one account and region that one tick checks, at most."""
DOUBTS_AT_ONCE = 8
LOGS_AT_ONCE = 10_000
_ROWS_AT_ONCE = 1000
_AHEAD_SECONDS = 600.0
"""A digest ends before it is delivered, but clocks differ."""


class Watched(NamedTuple):
    """The outcome of one piece."""

    broken: Sequence[Problem] = ()
    """Alarms that are new."""


class Watch:
    """Checks the digests that are new, and doubts that are due. Make one for each tick."""

    def __init__(
        self,
        scope: Scope,
        buckets: Iterable[str],
        keys: Keys,
        replica: LiveReplica,
        ledger: Ledger,
        responder: Responder,
        *,
        reads: int,
        now: Callable[[], float],
        tell: Callable[..., Any],
    ) -> None:
        """`reads` is how many logs may be read back."""
        self._scope, self._buckets, self._keys = scope, frozenset(buckets), keys
        self._replica, self._ledger, self._responder = replica, ledger, responder
        self._logs = LogCheck(
            replica, ledger, buckets=self._buckets, ignore=scope.ignore, reads=min(reads, LOGS_AT_ONCE)
        )
        self._doubts_left = DOUBTS_AT_ONCE
        self._now, self._tell = now, tell
        self._shards: Mapping[str, ShardState] = {}
        self._accepted: Mapping[str, Any] = {}
        self._broken: list[Problem] = []
        self._proved_from = 0.0

    def run(self) -> Watched:
        """Check what is new.

        Raises:
            JobFailed: the replica cannot be listed or read.
            LedgerError: the state cannot be read or written. What was checked by then is saved.
        """
        self._shards = {
            prefix: state
            for prefix, state in self._ledger.shards().items()
            if state.shard.region and in_scope(state.shard, self._scope)
        }
        self._accepted = self._ledger.accepted()
        saved = self._ledger.proofs()
        proofs = [(place, place_proof(saved.get(place.digests))) for place in _places(self._shards.values())]
        # The one that is furthest behind first, since reading back is bounded.
        for place, proof in sorted(proofs, key=lambda pair: pair[1].proved_until):
            after = self._place(place, proof)
            if after != proof:
                self._ledger.save_proof(place.digests, after.to_json())
        return Watched(self._broken)

    def _place(self, place: Place, proof: PlaceProof) -> PlaceProof:
        if place.digests not in self._shards and not proof.positions:
            return self._undigested(place, proof)
        now, positions = self._now(), dict(proof.positions)
        doubts, self._proved_from = list(proof.doubts), proof.proved_from if positions else 0.0
        for name, items in self._new(place, positions).items():
            for followed in self._followed(name, positions.get(name.text), items):
                # What is not remembered is not proved: no chain goes on with more doubts than can be.
                problems = self._logs.problems(place, followed.step.digest) if len(doubts) < MOST_DOUBTS else None
                if problems is None:
                    break
                positions[name.text] = followed.seen
                self._claim_from(followed)
                doubt = without(doubt_of(followed, problems, now=now), self._is_given_up)
                doubts += [doubt] if doubt is not None else []
        doubts = self._settled(place, doubts)
        return proof._replace(
            proved_from=self._proved_from,
            proved_until=proved_until(positions, doubts) if positions else proof.proved_until,
            has_ended=self._has_ended(place, positions),
            positions=positions,
            doubts=doubts,
        )

    def _claim_from(self, followed: Followed) -> None:
        """Claim nothing before the first digest, nor before one that follows unchecked hours."""
        start, gap = followed.step.span.start, gap_before(followed)
        if not self._proved_from:
            self._proved_from = start
        elif gap is not None and start > self._proved_from:
            self._proved_from = start
            self._tell(events.PROOF_BEGUN_ANEW, key=gap.key, reason=gap.flaw, detail=gap.detail, digest=followed.digest)

    def _undigested(self, place: Place, proof: PlaceProof) -> PlaceProof:
        """Prove nothing from the first log on: no digest names any."""
        state = self._shards[place.kinds["CloudTrail"]]
        first = self._ledger.remembered(state.shard, "", limit=1)
        if proof.proved_until or not first:
            return proof
        return proof._replace(proved_until=stamp_of(first[0][0]) or 0.0)

    def _new(self, place: Place, positions: Mapping[str, Seen]) -> dict[ChainName, list[Stored]]:
        """Return the digests that no chain has come to, by chain, the oldest first."""
        shard, ends = shard_of(place.digests, place), [seen.end for seen in positions.values()]
        since = min((end for end in ends if max(ends) - end < 2 * STOPPED_SECONDS), default=0.0)
        after = f"{place.digests}{utc_day(since).replace('-', '/')}/" if since else place.digests
        found: dict[ChainName, list[tuple[float, Stored]]] = defaultdict(list)
        for key, known in islice(self._rows(shard, after), DIGESTS_AT_ONCE + 2 * len(positions) * 48):
            named = name_of(key)
            if named is None or not self._is_of_its_time(key, named[1]):
                continue
            position = positions.get(named[0].text)
            if position is None or named[1] > position.end:
                found[named[0]].append((named[1], Stored(key, known.size_bytes)))
        return {name: [item for _, item in sorted(items)][:DIGESTS_AT_ONCE] for name, items in sorted(found.items())}

    def _is_of_its_time(self, key: str, end: float) -> bool:
        """Return True if a digest's name may be true. No chain goes on after one that is not."""
        first, last = times_of(key)
        return first == last and end <= self._now() + _AHEAD_SECONDS

    def _rows(self, shard: Shard, after: str) -> Iterator[tuple[str, Known]]:
        while True:
            rows = self._ledger.remembered(shard, after, limit=_ROWS_AT_ONCE)
            yield from rows
            if len(rows) < _ROWS_AT_ONCE:
                return
            after = rows[-1][0]

    def _followed(self, name: ChainName, last: Seen | None, items: Sequence[Stored]) -> Iterator[Followed]:
        chain = Chain(name, self._buckets, self._keys, last)
        return follow(chain, name, self._replica.digests(items))

    def _settled(self, place: Place, doubts: Sequence[Doubt]) -> list[Doubt]:
        """Look again at the doubts that are due, heal what can be, and tell what is an alarm."""
        now, left = self._now(), []
        for doubt in filter(None, (still_doubted(doubt, self._is_given_up) for doubt in doubts)):
            again: Doubt | None = doubt
            if is_due(doubt, now=now) and self._doubts_left > 0:
                self._doubts_left -= 1
                again = self._again(place, doubt)
            if again is not None:
                left.append(again)
            elif doubt.is_told:
                self._mended(doubt)
        alarms = [doubt for doubt in left if is_alarm(doubt, self._is_claimed, now=now)]
        looked_at = [doubt for doubt in alarms if doubt.checked_at == now or not doubt.is_told]
        kept = self._responder.heal(place, looked_at, lambda doubt: self._again(place, doubt)) if looked_at else []
        digests = {doubt.digest for doubt in kept}
        for doubt in looked_at:
            if doubt.digest not in digests and doubt.is_told:
                self._mended(doubt)
        told = [self._alarmed(place, doubt) for doubt in kept]
        asked = {doubt.digest for doubt in looked_at}
        return sorted([doubt for doubt in left if doubt.digest not in asked] + told, key=lambda doubt: doubt.start)

    def _again(self, place: Place, doubt: Doubt) -> Doubt | None:
        """Follow the chain again from before a doubt to its end. Returns what is left of it."""
        name, now = ChainName.of(doubt.chain), self._now()
        since = doubt.before.end if doubt.before is not None else doubt.start
        first = f"{place.digests}{utc_day(since).replace('-', '/')}/"
        last = f"{place.digests}{utc_day(doubt.end).replace('-', '/')}0"
        items = []
        for key, known in self._rows(shard_of(place.digests, place), first):
            if key > last:
                break
            named = name_of(key)
            if named is None or not self._is_of_its_time(key, named[1]):
                continue
            if named[0] == name and since < named[1] <= doubt.end:
                items.append((named[1], Stored(key, known.size_bytes)))
        left: Doubt | None = None
        wanted = [item for _, item in sorted(items)]
        if not wanted:
            return doubt._replace(checked_at=now)
        for followed in self._followed(name, doubt.before, wanted):
            problems = self._logs.problems(place, followed.step.digest)
            if problems is None:
                return doubt
            self._claim_from(followed)
            found = without(doubt_of(followed, problems, now=now), self._is_given_up)
            if found is not None:
                left = found if left is None else left._replace(end=found.end, problems=left.problems + found.problems)
        if left is None:
            return None
        return left._replace(digest=doubt.digest, before=doubt.before, found_at=doubt.found_at, is_told=doubt.is_told)

    def _alarmed(self, place: Place, doubt: Doubt) -> Doubt:
        if doubt.is_told:
            return doubt
        self._broken += doubt.problems
        for problem in doubt.problems[:20]:
            self._tell(
                events.PROOF_BROKEN,
                key=problem.key or doubt.digest,
                reason=problem.reason,
                detail=problem.detail,
                digest=doubt.digest,
                problems=len(doubt.problems),
            )
        self._responder.hold(place, doubt)
        return doubt._replace(is_told=True)

    def _mended(self, doubt: Doubt) -> None:
        self._tell(events.PROOF_MENDED, key=doubt.problems[0].key or doubt.digest, digest=doubt.digest)
        self._responder.release(doubt)

    def _is_given_up(self, key: str) -> bool:
        return key in self._accepted

    def _is_claimed(self, key: str) -> bool:
        """Return True if the horizon says that a log is at the destination. A digest may come later than it."""
        if name_of(key) is not None:
            return False
        state = self._shards.get(f"{key.rsplit('/', 4)[0]}/") if key.count("/") > 4 else None
        stamp = stamp_of(key)
        return state is not None and stamp is not None and state.complete_from <= stamp <= state.complete_until

    def _has_ended(self, place: Place, positions: Mapping[str, Seen]) -> bool:
        """Return True if neither digests nor logs come any more."""
        newest = max((seen.end for seen in positions.values()), default=0.0)
        logs = [state for kind in place.kinds.values() if (state := self._shards.get(kind)) is not None]
        is_quiet = all(state.frontier <= newest + NAMED_WITHIN_SECONDS for state in logs)
        return bool(newest) and self._now() - newest >= STOPPED_SECONDS and is_quiet


def _places(states: Iterable[ShardState]) -> list[Place]:
    """Return the accounts and regions that have logs or digests."""
    found: dict[tuple[str, str, str], dict[str, str]] = defaultdict(dict)
    for shard in (state.shard for state in states):
        above = shard.prefix.removesuffix(f"/{shard.kind}/{shard.region}/")
        if above != shard.prefix:
            kinds = found[shard.organization, shard.account, shard.region]
            kinds[shard.kind] = shard.prefix
            if shard.kind == "CloudTrail":
                kinds.setdefault(DIGESTS, f"{above}/{DIGESTS}/{shard.region}/")
    return [
        Place(account, region, kinds.pop(DIGESTS), kinds, organization)
        for (organization, account, region), kinds in sorted(found.items())
        if DIGESTS in kinds
    ]
