"""What a tick relies on in its ledger: one suite over the ledger on disk and the one in memory.

Each test opens the ledger again before it looks, so that what it sees was remembered and not merely held.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from builders_ledger import (
    MD5,
    NOW,
    SHARD,
    conflict,
    copied,
    failed,
    key,
    log_object,
    replica,
    sealed,
    shard,
    transfer,
)
from fakes_ledger import MemoryLedger, MemoryLedgerFile

from syncd.ledger.ledger import LedgerFile, ReplicaLedger
from syncd.model.errors import LedgerRefused
from syncd.model.objects import (
    AlreadyThere,
    Branch,
    Copied,
    Failed,
    FoundBy,
    HeldCounts,
    Known,
    LogObject,
    Replica,
    Shard,
    ShardState,
)
from syncd.model.sealed import SealedObject, fold_day

REPLICA, OTHER_REPLICA = replica("example-b-logs"), replica("example-c-logs")
OTHER_SHARD = shard("eu-west-1")
FLAT = Shard("logs/")


class Files(NamedTuple):
    """One of the two kinds of ledger."""

    open: Callable[[Replica, str], ReplicaLedger | MemoryLedger]
    lose: Callable[[], None]
    """Lose all but the decisions."""


@pytest.fixture(params=["disk", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    if request.param == "disk":
        file = LedgerFile(tmp_path, now=lambda: NOW)
        return Files(file.open, file.path.unlink)
    memory = MemoryLedgerFile(now=lambda: NOW)
    return Files(memory.open, memory.lose)


@pytest.fixture
def reopened(files: Files) -> Callable[[], ReplicaLedger | MemoryLedger]:
    return lambda: files.open(REPLICA, "b")


Reopened = Callable[[], ReplicaLedger | MemoryLedger]


A, B, C, D = key("2026-11-24", "A"), key("2026-11-24", "B"), key("2026-11-25", "C"), key("2026-11-25", "D")


def test_the_start_is_none_until_it_is_fixed(reopened: Reopened) -> None:
    with reopened() as ledger:
        assert ledger.start() is None


def test_the_start_moves_back_and_never_forward(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.set_start(2000)
        ledger.set_start(1000)
        ledger.set_start(3000)

    with reopened() as ledger:
        assert ledger.start() == 1000


def test_a_replica_with_a_start_was_filled_from_here_before(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([copied(A)], [], now=NOW)
    with reopened() as ledger:
        before = ledger.ran_here()
        ledger.set_start(1000)
        meanwhile = ledger.ran_here()

    with reopened() as ledger:
        assert (before, meanwhile, ledger.ran_here()) == (False, False, True)


def test_start_and_acceptances_survive_the_loss_of_all_else(files: Files) -> None:
    with files.open(REPLICA, "b") as ledger:
        ledger.set_start(2000)
        ledger.set_start(1000)
        ledger.set_start(3000)
        ledger.record([copied(B), failed(A)], [], now=NOW)
        ledger.accept(A)
    files.lose()

    with files.open(REPLICA, "b") as ledger:
        assert (ledger.start(), ledger.ran_here()) == (1000, True)
        assert ledger.accepted() == {A: (MD5, "STANDARD")}
        assert (ledger.known(SHARD, [A, B]), ledger.shards()) == ({}, {})


def test_acceptances_survive_without_a_start(files: Files) -> None:
    with files.open(REPLICA, "b") as ledger:
        ledger.record([failed(A)], [], now=NOW)
        ledger.accept(A)
    files.lose()

    with files.open(REPLICA, "b") as ledger:
        assert (ledger.start(), ledger.accepted().keys()) == (None, {A})


def test_one_replica_does_not_take_the_decisions_of_another(files: Files) -> None:
    with files.open(OTHER_REPLICA, "c") as ledger:
        ledger.set_start(1000)
    files.lose()

    with files.open(REPLICA, "b") as ledger:
        assert (ledger.start(), ledger.ran_here()) == (None, False)


def test_a_start_from_the_future_is_not_taken_up_after_a_loss(files: Files) -> None:
    with files.open(REPLICA, "b") as ledger:
        ledger.set_start(NOW + 40 * 86400)
    files.lose()

    with files.open(REPLICA, "b") as ledger:
        assert (ledger.start(), ledger.ran_here()) == (None, False)


def test_a_start_that_was_set_right_is_taken_up_after_a_loss(files: Files) -> None:
    with files.open(REPLICA, "b") as ledger:
        ledger.set_start(NOW + 40 * 86400)
        ledger.set_start(1000)
    files.lose()

    with files.open(REPLICA, "b") as ledger:
        assert ledger.start() == 1000


def test_a_job_that_moved_to_a_place_of_which_only_decisions_are_left_has_moved(files: Files) -> None:
    written(files, OTHER_REPLICA, "b")
    files.lose()
    written(files, REPLICA, "b")

    assert written(files, OTHER_REPLICA, "b") == REPLICA


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
        assert (ledger.accepted(), ledger.uncovered()) == ({}, {})


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
    layout="{prefix}/%Y/%m/%d/",
    found_by=FoundBy.WHOLE,
    branches=(Branch("waf/", "%Y/%m/%d/"), Branch("é/", "%Y/%-m/%-d/")),
    audit_key=A,
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
        assert ledger.known(SHARD, [A]) == {A: Known(MD5, 100, MD5)}


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


def test_a_folder_with_more_children_than_are_kept_is_forgotten_and_so_listed_again(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.save_looked_at({"a/": (NOW, ("a/1/",)), "b/": (NOW, ("b/1/",)), "c/": (NOW, ())})
        ledger.save_looked_at({"a/": (NOW, tuple(f"a/{number}/" for number in range(10_001)))})
        ledger.save_looked_at({"b/": (NOW, tuple(f"b/{number}{'x' * 950}/" for number in range(2_000)))})

    with reopened() as ledger:
        assert ledger.looked_at() == {"c/": (NOW, ())}


def test_copied_and_already_there_are_known_with_both_etags(reopened: Reopened) -> None:
    there = transfer(log_object(B, etag="multi-2", size=7))
    with reopened() as ledger:
        ledger.record([copied(A), AlreadyThere(there, "other-3")], [], now=NOW)

    with reopened() as ledger:
        assert ledger.known(SHARD, [A, B, C]) == {A: Known(MD5, 100, MD5), B: Known("multi-2", 7, "other-3")}


def test_a_replica_whose_etag_was_not_told_is_known_without(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([copied(A, replica_etag=""), AlreadyThere(transfer(log_object(B)))], [], now=NOW)

    with reopened() as ledger:
        assert ledger.known(SHARD, [A, B]) == {A: Known(MD5, 100, ""), B: Known(MD5, 100, "")}


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
        assert ledger.known(SHARD, [A]) == {A: Known("new", 1, MD5)}


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
        assert ledger.known(of, [of.prefix + name]) == {of.prefix + name: Known(MD5, 100, MD5)}


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


def test_adopted_objects_are_known_with_both_etags(reopened: Reopened) -> None:
    elsewhere = key("2026-11-24", "A", OTHER_SHARD)
    with reopened() as ledger:
        ledger.record([], [(SHARD, log_object(A), "other"), (OTHER_SHARD, log_object(elsewhere), MD5)], now=NOW)

    with reopened() as ledger:
        assert ledger.known(SHARD, [A]) == {A: Known(MD5, 100, "other")}
        assert ledger.known(OTHER_SHARD, [elsewhere]) == {elsewhere: Known(MD5, 100, MD5)}


def all_remembered(ledger: ReplicaLedger | MemoryLedger, of: Shard, limit: int) -> list[list[tuple[str, Known]]]:
    """Every row of a shard, by call, until a call gives fewer rows than it was asked for."""
    calls = [ledger.remembered(of, "", limit=limit)]
    while len(calls[-1]) >= limit:
        calls.append(ledger.remembered(of, calls[-1][-1][0], limit=limit))
    return calls


@pytest.mark.parametrize("limit", [1, 2, 7, 100])
def test_rows_are_told_in_the_order_of_keys_whatever_their_form(reopened: Reopened, limit: int) -> None:
    names = [f"2026/11/{day:02}/{name}" for day in (23, 24, 25) for name in ("0", "a.json.gz", "zz", "~")]
    names += ["", "0loose", "2026/", "2026/11/24", "2026/11/240", "2026/13/45/x", "2027", "loose", "é"]
    keys = [SHARD.prefix + name for name in names]
    keys += [key(f"2026-11-{day:02}", name) for day in (22, 24, 25) for name in "ab"]
    with reopened() as ledger:
        ledger.record([copied(name) for name in keys], [], now=NOW)

    with reopened() as ledger:
        calls = all_remembered(ledger, SHARD, limit)
        assert [row for rows in calls for row in rows] == [(name, Known(MD5, 100, MD5)) for name in sorted(keys)]


def test_rows_are_told_from_any_position(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([copied(A), copied(C)], [], now=NOW)

    with reopened() as ledger:
        after = {"": 2, "AWSLogs/0": 2, SHARD.prefix: 2, f"{SHARD.prefix}2026/11/25/": 1, A: 1, B: 1, C: 0, "B": 0}
        assert {position: len(ledger.remembered(SHARD, position, limit=9)) for position in after} == after
        assert ledger.remembered(OTHER_SHARD, "", limit=9) == []


def test_at_least_as_many_rows_are_told_as_are_asked_for(reopened: Reopened) -> None:
    keys = [key(f"2026-11-{day:02}", name) for day in range(1, 6) for name in "abc"]
    with reopened() as ledger:
        ledger.record([copied(name) for name in keys], [], now=NOW)

    with reopened() as ledger:
        rows = ledger.remembered(SHARD, keys[0], limit=4)
        assert len(rows) >= 4
        assert [name for name, _ in rows] == keys[1 : 1 + len(rows)]


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
        assert ledger.known(SHARD, [A]) == {A: Known(MD5, 100, MD5)}
        assert ledger.quarantined()[A].object.etag == "changed"


def test_an_accepted_conflict_counts_as_copied_with_the_sources_etag(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([copied(A)], [], now=NOW)
        ledger.record([conflict(A, etag="changed")], [], now=NOW)
        accepted = ledger.accept(A)

    with reopened() as ledger:
        assert accepted
        assert ledger.known(SHARD, [A]) == {A: Known("changed", 100, "")}
        assert ledger.quarantined() == {}
        assert ledger.accepted() == {A: ("changed", "STANDARD")}


def test_a_failure_that_is_accepted_is_let_go_of_and_claims_no_replica(reopened: Reopened) -> None:
    archived = log_object(A)._replace(storage_class="GLACIER")
    with reopened() as ledger:
        ledger.record([Failed(transfer(archived), "archived", "restore it")], [], now=NOW)
        accepted = [ledger.accept(A), ledger.accept(B)]

    with reopened() as ledger:
        assert accepted == [True, False]
        assert ledger.quarantined() == {}
        assert ledger.known(SHARD, [A]) == {}
        assert ledger.accepted() == {A: (MD5, "GLACIER")}


def test_what_was_accepted_stays_so_when_the_object_is_copied_or_fails_anew(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([failed(A), failed(B)], [], now=NOW)
        ledger.accept(A)
        ledger.accept(B)
        ledger.record([copied(A), conflict(B, etag="changed")], [], now=NOW)

    with reopened() as ledger:
        assert ledger.accepted().keys() == {A, B}
        assert ledger.quarantined().keys() == {B}


def test_an_acceptance_is_of_the_object_that_was_accepted_last(reopened: Reopened) -> None:
    with reopened() as ledger:
        for etag in ("one", "other"):
            ledger.record([conflict(A, etag=etag)], [], now=NOW)
            ledger.accept(A)

    with reopened() as ledger:
        assert ledger.accepted() == {A: ("other", "STANDARD")}


def held_by_shard(ledger: ReplicaLedger | MemoryLedger) -> str:
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


def modified(_: Shard, item: LogObject) -> float:
    return item.last_modified


def test_the_objects_that_are_held_longest_are_told_first(reopened: Reopened) -> None:
    with reopened() as ledger:
        elsewhere = held_by_shard(ledger)

    with reopened() as ledger:
        found = ledger.held_overview(3, modified)
        assert [item.object.key for item in found.longest] == [A, B, min(C, elsewhere)]
        there = ledger.held_overview(9, modified, OTHER_SHARD.__eq__)
        assert list(there.longest) == [ledger.quarantined()[elsewhere]]
        assert ledger.held_overview(0, modified).longest == []


def test_an_overview_counts_what_is_held_as_the_counts_and_the_times_do(reopened: Reopened) -> None:
    with reopened() as ledger:
        held_by_shard(ledger)

    with reopened() as ledger:
        for wanted in (None, SHARD.__eq__, lambda _: False):
            found = ledger.held_overview(1, modified, wanted)
            assert found.counts == ledger.held_counts(wanted)
            assert sorted(found.stamps) == sorted(ledger.held_stamps(modified, wanted))


def test_what_is_held_is_read_out_a_page_at_a_time(reopened: Reopened) -> None:
    with reopened() as ledger:
        held_by_shard(ledger)

    with reopened() as ledger:
        held = list(ledger.quarantined().values())
        assert ledger.held_after("", 2) == held[:2]
        assert ledger.held_after(held[1].object.key, 9) == held[2:]
        assert ledger.held_after(held[-1].object.key, 9) == []


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


def test_uncovered_folders_are_those_told_last_and_keep_the_time_they_were_first_told(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.save_uncovered(["a/", "b/"], now=1000)
        ledger.save_uncovered({"b/", "c/"}, now=2000)

    with reopened() as ledger:
        assert ledger.uncovered() == {"b/": 1000, "c/": 2000}


def test_no_uncovered_folders_are_none_remembered(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.save_uncovered(["a/"], now=1000)
        ledger.save_uncovered([], now=2000)

    with reopened() as ledger:
        assert ledger.uncovered() == {}


def test_a_bounded_number_of_uncovered_folders_is_kept(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.save_uncovered([f"{number:05}/" for number in range(5000)], now=1000)

    with reopened() as ledger:
        assert list(ledger.uncovered()) == [f"{number:05}/" for number in range(1000)]


def test_nothing_to_mend_is_nothing_mended(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.save_shards([STATE])
        ledger.record([failed(A), conflict(B)], [], now=NOW)
        ledger.accept(B)
        mended = ledger.mend()

    with reopened() as ledger:
        assert list(mended) == []
        assert (ledger.quarantined().keys(), ledger.accepted().keys(), len(ledger.shards())) == ({A}, {B}, 1)


def test_a_long_detail_is_cut_in_the_middle(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([Failed(transfer(log_object(A)), "unexpected_answer", "a" * 9000 + "b" * 9000)], [], now=NOW)

    with reopened() as ledger:
        assert ledger.quarantined()[A].detail == "a" * 999 + "…" + "b" * 1000


@pytest.mark.parametrize(
    "item", [log_object(SHARD.prefix + "k" * 1024), log_object(A, etag="e" * 1025)], ids=["key", "etag"]
)
@pytest.mark.parametrize("is_copied", [True, False])
def test_a_key_or_etag_that_s3_cannot_have_is_refused_with_its_batch(
    reopened: Reopened, item: LogObject, is_copied: object
) -> None:
    bad = Copied(transfer(item)) if is_copied else Failed(transfer(item), "archived", "")
    with reopened() as ledger:
        with pytest.raises(LedgerRefused):
            ledger.record([copied(B), bad], [], now=NOW)
        ledger.record([copied(C)], [], now=NOW)

    with reopened() as ledger:
        assert ledger.known(SHARD, [B, C]).keys() == {C}
        assert ledger.quarantined() == {}


def test_an_object_whose_retry_is_asked_for_is_settled_no_more_and_due_at_once(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([conflict(A)], [], now=NOW)
        asked = [ledger.retry(A), ledger.retry(B)]

    with reopened() as ledger:
        held = ledger.quarantined()[A]
        assert asked == [True, False]
        assert (held.is_settled, held.next_at, held.attempts) == (False, 0.0, 1)


def test_days_before_the_bound_are_folded_and_their_keys_forgotten(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([copied(A), copied(B, size=7, etag="multi-2"), copied(C)], [], now=NOW)
        folded = ledger.seal(SHARD, "2026-11-25", limit=1000)

    with reopened() as ledger:
        assert folded == 2
        assert ledger.known(SHARD, [A, B, C]).keys() == {C}
        assert ledger.sealed(SHARD, "2026-11-01", "2026-11-30") == {
            "2026-11-24": fold_day([SealedObject(A, MD5, 100, MD5), SealedObject(B, "multi-2", 7, MD5)])
        }


def test_an_object_found_later_is_added_to_its_sealed_day(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([copied(A)], [], now=NOW)
        ledger.seal(SHARD, "2026-11-25", limit=1000)
        ledger.record([copied(B)], [], now=NOW)
        folded = ledger.seal(SHARD, "2026-11-25", limit=1000)

    with reopened() as ledger:
        assert folded == 1
        assert ledger.sealed(SHARD, "2026-11-24", "2026-11-24") == {"2026-11-24": sealed(A, B)}


def test_a_day_with_a_replica_whose_etag_is_unknown_is_not_exact_there(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([copied(A), copied(B, replica_etag="")], [], now=NOW)
        ledger.seal(SHARD, "2026-11-25", limit=1000)

    with reopened() as ledger:
        day = ledger.sealed(SHARD, "2026-11-24", "2026-11-24")["2026-11-24"]
        assert (day.count, day.exact, day.replica_exact) == (2, True, False)


def test_days_that_are_unsealed_are_not_remembered_and_others_stay(reopened: Reopened) -> None:
    keys = [key(f"2026-11-{day:02}") for day in range(1, 6)]
    with reopened() as ledger:
        ledger.record([copied(name) for name in keys], [], now=NOW)
        ledger.seal(SHARD, "2026-11-25", limit=1000)
        ledger.unseal(SHARD, ["2026-11-02", "2026-11-04", "2026-11-30"])
        ledger.unseal(OTHER_SHARD, ["2026-11-01"])

    with reopened() as ledger:
        assert ledger.sealed(SHARD, "", "9").keys() == {"2026-11-01", "2026-11-03", "2026-11-05"}
        assert ledger.known(SHARD, keys) == {}


def test_what_is_remembered_in_place_of_an_unsealed_day_is_so_at_once(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([copied(A), copied(B)], [], now=NOW)
        ledger.seal(SHARD, "2026-11-25", limit=1000)
        ledger.unseal(
            SHARD, ["2026-11-24"], outcomes=[failed(A)], adopted=[(SHARD, copied(B).transfer.object, MD5)], now=NOW
        )

    with reopened() as ledger:
        assert ledger.sealed(SHARD, "", "9") == {}
        assert ledger.known(SHARD, [A, B]).keys() == {B}
        assert ledger.quarantined().keys() == {A}


def test_a_held_object_is_sealed_once_it_is_no_longer_held(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([copied(A), copied(B)], [], now=NOW)
        ledger.record([failed(A)], [], now=NOW)
        first = ledger.seal(SHARD, "2026-11-25", limit=1000)
        again = ledger.seal(SHARD, "2026-11-25", limit=1000)
        assert (first, again, ledger.known(SHARD, [A, B]).keys()) == (1, 0, {A})
        ledger.record([copied(A)], [], now=NOW)
        ledger.seal(SHARD, "2026-11-25", limit=1000)

    with reopened() as ledger:
        assert ledger.sealed(SHARD, "2026-11-24", "2026-11-24") == {"2026-11-24": sealed(A, B)}


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
        assert ledger.sealed(SHARD, "2026-11-24", "2026-11-24") == {"2026-11-24": sealed(*keys)}


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


def test_lateness_adds_up_by_bucket(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([], [], now=NOW, lateness={300: 2, 0: 1})
        ledger.record([], [], now=NOW, lateness={300: 3})

    with reopened() as ledger:
        assert ledger.lateness() == {300: 5, 0: 1}


def test_forgetting_keeps_what_no_listing_tells(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.set_start(1000)
        ledger.set_mode_verdict("stream", "why")
        ledger.record([copied(A), failed(B), copied(C), conflict(D)], [], now=NOW, lateness={300: 2})
        ledger.accept(D)
        ledger.save_shards([STATE], discovered_at=NOW)
        ledger.save_looked_at({"AWSLogs/": (NOW, ())})
        ledger.save_uncovered(["a/"], now=NOW)
        ledger.seal(SHARD, "2026-11-25", limit=1000)
        ledger.forget()

    with reopened() as ledger:
        assert (ledger.start(), ledger.ran_here()) == (1000, True)
        assert (ledger.quarantined().keys(), ledger.accepted().keys()) == ({B}, {D})
        assert (ledger.discovered_at(), ledger.shards(), ledger.looked_at()) == (0.0, {}, {})
        assert (ledger.known(SHARD, [A, C, D]), ledger.lateness(), ledger.uncovered()) == ({}, {}, {})
        assert (ledger.sealed(SHARD, "2026-11-01", "2026-11-30"), ledger.mode_verdict()) == ({}, None)


def test_forgetting_one_replica_leaves_the_others(files: Files) -> None:
    with files.open(OTHER_REPLICA, "c") as ledger:
        ledger.record([copied(A)], [], now=NOW)
    with files.open(REPLICA, "b") as ledger:
        ledger.record([copied(A)], [], now=NOW)
        ledger.forget()

    with files.open(OTHER_REPLICA, "c") as ledger:
        assert ledger.known(SHARD, [A]) == {A: Known(MD5, 100, MD5)}


def test_a_forgotten_replica_is_remembered_afresh(reopened: Reopened) -> None:
    with reopened() as ledger:
        ledger.record([copied(A)], [], now=NOW)
        ledger.forget()
        ledger.record([copied(B)], [], now=NOW)

    with reopened() as ledger:
        assert ledger.known(SHARD, [A, B]).keys() == {B}
