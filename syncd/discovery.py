"""Finding shards: which accounts, kinds and regions there are, without listing their objects.

A folder's last listing is remembered, so that in a large organization each tick asks only about some of them, and all
come round within `discovery_every`; a small job asks about all of them each tick.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from zlib import crc32

from syncd.cloudtrail import (
    EVERY,
    Below,
    Node,
    Scope,
    children,
    date_node,
    is_among_dates,
    is_ignored,
    roots,
    wanted_below,
)
from syncd.layout import Layout, PatternLayout
from syncd.ledger_rows import MOST_CHILDREN, bounded_children
from syncd.model import Folder, Page, Range, Shard
from syncd.tiers import due, overdue

MOST_UNCOVERED = 1000
"""Folders that are named as uncovered; one is enough to hold the horizon."""
Looks = Mapping[str, tuple[float, tuple[str, ...]]]
"""For each folder when it was last listed, and the folders that it held."""


class FolderLister(Protocol):
    """Lists what is directly below prefixes."""

    def folders(self, prefixes: Iterable[str]) -> Iterator[Folder]:
        """One or more Folders for each prefix; raises JobFailed."""
        ...


@dataclass(slots=True)
class Discovered:
    """What one round of discovery came to."""

    shards: list[Shard] = field(default_factory=list)
    looks: dict[str, tuple[float, tuple[str, ...]]] = field(default_factory=dict)
    """The folders that were listed in this round."""
    loose: list[Page] = field(default_factory=list)
    """Objects that lie between folders, above any shard."""
    uncovered: list[str] = field(default_factory=list)
    """Folders that the job neither covers nor ignores."""
    stalest_look: float = 0.0
    """When the folder was listed that was listed longest ago: everything that existed then has been found."""


def discover(scope: Scope, lister: FolderLister, *, looks: Looks, every: float, now: float) -> Discovered:
    """Go down from the roots of the scope, listing the folders whose turn it is and those never listed.

    Each comes round within `every` seconds; 0.0 lists all of them.

    Raises:
        JobFailed: a listing was refused or cannot be had.
    """
    # A look from the future was made by a clock that ran ahead.
    looks = {prefix: look for prefix, look in looks.items() if look[0] <= now and is_of(scope, prefix, look[1])}
    reached = _reached(scope, looks)
    times = {prefix: looks[prefix][0] for prefix, level in reached.items() if level != "date"}
    beside = {prefix: looks[prefix][0] for prefix, level in reached.items() if level == "date"}
    stale = due(times, every=every, now=now) | overdue(beside, every=every, now=now) if every else set(looks)
    nodes, shards = roots(scope)
    found = Discovered(shards=list(shards), stalest_look=now)
    nodes = [*nodes, *(date_node(shard, 0) for shard in shards)]
    while nodes:
        fresh = _list_nodes(
            [node for node in nodes if node.prefix in stale or node.prefix not in looks], lister, scope, found
        )
        deeper: list[Node] = []
        for node in nodes:
            if node.prefix in fresh:
                prefixes = fresh[node.prefix]
                found.looks[node.prefix] = (now, prefixes)
            else:
                when, prefixes = looks[node.prefix]
                if node.level != "date":
                    found.stalest_look = min(found.stalest_look, when)
            below = _meaning(node, prefixes, scope)
            found.shards += below.shards
            found.uncovered += below.uncovered
            deeper += _below(node, below)
        nodes = deeper
    del found.uncovered[MOST_UNCOVERED:]
    return found


def remembered_below(node: Node, prefixes: Sequence[str], scope: Scope) -> tuple[str, ...]:
    """Return what is remembered of the folders below a node: those that mean anything, and so many at the most.

    If some were left out because the scope ignores them, that is noted: another scope has to look again.
    """
    note = _note(scope, node.prefix)
    is_short = any(prefix == note or is_ignored(prefix, scope.ignore) for prefix in prefixes)
    wanted = wanted_below(node, [prefix for prefix in prefixes if prefix != note], scope)
    kept = bounded_children(node.prefix, wanted, most=MOST_CHILDREN - 1)
    return (note, *kept) if is_short else kept


def is_of(scope: Scope, prefix: str, remembered: Sequence[str]) -> bool:
    """Return True if what is remembered of the folders below a prefix is all that a scope has to know of them."""
    first = remembered[0] if remembered else ""
    return not first.startswith(f"{prefix}//") or first == _note(scope, prefix)


def _note(scope: Scope, prefix: str) -> str:
    # No name of a folder holds a slash, so that none reads like this.
    return f"{prefix}//{crc32(json.dumps(list(scope.ignore)).encode()):08x}"


def _meaning(node: Node, remembered: Sequence[str], scope: Scope) -> Below:
    """Return what the remembered folders mean. The first of those beyond what is remembered stands for the others."""
    beyond: list[str] = []
    if remembered[-1:] == (node.prefix,):
        beyond, remembered = list(remembered[-2:-1]), remembered[:-2]
    below = children(node, [prefix for prefix in remembered if not prefix.startswith(f"{node.prefix}//")], scope)
    return below._replace(uncovered=below.uncovered + wanted_below(node, beyond, scope))


def _below(node: Node, below: Below) -> list[Node]:
    depth = node.depth + 1 if node.level == "date" else 0
    # Dates directly below a kind are of the kind's own folder, which was just listed. A folder of no account has no
    # grammar that could be followed.
    followed = [shard for shard in below.shards if shard.prefix != node.prefix and shard.account]
    return [*below.nodes, *(date_node(shard, depth) for shard in followed)]


def _reached(scope: Scope, looks: Looks) -> dict[str, str]:
    """Return the remembered folders that the scope still reaches, and their levels; others must not use up looks."""
    nodes, shards = roots(scope)
    nodes = [*nodes, *(date_node(shard, 0) for shard in shards)]
    found: dict[str, str] = {}
    while nodes:
        deeper: list[Node] = []
        for node in nodes:
            if node.prefix in looks:
                found[node.prefix] = node.level
                deeper += _below(node, _meaning(node, looks[node.prefix][1], scope))
        nodes = deeper
    return found


def side_folders(layout: Layout, shard: Shard, lister: FolderLister, ignore: Collection[str]) -> list[str]:
    """Return the folders of a dated prefix that do not begin with a date, by one delimiter listing.

    Raises:
        JobFailed: the listing was refused or cannot be had.
    """
    if not isinstance(layout, PatternLayout):
        return []
    names = [name for folder in lister.folders([shard.prefix]) for name in folder.prefixes]
    odd = [name for name in names if not layout.first_component.fullmatch(name[len(shard.prefix) : -1])]
    return [name for name in odd if not is_ignored(name, list(ignore))]


def _list_nodes(nodes: list[Node], lister: FolderLister, scope: Scope, found: Discovered) -> dict[str, tuple[str, ...]]:
    by_prefix = {node.prefix: node for node in nodes}
    fresh: dict[str, tuple[str, ...]] = {}
    for folder in lister.folders(by_prefix):
        node = by_prefix[folder.prefix]
        before = fresh.get(folder.prefix, ())
        if before[-1:] != (folder.prefix,):
            fresh[folder.prefix] = remembered_below(node, [*before, *folder.prefixes], scope)
        loose = folder.objects
        if node.level == "date":
            loose = [item for item in loose if not is_among_dates(node.prefix, item.key)]
        if loose and _is_everything_wanted(node, scope):
            shard = Shard(node.prefix, node.account, node.kind, node.region, node.organization)
            found.loose.append(Page(Range(shard, ""), loose, is_last=True))
    return fresh


def _is_everything_wanted(node: Node, scope: Scope) -> bool:
    """Whether an object that lies beside the folders of this node is within the scope."""
    return {
        "account": EVERY in scope.accounts and EVERY in scope.kinds,
        "kind": EVERY in scope.kinds,
        "region": EVERY in scope.regions,
        "date": True,
    }[node.level]
