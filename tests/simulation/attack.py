"""Draws schedules, lets them happen, and says what was found."""

from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import NamedTuple

from .families import FAMILIES
from .judge import Finding
from .schedule import Happening, Schedule, draw
from .world import World


class Verdict(NamedTuple):
    """What one schedule came to."""

    seed: int
    family: str
    troubles: Sequence[str]
    ticks: int
    delivered: int
    findings: Sequence[Finding]


def attack(schedule: Schedule) -> Verdict:
    """Let one schedule happen."""
    world = World(schedule)
    judge = world.run()
    return Verdict(
        schedule.seed, schedule.family.name, schedule.troubles, world.ticks, len(world.source.objects), judge.findings
    )


def shortened(schedule: Schedule, kind: str) -> Schedule:
    """The same with as little as still ends in a finding of this kind: no trouble too many, then no happening."""
    found = next(finding for finding in attack(schedule).findings if finding.kind == kind)
    for trouble in schedule.troubles:
        without = _with(schedule, [item for item in schedule.happenings if item.trouble != trouble])
        schedule = without if _finds(without, kind) else schedule
    alone = _with(schedule, [item for item in schedule.happenings if item.facts.get("key", found.key) == found.key])
    schedule = alone if _finds(alone, kind) else schedule
    kept = [happening for happening in schedule.happenings if happening.what != "tick"]
    ticks = [happening for happening in schedule.happenings if happening.what == "tick"]
    parts = 2
    while parts <= len(kept):
        size = -(-len(kept) // parts)
        for first in range(0, len(kept), size):
            less = kept[:first] + kept[first + size :]
            if _finds(_with(schedule, [*less, *ticks]), kind):
                kept, parts = less, max(2, parts - 1)
                break
        else:
            if parts == len(kept):
                break
            parts = min(len(kept), parts * 2)
    return _with(schedule, [*kept, *ticks])


def _with(schedule: Schedule, happenings: Iterable[Happening]) -> Schedule:
    return replace(schedule, happenings=sorted(happenings, key=lambda happening: happening.at))


def _finds(schedule: Schedule, kind: str) -> bool:
    return any(finding.kind == kind for finding in attack(schedule).findings)


def _one(arguments: tuple[int, int, str, tuple[str, ...]]) -> Verdict:
    seed, days, name, without = arguments
    return attack(draw(seed, days=days, name=name, without=without))


def main(
    *, first: int, seeds: int, days: int, name: str, without: Sequence[str], processes: int, until: str = ""
) -> int:
    """Print what each seed finds, then a line for each family and the totals; how many seeds found something.

    It ends early once something of the kind `until` was found.
    """
    wanted = [(seed, days, name, tuple(without)) for seed in range(first, first + seeds)]
    verdicts: list[Verdict] = []
    with ProcessPoolExecutor(processes) as pool:
        for verdict in pool.map(_one, wanted):
            verdicts.append(verdict)
            _tell(verdict)
            if until and any(finding.kind == until for finding in verdict.findings):
                pool.shutdown(cancel_futures=True)
                break
    print(f"{len(verdicts)} seeds of {days} days, outages of up to 60 days on top\n")
    print(f"{'keys':14} {'seeds':>5} {'ticks':>7} {'objects':>8}  found")
    for family in [*FAMILIES, "all"]:
        those = [verdict for verdict in verdicts if family in (verdict.family, "all")]
        if those:
            found = Counter(finding.kind for verdict in those for finding in verdict.findings)
            told = ", ".join(f"{kind} {count}" for kind, count in found.most_common()) or "nothing"
            ticks, objects = sum(v.ticks for v in those), sum(v.delivered for v in those)
            print(f"{family:14} {len(those):>5} {ticks:>7,} {objects:>8,}  {told}")
    return sum(1 for verdict in verdicts if verdict.findings)


def _tell(verdict: Verdict) -> None:
    if not verdict.findings:
        return
    print(f"seed {verdict.seed} ({verdict.family}; {', '.join(verdict.troubles)})", flush=True)
    for kind, count in Counter(finding.kind for finding in verdict.findings).items():
        print(f"  {count} {next(finding for finding in verdict.findings if finding.kind == kind)}", flush=True)
    print(flush=True)
