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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SUITES = ("tests/core", "tests/tick", "tests/simulation")
SECONDS = 900


class Mutant(NamedTuple):
    """One wrong line."""

    module: str
    right: str
    wrong: str

    def __str__(self) -> str:
        return f"{self.module}: {' '.join(self.right.split())}  ->  {' '.join(self.wrong.split())}"


MUTANTS = (
    Mutant("tiers", "return max(self.tail, self.lateness)", "return self.tail"),
    Mutant("tiers", "now - state.recent_at >= pace.recent_every", "now - state.recent_at > 9 * pace.recent_every"),
    Mutant("closing", "if visit.finished():", "if visit.listed:"),
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
        # The copy comes before the installed project.
        environment = os.environ | {"PYTHONPATH": name, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", *SUITES]
        try:
            run = subprocess.run(
                command, cwd=copy, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return f"did not end within {SECONDS} seconds"
        if run.returncode == 0:
            return ""
        if run.returncode != 1:
            raise RuntimeError(run.stdout[-2000:] + run.stderr[-2000:])
        return next((line for line in run.stdout.splitlines() if line.startswith("FAILED")), "an error")


if __name__ == "__main__":
    sys.exit(main())
