"""How a tick ends: what its listings prove, and what need not be remembered key by key any more."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from syncd import events, sealing, tiers
from syncd.cloudtrail import held_in_scope, in_scope
from syncd.layout import Layout, day_start
from syncd.model import Quarantined, ShardState, Window
from syncd.ports import Ledger, Ports
from syncd.survey import Survey, Visit
from syncd.task import Task

SEAL_ROWS_A_TICK = 50_000
HELD_TOLD = 20


def close(task: Task, ports: Ports, survey: Survey, *, began_at: float, is_whole: bool) -> tuple[float, float]:
    """Move the cursors of what was listed to its end, seal old days; the job's `complete_from` and `complete_until`.

    Args:
        task: what the tick was to do.
        ports: the world.
        survey: what it looked at, and how far it came.
        began_at: when it began.
        is_whole: it came to its end: neither failed nor interrupted.

    Raises:
        LedgerError: the state cannot be read or written.
    """
    ledger = ports.ledger
    missing = _missing(held_in_scope(ledger.quarantined(), task.scope), task.layout)
    current = ledger.shards()
    finished = []
    for prefix, visit in survey.visits.items():
        if visit.finished():
            oldest = missing.get(prefix)
            since = task.layout.stamp(oldest.object) if oldest else None
            state = _advanced(task, survey, visit, current.get(prefix), since, began_at)
            finished += [state] if state is not None else []
    ledger.save_shards(finished, discovered_at=survey.discovered_at if is_whole else None)
    _tell_held(finished, missing, task, ports)
    if task.window is None:
        # What a catch-up brought in from days beyond deep is sealed by the ticks that follow, a portion at a time.
        _seal(task, ports, survey, began_at)
    return horizon(task, ledger)


def horizon(task: Task, ledger: Ledger) -> tuple[float, float]:
    """The job's `complete_from` and `complete_until`, as far as the ledger knows; 0.0 where it does not.

    Raises:
        LedgerError: the state cannot be read.
    """
    scope = task.scope
    held = held_in_scope(ledger.quarantined(), scope).values()
    states = [state for state in ledger.shards().values() if scope is None or in_scope(state.shard, scope)]
    since = min((task.layout.stamp(item.object) for item in held), default=None)
    return tiers.horizon(states, discovered_at=ledger.discovered_at(), pace=task.pace, missing_since=since)


def _advanced(
    task: Task,
    survey: Survey,
    visit: Visit,
    current: ShardState | None,
    missing_since: float | None,
    began_at: float,
) -> ShardState | None:
    if task.window is not None:
        return _extended(current, task.window, missing_since, began_at)
    # A catch-up that ran beside this tick may have extended it.
    state = replace(visit.state, complete_from=current.complete_from) if current else visit.state
    return tiers.advance(
        state,
        visit.finished(),
        layout=task.layout,
        pace=task.pace,
        start=survey.start,
        missing_since=missing_since,
    )


def _extended(
    state: ShardState | None, window: Window, missing_since: float | None, began_at: float
) -> ShardState | None:
    """A catch-up moves no frontier; where its window meets what is complete, it extends it backwards."""
    if state is None or not state.listed_at or window.first is None:
        return None
    first = day_start(window.first)
    end = day_start(tiers.day_after(window.last)) if window.last else began_at
    if end < state.complete_from or first >= state.complete_from:
        return None
    if missing_since is not None and missing_since < state.complete_from:
        return None
    return replace(state, complete_from=first)


def _missing(held: Mapping[str, Quarantined], layout: Layout) -> dict[str, Quarantined]:
    """By shard, the oldest object that is known and not at the destination."""
    oldest: dict[str, Quarantined] = {}
    for item in held.values():
        before = oldest.get(item.shard.prefix)
        if before is None or layout.stamp(item.object) < layout.stamp(before.object):
            oldest[item.shard.prefix] = item
    return oldest


def _tell_held(states: Sequence[ShardState], missing: Mapping[str, Quarantined], task: Task, ports: Ports) -> None:
    held = [state for state in states if state.complete_until < state.listed_at - task.pace.lateness]
    for state in held[:HELD_TOLD]:
        item = missing.get(state.shard.prefix)
        if item is not None:
            ports.tell(events.HORIZON_HELD, shard=state.shard.prefix, key=item.object.key, reason=item.reason)


def _seal(task: Task, ports: Ports, survey: Survey, began_at: float) -> None:
    room = SEAL_ROWS_A_TICK
    for prefix, state in ports.ledger.shards().items():
        visit = survey.visits.get(prefix)
        before = sealing.first_unsealed_day(began_at, state.frontier, task.pace)
        # What is listed whole each time must be remembered whole.
        is_dated = bool(task.layout.day_end(state.shard, before))
        if room > 0 and visit is not None and visit.slices and is_dated:
            room -= ports.ledger.seal(state.shard, before, limit=room)
