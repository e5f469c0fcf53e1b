"""A ledger in memory: passes the same contract as the one on disk (`contract/test_ledger_contract.py`)."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from syncd.ledger_rows import SealedDay, fold_day
from syncd.model import (
    AlreadyThere,
    Conflict,
    Copied,
    Failed,
    Known,
    LogObject,
    Outcome,
    Quarantined,
    Replica,
    Shard,
    ShardState,
    TickReport,
)

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


class MemoryLedgerFile:
    """The ledgers of all jobs."""

    def __init__(self) -> None:
        self._replicas: dict[Replica, _Remembered] = {}
        self.writers: dict[Replica, str] = {}
        self.ticks: dict[str, list[tuple[str, TickReport]]] = {}

    def open(self, replica: Replica, job: str) -> "MemoryLedger":
        remembered = self._replicas.setdefault(replica, _Remembered())
        return MemoryLedger(remembered, self.ticks.setdefault(job, []), lambda: self._move(replica, job))

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
        self, remembered: _Remembered, ticks: list[tuple[str, TickReport]], move: Callable[[], Replica | None]
    ) -> None:
        self._all = remembered
        self._ticks = ticks
        self.move = move
        self.replica_is_new = remembered.start is None

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
        if self._all.start is None:
            self._all.start = instant

    def mode_verdict(self) -> tuple[str, str] | None:
        return self._all.mode

    def set_mode_verdict(self, mode: str, why: str) -> None:
        self._all.mode = mode, why

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
        self._all.looked.update(looks)

    def known(self, shard: Shard, keys: Sequence[str]) -> dict[str, Known]:
        objects = self._all.objects.get(shard, {})
        return {key: objects[key] for key in keys if key in objects}

    def record(
        self,
        outcomes: Sequence[Outcome],
        adopted: Sequence[tuple[Shard, LogObject]],
        *,
        now: float,
        lateness: Mapping[int, int] = {},
    ) -> None:
        for outcome in outcomes:
            shard, item = outcome.transfer.shard, outcome.transfer.object
            if isinstance(outcome, Copied | AlreadyThere):
                self._remember(shard, item)
                self._all.quarantine.pop(item.key, None)
            else:
                self._hold(outcome, now)
        for shard, item in adopted:
            self._remember(shard, item)
            held = self._all.quarantine.get(item.key)
            if held and not held.is_conflict:
                del self._all.quarantine[item.key]
        self._all.lateness.update(lateness)

    def adopt_replicas(self, shard: Shard, replicas: Sequence[tuple[str, int]]) -> None:
        objects = self._all.objects.setdefault(shard, {})
        for key, size in replicas:
            if key not in objects or objects[key].etag is None:
                objects[key] = Known(None, size)

    def quarantined(self) -> dict[str, Quarantined]:
        return dict(self._all.quarantine)

    def release(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._all.quarantine.pop(key, None)

    def accept(self, key: str) -> bool:
        held = self._all.quarantine.get(key)
        if held is None:
            return False
        if held.is_conflict:
            self._remember(held.shard, held.object)
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
            if day and day < before_day:
                days.setdefault(day, []).append(key)
        folded = 0
        for day, keys in sorted(days.items()):
            if folded >= limit:
                break
            sealed = self._all.days.setdefault(shard, {})
            sealed[day] = fold_day(((key, *objects.pop(key)[:2]) for key in keys), onto=sealed.get(day))
            folded += len(keys)
        return folded

    def sealed(self, shard: Shard, first: str, last: str) -> dict[str, SealedDay]:
        return {day: sealed for day, sealed in self._all.days.get(shard, {}).items() if first <= day <= last}

    def reopen(self, shard: Shard, day: str, replicas: Sequence[tuple[str, int]]) -> None:
        self._all.days.get(shard, {}).pop(day, None)
        self.adopt_replicas(shard, replicas)

    def has_known_after(self, shard: Shard, start_after: str) -> bool:
        return any(key > start_after for key in self._all.objects.get(shard, {}))

    def lateness(self) -> dict[int, int]:
        return dict(self._all.lateness)

    def record_tick(self, report: TickReport, *, kind: str) -> None:
        self._ticks.append((kind, report))
        del self._ticks[:-300]

    def forget(self) -> None:
        empty = _Remembered()
        for name in vars(empty):
            setattr(self._all, name, getattr(empty, name))
        self.replica_is_new = True

    def _remember(self, shard: Shard, item: LogObject) -> None:
        self._all.objects.setdefault(shard, {})[item.key] = Known(item.etag, item.size_bytes)

    def _hold(self, outcome: Conflict | Failed, now: float) -> None:
        item = outcome.transfer.object
        held = self._all.quarantine.get(item.key)
        attempts = held.attempts + 1 if held else 1
        self._all.quarantine[item.key] = Quarantined(
            object=item,
            shard=outcome.transfer.shard,
            reason="conflict" if isinstance(outcome, Conflict) else outcome.reason,
            detail=outcome.detail,
            attempts=attempts,
            first_at=held.first_at if held else now,
            next_at=now + min(60 * 2 ** (attempts - 1), 3600),
        )


def _day(shard: Shard, key: str) -> str:
    match = _DAY.match(key.removeprefix(shard.prefix))
    return "-".join(match.groups()) if match else ""
