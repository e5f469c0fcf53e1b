"""What the simulated attacks have found, each as the shortest story that shows it."""

from pathlib import Path

from test_found_faults import BEGIN, DAY, HOUR, PREFIX, World

from syncd.model import Window


def forge(world: World, key: str) -> None:
    """Another object of the same length stands in the replica's place."""
    there = world.destination.bodies[PREFIX + key]
    world.destination.put(PREFIX + key, b"#" * len(there), last_modified=world.now)


def test_a_replica_of_a_sealed_day_that_somebody_replaced_is_compared_and_not_adopted_for_its_name(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    keys = [world.deliver(BEGIN - hours * HOUR) for hours in (1, 2, 3)]
    world.ticks(45 * DAY, every=DAY, is_busy=True)
    forge(world, keys[1])
    world.ticks(9 * DAY, every=DAY, is_busy=True)

    with world.ledger() as ledger:
        assert [(key, held.reason) for key, held in ledger.quarantined().items()] == [(keys[1], "conflict")]


def test_a_late_object_does_not_make_a_replaced_replica_of_its_day_pass(tmp_path: Path) -> None:
    world = World(tmp_path)
    keys = [world.deliver(BEGIN - hours * HOUR) for hours in (1, 2, 3)]
    world.ticks(45 * DAY, every=DAY, is_busy=True)
    forge(world, keys[1])
    late = world.deliver(BEGIN - 90 * 60)
    world.tick()

    world.tick(Window("2026-11-20", "2026-11-28"))

    with world.ledger() as ledger:
        assert list(ledger.quarantined()) == [keys[1]]
    assert world.is_there(late)
