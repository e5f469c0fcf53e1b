"""`plan` and `status` look, and touch nothing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from builders import ACCOUNTS, REGIONS, Trail, days_before
from faulty import Status, on
from stage import Stage
from waiting import wait_until

WRITES = ("PutObject", "CopyObject", "DeleteObject", "CreateMultipartUpload", "GetObject")


def delivered(stage: Stage, now: datetime, *, days: int = 2, logs: int = 10) -> list[str]:
    return stage.deliver(Trail().span(ACCOUNTS[:2], REGIONS[:2], days_before(now, days), logs=logs))


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Everything in a folder, content and time of change, without what SQLite makes for any reader."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith("-shm") and path.stat().st_size
    }


def fresh(now: datetime, count: int) -> list[datetime]:
    return [now.replace(second=0) - timedelta(minutes=5 + number) for number in range(count)]


def test_a_plan_of_a_new_job_counts_what_a_tick_would_copy_and_changes_nothing(stage: Stage, now: datetime) -> None:
    keys = delivered(stage, now)
    stage.job()

    plan = stage.syncd("plan", "--json")
    planned_requests = stage.requests(*WRITES)
    state_after = stage.state.exists() and any(stage.state.iterdir())
    ticked = stage.syncd("tick", "--json")

    assert (plan.code, plan.job["objects"], planned_requests, state_after) == (0, len(keys), 0, False)
    assert plan.job["bytes"] == ticked.job["copied_bytes"]
    assert ticked.job["copied"] == len(keys)


def test_a_plan_after_a_tick_counts_what_is_new_and_leaves_the_state_as_it_is(stage: Stage, now: datetime) -> None:
    delivered(stage, now)
    stage.job()
    stage.syncd("tick")
    new = stage.deliver(Trail().log(ACCOUNTS[0], REGIONS[0], stamp) for stamp in fresh(now, 3))
    before = files(stage.state)
    stage.server.forget_requests()

    plan = stage.syncd("plan", "--json")

    assert (plan.code, plan.job["objects"], plan.job["outcome"]) == (0, len(new), "ok")
    assert stage.requests(*WRITES) == 0
    assert files(stage.state) == before


def test_a_plan_of_a_catch_up_counts_its_window(stage: Stage, now: datetime) -> None:
    delivered(stage, now, days=4, logs=5)
    stage.job(changes={"start": "1d"})
    days = days_before(now, 4)
    window = ("--from", f"{days[0]}", "--to", f"{days[1]}")

    plan = stage.syncd("plan", "--json", *window)
    caught_up = stage.syncd("catch-up", "--json", *window)
    again = stage.syncd("plan", "--json", *window)

    assert (plan.code, plan.job["objects"]) == (0, 2 * 2 * 2 * 5)
    assert caught_up.job["copied"] == plan.job["objects"]
    assert (again.job["objects"], again.job["bytes"]) == (0, 0)


def test_a_plan_that_cannot_be_made_fails_with_the_reason(stage: Stage) -> None:
    stage.job(changes={"source.role.external_id": "wrong"})

    plan = stage.syncd("plan", "--json")

    assert (plan.code, plan.job["outcome"], plan.job["error"]["reason"]) == (1, "failed", "access_denied")


def test_a_job_that_has_never_ticked_is_not_healthy(stage: Stage) -> None:
    stage.job()

    status = stage.syncd("status", "--json")

    assert (status.code, status.job["healthy"], status.job["last_tick"]) == (4, False, None)
    assert status.job["why"]
    assert stage.server.requests == ()
    assert not stage.state.exists()


def test_a_job_that_has_just_ticked_is_healthy(stage: Stage, now: datetime) -> None:
    delivered(stage, now)
    stage.job()
    ticked = stage.syncd("tick", "--json")
    before = files(stage.state)
    stage.server.forget_requests()

    status = stage.syncd("status", "--json")

    assert (status.code, status.job["healthy"], status.job["why"]) == (0, True, [])
    assert status.job["complete_until"] == ticked.job["complete_until"]
    assert status.job["quarantine"]["count"] == 0
    assert stage.server.requests == ()
    assert files(stage.state) == before


def test_a_job_whose_objective_has_passed_is_stale(stage: Stage, now: datetime) -> None:
    delivered(stage, now)
    stage.job(changes={"every": "1s", "objective": "1s", "lateness": "0s"})
    stage.syncd("tick")
    ticked = datetime.now(UTC)
    wait_until(lambda: datetime.now(UTC) > ticked + timedelta(seconds=4), what="the end of the objective")

    status = stage.syncd("status", "--json")

    assert (status.code, status.job["healthy"]) == (4, False)
    assert "last tick" in " ".join(status.job["why"])


def test_a_job_with_a_failed_object_is_not_healthy_and_names_it(stage: Stage, now: datetime) -> None:
    keys = delivered(stage, now)
    stage.server.faults.add(on("GetObject", key=keys[5]), Status(403, "AccessDenied"))
    stage.job()
    stage.syncd("tick")

    status = stage.syncd("status", "--json")

    (held,) = status.job["quarantine"]["objects"]
    assert (status.code, held["key"], held["reason"], held["attempts"]) == (4, keys[5], "access_denied", 1)


def test_status_for_people_says_what_was_answered_about_a_failed_object_and_what_to_do(
    stage: Stage, now: datetime
) -> None:
    keys = delivered(stage, now)
    stage.server.faults.add(on("GetObject", key=keys[5]), Status(403, "AccessDenied"))
    stage.job()
    stage.syncd("tick")

    status = stage.syncd("status")

    assert f"1 object is known and not at the destination: {keys[5]} (access_denied: GetObject by arn:" in status.stdout
    assert "→ add the missing permission" in status.stdout


def test_a_job_whose_tick_failed_is_not_healthy_though_its_last_good_one_is_young(stage: Stage, now: datetime) -> None:
    delivered(stage, now)
    stage.job()
    stage.syncd("tick")
    stage.server.faults.add("AssumeRole", Status(403, "AccessDenied"))
    stage.syncd("tick")

    status = stage.syncd("status", "--json")

    assert status.code == 4
    assert "access_denied" in " ".join(status.job["why"])


def test_one_unhealthy_job_of_two_is_enough(stage: Stage, now: datetime) -> None:
    stage.deliver([Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=20))])
    stage.job("account-b")
    stage.job("account-c")
    stage.syncd("tick", "account-b")

    both = stage.syncd("status", "--json")
    one = stage.syncd("status", "--json", "account-b")

    assert (both.code, one.code) == (4, 0)


def test_nothing_is_cut_off_in_a_pipe(stage: Stage) -> None:
    name = "a-customers-long-name-and-that-of-the-region-that-it-lives-in"
    stage.job("account-b", {"name": name})

    status = stage.syncd("status")

    assert name in status.stdout


def test_status_for_people_names_the_job_and_what_is_wrong(stage: Stage) -> None:
    stage.job()

    status = stage.syncd("status")

    assert status.code == 4
    assert "account-z" in status.stdout
    assert "never ticked" in " ".join(status.stdout.split())
