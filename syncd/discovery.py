"""Finding shards: which accounts, kinds and regions there are, without listing their objects.

A folder's last listing is remembered, so that in a large organization each tick asks only about some of them, and all
come round within `discovery_every`; a small job asks about all of them each tick.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from syncd.cloudtrail import EVERY, Below, Node, Scope, children, date_node, is_among_dates, is_ignored, roots
from syncd.layout import Layout, PatternLayout
from syncd.model import Folder, Page, Range, Shard
from syncd.tiers import due, overdue

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
    looks = {prefix: look for prefix, look in looks.items() if look[0] <= now}
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
            below = children(node, prefixes, scope)
            found.shards += below.shards
            found.uncovered += below.uncovered
            deeper += _below(node, below)
        nodes = deeper
    return found


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
                deeper += _below(node, children(node, looks[node.prefix][1], scope))
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
        fresh[folder.prefix] = fresh.get(folder.prefix, ()) + tuple(folder.prefixes)
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
