"""The slices of a tick that hints hasten: a listing of what they name, which moves no cursor.

Keys at the end of a shard are one listing, from the first of them to the end. An older key, or one in a shard without
order, is a listing of its own, which ends with it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from syncd.model.keys.place import shard_of_key
from syncd.model.keys.trail import is_ignored
from syncd.model.objects import Range, Shard, ShardState
from syncd.tick.listing import tiers
from syncd.tick.listing.tiers import Slice, Tier
from syncd.tick.ports import Lister
from syncd.tick.task import Task

_LAST_CHARACTER = "\U0010ffff"
_LONGEST_KEY_BYTES = 1024


class Hinted(NamedTuple):
    """The shards that hints name, each with the slices to list."""

    slices: Mapping[str, tuple[ShardState, list[Slice]]]
    """By the shard's prefix."""
    new: Mapping[str, Shard]
    """Keys in shards that were never listed."""


def hinted(task: Task, states: Mapping[str, ShardState], *, now: float) -> Hinted:
    """Return what to list of the keys that hints name. Keys that the job does not want are left out."""
    by_shard: defaultdict[str, list[str]] = defaultdict(list)
    new: dict[str, Shard] = {}
    for key in sorted(task.hinted):
        shard = wanted_shard(key, task)
        if shard is None:
            continue
        state = states.get(shard.prefix)
        if state is None or not state.listed_at:
            new[key] = shard
        else:
            by_shard[shard.prefix].append(key)
    found = {prefix: (states[prefix], _slices(states[prefix], keys, task, now)) for prefix, keys in by_shard.items()}
    return Hinted(found, new)


def wanted_shard(key: str, task: Task) -> Shard | None:
    """Return the shard of a key, or None if the job does not want it."""
    if task.scope is not None:
        return shard_of_key(key, task.scope)
    assert task.shard is not None
    is_wanted = key.startswith(task.shard.prefix) and not is_ignored(key, task.ignore)
    return task.shard if is_wanted else None


def exist(keys: Mapping[str, Shard], source: Lister) -> bool:
    """Return True if the source has any of these keys. Raises JobFailed."""
    wanted = {alone(shard, key): key for key, shard in keys.items()}
    return any(
        page is not None and any(item.key == wanted[page.range] for item in page.objects)
        for page in source.pages(wanted)
    )


def _slices(state: ShardState, keys: Iterable[str], task: Task, now: float) -> list[Slice]:
    shard, end = state.shard, task.layout.dates_end(state.shard)
    tail = _tail_of(state, task, now)
    ranges: list[Range] = []
    first = ""
    for key in keys:
        if tail is None or key <= tail or (end and key > end):
            ranges.append(alone(shard, key))
        else:
            first = min(first, key) if first else key
    if first:
        ranges.append(Range(shard, before(first), end))
    return [Slice(Tier.HINT, item) for item in ranges]


def _tail_of(state: ShardState, task: Task, now: float) -> str | None:
    """Return the key after which new keys come in the order of time, or None for a shard without order."""
    if tiers.is_listed_whole(state, task.layout):
        return None
    return task.layout.position(state.shard, tiers.frontier_of(state, now) - task.pace.tail_effective) or None


def alone(shard: Shard, key: str) -> Range:
    """Return the range of a single key."""
    return Range(shard, before(key), key)


def before(key: str) -> str:
    """Return a text that sorts before a key and, as good as always, after the key before it."""
    code = ord(key[-1]) - 1
    if 0xD800 <= code <= 0xDFFF:
        code = 0xD7FF
    close = f"{key[:-1]}{chr(code)}{_LAST_CHARACTER}" if code > 0 else key[:-1]
    return close if len(close.encode()) <= _LONGEST_KEY_BYTES else key[:-1]
