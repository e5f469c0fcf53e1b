"""What continuous verification remembers of doubts: a bounded part, and never so little that something passes as proved."""

from syncd.job.health.proofs import MOST_PROBLEMS, Doubt, PlaceProof, Problem, Seen, place_proof
from syncd.verify.continuous.doubts import is_due, proved_until, still_doubted
from syncd.verify.rules.digest import ChainName

CHAIN = ChainName("111111111111", "us-east-1", "trail", "us-east-1").text


def doubt(number: int, *, problems: int = 1) -> Doubt:
    start = number * 3600.0
    wrong = tuple(Problem("log_altered", "", f"log-{number}-{count:03}") for count in range(problems))
    return Doubt(
        chain=CHAIN,
        start=start,
        end=start + 3600,
        digest=f"digest-{number}",
        before=None,
        problems=wrong,
        found_at=start,
        checked_at=start,
        is_told=True,
    )


def remembered(*doubts: Doubt) -> PlaceProof:
    seen = Seen("digest", 10_000 * 3600.0, "", "", is_good=True)
    return place_proof(PlaceProof(positions={CHAIN: seen}, doubts=doubts).to_json())


def test_a_doubt_with_more_problems_than_are_remembered_is_looked_at_again_and_not_given_up() -> None:
    """An operator accepts all that `status` shows; the digest names more."""
    (kept,) = remembered(doubt(1, problems=3 * MOST_PROBLEMS)).doubts
    shown = {problem.key for problem in kept.problems}

    left = still_doubted(kept, shown.__contains__)

    assert len(shown) == MOST_PROBLEMS
    assert left is not None
    assert is_due(left, now=kept.checked_at + 1)
    assert proved_until({CHAIN: Seen("digest", 9e9, "", "", is_good=True)}, [left]) == kept.start


def test_a_doubt_whose_every_problem_is_accepted_is_none_any_more() -> None:
    (kept,) = remembered(doubt(1, problems=MOST_PROBLEMS - 1)).doubts

    assert still_doubted(kept, lambda _: True) is None
