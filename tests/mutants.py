"""`make mutants`: one line of the core is made wrong at a time, in a copy, and some test has to notice.

A mutant is a module, a text that stands in it exactly once, and what it becomes. A text that is no longer there is an
error, so that the list follows the code.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TABLES = tuple(
    f"tests/core/test_{name}.py"
    for name in (
        "claims",
        "slices",
        "sealing",
        "sides",
        "plan",
        "recorder",
        "discovery",
        "layout",
        "cloudtrail",
    )
)
SUITES = (TABLES, ("tests/core/test_tiers.py", "tests/tick"), ("tests/simulation",))
"""What is run, the next only if nothing before it has noticed."""
SECONDS = 900


class Mutant(NamedTuple):
    """One wrong line."""

    module: str
    right: str
    wrong: str

    def __str__(self) -> str:
        return f"{self.module}: {' '.join(self.right.split())}  ->  {' '.join(self.wrong.split())}"


MUTANTS = (
    # tiers: how wide each listing is, and from where it looks back
    Mutant("tiers", "return max(self.tail, self.lateness_of(DIGESTS))", "return self.tail"),
    Mutant("tiers", "return max(self.recent, self.tail_effective)", "return self.recent"),
    Mutant("tiers", "return max(self.deep, self.recent_effective + DAY_SECONDS)", "return self.deep"),
    Mutant("tiers", "now - state.recent_at >= pace.recent_every", "now - state.recent_at > 9 * pace.recent_every"),
    Mutant("tiers", "min(frontier, state.recent_at) - pace.recent_effective", "now - pace.recent_effective"),
    Mutant("tiers", "min(now, state.deep_done_at) - pace.deep_effective", "now - pace.deep_effective"),
    Mutant("tiers", "start - pace.deep_effective if start else 0.0", "start"),
    Mutant("tiers", "return min(now, state.listed_at, state.frontier or state.listed_at)", "return now"),
    Mutant("tiers", "return max(recent, now - pace.deep_effective + DAY_SECONDS)", "return recent - DAY_SECONDS"),
    Mutant("tiers", "return self.tier in (Tier.FIRST, Tier.WINDOW)", "return self.tier is Tier.WINDOW"),
    Mutant("tiers", "max(lateness, _DIGESTS_LATENESS_SECONDS) if kind == DIGESTS else lateness", "lateness"),
    Mutant("tiers", "if max(cursors) > now + CLOCK_SKEW_SECONDS:", "if max(cursors) > now + 99 * CLOCK_SKEW_SECONDS:"),
    Mutant(
        "tiers", "return max(one, other, key=_SEARCH_ORDER.index)", "return min(one, other, key=_SEARCH_ORDER.index)"
    ),
    Mutant("tiers", "now - state.deep_done_at >= pace.deep_every * (1", "now - state.deep_at >= pace.deep_every * (1"),
    # claims: what a listing proves, and what the horizon may say
    Mutant("claims", "until = looked - pace.lateness_of(state.shard.kind)", "until = looked"),
    Mutant("claims", "    oldest = first_within(missing, state.complete_from)", "    oldest = None"),
    Mutant("claims", "FoundBy.RECENT: min(state.listed_at, state.recent_at)", "FoundBy.RECENT: state.listed_at"),
    Mutant(
        "claims", "min(state.listed_at, state.recent_at, state.deep_done_at)", "min(state.listed_at, state.recent_at)"
    ),
    Mutant("claims", "FoundBy.WHOLE: state.deep_done_at", "FoundBy.WHOLE: state.listed_at"),
    Mutant("claims", "if stamp >= complete_from", "if stamp > complete_from"),
    Mutant("claims", "max(listed.last_key, wanted.until) >= listed.slice.goal", "True"),
    Mutant("claims", "listed.slice.since if is_done else state.deep_done_at", "listed.slice.since"),
    Mutant("claims", "max(state.complete_from, listed.left_out_stamp + 1)", "state.complete_from"),
    Mutant("claims", "until = min(until, discovered_at - max(", "until = min(until, discovered_at + max("),
    Mutant("claims", "complete_from = max(state.complete_from for", "complete_from = min(state.complete_from for"),
    Mutant("claims", "any(not state.listed_at for state in states)", "all(not state.listed_at for state in states)"),
    Mutant("claims", "complete_from=max(start, state.complete_from)", "complete_from=state.complete_from"),
    Mutant("claims", ") <= self.began_at]", ") <= self.began_at + 9e9]"),
    Mutant("claims", "branches=branches, deep_done_at=0.0)", "branches=branches)"),
    # closing and survey: whose states move, and when
    Mutant(
        "closing", "listed = visit.finished()\n    if listed:", "listed = list(visit.listed.values())\n    if listed:"
    ),
    Mutant("closing", "if end < state.complete_from or first", "if first"),
    Mutant("closing", "if any(first <= stamp < state.complete_from for stamp in missing):", "if False:"),
    Mutant("closing", "        before = replace(before, complete_from=current.complete_from)", "        pass"),
    Mutant("closing", "survey.discovered_at if is_whole and is_gone_through", "survey.discovered_at if is_whole"),
    Mutant("survey", "len(whole) == len(self.slices) and not self.unresolved", "len(whole) == len(self.slices)"),
    Mutant("survey", "if is_tick and not discovered.uncovered else None", "if is_tick else None"),
    Mutant("survey", "kept[prefix] = tiers.as_of(state, began_at)", "kept[prefix] = state"),
    Mutant("survey", "        found.start = start\n", "        found.start = task.start(began_at)\n"),
    Mutant("survey", "found.start if told is None else min(found.start, told)", "found.start"),
    Mutant("survey", "return replace(state, found_by=FoundBy.WHOLE, deep_done_at=0.0)", "return state"),
    # sealing and what a listing makes of sealed days
    Mutant("sealing", "(was.count, was.digest) == (now.total, now.digest)", "True"),
    Mutant("sealing", "return now.total == 0 or (was.exact", "return (was.exact"),
    Mutant("sealing", "if (was.count, was.size_bytes) != (now.count, now.size_bytes):", "if was.count != now.count:"),
    Mutant("sealing", "or was.replica_digest == now.replica_digest", "or True"),
    Mutant("sealing", "min(now, state.deep_done_at or now) - pace.deep_effective", "now - pace.deep_effective"),
    Mutant("sealing", "min(frontier, state.recent_at or now) - pace.recent_effective", "deep"),
    Mutant("sealing", "min(deep, recent) - DAY_SECONDS", "min(deep, recent) + 2 * DAY_SECONDS"),
    Mutant("slice_reading", "return replace(rules, ran_here=False) if is_altered else rules", "return rules"),
    Mutant("search", "            visit.unresolved += 1\n\n", "            pass\n\n"),
    Mutant("search", "        self._recorder.begin_anew()\n", ""),
    Mutant("search", "held.next_at <= self._began_at or held.next_at > latest", "held.next_at <= self._began_at"),
    # plan: what is there, and what has to be looked at
    Mutant("plan", "if remembered.size_bytes != replica.size_bytes:", "if False:"),
    Mutant("plan", "bool(remembered.replica_etag) and remembered.replica_etag != replica.etag", "False"),
    Mutant("plan", "if item.size_bytes != replica.size_bytes:", "if False:"),
    Mutant("plan", "return ran_here and is_untouched and", "return is_untouched and"),
    Mutant("plan", "is_untouched = item.last_modified < replica.last_modified", "is_untouched = True"),
    Mutant("plan", "    elif is_listed and replica is None:", "    elif False:"),
    Mutant("plan", "replica is not None and not is_in_conflict and vouches(", "replica is not None and vouches("),
    Mutant("plan", "rules.accepted.get(item.key) == (item.etag, item.storage_class)", "item.key in rules.accepted"),
    Mutant("plan", "transfer._replace(compare_first=remembered is not None)", "transfer"),
    # discovery and layouts: where keys may lie
    Mutant("discovery", "found.stalest_look = min(found.stalest_look, looks[node.prefix][0])", "pass"),
    Mutant("discovery", "for prefix, look in looks.items() if look[0] <= now}", "for prefix, look in looks.items()}"),
    Mutant(
        "discovery",
        "node.prefix in stale or node.prefix not in reached]",
        "node.prefix in stale or node.prefix not in looks]",
    ),
    Mutant("discovery", "            found.uncovered += below.uncovered", "            pass"),
    Mutant("layout", "return min(found, _day_end_instant(day)) if day else found", "return found"),
    Mutant(
        "layout", "return FoundBy.RECENT if _is_searched_inside_days(shard) else", "return FoundBy.TAIL if shard else"
    ),
    Mutant("layout", "{day.replace('-', '/')}0", "{day.replace('-', '/')}/~"),
    Mutant("layout", "if whole_day or not _is_searched_inside_days(shard):", "if whole_day:"),
    Mutant("layout", "return FoundBy.DEEP if self.day(shard, key) else FoundBy.WHOLE", "return FoundBy.TAIL"),
    # sides, audit, recorder: the destination, and one object's misfortune
    Mutant("sides", "            if self._is_at_end or self._newest_key >= key:", "            if True:"),
    Mutant("sides", "return None if self._lister.is_denied else self._waiting", "return self._waiting"),
    Mutant("audit", "is_due = visit.state.audit_key or now", "is_due = now"),
    Mutant("audit", "now - visit.state.sealed_audited_at >= pace.audit_sealed_every", "False"),
    Mutant("audit", "            if key in self._accepted or key in", "            if key in"),
    Mutant(
        "audit",
        "            if replica is not None and not is_another(known, replica):",
        "            if replica is not None:",
    ),
    Mutant(
        "audit",
        "                if not self._is_same_there(state.shard, was, found[day]):",
        "                if False:",
    ),
    Mutant(
        "audit", "            self._recorder.note(Failed(transfer, failures.REPLICA_LOST, detail))", "            pass"
    ),
    Mutant(
        "recorder",
        "if is_new and reason in (failures.ACCESS_DENIED, failures.KMS_DENIED)",
        "if reason in (failures.ACCESS_DENIED, failures.KMS_DENIED)",
    ),
    Mutant(
        "recorder",
        "if self._denied_before and self._denied_in_a_row and not self.copied:",
        "if self._denied_before and not self.copied:",
    ),
    Mutant("recorder", "        self.in_progress.add(transfer.object.key)", "        pass"),
)


def main() -> int:
    """Try all of them; how many survived."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--only", default="", help="those whose line contains this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    wanted = [mutant for mutant in MUTANTS if given.only in str(mutant)]
    stale = [mutant for mutant in wanted if _source(mutant.module).count(mutant.right) != 1]
    for mutant in stale:
        print(f"not one such line: {mutant}", file=sys.stderr)
    if stale:
        return 2
    if failing := _killer_of(None):
        print(f"fails without any mutant: {failing}", file=sys.stderr)
        return 2
    with ThreadPoolExecutor(given.jobs) as pool:
        survived = 0
        for mutant, killer in zip(wanted, pool.map(_killer_of, wanted), strict=True):
            survived += not killer
            print(f"{'killed  ' if killer else 'SURVIVED'}  {mutant}\n{'':10}{killer}", flush=True)
    print(f"\n{len(wanted) - survived} of {len(wanted)} killed")
    return 1 if survived else 0


def _source(module: str) -> str:
    return (ROOT / "syncd" / f"{module}.py").read_text(encoding="utf-8")


def _killer_of(mutant: Mutant | None) -> str:
    """The test that fails; empty for none. Of None, on the code as it is."""
    with tempfile.TemporaryDirectory(prefix="syncd-mutant-") as name:
        copy = Path(name)
        ignored = shutil.ignore_patterns(".*", "__pycache__")
        shutil.copytree(ROOT, copy, ignore=ignored, dirs_exist_ok=True)
        if mutant is not None:
            changed = _source(mutant.module).replace(mutant.right, mutant.wrong)
            (copy / "syncd" / f"{mutant.module}.py").write_text(changed, encoding="utf-8")
        return next((killer for suite in SUITES if (killer := _first_failure(copy, suite))), "")


def _first_failure(copy: Path, suite: Sequence[str]) -> str:
    # The copy comes before the installed project.
    environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", *suite]
    try:
        run = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"did not end within {SECONDS} seconds"
    if run.returncode == 0:
        return ""
    if run.returncode not in (1, 2):
        raise RuntimeError(run.stdout[-2000:] + run.stderr[-2000:])
    told = (line for line in run.stdout.splitlines() if line.startswith(("FAILED", "ERROR")))
    return next(told, "an error")[:120]


if __name__ == "__main__":
    sys.exit(main())
