"""How a tick ends: which object holds a horizon, what is sealed, and which folders are told of. All numbers are literal."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from builders_ledger import replica
from fakes import MemoryBucket, MemoryCopier, MemorySource
from fakes_ledger import MemoryLedger, MemoryLedgerFile

from syncd.model.keys.layout import CloudTrailLayout, FlatLayout, Layout
from syncd.model.keys.stamps import day_start
from syncd.model.keys.trail import Scope
from syncd.model.objects import Copied, Failed, LogObject, Range, Shard, ShardState, Transfer, Window
from syncd.tick.closing import _extended, close
from syncd.tick.listing import sealing
from syncd.tick.listing.horizon import Listed
from syncd.tick.listing.survey import Survey, Visit
from syncd.tick.listing.tiers import Slice, Tier
from syncd.tick.ports import Ports
from syncd.tick.task import Pace, Task

P = "AWSLogs/222222222222/CloudTrail/"
SHARD = Shard(P + "us-east-1/", "222222222222", "CloudTrail", "us-east-1")
OTHER = Shard(P + "eu-west-1/", "222222222222", "CloudTrail", "eu-west-1")
EVERYTHING = Scope("", (), ("*",), ("*",), ("*",))
HOUR, DAY = 3600.0, 86400.0
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC).timestamp()
MONTH_AGO = NOON - 31 * DAY
PACE = Pace(
    tail=HOUR,
    recent=48 * HOUR,
    recent_every=HOUR,
    deep=33 * DAY,
    deep_every=DAY,
    discovery_every=HOUR,
    idle_every=900.0,
    lateness=1800.0,
)


def named(stamp: str, shard: Shard = SHARD) -> str:
    name = f"222222222222_CloudTrail_{shard.region}_{stamp}_AbCdEfGhIjKlMnOp.json.gz"
    return f"{shard.prefix}{stamp[:4]}/{stamp[4:6]}/{stamp[6:8]}/{name}"


class Close:
    """A tick at one o'clock; its shards were listed to their ends an hour before."""

    def __init__(self, *, scope: Scope | None = EVERYTHING, layout: Layout | None = None) -> None:
        self.scope, self.layout = scope, layout or CloudTrailLayout()
        self.ledger: MemoryLedger = MemoryLedgerFile().open(replica(), "job")
        self.survey = Survey(discovered_at=NOON + HOUR, start=MONTH_AGO)
        self.told: list[tuple[str, object]] = []

    def shard(self, shard: Shard = SHARD, *, listed_at: float = NOON, ended: bool = True, visited: bool = True) -> None:
        state = ShardState(
            shard=shard,
            layout=self.layout.name,
            frontier=listed_at,
            listed_at=listed_at,
            recent_at=listed_at,
            deep_at=listed_at,
            deep_done_at=listed_at,
            complete_from=MONTH_AGO if listed_at else 0.0,
            complete_until=max(0.0, listed_at - 1800),
            newest_arrival=listed_at,
        )
        if listed_at:
            self.ledger.save_shards([state], discovered_at=NOON)
        if not visited:
            return
        wanted = Slice(Tier.TAIL if listed_at else Tier.FIRST, Range(shard, ""))
        listed = {wanted.range: Listed(wanted, NOON + HOUR, is_whole=True, newest_arrival=NOON)} if ended else {}
        self.survey.visits[shard.prefix] = Visit(state, slices=[wanted], listed=listed)

    def held(self, stamp: str, shard: Shard = SHARD) -> str:
        item = LogObject(named(stamp, shard), "e", 1, NOON)
        self.ledger.record([Failed(Transfer(shard, item, item.key), "access_denied", "no")], [], now=NOON)
        return item.key

    def copied(self, *stamps: str, shard: Shard = SHARD) -> None:
        items = [LogObject(named(stamp, shard), "e", 1, NOON) for stamp in stamps]
        self.ledger.record([Copied(Transfer(shard, item, item.key), "r") for item in items], [], now=NOON)

    def close(self, *, is_whole: bool = True, window: Window | None = None) -> tuple[float, float]:
        task = Task(
            job="job",
            scope=self.scope,
            shard=None if self.scope else SHARD,
            layout=self.layout,
            destination_prefix="",
            pace=PACE,
            start=lambda now: now,
            window=window,
        )
        ports = Ports(
            source=MemorySource(MemoryBucket()),
            source_bucket="trail",
            destination=MemorySource(MemoryBucket()),
            copier=MemoryCopier(MemoryBucket(), MemoryBucket()),
            ledger=self.ledger,
            now=lambda: NOON + HOUR,
            tell=lambda event, **facts: self.told.append((event, facts.get("key") or facts.get("count"))),
        )
        return close(task, ports, self.survey, began_at=NOON + HOUR, is_whole=is_whole)

    def sealed(self, shard: Shard = SHARD) -> list[str]:
        return sorted(self.ledger.sealed(shard, "0000-00-00", "9999-99-99"))


# Discovery


@pytest.mark.parametrize(("is_listed", "discovered_at"), [(True, NOON + HOUR), (False, NOON)])
def test_a_shard_that_was_found_anew_holds_discovery_until_it_is_listed_to_its_end(
    *, is_listed: bool, discovered_at: float
) -> None:
    tick = Close()
    tick.shard()
    tick.shard(OTHER, listed_at=0.0, ended=is_listed)
    tick.close()

    assert tick.ledger.discovered_at() == discovered_at


def test_a_shard_that_was_listed_before_does_not_hold_discovery() -> None:
    tick = Close()
    tick.shard(ended=False)
    tick.close()

    assert tick.ledger.discovered_at() == NOON + HOUR


@pytest.mark.parametrize(("ahead", "complete_until"), [(600, NOON + HOUR - 1800), (601, 0.0)])
def test_a_discovery_of_ten_minutes_ahead_counts_and_a_later_one_was_a_wrong_clocks(
    ahead: int, complete_until: float
) -> None:
    tick = Close()
    tick.shard()
    tick.survey.discovered_at = NOON + HOUR + ahead

    assert tick.close()[1] == complete_until


def test_a_shard_that_the_job_does_not_want_holds_nothing() -> None:
    tick = Close(scope=None)
    tick.shard()
    tick.shard(OTHER, listed_at=NOON - 9 * DAY, visited=False)

    assert tick.close() == (MONTH_AGO, NOON + HOUR - 1800)


@pytest.mark.parametrize(
    ("is_whole", "window", "told", "kept"),
    [
        (True, None, [("source.uncovered", 2)], ["AWSLogs/a/", "AWSLogs/b/"]),
        (False, None, [], []),
        (True, Window("2026-11-01", None), [], []),
    ],
)
def test_folders_that_are_not_covered_are_told_of_by_a_tick_that_came_to_its_end(
    *, is_whole: bool, window: Window | None, told: Sequence[tuple[str, int]], kept: Sequence[str]
) -> None:
    tick = Close()
    tick.shard()
    tick.survey.uncovered = ["AWSLogs/a/", "AWSLogs/b/"]
    tick.close(is_whole=is_whole, window=window)

    assert (tick.told, sorted(tick.ledger.uncovered())) == (told, kept)


# What a catch-up adds


@pytest.mark.parametrize(
    ("complete_from", "expected"),
    [("2026-11-10", "2026-11-01"), ("2026-11-11", "2026-11-01"), ("2026-11-12", None), ("2026-11-01", None)],
)
def test_a_catch_up_meets_what_is_complete_to_the_second(complete_from: str, expected: str | None) -> None:
    before = ShardState(shard=SHARD, listed_at=NOON, complete_from=day_start(complete_from))
    after = _extended(before, Window("2026-11-01", "2026-11-10"), [], NOON)

    begin = day_start(expected) if expected else None
    assert (after.complete_from if after else None) == begin


# Which object holds a horizon


def test_the_oldest_object_within_what_is_complete_is_named() -> None:
    tick = Close()
    tick.shard()
    tick.held("20261020T0000Z")
    oldest = tick.held("20261120T0010Z")
    tick.held("20261121T0000Z")

    assert tick.close()[1] == datetime(2026, 11, 20, 0, 10, tzinfo=UTC).timestamp() - 1
    assert tick.told == [("horizon.held", oldest)]


def test_an_object_of_the_first_second_of_what_is_complete_holds_the_horizon() -> None:
    tick = Close()
    tick.shard()
    first = tick.held("20261024T1200Z")

    assert tick.close()[1] == MONTH_AGO - 1
    assert tick.told == [("horizon.held", first)]


@pytest.mark.parametrize("stamp", ["20261124T1255Z", "20261001T0000Z"])
def test_an_object_that_is_newer_or_older_than_what_is_claimed_holds_no_horizon(stamp: str) -> None:
    tick = Close()
    tick.shard()
    tick.held(stamp)

    assert tick.close() == (MONTH_AGO, NOON + HOUR - 1800)
    assert tick.told == []


def test_twenty_held_shards_are_named() -> None:
    tick = Close()
    for number in range(22):
        shard = Shard(f"{P}r-{number:02}/", "222222222222", "CloudTrail", f"r-{number:02}")
        tick.shard(shard)
        tick.held("20261120T0000Z", shard)
    tick.close()

    assert [event for event, _ in tick.told] == ["horizon.held"] * 20


# What is sealed

OLD = ("20261001T0000Z", "20261001T0005Z", "20261002T0000Z")


def test_days_that_no_listing_reaches_are_sealed() -> None:
    tick = Close()
    tick.shard()
    # Deep reaches 33 days back from noon, and a day more is left: 21 October is the first that is remembered.
    tick.copied(*OLD, "20261020T2355Z", "20261021T0000Z")
    tick.close()

    assert tick.sealed() == ["2026-10-01", "2026-10-02", "2026-10-20"]


def test_of_a_shard_that_is_not_visited_nothing_is_sealed() -> None:
    tick = Close()
    tick.shard()
    tick.survey.visits[SHARD.prefix].slices = []
    tick.shard(OTHER, visited=False)
    tick.copied(*OLD)
    tick.copied(*OLD, shard=OTHER)
    tick.close()

    assert (tick.sealed(), tick.sealed(OTHER)) == ([], [])


def test_what_tells_no_days_is_not_sealed() -> None:
    tick = Close(layout=FlatLayout())
    tick.shard()
    tick.copied(*OLD)
    tick.close()

    assert tick.sealed() == []


def test_a_tick_seals_no_more_than_it_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "SEAL_ROWS_A_TICK", 3)
    tick = Close()
    for shard in (OTHER, SHARD):
        tick.shard(shard)
        tick.copied(*OLD, shard=shard)
    tick.close()

    assert sorted([tick.sealed(OTHER), tick.sealed()]) == [[], ["2026-10-01", "2026-10-02"]]
