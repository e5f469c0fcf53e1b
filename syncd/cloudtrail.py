"""Where CloudTrail puts things: the prefixes above a shard, and the shard that a prefix is.

    [<prefix>/]AWSLogs/[<organization>/]<account>/<kind>/<region>/<YYYY>/<MM>/<DD>/<file>

The source of the grammar is "Getting and viewing your CloudTrail log files" in the CloudTrail user guide; parts are
taken from the path, never from the file name, since the two have been seen to differ.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from syncd.model import Shard

_ACCOUNT = re.compile(r"[0-9]{12}")
_DIGITS = frozenset("0123456789")
_YEAR = re.compile(r"[0-9]{4}")
MOST_BESIDE = 100
"""Folders beside the dates of a shard that become shards of their own."""
_ORGANIZATION = re.compile(r"o-[a-z0-9]{10,32}")
EVERY = "*"
STANDARD_KINDS = frozenset(
    {"CloudTrail", "CloudTrail-Digest", "CloudTrail-Insight", "CloudTrail-NetworkActivity", "CloudTrail-Aggregated"}
)
"""CloudTrail's own folders, whose keys are known to be arranged by day right below the region."""
DEEPEST = 4
"""Folders between region and date are followed so far down."""


class Scope(NamedTuple):
    """What of a bucket a job wants; `("*",)` means all that can be found."""

    trail_prefix: str
    """The trail's own key prefix without slashes at its ends; empty for none."""
    organizations: Sequence[str]
    accounts: Sequence[str]
    kinds: Sequence[str]
    regions: Sequence[str]
    ignore: Sequence[str] = ()
    """Prefixes of keys, or patterns of them, that are neither listed nor named."""


class Node(NamedTuple):
    """A prefix that is listed by delimiter to find what is below it."""

    prefix: str
    level: str
    """What its children are: `account`, `kind`, `region`, or `date` for the days of a shard."""
    organization: str = ""
    account: str = ""
    kind: str = ""
    region: str = ""
    depth: int = 0
    """Of a `date` node: how many folders below its region it lies."""


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


def is_standard(shard: Shard) -> bool:
    """Return True for a shard of CloudTrail's own kinds, the grammar of which is known before it is listed."""
    return shard.kind in STANDARD_KINDS and shard.prefix.endswith(f"/{shard.kind}/{shard.region}/")


def is_ignored(prefix: str, ignore: Sequence[str]) -> bool:
    """Return True if a folder lies below one of these prefixes, or matches one of these patterns."""
    return any(prefix.startswith(entry) or fnmatchcase(prefix, entry) for entry in ignore)


class Below(NamedTuple):
    """What one delimiter listing found below a node, within the scope."""

    nodes: list[Node]
    shards: list[Shard]
    uncovered: list[str]
    """Folders that are neither of the layout's grammar nor ignored."""


def wanted_below(node: Node, prefixes: Iterable[str], scope: Scope) -> list[str]:
    """Return the folders below a node that mean anything to a scope, whatever it makes of them."""
    wanted = [prefix for prefix in prefixes if not is_ignored(prefix, scope.ignore)]
    if node.level != "date":
        return wanted
    return [prefix for prefix in wanted if not is_among_dates(node.prefix, prefix)]


def children(node: Node, prefixes: Iterable[str], scope: Scope) -> Below:
    """Return what one delimiter listing of a node means."""
    names = [prefix[len(node.prefix) : -1] for prefix in wanted_below(node, prefixes, scope)]
    if node.level == "account":
        return _below_account(node, names, scope)
    if node.level == "kind":
        kinds = [name for name in names if EVERY in scope.kinds or name in scope.kinds]
        return Below(*_narrow([_kind_node(node, name) for name in kinds], scope), [])
    if node.level == "region":
        regions = [name for name in names if EVERY in scope.regions or name in scope.regions]
        dates = [name for name in regions if _YEAR.fullmatch(name) and EVERY in scope.regions]
        # Dates may stand directly below the kind, whose own folder is then a shard.
        own = [_shard(node, "")] if dates else []
        return Below([], own + [_shard(node, name) for name in regions if name not in dates], [])
    followed = MOST_BESIDE if node.depth < DEEPEST else 0
    uncovered = [f"{node.prefix}{name}/" for name in names[followed:]]
    return Below([], [_shard(node, name) for name in names[:followed]], uncovered)


def is_among_dates(prefix: str, key: str) -> bool:
    """Return True for keys that begin with a digit after the prefix: the shard's own listing comes by them."""
    return key[len(prefix) : len(prefix) + 1] in _DIGITS


def date_node(shard: Shard, depth: int) -> Node:
    """Return the node that shows what lies in a shard beside its dates."""
    return Node(shard.prefix, "date", shard.organization, shard.account, shard.kind, shard.region, depth)


def _below_account(node: Node, names: Sequence[str], scope: Scope) -> Below:
    found = [
        Node(f"{node.prefix}{name}/", "kind", node.organization, name) for name in names if _ACCOUNT.fullmatch(name)
    ]
    narrowed, shards = _narrow(found, scope)
    odd = [name for name in names if not _ACCOUNT.fullmatch(name) and not _is_organization(node, name)]
    nested: list[Node] = []
    if not node.organization and not scope.organizations:
        # A bucket may hold single-account and organization layouts one beside the other.
        nested = [Node(f"{node.prefix}{name}/", "account", name) for name in names if _ORGANIZATION.fullmatch(name)]
    if EVERY in scope.kinds and EVERY in scope.regions:
        shards += [Shard(f"{node.prefix}{name}/", organization=node.organization) for name in odd]
        odd = []
    return Below(nested + narrowed, shards, [f"{node.prefix}{name}/" for name in odd])


def _is_organization(node: Node, name: str) -> bool:
    return not node.organization and _ORGANIZATION.fullmatch(name) is not None


def _narrow(nodes: Sequence[Node], scope: Scope) -> tuple[list[Node], list[Shard]]:
    """Go down without a listing as far as the scope names what is there."""
    if nodes and nodes[0].level == "kind" and EVERY not in scope.kinds:
        return _narrow([_kind_node(node, kind) for node in nodes for kind in scope.kinds], scope)
    if nodes and nodes[0].level == "region" and EVERY not in scope.regions:
        return [], [_shard(node, region) for node in nodes for region in scope.regions]
    return list(nodes), []


def _kind_node(account: Node, kind: str) -> Node:
    return Node(f"{account.prefix}{kind}/", "region", account.organization, account.account, kind)


def _shard(node: Node, name: str) -> Shard:
    prefix = f"{node.prefix}{name}/" if name else node.prefix
    return Shard(prefix, node.account, node.kind, node.region or name, node.organization)


def in_scope(shard: Shard, scope: Scope) -> bool:
    """Whether a shard that the ledger remembers is still wanted by the job; parts that it lacks are anybody's."""
    above = top(scope)
    if not shard.prefix.startswith(above) or is_ignored(shard.prefix, scope.ignore):
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


def wanted_by(scope: Scope | None) -> Callable[[Shard], bool]:
    """Return what tells the shards that a job wants now; without a scope all that it ever remembered."""
    return lambda shard: scope is None or in_scope(shard, scope)
