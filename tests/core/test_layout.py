"""How keys tell time, over every layout: no key that belongs to a listing sorts before its beginning or after its end."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncd.layout import CloudTrailLayout, FlatLayout, Layout, PatternLayout, day_start, stamp_of, utc_day
from syncd.model import LogObject, Shard

ACCOUNT, REGION = "222222222222", "us-east-1"
LOGS = Shard(f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/", ACCOUNT, "CloudTrail", REGION)
DIGESTS = Shard(f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/{REGION}/", ACCOUNT, "CloudTrail-Digest", REGION)
INSIGHTS = Shard(f"AWSLogs/{ACCOUNT}/CloudTrail-Insight/{REGION}/", ACCOUNT, "CloudTrail-Insight", REGION)
LOOSE = Shard("AWSLogs/", "", "", "")
DATED = Shard("flow/")

MOMENTS = st.datetimes(datetime(2013, 11, 1), datetime(2099, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
SUFFIXES = st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", min_size=16, max_size=16)


def log_key(stamp: datetime, suffix: str = "Nhqj9FkbGG4lwk1x", shard: Shard = LOGS) -> str:
    name = f"{shard.account}_{shard.kind}_{shard.region}_{stamp:%Y%m%dT%H%MZ}_{suffix}.json.gz"
    return f"{shard.prefix}{stamp:%Y/%m/%d}/{name}"


def digest_key(stamp: datetime, trail: str = "management-events", tail: str = "") -> str:
    name = f"{ACCOUNT}_CloudTrail-Digest_{REGION}_{trail}_us-east-1_{stamp:%Y%m%dT%H%M%SZ}{tail}.json.gz"
    return f"{DIGESTS.prefix}{stamp:%Y/%m/%d}/{name}"


def item(key: str, last_modified: float = 0.0) -> LogObject:
    return LogObject(key, "e", 1, last_modified)


def instant_of(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


# Stamps

STAMPED = {
    log_key(datetime(2026, 11, 24, 0, 5, tzinfo=UTC)): "2026-11-24T00:05:00",
    digest_key(datetime(2026, 11, 24, 23, 59, 58, tzinfo=UTC)): "2026-11-24T23:59:58",
    digest_key(datetime(2026, 11, 24, 1, 2, 3, tzinfo=UTC), tail="_backfill"): "2026-11-24T01:02:03",
    digest_key(datetime(2026, 11, 24, 1, 2, 3, tzinfo=UTC), trail="a_b.c-d_1"): "2026-11-24T01:02:03",
    digest_key(datetime(2026, 11, 24, 1, 2, 3, tzinfo=UTC), trail="t_20200101T0000Z_x"): "2026-11-24T01:02:03",
    "x/111122223333_CloudTrail_us-east-2_20140324T1255ZHdkvFTXOA3Vnhbc.json.gz": "2014-03-24T12:55:00",
    "x/111122223333_CloudTrail-Insight_us-east-2_20240229T2359Z_abc.json.gz": "2024-02-29T23:59:00",
    "222222222222_vpcflowlogs_us-east-1_fl-1234_20261124T0005Z_d4e1.log.gz": "2026-11-24T00:05:00",
}
UNSTAMPED = [
    "",
    "log.json.gz",
    "x/20261124T0005Z_a.json.gz",
    "x/a_20261124T0005_a.json.gz",
    "x/a_20261324T0005Z_a.json.gz",
    "x/a_20260230T0005Z_a.json.gz",
    "x/a_20261124T2405Z_a.json.gz",
    "x/a_20261124T0060Z_a.json.gz",
    "x/a_00000000T0000Z_a.json.gz",
    "x/a_20261124T0005Z_a/log.json.gz",
    "x/a_2026-11-24T00:05Z_a.json.gz",
    f"{LOGS.prefix}2026/11/24/",
]


@pytest.mark.parametrize("key", STAMPED)
def test_the_stamp_is_the_one_in_the_file_name(key: str) -> None:
    assert stamp_of(key) == instant_of(STAMPED[key])
    assert CloudTrailLayout().stamp(item(key, 7.0)) == instant_of(STAMPED[key])
    assert CloudTrailLayout().is_parsed(key)


@pytest.mark.parametrize("key", UNSTAMPED)
def test_a_key_without_a_stamp_is_told_by_its_last_modified(key: str) -> None:
    assert stamp_of(key) is None
    assert CloudTrailLayout().stamp(item(key, 7.0)) == 7.0
    assert not CloudTrailLayout().is_parsed(key)


@given(key=st.text())
def test_no_key_is_an_exception(key: str) -> None:
    for layout in (CloudTrailLayout(), PatternLayout("%Y/%m/%d/"), FlatLayout()):
        layout.stamp(item(key))
        layout.is_parsed(key)
        layout.day(key)


# Where a listing begins and ends


@given(instant=MOMENTS, later=st.timedeltas(timedelta(0), timedelta(days=400)), suffix=SUFFIXES)
@example(instant=datetime(2026, 11, 24, 8, 5, 59, tzinfo=UTC), later=timedelta(0), suffix="0" * 16)
def test_every_log_stamped_at_an_instant_or_later_sorts_after_its_position(
    instant: datetime, later: timedelta, suffix: str
) -> None:
    # A log's stamp is a whole minute: the first at or after the instant.
    stamp = instant + later + timedelta(minutes=1)
    stamp = stamp.replace(second=0, microsecond=0) if instant.second or instant.microsecond else instant + later
    key = log_key(stamp, suffix)

    layout = CloudTrailLayout()

    for whole_day in (False, True):
        assert key > layout.position(LOGS, instant.timestamp(), whole_day=whole_day)


@given(
    instant=MOMENTS, later=st.timedeltas(timedelta(0), timedelta(days=400)), trail=st.sampled_from(["t", "zz_z", "A"])
)
def test_every_digest_stamped_at_an_instant_or_later_sorts_after_its_position(
    instant: datetime, later: timedelta, trail: str
) -> None:
    key = digest_key(instant + later, trail)

    assert key > CloudTrailLayout().position(DIGESTS, instant.timestamp())


@given(instant=MOMENTS, name=st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1))
def test_whatever_lies_in_the_day_folder_of_an_instant_sorts_after_the_position_of_its_whole_day(
    instant: datetime, name: str
) -> None:
    layout = CloudTrailLayout()

    for shard in (LOGS, DIGESTS, INSIGHTS):
        key = f"{shard.prefix}{instant:%Y/%m/%d}/{name}"
        assert key > layout.position(shard, instant.timestamp(), whole_day=True)


@given(instant=MOMENTS)
def test_a_position_inside_a_day_leaves_out_what_is_stamped_a_minute_before(instant: datetime) -> None:
    earlier = log_key(instant - timedelta(minutes=1), "z" * 16)

    assert earlier < CloudTrailLayout().position(LOGS, instant.timestamp())


@given(instant=MOMENTS)
def test_the_position_of_a_whole_day_leaves_out_the_day_before(instant: datetime) -> None:
    day_before = instant - timedelta(days=1)

    for shard, key in ((LOGS, log_key(day_before)), (DIGESTS, digest_key(day_before))):
        assert key < CloudTrailLayout().position(shard, instant.timestamp(), whole_day=True)


@given(earlier=MOMENTS, later=MOMENTS)
def test_positions_follow_time(earlier: datetime, later: datetime) -> None:
    first, second = sorted((earlier.timestamp(), later.timestamp()))

    for layout in (CloudTrailLayout(), PatternLayout("%Y/%m/%d/"), FlatLayout()):
        for shard in (LOGS, DIGESTS, DATED):
            assert layout.position(shard, first) <= layout.position(shard, second)


@pytest.mark.parametrize("layout", [CloudTrailLayout(), PatternLayout("%Y/%m/%d/"), FlatLayout()])
@pytest.mark.parametrize("instant", [0.0, -1.0])
def test_the_position_of_no_instant_is_the_beginning(layout: Layout, instant: float) -> None:
    assert layout.position(LOGS, instant) == ""


def test_a_shard_without_a_region_is_listed_by_whole_days() -> None:
    position = CloudTrailLayout().position(Shard("AWSLogs/1/CloudTrail/", ACCOUNT, "CloudTrail", ""), 1_795_507_200.0)

    assert position == "AWSLogs/1/CloudTrail/2026/11/23/~"


DAYS = st.dates(date(2013, 11, 1), date(2099, 12, 31))
ANY_NAME = st.text(st.characters(codec="utf-8"), max_size=20)


@given(day=DAYS, name=ANY_NAME)
def test_a_day_ends_after_all_of_its_keys_and_before_those_of_the_next(day: date, name: str) -> None:
    layout = CloudTrailLayout()
    following = day + timedelta(days=1)

    end = layout.day_end(LOGS, day.isoformat())

    assert f"{LOGS.prefix}{day:%Y/%m/%d}/{name}" < end < f"{LOGS.prefix}{following:%Y/%m/%d}/{name}"


@given(day=DAYS)
def test_one_day_is_what_lies_between_its_position_and_its_end(day: date) -> None:
    layout = CloudTrailLayout()
    midnight = day_start(day.isoformat())

    begin, end = layout.position(LOGS, midnight, whole_day=True), layout.day_end(LOGS, day.isoformat())

    stamps = [datetime.fromtimestamp(midnight + offset, UTC) for offset in (-60, 0, 86_340, 86_400)]
    assert [begin < log_key(stamp) <= end for stamp in stamps] == [False, True, True, False]


@given(moment=MOMENTS)
def test_the_day_of_a_key_is_its_folder(moment: datetime) -> None:
    assert CloudTrailLayout().day(log_key(moment)) == moment.date().isoformat()
    assert CloudTrailLayout().day(digest_key(moment)) == moment.date().isoformat()


@pytest.mark.parametrize("key", ["", "AWSLogs/x", "2026/11/24", "AWSLogs/2026/1/24/x", "AWSLogs/2026/11/x"])
def test_a_key_without_a_day_folder_has_no_day(key: str) -> None:
    assert CloudTrailLayout().day(key) == ""


def test_the_day_is_that_of_the_last_folder_where_the_trails_prefix_looks_like_one() -> None:
    key = f"archive/2020/01/02/{log_key(datetime(2026, 11, 24, tzinfo=UTC))}"

    assert CloudTrailLayout().day(key) == "2026-11-24"


# Dated prefixes

PATTERNS = [
    "%Y/%m/%d/",
    "%Y/%m/%d/%H/",
    "%Y-%m-%d",
    "dt=%Y-%m-%d/",
    "year=%Y/month=%m/day=%d/",
    "%Y%m%d-",
    "%Y/%m-%d/x/",
]
DATED_NAMES = st.text(st.characters(codec="ascii", min_codepoint=0x20, exclude_characters="~"), max_size=12)


def dated_key(pattern: str, moment: datetime, name: str) -> str:
    return f"{DATED.prefix}{moment:{pattern}}{name}"


@pytest.mark.parametrize("pattern", PATTERNS)
@given(instant=MOMENTS, later=st.timedeltas(timedelta(0), timedelta(days=400)), name=DATED_NAMES)
def test_every_key_dated_at_an_instant_or_later_sorts_after_its_position(
    pattern: str, instant: datetime, later: timedelta, name: str
) -> None:
    layout = PatternLayout(pattern)

    assert dated_key(pattern, instant + later, name) > layout.position(DATED, instant.timestamp())


@pytest.mark.parametrize("pattern", PATTERNS)
@given(day=DAYS, hour=st.integers(0, 23), name=DATED_NAMES)
def test_a_dated_day_ends_after_its_keys_and_before_those_of_the_next(
    pattern: str, day: date, hour: int, name: str
) -> None:
    moment = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)

    end = PatternLayout(pattern).day_end(DATED, day.isoformat())

    assert dated_key(pattern, moment, name) < end < dated_key(pattern, moment + timedelta(days=1), name)


@pytest.mark.parametrize("pattern", PATTERNS)
@given(moment=MOMENTS)
def test_a_dated_key_tells_its_day_and_bears_its_last_modified(pattern: str, moment: datetime) -> None:
    layout = PatternLayout(pattern)
    key = dated_key(pattern, moment, "x.log")

    assert layout.day(key) == moment.date().isoformat()
    assert layout.is_parsed(key)
    assert layout.stamp(item(key, 5.0)) == 5.0


def test_a_key_outside_the_pattern_is_not_parsed_and_has_no_day() -> None:
    layout = PatternLayout("%Y/%m/%d/")

    assert not layout.is_parsed("flow/latest.log")
    assert layout.day("flow/latest.log") == ""


# Flat


def test_a_flat_prefix_is_listed_whole_and_told_by_last_modified() -> None:
    layout = FlatLayout()

    assert (layout.position(DATED, 1e9), layout.day_end(DATED, "2026-11-24"), layout.day("2026/11/24/x")) == (
        "",
        "",
        "",
    )
    assert (layout.stamp(item("x_20261124T0005Z_a", 5.0)), layout.is_parsed("anything")) == (5.0, True)


# Days


@given(moment=MOMENTS)
def test_the_day_of_an_instant_begins_at_midnight(moment: datetime) -> None:
    day = utc_day(moment.timestamp())

    assert day_start(day) <= moment.timestamp() < day_start(day) + 86_400
    assert utc_day(day_start(day)) == day


@pytest.mark.parametrize("day", ["2026-02-30", "2026-13-01", "today", ""])
def test_what_is_no_day_has_no_beginning(day: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        day_start(day)
