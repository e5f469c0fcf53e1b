"""The shard that a single key belongs to, found as discovery would find it from the key's own folders alone."""

from syncd.model.keys.trail import DEEPEST, Node, Scope, children, date_node, is_ignored, roots
from syncd.model.objects import Shard


def shard_of_key(key: str, scope: Scope) -> Shard | None:
    """Return the shard of a key, or None if the job does not want it or a folder's meaning depends on others."""
    if is_ignored(key, scope.ignore):
        return None
    nodes, shards = roots(scope)
    found: Shard | None = None
    for _ in range(2 * DEEPEST):
        shard = next((item for item in shards if key.startswith(item.prefix)), None)
        if shard is not None:
            found, nodes = shard, [date_node(shard, 0)]
        node = next((item for item in nodes if key.startswith(item.prefix)), None)
        folder = _folder_in(node, key) if node is not None else None
        if node is None or folder is None:
            return found
        below = children(node, [folder], scope)
        nodes, shards = list(below.nodes), list(below.shards)
    return found


def _folder_in(node: Node, key: str) -> str | None:
    name, slash, _ = key[len(node.prefix) :].partition("/")
    return f"{node.prefix}{name}/" if slash else None
