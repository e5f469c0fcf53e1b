"""The judgement of one digest, of doubts as time goes by, and of up to when a place is proved. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from syncd.job.health.proofs import MOST_PROBLEMS, Doubt, Problem, Seen
from syncd.verify.proof import STOPPED_SECONDS
from syncd.verify.rules.chain import Chain, Found, Step, parsed
from syncd.verify.rules.digest import ChainName
from syncd.verify.rules.unnamed import OVERDUE_SECONDS
from syncd.verify.rules.verdict import Finding, Flaw, Verdict

SOON_SECONDS, LATER_SECONDS = 240.0, 3600.0
"""A doubt is looked at again so soon while it may be that something is late, and later so."""
_MAY_BE_LATE = frozenset({Flaw.DIGEST_MISSING, Flaw.LOG_MISSING, Flaw.NO_KEY})


class Followed(NamedTuple):
    """One digest, taken into its chain."""

    chain: ChainName
    digest: str
    before: Seen | None
    step: Step
    seen: Seen


def follow(chain: Chain, name: ChainName, found: Iterable[Found]) -> Iterator[Followed]:
    """Take digests into a chain, the oldest first."""
    waiting: Found | None = None
    for item in found:
        if waiting is not None:
            yield _taken(chain, name, waiting, item)
        waiting = item
    if waiting is not None:
        yield _taken(chain, name, waiting, None)


def _taken(chain: Chain, name: ChainName, found: Found, after: Found | None) -> Followed:
    before = chain.last
    step = chain.accept(found, parsed(after) if after is not None and not found.signature else None)
    assert chain.last is not None
    return Followed(name, found.key, before, step, chain.last)


def doubt_of(followed: Followed, of_logs: Sequence[Finding], *, now: float) -> Doubt | None:
    """Return the doubt that a digest leaves, given what is wrong with its logs. Returns None if there is none."""
    spans = [span for span in (*followed.step.before, followed.step.span) if span.verdict == Verdict.UNPROVED]
    findings = [finding for span in spans for finding in span.problems] + list(of_logs)
    if not findings:
        return None
    start = min((span.start for span in spans), default=followed.step.span.start)
    return Doubt(
        chain=followed.chain.text,
        start=start,
        end=followed.step.span.end,
        digest=followed.digest,
        before=followed.before,
        problems=tuple(Problem(finding.flaw.value, *finding[1:]) for finding in findings),
        found_at=now,
        checked_at=now,
    )


def gap_before(followed: Followed) -> Finding | None:
    """Return why hours before a good digest are not checked. Returns None if there are none."""
    span = followed.step.span
    is_anew = bool(followed.step.before) and span.verdict == Verdict.UNANCHORED
    return span.problems[0] if is_anew and span.problems else None


def without(doubt: Doubt | None, given_up: Callable[[str], bool]) -> Doubt | None:
    """Return the doubt without what an operator has accepted. Returns None if nothing is left."""
    if doubt is None:
        return None
    left = tuple(problem for problem in doubt.problems if not given_up(problem.key))
    return doubt._replace(problems=left) if left else None


def still_doubted(doubt: Doubt, given_up: Callable[[str], bool]) -> Doubt | None:
    """Return a remembered doubt without what an operator has accepted. Returns None if nothing is left.

    Of one with very many problems only the first are remembered: once these are accepted, it is looked at again.
    """
    left = without(doubt, given_up)
    if left is None and len(doubt.problems) >= MOST_PROBLEMS:
        return doubt._replace(checked_at=0.0)
    return left


def is_alarm(doubt: Doubt, is_claimed: Callable[[str], bool], *, now: float) -> bool:
    """Return True if it cannot be that something is only late."""
    if now >= doubt.end + OVERDUE_SECONDS:
        return True
    return any(problem.reason not in _MAY_BE_LATE or is_claimed(problem.key) for problem in doubt.problems)


def is_due(doubt: Doubt, *, now: float) -> bool:
    """Return True if it is time to look at a doubt again."""
    is_new = now < doubt.end + 2 * OVERDUE_SECONDS
    return now - doubt.checked_at >= (SOON_SECONDS if is_new else LATER_SECONDS)


def proved_until(positions: Mapping[str, Seen], doubts: Iterable[Doubt]) -> float:
    """Return up to when every digest and every log that it names is as it should be, in all chains that go on."""
    ends = [seen.end for chain, seen in positions.items() if not ChainName.of(chain).is_backfill]
    newest = max(ends, default=0.0)
    until = min((end for end in ends if newest - end < STOPPED_SECONDS), default=0.0)
    # A backfill is of logs that came too late for their own digest: it extends nothing, and takes nothing back.
    bad = [doubt.start for doubt in doubts if not ChainName.of(doubt.chain).is_backfill]
    return min([until, *bad])
