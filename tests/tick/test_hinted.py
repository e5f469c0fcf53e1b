"""What a tick lists that hints hasten, and what it leaves as it is."""

from pathlib import Path

import pytest
from memory_world import ACCOUNT, BEGIN, DAY, FLAT, HOUR, MINUTE, OTHER, World

from syncd.model.keys.layout import FlatLayout
from syncd.model.keys.patterns import PatternLayout
from syncd.model.keys.trail import Scope
from syncd.tick.listing.hinted import before

SHARD = f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two shards, listed once, with more days behind them than one page holds."""
    world = World(tmp_path, page=5)
    for number in range(20):
        world.deliver(BEGIN - number * 6 * HOUR)
        world.deliver(BEGIN - number * 6 * HOUR, account=OTHER)
    world.tick()
    world.now += 20 * MINUTE
    return world


def test_new_objects_of_a_shard_are_one_listing_and_nothing_else_is_asked(world: World) -> None:
    keys = [world.deliver(world.now - number * MINUTE) for number in range(4)]

    report = world.tick(hinted=keys)

    assert report is not None
    assert (report.outcome, report.copied, report.hinted) == ("ok", 4, 4)
    assert all(map(world.is_there, keys))
    assert world.lists_here == {SHARD: 1}
    assert world.lists == {}


def test_an_object_that_no_hint_names_comes_along_or_with_the_next_tick(world: World) -> None:
    hinted, lost = world.deliver(world.now - 2 * MINUTE), world.deliver(world.now - MINUTE)
    elsewhere = world.deliver(world.now, account=OTHER)

    world.tick(hinted=[hinted])
    came_along = world.is_there(lost), world.is_there(elsewhere)
    world.tick()

    assert came_along == (True, False)
    assert world.is_there(elsewhere)


def test_an_old_object_is_a_listing_of_its_own(world: World) -> None:
    late = world.deliver(BEGIN - 3 * DAY - MINUTE)

    report = world.tick(hinted=[late])

    assert report is not None
    assert (report.listed, report.copied) == (1, 1)
    assert world.lists_here == {SHARD: 1}


@pytest.mark.parametrize("key", [f"{SHARD}2026/11/24/{ACCOUNT}_CloudTrail_x.json.gz", f"{SHARD}2020/01/01/old"])
def test_a_false_hint_is_one_listing(world: World, key: str) -> None:
    report = world.tick(hinted=[key])

    assert report is not None
    assert (report.outcome, report.copied) == ("ok", 0)
    assert world.lists_here == {SHARD: 1}


def test_a_false_hint_at_a_shard_that_is_not_there_is_one_listing(world: World) -> None:
    report = world.tick(hinted=[f"AWSLogs/{ACCOUNT}/CloudTrail/eu-west-3/2026/11/24/x.json.gz"])

    assert report is not None
    assert (report.outcome, report.listed) == ("ok", 0)
    assert world.lists_here == {f"AWSLogs/{ACCOUNT}/CloudTrail/eu-west-3/": 1}


def test_an_old_object_is_listed_by_a_tick_that_finds_a_new_shard_too(world: World) -> None:
    before_it = world.tick()
    world.now += HOUR
    late = world.deliver(BEGIN - 3 * DAY - MINUTE)
    key = world.put(f"AWSLogs/{ACCOUNT}/CloudTrail/eu-west-3/2026/11/24/{ACCOUNT}_CloudTrail_eu-west-3_x.json.gz")

    report = world.tick(hinted=[late, key])

    assert world.is_there(late)
    assert world.is_there(key)
    assert before_it is not None
    assert report is not None
    assert report.complete_until > before_it.complete_until


def test_an_object_in_a_new_shard_makes_it_an_ordinary_tick(world: World) -> None:
    other = world.deliver(world.now, account=OTHER)
    key = world.put(f"AWSLogs/{ACCOUNT}/CloudTrail/eu-west-3/2026/11/24/{ACCOUNT}_CloudTrail_eu-west-3_x.json.gz")

    report = world.tick(hinted=[key])

    assert world.is_there(key)
    assert world.is_there(other)
    assert report is not None
    assert report.shards == 3


@pytest.mark.parametrize(
    "key",
    [
        f"AWSLogs/{ACCOUNT}/CloudTrail-Insight/us-east-1/2026/11/24/x.json.gz",
        f"AWSLogs/{ACCOUNT}/CloudTrail/ignored/2026/11/24/x.json.gz",
        f"AWSLogs/{ACCOUNT}/x.json.gz",
        "AWSLogs/",
        "elsewhere/x.json.gz",
        "x",
    ],
)
def test_what_the_job_does_not_want_is_not_asked_for(world: World, key: str) -> None:
    ignore = (f"AWSLogs/{ACCOUNT}/CloudTrail/ignored/",)
    world.scope = Scope("", (), ("*",), ("CloudTrail",), ("*",), ignore)
    world.tick()
    world.put(key)

    report = world.tick(hinted=[key])

    assert report is not None
    assert (report.outcome, report.listed) == ("ok", 0)
    assert world.lists_here == {}


@pytest.mark.parametrize("is_there", [True, False])
def test_no_cursor_and_no_horizon_is_moved(world: World, *, is_there: bool) -> None:
    key = world.deliver(world.now)
    if not is_there:
        del world.source.objects[key]
    before_it = world.tick()
    world.now += 3 * HOUR
    with world.ledger() as ledger:
        states, discovered_at = ledger.shards(), ledger.discovered_at()

    after = world.tick(hinted=[key, world.deliver(world.now), f"{SHARD}2026/11/24/x"])

    assert before_it is not None
    assert after is not None
    assert (after.complete_from, after.complete_until) == (before_it.complete_from, before_it.complete_until)
    with world.ledger() as ledger:
        assert (ledger.shards(), ledger.discovered_at()) == (states, discovered_at)


def test_a_key_that_only_whole_days_find_is_remembered_as_such(world: World) -> None:
    key = world.put(f"{SHARD}2026/11/24/0-of-its-own.json.gz")

    report = world.tick(hinted=[key])

    assert report is not None
    assert world.is_there(key)
    with world.ledger() as ledger:
        assert ledger.shards()[SHARD].found_by == "deep"


def test_the_first_tick_is_an_ordinary_one(tmp_path: Path) -> None:
    world = World(tmp_path)
    keys = [world.deliver(BEGIN - number * DAY) for number in range(3)]

    world.tick(hinted=keys[:1])

    assert all(map(world.is_there, keys))


def test_a_shard_that_was_never_listed_to_its_end_is_listed_by_an_ordinary_tick(tmp_path: Path) -> None:
    world = World(tmp_path, layout=PatternLayout("%Y/%m/%d/"), shard=FLAT)
    world.put("logs/1")
    world.tick()
    key = world.put("logs/2")

    world.tick(hinted=["logs/0"])
    after_a_false_one = world.is_there(key)
    world.tick(hinted=[key])

    assert not after_a_false_one
    assert world.is_there(key)


def test_a_job_whose_hinted_shard_was_emptied_does_not_fail(world: World) -> None:
    world.source.objects.clear()

    report = world.tick(hinted=[f"{SHARD}2026/11/24/x"])

    assert report is not None
    assert report.outcome == "ok"


@pytest.mark.parametrize("layout", [FlatLayout(), PatternLayout("%Y/%m/%d/")])
def test_other_layouts_list_the_key_itself(tmp_path: Path, layout: FlatLayout | PatternLayout) -> None:
    world = World(tmp_path, layout=layout, shard=FLAT)
    for number in range(5):
        world.put(f"logs/{number}")
    world.tick()
    world.tick()
    world.now += 20 * MINUTE
    key = world.put("logs/2-and a + ü")

    report = world.tick(hinted=[key, "elsewhere/x", "logs/none"])

    assert report is not None
    assert report.copied == 1
    assert world.is_there(key)
    assert world.lists_here == {"logs/": 2}


def test_nothing_is_retried_or_audited(world: World) -> None:
    failing = world.deliver(world.now)
    world.failing[failing] = "slow_down"
    world.tick()
    world.failing.clear()
    world.now += 2 * DAY
    world.pace = world.pace._replace(audit_every=1.0)

    world.tick(hinted=[f"{SHARD}2026/11/24/x"])
    after_the_hint = world.is_there(failing)
    world.tick()

    assert not after_the_hint
    assert world.is_there(failing)
    assert world.lists


@pytest.mark.parametrize("key", ["a", "\x00", "b\x00", "\ue000", "x" * 1024, "é" * 512, "a/\U00010000", "a\x01"])
def test_what_stands_before_a_key_sorts_before_it_and_fits(key: str) -> None:
    assert before(key).encode() < key.encode()
    assert len(before(key).encode()) <= 1024
