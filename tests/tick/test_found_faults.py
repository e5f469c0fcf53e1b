"""Faults that reviews of the core have found, each with the smallest world that shows it."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from memory_world import ACCOUNT, BEGIN, DAY, FLAT, HOUR, MINUTE, OTHER, PACE, PREFIX, World

from syncd.aws.pages.checks import written
from syncd.model.errors import JobFailed
from syncd.model.keys.patterns import PatternLayout
from syncd.model.objects import Failed, LogObject, Transfer, Window
from syncd.tick.listing import sealing
from syncd.tick.side_by_side import Beside


def day(instant: float) -> str:
    return datetime.fromtimestamp(instant, UTC).date().isoformat()


def test_the_horizon_waits_for_a_shard_that_was_found_and_is_over_the_quota(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.deliver(BEGIN - DAY)
    for number in range(6):
        world.deliver(BEGIN - DAY - number * HOUR, account=OTHER)

    absent = world.absent_within(world.tick(most=2))
    world.now += HOUR
    rest = world.tick()
    world.now += HOUR

    assert absent == []
    assert rest is not None
    assert rest.complete_until > BEGIN


def test_a_catch_up_of_a_shard_listed_whole_claims_only_what_it_listed(tmp_path: Path) -> None:
    world = World(tmp_path, layout=PatternLayout("%Y/%m/%d/"), shard=FLAT)
    world.start = lambda now: now - DAY
    world.put("logs/side/2026/11/9/late.log", arrives=BEGIN - 14 * DAY + HOUR)  # on the 10th
    world.put("logs/2026/11/24/x.log", arrives=BEGIN - HOUR)
    world.tick()
    world.now += HOUR
    world.tick(Window("2026-11-10", None))
    world.now += HOUR

    assert world.absent_within(world.tick()) == []


def test_a_catch_up_of_local_days_claims_only_what_it_listed(tmp_path: Path) -> None:
    world = World(tmp_path, layout=PatternLayout("%Y/%m/%d/"), shard=FLAT)
    world.start = lambda now: now - 4 * HOUR  # on the 24th, at 8:00
    world.put("logs/2026/11/25/tokyo.log", arrives=BEGIN - 5 * HOUR)
    world.put("logs/2026/11/24/x.log", arrives=BEGIN - HOUR)
    world.tick()
    world.now += HOUR

    assert world.absent_within(world.tick(Window("2026-11-20", "2026-11-24"))) == []


@pytest.mark.parametrize("how", ["crash", "quota"])
def test_what_vanished_from_a_sealed_day_is_restored_even_if_the_audit_is_cut_short(tmp_path: Path, how: str) -> None:
    world = World(tmp_path)
    old = [world.deliver(BEGIN - 10 * DAY - number * HOUR) for number in range(4)]
    world.tick()
    world.ticks(40 * DAY, every=DAY, is_busy=True)
    with world.ledger() as ledger:
        assert all(not ledger.known(state.shard, old) for state in ledger.shards().values())
    for key in old:
        world.destination.delete(PREFIX + key)
    for _ in range(12):
        world.now += DAY
        report = world.tick(crash_after=1) if how == "crash" else world.tick(most=1)
        if report is None:
            break
    world.ticks(16 * DAY, every=DAY)

    assert [key for key in old if not world.is_there(key)] == []


def test_a_conflict_accepted_after_its_day_was_sealed_is_counted_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    key = world.deliver(BEGIN - HOUR)
    world.tick()
    world.source.put(key, b"other content", last_modified=float(int(world.now)))
    world.ticks(60 * DAY, every=DAY, is_busy=True)
    with world.ledger() as ledger:
        assert ledger.accept(key)
    world.ticks(16 * DAY, every=DAY)

    with world.ledger() as ledger:
        assert dict(ledger.quarantined()) == {}


def test_what_vanished_and_could_not_be_restored_until_its_day_was_sealed_is_counted_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    key = world.deliver(BEGIN - HOUR)
    world.deliver(BEGIN - 2 * HOUR)
    world.tick()
    world.failing[key] = "access_denied"
    world.destination.delete(PREFIX + key)
    world.ticks(60 * DAY, every=DAY, is_busy=True)
    world.failing.clear()
    world.ticks(16 * DAY, every=DAY)

    with world.ledger() as ledger:
        assert dict(ledger.quarantined()) == {}


@pytest.mark.parametrize(
    "key",
    [
        f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1//2026/11/24/x.json.gz",
        f"AWSLogs/{ACCOUNT}/CloudTrail//2026/11/24/x.json.gz",
        f"AWSLogs/{ACCOUNT}//us-east-1/2026/11/24/x.json.gz",
        f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/0-archive/x.json.gz",
        f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/10/x.json.gz",
        f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/2-archive/x.json.gz",
        f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/0-readme.json.gz",
        f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/2026/1/5/x.json.gz",
        f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/2026-11-24/x.json.gz",
        f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/2026-summary.csv",
    ],
)
def test_an_odd_key_is_copied_or_named(tmp_path: Path, key: str) -> None:
    world = World(tmp_path)
    world.deliver(BEGIN - HOUR)
    world.put(key)
    report = world.tick()
    report = world.ticks(2 * DAY, every=3 * HOUR)
    assert report is not None

    assert world.is_there(key) or any(key.startswith(name) for name in report.uncovered)


def test_the_daily_audit_does_not_list_the_sealed_history(tmp_path: Path) -> None:
    world = World(tmp_path, page=10)
    world.start = lambda _: 0.0
    for number in range(300):
        world.deliver(BEGIN - (60 + number) * DAY, arrives=BEGIN - (60 + number) * DAY)
    world.deliver(BEGIN - HOUR)
    world.tick()
    world.ticks(DAY)
    world.pace = PACE._replace(audit_sealed_every=0.0)
    world.now += 2 * DAY
    world.tick()

    assert sum(world.lists.values()) <= 3


def test_replicas_that_the_source_has_expired_are_not_held_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, page=10)
    world.start = lambda _: 0.0
    for number in range(300):
        key = world.deliver(BEGIN - (60 + number) * DAY)
        world.destination.put(PREFIX + key, b"replica")
        world.source.delete(key)
    world.deliver(BEGIN - HOUR)
    most = 0
    plain = Beside._next_page

    def counted(self: Beside):  # type: ignore[no-untyped-def]  # noqa: ANN202
        nonlocal most
        yield from plain(self)
        most = max(most, len(self._waiting))

    monkeypatch.setattr(Beside, "_next_page", counted)
    world.tick()

    assert most <= 50


def test_a_job_whose_quarantine_was_mended_claims_nothing_before_all_was_compared(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.deliver(BEGIN - DAY)
    bad = world.deliver(BEGIN - DAY, account=OTHER)
    world.failing[bad] = "access_denied"
    world.tick()
    for name in ("ledger.sqlite3",):
        with sqlite3.connect(tmp_path / name) as db:
            db.execute("UPDATE quarantine SET attempts = attempts + 100")
        db.close()
    world.failing.clear()
    new = world.deliver(BEGIN - DAY + HOUR)
    world.now += HOUR

    report = world.tick(stop_after=1)

    assert world.is_there(new)
    assert world.absent_within(report) == []


def test_two_ways_of_writing_days_do_not_stop_a_shard(tmp_path: Path) -> None:
    prefix = f"AWSLogs/{ACCOUNT}/Config/us-east-1/"
    world = World(tmp_path)
    for key in ("2026/02/5/a", "2026/2/6/b", "2026/11/7/c"):
        world.put(prefix + key)
    world.tick()
    for _ in range(3):
        world.now += 10 * MINUTE
        world.tick()

    with world.ledger() as ledger:
        assert ledger.shards()[prefix].listed_at > world.now - MINUTE


def test_a_long_name_of_bytes_that_are_no_text_costs_only_that_object(tmp_path: Path) -> None:
    names = [b"logs/" + b"\xff" * 1000 + ending for ending in (b"a", b"b")]
    first, second = (written(name.decode(errors="surrogateescape")) for name in names)
    assert first != second

    with World(tmp_path).ledger() as ledger:
        item = LogObject(first, "etag", 1, BEGIN)
        ledger.record([Failed(Transfer(FLAT, item, PREFIX + first), "key_not_utf8", "")], [], now=BEGIN)
        ledger.save_uncovered([second], now=BEGIN)

        assert ledger.quarantined().keys() == {first}


def test_deeper_listings_do_not_read_what_was_sealed(tmp_path: Path) -> None:
    world = World(tmp_path, page=7)
    world.start = lambda _: 0.0
    for number in range(60 * 24):
        world.deliver(BEGIN - 20 * DAY - number * HOUR, arrives=BEGIN - 20 * DAY - number * HOUR)
    world.deliver(BEGIN - HOUR)
    world.tick()
    world.ticks(2 * DAY, every=HOUR)
    with world.ledger() as ledger:
        assert ledger.remembered_counts()[1] > 500
    world.pace = PACE._replace(deep=70 * DAY)
    attempts = 0
    for _ in range(300):
        world.now += 5 * MINUTE
        world.tick()
        attempts += world.copier.attempts.total()

    assert attempts == 0


def test_a_sealed_day_larger_than_is_held_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    world.start = lambda _: 0.0
    for number in range(40):
        world.deliver(BEGIN - 60 * DAY + number * MINUTE, arrives=BEGIN - 60 * DAY)
    world.deliver(BEGIN - HOUR)
    world.tick()
    world.ticks(DAY)
    with world.ledger() as ledger:
        assert ledger.remembered_counts() == (1, 40)
    late = world.deliver(BEGIN - 60 * DAY + 99 * MINUTE)
    monkeypatch.setattr(sealing, "LARGEST_DAY_HELD", 15)
    world.tick(Window(day(BEGIN - 61 * DAY), None))

    assert world.is_there(late)
    assert world.copier.attempts.total() == 1


def test_a_catch_up_to_the_last_day_of_the_calendar(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.deliver(BEGIN - HOUR)
    world.tick()
    world.tick(Window("2026-01-01", "9999-12-31"))


def test_one_old_object_in_a_folder_of_the_future_leaves_a_horizon(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.deliver(BEGIN - HOUR)
    world.put(
        f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/2099/12/31/{ACCOUNT}_CloudTrail_us-east-1_20991231T0000Z_x.json.gz",
        arrives=BEGIN - 90 * DAY,
    )
    world.tick()
    report = world.ticks(DAY)

    assert report is not None
    assert report.complete_from <= report.complete_until


def test_loose_objects_and_the_quota(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.deliver(BEGIN - HOUR)
    world.tick()
    for number in range(5):
        world.put(f"AWSLogs/{ACCOUNT}/CloudTrail/loose{number}")
    world.now += HOUR
    report = world.tick(most=2)
    assert world.absent_within(report) == []


def test_what_a_clock_ahead_has_claimed_does_not_stand_while_listings_fail(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.deliver(BEGIN - HOUR)
    world.tick()
    world.now += 40 * DAY
    world.tick()
    world.now -= 40 * DAY - HOUR
    world.deliver(world.now - 5 * MINUTE)
    world.refusal = JobFailed("server_error", "ListObjectsV2", "")

    failed = world.tick()

    assert failed is not None
    assert (failed.outcome, failed.complete_until) == ("failed", 0.0)
