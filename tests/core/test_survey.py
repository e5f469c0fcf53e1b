"""What a tick looks at, of a state that may be lost, wrong or of another job."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from builders_ledger import replica
from fakes import MemoryBucket, MemoryCopier, MemorySource
from fakes_ledger import MemoryLedger, MemoryLedgerFile

from syncd.job.planning import ForgivingLister
from syncd.model.errors import JobFailed
from syncd.model.keys.layout import CloudTrailLayout
from syncd.model.keys.patterns import PatternLayout
from syncd.model.keys.trail import Scope
from syncd.model.objects import FoundBy, Range, Shard, ShardState, Window
from syncd.tick.listing.survey import Survey, is_in_window, survey
from syncd.tick.listing.tiers import Tier
from syncd.tick.ports import Ports
from syncd.tick.task import Pace, Task

A, B = "111111111111", "222222222222"
PREFIX = f"AWSLogs/{A}/CloudTrail/us-east-1/"
SHARD = Shard(PREFIX, A, "CloudTrail", "us-east-1")
DATED = Shard("elb/")
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


def log(stamp: str, *, account: str = A, region: str = "us-east-1") -> str:
    folder = f"AWSLogs/{account}/CloudTrail/{region}/{stamp[:4]}/{stamp[4:6]}/{stamp[6:8]}/"
    return f"{folder}{account}_CloudTrail_{region}_{stamp}_AbCdEfGhIjKlMnOp.json.gz"


class Desk:
    """Two buckets, a ledger, and what was told."""

    def __init__(self, source: Iterable[str] = (log("20261124T1155Z"),), replicas: Iterable[str] = ()) -> None:
        self.source, self.destination = MemoryBucket(), MemoryBucket()
        for key in source:
            self.source.put(key, last_modified=NOON - 60)
        for key in replicas:
            self.destination.put(f"copy/{key}", last_modified=NOON - 60)
        self.file = MemoryLedgerFile()
        self.ledger: MemoryLedger = self.file.open(replica(), "job")
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.is_denied = False

    def refuse(self, _prefix: str, _page: int) -> JobFailed | None:
        return JobFailed("access_denied", "ListObjectsV2", "") if self.is_denied else None

    def survey(self, *, began_at: float = NOON, ago: float | None = 31 * DAY, **more: Any) -> Survey:
        def tell(event: str, **facts: Any) -> None:
            self.told.append((event, facts))

        task: dict[str, Any] = {
            "job": "job",
            "scope": Scope("", (), ("*",), ("*",), ("*",)),
            "shard": None,
            "layout": CloudTrailLayout(),
            "destination_prefix": "copy/",
            "pace": PACE,
            "start": lambda now: 0.0 if ago is None else now - ago,
            "was_here": self.ledger.ran_here(),
        }
        ports = Ports(
            source=MemorySource(self.source),
            source_bucket="trail",
            destination=ForgivingLister(MemorySource(self.destination, refuse=self.refuse), tell),
            copier=MemoryCopier(self.source, self.destination),
            ledger=self.ledger,
            now=lambda: began_at,
            tell=tell,
        )
        return survey(Task(**{**task, **more}), ports, began_at=began_at)

    def events(self) -> list[str]:
        return [event for event, _ in self.told]


def state(**changes: Any) -> ShardState:
    every: dict[str, Any] = {
        "shard": SHARD,
        "layout": "cloudtrail",
        "frontier": NOON - HOUR,
        "listed_at": NOON - HOUR,
        "recent_at": NOON - HOUR,
        "deep_at": NOON - HOUR,
        "deep_done_at": NOON - HOUR,
    }
    return ShardState(**{**every, **changes})


# The job's start


def test_the_start_is_fixed_by_the_first_tick() -> None:
    desk = Desk()

    assert desk.survey().start == MONTH_AGO
    assert desk.survey(began_at=NOON + 9 * DAY).start == MONTH_AGO
    assert desk.ledger.start() == MONTH_AGO


def test_a_start_of_the_future_was_fixed_by_a_clock_that_ran_ahead() -> None:
    desk = Desk()
    desk.survey(began_at=NOON + 90 * DAY)

    assert desk.survey().start == MONTH_AGO
    assert desk.ledger.start() == MONTH_AGO


def test_a_start_that_the_job_itself_sets_in_the_future_stands() -> None:
    desk = Desk()

    assert desk.survey(ago=-90 * DAY).start == NOON + 90 * DAY
    assert desk.survey(ago=-90 * DAY).start == NOON + 90 * DAY


def test_the_start_of_a_state_that_was_lost_is_no_later_than_its_oldest_replica() -> None:
    desk = Desk(replicas=[log("20260901T0000Z"), log("20261120T0000Z")])

    assert desk.survey(was_here=True).start == datetime(2026, 9, 1, tzinfo=UTC).timestamp()


def test_the_start_of_a_state_that_was_lost_is_no_later_than_a_new_one_would_be() -> None:
    desk = Desk(replicas=[log("20261120T0000Z")])

    assert desk.survey(was_here=True).start == MONTH_AGO


def test_a_start_that_is_reckoned_from_now_goes_on_where_the_replica_ends() -> None:
    desk = Desk(replicas=[log("20261101T0000Z"), log("20261110T0000Z")])

    assert desk.survey(ago=1.0).start == datetime(2026, 11, 10, tzinfo=UTC).timestamp()


def test_a_start_from_the_beginning_asks_the_destination_nothing() -> None:
    desk = Desk(replicas=[log("20261110T0000Z")])
    desk.is_denied = True

    assert desk.survey(ago=None).start == 0.0
    assert desk.events() == []


def test_a_destination_that_may_not_be_listed_tells_nothing_of_the_start() -> None:
    desk = Desk(replicas=[log("20261110T0000Z")])
    desk.is_denied = True

    assert desk.survey(ago=1.0).start == NOON - 1


def test_a_catch_up_fixes_the_start_only_if_nothing_was_written_before() -> None:
    filled, bare = Desk(replicas=[log("20261110T0000Z")]), Desk()

    assert (filled.survey(window=Window()).start, filled.ledger.start()) == (MONTH_AGO, None)
    assert (bare.survey(window=Window()).start, bare.ledger.start()) == (MONTH_AGO, MONTH_AGO)


def test_a_clock_from_before_this_program_fails_the_job() -> None:
    with pytest.raises(JobFailed, match="1970-01-01"):
        Desk().survey(began_at=5000.0)


# The states


def test_a_shard_that_is_known_is_looked_at_from_its_last_look() -> None:
    desk = Desk()
    desk.ledger.save_shards([state()])

    visit = desk.survey().visits[PREFIX]

    assert visit.state == state()
    assert [item.tier for item in visit.slices] == [Tier.RECENT]


def test_a_shard_whose_cursor_a_clock_ahead_has_left_begins_again_and_says_so() -> None:
    desk = Desk()
    desk.ledger.save_shards([state(listed_at=NOON + DAY)])

    visit = desk.survey().visits[PREFIX]

    assert visit.state == ShardState(shard=SHARD, layout="cloudtrail")
    assert [item.tier for item in visit.slices] == [Tier.FIRST]
    assert desk.events() == ["shard.restarted"]


def test_a_shard_whose_cursor_is_a_minute_ahead_goes_on() -> None:
    desk = Desk()
    desk.ledger.save_shards([state(listed_at=NOON + 60)])

    assert desk.survey().visits[PREFIX].state.listed_at == NOON
    assert desk.events() == []


@pytest.mark.parametrize(
    ("layout", "restarted"), [("%Y/%m/%d/", True), ("cloudtrail", False), ("?", False), ("", False)]
)
def test_cursors_mean_something_only_with_the_layout_that_they_were_made_for(layout: str, *, restarted: bool) -> None:
    desk = Desk()
    desk.ledger.save_shards([state(layout=layout)])

    visit = desk.survey().visits[PREFIX]

    assert (visit.state == ShardState(shard=SHARD)) is restarted
    assert desk.events() == ["shard.restarted"] * restarted


def test_a_shard_that_left_the_job_is_not_visited_and_one_whose_folder_has_gone_is() -> None:
    desk = Desk()
    desk.ledger.save_shards([state(), state(shard=Shard(log("20261124T1155Z", account=B)[:53], B, "CloudTrail", "x"))])
    gone = Shard(f"AWSLogs/{A}/CloudTrail/eu-west-1/", A, "CloudTrail", "eu-west-1")
    desk.ledger.save_shards([state(shard=gone)])

    found = desk.survey(scope=Scope("", (), (A,), ("*",), ("*",)))

    assert set(found.visits) == {PREFIX, gone.prefix}


def test_a_catch_up_of_some_accounts_and_regions_visits_no_other() -> None:
    keys = [log("20261124T1155Z", account=a, region=r) for a in (A, B) for r in ("us-east-1", "eu-west-1")]

    found = Desk(keys).survey(window=Window("2026-11-01", None), accounts=(B,), regions=("eu-west-1",))

    (visit,) = found.visits.values()
    assert (visit.state.shard.account, visit.state.shard.region) == (B, "eu-west-1")
    assert [(item.tier, item.range.start_after) for item in visit.slices] == [
        (Tier.WINDOW, f"AWSLogs/{B}/CloudTrail/eu-west-1/2026/10/310")
    ]


def test_a_catch_up_lists_a_shard_of_no_grammar_whole() -> None:
    desk = Desk()
    desk.ledger.save_shards([state(found_by=FoundBy.WHOLE)])

    (item,) = desk.survey(window=Window("2026-11-01", None)).visits[PREFIX].slices

    assert item.range == CloudTrailLayout().whole(SHARD)


# Discovery


def test_everything_was_found_when_the_stalest_folder_was_looked_at() -> None:
    assert Desk().survey().discovered_at == NOON


def test_the_horizon_waits_for_folders_that_are_not_covered() -> None:
    found = Desk([log("20261124T1155Z"), "AWSLogs/of-another-tool/x"]).survey(
        scope=Scope("", (), ("*",), ("CloudTrail",), ("*",))
    )

    assert (found.uncovered, found.discovered_at) == (["AWSLogs/of-another-tool/"], None)


def test_a_catch_up_says_nothing_of_discovery() -> None:
    assert Desk().survey(window=Window()).discovered_at is None


def scoped(*accounts: str, regions: tuple[str, ...] = ("*",), kinds: tuple[str, ...] = ("*",)) -> Scope:
    return Scope("", (), accounts or ("*",), kinds, regions)


def test_what_was_found_for_a_job_of_fewer_accounts_says_nothing_of_the_others() -> None:
    desk = Desk()
    desk.survey(scope=scoped(A))
    desk.ledger.save_shards([], discovered_at=NOON)

    desk.survey(began_at=NOON + 60)

    assert desk.ledger.discovered_at() == 0.0


def test_an_account_that_left_the_job_and_came_back_was_last_looked_for_before_it_left() -> None:
    desk = Desk()
    desk.survey()
    desk.survey(scope=scoped(A), began_at=NOON + 9 * DAY)
    desk.ledger.save_shards([], discovered_at=NOON + 9 * DAY)

    desk.survey(began_at=NOON + 10 * DAY)

    assert desk.ledger.discovered_at() == NOON


@pytest.mark.parametrize("window", [None, Window("2026-11-01", None)])
def test_that_is_noticed_by_a_catch_up_too(window: Window | None) -> None:
    desk = Desk()
    desk.survey(scope=scoped(A))
    desk.ledger.save_shards([], discovered_at=NOON)

    desk.survey(began_at=NOON + 60, window=window)

    assert desk.ledger.discovered_at() == 0.0


def test_a_shard_that_is_named_in_full_and_was_never_listed_was_not_found() -> None:
    desk = Desk()
    named = {"kinds": ("CloudTrail",), "regions": ("us-east-1",)}
    desk.ledger.save_shards([state()], discovered_at=NOON)
    desk.survey(scope=scoped(A, **named))
    assert desk.ledger.discovered_at() == NOON

    desk.survey(scope=scoped(A, **{**named, "regions": ("us-east-1", "eu-west-1")}))

    assert desk.ledger.discovered_at() == 0.0


def test_a_job_that_is_not_edited_keeps_what_it_found() -> None:
    desk = Desk()
    for hours in range(30):
        found = desk.survey(began_at=NOON + hours * HOUR)
        desk.ledger.save_shards([], discovered_at=found.discovered_at)
        desk.source.put(log("20261124T1155Z", account=f"{hours:012}"))

        assert desk.ledger.discovered_at() == NOON + hours * HOUR


# A dated prefix


def dated(desk: Desk, **more: Any) -> Survey:
    return desk.survey(scope=None, shard=DATED, layout=PatternLayout("%Y/%m/%d/"), **more)


def test_a_dated_prefix_with_folders_beside_its_dates_is_listed_whole() -> None:
    desk = Desk(["elb/2026/11/24/x", "elb/manifests/x"])
    desk.ledger.save_shards([state(shard=DATED, layout="%Y/%m/%d/")])

    visit = dated(desk).visits["elb/"]

    assert (visit.state.found_by, visit.state.deep_done_at) == (FoundBy.WHOLE, 0.0)
    assert [(item.tier, item.range) for item in visit.slices] == [(Tier.WHOLE, Range(DATED, ""))]


def test_a_dated_prefix_is_asked_for_such_folders_once_in_a_while() -> None:
    desk = Desk(["elb/2026/11/24/x", "elb/manifests/x"])
    before = state(shard=DATED, layout="%Y/%m/%d/", recent_at=NOON - 60)
    desk.ledger.save_shards([before])

    assert dated(desk).visits["elb/"].state == before


def test_ignored_folders_beside_dates_are_none() -> None:
    desk = Desk(["elb/2026/11/24/x", "elb/manifests/x"])

    assert dated(desk, ignore=("elb/manifests/",)).visits["elb/"].state == ShardState(shard=DATED)


# Windows


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (Window("2026-11-10", "2026-11-12"), [False, True, True, True, False]),
        (Window("2026-11-10", None), [False, True, True, True, True]),
        (Window(None, "2026-11-12"), [True, True, True, True, False]),
        (Window(), [True] * 5),
    ],
)
def test_both_ends_of_a_window_belong_to_it(window: Window, expected: list[bool]) -> None:
    days = [f"2026-11-{day:02}" for day in (9, 10, 11, 12, 13)]

    assert [is_in_window(day, window) for day in days] == expected
