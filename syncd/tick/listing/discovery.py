"""Finding shards: which accounts, kinds and regions there are, without listing their objects.

A folder's last listing is remembered, so that in a large organization each tick asks only about some of them, and all
come round within `discovery_every`; a small job asks about all of them each tick.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from zlib import crc32

from syncd.model.bounds import LARGEST_CHILDREN_BYTES, MOST_CHILDREN, MOST_UNCOVERED, children_to_json
from syncd.model.keys.layout import Layout
from syncd.model.keys.patterns import PatternLayout
from syncd.model.keys.trail import (
    EVERY,
    Below,
    Node,
    Scope,
    children,
    date_node,
    has_no_grammar,
    is_among_dates,
    is_ignored,
    roots,
)
from syncd.model.objects import LogObject, Page, Range, Shard
from syncd.tick.listing.tiers import due, overdue
from syncd.tick.ports import Lister

# Room kept beside the names of too many folders: a note, the first that did not fit, and their own prefix.
_ROOM_FOR_THE_REST = 8192
# A dated prefix with more objects directly under it than this is listed whole instead.
_MOST_LOOSE = 1000

Looks = Mapping[str, tuple[float, tuple[str, ...]]]
"""For each folder the time of its last listing, and the folders in it."""


@dataclass(slots=True)
class Discovered:
    """The result of one round of discovery."""

    shards: list[Shard] = field(default_factory=list)
    looks: dict[str, tuple[float, tuple[str, ...]]] = field(default_factory=dict)
    """The folders that were listed in this round."""
    loose: list[Page] = field(default_factory=list)
    """Objects between folders, outside any shard."""
    uncovered: list[str] = field(default_factory=list)
    """Folders that the job neither covers nor ignores."""
    stalest_look: float = 0.0
    """When the stalest folder was listed: all shards that existed then have been found."""
    stalest_before: float = 0.0
    """The same before this round, for this scope; 0.0 if a folder had never been listed."""


def discover(
    scope: Scope, lister: Lister, *, looks: Looks, every: float, now: float, also: Collection[str] = ()
) -> Discovered:
    """List the folders of the scope that are due or new, from its roots down, and those in `also`.

    Each comes round within `every` seconds; 0.0 lists all of them.

    Raises:
        JobFailed: a listing was refused or cannot be had.
    """
    # A look from the future was made by a clock that ran ahead.
    looks = {prefix: look for prefix, look in looks.items() if look[0] <= now and is_of(scope, prefix, look[1])}
    remembered: dict[str, Below] = {}
    reached, is_all_known = _reached(scope, looks, remembered)
    times = {prefix: looks[prefix][0] for prefix, level in reached.items() if level != "date"}
    beside = {prefix: looks[prefix][0] for prefix, level in reached.items() if level == "date"}
    stale = due(times, every=every, now=now) | overdue(beside, every=every, now=now) if every else set(looks)
    nodes, shards = roots(scope)
    found = Discovered(shards=list(shards), stalest_look=now)
    found.stalest_before = min(times.values(), default=now) if is_all_known else 0.0
    nodes = [*nodes, *(date_node(shard, 0) for shard in shards)]
    while nodes:
        # A look of before the folder left the job, or was not there, says nothing of now.
        due_now = [node for node in nodes if node.prefix in stale or node.prefix in also or node.prefix not in reached]
        fresh = _list_nodes(due_now, lister, scope, found)
        deeper: list[Node] = []
        for node in nodes:
            if node.prefix in fresh:
                found.looks[node.prefix] = (now, fresh[node.prefix])
                below = _meaning(node, fresh[node.prefix], scope)
            else:
                below = remembered.get(node.prefix) or _meaning(node, looks[node.prefix][1], scope)
                if node.level != "date":
                    found.stalest_look = min(found.stalest_look, looks[node.prefix][0])
            found.shards += below.shards
            found.uncovered += below.uncovered
            deeper += _below(node, below)
        nodes = deeper
    del found.uncovered[MOST_UNCOVERED:]
    return found


def remembered_below(node: Node, prefixes: Sequence[str], scope: Scope) -> tuple[str, ...]:
    """Return the folders to remember below a node: all, unless there are too many.

    Then those are left out that the scope ignores or that are dates beside others, which is noted, since another scope has
    to look again. Of more still, the first that is beyond follows the others, and the node's own prefix that one.
    """
    note = _note(scope, node.prefix)
    is_short = note in prefixes[:1]
    if not is_short and children_to_json(prefixes) is not None:
        return tuple(prefixes)
    kept = [note]
    room = LARGEST_CHILDREN_BYTES - _ROOM_FOR_THE_REST
    for prefix in prefixes[is_short:]:
        if is_ignored(prefix, scope.ignore) or (node.level == "date" and is_among_dates(node, prefix)):
            continue
        room -= len(json.dumps(prefix)) + len(", ")
        if len(kept) + len((prefix, node.prefix)) >= MOST_CHILDREN or room < 0:
            return (*kept, prefix, node.prefix)
        kept.append(prefix)
    return tuple(kept)


def is_of(scope: Scope, prefix: str, remembered: Sequence[str]) -> bool:
    """Return True if the folders remembered below a prefix are all that a scope needs."""
    first = remembered[0] if remembered else ""
    return not first.startswith(f"{prefix}//") or first == _note(scope, prefix)


def _note(scope: Scope, prefix: str) -> str:
    # No name of a folder holds a slash, so that none reads like this.
    return f"{prefix}//{crc32(json.dumps(list(scope.ignore)).encode()):08x}"


def _meaning(node: Node, remembered: Sequence[str], scope: Scope) -> Below:
    """Return the shards and folders that the remembered names stand for."""
    beyond: Sequence[str] = ()
    if remembered[:1] and remembered[0].startswith(f"{node.prefix}//"):
        remembered = remembered[1:]
        if remembered[-1:] == (node.prefix,):
            beyond, remembered = remembered[-2:-1], remembered[:-2]
    below = children(node, remembered, scope)
    return below._replace(uncovered=[*below.uncovered, *beyond]) if beyond else below


def _below(node: Node, below: Below) -> Sequence[Node]:
    if not below.nodes and not below.shards:
        return ()
    depth = node.depth + 1 if node.level == "date" else 0
    return [*below.nodes, *(date_node(shard, depth) for shard in below.shards if _is_followed(shard, node))]


def _is_followed(shard: Shard, above: Node) -> bool:
    """Return True if folders beside a shard's dates must be looked for."""
    # Dates directly below a kind are of the kind's own folder, which was just listed; those of Hive are no folder.
    return shard.prefix != above.prefix and shard.prefix.endswith("/") and not has_no_grammar(shard)


def _reached(scope: Scope, looks: Looks, remembered: dict[str, Below]) -> tuple[dict[str, str], bool]:
    """Return the remembered folders within the scope, by level, and True if complete.

    Others must not use up looks. What lies below them is noted in `remembered`.
    """
    nodes, shards = roots(scope)
    nodes = [*nodes, *(date_node(shard, 0) for shard in shards)]
    found: dict[str, str] = {}
    is_all = True
    while nodes:
        deeper: list[Node] = []
        for node in nodes:
            if node.prefix in looks:
                found[node.prefix] = node.level
                below = remembered[node.prefix] = _meaning(node, looks[node.prefix][1], scope)
                deeper += _below(node, below)
            else:
                is_all = is_all and node.level == "date"
        nodes = deeper
    return found, is_all


class Sides(NamedTuple):
    """The folders and objects under a dated prefix beside its dates."""

    folders: Sequence[str]
    """Folders, or keys, that only a listing of the whole prefix finds."""
    loose: Sequence[Page]
    """Objects that lie directly under the prefix, as in `Discovered`."""


def side_folders(layout: Layout, shard: Shard, lister: Lister, ignore: Sequence[str]) -> Sides:
    """Return the folders and objects of a dated prefix that begin with no date.

    Raises:
        JobFailed: the listing was refused or cannot be had.
    """
    if not isinstance(layout, PatternLayout):
        return Sides([], [])
    if not layout.has_folders:
        return Sides(_keys_beside(layout, shard, lister, ignore), [])
    folders: list[str] = []
    loose: list[LogObject] = []
    for folder in lister.folders([shard.prefix]):
        folders += [name for name in folder.prefixes if not layout.is_date_folder(name[len(shard.prefix) : -1])]
        loose += [item for item in folder.objects if not is_ignored(item.key, ignore)]
        if len(loose) > _MOST_LOOSE:
            return Sides([shard.prefix], [])
    folders = [name for name in folders if not is_ignored(name, ignore)]
    return Sides(folders, [Page(Range(shard, ""), loose, is_last=True)] if loose else [])


def _keys_beside(layout: PatternLayout, shard: Shard, lister: Lister, ignore: Sequence[str]) -> list[str]:
    """Return the first key before or after the dates, which begin with a digit."""
    end = layout.dates_end(shard)
    for page in lister.pages([Range(shard, "", f"{end[:-1]}/\U0010ffff"), Range(shard, end)]):
        for item in page.objects if page else ():
            if not is_ignored(item.key, ignore):
                return [item.key]
    return []


def _list_nodes(nodes: list[Node], lister: Lister, scope: Scope, found: Discovered) -> dict[str, tuple[str, ...]]:
    by_prefix = {node.prefix: node for node in nodes}
    below: dict[str, list[str]] = {}
    for folder in lister.folders(by_prefix):
        node = by_prefix[folder.prefix]
        here = below.setdefault(folder.prefix, [])
        if here[-1:] != [folder.prefix]:
            here += folder.prefixes
        if len(here) > 2 * MOST_CHILDREN:
            here[:] = remembered_below(node, here, scope)
        loose = [item for item in folder.objects if not is_ignored(item.key, scope.ignore)]
        found.uncovered += [name for name in folder.unreadable if not is_ignored(name, scope.ignore)]
        if node.level == "date":
            loose = [item for item in loose if not is_among_dates(node, item.key)]
        if loose and _is_everything_wanted(node, scope):
            shard = Shard(node.prefix, node.account, node.kind, node.region, node.organization)
            found.loose.append(Page(Range(shard, ""), loose, is_last=True))
    return {prefix: remembered_below(by_prefix[prefix], names, scope) for prefix, names in below.items()}


def _is_everything_wanted(node: Node, scope: Scope) -> bool:
    """Return True if an object beside the folders of this node is in scope."""
    return {
        "account": EVERY in scope.accounts and EVERY in scope.kinds,
        "kind": EVERY in scope.kinds,
        "region": EVERY in scope.regions,
        "date": True,
    }[node.level]
