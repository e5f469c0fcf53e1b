"""Comparing source, replica and ledger, and what may go: the rules, without any server."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.model.keys.layout import CloudTrailLayout
from syncd.model.keys.stamps import day_start
from syncd.model.objects import Known, LogObject, Page, Range, Shard
from syncd.model.sealed import SealedObject, fold_day
from syncd.verify.pruning.prunable import DigestProof, Prunable
from syncd.verify.rules.place import Place
from syncd.verify.rules.result import PlaceResult
from syncd.verify.rules.verdict import Finding, Flaw, Span, Verdict
from syncd.verify.source.days import Day, SealedRun
from syncd.verify.source.judge import Judge, Question
from syncd.verify.source.probing import Evidence, Judged
from syncd.verify.source.results import Asked, Compared
from syncd.verify.source.sides import Trio, objects_of, side_by_side

ABOVE = "AWSLogs/222222222222"
LOGS = Shard(f"{ABOVE}/CloudTrail/us-east-1/", "222222222222", "CloudTrail", "us-east-1")
DIGESTS = LOGS._replace(prefix=f"{ABOVE}/CloudTrail-Digest/us-east-1/", kind="CloudTrail-Digest")
DAY = "2026-11-20"
FOLDER = f"{LOGS.prefix}2026/11/20/"
KEY = f"{FOLDER}222222222222_CloudTrail_us-east-1_20261120T0605Z_abcdefghijklmnop.json.gz"
NOW = day_start("2026-11-27")
MD5, OTHER = "0" * 32, "1" * 32
_T = TypeVar("_T")


def item(key: str = KEY, etag: str = MD5, size: int = 10) -> LogObject:
    return LogObject(key, etag, size, day_start(DAY) + 100)


def waiting(items: Sequence[_T]) -> Iterator[_T | None]:
    """The items, with a None before each: nothing has come yet."""
    for one in items:
        yield None
        yield one


WITHOUT_FOLDERS = st.sets(st.text(st.characters(exclude_characters="/"), max_size=3))


@given(WITHOUT_FOLDERS, WITHOUT_FOLDERS, WITHOUT_FOLDERS)
def test_three_listings_are_merged_into_one_in_key_order(here: set[str], there: set[str], known: set[str]) -> None:
    trios = side_by_side(
        waiting([item(key) for key in sorted(here)]),
        waiting([item(key) for key in sorted(there)]),
        iter([(key, Known(MD5, 10)) for key in sorted(known)]),
    )

    found = [trio for trio in trios if trio is not None]

    assert [trio.key for trio in found] == sorted(here | there | known)
    for present, side in ((here, 1), (there, 2), (known, 3)):
        assert {trio.key for trio in found if trio[side] is not None} == present


NAMES = st.sets(st.text("ab-/", max_size=6))


@given(NAMES, NAMES, NAMES, st.sets(st.sampled_from([1, 2])))
def test_a_store_that_keeps_a_tree_is_merged_all_the_same(
    here: set[str], there: set[str], known: set[str], trees: set[int]
) -> None:
    listed = [
        sorted(keys, key=(lambda key: key.split("/")) if side in trees else str)
        for side, keys in enumerate((here, there), 1)
    ]
    trios = side_by_side(
        *(waiting([item(key) for key in keys]) for keys in listed),
        iter([(key, Known(MD5, 10)) for key in sorted(known)]),
    )

    found = [trio for trio in trios if trio is not None]

    assert sorted(trio.key for trio in found) == sorted(here | there | known)
    for present, side in ((here, 1), (there, 2), (known, 3)):
        assert {trio.key for trio in found if trio[side] is not None} == present


def test_the_keys_that_wait_are_bounded() -> None:
    missing = [f"a-{number}" for number in range(9)]
    here = waiting([item(key) for key in [*missing, "a/1", "b"]])

    yielded = []
    for trio in side_by_side(here, waiting([item("a/1"), item("b")]), iter([]), most_waiting=3):
        yielded += [trio.key] if trio is not None else []

    assert yielded[:6] == missing[:6]
    assert sorted(yielded) == sorted([*missing, "a/1", "b"])


def test_a_listing_of_the_destination_is_read_under_the_keys_of_the_source() -> None:
    page = Page(Range(LOGS, ""), [item(f"replica/{KEY}")], is_last=True)

    assert [one and one.key for one in objects_of([None, page], strip="replica/")] == [None, KEY]


def judged(trio: Trio, *, until: float = NOW, start: float = 0.0) -> tuple[Compared, list[Question]]:
    found = Compared(job="a", asked=Asked(now=NOW), complete_until=until)
    judge = Judge(found, CloudTrailLayout(), accepted={}, start=start)
    return found, list(judge.take(LOGS, trio, None))


ROW = Known(MD5, 10, OTHER)


@pytest.mark.parametrize(
    ("trio", "evidence"),
    [
        (Trio(KEY, item(), item(), None), Evidence.ETAG),
        (Trio(KEY, item(), item(etag=OTHER), ROW), Evidence.LEDGER),
        (Trio(KEY, item(etag="a-2"), item(etag=OTHER), ROW._replace(etag="a-2")), Evidence.LEDGER),
    ],
)
def test_listings_and_ledger_prove_an_object(trio: Trio, evidence: Evidence) -> None:
    found, questions = judged(trio)

    assert (questions, found.days[LOGS, DAY].evidence, found.verdict) == ([], {evidence: 1}, "proved")


@pytest.mark.parametrize(
    "trio",
    [
        Trio(KEY, item(), item(etag=OTHER), None),
        Trio(KEY, item(etag=OTHER), item(etag="2" * 32), ROW),
        Trio(KEY, item(), item(etag="2" * 32), ROW),
        Trio(KEY, item(), item(etag=OTHER), ROW._replace(replica_etag="")),
        Trio(KEY, item(etag="a-2"), item(etag="a-2"), None),
        Trio(KEY, item(), None, None),
        Trio(KEY, item(), None, ROW),
        Trio(KEY, None, None, ROW),
    ],
)
def test_what_they_do_not_show_is_asked_for(trio: Trio) -> None:
    found, questions = judged(trio)

    assert ([question.item.key for question in questions], found.days) == ([KEY], {})


@pytest.mark.parametrize(
    ("trio", "flaw"),
    [
        (Trio(KEY, item(), item(size=11), ROW), Flaw.LOG_ALTERED),
        (Trio(KEY, None, item(etag=MD5), ROW), Flaw.LOG_ALTERED),
    ],
)
def test_a_difference_is_found_without_asking(trio: Trio, flaw: Flaw) -> None:
    found, questions = judged(trio)

    assert (questions, found.days[LOGS, DAY].flaws, found.verdict) == ([], {flaw: 1}, "unproved")


def test_what_is_not_the_jobs_is_counted_apart() -> None:
    beyond, _ = judged(Trio(KEY, item(), None, None), until=day_start(DAY))
    before, _ = judged(Trio(KEY, item(), None, None), start=NOW)
    gone, _ = judged(Trio(KEY, None, item(etag=OTHER), ROW))
    extra, _ = judged(Trio(KEY, None, item(), None))

    assert (beyond.not_copied_yet, before.left_out, gone.gone_at_source, extra.extra) == (1, 1, 1, [KEY])
    assert (beyond.open_days, before.open_days) == ({(LOGS, DAY)}, {(LOGS, DAY)})


@pytest.mark.parametrize(("horizon", "verdict"), [(NOW, "proved"), (0.0, "some")])
def test_what_is_not_copied_yet_leaves_a_proof_only_before_a_horizon(horizon: float, verdict: str) -> None:
    """A job that has never completed a tick may never copy it."""
    found, _ = judged(Trio(KEY, item(etag=MD5), item(etag=MD5), ROW))
    found.not_copied_yet, found.complete_until = 1, horizon

    assert found.verdict == verdict


def test_an_answer_proves_or_names_what_is_wrong() -> None:
    found = Compared(job="a", asked=Asked(now=NOW), complete_until=NOW)
    told: list[str] = []
    judge = Judge(found, CloudTrailLayout(), accepted={}, start=0.0, on_proved=lambda *facts: told.append(facts[2].key))
    question = Question(LOGS, DAY, Trio(KEY, item(), item(etag=OTHER), None), "")

    judge.answered(question, Judged(Evidence.CONTENT))
    judge.answered(question, Judged(None, Finding(Flaw.NOT_COMPARABLE, "why", KEY)))

    assert (told, found.days[LOGS, DAY].flaws, found.days[LOGS, DAY].objects) == ([KEY], {Flaw.NOT_COMPARABLE: 1}, 2)


KEYS = [f"{FOLDER}{name}" for name in "abc"]


def sealed_run(*, source: str = MD5, replica: str = OTHER, keys: Sequence[str] = KEYS) -> SealedRun:
    run = SealedRun(DAY, fold_day(SealedObject(key, MD5, 10, OTHER) for key in KEYS))
    for key in keys:
        changed = key == KEYS[0]
        run.take(Trio(key, item(key, source if changed else MD5), item(key, replica if changed else OTHER), None))
    return run


def test_a_sealed_day_vouches_for_both_sides_by_its_hashes() -> None:
    run = sealed_run()
    run.take(Trio(f"{FOLDER}late", item(), item(), ROW))

    assert (run.vouches_for_source, run.vouches_for_replicas, run.lost) == (True, True, 0)


@pytest.mark.parametrize(
    ("run", "vouched"),
    [
        (sealed_run(source=OTHER), (False, True)),
        (sealed_run(replica=MD5), (True, False)),
        (sealed_run(keys=KEYS[1:]), (False, False)),
    ],
)
def test_a_sealed_day_that_is_another_vouches_for_nothing(run: SealedRun, vouched: tuple[bool, bool]) -> None:
    assert (run.vouches_for_source, run.vouches_for_replicas) == vouched


def test_what_neither_side_has_of_a_sealed_day_is_lost() -> None:
    assert sealed_run(keys=KEYS[:1]).lost == 2


DIGEST = f"{DIGESTS.prefix}2026/11/20/digest"
LATER = f"{LOGS.prefix}2026/11/21/late"
INSIGHTS = LOGS._replace(prefix=f"{ABOVE}/CloudTrail-Insight/us-east-1/", kind="CloudTrail-Insight")
INSIGHT = (
    f"{INSIGHTS.prefix}2026/11/20/222222222222_CloudTrail-Insight_us-east-1_20261120T0605Z_abcdefghijklmnop.json.gz"
)
PLACE = Place(
    "222222222222", "us-east-1", DIGESTS.prefix, {"CloudTrail": LOGS.prefix, "CloudTrail-Insight": INSIGHTS.prefix}
)
ABOVE_NOW = "AWSLogs/o-abcdefghij/222222222222"
MOVED = Place(
    "222222222222",
    "us-east-1",
    f"{ABOVE_NOW}/CloudTrail-Digest/us-east-1/",
    {"CloudTrail": f"{ABOVE_NOW}/CloudTrail/us-east-1/"},
    "o-abcdefghij",
    (PLACE,),
)
"""The same account and region, which delivers under another prefix now."""


def planned(
    *,
    named: Sequence[str] = (KEY,),
    listed: Sequence[Shard] = (LOGS, DIGESTS),
    verdict: Verdict = Verdict.PROVED,
    last_day: str = DAY,
    place: Place = PLACE,
) -> Prunable:
    begin = day_start(DAY)
    span = Span(begin, begin + 86400, verdict, DIGEST)
    result = PlaceResult(
        place=place,
        chains={None: [span]},
        extra=(),
        uncovered={},
        logs=1,
        log_bytes=1,
        newest_end=0.0,
        unnamed_after=(),
    )  # type: ignore[dict-item]  # which chain it is does not matter here
    found = Compared(job="a", asked=Asked(now=NOW), complete_until=NOW)
    objects = {}
    for shard, key in ((LOGS, KEY), (INSIGHTS, INSIGHT), (DIGESTS, DIGEST)):
        if shard in listed:
            found.prefixes.add(shard.prefix)
            found.days[shard, DAY] = Day()
            found.days[shard, DAY].prove(item(key), Evidence.ETAG)
            objects[shard, DAY] = [item(key)]
    return Prunable(found, objects, [DigestProof(place=result, named={DIGEST: named})], last_day=last_day)


def test_a_day_goes_whose_digest_is_proved_and_its_digest_after_the_logs() -> None:
    plan = planned()

    assert ([day.shard for day in plan.days], [day.shard for day in plan.digests], plan.kept) == ([LOGS], [DIGESTS], [])
    assert (plan.may_go(DIGEST, set()), plan.may_go(DIGEST, {KEY})) == (False, True)


@pytest.mark.parametrize("verdict", [Verdict.UNPROVED, Verdict.UNANCHORED, Verdict.GAP])
def test_a_day_stays_of_which_a_part_is_not_proved(verdict: Verdict) -> None:
    plan = planned(verdict=verdict)

    assert (plan.days, plan.digests, [kept.day for kept in plan.kept]) == ([], [], [DAY])


@pytest.mark.parametrize("place", [PLACE, MOVED], ids=["where it delivers", "where it delivered before"])
def test_all_kinds_of_a_day_go_or_stay_together(place: Place) -> None:
    listed = (LOGS, INSIGHTS, DIGESTS)
    good = planned(named=(KEY, INSIGHT), listed=listed, place=place)
    bad = planned(named=(KEY, INSIGHT), listed=listed, place=place, verdict=Verdict.UNPROVED)

    assert ({day.shard for day in good.days}, good.kept) == ({LOGS, INSIGHTS}, [])
    assert good.may_go(DIGEST, {KEY, INSIGHT})
    assert (bad.days, [kept.reason for kept in bad.kept]) == ([], ["unproved"])


def test_a_day_stays_with_an_object_that_no_digest_names() -> None:
    (kept,) = planned(named=()).kept

    assert (kept.reason, kept.key) == ("unnamed", KEY)


def test_a_day_beyond_the_horizon_stays() -> None:
    assert [kept.reason for kept in planned(last_day="2026-11-19").kept] == ["beyond_horizon"]


@pytest.mark.parametrize("other", [LATER, "elsewhere/2026/11/20/log", "no-day"])
def test_a_digest_stays_that_names_a_log_which_was_not_looked_for(other: str) -> None:
    assert not planned(named=(KEY, other)).may_go(DIGEST, {KEY})


def test_a_digest_stays_if_the_job_does_not_list_the_logs_at_all() -> None:
    plan = planned(listed=[DIGESTS])

    assert not plan.may_go(DIGEST, set())
