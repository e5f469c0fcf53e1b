"""The cut of a catch-up into tasks: one shard and a span of sealed days each, of about the same size. Pure.

A page of keys each month tells how dense a shard is. Days that a tick may still list stay with the owner, whose ledger
has to know their keys. So do shards that are small, or whose keys have no days.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from syncd.model.keys.layout import Layout
from syncd.model.keys.stamps import DAY_SECONDS, day_start, utc_day
from syncd.model.objects import Page, Range, Shard, ShardState, Window
from syncd.model.reports import SpreadTask, TaskState
from syncd.tick.listing import tiers
from syncd.tick.listing.sealing import first_unsealed_day
from syncd.tick.listing.survey import survey
from syncd.tick.ports import Lister, Ports
from syncd.tick.task import Pace, Spread, Task

LEAST_OBJECTS = 2000
"""A task costs a worker and its owner 30 ms, whatever is in it."""
_LEAST_SPAN_SECONDS = 60.0


def cut(task: Task, ports: Ports, *, request: str, task_objects: int) -> list[SpreadTask]:
    """Return the tasks of a catch-up, in no order that matters. Raises as `measured`."""
    return tasks_of(measured(task, ports), request=request, task_objects=task_objects)


def tasks_of(densities: Iterable["Density"], *, request: str, task_objects: int) -> list[SpreadTask]:
    """Return the tasks of shards whose densities are known."""
    return [
        SpreadTask(density.shard, first, last, request, objects)
        for density in densities
        for first, last, objects in density.spans(task_objects)
    ]


def parts_of(tasks: Sequence[SpreadTask], window: Window | None) -> Mapping[str, Spread]:
    """Return what tasks cover of each shard, by its prefix. A gap between tasks covers nothing."""
    by_shard: defaultdict[str, list[SpreadTask]] = defaultdict(list)
    for task in sorted(tasks, key=lambda task: task.first):
        by_shard[task.shard.prefix].append(task)
    parts: dict[str, Spread] = {}
    for prefix, own in by_shard.items():
        follows = [_day_after(task.last) for task in own]
        is_whole = [task.first for task in own] == [window and window.first, *follows[:-1]]
        if is_whole:
            parts[prefix] = Spread(follows[-1], is_done=all(task.state is TaskState.OK for task in own))
    return parts


def measured(task: Task, ports: Ports) -> list["Density"]:
    """Find the shards of a catch-up that workers may do, and how many objects a day they have.

    Raises:
        JobFailed: a listing was refused or cannot be had.
        LedgerError: the state cannot be read.
    """
    assert task.window is not None
    assert task.window.first is not None
    now = ports.now()
    found = survey(task, ports, began_at=now)
    densities = []
    for visit in found.visits.values():
        last = last_sealed_day(visit.state, task.window, layout=task.layout, pace=task.pace, now=now)
        if last is not None and last >= task.window.first:
            densities.append(Density(visit.state.shard, task.window.first, last))
    sample(densities, ports.source, task.layout)
    return densities


def last_sealed_day(state: ShardState, window: Window, *, layout: Layout, pace: Pace, now: float) -> str | None:
    """Return the last day of a shard that workers may do. Returns None if the owner has to do all of them."""
    shard = state.shard
    example = "2024-02-29"
    is_dated = layout.day(shard, f"{shard.prefix}{example.replace('-', '/')}/x") == example
    if not is_dated or not tiers.window_is_exact(state, layout):
        return None
    before = utc_day(day_start(first_unsealed_day(state, pace, now)) - DAY_SECONDS)
    return before if window.last is None else min(window.last, before)


@dataclass(slots=True)
class Density:
    """The objects a day of one shard, as far as samples tell."""

    shard: Shard
    first: str
    last: str
    counted: dict[str, int] = field(default_factory=dict)
    """The objects of days that were listed whole."""
    rates: list[tuple[str, float]] = field(default_factory=list)
    """From a day on, the objects a day."""
    sampled: int = 0
    """The objects that were listed."""
    sampled_bytes: int = 0
    next_day: str | None = None
    """The day at which the next sample begins. None if no more is needed."""

    def __post_init__(self) -> None:
        self.next_day = self.first

    def take(self, page: Page, layout: Layout) -> None:
        """Take one page of keys that begins at `next_day`."""
        assert self.next_day is not None
        self.sampled += len(page.objects)
        self.sampled_bytes += sum(item.size_bytes for item in page.objects)
        days = [layout.day(self.shard, item.key) for item in page.objects]
        if page.reached_end or not page.objects or (days[-1] or self.last) > self.last:
            self._count(days, self.last)
            self.next_day = None
            return
        # The last day of the page is not whole.
        end = days[-1] or self.next_day
        self._count(days, _day_before(end))
        last = page.objects[-1]
        begins = day_start(self.next_day)
        elapsed = max(_LEAST_SPAN_SECONDS, layout.stamp(self.shard, last) - begins)
        self.rates.append((end, len(page.objects) * DAY_SECONDS / elapsed))
        following = _month_after(end)
        self.next_day = following if following <= self.last else None

    def _count(self, days: Sequence[str], until: str) -> None:
        assert self.next_day is not None
        for day in _days(self.next_day, until):
            self.counted[day] = 0
        for day in days:
            if day in self.counted:
                self.counted[day] += 1

    def estimates(self) -> Iterator[tuple[str, float]]:
        """Yield each day and how many objects it may have."""
        rates, rate = list(self.rates), 0.0
        for day in _days(self.first, self.last):
            while rates and rates[0][0] <= day:
                rate = rates.pop(0)[1]
            yield day, float(self.counted.get(day, rate))

    def spans(self, task_objects: int) -> Iterator[tuple[str, str, int]]:
        """Yield whole days of about `task_objects` together, and how many they may have, but nothing below the least."""
        spans: list[tuple[str, str, float]] = []
        begin, total = self.first, 0.0
        for day, objects in self.estimates():
            if total >= LEAST_OBJECTS and total + objects / 2 >= task_objects:
                spans.append((begin, _day_before(day), total))
                begin, total = day, 0.0
            total += objects
        if total < LEAST_OBJECTS and spans:
            begin, _, before = spans.pop()
            total += before
        if total >= LEAST_OBJECTS:
            spans.append((begin, self.last, total))
        yield from ((first, last, round(objects)) for first, last, objects in spans)


def sample(densities: Sequence[Density], source: Lister, layout: Layout) -> None:
    """List a page of each shard and month. Raises JobFailed."""
    while waiting := [item for item in densities if item.next_day is not None]:
        wanted: Mapping[Range, Density] = {_page_after(item, layout): item for item in waiting}
        for page in source.pages(wanted):
            if page is not None:
                wanted[page.range].take(page, layout)


def _page_after(density: Density, layout: Layout) -> Range:
    assert density.next_day is not None
    begin = layout.position(density.shard, day_start(density.next_day), whole_day=True)
    # Any key is past this end, so that one page is all.
    return Range(density.shard, begin, begin, whole_pages=True)


def _days(first: str, last: str) -> Iterator[str]:
    day, end = date.fromisoformat(first), date.fromisoformat(last)
    while day <= end:
        yield day.isoformat()
        day += timedelta(days=1)


def _day_before(day: str) -> str:
    return (date.fromisoformat(day) - timedelta(days=1)).isoformat()


def _day_after(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


def _month_after(day: str) -> str:
    found = date.fromisoformat(day)
    return (date(found.year, found.month, 28) + timedelta(days=4)).replace(day=1).isoformat()
