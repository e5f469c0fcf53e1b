"""Where CloudTrail puts things: how far a job goes down by name, what it discovers, and what is within its scope."""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

import pytest
from fakes import MemoryBucket, MemorySource
from hypothesis import given
from hypothesis import strategies as st

from syncd.cloudtrail import Node, Scope, children, exact_prefixes, in_scope, roots, top
from syncd.discovery import Discovered, discover
from syncd.model import Folder, LogObject, Shard

A, B, C = "111111111111", "222222222222", "012345678901"
ORG, OTHER_ORG = "o-exampleorgid", "o-secondorgid0"
NOW = 1_795_507_200.0


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


@pytest.mark.parametrize(
    "odd",
    [
        "",
        "CloudTrail",
        "11111111111",
        "1111111111111",
        "11111111111x",
        "a b",
        "o-",
        "o-short",
        "o-UPPERCASE0",
        "ü",
        " ",
        "..",
        "o-" + "x" * 33,
    ],
)
def test_what_is_neither_an_account_nor_an_organization_is_passed_over(odd: str) -> None:
    assert children(ABOVE, [f"AWSLogs/{odd}/"], scope()) == ([], [])


def test_accounts_and_organizations_may_lie_one_beside_the_other() -> None:
    nodes, shards = children(ABOVE, [f"AWSLogs/{C}/", f"AWSLogs/{ORG}/"], scope())

    assert shards == []
    assert nodes == [Node(f"AWSLogs/{ORG}/", "account", ORG), Node(f"AWSLogs/{C}/", "kind", "", C)]


def test_an_organization_within_an_organization_is_passed_over() -> None:
    within = Node(f"AWSLogs/{ORG}/", "account", ORG)

    assert children(within, [f"AWSLogs/{ORG}/{OTHER_ORG}/"], scope()) == ([], [])


def test_kinds_and_regions_that_are_not_wanted_are_passed_over() -> None:
    wanted = scope(kinds=("CloudTrail",), regions=("eu-west-1",))
    account, kind = (
        Node(f"AWSLogs/{B}/", "kind", "", B),
        Node(f"AWSLogs/{B}/CloudTrail/", "region", "", B, "CloudTrail"),
    )

    kinds = children(
        account, [f"AWSLogs/{B}/{name}/" for name in ("CloudTrail-Digest", "CloudTrail", "Config")], wanted
    )
    regions = children(kind, [f"{kind.prefix}{name}/" for name in ("us-east-1", "eu-west-1")], wanted)

    assert kinds == ([], [shard(B, "CloudTrail", "eu-west-1")])
    assert regions == ([], [shard(B, "CloudTrail", "eu-west-1")])


def test_any_kind_and_region_is_taken_where_every_one_is_wanted() -> None:
    account, kind = Node(f"AWSLogs/{B}/", "kind", "", B), Node(f"AWSLogs/{B}/Config/", "region", "", B, "Config")

    assert children(account, [f"AWSLogs/{B}/Config/"], scope()) == ([kind], [])
    assert children(kind, [f"{kind.prefix}mars-1/"], scope()) == ([], [shard(B, "Config", "mars-1")])


# Discovery over a bucket


def log(account: str, region: str, *, kind: str = "CloudTrail", organization: str = "", prefix: str = "") -> str:
    return shard(account, kind, region, organization=organization, prefix=prefix).prefix + "2026/11/24/log.json.gz"


def bucket_of(*keys: str) -> MemorySource:
    bucket = MemoryBucket()
    for key in keys:
        bucket.put(key)
    return MemorySource(bucket)


def found_in(source: MemorySource, wanted: Scope, **more: Any) -> Discovered:
    return discover(wanted, source, **{"looks": {}, "stale": (), "now": NOW, **more})


def test_every_account_kind_and_region_is_found() -> None:
    keys = [log(a, r, kind=k) for a, r, k in product((A, B, C), ("us-east-1", "eu-west-1"), ("CloudTrail", "Config"))]

    found = found_in(bucket_of(*keys), scope())

    assert sorted(item.prefix for item in found.shards) == sorted({key[: key.index("2026")] for key in keys})
    assert found.stalest_look == NOW


def test_both_layouts_of_a_bucket_that_became_an_organizations_are_found() -> None:
    source = bucket_of(
        log(B, "us-east-1"), log(B, "us-east-1", organization=ORG), log(C, "eu-west-1", organization=ORG)
    )

    found = found_in(source, scope(kinds=("CloudTrail",)))

    assert set(found.shards) == {
        shard(B, "CloudTrail", "us-east-1"),
        shard(B, "CloudTrail", "us-east-1", organization=ORG),
        shard(C, "CloudTrail", "eu-west-1", organization=ORG),
    }


def test_an_organizations_folder_within_its_own_prefix_is_found() -> None:
    source = bucket_of(log(B, "us-east-1", organization=ORG, prefix=ORG))

    found = found_in(source, scope(trail_prefix=ORG, organizations=(ORG,)))

    assert found.shards == [shard(B, "CloudTrail", "us-east-1", organization=ORG, prefix=ORG)]


def test_only_what_is_asked_for_is_listed() -> None:
    source = bucket_of(*(log(a, "us-east-1") for a in (A, B, C)))

    found_in(source, scope(accounts=(B,)))

    assert set(source.lists) == {f"AWSLogs/{B}/", f"AWSLogs/{B}/CloudTrail/"}


def test_a_bucket_with_nothing_in_it_has_no_shards() -> None:
    found = found_in(bucket_of(), scope())

    assert (found.shards, found.loose, found.looks) == ([], [], {"AWSLogs/": (NOW, ())})


def test_every_look_is_remembered_with_what_was_there() -> None:
    found = found_in(bucket_of(log(B, "us-east-1"), log(B, "eu-west-1")), scope(accounts=(B,)))

    assert found.looks == {
        f"AWSLogs/{B}/": (NOW, (f"AWSLogs/{B}/CloudTrail/",)),
        f"AWSLogs/{B}/CloudTrail/": (
            NOW,
            (shard(B, "CloudTrail", "eu-west-1").prefix, shard(B, "CloudTrail", "us-east-1").prefix),
        ),
    }


def test_a_folder_that_was_looked_at_lately_is_not_listed_again() -> None:
    source = bucket_of(log(B, "us-east-1"), log(C, "us-east-1"))
    earlier = found_in(source, scope())
    source.lists.clear()

    found = found_in(source, scope(), looks=earlier.looks, stale=(), now=NOW + 60)

    assert (dict(source.lists), found.looks) == ({}, {})
    assert set(found.shards) == set(earlier.shards)
    assert found.stalest_look == NOW


def test_a_stale_folder_is_listed_again_and_what_is_new_below_it_at_once() -> None:
    source = bucket_of(log(B, "us-east-1"))
    earlier = found_in(source, scope())
    source.bucket.put(log(C, "eu-west-1"))
    source.lists.clear()

    found = found_in(source, scope(), looks=earlier.looks, stale={"AWSLogs/"}, now=NOW + 60)

    assert set(source.lists) == {"AWSLogs/", f"AWSLogs/{C}/", f"AWSLogs/{C}/CloudTrail/"}
    assert set(found.shards) == {shard(B, "CloudTrail", "us-east-1"), shard(C, "CloudTrail", "eu-west-1")}
    assert found.stalest_look == NOW


class Pieces:
    """Gives what is below a prefix in several Folders, as a lister does with more than 1,000 names."""

    def folders(self, prefixes: Iterable[str]) -> Iterator[Folder]:
        for prefix in prefixes:
            for name in ("a-1/", "b-1/"):
                yield Folder(prefix, [prefix + name], [])


def test_a_folder_that_comes_in_pieces_is_put_together() -> None:
    found = discover(scope(accounts=(B,), kinds=("CloudTrail",)), Pieces(), looks={}, stale=(), now=NOW)

    assert {item.region for item in found.shards} == {"a-1", "b-1"}


LOOSE_KEYS = ["AWSLogs/note", f"AWSLogs/{B}/note", f"AWSLogs/{B}/CloudTrail/note", f"AWSLogs/{ORG}/note"]


def test_objects_between_the_folders_are_carried_along_where_everything_is_wanted() -> None:
    found = found_in(bucket_of(*LOOSE_KEYS, log(B, "us-east-1"), log(B, "us-east-1", organization=ORG)), scope())

    assert {item.key for page in found.loose for item in page.objects} == set(LOOSE_KEYS)
    assert {page.range.shard for page in found.loose} == {
        Shard("AWSLogs/"),
        Shard(f"AWSLogs/{B}/", B),
        Shard(f"AWSLogs/{B}/CloudTrail/", B, "CloudTrail"),
        Shard(f"AWSLogs/{ORG}/", organization=ORG),
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"accounts": (B,)}, {f"AWSLogs/{B}/note", f"AWSLogs/{B}/CloudTrail/note"}),
        ({"accounts": (B,), "kinds": ("CloudTrail",)}, {f"AWSLogs/{B}/CloudTrail/note"}),
        ({"accounts": (B,), "kinds": ("CloudTrail",), "regions": ("us-east-1",)}, set()),
        ({"kinds": ("CloudTrail",)}, {f"AWSLogs/{B}/CloudTrail/note"}),
    ],
)
def test_objects_between_the_folders_are_left_where_less_is_wanted(changes: Any, expected: set[str]) -> None:
    found = found_in(bucket_of(*LOOSE_KEYS, log(B, "us-east-1")), scope(**changes))

    assert {item.key for page in found.loose for item in page.objects} == expected


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


NAMES = {
    "organizations": st.sampled_from([(), (ORG,), (ORG, OTHER_ORG)]),
    "accounts": st.sampled_from([("*",), (B,), (A, C)]),
    "kinds": st.sampled_from([("*",), ("CloudTrail",), ("CloudTrail", "CloudTrail-Digest")]),
    "regions": st.sampled_from([("*",), ("us-east-1",), ("eu-west-1", "us-gov-west-1")]),
    "trail_prefix": st.sampled_from(["", "p", "p/q"]),
}
KEYS = st.lists(
    st.builds(
        log,
        st.sampled_from([A, B, C]),
        st.sampled_from(["us-east-1", "eu-west-1", "us-gov-west-1"]),
        kind=st.sampled_from(["CloudTrail", "CloudTrail-Digest", "CloudTrail-Insight", "Config"]),
        organization=st.sampled_from(["", ORG, OTHER_ORG]),
        prefix=st.sampled_from(["", "p", "p/q"]),
    ),
    max_size=12,
)


@given(keys=KEYS, names=st.fixed_dictionaries(NAMES))
def test_what_is_found_is_within_scope_and_under_what_the_role_must_be_able_to_list(
    keys: list[str], names: dict[str, Any]
) -> None:
    wanted = scope(**names)
    source = bucket_of(*keys)

    found = found_in(source, wanted)

    exact = tuple(exact_prefixes(wanted))
    assert all(in_scope(item, wanted) for item in found.shards)
    assert all(item.prefix.startswith(exact) for item in found.shards)
    assert all(prefix.startswith(exact) for prefix in source.lists)
    covered = tuple(item.prefix for item in found.shards)
    missed = [key for key in keys if not key.startswith(covered)] if covered else keys
    assert not [key for key in missed if in_scope(shard_of(key), wanted)]


def shard_of(key: str) -> Shard:
    """Read back from a key that `log` made."""
    *above, account, kind, region, _year, _month, _day, _name = key.split("/")
    organization = above[-1] if above[-1].startswith("o-") else ""
    return Shard(key[: key.index("2026")], account, kind, region, organization)


def test_a_loose_object_is_no_exception() -> None:
    page = found_in(bucket_of("AWSLogs/"), scope()).loose[0]

    assert [item.key for item in page.objects] == ["AWSLogs/"]
    assert isinstance(page.objects[0], LogObject)
