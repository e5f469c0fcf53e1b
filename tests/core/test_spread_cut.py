"""How a catch-up is cut: whole days, about as many objects as asked for, and nothing that ticks still list."""

from datetime import date, timedelta

import pytest
from builders_ledger import SHARD, key
from fakes import MemoryBucket, MemorySource
from hypothesis import given
from hypothesis import strategies as st

from syncd.model.keys.layout import CloudTrailLayout, FlatLayout, Layout
from syncd.model.keys.patterns import PatternLayout
from syncd.model.keys.stamps import day_start
from syncd.model.objects import Shard, ShardState, Window
from syncd.model.reports import SpreadTask, TaskState
from syncd.spread.cut import LEAST_OBJECTS, Density, last_sealed_day, parts_of, sample
from syncd.tick.task import Spread

from pace import NOON, PACE  # isort: skip

LAYOUT = CloudTrailLayout()
FIRST, LAST = "2024-01-01", "2024-03-31"
DAYS = [(date(2024, 1, 1) + timedelta(days=number)).isoformat() for number in range(91)]


def density(counts: dict[str, float]) -> Density:
    """A shard whose days are known to have so many objects."""
    made = Density(SHARD, FIRST, LAST)
    made.counted = {day: int(counts.get(day, 0)) for day in DAYS}
    return made


def source(counts: dict[str, int]) -> MemorySource:
    bucket = MemoryBucket()
    for day, count in counts.items():
        for number in range(count):
            minute = number * 1440 // count
            name = f"{minute // 60:02}{minute % 60:02}"
            bucket.put(
                key(day, f"{number:06}").replace("T0815Z", f"T{name}Z"),
                b"x",
                last_modified=day_start(day) + 60 * minute,
            )
    return MemorySource(bucket)


@given(
    st.lists(st.integers(0, 9000), min_size=len(DAYS), max_size=len(DAYS)),
    st.integers(LEAST_OBJECTS, 30_000),
)
def test_tasks_cover_every_day_once_and_none_is_below_the_least(counts: list[int], task_objects: int) -> None:
    made = density(dict(zip(DAYS, counts, strict=True)))

    spans = list(made.spans(task_objects))

    total = sum(counts)
    assert bool(spans) == (total >= LEAST_OBJECTS)
    if spans:
        covered = [day for first, last, _ in spans for day in DAYS if first <= day <= last]
        assert covered == DAYS
        assert sum(objects for *_, objects in spans) == total
        assert all(objects >= LEAST_OBJECTS for *_, objects in spans)
        assert all(objects <= task_objects + 9000 + LEAST_OBJECTS for *_, objects in spans)


def test_a_page_each_month_tells_how_dense_a_shard_is() -> None:
    bucket = source({day: 1500 if day < "2024-02-10" else 10 for day in DAYS})
    made = Density(SHARD, FIRST, LAST)

    sample([made], bucket, LAYOUT)

    estimates = dict(made.estimates())
    assert estimates["2024-01-20"] == pytest.approx(1500, rel=0.02)
    assert estimates["2024-02-20"] == pytest.approx(1500, rel=0.02)
    assert estimates["2024-03-20"] == 10
    assert made.sampled == 1000 + 1000 + 310


def test_a_sparse_shard_takes_one_page_and_an_empty_one_has_no_task() -> None:
    sparse, empty = Density(SHARD, FIRST, LAST), Density(SHARD, "2023-01-01", "2023-02-01")
    bucket = source(dict.fromkeys(DAYS, 5))

    sample([sparse], bucket, LAYOUT)
    sample([empty], bucket, LAYOUT)

    assert dict(sparse.estimates()) == dict.fromkeys(DAYS, 5.0)
    assert list(sparse.spans(2000)) == []
    assert list(empty.spans(2000)) == []


@pytest.mark.parametrize(
    ("layout", "shard", "window", "last"),
    [
        (LAYOUT, SHARD, Window("2024-01-01"), "2026-10-20"),
        (LAYOUT, SHARD, Window("2024-01-01", "2024-02-01"), "2024-02-01"),
        (FlatLayout(), Shard("logs/"), Window("2024-01-01"), None),
        (PatternLayout("%Y/%m/%d/"), Shard("logs/"), Window("2024-01-01", "2024-02-01"), "2024-02-01"),
        (PatternLayout("%Y-%m-%d/"), Shard("logs/"), Window("2024-01-01", "2024-02-01"), None),
        (
            LAYOUT,
            Shard("AWSLogs/111111111111/Config/us-east-1/", "111111111111", "Config", "us-east-1"),
            Window(FIRST),
            None,
        ),
    ],
)
def test_workers_get_only_days_that_no_tick_lists_and_that_a_row_can_hold(
    layout: Layout, shard: Shard, window: Window, last: str | None
) -> None:
    found = last_sealed_day(ShardState(shard=shard), window, layout=layout, pace=PACE, now=NOON)

    assert (found is None) == (last is None)
    if last is not None and window.last is not None:
        assert found == last
    elif found is not None:
        assert NOON - 40 * 86400 < day_start(found) < NOON - 33 * 86400


def task(first: str, last: str, state: TaskState = TaskState.OK) -> SpreadTask:
    return SpreadTask(SHARD, first, last, "", 2000, state)


@pytest.mark.parametrize(
    ("tasks", "parts"),
    [
        ([task("2024-01-01", "2024-01-31"), task("2024-02-01", "2024-02-10")], ("2024-02-11", True)),
        (
            [task("2024-02-01", "2024-02-10"), task("2024-01-01", "2024-01-31", TaskState.PARTIAL)],
            ("2024-02-11", False),
        ),
        ([task("2024-01-01", "2024-01-31"), task("2024-02-02", "2024-02-10")], None),
        ([task("2024-01-02", "2024-01-31")], None),
    ],
)
def test_a_gap_between_tasks_leaves_the_shard_to_the_owner(
    tasks: list[SpreadTask], parts: tuple[str, bool] | None
) -> None:
    found = parts_of(tasks, Window("2024-01-01"))

    assert found == ({} if parts is None else {SHARD.prefix: Spread(parts[0], is_done=parts[1])})
