"""The state may be lost, damaged or unwritable: nothing is copied twice, nothing is lost, and it is said."""

import random
import resource
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from builders import ACCOUNTS, REGIONS, Trail, days_before
from faulty import Stall, Status
from stage import Stage
from waiting import wait_until


def ticked(stage: Stage, now: datetime, **changes: object) -> list[str]:
    """A job that has copied 120 objects."""
    keys = stage.deliver(Trail().span(ACCOUNTS[:2], REGIONS[:2], days_before(now, 3), logs=10))
    stage.job(changes=changes)
    assert stage.syncd("tick").code == 0
    return keys


def ledger_files(stage: Stage) -> list[Path]:
    return [path for path in stage.state.rglob("*") if path.is_file() and path.read_bytes()[:6] == b"SQLite"]


def remove_everything(stage: Stage) -> None:
    for path in [path for path in stage.state.rglob("*") if path.is_file()]:
        path.unlink()


def truncate(stage: Stage) -> None:
    for path in ledger_files(stage):
        path.write_bytes(path.read_bytes()[:5000])


def overwrite_with_text(stage: Stage) -> None:
    for path in ledger_files(stage):
        path.write_text("this is no database\n" * 500)


DAMAGES: dict[str, Callable[[Stage], None]] = {
    "lost": remove_everything,
    "truncated": truncate,
    "overwritten": overwrite_with_text,
}


@pytest.mark.parametrize("name", DAMAGES)
def test_after_damage_to_the_state_nothing_is_copied_twice_and_new_logs_are(
    stage: Stage, now: datetime, name: str
) -> None:
    ticked(stage, now)
    DAMAGES[name](stage)
    new = stage.deliver(Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=20), n) for n in range(3))
    stage.server.forget_requests()

    ran = stage.syncd("tick", "--json")
    idle = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["copied"], ran.job["conflicts"]) == (0, len(new), [])
    assert (idle.code, idle.job["copied"]) == (0, 0)
    assert stage.requests("PutObject") == len(new)
    assert stage.replica() == stage.source()
    assert "Traceback" not in ran.stderr


def test_a_damaged_ledger_is_kept_aside_and_said(stage: Stage, now: datetime) -> None:
    ticked(stage, now)
    overwrite_with_text(stage)

    ran = stage.syncd("tick", "--json")

    (moved,) = [event for event in ran.logged if event["event"] == "ledger.moved_aside"]
    assert Path(moved["path"]).read_text().startswith("this is no database")


@pytest.mark.parametrize("seed", range(2))
def test_flipped_bits_are_found_or_harmless(stage: Stage, now: datetime, seed: int) -> None:
    ticked(stage, now)
    moments = random.Random(seed)
    (path,) = ledger_files(stage)
    body = bytearray(path.read_bytes())
    for _ in range(8):
        body[moments.randrange(len(body))] ^= 1 << moments.randrange(8)
    path.write_bytes(body)
    new = stage.deliver([Trail().log(ACCOUNTS[1], REGIONS[1], now - timedelta(minutes=20))])

    ran = stage.syncd("tick", "--json")
    again = stage.syncd("catch-up", "--json", "--from", f"{days_before(now, 3)[0]}")

    assert (ran.code, again.code) == (0, 0)
    assert (ran.job["conflicts"], again.job["conflicts"]) == ([], [])
    assert new[0] in stage.replica()
    assert stage.replica() == stage.source()
    assert stage.watched().destroyed == []


def test_without_the_right_to_list_the_destination_a_lost_ledger_is_written_against_conditionally(
    stage: Stage, now: datetime
) -> None:
    keys = ticked(stage, now)
    remove_everything(stage)
    destination = stage.watched().name
    stage.server.faults.add(
        lambda request: request.operation == "ListObjectsV2" and request.bucket == destination,
        Status(403, "AccessDenied", "Access Denied"),
    )

    ran = stage.syncd("tick", "--json")
    idle = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["copied"], ran.job["already_there"]) == (0, 0, len(keys))
    assert "s3:ListBucket" in ran.stderr
    assert (idle.code, idle.job["already_there"]) == (0, 0)
    assert stage.watched().destroyed == []


def test_after_a_loss_a_shard_resumes_at_its_newest_replica_and_not_at_the_start(stage: Stage, now: datetime) -> None:
    trail, days = Trail(), days_before(now, 40)
    stage.deliver(trail.span(ACCOUNTS[:1], REGIONS[:1], days[20:25], logs=3))
    stage.job(changes={"start": "now"})
    stage.syncd("catch-up", "--from", f"{days[0]}")
    stage.syncd("tick")
    remove_everything(stage)
    missed = stage.deliver(trail.span(ACCOUNTS[:1], REGIONS[:1], days[25:30], logs=3))

    ran = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["copied"]) == (0, len(missed))
    assert stage.replica() == stage.source()


def test_a_catch_up_before_the_first_tick_does_not_pass_for_what_was_lost(stage: Stage, now: datetime) -> None:
    days = days_before(now, 25)
    stage.deliver(Trail().span(ACCOUNTS[:1], REGIONS[:1], days, logs=1))
    stage.job(changes={"start": "2d"})

    caught_up = stage.syncd("catch-up", "--json", "--from", f"{days[4]}", "--to", f"{days[4]}")
    ticked = stage.syncd("tick", "--json")

    assert (caught_up.code, caught_up.job["copied"]) == (0, 1)
    assert (ticked.code, 1 <= ticked.job["copied"] <= 3) == (0, True)


def test_a_catch_up_after_a_loss_hides_nothing_of_it(stage: Stage, now: datetime) -> None:
    trail, days = Trail(), days_before(now, 40)
    stage.deliver(trail.span(ACCOUNTS[:1], REGIONS[:1], days[20:25], logs=3))
    stage.job(changes={"start": "now"})
    stage.syncd("catch-up", "--from", f"{days[0]}")
    remove_everything(stage)
    missed = stage.deliver(trail.span(ACCOUNTS[:1], REGIONS[:1], days[25:30], logs=3))

    caught_up = stage.syncd("catch-up", "--json", "--from", f"{days[24]}", "--to", f"{days[24]}")
    ticked = stage.syncd("tick", "--json")

    assert (caught_up.job["copied"], ticked.job["copied"]) == (0, len(missed))
    assert stage.replica() == stage.source()


def test_another_destination_of_a_job_begins_anew(stage: Stage, now: datetime) -> None:
    keys = ticked(stage, now)
    stage.job(changes={"destination.prefix": "second/"})

    ran = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["copied"]) == (0, len(keys))
    assert stage.watched().destroyed == []


def test_the_state_is_for_its_owner_only(stage: Stage, now: datetime) -> None:
    ticked(stage, now)

    modes = {path.name: path.stat().st_mode & 0o077 for path in (stage.state, *stage.state.rglob("*"))}

    assert set(modes.values()) == {0}


def test_a_tick_that_a_full_disk_ends_tells_what_it_had_done_and_the_next_goes_on(stage: Stage, now: datetime) -> None:
    # One object: of several, those are told that had come to their end when the first were to be recorded.
    keys = stage.deliver(Trail().span(ACCOUNTS[:1], REGIONS[:1], days_before(now, 1), logs=1))
    stage.job()
    go_on = threading.Event()
    still = stage.server.faults.add("GetObject", Stall(go_on))

    with stage.start("tick", "--json") as process:
        wait_until(lambda: still.hits >= len(keys) or not process.is_alive, what="copies in flight")
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (512, resource.RLIM_INFINITY))
        go_on.set()
        full = process.ended()
    stage.server.faults.remove(still)
    healed = stage.syncd("tick", "--json")

    assert (full.code, full.job["error"]["reason"]) == (1, "disk_full")
    assert (full.job["listed"], full.job["copied"]) == (len(keys), len(keys))
    assert (healed.code, healed.job["already_there"], healed.job["failed_count"]) == (0, len(keys), 0)
    assert set(stage.watched().writes.values()) == {1}
