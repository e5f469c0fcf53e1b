"""What a tick lists after another daemon may have copied: both sides, from before its own last listing."""

from pathlib import Path

import pytest
from memory_world import BEGIN, DAY, FLAT, HOUR, MINUTE, OTHER, PREFIX, World

from syncd.model.keys.layout import FlatLayout


def copied_by_another(world: World, key: str) -> None:
    """The other daemon has its own ledger, and writes to the same place."""
    world.destination.put(PREFIX + key, world.source.bodies[key], last_modified=world.now)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two shards, copied here until an hour ago. Then another daemon went on."""
    world = World(tmp_path)
    for number in range(10):
        world.deliver(BEGIN - number * 6 * HOUR)
        world.deliver(BEGIN - number * 6 * HOUR, account=OTHER)
    world.tick()
    return world


def test_what_another_has_copied_is_taken_for_copied(world: World) -> None:
    theirs = [world.deliver(BEGIN + number * MINUTE) for number in range(1, 9)]
    world.now += 20 * MINUTE
    for key in theirs:
        copied_by_another(world, key)
    ours = world.deliver(world.now)

    report = world.tick(recalls=True)
    written = list(world.copier.attempts)
    again = world.tick()

    assert report is not None
    assert again is not None
    assert written == [ours]
    assert report.outcome == "ok"
    assert ("ledger.rebuilt", {"shards": 1, "replicas": len(theirs)}) in world.events
    assert (again.copied, again.already_there, world.lists) == (0, 0, {})
    assert again.complete_until > BEGIN - HOUR


def test_after_days_of_another_it_lists_from_before_its_own_last_listing(world: World) -> None:
    theirs = [world.deliver(BEGIN + number * HOUR, arrives=BEGIN + number * HOUR) for number in range(1, 120)]
    world.now += 5 * DAY
    for key in theirs:
        copied_by_another(world, key)

    report = world.tick(recalls=True)

    assert report is not None
    assert report.copied == 0
    assert not world.copier.attempts
    assert world.absent_within(report) == []


def test_a_state_without_the_job_lists_everything_on_both_sides(tmp_path: Path) -> None:
    world = World(tmp_path)
    theirs = [world.deliver(BEGIN - number * DAY) for number in range(5)]
    world.now += MINUTE
    for key in theirs:
        copied_by_another(world, key)

    report = world.tick(recalls=True)

    assert report is not None
    assert report.copied == 0
    assert not world.copier.attempts


def test_keys_without_order_are_recalled_too(tmp_path: Path) -> None:
    world = World(tmp_path, layout=FlatLayout(), shard=FLAT)
    world.put("logs/1")
    world.tick()
    theirs = world.put("logs/0-later")
    world.now += HOUR
    copied_by_another(world, theirs)

    report = world.tick(recalls=True)

    assert report is not None
    assert report.copied == 0
    assert not world.copier.attempts
    assert report.outcome == "ok"
