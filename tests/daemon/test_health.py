"""How a job stands, in sentences and in JSON."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from time import monotonic

import pytest
from job_health import NOW, REFUSED, SHARD, board, health, held, late, report
from jobs import configuration, job

from syncd.daemon.ticks.pauses import Pauses
from syncd.daemon.web.gauges import Gauges
from syncd.daemon.web.jobpage import job_page
from syncd.daemon.web.metrics import Metrics
from syncd.job.health.days import VolumeCache
from syncd.job.health.freshness import Deadline, Lags
from syncd.job.health.health import JobHealth, is_fresh, late_reasons, objective_document, read_health
from syncd.job.health.status import status_document
from syncd.job.held_list import held_entries, write_held
from syncd.ledger.ledger import LedgerFile, ReplicaLedger
from syncd.model import reasons
from syncd.model.objects import Copied, Failed, LogObject, ShardState, Transfer
from syncd.model.reports import JobError
from syncd.tick.scope import replica_of

JOB = job(source__accounts=["222222222222"])


@pytest.fixture
def ledger_file(tmp_path: Path) -> LedgerFile:
    return LedgerFile(tmp_path, now=lambda: NOW)


@pytest.fixture
def ledger(ledger_file: LedgerFile) -> Iterator[ReplicaLedger]:
    with ledger_file.open(replica_of(JOB), JOB.name) as ledger:
        ledger.set_start(1.0)
        yield ledger


def read(ledger_file: LedgerFile) -> JobHealth:
    with ledger_file.open_readonly() as reader:
        return read_health(JOB, reader, now=NOW)


def parsed(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()


def test_a_job_that_never_ticked_has_nothing_to_show(ledger_file: LedgerFile) -> None:
    found = read(ledger_file)

    assert (found.last, found.shards, found.complete_until) == (None, 0, 0.0)
    assert late_reasons(found, NOW)[0] == "it has never ticked"


def test_a_job_is_read_from_its_shards_its_ticks_and_its_quarantine(
    ledger_file: LedgerFile, ledger: ReplicaLedger
) -> None:
    other = SHARD._replace(prefix=SHARD.prefix.replace("222222222222", "333333333333"), account="333333333333")
    mine = ShardState(shard=SHARD, listed_at=NOW - 60, complete_until=NOW - 1860, newest_arrival=NOW - 90)
    ledger.save_shards([mine, ShardState(shard=other)], discovered_at=NOW - 60)
    item = LogObject(SHARD.prefix + "2026/11/24/x.json.gz", "etag", 10, NOW - 500)
    ledger.record([Failed(Transfer(SHARD, item, item.key), "access_denied", "no")], [], now=NOW)
    ledger.record_tick(report(copied=4, lags={"60": 4}, worst_lag_seconds=50.0), kind="tick")
    ledger.record_tick(report(copied=9), kind="catch-up")

    found = read(ledger_file)

    assert found.last == report(copied=4, lags={"60": 4}, worst_lag_seconds=50.0)
    assert [pulse.copied for pulse in found.pulses] == [4]
    assert (found.shards, found.complete_until, found.kinds) == (1, NOW - 1860, {"CloudTrail": NOW - 1860})
    assert (found.held, found.held_reasons) == (1, {"access_denied": 1})
    assert found.deadline == Deadline(NOW - 60 + 900, SHARD)
    assert (found.lags.objects, found.lags.p99) == (4, 50.0)


def test_what_was_copied_since_is_no_longer_held(ledger_file: LedgerFile, ledger: ReplicaLedger) -> None:
    item = LogObject(SHARD.prefix + "2026/11/24/x.json.gz", "etag", 10, NOW - 500)
    transfer = Transfer(SHARD, item, item.key)
    ledger.record([Failed(transfer, "access_denied", "no")], [], now=NOW)
    ledger.record([Copied(transfer)], [], now=NOW)

    assert read(ledger_file).oldest_held is None


def test_every_view_of_a_job_leaves_out_what_its_narrowed_scope_excludes(
    ledger_file: LedgerFile, tmp_path: Path
) -> None:
    """The job copied account 333333333333 too, before source.accounts was narrowed to 222222222222."""
    excluded = SHARD._replace(prefix=SHARD.prefix.replace("222222222222", "333333333333"), account="333333333333")
    with ledger_file.open(replica_of(JOB), JOB.name) as ledger:
        ledger.set_start(1.0)
        for shard in (SHARD, excluded):
            item = LogObject(f"{shard.prefix}2026/11/24/x.json.gz", "etag", 10, NOW - 500)
            ledger.record([Failed(Transfer(shard, item, item.key), "access_denied", "no")], [], now=NOW)
        state = ShardState(shard=SHARD, listed_at=NOW - 60, complete_until=NOW - 1860, newest_arrival=NOW - 90)
        ledger.save_shards([state, ShardState(shard=excluded)], discovered_at=NOW - 60)
    given = configuration(tmp_path, JOB)

    health = read(ledger_file)
    (status,) = status_document(given, given.jobs, now=NOW)["jobs"]
    listed = [entry["key"] for _, entry in held_entries([JOB], ledger_file)]
    written: list[str] = []
    write_held([JOB], ledger_file, written.append, {})
    with ledger_file.open_readonly() as reader:
        page = job_page(board(health), JOB, reader, now=NOW, volumes=VolumeCache())
    metrics = Metrics(lambda: Gauges(now=NOW, healths=[health])).exposition().decode()

    key = f"{SHARD.prefix}2026/11/24/x.json.gz"
    assert (health.held, status["quarantine"]["count"], listed) == (1, 1, [key])
    assert [item["key"] for item in json.loads("".join(written))["jobs"][0]["objects"]] == [key]
    assert re.search(r'syncd_quarantined_objects\{[^}]*reason="access_denied"[^}]*\} 1\.0', metrics)
    assert (key in page, "333333333333" in page) == (True, False)
    assert health.complete_until == parsed(status["complete_until"]) == NOW - 1860


def test_an_unusual_number_of_kinds_is_lumped_together(ledger_file: LedgerFile, ledger: ReplicaLedger) -> None:
    every = job(source__accounts=["222222222222"], source__kinds="*")
    states = [
        ShardState(
            shard=SHARD._replace(prefix=SHARD.prefix.replace("CloudTrail", f"Kind{number}"), kind=f"Kind{number}")
        )
        for number in range(40)
    ]
    ledger.save_shards(states, discovered_at=NOW)

    with ledger_file.open_readonly() as reader:
        found = read_health(every, reader, now=NOW)

    assert found.shards == 40
    assert len(found.kinds) == 13


def test_a_job_grows_late_by_itself() -> None:
    at = health().deadline.at

    assert is_fresh(health(), NOW)
    assert late_reasons(health(), NOW) == []
    assert not is_fresh(health(), at + 1)


def test_a_late_job_names_its_horizon_its_objective_and_the_shard() -> None:
    (reason,) = late_reasons(late(), NOW)

    assert "2h30m ago" in reason
    assert "15m beyond 30m" in reason
    assert SHARD.prefix in reason


def test_a_late_job_whose_tick_failed_says_why_and_what_to_do() -> None:
    why = late_reasons(late(last=report(outcome="failed", error=REFUSED)), NOW)

    assert why[1:] == [
        "its last tick failed: access_denied: AssumeRole by x of y: AccessDenied: no",
        "what to do: mend <the> policy",
    ]


def test_a_late_job_names_what_is_missing_what_was_answered_and_what_to_do() -> None:
    why = late_reasons(late(held=1, oldest_held=held()), NOW)

    assert why[1:] == [
        f"1 object is known and not at the destination: {held().object.key} (kms_access_denied: GetObject: 403)",
        f"what to do: {reasons.remedy_of('kms_access_denied')}",
    ]


def test_one_remedy_is_told_once() -> None:
    error = JobError(reason="slow_down", detail="GetObject: 503", remedy=reasons.remedy_of("slow_down"))

    why = late_reasons(late(last=report(error=error), held=2, oldest_held=held("slow_down")), NOW)

    assert sum(sentence.startswith("what to do") for sentence in why) == 1


def test_a_job_that_has_not_ticked_for_long_says_so_though_its_horizon_is_young() -> None:
    why = late_reasons(health(last=report(started_at=NOW - 2000)), NOW)

    assert why == ["its last tick ended 33m18s ago, and one is due every 5m"]


@pytest.mark.parametrize(("began_at", "now"), [(NOW, 978_307_200.0), (978_307_200.0, NOW)])
def test_a_clock_that_says_2001_tells_no_lateness(began_at: float, now: float) -> None:
    """In the daemon whose clock it is, and in a `status` after it was set right."""
    error = JobError(reason="clock_skewed", detail="this machine's clock says 2001-01-01", remedy="set the clock")
    why = late_reasons(health(last=report(started_at=began_at, error=error), complete_until=0.0), now)

    assert why == [
        "it is not known how late it is, since this machine's clock is wrong",
        "its last tick failed: clock_skewed: this machine's clock says 2001-01-01",
        "what to do: set the clock",
    ]


def test_a_job_that_is_paused_says_so() -> None:
    pauses = Pauses(monotonic=monotonic)
    pauses.pause("account-b", REFUSED, period=300.0)

    (found,) = board(late(), health("account-c"), pauses=pauses).late()

    assert found.job == "account-b"
    assert "it is paused, since its role was refused once" in found.why[-1]


def test_the_objective_is_told_with_its_percentiles() -> None:
    lags = Lags(since=NOW - 3600, objects=1000, copied_late=3, worst=1000.0, p50=30.0, p95=60.0, p99=300.0)

    document = objective_document(health(lags=lags), NOW)

    assert (document["objective"], document["within_objective"]) == ("met", 0.997)
    assert (document["lag_seconds_p99"], document["lag_seconds_worst"]) == (300.0, 1000.0)
    assert objective_document(late(), NOW)["objective"] == "missed"
