"""Finding shards: which accounts, kinds and regions there are, without listing their objects.

A folder's last listing is remembered, so that in a large organization each tick asks only about some of them, and all
come round within `discovery_every`; a small job asks about all of them each tick.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from syncd.cloudtrail import EVERY, Node, Scope, children, roots
from syncd.model import Folder, Page, Range, Shard

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
    stalest_look: float = 0.0
    """When the folder was listed that was listed longest ago: everything that existed then has been found."""


def discover(scope: Scope, lister: FolderLister, *, looks: Looks, stale: Collection[str], now: float) -> Discovered:
    """Go down from the roots of the scope, listing the folders in `stale` and those never listed.

    Raises:
        JobFailed: a listing was refused or cannot be had.
    """
    nodes, shards = roots(scope)
    found = Discovered(shards=shards, stalest_look=now)
    while nodes:
        fresh = _list_nodes(
            [node for node in nodes if node.prefix in stale or node.prefix not in looks], lister, scope, found
        )
        below: list[Node] = []
        for node in nodes:
            if node.prefix in fresh:
                prefixes = fresh[node.prefix]
                found.looks[node.prefix] = (now, prefixes)
            else:
                when, prefixes = looks[node.prefix]
                found.stalest_look = min(found.stalest_look, when)
            deeper, reached = children(node, prefixes, scope)
            below += deeper
            found.shards += reached
        nodes = below
    return found


def _list_nodes(nodes: list[Node], lister: FolderLister, scope: Scope, found: Discovered) -> dict[str, tuple[str, ...]]:
    by_prefix = {node.prefix: node for node in nodes}
    fresh: dict[str, tuple[str, ...]] = {}
    for folder in lister.folders(by_prefix):
        node = by_prefix[folder.prefix]
        fresh[folder.prefix] = fresh.get(folder.prefix, ()) + tuple(folder.prefixes)
        if folder.objects and _is_everything_wanted(node, scope):
            shard = Shard(node.prefix, node.account, node.kind, "", node.organization)
            found.loose.append(Page(Range(shard, ""), folder.objects, is_last=True))
    return fresh


def _is_everything_wanted(node: Node, scope: Scope) -> bool:
    """Whether an object that lies beside the folders of this node is within the scope."""
    return {
        "account": EVERY in scope.accounts and EVERY in scope.kinds,
        "kind": EVERY in scope.kinds,
        "region": EVERY in scope.regions,
    }[node.level]
