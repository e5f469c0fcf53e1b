"""What a tick looks at: which shards there are, and which parts of each are to be listed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from syncd import events, recall, sealing, tiers
from syncd.cloudtrail import EVERY, in_scope, top
from syncd.discovery import discover
from syncd.layout import day_start, utc_day
from syncd.model import Page, Range, Shard, ShardState, Window
from syncd.ports import Ports
from syncd.recall import Recalled
from syncd.recorder import Recorder
from syncd.task import Task
from syncd.tiers import Listed, Slice, Tier


@dataclass(slots=True)
class Visit:
    """One shard in a tick."""

    state: ShardState
    """As it was before the tick."""
    slices: list[Slice] = field(default_factory=list)
    listed: dict[Range, Listed] = field(default_factory=dict)
    unresolved: int = 0
    """Transfers that were handed over and have not come to their end."""

    def finished(self) -> list[Listed]:
        """What was listed, if all of it was and everything found has come to its end; else nothing."""
        whole = [item for item in self.listed.values() if item.is_whole]
        return whole if len(whole) == len(self.slices) and not self.unresolved else []


@dataclass(slots=True)
class Survey:
    """Everything that a tick looks at."""

    visits: dict[str, Visit] = field(default_factory=dict)
    """By the shard's prefix."""
    loose: list[Page] = field(default_factory=list)
    """Objects that lie between folders, above any shard."""
    discovered_at: float | None = None
    """Everything that existed then has been found; None where discovery was not of the whole job."""
    start: float = 0.0
    """The job's start."""
    doubtful: dict[str, str] = field(default_factory=dict)
    """ETags of replicas of which nothing says that it was we who wrote them, by the source's key."""
    recalled: dict[str, Recalled] = field(default_factory=dict)
    """What the destination told of shards that the ledger knew nothing of, by prefix."""


def survey(task: Task, ports: Ports, *, began_at: float, recorder: Recorder) -> Survey:
    """Find the shards, recall the lost ones from the destination, fix the job's start, and choose what to list.

    Raises:
        JobFailed: a listing was refused or cannot be had.
        LedgerError: the state cannot be read or written.
    """
    found = Survey()
    states = ports.ledger.shards()
    _find_shards(found, task, ports, states, began_at)
    start = ports.ledger.start()
    configured = task.start(began_at) if start is None else start
    oldest_replica = _recall(found, task, ports, configured, began_at, is_lost=start is None)
    found.start = configured if start is not None or oldest_replica is None else min(configured, oldest_replica)
    # A catch-up before the first tick fixes it too, or its replicas would pass for those of a ledger that was lost.
    if start is None and (task.window is None or _is_bare(task, ports)):
        ports.ledger.set_start(found.start)
    if task.window is not None:
        for visit in found.visits.values():
            visit.slices = _window_slices(visit.state.shard, task.window, task, ports, recorder)
    else:
        _choose_slices(found, task, began_at)
    return found


def _is_bare(task: Task, ports: Ports) -> bool:
    """Whether the destination holds nothing where replicas would be: then none was ever written. One listing."""
    if task.scope is None:
        assert task.shard is not None
        above = task.shard.prefix
    else:
        above = top(task.scope)
    folders = ports.destination.folders([task.destination_prefix + above])
    return not any(folder.prefixes or folder.objects for folder in folders)


def _find_shards(found: Survey, task: Task, ports: Ports, states: Mapping[str, ShardState], began_at: float) -> None:
    if task.scope is None:
        assert task.shard is not None
        found.visits[task.shard.prefix] = Visit(states.get(task.shard.prefix) or ShardState(shard=task.shard))
        found.discovered_at = began_at
        return
    looks = ports.ledger.looked_at()
    times = {prefix: when for prefix, (when, _) in looks.items()}
    is_tick = task.window is None
    stale = tiers.due(times, every=task.pace.discovery_every, now=began_at) if is_tick else set(times)
    discovered = discover(task.scope, ports.source, looks=looks, stale=stale, now=began_at)
    ports.ledger.save_looked_at(discovered.looks)
    found.discovered_at = discovered.stalest_look if is_tick else None
    found.loose = discovered.loose
    # A folder that has gone is still visited: that is how its disappearance is noticed.
    remembered = [state.shard for state in states.values() if in_scope(state.shard, task.scope)]
    for shard in (*discovered.shards, *remembered):
        if _is_asked_for(shard, task) and shard.prefix not in found.visits:
            found.visits[shard.prefix] = Visit(states.get(shard.prefix) or ShardState(shard=shard))


def _is_asked_for(shard: Shard, task: Task) -> bool:
    return (EVERY in task.accounts or shard.account in task.accounts) and (
        EVERY in task.regions or shard.region in task.regions
    )


def _recall(found: Survey, task: Task, ports: Ports, start: float, began_at: float, *, is_lost: bool) -> float | None:
    """Ask the destination about shards that were never listed to their end; the oldest stamp found, if any.

    Only where the ledger `is_lost` (or new) does a shard resume at its newest replica: a first tick that was interrupted
    is gone through again from the job's start.
    """
    ranges = []
    for visit in found.visits.values():
        shard = visit.state.shard
        if visit.state.listed_at:
            continue
        if task.window is not None:
            if ports.ledger.has_known_after(shard, ""):
                continue
            ranges.append(tiers.window_range(shard, task.window, layout=task.layout).range)
            continue
        newest = recall.newest_day(shard, ports.destination, destination_prefix=task.destination_prefix)
        if newest or task.scope is None:
            # A replica's folder may lie in the future, and a frontier must not: behind it everything would look listed.
            today = day_start(utc_day(began_at))
            if is_lost and newest:
                visit.state = replace(visit.state, frontier=min(day_start(newest), today))
            first = tiers.slices(visit.state, layout=task.layout, pace=task.pace, now=began_at, start=start)
            ranges.append(first[0].range)
    found.recalled = recall.recall(
        ranges,
        ports.destination,
        ports.ledger,
        destination_prefix=task.destination_prefix,
        layout=task.layout,
        doubtful=None if task.was_here else found.doubtful,
    )
    if found.recalled:
        replicas = sum(item.total for item in found.recalled.values())
        ports.tell(events.LEDGER_REBUILT, shards=len(found.recalled), replicas=replicas)
    return min((item.oldest_stamp for item in found.recalled.values()), default=None)


def _choose_slices(found: Survey, task: Task, began_at: float) -> None:
    states = [visit.state for visit in found.visits.values()]
    for state in tiers.shards_to_visit(states, pace=task.pace, now=began_at):
        found.visits[state.shard.prefix].slices = tiers.slices(
            state, layout=task.layout, pace=task.pace, now=began_at, start=found.start
        )


def _window_slices(shard: Shard, window: Window, task: Task, ports: Ports, recorder: Recorder) -> list[Slice]:
    whole = tiers.window_range(shard, window, layout=task.layout)
    sealed = ports.ledger.sealed(shard, window.first or "0000-00-00", window.last or "9999-99-99")
    if not sealed:
        return [whole]
    same, objects = sealing.reopen_changed_days(
        shard,
        sealed,
        ports.source,
        ports.destination,
        ports.ledger,
        layout=task.layout,
        destination_prefix=task.destination_prefix,
    )
    recorder.skip_sealed(objects)
    ranges = sealing.unsealed_ranges(shard, whole.range, same, task.layout)
    return [Slice(Tier.WINDOW, item) for item in ranges]
