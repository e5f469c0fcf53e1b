"""A job with more objects that are known and not at the destination than memory should hold stops, and goes on by itself."""

from threading import Event
from typing import Any

import pytest
from fakes import MemoryBucket, MemoryCopier, MemorySource
from fakes_ledger import MemoryLedger, MemoryLedgerFile

from syncd.model.keys.layout import CloudTrailLayout
from syncd.model.keys.trail import EVERY, Scope
from syncd.model.objects import Failed, LogObject, Replica, Shard, Transfer
from syncd.model.reports import TickReport
from syncd.tick import recorder
from syncd.tick.ports import Ports
from syncd.tick.retries import RETRIES_A_TICK
from syncd.tick.task import Pace, Task
from syncd.tick.tick import Tick

MOST_HELD = 2000
HOUR, DAY = 3600.0, 86400.0
STAMP = 1_795_503_600.0
"""Of every object."""
NOW = 1_795_507_200.0
SHARD = Shard("AWSLogs/222222222222/CloudTrail/us-east-1/", "222222222222", "CloudTrail", "us-east-1")
OTHER = Shard("AWSLogs/333333333333/CloudTrail/us-east-1/", "333333333333", "CloudTrail", "us-east-1")
EVERYTHING = Scope("", (), (EVERY,), ("CloudTrail",), (EVERY,))
PACE = Pace(
    tail=HOUR,
    recent=48 * HOUR,
    recent_every=HOUR,
    deep=11 * DAY,
    deep_every=DAY,
    discovery_every=HOUR,
    idle_every=900.0,
    lateness=1800.0,
)
REPLICA = Replica(
    source_bucket="trail",
    source_prefix="",
    destination_endpoint="",
    destination_bucket="replica",
    destination_prefix="",
)


def key(shard: Shard, number: int) -> str:
    return f"{shard.prefix}2026/11/24/{shard.account}_CloudTrail_us-east-1_20261124T0700Z_{number:016}.json.gz"


class Trail:
    """One job whose source holds objects of two accounts."""

    def __init__(self) -> None:
        self.now = NOW
        self.source, self.destination = MemoryBucket(), MemoryBucket()
        self.ledgers = MemoryLedgerFile()
        self.listed: list[str] = []
        self.told: list[str] = []
        self.fail: dict[str, str] = {}

    @property
    def ledger(self) -> MemoryLedger:
        return self.ledgers.open(REPLICA, "job")

    def put(self, shard: Shard, numbers: range, **changes: Any) -> None:
        for number in numbers:
            self.source.put(key(shard, number), b"%d" % number, last_modified=self.now - 60, **changes)

    def hold(self, count: int, reason: str) -> None:
        """Has so many objects of the source fail before, each of which is there."""
        self.put(SHARD, range(count))
        held = [Transfer(SHARD, self.source.objects[key(SHARD, n)], key(SHARD, n)) for n in range(count)]
        self.ledger.record([Failed(transfer, reason, "a detail") for transfer in held], [], now=self.now)

    def tick(self, scope: Scope = EVERYTHING) -> TickReport:
        source = MemorySource(self.source, now=lambda: self.now)
        ports = Ports(
            source=source,
            source_bucket="trail",
            destination=MemorySource(self.destination, now=lambda: self.now),
            copier=MemoryCopier(self.source, self.destination, now=lambda: self.now, fail=self.fail),
            ledger=self.ledger,
            now=lambda: self.now,
            tell=lambda event, **_: self.told.append(event),
        )
        task = Task(
            job="job",
            scope=scope,
            shard=None,
            layout=CloudTrailLayout(),
            destination_prefix="",
            pace=PACE,
            start=lambda now: now - 31 * DAY,
        )
        report = Tick(task, ports, stop=Event(), on_progress=lambda _: None).run()
        self.listed = list(source.lists)
        self.now += 300
        return report


@pytest.fixture
def trail(monkeypatch: pytest.MonkeyPatch) -> Trail:
    """A trail, and a bound that is quickly reached."""
    for module in ("tick", "recorder"):
        monkeypatch.setattr(f"syncd.tick.{module}.MOST_HELD", MOST_HELD)
    trail = Trail()
    trail.put(OTHER, range(3))
    return trail


def reason_of(report: TickReport) -> str | None:
    return report.error and report.error.reason


def test_a_tick_that_finds_too_many_objects_stops_and_the_next_one_lists_nothing(trail: Trail) -> None:
    before = trail.tick()
    trail.put(SHARD, range(MOST_HELD + 5000), storage_class="GLACIER")

    stopped, next_one = trail.tick(), trail.tick()

    assert (before.outcome, reason_of(stopped), reason_of(next_one)) == ("ok", "too_many_held", "too_many_held")
    assert MOST_HELD < trail.ledger.held_counts().objects <= MOST_HELD + 1000
    assert trail.listed == []
    assert before.complete_until > STAMP
    assert [report.complete_until for report in (stopped, next_one)] == [STAMP - 1] * 2
    assert next_one.error is not None
    assert "objects are known and not at the destination, and a job may have 2,000" in next_one.error.detail


def test_the_bound_is_what_the_manual_says() -> None:
    assert recorder.MOST_HELD == 100_000


def test_as_many_as_may_be_are_no_failure_of_the_job(trail: Trail) -> None:
    trail.put(SHARD, range(MOST_HELD), storage_class="GLACIER")

    reports = [trail.tick() for _ in range(2)]

    assert [reason_of(report) for report in reports] == [None, None]
    assert trail.ledger.held_counts().objects == MOST_HELD


def test_what_is_left_out_counts_no_more(trail: Trail) -> None:
    trail.put(SHARD, range(MOST_HELD + 1), storage_class="GLACIER")
    stopped = trail.tick()

    report = trail.tick(EVERYTHING._replace(ignore=("AWSLogs/222222222222/",)))

    assert (reason_of(stopped), report.outcome) == ("too_many_held", "ok")
    assert report.complete_until > 0
    assert set(trail.destination.objects) == {key(OTHER, number) for number in range(3)}


def test_a_job_whose_misfortune_is_over_goes_on_by_itself(trail: Trail) -> None:
    trail.hold(MOST_HELD + 1, "access_denied")

    first, second = trail.tick(), trail.tick()

    assert [reason_of(report) for report in (first, second)] == ["too_many_held", None]
    assert (first.copied, second.copied) == (MOST_HELD, 4)
    assert (first.complete_until, second.complete_until > STAMP) == (0, True)
    assert trail.ledger.held_counts().objects == 0


def test_what_is_denied_while_too_much_is_held_is_one_attempt_more(trail: Trail) -> None:
    trail.hold(MOST_HELD + 1, "access_denied")
    trail.fail = {key(SHARD, number): "access_denied" for number in range(MOST_HELD + 1)}

    report = trail.tick()

    assert (reason_of(report), report.failed_count) == ("too_many_held", RETRIES_A_TICK)
    held = trail.ledger.quarantined()
    assert sum(item.attempts == 2 for item in held.values()) == RETRIES_A_TICK
    assert len(held) == MOST_HELD + 1


def test_an_object_above_any_shard_counts_as_well(trail: Trail) -> None:
    loose = LogObject("AWSLogs/222222222222/loose", "etag", 1, NOW, "GLACIER")
    trail.hold(MOST_HELD, "archived")
    trail.source.put(loose.key, storage_class="GLACIER", last_modified=NOW)

    assert reason_of(trail.tick(EVERYTHING._replace(kinds=(EVERY,)))) == "too_many_held"
