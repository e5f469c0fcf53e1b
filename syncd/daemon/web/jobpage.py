"""The page of one job: objective, problems, its days, missing objects, shards, and last ticks."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple
from urllib.parse import quote

from syncd.config.job import Job
from syncd.daemon.board import JobBoard
from syncd.daemon.web.page import State, chart_of, problems_of, state_of
from syncd.daemon.web.render import render
from syncd.job.health.days import Day, DayState, VolumeCache, days_of
from syncd.job.health.freshness import Promise, bound, fresh_until, is_quiet, within_words
from syncd.job.health.health import JobHealth, health_of, is_fresh
from syncd.job.health.state import read_state
from syncd.ledger.ledger import Reader
from syncd.model.objects import ShardState
from syncd.model.units import rounded_size

SHARDS_SHOWN = 500
HELD_SHOWN = 100
TICKS_SHOWN = 20
_GAPS_TOLD = 10
_LEVELS = 4


class _ShardRow(NamedTuple):
    cursor: ShardState
    state: State


class _Cell(NamedTuple):
    state: DayState
    level: int
    """The part of the cell that is filled, from 0 to `_LEVELS`, by the number of objects."""
    words: str


class _Month(NamedTuple):
    name: str
    blanks: int
    """The days of the first week, Monday first, that are not shown."""
    cells: Sequence[_Cell]


class _Calendar(NamedTuple):
    """A cell for each day, by month, the newest month first."""

    months: Sequence[_Month]
    counts: Mapping[DayState, int]
    gaps: Sequence[str]
    """The newest days with gaps, in words."""


def job_page(
    board: JobBoard, job: Job, reader: Reader, *, now: float, volumes: VolumeCache, refresh: bool = False
) -> str:
    """Return the page of a job, read from the state.

    Raises:
        LedgerError: the state cannot be read.
    """
    state = read_state(job, reader, shown=HELD_SHOWN)
    held = state.quarantine
    health = board.with_report(health_of(job, state, now=now))
    return render(
        "job.html",
        title=f"{job.name} - syncd",
        path=f"/jobs/{quote(job.name)}",
        refresh=refresh,
        now=now,
        job=job,
        flow=_flow(job),
        health=health,
        state=state_of(health, now),
        problems=problems_of(board, health, now),
        chart=chart_of(health.pulses),
        is_fresh=is_fresh(health, now),
        within=within_words(health.lags),
        news=_news(health, now),
        calendar=_calendar(days_of(job, state, volumes.of(job, reader, now=now), now=now)),
        held=held.longest,
        held_caption=_held_caption(held.counts.objects, len(held.longest)),
        shards=_shard_rows(state.shards, health.promise, now),
        shards_caption=_shards_caption(len(state.shards)),
        ticks=state.ticks[:TICKS_SHOWN],
    )


def _flow(job: Job) -> str:
    source, destination = job.source, job.destination
    via = f" by {source.role.arn}" if source.role else ""
    return f"From s3://{source.bucket}/{source.prefix} of account {source.account_id}{via} to s3://{destination.bucket}/{destination.prefix}"


def _news(health: JobHealth, now: float) -> str:
    """Distinguish no new objects from not having listed."""
    look = health.look
    if not look.listed_at:
        return "not every shard was listed to its end yet"
    looked = f"every shard was looked at within {bound(now - look.listed_at)}"
    return f"{looked}; {look.quiet_shards} of {health.shards} are quiet" if look.quiet_shards else looked


def _calendar(days: Sequence[Day]) -> _Calendar:
    most = max((day.objects for day in days), default=0)
    counts = Counter(day.state for day in days)
    months = []
    for _, group in groupby(days, key=lambda day: (day.day.year, day.day.month)):
        month = list(group)
        first = month[0].day
        months.append(_Month(f"{first:%b %Y}", first.weekday(), [_cell(day, most) for day in month]))
    gaps = [_day_words(day) for day in reversed(days) if day.state is DayState.GAP]
    return _Calendar(months[::-1], {state: counts[state] for state in DayState if counts[state]}, gaps[:_GAPS_TOLD])


def _cell(day: Day, most: int) -> _Cell:
    return _Cell(day.state, -(-_LEVELS * day.objects // most) if most else 0, _day_words(day))


def _day_words(day: Day) -> str:
    objects = "1 object" if day.objects == 1 else f"{day.objects:,} objects" if day.objects else "no objects"
    parts = [objects, *([rounded_size(day.size_bytes)] if day.objects else [])]
    if day.missing:
        parts.append(f"{day.missing:,} missing")
    if day.doubts:
        parts.append("1 span is not proved" if day.doubts == 1 else f"{day.doubts:,} spans are not proved")
    return f"{day.day.isoformat()}, {day.state}: {', '.join(parts)}"


def _held_caption(objects: int, shown: int) -> str:
    everything = "1 object" if objects == 1 else f"{objects:,} objects"
    return f"The first {shown} of {everything}" if objects > shown else everything


def _shards_caption(shards: int) -> str:
    caption = f"{shards:,} shards, the one that is furthest behind first"
    return f"{caption}; {SHARDS_SHOWN} are shown" if shards > SHARDS_SHOWN else caption


def _shard_rows(states: Sequence[ShardState], promise: Promise, now: float) -> list[_ShardRow]:
    ordered = sorted(states, key=lambda state: (fresh_until(state, promise), state.shard.prefix))
    return [_ShardRow(state, _shard_state(state, promise, now)) for state in ordered[:SHARDS_SHOWN]]


def _shard_state(state: ShardState, promise: Promise, now: float) -> State:
    if not state.listed_at:
        return State("not listed yet", "none")
    if now > fresh_until(state, promise):
        return State("behind", "bad")
    return State("quiet", "none") if is_quiet(state, promise.period) else State("on time", "good")
