"""How keys tell time, over every layout: no key that belongs to a listing sorts before its beginning or after its end."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncd.model.keys.layout import CloudTrailLayout, FlatLayout, Layout
from syncd.model.keys.patterns import PatternLayout
from syncd.model.keys.stamps import DAY_SECONDS, day_start, stamp_of, utc_day
from syncd.model.objects import Branch, FoundBy, LogObject, Range, Shard

ACCOUNT, REGION = "222222222222", "us-east-1"
LOGS = Shard(f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/", ACCOUNT, "CloudTrail", REGION)
DIGESTS = Shard(f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/{REGION}/", ACCOUNT, "CloudTrail-Digest", REGION)
INSIGHTS = Shard(f"AWSLogs/{ACCOUNT}/CloudTrail-Insight/{REGION}/", ACCOUNT, "CloudTrail-Insight", REGION)
WAF = Shard(f"AWSLogs/{ACCOUNT}/WAFLogs/{REGION}/acl/", ACCOUNT, "WAFLogs", REGION)
BY_KIND = Shard(f"AWSLogs/{ACCOUNT}/CloudTrail/", ACCOUNT, "CloudTrail")
DATED = Shard("flow/")

OLD, BARE = Shard("restored/2019/05/17/"), Shard("")
PATTERNS = [
    "%Y/%m/%d/",
    "%Y/%m/%d",
    "%Y/%m/%d/%H/",
    "%Y-%m-%d",
    "%Y-%m-%d-%H/",
    "%Y%m%d%H",
    "dt=%Y-%m-%d/",
    "year=%Y/month=%m/day=%d/",
    "year=%Y/month=%m/day=%d/hour=%H/",
    "%Y%m%d-",
    "%Y%m%d\u65e5",
    "%Y/%m-%d/x/",
]

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
    "x/a_\u0662\u0660\u0662\u06661124T0005Z_a.json.gz",
    f"{LOGS.prefix}2026/11/24/",
]


@pytest.mark.parametrize("key", STAMPED)
def test_the_stamp_is_the_one_in_the_file_name(key: str) -> None:
    assert stamp_of(key) == instant_of(STAMPED[key])
    assert CloudTrailLayout().stamp(LOGS, item(key, 7.0)) == instant_of(STAMPED[key])


@pytest.mark.parametrize("key", UNSTAMPED)
def test_a_key_without_a_stamp_is_told_by_its_last_modified(key: str) -> None:
    assert stamp_of(key) is None
    assert CloudTrailLayout().stamp(LOGS, item(key, 7.0)) == 7.0


@given(key=st.text())
def test_no_key_is_an_exception(key: str) -> None:
    for layout in (CloudTrailLayout(), PatternLayout("%Y/%m/%d/"), FlatLayout()):
        for shard in (LOGS, Shard("")):
            layout.stamp(shard, item(key))
            layout.day(shard, key)
            layout.day_anyhow(shard, key)
            layout.found_by(shard, key)
            layout.branches_of(shard, [key])


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
    position = CloudTrailLayout().position(BY_KIND, 1_795_507_200.0)

    assert position == f"AWSLogs/{ACCOUNT}/CloudTrail/2026/11/230"


DAYS = st.dates(date(2013, 11, 1), date(2099, 12, 31))
# Any text, and what sorts last; the key itself that a day begins with is one, too.
ANY_NAME = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=20), st.text("~\u00ff\uffff\U0010ffff/.0", max_size=8)
)
LAYOUTS: list[tuple[Layout, Shard, str]] = [
    (CloudTrailLayout(), LOGS, "%Y/%m/%d/"),
    (CloudTrailLayout(), DIGESTS, "%Y/%m/%d/"),
    (CloudTrailLayout(), WAF, "%Y/%m/%d/"),
    *((PatternLayout(pattern), shard, pattern) for pattern in PATTERNS for shard in (DATED, BARE, OLD)),
]


@pytest.mark.parametrize(("layout", "shard", "date_format"), LAYOUTS)
@given(day=DAYS, hours=st.integers(0, 23), name=ANY_NAME)
@example(day=date(2026, 12, 31), hours=23, name="\U0010ffff")
@example(day=date(2026, 2, 28), hours=0, name="")
def test_a_day_is_exactly_what_lies_between_its_position_and_its_end(
    layout: Layout, shard: Shard, date_format: str, day: date, hours: int, name: str
) -> None:
    begin = layout.position(shard, day_start(day.isoformat()) + hours * 3600, whole_day=True)
    end = layout.day_end(shard, day.isoformat())

    for away in (-31, -1, 0, 1, 31):
        other = datetime(day.year, day.month, day.day, hours, tzinfo=UTC) + timedelta(days=away)
        key = f"{shard.prefix}{other:{date_format}}{name}"
        assert layout.day(shard, key) == other.date().isoformat()
        assert (begin < key <= end) is (away == 0)
    assert layout.position(shard, day_start(day.isoformat()) + DAY_SECONDS, whole_day=True) == end
    assert shard.prefix < begin < end < layout.dates_end(shard)


@given(day=DAYS)
def test_one_day_is_what_lies_between_its_position_and_its_end(day: date) -> None:
    layout = CloudTrailLayout()
    midnight = day_start(day.isoformat())

    begin, end = layout.position(LOGS, midnight, whole_day=True), layout.day_end(LOGS, day.isoformat())

    stamps = [datetime.fromtimestamp(midnight + offset, UTC) for offset in (-60, 0, 86_340, 86_400)]
    assert [begin < log_key(stamp) <= end for stamp in stamps] == [False, True, True, False]


@given(moment=MOMENTS)
def test_the_day_of_a_key_is_its_folder(moment: datetime) -> None:
    assert CloudTrailLayout().day(LOGS, log_key(moment)) == moment.date().isoformat()
    assert CloudTrailLayout().day(DIGESTS, digest_key(moment)) == moment.date().isoformat()


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "x",
        "2026/11/24",
        "2026/1/24/x",
        "2026/11/x",
        "2026/02/30/x",
        "2026/13/01/x",
        "0000/01/01/x",
        "a/2026/11/24/x",
        "\u0662\u0660\u0662\u0666/11/24/x",
        "\u00b2026/11/24/x",
    ],
)
def test_a_key_without_a_day_folder_right_after_the_prefix_has_no_day(rest: str) -> None:
    for layout in (CloudTrailLayout(), PatternLayout("%Y/%m/%d/")):
        assert layout.day(LOGS, f"{LOGS.prefix}{rest}") == ""
        assert layout.found_by(LOGS, f"{LOGS.prefix}{rest}") is FoundBy.WHOLE


@pytest.mark.parametrize("layout", [CloudTrailLayout(), PatternLayout("%Y/%m/%d/")])
def test_a_date_in_the_prefix_is_not_the_day_of_the_key(layout: Layout) -> None:
    assert layout.day(OLD, f"{OLD.prefix}2026/11/24/x") == "2026-11-24"
    assert layout.day(OLD, f"{OLD.prefix}x") == ""
    assert layout.day_anyhow(OLD, f"{OLD.prefix}x") == ""


# What finds a key, and by which time it is searched

AT = datetime(2026, 11, 24, 8, 5, tzinfo=UTC)
STEM = f"{ACCOUNT}_CloudTrail_{REGION}_"
NAMES = st.one_of(
    ANY_NAME,
    st.builds(
        lambda name, at, end: f"{name}{at:%Y%m%dT%H%MZ}{end}",
        st.sampled_from(["", STEM, "~_", "0_"]),
        MOMENTS,
        ANY_NAME,
    ),
    st.builds(lambda at, then: f"{STEM}{at:%Y%m%dT%H%M%SZ}_{then:%Y%m%dT%H%MZ}_a", MOMENTS, MOMENTS),
    st.builds(lambda name, at: f"{STEM}{name}_{at:%Y%m%dT%H%MZ}_a", ANY_NAME, MOMENTS),
)


@pytest.mark.parametrize("shard", [LOGS, DIGESTS, INSIGHTS, WAF, BY_KIND])
@given(day=DAYS, name=NAMES, arrived=MOMENTS, earlier=st.timedeltas(timedelta(0), timedelta(days=3)))
@example(day=AT.date(), name=f"{STEM}20261124T0805Z_20261130T0000Z_x", arrived=AT, earlier=timedelta(0))
@example(day=AT.date(), name=f"{STEM}20261130T0000Z_x", arrived=AT, earlier=timedelta(0))
@example(day=AT.date(), name="no-stamp", arrived=AT + timedelta(days=90), earlier=timedelta(0))
def test_no_key_has_a_stamp_later_than_the_place_where_it_would_be_searched(
    shard: Shard, day: date, name: str, arrived: datetime, earlier: timedelta
) -> None:
    layout = CloudTrailLayout()
    key = f"{shard.prefix}{day:%Y/%m/%d}/{name}"

    stamp = layout.stamp(shard, item(key, arrived.timestamp()))

    since = stamp - earlier.total_seconds()
    if layout.found_by(shard, key) is FoundBy.TAIL:
        assert key > layout.position(shard, since)
    assert key > layout.position(shard, since, whole_day=True)


@pytest.mark.parametrize("pattern", PATTERNS)
@given(moment=MOMENTS, arrived=MOMENTS, name=ANY_NAME)
def test_no_dated_key_has_a_stamp_later_than_its_day(
    pattern: str, moment: datetime, arrived: datetime, name: str
) -> None:
    layout = PatternLayout(pattern)
    key = f"{DATED.prefix}{moment:{pattern}}{name}"

    stamp = layout.stamp(DATED, item(key, arrived.timestamp()))

    assert stamp == min(arrived.timestamp(), day_start(moment.date().isoformat()) + DAY_SECONDS - 1)
    assert key > layout.position(DATED, stamp)


FOUND_BY = [
    (LOGS, "2026/11/24/" + STEM + "20261124T0805Z_a.json.gz", FoundBy.TAIL),
    (LOGS, "2026/11/24/" + STEM + "20261124T080559Z_a.json.gz", FoundBy.TAIL),
    (LOGS, "2026/11/24/333333333333_CloudTrail_us-east-1_20261124T0805Z_a.json.gz", FoundBy.RECENT),
    (LOGS, "2026/11/24/" + STEM + "x_20261124T0805Z_a.json.gz", FoundBy.RECENT),
    (LOGS, "2026/11/24/" + STEM + "20261399T0805Z_a.json.gz", FoundBy.DEEP),
    (LOGS, "2026/11/24/" + STEM, FoundBy.DEEP),
    (LOGS, "2026/11/24/", FoundBy.DEEP),
    (LOGS, "note", FoundBy.WHOLE),
    (LOGS, "2026/2/5/" + STEM + "20260205T0805Z_a.json.gz", FoundBy.WHOLE),
    (DIGESTS, "2026/11/24/x_20261124T080559Z.json.gz", FoundBy.TAIL),
    (DIGESTS, "2026/11/24/x.json.gz", FoundBy.DEEP),
    # Without a region no listing begins inside a day.
    (BY_KIND, "2026/11/24/x_20261124T0805Z_a.json.gz", FoundBy.TAIL),
]


@pytest.mark.parametrize(("shard", "rest", "expected"), FOUND_BY)
def test_the_slowest_listing_that_is_needed_is_told(shard: Shard, rest: str, expected: FoundBy) -> None:
    assert CloudTrailLayout().found_by(shard, shard.prefix + rest) is expected


# Dated prefixes


@pytest.mark.parametrize("pattern", PATTERNS)
@given(instant=MOMENTS, later=st.timedeltas(timedelta(0), timedelta(days=400)), name=ANY_NAME)
def test_every_key_dated_at_an_instant_or_later_sorts_after_its_position(
    pattern: str, instant: datetime, later: timedelta, name: str
) -> None:
    key = f"{DATED.prefix}{instant + later:{pattern}}{name}"

    assert key > PatternLayout(pattern).position(DATED, instant.timestamp())


def test_a_dated_key_waits_for_the_deep_listing_and_any_other_for_that_of_everything() -> None:
    layout = PatternLayout("%Y/%m/%d/")

    assert layout.found_by(DATED, "flow/2026/11/24/x") is FoundBy.DEEP
    assert layout.found_by(DATED, "flow/latest.log") is FoundBy.WHOLE
    assert layout.whole(DATED) == Range(DATED, "")


@pytest.mark.parametrize("layout", [PatternLayout("%Y-%m-%d/"), PatternLayout("%Y/%m/%d/%H/"), CloudTrailLayout()])
def test_a_day_of_the_first_century_or_beyond_the_calendar_is_no_exception(layout: Layout) -> None:
    assert "0099" in layout.day_end(DATED, "0099-01-01")
    assert "9999" in layout.position(DATED, 1e15)


@pytest.mark.parametrize(
    ("pattern", "names", "others"),
    [
        ("%Y/%m/%d/", ["2026"], ["20261", "x2026", "archive", "2026-11", ""]),
        ("year=%Y/month=%m/day=%d/", ["year=2026"], ["2026", "year=x"]),
        ("%Y-%m-%d/", ["2026-11-24"], ["2026-11-24-old", "2026"]),
        ("dt.%Y-%m-%d/", ["dt.2026-11-24"], ["dtx2026-11-24"]),
        ("%Y-%m-%d", ["2026-11-24", "2026-11-24-05", "2026-11-24\n"], ["latest"]),
    ],
)
def test_the_first_folder_of_a_pattern_is_recognised(pattern: str, names: list[str], others: list[str]) -> None:
    layout = PatternLayout(pattern)

    assert [name for name in (*names, *others) if layout.is_date_folder(name)] == names


def test_a_layout_is_told_from_another_by_its_name() -> None:
    assert [layout.name for layout in (CloudTrailLayout(), FlatLayout(), PatternLayout("%Y-%m-%d/"))] == [
        "cloudtrail",
        "flat",
        "%Y-%m-%d/",
    ]


# What is a shard's own


def test_all_of_a_shard_is_what_begins_with_a_digit_since_other_folders_are_shards_of_their_own() -> None:
    whole = CloudTrailLayout().whole(WAF)

    inside = ["2026/11/24/x", "2026/2/5/x", "0", "9999"]
    outside = ["", "/x", ".x", "acl/2026/11/24/x", ":", "year=2026/x", "\u00e9"]
    assert [rest for rest in inside + outside if whole.start_after < WAF.prefix + rest < whole.until] == inside


@pytest.mark.parametrize(
    ("shard", "is_everything"),
    [
        (Shard("AWSLogs/other/"), True),
        (LOGS._replace(prefix=f"{LOGS.prefix}a/b/c/d/e/"), True),
        (LOGS._replace(prefix=f"{LOGS.prefix}a/b/c/d/"), False),
        (LOGS._replace(prefix=f"{LOGS.prefix}year="), False),
        (BY_KIND, False),
    ],
)
def test_all_of_a_folder_that_is_not_followed_is_everything(shard: Shard, *, is_everything: bool) -> None:
    assert (CloudTrailLayout().whole(shard) == Range(shard, "")) is is_everything


# Days in any form

TOLD = {
    "2026/02/05/x": "2026-02-05",
    "2026/2/5/ConfigHistory/x": "2026-02-05",
    "year=2026/month=2/day=5/hour=3/x": "2026-02-05",
    "dt=2026-02-05/x": "2026-02-05",
    "2026-02-05-13/Broker-1_13-05_a.log.gz": "2026-02-05",
    "a/b/2026-02-05": "2026-02-05",
    "export/2026-02-05.csv": "2026-02-05",
    "a/2019/01/02/again/2026/02/05/x": "2026-02-05",
    # Folders tell more than names.
    "2026/2/5/2026-02-06.csv": "2026-02-05",
    "2026/02/30/x": "",
    "2026/02/x": "",
    "x-2026-02-05.csv": "",
    "12026/02/05/x": "",
    "2026-02-051": "",
    "\u0662\u0660\u0662\u0666/02/05/x": "",
    "": "",
}


@pytest.mark.parametrize("rest", TOLD)
@pytest.mark.parametrize("layout", [CloudTrailLayout(), PatternLayout("%Y%m%d")])
def test_the_day_is_told_in_any_form(layout: Layout, rest: str) -> None:
    assert layout.day_anyhow(OLD, OLD.prefix + rest) == TOLD[rest]


def test_the_layouts_own_day_comes_first() -> None:
    key = f"{LOGS.prefix}2026/11/24/2026/11/25/x"

    assert CloudTrailLayout().day_anyhow(LOGS, key) == "2026-11-24"


def branches(*rests: str) -> list[Branch]:
    return CloudTrailLayout().branches_of(WAF, [WAF.prefix + rest for rest in rests])


def test_branches_are_told_by_folder_and_form_the_newest_first() -> None:
    assert branches("a/2026/02/05/x", "b/2026-03-05/x", "b/2026-03-06/y", "2025/2/5/x", "note") == [
        Branch("b/", "%Y-%m-%d/"),
        Branch("a/", "%Y/%m/%d/"),
        Branch("", "%Y/%-m/%-d/"),
    ]


def test_days_that_are_written_alike_in_both_forms_are_taken_for_both_unless_another_key_tells() -> None:
    both = [Branch("", "%Y/%m/%d/"), Branch("", "%Y/%-m/%-d/")]

    assert branches("2026/11/24/x") == both
    assert branches("2026/11/24/x", "2026/11/5/x") == both[1:]
    assert branches("2026/2/24/x", "2026/11/24/x") == both[1:]
    assert branches("2026/11/24/x", "2026/11/05/x") == both[:1]
    assert set(branches("2026/11/5/x", "2026/11/05/x")) == set(both)


def test_branches_of_earlier_keys_tell_what_later_ones_do_not() -> None:
    layout = CloudTrailLayout()
    padded, bare, other = Branch("", "%Y/%m/%d/"), Branch("", "%Y/%-m/%-d/"), Branch("a/", "%Y-%m-%d/")
    either, told = f"{WAF.prefix}2026/11/24/x", f"{WAF.prefix}2026/2/5/x"

    assert layout.branches_of(WAF, [either], [other, bare]) == [bare, other]
    assert layout.branches_of(WAF, [either], [padded, bare]) == [padded, bare]
    assert layout.branches_of(WAF, [told], [padded, bare, other]) == [bare, other]
    assert layout.branches_of(WAF, [told], [padded]) == [bare, padded]
    assert layout.branches_of(WAF, [], [other]) == [other]
    assert len(layout.branches_of(WAF, [told], [Branch(f"{number}/", "%Y-%m-%d/") for number in range(16)])) == 16


def test_no_more_than_a_few_branches_are_remembered() -> None:
    found = branches(*(f"{number:03}/2026-01-{number % 28 + 1:02}/x" for number in range(100)))

    assert len(found) == 16
    assert found[0].prefix in {"027/", "055/", "083/"}


FORMS = [
    "%Y/%m/%d/",
    "%Y/%-m/%-d/",
    "%Y-%m-%d",
    "%Y-%m-%d/",
    "%Y-%m-%d-",
    "dt=%Y-%m-%d/",
    "year=%Y/month=%m/day=%d/",
    "year=%Y/month=%-m/day=%-d/",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("folder", ["", "acl/2019/"])
@given(since=MOMENTS, span=st.timedeltas(timedelta(0), timedelta(days=60)), name=ANY_NAME, data=st.data())
def test_the_ranges_of_a_branch_cover_its_days_up_to_tomorrow(
    form: str, folder: str, since: datetime, span: timedelta, name: str, data: st.DataObject
) -> None:
    now = since + span
    ranges = CloudTrailLayout().branch_ranges(WAF, Branch(folder, form), since.timestamp(), now.timestamp())
    whole = data.draw(st.integers(0, (now.date() - since.date()).days + 1))

    def is_listed(day: date) -> bool:
        text = form.replace("%-m", str(day.month)).replace("%-d", str(day.day))
        key = f"{WAF.prefix}{folder}{day:{text}}{name}"
        return any(item.start_after < key <= item.until for item in ranges)

    assert is_listed(since.date() + timedelta(days=whole))
    if len(ranges) > 1 or "%-" not in form:
        assert not is_listed(since.date() - timedelta(days=1))
        assert not is_listed(now.date() + timedelta(days=2))
    assert len(ranges) == 1 or "%-" in form
    assert len(ranges) <= 41


def test_the_day_folder_is_not_named_barely_as_a_start_since_some_servers_would_skip_it() -> None:
    ranges = CloudTrailLayout().branch_ranges(
        WAF, Branch("", "%Y/%-m/%-d/"), instant_of("2026-02-09"), instant_of("2026-02-10")
    )

    assert [(item.start_after, item.until) for item in ranges] == [
        (f"{WAF.prefix}2026/2/8:", f"{WAF.prefix}2026/2/90"),
        (f"{WAF.prefix}2026/2/1/" + 16 * "\U0010ffff", f"{WAF.prefix}2026/2/100"),
        (f"{WAF.prefix}2026/2/10:", f"{WAF.prefix}2026/2/110"),
    ]


# Flat


def test_a_flat_prefix_is_listed_whole_and_told_by_last_modified() -> None:
    layout = FlatLayout()

    assert (layout.position(DATED, 1e9), layout.day_end(DATED, "2026-11-24"), layout.dates_end(DATED)) == ("", "", "")
    assert (layout.day(DATED, "flow/2026/11/24/x"), layout.whole(DATED)) == ("", Range(DATED, ""))
    assert layout.stamp(DATED, item("x_20261124T0005Z_a", 5.0)) == 5.0
    assert layout.found_by(DATED, "anything") is FoundBy.TAIL


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
