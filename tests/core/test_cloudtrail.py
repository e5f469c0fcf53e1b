"""Where CloudTrail puts things: how far a job goes down by name, what it discovers, and what is within its scope."""

from itertools import product
from typing import Any

import pytest

from syncd.model.keys.trail import (
    Below,
    Node,
    Scope,
    children,
    exact_prefixes,
    in_scope,
    is_ignored,
    is_standard,
    roots,
    top,
    wanted_by,
)
from syncd.model.objects import Shard

A, B, C = "111111111111", "222222222222", "012345678901"
ORG, OTHER_ORG = "o-exampleorgid", "o-secondorgid0"


def scope(**changes: Any) -> Scope:
    every: dict[str, Any] = {
        "trail_prefix": "",
        "organizations": (),
        "accounts": ("*",),
        "kinds": ("*",),
        "regions": ("*",),
    }
    return Scope(**{**every, **changes})


def shard(account: str, kind: str, region: str, *, organization: str = "", prefix: str = "") -> Shard:
    parts = [part for part in (prefix, "AWSLogs", organization, account, kind, region) if part]
    return Shard("/".join(parts) + "/", account, kind, region, organization)


# Above the shards


@pytest.mark.parametrize(("prefix", "above"), [("", "AWSLogs/"), ("a", "a/AWSLogs/"), ("a/b c", "a/b c/AWSLogs/")])
def test_everything_lies_under_the_trails_prefix(prefix: str, above: str) -> None:
    assert top(scope(trail_prefix=prefix)) == above


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["AWSLogs/"]),
        ({"trail_prefix": "p"}, ["p/AWSLogs/"]),
        ({"organizations": (ORG,)}, [f"AWSLogs/{ORG}/"]),
        ({"accounts": (B,)}, [f"AWSLogs/{B}/"]),
        ({"accounts": (B, C), "kinds": ("CloudTrail",)}, [f"AWSLogs/{B}/", f"AWSLogs/{C}/"]),
        (
            {"trail_prefix": ORG, "organizations": (ORG, OTHER_ORG), "accounts": (B, C)},
            [f"{ORG}/AWSLogs/{o}/{a}/" for o, a in product((ORG, OTHER_ORG), (B, C))],
        ),
    ],
)
def test_the_exact_prefixes_are_as_narrow_as_the_names_given(changes: Any, expected: list[str]) -> None:
    assert exact_prefixes(scope(**changes)) == expected


def test_a_scope_named_in_full_needs_no_discovery() -> None:
    nodes, shards = roots(scope(accounts=(B, C), kinds=("CloudTrail",), regions=("us-east-1", "eu-west-1")))

    assert nodes == []
    assert shards == [shard(a, "CloudTrail", r) for a, r in product((B, C), ("us-east-1", "eu-west-1"))]


def test_a_scope_named_in_full_within_organizations_needs_no_discovery() -> None:
    wanted = scope(trail_prefix="p", organizations=(ORG,), accounts=(B,), kinds=("CloudTrail",), regions=("us-east-1",))

    assert roots(wanted) == ([], [shard(B, "CloudTrail", "us-east-1", organization=ORG, prefix="p")])


def test_discovery_begins_as_far_down_as_names_reach() -> None:
    named = scope(accounts=(B,), kinds=("CloudTrail", "CloudTrail-Digest"))

    nodes, shards = roots(named)

    assert shards == []
    assert nodes == [
        Node(f"AWSLogs/{B}/CloudTrail/", "region", "", B, "CloudTrail"),
        Node(f"AWSLogs/{B}/CloudTrail-Digest/", "region", "", B, "CloudTrail-Digest"),
    ]


def test_discovery_begins_at_the_kinds_where_only_accounts_are_named() -> None:
    assert roots(scope(accounts=(B,), regions=("us-east-1",))) == ([Node(f"AWSLogs/{B}/", "kind", "", B)], [])


def test_discovery_begins_above_the_accounts_where_they_are_not_named() -> None:
    assert roots(scope()) == ([Node("AWSLogs/", "account")], [])
    assert roots(scope(organizations=(ORG, OTHER_ORG))) == (
        [Node(f"AWSLogs/{o}/", "account", o) for o in (ORG, OTHER_ORG)],
        [],
    )


ABOVE = Node("AWSLogs/", "account")


ODD = [
    "",
    "CloudTrail",
    "11111111111",
    "1111111111111",
    "11111111111x",
    "a b",
    "o-",
    "o-short",
    "o-UPPERCASE0",
    "\u00fc",
    " ",
    "..",
    "o-" + "x" * 33,
    "\u0661" * 12,
]


@pytest.mark.parametrize("odd", ODD)
def test_what_is_neither_an_account_nor_an_organization_is_named(odd: str) -> None:
    for narrower in ({"kinds": ("CloudTrail",)}, {"regions": ("us-east-1",)}):
        assert children(ABOVE, [f"AWSLogs/{odd}/"], scope(**narrower)) == Below([], [], [f"AWSLogs/{odd}/"])


@pytest.mark.parametrize("odd", ODD)
def test_it_is_a_shard_of_its_own_in_a_job_that_wants_everything(odd: str) -> None:
    assert children(ABOVE, [f"AWSLogs/{odd}/"], scope()) == Below([], [Shard(f"AWSLogs/{odd}/")], [])


def test_accounts_and_organizations_may_lie_one_beside_the_other() -> None:
    below = children(ABOVE, [f"AWSLogs/{C}/", f"AWSLogs/{ORG}/"], scope())

    assert below == Below([Node(f"AWSLogs/{ORG}/", "account", ORG), Node(f"AWSLogs/{C}/", "kind", "", C)], [], [])


def test_an_organization_within_an_organization_is_no_account_either() -> None:
    within = Node(f"AWSLogs/{ORG}/", "account", ORG)
    folder = f"AWSLogs/{ORG}/{OTHER_ORG}/"

    assert children(within, [folder], scope(kinds=("CloudTrail",))) == Below([], [], [folder])
    assert children(within, [folder], scope()) == Below([], [Shard(folder, organization=ORG)], [])


ACCOUNT = Node(f"AWSLogs/{B}/", "kind", "", B)
KIND = Node(f"AWSLogs/{B}/CloudTrail/", "region", "", B, "CloudTrail")
CONFIG = Node(f"AWSLogs/{B}/Config/", "region", "", B, "Config")
REGION = Node(f"AWSLogs/{B}/Config/us-east-1/", "date", "", B, "Config", "us-east-1")


def below(node: Node, *names: str, **changes: Any) -> Below:
    return children(node, [f"{node.prefix}{name}/" for name in names], scope(**changes))


def test_kinds_and_regions_that_are_not_wanted_are_passed_over() -> None:
    wanted: dict[str, Any] = {"kinds": ("CloudTrail",), "regions": ("eu-west-1",)}
    expected = Below([], [shard(B, "CloudTrail", "eu-west-1")], [])

    assert below(ACCOUNT, "CloudTrail-Digest", "CloudTrail", "Config", **wanted) == expected
    assert below(KIND, "us-east-1", "eu-west-1", "2026", **wanted) == expected


def test_any_kind_and_region_is_taken_where_every_one_is_wanted() -> None:
    assert below(ACCOUNT, "Config") == Below([CONFIG], [], [])
    assert below(CONFIG, "mars-1") == Below([], [shard(B, "Config", "mars-1")], [])


# Dates where other folders were expected, and folders beside dates


@pytest.mark.parametrize("name", ["2026", "2026-11", "2026-11-24", "2026-11-24-05", "202611", "20261124", "2026112405"])
def test_a_kind_with_dates_right_below_it_is_a_shard(name: str) -> None:
    kind = Shard(CONFIG.prefix, B, "Config")

    assert below(CONFIG, name, "2025", "us-east-1") == Below([], [kind, shard(B, "Config", "us-east-1")], [])
    assert below(CONFIG, name, regions=("us-east-1",)) == Below([], [], [])


@pytest.mark.parametrize("name", ["0042", "20", "222222222222", "2026x", "us-2026", "20261"])
def test_a_region_may_begin_with_digits(name: str) -> None:
    assert below(CONFIG, name).shards == [shard(B, "Config", name)]


def test_an_account_with_dates_right_below_it_is_a_shard() -> None:
    account = Shard(ACCOUNT.prefix, B)

    assert below(ACCOUNT, "2026", "Config") == Below([CONFIG], [account], [])
    assert below(ACCOUNT, "2026", kinds=("CloudTrail",)) == Below([], [], [])


@pytest.mark.parametrize("node", [ACCOUNT, CONFIG, REGION])
def test_all_days_of_hive_folders_are_one_shard(node: Node) -> None:
    years = Shard(f"{node.prefix}year=", B, node.kind, node.region)
    days = years._replace(prefix=f"{node.prefix}dt=")

    names = ["year=2025", "year=2026", "dt=2026-11-24", "dt=20261124"]
    assert below(node, *names) == Below([], [years, days], [])


def test_other_folders_beside_the_dates_of_a_shard_are_shards() -> None:
    acl = Shard(f"{REGION.prefix}acl/", B, "Config", "us-east-1")

    # What begins with a year, or sorts after the years, is met by the shard's own listing.
    assert below(REGION, "2026", "2026-11-24", "42", "acl") == Below([], [acl], [])
    assert below(REGION, "2026", "0042", "2-old", "10", "") == Below(
        [], [acl._replace(prefix=f"{REGION.prefix}{name}/") for name in ("0042", "2-old", "10", "")], []
    )
    assert below(REGION, "year=x", "a=20").shards == [
        acl._replace(prefix=f"{REGION.prefix}year=x/"),
        acl._replace(prefix=f"{REGION.prefix}a=20/"),
    ]


def test_many_folders_beside_the_dates_are_named() -> None:
    names = [f"n{number:03}" for number in range(102)]

    assert below(REGION, *names).uncovered == [f"{REGION.prefix}n100/", f"{REGION.prefix}n101/"]
    assert len(below(REGION, *names).shards) == 100


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (shard(B, "CloudTrail", "us-east-1"), True),
        (shard(B, "CloudTrail-Digest", "us-east-1", organization=ORG, prefix="p"), True),
        (shard(B, "Config", "us-east-1"), False),
        (shard(B, "CloudTrail", "us-east-1")._replace(prefix=f"AWSLogs/{B}/CloudTrail/us-east-1/below/"), False),
        (shard(B, "CloudTrail", "us-east-1")._replace(prefix=f"AWSLogs/{B}/CloudTrail/us-east-1/year="), False),
        (Shard("AWSLogs/other/"), False),
    ],
)
def test_only_cloudtrails_own_folders_are_known_before_they_are_listed(item: Shard, *, expected: bool) -> None:
    assert is_standard(item) is expected


# What is ignored


@pytest.mark.parametrize(
    ("ignore", "ignored"),
    [
        (["AWSLogs/other/"], True),
        (["AWSLogs/other/deep/"], True),
        (["AWSLogs/o"], True),
        (["AWSLogs/*/deep/"], True),
        (["*/deep/"], True),
        (["AWSLogs/other/deep/x.log"], True),
        (["*.log"], True),
        (["AWSLogs/another/", "other/", "deep", "*.gz", "AWSLogs/OTHER/"], False),
        ([], False),
    ],
)
def test_a_folder_is_ignored_with_all_that_is_in_it(ignore: list[str], *, ignored: bool) -> None:
    assert is_ignored("AWSLogs/other/deep/x.log", ignore) is ignored


@pytest.mark.parametrize("entry", ["AWSLogs/other/", "AWSLogs/oth*"])
def test_an_ignored_folder_is_neither_named_nor_listed(entry: str) -> None:
    for changes in ({}, {"kinds": ("CloudTrail",)}):
        assert below(ABOVE, "other", ignore=(entry,), **changes) == Below([], [], [])


@pytest.mark.parametrize("entry", [f"AWSLogs/{B}/CloudTrail/us-east-1/", "*/us-east-1/"])
def test_what_is_named_in_full_and_ignored_is_left_out_too(entry: str) -> None:
    wanted = scope(accounts=(B,), kinds=("CloudTrail",), regions=("us-east-1", "eu-west-1"), ignore=(entry,))
    anyone = wanted._replace(accounts=("*",))

    assert roots(wanted) == ([], [shard(B, "CloudTrail", "eu-west-1")])
    assert children(ABOVE, [f"AWSLogs/{B}/"], anyone) == Below([], [shard(B, "CloudTrail", "eu-west-1")], [])
    assert roots(scope(accounts=(B, C), ignore=(f"AWSLogs/{C}/",))) == ([ACCOUNT], [])


# What the ledger remembers


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, True),
        ({"accounts": (B,)}, True),
        ({"accounts": (C,)}, False),
        ({"kinds": ("CloudTrail",)}, True),
        ({"kinds": ("CloudTrail-Digest",)}, False),
        ({"regions": ("us-east-1", "eu-west-1")}, True),
        ({"regions": ("eu-west-1",)}, False),
        ({"organizations": (ORG,)}, False),
        ({"trail_prefix": "p"}, False),
    ],
)
def test_a_remembered_shard_is_within_the_scope_it_was_found_in(changes: Any, *, kept: bool) -> None:
    assert in_scope(shard(B, "CloudTrail", "us-east-1"), scope(**changes)) is kept


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, True),
        ({"organizations": (ORG, OTHER_ORG)}, True),
        ({"organizations": (OTHER_ORG,)}, False),
        ({"organizations": (ORG,), "accounts": (B,)}, True),
        # Named accounts without an organization are `AWSLogs/ACCOUNT/`, and that is all a session may list.
        ({"accounts": (B,)}, False),
    ],
)
def test_a_shard_of_an_organization_is_within_the_scope_that_reaches_it(changes: Any, *, kept: bool) -> None:
    assert in_scope(shard(B, "CloudTrail", "us-east-1", organization=ORG), scope(**changes)) is kept


LOOSE = Shard("AWSLogs/")
FOREIGN = Shard("AWSLogs/other/")
OF_ACCOUNT = Shard(f"AWSLogs/{B}/", B)
OF_KIND = Shard(f"AWSLogs/{B}/Config/", B, "Config")


@pytest.mark.parametrize(
    ("item", "changes", "kept"),
    [
        (LOOSE, {}, True),
        (LOOSE, {"regions": ("us-east-1",)}, True),
        (LOOSE, {"kinds": ("CloudTrail",)}, False),
        (LOOSE, {"accounts": (B,)}, False),
        (FOREIGN, {}, True),
        (FOREIGN, {"regions": ("us-east-1",)}, False),
        (FOREIGN, {"kinds": ("CloudTrail",)}, False),
        (FOREIGN, {"ignore": ("AWSLogs/other/",)}, False),
        (FOREIGN._replace(organization=ORG, prefix=f"AWSLogs/{ORG}/"), {"regions": ("us-east-1",)}, True),
        (FOREIGN._replace(organization=ORG, prefix=f"AWSLogs/{ORG}/x/"), {"regions": ("us-east-1",)}, False),
        (OF_ACCOUNT, {"accounts": (B,), "regions": ("us-east-1",)}, True),
        (OF_ACCOUNT, {"kinds": ("CloudTrail",)}, False),
        (OF_KIND, {"kinds": ("Config",)}, True),
        (OF_KIND, {"regions": ("us-east-1",)}, False),
        (OF_KIND, {"ignore": ("AWSLogs/*/Config/",)}, False),
    ],
)
def test_what_lies_above_accounts_kinds_or_regions_is_wanted_with_all_of_them(
    item: Shard, changes: Any, *, kept: bool
) -> None:
    assert in_scope(item, scope(**changes)) is kept


def test_folders_that_left_the_job_hold_nothing_up() -> None:
    assert wanted_by(scope())(FOREIGN)
    assert wanted_by(None)(FOREIGN)
    assert not wanted_by(scope(kinds=("CloudTrail",)))(FOREIGN)
