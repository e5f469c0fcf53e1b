"""Finding shards: what is listed to find them, how often, and what lies beside the folders that were expected."""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

import pytest
from fakes import MemoryBucket, MemorySource
from hypothesis import given
from hypothesis import strategies as st

from syncd.model.keys.layout import CloudTrailLayout, FlatLayout
from syncd.model.keys.patterns import PatternLayout
from syncd.model.keys.trail import Scope, exact_prefixes, in_scope
from syncd.model.objects import Folder, LogObject, Shard
from syncd.tick.listing.discovery import Discovered, discover, side_folders

A, B, C = "111111111111", "222222222222", "012345678901"
ORG, OTHER_ORG = "o-exampleorgid", "o-secondorgid0"
NOW, HOUR, MINUTE = 1_795_507_200.0, 3600.0, 60.0


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


# Discovery over a bucket


def log(account: str, region: str, *, kind: str = "CloudTrail", organization: str = "", prefix: str = "") -> str:
    return shard(account, kind, region, organization=organization, prefix=prefix).prefix + "2026/11/24/log.json.gz"


def bucket_of(*keys: str) -> MemorySource:
    bucket = MemoryBucket()
    for key in keys:
        bucket.put(key)
    return MemorySource(bucket)


def found_in(source: MemorySource, wanted: Scope, **more: Any) -> Discovered:
    return discover(wanted, source, **{"looks": {}, "every": HOUR, "now": NOW, **more})


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

    assert set(source.lists) == {f"AWSLogs/{B}/", f"AWSLogs/{B}/CloudTrail/", f"AWSLogs/{B}/CloudTrail/us-east-1/"}


def test_a_bucket_with_nothing_in_it_has_no_shards() -> None:
    found = found_in(bucket_of(), scope())

    assert (found.shards, found.loose, found.uncovered) == ([], [], [])
    assert found.looks == {"AWSLogs/": (NOW, ())}


def test_every_look_is_remembered_with_what_was_there() -> None:
    found = found_in(bucket_of(log(B, "us-east-1"), log(B, "eu-west-1")), scope(accounts=(B,)))

    kind = f"AWSLogs/{B}/CloudTrail/"
    assert found.looks == {
        f"AWSLogs/{B}/": (NOW, (kind,)),
        kind: (NOW, (f"{kind}eu-west-1/", f"{kind}us-east-1/")),
        f"{kind}eu-west-1/": (NOW, (f"{kind}eu-west-1/2026/",)),
        f"{kind}us-east-1/": (NOW, (f"{kind}us-east-1/2026/",)),
    }


def later(source: MemorySource, wanted: Scope, earlier: Discovered, seconds: float, **more: Any) -> Discovered:
    """A round that comes after an earlier one; `source.lists` counts its listings only."""
    source.lists.clear()
    return found_in(source, wanted, looks=earlier.looks, now=NOW + seconds, **more)


ABOVE_B = {"AWSLogs/", f"AWSLogs/{B}/", f"AWSLogs/{B}/CloudTrail/"}


def test_a_small_job_looks_for_accounts_kinds_and_regions_each_time_but_beside_the_dates_only_when_due() -> None:
    source = bucket_of(log(B, "us-east-1"), log(B, "eu-west-1"))
    earlier = found_in(source, scope())

    found = later(source, scope(), earlier, 5 * MINUTE)

    assert set(source.lists) == ABOVE_B == set(found.looks)
    assert set(found.shards) == set(earlier.shards)
    later(source, scope(), earlier, HOUR)
    assert set(source.lists) == set(earlier.looks)


def test_looks_beside_the_dates_say_nothing_of_how_complete_discovery_is() -> None:
    source = bucket_of(log(B, "us-east-1"))
    earlier = found_in(source, scope())

    assert later(source, scope(), earlier, 5 * MINUTE).stalest_look == NOW + 5 * MINUTE


def test_the_stalest_look_of_a_large_job_is_told() -> None:
    source = bucket_of(*(log(f"{number:012}", "us-east-1") for number in range(60)))
    earlier = found_in(source, scope())

    found = later(source, scope(), earlier, 5 * MINUTE)

    assert 32 <= source.lists.total() < 60
    assert found.stalest_look == NOW
    assert set(found.shards) == set(earlier.shards)


def test_every_folder_is_listed_if_no_time_is_given() -> None:
    source = bucket_of(*(log(f"{number:012}", "us-east-1") for number in range(60)))
    earlier = found_in(source, scope())

    found = later(source, scope(), earlier, MINUTE, every=0.0)

    assert set(found.looks) == set(earlier.looks)


def test_a_new_account_is_found_with_everything_below_it_at_once() -> None:
    source = bucket_of(log(B, "us-east-1"))
    earlier = found_in(source, scope())
    source.bucket.put(log(C, "eu-west-1"))

    found = later(source, scope(), earlier, MINUTE)

    assert set(found.shards) == {shard(B, "CloudTrail", "us-east-1"), shard(C, "CloudTrail", "eu-west-1")}
    assert found.stalest_look == NOW + MINUTE


def test_folders_that_left_the_job_use_up_no_looks() -> None:
    accounts = [f"{number:012}" for number in range(1, 41)]
    source = bucket_of(*(log(account, "us-east-1") for account in accounts))
    earlier = found_in(source, scope(accounts=tuple(accounts), kinds=("CloudTrail",)))
    kept = scope(accounts=tuple(accounts[:3]), kinds=("CloudTrail",))
    source.bucket.put(log(accounts[0], "ap-southeast-2"))

    found = later(source, kept, earlier, 5 * MINUTE)

    assert shard(accounts[0], "CloudTrail", "ap-southeast-2") in found.shards
    assert found.stalest_look == NOW + 5 * MINUTE
    assert all(prefix.startswith(tuple(exact_prefixes(kept))) for prefix in source.lists)


def test_a_folder_that_comes_back_is_found_though_it_was_not_looked_at_meanwhile() -> None:
    source = bucket_of(log(B, "us-east-1"), log(C, "us-east-1"))
    both = found_in(source, scope(accounts=(B, C)))

    found = later(source, scope(), both, MINUTE)

    assert set(found.shards) == {shard(B, "CloudTrail", "us-east-1"), shard(C, "CloudTrail", "us-east-1")}


def test_a_folder_that_is_reached_anew_is_listed_though_a_job_of_before_has_looked_at_it() -> None:
    source = bucket_of()
    of_before = found_in(source, scope(organizations=(ORG,)))
    first = found_in(source, scope(), now=NOW + 60, looks=of_before.looks, every=3600.0)
    source.bucket.put(log(B, "us-east-1", organization=ORG))

    found = found_in(source, scope(), now=NOW + 120, looks={**of_before.looks, **first.looks}, every=3600.0)

    assert f"AWSLogs/{ORG}/" in of_before.looks
    assert [item.prefix for item in found.shards] == [shard(B, "CloudTrail", "us-east-1", organization=ORG).prefix]


def test_a_look_of_a_clock_that_ran_ahead_counts_as_never() -> None:
    source = bucket_of(log(B, "us-east-1"))
    earlier = found_in(source, scope(), now=NOW + 40 * 24 * HOUR)

    found = later(source, scope(), earlier, 0.0)

    assert set(found.looks) == set(earlier.looks)
    assert found.stalest_look == NOW


class Pieces:
    """Gives what is below a prefix in several Folders, as a lister does with more than 1,000 names."""

    def folders(self, prefixes: Iterable[str]) -> Iterator[Folder]:
        for prefix in prefixes:
            for name in ("a-1/", "b-1/"):
                yield Folder(prefix, [prefix + name], [])


def test_a_folder_that_comes_in_pieces_is_put_together() -> None:
    found = discover(scope(accounts=(B,), kinds=("CloudTrail",)), Pieces(), looks={}, every=HOUR, now=NOW)

    assert {item.region for item in found.shards} == {"a-1", "b-1"}


US = f"AWSLogs/{B}/CloudTrail/us-east-1/"
LOOSE_KEYS = [f"{US}note", "AWSLogs/note", f"AWSLogs/{B}/note", f"AWSLogs/{B}/CloudTrail/note", f"AWSLogs/{ORG}/note"]


def test_objects_between_the_folders_are_carried_along_where_everything_is_wanted() -> None:
    found = found_in(bucket_of(*LOOSE_KEYS, log(B, "us-east-1"), log(B, "us-east-1", organization=ORG)), scope())

    assert {item.key for page in found.loose for item in page.objects} == set(LOOSE_KEYS)
    assert {page.range.shard for page in found.loose} == {
        Shard("AWSLogs/"),
        Shard(f"AWSLogs/{B}/", B),
        Shard(f"AWSLogs/{B}/CloudTrail/", B, "CloudTrail"),
        Shard(f"AWSLogs/{ORG}/", organization=ORG),
        shard(B, "CloudTrail", "us-east-1"),
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"accounts": (B,)}, {f"AWSLogs/{B}/note", f"AWSLogs/{B}/CloudTrail/note", f"{US}note"}),
        ({"accounts": (B,), "kinds": ("CloudTrail",)}, {f"AWSLogs/{B}/CloudTrail/note", f"{US}note"}),
        ({"accounts": (B,), "kinds": ("CloudTrail",), "regions": ("us-east-1",)}, {f"{US}note"}),
        ({"kinds": ("CloudTrail",)}, {f"AWSLogs/{B}/CloudTrail/note", f"{US}note"}),
    ],
)
def test_objects_between_the_folders_are_left_where_less_is_wanted(changes: Any, expected: set[str]) -> None:
    found = found_in(bucket_of(*LOOSE_KEYS, log(B, "us-east-1")), scope(**changes))

    assert {item.key for page in found.loose for item in page.objects} == expected


def test_loose_objects_that_begin_with_a_digit_are_left_to_the_listing_of_their_shard() -> None:
    keys = (f"{US}0.csv", f"{US}2026-summary.csv", f"{US}2026/11/24/x", f"{US}3.csv", f"{US}summary.csv")

    found = found_in(bucket_of(*keys), scope())

    # What sorts before the days of this year is met by no listing of the shard.
    loose = [f"{US}0.csv", f"{US}2026-summary.csv", f"{US}summary.csv"]
    assert [item.key for page in found.loose for item in page.objects] == loose


def test_ignored_objects_and_folders_are_left_alone() -> None:
    source = bucket_of(*LOOSE_KEYS, "AWSLogs/other/x", log(B, "us-east-1"), log(B, "us-east-1", kind="Config"))
    ignore = ("*note", "AWSLogs/other/", "*/Config/")

    found = found_in(source, scope(ignore=ignore))

    assert (found.loose, found.uncovered) == ([], [])
    assert found.shards == [shard(B, "CloudTrail", "us-east-1")]
    assert not [prefix for prefix in source.lists if "other" in prefix or "Config" in prefix]


# Folders that were not expected


def test_an_unknown_folder_is_named_unless_the_job_wants_everything() -> None:
    source = bucket_of("AWSLogs/aws-account-id=222222222222/aws-service=vpcflowlogs/x", log(B, "us-east-1"))

    named, everything = found_in(source, scope(kinds=("CloudTrail",))), found_in(source, scope())

    folder = "AWSLogs/aws-account-id=222222222222/"
    assert (named.uncovered, named.shards) == ([folder], [shard(B, "CloudTrail", "us-east-1")])
    assert everything.uncovered == []
    assert Shard(folder) in everything.shards
    assert folder not in everything.looks
    assert found_in(source, scope(accounts=(B,))).uncovered == []


def test_folders_between_region_and_date_are_shards_down_to_the_dates() -> None:
    region = shard(B, "WAFLogs", "us-east-1")
    source = bucket_of(f"{region.prefix}a/2026/11/24/x", f"{region.prefix}b/c/2026/11/24/x", f"{region.prefix}2026/x")

    found = found_in(source, scope())

    assert set(found.shards) == {
        region,
        *(region._replace(prefix=region.prefix + name) for name in ("a/", "b/", "b/c/")),
    }
    assert set(found.looks) > {item.prefix for item in found.shards}


def test_hive_folders_bring_no_new_shard_with_the_day() -> None:
    region = shard(B, "vpcflowlogs", "us-east-1")
    days = [f"{region.prefix}year={year}/month={month:02}/day=01/x" for year in (2025, 2026) for month in (1, 2)]

    found = found_in(bucket_of(*days), scope())

    assert set(found.shards) == {region, region._replace(prefix=f"{region.prefix}year=")}
    assert set(found.looks) == {"AWSLogs/", f"AWSLogs/{B}/", f"AWSLogs/{B}/vpcflowlogs/", region.prefix}


def test_a_folder_too_deep_to_be_followed_is_one_shard_with_all_that_is_in_it() -> None:
    region = shard(B, "Brokers", "us-east-1")

    found = found_in(bucket_of(f"{region.prefix}a/b/c/d/e/f/2026/11/24/x", f"{region.prefix}a/b/c/d/e/g/x"), scope())

    deepest = region._replace(prefix=f"{region.prefix}a/b/c/d/e/")
    assert found.uncovered == []
    assert len(found.shards) == 6
    assert deepest in found.shards
    assert deepest.prefix not in found.looks


# Folders beside the dates of a pattern

LOGS = Shard("logs/")


def sides(*keys: str, pattern: str = "%Y/%m/%d/", shard: Shard = LOGS, ignore: tuple[str, ...] = ()) -> Any:
    source = bucket_of(*keys)
    found = side_folders(PatternLayout(pattern), shard, source, ignore)
    return list(found.folders), [item.key for page in found.loose for item in page.objects], source.lists.total()


def test_a_dated_prefix_with_nothing_else_has_no_sides() -> None:
    assert sides("logs/2025/01/01/x", "logs/2026/11/24/x", "other/x") == ([], [], 1)
    assert sides() == ([], [], 1)


def test_what_does_not_begin_with_a_date_is_beside_it() -> None:
    keys = ["logs/2026/11/24/x", "logs/20261/x", "logs/archive/2026/11/24/x", "logs/latest.log", "logs/"]

    assert sides(*keys) == (["logs/20261/", "logs/archive/"], ["logs/", "logs/latest.log"], 1)
    assert sides(*keys, ignore=("logs/archive/", "*/20261/", "*.log")) == ([], ["logs/"], 1)


def test_many_loose_objects_are_a_reason_to_list_everything() -> None:
    assert sides(*(f"logs/x{number}" for number in range(1001))) == (["logs/"], [], 1)


@pytest.mark.parametrize("pattern", ["%Y%m%d", "%Y-%m-%d", "dt=%Y-%m-%d"])
def test_files_that_begin_with_their_day_are_not_listed_to_find_what_is_beside_them(pattern: str) -> None:
    dated = [f"logs/{pattern.partition('%')[0]}20261124-{number:04}" for number in range(3000)]

    assert sides(*dated, pattern=pattern) == ([], [], 2)
    for beside in ("logs/archive/x", "logs/.x", "logs/~", "logs/"):
        assert sides(*dated, beside, pattern=pattern)[0] == [beside]
        assert sides(*dated, beside, pattern=pattern, ignore=(beside if beside != "logs/" else "l?gs/",))[0] == []


@pytest.mark.parametrize("layout", [CloudTrailLayout(), FlatLayout()])
def test_other_layouts_have_no_sides(layout: CloudTrailLayout | FlatLayout) -> None:
    assert side_folders(layout, LOGS, bucket_of("logs/x/y"), ()) == ([], [])


# Any bucket and any job

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
    assert found.uncovered == []


def shard_of(key: str) -> Shard:
    """Read back from a key that `log` made."""
    *above, account, kind, region, _year, _month, _day, _name = key.split("/")
    organization = above[-1] if above[-1].startswith("o-") else ""
    return Shard(key[: key.index("2026")], account, kind, region, organization)


def test_a_loose_object_is_no_exception() -> None:
    page = found_in(bucket_of("AWSLogs/"), scope()).loose[0]

    assert [item.key for item in page.objects] == ["AWSLogs/"]
    assert isinstance(page.objects[0], LogObject)
