"""Where CloudTrail puts things: the prefixes above a shard, and the shard that a prefix is.

    [<prefix>/]AWSLogs/[<organization>/]<account>/<kind>/<region>/<YYYY>/<MM>/<DD>/<file>

The source of the grammar is "Getting and viewing your CloudTrail log files" in the CloudTrail user guide; parts are
taken from the path, never from the file name, since the two have been seen to differ.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from syncd.model import Quarantined, Shard

_ACCOUNT = re.compile(r"[0-9]{12}")
_ORGANIZATION = re.compile(r"o-[a-z0-9]{10,32}")
EVERY = "*"


class Scope(NamedTuple):
    """What of a bucket a job wants; `("*",)` means all that can be found."""

    trail_prefix: str
    """The trail's own key prefix without slashes at its ends; empty for none."""
    organizations: Sequence[str]
    accounts: Sequence[str]
    kinds: Sequence[str]
    regions: Sequence[str]


class Node(NamedTuple):
    """A prefix that is listed by delimiter to find what is below it."""

    prefix: str
    level: str
    """What its children are: `account`, `kind` or `region`."""
    organization: str = ""
    account: str = ""
    kind: str = ""


def top(scope: Scope) -> str:
    """The prefix up to and including `AWSLogs/`."""
    return f"{scope.trail_prefix}/AWSLogs/" if scope.trail_prefix else "AWSLogs/"


def exact_prefixes(scope: Scope) -> list[str]:
    """The narrowest prefixes under which everything of the scope lies: what a role must be able to list and read."""
    above = [top(scope) + f"{organization}/" for organization in scope.organizations] or [top(scope)]
    if EVERY in scope.accounts:
        return above
    return [f"{prefix}{account}/" for prefix in above for account in scope.accounts]


def roots(scope: Scope) -> tuple[list[Node], list[Shard]]:
    """Where discovery begins: nodes to list, and shards that need no discovery because they are named in full."""
    above = [(top(scope) + f"{organization}/", organization) for organization in scope.organizations] or [
        (top(scope), "")
    ]
    if EVERY in scope.accounts:
        return [Node(prefix, "account", organization) for prefix, organization in above], []
    accounts = [
        Node(f"{prefix}{account}/", "kind", organization, account)
        for prefix, organization in above
        for account in scope.accounts
    ]
    return _narrow(accounts, scope)


def children(node: Node, prefixes: Iterable[str], scope: Scope) -> tuple[list[Node], list[Shard]]:
    """The nodes and shards that one delimiter listing of `node` found, within the scope."""
    names = [prefix[len(node.prefix) : -1] for prefix in prefixes]
    if node.level == "account":
        found = [
            Node(f"{node.prefix}{name}/", "kind", node.organization, name) for name in names if _ACCOUNT.fullmatch(name)
        ]
        if not node.organization and not scope.organizations:
            # A bucket may hold single-account and organization layouts one beside the other.
            nested = [Node(f"{node.prefix}{name}/", "account", name) for name in names if _ORGANIZATION.fullmatch(name)]
            narrowed, shards = _narrow(found, scope)
            return nested + narrowed, shards
        return _narrow(found, scope)
    if node.level == "kind":
        wanted = [name for name in names if EVERY in scope.kinds or name in scope.kinds]
        return _narrow([_kind_node(node, name) for name in wanted], scope)
    wanted = [name for name in names if EVERY in scope.regions or name in scope.regions]
    return [], [_shard(node, name) for name in wanted]


def _narrow(nodes: Sequence[Node], scope: Scope) -> tuple[list[Node], list[Shard]]:
    """Go down without a listing as far as the scope names what is there."""
    if nodes and nodes[0].level == "kind" and EVERY not in scope.kinds:
        return _narrow([_kind_node(node, kind) for node in nodes for kind in scope.kinds], scope)
    if nodes and nodes[0].level == "region" and EVERY not in scope.regions:
        return [], [_shard(node, region) for node in nodes for region in scope.regions]
    return list(nodes), []


def _kind_node(account: Node, kind: str) -> Node:
    return Node(f"{account.prefix}{kind}/", "region", account.organization, account.account, kind)


def _shard(node: Node, region: str) -> Shard:
    return Shard(f"{node.prefix}{region}/", node.account, node.kind, region, node.organization)


def in_scope(shard: Shard, scope: Scope) -> bool:
    """Whether a shard that the ledger remembers is still wanted by the job; parts that it lacks are anybody's."""
    above = top(scope)
    if not shard.prefix.startswith(above):
        return False
    if scope.organizations and shard.organization not in scope.organizations:
        return False
    if shard.organization and not scope.organizations and EVERY not in scope.accounts:
        # Of an organization that the job named before: named accounts now lie beside it, and no session may list it.
        return False
    return all(
        not part or EVERY in wanted or part in wanted
        for part, wanted in ((shard.account, scope.accounts), (shard.kind, scope.kinds), (shard.region, scope.regions))
    )


def held_in_scope(held: Mapping[str, Quarantined], scope: Scope | None) -> dict[str, Quarantined]:
    """Those of the objects that are known and not at the destination that the job still wants."""
    return {key: item for key, item in held.items() if scope is None or in_scope(item.shard, scope)}
