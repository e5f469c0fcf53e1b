"""What the simulated attacks have found, each as the shortest story that shows it."""

from pathlib import Path

import pytest
from awscrt.checksums import crc64nvme
from builders_copy import forged
from test_found_faults import BEGIN, DAY, HOUR, PREFIX, World

from syncd.model.objects import Window


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


def test_the_newest_object_is_copied_though_hundreds_before_it_are_denied(tmp_path: Path) -> None:
    world = World(tmp_path)
    denied = [world.deliver(BEGIN - 3 * HOUR + number) for number in range(250)]
    world.failing = dict.fromkeys(denied, "kms_access_denied")
    newest = world.deliver(BEGIN - 20 * 60)
    world.tick()

    assert world.is_there(newest)


def test_three_thousand_objects_that_are_denied_for_ever_delay_no_other(tmp_path: Path) -> None:
    world = World(tmp_path)
    denied = [world.deliver(BEGIN - 3 * HOUR + number) for number in range(3000)]
    world.failing = dict.fromkeys(denied, "kms_access_denied")
    for _ in range(16):  # two hundred a tick, until all of them are known
        world.now += 300
        world.tick()
    readable = [world.deliver(world.now - minutes * 60) for minutes in (80, 40, 10)]
    world.now += 300
    world.tick()

    assert [key for key in readable if not world.is_there(key)] == []
    with world.ledger() as ledger:
        assert len(ledger.quarantined()) == 3000


def test_a_tick_fails_if_everything_is_denied_the_newest_too_and_every_object_is_held(tmp_path: Path) -> None:
    world = World(tmp_path)
    keys = [world.deliver(BEGIN - 3 * HOUR + number) for number in range(150)]
    world.failing = dict.fromkeys(keys, "kms_access_denied")
    report = world.tick()

    assert report is not None
    assert report.error is not None
    assert (report.outcome, report.error.reason, report.failed_count) == ("failed", "kms_access_denied", 150)
    with world.ledger() as ledger:
        assert list(ledger.quarantined()) == keys


def test_a_tick_goes_on_if_one_of_the_newest_is_not_denied(tmp_path: Path) -> None:
    world = World(tmp_path)
    denied = [world.deliver(BEGIN - 3 * HOUR + number) for number in range(150)]
    world.failing = dict.fromkeys(denied, "kms_access_denied")
    world.deliver(BEGIN - 20 * 60)
    report = world.tick()

    assert report is not None
    assert (report.outcome, report.error, report.copied) == ("partial", None, 1)


def test_what_a_clock_that_ran_ahead_has_put_off_is_tried_again_now(tmp_path: Path) -> None:
    world = World(tmp_path)
    key = world.deliver(BEGIN - HOUR)
    world.failing = {key: "access_denied"}
    world.now = BEGIN + 20 * DAY
    world.tick()
    with world.ledger() as ledger:
        assert ledger.quarantined()[key].next_at > BEGIN + 20 * DAY
    world.failing.clear()
    world.now = BEGIN + 300
    world.tick()

    assert world.is_there(key)


def test_what_failed_is_not_tried_again_before_its_time(tmp_path: Path) -> None:
    world = World(tmp_path)
    key = world.deliver(BEGIN - HOUR)
    world.failing = {key: "access_denied"}
    world.tick()
    with world.ledger() as ledger:
        next_at = ledger.quarantined()[key].next_at
    world.failing.clear()
    world.now = next_at - 1
    world.tick()
    assert not world.is_there(key)
    world.now = next_at
    world.tick()

    assert world.is_there(key)


def test_a_source_that_lists_none_of_the_last_days_fails_the_tick_and_no_cursor_moves(tmp_path: Path) -> None:
    world = World(tmp_path)
    key = world.deliver(BEGIN - HOUR)
    world.tick()
    with world.ledger() as ledger:
        before = ledger.shards()
    world.source.delete(key)
    world.now += 300
    report = world.tick()

    assert report is not None
    assert report.error is not None
    assert (report.outcome, report.error.reason) == ("failed", "source_empty")
    with world.ledger() as ledger:
        assert ledger.shards() == before


def test_a_source_that_has_been_quiet_for_three_days_is_no_alarm(tmp_path: Path) -> None:
    world = World(tmp_path)
    key = world.deliver(BEGIN - HOUR)
    world.tick()
    world.source.delete(key)
    world.now += 3 * DAY
    report = world.tick()

    assert report is not None
    assert (report.outcome, report.error) == ("ok", None)


@pytest.mark.parametrize("reason", ["slow_down", "object_changed"])
@pytest.mark.parametrize("window", [None, Window("2026-11-24", "2026-11-24")])
def test_what_is_tried_again_is_not_taken_for_copied_by_a_forged_crc(
    tmp_path: Path, reason: str, window: Window | None
) -> None:
    world = World(tmp_path)
    key = world.deliver(BEGIN - HOUR)
    world.source.put(key, b"what was logged", last_modified=BEGIN)
    world.tick()
    world.source.put(key, forged(b"another", crc64nvme(b"what was logged")), last_modified=BEGIN + 1)
    world.failing = {key: reason}
    world.now += HOUR
    world.tick()
    world.failing.clear()
    world.now += DAY
    world.tick(window)

    with world.ledger() as ledger:
        assert ledger.quarantined()[key].reason == "conflict"
    assert world.destination.bodies[PREFIX + key] == b"what was logged"
