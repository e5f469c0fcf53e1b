"""`make mutants`: one line of the core is made wrong at a time, in a copy, and some test has to notice.

With `--judge` the simulation alone is asked, and has to find what each fault brings about. A text that is no longer
there is an error, so that the lists follow the code.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from judged import JUDGED
from lines import MUTANTS
from mutant import SECONDS, Mutant, copied, run

_NAMES = (
    *("horizon_claims", "slices", "sealing", "closing", "survey", "audit", "sides", "plan"),
    *("recorder", "discovery", "layout", "cloudtrail", "check_source", "tiers"),
)
TABLES = tuple(f"tests/core/test_{name}.py" for name in _NAMES)
SUITES = (TABLES, ("tests/tick",))
"""What is run, the next only if nothing before it has noticed; before them, the tests of the module itself."""
_SAME_EXAMPLES = ("--hypothesis-seed", "1")


def main() -> int:
    """Try all of them; how many survived."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--only", default="", help="those whose line contains this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--judge", action="store_true", help="faults that the simulation has to find")
    given = parser.parse_args()
    pairs = JUDGED if given.judge else tuple(("", mutant) for mutant in MUTANTS)
    wanted = [(kind, mutant) for kind, mutant in pairs if given.only in f"{kind} {mutant}"]
    stale = [mutant for _, mutant in wanted if mutant.is_stale]
    for mutant in stale:
        print(f"not one such line: {mutant}", file=sys.stderr)
    if stale:
        return 2
    if not given.judge and (failing := _killer_of("", None)):
        print(f"fails without any mutant: {failing}", file=sys.stderr)
        return 2
    survived = 0
    with ThreadPoolExecutor(given.jobs) as pool:
        for (_, mutant), killer in zip(wanted, pool.map(lambda pair: _killer_of(*pair), wanted), strict=True):
            survived += not killer
            print(f"{'killed  ' if killer else 'SURVIVED'}  {mutant}\n{'':10}{killer}", flush=True)
    print(f"\n{len(wanted) - survived} of {len(wanted)} killed")
    return 1 if survived else 0


def _killer_of(kind: str, mutant: Mutant | None) -> str:
    """The test that fails, or the finding of this kind; empty for none. Of None, on the code as it is."""
    with copied() as copy:
        if mutant is not None:
            mutant.apply(copy)
        if kind:
            return _finding(copy, kind)
        module = mutant.module.replace("/", "_") if mutant is not None else ""
        own = [name for name in TABLES if module.endswith(Path(name).stem.removeprefix("test_"))]
        suites = [own, *SUITES] if own else SUITES
        return next((killer for suite in suites if (killer := _first_failure(copy, suite))), "")


def _first_failure(copy: Path, suite: Sequence[str]) -> str:
    try:
        ended = run(
            copy, ["-m", "pytest", "-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", *_SAME_EXAMPLES, *suite]
        )
    except subprocess.TimeoutExpired:
        return f"did not end within {SECONDS} seconds"
    if ended.returncode == 0:
        return ""
    if ended.returncode not in (1, 2):
        raise RuntimeError(ended.stdout[-2000:] + ended.stderr[-2000:])
    told = (line for line in ended.stdout.splitlines() if line.startswith(("FAILED", "ERROR")))
    return next(told, "an error")[:120]


def _finding(copy: Path, kind: str) -> str:
    ended = run(copy, ["-m", "simulation", "--attack", "--days", "20", "--until", kind], folder="tests")
    lines = [line.strip() for line in ended.stdout.splitlines()]
    return next((line[:120] for line in lines if line.partition(" ")[2].startswith(f"{kind} at ")), "")


if __name__ == "__main__":
    sys.exit(main())
