"""The end of a tick: advance cursors, compute the horizon, seal old days."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from syncd.model import events
from syncd.model.keys.stamps import DAY_SECONDS, day_start
from syncd.model.keys.trail import in_scope, wanted_by
from syncd.model.objects import FoundBy, Quarantined, ShardState, Window
from syncd.tick.listing import horizon as claims
from syncd.tick.listing.sealing import seal_old_days
from syncd.tick.listing.survey import Survey, Visit
from syncd.tick.ports import Ledger, Ports
from syncd.tick.task import Task

SHARDS_LOGGED = 20


def close(task: Task, ports: Ports, survey: Survey, *, began_at: float, is_whole: bool) -> tuple[float, float]:
    """Advance the cursors of finished listings and seal old days. Returns `complete_from` and `complete_until`.

    Args:
        task: the input of the tick.
        ports: its ports.
        survey: the shards it visited, and what was listed of each.
        began_at: when it began.
        is_whole: it ended, neither failed nor interrupted.

    Raises:
        LedgerError: the state cannot be read or written.
    """
    ledger = ports.ledger
    held: defaultdict[str, list[tuple[float, Quarantined]]] = defaultdict(list)
    for item in ledger.quarantined(is_wanted=wanted_by(task.scope), with_details=False).values():
        held[item.shard.prefix].append((task.layout.stamp(item.shard, item.object), item))
    current = ledger.shards()
    ended = []
    for prefix, visit in survey.visits.items():
        missing = [stamp for stamp, _ in held.get(prefix, ())]
        state = _ended(task, survey, visit, current.get(prefix), missing, began_at)
        ended += [state] if state is not None else []
    # A new shard has no state that could hold the horizon, so discovery waits until it is listed.
    is_gone_through = all(visit.state.listed_at or visit.finished() for visit in survey.visits.values())
    ledger.save_shards(ended, discovered_at=survey.discovered_at if is_whole and is_gone_through else None)
    if task.window is None and is_whole and not survey.is_hinted:
        ledger.save_uncovered(survey.uncovered, now=began_at)
        _log_uncovered(survey, ports)
    _log_held(ended, held, task, ports)
    listed = {prefix for prefix, visit in survey.visits.items() if visit.slices}
    seal_old_days(ledger, listed, layout=task.layout, pace=task.pace, now=began_at)
    return horizon(task, ledger, now=began_at)


def horizon(task: Task, ledger: Ledger, *, now: float) -> tuple[float, float]:
    """Return the job's `complete_from` and `complete_until` by the ledger, each 0.0 if unknown.

    Raises:
        LedgerError: the state cannot be read.
    """
    return claims.horizon(
        wanted_states(ledger.shards().values(), task),
        discovered_at=ledger.discovered_at(),
        pace=task.pace,
        now=now,
        missing=ledger.held_stamps(task.layout.stamp, wanted_by(task.scope)),
    )


def wanted_states(states: Iterable[ShardState], task: Task) -> list[ShardState]:
    """Return the remembered shards in the job's scope. Only they count for its horizon."""
    if task.scope is not None:
        return [state for state in states if in_scope(state.shard, task.scope)]
    return [state for state in states if state.shard == task.shard]


def _ended(
    task: Task,
    survey: Survey,
    visit: Visit,
    current: ShardState | None,
    missing: Sequence[float],
    began_at: float,
) -> ShardState | None:
    """Return the shard's new state. Returns None if nothing was proved."""
    if task.window is not None:
        proved = task.window_proved(visit.state.shard.prefix)
        is_listed = bool(visit.finished()) or not visit.slices
        return _extended(current, proved, missing, began_at) if is_listed and proved else None
    # A catch-up that ran beside this tick may have extended it.
    before = visit.state
    if current is not None and current.listed_at == before.listed_at:
        before = before._replace(complete_from=current.complete_from)
    listed = visit.finished()
    if listed:
        after = claims.advance(before, listed, layout=task.layout, pace=task.pace, start=survey.start, missing=missing)
        return None if survey.is_hinted and after == before else after
    return before if visit.is_audited else None


def _extended(state: ShardState | None, window: Window, missing: Sequence[float], began_at: float) -> ShardState | None:
    """Return the state with `complete_from` extended back by a catch-up. Returns None if it is not."""
    if state is None or not state.listed_at or window.first is None:
        return None
    first = day_start(window.first)
    end = began_at
    if window.last:
        # A folder named by local time may be a day ahead of its objects.
        is_a_day_ahead = state.found_by is not FoundBy.TAIL
        end = min(began_at, day_start(window.last) + (0 if is_a_day_ahead else DAY_SECONDS))
    if end < state.complete_from or first >= state.complete_from:
        return None
    if any(first <= stamp < state.complete_from for stamp in missing):
        return None
    return state._replace(complete_from=first)


def _log_held(
    states: Sequence[ShardState], held: Mapping[str, Sequence[tuple[float, Quarantined]]], task: Task, ports: Ports
) -> None:
    """Log the object that holds back the horizon of each shard."""
    logged = 0
    for state in states:
        is_held = state.complete_until < state.listed_at - task.pace.lateness_of(state.shard.kind)
        within = [pair for pair in held.get(state.shard.prefix, ()) if pair[0] >= state.complete_from]
        if is_held and within and logged < SHARDS_LOGGED:
            logged += 1
            _, item = min(within, key=lambda pair: pair[0])
            ports.tell(events.HORIZON_HELD, shard=state.shard.prefix, key=item.object.key, reason=item.reason)


def _log_uncovered(survey: Survey, ports: Ports) -> None:
    if survey.uncovered:
        remedy = f"copy it with a job of its own, or leave it out: source.ignore = {list(survey.uncovered)[:3]}"
        ports.tell(
            events.SOURCE_UNCOVERED,
            folders=list(survey.uncovered)[:SHARDS_LOGGED],
            count=len(survey.uncovered),
            remedy=remedy,
        )
