"""The calendar of a job's page: what the ledger has of each day, and what it says of it."""

import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from builders_ledger import SHARD, copied, failed, key
from job_health import NOW, board, health
from jobs import job

from syncd.daemon.web.jobpage import job_page
from syncd.job.health.days import Day, DayState, VolumeCache, days_of, first_day
from syncd.job.health.proofs import Doubt, PlaceProof
from syncd.job.health.state import read_state
from syncd.ledger.ledger import LedgerFile, ReplicaLedger
from syncd.model.keys.stamps import day_start, utc_day
from syncd.model.objects import Outcome, ShardState
from syncd.tick.scope import replica_of

JOB = job(source__accounts=["111111111111"], verify="continuous")
TODAY = utc_day(NOW)
FROM = day_start("2026-10-05") + 3600
LISTED = ShardState(
    shard=SHARD, listed_at=NOW - 60, complete_from=FROM, complete_until=NOW - 1860, newest_arrival=NOW - 90
)
PLACE = "AWSLogs/111111111111/CloudTrail-Digest/us-east-1/"
DOUBT = Doubt(
    chain="t",
    start=day_start("2026-11-03") + 82_800,
    end=day_start("2026-11-04") + 3600,
    digest=f"{PLACE}2026/11/04/x.json.gz",
    before=None,
    problems=(),
    found_at=NOW,
    checked_at=NOW,
    is_told=True,
)


@pytest.fixture
def ledger_file(tmp_path: Path) -> LedgerFile:
    return LedgerFile(tmp_path, now=lambda: NOW)


def remember(ledger: ReplicaLedger, *outcomes: Outcome, listed: ShardState = LISTED) -> None:
    ledger.set_start(1.0)
    ledger.record(list(outcomes), [], now=NOW)
    ledger.save_shards([listed], discovered_at=NOW - 60)


def days(ledger_file: LedgerFile, volumes: VolumeCache | None = None) -> dict[str, Day]:
    with ledger_file.open_readonly() as reader:
        found = (volumes or VolumeCache()).of(JOB, reader, now=NOW)
        return {day.day.isoformat(): day for day in days_of(JOB, read_state(JOB, reader), found, now=NOW)}


def states(found: dict[str, Day]) -> dict[str, DayState]:
    return {name: day.state for name, day in found.items()}


def test_sealed_and_open_days_are_counted_alike(ledger_file: LedgerFile) -> None:
    with ledger_file.open(replica_of(JOB), JOB.name) as ledger:
        remember(ledger, *(copied(key(day, name)) for day in ("2026-10-06", "2026-11-20") for name in "abc"))
        before = days(ledger_file)
        assert ledger.seal(SHARD, "2026-11-01", limit=100)

        after = days(ledger_file)

    assert after == before
    assert [(day.objects, day.size_bytes) for day in after.values() if day.objects] == [(3, 300), (3, 300)]


def test_each_day_is_a_gap_or_complete_or_not_yet_and_says_which(ledger_file: LedgerFile) -> None:
    with ledger_file.open(replica_of(JOB), JOB.name) as ledger:
        held_back = LISTED._replace(complete_until=day_start("2026-11-10"))
        copies = [copied(key(day)) for day in ("2026-10-01", "2026-10-06")]
        remember(ledger, *copies, failed(key("2026-11-10")), listed=held_back)
        proof = PlaceProof(proved_from=FROM, proved_until=day_start("2026-11-18"), positions={}, doubts=[DOUBT])
        ledger.save_proof(PLACE, proof.to_json())

    found = days(ledger_file)

    expected = {
        **dict.fromkeys(("2026-10-01", "2026-10-04"), DayState.OUTSIDE),
        **dict.fromkeys(("2026-10-05", "2026-11-02", "2026-11-05", "2026-11-17"), DayState.PROVED),
        **dict.fromkeys(("2026-11-03", "2026-11-04", "2026-11-10"), DayState.GAP),
        **dict.fromkeys(("2026-11-18", "2026-11-23"), DayState.COMPLETE),
        TODAY: DayState.OPEN,
    }
    assert {name: states(found)[name] for name in expected} == expected
    assert (min(found), max(found)) == ("2026-10-01", TODAY)
    assert (found["2026-11-10"].missing, found["2026-11-03"].doubts, found["2026-11-10"].doubts) == (1, 1, 0)


def test_while_the_first_copy_runs_no_day_is_complete(ledger_file: LedgerFile) -> None:
    with ledger_file.open(replica_of(JOB), JOB.name) as ledger:
        remember(ledger, copied(key("2026-11-20")), copied(key("2026-11-22")), listed=ShardState(shard=SHARD))

    found = days(ledger_file)

    assert [day.state for day in found.values() if day.objects] == [DayState.OPEN] * 2
    assert {day.state for day in found.values() if not day.objects} == {DayState.OUTSIDE}


def test_the_calendar_begins_a_year_back_at_a_month_however_old_the_replica_is(ledger_file: LedgerFile) -> None:
    with ledger_file.open(replica_of(JOB), JOB.name) as ledger:
        old = LISTED._replace(complete_from=day_start("2015-01-01"))
        remember(ledger, copied(key("2015-06-01")), copied(key(TODAY)), copied(key("2027-01-01")), listed=old)

    found = days(ledger_file)

    assert (min(found), max(found)) == ("2025-11-01", TODAY)
    assert found["2025-11-01"].state is DayState.COMPLETE


def test_rows_and_stamps_of_no_day_are_shown_nowhere(ledger_file: LedgerFile) -> None:
    with ledger_file.open(replica_of(JOB), JOB.name) as ledger:
        remember(ledger, copied(key("2026-11-20")))
        with closing(sqlite3.connect(ledger_file.path)) as other, other:
            other.execute("UPDATE objects SET tail = '2026101x' || tail")
        remember(ledger, copied(key("2026-11-21")))
    with ledger_file.open_readonly() as reader:
        state = read_state(JOB, reader)
        far = state.quarantine._replace(stamps=[1e15, -1e15])
        volumes = VolumeCache().of(JOB, reader, now=NOW)
        found = days_of(JOB, state._replace(quarantine=far), volumes, now=NOW)

    assert sum(day.objects for day in found) == 1
    assert sum(day.missing for day in found) == 0


def test_keys_without_days_have_no_calendar(ledger_file: LedgerFile) -> None:
    with ledger_file.open(replica_of(JOB), JOB.name) as ledger:
        remember(ledger, copied(f"{SHARD.prefix}x.json.gz"))

    assert days(ledger_file) == {}


@pytest.mark.parametrize(
    ("now", "first"), [("2026-01-31", "2025-01-01"), ("2026-12-01", "2025-12-01"), ("2024-02-29", "2023-02-01")]
)
def test_thirteen_months_are_shown(now: str, first: str) -> None:
    assert first_day(day_start(now)) == first


def test_counting_is_not_repeated_for_fifty_times_as_long_as_it_took(
    ledger_file: LedgerFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([100.0, 101.0, 150.9, 151.1, 151.2])
    monkeypatch.setattr("syncd.job.health.days.time.monotonic", lambda: next(clock))
    volumes = VolumeCache()
    with ledger_file.open(replica_of(JOB), JOB.name) as ledger:
        remember(ledger, copied(key("2026-11-20", "a")))
        counts = [days(ledger_file, volumes)["2026-11-20"].objects]
        remember(ledger, copied(key("2026-11-20", "b")))
        counts += [days(ledger_file, volumes)["2026-11-20"].objects for _ in range(2)]

    assert counts == [1, 1, 2]


def test_the_page_says_in_words_what_a_cell_shows(ledger_file: LedgerFile) -> None:
    with ledger_file.open(replica_of(JOB), JOB.name) as ledger:
        remember(ledger, copied(key("2026-10-06")), failed(key("2026-11-10")))
    with ledger_file.open_readonly() as reader:
        page = job_page(board(health()), JOB, reader, now=NOW, volumes=VolumeCache())

    gap, day = "2026-11-10, gap: no objects, 1 missing", "2026-10-06, complete: 1 object, 100 B"
    assert page.count(f"<li>{gap}</li>") == 1
    for words in (gap, day):
        assert f'title="{words}"><span>{words}</span>' in page
    # October begins on a Thursday, and the first day shown is the 5th, a Monday.
    assert page.index("Nov 2026") < page.index("Oct 2026")
    assert 'class="day complete level0 from0" title="2026-10-05' in page
    assert date(2026, 11, 1).weekday() == 6
    assert 'class="day complete level0 from6" title="2026-11-01' in page
