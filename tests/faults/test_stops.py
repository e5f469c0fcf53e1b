"""A tick that is told to end begins nothing more, claims nothing, and is no failure; and how long any tick took."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from faulty import Call, Request
from scripted import JOB, Scripted, scripted

from syncd.model import events
from syncd.model.reports import TickReport


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Scripted]:
    with scripted(tmp_path) as found:
        yield found


def tick_stopped_at(stage: Scripted, operation: str, number: int = 1) -> TickReport:
    """A tick that is told to end while the server looks at the request of this number; all are counted anew."""
    stage.server.forget_requests()
    stage.installed.stop.clear()

    def stop(_: Request) -> None:
        if stage.server.count(operation) >= number:
            stage.installed.stop.set()

    fault = stage.server.faults.add(operation, Call(stop))
    report = stage.tick()
    stage.server.faults.remove(fault)
    return report


@pytest.mark.parametrize("operation", ["GetCallerIdentity", "AssumeRole"])
def test_a_stop_while_somebody_is_asked_who_acts_begins_no_other_request(stage: Scripted, operation: str) -> None:
    stage.put_many(3)

    stopped = tick_stopped_at(stage, operation)
    after = stage.server.requests[-1].operation
    stage.installed.stop.clear()
    rest = stage.tick()

    assert (stopped.outcome, stopped.error, stopped.complete_until) == ("interrupted", None, 0.0)
    assert after == operation
    assert (rest.outcome, rest.copied) == ("ok", 3)


def test_a_stop_at_any_listing_begins_no_other_request_and_claims_nothing(stage: Scripted) -> None:
    # Of one kind, so that one folder is listed after the other.
    stage.job = stage.installed.job(JOB, {"source.kinds": ["CloudTrail"]})
    stage.put_many(3)
    stopped: list[TickReport] = []
    begun: list[int] = []
    buckets: list[str] = []

    while (report := tick_stopped_at(stage, "ListObjectsV2", len(stopped) + 1)).outcome != "ok":
        stopped.append(report)
        begun.append(stage.server.count("ListObjectsV2"))
        buckets.append(stage.server.requests[-1].bucket)
        assert not stage.replica()

    # The accounts, the regions of one, what lies beside its dates, what the destination holds, and both side by side.
    trail, replica = stage.world.bucket, stage.destination.name
    assert buckets[:4] == [trail, trail, trail, replica]
    assert set(buckets[4:]) <= {trail, replica}
    assert begun == list(range(1, len(begun) + 1))
    assert {(one.outcome, one.error, one.complete_until) for one in stopped} == {("interrupted", None, 0.0)}
    assert report.copied == 3


def test_a_stop_after_ticks_that_claimed_leaves_the_claim_as_it_was(stage: Scripted) -> None:
    stage.put_many(3)
    before = stage.tick()

    stopped = tick_stopped_at(stage, "ListObjectsV2")

    assert stopped.outcome == "interrupted"
    assert stopped.complete_until == before.complete_until > 0


def test_the_time_that_a_tick_took_counts_from_before_the_role_was_assumed(stage: Scripted) -> None:
    stage.put_many(3)
    began_at = datetime.now(UTC).timestamp()
    clock = [began_at]
    stage.installed.clock = lambda: clock[0]
    stage.server.faults.add("AssumeRole", Call(lambda _: clock.append(clock.pop() + 5.0)), times=1)

    report = stage.tick()
    with stage.installed.installation.ledger_file.open_readonly() as reader:
        (kept,) = reader.ticks(stage.job.name, 1)
    (told,) = (facts for event, facts in stage.installed.told if event == events.TICK_FINISHED)

    assert (report.started_at, report.duration_seconds) == (began_at, 5.0)
    assert (kept.report.duration_seconds, told["duration_seconds"]) == (5.0, 5.0)
