"""What a tick relies on in its ledger: one suite over the ledger on disk and the one in memory.

Each test opens the ledger again before it looks, so that what it sees was remembered and not merely held.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from builders_ledger import MD5, NOW, SHARD, conflict, copied, failed, key, log_object, replica, shard, transfer
from fakes_ledger import MemoryLedger, MemoryLedgerFile

from syncd.ledger import Ledger, LedgerFile
from syncd.ledger_rows import MOST_CHILDREN, SealedObject, fold_day, replica_digest
from syncd.model import AlreadyThere, Branch, Failed, FoundBy, HeldCounts, Known, Replica, Shard, ShardState

REPLICA, OTHER_REPLICA = replica("example-b-logs"), replica("example-c-logs")
OTHER_SHARD = shard("eu-west-1")
FLAT = Shard("logs/")


class Files(NamedTuple):
    """One of the two kinds of ledger."""

    open: Callable[[Replica, str], Ledger | MemoryLedger]
    lose: Callable[[], None]
    """Loses everything but what was decided."""


@pytest.fixture(params=["disk", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    if request.param == "disk":
        file = LedgerFile(tmp_path, now=lambda: NOW)
        return Files(file.open, file.path.unlink)
    memory = MemoryLedgerFile()
    return Files(memory.open, memory.lose)


@pytest.fixture
def reopened(files: Files) -> Callable[[], Ledger | MemoryLedger]:
    return lambda: files.open(REPLICA, "b")


Reopened = Callable[[], Ledger | MemoryLedger]


A, B, C, D = (
    key(day, name) for day, name in (("2026-11-24", "A"), ("2026-11-24", "B"), ("2026-11-25", "C"), ("2026-11-26", "D"))
)


def test_a_replica_was_filled_from_here_once_an_earlier_process_has_fixed_its_start(reopened: Reopened) -> None:
    with reopened() as ledger:
        before = ledger.ran_here()
        ledger.set_start(NOW)
        meanwhile = ledger.ran_here()

    with reopened() as ledger:
        assert (before, meanwhile, ledger.ran_here()) == (False, False, True)


def test_objects_without_a_start_do_not_tell_that_it_ran_here(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([copied(A)], [], now=NOW)

    with reopened() as ledger:
        assert not ledger.ran_here()


def test_the_start_is_none_until_it_is_fixed(reopened: Reopened) -> None:
    with reopened() as ledger:
        assert ledger.start() is None


@pytest.mark.parametrize("instants", [(1000, 2000), (2000, 1000), (1000, 1000)])
def test_the_earliest_start_stays(reopened: Reopened, instants: tuple[float, ...]) -> None:
    for instant in instants:
        with reopened() as ledger:
            ledger.set_start(instant)

    with reopened() as ledger:
        assert ledger.start() == 1000


def test_the_mode_verdict_is_kept_with_its_reason(reopened: Reopened) -> None:
    with reopened() as ledger:
        before = ledger.mode_verdict()
        ledger.set_mode_verdict("server-side", "the role may write")
        ledger.set_mode_verdict("stream", "CopyObject answered 403")

    with reopened() as ledger:
        assert (before, ledger.mode_verdict()) == (None, ("stream", "CopyObject answered 403"))


def test_replicas_do_not_see_each_other(files: Files) -> None:
    with files.open(REPLICA, "b") as ledger:
        ledger.set_start(1000)
        ledger.record([copied(A), failed(B)], [], now=NOW, lateness={300: 1})
        ledger.save_shards([ShardState(shard=SHARD)], discovered_at=NOW)
        ledger.save_looked_at({"AWSLogs/": (NOW, ())})

    with files.open(OTHER_REPLICA, "c") as ledger:
        assert not ledger.ran_here()
        assert (ledger.start(), ledger.discovered_at()) == (None, 0.0)
        assert (ledger.shards(), ledger.looked_at(), ledger.known(SHARD, [A])) == ({}, {}, {})
        assert (ledger.quarantined(), ledger.lateness()) == ({}, {})


def test_a_replica_keeps_its_rows_when_the_job_is_renamed(files: Files) -> None:
    with files.open(REPLICA, "b") as ledger:
        ledger.set_start(1000)
        ledger.record([copied(A)], [], now=NOW)

    with files.open(REPLICA, "renamed") as ledger:
        ledger.record([copied(B)], [], now=NOW)
        assert ledger.start() == 1000
        assert ledger.known(SHARD, [A, B]).keys() == {A, B}


def written(files: Files, place: Replica, job: str) -> Replica | None:
    """Has a job write a place; where it was before."""
    with files.open(place, job) as ledger:
        before = ledger.move()
        ledger.set_start(NOW)
    return before


def test_a_job_of_another_place_than_before_has_moved_and_is_told_once(files: Files) -> None:
    first = written(files, REPLICA, "b")

    assert first is None
    assert written(files, OTHER_REPLICA, "b") == REPLICA
    assert written(files, OTHER_REPLICA, "b") is None


def test_a_job_that_moves_back_has_moved(files: Files) -> None:
    for place in (REPLICA, OTHER_REPLICA):
        written(files, place, "b")

    assert written(files, REPLICA, "b") == OTHER_REPLICA


def test_a_move_is_told_once_though_nothing_more_is_written(files: Files) -> None:
    written(files, REPLICA, "b")

    with files.open(OTHER_REPLICA, "b") as ledger:
        first = ledger.move()
    with files.open(OTHER_REPLICA, "b") as ledger:
        second = ledger.move()

    assert (first, second) == (REPLICA, None)


def test_a_renamed_job_has_not_moved(files: Files) -> None:
    written(files, REPLICA, "b")

    assert written(files, REPLICA, "renamed") is None


def test_jobs_that_swap_their_names_have_not_moved(files: Files) -> None:
    for place, job in ((REPLICA, "b"), (OTHER_REPLICA, "c")):
        written(files, place, job)

    assert [written(files, place, job) for place, job in ((REPLICA, "c"), (OTHER_REPLICA, "b"))] == [None, None]


STATE = ShardState(
    shard=SHARD,
    frontier=1.5,
    listed_at=2,
    recent_at=3.5,
    deep_key=A,
    deep_at=4.5,
    complete_from=5.5,
    complete_until=6.5,
    newest_arrival=7.5,
    deep_done_at=8.5,
    layout="cloudtrail",
    found_by=FoundBy.WHOLE,
    branches=(Branch("odd/", "%Y/%m/%d/"), Branch("", "%Y-%-m-%-d/")),
    audit_key=B,
    audit_at=9.5,
    audited_at=10.5,
    sealed_audit_day="2026-11-24",
    sealed_audit_at=11.5,
    sealed_audited_at=12.5,
)


def test_shard_states_come_back_by_prefix(reopened: Reopened) -> None:
    loose = ShardState(shard=Shard("AWSLogs/", organization="o-exampleorgid"))
    with reopened() as ledger:
        ledger.save_shards([STATE, loose])

    with reopened() as ledger:
        assert ledger.shards() == {SHARD.prefix: STATE, "AWSLogs/": loose}
        assert list(ledger.damaged_shards) == []


def test_a_shard_state_is_replaced_and_others_stay(reopened: Reopened) -> None:
    other = ShardState(shard=OTHER_SHARD, frontier=9.0)
    newer = ShardState(shard=SHARD, frontier=8.0)
    with reopened() as ledger:
        ledger.save_shards([STATE, other])
        ledger.save_shards([newer])

    with reopened() as ledger:
        assert ledger.shards() == {SHARD.prefix: newer, OTHER_SHARD.prefix: other}


def test_a_shard_with_objects_and_no_state_is_not_among_the_states(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([copied(A)], [], now=NOW)

    with reopened() as ledger:
        assert ledger.shards() == {}


def test_saving_shards_keeps_what_is_known_of_their_objects(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([copied(A)], [], now=NOW)
        ledger.save_shards([STATE])

    with reopened() as ledger:
        assert ledger.known(SHARD, [A]) == {A: Known(MD5, 100)}


def test_a_discovery_is_dated_with_the_shards_that_it_found(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.save_shards([STATE], discovered_at=NOW)
        ledger.save_shards([STATE])

    with reopened() as ledger:
        assert ledger.discovered_at() == NOW


def test_what_was_looked_at_is_kept_prefix_by_prefix(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.save_looked_at({"AWSLogs/": (1.5, ("AWSLogs/1/", "AWSLogs/é/")), "AWSLogs/1/": (2, ())})
        ledger.save_looked_at({"AWSLogs/1/": (3.5, ("AWSLogs/1/CloudTrail/",))})

    with reopened() as ledger:
        assert ledger.looked_at() == {
            "AWSLogs/": (1.5, ("AWSLogs/1/", "AWSLogs/é/")),
            "AWSLogs/1/": (3.5, ("AWSLogs/1/CloudTrail/",)),
        }


def test_copied_and_already_there_are_known_with_the_sources_etag(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([copied(A), AlreadyThere(transfer(log_object(B, etag="multi-2", size=7)))], [], now=NOW)

    with reopened() as ledger:
        assert ledger.known(SHARD, [A, B, C]) == {A: Known(MD5, 100), B: Known("multi-2", 7)}


def test_conflicts_and_failures_are_not_known(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([conflict(A), failed(B)], [], now=NOW)

    with reopened() as ledger:
        assert ledger.known(SHARD, [A, B]) == {}


def test_a_copy_takes_the_new_etag(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([copied(A)], [], now=NOW)
        ledger.record([copied(A, etag="new", size=1)], [], now=NOW)

    with reopened() as ledger:
        assert ledger.known(SHARD, [A]) == {A: Known("new", 1)}


def test_nothing_is_known_of_another_shard(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([copied(A)], [], now=NOW)

    with reopened() as ledger:
        assert ledger.known(OTHER_SHARD, [key("2026-11-24", "A", OTHER_SHARD)]) == {}


@pytest.mark.parametrize(
    ("of", "name"),
    [
        (SHARD, "2026/11/24/111111111111_CloudTrail_us-east-1_trail_20261124.json.gz"),
        (SHARD, "2026/11/24/111111111111_CloudTrail_us-east-1_20261124T0815Z_x.json"),
        (SHARD, "2026/11/24/whatever"),
        (SHARD, "2026/13/45/whatever"),
        (SHARD, "loose object"),
        (SHARD, "é\x01'\"%;--"),
        (FLAT, "2026/11/24/20261124.json.gz"),
        (FLAT, ""),
        (Shard(""), "access.log"),
    ],
)
def test_keys_of_any_form_are_known(reopened: Reopened, of: Shard, name: str) -> None:
    with reopened() as ledger:
        ledger.record([copied(of.prefix + name, of)], [], now=NOW)

    with reopened() as ledger:
        assert ledger.known(of, [of.prefix + name]) == {of.prefix + name: Known(MD5, 100)}


def test_a_page_of_all_forms_is_known_at_once(reopened: Reopened) -> None:
    names = [f"2026/11/{day:02}/{name}" for day in range(1, 31) for name in ("a", f"{day}.json.gz", "z")]
    keys = [SHARD.prefix + name for name in names] + [key(f"2026-11-{day:02}") for day in range(1, 31)]
    with reopened() as ledger:
        ledger.record([copied(name) for name in keys[::2]], [], now=NOW)

    with reopened() as ledger:
        assert ledger.known(SHARD, keys).keys() == set(keys[::2])


def test_keys_far_apart_are_known_among_many_others(reopened: Reopened) -> None:
    keys = [key(f"2026-{month:02}-{day:02}", f"{n:02}") for month in (9, 10) for day in range(1, 31) for n in range(50)]
    with reopened() as ledger:
        ledger.record([copied(name) for name in keys], [], now=NOW)

    with reopened() as ledger:
        assert ledger.known(SHARD, [keys[0], keys[1500], keys[-1], A]).keys() == {keys[0], keys[1500], keys[-1]}


def test_adopted_objects_are_known_with_the_sources_etag_and_the_replicas(reopened: Reopened) -> None:
    other = log_object(key("2026-11-24", "A", OTHER_SHARD))
    with reopened() as ledger:
        ledger.record([], [(SHARD, log_object(A), "there"), (OTHER_SHARD, other, "")], now=NOW)

    with reopened() as ledger:
        assert ledger.known(SHARD, [A]) == {A: Known(MD5, 100, "there")}
        assert ledger.known(OTHER_SHARD, [other.key]) == {other.key: Known(MD5, 100)}


@pytest.mark.parametrize("replica_etag", ["", MD5, "another", "d41d8cd98f00b204e9800998ecf8427f", "d41d8cd9-2"])
@pytest.mark.parametrize("etag", [MD5, "multi-2", ""])
def test_the_replicas_etag_is_kept_beside_the_sources(reopened: Reopened, etag: str, replica_etag: str) -> None:
    with reopened() as ledger:
        there = AlreadyThere(transfer(log_object(B, etag=etag)), replica_etag)
        ledger.record([copied(A, etag=etag, replica_etag=replica_etag), there], [], now=NOW)

    with reopened() as ledger:
        assert ledger.known(SHARD, [A, B]) == dict.fromkeys([A, B], Known(etag, 100, replica_etag))


def test_a_newer_replica_takes_the_place_of_the_one_before(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([copied(A, replica_etag="first")], [], now=NOW)
        ledger.record([], [(SHARD, log_object(A), "second")], now=NOW)

    with reopened() as ledger:
        assert ledger.known(SHARD, [A]) == {A: Known(MD5, 100, "second")}


@pytest.mark.parametrize(
    ("remembered", "start_after", "expected"),
    [
        ([], "", False),
        ([A], "", True),
        ([A], A, False),
        ([A], B, False),
        ([B], A, True),
        ([A], SHARD.prefix, True),
        ([A], f"{SHARD.prefix}2026/11/24/", True),
        ([A], f"{SHARD.prefix}2026/11/25/", False),
        ([A], f"{SHARD.prefix}2026/11/24/111111111111_CloudTrail_us-east-1_20261124T0814", True),
        ([A], f"{SHARD.prefix}2026/11/24/111111111111_CloudTrail_us-east-1_20261124T0816", False),
        ([A], f"{SHARD.prefix}2026/1", True),
        ([A], f"{SHARD.prefix}2026/12", False),
        ([A], "AWSLogs/111111111111/CloudTrail/us-east-0/zzz", True),
        ([A], "AWSLogs/111111111111/CloudTrail/us-east-2/", False),
        (
            [A, f"{SHARD.prefix}2026/11/24/000"],
            f"{SHARD.prefix}2026/11/24/111111111111_CloudTrail_us-east-1_2026",
            True,
        ),
        ([f"{SHARD.prefix}2026/11/24/000", A], A, False),
        ([f"{SHARD.prefix}2026/11/24/zzz", A], A, True),
        ([f"{SHARD.prefix}loose"], C, True),
        ([f"{SHARD.prefix}0loose", A], A, False),
        ([f"{SHARD.prefix}0loose", C], A, True),
    ],
)
def test_it_is_told_whether_a_later_key_is_remembered(
    reopened: Reopened, remembered: list[str], start_after: str, expected: object
) -> None:
    with reopened() as ledger:
        ledger.record([copied(name) for name in remembered], [], now=NOW)

    with reopened() as ledger:
        assert ledger.has_known_after(SHARD, start_after) is expected


def test_a_failure_is_quarantined_with_all_that_is_known_of_it(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([failed(A)], [], now=NOW)

    with reopened() as ledger:
        (entry,) = ledger.quarantined().values()
        assert (entry.object, entry.shard) == (log_object(A), SHARD)
        assert (entry.reason, entry.detail, entry.is_conflict) == ("access_denied", "GetObject was refused", False)
        assert (entry.attempts, entry.first_at, entry.next_at) == (1, NOW, NOW + 60)


def test_a_second_failure_keeps_the_first_time_and_waits_longer(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([failed(A)], [], now=NOW)
        ledger.record([failed(A, reason="throttled")], [], now=NOW + 100)

    with reopened() as ledger:
        entry = ledger.quarantined()[A]
        assert (entry.reason, entry.attempts, entry.first_at) == ("throttled", 2, NOW)
        assert entry.next_at == NOW + 100 + 120


def test_an_object_that_is_there_leaves_the_quarantine(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([failed(A), failed(B), failed(C)], [], now=NOW)
        ledger.record([copied(A), AlreadyThere(transfer(log_object(B)))], [(SHARD, log_object(C), MD5)], now=NOW)

    with reopened() as ledger:
        assert ledger.quarantined() == {}


def test_a_conflict_is_quarantined_as_such(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([conflict(A)], [], now=NOW)

    with reopened() as ledger:
        entry = ledger.quarantined()[A]
        assert (entry.reason, entry.detail, entry.is_conflict) == ("conflict", "other content", True)


def test_an_adopted_object_does_not_end_a_conflict(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([conflict(A)], [], now=NOW)
        ledger.record([], [(SHARD, log_object(A), MD5)], now=NOW)

    with reopened() as ledger:
        assert ledger.quarantined().keys() == {A}


def test_a_conflict_of_a_known_key_leaves_what_was_known(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([copied(A)], [], now=NOW)
        ledger.record([conflict(A, etag="changed")], [], now=NOW)

    with reopened() as ledger:
        assert ledger.known(SHARD, [A]) == {A: Known(MD5, 100)}
        assert ledger.quarantined()[A].object.etag == "changed"


def test_an_accepted_conflict_counts_as_copied_with_the_sources_etag(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([copied(A)], [], now=NOW)
        ledger.record([conflict(A, etag="changed")], [], now=NOW)
        accepted = ledger.accept(A)

    with reopened() as ledger:
        assert accepted
        assert ledger.known(SHARD, [A]) == {A: Known("changed", 100)}
        assert ledger.quarantined() == {}


def test_a_failure_that_is_accepted_is_let_go_of_and_claims_no_replica(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([failed(A)], [], now=NOW)
        accepted = [ledger.accept(A), ledger.accept(B)]

    with reopened() as ledger:
        assert accepted == [True, False]
        assert ledger.quarantined() == {}
        assert ledger.known(SHARD, [A]) == {}


def test_an_object_whose_retry_is_asked_for_is_settled_no_more_and_due_at_once(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([conflict(A)], [], now=NOW)
        asked = [ledger.retry(A), ledger.retry(B)]

    with reopened() as ledger:
        held = ledger.quarantined()[A]
        assert asked == [True, False]
        assert (held.is_settled, held.next_at, held.attempts) == (False, 0.0, 1)


def test_what_is_accepted_is_told_with_what_it_was_accepted_as(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([failed(A), conflict(B), failed(C)], [], now=NOW)
        ledger.accept(A)
        ledger.accept(B)

    with reopened() as ledger:
        assert ledger.accepted() == {A: (MD5, "STANDARD"), B: (MD5, "STANDARD")}


def test_what_is_accepted_anew_is_accepted_as_it_is_then(reopened: Reopened) -> None:
    for etag in ("first", "second"):
        with reopened() as ledger:
            ledger.record([conflict(A, etag=etag)], [], now=NOW)
            ledger.accept(A)

    with reopened() as ledger:
        assert ledger.accepted() == {A: ("second", "STANDARD")}
        assert ledger.known(SHARD, [A]) == {A: Known("second", 100)}


def test_an_accepted_object_that_is_copied_or_fails_after_all_stays_accepted(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([failed(A), failed(B)], [], now=NOW)
        ledger.accept(A)
        ledger.accept(B)
        ledger.record([copied(A), failed(B, reason="throttled")], [], now=NOW)

    with reopened() as ledger:
        assert ledger.accepted().keys() == {A, B}
        assert ledger.quarantined().keys() == {B}
        assert ledger.quarantined()[B].attempts == 1


def test_what_was_decided_survives_the_loss_of_all_else(files: Files) -> None:
    with files.open(REPLICA, "b") as ledger:
        ledger.set_start(2000)
        ledger.set_start(1000)
        ledger.set_start(3000)
        ledger.record([failed(A), conflict(B), failed(C)], [], now=NOW)
        ledger.accept(A)
        ledger.accept(B)
    files.lose()

    with files.open(REPLICA, "renamed") as ledger:
        assert (ledger.start(), ledger.ran_here()) == (1000, True)
        assert ledger.accepted() == {A: (MD5, "STANDARD"), B: (MD5, "STANDARD")}
        assert (ledger.quarantined(), ledger.known(SHARD, [B])) == ({}, {})
    with files.open(OTHER_REPLICA, "c") as ledger:
        assert (ledger.start(), ledger.accepted(), ledger.ran_here()) == (None, {}, False)


def test_there_is_nothing_to_mend_where_nothing_is_damaged(reopened: Reopened) -> None:
    with reopened() as ledger:
        first = ledger.mend()
        ledger.record([failed(A), conflict(B)], [], now=NOW)
        ledger.accept(B)
        ledger.save_shards([STATE])

    with reopened() as ledger:
        assert (list(first), list(ledger.mend())) == ([], [])
        assert (ledger.shards().keys(), ledger.quarantined().keys()) == ({SHARD.prefix}, {A})


def test_uncovered_folders_are_replaced_and_keep_their_first_time(reopened: Reopened) -> None:
    for now, prefixes in ((NOW, ["a/", "b/"]), (NOW + 1, ["b/", "c/"]), (NOW + 2, ["c/", "b/"])):
        with reopened() as ledger:
            ledger.save_uncovered(prefixes, now=now)

    with reopened() as ledger:
        assert ledger.uncovered() == {"b/": NOW, "c/": NOW + 1}
        ledger.save_uncovered([], now=NOW + 3)
        assert ledger.uncovered() == {}


def test_uncovered_folders_are_of_one_replica(files: Files) -> None:
    with files.open(OTHER_REPLICA, "c") as ledger:
        ledger.save_uncovered(["a/"], now=NOW)
    with files.open(REPLICA, "b") as ledger:
        ledger.save_uncovered(["b/"], now=NOW)
        ledger.save_uncovered([], now=NOW)

    with files.open(OTHER_REPLICA, "c") as ledger:
        assert ledger.uncovered() == {"a/": NOW}


def test_more_folders_than_are_remembered_are_cut_with_a_sign_of_it(reopened: Reopened) -> None:
    children = tuple(f"p/{number}/" for number in range(MOST_CHILDREN + 10))
    with reopened() as ledger:
        ledger.save_looked_at({"p/": (NOW, children)})

    with reopened() as ledger:
        _, remembered = ledger.looked_at()["p/"]
        assert remembered == (*children[: MOST_CHILDREN - 1], "p/")


def test_what_was_answered_is_remembered_as_far_as_it_is_of_use(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([Failed(transfer(log_object(A)), "access_denied", "a" * 10**6 + "z")], [], now=NOW)

    with reopened() as ledger:
        detail = ledger.quarantined()[A].detail
        assert (len(detail), detail[-1]) == (2000, "z")


def held_by_shard(ledger: Ledger | MemoryLedger) -> str:
    """Holds three objects of one shard and one of another; the key of that one."""
    elsewhere = log_object(key("2026-11-24", "A", OTHER_SHARD), size=7)
    ledger.record([failed(B), failed(A)], [], now=NOW)
    ledger.record([conflict(C), Failed(transfer(elsewhere, OTHER_SHARD), "archived", "detail")], [], now=NOW + 5)
    return elsewhere.key


def test_what_is_held_is_counted_by_reason(reopened: Reopened) -> None:
    with reopened() as ledger:
        empty = ledger.held_counts()
        held_by_shard(ledger)

    with reopened() as ledger:
        counts = ledger.held_counts()
        here, nowhere = ledger.held_counts(SHARD.__eq__), ledger.held_counts(lambda _: False)
        assert (empty, nowhere) == (HeldCounts(), HeldCounts())
        assert counts == HeldCounts(4, 307, {"access_denied": 2, "conflict": 1, "archived": 1}, NOW)
        assert here == HeldCounts(3, 300, {"access_denied": 2, "conflict": 1}, NOW)
        assert (counts.conflicts, ledger.held_counts(OTHER_SHARD.__eq__).conflicts) == (1, 0)


def test_what_is_held_is_loaded_as_far_as_it_is_asked_for(reopened: Reopened) -> None:
    with reopened() as ledger:
        elsewhere = held_by_shard(ledger)

    with reopened() as ledger:
        assert list(ledger.quarantined(limit=2)) == sorted([A, B, C, elsewhere])[:2]
        assert list(ledger.quarantined(is_wanted=SHARD.__eq__, limit=2)) == [A, B]
        assert ledger.quarantined(is_wanted=OTHER_SHARD.__eq__).keys() == {elsewhere}
        assert ledger.quarantined(limit=0) == {}
        bare = ledger.quarantined(with_details=False)
        assert bare == {name: item._replace(detail="") for name, item in ledger.quarantined().items()}


def test_the_objects_that_are_held_longest_are_told_first(reopened: Reopened) -> None:
    with reopened() as ledger:
        elsewhere = held_by_shard(ledger)

    with reopened() as ledger:
        assert [item.object.key for item in ledger.longest_held(3)] == [A, B, min(C, elsewhere)]
        assert ledger.longest_held(9, OTHER_SHARD.__eq__) == [ledger.quarantined()[elsewhere]]


def test_the_times_that_held_objects_belong_to_are_told_by_whoever_knows_them(reopened: Reopened) -> None:
    with reopened() as ledger:
        held_by_shard(ledger)

    with reopened() as ledger:
        sizes = ledger.held_stamps(lambda of, item: float(item.size_bytes) + (of == SHARD))
        assert sorted(sizes) == [7.0, 101.0, 101.0, 101.0]
        assert list(ledger.held_stamps(lambda _, item: item.last_modified, OTHER_SHARD.__eq__)) == [NOW - 60]


def test_one_object_that_is_held_is_told_by_its_key(reopened: Reopened) -> None:
    with reopened() as ledger:
        held_by_shard(ledger)

    with reopened() as ledger:
        assert (ledger.held(C), ledger.held("elsewhere")) == (ledger.quarantined()[C], None)


def test_days_before_the_bound_are_folded_and_their_keys_forgotten(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([copied(A), copied(B, size=7, etag="multi-2"), copied(C)], [], now=NOW)
        folded = ledger.seal(SHARD, "2026-11-25", limit=1000)

    with reopened() as ledger:
        assert folded == 2
        assert ledger.known(SHARD, [A, B, C]).keys() == {C}
        assert ledger.sealed(SHARD, "2026-11-01", "2026-11-30") == {
            "2026-11-24": fold_day([SealedObject(A, MD5, 100, ""), SealedObject(B, "multi-2", 7, "")])
        }


def test_an_object_found_later_is_added_to_its_sealed_day(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([copied(A)], [], now=NOW)
        ledger.seal(SHARD, "2026-11-25", limit=1000)
        ledger.record([copied(B)], [], now=NOW)
        folded = ledger.seal(SHARD, "2026-11-25", limit=1000)

    with reopened() as ledger:
        assert folded == 1
        assert ledger.sealed(SHARD, "2026-11-24", "2026-11-24") == {
            "2026-11-24": fold_day([SealedObject(A, MD5, 100, ""), SealedObject(B, MD5, 100, "")])
        }


@pytest.mark.parametrize(("replica_etag", "is_exact"), [("there", True), (MD5, True), ("", False)])
def test_a_day_is_sealed_with_its_replicas(reopened: Reopened, replica_etag: str, is_exact: object) -> None:
    with reopened() as ledger:
        ledger.record([copied(A, replica_etag="one"), copied(B, size=7, replica_etag=replica_etag)], [], now=NOW)
        ledger.seal(SHARD, "2026-11-25", limit=1000)

    with reopened() as ledger:
        day = ledger.sealed(SHARD, "2026-11-24", "2026-11-24")["2026-11-24"]
        assert (day.count, day.size_bytes, day.exact, day.replica_exact) == (2, 107, True, is_exact)
        sums = replica_digest(A, 100, "one") + replica_digest(B, 7, replica_etag)
        assert day.replica_digest == sums % 2**63


def test_sealing_stops_at_its_limit_with_whole_days(reopened: Reopened) -> None:
    keys = [key(f"2026-11-{day:02}", name) for day in range(1, 6) for name in "abc"]
    with reopened() as ledger:
        ledger.record([copied(name) for name in keys], [], now=NOW)
        folded = ledger.seal(SHARD, "2026-11-25", limit=4)

    with reopened() as ledger:
        assert folded == 6
        assert ledger.sealed(SHARD, "2026-11-01", "2026-11-30").keys() == {"2026-11-01", "2026-11-02"}
        assert ledger.known(SHARD, keys).keys() == set(keys[6:])


def test_nothing_to_seal_is_nothing_sealed(reopened: Reopened) -> None:
    with reopened() as ledger:
        before = ledger.seal(SHARD, "2026-11-25", limit=1000)
        ledger.record([copied(C)], [], now=NOW)

        assert (before, ledger.seal(SHARD, "2026-11-25", limit=1000)) == (0, 0)


def test_every_form_of_key_in_a_day_folder_is_sealed_with_it(reopened: Reopened) -> None:
    names = ["a", "111111111111_CloudTrail_us-east-1_trail.json.gz", "111111111111_CloudTrail_us-east-1_20261124"]
    keys = [f"{SHARD.prefix}2026/11/24/{name}" for name in names]
    with reopened() as ledger:
        ledger.record([copied(name) for name in keys], [], now=NOW)
        ledger.seal(SHARD, "2026-11-25", limit=1000)

    with reopened() as ledger:
        assert ledger.known(SHARD, keys) == {}
        assert ledger.sealed(SHARD, "2026-11-24", "2026-11-24") == {
            "2026-11-24": fold_day(SealedObject(name, MD5, 100, "") for name in keys)
        }


def test_keys_without_a_day_are_never_sealed(reopened: Reopened) -> None:
    loose, flat = f"{SHARD.prefix}2026/13/01/x", f"{FLAT.prefix}2026-01-01-x"
    with reopened() as ledger:
        ledger.record([copied(loose), copied(flat, FLAT)], [], now=NOW)
        ledger.seal(SHARD, "9999-12-31", limit=1000)
        ledger.seal(FLAT, "9999-12-31", limit=1000)

    with reopened() as ledger:
        assert ledger.known(SHARD, [loose]).keys() | ledger.known(FLAT, [flat]).keys() == {loose, flat}


def test_sealed_days_are_told_by_span_and_shard(reopened: Reopened) -> None:
    keys = [key(f"2026-11-{day:02}") for day in range(1, 6)]
    with reopened() as ledger:
        ledger.record([copied(name) for name in keys], [], now=NOW)
        ledger.seal(SHARD, "2026-11-25", limit=1000)

    with reopened() as ledger:
        assert ledger.sealed(SHARD, "2026-11-02", "2026-11-04").keys() == {"2026-11-02", "2026-11-03", "2026-11-04"}
        assert ledger.sealed(OTHER_SHARD, "2026-11-01", "2026-11-30") == {}


def test_an_unsealed_day_is_remembered_by_what_is_recorded_again(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([copied(A), copied(B), copied(C)], [], now=NOW)
        ledger.seal(SHARD, "2026-11-26", limit=1000)
        ledger.unseal(SHARD, ["2026-11-24", "2026-11-23"])
        ledger.record([], [(SHARD, log_object(A), MD5)], now=NOW)

    with reopened() as ledger:
        assert ledger.sealed(SHARD, "2026-11-01", "2026-11-30").keys() == {"2026-11-25"}
        assert ledger.known(SHARD, [A, B, C]) == {A: Known(MD5, 100, MD5)}


def test_unsealing_leaves_other_shards_and_what_was_never_sealed(reopened: Reopened) -> None:
    elsewhere = key("2026-11-24", "A", OTHER_SHARD)
    with reopened() as ledger:
        ledger.record([copied(A), copied(elsewhere, OTHER_SHARD)], [], now=NOW)
        ledger.seal(OTHER_SHARD, "2026-11-25", limit=1000)
        ledger.unseal(SHARD, ["2026-11-24"])
        ledger.unseal(FLAT, ["2026-11-24"])

    with reopened() as ledger:
        assert ledger.sealed(OTHER_SHARD, "2026-11-24", "2026-11-24").keys() == {"2026-11-24"}
        assert ledger.known(SHARD, [A]).keys() == {A}


def test_lateness_adds_up_by_bucket(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([], [], now=NOW, lateness={300: 2, 0: 1})
        ledger.record([], [], now=NOW, lateness={300: 3})

    with reopened() as ledger:
        assert ledger.lateness() == {300: 5, 0: 1}


def test_forgetting_keeps_what_no_listing_tells(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.set_start(1000)
        ledger.record([copied(A), failed(B), conflict(C), failed(D)], [], now=NOW, lateness={300: 2})
        ledger.accept(C)
        ledger.save_shards([STATE], discovered_at=NOW)
        ledger.save_looked_at({"AWSLogs/": (NOW, ())})
        ledger.save_uncovered(["AWSLogs/odd/"], now=NOW)
        ledger.set_mode_verdict("stream", "CopyObject answered 403")
        ledger.seal(SHARD, "2026-11-25", limit=1000)
        ledger.forget()

    with reopened() as ledger:
        assert (ledger.start(), ledger.ran_here()) == (1000, True)
        assert ledger.quarantined().keys() == {B, D}
        assert ledger.accepted() == {C: (MD5, "STANDARD")}
        assert (ledger.discovered_at(), ledger.mode_verdict()) == (0.0, None)
        assert (ledger.shards(), ledger.looked_at(), ledger.uncovered()) == ({}, {}, {})
        assert (ledger.known(SHARD, [A, C]), ledger.lateness()) == ({}, {})
        assert ledger.sealed(SHARD, "2026-11-01", "2026-11-30") == {}


def test_forgetting_one_replica_leaves_the_others(files: Files) -> None:
    with files.open(OTHER_REPLICA, "c") as ledger:
        ledger.record([copied(A)], [], now=NOW)
    with files.open(REPLICA, "b") as ledger:
        ledger.record([copied(A)], [], now=NOW)
        ledger.forget()

    with files.open(OTHER_REPLICA, "c") as ledger:
        assert ledger.known(SHARD, [A]) == {A: Known(MD5, 100)}


def test_a_forgotten_replica_is_remembered_afresh(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([copied(A)], [], now=NOW)
        ledger.forget()
        ledger.record([copied(B)], [], now=NOW)

    with reopened() as ledger:
        assert ledger.known(SHARD, [A, B]).keys() == {B}
