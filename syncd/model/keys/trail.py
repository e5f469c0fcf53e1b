"""The grammar of CloudTrail's prefixes: the folders above a shard, and the shard of a prefix.

    [<prefix>/]AWSLogs/[<organization>/]<account>/<kind>/<region>/<YYYY>/<MM>/<DD>/<file>

The source of the grammar is "Getting and viewing your CloudTrail log files" in the CloudTrail user guide; parts are
taken from the path, never from the file name, since the two have been seen to differ.
"""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple

from syncd.model.objects import Shard

# Compiled at their first use, and kept by `re`.
_ACCOUNT = r"[0-9]{12}"
_DIGITS = frozenset("0123456789")
# A year, a month or a day where other folders were expected.
_DATE = r"(?s)(?:19|20)[0-9]{2}(?:[-_.].*|[0-9]{2}|[0-9]{4}|[0-9]{6})?"
_YEAR = r"(?:19|20)[0-9]{2}"
# The first folder of dates as Hive writes them, such as `year=2026` or `dt=2026-11-24`.
_HIVE_DATE = r"(?s)([A-Za-z_]+=)[0-9]{4}(?:[^0-9].*|[0-9]{4})?"
MOST_BESIDE = 100
"""The most folders beside the dates of a shard that become shards of their own."""
_ORGANIZATION = r"o-[a-z0-9]{10,32}"
EVERY = "*"
STANDARD_KINDS = frozenset(
    {"CloudTrail", "CloudTrail-Digest", "CloudTrail-Insight", "CloudTrail-NetworkActivity", "CloudTrail-Aggregated"}
)
"""CloudTrail's own kinds, whose keys are arranged by day right below the region."""
DEEPEST = 4
"""The most folders followed between region and date. A deeper folder is one shard with all its keys."""


class Scope(NamedTuple):
    """The part of a bucket that a job wants. `("*",)` means everything found."""

    trail_prefix: str
    """The trail's own key prefix without the slash that follows it, or empty."""
    organizations: Sequence[str]
    """The folders of accounts: an organization, or `AWSLogs/` itself for an empty name."""
    accounts: Sequence[str]
    kinds: Sequence[str]
    regions: Sequence[str]
    ignore: Sequence[str] = ()
    """Prefixes of keys, or patterns, that are neither listed nor reported."""


class Node(NamedTuple):
    """A prefix that is listed by delimiter to find the folders in it."""

    prefix: str
    level: str
    """The level of its children: `account`, `kind`, `region`, or `date` for the days of a shard."""
    organization: str = ""
    account: str = ""
    kind: str = ""
    region: str = ""
    depth: int = 0
    """The number of folders between its region and a `date` node."""


def top(scope: Scope) -> str:
    """Return the prefix up to and including `AWSLogs/`."""
    return f"{scope.trail_prefix}/AWSLogs/" if scope.trail_prefix else "AWSLogs/"


def exact_prefixes(scope: Scope) -> list[str]:
    """Return the narrowest prefixes that cover the scope, which a role must list and read."""
    above = [prefix for prefix, _ in _above_accounts(scope)]
    if EVERY in scope.accounts:
        return [top(scope)] if top(scope) in above else above
    return [f"{prefix}{account}/" for prefix in above for account in scope.accounts]


def _above_accounts(scope: Scope) -> list[tuple[str, str]]:
    """Return the prefixes in which accounts are folders, and the organization of each."""
    names = scope.organizations or ("",)
    return [(top(scope) + (f"{name}/" if name else ""), name) for name in names]


def roots(scope: Scope) -> tuple[list[Node], list[Shard]]:
    """Return the start of discovery: nodes to list and fully named shards, without ignored ones."""
    nodes, shards = _roots(scope)
    if scope.ignore:
        nodes = [node for node in nodes if not is_ignored(node.prefix, scope.ignore)]
        shards = [shard for shard in shards if not is_ignored(shard.prefix, scope.ignore)]
    return nodes, shards


def _roots(scope: Scope) -> tuple[list[Node], list[Shard]]:
    above = _above_accounts(scope)
    if EVERY in scope.accounts:
        return [Node(prefix, "account", organization) for prefix, organization in above], []
    accounts = [
        Node(f"{prefix}{account}/", "kind", organization, account)
        for prefix, organization in above
        for account in scope.accounts
    ]
    return _narrow(accounts, scope)


def is_standard(shard: Shard) -> bool:
    """Return True for a shard of CloudTrail's own kinds, whose grammar is known in advance."""
    return shard.kind in STANDARD_KINDS and shard.prefix.endswith(f"/{shard.kind}/{shard.region}/")


def has_no_grammar(shard: Shard) -> bool:
    """Return True for a folder without known dates: of no account, or too deep below its region."""
    above = f"/{shard.account}/{shard.kind}/{shard.region}/"
    found = shard.prefix.rfind(above)
    return not shard.account or (found >= 0 and shard.prefix.count("/", found + len(above)) > DEEPEST)


def is_ignored(prefix: str, ignore: Sequence[str]) -> bool:
    """Return True if a folder or key is below an ignored prefix, or matches a pattern."""
    return bool(ignore) and _is_ignored(prefix, tuple(ignore))


@lru_cache(maxsize=65536)
def _is_ignored(prefix: str, ignore: tuple[str, ...]) -> bool:
    if prefix.startswith(ignore):
        return True
    above = [prefix[: end + 1] for end, letter in enumerate(prefix) if letter == "/"]
    return any(fnmatchcase(part, entry) for part in {*above, prefix} for entry in ignore)


class Below(NamedTuple):
    """The folders in scope that one delimiter listing found below a node."""

    nodes: Sequence[Node]
    shards: Sequence[Shard]
    uncovered: Sequence[str]
    """Folders outside the layout's grammar that are not ignored."""


_NOTHING_BESIDE = Below((), (), ())


def children(node: Node, prefixes: Collection[str], scope: Scope) -> Below:
    """Return the nodes and shards that one delimiter listing of a node found."""
    if node.level == "date" and all(is_among_dates(node, prefix) for prefix in prefixes):
        return _NOTHING_BESIDE  # the usual case, with up to 50,000 folders
    below = _children(node, prefixes, scope)
    if not scope.ignore:
        return below
    # Names from the scope were not necessarily listed.
    return Below(
        [item for item in below.nodes if not is_ignored(item.prefix, scope.ignore)],
        [item for item in below.shards if not is_ignored(item.prefix, scope.ignore)],
        [item for item in below.uncovered if not is_ignored(item, scope.ignore)],
    )


def _children(node: Node, prefixes: Iterable[str], scope: Scope) -> Below:
    names = [prefix[len(node.prefix) : -1] for prefix in prefixes]
    if node.level == "account":
        return _below_account(node, names, scope)
    if node.level == "date":
        beside = [name for name in names if not is_among_dates(node, f"{node.prefix}{name}/")]
        shards, others = _hive_dates(node, beside)
        uncovered = [f"{node.prefix}{name}/" for name in others[MOST_BESIDE:]]
        return Below([], shards + [_shard_below(node, name) for name in others[:MOST_BESIDE]], uncovered)
    shards, others = _dates(node, names, scope)
    if node.level == "kind":
        kinds = [name for name in others if EVERY in scope.kinds or name in scope.kinds]
        nodes, named = _narrow([_kind_node(node, name) for name in kinds], scope)
        return Below(nodes, shards + named, [])
    regions = [name for name in others if EVERY in scope.regions or name in scope.regions]
    return Below([], shards + [_shard_below(node, name) for name in regions], [])


def _dates(node: Node, names: Sequence[str], scope: Scope) -> tuple[list[Shard], list[str]]:
    """Return shards of dates directly below an account or kind, if in scope, and the other names."""
    if EVERY not in scope.regions or (node.level == "kind" and EVERY not in scope.kinds):
        return [], list(names)
    shards, others = _hive_dates(node, names)
    if any(re.fullmatch(_DATE, name) for name in others):
        # The folder itself is then a shard of everything in it that begins with a digit.
        shards.append(_own_shard(node))
    return shards, [name for name in others if not re.fullmatch(_DATE, name)]


def _hive_dates(node: Node, names: Sequence[str]) -> tuple[list[Shard], list[str]]:
    """Return one shard for all dates of a name such as `…/year=`, and the other names."""
    begins = {name: found[1] for name in names if (found := re.fullmatch(_HIVE_DATE, name))}
    own = _own_shard(node)
    shards = [own._replace(prefix=node.prefix + begin) for begin in dict.fromkeys(begins.values())]
    return shards, [name for name in names if name not in begins]


def is_among_dates(node: Node, key: str) -> bool:
    """Return True for keys that the listing of the node's own shard covers: of a year, or after all years.

    CloudTrail's own kinds are not listed whole at first, and none of their folders begins like a year without being one.
    """
    rest = key[len(node.prefix) : len(node.prefix) + 5]
    if re.fullmatch(_YEAR, rest[:4]):
        return rest[4:] == "/" or node.kind not in STANDARD_KINDS
    return rest[:1] in _DIGITS and rest > "21"


def date_node(shard: Shard, depth: int) -> Node:
    """Return the node that lists a shard's folders beside its dates."""
    return Node(shard.prefix, "date", shard.organization, shard.account, shard.kind, shard.region, depth)


def _below_account(node: Node, names: Sequence[str], scope: Scope) -> Below:
    found = [
        Node(f"{node.prefix}{name}/", "kind", node.organization, name) for name in names if re.fullmatch(_ACCOUNT, name)
    ]
    narrowed, shards = _narrow(found, scope)
    odd = [name for name in names if not re.fullmatch(_ACCOUNT, name) and not _is_organization(node, name)]
    nested: list[Node] = []
    if not node.organization and not scope.organizations:
        # A bucket may contain single-account and organization layouts side by side.
        nested = [Node(f"{node.prefix}{name}/", "account", name) for name in names if re.fullmatch(_ORGANIZATION, name)]
    if EVERY in scope.kinds and EVERY in scope.regions:
        shards += [Shard(f"{node.prefix}{name}/", organization=node.organization) for name in odd]
        odd = []
    return Below(nested + narrowed, shards, [f"{node.prefix}{name}/" for name in odd])


def _is_organization(node: Node, name: str) -> bool:
    return not node.organization and re.fullmatch(_ORGANIZATION, name) is not None


def _narrow(nodes: Sequence[Node], scope: Scope) -> tuple[list[Node], list[Shard]]:
    """Descend without a listing as long as the scope names the folders."""
    if nodes and nodes[0].level == "kind" and EVERY not in scope.kinds:
        return _narrow([_kind_node(node, kind) for node in nodes for kind in scope.kinds], scope)
    if nodes and nodes[0].level == "region" and EVERY not in scope.regions:
        return [], [_shard_below(node, region) for node in nodes for region in scope.regions]
    return list(nodes), []


def _kind_node(account: Node, kind: str) -> Node:
    return Node(f"{account.prefix}{kind}/", "region", account.organization, account.account, kind)


def _own_shard(node: Node) -> Shard:
    return Shard(node.prefix, node.account, node.kind, node.region, node.organization)


def _shard_below(node: Node, name: str) -> Shard:
    # The name may be empty, as in `…/us-east-1//2026/`.
    return Shard(f"{node.prefix}{name}/", node.account, node.kind, node.region or name, node.organization)


def in_scope(shard: Shard, scope: Scope) -> bool:
    """Return True if a shard that the ledger remembers is still in the job's scope.

    Keys above accounts, kinds or regions belong to none of them, and are in scope of a job that wants all of them.
    """
    above = top(scope)
    if not shard.prefix.startswith(above) or is_ignored(shard.prefix, scope.ignore):
        return False
    if scope.organizations and shard.organization not in scope.organizations:
        return False
    if shard.organization and not scope.organizations and EVERY not in scope.accounts:
        # The job named this organization before. It now names accounts outside it, and its session may not list it.
        return False
    if not shard.account:
        own = f"{above}{shard.organization}/" if shard.organization else above
        is_above = shard.prefix == own
        return EVERY in scope.accounts and EVERY in scope.kinds and (is_above or EVERY in scope.regions)
    wanted = [(shard.account, scope.accounts), (shard.kind, scope.kinds)]
    if shard.kind:
        wanted.append((shard.region, scope.regions))
    return all(EVERY in names or part in names for part, names in wanted)


def wanted_by(scope: Scope | None) -> Callable[[Shard], bool]:
    """Return a predicate for the shards in the scope. Without a scope it accepts all."""
    return lambda shard: scope is None or in_scope(shard, scope)
