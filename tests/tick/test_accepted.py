"""An accepted conflict of a sealed day is counted once for good: no loss is made up, and none is missed beside it."""

from pathlib import Path

import pytest
from memory_world import BEGIN, DAY, HOUR, PREFIX, World

from syncd.model.objects import Conflict, Shard, Transfer

THE_DAY = "2026-11-24"


def sealed_count(world: World, shard: Shard) -> int:
    with world.ledger() as ledger:
        return ledger.sealed(shard, THE_DAY, THE_DAY)[THE_DAY].count


def told(world: World, event: str) -> list[object]:
    return [facts for name, facts in world.events if name == event]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("found_by", ["a tick", "a proof"])
def test_an_accepted_conflict_stays_one_of_its_day(world: World, found_by: str) -> None:
    """A tick finds it before the day is sealed, a proof afterwards, when the day's row counts it."""
    keys = [world.deliver(BEGIN - HOUR - number * 60) for number in range(3)]
    if found_by == "a tick":
        world.destination.put(PREFIX + keys[0], b"x")
        world.tick()
    world.ticks(45 * DAY, every=DAY, is_busy=True)
    with world.ledger() as ledger:
        (shard,) = [state.shard for state in ledger.shards().values()]
        if found_by == "a proof":
            world.destination.put(PREFIX + keys[0], b"x")
            item = world.source.objects[keys[0]]
            ledger.record([Conflict(Transfer(shard, item, PREFIX + keys[0]), "altered")], [], now=world.now)
        assert ledger.accept(keys[0]) == 1

    world.events.clear()
    world.ticks(30 * DAY, every=DAY, is_busy=True)

    assert (sealed_count(world, shard), told(world, "replica.lost")) == (3, [])
    # It is looked at once more at the most: what the day's row says is right again.
    assert len(told(world, "replica.restored")) <= 1

    for key in keys:
        world.source.delete(key)
    world.destination.delete(PREFIX + keys[2])
    world.events.clear()
    world.ticks(30 * DAY, every=DAY, is_busy=True)

    assert [facts["lost"] for facts in told(world, "replica.lost")] == [1]
