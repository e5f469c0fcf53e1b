"""Which days of each shard the tasks of a spread catch-up cover. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from syncd.model.objects import Window
from syncd.model.reports import SpreadTask, TaskState
from syncd.tick.task import Spread


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


def _day_after(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()
