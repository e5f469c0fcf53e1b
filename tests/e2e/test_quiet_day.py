"""What a day of ticks asks of S3 when nothing is new, counted at the server: it does not grow with the history."""

from pathlib import Path

import pytest
from history import LISTS, History
from quiet_day import ALLOWED_BESIDE, DEEP_MARGIN, QuietDay, most_lists, quiet_day

TICKS = 48
ACCOUNTS = 2


@pytest.fixture(scope="module")
def small(_aws_environment: None, tmp_path_factory: pytest.TempPathFactory) -> QuietDay:
    """Ten thousand objects, all of them within the deep tier."""
    history = History(young=10_000, accounts=ACCOUNTS)
    return quiet_day(history, tmp_path_factory.mktemp("small"), ticks=TICKS)


@pytest.fixture(scope="module")
def dense(_aws_environment: None, tmp_path_factory: pytest.TempPathFactory) -> QuietDay:
    """Four times as many in the same days."""
    history = History(young=40_000, accounts=ACCOUNTS)
    return quiet_day(history, tmp_path_factory.mktemp("dense"), ticks=TICKS)


@pytest.mark.parametrize("history", ["small", "dense"])
def test_a_quiet_day_takes_a_list_a_shard_and_tick_one_per_thousand_recent_and_deep_keys_and_discovery(
    history: str, request: pytest.FixtureRequest
) -> None:
    day: QuietDay = request.getfixturevalue(history)

    most = most_lists(day.history, day.ticks)

    assert {kind: day.asked[kind] for kind in LISTS if day.asked[kind] > most[kind]} == {}


def test_a_quiet_day_asks_for_nothing_else_but_the_role(dense: QuietDay) -> None:
    assert dense.others.keys() <= ALLOWED_BESIDE
    assert dense.others["AssumeRole"] == dense.ticks


def test_a_quiet_day_leaves_out_no_shard_in_any_tick_and_no_deep_key(dense: QuietDay) -> None:
    shards, most = len(dense.history.shards), most_lists(dense.history, dense.ticks)

    assert dense.asked["tail"] + dense.asked["recent"] >= shards * dense.ticks
    assert dense.asked["deep"] >= most["deep"] - (1 + DEEP_MARGIN) * shards


def test_ticks_report_what_the_server_was_asked(dense: QuietDay) -> None:
    assert dense.reported == {"ListObjectsV2": dense.lists, **dense.others}


def test_history_beyond_deep_costs_a_quiet_day_no_request(small: QuietDay, tmp_path: Path) -> None:
    history = History(young=10_000, older=50_000, accounts=ACCOUNTS)

    day = quiet_day(history, tmp_path, ticks=TICKS)

    # Sealed days are looked at once a week, at the destination.
    sealed = day.history.objects // 1000 + 2 * len(day.history.shards)
    assert day.asked["destination"] - small.asked["destination"] <= sealed
    at_source = [kind for kind in LISTS if kind != "destination"]
    assert {kind: day.asked[kind] for kind in at_source} == {kind: small.asked[kind] for kind in at_source}
