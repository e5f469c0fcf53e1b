"""A ledger in memory: passes the same contract as the one on disk (`contract/test_ledger_contract.py`)."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from types import TracebackType
from typing import Self

from syncd.ledger.replica.quarantine import HeldOverview
from syncd.ledger.rows import is_key, shortened
from syncd.model.bounds import MOST_UNCOVERED, children_to_json
from syncd.model.errors import LedgerRefused
from syncd.model.objects import (
    AlreadyThere,
    Conflict,
    Copied,
    Failed,
    HeldCounts,
    Known,
    LogObject,
    Outcome,
    Quarantined,
    Replica,
    Shard,
    ShardState,
)
from syncd.model.reports import TickReport
from syncd.model.sealed import SealedDay, SealedObject, fold_day

IsWanted = Callable[[Shard], bool]
_DAY = re.compile(r"(\d{4})/(0[1-9]|1[0-2])/([0-2]\d|3[01])/", re.ASCII)


@dataclass
class _Remembered:
    """One replica's rows."""

    start: float | None = None
    mode: tuple[str, str] | None = None
    discovered_at: float = 0.0
    shards: dict[str, ShardState] = field(default_factory=dict)
    looked: dict[str, tuple[float, tuple[str, ...]]] = field(default_factory=dict)
    objects: dict[Shard, dict[str, Known]] = field(default_factory=dict)
    days: dict[Shard, dict[str, SealedDay]] = field(default_factory=dict)
    quarantine: dict[str, Quarantined] = field(default_factory=dict)
    lateness: Counter[int] = field(default_factory=Counter)
    accepted: dict[str, tuple[str, str]] = field(default_factory=dict)
    uncovered: dict[str, float] = field(default_factory=dict)


@dataclass
class _Decided:
    """What no listing can tell again."""

    starts: list[float] = field(default_factory=list)
    accepted: dict[str, tuple[str, str]] = field(default_factory=dict)


class MemoryLedgerFile:
    """The ledgers of all jobs."""

    def __init__(self, *, now: Callable[[], float] = lambda: inf) -> None:
        self._now = now
        self._replicas: dict[Replica, _Remembered] = {}
        self.writers: dict[Replica, str] = {}
        self.ticks: dict[str, list[tuple[str, TickReport]]] = {}
        self.decisions: dict[Replica, _Decided] = {}
        """What survives the loss of everything else."""

    def lose(self) -> None:
        """Forgets everything but the decisions."""
        self._replicas.clear()
        self.writers.clear()
        self.ticks.clear()

    def open(self, replica: Replica, job: str) -> "MemoryLedger":
        remembered = self._replicas.setdefault(replica, _Remembered())
        decided = self.decisions.setdefault(replica, _Decided())
        if remembered.start is None:
            past = [instant for instant in decided.starts if instant <= self._now() + 600]
            remembered.start = past[-1] if past else None
            remembered.accepted |= decided.accepted
        ticks = self.ticks.setdefault(job, [])
        return MemoryLedger(remembered, decided, ticks, lambda: self._move(replica, job))

    def _move(self, replica: Replica, job: str) -> Replica | None:
        before = next((other for other, writer in self.writers.items() if writer == job and other != replica), None)
        if before is not None:
            del self.writers[before]
        is_taken_over = replica in self.writers
        self.writers[replica] = job
        return None if is_taken_over else before


class MemoryLedger:
    """One replica's ledger."""

    moved_aside = None
    damaged_rows = 0
    damaged_shards: Sequence[str] = ()

    def __init__(
        self,
        remembered: _Remembered,
        decided: _Decided,
        ticks: list[tuple[str, TickReport]],
        move: Callable[[], Replica | None],
    ) -> None:
        self._all = remembered
        self._decided = decided
        self._ticks = ticks
        self.move = move
        self._ran_here = remembered.start is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        pass

    def start(self) -> float | None:
        return self._all.start

    def set_start(self, instant: float) -> None:
        if self._all.start is None or self._all.start > instant:
            self._decided.starts.append(instant)
            self._all.start = instant

    def mode_verdict(self) -> tuple[str, str] | None:
        return self._all.mode

    def set_mode_verdict(self, mode: str, why: str) -> None:
        self._all.mode = mode, shortened(why)

    def discovered_at(self) -> float:
        return self._all.discovered_at

    def shards(self) -> dict[str, ShardState]:
        return dict(self._all.shards)

    def save_shards(self, states: Iterable[ShardState], *, discovered_at: float | None = None) -> None:
        if discovered_at is not None:
            self._all.discovered_at = discovered_at
        self._all.shards.update({state.shard.prefix: state for state in states})

    def looked_at(self) -> dict[str, tuple[float, tuple[str, ...]]]:
        return dict(self._all.looked)

    def save_looked_at(self, looks: Mapping[str, tuple[float, tuple[str, ...]]]) -> None:
        for prefix, look in looks.items():
            self._all.looked[_fitting(prefix)] = look
            if children_to_json(look[1]) is None:
                del self._all.looked[prefix]

    def known(self, shard: Shard, keys: Sequence[str]) -> dict[str, Known]:
        objects = self._all.objects.get(shard, {})
        return {key: objects[key] for key in keys if key in objects}

    def record(
        self,
        outcomes: Sequence[Outcome],
        adopted: Sequence[tuple[Shard, LogObject, str]],
        *,
        now: float,
        lateness: Mapping[int, int] = {},
    ) -> None:
        for item in [*(outcome.transfer.object for outcome in outcomes), *(item for _, item, _ in adopted)]:
            _fitting(item.key), _fitting(item.etag)
        for outcome in outcomes:
            shard, item = outcome.transfer.shard, outcome.transfer.object
            if isinstance(outcome, Copied | AlreadyThere):
                self._remember(shard, item, outcome.replica_etag)
                self._all.quarantine.pop(item.key, None)
            else:
                self._hold(outcome, now)
        for shard, item, replica_etag in adopted:
            self._remember(shard, item, replica_etag)
            held = self._all.quarantine.get(item.key)
            if held and not held.is_conflict:
                del self._all.quarantine[item.key]
        self._all.lateness.update(lateness)

    def mend(self) -> list[str]:
        return []

    def ran_here(self) -> bool:
        return self._ran_here

    def accepted(self) -> dict[str, tuple[str, str]]:
        return dict(self._all.accepted)

    def uncovered(self) -> dict[str, float]:
        return dict(self._all.uncovered)

    def save_uncovered(self, prefixes: Collection[str], *, now: float) -> None:
        self._all.uncovered = {
            prefix: self._all.uncovered.get(prefix, now) for prefix in sorted(prefixes)[:MOST_UNCOVERED]
        }

    def remembered(self, shard: Shard, after_key: str, *, limit: int) -> list[tuple[str, Known]]:
        rows = sorted((key, known) for key, known in self._all.objects.get(shard, {}).items() if key > after_key)
        # At least so many: of the day that the last of them lies in, all.
        last_day = _day(shard, rows[limit - 1][0]) if len(rows) >= limit else ""
        return rows[:limit] + [row for row in rows[limit:] if last_day and _day(shard, row[0]) == last_day]

    def unseal(
        self,
        shard: Shard,
        days: Sequence[str],
        *,
        outcomes: Sequence[Outcome] = (),
        adopted: Sequence[tuple[Shard, LogObject, str]] = (),
        now: float = 0.0,
    ) -> None:
        self.record(outcomes, adopted, now=now)
        for day in days:
            self._all.days.get(shard, {}).pop(day, None)

    def quarantined(
        self, *, is_wanted: IsWanted | None = None, limit: int | None = None, with_details: bool = True
    ) -> dict[str, Quarantined]:
        wanted = sorted(
            (key, held) for key, held in self._all.quarantine.items() if not is_wanted or is_wanted(held.shard)
        )
        return {key: held if with_details else held._replace(detail="") for key, held in wanted[:limit]}

    def held(self, key: str) -> Quarantined | None:
        return self._all.quarantine.get(key)

    def held_counts(self, is_wanted: IsWanted | None = None) -> HeldCounts:
        held = self.quarantined(is_wanted=is_wanted).values()
        size_bytes = sum(item.object.size_bytes for item in held)
        by_reason = Counter(item.reason for item in held)
        return HeldCounts(len(held), size_bytes, by_reason, min((item.first_at for item in held), default=0.0))

    def held_stamps(
        self, stamp: Callable[[Shard, LogObject], float], is_wanted: IsWanted | None = None
    ) -> Iterator[float]:
        for item in self.quarantined(is_wanted=is_wanted).values():
            yield stamp(item.shard, item.object)

    def held_overview(
        self, limit: int, stamp: Callable[[Shard, LogObject], float], is_wanted: IsWanted | None = None
    ) -> HeldOverview:
        held = self.quarantined(is_wanted=is_wanted).values()
        longest = sorted(held, key=lambda item: (item.first_at, item.object.key))[:limit]
        return HeldOverview(self.held_counts(is_wanted), longest, list(self.held_stamps(stamp, is_wanted)))

    def held_after(self, key: str, limit: int) -> list[Quarantined]:
        return [held for name, held in self.quarantined().items() if name > key][:limit]

    def accept(self, key: str) -> bool:
        held = self._all.quarantine.get(key)
        if held is None:
            return False
        self._all.accepted[key] = self._decided.accepted[key] = (held.object.etag, held.object.storage_class)
        if held.is_conflict:
            self._remember(held.shard, held.object, "")
        del self._all.quarantine[key]
        return True

    def retry(self, key: str) -> bool:
        held = self._all.quarantine.get(key)
        if held is None:
            return False
        self._all.quarantine[key] = held._replace(reason="retry_requested", next_at=0.0)
        return True

    def seal(self, shard: Shard, before_day: str, *, limit: int) -> int:
        objects = self._all.objects.get(shard, {})
        days: dict[str, list[str]] = {}
        for key in objects:
            day = _day(shard, key)
            if day and day < before_day and key not in self._all.quarantine:
                days.setdefault(day, []).append(key)
        folded = 0
        for day, keys in sorted(days.items()):
            if folded >= limit:
                break
            sealed = self._all.days.setdefault(shard, {})
            rows = [SealedObject(key, *objects.pop(key)) for key in keys]
            sealed[day] = fold_day(rows, onto=sealed.get(day))
            folded += len(keys)
        return folded

    def sealed(self, shard: Shard, first: str, last: str) -> dict[str, SealedDay]:
        return {day: sealed for day, sealed in self._all.days.get(shard, {}).items() if first <= day <= last}

    def has_known_after(self, shard: Shard, start_after: str) -> bool:
        return any(key > start_after for key in self._all.objects.get(shard, {}))

    def lateness(self) -> dict[int, int]:
        return dict(self._all.lateness)

    def record_tick(self, report: TickReport, *, kind: str) -> None:
        self._ticks.append((kind, report))
        del self._ticks[:-300]

    def forget(self) -> None:
        kept = {"start", "quarantine", "accepted"}
        empty = _Remembered()
        for name in vars(empty).keys() - kept:
            setattr(self._all, name, getattr(empty, name))

    def _remember(self, shard: Shard, item: LogObject, replica_etag: str) -> None:
        self._all.objects.setdefault(shard, {})[item.key] = Known(item.etag, item.size_bytes, replica_etag)

    def _hold(self, outcome: Conflict | Failed, now: float) -> None:
        item = outcome.transfer.object
        held = self._all.quarantine.get(item.key)
        attempts = held.attempts + 1 if held else 1
        self._all.quarantine[item.key] = Quarantined(
            object=item,
            shard=outcome.transfer.shard,
            reason="conflict" if isinstance(outcome, Conflict) else outcome.reason,
            detail=shortened(outcome.detail),
            attempts=attempts,
            first_at=held.first_at if held else now,
            next_at=now + min(60 * 2 ** (attempts - 1), 3600),
        )


def _fitting(text: str) -> str:
    if not is_key(text):
        raise LedgerRefused(text)
    return text


def _day(shard: Shard, key: str) -> str:
    match = _DAY.match(key.removeprefix(shard.prefix))
    return "-".join(match.groups()) if match else ""
