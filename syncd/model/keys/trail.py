"""Where CloudTrail puts things: the prefixes above a shard, and the shard that a prefix is.

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

_ACCOUNT = re.compile(r"[0-9]{12}")
_DIGITS = frozenset("0123456789")
# A year, a month or a day where other folders were expected.
_DATE = re.compile(r"(?:19|20)[0-9]{2}(?:[-_.].*|[0-9]{2}|[0-9]{4}|[0-9]{6})?", re.DOTALL)
_YEAR = re.compile(r"(?:19|20)[0-9]{2}")
# The first folder of dates as Hive writes them, such as `year=2026` or `dt=2026-11-24`.
_HIVE_DATE = re.compile(r"([A-Za-z_]+=)[0-9]{4}(?:[^0-9].*|[0-9]{4})?", re.DOTALL)
MOST_BESIDE = 100
"""Folders beside the dates of a shard that become shards of their own."""
_ORGANIZATION = re.compile(r"o-[a-z0-9]{10,32}")
EVERY = "*"
STANDARD_KINDS = frozenset(
    {"CloudTrail", "CloudTrail-Digest", "CloudTrail-Insight", "CloudTrail-NetworkActivity", "CloudTrail-Aggregated"}
)
"""CloudTrail's own folders, whose keys are known to be arranged by day right below the region."""
DEEPEST = 4
"""Folders between region and date are followed so far down; what is deeper is one shard with all that is in it."""


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
    """Return where discovery begins: nodes to list, and shards that are named in full. What is ignored is left out."""
    nodes, shards = _roots(scope)
    if scope.ignore:
        nodes = [node for node in nodes if not is_ignored(node.prefix, scope.ignore)]
        shards = [shard for shard in shards if not is_ignored(shard.prefix, scope.ignore)]
    return nodes, shards


def _roots(scope: Scope) -> tuple[list[Node], list[Shard]]:
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


def has_no_grammar(shard: Shard) -> bool:
    """Return True for a folder that is not followed down to its dates: of no account, or too deep below its region."""
    above = f"/{shard.account}/{shard.kind}/{shard.region}/"
    found = shard.prefix.rfind(above)
    return not shard.account or (found >= 0 and shard.prefix.count("/", found + len(above)) > DEEPEST)


def is_ignored(prefix: str, ignore: Sequence[str]) -> bool:
    """Return True if a folder or key lies below one of these prefixes, or matches a pattern itself or with a folder above."""
    return bool(ignore) and _is_ignored(prefix, tuple(ignore))


@lru_cache(maxsize=65536)
def _is_ignored(prefix: str, ignore: tuple[str, ...]) -> bool:
    if prefix.startswith(ignore):
        return True
    above = [prefix[: end + 1] for end, letter in enumerate(prefix) if letter == "/"]
    return any(fnmatchcase(part, entry) for part in {*above, prefix} for entry in ignore)


class Below(NamedTuple):
    """What one delimiter listing found below a node, within the scope."""

    nodes: Sequence[Node]
    shards: Sequence[Shard]
    uncovered: Sequence[str]
    """Folders that are neither of the layout's grammar nor ignored."""


_NOTHING_BESIDE = Below((), (), ())


def children(node: Node, prefixes: Collection[str], scope: Scope) -> Below:
    """Return what one delimiter listing of a node means."""
    if node.level == "date" and all(is_among_dates(node, prefix) for prefix in prefixes):
        return _NOTHING_BESIDE  # nearly always, and there may be 50,000 of them
    below = _children(node, prefixes, scope)
    if not scope.ignore:
        return below
    # What the scope names need not have been listed.
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
    """Return the shards of dates directly below an account or a kind, if all that they may be is wanted, and other names."""
    if EVERY not in scope.regions or (node.level == "kind" and EVERY not in scope.kinds):
        return [], list(names)
    shards, others = _hive_dates(node, names)
    if any(_DATE.fullmatch(name) for name in others):
        # The folder itself is then a shard, of everything in it that begins with a digit.
        shards.append(_own_shard(node))
    return shards, [name for name in others if not _DATE.fullmatch(name)]


def _hive_dates(node: Node, names: Sequence[str]) -> tuple[list[Shard], list[str]]:
    """Return one shard for all dates of a name, such as `…/year=`, so that no day brings a new one, and other names."""
    begins = {name: found[1] for name in names if (found := _HIVE_DATE.fullmatch(name))}
    own = _own_shard(node)
    shards = [own._replace(prefix=node.prefix + begin) for begin in dict.fromkeys(begins.values())]
    return shards, [name for name in names if name not in begins]


def is_among_dates(node: Node, key: str) -> bool:
    """Return True for keys that the listing of the node's own shard comes by: of a year, or after all years.

    CloudTrail's own kinds are not listed whole at first, and nothing of theirs begins like a year without being one.
    """
    rest = key[len(node.prefix) : len(node.prefix) + 5]
    if _YEAR.fullmatch(rest[:4]):
        return rest[4:] == "/" or node.kind not in STANDARD_KINDS
    return rest[:1] in _DIGITS and rest > "21"


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
    """Return True if the job still wants a shard that the ledger remembers.

    What lies above accounts, kinds or regions belongs to none of them, and is wanted by a job that wants all of them.
    """
    above = top(scope)
    if not shard.prefix.startswith(above) or is_ignored(shard.prefix, scope.ignore):
        return False
    if scope.organizations and shard.organization not in scope.organizations:
        return False
    if shard.organization and not scope.organizations and EVERY not in scope.accounts:
        # Of an organization that the job named before: named accounts now lie beside it, and no session may list it.
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
    """Return what tells the shards that a job wants now; without a scope all that it ever remembered."""
    return lambda shard: scope is None or in_scope(shard, scope)
