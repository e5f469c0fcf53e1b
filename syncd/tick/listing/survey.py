"""The survey of a tick: its shards, and the slices to list of each."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from syncd.model import events, reasons
from syncd.model.errors import JobFailed
from syncd.model.keys.stamps import utc_day
from syncd.model.keys.trail import EVERY, in_scope, roots, top
from syncd.model.objects import FoundBy, Page, Range, Shard, ShardState, Window
from syncd.model.reasons import Reason
from syncd.tick import side_by_side
from syncd.tick.listing import tiers
from syncd.tick.listing.discovery import discover, side_folders
from syncd.tick.listing.hinted import Hinted, exist, hinted
from syncd.tick.listing.horizon import Listed
from syncd.tick.listing.tiers import Slice, Tier
from syncd.tick.ports import Ports
from syncd.tick.task import EARLIEST, Task


@dataclass(slots=True)
class Visit:
    """One shard in a tick."""

    state: ShardState
    """The state before the tick, updated by the audit only."""
    slices: list[Slice] = field(default_factory=list)
    listed: dict[Range, Listed] = field(default_factory=dict)
    unresolved: int = 0
    """Transfers handed to the copier that have not ended, and objects left to the next tick."""
    days_in_flight: Counter[str] = field(default_factory=Counter)
    """The UTC days of these transfers, if days are sealed during the listing."""
    is_audited: bool = False
    """The audit has advanced."""

    def landed(self, day: str) -> None:
        """Note the end of one of the day's transfers."""
        if day in self.days_in_flight:
            self.days_in_flight[day] -= 1
            if not self.days_in_flight[day]:
                del self.days_in_flight[day]

    def finished(self) -> list[Listed]:
        """Return the listed slices if all are complete and every object ended. Otherwise returns nothing."""
        whole = [item for item in self.listed.values() if item.is_whole]
        return whole if len(whole) == len(self.slices) and not self.unresolved else []


@dataclass(slots=True)
class Survey:
    """The shards of a tick, and what to list of them."""

    visits: dict[str, Visit] = field(default_factory=dict)
    """By the shard's prefix."""
    loose: list[Page] = field(default_factory=list)
    """Objects between folders, outside any shard."""
    discovered_at: float | None = None
    """All shards that existed then have been found; None if discovery did not cover the whole job."""
    uncovered: Sequence[str] = ()
    """Folders that the job neither covers nor ignores."""
    start: float = 0.0
    """The job's start."""
    ran_here: bool = True
    """This replica was filled from here before."""
    is_hinted: bool = False
    """Only what hints name is listed."""


def survey(task: Task, ports: Ports, *, began_at: float) -> Survey:
    """Find the shards, fix the job's start, and choose what to list.

    Raises:
        JobFailed: a listing was refused or cannot be had.
        LedgerError: the state cannot be read or written.
    """
    if began_at < EARLIEST:
        detail = f"this machine's clock says {utc_day(max(0.0, began_at))}, which is before this syncd was made"
        raise JobFailed(Reason.CLOCK_SKEWED, detail, reasons.remedy_of(Reason.CLOCK_SKEWED))
    found = Survey(ran_here=task.was_here)
    states = _meaningful(ports.ledger.shards(), task, ports, began_at)
    hints = hinted(task, states, now=began_at)
    if task.hinted and _is_enough(hints, ports):
        found.start, found.is_hinted = ports.ledger.start() or 0.0, True
        found.visits = {prefix: Visit(state, list(slices)) for prefix, (state, slices) in hints.slices.items()}
        return found
    _find_shards(found, task, ports, states, began_at)
    _fix_start(found, task, ports, began_at)
    for visit in found.visits.values():
        if task.window is not None:
            left = task.window_left(visit.state.shard.prefix)
            visit.slices = [] if left is None else [_window_slice(visit.state, left, task)]
    if task.window is None:
        _choose_slices(found, task, began_at)
        _add_hinted(found, hints)
    return found


def _is_enough(hints: Hinted, ports: Ports) -> bool:
    """Return False if an ordinary tick is due: the job's first one, or one that finds a new shard."""
    return ports.ledger.start() is not None and not (hints.new and exist(hints.new, ports.source))


def _add_hinted(found: Survey, hints: Hinted) -> None:
    """List what hints name in an ordinary tick too."""
    for prefix, (_, slices) in hints.slices.items():
        visit = found.visits.get(prefix)
        if visit is not None:
            ranges = {item.range for item in visit.slices}
            visit.slices += [item for item in slices if item.range not in ranges]


def _meaningful(states: Mapping[str, ShardState], task: Task, ports: Ports, began_at: float) -> dict[str, ShardState]:
    """Return the states, reset if made for another layout or by a wrong clock."""
    kept: dict[str, ShardState] = {}
    for prefix, state in states.items():
        if state.layout not in ("", ANY_LAYOUT, task.layout.name):
            ports.tell(events.SHARD_RESTARTED, shard=prefix, before=state.layout, after=task.layout.name)
            kept[prefix] = ShardState(shard=state.shard)
            continue
        kept[prefix] = tiers.as_of(state, began_at)
        if kept[prefix].listed_at < state.listed_at - tiers.CLOCK_SKEW_SECONDS:
            ports.tell(events.SHARD_RESTARTED, shard=prefix, before="a clock that ran ahead", after=task.layout.name)
    return kept


ANY_LAYOUT = "?"
"""The layout of cursors from an older state, which did not record it."""


def _fix_start(found: Survey, task: Task, ports: Ports, began_at: float) -> None:
    start = ports.ledger.start()
    if task.only is not None:
        found.start = task.start(began_at) if start is None else start
        return
    if start is not None and start > began_at + tiers.CLOCK_SKEW_SECONDS and start > task.start(began_at):
        start = None  # fixed by a clock that ran ahead
    if start is not None:
        found.start = start
        return
    found.start = task.start(began_at)
    told = None
    if task.was_here:
        # The state was lost with all that told of the start: what was replicated tells at least so much.
        told = _oldest_replica(found, task, ports)
    elif task.window is None and task.start(began_at + 1) != found.start:
        # A start that is reckoned from now would leave out what came since the last copy, if the whole state was lost.
        told = _newest_replica(found, task, ports, began_at)
    found.start = found.start if told is None else min(found.start, told)
    # A catch-up before the first tick fixes it too, or its replicas would pass for those of a state that was lost.
    if task.window is None or _is_bare(task, ports):
        ports.ledger.set_start(found.start)


def _oldest_replica(found: Survey, task: Task, ports: Ports) -> float | None:
    stamps = [
        task.layout.stamp(visit.state.shard, item)
        for visit in found.visits.values()
        for item in side_by_side.first_page(visit.state.shard, ports.destination, task.destination_prefix)
    ]
    return min(stamps, default=None)


def _newest_replica(found: Survey, task: Task, ports: Ports, began_at: float) -> float | None:
    """Return the newest stamp of a replica that a first listing would come by. Returns None if there is none."""
    ranges = {
        side_by_side.at_destination(item.range, task.destination_prefix): visit.state.shard
        for visit in found.visits.values()
        if not visit.state.listed_at
        for item in tiers.slices(visit.state, layout=task.layout, pace=task.pace, now=began_at, start=found.start)
    }
    stamps = (
        task.layout.stamp(ranges[page.range], item)
        for page in ports.destination.pages(ranges)
        if page is not None
        for item in side_by_side.replicas_of(page, task.destination_prefix)
    )
    return max(stamps, default=None)


def _is_bare(task: Task, ports: Ports) -> bool:
    """Return True if the destination has nothing under the prefixes of replicas. Takes one listing."""
    if task.scope is None:
        assert task.shard is not None
        above = task.shard.prefix
    else:
        above = top(task.scope)
    folders = ports.destination.folders([task.destination_prefix + above])
    return not any(folder.prefixes or folder.objects for folder in folders)


_NEVER = ShardState(shard=Shard(""))


def _find_shards(found: Survey, task: Task, ports: Ports, states: Mapping[str, ShardState], began_at: float) -> None:
    if task.only is not None:
        found.visits[task.only.prefix] = Visit(states.get(task.only.prefix) or ShardState(shard=task.only))
        return
    if task.scope is None:
        assert task.shard is not None
        state = states.get(task.shard.prefix) or ShardState(shard=task.shard)
        found.visits[task.shard.prefix] = Visit(_looked_into(found, state, task, ports, began_at))
        found.discovered_at = began_at
        return
    is_tick = task.window is None
    discovered = discover(
        task.scope,
        ports.source,
        looks=ports.ledger.looked_at(),
        also=_above(task.hinted),
        every=task.pace.discovery_every if is_tick else 0.0,
        now=began_at,
    )
    known_since = discovered.stalest_before
    if any(not states.get(shard.prefix, _NEVER).listed_at for shard in roots(task.scope)[1]):
        known_since = 0.0
    if known_since < ports.ledger.discovered_at():
        # The job was edited: what was found by then was found for another scope.
        ports.ledger.save_shards([], discovered_at=known_since)
    ports.ledger.save_looked_at(discovered.looks)
    found.uncovered = discovered.uncovered
    # What is not covered is not found: the horizon waits for it.
    found.discovered_at = discovered.stalest_look if is_tick and not discovered.uncovered else None
    found.loose = discovered.loose
    # A folder that has gone is still visited: that is how its disappearance is noticed.
    remembered = [state.shard for state in states.values() if in_scope(state.shard, task.scope)]
    for shard in (*discovered.shards, *remembered):
        if _is_asked_for(shard, task) and shard.prefix not in found.visits:
            found.visits[shard.prefix] = Visit(states.get(shard.prefix) or ShardState(shard=shard))


def _above(keys: Collection[str]) -> set[str]:
    """Return the folders above keys."""
    return {key[: end + 1] for key in keys for end, letter in enumerate(key) if letter == "/"}


def _looked_into(found: Survey, state: ShardState, task: Task, ports: Ports, began_at: float) -> ShardState:
    """Return the state of a dated prefix. Folders beside its dates make it listed whole."""
    is_due = began_at - state.recent_at >= task.pace.recent_every
    if state.found_by is FoundBy.WHOLE or not is_due:
        return state
    side_by_side = side_folders(task.layout, state.shard, ports.source, task.ignore)
    found.loose += side_by_side.loose
    if not side_by_side.folders:
        return state
    return state._replace(found_by=FoundBy.WHOLE, deep_done_at=0.0)


def _is_asked_for(shard: Shard, task: Task) -> bool:
    return (EVERY in task.accounts or shard.account in task.accounts) and (
        EVERY in task.regions or shard.region in task.regions
    )


def _choose_slices(found: Survey, task: Task, began_at: float) -> None:
    states = [visit.state for visit in found.visits.values()]
    if task.recalls:
        for visit in found.visits.values():
            visit.slices = tiers.recalled(
                visit.state, layout=task.layout, pace=task.pace, now=began_at, start=found.start
            )
        return
    for state in tiers.shards_to_visit(states, pace=task.pace, now=began_at):
        found.visits[state.shard.prefix].slices = tiers.slices(
            state, layout=task.layout, pace=task.pace, now=began_at, start=found.start
        )


def _window_slice(state: ShardState, window: Window, task: Task) -> Slice:
    """Return the slice of a catch-up in one shard. The plan skips what is outside the window."""
    if tiers.is_listed_whole(state, task.layout):
        return Slice(Tier.WINDOW, task.layout.whole(state.shard))
    return Slice(Tier.WINDOW, tiers.window_range(state.shard, window, layout=task.layout))


def is_in_window(day: str, window: Window) -> bool:
    """Return True if a UTC day, `YYYY-MM-DD`, belongs to a window."""
    return (window.first or day) <= day <= (window.last or day)
